//! Files that are either written whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Writes a file so that nobody ever sees half of it: to a new file beside it, flushed to the disk, then renamed over
/// `path`. What is not a regular file (a pipe, `/dev/stdout`) is simply written to.
///
/// # Errors
/// If the file can't be written; what was there before is still there then.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("figures.json");
/// nn_train::files::write_atomically(&path, b"{}")?;
/// assert_eq!(std::fs::read(&path)?, b"{}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = match Target::of(path)? {
        Target::Stream => OpenOptions::new().append(true).open(path).and_then(|mut f| f.write_all(bytes)),
        Target::File(target) => Draft::beside(&target).and_then(|draft| draft.finish(bytes, &target)),
    };
    written.map_err(|e| Error::file(path, "write", e))
}

/// Finds out whether [`write_atomically`] will be able to write to `path`, before hours of work depend on it.
/// Leaves nothing behind.
///
/// # Errors
/// If it can't be written: its directory is missing or closed to us, or it is a directory itself.
pub fn check_writable(path: &Path) -> Result<()> {
    let tried = match Target::of(path)? {
        Target::Stream => OpenOptions::new().append(true).open(path).map(drop),
        Target::File(target) => Draft::beside(&target).map(drop),
    };
    tried.map_err(|e| Error::file(path, "write", e))
}

/// Where the bytes of a path really go.
enum Target {
    /// A regular file, or none yet; symbolic links resolved.
    File(PathBuf),
    /// Something that must not be replaced by a file.
    Stream,
}

impl Target {
    fn of(path: &Path) -> Result<Self> {
        let unusable =
            |kind, why: &str| Err(Error::file(path, "write", io::Error::new(kind, why.to_owned())));
        let of_the_system = ["/dev", "/proc"].iter().any(|dir| path.starts_with(dir));
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => unusable(io::ErrorKind::IsADirectory, "it is a directory"),
            Ok(there) if !there.is_file() || of_the_system => Ok(Self::Stream),
            Ok(_) => Ok(Self::File(fs::canonicalize(path).map_err(|e| Error::file(path, "write", e))?)),
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::file(path, "write", e)),
            Err(_) if path.file_name().is_none() => unusable(io::ErrorKind::InvalidInput, "it names no file"),
            Err(_) => Ok(Self::File(path.to_owned())),
        }
    }
}

/// A new file that goes away again unless it is finished.
struct Draft {
    path: PathBuf,
    file: File,
    finished: bool,
}

impl Draft {
    fn beside(target: &Path) -> io::Result<Self> {
        let mut name = OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        let path = target.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { path, file, finished: false })
    }

    fn finish(mut self, bytes: &[u8], target: &Path) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.file.sync_all()?;
        fs::rename(&self.path, target)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.finished {
            // Nothing can be done about a draft that can't be removed, and the error that led here is the one to tell.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = std::result::Result<(), Box<dyn std::error::Error>>;

    fn names(dir: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    #[test]
    fn a_file_is_replaced_whole_and_no_draft_is_left() -> TestResult {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("a.json");
        write_atomically(&path, b"longer than the second")?;
        write_atomically(&path, b"second")?;
        assert_eq!(fs::read(&path)?, b"second");
        assert_eq!(names(dir.path())?, ["a.json"]);
        Ok(())
    }

    #[test]
    fn checking_a_path_leaves_nothing_behind_and_touches_nothing() -> TestResult {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("a.json");
        check_writable(&path)?;
        assert!(names(dir.path())?.is_empty());
        fs::write(&path, "old")?;
        check_writable(&path)?;
        assert_eq!(fs::read(&path)?, b"old");
        Ok(())
    }

    #[test]
    fn a_directory_and_a_missing_directory_are_found_out_before_anything_is_written() -> TestResult {
        let dir = tempfile::tempdir()?;
        for path in
            [dir.path().to_owned(), dir.path().join("none/a.json"), PathBuf::from("/"), PathBuf::new()]
        {
            let Err(error) = check_writable(&path) else { panic!("{} passed", path.display()) };
            assert!(error.to_string().starts_with(&format!("{}: cannot write: ", path.display())), "{error}");
            assert!(write_atomically(&path, b"x").is_err());
        }
        assert!(names(dir.path())?.is_empty());
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_a_device_stays_a_device() -> TestResult {
        use std::os::unix::fs::FileTypeExt;
        let dir = tempfile::tempdir()?;
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, "old")?;
        std::os::unix::fs::symlink(&real, &link)?;
        write_atomically(&link, b"new")?;
        assert!(fs::symlink_metadata(&link)?.is_symlink());
        assert_eq!(fs::read(&real)?, b"new");

        let null = Path::new("/dev/null");
        check_writable(null)?;
        write_atomically(null, b"gone")?;
        assert!(fs::metadata(null)?.file_type().is_char_device());
        Ok(())
    }
}
