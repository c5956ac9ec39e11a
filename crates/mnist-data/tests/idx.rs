//! Every way in which an IDX file can be broken has an error of its own that says where and what.

use std::io::Write as _;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use mnist_data::idx::{parse, parse_images, parse_labels, read_images, read_labels};
use mnist_data::{Error, Idx, Images, Labels};
use tempfile::TempDir;

/// Two images of 2×3 pixels, written out by hand.
const IMAGES: [u8; 28] = [
    0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, // header
    1, 2, 3, 4, 5, 6, 250, 251, 252, 253, 254, 255,
];
const LABELS: [u8; 11] = [0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn file(directory: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn images_keep_their_sizes_and_order() {
    let images = parse_images(&IMAGES).unwrap();
    assert_eq!(images.shape(), (2, 2, 3));
    assert_eq!(images.get(0).unwrap(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(images.get(1).unwrap(), [250, 251, 252, 253, 254, 255]);
    assert_eq!(images.get(2), None);
    assert_eq!(images.get(usize::MAX), None);
    assert_eq!(images.to_idx(), IMAGES);
}

#[test]
fn rank_decides_between_labels_and_images() {
    assert_eq!(parse(&LABELS).unwrap(), Idx::Labels(Labels::new(vec![7, 2, 1])));
    assert!(matches!(parse(&IMAGES).unwrap(), Idx::Images(_)));
    assert_eq!(parse_labels(&LABELS).unwrap().to_idx(), LABELS);
}

#[test]
fn gzipped_and_plain_data_read_alike_whatever_the_file_is_called() {
    let directory = TempDir::new().unwrap();
    let packed = gzip(&IMAGES);
    let expected = parse_images(&IMAGES).unwrap();
    assert_eq!(parse_images(&packed).unwrap(), expected);
    for (name, bytes) in [("plain", &IMAGES[..]), ("packed.gz", &packed), ("packed", &packed)] {
        assert_eq!(read_images(file(&directory, name, bytes)).unwrap(), expected, "{name}");
    }
}

#[test]
fn a_file_without_elements_is_read_as_such() {
    assert!(parse_labels(&[0, 0, 8, 1, 0, 0, 0, 0]).unwrap().is_empty());
    let none = parse_images(&[0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28]).unwrap();
    assert_eq!(none.shape(), (0, 28, 28));
}

#[test]
fn an_empty_file_is_called_empty() {
    assert!(matches!(parse(&[]), Err(Error::Empty { expected: 8, .. })));
    assert!(matches!(parse(&gzip(&[])), Err(Error::Empty { .. })));
}

#[test]
fn a_wrong_magic_number_is_shown() {
    let error = parse(b"P5 28 28 255").unwrap_err();
    assert!(matches!(&error, Error::BadMagic { found, .. } if found == "50 35 20 32"), "{error}");
}

#[test]
fn elements_other_than_unsigned_bytes_are_refused_by_name() {
    let error = parse(&[0, 0, 0x0d, 1, 0, 0, 0, 1, 0, 0, 0, 0]).unwrap_err();
    assert!(matches!(error, Error::WrongType { found: 0x0d, .. }));
    assert!(error.to_string().contains("32-bit float"), "{error}");
}

#[test]
fn a_wrong_rank_says_what_the_file_is() {
    let error = parse_images(&LABELS).unwrap_err();
    assert!(matches!(error, Error::WrongRank { found: 1, .. }));
    assert!(error.to_string().contains("file of labels"), "{error}");
    assert!(matches!(parse_labels(&IMAGES), Err(Error::WrongRank { found: 3, .. })));
    assert!(matches!(parse(&[0, 0, 8, 2, 0, 0, 0, 0]), Err(Error::WrongRank { found: 2, .. })));
}

/// The expected totals are those of the shortest header that the bytes so far allow, then of header and data.
#[test]
fn data_cut_anywhere_are_truncated_there() {
    for length in 2..IMAGES.len() {
        let expected_total = match length {
            ..4 => 8,
            4..16 => 16,
            _ => 28,
        };
        match parse_images(&IMAGES[..length]) {
            Err(Error::Truncated { offset, expected, found, .. }) => {
                assert_eq!((offset, expected, found), (length as u64, expected_total, length as u64));
            }
            other => panic!("{length} bytes: {other:?}"),
        }
        let error = parse_images(&gzip(&IMAGES[..length])).unwrap_err();
        assert!(matches!(error, Error::Truncated { found, .. } if found == length as u64), "{error}");
    }
}

#[test]
fn gzip_data_cut_anywhere_are_refused() {
    let packed = gzip(&IMAGES);
    for length in 0..packed.len() {
        assert!(parse_images(&packed[..length]).is_err(), "{length} of {} bytes", packed.len());
    }
}

#[test]
fn one_flipped_bit_anywhere_in_gzipped_pixels_never_changes_a_pixel() {
    let packed = gzip(&IMAGES);
    let expected = parse_images(&IMAGES).unwrap();
    // Behind gzip's header of ten bytes, which holds only a time and the like.
    for bit in 80..packed.len() * 8 {
        let mut damaged = packed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        // The few bits that fill up the last byte of the compressed data carry nothing.
        assert!(parse_images(&damaged).map_or(true, |images| images == expected), "bit {bit}");
    }
}

#[test]
fn trailing_bytes_are_refused_plain_and_unpacked_and_behind_gzip() {
    let longer = [&IMAGES[..], &[0]].concat();
    for bytes in [longer.clone(), gzip(&longer)] {
        let error = parse_images(&bytes).unwrap_err();
        assert!(matches!(error, Error::TrailingBytes { offset: 28, expected: 28, .. }), "{error}");
    }
    let mut behind = gzip(&IMAGES);
    behind.push(0);
    assert!(matches!(parse_images(&behind), Err(Error::TrailingGzip { .. })));
}

#[test]
fn impossible_sizes_are_errors_and_not_allocations() {
    let huge = [&[0, 0, 8, 3][..], &[0xff; 12]].concat();
    assert!(matches!(parse_images(&huge), Err(Error::BadDimensions { offset: 4, .. })));
    // 2³² − 1 labels, of which one is there.
    let claim = [0, 0, 8, 1, 0xff, 0xff, 0xff, 0xff, 5];
    assert!(matches!(parse_labels(&claim), Err(Error::Truncated { found: 9, .. })));
    let flat = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9];
    assert!(matches!(parse_images(&flat), Err(Error::BadDimensions { offset: 8, .. })));
}

/// A gzip bomb: 64 MiB of zeros in some 64 kB. Were it unpacked whole, its damaged checksum at the end
/// would be noticed; the error must instead come from the first byte beyond the header's promise.
#[test]
fn a_gzip_bomb_is_left_after_one_byte_too_many() {
    let mut bomb = gzip(&[&LABELS[..8], &vec![0; 64 << 20]].concat());
    let end = bomb.len() - 8;
    bomb[end] ^= 0xff;
    assert!(matches!(parse_labels(&bomb), Err(Error::TrailingBytes { offset: 11, .. })));
}

#[test]
fn a_file_called_gz_that_is_none_is_not_taken_for_plain_data() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "labels.gz", &LABELS);
    let error = read_labels(&path).unwrap_err();
    assert!(matches!(&error, Error::NotGzip { found, .. } if found == "00 00"));
    assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = read_labels("no/such/file").unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
    assert!(error.to_string().contains("no/such/file"), "{error}");
}

#[test]
fn images_cannot_be_made_from_the_wrong_number_of_bytes() {
    assert!(matches!(Images::new(2, 2, 2, vec![0; 7]), Err(Error::InvalidArgument { .. })));
    assert!(Images::new(usize::MAX, usize::MAX, 2, vec![]).is_err());
    assert!(Images::new(1, 0, 0, vec![]).is_err());
}
