//! The element types that views are made in.

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `f32` or `f64`: what pixels are scaled to. Sealed.
pub trait Scalar: sealed::Sealed + Copy + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;

    /// `byte / 255`, divided in this type, so that 0 ↦ 0 and 255 ↦ 1 exactly.
    fn from_pixel(byte: u8) -> Self;
}

impl Scalar for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;

    fn from_pixel(byte: u8) -> f32 {
        f32::from(byte) / f32::from(u8::MAX)
    }
}

impl Scalar for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;

    fn from_pixel(byte: u8) -> f64 {
        f64::from(byte) / f64::from(u8::MAX)
    }
}
