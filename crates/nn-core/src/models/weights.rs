//! Weights and state of a network, read and replaced by name or by place.

use std::borrow::Cow;

use super::network::Network;
use crate::graph::VarId;
use crate::{Error, Result, Scalar};

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

impl<T: Scalar> Network<T> {
    /// The weights in Keras' order: layer by layer, kernel before bias. Statistics that are saved with them (those of batch
    /// normalisation) are among them.
    pub fn weights(&self) -> Vec<NamedTensor<T>> {
        self.weights.iter().map(|&id| self.tensor(id)).collect()
    }

    /// All that training changes: weights, the optimizer's slots, its count of steps and its learning rate, and the counters
    /// that layers draw random numbers by.
    pub fn state(&self) -> Vec<NamedTensor<T>> {
        self.weights.iter().chain(&self.state).map(|&id| self.tensor(id)).collect()
    }

    fn tensor(&self, id: VarId) -> NamedTensor<T> {
        NamedTensor {
            name: self.name_of(id).into_owned(),
            dims: self.session.graph().var(id).dims.clone(),
            values: self.session.variable(id).data().to_vec(),
        }
    }

    /// What a variable is called: its name in the graph, but for the optimizer's. In a network that was compiled again they
    /// are in a scope `adam_1`, as the first optimizer's are still in the graph; they are called `adam/…` all the same, so
    /// that state goes from one network of a model to another, however often each was compiled.
    fn name_of(&self, id: VarId) -> Cow<'_, str> {
        let graph = self.session.graph();
        let name = &graph.var(id).name;
        let compiled = self.training.as_ref().and_then(|training| training.compiled.as_ref());
        let Some(prepared) = compiled.map(|compiled| compiled.prepared()) else { return name.into() };
        let (scope, optimizer) = (prepared.scope(), prepared.optimizer().name());
        let within = |name: &str, scope: &str| name.strip_prefix(scope)?.strip_prefix('/').map(str::to_owned);
        // A layer of that name has it.
        let is_taken = || self.weights.iter().any(|&id| within(&graph.var(id).name, optimizer).is_some());
        match within(name, scope) {
            Some(rest) if scope != optimizer && !is_taken() => format!("{optimizer}/{rest}").into(),
            _ => name.into(),
        }
    }

    /// Replaces the weights. All are named, each once, in any order.
    ///
    /// # Errors
    /// If a name is missing, unknown or given twice, or dimensions differ; nothing has changed then.
    pub fn set_weights(&mut self, tensors: &[NamedTensor<T>]) -> Result<()> {
        let pairs = self.by_name(tensors, &self.weights)?;
        self.set(&pairs)
    }

    /// Replaces the weights by those of another network with the same shapes in the same order, whatever their names.
    ///
    /// # Errors
    /// If there are more or fewer, or dimensions differ; nothing has changed then.
    pub fn set_weights_in_order(&mut self, tensors: &[NamedTensor<T>]) -> Result<()> {
        if tensors.len() != self.weights.len() {
            return Err(Error::shape(format_args!(
                "weights: expected {} tensors, found {}",
                self.weights.len(),
                tensors.len()
            )));
        }
        let pairs: Vec<_> = self.weights.iter().copied().zip(tensors).collect();
        self.set(&pairs)
    }

    /// Replaces all that training changes, as [`state`](Self::state) gave it.
    ///
    /// # Errors
    /// If a name is missing, unknown or given twice, or dimensions differ; nothing has changed then.
    pub fn set_state(&mut self, tensors: &[NamedTensor<T>]) -> Result<()> {
        let all: Vec<VarId> = self.weights.iter().chain(&self.state).copied().collect();
        let pairs = self.by_name(tensors, &all)?;
        self.set(&pairs)
    }

    /// The tensor of each of the variables `wanted`.
    fn by_name<'t>(
        &self,
        tensors: &'t [NamedTensor<T>],
        wanted: &[VarId],
    ) -> Result<Vec<(VarId, &'t NamedTensor<T>)>> {
        let names: Vec<Cow<'_, str>> = wanted.iter().map(|&id| self.name_of(id)).collect();
        let mut pairs = Vec::with_capacity(wanted.len());
        for (&id, name) in wanted.iter().zip(&names) {
            let mut named = tensors.iter().filter(|tensor| tensor.name == *name);
            match (named.next(), named.next()) {
                (Some(tensor), None) => pairs.push((id, tensor)),
                (None, _) => return Err(self.misfit(id, "it is missing")),
                (Some(_), Some(_)) => return Err(self.misfit(id, "it is there twice")),
            }
        }
        let unknown = |tensor: &&NamedTensor<T>| names.iter().all(|name| *name != tensor.name);
        match tensors.iter().find(unknown) {
            None => Ok(pairs),
            Some(stranger) => Err(Error::invalid(format_args!(
                "weights: \"{}\" belongs to no variable of this network",
                stranger.name
            ))),
        }
    }

    /// Replaces values, all of them or none.
    fn set(&mut self, pairs: &[(VarId, &NamedTensor<T>)]) -> Result<()> {
        for &(id, tensor) in pairs {
            let expected = &self.session.graph().var(id).dims;
            if tensor.dims != *expected || tensor.values.len() != expected.iter().product::<usize>() {
                let found = format!("found {:?} with {} values", tensor.dims, tensor.values.len());
                return Err(self.misfit(id, &found));
            }
        }
        pairs.iter().try_for_each(|(id, tensor)| self.session.set_variable(*id, &tensor.values, &tensor.dims))
    }

    #[cold]
    fn misfit(&self, id: VarId, problem: &str) -> Error {
        let dims = &self.session.graph().var(id).dims;
        Error::shape(format_args!("weights: expected \"{}\" {dims:?}: {problem}", self.name_of(id)))
    }
}
