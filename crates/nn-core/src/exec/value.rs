//! What goes into a run and what comes out.

use super::layout::is_kept_in_blocks;
use crate::backend::reference::fits;
use crate::matrix::{AlignedBuf, InputRef, MatMut, MatRef, blocked_len};
use crate::{Error, Result, Scalar};

/// A row-major tensor of floats that owns its elements.
///
/// ```
/// use nn_core::exec::Tensor;
/// let t = Tensor::new(&[2, 2], &[1.0f32, 2.0, 3.0, 4.0])?;
/// assert_eq!((t.dims(), t.data()[3]), ([2, 2].as_slice(), 4.0));
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Tensor<T> {
    dims: Vec<usize>,
    data: AlignedBuf<T>,
}

impl<T: Scalar> Clone for Tensor<T> {
    fn clone(&self) -> Self {
        Self { dims: self.dims.clone(), data: self.data.clone() }
    }
}

impl<T: Scalar> Tensor<T> {
    /// A tensor with these dimensions and elements.
    ///
    /// # Errors
    /// If there are not as many elements as the dimensions say.
    pub fn new(dims: &[usize], data: &[T]) -> Result<Self> {
        let expected: usize = dims.iter().product();
        if expected != data.len() {
            return Err(Error::shape(format_args!(
                "tensor: the shape {dims:?} holds {expected} elements, {} were given",
                data.len()
            )));
        }
        let mut buf = AlignedBuf::zeroed(expected);
        buf.copy_from_slice(data);
        Ok(Self { dims: dims.to_vec(), data: buf })
    }

    /// Its dimensions; none for a scalar.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Its elements, row-major.
    pub fn data(&self) -> &[T] {
        &self.data
    }
}

/// A variable as a session keeps it: in the layout in which kernels want it.
#[derive(Debug)]
pub(super) struct Variable<T> {
    dims: Vec<usize>,
    data: AlignedBuf<T>,
    /// Columns of a block, if it is in blocks.
    block: Option<usize>,
}

impl<T: Scalar> Variable<T> {
    /// The same elements, laid out for kernels that want blocks of `block` columns where that is possible.
    pub(super) fn new(value: &Tensor<T>, block: Option<usize>) -> Self {
        let block = block.filter(|_| is_kept_in_blocks(&value.dims, block));
        let mut this = Self { dims: value.dims.clone(), data: AlignedBuf::default(), block };
        let (rows, cols) = this.as_matrix();
        let len = if block.is_some() { blocked_len(rows, cols) } else { rows * cols };
        this.data = AlignedBuf::zeroed(len);
        this.set(fits(MatRef::new(&value.data, rows, cols)));
        this
    }

    /// Rows and columns: all dimensions but the last, and the last.
    pub(super) fn as_matrix(&self) -> (usize, usize) {
        self.dims.split_last().map_or((1, 1), |(&last, leading)| (leading.iter().product(), last))
    }

    /// Replaces the elements by those of a matrix of the same shape.
    pub(super) fn set(&mut self, from: MatRef<'_, T>) {
        let (rows, cols) = self.as_matrix();
        let mut to = fits(match self.block {
            Some(block) => MatMut::blocked(&mut self.data, rows, cols, block),
            None => MatMut::new(&mut self.data, rows, cols),
        });
        to.copy_from(from);
    }

    /// Copies the elements in row-major order.
    pub(super) fn copy_to(&self, to: &mut [T]) {
        let (rows, cols) = self.as_matrix();
        let from = fits(match self.block {
            Some(block) => MatRef::blocked(&self.data, rows, cols, block),
            None => MatRef::new(&self.data, rows, cols),
        });
        fits(MatMut::new(to, rows, cols)).copy_from(from);
    }

    /// The elements in row-major order.
    pub(super) fn to_tensor(&self) -> Tensor<T> {
        let mut data = AlignedBuf::zeroed(self.dims.iter().product());
        self.copy_to(&mut data);
        Tensor { dims: self.dims.clone(), data }
    }

    /// The elements as they lie in memory.
    pub(super) fn data(&self) -> &[T] {
        &self.data
    }

    pub(super) fn buf_mut(&mut self) -> &mut AlignedBuf<T> {
        &mut self.data
    }
}

/// A value for a placeholder.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Feed<'a, T> {
    /// Rows of a data set, for a float placeholder with a batch axis.
    Input(InputRef<'a, T>),
    /// Class indices or other integers.
    Ints(&'a [i32]),
    /// Floats for a placeholder whose dimensions are all known, row-major.
    Floats(&'a [T]),
}

impl<'a, T> From<InputRef<'a, T>> for Feed<'a, T> {
    fn from(input: InputRef<'a, T>) -> Self {
        Self::Input(input)
    }
}

impl<'a, T: Scalar> From<MatRef<'a, T>> for Feed<'a, T> {
    fn from(matrix: MatRef<'a, T>) -> Self {
        Self::Input(InputRef::dense(matrix))
    }
}

impl<'a, T> From<&'a [i32]> for Feed<'a, T> {
    fn from(ints: &'a [i32]) -> Self {
        Self::Ints(ints)
    }
}
