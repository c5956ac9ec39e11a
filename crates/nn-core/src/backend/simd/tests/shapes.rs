//! Portable vectors of the shapes that other instruction sets have. They are the same wherever they are compiled, which takes most
//! of the time that these tests take; so AArch64, where an emulator may be what compiled code waits for, leaves them to others.

use std::marker::PhantomData;

use super::super::portable::Lanes;
use super::super::vector::{Element, Kernel, On};
use super::{Check, Runner, check};

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

/// Makes the check on the shapes of AVX-512, AVX2 and NEON, whatever this CPU has.
pub(super) fn all(c: &impl Check) {
    check(c, &Shape(PhantomData::<Lanes<f32, 16, 14, 2, 4>>), "as on avx512");
    check(c, &Shape(PhantomData::<Lanes<f64, 8, 14, 2, 4>>), "as on avx512");
    check(c, &Shape(PhantomData::<Lanes<f32, 8, 6, 2, 8>>), "as on avx2");
    check(c, &Shape(PhantomData::<Lanes<f64, 4, 6, 2, 8>>), "as on avx2");
    check(c, &Shape(PhantomData::<Lanes<f32, 4, 8, 3, 16>>), "as on neon");
    check(c, &Shape(PhantomData::<Lanes<f64, 2, 8, 3, 16>>), "as on neon");
}
