//! The images that the network was most wrong about.

use mnist_data::Dataset;
use nn_core::Scalar;

use crate::render::{Gray, side_by_side};
use crate::screen::Style;

/// How many are drawn.
const SHOWN: usize = 10;

/// An image taken for something else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mistake {
    /// The image's number.
    pub(crate) index: usize,
    pub(crate) truth: u8,
    pub(crate) predicted: usize,
    /// The probability that was given to the wrong class.
    pub(crate) probability: f64,
}

impl Mistake {
    /// All mistakes, the most confident first. `answers`: \[images, classes\].
    pub(crate) fn all<T: Scalar>(truth: &[u8], predicted: &[i32], answers: &[T]) -> Vec<Self> {
        let classes = answers.len() / truth.len().max(1);
        let wrong = |(index, (&truth, &said)): (usize, (&u8, &i32))| {
            let predicted = usize::try_from(said).ok().filter(|&p| p != usize::from(truth))?;
            let probability = answers.get(index * classes + predicted)?.wide();
            Some(Self { index, truth, predicted, probability })
        };
        let mut mistakes: Vec<_> = truth.iter().zip(predicted).enumerate().filter_map(wrong).collect();
        mistakes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        mistakes
    }

    /// Two lines: what was taken for what, and how surely. `classes`: the classes' names.
    pub(crate) fn caption(&self, classes: &[String]) -> Vec<String> {
        let name = |class: usize| classes.get(class).cloned().unwrap_or_else(|| class.to_string());
        vec![
            format!("{} taken for {}", name(usize::from(self.truth)), name(self.predicted)),
            format!("{:.2} %", 100.0 * self.probability),
        ]
    }
}

/// The worst of all mistakes among the test images, drawn side by side.
pub(crate) fn drawn(mistakes: &[Mistake], data: &Dataset, style: Style) -> String {
    let test = &data.test;
    if mistakes.is_empty() {
        return style.bold("No mistakes among the test images") + "\n";
    }
    let (_, rows, columns) = test.images.shape();
    let images: Vec<_> = mistakes
        .iter()
        .take(SHOWN)
        .map(|m| {
            let pixels = test.images.get(m.index).unwrap_or_default();
            (Gray::new(pixels, rows, columns), m.caption(&data.classes).join(", "))
        })
        .collect();
    let title = match images.len() {
        1 => "The one mistake".to_owned(),
        n => format!("The {n} worst of {} mistakes", mistakes.len()),
    };
    format!("{}\n{}", style.bold(&title), side_by_side(&images, style))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_confident_mistake_comes_first_and_what_is_right_never() {
        let answers = [0.9, 0.1, 0.3, 0.7, 0.6, 0.4f64];
        let found = Mistake::all(&[1, 1, 1], &[0, 1, 0], &answers);
        let places: Vec<_> = found.iter().map(|m| (m.index, m.truth, m.predicted, m.probability)).collect();
        assert_eq!(places, [(0, 1, 0, 0.9), (2, 1, 0, 0.6)]);
        assert!(Mistake::all::<f32>(&[], &[], &[]).is_empty());
    }
}
