//! Where downloads are kept when no directory is named.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// The environment variable that overrides the cache directory.
pub const DIRECTORY_VARIABLE: &str = "MNIST_DATA_DIR";

/// The directory under which each set has a folder of its own: what `MNIST_DATA_DIR` says, else
/// `mnist-data` in the platform's cache directory (`$XDG_CACHE_HOME` or `~/.cache`; on macOS
/// `~/Library/Caches`, on Windows `%LOCALAPPDATA%`). It need not exist.
///
/// # Errors
/// [`Error::NoCacheDirectory`] if none of these is set.
pub fn cache_directory() -> Result<PathBuf> {
    locate(|name| std::env::var_os(name))
}

#[cfg(windows)]
const TRIED: &str = "MNIST_DATA_DIR, LOCALAPPDATA";
#[cfg(not(windows))]
const TRIED: &str = "MNIST_DATA_DIR, XDG_CACHE_HOME, HOME";

fn locate(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let set = |name| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(directory) = set(DIRECTORY_VARIABLE) {
        return Ok(directory);
    }
    let platform = if cfg!(windows) {
        set("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        set("HOME").map(|home| home.join("Library/Caches"))
    } else {
        // The XDG specification has relative paths ignored.
        let xdg = set("XDG_CACHE_HOME").filter(|p| p.is_absolute());
        xdg.or_else(|| set("HOME").map(|home| home.join(".cache")))
    };
    platform.map(|cache| cache.join("mnist-data")).ok_or(Error::NoCacheDirectory { tried: TRIED })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &'static [(&str, &str)]) -> Result<PathBuf> {
        locate(|name| variables.iter().find(|v| v.0 == name).map(|v| v.1.into()))
    }

    #[test]
    fn the_variable_of_this_crate_wins_over_the_platforms() {
        let found = from(&[("MNIST_DATA_DIR", "here"), ("HOME", "/home/me"), ("LOCALAPPDATA", "there")]);
        assert_eq!(found.unwrap(), PathBuf::from("here"));
    }

    #[test]
    fn without_any_variable_the_error_names_those_that_were_tried() {
        let message = from(&[("MNIST_DATA_DIR", "")]).unwrap_err().to_string();
        assert!(message.contains("MNIST_DATA_DIR"), "{message}");
    }

    #[cfg(not(any(windows, target_os = "macos")))]
    #[test]
    fn xdg_cache_home_is_used_if_absolute_and_else_dot_cache() {
        let found = from(&[("XDG_CACHE_HOME", "/cache"), ("HOME", "/home/me")]);
        assert_eq!(found.unwrap(), PathBuf::from("/cache/mnist-data"));
        let found = from(&[("XDG_CACHE_HOME", "cache"), ("HOME", "/home/me")]);
        assert_eq!(found.unwrap(), PathBuf::from("/home/me/.cache/mnist-data"));
    }
}
