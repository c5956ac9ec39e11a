//! The rectangle between two axes, in a picture of a panel's size.

use super::axis::Axis;
use super::paint::Paint;
use super::scene::{Anchor, Scene, Text, room_for};

/// A panel's size: two beside each other fill a page of 1,000 pixels, and one scaled down to a phone's 360 keeps its
/// text above 9 pixels.
pub(super) const WIDTH: f64 = 480.0;
pub(super) const HEIGHT: f64 = 300.0;
pub(super) const TEXT: f64 = 13.0;
pub(super) const TITLE: f64 = 15.0;
/// Some so many numbers along an axis of values.
pub(super) const TICKS: usize = 5;

/// Two axes, and where they are.
pub(super) struct Area {
    across: Axis,
    up: Axis,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Area {
    /// Below a title, with room for what is written along the axes.
    pub(super) fn new(across: Axis, up: Axis) -> Self {
        let labels = up.ticks().iter().map(|&t| room_for(&up.label(t), TEXT)).fold(0.0, f64::max);
        let end = across.ticks().last().map_or(0.0, |&t| room_for(&across.label(t), TEXT) / 2.0);
        Self {
            left: labels + 10.0,
            right: WIDTH - end.max(6.0),
            top: TITLE + 16.0,
            bottom: HEIGHT - 2.0 * TEXT - 16.0,
            across,
            up,
        }
    }

    /// Where a value (up) at a place (across) is.
    pub(super) fn at(&self, across: f64, up: f64) -> (f64, f64) {
        let x = self.left + self.across.place(across) * (self.right - self.left);
        (x, self.bottom + self.up.place(up) * (self.top - self.bottom))
    }

    /// The axes with their numbers. `name`: what is counted across.
    pub(super) fn draw(&self, scene: &mut Scene, name: &str) {
        for &tick in self.up.ticks() {
            let (_, y) = self.at(1.0, tick);
            scene.line((self.left, y), (self.right, y), 1.0, Paint::Grid);
            let label = Text::new(self.left - 8.0, y + 0.35 * TEXT, TEXT, self.up.label(tick));
            scene.text(label.paint(Paint::Muted).anchor(Anchor::End));
        }
        scene.line((self.left, self.bottom), (self.right, self.bottom), 1.0, Paint::Muted);
        for &tick in self.across.ticks() {
            let (x, _) = self.at(tick, 1.0);
            scene.line((x, self.bottom), (x, self.bottom + 5.0), 1.0, Paint::Muted);
            let label = Text::new(x, self.bottom + 7.0 + TEXT, TEXT, self.across.label(tick));
            scene.text(label.paint(Paint::Muted).anchor(Anchor::Middle));
        }
        let middle = (self.left + self.right) / 2.0;
        scene.text(Text::new(middle, HEIGHT - 4.0, TEXT, name).paint(Paint::Muted).anchor(Anchor::Middle));
    }
}
