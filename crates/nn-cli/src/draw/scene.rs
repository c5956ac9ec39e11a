//! A picture as a list of shapes. Lengths are in CSS pixels; x goes right, y goes down.

use super::bitmap::Bitmap;
use super::font;
use super::paint::Paint;

/// What a picture shows, in words and in shapes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scene {
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// What it is: one line.
    pub(crate) title: String,
    /// What is to be seen, for those who don't see it.
    pub(crate) description: String,
    /// From back to front.
    pub(crate) shapes: Vec<Shape>,
}

/// Something to draw.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// A filled rectangle, with words that a pointer brings up.
    Rect { x: f64, y: f64, width: f64, height: f64, paint: Paint, hint: Option<String> },
    /// A line through points.
    Line { points: Vec<(f64, f64)>, width: f64, paint: Paint, dash: Dash },
    /// A filled circle, with words that a pointer brings up.
    Dot { x: f64, y: f64, radius: f64, paint: Paint, hint: Option<String> },
    /// Pixels, each a rectangle with sharp edges.
    Image { x: f64, y: f64, width: f64, height: f64, bitmap: Bitmap, hint: Option<String> },
    /// Words.
    Text(Text),
}

/// Words at a place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Text {
    pub(crate) x: f64,
    /// Of the baseline.
    pub(crate) y: f64,
    pub(crate) size: f64,
    pub(crate) paint: Paint,
    pub(crate) anchor: Anchor,
    pub(crate) bold: bool,
    /// Degrees, clockwise, around (x, y).
    pub(crate) turn: f64,
    pub(crate) text: String,
}

/// Which part of the words is at their x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a line is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dash {
    Solid,
    Dashed,
    Dotted,
}

impl Dash {
    /// Lengths of stroke and gap, for lines of some 2 pixels.
    pub(crate) fn lengths(self) -> Option<[f64; 2]> {
        match self {
            Self::Solid => None,
            Self::Dashed => Some([7.0, 4.0]),
            Self::Dotted => Some([2.0, 3.0]),
        }
    }
}

impl Text {
    pub(crate) fn new(x: f64, y: f64, size: f64, text: impl Into<String>) -> Self {
        let (paint, anchor) = (Paint::Ink, Anchor::Start);
        Self { x, y, size, paint, anchor, bold: false, turn: 0.0, text: text.into() }
    }

    pub(crate) fn paint(self, paint: Paint) -> Self {
        Self { paint, ..self }
    }

    pub(crate) fn anchor(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub(crate) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(crate) fn turned(self, turn: f64) -> Self {
        Self { turn, ..self }
    }
}

impl Scene {
    /// An empty picture on its ground.
    pub(crate) fn new(width: f64, height: f64, title: impl Into<String>) -> Self {
        let ground = Shape::Rect { x: 0.0, y: 0.0, width, height, paint: Paint::Surface, hint: None };
        Self { width, height, title: title.into(), description: String::new(), shapes: vec![ground] }
    }

    pub(crate) fn text(&mut self, text: Text) {
        self.shapes.push(Shape::Text(text));
    }

    /// A line from one point to another.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), width: f64, paint: Paint) {
        self.shapes.push(Shape::Line { points: vec![from, to], width, paint, dash: Dash::Solid });
    }

    /// Puts another picture into this one, its upper left corner at (x, y).
    pub(crate) fn place(&mut self, other: Self, x: f64, y: f64) {
        self.shapes.extend(other.shapes.into_iter().map(|shape| shape.moved(x, y)));
    }

    /// The picture with a margin around it.
    pub(crate) fn framed(self, margin: f64) -> Self {
        let (width, height) = (self.width + 2.0 * margin, self.height + 2.0 * margin);
        let mut framed = Self::new(width, height, self.title.clone());
        framed.description = self.description.clone();
        framed.place(self, margin, margin);
        framed
    }

    /// Makes the picture as high as this, its ground included.
    pub(crate) fn set_height(&mut self, to: f64) {
        self.height = to;
        if let Some(Shape::Rect { height, .. }) = self.shapes.first_mut() {
            *height = to;
        }
    }
}

impl Shape {
    fn moved(mut self, dx: f64, dy: f64) -> Self {
        match &mut self {
            Self::Rect { x, y, .. }
            | Self::Dot { x, y, .. }
            | Self::Image { x, y, .. }
            | Self::Text(Text { x, y, .. }) => {
                *x += dx;
                *y += dy;
            }
            Self::Line { points, .. } => {
                for (x, y) in points {
                    *x += dx;
                    *y += dy;
                }
            }
        }
        self
    }
}

/// How much wider than the program's own font a reader's may be: among the usual sans serif fonts DejaVu Sans is the
/// widest, a fifth wider than the one measured here.
const OTHER_FONTS: f64 = 1.2;

/// Room for a text, whatever sans serif font it is shown in.
pub(crate) fn room_for(text: &str, size: f64) -> f64 {
    font::width(text, size) * OTHER_FONTS
}

/// The text, cut to fit, with an ellipsis where something is missing.
pub(crate) fn fitted(text: &str, size: f64, room: f64) -> String {
    if room_for(text, size) <= room {
        return text.to_owned();
    }
    let mut cut: Vec<char> = text.chars().collect();
    while !cut.is_empty() && room_for(&format!("{}…", String::from_iter(&cut)), size) > room {
        cut.pop();
    }
    String::from_iter(cut).trim_end().to_owned() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_within_a_picture_is_moved_as_a_whole() {
        let mut inner = Scene::new(10.0, 10.0, "inner");
        inner.line((0.0, 1.0), (2.0, 3.0), 1.0, Paint::Ink);
        inner.text(Text::new(4.0, 5.0, 10.0, "x"));
        let mut outer = Scene::new(100.0, 100.0, "outer");
        outer.place(inner, 50.0, 60.0);
        let Shape::Line { points, .. } = &outer.shapes[2] else { panic!("{:?}", outer.shapes) };
        assert_eq!(points, &[(50.0, 61.0), (52.0, 63.0)]);
        let Shape::Text(text) = &outer.shapes[3] else { panic!("{:?}", outer.shapes) };
        assert_eq!((text.x, text.y), (54.0, 65.0));
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_says_so() {
        assert_eq!(fitted("short", 12.0, 100.0), "short");
        let cut = fitted("a name that nobody would give to a run", 12.0, 100.0);
        assert!(cut.ends_with('…') && cut.starts_with("a name"), "{cut}");
        assert!(room_for(&cut, 12.0) <= 100.0);
    }
}
