//! Grey images, all of one size, one byte per pixel.

use crate::error::{Error, Result};
use crate::idx;

/// Grey images of one size: `count × rows × columns` bytes, row by row, 0 (paper) to 255 (ink).
///
/// ```
/// use mnist_data::Images;
///
/// let two = Images::new(2, 1, 3, vec![0, 128, 255, 7, 8, 9])?;
/// assert_eq!(two.shape(), (2, 1, 3));
/// assert_eq!(two.get(1), Some(&[7u8, 8, 9][..]));
/// # Ok::<(), mnist_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    count: usize,
    rows: usize,
    columns: usize,
    bytes: Vec<u8>,
}

impl Images {
    /// Wraps `bytes`, which hold `count` images of `rows × columns` pixels.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if a size is zero or beyond IDX's 32 bits, or the number of bytes is not
    /// `count · rows · columns`.
    pub fn new(count: usize, rows: usize, columns: usize, bytes: Vec<u8>) -> Result<Self> {
        if rows == 0 || columns == 0 || [count, rows, columns].iter().any(|&n| n as u64 > MAX_SIZE) {
            return Err(Error::argument(
                "images",
                "at least one row and one column, and sizes below 2³²",
                format_args!("{count}×{rows}×{columns}"),
            ));
        }
        let length = rows.checked_mul(columns).and_then(|n| n.checked_mul(count));
        if length != Some(bytes.len()) {
            return Err(Error::argument(
                "images",
                format!("{count}·{rows}·{columns} bytes"),
                format_args!("{} bytes", bytes.len()),
            ));
        }
        Ok(Images { count, rows, columns, bytes })
    }

    /// Count, rows, columns.
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.count, self.rows, self.columns)
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Pixels of one image, rows · columns: what one row of the flattened matrix has.
    pub fn pixels(&self) -> usize {
        self.rows * self.columns
    }

    /// All pixels: the matrix `[len, pixels]`, row-major, flattened.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The pixels of image `index`, or `None` beyond the last.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        if index >= self.count {
            return None;
        }
        self.bytes.get(index * self.pixels()..(index + 1) * self.pixels())
    }

    /// One slice of pixels after the other.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, u8> {
        self.bytes.chunks_exact(self.pixels())
    }

    /// The images at `indices`, in that order, repeats allowed.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an index beyond the last image.
    pub fn select(&self, indices: &[usize]) -> Result<Images> {
        let mut bytes = Vec::with_capacity(indices.len().saturating_mul(self.pixels()));
        for &index in indices {
            let image = self.get(index).ok_or_else(|| out_of_range(index, self.count))?;
            bytes.extend_from_slice(image);
        }
        Images::new(indices.len(), self.rows, self.columns, bytes)
    }

    /// The images as an IDX file's bytes.
    pub fn to_idx(&self) -> Vec<u8> {
        let mut file = idx::header(&[self.count, self.rows, self.columns]);
        file.extend_from_slice(&self.bytes);
        file
    }
}

/// The largest size that an IDX header can say.
const MAX_SIZE: u64 = u32::MAX as u64;

pub(crate) fn out_of_range(index: usize, count: usize) -> Error {
    Error::argument("index", format!("below {count}"), index)
}
