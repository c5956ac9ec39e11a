//! `nn bench gemm`: the matrix products of a training step one by one, as the engine carries them out with `simd`, and with a BLAS
//! library, in the engine's shards and all rows at once.

use std::ops::Range;
use std::sync::Barrier;
use std::thread;

use nn_core::backend::Backend;
use nn_core::matrix::{AlignedBuf, InputRef, MatMut, MatRef, Scratch, blocked_len};
use nn_core::ops::{Activation, Gemm, Sum, Trans};
use nn_core::{Error, Result};
use serde::Serialize;
use serde_json::json;

use super::grid::{heading, row};
use super::series::duration;
use super::timing::{Seconds, Take, in_turns, timed};
use super::versus::{Origin, Rival, Versus, marked, numbers, rest};
use crate::args::{DType, GemmArgs};
use crate::failure::Failure;
use crate::screen::Screen;
use crate::train::record::write_json;

/// Columns of the images and classes.
const ENDS: [usize; 2] = [784, 10];

/// A product of a layer with so many inputs and units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Shape {
    product: Product,
    rows: usize,
    inputs: usize,
    units: usize,
    /// Whether X is the data rather than what the layer before has just written.
    first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Product {
    /// Y ← X · W
    Forward,
    /// δ ← dY · Wᵀ
    Backpropagate,
    /// dW ← dW + Xᵀ · dY
    Weights,
}

/// What came of one.
#[derive(Debug, Serialize)]
struct Measured {
    #[serde(flatten)]
    shape: Shape,
    flops: u64,
    series: Vec<Series>,
    /// The shortest time of `simd` over the shortest one of the library.
    ratio: f64,
}

#[derive(Debug, Serialize)]
struct Series {
    name: String,
    seconds: Seconds,
    gflops: f64,
    share_of_peak: f64,
}

#[derive(Debug, Serialize)]
struct Record<'a> {
    benchmark: &'static str,
    #[serde(flatten)]
    origin: Origin,
    config: serde_json::Value,
    products: &'a [Measured],
}

pub(super) fn run(args: &GemmArgs, screen: &mut Screen) -> Result<(), Failure> {
    let rows = args.rows.get();
    let what = format!("The products of a training step with {rows} rows (f32), simd beside BLAS.");
    let versus = Versus::new(&args.versus, &what, screen)?;
    let whole = versus.own_threads.as_ref().unwrap_or(&versus.blas);
    let data = Matrix::new(rows, ENDS[0], None);
    let mut taken = Vec::new();
    for shape in shapes(rows, &args.hidden.iter().map(|units| units.get()).collect::<Vec<_>>()) {
        let mut takes = [
            in_shards(&versus.simd, shape, &data),
            in_shards(&versus.blas, shape, &data),
            all_at_once(whole, shape, &data),
        ];
        taken.push((shape, in_turns(&mut takes, args.repeat.get())?));
    }
    let origin = versus.origin(screen)?;
    let peak = origin.peak.best(DType::F32);
    let names = ["simd, in shards", "blas, in shards", "blas, all at once"];
    let mut products = Vec::new();
    for (shape, taken) in taken {
        let flops = 2 * shape.rows as u64 * shape.inputs as u64 * shape.units as u64;
        let series: Vec<Series> = names
            .into_iter()
            .zip(taken)
            .map(|(name, taken)| {
                let gflops = flops as f64 / taken.seconds.min / 1e9;
                Series { name: name.into(), seconds: taken.seconds, gflops, share_of_peak: gflops / peak }
            })
            .collect();
        let times: Vec<f64> = series.iter().map(|series| series.seconds.min).collect();
        let best = times[1..].iter().copied().fold(f64::INFINITY, f64::min);
        products.push(Measured { shape, flops, series, ratio: times[0] / best });
    }
    let mut lines = vec![heading(&["product", "with", "min", "GFLOP/s", "of peak", "simd : BLAS"])];
    for measured in &products {
        for (i, series) in measured.series.iter().enumerate() {
            let (name, ratio) = match i {
                0 => (measured.shape.name(), marked(measured.ratio)),
                _ => (String::new(), String::new()),
            };
            let (gflops, share) = (format!("{:.1}", series.gflops), format!("{:.3}", series.share_of_peak));
            let time = duration(series.seconds.min, screen.style);
            lines.push(row(&[name, series.name.clone(), time, gflops, share, ratio]));
        }
    }
    screen.print(lines.join("\n"));
    if let Some(path) = &args.versus.json {
        let config =
            json!({ "rows": rows, "repeat": args.repeat, "threads": versus.threads, "dtype": "f32" });
        write_json(path, &Record { benchmark: "gemm", origin, config, products: &products })?;
    }
    Ok(())
}

/// All products of a step, in the order in which it needs them.
fn shapes(rows: usize, hidden: &[usize]) -> Vec<Shape> {
    let widths: Vec<usize> = [ENDS[0]].iter().chain(hidden).chain([&ENDS[1]]).copied().collect();
    let layers: Vec<(usize, &[usize])> = widths.windows(2).enumerate().collect();
    let shape = |product, &(number, width): &(usize, &[usize])| Shape {
        product,
        rows,
        inputs: width[0],
        units: width[1],
        first: number == 0,
    };
    let mut shapes: Vec<Shape> = layers.iter().map(|layer| shape(Product::Forward, layer)).collect();
    for layer in layers.iter().rev() {
        if layer.0 > 0 {
            shapes.push(shape(Product::Backpropagate, layer));
        }
        shapes.push(shape(Product::Weights, layer));
    }
    shapes
}

impl Shape {
    fn name(self) -> String {
        let Self { product, rows, inputs, units, .. } = self;
        match product {
            Product::Forward => format!("X·W: [{rows}, {inputs}]·[{inputs}, {units}]"),
            Product::Backpropagate => format!("dY·Wᵀ: [{rows}, {units}]·[{inputs}, {units}]ᵀ"),
            Product::Weights => format!("Xᵀ·dY: [{rows}, {inputs}]ᵀ·[{rows}, {units}]"),
        }
    }
}

/// A matrix, in blocks of columns where the executor keeps it that way: if it has more than one, and all are whole.
struct Matrix {
    elements: AlignedBuf<f32>,
    cols: usize,
    block: usize,
}

impl Matrix {
    fn new(rows: usize, cols: usize, block: Option<usize>) -> Self {
        let block = block.filter(|block| cols > *block && cols.is_multiple_of(*block));
        let len = if block.is_some() { blocked_len(rows, cols) } else { rows * cols };
        let mut elements = AlignedBuf::zeroed(len);
        // Around 0, as activations and gradients are, so that sums stay small.
        elements.iter_mut().zip(numbers()).for_each(|(x, number)| *x = number - 0.5);
        Self { elements, cols, block: block.unwrap_or(cols) }
    }

    fn is_plain(&self) -> bool {
        self.block == self.cols
    }

    /// The first `rows` rows. A matrix in blocks has them laid out as if it had no more.
    fn view(&self, rows: usize) -> Result<MatRef<'_, f32>> {
        if self.is_plain() {
            MatRef::new(&self.elements, rows, self.cols)
        } else {
            MatRef::blocked(&self.elements, rows, self.cols, self.block)
        }
    }

    fn view_mut(&mut self, rows: usize) -> Result<MatMut<'_, f32>> {
        if self.is_plain() {
            MatMut::new(&mut self.elements, rows, self.cols)
        } else {
            MatMut::blocked(&mut self.elements, rows, self.cols, self.block)
        }
    }
}

/// The matrices of a product with at most so many rows at a time.
struct Operands {
    shape: Shape,
    x: Matrix,
    /// What the activation gave, from which its derivative is told.
    output: Matrix,
    w: Matrix,
    dy: Matrix,
    scratch: Scratch<f32>,
}

impl Operands {
    fn new(shape: Shape, rows: usize, block: Option<usize>) -> Self {
        let Shape { inputs, units, first, product, .. } = shape;
        let if_needed = |needed: bool| Matrix::new(if needed { rows } else { 0 }, inputs, block);
        Self {
            shape,
            // The data are one matrix, which all threads read.
            x: if_needed(!first),
            output: if_needed(product == Product::Backpropagate && block.is_some()),
            w: Matrix::new(inputs, units, block),
            dy: Matrix::new(rows, units, block),
            scratch: Scratch::default(),
        }
    }

    /// Carries it out for some rows of the data, which are X in the first layer.
    fn call(&mut self, backend: &dyn Backend<f32>, data: MatRef<'_, f32>, rows: Range<usize>) -> Result<()> {
        let Self { shape, x, output, w, dy, scratch } = self;
        let (first, rows, inputs) = (rows.start, rows.len(), shape.inputs);
        let (no, yes) = (Trans::No, Trans::Yes);
        // With kernels of its own as the engine calls them, with those of a library as it calls that.
        let own = backend.block_columns().is_some();
        match shape.product {
            Product::Backpropagate if own => {
                let (dy, w, linear) = (dy.view(rows)?, w.view(inputs)?, Activation::Linear);
                backend.backpropagate(dy, w, linear, output.view(rows)?, x.view_mut(rows)?, scratch);
            }
            Product::Backpropagate => {
                let (dy, w, delta) = (dy.view(rows)?, w.view(inputs)?, x.view_mut(rows)?);
                backend.gemm(Gemm::new(1.0, dy, no, w, yes, 0.0, delta)?, scratch);
            }
            Product::Forward => {
                let (x, first) = if shape.first { (data, first) } else { (x.view(rows)?, 0) };
                let (w, y) = (w.view(inputs)?, dy.view_mut(rows)?);
                if own {
                    let x = InputRef::dense(x).slice(first, rows);
                    backend.affine(x, w, None, Activation::Linear, y, scratch);
                } else {
                    backend.gemm(Gemm::new(1.0, x.row_range(first, rows), no, w, no, 0.0, y)?, scratch);
                }
            }
            Product::Weights => {
                let (x, first) = if shape.first { (data, first) } else { (x.view(rows)?, 0) };
                let (dy, dw) = (dy.view(rows)?, w.view_mut(inputs)?);
                if own {
                    let x = InputRef::dense(x).slice(first, rows);
                    backend.accumulate_weights(1.0, x, dy, Sum::Continue, dw, scratch);
                } else {
                    backend.gemm(Gemm::new(1.0, x.row_range(first, rows), yes, dy, no, 1.0, dw)?, scratch);
                }
            }
        }
        Ok(())
    }
}

/// All rows in shards, as the executor cuts them: consecutive ones for each thread, each with matrices of its own but for the data.
fn in_shards<'a>(rival: &'a Rival, shape: Shape, data: &'a Matrix) -> Take<'a> {
    let backend = rival.backend.as_ref();
    let shard = backend.shard_rows();
    let shards = shape.rows.div_ceil(shard);
    let start = move |thread: usize| (shards * thread / rival.threads * shard).min(shape.rows);
    let part =
        |thread| (start(thread)..start(thread + 1), Operands::new(shape, shard, backend.block_columns()));
    let mut parts: Vec<(Range<usize>, Operands)> = (0..rival.threads).map(part).collect();
    Box::new(move |seconds| {
        let begin = Barrier::new(parts.len());
        let work = |(rows, operands): &mut (Range<usize>, Operands)| {
            begin.wait();
            timed(|| {
                rows.clone().step_by(shard).try_for_each(|first| {
                    operands.call(backend, data.view(shape.rows)?, first..(first + shard).min(rows.end))
                })
            })
        };
        let done = thread::scope(|scope| {
            let Some((own, others)) = parts.split_first_mut() else { return Vec::new() };
            let others: Vec<_> = others.iter_mut().map(|part| scope.spawn(|| work(part))).collect();
            let own = work(own);
            let joined = others.into_iter().map(|other| {
                let ended = |_| (Err(Error::unavailable("gemm: a thread ended early")), 0.0);
                other.join().unwrap_or_else(ended)
            });
            [own].into_iter().chain(joined).collect()
        });
        // All began at once: the last to end says how long it took.
        let mut longest = 0.0_f64;
        for (result, time) in done {
            result?;
            longest = longest.max(time);
        }
        seconds.push(longest);
        Ok(None)
    })
}

/// All rows in one call. The next turn begins when the library's threads are asleep.
fn all_at_once<'a>(rival: &'a Rival, shape: Shape, data: &'a Matrix) -> Take<'a> {
    let mut operands = Operands::new(shape, shape.rows, None);
    Box::new(move |seconds| {
        let (result, time) =
            timed(|| operands.call(rival.backend.as_ref(), data.view(shape.rows)?, 0..shape.rows));
        result?;
        seconds.push(time);
        rest();
        Ok(None)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nn_core::backend::{Naive, simd::Simd};

    #[test]
    fn a_step_has_two_products_of_the_first_layer_and_three_of_every_other() {
        let found: Vec<_> = shapes(60, &[8]).into_iter().map(|s| (s.product, s.inputs, s.units)).collect();
        use Product::{Backpropagate, Forward, Weights};
        let expected = [
            (Forward, 784, 8),
            (Forward, 8, 10),
            (Backpropagate, 8, 10),
            (Weights, 8, 10),
            (Weights, 784, 8),
        ];
        assert_eq!(found, expected);
        assert_eq!(shapes(60, &[8, 8]).len(), 8);
    }

    /// The elements of a matrix row by row, whatever its layout.
    fn elements(matrix: MatRef<'_, f32>) -> Vec<f32> {
        let mut plain = vec![0.0; matrix.rows() * matrix.cols()];
        if let Ok(mut to) = MatMut::new(&mut plain, matrix.rows(), matrix.cols()) {
            to.copy_from(matrix);
        }
        plain
    }

    #[test]
    fn both_sides_carry_out_the_same_products() -> Result<()> {
        let (rows, simd) = (9, Simd::detect());
        for shape in shapes(rows, &[128, 192]) {
            let data = Matrix::new(rows, shape.inputs, None);
            let plain = Operands::new(shape, rows, None);
            let mut blocked = Operands::new(shape, rows, Backend::<f32>::block_columns(&simd));
            // The same numbers, in the other layout.
            if !shape.first {
                blocked.x.view_mut(rows)?.copy_from(plain.x.view(rows)?);
            }
            blocked.w.view_mut(shape.inputs)?.copy_from(plain.w.view(shape.inputs)?);
            blocked.dy.view_mut(rows)?.copy_from(plain.dy.view(rows)?);
            let mut sides = [plain, blocked];
            let backends: [&dyn Backend<f32>; 2] = [&Naive, &simd];
            let results = sides.iter_mut().zip(backends).map(|(side, backend)| {
                side.call(backend, data.view(rows)?, 0..rows)?;
                Ok(match shape.product {
                    Product::Forward => elements(side.dy.view(rows)?),
                    Product::Backpropagate => elements(side.x.view(rows)?),
                    Product::Weights => elements(side.w.view(shape.inputs)?),
                })
            });
            let results = results.collect::<Result<Vec<_>>>()?;
            // Sums of at most 784 products of numbers up to 1/2: 784 · ¼ · 784 · 2⁻²⁴ in the worst case.
            for (a, b) in results[0].iter().zip(&results[1]) {
                assert!((a - b).abs() < 0.01, "{shape:?}: {a} and {b}");
            }
            assert!(results[0].iter().any(|x| x.abs() > 0.1) && results[0].len() == results[1].len());
        }
        Ok(())
    }
}
