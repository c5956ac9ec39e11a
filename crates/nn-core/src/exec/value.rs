//! What goes into a run and what comes out.

use crate::matrix::{AlignedBuf, InputRef, MatRef};
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
