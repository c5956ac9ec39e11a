//! The whole of MNIST, shipped inside the crate as three Brotli streams.
//!
//! `scripts/make_bundle.py` made them and explains the format; [`layout`] undoes it.

mod layout;

use std::thread;

use brotli_decompressor::{BrotliResult, brotli_decode};

use crate::dataset::numbered;
use crate::error::{Error, Result};
use crate::{Dataset, Images, Labels, Split};
use layout::{Index, Mask};

/// Unpacks all 70,000 images and labels; see [`Mnist::bundled`](crate::Mnist::bundled).
pub(crate) fn load() -> Result<Dataset> {
    let index = Index::parse(unpack(INDEX, Index::BYTES, "labels")?)?;
    let mask = || Mask::decode(&unpack(MASK, index.mask_bytes(), "mask")?, &index);

    // The two big streams are independent: one thread each, where a second can be had.
    let (mask, values) = thread::scope(|scope| {
        let helper = thread::Builder::new().spawn_scoped(scope, mask);
        let values = unpack(VALUES, index.value_bytes(), "pixel values");
        let mask = match helper {
            Ok(helper) => helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => mask(),
        };
        (mask, values)
    });

    let (train, test) = layout::place(&mask?, &values?, &index)?;
    let (train_labels, test_labels) = index.labels();
    Dataset::new("MNIST", numbered(10), split(train, train_labels)?, split(test, test_labels)?)
}

const INDEX: &[u8] = include_bytes!("../../data/index.br");
const MASK: &[u8] = include_bytes!("../../data/mask.br");
const VALUES: &[u8] = include_bytes!("../../data/values.br");

fn split(pixels: Vec<u8>, labels: &[u8]) -> Result<Split> {
    let images = Images::new(labels.len(), layout::SIDE, layout::SIDE, pixels)?;
    Split::new(images, Labels::new(labels.to_vec()))
}

/// Unpacks a Brotli stream of exactly `length` bytes.
fn unpack(packed: &[u8], length: usize, what: &str) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let outcome = brotli_decode(packed, &mut bytes);
    match outcome.result {
        BrotliResult::ResultSuccess if outcome.decoded_size == length => Ok(bytes),
        _ => Err(Error::Bundle {
            expected: format!("{length} bytes of {what}"),
            found: format!("{} bytes", outcome.decoded_size),
        }),
    }
}
