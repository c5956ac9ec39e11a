//! Downloading a [`NamedSet`]: several mirrors, digests of what arrived and of what it unpacks to, and files that are
//! either whole or not there.

mod http;

use std::fs::File;
use std::io::{BufReader, Seek as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::error::{Attempt, Error, Origin, Result};
use crate::named::{AS_IT_IS, FileDigests, UNPACKED, match_digest, sha256};
use crate::{Dataset, NamedSet, STANDARD_NAMES, cache, files, idx};

/// A download of one data set, to be set up and [run](Fetch::run). Files that are already there and intact
/// are not fetched again.
///
/// ```no_run
/// use mnist_data::{Fetch, NamedSet};
///
/// let data = Fetch::new(NamedSet::fashion_mnist()).load()?;
/// assert_eq!(data.classes[9], "Ankle boot");
/// # Ok::<(), mnist_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fetch {
    set: NamedSet,
    directory: Option<PathBuf>,
    offline: bool,
    timeout: Duration,
}

/// What [`Fetch::run`] found or made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// The directory that now holds the four files.
    pub directory: PathBuf,
    /// The four files, in the order of [`STANDARD_NAMES`].
    pub files: Vec<FetchedFile>,
}

/// One file of a [`Fetched`] set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchedFile {
    /// Where it is.
    pub path: PathBuf,
    /// The address it was fetched from; `None` if it was there already.
    pub url: Option<String>,
}

/// How far a download has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// The address.
    pub url: &'a str,
    /// Bytes received.
    pub received: u64,
    /// Bytes in all, if the server says so.
    pub total: Option<u64>,
}

/// How long one file may take from one mirror, unless [`Fetch::timeout`] says otherwise: 26 MB, the largest
/// known file, at a slow 1 Mbit/s.
const TIMEOUT: Duration = Duration::from_secs(240);

impl Fetch {
    /// A download of `set` into its folder in the [cache directory](crate::cache_directory).
    pub fn new(set: NamedSet) -> Fetch {
        Fetch { set, directory: None, offline: false, timeout: TIMEOUT }
    }

    /// Puts the files right into `directory`, which is made if need be.
    pub fn directory(self, directory: impl Into<PathBuf>) -> Fetch {
        Fetch { directory: Some(directory.into()), ..self }
    }

    /// Asks these mirrors, in this order, instead of the set's own: addresses of folders that hold the `.gz` files.
    pub fn mirrors(mut self, mirrors: Vec<String>) -> Fetch {
        self.set.mirrors = mirrors;
        self
    }

    /// Uses no network: what is not there is an error.
    pub fn offline(self, offline: bool) -> Fetch {
        Fetch { offline, ..self }
    }

    /// How long one file may take from one mirror.
    pub fn timeout(self, timeout: Duration) -> Fetch {
        Fetch { timeout, ..self }
    }

    /// Sees to it that all four files are there and intact.
    ///
    /// # Errors
    /// [`Error::Fetch`] if no mirror delivers a file, [`Error::Offline`] if one would have to be fetched and may not be,
    /// [`Error::Checksum`] for an unpacked file that is not what it should be (files that were not
    /// downloaded are never replaced), [`Error::Io`] if a file cannot be written, [`Error::NoCacheDirectory`].
    pub fn run(&self) -> Result<Fetched> {
        self.run_with(|_| ())
    }

    /// [`run`](Fetch::run), reporting on the way.
    pub fn run_with(&self, mut progress: impl FnMut(Progress<'_>)) -> Result<Fetched> {
        let directory = match &self.directory {
            Some(directory) => directory.clone(),
            None => cache::cache_directory()?.join(&self.set.name),
        };
        let mut files = Vec::with_capacity(STANDARD_NAMES.len());
        for (name, digests) in STANDARD_NAMES.into_iter().zip(&self.set.files) {
            let file = Wanted { name, digests, path: directory.join(format!("{name}.gz")) };
            files.push(self.obtain(&directory, &file, &mut progress)?);
        }
        Ok(Fetched { directory, files })
    }

    /// [`run`](Fetch::run), and reads what is there then.
    ///
    /// # Errors
    /// Those of `run` and of [`NamedSet::load`].
    pub fn load(&self) -> Result<Dataset> {
        self.set.load(self.run()?.directory)
    }

    fn obtain(
        &self,
        directory: &Path,
        file: &Wanted<'_>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<FetchedFile> {
        let found = match files::existing(directory, file.name) {
            None => "no file".to_owned(),
            Some(path) => match file.check(&path) {
                Ok(()) => return Ok(FetchedFile { path, url: None }),
                Err(damaged) if path == file.path => damaged.to_string(),
                Err(damaged) => return Err(damaged),
            },
        };
        if self.offline {
            return Err(Error::Offline { path: file.path.clone(), found });
        }
        std::fs::create_dir_all(directory).map_err(Error::io("make", directory))?;
        let mut attempts = Vec::new();
        for mirror in &self.set.mirrors {
            let url = format!("{}/{}.gz", mirror.trim_end_matches('/'), file.name);
            let arrived = temporary(directory)?;
            match self.download(&url, arrived, file, progress) {
                Ok(arrived) => {
                    arrived.persist(&file.path).map_err(|e| Error::io("write", &file.path)(e.error))?;
                    return Ok(FetchedFile { path: file.path.clone(), url: Some(url) });
                }
                Err(reason) => attempts.push(Attempt { url, reason }),
            }
        }
        Err(Error::Fetch { file: file.name.to_owned(), attempts })
    }

    /// Fills the temporary file from `url`, and hands it back if its contents are right.
    fn download(
        &self,
        url: &str,
        mut arrived: NamedTempFile,
        file: &Wanted<'_>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<NamedTempFile, String> {
        let digest = http::get(url, self.timeout, arrived.as_file_mut(), progress)?;
        file.check_arrived(arrived.as_file_mut(), &digest).map_err(|e| e.to_string())?;
        arrived.as_file().sync_all().map_err(|e| e.to_string())?;
        Ok(arrived)
    }
}

/// One of the four files: what it is called, where it goes, and what it should hash to.
struct Wanted<'a> {
    name: &'static str,
    digests: &'a FileDigests,
    path: PathBuf,
}

impl Wanted<'_> {
    /// That a file which was there before is intact.
    fn check(&self, path: &Path) -> Result<()> {
        let data = File::open(path).map_err(Error::io("read", path))?;
        let idx_sha256 = self.idx_sha256(data, path)?;
        self.digests.check(path, &idx_sha256).map(drop)
    }

    /// That a file which has just arrived is what is published, packed and unpacked.
    fn check_arrived(&self, arrived: &mut File, gzip_sha256: &str) -> Result<()> {
        if let Some(expected) = &self.digests.gzip {
            match_digest(&self.path, AS_IT_IS, expected, gzip_sha256)?;
        }
        arrived.rewind().map_err(Error::io("read", &self.path))?;
        let data = arrived.try_clone().map_err(Error::io("read", &self.path))?;
        let found = self.idx_sha256(data, &self.path)?;
        if let Some(expected) = &self.digests.idx {
            match_digest(&self.path, UNPACKED, expected, &found)?;
        }
        Ok(())
    }

    /// Checks the IDX data and hashes them unpacked.
    fn idx_sha256(&self, data: File, path: &Path) -> Result<String> {
        let (data, origin) = (BufReader::new(data), Origin::file(path));
        let idx = if self.name.contains("idx3") {
            idx::images(data, &origin, idx::is_named_gz(path))?.to_idx()
        } else {
            idx::labels(data, &origin, idx::is_named_gz(path))?.to_idx()
        };
        Ok(sha256(&idx))
    }
}

/// A file in `directory`, so that renaming it is atomic; it vanishes when dropped.
fn temporary(directory: &Path) -> Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".mnist-data-").suffix(".part");
    #[cfg(unix)]
    {
        // Readable like any other file; the process's mask still applies.
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory).map_err(Error::io("write to", directory))
}
