//! Pixel statistics of a set of images.

use crate::Images;

/// How the pixels of a set of images are distributed. Values are in units of a byte, 0 to 255; divide by 255 for
/// those of the scaled matrix. Sums are exact (integers); each figure is rounded once or twice at the end.
/// Without images, means and fractions are 0.
///
/// ```
/// use mnist_data::{Images, PixelStats};
///
/// let stats = PixelStats::of(&Images::new(2, 1, 2, vec![0, 10, 0, 30])?);
/// assert_eq!((stats.mean, stats.zero_fraction, stats.never_lit), (10.0, 0.5, 1));
/// assert_eq!(stats.pixel_mean, [0.0, 20.0]);
/// assert_eq!(stats.pixel_std, [0.0, 10.0]);
/// # Ok::<(), mnist_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PixelStats {
    /// Smallest value.
    pub min: u8,
    /// Largest value.
    pub max: u8,
    /// Mean over all pixels of all images.
    pub mean: f64,
    /// Standard deviation over all pixels of all images (population: divided by their number).
    pub std: f64,
    /// The part of all pixels that is 0.
    pub zero_fraction: f64,
    /// How many of an image's pixels are 0 in every image.
    pub never_lit: usize,
    /// Mean over the images, for each of an image's pixels.
    pub pixel_mean: Vec<f64>,
    /// Standard deviation over the images, for each of an image's pixels (population).
    pub pixel_std: Vec<f64>,
    /// How often each byte value occurs.
    pub histogram: [u64; 256],
}

impl PixelStats {
    /// Computes them all in one pass.
    pub fn of(images: &Images) -> PixelStats {
        let mut pixels = vec![Moments::default(); images.pixels()];
        let mut histogram = [0u64; 256];
        for image in images.iter() {
            for (pixel, &byte) in pixels.iter_mut().zip(image) {
                pixel.sum += u64::from(byte);
                pixel.squares += u64::from(byte) * u64::from(byte);
                histogram[usize::from(byte)] += 1;
            }
        }
        let all = pixels
            .iter()
            .fold(Moments::default(), |a, p| Moments { sum: a.sum + p.sum, squares: a.squares + p.squares });
        let (per_pixel, in_all) = (images.len() as u64, images.bytes().len() as u64);
        let lit = |&&n: &&u64| n > 0;
        let first = histogram.iter().position(|n| lit(&n));
        let last = histogram.iter().rposition(|n| lit(&n));
        PixelStats {
            min: first.unwrap_or(0) as u8,
            max: last.unwrap_or(0) as u8,
            mean: all.mean(in_all),
            std: all.std(in_all),
            zero_fraction: histogram[0] as f64 / in_all.max(1) as f64,
            never_lit: pixels.iter().filter(|p| p.sum == 0).count(),
            pixel_mean: pixels.iter().map(|p| p.mean(per_pixel)).collect(),
            pixel_std: pixels.iter().map(|p| p.std(per_pixel)).collect(),
            histogram,
        }
    }
}

/// Exact sums of values and of their squares.
#[derive(Clone, Copy, Default)]
struct Moments {
    sum: u64,
    squares: u64,
}

impl Moments {
    fn mean(self, count: u64) -> f64 {
        self.sum as f64 / count.max(1) as f64
    }

    /// √(n·Σx² − (Σx)²) / n, the difference exact.
    fn std(self, count: u64) -> f64 {
        let (n, sum) = (u128::from(count), u128::from(self.sum));
        let spread = n * u128::from(self.squares) - sum * sum;
        (spread as f64).sqrt() / count.max(1) as f64
    }
}
