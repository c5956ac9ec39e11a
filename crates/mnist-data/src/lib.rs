//! MNIST and other IDX image sets: the data itself, downloads, checks, views and seeded batches.
//!
//! ```
//! # #[cfg(feature = "bundled")] {
//! use mnist_data::{Batches, Mnist};
//!
//! let data = Mnist::bundled()?; // all 70,000 images: no file, no network
//! let x = data.train.images.scaled::<f32>(); // [60000, 784], row-major, 0 to 1
//! let y = data.train.labels.one_hot::<f32>(data.class_count())?; // [60000, 10]
//! assert_eq!((x.len(), y.len()), (60_000 * 784, 60_000 * 10));
//!
//! for indices in &Batches::new(data.train.len(), 128)?.shuffled(42).epoch(0) {
//!     let batch = data.train.select(indices)?;
//!     assert!(batch.len() <= 128);
//! }
//! # }
//! # Ok::<(), mnist_data::Error>(())
//! ```
//!
//! | to … | use |
//! |---|---|
//! | get MNIST | `Mnist::bundled` (feature `bundled`), [`Mnist::from_dir`] |
//! | read any set of four IDX files (Fashion-MNIST, KMNIST, EMNIST) | [`Dataset::from_dir`], [`Dataset::from_files`] |
//! | read one IDX file | [`idx`] |
//! | download a set | [`NamedSet`], `Fetch` (feature `fetch`), [`cache_directory`] |
//! | check files against published digests | [`NamedSet::verify`] |
//! | see the pixels as a matrix | [`Images::bytes`], [`scaled`](Images::scaled), [`quantized`](Images::quantized), [`csr`](Images::csr) |
//! | see the labels as one-hot rows | [`Labels::one_hot`] |
//! | hold back validation examples | [`Holdout`], [`Split::divide`] |
//! | go through the examples in batches | [`Batches`] |
//! | look at the distribution | [`PixelStats`], [`Labels::counts`] |
//!
//! # Features
//! - `bundled` (default): `Mnist::bundled`, which adds 7.8 MB to the program.
//! - `fetch`: downloads, with an HTTP client and TLS.
//!
//! # Licence of the data
//! The code is MIT or Apache-2.0. The MNIST database is © Yann LeCun and Corinna Cortes, derived from NIST's
//! special databases 3 and 1, and available under CC BY-SA 3.0; see `data/LICENSE.md`.

// The README's example is compiled too.
#[cfg(all(doctest, feature = "bundled"))]
#[doc = include_str!("../README.md")]
struct Readme;

mod batches;
#[cfg(feature = "bundled")]
mod bundled;
mod cache;
mod dataset;
mod error;
#[cfg(feature = "fetch")]
mod fetch;
mod files;
mod holdout;
pub mod idx;
mod images;
mod labels;
mod mnist;
pub mod named;
mod scalar;
pub mod shuffle;
mod stats;
mod views;

pub use batches::{Batches, Epoch};
pub use cache::{DIRECTORY_VARIABLE, cache_directory};
pub use dataset::{Dataset, Split};
pub use error::{Attempt, Error, Origin, Result};
#[cfg(feature = "fetch")]
pub use fetch::{Fetch, Fetched, FetchedFile, Progress};
pub use files::{STANDARD_NAMES, SetFiles};
pub use holdout::Holdout;
pub use idx::Idx;
pub use images::Images;
pub use labels::Labels;
pub use mnist::Mnist;
pub use named::{FileDigests, FileReport, NamedSet};
pub use scalar::Scalar;
pub use stats::PixelStats;
pub use views::{Csr, Quantized};
