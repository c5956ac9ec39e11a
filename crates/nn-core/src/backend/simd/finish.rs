//! What becomes of a product's sums.

use super::vector::{Element, On, Vector};
use crate::matrix::MatRef;
use crate::ops::Activation;

/// What is done to each finished element of C while its tile is in the L1 cache.
#[derive(Debug, Clone, Copy)]
pub(super) enum Finish<'a, T> {
    /// Nothing.
    Nothing,
    /// f(c + bias of the column)
    Activate(Activation, Option<&'a [T]>),
    /// c · f′, with f′ told from the activation's output at the same place.
    Slope(Activation, MatRef<'a, T>),
}

impl<T: Element> Finish<'_, T> {
    /// Carries it out for the elements from (`i`, `j`) on, of which `len` count.
    #[cfg_attr(not(test), inline(always))]
    #[cfg_attr(test, inline(never))]
    pub(super) fn apply<V: Vector<T = T>>(&self, on: On<V>, i: usize, j: usize, len: usize, c: V) -> V {
        match *self {
            Finish::Nothing => c,
            Finish::Activate(f, None) => on.activation(f, c),
            Finish::Activate(f, Some(bias)) => {
                on.activation(f, c.add(on.load_part(&bias[j..j + len], T::zero())))
            }
            Finish::Slope(f, output) => {
                // Only in blocks it takes two divisions to find a place.
                let output = if output.is_plain() { &output.row(i)[j..] } else { output.run(i, j) };
                on.slope(f, c, on.load_part(&output[..len], T::zero()))
            }
        }
    }

    /// The same for some columns, which lie in one block of what it reads, as if there were no others.
    #[inline(always)]
    pub(super) fn of_columns(&self, columns: &std::ops::Range<usize>) -> Self {
        match *self {
            Finish::Nothing => Finish::Nothing,
            Finish::Activate(f, bias) => Finish::Activate(f, bias.map(|bias| &bias[columns.clone()])),
            Finish::Slope(f, output) => Finish::Slope(f, output.strip(columns.start, columns.len())),
        }
    }
}
