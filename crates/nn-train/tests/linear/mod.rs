//! A network small enough to follow by hand: softmax regression without bias, trained by SGD with momentum, in plain loops.

use nn_core::matrix::InputRef;
use nn_core::models::{BatchStats, NamedTensor};
use nn_core::{Error, Result};
use nn_train::Trainable;

use crate::common::CLASSES;

const LEARNING_RATE: f64 = 0.3;
const MOMENTUM: f64 = 0.9;

/// One call of `train_on_batch`: the first column of each row, which the tests fill with the row's number.
pub(crate) type Batch = Vec<f64>;

#[derive(Debug, Clone)]
pub(crate) struct Linear {
    inputs: usize,
    kernel: Vec<f64>,
    velocity: Vec<f64>,
    iterations: u64,
    answers: Vec<f64>,
    /// Every batch trained on.
    pub(crate) trained: Vec<Batch>,
    /// The sizes of the batches tested and predicted.
    pub(crate) measured: Vec<usize>,
}

impl Linear {
    pub(crate) fn new(inputs: usize) -> Self {
        let kernel = (0..inputs * CLASSES).map(|i| (i % 7) as f64 / 10.0).collect();
        let velocity = vec![0.0; inputs * CLASSES];
        Self {
            inputs,
            kernel,
            velocity,
            iterations: 0,
            answers: Vec::new(),
            trained: Vec::new(),
            measured: Vec::new(),
        }
    }

    fn rows(&self, x: &InputRef<'_, f64>) -> Vec<Vec<f64>> {
        let mut rows = vec![vec![0.0; self.inputs]; x.rows()];
        rows.iter_mut().enumerate().for_each(|(i, row)| x.write_row(i, row));
        rows
    }

    fn probabilities(&self, row: &[f64]) -> Vec<f64> {
        // The first column is the row's number, which is no feature.
        let logit = |c: usize| (1..self.inputs).map(|i| row[i] * self.kernel[i * CLASSES + c]).sum::<f64>();
        let e: Vec<f64> = (0..CLASSES).map(|c| logit(c).exp()).collect();
        e.iter().map(|v| v / e.iter().sum::<f64>()).collect()
    }

    fn stats(&self, rows: &[Vec<f64>], labels: &[i32]) -> BatchStats {
        let (mut loss, mut hits) = (0.0, 0);
        for (row, &label) in rows.iter().zip(labels) {
            let p = self.probabilities(row);
            loss -= p[label as usize].ln();
            hits += usize::from(p.iter().all(|&q| q <= p[label as usize]));
        }
        let n = rows.len();
        BatchStats { rows: n, loss: loss / n as f64, accuracy: hits as f64 / n as f64 }
    }
}

impl Trainable<f64> for Linear {
    fn classes(&self) -> usize {
        CLASSES
    }

    fn train_on_batch(&mut self, x: InputRef<'_, f64>, labels: &[i32]) -> Result<BatchStats> {
        let rows = self.rows(&x);
        let stats = self.stats(&rows, labels);
        let mut gradient = vec![0.0; self.kernel.len()];
        for (row, &label) in rows.iter().zip(labels) {
            for (c, p) in self.probabilities(row).into_iter().enumerate() {
                let delta = p - f64::from(u8::from(c as i32 == label));
                for i in 1..self.inputs {
                    gradient[i * CLASSES + c] += delta * row[i] / rows.len() as f64;
                }
            }
        }
        for ((w, v), g) in self.kernel.iter_mut().zip(&mut self.velocity).zip(gradient) {
            *v = MOMENTUM * *v - LEARNING_RATE * g;
            *w += *v;
        }
        self.iterations += 1;
        self.trained.push(rows.iter().map(|row| row[0]).collect());
        Ok(stats)
    }

    fn test_on_batch(&mut self, x: InputRef<'_, f64>, labels: &[i32]) -> Result<BatchStats> {
        self.measured.push(x.rows());
        Ok(self.stats(&self.rows(&x), labels))
    }

    fn predict_on_batch(&mut self, x: InputRef<'_, f64>) -> Result<&[f64]> {
        self.measured.push(x.rows());
        self.answers = self.rows(&x).iter().flat_map(|row| self.probabilities(row)).collect();
        Ok(&self.answers)
    }

    fn state(&self) -> Vec<NamedTensor<f64>> {
        let tensor = |name: &str, values: &[f64]| NamedTensor {
            name: name.into(),
            dims: vec![values.len()],
            values: values.to_vec(),
        };
        vec![
            tensor("dense/kernel", &self.kernel),
            tensor("sgd/iterations", &[self.iterations as f64]),
            tensor("sgd/velocity", &self.velocity),
        ]
    }

    fn set_state(&mut self, state: &[NamedTensor<f64>]) -> Result<()> {
        let [kernel, iterations, velocity] = state else {
            return Err(Error::invalid("expected kernel, iterations and velocity"));
        };
        self.kernel.clone_from(&kernel.values);
        self.iterations = iterations.values[0] as u64;
        self.velocity.clone_from(&velocity.values);
        Ok(())
    }
}
