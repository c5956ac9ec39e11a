//! Colour images as half blocks: two pixels to a character, the upper one its colour, the lower one its ground's.

use crate::draw::{Bitmap, Rgb};

/// Which colours a terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// All.
    True,
    /// The 6 × 6 × 6 cube and the greys of the 256-colour palette.
    Palette,
    /// None: brightness alone, by characters.
    None,
}

/// From dark to bright: where there are no colours, what is blue is dark, what is grey is between, what is red is bright.
const ASCII_RAMP: &[u8] = b" .:-=+*#%@";

impl Depth {
    /// By `COLORTERM`, where there are colours at all.
    pub(crate) fn detect(colour: bool, colorterm: &str) -> Self {
        match colorterm {
            _ if !colour => Self::None,
            "truecolor" | "24bit" => Self::True,
            _ => Self::Palette,
        }
    }

    /// The parameters that choose a colour; `ground`: as the background.
    pub(crate) fn parameters(self, Rgb(r, g, b): Rgb, ground: bool) -> String {
        let layer = if ground { 48 } else { 38 };
        // The cube's levels are 0, 95, 135, 175, 215, 255.
        let level = |v: u8| if v < 48 { 0 } else { (u16::from(v).max(75) - 35) / 40 };
        match self {
            Self::True => format!("{layer};2;{r};{g};{b}"),
            Self::Palette => format!("{layer};5;{}", 16 + 36 * level(r) + 6 * level(g) + level(b)),
            Self::None => String::new(),
        }
    }
}

/// The bitmap as lines of `width` visible characters.
fn lines(bitmap: &Bitmap, depth: Depth) -> Vec<String> {
    let line = |top: usize| {
        let cells = (0..bitmap.width()).map(|x| {
            let upper = bitmap.at(x, top);
            // Below the last row there is nothing to compare with: the cell shows the row alone.
            let lower = if top + 1 < bitmap.height() { bitmap.at(x, top + 1) } else { upper };
            match depth {
                Depth::None => {
                    let mean = (signed(upper) + signed(lower)) / 2;
                    char::from(ASCII_RAMP[mean * (ASCII_RAMP.len() - 1) / 255]).to_string()
                }
                _ => format!("\x1b[{};{}m▀", depth.parameters(upper, false), depth.parameters(lower, true)),
            }
        });
        let cells: String = cells.collect();
        if depth == Depth::None { cells } else { cells + "\x1b[0m" }
    };
    (0..bitmap.height()).step_by(2).map(line).collect()
}

/// A place on the scale from blue, 0, over grey, 127, to red, 255.
fn signed(Rgb(r, _, b): Rgb) -> usize {
    (255 + usize::from(r) - usize::from(b)) / 2
}

/// Images with a caption under each, as many beside each other as fit into `width` columns.
pub(crate) fn side_by_side(images: &[(&Bitmap, String)], depth: Depth, width: usize) -> String {
    const GAP: usize = 2;
    let widest = images.iter().map(|(bitmap, caption)| bitmap.width().max(caption.chars().count())).max();
    let cell = widest.unwrap_or(1).max(1);
    let per_row = ((width + GAP) / (cell + GAP)).max(1);
    let mut text = String::new();
    for row in images.chunks(per_row) {
        let pictures: Vec<_> = row.iter().map(|(bitmap, _)| (lines(bitmap, depth), bitmap.width())).collect();
        let height = pictures.iter().map(|(lines, _)| lines.len()).max().unwrap_or(0);
        for line in 0..height {
            for (lines, width) in &pictures {
                let empty = " ".repeat(*width);
                text += lines.get(line).unwrap_or(&empty);
                text += &" ".repeat(cell - width + GAP);
            }
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        for (_, caption) in row {
            text += &format!("{caption:<width$}", width = cell + GAP);
        }
        text.truncate(text.trim_end_matches(' ').len());
        text += "\n\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: Rgb = Rgb(255, 0, 0);
    const BLUE: Rgb = Rgb(0, 0, 255);

    #[test]
    fn a_cell_has_the_colours_of_the_pixel_above_and_the_pixel_below() {
        let bitmap = Bitmap::new(1, 3, [RED, BLUE, RED]);
        assert_eq!(
            lines(&bitmap, Depth::True),
            ["\x1b[38;2;255;0;0;48;2;0;0;255m▀\x1b[0m", "\x1b[38;2;255;0;0;48;2;255;0;0m▀\x1b[0m"]
        );
        assert_eq!(lines(&bitmap, Depth::Palette)[0], "\x1b[38;5;196;48;5;21m▀\x1b[0m");
    }

    #[test]
    fn without_colours_blue_is_dark_grey_between_and_red_bright() {
        let line = |colour| lines(&Bitmap::new(1, 2, [colour; 2]), Depth::None).concat();
        assert_eq!([BLUE, Rgb(247, 247, 247), RED].map(line), [" ", "=", "@"]);
    }

    #[test]
    fn images_wrap_at_the_width() {
        let bitmap = Bitmap::new(3, 2, [RED; 6]);
        let images: Vec<_> = ["a", "b", "c"].iter().map(|c| (&bitmap, (*c).to_owned())).collect();
        assert_eq!(side_by_side(&images, Depth::None, 8), "@@@  @@@\na    b\n\n@@@\nc\n\n");
        assert_eq!(side_by_side(&[], Depth::None, 8), "");
    }
}
