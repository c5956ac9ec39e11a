//! Unknown dimensions: a symbol each, until two turn out to be one.

use super::{Dim, Graph, Shape, Symbol};
use crate::Result;

impl Graph {
    /// Whether a symbol stands for itself: it was not found to be another one, or a number.
    pub(crate) fn is_open(&self, symbol: Symbol) -> bool {
        self.resolve_dim(Dim::Symbol(symbol)) == Dim::Symbol(symbol)
    }

    /// Runs `body`; if it fails, dimensions that it made one are what they were before.
    #[track_caller]
    pub(super) fn all_or_nothing<R>(&mut self, body: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let before = self.symbols.clone();
        let result = self.on_behalf(body);
        if result.is_err() {
            self.symbols = before;
        }
        result
    }

    /// A dimension of which nothing is known.
    pub(super) fn fresh_symbol(&mut self) -> Dim {
        self.symbols.push(None);
        Dim::Symbol(Symbol(self.symbols.len() as u32 - 1))
    }

    pub(super) fn resolve_dim(&self, mut dim: Dim) -> Dim {
        while let Dim::Symbol(symbol) = dim {
            match self.symbols[symbol.0 as usize] {
                Some(next) => dim = next,
                None => break,
            }
        }
        dim
    }

    pub(super) fn resolve(&self, shape: &Shape) -> Shape {
        Shape::new(shape.dims().iter().map(|&dim| self.resolve_dim(dim)))
    }

    /// Makes two dimensions one, if they can be.
    pub(super) fn unify(&mut self, a: Dim, b: Dim) -> bool {
        match (self.resolve_dim(a), self.resolve_dim(b)) {
            (a, b) if a == b => true,
            (Dim::Symbol(s), other) | (other, Dim::Symbol(s)) => {
                self.symbols[s.0 as usize] = Some(other);
                true
            }
            _ => false,
        }
    }
}
