//! Precision, recall and F1 of each class, and their averages.

use std::fmt;

use serde::Serialize;

use super::ConfusionMatrix;

/// The scores of one class. A score whose denominator is 0 is 0 (scikit-learn: `zero_division=0`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClassScores {
    /// TP / (TP + FP): how many of those taken for this class are of it.
    pub precision: f64,
    /// TP / (TP + FN): how many of this class were recognised.
    pub recall: f64,
    /// 2 TP / (2 TP + FP + FN), the harmonic mean of the two.
    pub f1: f64,
    /// TP + FN: how many examples are of this class.
    pub support: u64,
}

/// Averages of the scores over the classes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Averages {
    /// Averaged precision.
    pub precision: f64,
    /// Averaged recall.
    pub recall: f64,
    /// Averaged F1.
    pub f1: f64,
}

/// What `sklearn.metrics.classification_report(labels=range(classes), zero_division=0)` reports; it displays exactly
/// as that prints. `{:.4}` prints 4 digits, without a precision there are 2.
///
/// ```
/// use nn_train::metrics::{ClassificationReport, ConfusionMatrix};
/// let report = ClassificationReport::new(&ConfusionMatrix::from_labels(&[0, 0, 1], &[0, 1, 1], 2)?);
/// assert_eq!((report.classes[0].precision, report.classes[0].recall), (1.0, 0.5));
/// assert!(report.to_string().starts_with("              precision    recall  f1-score   support\n"));
/// # Ok::<(), nn_train::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassificationReport {
    /// The scores of each class, in order.
    pub classes: Vec<ClassScores>,
    /// The share of examples that were recognised.
    pub accuracy: f64,
    /// The plain mean over the classes.
    pub macro_average: Averages,
    /// The mean over the classes weighted by their support.
    pub weighted_average: Averages,
    /// All examples.
    pub support: u64,
}

impl ClassificationReport {
    /// The report that belongs to a confusion matrix.
    pub fn new(matrix: &ConfusionMatrix) -> Self {
        let classes: Vec<_> = (0..matrix.classes()).map(|c| ClassScores::new(matrix, c)).collect();
        let share = 1.0 / classes.len().max(1) as f64;
        let total = matrix.total().max(1) as f64;
        Self {
            accuracy: matrix.accuracy(),
            macro_average: Averages::new(&classes, |_| share),
            weighted_average: Averages::new(&classes, |c| c.support as f64 / total),
            support: matrix.total(),
            classes,
        }
    }
}

impl ClassScores {
    fn new(matrix: &ConfusionMatrix, class: usize) -> Self {
        let (hits, support) = (matrix.count(class, class), matrix.support(class));
        let predictions = matrix.predictions(class);
        Self {
            precision: ratio(hits, predictions),
            recall: ratio(hits, support),
            f1: ratio(2 * hits, support + predictions),
            support,
        }
    }
}

impl Averages {
    fn new(classes: &[ClassScores], weight: impl Fn(&ClassScores) -> f64) -> Self {
        let mean = |score: fn(&ClassScores) -> f64| classes.iter().map(|c| weight(c) * score(c)).sum();
        Self { precision: mean(|c| c.precision), recall: mean(|c| c.recall), f1: mean(|c| c.f1) }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// The layout is scikit-learn's: names right-aligned to the longest, then columns of 9 after one space.
impl fmt::Display for ClassificationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let width = "weighted avg".len().max(digits);
        writeln!(
            f,
            "{:width$}  {:>9} {:>9} {:>9} {:>9}\n",
            "", "precision", "recall", "f1-score", "support"
        )?;
        for (class, s) in self.classes.iter().enumerate() {
            let (p, r, f1) = (s.precision, s.recall, s.f1);
            writeln!(f, "{class:width$}  {p:9.digits$} {r:9.digits$} {f1:9.digits$} {:9}", s.support)?;
        }
        let (accuracy, support) = (self.accuracy, self.support);
        writeln!(f, "\n{:>width$}  {:9} {:9} {accuracy:9.digits$} {support:9}", "accuracy", "", "")?;
        for (name, avg) in [("macro avg", self.macro_average), ("weighted avg", self.weighted_average)] {
            let (p, r, f1) = (avg.precision, avg.recall, avg.f1);
            writeln!(f, "{name:>width$}  {p:9.digits$} {r:9.digits$} {f1:9.digits$} {support:9}")?;
        }
        Ok(())
    }
}
