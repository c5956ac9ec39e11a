//! The IDX format: a header that says type, rank and sizes, then the bytes.
//!
//! ```text
//! offset  bytes  meaning
//! 0       2      zero
//! 2       1      element type; 0x08 is an unsigned byte, the only one read here
//! 3       1      rank: 1 for labels, 3 for images
//! 4       4·rank sizes, big endian: count, and for images rows and columns
//! …              the elements, last dimension fastest
//! ```
//!
//! Readers take plain and gzipped data alike and tell them apart by their first two bytes. Whatever the
//! bytes are, the answer is an [`Error`] or a value, never a panic, and memory grows with the bytes that
//! are there, not with what a header claims: of a file that unpacks to more than its header promises,
//! one byte too many is unpacked.
//!
//! ```
//! use mnist_data::idx;
//!
//! let labels = idx::parse_labels(&[0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1])?;
//! assert_eq!(labels.classes(), [7, 2, 1]);
//!
//! let cut = idx::parse_labels(&[0, 0, 8, 1, 0, 0, 0, 3, 7]).unwrap_err();
//! assert!(cut.to_string().contains("expected 11 bytes in all, found 9"));
//! # Ok::<(), mnist_data::Error>(())
//! ```

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::error::{Error, Origin, Result, hex};
use crate::{Images, Labels};

/// The contents of an IDX file: which of the two, its rank decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idx {
    /// Rank 1.
    Labels(Labels),
    /// Rank 3.
    Images(Images),
}

/// Reads labels or images from IDX data in memory, plain or gzipped.
///
/// # Errors
/// Whatever is wrong with the data, as [`Error`] lists it.
pub fn parse(bytes: &[u8]) -> Result<Idx> {
    read(bytes, &Origin::MEMORY, Accept::Either, false)
}

/// Reads images from IDX data in memory, plain or gzipped. Errors are those of [`parse`].
pub fn parse_images(bytes: &[u8]) -> Result<Images> {
    images(bytes, &Origin::MEMORY, false)
}

/// Reads labels from IDX data in memory, plain or gzipped. Errors are those of [`parse`].
pub fn parse_labels(bytes: &[u8]) -> Result<Labels> {
    labels(bytes, &Origin::MEMORY, false)
}

/// Reads images from an IDX file, plain or gzipped; one whose name ends in `.gz` has to be gzip.
///
/// # Errors
/// [`Error::Io`], and whatever is wrong with the data.
pub fn read_images(path: impl AsRef<Path>) -> Result<Images> {
    let path = path.as_ref();
    images(open(path)?, &Origin::file(path), is_named_gz(path))
}

/// Reads labels from an IDX file, plain or gzipped; one whose name ends in `.gz` has to be gzip.
///
/// # Errors
/// [`Error::Io`], and whatever is wrong with the data.
pub fn read_labels(path: impl AsRef<Path>) -> Result<Labels> {
    let path = path.as_ref();
    labels(open(path)?, &Origin::file(path), is_named_gz(path))
}

/// The header of an IDX file of unsigned bytes with these sizes (each below 2³²).
pub(crate) fn header(sizes: &[usize]) -> Vec<u8> {
    let mut header = vec![0, 0, UNSIGNED_BYTE, sizes.len() as u8];
    for &size in sizes {
        header.extend_from_slice(&(size as u32).to_be_bytes());
    }
    header
}

const UNSIGNED_BYTE: u8 = 0x08;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Header of the shortest file accepted: magic number and one size.
const SHORTEST_HEADER: u64 = 8;
/// Bytes reserved before the data have shown that they exist; beyond it, memory grows as they arrive.
const FIRST_ALLOCATION: usize = 1 << 16;

#[derive(Clone, Copy, PartialEq)]
enum Accept {
    Labels,
    Images,
    Either,
}

impl Accept {
    fn describe(self) -> &'static str {
        match self {
            Accept::Labels => "1 (labels)",
            Accept::Images => "3 (images)",
            Accept::Either => "1 (labels) or 3 (images)",
        }
    }

    fn takes(self, rank: u8) -> bool {
        matches!((self, rank), (Accept::Labels | Accept::Either, 1) | (Accept::Images | Accept::Either, 3))
    }
}

fn open(path: &Path) -> Result<BufReader<File>> {
    File::open(path).map(BufReader::new).map_err(Error::io("read", path))
}

pub(crate) fn is_named_gz(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"))
}

pub(crate) fn images(source: impl BufRead, origin: &Origin, named_gz: bool) -> Result<Images> {
    match read(source, origin, Accept::Images, named_gz)? {
        Idx::Images(images) => Ok(images),
        Idx::Labels(_) => Err(wrong_rank(origin, Accept::Images, 1)),
    }
}

pub(crate) fn labels(source: impl BufRead, origin: &Origin, named_gz: bool) -> Result<Labels> {
    match read(source, origin, Accept::Labels, named_gz)? {
        Idx::Labels(labels) => Ok(labels),
        Idx::Images(_) => Err(wrong_rank(origin, Accept::Labels, 3)),
    }
}

fn wrong_rank(origin: &Origin, accept: Accept, found: u8) -> Error {
    Error::WrongRank { origin: origin.clone(), expected: accept.describe(), found }
}

/// Tells gzip from plain data and reads either.
fn read(mut source: impl BufRead, origin: &Origin, accept: Accept, named_gz: bool) -> Result<Idx> {
    let mut start = Vec::with_capacity(4);
    let failed = |source| match origin.path() {
        Some(path) => Error::io("read", path)(source),
        None => damaged(origin, 0)(source),
    };
    source.by_ref().take(2).read_to_end(&mut start).map_err(failed)?;
    if start.is_empty() {
        return Err(Error::Empty { origin: origin.clone(), expected: SHORTEST_HEADER });
    }
    let is_gzip = start == GZIP_MAGIC;
    if named_gz && !is_gzip {
        return Err(Error::NotGzip { origin: origin.clone(), found: hex(&start, " ") });
    }
    // The two bytes are put back in front of the rest.
    let mut whole = io::Cursor::new(start).chain(source);
    if !is_gzip {
        return Body::new(whole, origin, false).read(accept);
    }
    let mut inflate = GzDecoder::new(&mut whole);
    let idx = Body::new(&mut inflate, origin, true).read(accept)?;
    let rest = whole.fill_buf().map_err(damaged(origin, 0))?;
    if !rest.is_empty() {
        return Err(Error::TrailingGzip { origin: origin.clone() });
    }
    Ok(idx)
}

fn damaged(origin: &Origin, offset: u64) -> impl FnOnce(io::Error) -> Error {
    let origin = origin.clone();
    move |source| Error::BadGzip { origin, offset, source }
}

/// Unpacked IDX data, and how far they have been read.
struct Body<'a, R> {
    source: R,
    origin: &'a Origin,
    gzip: bool,
    offset: u64,
}

impl<'a, R: Read> Body<'a, R> {
    fn new(source: R, origin: &'a Origin, gzip: bool) -> Self {
        Body { source, origin, gzip, offset: 0 }
    }

    fn read(mut self, accept: Accept) -> Result<Idx> {
        let magic = self.take(4)?;
        if magic.is_empty() {
            return Err(Error::Empty { origin: self.origin.clone(), expected: SHORTEST_HEADER });
        }
        if magic.iter().take(2).any(|&b| b != 0) {
            return Err(Error::BadMagic { origin: self.origin.clone(), found: hex(&magic, " ") });
        }
        let &[_, _, kind, rank] = magic.as_slice() else {
            return Err(self.truncated(SHORTEST_HEADER));
        };
        if kind != UNSIGNED_BYTE {
            return Err(Error::WrongType { origin: self.origin.clone(), found: kind });
        }
        if !accept.takes(rank) {
            return Err(wrong_rank(self.origin, accept, rank));
        }
        let header = 4 + 4 * u64::from(rank);
        let sizes = self.take(4 * u64::from(rank))?;
        if self.offset < header {
            return Err(self.truncated(header));
        }
        let sizes: Vec<u32> =
            sizes.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]])).collect();
        self.check_sizes(&sizes)?;
        let length = self.payload_length(&sizes)?;
        let bytes = self.take(length.saturating_add(1))?;
        let expected = header.saturating_add(length);
        if self.offset < expected {
            return Err(self.truncated(expected));
        }
        if self.offset > expected {
            return Err(Error::TrailingBytes { origin: self.origin.clone(), offset: expected, expected });
        }
        match *sizes.as_slice() {
            [count, rows, columns] => {
                Images::new(count as usize, rows as usize, columns as usize, bytes).map(Idx::Images)
            }
            _ => Ok(Idx::Labels(Labels::new(bytes))),
        }
    }

    /// Up to `limit` bytes; fewer only where the data end.
    fn take(&mut self, limit: u64) -> Result<Vec<u8>> {
        let reserve = usize::try_from(limit).map_or(FIRST_ALLOCATION, |n| n.min(FIRST_ALLOCATION));
        let mut bytes = Vec::with_capacity(reserve);
        let outcome = self.source.by_ref().take(limit).read_to_end(&mut bytes);
        self.offset += bytes.len() as u64;
        match outcome {
            Ok(_) => Ok(bytes),
            // A gzip stream that ends early: the caller sees too few bytes and says so.
            Err(e) if self.gzip && e.kind() == io::ErrorKind::UnexpectedEof => {
                self.gzip_cut_short(bytes, limit)
            }
            Err(e) => Err(match self.origin.path() {
                Some(path) if !self.gzip => Error::io("read", path)(e),
                _ => damaged(self.origin, self.offset)(e),
            }),
        }
    }

    /// Too few bytes are reported as truncation by the caller; but where all the data are there and only
    /// gzip's own trailer is missing, nothing vouches for them.
    fn gzip_cut_short(&self, bytes: Vec<u8>, limit: u64) -> Result<Vec<u8>> {
        if (bytes.len() as u64).saturating_add(1) < limit {
            return Ok(bytes);
        }
        let missing = io::Error::new(io::ErrorKind::UnexpectedEof, "its last bytes are missing");
        Err(damaged(self.origin, self.offset)(missing))
    }

    fn truncated(&self, expected: u64) -> Error {
        Error::Truncated { origin: self.origin.clone(), offset: self.offset, expected, found: self.offset }
    }

    fn check_sizes(&self, sizes: &[u32]) -> Result<()> {
        match *sizes {
            [_, rows, columns] if rows == 0 || columns == 0 => {
                Err(self.bad_dimensions(8, "images of at least 1×1 pixel", sizes))
            }
            _ => Ok(()),
        }
    }

    fn payload_length(&self, sizes: &[u32]) -> Result<u64> {
        sizes
            .iter()
            .try_fold(1u64, |n, &size| n.checked_mul(u64::from(size)))
            .filter(|&n| isize::try_from(n).is_ok())
            .ok_or_else(|| self.bad_dimensions(4, "sizes that fit this machine's memory", sizes))
    }

    fn bad_dimensions(&self, offset: u64, expected: &'static str, sizes: &[u32]) -> Error {
        let sizes: Vec<String> = sizes.iter().map(u32::to_string).collect();
        Error::BadDimensions { origin: self.origin.clone(), offset, expected, found: sizes.join("×") }
    }
}
