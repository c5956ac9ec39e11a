//! One HTTP request, its body written to a file and hashed on the way.

use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::Agent;

use super::Progress;
use crate::named::to_hex;

/// More than any known file has (26 MB), so that a server gone wrong cannot fill the disk.
const LARGEST_BODY: u64 = 256 << 20;

/// Writes what `url` delivers to `file`; its SHA-256, or why that did not work.
pub(super) fn get(
    url: &str,
    timeout: Duration,
    file: &mut File,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<String, String> {
    let mut response = agent(url, timeout)?.get(url).call().map_err(|e| e.to_string())?;
    if response.status() != 200 {
        return Err(format!("HTTP status {}", response.status()));
    }
    let total = response.body().content_length();
    let mut body = response.body_mut().with_config().limit(LARGEST_BODY).reader();
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut received = 0;
    loop {
        let length = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(e) => return Err(format!("after {received} bytes: {e}")),
        };
        hasher.update(&buffer[..length]);
        file.write_all(&buffer[..length]).map_err(|e| e.to_string())?;
        received += length as u64;
        progress(Progress { url, received, total });
    }
    match total {
        Some(total) if total != received => Err(format!("{received} of {total} bytes arrived")),
        _ => Ok(to_hex(&hasher.finalize())),
    }
}

fn agent(url: &str, timeout: Duration) -> Result<Agent, String> {
    let mut config = Agent::config_builder().timeout_global(Some(timeout)).user_agent(concat!(
        env!("CARGO_PKG_NAME"),
        "/",
        env!("CARGO_PKG_VERSION")
    ));
    if is_loopback(url) {
        // Proxies are for other machines.
        config = config.proxy(None);
    }
    match tls::config() {
        Ok(tls) => config = config.tls_config(tls),
        Err(missing) if url.starts_with("https:") => return Err(missing),
        // A redirection could lead to HTTPS.
        Err(_) => config = config.max_redirects(0),
    }
    Ok(config.build().new_agent())
}

fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<ureq::http::Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
}

/// TLS by Graviola, which is Rust and assembly and asks for a processor of about 2014 or later.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tls {
    use std::sync::Arc;
    use ureq::tls::TlsConfig;

    pub(super) fn config() -> Result<TlsConfig, String> {
        match missing().as_slice() {
            [] => Ok(TlsConfig::builder()
                .unversioned_rustls_crypto_provider(Arc::new(rustls_graviola::default_provider()))
                .build()),
            missing => Err(format!("this processor lacks what TLS needs: {}", missing.join(", "))),
        }
    }

    /// Graviola panics where one of these is missing, so that is looked at first.
    #[cfg(target_arch = "x86_64")]
    fn missing() -> Vec<&'static str> {
        use std::arch::is_x86_feature_detected as has;
        let needed = [
            ("aes", has!("aes")),
            ("pclmulqdq", has!("pclmulqdq")),
            ("bmi1", has!("bmi1")),
            ("adx", has!("adx")),
            ("avx", has!("avx")),
            ("avx2", has!("avx2")),
        ];
        needed.iter().filter(|n| !n.1).map(|n| n.0).collect()
    }

    #[cfg(target_arch = "aarch64")]
    fn missing() -> Vec<&'static str> {
        use std::arch::is_aarch64_feature_detected as has;
        let needed =
            [("neon", has!("neon")), ("aes", has!("aes")), ("pmull", has!("pmull")), ("sha2", has!("sha2"))];
        needed.iter().filter(|n| !n.1).map(|n| n.0).collect()
    }
}

/// TLS by ureq's own choice, ring.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tls {
    use ureq::tls::TlsConfig;

    pub(super) fn config() -> Result<TlsConfig, String> {
        Ok(TlsConfig::default())
    }
}
