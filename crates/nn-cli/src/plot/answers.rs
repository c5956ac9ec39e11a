//! A run's network asked again: what it takes the test images for.

use mnist_data::{Dataset, Split};
use nn_core::Scalar;
use nn_core::backend::Choice;
use nn_core::exec::{Session, SessionOptions};
use nn_core::graph::Graph;
use nn_core::init::Initializer;
use nn_core::matrix::{Csr, InputRef};
use nn_core::models::NamedTensor;
use nn_core::ops::Activation;
use nn_train::metrics::argmax_rows;
use nn_train::weights::read_weights;

use super::run::Run;
use crate::args::{ACTIVATIONS, DataSource};
use crate::data::load;
use crate::failure::Failure;
use crate::train::WHITE;

/// The test images and what the network says about them.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) data: Dataset,
    /// A class per image.
    pub(crate) predicted: Vec<i32>,
    /// The probability of each class for each image, row by row.
    pub(crate) probabilities: Vec<f64>,
}

impl Answers {
    /// Reads data and weights, builds the network that fits the weights, and runs it over all test images.
    pub(crate) fn of(run: &Run) -> Result<Self, Failure> {
        let model = run.model()?;
        let options =
            run.figures.config.as_ref().ok_or_else(|| run.wrong("expected the run's options, \"config\""))?;
        let activation =
            ACTIVATIONS.into_iter().find(|f| f.name() == options.activation).ok_or_else(|| {
                let known = ACTIVATIONS.map(Activation::name).join(", ");
                run.wrong(format_args!("expected an activation of {known}, found \"{}\"", options.activation))
            })?;
        let data = load(&DataSource::from(options.data.clone()))?;
        if data.test.is_empty() {
            return Err(run.wrong("has no test figures: its data have no test images"));
        }
        // In the precision that the run had: near a tie the other one might say something else.
        let probabilities = match options.dtype.as_str() {
            "f32" => ask::<f32>(read_weights(&model)?, activation, &data.test),
            _ => ask::<f64>(read_weights(&model)?, activation, &data.test),
        };
        let probabilities =
            probabilities.map_err(|e| Failure::other(format_args!("{}: {e}", model.display())))?;
        let classes = probabilities.len() / data.test.len();
        if classes != data.class_count() {
            return Err(run.wrong(format_args!(
                "expected a network of {} classes, as many as its data have, found {classes}",
                data.class_count()
            )));
        }
        let predicted = argmax_rows(&probabilities, classes)?;
        Ok(Self { data, predicted, probabilities })
    }
}

/// The dense layers `dense`, `dense_1`, … one upon the other, the activation between them, softmax at the end.
fn ask<T: Scalar>(
    weights: Vec<NamedTensor<T>>,
    activation: Activation,
    test: &Split,
) -> nn_core::Result<Vec<f64>> {
    let layer = |n: usize| if n == 0 { "dense".to_owned() } else { format!("dense_{n}") };
    let find = |name: String| weights.iter().find(|t| t.name == name);
    let pairs: Vec<_> = (0..)
        .map_while(|n| find(format!("{}/kernel", layer(n))).zip(find(format!("{}/bias", layer(n)))))
        .collect();
    if pairs.is_empty() || 2 * pairs.len() != weights.len() {
        let names: Vec<&str> = weights.iter().map(|t| t.name.as_str()).collect();
        return Err(nn_core::Error::invalid(format_args!(
            "expected the kernel and the bias of layers dense, dense_1, …, found {names:?}"
        )));
    }
    let mut g = Graph::new();
    let x = g.placeholder("input", &[None, Some(test.images.pixels())])?;
    let mut output = x;
    let mut variables = Vec::new();
    for (n, (kernel, bias)) in pairs.iter().enumerate() {
        let [w, b] = [kernel, bias].map(|t| g.variable(&t.name, &t.dims, Initializer::Zeros));
        let (w, b) = (w?, b?);
        variables.extend([(w, *kernel), (b, *bias)]);
        let product = g.matmul(output, w)?;
        output = g.add(product, b)?;
        output = if n + 1 < pairs.len() { g.activation(activation, output)? } else { g.softmax(output)? };
    }
    let variables: Vec<_> =
        variables.into_iter().filter_map(|(node, t)| Some((g.variable_of(node)?, t))).collect();
    let mut session = Session::new(g, SessionOptions::new(Choice::default().open::<T>()?))?;
    for (id, tensor) in variables {
        session.set_variable(id, &tensor.values, &tensor.dims)?;
    }
    let images = Csr::from_bytes(test.images.bytes(), test.len(), test.images.pixels(), T::of(WHITE))?;
    let out = session.run(&[output], &[(x, InputRef::sparse(&images).into())])?;
    Ok(out.floats(0)?.iter().map(|&p| p.wide()).collect())
}
