//! What variables hold before training: seeded, and the same on every machine.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{Error, Result};

/// How a variable gets its first values. For a kernel \[in, out\], fan-in and fan-out are its two dimensions.
///
/// ```
/// use nn_core::init::Initializer;
/// let w = Initializer::GlorotUniform.values(&[784, 512], 7, 0)?;
/// let limit = (6.0f64 / (784.0 + 512.0)).sqrt();
/// assert!(w.iter().all(|v| v.abs() <= limit));
/// assert_eq!(w, Initializer::GlorotUniform.values(&[784, 512], 7, 0)?);
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Initializer {
    /// All 0.
    Zeros,
    /// All the same.
    Constant(f64),
    /// U(−a, a) with a = √(6 / (fan-in + fan-out)) (Glorot & Bengio 2010).
    GlorotUniform,
    /// N(0, σ) with σ = √(2 / (fan-in + fan-out)), cut at 2σ as Keras does.
    GlorotNormal,
    /// U(−a, a) with a = √(6 / fan-in) (He et al. 2015).
    HeUniform,
    /// N(0, σ) with σ = √(2 / fan-in), cut at 2σ as Keras does.
    HeNormal,
    /// N(0, σ).
    Normal(f64),
    /// U(−a, a).
    Uniform(f64),
    /// An orthogonal matrix times this gain: Q of a Gaussian matrix's QR, columns signed so that R's diagonal is
    /// positive (Saxe et al. 2014).
    Orthogonal(f64),
    /// These numbers, row-major.
    Values(Arc<[f64]>),
}

impl Initializer {
    /// Whether this can fill a tensor with these dimensions.
    pub(crate) fn check(&self, dims: &[usize]) -> Result<()> {
        let size: usize = dims.iter().product();
        match self {
            Self::Values(values) if values.len() != size => Err(Error::shape(format_args!(
                "{} values were given for the shape {dims:?}, which holds {size}",
                values.len()
            ))),
            Self::Orthogonal(_) if dims.len() != 2 => {
                Err(Error::shape(format_args!("orthogonal needs a matrix, the shape is {dims:?}")))
            }
            Self::Normal(s) | Self::Uniform(s) if !(s.is_finite() && *s >= 0.0) => Err(Error::invalid(
                format_args!("the width of a distribution must be finite and not negative, it is {s}"),
            )),
            _ => Ok(()),
        }
    }

    /// The values for a tensor with these dimensions, row-major. `seed` and `stream` (the variable's number) choose the
    /// random numbers: ChaCha8, so that they are the same everywhere.
    ///
    /// # Errors
    /// If this can't fill such a tensor.
    pub fn values(&self, dims: &[usize], seed: u64, stream: u64) -> Result<Vec<f64>> {
        self.check(dims)?;
        let mut rng = Random::new(seed, stream);
        let size: usize = dims.iter().product();
        let (fan_in, fan_out) = fans(dims);
        // What cutting at 2σ does to the standard deviation of a normal distribution is undone, as Keras does.
        const CUT_NORMAL_STD: f64 = 0.879_625_661_034_239_8;
        let uniform = |rng: &mut Random, a: f64| (0..size).map(|_| rng.symmetric() * a).collect();
        let cut =
            |rng: &mut Random, s: f64| (0..size).map(|_| rng.cut_normal() * s / CUT_NORMAL_STD).collect();
        Ok(match self {
            Self::Zeros => vec![0.0; size],
            Self::Constant(value) => vec![*value; size],
            Self::GlorotUniform => uniform(&mut rng, (6.0 / (fan_in + fan_out)).sqrt()),
            Self::GlorotNormal => cut(&mut rng, (2.0 / (fan_in + fan_out)).sqrt()),
            Self::HeUniform => uniform(&mut rng, (6.0 / fan_in).sqrt()),
            Self::HeNormal => cut(&mut rng, (2.0 / fan_in).sqrt()),
            Self::Normal(s) => (0..size).map(|_| rng.normal() * s).collect(),
            Self::Uniform(a) => uniform(&mut rng, *a),
            Self::Orthogonal(gain) => orthogonal(dims[0], dims[1], *gain, &mut rng),
            Self::Values(values) => values.to_vec(),
        })
    }
}

/// (fan-in, fan-out): \[in, out\] for a matrix, the length twice for a vector, 1 for a scalar.
fn fans(dims: &[usize]) -> (f64, f64) {
    match *dims {
        [] => (1.0, 1.0),
        [n] => (n as f64, n as f64),
        [.., i, o] => (i as f64, o as f64),
    }
}

/// A matrix with orthonormal columns (or rows, if there are fewer of them), times `gain`.
fn orthogonal(rows: usize, cols: usize, gain: f64, rng: &mut Random) -> Vec<f64> {
    let (tall, wide) = (rows.max(cols), rows.min(cols));
    let gaussian: Vec<f64> = (0..tall * wide).map(|_| rng.normal()).collect();
    let q = orthonormal_columns(gaussian, tall, wide);
    let at = |i: usize, j: usize| if rows >= cols { q[i * wide + j] } else { q[j * wide + i] };
    (0..rows * cols).map(|e| gain * at(e / cols, e % cols)).collect()
}

/// Q of the QR factorisation of an m × n matrix (m ≥ n, row-major), signed so that R's diagonal is positive: LAPACK's.
#[cfg(feature = "openblas-system")]
fn orthonormal_columns(a: Vec<f64>, m: usize, n: usize) -> Vec<f64> {
    use ndarray_linalg::QR;
    let matrix = ndarray::Array2::from_shape_vec((m, n), a.clone());
    match matrix.map(|matrix| matrix.qr()) {
        Ok(Ok((mut q, r))) => {
            for j in 0..n {
                if r[[j, j]] < 0.0 {
                    q.column_mut(j).mapv_inplace(|v| -v);
                }
            }
            q.as_standard_layout().iter().copied().collect()
        }
        _ => householder_q(a, m, n),
    }
}

#[cfg(not(feature = "openblas-system"))]
fn orthonormal_columns(a: Vec<f64>, m: usize, n: usize) -> Vec<f64> {
    householder_q(a, m, n)
}

/// The same by Householder reflections (Golub & Van Loan, Matrix Computations, §5.2).
fn householder_q(mut a: Vec<f64>, m: usize, n: usize) -> Vec<f64> {
    let mut reflectors: Vec<(Vec<f64>, f64)> = Vec::with_capacity(n);
    let mut signs = Vec::with_capacity(n);
    for j in 0..n {
        let mut v: Vec<f64> = (j..m).map(|i| a[i * n + j]).collect();
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let diagonal = if v[0] > 0.0 { -norm } else { norm };
        v[0] -= diagonal;
        let squared: f64 = v.iter().map(|x| x * x).sum();
        let scale = if squared > 0.0 { 2.0 / squared } else { 0.0 };
        reflect(&mut a, n, j, &v, scale);
        signs.push(if diagonal < 0.0 { -1.0 } else { 1.0 });
        reflectors.push((v, scale));
    }
    let mut q = vec![0.0; m * n];
    for j in 0..n {
        q[j * n + j] = signs[j];
    }
    for (j, (v, scale)) in reflectors.iter().enumerate().rev() {
        reflect(&mut q, n, j, v, *scale);
    }
    q
}

/// A ← (I − scale · v vᵀ) A on the rows from `first` on.
fn reflect(a: &mut [f64], n: usize, first: usize, v: &[f64], scale: f64) {
    let mut dots = vec![0.0; n];
    for (i, &v) in v.iter().enumerate() {
        for (d, &x) in dots.iter_mut().zip(&a[(first + i) * n..][..n]) {
            *d += v * x;
        }
    }
    for (i, &v) in v.iter().enumerate() {
        for (x, &d) in a[(first + i) * n..][..n].iter_mut().zip(&dots) {
            *x -= scale * v * d;
        }
    }
}

/// A stream of random numbers.
struct Random {
    rng: ChaCha8Rng,
    spare: Option<f64>,
}

impl Random {
    fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self { rng, spare: None }
    }

    /// U\[0, 1) with 53 random bits.
    fn unit(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// U\[−1, 1)
    fn symmetric(&mut self) -> f64 {
        2.0 * self.unit() - 1.0
    }

    /// N(0, 1) by the polar method (Marsaglia & Bray 1964).
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (u, v) = (self.symmetric(), self.symmetric());
            let s = u * u + v * v;
            if s > 0.0 && s < 1.0 {
                let factor = (-2.0 * s.ln() / s).sqrt();
                self.spare = Some(v * factor);
                return u * factor;
            }
        }
    }

    /// N(0, 1) with what lies beyond ±2 drawn again.
    fn cut_normal(&mut self) -> f64 {
        loop {
            let x = self.normal();
            if x.abs() <= 2.0 {
                return x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f64]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt())
    }

    #[test]
    fn every_distribution_has_the_spread_that_its_formula_says() -> Result<()> {
        let dims = [300, 200];
        for (init, std) in [
            (Initializer::GlorotUniform, (2.0f64 / 500.0).sqrt()),
            (Initializer::GlorotNormal, (2.0f64 / 500.0).sqrt()),
            (Initializer::HeUniform, (2.0f64 / 300.0).sqrt()),
            (Initializer::HeNormal, (2.0f64 / 300.0).sqrt()),
            (Initializer::Normal(0.1), 0.1),
            (Initializer::Uniform(0.3), 0.3 / 3.0f64.sqrt()),
        ] {
            // 60,000 draws: the standard error of the mean is std / 245, of the deviation at most std / 245.
            let (mean, found) = moments(&init.values(&dims, 3, 1)?);
            assert!(mean.abs() < 5.0 * std / 245.0, "{init:?}: mean {mean}");
            assert!((found / std - 1.0).abs() < 5.0 / 245.0, "{init:?}: {found} instead of {std}");
        }
        Ok(())
    }

    #[test]
    fn an_orthogonal_matrix_has_orthonormal_columns_or_rows() -> Result<()> {
        for (m, n) in [(7, 4), (4, 7), (5, 5), (1, 3)] {
            let q = Initializer::Orthogonal(1.0).values(&[m, n], 5, 0)?;
            let small = m.min(n);
            let at = |i: usize, k: usize| if m >= n { q[k * n + i] } else { q[i * n + k] };
            for i in 0..small {
                for j in 0..small {
                    let dot: f64 = (0..m.max(n)).map(|k| at(i, k) * at(j, k)).sum();
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!((dot - expected).abs() < 1e-14, "{m}×{n}: ⟨{i}, {j}⟩ = {dot}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn streams_and_seeds_differ_and_values_must_fit() -> Result<()> {
        let draw = |seed, stream| Initializer::Normal(1.0).values(&[8], seed, stream);
        assert_ne!(draw(1, 0)?, draw(1, 1)?);
        assert_ne!(draw(1, 0)?, draw(2, 0)?);
        assert_eq!(draw(1, 0)?, draw(1, 0)?);
        assert!(Initializer::Values([1.0].into()).values(&[2], 0, 0).is_err());
        assert!(Initializer::Orthogonal(1.0).values(&[2], 0, 0).is_err());
        assert!(Initializer::Normal(f64::NAN).values(&[2], 0, 0).is_err());
        Ok(())
    }
}
