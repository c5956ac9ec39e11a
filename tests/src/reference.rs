//! The figures of `reference/*.json`: Keras made them in float64, NumPy confirmed them (`reference/make.py`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use nn_core::backend::Backend;
use nn_core::matrix::{InputRef, MatRef};
use nn_core::models::{NamedTensor, Network};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::engine::assert_close;

/// How far a figure may be off, relative to the largest of its array: what the project promises. In f64 only the order of
/// some sums differs from Keras', a few units of 1e-16 for each of some dozen steps, so that all figures agree to 1e-14; a
/// constant that was rounded to f32 somewhere shows at 1e-8.
pub const TOLERANCE: f64 = 1e-9;

/// A file: what all of its cases are given, and the cases.
#[derive(Debug, Deserialize)]
#[serde(bound = "G: DeserializeOwned, S: DeserializeOwned, E: DeserializeOwned")]
pub struct Reference<G, S, E> {
    /// Data and weights.
    pub given: G,
    /// One or more.
    pub cases: Vec<Case<S, E>>,
}

/// A case of a file.
#[derive(Debug, Deserialize)]
pub struct Case<S, E> {
    /// Its name.
    pub name: String,
    /// How it is set up.
    pub settings: S,
    /// What comes of it.
    pub expected: E,
}

/// An array of any rank. In the files it is written as lists of lists.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Array {
    /// Its dimensions; none for a number.
    pub dims: Vec<usize>,
    /// Its elements, row-major.
    pub values: Vec<f64>,
}

/// Weights by name, such as `dense/kernel`.
pub type Weights = BTreeMap<String, Array>;

impl<G: DeserializeOwned, S: DeserializeOwned, E: DeserializeOwned> Reference<G, S, E> {
    /// Reads `reference/NAME.json`.
    pub fn load(name: &str) -> Self {
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("reference").join(name).with_extension("json");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let table: Self = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(!table.cases.is_empty(), "{}: no cases", path.display());
        table
    }
}

impl<G, S, E> Reference<G, S, E> {
    /// Every case with every backend.
    pub fn on<'a>(
        &'a self,
        backends: &'a [Arc<dyn Backend<f64>>],
    ) -> impl Iterator<Item = (&'a Case<S, E>, Arc<dyn Backend<f64>>)> {
        self.cases
            .iter()
            .flat_map(move |case| backends.iter().map(move |backend| (case, Arc::clone(backend))))
    }
}

impl Array {
    /// The number of columns of a matrix.
    pub fn cols(&self) -> usize {
        *self.dims.last().expect("a matrix")
    }

    /// The i-th array of those along the first axis.
    pub fn at(&self, i: usize) -> Self {
        let size = self.dims[1..].iter().product::<usize>();
        Self { dims: self.dims[1..].to_vec(), values: self.values[i * size..(i + 1) * size].to_vec() }
    }

    /// The rows of a matrix.
    pub fn matrix(&self) -> InputRef<'_, f64> {
        InputRef::dense(MatRef::new(&self.values, self.dims[0], self.cols()).expect("a matrix"))
    }

    /// Panics unless `found` are these numbers, within [`TOLERANCE`].
    pub fn assert_met(&self, context: &str, found: &[f64]) {
        assert_close(context, found, &self.values, TOLERANCE);
    }
}

/// Panics unless `found` are these weights, all of them, whatever the models are called that they are in.
pub fn assert_weights_met(context: &str, found: &[NamedTensor<f64>], expected: &Weights) {
    assert_eq!(found.len(), expected.len(), "{context}: weights");
    for tensor in found {
        let expected = &expected[local(&tensor.name)];
        assert_eq!(tensor.dims, expected.dims, "{context}: {}", tensor.name);
        expected.assert_met(&format!("{context}: {}", tensor.name), &tensor.values);
    }
}

/// Gives a network the file's weights.
///
/// # Errors
/// If they don't fit the network.
pub fn begin_with(network: &mut Network<f64>, weights: &Weights) -> nn_core::Result<()> {
    let value =
        |like: NamedTensor<f64>| NamedTensor { values: weights[local(&like.name)].values.clone(), ..like };
    let values: Vec<_> = network.weights().into_iter().map(value).collect();
    network.set_weights(&values)
}

/// `layer/kernel` of `model/layer/kernel`.
fn local(name: &str) -> &str {
    let cut = name.rmatch_indices('/').nth(1);
    cut.map_or(name, |(at, _)| &name[at + 1..])
}

impl<'de> Deserialize<'de> for Array {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let mut array = Self { dims: dims(&value), values: Vec::new() };
        flatten(&value, &array.dims, &mut array.values).map_err(D::Error::custom)?;
        Ok(array)
    }
}

/// Those of the first element at each depth.
fn dims(mut value: &serde_json::Value) -> Vec<usize> {
    let mut dims = Vec::new();
    while let serde_json::Value::Array(elements) = value {
        dims.push(elements.len());
        value = elements.first().unwrap_or(&serde_json::Value::Null);
    }
    dims
}

fn flatten(value: &serde_json::Value, dims: &[usize], values: &mut Vec<f64>) -> Result<(), String> {
    match (value, dims.split_first()) {
        (serde_json::Value::Array(elements), Some((&n, inner))) if elements.len() == n => {
            elements.iter().try_for_each(|element| flatten(element, inner, values))
        }
        (serde_json::Value::Number(number), None) => {
            values.push(number.as_f64().ok_or_else(|| format!("{number} is no f64"))?);
            Ok(())
        }
        _ => Err(format!("expected an array of dimensions {dims:?}, found {value}")),
    }
}
