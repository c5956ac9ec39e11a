//! What learning programs want to be given: scaled matrices, bytes with their scale, sparse matrices.
//!
//! All of them show the flattened matrix `X` of shape `[images, pixels]`, row-major, with `X = bytes / 255`.

use crate::error::Result;
use crate::images::out_of_range;
use crate::{Images, Scalar};

/// Pixels as bytes together with what to divide them by: `X = bytes / divisor`, shape
/// `[rows, columns]`, row-major. A quarter of the memory of `f32`, and nothing is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantized<'a> {
    /// The elements, `rows · columns` of them.
    pub bytes: &'a [u8],
    /// How many images.
    pub rows: usize,
    /// Pixels per image.
    pub columns: usize,
    /// What a byte is divided by: 255.
    pub divisor: u8,
}

/// A sparse matrix in compressed-row form (CSR): row `i` has the non-zero elements
/// `values[indptr[i]..indptr[i + 1]]` in the columns `indices[indptr[i]..indptr[i + 1]]`, which rise.
///
/// ```
/// use mnist_data::Images;
///
/// let images = Images::new(2, 1, 3, vec![0, 255, 0, 51, 0, 255])?;
/// let sparse = images.csr::<f64>();
/// assert_eq!(sparse.indptr, [0, 1, 3]);
/// assert_eq!(sparse.indices, [1, 0, 2]);
/// assert_eq!(sparse.values, [1.0, 0.2, 1.0]);
/// # Ok::<(), mnist_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csr<V> {
    /// How many images.
    pub rows: usize,
    /// Pixels per image.
    pub columns: usize,
    /// Where each row starts; one more entry than rows, the last being the number of non-zeros.
    pub indptr: Vec<usize>,
    /// The column of each non-zero.
    pub indices: Vec<u32>,
    /// The non-zeros.
    pub values: Vec<V>,
}

impl<V> Csr<V> {
    /// How many elements are stored.
    pub fn non_zeros(&self) -> usize {
        self.values.len()
    }

    /// The columns and values of row `index`, or `None` beyond the last.
    pub fn row(&self, index: usize) -> Option<(&[u32], &[V])> {
        let range = *self.indptr.get(index)?..*self.indptr.get(index.checked_add(1)?)?;
        Some((self.indices.get(range.clone())?, self.values.get(range)?))
    }
}

impl Images {
    /// The matrix `[len, pixels]` scaled to [0, 1]: `byte / 255`, divided in `T`.
    ///
    /// ```
    /// use mnist_data::Images;
    ///
    /// let images = Images::new(1, 1, 2, vec![51, 255])?;
    /// assert_eq!(images.scaled::<f32>(), [0.2, 1.0]);
    /// # Ok::<(), mnist_data::Error>(())
    /// ```
    pub fn scaled<T: Scalar>(&self) -> Vec<T> {
        let scale = scale::<T>();
        let scaled = self.bytes().iter().map(|&b| scale[usize::from(b)]);
        scaled.collect()
    }

    /// The rows `indices` of the scaled matrix, `[indices.len(), pixels]`, into `out`, whose memory is used again:
    /// what a training loop does for each batch.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for an index beyond the last image.
    pub fn gather_scaled<T: Scalar>(&self, indices: &[usize], out: &mut Vec<T>) -> Result<()> {
        let scale = scale::<T>();
        out.clear();
        for &index in indices {
            let image = self.get(index).ok_or_else(|| out_of_range(index, self.len()))?;
            out.extend(image.iter().map(|&b| scale[usize::from(b)]));
        }
        Ok(())
    }

    /// The matrix `[len, pixels]` as it is stored, with its scale.
    pub fn quantized(&self) -> Quantized<'_> {
        Quantized { bytes: self.bytes(), rows: self.len(), columns: self.pixels(), divisor: u8::MAX }
    }

    /// The matrix `[len, pixels]` scaled to [0, 1], in sparse form.
    pub fn csr<T: Scalar>(&self) -> Csr<T> {
        let scale = scale::<T>();
        self.sparse(|byte| scale[usize::from(byte)])
    }

    /// The matrix `[len, pixels]` in sparse form with bytes for values, to be divided by 255.
    pub fn csr_bytes(&self) -> Csr<u8> {
        self.sparse(|byte| byte)
    }

    fn sparse<V>(&self, value: impl Fn(u8) -> V) -> Csr<V> {
        let non_zeros = self.bytes().iter().filter(|&&b| b != 0).count();
        let mut csr = Csr {
            rows: self.len(),
            columns: self.pixels(),
            indptr: Vec::with_capacity(self.len() + 1),
            indices: Vec::with_capacity(non_zeros),
            values: Vec::with_capacity(non_zeros),
        };
        csr.indptr.push(0);
        for image in self.iter() {
            for (column, &byte) in (0u32..).zip(image) {
                if byte != 0 {
                    csr.indices.push(column);
                    csr.values.push(value(byte));
                }
            }
            csr.indptr.push(csr.values.len());
        }
        csr
    }
}

/// All 256 scaled values, so that each is divided once.
fn scale<T: Scalar>() -> [T; 256] {
    let mut scale = [T::ZERO; 256];
    for (byte, scaled) in (0..=u8::MAX).zip(&mut scale) {
        *scaled = T::from_pixel(byte);
    }
    scale
}
