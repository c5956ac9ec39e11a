//! Every backend on every instruction set of this machine computes what the reference defines.

use std::panic::{AssertUnwindSafe, catch_unwind};

use nn_core::Scalar;
use nn_core::backend::simd::Simd;
use nn_core::backend::{Backend, Description, Naive};
use nn_core::matrix::{MatMut, MatRef, Scratch};
use nn_core::ops::{Activation, Gemm, GemmParts, Labels};
use nn_tests::conformance::{Suite, backends};

fn every_backend_conforms<T: Scalar>()
where
    Simd: Backend<T>,
{
    let suite = Suite::<T>::new();
    for backend in backends::<T>() {
        println!("{} {}", T::NAME, backend.describe());
        suite.conforms(&*backend);
    }
}

#[test]
fn every_backend_computes_in_f32_what_the_reference_defines() {
    every_backend_conforms::<f32>();
}

#[test]
fn every_backend_computes_in_f64_what_the_reference_defines() {
    every_backend_conforms::<f64>();
}

/// A backend with one fault.
#[derive(Debug, Clone, Copy)]
enum Faulty {
    ReadsCWhereBetaIsZero,
    ForgetsTheLastOfManyTerms,
    WritesBehindTheRow,
    RoundsToHalf,
    TakesAnyClass,
    LosesTheSignOfTanh,
}

impl Backend<f32> for Faulty {
    fn describe(&self) -> Description {
        Backend::<f32>::describe(&Naive)
    }

    fn gemm(&self, gemm: Gemm<'_, f32>, scratch: &mut Scratch<f32>) {
        let k = gemm.k();
        let GemmParts { alpha, a, ta, b, tb, beta, mut c } = gemm.into_parts();
        let (rows, cols, stride) = (c.rows(), c.cols(), c.stride());
        let old: Vec<f32> = c.as_ref().iter_rows().flatten().copied().collect();
        let again = Gemm::new(alpha, a, ta, b, tb, beta, c.reborrow()).expect("as it came");
        Naive.gemm(again, scratch);
        match self {
            Self::ReadsCWhereBetaIsZero => {
                for (i, old) in old.chunks(cols.max(1)).enumerate() {
                    c.row(i).iter_mut().zip(old).for_each(|(c, old)| *c += old * 0.0);
                }
            }
            Self::ForgetsTheLastOfManyTerms if k == 784 => {
                let last = |i: usize| match ta {
                    nn_core::ops::Trans::No => a.row(i)[k - 1],
                    nn_core::ops::Trans::Yes => a.row(k - 1)[i],
                };
                for i in 0..rows {
                    for j in 0..cols {
                        let b = match tb {
                            nn_core::ops::Trans::No => b.row(k - 1)[j],
                            nn_core::ops::Trans::Yes => b.row(j)[k - 1],
                        };
                        c.row(i)[j] -= alpha * last(i) * b;
                    }
                }
            }
            Self::WritesBehindTheRow if stride > cols && rows > 1 => c.as_mut_slice()[cols] = 0.0,
            Self::RoundsToHalf => {
                let half = |x: f32| f32::from_bits(x.to_bits() & !0xfff);
                (0..rows).for_each(|i| c.row(i).iter_mut().for_each(|c| *c = half(*c)));
            }
            _ => {}
        }
    }

    fn activate(&self, f: Activation, x: &mut [f32]) {
        Naive.activate(f, x);
        if matches!((self, f), (Self::LosesTheSignOfTanh, Activation::Tanh)) {
            x.iter_mut().for_each(|x| *x = x.abs());
        }
    }

    fn softmax_cross_entropy(
        &self,
        logits: MatRef<'_, f32>,
        labels: Labels<'_, f32>,
        losses: Option<&mut [f32]>,
        gradient: Option<(f32, MatMut<'_, f32>)>,
    ) {
        let clamped: Vec<i32>;
        let labels = match (self, labels) {
            (Self::TakesAnyClass, Labels::Classes(c)) => {
                clamped = c.iter().map(|&c| c.clamp(0, logits.cols() as i32 - 1)).collect();
                Labels::Classes(&clamped)
            }
            (_, labels) => labels,
        };
        Naive.softmax_cross_entropy(logits, labels, losses, gradient);
    }
}

#[test]
fn a_backend_with_any_one_fault_does_not_pass() {
    let suite = Suite::<f32>::new();
    let faults = [
        (Faulty::ReadsCWhereBetaIsZero, "gemm"),
        (Faulty::ForgetsTheLastOfManyTerms, "gemm"),
        (Faulty::WritesBehindTheRow, "was written outside"),
        (Faulty::RoundsToHalf, "gemm"),
        (Faulty::TakesAnyClass, "cross-entropy from classes"),
        (Faulty::LosesTheSignOfTanh, "Tanh"),
    ];
    for (faulty, expected) in faults {
        let panic = catch_unwind(AssertUnwindSafe(|| suite.conforms(&faulty)));
        let panic = panic.expect_err(&format!("{faulty:?} passed"));
        let message = panic.downcast_ref::<String>().map_or("", String::as_str);
        assert!(message.contains(expected), "{faulty:?} was found by another check: {message}");
    }
}
