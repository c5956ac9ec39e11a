//! Matrices as they lie in memory: plain or in blocks of columns, with something around the elements that shows who looks
//! or writes where nothing is.

use crate::backend::reference::fits;
use crate::matrix::{MatMut, MatRef, blocked_len};
use crate::{Result, Scalar};

/// Numbers before the first element, so that it does not lie where a vector would like it to.
const LEAD: usize = 3;

/// Numbers between the rows of a plain matrix, and behind either kind.
const GAP: usize = 5;

/// What stands around a matrix that is written.
const CANARY: f64 = -12345.5;

/// A matrix in memory.
pub(super) struct Stored<T> {
    data: Vec<T>,
    rows: usize,
    cols: usize,
    /// Columns of a block, if it is in blocks.
    block: Option<usize>,
}

impl<T: Scalar> Stored<T> {
    /// To be read: NaN around it and in the spare row of each block.
    pub(super) fn new(
        rows: usize,
        cols: usize,
        block: Option<usize>,
        at: impl Fn(usize, usize) -> T,
    ) -> Self {
        Self::within(T::nan(), rows, cols, block, at)
    }

    /// To be written: canaries around it.
    pub(super) fn guarded(
        rows: usize,
        cols: usize,
        block: Option<usize>,
        at: impl Fn(usize, usize) -> T,
    ) -> Self {
        Self::within(T::of(CANARY), rows, cols, block, at)
    }

    fn within(
        guard: T,
        rows: usize,
        cols: usize,
        block: Option<usize>,
        at: impl Fn(usize, usize) -> T,
    ) -> Self {
        // A single block is a plain matrix.
        let block = block.filter(|&block| cols > block && cols.is_multiple_of(block));
        let len = if block.is_some() { blocked_len(rows, cols) } else { rows * (cols + GAP) };
        let data = vec![guard; LEAD + len + GAP];
        let mut this = Self { data, rows, cols, block };
        for (i, j) in this.places() {
            let place = this.place(i, j);
            this.data[place] = at(i, j);
        }
        this
    }

    fn places(&self) -> impl Iterator<Item = (usize, usize)> + use<T> {
        let (rows, cols) = (self.rows, self.cols);
        (0..rows).flat_map(move |i| (0..cols).map(move |j| (i, j)))
    }

    fn place(&self, i: usize, j: usize) -> usize {
        LEAD + match self.block {
            Some(block) => j / block * blocked_len(self.rows, block) + i * block + j % block,
            None => i * (self.cols + GAP) + j,
        }
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.block.is_some()
    }

    pub(super) fn at(&self, i: usize, j: usize) -> T {
        self.data[self.place(i, j)]
    }

    pub(super) fn view(&self) -> MatRef<'_, T> {
        let data = &self.data[LEAD..];
        let view: Result<_> = match self.block {
            Some(block) => MatRef::blocked(data, self.rows, self.cols, block),
            None => MatRef::with_stride(data, self.rows, self.cols, self.cols + GAP),
        };
        fits(view)
    }

    pub(super) fn view_mut(&mut self) -> MatMut<'_, T> {
        let data = &mut self.data[LEAD..];
        let view: Result<_> = match self.block {
            Some(block) => MatMut::blocked(data, self.rows, self.cols, block),
            None => MatMut::with_stride(data, self.rows, self.cols, self.cols + GAP),
        };
        fits(view)
    }

    /// All elements, row by row.
    pub(super) fn elements(&self) -> Vec<T> {
        self.places().map(|(i, j)| self.at(i, j)).collect()
    }

    /// Panics unless each element is within its tolerance of what is expected, both told by `want`, and nothing around the
    /// matrix was written. The spare row of a block may be: that is what it is there for.
    pub(super) fn assert_close(&self, what: &str, want: impl Fn(usize, usize) -> (f64, f64)) {
        let mut allowed = vec![false; self.data.len()];
        for (i, j) in self.places() {
            let (got, (want, tolerance)) = (self.at(i, j).wide(), want(i, j));
            let right = (got - want).abs() <= tolerance;
            assert!(right, "{what}: element ({i}, {j}) is {got:e}, not {want:e} ± {tolerance:e}");
            allowed[self.place(i, j)] = true;
        }
        if let Some(block) = self.block {
            for j in 0..self.cols {
                allowed[LEAD + j / block * blocked_len(self.rows, block) + self.rows * block + j % block] =
                    true;
            }
        }
        for (at, &x) in self.data.iter().enumerate() {
            assert!(allowed[at] || x == T::of(CANARY), "{what}: wrote {x:e} outside of the matrix, at {at}");
        }
    }
}
