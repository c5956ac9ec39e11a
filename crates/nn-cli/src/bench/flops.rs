//! How many floating-point operations the products of a network take: those that are done, and those that they stand for.

use serde::Serialize;

/// What is counted, in words.
pub(super) const COUNTED: &str = "flops: 2·m·n·k for every product of layers, and of the first layer with sparse input 2·n for every pixel \
     that is not 0; activations, loss, accuracy and update are not counted";

/// Operations of products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct Flops {
    /// Those that are done.
    pub(super) done: u64,
    /// Those that it would be with all pixels.
    pub(super) dense_equivalent: u64,
}

impl Flops {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            done: self.done + other.done,
            dense_equivalent: self.dense_equivalent + other.dense_equivalent,
        }
    }
}

/// Rows of images, and how many of their pixels are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) count: usize,
    /// Pixels that reach the first layer: all, or those that are not 0.
    pub(super) entries: usize,
}

/// Columns of the input and units of each layer after it.
#[derive(Debug, Clone)]
pub(super) struct Widths(pub(super) Vec<usize>);

impl Widths {
    /// Y = X · W of every layer.
    pub(super) fn forward(&self, rows: Rows) -> Flops {
        self.count(rows, 1, 1)
    }

    /// Forward, dW = Xᵀ · δ of every layer, and δ · Wᵀ of every layer but the first.
    pub(super) fn step(&self, rows: Rows) -> Flops {
        self.count(rows, 2, 3)
    }

    /// `first` products of the first layer's size and `others` of each other layer's.
    fn count(&self, rows: Rows, first: u64, others: u64) -> Flops {
        let product = |a: usize, b: usize| 2 * a as u64 * b as u64;
        let mut layers = self.0.windows(2).map(|pair| (pair[0], pair[1]));
        let Some((columns, units)) = layers.next() else { return Flops::default() };
        let rest: u64 =
            layers.map(|(inputs, units)| others * product(rows.count, inputs) * units as u64).sum();
        Flops {
            done: first * product(rows.entries, units) + rest,
            dense_equivalent: first * product(rows.count, columns) * units as u64 + rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_counted_product_by_product() {
        // 5 rows, 7 → 4 → 3: forward 5·7·4 and 5·4·3, dW the same again, δ · Wᵀ 5·3·4; each two operations.
        let widths = Widths(vec![7, 4, 3]);
        let dense = Rows { count: 5, entries: 35 };
        let all = 2 * (2 * 5 * 7 * 4 + 3 * 5 * 4 * 3);
        assert_eq!(widths.step(dense), Flops { done: all, dense_equivalent: all });
        let sparse = widths.step(Rows { count: 5, entries: 6 });
        assert_eq!(sparse, Flops { done: 2 * (2 * 6 * 4 + 3 * 5 * 4 * 3), dense_equivalent: all });
        assert_eq!(widths.forward(dense).done, 2 * (5 * 7 * 4 + 5 * 4 * 3));
    }

    #[test]
    fn a_network_without_hidden_layers_has_no_product_that_goes_back() {
        let rows = Rows { count: 5, entries: 35 };
        assert_eq!(Widths(vec![7, 3]).step(rows).done, 2 * 2 * 5 * 7 * 3);
    }
}
