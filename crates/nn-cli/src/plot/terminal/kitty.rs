//! The Kitty graphics protocol: an image in escape sequences of at most 4,096 characters of Base64 each.
//! Its description: <https://sw.kovidgoyal.net/kitty/graphics-protocol/>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The most characters of one sequence's payload, as the protocol has it; a multiple of four, as it asks for.
const PAYLOAD: usize = 4096;

/// Shows a PNG file at the cursor, scaled to so many columns, and begins a new line. No answer is asked for (`q=2`):
/// it would arrive as if it had been typed.
pub(crate) fn sequence(png: &[u8], columns: usize) -> String {
    let payload = STANDARD.encode(png);
    let mut out = String::with_capacity(payload.len() + 64);
    let mut rest = payload.as_str();
    let mut keys = format!("a=T,f=100,q=2,c={columns},");
    loop {
        let (part, after) = rest.split_at(rest.len().min(PAYLOAD));
        let more = u8::from(!after.is_empty());
        out += &format!("\x1b_G{keys}m={more};{part}\x1b\\");
        if after.is_empty() {
            return out + "\n";
        }
        rest = after;
        keys.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a terminal makes of it: the first sequence's keys, and the bytes of all.
    fn decoded(text: &str) -> Result<(String, Vec<u8>), Box<dyn std::error::Error>> {
        let mut first = None;
        let mut payload = String::new();
        let mut last = false;
        for part in text.trim_end().split_terminator("\x1b\\") {
            let inner = part.strip_prefix("\x1b_G").ok_or("no sequence")?;
            let (keys, data) = inner.split_once(';').ok_or("no payload")?;
            if last || data.len() > PAYLOAD || (data.len() % 4 != 0 && keys.contains("m=1")) {
                return Err(format!("{} characters after {keys}", data.len()).into());
            }
            last = keys.ends_with("m=0");
            first.get_or_insert_with(|| keys.to_owned());
            payload += data;
        }
        if !last {
            return Err("more was announced".into());
        }
        Ok((first.unwrap_or_default(), STANDARD.decode(payload)?))
    }

    #[test]
    fn an_image_of_any_length_comes_back_whole() -> Result<(), Box<dyn std::error::Error>> {
        // 3,072 bytes are exactly one full payload.
        for len in [0, 1, 3071, 3072, 3073, 6144, 10_000] {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let (keys, found) = decoded(&sequence(&bytes, 80))?;
            assert_eq!(found, bytes, "{len} bytes");
            assert!(keys.starts_with("a=T,f=100,q=2,c=80,m="), "{keys}");
        }
        Ok(())
    }
}
