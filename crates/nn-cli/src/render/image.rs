//! Grey images as characters: two pixels to a character cell, one above the other, since a cell is about twice as high
//! as it is wide.

use crate::screen::Style;

/// Colours of the 256-colour palette's grey ramp: 232 is nearly black, 255 nearly white.
const GREY_RAMP: (u8, u8) = (232, 255);
/// From dark to bright on a dark ground, for ASCII.
const ASCII_RAMP: &[u8] = b" .:-=+*#%@";
/// A pixel that is at least this bright is drawn where there are neither colours nor shades: a third of full brightness,
/// which keeps the thin strokes that half would break.
const LIT: u8 = 85;

/// An image of grey pixels, 0 dark to 255 bright, row by row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gray<'a> {
    pixels: &'a [u8],
    rows: usize,
    columns: usize,
}

impl<'a> Gray<'a> {
    /// `rows` × `columns` pixels. What is missing is dark.
    pub(crate) fn new(pixels: &'a [u8], rows: usize, columns: usize) -> Self {
        Self { pixels, rows, columns }
    }

    fn at(&self, row: usize, column: usize) -> u8 {
        if row >= self.rows || column >= self.columns {
            return 0;
        }
        self.pixels.get(row * self.columns + column).copied().unwrap_or(0)
    }

    /// The image as lines of `columns` characters, ⌈rows / 2⌉ of them: half blocks in shades of grey, half blocks lit or
    /// not, or ASCII.
    pub(crate) fn picture(&self, style: Style) -> Vec<String> {
        self.part(style, Frame { top: 0, bottom: self.rows, left: 0, right: self.columns })
    }

    /// The image as a table of numbers, one line per row of pixels.
    pub(crate) fn numbers(&self) -> Vec<String> {
        let line = |row| (0..self.columns).map(|c| format!("{:>4}", self.at(row, c))).collect::<String>();
        (0..self.rows).map(line).collect()
    }

    fn part(&self, style: Style, frame: Frame) -> Vec<String> {
        let pair = |row, column| {
            let inside = |row| if row < frame.bottom { self.at(row, column) } else { 0 };
            (inside(row), inside(row + 1))
        };
        let line = |row| (frame.left..frame.right).map(move |column| pair(row, column));
        (frame.top..frame.bottom).step_by(2).map(|row| draw(line(row), style)).collect()
    }
}

/// One line of cells, each with its upper and its lower pixel.
fn draw(cells: impl Iterator<Item = (u8, u8)>, style: Style) -> String {
    if !style.unicode {
        return cells.map(|(upper, lower)| shade(upper, lower)).collect();
    }
    if !style.colour {
        return cells.map(|(upper, lower)| half_block(upper >= LIT, lower >= LIT)).collect();
    }
    let grey = |v: u8| {
        let (first, last) = GREY_RAMP;
        first + (u16::from(v) * u16::from(last - first) / 255) as u8
    };
    let cell = |(upper, lower)| format!("\x1b[38;5;{};48;5;{}m▀", grey(upper), grey(lower));
    cells.map(cell).collect::<String>() + "\x1b[0m"
}

fn shade(upper: u8, lower: u8) -> char {
    let mean = (usize::from(upper) + usize::from(lower)).div_ceil(2);
    char::from(ASCII_RAMP[mean * (ASCII_RAMP.len() - 1) / 255])
}

fn half_block(upper: bool, lower: bool) -> char {
    match (upper, lower) {
        (false, false) => ' ',
        (true, false) => '▀',
        (false, true) => '▄',
        (true, true) => '█',
    }
}

/// A rectangle of pixels, ends excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    top: usize,
    bottom: usize,
    left: usize,
    right: usize,
}

impl Frame {
    /// The smallest frame around everything that is lit in any of the images.
    fn around(images: &[(Gray<'_>, String)]) -> Self {
        let lit = images.iter().flat_map(|(image, _)| {
            let at = move |row, column| (image.at(row, column) > 0).then_some((row, column));
            (0..image.rows).flat_map(move |row| (0..image.columns).filter_map(move |column| at(row, column)))
        });
        let empty = Self { top: usize::MAX, bottom: 0, left: usize::MAX, right: 0 };
        let frame = lit.fold(empty, |f, (row, column)| Self {
            top: f.top.min(row),
            bottom: f.bottom.max(row + 1),
            left: f.left.min(column),
            right: f.right.max(column + 1),
        });
        if frame.bottom == 0 { Self { top: 0, bottom: 1, left: 0, right: 1 } } else { frame }
    }
}

/// Images with a caption under each, as many beside each other as fit the width, without the margin that is dark in all
/// of them.
pub(crate) fn side_by_side(images: &[(Gray<'_>, String)], style: Style) -> String {
    const GAP: usize = 3;
    let frame = Frame::around(images);
    let captions = images.iter().map(|(_, caption)| caption.chars().count()).max().unwrap_or(0);
    let cell = captions.max(frame.right - frame.left);
    let per_row = ((style.width + GAP) / (cell + GAP)).max(1);
    let gap = " ".repeat(GAP);
    let mut text = String::new();
    for row in images.chunks(per_row) {
        let pictures: Vec<_> = row.iter().map(|(image, _)| image.part(style, frame)).collect();
        // A picture's line has as many visible characters as the frame has columns, whatever escapes it holds.
        let margin = " ".repeat(cell - (frame.right - frame.left));
        for line in 0..(frame.bottom - frame.top).div_ceil(2) {
            let cells: Vec<_> = pictures.iter().map(|p| format!("{}{margin}", p[line])).collect();
            text += cells.join(&gap).trim_end();
            text.push('\n');
        }
        let cells: Vec<_> = row.iter().map(|(_, caption)| format!("{caption:<cell$}")).collect();
        text += cells.join(&gap).trim_end();
        text += "\n\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style { terminal: false, colour: false, unicode: true, width: 80 };
    const ASCII: Style = Style { unicode: false, ..PLAIN };
    const COLOUR: Style = Style { colour: true, ..PLAIN };

    #[test]
    fn a_cell_shows_the_pixel_above_and_the_pixel_below() {
        let pixels = [0, 255, 0, 255, 0, 0, 255, 255, 255, 0, 0, 0];
        let image = Gray::new(&pixels, 3, 4);
        assert_eq!(image.picture(PLAIN), [" ▀▄█", "▀   "]);
        assert_eq!(image.picture(ASCII), [" ==@", "=   "]);
    }

    #[test]
    fn shades_of_grey_are_colours_and_end_with_the_line() {
        let lines = Gray::new(&[0, 255, 255, 0], 2, 2).picture(COLOUR);
        assert_eq!(lines, ["\x1b[38;5;232;48;5;255m▀\x1b[38;5;255;48;5;232m▀\x1b[0m"]);
    }

    #[test]
    fn ascii_is_brighter_for_brighter_pixels_and_never_blank_for_a_lit_one_beside_full_light() {
        let ramp: Vec<char> = (0..=255).map(|v| shade(v, v)).collect();
        assert!(ramp.is_sorted_by_key(|&c| ASCII_RAMP.iter().position(|&r| char::from(r) == c)));
        assert_eq!((ramp[0], ramp[255]), (' ', '@'));
    }

    #[test]
    fn numbers_are_the_pixels_row_by_row() {
        assert_eq!(Gray::new(&[0, 7, 255, 12], 2, 2).numbers(), ["   0   7", " 255  12"]);
    }

    #[test]
    fn common_dark_margins_are_cut_and_images_wrap_at_the_width() {
        let mut pixels = [0; 36];
        pixels[2 * 6 + 2..2 * 6 + 4].fill(255);
        pixels[3 * 6 + 2..3 * 6 + 4].fill(255);
        let image = |caption: &str| (Gray::new(&pixels, 6, 6), caption.to_owned());
        let images = [image("one"), image("two"), image("three")];
        let text = side_by_side(&images, Style { width: 13, ..PLAIN });
        assert_eq!(text, "██      ██\none     two\n\n██\nthree\n\n");
        let dark = [(Gray::new(&[0; 4], 2, 2), "dark".to_owned())];
        assert_eq!(side_by_side(&dark, PLAIN), "\ndark\n\n");
        assert_eq!(side_by_side(&[], PLAIN), "");
    }

    #[test]
    fn pixels_that_are_missing_are_dark() {
        assert_eq!(Gray::new(&[255], 2, 2).picture(PLAIN), ["▀ "]);
    }
}
