//! What a run hands out.

use super::program::Fetched;
use crate::matrix::AlignedBuf;
use crate::{Error, Result, Scalar};

/// The buffer of one fetch.
#[derive(Debug)]
pub(super) struct FetchBuf<T> {
    pub(super) dims: Vec<usize>,
    pub(super) floats: AlignedBuf<T>,
    pub(super) ints: AlignedBuf<i32>,
    pub(super) is_ints: bool,
    pub(super) is_value: bool,
}

impl<T: Scalar> FetchBuf<T> {
    pub(super) fn new(fetched: &Fetched) -> Self {
        let (dims, is_ints, is_value) = match fetched {
            Fetched::Nothing => (vec![], false, false),
            Fetched::Rows { operand, dims, .. } | Fetched::Once { operand, dims } => {
                (dims.clone(), operand.ints, true)
            }
        };
        let len: usize = if is_value { dims.iter().product() } else { 0 };
        let (floats, ints) = if is_ints { (0, len) } else { (len, 0) };
        Self { dims, floats: AlignedBuf::zeroed(floats), ints: AlignedBuf::zeroed(ints), is_ints, is_value }
    }
}

/// The values of a run's fetches, in their order.
#[derive(Debug)]
pub struct Outputs<'s, T> {
    pub(super) values: &'s [FetchBuf<T>],
}

impl<'s, T: Scalar> Outputs<'s, T> {
    fn value(&self, i: usize) -> Result<&'s FetchBuf<T>> {
        self.values.get(i).filter(|v| v.is_value).ok_or_else(|| {
            Error::invalid(format_args!(
                "outputs: fetch {i} has no value ({} were fetched; assignments and groups have none)",
                self.values.len()
            ))
        })
    }

    /// The dimensions of fetch `i`; none for a scalar and for what has no value.
    pub fn dims(&self, i: usize) -> &'s [usize] {
        self.values.get(i).map_or(&[], |v| &v.dims)
    }

    /// The elements of fetch `i`, row-major.
    ///
    /// # Errors
    /// If it holds no floats.
    pub fn floats(&self, i: usize) -> Result<&'s [T]> {
        match self.value(i)? {
            v if v.is_ints => {
                Err(Error::invalid(format_args!("outputs: fetch {i} holds ints; ask for ints({i})")))
            }
            v => Ok(&v.floats),
        }
    }

    /// The elements of fetch `i`, integers or (0 and 1) outcomes of comparisons.
    ///
    /// # Errors
    /// If it holds floats.
    pub fn ints(&self, i: usize) -> Result<&'s [i32]> {
        match self.value(i)? {
            v if v.is_ints => Ok(&v.ints),
            _ => Err(Error::invalid(format_args!("outputs: fetch {i} holds floats; ask for floats({i})"))),
        }
    }

    /// The value of fetch `i`, a float scalar.
    ///
    /// # Errors
    /// If it is not one.
    pub fn scalar(&self, i: usize) -> Result<T> {
        match self.floats(i)? {
            &[x] => Ok(x),
            _ => Err(Error::invalid(format_args!(
                "outputs: fetch {i} has the shape {:?}, not a scalar's",
                self.dims(i)
            ))),
        }
    }
}
