//! The font that is inside the program: Ubuntu Light. It draws the text of PNG files, so that they have it on a machine
//! without any fonts, and measures text for the layout of all pictures.

use std::sync::LazyLock;

use tiny_skia::{Path, PathBuilder};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

/// Read once; `None` only if the bytes inside the program were no font.
static FACE: LazyLock<Option<Face<'static>>> =
    LazyLock::new(|| Face::parse(epaint_default_fonts::UBUNTU_LIGHT, 0).ok());

/// The advance of a character without a glyph, in ems.
const MISSING_ADVANCE: f64 = 0.6;

/// The width of a line of text. Kerning is left out: it changes a width by less than the difference between two fonts.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(|c| advance(glyph(c))).sum::<f64>() * size
}

/// The outlines of a line of text that begins at (0, 0), its baseline; `None` if there is nothing to see.
pub(crate) fn outlines(text: &str, size: f64) -> Option<Path> {
    let face = FACE.as_ref()?;
    let scale = size / f64::from(face.units_per_em());
    let mut pen = Pen { path: PathBuilder::new(), x: 0.0, scale: scale as f32 };
    for c in text.chars() {
        let glyph = glyph(c);
        if let Some(glyph) = glyph {
            face.outline_glyph(glyph, &mut pen);
        }
        pen.x += (advance(glyph) * size) as f32;
    }
    pen.path.finish()
}

fn glyph(c: char) -> Option<GlyphId> {
    FACE.as_ref()?.glyph_index(c)
}

fn advance(glyph: Option<GlyphId>) -> f64 {
    let of =
        |face: &Face<'_>| Some(f64::from(face.glyph_hor_advance(glyph?)?) / f64::from(face.units_per_em()));
    FACE.as_ref().and_then(of).unwrap_or(MISSING_ADVANCE)
}

/// Turns font units, y up, into pixels, y down.
struct Pen {
    path: PathBuilder,
    x: f32,
    scale: f32,
}

impl Pen {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, -y * self.scale)
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_that_pictures_use_has_a_glyph() {
        for c in (' '..='~').chain("…·×−–√±²µ€äÖßéñ".chars()) {
            assert!(glyph(c).is_some(), "{c:?}");
        }
    }

    #[test]
    fn text_is_as_wide_as_its_characters_and_stands_on_its_baseline() {
        assert_eq!(width("", 10.0), 0.0);
        assert!((width("100", 10.0) - 3.0 * width("0", 10.0)).abs() < 1e-9, "digits have one width");
        assert!((width("x", 20.0) - 2.0 * width("x", 10.0)).abs() < 1e-9);
        let bounds = outlines("Hx", 100.0).map(|path| path.bounds());
        assert!(
            bounds.is_some_and(|b| b.top() < -50.0 && b.bottom().abs() < 2.0 && b.right() < 130.0),
            "{bounds:?}"
        );
        assert!(outlines(" ", 10.0).is_none());
    }
}
