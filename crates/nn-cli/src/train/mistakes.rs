//! The images that the network was most wrong about.

use mnist_data::Split;
use nn_core::Scalar;

use crate::render::{Gray, side_by_side};
use crate::screen::Style;

/// How many are drawn.
const SHOWN: usize = 10;

/// An image taken for something else.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Mistake {
    index: usize,
    truth: u8,
    predicted: usize,
    /// The probability that was given to the wrong class.
    probability: f64,
}

/// The worst mistakes: the highest probabilities of a wrong class, drawn side by side. `answers`: \[images, classes\].
pub(crate) fn drawn<T: Scalar>(test: &Split, predicted: &[i32], answers: &[T], style: Style) -> String {
    let mistakes = find(test.labels.classes(), predicted, answers);
    if mistakes.is_empty() {
        return style.bold("No mistakes among the test images") + "\n";
    }
    let (_, rows, columns) = test.images.shape();
    let images: Vec<_> = mistakes
        .iter()
        .take(SHOWN)
        .map(|m| {
            let caption = format!("{} taken for {}, {:.2} %", m.truth, m.predicted, 100.0 * m.probability);
            (Gray::new(test.images.get(m.index).unwrap_or_default(), rows, columns), caption)
        })
        .collect();
    let title = match images.len() {
        1 => "The one mistake".to_owned(),
        n => format!("The {n} worst of {} mistakes", mistakes.len()),
    };
    format!("{}\n{}", style.bold(&title), side_by_side(&images, style))
}

/// All mistakes, the most confident first.
fn find<T: Scalar>(truth: &[u8], predicted: &[i32], answers: &[T]) -> Vec<Mistake> {
    let classes = answers.len() / truth.len().max(1);
    let wrong = |(index, (&truth, &said)): (usize, (&u8, &i32))| {
        let predicted = usize::try_from(said).ok().filter(|&p| p != usize::from(truth))?;
        let probability = answers.get(index * classes + predicted)?.wide();
        Some(Mistake { index, truth, predicted, probability })
    };
    let mut mistakes: Vec<_> = truth.iter().zip(predicted).enumerate().filter_map(wrong).collect();
    mistakes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_confident_mistake_comes_first_and_what_is_right_never() {
        let answers = [0.9, 0.1, 0.3, 0.7, 0.6, 0.4f64];
        let found = find(&[1, 1, 1], &[0, 1, 0], &answers);
        let places: Vec<_> = found.iter().map(|m| (m.index, m.truth, m.predicted, m.probability)).collect();
        assert_eq!(places, [(0, 1, 0, 0.9), (2, 1, 0, 0.6)]);
        assert!(find::<f32>(&[], &[], &[]).is_empty());
    }
}
