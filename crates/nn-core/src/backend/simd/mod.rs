//! `simd`: our own kernels, written once over a `Vector` trait.
