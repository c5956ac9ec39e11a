//! Every kernel on every vector: those that this CPU has, and the shapes of the others in plain Rust. Where `NN_ISA` names an
//! instruction set, on that one alone, which must be there: so an emulated CPU is spent on what only it can show.

mod blocks;
mod bytes;
mod elementwise;
mod formulas;
mod gemm;
mod layers;
mod lists;
mod narrow;
mod pairs;
mod rows;
#[cfg(not(target_arch = "aarch64"))]
mod shapes;
mod stored;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles;
mod updates;
mod vectors;

use super::vector::{Element, Kernel, On, Runner, Vector};
use super::{Isa, Simd};
use crate::Scalar;

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

/// Whether one instruction set alone is asked for.
fn restricted() -> bool {
    std::env::var_os(super::isa::VARIABLE).is_some()
}

/// Those that kernels are checked on.
fn checked() -> Vec<Simd> {
    if restricted() {
        return vec![Simd::from_env().expect("the instruction set that was asked for")];
    }
    let there = |isa| Simd::with_isa(isa).expect("was found to be available");
    Isa::available().into_iter().map(there).collect()
}

/// Makes the check on all of them.
fn everywhere(c: &impl Check) {
    for simd in checked() {
        check::<f32>(c, &simd, simd.isa().name());
        check::<f64>(c, &simd, simd.isa().name());
    }
    #[cfg(not(target_arch = "aarch64"))]
    if !restricted() {
        shapes::all(c);
    }
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

/// The type of the vectors that a runner has.
struct TypeOf;

impl<T: Element> Kernel<T> for TypeOf {
    type Output = &'static str;
    fn run<V: Vector<T = T>>(self, _on: On<V>) -> &'static str {
        std::any::type_name::<V>()
    }
}

#[test]
fn kernels_run_on_the_vectors_of_the_instruction_set_that_was_chosen() {
    for simd in checked() {
        // Shown with --nocapture: what the other tests of this run were checked on.
        let of_both = [Runner::<f32>::run(&simd, TypeOf), Runner::<f64>::run(&simd, TypeOf)];
        println!("kernels on {}: {}", simd.isa(), of_both.join(", "));
        // The vectors of each are in a module that has its name.
        let module = format!("::{}::", simd.isa().vectors().name());
        assert!(of_both.iter().all(|name| name.contains(&module)), "{}: {of_both:?}", simd.isa());
    }
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
    assert!(
        message.contains("\"sse9\"") && message.contains("amx, avx512, avx2, neon, portable"),
        "{message}"
    );
    for isa in Isa::ALL {
        assert_eq!(Isa::parse(isa.name()), Ok(isa));
    }
}
