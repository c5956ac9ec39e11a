//! Weights and state of a network, read and replaced by name or by place.

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
        let variable = self.session.graph().var(id);
        NamedTensor {
            name: variable.name.clone(),
            dims: variable.dims.clone(),
            values: self.session.variable(id).data().to_vec(),
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
        let name_of = |id: VarId| &self.session.graph().var(id).name;
        let mut pairs = Vec::with_capacity(wanted.len());
        for &id in wanted {
            let mut named = tensors.iter().filter(|tensor| tensor.name == *name_of(id));
            match (named.next(), named.next()) {
                (Some(tensor), None) => pairs.push((id, tensor)),
                (None, _) => return Err(self.misfit(id, "it is missing")),
                (Some(_), Some(_)) => return Err(self.misfit(id, "it is there twice")),
            }
        }
        let unknown = |tensor: &&NamedTensor<T>| wanted.iter().all(|&id| *name_of(id) != tensor.name);
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
        let variable = self.session.graph().var(id);
        Error::shape(format_args!("weights: expected \"{}\" {:?}: {problem}", variable.name, variable.dims))
    }
}
