//! Data sets with a name: their classes, where they are published, and what their files hash to.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::dataset::numbered;
use crate::error::{Error, Result};
use crate::files::SetFiles;
use crate::{Dataset, idx};

/// A published data set of four files. [`mnist`](NamedSet::mnist) and
/// [`fashion_mnist`](NamedSet::fashion_mnist) are known; others, or private mirrors, can be described with
/// the same fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSet {
    /// Its name, which is also that of its folder in the cache.
    pub name: String,
    /// The classes' names, by label.
    pub classes: Vec<String>,
    /// Addresses of folders that hold the four gzipped files under their standard names; the first that
    /// delivers is used.
    pub mirrors: Vec<String>,
    /// What is known of each file, in the order of [`STANDARD_NAMES`](crate::STANDARD_NAMES).
    pub files: [FileDigests; 4],
}

/// The SHA-256 of one file, in lower-case hexadecimal, where it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileDigests {
    /// Of the `.gz` as it is published.
    pub gzip: Option<String>,
    /// Of the unpacked IDX file.
    pub idx: Option<String>,
}

/// What is known of one file after [`NamedSet::verify`] or [`digests`] has looked at it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of the unpacked IDX data.
    pub idx_sha256: String,
    /// Which published digest agrees: that of the IDX data, that of the file as it is, or none is known.
    pub verified: Option<&'static str>,
}

impl NamedSet {
    /// The MNIST database of handwritten digits.
    pub fn mnist() -> NamedSet {
        NamedSet {
            name: "mnist".into(),
            classes: numbered(10),
            mirrors: vec![
                "https://storage.googleapis.com/cvdf-datasets/mnist".into(),
                "https://ossci-datasets.s3.amazonaws.com/mnist".into(),
            ],
            // Of the .gz as these mirrors publish it; the same in many public lists, such as Burn's,
            // torch.rb's and guild.ai's. Of the IDX data: computed from the original files, and met by
            // the bundled copy.
            files: MNIST_DIGESTS
                .map(|(gzip, idx)| FileDigests { gzip: Some(gzip.into()), idx: Some(idx.into()) }),
        }
    }

    /// Fashion-MNIST: articles of clothing, by Zalando Research (MIT licence).
    pub fn fashion_mnist() -> NamedSet {
        NamedSet {
            name: "fashion-mnist".into(),
            classes: FASHION_CLASSES.map(String::from).to_vec(),
            mirrors: vec![
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion".into(),
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com".into(),
            ],
            // Of the .gz; the same in public lists such as Flux.jl's and batchup's, beside the MD5 that the
            // data set's own page states. No published digest of the IDX data is known.
            files: FASHION_DIGESTS.map(|gzip| FileDigests { gzip: Some(gzip.into()), idx: None }),
        }
    }

    /// The sets known by name.
    pub fn known() -> Vec<NamedSet> {
        vec![NamedSet::mnist(), NamedSet::fashion_mnist()]
    }

    /// The known set called `name`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is none, listing those that there are.
    pub fn find(name: &str) -> Result<NamedSet> {
        let known = NamedSet::known();
        let names: Vec<String> = known.iter().map(|s| s.name.clone()).collect();
        known
            .into_iter()
            .find(|set| set.name == name)
            .ok_or_else(|| Error::argument("data set", names.join(" or "), name))
    }

    /// Reads this set's files from `directory`, with its class names and the check that no label is beyond them. Their
    /// digests are not compared; see [`verify`](NamedSet::verify).
    ///
    /// # Errors
    /// Those of [`Dataset::from_files`] and [`SetFiles::find`].
    pub fn load(&self, directory: impl AsRef<Path>) -> Result<Dataset> {
        let files = SetFiles::find(directory)?;
        Dataset::from_files(&self.name, Some(self.classes.clone()), &files)
    }

    /// Compares the four files of `directory`, plain or `.gz`, with the published digests. The unpacked data
    /// decide where their digest is known, so that files packed anew pass; otherwise the file as it is.
    ///
    /// ```no_run
    /// use mnist_data::NamedSet;
    ///
    /// for file in NamedSet::mnist().verify("data/mnist")? {
    ///     println!("{} {}", file.idx_sha256, file.path.display());
    /// }
    /// # Ok::<(), mnist_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Checksum`] for the first file that differs, and whatever keeps a file from being read. A plain file of a set
    /// for which only the packed digests are known passes with [`FileReport::verified`] empty.
    pub fn verify(&self, directory: impl AsRef<Path>) -> Result<[FileReport; 4]> {
        let files = SetFiles::find(directory)?;
        let mut reports = digests(&files)?;
        for (report, known) in reports.iter_mut().zip(&self.files) {
            report.verified = known.check(&report.path, &report.idx_sha256)?;
        }
        Ok(reports)
    }
}

impl FileDigests {
    /// Which digest agrees; [`Error::Checksum`] if one is known and does not.
    pub(crate) fn check(&self, path: &Path, idx_sha256: &str) -> Result<Option<&'static str>> {
        if let Some(expected) = &self.idx {
            return match_digest(path, UNPACKED, expected, idx_sha256);
        }
        match &self.gzip {
            Some(expected) if path.extension().is_some_and(|e| e == "gz") => {
                match_digest(path, AS_IT_IS, expected, &sha256_of_file(path)?)
            }
            _ => Ok(None),
        }
    }
}

/// The SHA-256 of the unpacked data of four files, which are checked to be well-formed IDX; nothing is compared.
///
/// # Errors
/// Whatever keeps a file from being read.
pub fn digests(files: &SetFiles) -> Result<[FileReport; 4]> {
    let report =
        |path: &Path, idx_sha256| FileReport { path: path.to_path_buf(), idx_sha256, verified: None };
    let images = |path| Ok::<_, Error>(report(path, sha256(&idx::read_images(path)?.to_idx())));
    let labels = |path| Ok::<_, Error>(report(path, sha256(&idx::read_labels(path)?.to_idx())));
    Ok([
        images(&files.train_images)?,
        labels(&files.train_labels)?,
        images(&files.test_images)?,
        labels(&files.test_labels)?,
    ])
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    to_hex(&Sha256::digest(bytes))
}

pub(crate) fn to_hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) const UNPACKED: &str = "the unpacked data";
pub(crate) const AS_IT_IS: &str = "the file as it is";

pub(crate) fn match_digest(
    path: &Path,
    what: &'static str,
    expected: &str,
    found: &str,
) -> Result<Option<&'static str>> {
    if expected.eq_ignore_ascii_case(found) {
        return Ok(Some(what));
    }
    Err(Error::Checksum { path: path.to_path_buf(), what, expected: expected.into(), found: found.into() })
}

fn sha256_of_file(path: &Path) -> Result<String> {
    let mut file = std::fs::File::open(path).map_err(Error::io("read", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).map_err(Error::io("read", path))? {
            0 => return Ok(to_hex(&hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// Of the published `.gz` and of the IDX data.
const MNIST_DIGESTS: [(&str, &str); 4] = [
    (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
];

/// Of the published `.gz`.
const FASHION_DIGESTS: [&str; 4] = [
    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
];

const FASHION_CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];
