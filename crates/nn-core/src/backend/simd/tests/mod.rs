//! Every kernel on every vector: those that this CPU has, and the shapes of the others in plain Rust.

mod blocks;
mod elementwise;
mod formulas;
mod gemm;
mod layers;
mod lists;
mod narrow;
mod pairs;
mod stored;

use std::marker::PhantomData;

use super::portable::Lanes;
use super::vector::{Element, Kernel, On, Vector};
use super::{Isa, Simd};
use crate::Scalar;

/// Something that runs kernels.
trait Runner<T> {
    fn run<K: Kernel<T>>(&self, kernel: K) -> K::Output;
}

impl<T: Element> Runner<T> for Simd {
    fn run<K: Kernel<T>>(&self, kernel: K) -> K::Output {
        Simd::run(*self, kernel)
    }
}

/// Runs kernels on a portable vector of a given shape.
struct Shape<V>(PhantomData<V>);

impl<T: Element, const L: usize, const M: usize, const N: usize, const S: usize> Runner<T>
    for Shape<Lanes<T, L, M, N, S>>
{
    // Once for each kernel, not once for each call of it in a test.
    #[inline(never)]
    fn run<K: Kernel<T>>(&self, kernel: K) -> K::Output {
        // SAFETY: the portable vectors need nothing.
        kernel.run(unsafe { On::<Lanes<T, L, M, N, S>>::new() })
    }
}

/// A check that holds for either element type on any vector of it. `tile` is the register tile, rows by columns.
trait Check {
    fn check<T: Element>(&self, on: &impl Runner<T>, name: &str, tile: (usize, usize));
}

/// What the tile of a runner is.
struct TileOf;

impl<T: Element> Kernel<T> for TileOf {
    type Output = (usize, usize);
    fn run<V: Vector<T = T>>(self, _on: On<V>) -> (usize, usize) {
        (super::tile::rows::<V>(), super::tile::columns::<V>())
    }
}

fn check<T: Element>(check: &impl Check, on: &impl Runner<T>, name: &str) {
    let tile = on.run(TileOf);
    check.check(on, &format!("{} {name}, tile {tile:?}", T::NAME), tile);
}

/// Makes the check on all of them.
fn everywhere(c: &impl Check) {
    for isa in Isa::available() {
        let simd = Simd::with_isa(isa).expect("was found to be available");
        check::<f32>(c, &simd, isa.name());
        check::<f64>(c, &simd, isa.name());
    }
    // The shapes of AVX-512, AVX2 and NEON, whatever this CPU has.
    check(c, &Shape(PhantomData::<Lanes<f32, 16, 14, 2, 4>>), "as on avx512");
    check(c, &Shape(PhantomData::<Lanes<f64, 8, 14, 2, 4>>), "as on avx512");
    check(c, &Shape(PhantomData::<Lanes<f32, 8, 6, 2, 8>>), "as on avx2");
    check(c, &Shape(PhantomData::<Lanes<f64, 4, 6, 2, 8>>), "as on avx2");
    check(c, &Shape(PhantomData::<Lanes<f32, 4, 8, 3, 16>>), "as on neon");
    check(c, &Shape(PhantomData::<Lanes<f64, 2, 8, 3, 16>>), "as on neon");
}

/// Numbers in −1 .. 1, always the same for the same seed (a linear congruential generator, Knuth's constants).
fn numbers<T: Scalar>(seed: u64, len: usize) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            T::of((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
        })
        .collect()
}

#[test]
fn an_instruction_set_that_is_missing_is_an_error_that_says_what_there_is() {
    for isa in Isa::ALL {
        match Simd::with_isa(isa) {
            Ok(simd) => assert!(isa.is_available() && simd.isa() == isa),
            Err(error) => {
                let message = error.to_string();
                assert!(!isa.is_available());
                assert!(message.contains(isa.name()) && message.contains(isa.features()), "{message}");
                assert!(message.contains("available: ") && message.ends_with("portable"), "{message}");
            }
        }
    }
}

#[test]
fn a_name_that_is_no_instruction_set_is_an_error_that_lists_them() {
    let message = Isa::parse("sse9").expect_err("there is no such thing").to_string();
    assert!(message.contains("\"sse9\"") && message.contains("avx512, avx2, neon, portable"), "{message}");
    for isa in Isa::ALL {
        assert_eq!(Isa::parse(isa.name()), Ok(isa));
    }
}
