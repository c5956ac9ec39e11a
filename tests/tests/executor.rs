//! What a session promises about what it computes, when, and from what.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use nn_core::Result;
use nn_core::backend::simd::Simd;
use nn_core::backend::{Backend, Description, Naive};
use nn_core::exec::{Feed, SessionOptions};
use nn_core::graph::{DType, Graph, Keep, Node};
use nn_core::init::Initializer;
use nn_core::layers::Dense;
use nn_core::losses::Loss;
use nn_core::matrix::{InputRef, MatMut, MatRef, Prepared, Rows, Scratch, SparseBytes, SparseRows};
use nn_core::metrics::accuracy;
use nn_core::models::{Compile, Sequential};
use nn_core::ops::{Activation, Gemm, Sum, Unary};
use nn_core::optim::Optimizer;
use nn_tests::engine::{assert_close, fetch, rows, session, session_on};
use nn_tests::plain::{Matrix, column_means};
use nn_tests::random::Rng;

/// The reference kernels, and a count of the matrix products, and of the functions of one argument, that were asked of them.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Backend<f64> for Counting {
    fn describe(&self) -> Description {
        Backend::<f64>::describe(&Naive)
    }

    fn gemm(&self, gemm: Gemm<'_, f64>, scratch: &mut Scratch<f64>) {
        self.0.fetch_add(1, Relaxed);
        Naive.gemm(gemm, scratch);
    }

    fn unary(&self, f: Unary, x: &[f64], y: &mut [f64]) {
        self.0.fetch_add(1, Relaxed);
        Naive.unary(f, x, y);
    }
}

/// The `simd` backend, and the first byte of the rows of each call that multiplies rows of bytes by weights, and of each that prepares some.
#[derive(Debug)]
struct Layers {
    simd: Simd,
    multiplied: Mutex<Vec<u8>>,
    prepared: Mutex<Vec<u8>>,
}

impl Layers {
    fn new() -> Arc<Self> {
        Arc::new(Self { simd: Simd::detect(), multiplied: Mutex::default(), prepared: Mutex::default() })
    }

    fn put_down(list: &Mutex<Vec<u8>>, x: &SparseRows<'_, f32>) {
        list.lock().unwrap_or_else(|e| e.into_inner()).push(x.row(0)[0]);
    }

    /// What was put down since the last time, in ascending order.
    fn since(list: &Mutex<Vec<u8>>) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut *list.lock().unwrap_or_else(|e| e.into_inner()));
        bytes.sort_unstable();
        bytes
    }

    /// Each once.
    fn each_since(list: &Mutex<Vec<u8>>) -> Vec<u8> {
        let mut bytes = Self::since(list);
        bytes.dedup();
        bytes
    }
}

impl Backend<f32> for Layers {
    fn describe(&self) -> Description {
        Backend::<f32>::describe(&self.simd)
    }

    fn gemm(&self, gemm: Gemm<'_, f32>, scratch: &mut Scratch<f32>) {
        self.simd.gemm(gemm, scratch);
    }

    fn block_columns(&self) -> Option<usize> {
        Backend::<f32>::block_columns(&self.simd)
    }

    fn mixes_rows(&self, x: &InputRef<'_, f32>, cols: usize) -> bool {
        self.simd.mixes_rows(x, cols)
    }

    fn prepare(
        &self,
        x: &SparseRows<'_, f32>,
        backward: bool,
        part: (usize, usize),
        prepared: &mut Prepared,
        scratch: &mut Scratch<f32>,
    ) -> bool {
        Self::put_down(&self.prepared, x);
        self.simd.prepare(x, backward, part, prepared, scratch)
    }

    fn partial_products(
        &self,
        x: MatRef<'_, f32>,
        w: MatRef<'_, f32>,
        parts: &mut [f32],
        scratch: &mut Scratch<f32>,
    ) {
        self.simd.partial_products(x, w, parts, scratch);
    }

    fn affine(
        &self,
        x: InputRef<'_, f32>,
        w: MatRef<'_, f32>,
        bias: Option<&[f32]>,
        f: Activation,
        y: MatMut<'_, f32>,
        scratch: &mut Scratch<f32>,
    ) {
        if let InputRef::SparseBytes(x) = &x {
            Self::put_down(&self.multiplied, x);
        }
        self.simd.affine(x, w, bias, f, y, scratch);
    }

    fn accumulate_weights(
        &self,
        alpha: f32,
        x: InputRef<'_, f32>,
        delta: MatRef<'_, f32>,
        sum: Sum,
        dw: MatMut<'_, f32>,
        scratch: &mut Scratch<f32>,
    ) {
        self.simd.accumulate_weights(alpha, x, delta, sum, dw, scratch);
    }

    fn accumulate_bias(&self, delta: MatRef<'_, f32>, db: &mut [f32]) {
        self.simd.accumulate_bias(delta, db);
    }

    fn backpropagate(
        &self,
        dy: MatRef<'_, f32>,
        w: MatRef<'_, f32>,
        f: Activation,
        output: MatRef<'_, f32>,
        delta: MatMut<'_, f32>,
        scratch: &mut Scratch<f32>,
    ) {
        self.simd.backpropagate(dy, w, f, output, delta, scratch);
    }
}

#[test]
fn an_image_that_comes_alone_is_left_to_one_thread_and_then_shared_to_find_out_which_is_quicker() -> Result<()>
{
    const CALLS_OF_EACH_WAY: usize = 64;
    let backend = Layers::new();
    let options = SessionOptions { threads: 2, ..SessionOptions::new(backend.clone()) };
    let hidden = Dense::new(256).activation(Activation::Tanh);
    let mut network = Sequential::new(784).add(hidden).add(Dense::new(10)).build(options)?;
    // A sixth is lit: too little for two threads, if what is 0 were no work.
    let bytes: Vec<u8> = (0..784).map(|at| u8::from(at % 6 == 0) * 200).collect();
    let image = SparseBytes::new(&bytes, 1, 784, 255.0)?;
    let mut calls = Vec::new();
    for _ in 0..2 * CALLS_OF_EACH_WAY {
        network.predict_on_batch(InputRef::sparse_bytes(&image))?;
        calls.push(Layers::since(&backend.multiplied).len());
    }
    let (alone, shared) = calls.split_at(CALLS_OF_EACH_WAY);
    assert!(alone.iter().all(|&n| n == 1) && shared.iter().all(|&n| n == 2), "{calls:?}");
    Ok(())
}

/// Batches of `ROWS` rows, announced all at once: every byte of batch i is i + 1.
const ROWS: usize = 16;

fn batches(count: usize) -> Result<(SparseBytes<f32>, Vec<u32>)> {
    let bytes: Vec<u8> = (0..count * ROWS * 100).map(|at| (at / (ROWS * 100)) as u8 + 1).collect();
    let rows = count * ROWS;
    Ok((SparseBytes::new(&bytes, rows, 100, 255.0)?, (0..rows as u32).collect()))
}

#[test]
fn rows_that_are_known_to_come_next_are_prepared_during_the_run_before_and_not_again() -> Result<()> {
    let backend = Layers::new();
    let options = SessionOptions { threads: 2, ..SessionOptions::new(backend.clone()) };
    let hidden = Dense::new(256).activation(Activation::Tanh);
    let mut network = Sequential::new(100).add(hidden).add(Dense::new(10)).build(options)?;
    let (data, order) = batches(3)?;
    let all = InputRef::sparse_bytes(&data).select(Rows::List(&order))?;
    let mut prepared = Vec::new();
    for batch in [0, 1, 2, 0] {
        network.predict_on_batch(all.slice(batch * ROWS, ROWS))?;
        prepared.push(Layers::each_since(&backend.prepared));
    }
    assert_eq!(prepared, [vec![1, 2], vec![3], vec![], vec![1, 2]]);
    Ok(())
}

/// Steps on these of six batches, all announced: the batches that each step multiplied by weights, and those that it prepared. After each step,
/// weights may be `set`.
fn steps(batches_taken: &[usize], set: bool) -> Result<[Vec<Vec<u8>>; 2]> {
    let backend = Layers::new();
    let options = SessionOptions { threads: 2, ..SessionOptions::new(backend.clone()) };
    let model = Sequential::new(100).add(Dense::new(256).activation(Activation::Tanh)).add(Dense::new(10));
    let compile = Compile::new(Optimizer::sgd(0.1), Loss::SparseCategoricalCrossEntropy);
    let mut network = model.compile(compile, options)?;
    let (data, order) = batches(6)?;
    let all = InputRef::sparse_bytes(&data).select(Rows::List(&order))?;
    let mut found = [const { Vec::new() }; 2];
    for &batch in batches_taken {
        network.train_on_batch(all.slice(batch * ROWS, ROWS), &[0; ROWS])?;
        found[0].push(Layers::each_since(&backend.multiplied));
        found[1].push(Layers::each_since(&backend.prepared));
        if set {
            let weights = network.weights();
            network.set_weights(&weights)?;
        }
    }
    Ok(found)
}

#[test]
fn a_step_multiplies_the_rows_that_come_next_by_its_new_weights_once_the_expected_ones_came() -> Result<()> {
    let [multiplied, prepared] = steps(&[0, 1, 2, 3, 4, 5, 1, 4], false)?;
    let expected = [vec![1], vec![2, 3], vec![4], vec![5], vec![6], vec![], vec![2], vec![5]];
    assert_eq!(multiplied, expected, "and after other rows than the expected ones, nothing ahead");
    let expected = [vec![1, 2], vec![3, 4], vec![5], vec![6], vec![], vec![], vec![2, 3], vec![5, 6]];
    assert_eq!(prepared, expected);
    Ok(())
}

#[test]
fn what_was_multiplied_by_weights_that_were_set_then_is_multiplied_again_and_for_a_while_nothing_ahead()
-> Result<()> {
    let [multiplied, _] = steps(&[0, 1, 2, 3, 4, 5], true)?;
    assert_eq!(multiplied, [vec![1], vec![2, 3], vec![3], vec![4], vec![5], vec![6]]);
    Ok(())
}

#[test]
fn what_no_fetch_needs_is_not_demanded_and_not_computed() -> Result<()> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(4)])?;
    let labels = g.typed_placeholder("labels", &[None], DType::Int)?;
    let hidden = Dense::new(5).activation(Activation::Tanh).build(&mut g, x)?;
    let logits = Dense::new(3).build(&mut g, hidden.output)?.output;
    let predictions = g.softmax(logits)?;
    let losses = g.softmax_cross_entropy(logits, labels)?;
    let loss = g.reduce_mean(losses)?;
    let right = accuracy(&mut g, logits, labels)?;
    let train = Optimizer::sgd(0.1).minimize(&mut g, loss)?;
    let seven = g.scalar(7.0);

    let counting = Arc::new(Counting::default());
    let mut session = session_on(g, counting.clone(), 1)?;
    let values: Vec<f64> = Rng(1).values(40, 1.0);
    let classes = Rng(2).classes(10, 3);
    let x_fed = (x, rows(&values, 4));
    let both = [x_fed, (labels, classes.as_slice().into())];
    let mut products = |fetches: &[Node], feeds: &[(Node, Feed<'_, f64>)]| -> Result<usize> {
        let before = counting.0.load(Relaxed);
        session.run(fetches, feeds)?;
        Ok(counting.0.load(Relaxed) - before)
    };
    assert_eq!(products(&[seven, hidden.kernel], &[])?, 0, "constants and variables need nothing");
    assert_eq!(products(&[hidden.output], &[x_fed])?, 1, "the hidden layer needs no labels");
    assert_eq!(products(&[predictions], &[x_fed])?, 2, "predictions need no labels");
    assert_eq!(products(&[predictions], &both)?, 2, "what is fed but not needed changes nothing");
    assert_eq!(products(&[loss, right], &both)?, 2, "measuring computes no gradients");
    assert_eq!(products(&[train], &both)?, 5, "a step: two forward, two for the weights, one back");
    assert_eq!(
        products(&[train, loss, right, predictions], &both)?,
        5,
        "a step that is watched is one forward pass still"
    );
    let error = products(&[loss], &[x_fed]).unwrap_err().to_string();
    assert!(error.contains("placeholder \"labels\" int [None]"), "{error}");
    Ok(())
}

#[test]
fn what_is_made_of_constants_is_computed_once_for_each_number_of_rows() -> Result<()> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(1)])?;
    let mean = g.reduce_mean(x)?;
    let slope = g.gradients(mean, &[x])?[0];
    let sum = g.reduce_sum(slope)?;
    let two = g.scalar(2.0);
    let squared = g.exp(two)?;
    let negated = g.neg(squared)?;
    let root = g.exp(negated)?;

    let counting = Arc::new(Counting::default());
    let mut session = session_on(g, counting.clone(), 1)?;
    let expected = (-2_f64.exp()).exp();
    for (count, functions) in [(3, 3), (3, 3), (5, 6), (3, 6), (5, 6)] {
        let values = vec![0.25; count];
        let out = session.run(&[sum, root], &[(x, rows(&values, 1))])?;
        assert_close(&format!("{count} rows"), &[out.scalar(0)?, out.scalar(1)?], &[1.0, expected], 1e-15);
        assert_eq!(counting.0.load(Relaxed), functions, "functions computed, after {count} rows");
    }
    Ok(())
}

/// x − its mean over the batch: an operation that needs the whole batch in the middle of the graph.
fn centred(g: &mut Graph, x: Node) -> Result<Node> {
    let cols = g.shape(x).row_len() as f64;
    let sums = g.sum_keeping(x, Keep::Suffix(1))?;
    let (size, cols) = (g.size(x), g.scalar(cols));
    let rows = g.div(size, cols)?;
    let means = g.div(sums, rows)?;
    g.sub(x, means)
}

#[test]
fn operations_that_need_the_whole_batch_and_their_gradients_are_right_for_every_batch_size() -> Result<()> {
    const SIZES: [usize; 3] = [6, 9, 4];
    let backends: [Arc<dyn Backend<f64>>; 2] = [Arc::new(Naive), Arc::new(Simd::detect())];
    for backend in backends {
        let mut g = Graph::new();
        let x = g.placeholder("x", &[None, Some(SIZES[0])])?;
        let w1 = g.variable("w1", &[SIZES[0], SIZES[1]], Initializer::GlorotUniform)?;
        let w2 = g.variable("w2", &[SIZES[1], SIZES[2]], Initializer::GlorotUniform)?;
        let z0 = centred(&mut g, x)?;
        let z = g.matmul(z0, w1)?;
        let a = g.tanh(z)?;
        let z1 = centred(&mut g, a)?;
        let y = g.matmul(z1, w2)?;
        let squares = g.square(y)?;
        let cost = g.reduce_mean(squares)?;
        let gradients = g.gradients(cost, &[w1, w2, x])?;
        let fetches = [&[w1, w2, z0, a, z1, y, cost], gradients.as_slice()].concat();

        let mut session = session_on(g, backend, 2)?;
        for n in [1, 255, 256, 257, 1000, 5000, 256, 1] {
            let values: Vec<f64> = Rng(n as u64).values(n * SIZES[0], 2.0);
            let found = fetch(&mut session, &fetches, &[(x, rows(&values, SIZES[0]))])?;

            let x = Matrix::new(n, values.clone());
            let w1 = Matrix::new(SIZES[0], found[0].clone());
            let w2 = Matrix::new(SIZES[1], found[1].clone());
            let centre = |m: &Matrix| {
                let means = column_means(m);
                m.map(|_, j, v| v - means[j])
            };
            let z0 = centre(&x);
            let a = z0.times(&w1).map(|_, _, z| z.tanh());
            let z1 = centre(&a);
            let y = z1.times(&w2);
            let count = (n * SIZES[2]) as f64;
            let cost = y.data.iter().map(|y| y * y).sum::<f64>() / count;
            let dy = y.map(|_, _, y| 2.0 * y / count);
            let dw2 = z1.transposed().times(&dy);
            let da = centre(&dy.times(&w2.transposed()));
            let dz = da.map(|i, j, d| d * (1.0 - a.at(i, j) * a.at(i, j)));
            let dw1 = z0.transposed().times(&dz);
            let dx = centre(&dz.times(&w1.transposed()));
            let expected = [&z0, &a, &z1, &y].map(|m| m.data.clone());
            let expected = expected.into_iter().chain([vec![cost], dw1.data, dw2.data, dx.data]);
            let names = ["z0", "a", "z1", "y", "cost", "dw1", "dw2", "dx"];
            // Sums of up to 5000 numbers whose errors are random: √5000 ε; ten times that.
            for ((name, expected), found) in names.iter().zip(expected).zip(&found[2..]) {
                assert_close(&format!("{name} of {n} rows"), found, &expected, 1.6e-13);
            }
        }
    }
    Ok(())
}

#[test]
fn assignments_take_effect_together_at_the_end_of_the_run() -> Result<()> {
    // Of one element, of some, and of so many that a pass over them is cut into pieces for threads.
    for n in [1, 5, 100_000] {
        let mut g = Graph::new();
        let a = g.variable("a", &[n], Initializer::Constant(1.0))?;
        let b = g.variable("b", &[n], Initializer::Constant(2.0))?;
        let c = g.variable("c", &[n], Initializer::Constant(10.0))?;
        let swap = [g.assign(a, b)?, g.assign(b, a)?];
        let sum = g.add(a, b)?;
        let more = g.add(c, sum)?;
        let count = g.assign(c, more)?;
        let doubled = g.mul(a, sum)?;
        let total = g.reduce_sum(doubled)?;
        let together = g.group(&[swap[0], count, swap[1]]);
        let again = g.assign(c, a)?;

        let mut session = session(g)?;
        let all = [a, together, b, c, more, total, doubled];
        for (old_a, old_b, old_c) in [(1.0, 2.0, 10.0), (2.0, 1.0, 13.0), (1.0, 2.0, 16.0)] {
            let out = session.run(&all, &[])?;
            assert_eq!(out.dims(1), [] as [usize; 0]);
            assert!(out.floats(1).is_err(), "a group has no value");
            let read = |i: usize| out.floats(i).map(|x| (x[0], x[n - 1]));
            assert_eq!(read(0)?, (old_a, old_a), "reads see the value before the run");
            assert_eq!(read(2)?, (old_b, old_b));
            assert_eq!(read(3)?, (old_c, old_c));
            assert_eq!(read(4)?, (old_c + 3.0, old_c + 3.0));
            assert_eq!(read(6)?, (old_a * 3.0, old_a * 3.0));
            assert_eq!(out.scalar(5)?, old_a * 3.0 * n as f64);
        }
        let ids = [a, b, c].map(|node| session.graph().variable_of(node).expect("a variable"));
        assert_eq!(ids.map(|id| session.variable(id).data()[n / 2]), [2.0, 1.0, 19.0]);

        let error = session.run(&[count, again], &[]).unwrap_err().to_string();
        assert!(error.contains("variable \"c\" is assigned twice"), "{error}");
        session.run(&[again], &[])?;
        assert_eq!(session.variable(ids[2]).data()[n - 1], 2.0, "each of the two alone is fine");
    }
    Ok(())
}

#[test]
fn a_variable_that_is_updated_from_others_leaves_them_their_old_values() -> Result<()> {
    // Each new value reads all three old ones; through sums, so that they can't be one pass.
    let mut g = Graph::new();
    let vars = [1.0, 2.0, 4.0].map(|v| g.variable("v", &[3], Initializer::Constant(v)));
    let [a, b, c] = [vars[0].clone()?, vars[1].clone()?, vars[2].clone()?];
    let mut updates = Vec::new();
    for (x, y, z) in [(a, b, c), (b, c, a), (c, a, b)] {
        let sum = g.reduce_sum(y)?;
        let scaled = g.mul(sum, z)?;
        let new = g.sub(scaled, x)?;
        updates.push(g.assign(x, new)?);
    }
    let step = g.group(&updates);
    let mut session = session(g)?;
    let mut v = [1.0f64, 2.0, 4.0];
    for _ in 0..3 {
        session.run(&[step], &[])?;
        v = [3.0 * v[1] * v[2] - v[0], 3.0 * v[2] * v[0] - v[1], 3.0 * v[0] * v[1] - v[2]];
        let found = fetch(&mut session, &[a, b, c], &[])?;
        assert_eq!(found, v.map(|v| vec![v; 3]));
    }
    Ok(())
}

#[test]
fn a_variable_that_nothing_reads_is_assigned_as_a_whole() -> Result<()> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(3)])?;
    let w = g.variable("w", &[3], Initializer::Zeros)?;
    let mean = g.reduce_mean_axis(x, 0)?;
    let update = g.assign(w, mean)?;
    for backend in [Arc::new(Naive) as Arc<dyn Backend<f64>>, Arc::new(Simd::detect())] {
        let mut session = session_on(g.clone(), backend, 2)?;
        session.run(&[update], &[(x, rows(&[1.0, 2.0, 3.0, 3.0, 4.0, 5.0], 3))])?;
        assert_eq!(session.run(&[w], &[])?.floats(0)?, [2.0, 3.0, 4.0]);
    }
    Ok(())
}

#[test]
fn everything_can_be_fetched_as_often_as_one_likes() -> Result<()> {
    let mut g = Graph::new();
    let x = g.placeholder("x", &[None, Some(6)])?;
    let labels = g.typed_placeholder("labels", &[None], DType::Int)?;
    let fixed = g.placeholder("fixed", &[Some(2), Some(2)])?;
    let flags = g.typed_placeholder("flags", &[Some(3)], DType::Int)?;
    let constant = g.constant(&[1.0, 2.0, 3.0], &[3])?;
    let folded = g.reshape(x, &[None, Some(2), Some(3)])?;
    let folded_constant = g.reshape(constant, &[Some(3), Some(1)])?;
    let doubled = g.add(x, x)?;
    let best = g.argmax(x)?;
    let right = g.equal(best, labels)?;
    let hot = g.one_hot(labels, 4)?;
    let counted = g.cast(right, DType::Float);
    let whole = g.cast(doubled, DType::Int);
    let size = g.size(folded);
    let fetches = [
        x,
        labels,
        fixed,
        flags,
        constant,
        folded,
        folded_constant,
        doubled,
        best,
        right,
        hot,
        counted,
        whole,
        size,
        x,
        best,
        constant,
    ]; // fmt: skip
    let mut session = session(g)?;
    for n in [1, 300, 2] {
        let values: Vec<f64> = Rng(n as u64).values(n * 6, 3.0);
        let classes = Rng(3).classes(n, 6);
        let feeds = [
            (x, rows(&values, 6)),
            (labels, classes.as_slice().into()),
            (fixed, Feed::Floats(&[1.0, 2.0, 3.0, 4.0])),
            (flags, Feed::Ints(&[7, 8, 9])),
        ];
        let out = session.run(&fetches, &feeds)?;
        let argmax: Vec<i32> = values
            .chunks(6)
            .map(|r| (0..6).fold(0, |best, j| if r[j] > r[best] { j } else { best }) as i32)
            .collect();
        let hits: Vec<i32> = argmax.iter().zip(&classes).map(|(a, b)| i32::from(a == b)).collect();
        let twice: Vec<f64> = values.iter().map(|v| v + v).collect();
        for (i, expected) in [(0, &values), (5, &values), (14, &values), (7, &twice)] {
            assert_eq!(out.floats(i)?, expected, "fetch {i} of {n} rows");
        }
        for (i, expected) in [(1, &classes), (8, &argmax), (15, &argmax), (9, &hits)] {
            assert_eq!(out.ints(i)?, expected, "fetch {i} of {n} rows");
        }
        assert_eq!(out.floats(2)?, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(out.ints(3)?, [7, 8, 9]);
        for i in [4, 6, 16] {
            assert_eq!(out.floats(i)?, [1.0, 2.0, 3.0]);
        }
        let dims: Vec<&[usize]> = (0..fetches.len()).map(|i| out.dims(i)).collect();
        assert_eq!(dims[0], [n, 6]);
        assert_eq!(dims[5], [n, 2, 3]);
        assert_eq!(dims[6], [3, 1]);
        assert_eq!(dims[8], [n]);
        assert_eq!(dims[10], [n, 4]);
        for (row, &c) in out.floats(10)?.chunks(4).zip(&classes) {
            assert_eq!(row, (0..4).map(|j| f64::from(u8::from(j == c))).collect::<Vec<_>>());
        }
        assert_eq!(out.floats(11)?, hits.iter().map(|&h| f64::from(h)).collect::<Vec<_>>());
        assert_eq!(out.ints(12)?, twice.iter().map(|&v| v as i32).collect::<Vec<_>>());
        assert_eq!(out.scalar(13)?, (n * 6) as f64);
        assert!(out.floats(8).is_err() && out.ints(0).is_err() && out.scalar(0).is_err());
        assert!(out.floats(fetches.len()).is_err());
    }
    Ok(())
}

#[test]
fn gradients_clipped_by_their_common_norm_are_the_right_ones() -> Result<()> {
    const CLIP: f64 = 0.25;
    for (m, n) in [(3, 2), (300, 200)] {
        let mut g = Graph::new();
        let x = g.placeholder("x", &[None, Some(m)])?;
        let w = g.variable("w", &[m, n], Initializer::GlorotUniform)?;
        let b = g.variable("b", &[n], Initializer::Zeros)?;
        let z = g.matmul(x, w)?;
        let z = g.add(z, b)?;
        let y = g.sigmoid(z)?;
        let cost = g.reduce_sum(y)?;
        let gradients = g.gradients(cost, &[w, b])?;
        let mut total = g.scalar(0.0);
        for &gradient in &gradients {
            let square = g.square(gradient)?;
            let sum = g.reduce_sum(square)?;
            total = g.add(total, sum)?;
        }
        let norm = g.sqrt(total)?;
        let (one, clip) = (g.scalar(1.0), g.scalar(CLIP));
        let ratio = g.div(clip, norm)?;
        let scale = g.minimum(one, ratio)?;
        let mut updates = Vec::new();
        for (&variable, &gradient) in [w, b].iter().zip(&gradients) {
            let clipped = g.mul(gradient, scale)?;
            let new = g.sub(variable, clipped)?;
            updates.push(g.assign(variable, new)?);
        }
        let step = g.group(&updates);
        let mut session = session(g)?;
        // Of large inputs the norm is far above the bound, of tiny ones and one row below it.
        for (rows_fed, limit) in [(600, 1.0), (1, 1e-4)] {
            let values: Vec<f64> = Rng(4).values(rows_fed * m, limit);
            let feeds = [(x, rows(&values, m))];
            let before = fetch(&mut session, &[w, b, gradients[0], gradients[1]], &feeds)?;
            let norm_expected = before[2..].iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
            let scale_expected = f64::min(1.0, CLIP / norm_expected);
            let found = fetch(&mut session, &[norm, scale], &feeds)?;
            assert_close("norm and scale", &found.concat(), &[norm_expected, scale_expected], 1e-12);
            session.run(&[step], &feeds)?;
            let after = fetch(&mut session, &[w, b], &feeds)?;
            for i in 0..2 {
                let expected: Vec<f64> =
                    before[i].iter().zip(&before[i + 2]).map(|(w, g)| w - g * scale_expected).collect();
                assert_close("updated variable", &after[i], &expected, 1e-12);
            }
        }
    }
    Ok(())
}

/// A feed's place, what is fed there instead, if anything, and what the message must say.
type Fault<'a> = (usize, Option<Feed<'a, f64>>, &'a [&'a str]);

#[test]
fn what_is_fed_wrongly_is_named_and_nothing_has_changed() -> Result<()> {
    let mut g = Graph::new();
    let x = g.placeholder("pixels", &[None, Some(4)])?;
    let labels = g.typed_placeholder("digits", &[None], DType::Int)?;
    let rate = g.placeholder("rate", &[])?;
    let built = Dense::new(3).build(&mut g, x)?;
    let losses = g.softmax_cross_entropy(built.output, labels)?;
    let loss = g.reduce_mean(losses)?;
    let gradient = g.gradients(loss, &[built.kernel])?[0];
    let scaled = g.mul(rate, gradient)?;
    let new = g.sub(built.kernel, scaled)?;
    let step = g.assign(built.kernel, new)?;
    let mut session = session(g)?;
    let kernel = session.graph().variable_of(built.kernel).expect("a variable");
    let before = session.variable(kernel).data().to_vec();

    let (four, five) = ([0.5; 8], [0.5; 10]);
    let good: [(Node, Feed<'_, f64>); 3] =
        [(x, rows(&four, 4)), (labels, Feed::Ints(&[0, 2])), (rate, Feed::Floats(&[0.1]))];
    let cases: [Fault<'_>; 11] = [
        (0, None, &["placeholder \"pixels\" float [None, 4] was not fed"]),
        (1, None, &["placeholder \"digits\" int [None] was not fed"]),
        (2, None, &["placeholder \"rate\" float [] was not fed"]),
        (0, Some(rows(&five, 5)), &["\"pixels\" is float [None, 4]", "a batch of 2 rows of 5"]),
        (0, Some(Feed::Ints(&[1, 2])), &["\"pixels\" is float [None, 4]", "2 ints"]),
        (0, Some(Feed::Floats(&four)), &["\"pixels\" is float [None, 4]", "8 floats"]),
        (1, Some(rows(&four, 4)), &["\"digits\" is int [None]", "a batch of 2 rows of 4"]),
        (1, Some(Feed::Ints(&[0, 1, 2])), &["\"digits\" was fed 3 rows", "same batch axis 2"]),
        (1, Some(Feed::Ints(&[2, 3])), &["\"digits\" was fed class 3 in row 1", "0 to 2"]),
        (1, Some(Feed::Ints(&[-1, 0])), &["\"digits\" was fed class -1 in row 0", "0 to 2"]),
        (2, Some(Feed::Floats(&[0.1, 0.2])), &["\"rate\" is float []", "2 floats"]),
    ];
    for (place, feed, words) in cases {
        let mut feeds = good.to_vec();
        match feed {
            Some(feed) => feeds[place].1 = feed,
            None => drop(feeds.remove(place)),
        }
        let error = session.run(&[loss, step], &feeds).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
        assert_eq!(session.variable(kernel).data(), before, "after: {error}");
    }
    let error = session.run(&[loss], &[(loss, rows(&four, 4))]).unwrap_err().to_string();
    assert!(error.contains("fed to div \"div\", expected a placeholder"), "{error}");
    let error = session.run(&[built.kernel], &[(x, rows(&four, 4)), (x, rows(&four, 4))]).unwrap_err();
    assert!(error.to_string().contains("\"pixels\" was fed twice"), "{error}");

    session.run(&[loss, step], &good)?;
    assert_ne!(session.variable(kernel).data(), before, "the same run with good feeds");
    Ok(())
}
