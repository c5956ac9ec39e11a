//! The element types of the engine: `f32`, which people train in, and `f64`, which gradients are checked in.

use std::fmt;

/// A floating-point element type. Sealed: `f32` and `f64` are the two that the backends have kernels for.
///
/// ```
/// use nn_core::Scalar;
/// assert_eq!(f32::of(0.5), 0.5f32);
/// assert_eq!(f64::NAME, "f64");
/// ```
pub trait Scalar:
    num_traits::Float
    + num_traits::NumAssign
    + std::iter::Sum
    + Default
    + fmt::Debug
    + fmt::Display
    + fmt::LowerExp
    + Send
    + Sync
    + sealed::Sealed
    + 'static
{
    /// `"f32"` or `"f64"`.
    const NAME: &'static str;

    /// Machine epsilon, the gap between 1 and the next number: 2⁻²³ or 2⁻⁵².
    const EPSILON: Self;

    /// The nearest value to `x`.
    fn of(x: f64) -> Self;

    /// `self` widened to `f64`.
    fn wide(self) -> f64;

    /// A `u8` pixel value, exactly.
    fn of_byte(x: u8) -> Self;
}

macro_rules! scalar {
    ($t:ty, $name:literal) => {
        impl sealed::Sealed for $t {}
        impl Scalar for $t {
            const NAME: &'static str = $name;
            const EPSILON: Self = <$t>::EPSILON;
            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn wide(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn of_byte(x: u8) -> Self {
                <$t>::from(x)
            }
        }
    };
}
scalar!(f32, "f32");
scalar!(f64, "f64");

mod sealed {
    pub trait Sealed {}
}
