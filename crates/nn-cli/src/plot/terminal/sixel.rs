//! DEC's Sixel: bands of six rows of pixels, one pass over a band for each colour in it.
//! Its description: the VT330/VT340 Programmer Reference Manual, volume 2, chapter 14.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::draw::{Bitmap, Rgb};

/// The most colours that terminals keep at once.
const COLOURS: usize = 256;
/// Rows of a band, one bit each.
const BAND: usize = 6;

/// The bitmap as one device control string. Pixels keep their colours where there are at most 256 of them; otherwise
/// the least significant bits are dropped until there are.
pub(crate) fn sequence(bitmap: &Bitmap) -> String {
    let (width, height) = (bitmap.width(), bitmap.height());
    let palette = Palette::of(bitmap);
    // 0;1: pixels of 1:1, those that are not drawn keep what is there. Then the same, and the size.
    let mut out = format!("\x1bP0;1q\"1;1;{width};{height}");
    for (number, colour) in palette.colours.values().enumerate() {
        let percent = |v: u8| (u32::from(v) * 100 + 127) / 255;
        let Rgb(r, g, b) = *colour;
        let _ = write!(out, "#{number};2;{};{};{}", percent(r), percent(g), percent(b));
    }
    for top in (0..height).step_by(BAND) {
        band(&mut out, bitmap, &palette, top);
        out.push('-');
    }
    out + "\x1b\\\n"
}

fn band(out: &mut String, bitmap: &Bitmap, palette: &Palette, top: usize) {
    let rows = BAND.min(bitmap.height() - top);
    // For each colour of the band, the bits of its pixels, column by column.
    let mut passes: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    for row in 0..rows {
        for x in 0..bitmap.width() {
            let number = palette.number(bitmap.at(x, top + row));
            passes.entry(number).or_insert_with(|| vec![0; bitmap.width()])[x] |= 1 << row;
        }
    }
    for (i, (number, columns)) in passes.iter().enumerate() {
        if i > 0 {
            out.push('$');
        }
        let _ = write!(out, "#{number}");
        for run in columns.chunk_by(|a, b| a == b) {
            let sixel = char::from(b'?' + run[0]);
            match run.len() {
                // A repetition takes three characters or more.
                n @ 1..=3 => out.extend(std::iter::repeat_n(sixel, n)),
                n => {
                    let _ = write!(out, "!{n}{sixel}");
                }
            }
        }
    }
}

/// Colours by what is left of them after dropping bits; a colour stands for all that look the same then.
struct Palette {
    dropped: u32,
    colours: BTreeMap<[u8; 3], Rgb>,
    numbers: BTreeMap<[u8; 3], usize>,
}

impl Palette {
    fn of(bitmap: &Bitmap) -> Self {
        // Two bits a colour are 64 of them: the loop ends by then.
        let mut dropped = 0;
        loop {
            let mut colours = BTreeMap::new();
            for pixel in bitmap.rgb().chunks_exact(3) {
                let colour = Rgb(pixel[0], pixel[1], pixel[2]);
                colours.entry(key(colour, dropped)).or_insert(colour);
            }
            if colours.len() <= COLOURS || dropped >= 6 {
                let numbers = colours.keys().enumerate().map(|(n, &key)| (key, n)).collect();
                return Self { dropped, colours, numbers };
            }
            dropped += 1;
        }
    }

    fn number(&self, colour: Rgb) -> usize {
        self.numbers.get(&key(colour, self.dropped)).copied().unwrap_or(0)
    }
}

fn key(Rgb(r, g, b): Rgb, dropped: u32) -> [u8; 3] {
    [r, g, b].map(|v| v >> dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

    /// What a terminal draws: width, height, and a colour in percent for each pixel.
    fn decoded(text: &str) -> TestResult<(usize, usize, Vec<[u32; 3]>)> {
        let body =
            text.strip_prefix("\x1bP0;1q\"1;1;").and_then(|t| t.strip_suffix("\x1b\\\n")).ok_or("frame")?;
        let mut rest = body.chars().peekable();
        let number = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut digits = String::new();
            while let Some(d) = rest.next_if(char::is_ascii_digit) {
                digits.push(d);
            }
            digits.parse::<usize>()
        };
        let width = number(&mut rest)?;
        rest.next();
        let height = number(&mut rest)?;
        let mut palette = BTreeMap::new();
        let mut pixels = vec![[u32::MAX; 3]; width * height];
        let (mut x, mut y, mut colour) = (0, 0, 0);
        while let Some(c) = rest.next() {
            let (count, sixel) = match c {
                '#' => {
                    colour = number(&mut rest)?;
                    if rest.next_if_eq(&';').is_some() {
                        let mut parts = [0; 4];
                        for part in &mut parts {
                            *part = number(&mut rest)? as u32;
                            rest.next_if_eq(&';');
                        }
                        palette.insert(colour, [parts[1], parts[2], parts[3]]);
                    }
                    continue;
                }
                '$' => {
                    x = 0;
                    continue;
                }
                '-' => {
                    (x, y) = (0, y + BAND);
                    continue;
                }
                '!' => (number(&mut rest)?, rest.next().ok_or("nothing repeated")?),
                sixel => (1, sixel),
            };
            let bits = (sixel as u32).checked_sub(63).filter(|&b| b < 64).ok_or(format!("{sixel:?}"))?;
            for _ in 0..count {
                for row in (0..BAND).filter(|row| bits >> row & 1 == 1) {
                    pixels[(y + row) * width + x] = palette[&colour];
                }
                x += 1;
            }
        }
        Ok((width, height, pixels))
    }

    fn percent(Rgb(r, g, b): Rgb) -> [f64; 3] {
        [r, g, b].map(|v| f64::from(v) / 2.55)
    }

    #[test]
    fn every_pixel_comes_back_in_its_colour_up_to_a_percent() -> TestResult {
        // Seven rows: a whole band and a torn one; runs of one to twenty pixels.
        let pixels = (0..7 * 40).map(|i| Rgb((i * i % 5 * 60) as u8, (i / 20 * 17) as u8, 3));
        let bitmap = Bitmap::new(40, 7, pixels);
        let (width, height, found) = decoded(&sequence(&bitmap))?;
        assert_eq!((width, height), (40, 7));
        for (i, found) in found.iter().enumerate() {
            for (f, e) in found.iter().zip(percent(bitmap.at(i % 40, i / 40))) {
                // Half a percent from rounding.
                assert!((f64::from(*f) - e).abs() <= 0.5 + 1e-9, "pixel {i}: {f} for {e}");
            }
        }
        Ok(())
    }

    #[test]
    fn more_colours_than_a_terminal_keeps_become_fewer_that_are_near() -> TestResult {
        let pixels = (0..64 * 64).map(|i| Rgb((i % 64 * 4) as u8, (i / 64 * 4) as u8, 128));
        let bitmap = Bitmap::new(64, 64, pixels);
        let text = sequence(&bitmap);
        assert!(text.matches(";2;").count() <= COLOURS);
        let (_, _, found) = decoded(&text)?;
        for (i, found) in found.iter().enumerate() {
            for (f, e) in found.iter().zip(percent(bitmap.at(i % 64, i / 64))) {
                // 256 colours of two channels leave 4 bits of each: within 16 of 255, and rounding.
                assert!((f64::from(*f) - e).abs() <= 16.0 / 2.55 + 0.5, "pixel {i}: {f} for {e}");
            }
        }
        Ok(())
    }
}
