//! Products of bytes in tiles, where this CPU has them, against sums in `f64`.

use super::super::amx::MIN_ROWS;
use super::super::tiled::Tiled;
use super::super::{Isa, Simd};
use super::{checked, numbers};
use crate::backend::Backend;
use crate::matrix::{InputRef, MatMut, MatRef, Rows, Scratch, blocked_len};
use crate::ops::{Activation, Sum};

/// What the bytes are divided by: not a power of two.
const DIVISOR: f32 = 255.0;

/// Rows, columns and units: one tile, parts of tiles, several, and more steps than stay in the L1 cache at once.
const SIZES: [(usize, usize, usize); 8] = [
    (MIN_ROWS, 1, 32),
    (17, 31, 33),
    (32, 32, 64),
    (33, 64, 128),
    (50, 65, 100),
    (70, 784, 64),
    (252, 300, 192),
    (300, 97, 96),
];

/// How many of a hundred bytes are lit: none, some, most, all.
const LIT: [usize; 4] = [0, 19, 90, 100];

/// Those of the instruction sets that are checked which have tiles.
fn tiled() -> impl Iterator<Item = Simd> {
    checked().into_iter().filter(|simd| simd.isa() == Isa::Amx)
}

fn bytes(len: usize, lit: usize) -> Vec<u8> {
    let random = numbers::<f64>(len as u64 + 1, 2 * len);
    let share = |x: f64| ((x + 1.0) * 50.0) as usize;
    let byte = |x: f64| 1 + ((x + 1.0) * 127.0) as u8;
    random.chunks_exact(2).map(|two| if share(two[0]) < lit { byte(two[1]) } else { 0 }).collect()
}

/// The element types' roundoff, which the sums of the products are rounded by at each of their steps.
const HALF_ULP: f64 = f32::EPSILON as f64 / 2.0;

/// What a sum of so many products may be off by, at most, if their magnitudes add up to `magnitude`: three additions for each product, and
/// a few roundings for the divisor, the scale and the bias.
fn tolerance(products: usize, magnitude: f64) -> f64 {
    (3 * products + 8) as f64 * HALF_ULP * magnitude
}

/// The matrix in blocks of 64 columns, or of 48, if it has such, with what no kernel may read in its padding.
fn stored(values: &[f32], rows: usize, cols: usize) -> (Vec<f32>, usize) {
    let block = [64, 48].into_iter().find(|&block| cols.is_multiple_of(block)).unwrap_or(cols);
    let mut all = vec![f32::NAN; blocked_len(rows, cols)];
    let mut matrix = MatMut::blocked(&mut all, rows, cols, block).expect("room");
    matrix.copy_from(MatRef::new(values, rows, cols).expect("values"));
    (all, block)
}

#[test]
fn products_forward_are_those_of_f64_within_rounding() {
    for simd in tiled() {
        for (m, k, n) in SIZES {
            let (w, bias) = (numbers::<f32>(3, k * n), numbers::<f32>(4, n));
            let (stored_w, block) = stored(&w, k, n);
            for lit in LIT {
                let data = bytes(m * k, lit);
                let x = InputRef::bytes(&data, m, k, DIVISOR).expect("bytes");
                assert!(f32::are_tiled(simd, &x, n), "{m} rows of {k} bytes, {n} columns");
                let mut y = vec![f32::NAN; blocked_len(m, n)];
                simd.affine(
                    x,
                    MatRef::blocked(&stored_w, k, n, block).expect("w"),
                    Some(&bias),
                    Activation::Linear,
                    MatMut::blocked(&mut y, m, n, block).expect("y"),
                    &mut Scratch::default(),
                );
                let found = MatRef::blocked(&y, m, n, block).expect("y");
                for i in 0..m {
                    for j in 0..n {
                        let products =
                            (0..k).map(|p| f64::from(data[i * k + p]) / 255.0 * f64::from(w[p * n + j]));
                        let (sum, magnitude) = products
                            .fold((f64::from(bias[j]), f64::from(bias[j].abs())), |(sum, all), x| {
                                (sum + x, all + x.abs())
                            });
                        let y = f64::from(found.run(i, j)[0]);
                        assert!(
                            (y - sum).abs() <= tolerance(k, magnitude),
                            "{m} × {k} × {n}, {lit} % lit: {y} at ({i}, {j}), not {sum}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn products_back_are_those_of_f64_within_rounding_and_continue_sums() {
    for simd in tiled() {
        for (m, k, n) in SIZES {
            let (delta, before) = (numbers::<f32>(5, m * n), numbers::<f32>(6, k * n));
            let (stored_delta, block) = stored(&delta, m, n);
            for (lit, sum) in LIT.into_iter().flat_map(|lit| [(lit, Sum::Begin), (lit, Sum::Continue)]) {
                let data = bytes(m * k, lit);
                let x = InputRef::bytes(&data, m, k, DIVISOR).expect("bytes");
                let (mut dw, _) = stored(&before, k, n);
                if sum == Sum::Begin {
                    // What was there is not read.
                    dw.fill(f32::NAN);
                }
                let alpha = -0.3;
                simd.accumulate_weights(
                    alpha,
                    x,
                    MatRef::blocked(&stored_delta, m, n, block).expect("delta"),
                    sum,
                    MatMut::blocked(&mut dw, k, n, block).expect("dw"),
                    &mut Scratch::default(),
                );
                let found = MatRef::blocked(&dw, k, n, block).expect("dw");
                for p in 0..k {
                    for j in 0..n {
                        let start = if sum == Sum::Begin { 0.0 } else { f64::from(before[p * n + j]) };
                        let products = (0..m).map(|i| {
                            f64::from(alpha) * f64::from(data[i * k + p]) / 255.0
                                * f64::from(delta[i * n + j])
                        });
                        let (exact, magnitude) =
                            products.fold((start, start.abs()), |(sum, all), x| (sum + x, all + x.abs()));
                        let dw = f64::from(found.run(p, j)[0]);
                        assert!(
                            (dw - exact).abs() <= tolerance(m, magnitude),
                            "{m} × {k} × {n}, {lit} % lit, {sum:?}: {dw} at ({p}, {j}), not {exact}"
                        );
                    }
                }
            }
        }
    }
}

/// If a number lost any of its three pieces, or a bit of one, this would not hold.
#[test]
fn one_times_a_number_is_that_number() {
    for simd in tiled() {
        let exponents = (-60..60).map(|e| 2.0_f32.powi(e));
        let signs = [1.0, -1.0].into_iter().cycle();
        let w: Vec<f32> = numbers::<f32>(7, 128)
            .into_iter()
            .zip(exponents.cycle().zip(signs))
            .map(|(x, (e, s))| x * e * s)
            .collect();
        let data = [1; MIN_ROWS];
        let mut y = [f32::NAN; MIN_ROWS * 128];
        simd.affine(
            InputRef::bytes(&data, MIN_ROWS, 1, 1.0).expect("bytes"),
            MatRef::new(&w, 1, 128).expect("w"),
            None,
            Activation::Linear,
            MatMut::new(&mut y, MIN_ROWS, 128).expect("y"),
            &mut Scratch::default(),
        );
        y.chunks_exact(128).for_each(|row| assert_eq!(row, w));
    }
}

#[test]
fn picked_rows_are_multiplied_in_their_order_and_columns_may_be_computed_apart() {
    for simd in tiled() {
        let (rows, k, n) = (40, 90, 128);
        let (data, w) = (bytes(60 * k, 30), numbers::<f32>(8, k * n));
        let list: Vec<u32> = (0..rows).map(|i| (i * 17 % 60) as u32).collect();
        let x =
            InputRef::bytes(&data, 60, k, DIVISOR).and_then(|x| x.select(Rows::List(&list))).expect("rows");
        let copied: Vec<u8> = list.iter().flat_map(|&i| &data[i as usize * k..][..k]).copied().collect();
        let copied = InputRef::bytes(&copied, rows, k, DIVISOR).expect("rows");
        let w = MatRef::new(&w, k, n).expect("w");
        let product = |x: InputRef<'_, f32>, w: MatRef<'_, f32>| {
            let mut y = vec![f32::NAN; rows * w.cols()];
            let to = MatMut::new(&mut y, rows, w.cols()).expect("y");
            simd.affine(x, w, None, Activation::Tanh, to, &mut Scratch::default());
            y
        };
        let whole = product(x, w);
        assert_eq!(whole, product(copied, w));
        let halves = [0, 64].map(|j| product(x, w.columns(j, 64)));
        for (i, row) in whole.chunks_exact(n).enumerate() {
            assert_eq!(row[..64], halves[0][i * 64..][..64], "row {i}");
            assert_eq!(row[64..], halves[1][i * 64..][..64], "row {i}");
        }
    }
}

#[test]
fn few_rows_few_columns_other_forms_and_other_types_are_not_for_tiles() {
    for simd in checked() {
        let data = bytes(MIN_ROWS * 100, 50);
        let x = InputRef::bytes(&data, MIN_ROWS, 100, DIVISOR).expect("bytes");
        assert_eq!(f32::are_tiled(simd, &x, 64), simd.isa() == Isa::Amx);
        assert!(!f32::are_tiled(simd, &x.slice(0, MIN_ROWS - 1), 64));
        assert!(!f32::are_tiled(simd, &x, 10));
        let dense = numbers::<f32>(9, data.len());
        let dense = InputRef::dense(MatRef::new(&dense, MIN_ROWS, 100).expect("numbers"));
        assert!(!f32::are_tiled(simd, &dense, 64));
        let tiny = InputRef::bytes(&data, MIN_ROWS, 100, f32::MAX).expect("bytes");
        assert!(!f32::are_tiled(simd, &tiny, 64), "whose reciprocal is subnormal");
        let wide = InputRef::bytes(&data, MIN_ROWS, 100, 255.0_f64).expect("bytes");
        assert!(!f64::are_tiled(simd, &wide, 64));
    }
}
