//! The whole of MNIST, shipped inside the crate as three Brotli streams.
//!
//! `scripts/make_bundle.py` made them and explains the format; [`layout`] undoes it.

mod layout;

use std::sync::mpsc;
use std::thread;

use brotli_decompressor::{BrotliResult, brotli_decode};

use crate::dataset::numbered;
use crate::error::{Error, Result};
use crate::{Dataset, Images, Labels, Split};
use layout::Index;

/// Unpacks all 70,000 images and labels; see [`Mnist::bundled`](crate::Mnist::bundled).
pub(crate) fn load() -> Result<Dataset> {
    let index = &Index::parse(unpack(INDEX, Index::BYTES, "labels")?)?;
    let (mut train, mut test) = layout::blank();
    let mask = || unpack(MASK, index.mask_bytes(), "mask");
    let values = || unpack(VALUES, index.value_bytes(), "pixel values");

    // The two big streams are independent: one thread each, where a second can be had. Values are placed behind the
    // decoding of the mask, chunk by chunk.
    let both = thread::scope(|scope| {
        let images = (&mut train[..], &mut test[..]);
        let (sender, chunks) = mpsc::channel();
        // Who doesn't receive any more has failed, and says so.
        let helper = move || layout::decode_mask(&mask()?, index, images, |chunk| drop(sender.send(chunk)));
        let helper = thread::Builder::new().spawn_scoped(scope, helper).ok()?;
        let placed = values().and_then(|values| layout::place(chunks.iter(), &values, index));
        Some(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).and(placed))
    });
    both.unwrap_or_else(|| {
        let mut chunks = Vec::new();
        layout::decode_mask(&mask()?, index, (&mut train, &mut test), |chunk| chunks.push(chunk))?;
        layout::place(chunks.into_iter(), &values()?, index)
    })?;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// What decoding and placing say of these streams.
    fn decoded(mask: &[u8], values: &[u8], index: &Index) -> Result<()> {
        let (mut train, mut test) = layout::blank();
        let mut chunks = Vec::new();
        layout::decode_mask(mask, index, (&mut train, &mut test), |chunk| chunks.push(chunk))?;
        layout::place(chunks.into_iter(), values, index)
    }

    #[test]
    fn streams_that_were_changed_do_not_fit_the_sizes_of_their_groups() {
        let unpacked = |packed, length| unpack(packed, length, "a stream").unwrap();
        let index = Index::parse(unpacked(INDEX, Index::BYTES)).unwrap();
        let (mask, values) = (unpacked(MASK, index.mask_bytes()), unpacked(VALUES, index.value_bytes()));
        decoded(&mask, &values, &index).unwrap();

        // Pixels deep inside of strokes, where the last groups are: what is around them is then read from other groups.
        let changed = |stream: &[u8]| {
            let mut stream = stream.to_vec();
            stream.iter_mut().rev().take(100).for_each(|byte| *byte = !*byte);
            stream
        };
        let (other_mask, other_values) = (changed(&mask), changed(&values));
        for (mask, values, what) in [(&other_mask, &values, "mask"), (&mask, &other_values, "values")] {
            let error = decoded(mask, values, &index).unwrap_err().to_string();
            assert!(error.contains(&format!("intact {what}")), "{error}");
        }
    }
}
