//! Small images in a grid, a caption under each.

use super::bitmap::Bitmap;
use super::paint::Paint;
use super::scene::{Anchor, Scene, Shape, Text, fitted, room_for};

/// An image with its words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) bitmap: Bitmap,
    /// Lines under the image.
    pub(crate) caption: Vec<String>,
}

const TEXT: f64 = 12.0;
const TITLE: f64 = 15.0;
const GAP: f64 = 14.0;
const MARGIN: f64 = 16.0;
/// A column is at most so wide; a caption that is longer is cut.
const WIDEST: f64 = 180.0;

/// The images in rows, in reading order; the grid is about as wide as it is high. `side`: an image's longer side.
pub(crate) fn gallery(title: &str, note: &str, items: &[Item], side: f64) -> Scene {
    let captions =
        items.iter().flat_map(|item| &item.caption).map(|line| room_for(line, TEXT)).fold(0.0, f64::max);
    let cell = captions.min(WIDEST).max(side);
    let lines = items.iter().map(|item| item.caption.len()).max().unwrap_or(0);
    let height = side + lines as f64 * 1.3 * TEXT + GAP;
    let columns = columns(items.len(), (cell + GAP) / height);
    let rows = items.len().div_ceil(columns);

    let heading = room_for(title, TITLE).max(room_for(note, TEXT));
    let grid = columns as f64 * (cell + GAP) - GAP;
    let width = 2.0 * MARGIN + grid.max(heading);
    let top = MARGIN + TITLE + if note.is_empty() { 0.0 } else { 1.5 * TEXT } + GAP;
    let mut scene = Scene::new(width, top + rows as f64 * height + MARGIN - GAP, title);
    scene.description = note.to_owned();
    scene.text(Text::new(MARGIN, MARGIN + TITLE, TITLE, title).bold());
    scene.text(Text::new(MARGIN, MARGIN + TITLE + 1.5 * TEXT, TEXT, note).paint(Paint::Muted));
    for (i, item) in items.iter().enumerate() {
        let x = MARGIN + (i % columns) as f64 * (cell + GAP);
        let y = top + (i / columns) as f64 * height;
        let (wide, high) = scaled(&item.bitmap, side);
        scene.shapes.push(Shape::Image {
            x: x + (cell - wide) / 2.0,
            y: y + (side - high) / 2.0,
            width: wide,
            height: high,
            bitmap: item.bitmap.clone(),
            hint: Some(item.caption.join(", ")),
        });
        for (line, words) in item.caption.iter().enumerate() {
            let baseline = y + side + (line as f64 + 1.0) * 1.3 * TEXT;
            let words = Text::new(x + cell / 2.0, baseline, TEXT, fitted(words, TEXT, cell));
            scene.text(words.anchor(Anchor::Middle));
        }
    }
    scene
}

/// How many beside each other make about a square of cells that are `ratio` times as wide as high. A number that leaves
/// no row half empty is preferred, within a third of that.
fn columns(count: usize, ratio: f64) -> usize {
    let ideal = (count as f64 / ratio).sqrt();
    let even = (1..=count).filter(|&n| count.is_multiple_of(n)).min_by(|&a, &b| {
        let apart = |n: usize| (n as f64 / ideal).ln().abs();
        apart(a).total_cmp(&apart(b))
    });
    let near = even.filter(|&n| (n as f64 / ideal - 1.0).abs() <= 1.0 / 3.0);
    near.unwrap_or_else(|| (ideal.ceil() as usize).clamp(1, count.max(1)))
}

/// An image's size with this longer side.
fn scaled(bitmap: &Bitmap, side: f64) -> (f64, f64) {
    let (w, h) = (bitmap.width() as f64, bitmap.height() as f64);
    let longer = w.max(h).max(1.0);
    (side * w / longer, side * h / longer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_stand_in_reading_order_and_keep_their_shape() {
        let item = |n: u8| Item { bitmap: Bitmap::grey(2, 1, &[n, n]), caption: vec![format!("image {n}")] };
        let scene = gallery("Title", "", &(0..10).map(item).collect::<Vec<_>>(), 60.0);
        let images: Vec<_> = scene
            .shapes
            .iter()
            .filter_map(|s| match s {
                Shape::Image { x, y, width, height, hint, .. } => {
                    Some((*x, *y, *width, *height, hint.clone()))
                }
                _ => None,
            })
            .collect();
        assert_eq!(images.len(), 10);
        for (n, (x, y, width, height, hint)) in images.iter().enumerate() {
            assert_eq!((*width, *height, hint.as_deref()), (60.0, 30.0, Some(format!("image {n}").as_str())));
            assert!(x + width <= scene.width && y + height <= scene.height);
            if let Some((px, py, ..)) = n.checked_sub(1).map(|p| &images[p]) {
                assert!(y > py || (y == py && x > px), "{n}");
            }
        }
    }

    #[test]
    fn a_square_is_filled_and_no_row_is_half_empty_where_that_can_be() {
        assert_eq!([25, 100, 10, 1].map(|n| columns(n, 0.8)), [5, 10, 4, 1]);
        assert_eq!([7, 23].map(|n| columns(n, 1.0)), [3, 5]);
        assert_eq!(columns(0, 1.0), 1);
    }

    #[test]
    fn no_images_are_a_heading_alone() {
        assert_eq!(gallery("Nothing", "", &[], 50.0).shapes.len(), 3);
    }
}
