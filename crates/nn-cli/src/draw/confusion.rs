//! A confusion matrix as a heat map with its counts.

use nn_train::metrics::ConfusionMatrix;

use super::paint::{Paint, SHADES};
use super::scene::{Anchor, Scene, Shape, Text, fitted, room_for};

const TEXT: f64 = 14.0;
const NOTE: f64 = 12.0;
const TITLE: f64 = 15.0;
/// A cell is at least so wide and high: four digits and air, and for a finger to find it.
const CELL: f64 = 40.0;
/// Names of classes are cut to this.
const NAME_ROOM: f64 = 110.0;
/// The share of a class that is the faintest shade of a mistake: one image of a thousand, MNIST's classes' size.
const FAINTEST: f64 = 0.001;

/// Row: true class, column: predicted class. A cell's shade is its share of its row, linear where the prediction is
/// right, logarithmic where it is wrong: most mistakes are one in a hundred, and those are the ones to see.
/// `classes`: their names; a number stands for a name that is missing.
pub(crate) fn confusion(matrix: &ConfusionMatrix, classes: &[String]) -> Scene {
    let names: Vec<String> =
        (0..matrix.classes()).map(|c| classes.get(c).cloned().unwrap_or_else(|| c.to_string())).collect();
    let names: Vec<String> = names.iter().map(|name| fitted(name, TEXT, NAME_ROOM)).collect();
    let counts = || (0..matrix.classes()).flat_map(|truth| matrix.row(truth).iter().copied());
    let digits = counts().map(|n| room_for(&n.to_string(), TEXT) + 8.0).fold(CELL, f64::max);
    let widest = names.iter().map(|name| room_for(name, TEXT)).fold(0.0, f64::max);
    // Names stand upright above their columns if they fit, turned by a right angle otherwise.
    let turned = widest + 4.0 > digits;
    let above = if turned { widest + 10.0 } else { 1.7 * TEXT };

    let (left, top) = (widest + 2.2 * TEXT + 8.0, TITLE + 1.7 * TEXT + 12.0 + above);
    let side = |cell: f64| cell * matrix.classes() as f64;
    let width = (left + side(digits) + 1.0).max(NOTE_WIDTH);
    let mut scene = Scene::new(width, top + side(CELL) + 2.4 * NOTE + 6.0, "Confusion matrix");
    scene.description = described(matrix, &names);
    scene.text(Text::new(0.0, TITLE, TITLE, "Confusion matrix").bold());
    let axis = |x, y, text: &str| Text::new(x, y, TEXT, text).paint(Paint::Muted).anchor(Anchor::Middle);
    scene.text(axis(left + side(digits) / 2.0, TITLE + 1.7 * TEXT, "predicted class"));
    scene.text(axis(TEXT, top + side(CELL) / 2.0, "true class").turned(-90.0));
    for (c, name) in names.iter().enumerate() {
        let (x, y) = (left + (c as f64 + 0.5) * digits, top + (c as f64 + 0.5) * CELL);
        scene.text(Text::new(left - 8.0, y + 0.35 * TEXT, TEXT, name).anchor(Anchor::End));
        scene.text(if turned {
            Text::new(x + 0.35 * TEXT, top - 6.0, TEXT, name).turned(-90.0)
        } else {
            Text::new(x, top - 8.0, TEXT, name).anchor(Anchor::Middle)
        });
    }
    for truth in 0..matrix.classes() {
        for (predicted, &count) in matrix.row(truth).iter().enumerate() {
            let (x, y) = (left + predicted as f64 * digits, top + truth as f64 * CELL);
            let share = count as f64 / matrix.support(truth).max(1) as f64;
            let (paint, ink) = shades(matrix, truth, predicted);
            let hint = format!(
                "true {}, predicted {}: {count}, {:.2} % of the class",
                names[truth],
                names[predicted],
                100.0 * share
            );
            // A pixel of the ground between cells.
            let (width, height) = (digits - 1.0, CELL - 1.0);
            scene.shapes.push(Shape::Rect { x, y, width, height, paint, hint: Some(hint) });
            let ink = if count == 0 { Paint::Muted } else { ink };
            let number = Text::new(x + width / 2.0, y + height / 2.0 + 0.35 * TEXT, TEXT, count.to_string());
            let number = number.paint(ink).anchor(Anchor::Middle);
            scene.text(if truth == predicted { number.bold() } else { number });
        }
    }
    for (line, note) in NOTES.iter().enumerate() {
        let y = scene.height - 4.0 - 1.3 * NOTE * (NOTES.len() - 1 - line) as f64;
        scene.text(Text::new(0.0, y, NOTE, *note).paint(Paint::Muted));
    }
    scene
}

/// What the shades mean.
const NOTES: [&str; 2] = [
    "Blue: recognised; red: mistakes. The stronger, the greater the share of",
    "the true class; for mistakes on a logarithmic scale from 0.1 %.",
];
/// Room for the notes.
const NOTE_WIDTH: f64 = 470.0;

/// The colours of a cell and of the number on it. Panics if there is no such class.
pub(crate) fn shades(matrix: &ConfusionMatrix, truth: usize, predicted: usize) -> (Paint, Paint) {
    let share = matrix.count(truth, predicted) as f64 / matrix.support(truth).max(1) as f64;
    paints(truth == predicted, share)
}

fn paints(hit: bool, share: f64) -> (Paint, Paint) {
    let shades = f64::from(SHADES);
    if hit {
        let n = (share * shades).round() as u8;
        return (Paint::Hit(n), Paint::OnHit(n));
    }
    // From FAINTEST, 1, to everything, SHADES. Nothing at all is no shade.
    let decades = (share / FAINTEST).log10() / (1.0 / FAINTEST).log10();
    let n = if share == 0.0 { 0 } else { 1 + (decades.clamp(0.0, 1.0) * (shades - 1.0)).round() as u8 };
    (Paint::Miss(n), Paint::OnMiss(n))
}

/// How many were recognised, and the most frequent mistake.
fn described(matrix: &ConfusionMatrix, names: &[String]) -> String {
    let recognised = format!("{} of {} recognised", matrix.correct(), matrix.total());
    let cells = (0..matrix.classes())
        .flat_map(|t| matrix.row(t).iter().enumerate().map(move |(p, &n)| (n, t, p)))
        .filter(|(_, t, p)| t != p);
    match cells.max_by_key(|&(n, t, p)| (n, std::cmp::Reverse((t, p)))) {
        Some((n, t, p)) if n > 0 => {
            format!(
                "{recognised}; the most frequent mistake, {n} times: {} taken for {}.",
                names[t], names[p]
            )
        }
        _ => format!("{recognised}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> Result<ConfusionMatrix, nn_train::Error> {
        ConfusionMatrix::from_labels(&[0, 0, 0, 1, 1, 2], &[0, 0, 2, 1, 1, 1], 3)
    }

    #[test]
    fn every_count_stands_in_its_cell() -> Result<(), nn_train::Error> {
        let scene = confusion(&matrix()?, &[]);
        let hints: Vec<&str> = scene
            .shapes
            .iter()
            .filter_map(
                |s| if let Shape::Rect { hint: Some(hint), .. } = s { Some(hint.as_str()) } else { None },
            )
            .collect();
        assert_eq!(hints.len(), 9);
        assert_eq!(hints[2], "true 0, predicted 2: 1, 33.33 % of the class");
        assert_eq!(
            scene.description,
            "4 of 6 recognised; the most frequent mistake, 1 times: 0 taken for 2."
        );
        Ok(())
    }

    #[test]
    fn names_that_are_wider_than_a_column_are_turned() -> Result<(), nn_train::Error> {
        let names = ["T-shirt/top", "Trouser", "Pullover"].map(String::from);
        let turned = |scene: &Scene| {
            scene.shapes.iter().filter(|s| matches!(s, Shape::Text(t) if t.turn != 0.0)).count()
        };
        assert_eq!(turned(&confusion(&matrix()?, &names)), 1 + 3);
        assert_eq!(turned(&confusion(&matrix()?, &[])), 1);
        Ok(())
    }

    #[test]
    fn shades_grow_with_the_share_and_right_and_wrong_differ() {
        let shade = |hit, share| match paints(hit, share).0 {
            Paint::Hit(n) | Paint::Miss(n) => n,
            other => panic!("{other:?}"),
        };
        assert_eq!([0.0, 0.001, 0.01, 1.0].map(|s| shade(false, s)), [0, 1, 3, SHADES]);
        assert_eq!([0.0, 0.5, 1.0].map(|s| shade(true, s)), [0, SHADES / 2, SHADES]);
        assert_eq!(shade(false, 1e-9), 1, "the rarest mistake is not shown as none");
        assert_ne!(paints(true, 0.0).0, paints(false, 0.0).0);
    }

    #[test]
    fn a_matrix_of_no_classes_or_no_examples_is_a_picture_all_the_same() {
        for classes in [0, 1, 2] {
            let scene = confusion(&ConfusionMatrix::new(classes), &[]);
            assert!(scene.width > 0.0 && scene.height > 0.0);
            assert_eq!(scene.description, "0 of 0 recognised.");
        }
    }
}
