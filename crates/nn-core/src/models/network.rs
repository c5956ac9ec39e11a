//! A network that trains: a session, and which of its nodes are which. Every level of abstraction ends in one.

use crate::exec::{Session, SessionOptions};
use crate::graph::{Graph, Node, VarId};
use crate::matrix::InputRef;
use crate::{Error, Result, Scalar};

/// The nodes of a classifier's graph that training needs.
#[derive(Debug, Clone, Copy)]
pub struct Endpoints {
    /// The rows fed: float \[None, features\].
    pub input: Node,
    /// Their classes: int \[None\].
    pub labels: Node,
    /// What is predicted: the probability of each class, \[None, classes\].
    pub output: Node,
    /// The mean loss over the batch, regularisers included: a scalar.
    pub loss: Node,
    /// The fraction of rows classified right: a scalar.
    pub accuracy: Node,
    /// Running it makes one step.
    pub train: Node,
}

/// What a batch came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchStats {
    /// Rows of the batch.
    pub rows: usize,
    /// Mean loss, regularisers included.
    pub loss: f64,
    /// Fraction classified right, 0 to 1.
    pub accuracy: f64,
}

/// A variable's name and value.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor<T> {
    /// Its name, such as `dense/kernel`.
    pub name: String,
    /// Its dimensions; none for a scalar.
    pub dims: Vec<usize>,
    /// Its elements, row-major.
    pub values: Vec<T>,
}

/// A classifier with its weights, its optimizer's state, and the session that runs it.
#[derive(Debug)]
pub struct Network<T> {
    session: Session<T>,
    ends: Endpoints,
}

impl<T: Scalar> Network<T> {
    /// A network over a graph that was built by hand or by layers.
    ///
    /// # Errors
    /// If the session can't be made.
    pub fn new(graph: Graph, ends: Endpoints, options: SessionOptions<T>) -> Result<Self> {
        Ok(Self { session: Session::new(graph, options)?, ends })
    }

    /// The session.
    pub fn session(&self) -> &Session<T> {
        &self.session
    }

    /// The session, to run other fetches with.
    pub fn session_mut(&mut self) -> &mut Session<T> {
        &mut self.session
    }

    /// The nodes.
    pub fn endpoints(&self) -> &Endpoints {
        &self.ends
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.session.graph().shape(self.ends.output).row_len()
    }

    /// The number of features of an input row.
    pub fn features(&self) -> usize {
        self.session.graph().shape(self.ends.input).row_len()
    }

    /// One training step. Loss and accuracy are those before the step.
    ///
    /// # Errors
    /// If rows and labels don't fit the network or each other; nothing has changed then.
    pub fn train_on_batch(&mut self, x: InputRef<'_, T>, labels: &[i32]) -> Result<BatchStats> {
        self.measure(x, labels, &[self.ends.loss, self.ends.accuracy, self.ends.train])
    }

    /// Loss and accuracy on a batch.
    ///
    /// # Errors
    /// If rows and labels don't fit the network or each other.
    pub fn test_on_batch(&mut self, x: InputRef<'_, T>, labels: &[i32]) -> Result<BatchStats> {
        self.measure(x, labels, &[self.ends.loss, self.ends.accuracy])
    }

    fn measure(&mut self, x: InputRef<'_, T>, labels: &[i32], fetches: &[Node]) -> Result<BatchStats> {
        let rows = x.rows();
        if rows == 0 {
            return Err(Error::invalid("batch: expected one row or more, found none"));
        }
        let out =
            self.session.run(fetches, &[(self.ends.input, x.into()), (self.ends.labels, labels.into())])?;
        Ok(BatchStats { rows, loss: out.scalar(0)?.wide(), accuracy: out.scalar(1)?.wide() })
    }

    /// The probability of each class for each row: \[rows, classes\], row-major, until the next call.
    ///
    /// # Errors
    /// If the rows don't fit the network.
    pub fn predict_on_batch(&mut self, x: InputRef<'_, T>) -> Result<&[T]> {
        self.session.run(&[self.ends.output], &[(self.ends.input, x.into())])?.floats(0)
    }

    /// The trainable variables, in the order of creation.
    pub fn weights(&self) -> Vec<NamedTensor<T>> {
        self.tensors(|trainable| trainable)
    }

    /// All variables: weights, the optimizer's slots, its count of steps and its learning rate.
    pub fn state(&self) -> Vec<NamedTensor<T>> {
        self.tensors(|_| true)
    }

    fn tensors(&self, wanted: impl Fn(bool) -> bool) -> Vec<NamedTensor<T>> {
        let variables = self.session.graph().variables().iter().enumerate();
        variables
            .filter(|(_, v)| wanted(v.trainable))
            .map(|(i, v)| NamedTensor {
                name: v.name.clone(),
                dims: v.dims.clone(),
                values: self.session.variable(VarId(i)).data().to_vec(),
            })
            .collect()
    }

    /// Replaces the weights. All are named, each once.
    ///
    /// # Errors
    /// If a name is missing, unknown or given twice, or dimensions differ; nothing has changed then.
    pub fn set_weights(&mut self, tensors: &[NamedTensor<T>]) -> Result<()> {
        self.set(tensors, |trainable| trainable)
    }

    /// Replaces all variables, as [`state`](Self::state) gave them.
    ///
    /// # Errors
    /// If a name is missing, unknown or given twice, or dimensions differ; nothing has changed then.
    pub fn set_state(&mut self, tensors: &[NamedTensor<T>]) -> Result<()> {
        self.set(tensors, |_| true)
    }

    fn set(&mut self, tensors: &[NamedTensor<T>], wanted: impl Fn(bool) -> bool) -> Result<()> {
        let variables = self.session.graph().variables();
        let mut found = Vec::with_capacity(tensors.len());
        for (i, v) in variables.iter().enumerate().filter(|(_, v)| wanted(v.trainable)) {
            let mut named = tensors.iter().filter(|t| t.name == v.name);
            let (tensor, again) = (named.next(), named.next());
            let problem = match tensor {
                None => "it is missing".to_owned(),
                Some(_) if again.is_some() => "it is there twice".to_owned(),
                Some(t) if t.dims != v.dims || t.values.len() != v.dims.iter().product::<usize>() => {
                    format!("found {:?} with {} values", t.dims, t.values.len())
                }
                Some(t) => {
                    found.push((VarId(i), t));
                    continue;
                }
            };
            return Err(Error::shape(format_args!(
                "weights: expected \"{}\" {:?}: {problem}",
                v.name, v.dims
            )));
        }
        if found.len() != tensors.len() {
            let known = |t: &&NamedTensor<T>| !found.iter().any(|(_, f)| f.name == t.name);
            let stranger = tensors.iter().find(known).map_or("", |t| &t.name);
            return Err(Error::invalid(format_args!(
                "weights: \"{stranger}\" belongs to no variable of this network"
            )));
        }
        for (id, tensor) in found {
            self.session.set_variable(id, &tensor.values, &tensor.dims)?;
        }
        Ok(())
    }
}
