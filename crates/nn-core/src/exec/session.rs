//! The session: variables, plans, threads.

use std::sync::Arc;

use smallvec::SmallVec;

use super::ahead::Ahead;
use super::layout::most_blocks;
use super::lower::lower;
use super::outputs::Outputs;
use super::plan::{Plan, With};
use super::pool::Pool;
use super::value::{Feed, Tensor, Variable};
use super::wide::shard_rows;
use crate::backend::{Backend, Description};
use crate::graph::{DType, Graph, Node, Op, Symbol, VarId};
use crate::{Error, Result, Scalar};

/// How a session runs.
#[derive(Debug, Clone)]
pub struct SessionOptions<T> {
    /// The kernels.
    pub backend: Arc<dyn Backend<T>>,
    /// How many threads compute, 1 or more.
    pub threads: usize,
    /// What the variables' first values and random nodes are drawn from, unless the graph has a seed of its own
    /// ([`Graph::set_seed`]).
    pub seed: u64,
    /// Whether thread `i` is held on the `i`-th core that the process may use, so that its data stay in that core's caches
    /// and two threads never share a core. Of use where nothing else wants the cores; where something does, a held thread
    /// can't make way.
    ///
    /// The thread that makes the session is the first of them: it should also be the one that runs it, it stays on its core
    /// when the session is gone, and threads that it starts afterwards are held there, too.
    pub pin: bool,
}

impl<T: Scalar> SessionOptions<T> {
    /// The given backend, one thread for each processor that this process may use, seed 0, no thread held on a core.
    pub fn new(backend: Arc<dyn Backend<T>>) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { backend, threads, seed: 0, pin: false }
    }
}

/// The values of a graph's variables, and what runs fetches over it.
///
/// ```
/// use std::sync::Arc;
/// use nn_core::backend::Naive;
/// use nn_core::exec::{Session, SessionOptions};
/// use nn_core::graph::Graph;
/// use nn_core::init::Initializer;
/// use nn_core::matrix::MatRef;
///
/// let mut g = Graph::new();
/// let x = g.placeholder("x", &[None, Some(2)])?;
/// let w = g.variable("w", &[2, 1], Initializer::Constant(0.5))?;
/// let y = g.matmul(x, w)?;
///
/// let mut session = Session::<f64>::new(g, SessionOptions::new(Arc::new(Naive)))?;
/// let rows = [1.0, 2.0, 3.0, 4.0];
/// let out = session.run(&[y], &[(x, MatRef::new(&rows, 2, 2)?.into())])?;
/// assert_eq!((out.dims(0), out.floats(0)?), ([2, 1].as_slice(), [1.5, 3.5].as_slice()));
///
/// let error = session.run(&[y], &[]).unwrap_err().to_string();
/// assert!(error.contains("placeholder \"x\""), "{error}");
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Session<T> {
    graph: Graph,
    backend: Arc<dyn Backend<T>>,
    vars: Vec<Variable<T>>,
    plans: Vec<(Key, Plan<T>)>,
    pool: Pool<T>,
    /// What variables and random nodes draw from.
    seed: u64,
    /// How often variables were changed.
    version: u64,
    /// The run that was computed ahead, if one was.
    ahead: Ahead,
}

/// What a plan was compiled for: the fetches, the placeholders fed, and the rows of each batch axis.
#[derive(Debug, PartialEq)]
struct Key {
    fetches: Vec<Node>,
    feeds: Vec<Node>,
    axes: Vec<(Symbol, usize)>,
}

/// Batch axes and their rows, as the feeds of a run have them.
type Axes = SmallVec<[(Symbol, usize); 4]>;

impl<T: Scalar> Session<T> {
    /// A session over `graph`, with every variable at its initial value.
    ///
    /// # Errors
    /// If the threads can't be started, or held on cores where that was asked for, or an initialiser does not fit its
    /// variable.
    pub fn new(graph: Graph, options: SessionOptions<T>) -> Result<Self> {
        let pool = if options.pin { Pool::pinned(options.threads)? } else { Pool::new(options.threads)? };
        let seed = graph.seed().unwrap_or(options.seed);
        let mut vars = Vec::with_capacity(graph.variables().len());
        for number in 0..graph.variables().len() {
            vars.push(initial_value(&graph, number, seed, options.backend.block_columns())?);
        }
        Ok(Self {
            graph,
            backend: options.backend,
            vars,
            plans: Vec::new(),
            pool,
            seed,
            version: 0,
            ahead: Ahead::default(),
        })
    }

    /// Adds nodes and variables to the graph of a session that runs. Each new variable gets the initial value that it
    /// would have had, had it been there from the beginning; the others keep theirs.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nn_core::backend::Naive;
    /// use nn_core::exec::{Session, SessionOptions};
    /// use nn_core::graph::Graph;
    /// use nn_core::init::Initializer;
    /// let mut g = Graph::new();
    /// let a = g.variable("a", &[], Initializer::Constant(3.0))?;
    /// let mut session = Session::<f64>::new(g, SessionOptions::new(Arc::new(Naive)))?;
    /// let sum = session.extend(|g| {
    ///     let b = g.variable("b", &[], Initializer::Constant(4.0))?;
    ///     g.add(a, b)
    /// })?;
    /// assert_eq!(session.run(&[sum], &[])?.scalar(0)?, 7.0);
    /// # Ok::<(), nn_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `build`, and if it puts another graph in the place of this one; nothing has changed then.
    pub fn extend<R>(&mut self, build: impl FnOnce(&mut Graph) -> Result<R>) -> Result<R> {
        let mut graph = self.graph.clone();
        let built = build(&mut graph)?;
        if !self.graph.is_part_of(&graph) {
            return Err(Error::invalid(
                "extend: the graph was replaced by one that does not begin with the session's nodes; expected it to be \
                 added to",
            ));
        }
        let new = self.vars.len()..graph.variables().len();
        let block = self.backend.block_columns();
        let values =
            new.map(|number| initial_value(&graph, number, self.seed, block)).collect::<Result<Vec<_>>>()?;
        // A batch axis that turned out to be another one, or a number, is no axis of any run to come.
        self.ahead.forget();
        self.plans.retain(|(key, _)| key.axes.iter().all(|(symbol, _)| graph.is_open(*symbol)));
        self.vars.extend(values);
        self.graph = graph;
        Ok(built)
    }

    /// Frees what was compiled for these fetches, which will not be run again.
    pub(crate) fn forget(&mut self, fetches: &[Node]) {
        self.ahead.forget();
        self.plans.retain(|(key, _)| key.fetches != fetches);
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What runs the kernels.
    pub fn backend(&self) -> &Arc<dyn Backend<T>> {
        &self.backend
    }

    /// A description of what runs the kernels.
    pub fn description(&self) -> Description {
        self.backend.describe()
    }

    /// How many threads compute.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// The value of a variable.
    pub fn variable(&self, id: VarId) -> Tensor<T> {
        self.vars[id.index()].to_tensor()
    }

    /// Replaces the value of a variable.
    ///
    /// # Errors
    /// If `value` has other dimensions.
    pub fn set_variable(&mut self, id: VarId, value: &[T], dims: &[usize]) -> Result<()> {
        let variable = self.graph.var(id);
        if variable.dims != dims {
            return Err(Error::shape(format_args!(
                "variable \"{}\" has the shape {:?}, the new value has {dims:?}",
                variable.name, variable.dims
            )));
        }
        let value = Tensor::new(dims, value)?;
        self.version += 1;
        self.vars[id.index()] = Variable::new(&value, self.backend.block_columns());
        Ok(())
    }

    /// Computes `fetches`, and nothing that none of them needs, from the values fed to placeholders. Variables read as
    /// they were before the run; assignments among the fetches take effect together when everything is computed.
    ///
    /// The outputs borrow buffers that the next run overwrites.
    ///
    /// # Errors
    /// If a placeholder that a fetch depends on is not fed, or is fed a value of another shape or type; nothing has
    /// been computed or changed then.
    pub fn run(&mut self, fetches: &[Node], feeds: &[(Node, Feed<'_, T>)]) -> Result<Outputs<'_, T>> {
        let number = self.plan(fetches, feeds)?;
        let (version, computed) = (self.version, self.ahead.take(number, self.version, feeds));
        let plan = &mut self.plans[number].1;
        if plan.changes_variables() {
            self.version += 1;
        }
        let values: SmallVec<[Feed<'_, T>; 8]> = feeds.iter().map(|(_, feed)| *feed).collect();
        let with = With {
            backend: &*self.backend,
            feeds: &values,
            pool: &self.pool,
            seed: self.seed,
            version,
            next: None,
        };
        if computed {
            plan.assign(with, &mut self.vars);
        } else {
            plan.run(with, &mut self.vars);
        }
        if plan.initializes() {
            for (number, value) in self.vars.iter_mut().enumerate() {
                *value = initial_value(&self.graph, number, self.seed, self.backend.block_columns())?;
            }
        }
        Ok(Outputs { values: &plan.outputs })
    }

    /// Computes and hands out what [`run`](Self::run) would, with no assignment taking effect. If `run` is called with the
    /// same fetches and feeds before a variable has changed, all that is left for it are the assignments: a loss that is
    /// measured after a step on the rows that the next step learns from costs nothing that the next step would not have
    /// cost. Other runs in between are as they would be. None, and nothing computed, where this can't be done:
    ///
    /// - It must be certain that the feeds are the same. They are if each is a range of rows of one [`SparseBytes`], or holds
    ///   integers, of which a copy is kept and compared; other numbers belong to the caller, who may change them.
    /// - What is assigned must not be written while the rest is still being computed, as plain gradient descent on a small
    ///   batch does.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nn_core::backend::Naive;
    /// use nn_core::exec::{Session, SessionOptions};
    /// use nn_core::graph::Graph;
    /// use nn_core::init::Initializer;
    /// use nn_core::matrix::{InputRef, SparseBytes};
    ///
    /// let mut g = Graph::new();
    /// let x = g.placeholder("x", &[None, Some(2)])?;
    /// let sum = g.reduce_sum(x)?;
    /// let w = g.variable("w", &[], Initializer::Zeros)?;
    /// let step = g.add(w, sum)?;
    /// let step = g.assign(w, step)?;
    ///
    /// let data = SparseBytes::new(&[0, 51, 0, 255], 2, 2, 255.0)?;
    /// let feeds = [(x, InputRef::sparse_bytes(&data).into())];
    /// let mut session = Session::<f64>::new(g, SessionOptions::new(Arc::new(Naive)))?;
    /// let ahead = session.run_ahead(&[sum, step], &feeds)?;
    /// assert_eq!(ahead.map(|out| out.scalar(0)).transpose()?, Some(1.2));
    /// assert_eq!(session.run(&[w], &[])?.scalar(0)?, 0.0);
    /// session.run(&[sum, step], &feeds)?;
    /// assert_eq!(session.run(&[w], &[])?.scalar(0)?, 1.2);
    /// # Ok::<(), nn_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    ///
    /// [`SparseBytes`]: crate::matrix::SparseBytes
    pub fn run_ahead(
        &mut self,
        fetches: &[Node],
        feeds: &[(Node, Feed<'_, T>)],
    ) -> Result<Option<Outputs<'_, T>>> {
        let number = self.plan(fetches, feeds)?;
        let plan = &mut self.plans[number].1;
        if !plan.is_separable() {
            return Ok(None);
        }
        if !self.ahead.is(number, self.version, feeds) {
            if !self.ahead.begin(feeds) {
                return Ok(None);
            }
            let values: SmallVec<[Feed<'_, T>; 8]> = feeds.iter().map(|(_, feed)| *feed).collect();
            let with = With {
                backend: &*self.backend,
                feeds: &values,
                pool: &self.pool,
                seed: self.seed,
                version: self.version,
                next: None,
            };
            plan.compute(with, &mut self.vars);
            self.ahead.computed(number, self.version);
        }
        Ok(Some(Outputs { values: &plan.outputs }))
    }

    /// How often variables were changed: while this stays the same, so do all of them.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The number of the plan for these fetches and feeds, which have been checked.
    fn plan(&mut self, fetches: &[Node], feeds: &[(Node, Feed<'_, T>)]) -> Result<usize> {
        let axes = self.check_feeds(feeds)?;
        let fits = |key: &Key| {
            key.fetches == fetches
                && key.axes == *axes
                && key.feeds.iter().eq(feeds.iter().map(|(node, _)| node))
        };
        let number = match self.plans.iter().position(|(key, _)| fits(key)) {
            Some(number) => number,
            None => self.compile(fetches, feeds, &axes)?,
        };
        check_classes(&self.graph, self.plans[number].1.classes(), feeds)?;
        Ok(number)
    }

    fn compile(&mut self, fetches: &[Node], feeds: &[(Node, Feed<'_, T>)], axes: &Axes) -> Result<usize> {
        if let Some(stranger) = fetches.iter().find(|f| f.index() >= self.graph.nodes().len()) {
            return Err(Error::invalid(format_args!(
                "run: fetch {stranger:?} is not a node of this session's graph"
            )));
        }
        let fed: Vec<Node> = feeds.iter().map(|(node, _)| *node).collect();
        let rows = |symbol| axes.iter().find(|(s, _)| *s == symbol).map(|(_, rows)| *rows);
        let most_rows = axes.iter().map(|(_, rows)| *rows).max().unwrap_or(0);
        let block = self.backend.block_columns();
        let shard_rows = shard_rows(most_rows, self.backend.shard_rows());
        let program = lower(&self.graph, fetches, &fed, &rows, block, shard_rows)?;
        let plan = Plan::new(program, axes, (shard_rows, most_blocks(&self.graph, block)));
        self.plans.push((Key { fetches: fetches.to_vec(), feeds: fed, axes: axes.to_vec() }, plan));
        Ok(self.plans.len() - 1)
    }

    /// Checks every feed against its placeholder, and finds the rows of each batch axis.
    fn check_feeds(&self, feeds: &[(Node, Feed<'_, T>)]) -> Result<Axes> {
        let mut axes = Axes::new();
        for (i, (node, feed)) in feeds.iter().enumerate() {
            let data = self.graph.nodes().get(node.index()).filter(|data| data.op == Op::Placeholder);
            let Some(data) = data else {
                let what = match self.graph.nodes().get(node.index()) {
                    Some(data) => format!("{} \"{}\"", data.op.name(), data.name),
                    None => format!("{node:?}, which is no node of this session's graph"),
                };
                return Err(Error::invalid(format_args!(
                    "run: a value was fed to {what}, expected a placeholder"
                )));
            };
            if feeds[..i].iter().any(|(earlier, _)| earlier == node) {
                return Err(Error::invalid(format_args!(
                    "run: placeholder \"{}\" was fed twice, expected one value",
                    data.name
                )));
            }
            let shape = self.graph.shape(*node);
            let row_len = shape.row_len();
            let (rows, fits) = match (feed, data.dtype, shape.batch()) {
                (Feed::Input(x), DType::Float, Some(_)) => (x.rows(), x.cols() == row_len),
                (Feed::Floats(x), DType::Float, None) => (0, x.len() == row_len),
                (Feed::Ints(x), DType::Int | DType::Bool, Some(_)) => {
                    (x.len() / row_len.max(1), x.len().is_multiple_of(row_len.max(1)))
                }
                (Feed::Ints(x), DType::Int | DType::Bool, None) => (0, x.len() == row_len),
                _ => (0, false),
            };
            if !fits {
                let remedy = match (feed, data.dtype, shape.batch()) {
                    (Feed::Input(x), DType::Float, None) if x.rows() * x.cols() == row_len => {
                        "; feed the numbers of a fixed shape as Feed::Floats"
                    }
                    _ => "",
                };
                return Err(Error::shape(format_args!(
                    "run: placeholder \"{}\" is {} {shape}, it was fed {}{remedy}",
                    data.name,
                    data.dtype.name(),
                    describe(feed)
                )));
            }
            let Some(symbol) = shape.batch() else { continue };
            match axes.iter().find(|(s, _)| *s == symbol) {
                Some(&(_, others)) if others != rows => {
                    return Err(Error::shape(format_args!(
                        "run: placeholder \"{}\" was fed {rows} rows, another of the same batch axis {others}",
                        data.name
                    )));
                }
                Some(_) => {}
                None => axes.push((symbol, rows)),
            }
        }
        Ok(axes)
    }
}

/// The first value of variable `number`: its number is the stream that it draws from.
fn initial_value<T: Scalar>(
    graph: &Graph,
    number: usize,
    seed: u64,
    block: Option<usize>,
) -> Result<Variable<T>> {
    let variable = graph.var(VarId(number));
    let values = variable.initializer.values(&variable.dims, seed, number as u64)?;
    let values: Vec<T> = values.into_iter().map(T::of).collect();
    Ok(Variable::new(&Tensor::new(&variable.dims, &values)?, block))
}

/// What was fed, in the words of an error message.
#[cold]
fn describe<T: Scalar>(feed: &Feed<'_, T>) -> String {
    match feed {
        Feed::Input(x) => format!("a batch of {} rows of {}", x.rows(), x.cols()),
        Feed::Ints(x) => format!("{} ints", x.len()),
        Feed::Floats(x) => format!("{} floats without a batch axis", x.len()),
    }
}

/// Class indices must be classes.
fn check_classes<T>(graph: &Graph, classes: &[(usize, usize)], feeds: &[(Node, Feed<'_, T>)]) -> Result<()> {
    for &(feed, classes) in classes {
        let (node, Feed::Ints(labels)) = &feeds[feed] else { continue };
        let out_of_range = |&c: &i32| usize::try_from(c).map_or(true, |c| c >= classes);
        if let Some(row) = labels.iter().position(out_of_range) {
            return Err(Error::invalid(format_args!(
                "run: placeholder \"{}\" was fed class {} in row {row}, expected 0 to {}",
                graph.node(*node).name,
                labels[row],
                classes - 1
            )));
        }
    }
    Ok(())
}
