//! The largest element of each row: a column in each vector, a row in each lane, so that nothing is compared within a vector.

use super::classes::load_columns;
use super::vector::{Element, Kernel, On, Square, Vector};
use crate::backend::reference;
use crate::matrix::MatRef;

/// Most columns: their numbers are exact in `f32`.
const MAX_COLUMNS: usize = 1 << 24;

/// indexᵢ ← the column of the largest element of xᵢ, the first of equals; NaN is less than every number.
pub(super) struct ArgMax<'a, T> {
    pub(super) x: MatRef<'a, T>,
    pub(super) index: &'a mut [i32],
}

impl<T: Element> Kernel<T> for ArgMax<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(self, on: On<V>) {
        let Self { x, index } = self;
        let n = x.cols();
        // One by one: where lanes would be idle, too.
        if n > MAX_COLUMNS || V::LANES <= 2 || x.rows() <= V::LANES / 4 {
            return reference::argmax(x, index);
        }
        assert_eq!(index.len(), x.rows(), "argmax: number of indices");
        let (zero, one, none) = (on.zero(), on.one(), on.splat(T::of(n as f64)));
        let (lowest, highest) = (on.splat(T::neg_infinity()), on.splat(T::infinity()));
        let mut columns = Square::zeroed();
        for (i, index) in index.chunks_mut(V::LANES).enumerate() {
            // The largest number so far and where it is, but −∞ and n before there is one above −∞: for a row that has none, the
            // first that is no NaN is kept beside it.
            let (mut largest, mut at, mut first, mut column) = (lowest, none, none, zero);
            for j in (0..n).step_by(V::LANES) {
                load_columns(on, x, i * V::LANES, j, &mut *columns);
                for v in columns.chunks_exact(V::LANES).take(V::LANES.min(n - j)) {
                    let v = on.load(v);
                    at = largest.select_lt(v, column, at);
                    largest = v.max(largest);
                    first = v.min(highest).select_lt(highest, column, none).min(first);
                    column = column.add(one);
                }
            }
            let at = at.select_lt(none, at, first.select_lt(none, first, zero));
            for (index, at) in index.iter_mut().zip(on.lanes(at)) {
                *index = at.wide() as i32;
            }
        }
    }
}
