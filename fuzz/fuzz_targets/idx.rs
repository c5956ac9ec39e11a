//! Any bytes, read as IDX: an error or a value, and a value written back gives the bytes that were read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mnist_data::Idx;
use mnist_data::idx::{parse, parse_images, parse_labels};

fuzz_target!(|data: &[u8]| {
    let (images, labels) = (parse_images(data), parse_labels(data));
    match parse(data) {
        Ok(Idx::Images(found)) => {
            assert_eq!(images.ok().as_ref(), Some(&found));
            assert!(labels.is_err());
            assert_same(data, &found.to_idx());
        }
        Ok(Idx::Labels(found)) => {
            assert_eq!(labels.ok().as_ref(), Some(&found));
            assert!(images.is_err());
            assert_same(data, &found.to_idx());
        }
        Err(error) => {
            assert!(images.is_err() && labels.is_err());
            assert!(!error.to_string().is_empty());
        }
    }
});

/// Gzip is read too, and has many forms of the same data; anything else has one.
fn assert_same(read: &[u8], written: &[u8]) {
    assert!(read == written || read.starts_with(&[0x1f, 0x8b]));
}
