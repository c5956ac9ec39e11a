//! Any bytes, read as gzip, and any bytes packed as gzip. Packed data must read like plain ones, and
//! not at all where their end is missing or something follows.
#![no_main]

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use mnist_data::idx::parse;

fuzz_target!(|data: &[u8]| {
    // As it is: what a damaged download looks like.
    let _ = parse(data);

    // Packed: past gzip's own checksum, which random changes never get past.
    let mut packed = gzip(data);
    match (parse(data), parse(&packed)) {
        (Ok(plain), Ok(unpacked)) => assert_eq!(plain, unpacked),
        // Gzip within gzip is not unpacked twice.
        (Ok(_), Err(_)) => assert!(data.starts_with(&[0x1f, 0x8b])),
        (Err(_), unpacked) => assert!(unpacked.is_err()),
    }
    assert!(parse(&packed[..packed.len() - 1]).is_err());
    packed.push(0);
    assert!(parse(&packed).is_err());
});

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to a Vec cannot fail.
    encoder.write_all(data).expect("memory");
    encoder.finish().expect("memory")
}
