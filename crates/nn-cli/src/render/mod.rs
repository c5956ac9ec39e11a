//! Drawing with characters: images and tables. Everything here turns data into text and prints nothing.

mod image;
mod table;

pub(crate) use image::{Gray, side_by_side};
pub(crate) use table::Table;

/// A whole number with its thousands apart: `60 000`.
pub(crate) fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let texts = [0, 999, 1000, 60_000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1 000", "60 000", "1 234 567"]);
    }
}
