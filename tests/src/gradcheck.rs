//! Gradients against differences: for a cost f, its gradient ∇f and a random direction t,
//! ⟨∇f, t⟩ = lim (f(x + ht) − f(x − ht)) / 2h.
//!
//! Two such differences, with h and 2h, are extrapolated (Richardson), which leaves an error of h⁴ f⁽⁵⁾ / 30: with
//! h = 2⁻¹² some 1e-16 of what is measured. The rounding of f costs ε |f| / h, some 1e-12 |f|. So a relative tolerance
//! of 1e-6 has room for both and for nothing else.

use std::sync::Arc;

use nn_core::backend::simd::Simd;
use nn_core::backend::{Backend, Naive};
use nn_core::exec::{Feed, Session, SessionOptions};
use nn_core::graph::{DType, Graph, Node};
use nn_core::init::Initializer;
use nn_core::matrix::MatRef;
use nn_core::{Error, Result};

use crate::random::Rng;

/// The step of the differences, in each element of the direction at most.
const STEP: f64 = 1.0 / 4096.0;

/// What a gradient may be off by, relative to what it usually does in a random direction.
const TOLERANCE: f64 = 1e-6;

/// Where the numbers come from that a graph computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// Placeholders with a batch axis, and variables.
    Batched,
    /// Placeholders whose dimensions are all known.
    Fixed,
    /// Variables alone.
    Variables,
}

/// The values that an input is drawn from. They lie on grids, so that functions with a kink can be kept further from it
/// than a step reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// From −1 to 1 in steps of 1/8.
    Any,
    /// From −17/16 to 15/16 in steps of 1/8: never 0, and never equal to one of `Any`.
    Between,
    /// From 1/2 to 2.
    Positive,
    /// −1, −1/2, 1/2 or 1: never 0, and sums of products of two such are multiples of 1/4.
    Halves,
    /// Odd multiples of 1/8, from −7/8 to 7/8: never 0, nor is their sum with a multiple of 1/4.
    OddEighths,
}

/// An input with its present value.
#[derive(Debug)]
struct Input {
    node: Node,
    dims: Vec<usize>,
    values: Vec<f64>,
    is_variable: bool,
    is_batched: bool,
}

/// A graph under construction, with values for its inputs.
#[derive(Debug)]
pub struct Bench {
    /// The graph.
    pub g: Graph,
    world: World,
    rows: usize,
    rng: Rng,
    inputs: Vec<Input>,
    labels: Vec<(Node, Vec<i32>)>,
    /// Inputs that are not differentiated.
    held: Vec<Node>,
}

impl Bench {
    fn new(world: World, rows: usize, seed: u64) -> Self {
        Self {
            g: Graph::new(),
            world,
            rows,
            rng: Rng(seed),
            inputs: Vec::new(),
            labels: Vec::new(),
            held: Vec::new(),
        }
    }

    /// The number of rows of whatever has rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// An input \[rows, rest…\]: with a batch axis, if this world has them.
    pub fn batch(&mut self, rest: &[usize], range: Range) -> Result<Node> {
        let dims: Vec<usize> = [self.rows].into_iter().chain(rest.iter().copied()).collect();
        if self.world == World::Batched {
            let symbolic: Vec<Option<usize>> =
                [None].into_iter().chain(rest.iter().map(|&n| Some(n))).collect();
            let node = self.g.placeholder("x", &symbolic)?;
            return Ok(self.with_values(node, &dims, range));
        }
        self.parameter(&dims, range)
    }

    /// An input without a batch axis: a variable, or a placeholder in the fixed world.
    pub fn parameter(&mut self, dims: &[usize], range: Range) -> Result<Node> {
        let node = if self.world == World::Fixed {
            let known: Vec<Option<usize>> = dims.iter().map(|&n| Some(n)).collect();
            self.g.placeholder("p", &known)?
        } else {
            self.g.variable("w", dims, Initializer::Zeros)?
        };
        Ok(self.with_values(node, dims, range))
    }

    /// A variable that the graph already has.
    pub fn variable(&mut self, node: Node, range: Range) -> Node {
        let dims = self.g.shape(node).with_batch(0);
        self.with_values(node, &dims, range)
    }

    fn with_values(&mut self, node: Node, dims: &[usize], range: Range) -> Node {
        let len: usize = dims.iter().product();
        let values: Vec<f64> = (0..len).map(|_| draw(&mut self.rng, range)).collect();
        let is_variable = self.g.variable_of(node).is_some();
        let is_batched = self.g.shape(node).batch().is_some();
        self.inputs.push(Input { node, dims: dims.to_vec(), values, is_variable, is_batched });
        node
    }

    /// Classes for the rows.
    pub fn classes(&mut self, classes: usize) -> Result<Node> {
        let rows = if self.world == World::Batched { None } else { Some(self.rows) };
        let node = self.g.typed_placeholder("labels", &[rows], DType::Int)?;
        let values = self.rng.classes(self.rows, classes);
        self.labels.push((node, values));
        Ok(node)
    }

    /// Takes an input out of what is differentiated.
    pub fn hold(&mut self, input: Node) {
        self.held.push(input);
    }

    /// Σ c ⊙ y with a random c, that is not differentiated: ⟨c, y⟩ makes the gradient Jᵀc, and differences give Jt.
    pub fn weigh(&mut self, y: Node) -> Result<Node> {
        let shape = self.g.shape(y);
        let c = match shape.batch() {
            Some(_) => self.batch(&shape.with_batch(0)[1..], Range::Any)?,
            None => self.parameter(&shape.with_batch(0), Range::Any)?,
        };
        self.hold(c);
        let weighted = self.g.mul(c, y)?;
        self.g.reduce_sum(weighted)
    }
}

fn draw(rng: &mut Rng, range: Range) -> f64 {
    let eighths = rng.below(17) as f64 / 8.0 - 1.0;
    match range {
        Range::Any => eighths,
        Range::Between => eighths - 1.0 / 16.0,
        Range::Positive => 1.25 + 0.75 * eighths,
        Range::Halves => [-1.0, -0.5, 0.5, 1.0][rng.below(4)],
        Range::OddEighths => rng.below(8) as f64 / 4.0 - 0.875,
    }
}

/// Builds a cost in each backend's session and checks its gradient with respect to every input that was made and not
/// held.
///
/// # Errors
/// A description of the first gradient that is not what differences say.
pub fn check(
    world: World,
    rows: usize,
    seed: u64,
    build: impl Fn(&mut Bench) -> Result<Node>,
) -> Result<(), String> {
    let backends: [Arc<dyn Backend<f64>>; 2] = [Arc::new(Naive), Arc::new(Simd::detect())];
    for backend in backends {
        let name = backend.describe().backend;
        let context = |e: Error| format!("{name}, {world:?}, {rows} rows: {e}");
        let mut bench = Bench::new(world, rows, seed);
        let cost = build(&mut bench).map_err(context)?;
        bench.check(cost, backend).map_err(context)?;
    }
    Ok(())
}

impl Bench {
    fn check(mut self, cost: Node, backend: Arc<dyn Backend<f64>>) -> Result<()> {
        let numbers = (0..self.inputs.len()).filter(|&i| !self.held.contains(&self.inputs[i].node));
        let numbers: Vec<usize> = numbers.collect();
        let wrt: Vec<Node> = numbers.iter().map(|&i| self.inputs[i].node).collect();
        let gradients = self.g.gradients(cost, &wrt)?;
        let graph = std::mem::take(&mut self.g);
        let mut session = Session::new(graph, SessionOptions { threads: 2, ..SessionOptions::new(backend) })?;

        let fetches: Vec<Node> = [cost].into_iter().chain(gradients).collect();
        let values = self.run(&mut session, &fetches)?;
        let alone = self.run(&mut session, &[cost])?[0][0];
        let together = values[0][0];
        if (alone - together).abs() > 1e-12 * (1.0 + alone.abs()) {
            return Err(Error::invalid(format_args!(
                "the cost is {alone} when fetched alone, {together} when fetched with its gradients"
            )));
        }
        for (&input, gradient) in numbers.iter().zip(&values[1..]) {
            self.check_one(&mut session, cost, input, gradient)?;
        }
        Ok(())
    }

    fn check_one(
        &mut self,
        session: &mut Session<f64>,
        cost: Node,
        input: usize,
        gradient: &[f64],
    ) -> Result<()> {
        let at = self.inputs[input].values.clone();
        if gradient.len() != at.len() {
            return Err(Error::invalid(format_args!(
                "input {input} has {} elements, its gradient {}",
                at.len(),
                gradient.len()
            )));
        }
        let direction: Vec<f64> = at.iter().map(|_| self.rng.unit()).collect();
        let mut size = 0.0f64;
        let mut along = |h: f64| -> Result<f64> {
            self.inputs[input].values = at.iter().zip(&direction).map(|(x, t)| x + h * t).collect();
            let f = self.run(session, &[cost])?[0][0];
            size = size.max(f.abs());
            Ok(f)
        };
        let mut difference = |h: f64| -> Result<f64> { Ok((along(h)? - along(-h)?) / (2.0 * h)) };
        let (narrow, wide) = (difference(STEP)?, difference(2.0 * STEP)?);
        let expected = (4.0 * narrow - wide) / 3.0;
        self.inputs[input].values = at;

        let found: f64 = gradient.iter().zip(&direction).map(|(g, t)| g * t).sum();
        let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        // What ⟨∇f, t⟩ usually is for a t of this length.
        let usual = norm(gradient) * norm(&direction) / (gradient.len().max(1) as f64).sqrt();
        let allowed = TOLERANCE * usual.max(expected.abs()) + 64.0 * f64::EPSILON * (1.0 + size) / STEP;
        let off = (found - expected).abs();
        if off <= allowed {
            return Ok(());
        }
        Err(Error::invalid(format_args!(
            "input {input} {:?}: ⟨∇f, t⟩ = {found}, by differences {expected}: off by {off:.1e}, allowed {allowed:.1e}",
            self.inputs[input].dims
        )))
    }

    fn run(&self, session: &mut Session<f64>, fetches: &[Node]) -> Result<Vec<Vec<f64>>> {
        for input in self.inputs.iter().filter(|input| input.is_variable) {
            let id = session.graph().variable_of(input.node).expect("a variable");
            session.set_variable(id, &input.values, &input.dims)?;
        }
        let mut feeds: Vec<(Node, Feed<'_, f64>)> = Vec::new();
        for input in self.inputs.iter().filter(|input| !input.is_variable) {
            let feed = if input.is_batched {
                let row: usize = input.dims[1..].iter().product();
                MatRef::new(&input.values, self.rows, row)?.into()
            } else {
                Feed::Floats(&input.values)
            };
            feeds.push((input.node, feed));
        }
        feeds.extend(self.labels.iter().map(|(node, classes)| (*node, classes.as_slice().into())));
        let out = session.run(fetches, &feeds)?;
        (0..fetches.len()).map(|i| out.floats(i).map(<[f64]>::to_vec)).collect()
    }
}
