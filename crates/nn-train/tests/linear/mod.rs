//! A network small enough to follow by hand: softmax regression without bias, trained by SGD with momentum, in plain loops.

use std::sync::Arc;

use nn_core::matrix::InputRef;
use nn_core::models::{Batch, Figures, NamedTensor, Ratio, Target};
use nn_core::{Error, Result};
use nn_train::Trainable;

use crate::common::CLASSES;

const MOMENTUM: f64 = 0.9;

/// What was learnt from at once: the first column of each row, which the tests fill with the row's number.
pub(crate) type Rows = Vec<f64>;

#[derive(Debug, Clone)]
pub(crate) struct Linear {
    inputs: usize,
    kernel: Vec<f64>,
    velocity: Vec<f64>,
    iterations: u64,
    learning_rate: f64,
    answers: Vec<f64>,
    names: Arc<[String]>,
    /// Every batch trained on.
    pub(crate) trained: Vec<Rows>,
    /// The weights of every batch trained on, where it had any.
    pub(crate) weighed: Vec<Vec<f64>>,
    /// The sizes of the batches tested and predicted.
    pub(crate) measured: Vec<usize>,
}

/// What is made of the one input, the one target and the weights.
struct Parts<'a> {
    rows: Vec<Vec<f64>>,
    labels: &'a [i32],
    weights: Vec<f64>,
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
            learning_rate: 0.3,
            answers: Vec::new(),
            names: ["loss".to_owned(), "accuracy".to_owned()].into(),
            trained: Vec::new(),
            weighed: Vec::new(),
            measured: Vec::new(),
        }
    }

    fn rows(&self, x: &InputRef<'_, f64>) -> Vec<Vec<f64>> {
        let mut rows = vec![vec![0.0; self.inputs]; x.rows()];
        rows.iter_mut().enumerate().for_each(|(i, row)| x.write_row(i, row));
        rows
    }

    fn parts<'a>(&self, batch: &Batch<'a, f64>) -> Result<Parts<'a>> {
        let ([x], [Target::Classes(labels)]) = (&batch.inputs[..], &batch.targets[..]) else {
            return Err(Error::invalid("expected one input and one target, of classes"));
        };
        if let Some(row) = labels.iter().position(|&label| label >= CLASSES as i32) {
            return Err(Error::invalid(format_args!("row {row} is of class {}", labels[row])));
        }
        let weights = batch.weights.map_or(vec![1.0; labels.len()], <[f64]>::to_vec);
        Ok(Parts { rows: self.rows(x), labels, weights })
    }

    fn probabilities(&self, row: &[f64]) -> Vec<f64> {
        // The first column is the row's number, which is no feature.
        let logit = |c: usize| (1..self.inputs).map(|i| row[i] * self.kernel[i * CLASSES + c]).sum::<f64>();
        let e: Vec<f64> = (0..CLASSES).map(|c| logit(c).exp()).collect();
        e.iter().map(|v| v / e.iter().sum::<f64>()).collect()
    }

    fn figures(&self, parts: &Parts<'_>) -> Figures {
        let (mut loss, mut hits) = (0.0, 0.0);
        for ((row, &label), weight) in parts.rows.iter().zip(parts.labels).zip(&parts.weights) {
            let p = self.probabilities(row);
            loss -= weight * p[label as usize].ln();
            hits += f64::from(u8::from(p.iter().all(|&q| q <= p[label as usize])));
        }
        let count = parts.rows.len() as f64;
        Figures::new(&self.names, parts.rows.len(), [loss, hits].map(|sum| Ratio { sum, count }))
    }
}

impl Trainable<f64> for Linear {
    fn figure_names(&self) -> Arc<[String]> {
        Arc::clone(&self.names)
    }

    fn check(&self, batch: &Batch<'_, f64>) -> Result<()> {
        self.parts(batch).map(|_| ())
    }

    fn train_batch(&mut self, batch: &Batch<'_, f64>) -> Result<Figures> {
        let parts = self.parts(batch)?;
        let figures = self.figures(&parts);
        let mut gradient = vec![0.0; self.kernel.len()];
        for ((row, &label), weight) in parts.rows.iter().zip(parts.labels).zip(&parts.weights) {
            for (c, p) in self.probabilities(row).into_iter().enumerate() {
                let delta = weight * (p - f64::from(u8::from(c as i32 == label)));
                for i in 1..self.inputs {
                    gradient[i * CLASSES + c] += delta * row[i] / parts.rows.len() as f64;
                }
            }
        }
        for ((w, v), g) in self.kernel.iter_mut().zip(&mut self.velocity).zip(gradient) {
            *v = MOMENTUM * *v - self.learning_rate * g;
            *w += *v;
        }
        self.iterations += 1;
        self.trained.push(parts.rows.iter().map(|row| row[0]).collect());
        self.weighed.extend(batch.weights.map(<[f64]>::to_vec));
        Ok(figures)
    }

    fn test_batch(&mut self, batch: &Batch<'_, f64>) -> Result<Figures> {
        let parts = self.parts(batch)?;
        self.measured.push(parts.rows.len());
        Ok(self.figures(&parts))
    }

    fn predict_batch(&mut self, inputs: &[InputRef<'_, f64>]) -> Result<Vec<&[f64]>> {
        let [x] = inputs else { return Err(Error::invalid("expected one input")) };
        self.measured.push(x.rows());
        self.answers = self.rows(x).iter().flat_map(|row| self.probabilities(row)).collect();
        Ok(vec![&self.answers])
    }

    fn learning_rate(&self) -> Option<f64> {
        Some(self.learning_rate)
    }

    fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        self.learning_rate = rate;
        Ok(())
    }

    fn weights(&self) -> Vec<NamedTensor<f64>> {
        vec![tensor("dense/kernel", &self.kernel)]
    }

    fn set_weights(&mut self, weights: &[NamedTensor<f64>]) -> Result<()> {
        let [kernel] = weights else { return Err(Error::invalid("expected a kernel")) };
        self.kernel.clone_from(&kernel.values);
        Ok(())
    }

    fn state(&self) -> Vec<NamedTensor<f64>> {
        vec![
            tensor("dense/kernel", &self.kernel),
            tensor("sgd/iterations", &[self.iterations as f64]),
            tensor("sgd/learning_rate", &[self.learning_rate]),
            tensor("sgd/velocity", &self.velocity),
        ]
    }

    fn set_state(&mut self, state: &[NamedTensor<f64>]) -> Result<()> {
        let [kernel, iterations, learning_rate, velocity] = state else {
            return Err(Error::invalid("expected kernel, iterations, learning rate and velocity"));
        };
        self.kernel.clone_from(&kernel.values);
        self.iterations = iterations.values[0] as u64;
        self.learning_rate = learning_rate.values[0];
        self.velocity.clone_from(&velocity.values);
        Ok(())
    }
}

fn tensor(name: &str, values: &[f64]) -> NamedTensor<f64> {
    NamedTensor { name: name.into(), dims: vec![values.len()], values: values.to_vec() }
}
