//! iTerm2's inline images. Their description: <https://iterm2.com/documentation-images.html>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Shows a PNG file at the cursor, scaled to so many columns.
pub(crate) fn sequence(png: &[u8], columns: usize) -> String {
    let (size, payload) = (png.len(), STANDARD.encode(png));
    format!("\x1b]1337;File=inline=1;size={size};width={columns};preserveAspectRatio=1:{payload}\x07\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_comes_back_with_its_size() -> Result<(), Box<dyn std::error::Error>> {
        let text = sequence(b"\x89PNG and so on", 70);
        let inner = text.strip_prefix("\x1b]1337;File=").and_then(|t| t.strip_suffix("\x07\n"));
        let (keys, payload) = inner.and_then(|t| t.split_once(':')).ok_or("no sequence")?;
        assert_eq!(keys, "inline=1;size=14;width=70;preserveAspectRatio=1");
        assert_eq!(STANDARD.decode(payload)?, b"\x89PNG and so on");
        Ok(())
    }
}
