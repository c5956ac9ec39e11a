//! One and the same classifier, written at each level of abstraction.

use std::sync::Arc;

use nn_core::backend::Backend;
use nn_core::exec::SessionOptions;
use nn_core::graph::{DType, Graph, Node};
use nn_core::init::Initializer;
use nn_core::layers::{Dense, Nonlinearity};
use nn_core::losses::Loss;
use nn_core::metrics::Metric;
use nn_core::models::{Apply, Compile, Endpoints, Figures, Model, Network, Sequential, input};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use nn_core::{Result, Scalar};

/// features → 24 (tanh, L2) → 16 (relu) → classes.
#[derive(Debug, Clone)]
pub struct Classifier {
    /// Numbers in a row.
    pub features: usize,
    /// Classes.
    pub classes: usize,
    /// How it learns.
    pub optimizer: Optimizer,
    /// Threads.
    pub threads: usize,
}

const UNITS: [usize; 2] = [24, 16];
const L2: f64 = 0.001;

impl Classifier {
    fn options<T: Scalar>(&self, backend: Arc<dyn Backend<T>>) -> SessionOptions<T> {
        SessionOptions { threads: self.threads, seed: 7, ..SessionOptions::new(backend) }
    }

    /// With nothing but the graph's operations, down to the update (which must be SGD without momentum).
    ///
    /// # Errors
    /// None that a test expects.
    pub fn from_operations<T: Scalar>(&self, backend: Arc<dyn Backend<T>>) -> Result<Network<T>> {
        let learning_rate = self.optimizer.learning_rate();
        assert_eq!(self.optimizer, Optimizer::sgd(learning_rate), "the only one that is written out here");
        let mut g = Graph::new();
        let input = g.placeholder("x", &[None, Some(self.features)])?;
        let labels = g.typed_placeholder("y", &[None], DType::Int)?;
        let sizes = [self.features, UNITS[0], UNITS[1], self.classes];
        let mut weights = Vec::new();
        for (i, size) in sizes.windows(2).enumerate() {
            let name = if i == 0 { "dense".to_owned() } else { format!("dense_{i}") };
            weights.push(g.variable(&format!("{name}/kernel"), size, Initializer::GlorotUniform)?);
            weights.push(g.variable(&format!("{name}/bias"), &[size[1]], Initializer::Zeros)?);
        }
        let affine = |g: &mut Graph, x: Node, i: usize| {
            let product = g.matmul(x, weights[2 * i])?;
            g.add(product, weights[2 * i + 1])
        };
        let z = affine(&mut g, input, 0)?;
        let hidden = g.tanh(z)?;
        let z = affine(&mut g, hidden, 1)?;
        let hidden = g.relu(z)?;
        let logits = affine(&mut g, hidden, 2)?;

        let output = g.softmax(logits)?;
        let losses = g.softmax_cross_entropy(logits, labels)?;
        let loss = g.reduce_mean(losses)?;
        let squares = g.square(weights[0])?;
        let size = g.reduce_sum(squares)?;
        let factor = g.scalar(L2);
        let penalty = g.mul(factor, size)?;
        let loss = g.add(loss, penalty)?;
        let predicted = g.argmax(logits)?;
        let right = g.equal(predicted, labels)?;
        let right = g.cast(right, DType::Float);
        let hits = g.reduce_sum(right)?;

        let rate = g.scalar(learning_rate);
        let mut updates = Vec::new();
        for (&variable, gradient) in weights.iter().zip(g.gradients(loss, &weights)?) {
            let step = g.mul(rate, gradient)?;
            let new = g.sub(variable, step)?;
            updates.push(g.assign(variable, new)?);
        }
        let train = g.group(&updates);
        let ends = Endpoints::classifier(input, labels, output, [loss, hits, train]);
        Network::new(g, ends, self.options(backend))
    }

    fn layers(&self) -> [Dense; 3] {
        [
            Dense::new(UNITS[0]).activation(Activation::Tanh).regularizer(0.0, L2),
            Dense::new(UNITS[1]).activation(Activation::Relu),
            Dense::new(self.classes),
        ]
    }

    /// With layers, in a graph.
    ///
    /// # Errors
    /// None that a test expects.
    pub fn from_layers<T: Scalar>(&self, backend: Arc<dyn Backend<T>>) -> Result<Network<T>> {
        let mut g = Graph::new();
        let input = g.placeholder("x", &[None, Some(self.features)])?;
        let labels = g.typed_placeholder("y", &[None], DType::Int)?;
        let mut x = input;
        let mut penalties = Vec::new();
        for layer in self.layers() {
            let built = layer.build(&mut g, x)?;
            penalties.extend(built.penalty);
            x = built.output;
        }
        let output = g.softmax(x)?;
        let losses = g.softmax_cross_entropy(x, labels)?;
        let mut loss = g.reduce_mean(losses)?;
        for penalty in penalties {
            loss = g.add(loss, penalty)?;
        }
        let hits = Metric::Accuracy.nodes(&mut g, x, labels)?.sum;
        let train = self.optimizer.minimize(&mut g, loss)?;
        let ends = Endpoints::classifier(input, labels, output, [loss, hits, train]);
        Network::new(g, ends, self.options(backend))
    }

    fn model_layers(&self) -> [Dense; 3] {
        let [first, second, last] = self.layers();
        [first, second, last.activation(Nonlinearity::Softmax)]
    }

    fn learning(&self) -> Compile {
        Compile::new(self.optimizer.clone(), Loss::SparseCategoricalCrossEntropy).metric(Metric::Accuracy)
    }

    /// As a stack of layers.
    ///
    /// # Errors
    /// None that a test expects.
    pub fn from_model<T: Scalar>(&self, backend: Arc<dyn Backend<T>>) -> Result<Network<T>> {
        let model = Sequential::new(self.features);
        let model = self.model_layers().into_iter().fold(model, Sequential::add);
        model.compile(self.learning(), self.options(backend))
    }

    /// As layers called on each other's outputs.
    ///
    /// # Errors
    /// None that a test expects.
    pub fn from_functional<T: Scalar>(&self, backend: Arc<dyn Backend<T>>) -> Result<Network<T>> {
        let pixels = input("pixels", &[self.features]);
        let mut x = pixels.clone();
        for layer in self.model_layers() {
            x = layer.apply(&x)?;
        }
        Model::new(&pixels, &x)?.compile(self.learning(), self.options(backend))
    }
}

/// Everything that a network's life left behind, as bits.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Loss and accuracy of each step.
    pub steps: Vec<(u64, u64)>,
    /// The weights at the end, widened.
    pub weights: Vec<(String, Vec<u64>)>,
    /// The predictions at the end, widened.
    pub predictions: Vec<u64>,
}

impl Trace {
    /// The losses as numbers.
    pub fn losses(&self) -> Vec<f64> {
        self.steps.iter().map(|&(loss, _)| f64::from_bits(loss)).collect()
    }

    /// All weights as numbers.
    pub fn weights(&self) -> Vec<f64> {
        self.weights.iter().flat_map(|(_, values)| values).map(|&w| f64::from_bits(w)).collect()
    }
}

/// Trains on the whole of `digits` for some steps, then in batches of 37 rows taken in a mixed order, and predicts.
///
/// # Errors
/// None that a test expects.
pub fn trace<T: Scalar>(
    network: &mut Network<T>,
    digits: &crate::digits::Digits<T>,
    full: usize,
    batches: usize,
) -> Result<Trace> {
    use nn_core::matrix::Rows;
    let (x, labels) = (digits.x(), digits.labels());
    let mut steps = Vec::new();
    let mut record = |figures: Figures| {
        let accuracy = figures.get("accuracy").unwrap_or(f64::NAN);
        steps.push((figures.loss().to_bits(), accuracy.to_bits()));
    };
    for _ in 0..full {
        record(network.train_on_batch(x, labels)?);
    }
    let mut rng = crate::random::Rng(11);
    for _ in 0..batches {
        let picked: Vec<u32> = (0..37).map(|_| rng.below(labels.len()) as u32).collect();
        let classes: Vec<i32> = picked.iter().map(|&row| labels[row as usize]).collect();
        record(network.train_on_batch(x.select(Rows::List(&picked))?, &classes)?);
    }
    record(network.test_on_batch(x, labels)?);
    let bits = |values: &[T]| values.iter().map(|v| v.wide().to_bits()).collect::<Vec<_>>();
    let predictions = bits(network.predict_on_batch(x)?);
    let weights = network.weights().into_iter().map(|t| (t.name, bits(&t.values))).collect();
    Ok(Trace { steps, weights, predictions })
}
