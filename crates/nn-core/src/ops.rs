//! The vocabulary that graph and backends share: activations, elementwise operations, and the checked arguments of
//! the larger kernels. A value of one of these argument types is the proof that its shapes fit.

mod pass;

pub use pass::{Pass, PassArgs, PassParts, Source, Step, Update};

use crate::matrix::{MatMut, MatRef};
use crate::{Error, Result, Scalar};

/// An activation function whose derivative can be told from its output alone.
///
/// ```
/// use nn_core::ops::Activation;
/// assert_eq!(Activation::Relu.eval(-2.0f32), 0.0);
/// assert_eq!(Activation::Tanh.slope(0.5f64), 0.75); // 1 − y²
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// f(x) = x
    Linear,
    /// f(x) = tanh x, f′ = 1 − y²
    Tanh,
    /// f(x) = max(x, 0), f′ = 1 where y > 0, else 0
    Relu,
    /// f(x) = 1 / (1 + e⁻ˣ), f′ = y (1 − y)
    Sigmoid,
}

impl Activation {
    /// f(x). A NaN stays a NaN.
    #[inline(always)]
    pub fn eval<T: Scalar>(self, x: T) -> T {
        match self {
            Self::Linear => x,
            Self::Tanh => x.tanh(),
            Self::Relu => {
                if x < T::zero() {
                    T::zero()
                } else {
                    x
                }
            }
            Self::Sigmoid => T::one() / (T::one() + (-x).exp()),
        }
    }

    /// f′ as a function of the output y = f(x).
    #[inline(always)]
    pub fn slope<T: Scalar>(self, y: T) -> T {
        match self {
            Self::Linear => T::one(),
            Self::Tanh => T::one() - y * y,
            Self::Relu => {
                if y > T::zero() {
                    T::one()
                } else {
                    T::zero()
                }
            }
            Self::Sigmoid => y * (T::one() - y),
        }
    }

    /// The name that people write: `linear`, `tanh`, `relu`, `sigmoid`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Tanh => "tanh",
            Self::Relu => "relu",
            Self::Sigmoid => "sigmoid",
        }
    }
}

/// An elementwise function of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unary {
    /// −x
    Neg,
    /// eˣ
    Exp,
    /// ln x
    Log,
    /// ln(1 + x), accurate near 0
    Log1p,
    /// √x
    Sqrt,
    /// x²
    Square,
    /// |x|
    Abs,
    /// −1, 0 or 1; the derivative of |x|
    Sign,
    /// The largest whole number that is not above x
    Floor,
    /// sin x
    Sin,
    /// cos x
    Cos,
    /// f(x) of an activation
    Activation(Activation),
}

impl Unary {
    /// The function's value at `x`.
    #[inline(always)]
    pub fn eval<T: Scalar>(self, x: T) -> T {
        match self {
            Self::Neg => -x,
            Self::Exp => x.exp(),
            Self::Log => x.ln(),
            Self::Log1p => x.ln_1p(),
            Self::Sqrt => x.sqrt(),
            Self::Square => x * x,
            Self::Abs => x.abs(),
            Self::Sign if x > T::zero() => T::one(),
            Self::Sign if x < T::zero() => -T::one(),
            Self::Sign => x * T::zero(),
            Self::Floor => x.floor(),
            Self::Sin => x.sin(),
            Self::Cos => x.cos(),
            Self::Activation(f) => f.eval(x),
        }
    }

    /// The name used in pictures and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Neg => "neg",
            Self::Exp => "exp",
            Self::Log => "log",
            Self::Log1p => "log1p",
            Self::Sqrt => "sqrt",
            Self::Square => "square",
            Self::Abs => "abs",
            Self::Sign => "sign",
            Self::Floor => "floor",
            Self::Sin => "sin",
            Self::Cos => "cos",
            Self::Activation(f) => f.name(),
        }
    }
}

/// An elementwise function of two arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Binary {
    /// a + b
    Add,
    /// a − b
    Sub,
    /// a · b
    Mul,
    /// a / b
    Div,
    /// aᵇ
    Pow,
    /// max(a, b)
    Maximum,
    /// min(a, b)
    Minimum,
    /// a · f′, with f′ told from the activation's output b
    Slope(Activation),
}

impl Binary {
    /// The function's value at (`a`, `b`).
    #[inline(always)]
    pub fn eval<T: Scalar>(self, a: T, b: T) -> T {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Pow => a.powf(b),
            Self::Maximum => {
                if a < b {
                    b
                } else {
                    a
                }
            }
            Self::Minimum => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Self::Slope(f) => a * f.slope(b),
        }
    }

    /// The name used in pictures and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Pow => "pow",
            Self::Maximum => "maximum",
            Self::Minimum => "minimum",
            Self::Slope(Activation::Linear) => "linear_grad",
            Self::Slope(Activation::Tanh) => "tanh_grad",
            Self::Slope(Activation::Relu) => "relu_grad",
            Self::Slope(Activation::Sigmoid) => "sigmoid_grad",
        }
    }
}

/// An order of two numbers. Nothing holds where one of them is NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Comparison {
    /// a > b
    Greater,
    /// a ≥ b
    GreaterEqual,
    /// a < b
    Less,
    /// a ≤ b
    LessEqual,
}

impl Comparison {
    /// Whether it holds for (`a`, `b`).
    #[inline(always)]
    pub fn holds<T: Scalar>(self, a: T, b: T) -> bool {
        match self {
            Self::Greater => a > b,
            Self::GreaterEqual => a >= b,
            Self::Less => a < b,
            Self::LessEqual => a <= b,
        }
    }

    /// The name used in pictures and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Greater => "greater",
            Self::GreaterEqual => "greater_equal",
            Self::Less => "less",
            Self::LessEqual => "less_equal",
        }
    }
}

/// An argument of an elementwise kernel: as many elements as the output has, or one for all.
#[derive(Debug, Clone, Copy)]
pub enum Operand<'a, T> {
    /// One element for each of the output's.
    Slice(&'a [T]),
    /// The same value throughout.
    Splat(T),
}

/// What a kernel that sums up finds in its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    /// Nothing: the output is written without being read.
    Begin,
    /// A sum, which is added to.
    Continue,
}

/// Whether a matrix enters a product as it is or transposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trans {
    /// As it is.
    No,
    /// Transposed.
    Yes,
}

impl Trans {
    /// `(rows, cols)` of a matrix after this operation.
    #[inline(always)]
    pub fn apply(self, rows: usize, cols: usize) -> (usize, usize) {
        match self {
            Self::No => (rows, cols),
            Self::Yes => (cols, rows),
        }
    }

    /// The other one.
    #[must_use]
    pub fn flip(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Yes => Self::No,
        }
    }
}

/// C ← α op(A) op(B) + β C, with op(A): m×k, op(B): k×n, C: m×n. With β = 0, C is not read.
///
/// ```
/// use nn_core::matrix::{MatMut, MatRef};
/// use nn_core::ops::{Gemm, Trans};
/// let (a, b, mut c) = ([1.0; 6], [1.0; 12], [0.0; 8]);
/// let (a, b) = (MatRef::new(&a, 2, 3)?, MatRef::new(&b, 4, 3)?);
/// assert!(Gemm::new(1.0, a, Trans::No, b, Trans::No, 0.0, MatMut::new(&mut c, 2, 4)?).is_err());
/// let gemm = Gemm::new(1.0, a, Trans::No, b, Trans::Yes, 0.0, MatMut::new(&mut c, 2, 4)?)?;
/// assert_eq!((gemm.m(), gemm.n(), gemm.k()), (2, 4, 3));
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Gemm<'a, T> {
    alpha: T,
    a: MatRef<'a, T>,
    ta: Trans,
    b: MatRef<'a, T>,
    tb: Trans,
    beta: T,
    c: MatMut<'a, T>,
}

/// The parts of a [`Gemm`], for the kernel that carries it out.
#[derive(Debug)]
pub struct GemmParts<'a, T> {
    /// The factor of the product.
    pub alpha: T,
    /// The left matrix, as stored.
    pub a: MatRef<'a, T>,
    /// How the left matrix enters.
    pub ta: Trans,
    /// The right matrix, as stored.
    pub b: MatRef<'a, T>,
    /// How the right matrix enters.
    pub tb: Trans,
    /// The factor of what C held before; 0: C is not read.
    pub beta: T,
    /// The result.
    pub c: MatMut<'a, T>,
}

impl<'a, T: Scalar> Gemm<'a, T> {
    /// Checks the shapes. The arguments are in the order of the formula.
    ///
    /// # Errors
    /// If the three shapes don't fit together.
    pub fn new(
        alpha: T,
        a: MatRef<'a, T>,
        ta: Trans,
        b: MatRef<'a, T>,
        tb: Trans,
        beta: T,
        c: MatMut<'a, T>,
    ) -> Result<Self> {
        let ((m, ka), (kb, n)) = (ta.apply(a.rows(), a.cols()), tb.apply(b.rows(), b.cols()));
        if ka != kb || (m, n) != (c.rows(), c.cols()) {
            return Err(Error::shape(format_args!(
                "gemm: [{m}, {ka}] · [{kb}, {n}] → [{}, {}]: expected [m, k] · [k, n] → [m, n]",
                c.rows(),
                c.cols()
            )));
        }
        Ok(Self { alpha, a, ta, b, tb, beta, c })
    }

    /// Rows of op(A) and C.
    pub fn m(&self) -> usize {
        self.c.rows()
    }

    /// Columns of op(B) and C.
    pub fn n(&self) -> usize {
        self.c.cols()
    }

    /// Columns of op(A), rows of op(B).
    pub fn k(&self) -> usize {
        self.ta.apply(self.a.rows(), self.a.cols()).1
    }

    /// The parts, for the kernel.
    pub fn into_parts(self) -> GemmParts<'a, T> {
        let Self { alpha, a, ta, b, tb, beta, c } = self;
        GemmParts { alpha, a, ta, b, tb, beta, c }
    }
}

/// What the rows of a batch belong to.
#[derive(Debug, Clone, Copy)]
pub enum Labels<'a, T> {
    /// The class of each row. A number outside 0 .. classes makes that row's loss and gradient NaN.
    Classes(&'a [i32]),
    /// A probability for each class, `[rows, classes]`.
    Probabilities(MatRef<'a, T>),
}

impl<T> Labels<'_, T> {
    /// How many rows there are labels for.
    pub fn rows(&self) -> usize {
        match self {
            Self::Classes(c) => c.len(),
            Self::Probabilities(p) => p.rows(),
        }
    }
}
