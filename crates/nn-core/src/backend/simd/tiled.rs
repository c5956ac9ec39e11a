//! Which element types have products in tile registers, on systems that have those.

use super::Simd;
use super::finish::Finish;
use super::vector::Element;
use crate::matrix::{InputRef, MatMut, MatRef, Scratch};
use crate::ops::Sum;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) use super::amx::is_available;

/// Whether this CPU has AMX, and this process may use it.
#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
pub(super) fn is_available() -> bool {
    false
}

/// An element type, and what of its products is formed in tiles: nothing, unless it says so.
pub(super) trait Tiled: Element {
    /// Whether any are, on this instruction set.
    fn tiles(_simd: Simd) -> bool {
        false
    }

    /// Whether products of these rows with so many columns are.
    fn are_tiled(_simd: Simd, _x: &InputRef<'_, Self>, _cols: usize) -> bool {
        false
    }

    /// Y ← finish(X · W), for rows that are.
    fn product(
        _simd: Simd,
        _x: InputRef<'_, Self>,
        _w: MatRef<'_, Self>,
        _finish: Finish<'_, Self>,
        _y: MatMut<'_, Self>,
        _scratch: &mut Scratch<Self>,
    ) {
        unreachable!("a product without tiles");
    }

    /// dW ← α Xᵀ · δ where the sum begins, dW ← dW + α Xᵀ · δ where it continues, for rows that are.
    fn outer(
        _simd: Simd,
        _alpha: Self,
        _x: InputRef<'_, Self>,
        _delta: MatRef<'_, Self>,
        _sum: Sum,
        _dw: MatMut<'_, Self>,
        _scratch: &mut Scratch<Self>,
    ) {
        unreachable!("a product without tiles");
    }
}

impl Tiled for f64 {}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
impl Tiled for f32 {}
