//! Symbolic shapes: every dimension is a number, except that the first may be unknown until data is fed.

use std::fmt;

use smallvec::SmallVec;

/// One dimension of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dim {
    /// Known when the graph is built.
    Fixed(usize),
    /// Known when data is fed; written `None`. Two dimensions with the same symbol are the same number.
    Symbol(Symbol),
}

/// The identity of an unknown dimension within one graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(pub(crate) u32);

/// The shape of a tensor: no dimensions for a scalar, `[None, 784]` for a batch of images.
///
/// ```
/// use nn_core::graph::Shape;
/// assert_eq!(Shape::fixed(&[784, 512]).to_string(), "[784, 512]");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(SmallVec<[Dim; USUAL_RANK]>);

/// Dimensions that need no memory of their own: those of nearly every tensor, and a run looks at the shape of each feed.
const USUAL_RANK: usize = 4;

impl Shape {
    /// The shape without dimensions.
    pub fn scalar() -> Self {
        Self::default()
    }

    /// A shape known throughout.
    pub fn fixed(dims: &[usize]) -> Self {
        Self(dims.iter().map(|&n| Dim::Fixed(n)).collect())
    }

    pub(crate) fn new(dims: impl IntoIterator<Item = Dim>) -> Self {
        Self(dims.into_iter().collect())
    }

    /// Its dimensions.
    pub fn dims(&self) -> &[Dim] {
        &self.0
    }

    /// How many dimensions there are.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The symbol of the batch axis, if the first dimension is unknown.
    pub fn batch(&self) -> Option<Symbol> {
        match self.0.first() {
            Some(&Dim::Symbol(symbol)) => Some(symbol),
            _ => None,
        }
    }

    /// All dimensions as numbers, with `rows` in the place of an unknown first one.
    pub fn with_batch(&self, rows: usize) -> Vec<usize> {
        let number = |dim: &Dim| match *dim {
            Dim::Fixed(n) => n,
            Dim::Symbol(_) => rows,
        };
        self.0.iter().map(number).collect()
    }

    /// The number of elements for each index of the batch axis, or of all elements where there is no batch axis.
    pub fn row_len(&self) -> usize {
        self.0.iter().map(|dim| if let Dim::Fixed(n) = dim { *n } else { 1 }).product()
    }

    /// The shape without its leading `n` dimensions.
    pub(crate) fn suffix(&self, n: usize) -> Self {
        Self(self.0[n..].into())
    }

    /// The leading `n` dimensions.
    pub(crate) fn prefix(&self, n: usize) -> Self {
        Self(self.0[..n].into())
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(n) => n.fmt(f),
            Self::Symbol(_) => f.write_str("None"),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, dim) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            dim.fmt(f)?;
        }
        f.write_str("]")
    }
}

/// How an operand's elements are spread over those of an elementwise result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spread {
    /// One element for each of the result's.
    Same,
    /// One element for all.
    Scalar,
    /// The operand's dimensions are the result's last ones: its elements repeat as a whole (a bias: `[n]` in `[m, n]`).
    Suffix,
    /// The operand's dimensions are the result's first `n`, then ones or none: each of its elements is repeated in
    /// place (a column: `[m, 1]` in `[m, n]`).
    Prefix(usize),
}

/// How `from` spreads over `to` by NumPy's rules, where that is one of the forms that kernels exist for.
pub(crate) fn spread(from: &Shape, to: &Shape) -> Option<Spread> {
    let one = Dim::Fixed(1);
    if from == to {
        return Some(Spread::Same);
    }
    if from.rank() > to.rank() {
        return None;
    }
    if from.0.iter().all(|&d| d == one) {
        return Some(Spread::Scalar);
    }
    let trimmed = from.0.iter().position(|&d| d != one).map_or(&[][..], |start| &from.0[start..]);
    if to.0.ends_with(trimmed) {
        return Some(Spread::Suffix);
    }
    let kept = from.0.iter().rposition(|&d| d != one).map_or(0, |last| last + 1);
    let aligned = from.rank() == to.rank() && from.0[..kept] == to.0[..kept];
    aligned.then_some(Spread::Prefix(kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_spread_as_numpy_has_it() {
        let m = Shape::fixed(&[4, 3]);
        let how = |dims: &[usize]| spread(&Shape::fixed(dims), &m);
        assert_eq!(how(&[4, 3]), Some(Spread::Same));
        assert_eq!(how(&[]), Some(Spread::Scalar));
        assert_eq!(how(&[1, 1]), Some(Spread::Scalar));
        assert_eq!(how(&[3]), Some(Spread::Suffix));
        assert_eq!(how(&[1, 3]), Some(Spread::Suffix));
        assert_eq!(how(&[4, 1]), Some(Spread::Prefix(1)));
        assert_eq!(how(&[4]), None);
        assert_eq!(how(&[1, 1, 3]), None);
    }
}
