//! What the five parts of the lesson share: the digits, how many epochs to train, and the page that a part is told on.

use std::error::Error;

use mnist_data::Split;
use nn_core::backend::Choice;
use nn_core::exec::SessionOptions;
use nn_core::matrix::{Csr, InputRef};
use nn_train::metrics::{ClassificationReport, ConfusionMatrix};
use nn_train::{Dataset, History};

/// The result of a part.
pub type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Where a part tells what it does: on the terminal here, and on a page of `nn notebook`.
pub trait Page {
    /// Begins a step. The code that follows, up to the next step, is the step's code.
    fn cell(&mut self, title: &str, text: &str);

    /// A line or more of output.
    fn say(&mut self, text: &str);

    /// A digit's 28 × 28 pixels, and what it is.
    fn digit(&mut self, pixels: &[u8], caption: &str);

    /// The figures of each epoch.
    fn history(&mut self, title: &str, history: &History);

    /// Which class was taken for which.
    fn confusion(&mut self, matrix: &ConfusionMatrix);

    /// An accuracy beside the one that the exercise reports.
    fn compare(&mut self, what: &str, ours: f64, theirs: f64);
}

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As long as the exercise does.
    Full,
    /// A tenth of that.
    Fast,
}

impl Pace {
    /// So many epochs, or a tenth of them.
    pub fn epochs(self, full: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Fast => full.div_ceil(10),
        }
    }
}

/// Images as sparse rows of 784 numbers from 0 to 1, and their classes.
pub struct Digits {
    rows: Csr<f32>,
    /// Their classes.
    pub labels: Vec<i32>,
}

impl Digits {
    /// All images of a part of MNIST.
    pub fn new(split: &Split) -> Result<Self> {
        let images = &split.images;
        let rows = Csr::from_bytes(images.bytes(), images.len(), images.pixels(), 255.0)?;
        Ok(Self { rows, labels: split.labels.classes().iter().map(|&class| i32::from(class)).collect() })
    }

    /// The images.
    pub fn x(&self) -> InputRef<'_, f32> {
        InputRef::sparse(&self.rows)
    }

    /// The images with their classes.
    pub fn dataset(&self) -> Result<Dataset<'_, f32>> {
        Ok(Dataset::new(self.x(), &self.labels)?)
    }
}

/// The fastest backend of this machine, all of its processors, and always the same random numbers.
pub fn options() -> Result<SessionOptions<f32>> {
    Ok(SessionOptions::new(Choice::default().open()?))
}

/// Tells a part on the terminal; `--fast` trains a tenth of the epochs.
pub fn tell(part: fn(&mut dyn Page, Pace) -> Result) -> Result {
    let fast = std::env::args().any(|arg| arg == "--fast");
    part(&mut Terminal, if fast { Pace::Fast } else { Pace::Full })
}

struct Terminal;

impl Page for Terminal {
    fn cell(&mut self, title: &str, text: &str) {
        println!("\n{title}\n{text}");
    }

    fn say(&mut self, text: &str) {
        println!("{text}");
    }

    fn digit(&mut self, pixels: &[u8], caption: &str) {
        for row in pixels.chunks(28).step_by(2) {
            let line: String = row
                .iter()
                .map(|&p| {
                    if p > 127 {
                        '#'
                    } else if p > 0 {
                        '.'
                    } else {
                        ' '
                    }
                })
                .collect();
            println!("{}", line.trim_end());
        }
        println!("{caption}");
    }

    fn history(&mut self, title: &str, history: &History) {
        println!("{title}");
        for (name, values) in history.iter() {
            println!("{name:>13} {}", values.iter().map(|v| format!(" {v:.4}")).collect::<String>());
        }
    }

    fn confusion(&mut self, matrix: &ConfusionMatrix) {
        println!("{matrix}\n{}", ClassificationReport::new(matrix));
    }

    fn compare(&mut self, what: &str, ours: f64, theirs: f64) {
        println!("{what}: {:.2} % (the exercise: {:.2} %)", 100.0 * ours, 100.0 * theirs);
    }
}
