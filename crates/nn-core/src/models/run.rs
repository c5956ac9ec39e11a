//! Batches through a network: checked, learnt from, measured, predicted.

use smallvec::SmallVec;

use super::ahead;
use super::batch::{Batch, Figures, Ratio, Target};
use super::endpoints::{Endpoints, FigureNodes, Run};
use super::network::{Network, compiled};
use crate::exec::{Feed, Outputs};
use crate::graph::{DType, Node};
use crate::matrix::{InputRef, MatRef};
use crate::metrics::MetricNodes;
use crate::{Error, Result, Scalar};

/// What is fed: mostly an input and its target.
type Feeds<'a, T> = SmallVec<[(Node, Feed<'a, T>); 4]>;

impl<T: Scalar> Network<T> {
    /// Whether training on this batch (or on parts of it) can work.
    ///
    /// # Errors
    /// If the network was not compiled, if inputs, targets or weights don't fit it or each other, or if a class is none of its
    /// classes; the message says which row.
    pub fn check(&self, batch: &Batch<'_, T>) -> Result<()> {
        let ends = &compiled(self.training.as_ref(), "fit")?.plain.ends;
        check_parts(ends, batch)?;
        let graph = self.session.graph();
        let rows = batch.rows();
        let same = |name: &str, found: usize| {
            if found == rows {
                return Ok(());
            }
            Err(Error::shape(format_args!("batch: \"{name}\" has {found} rows, the first input has {rows}")))
        };
        for (&node, x) in ends.inputs.iter().zip(&batch.inputs) {
            self.check_columns(node, x.cols())?;
            same(&graph.node(node).name, x.rows())?;
        }
        for ((&node, target), &output) in ends.targets.iter().zip(&batch.targets).zip(&ends.outputs) {
            let name = &graph.node(node).name;
            same(name, target.rows())?;
            match target {
                Target::Classes(classes) if graph.dtype(node) == DType::Int => {
                    check_classes(name, classes, graph.shape(output).row_len())?;
                }
                Target::Values(values) if graph.dtype(node) == DType::Float => {
                    self.check_columns(node, values.cols())?;
                }
                Target::Classes(_) => {
                    return Err(Error::invalid(format_args!(
                        "batch: \"{name}\" was given classes, its loss expects numbers {}",
                        graph.shape(node)
                    )));
                }
                Target::Values(_) => {
                    return Err(Error::invalid(format_args!(
                        "batch: \"{name}\" was given numbers, its loss expects class indices int [None]"
                    )));
                }
            }
        }
        batch.weights.map_or(Ok(()), |weights| same("row weights", weights.len()))
    }

    fn check_columns(&self, node: Node, found: usize) -> Result<()> {
        let graph = self.session.graph();
        let shape = graph.shape(node);
        if found == shape.row_len() {
            return Ok(());
        }
        Err(Error::shape(format_args!(
            "batch: \"{}\" has rows of {found} numbers, expected {} for {shape}",
            graph.node(node).name,
            shape.row_len()
        )))
    }

    /// One training step. The figures are those before the step.
    ///
    /// # Errors
    /// If the network was not compiled, or the batch does not fit it; nothing has changed then.
    pub fn train(&mut self, batch: &Batch<'_, T>) -> Result<Figures> {
        self.run("train", batch, true)
    }

    /// The figures of a batch. If it is the batch that was trained on last, and the same was done before and followed by a
    /// step on it, the next step on it is expected and its computation shared, where that changes no bit
    /// ([`Session::run_ahead`](crate::exec::Session::run_ahead)).
    ///
    /// # Errors
    /// If the network was not compiled, or the batch does not fit it.
    pub fn test(&mut self, batch: &Batch<'_, T>) -> Result<Figures> {
        self.run("test", batch, false)
    }

    /// [`train`](Self::train) for one input and one output of classes.
    ///
    /// # Errors
    /// If the network was not compiled, or rows and labels don't fit it or each other; nothing has changed then.
    pub fn train_on_batch(&mut self, x: InputRef<'_, T>, labels: &[i32]) -> Result<Figures> {
        self.train(&Batch::new(x, labels))
    }

    /// [`test`](Self::test) for one input and one output of classes.
    ///
    /// # Errors
    /// If the network was not compiled, or rows and labels don't fit it or each other.
    pub fn test_on_batch(&mut self, x: InputRef<'_, T>, labels: &[i32]) -> Result<Figures> {
        self.test(&Batch::new(x, labels))
    }

    fn run(&mut self, what: &str, batch: &Batch<'_, T>, learn: bool) -> Result<Figures> {
        if batch.weights.is_some() {
            self.prepare_weights(what)?;
        }
        let training = compiled(self.training.as_ref(), what)?;
        let run = match &training.weighted {
            Some(run) if batch.weights.is_some() => run,
            _ => &training.plain,
        };
        let Run { ends, train, test } = run;
        check_parts(ends, batch)?;
        let rows = batch.rows();
        let mut feeds: Feeds<'_, T> = SmallVec::new();
        feeds.extend(ends.inputs.iter().copied().zip(batch.inputs.iter().map(|x| Feed::Input(*x))));
        feeds.extend(ends.targets.iter().copied().zip(batch.targets.iter().map(|target| match target {
            Target::Classes(classes) => Feed::Ints(classes),
            Target::Values(values) => Feed::Input(*values),
        })));
        if let Some(node) = ends.row_weights {
            let weights = match batch.weights {
                Some(weights) => weights,
                None => {
                    self.ones.resize(rows, T::of(1.0));
                    &self.ones
                }
            };
            feeds.push((node, MatRef::new(weights, weights.len(), 1)?.into()));
        }
        let (fetches, figures) =
            if learn { (train, &ends.train_figures) } else { (test, &ends.test_figures) };
        let (id, version) = (ahead::id(batch), self.session.version());
        let expects_step = if learn {
            self.habit.train(id, version);
            false
        } else {
            self.habit.test(&id, version) && run.measures_alike()
        };
        let ahead = if expects_step { self.session.run_ahead(train, &feeds)? } else { None };
        let out = match ahead {
            Some(out) => out,
            None => self.session.run(fetches, &feeds)?,
        };
        let mut next = 0;
        let mut scalar = || {
            next += 1;
            out.scalar(next - 1).map(Scalar::wide)
        };
        let count = rows as f64;
        let mut ratios: SmallVec<[Ratio; 8]> = SmallVec::with_capacity(figures.len());
        for (_, figure) in figures {
            ratios.push(match figure {
                FigureNodes::Mean(_) => Ratio { sum: scalar()? * count, count },
                FigureNodes::Ratio(MetricNodes { count: None, .. }) => Ratio { sum: scalar()?, count },
                FigureNodes::Ratio(_) => Ratio { sum: scalar()?, count: scalar()? },
            });
        }
        Ok(Figures::new(&training.names, rows, ratios))
    }

    /// Builds what weighted rows need, the first time there are any.
    fn prepare_weights(&mut self, what: &str) -> Result<()> {
        let training = compiled(self.training.as_ref(), what)?;
        if training.weighted.is_some() || training.plain.ends.row_weights.is_some() {
            return Ok(());
        }
        let (Some(compiled), Some((model, _))) = (&training.compiled, &self.model) else {
            return Err(Error::invalid(format_args!(
                "{what}: rows were given weights, but this network was built from a graph that has none"
            )));
        };
        let inputs = &self.inputs;
        let ends = self.session.extend(|g| {
            let weights = g.placeholder("row_weights", &[None])?;
            compiled.endpoints(g, model, inputs, Some(weights))
        })?;
        if let Some(training) = &mut self.training {
            training.weighted = Some(Run::new(ends));
        }
        Ok(())
    }

    /// What the model makes of each row, one row-major slice for each output, until the next call.
    ///
    /// # Errors
    /// If the rows don't fit the network.
    pub fn predict(&mut self, inputs: &[InputRef<'_, T>]) -> Result<Vec<&[T]>> {
        let outputs = self.outputs.len();
        let out = self.run_outputs(inputs)?;
        (0..outputs).map(|i| out.floats(i)).collect()
    }

    fn run_outputs(&mut self, inputs: &[InputRef<'_, T>]) -> Result<Outputs<'_, T>> {
        if inputs.len() != self.inputs.len() {
            return Err(Error::invalid(format_args!(
                "predict: the network has {} inputs, expected rows for each, found {}",
                self.inputs.len(),
                inputs.len()
            )));
        }
        let feeds: Feeds<'_, T> =
            self.inputs.iter().copied().zip(inputs.iter().map(|x| Feed::Input(*x))).collect();
        self.session.run(&self.outputs, &feeds)
    }

    /// [`predict`](Self::predict) for one input and one output: \[rows, classes\], row-major, until the next call. Allocates
    /// nothing once it was called with as many rows.
    ///
    /// # Errors
    /// If the rows don't fit the network, or it has more than one input or output.
    pub fn predict_on_batch(&mut self, x: InputRef<'_, T>) -> Result<&[T]> {
        let outputs = self.outputs.len();
        if outputs != 1 {
            return Err(Error::invalid(format_args!(
                "predict: the network has {outputs} outputs, expected one; call predict"
            )));
        }
        self.run_outputs(&[x])?.floats(0)
    }
}

/// There must be rows, for each input and each target.
fn check_parts<T: Scalar>(ends: &Endpoints, batch: &Batch<'_, T>) -> Result<()> {
    let counts = [
        ("input", batch.inputs.len(), ends.inputs.len()),
        ("target", batch.targets.len(), ends.targets.len()),
    ];
    if let Some((what, found, expected)) = counts.into_iter().find(|(_, found, expected)| found != expected) {
        return Err(Error::invalid(format_args!(
            "batch: the network has {expected} {what}s, expected one of each, found {found}"
        )));
    }
    if batch.rows() == 0 {
        return Err(Error::invalid("batch: expected one row or more, found none"));
    }
    Ok(())
}

/// Every class must be one of the network's.
fn check_classes(name: &str, classes: &[i32], known: usize) -> Result<()> {
    let fits = |&class: &i32| usize::try_from(class).is_ok_and(|class| class < known);
    match classes.iter().position(|class| !fits(class)) {
        None => Ok(()),
        Some(row) => Err(Error::invalid(format_args!(
            "batch: \"{name}\" has the class {} in row {row}, expected 0 to {}",
            classes[row],
            known.saturating_sub(1)
        ))),
    }
}
