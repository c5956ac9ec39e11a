//! `nn bench grid`: where on a grid of sizes a training step is faster with `simd` than with a BLAS library, and where not.

use std::time::{Duration, Instant};

use mnist_data::Split;
use nn_core::exec::SessionOptions;
use nn_core::layers::{Dense, Nonlinearity};
use nn_core::losses::Loss;
use nn_core::matrix::{InputRef, MatRef};
use nn_core::models::{Compile, Network, Sequential};
use nn_core::ops::Activation;
use nn_core::optim::Optimizer;
use serde::Serialize;
use serde_json::json;

use super::series::duration;
use super::setup::{Form, SEED};
use super::timing::{Seconds, timed};
use super::versus::{Origin, Rival, Versus, marked, mixed, numbers, rest};
use crate::args::{GridArgs, GridInput};
use crate::data::load;
use crate::failure::Failure;
use crate::screen::{Screen, Style};
use crate::train::inputs::Examples;
use crate::train::record::write_json;

/// Descent so slow that weights stay as they are drawn: the work is the same in each step.
const LEARNING_RATE: f64 = 1e-3;

/// How often each takes its turn in a cell, if steps are short enough for that.
const TURNS: u32 = 5;

/// Steps of a time that is taken together, at least as long as this: reading the clock is then nothing beside it.
const TAKEN_TOGETHER: Duration = Duration::from_micros(200);

/// A variant that takes so many times as long as the fastest one is not measured further.
const HOPELESS: f64 = 3.0;

/// Sizes of a training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Cell {
    input: GridInput,
    layers: usize,
    hidden: usize,
    batch: usize,
}

/// What came of one.
#[derive(Debug, Serialize)]
struct Measured {
    #[serde(flatten)]
    cell: Cell,
    series: Vec<Series>,
    /// The fastest variant of the library.
    best_blas: String,
    /// The shortest step with `simd` over the shortest one of that variant.
    ratio: f64,
}

#[derive(Debug, Serialize)]
struct Series {
    name: String,
    seconds: Seconds,
}

#[derive(Debug, Serialize)]
struct Record<'a> {
    benchmark: &'static str,
    #[serde(flatten)]
    origin: Origin,
    config: serde_json::Value,
    cells: &'a [Measured],
}

/// Images in the forms that they are measured in.
struct Images<'a> {
    input: GridInput,
    forms: Vec<(Form, InputRef<'a, f32>)>,
    labels: &'a [i32],
    /// What `simd` is given.
    preferred: Form,
}

pub(super) fn run(args: &GridArgs, screen: &mut Screen) -> Result<(), Failure> {
    let data = load(&args.data)?;
    let (columns, classes) = (data.train.images.pixels(), data.class_count());
    let rows = args.rows.map_or(data.train.len(), usize::from);
    if rows > data.train.len() {
        let have = data.train.len();
        return Err(Failure::usage(format_args!("--rows {rows}: the data have {have} images to train on")));
    }
    if let Some(batch) = args.batch.iter().find(|batch| batch.get() > rows) {
        return Err(Failure::usage(format_args!(
            "--batch {batch}: expected no more than the {rows} images that there are"
        )));
    }
    let what = "A training step (tanh, softmax, cross-entropy, gradient descent; f32), simd beside BLAS.";
    let versus = Versus::new(&args.versus, what, screen)?;
    screen.print(heading(&["data", "hidden", "batch", "simd", "BLAS", "its best", "simd : BLAS"]));
    let mut cells = Vec::new();
    for &input in &args.input {
        with_images(input, &data.train, rows, &versus, |images| {
            for &layers in &args.layers {
                for &hidden in &args.hidden {
                    for &batch in &args.batch {
                        let (layers, hidden, batch) = (layers.get(), hidden.get(), batch.get());
                        let cell = Cell { input, layers, hidden, batch };
                        let measured = measure(cell, images, (columns, classes), &versus, args.seconds)?;
                        screen.print(measured.line(screen.style));
                        cells.push(measured);
                    }
                }
            }
            Ok(())
        })?;
    }
    let origin = versus.origin(screen)?;
    screen.print(tables(&cells, args));
    if let Some(path) = &args.versus.json {
        let config = json!({
            "data": args.data.to_string(), "rows": rows, "seconds": args.seconds, "threads": versus.threads,
            "optimizer": "sgd", "learning_rate": LEARNING_RATE, "dtype": "f32", "seed": SEED,
        });
        write_json(path, &Record { benchmark: "grid", origin, config, cells: &cells })?;
    }
    Ok(())
}

/// Calls `body` with the first `rows` images.
fn with_images(
    input: GridInput,
    split: &Split,
    rows: usize,
    versus: &Versus,
    body: impl FnOnce(&Images<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let columns = split.images.pixels();
    match input {
        GridInput::Random => {
            let x: Vec<f32> = numbers().take(rows * columns).collect();
            let class = |i| (mixed(i) % 10) as i32;
            let labels: Vec<i32> = (0..rows as u64).map(class).collect();
            let forms = vec![(Form::Dense, InputRef::dense(MatRef::new(&x, rows, columns)?))];
            body(&Images { input, forms, labels: &labels, preferred: Form::Dense })
        }
        GridInput::Mnist => {
            let (dense, sparse) =
                (Examples::new(split, rows, Form::Dense)?, Examples::new(split, rows, Form::Sparse)?);
            let (dense, sparse) = (dense.dataset()?, sparse.dataset()?);
            let bytes = &split.images.bytes()[..rows * columns];
            let lit = bytes.iter().filter(|&&pixel| pixel != 0).count();
            let density = lit as f64 / bytes.len().max(1) as f64;
            let prefers_sparse = versus.simd.backend.prefers_sparse(density);
            let forms = vec![(Form::Dense, dense.x()), (Form::Sparse, sparse.x())];
            let preferred = if prefers_sparse { Form::Sparse } else { Form::Dense };
            body(&Images { input, forms, labels: dense.labels().unwrap_or_default(), preferred })
        }
    }
}

/// Steps with one backend on images in one form, which they go through batch by batch, again and again.
struct Stepper<'a> {
    name: String,
    network: Network<f32>,
    x: InputRef<'a, f32>,
    labels: &'a [i32],
    batch: usize,
    next: usize,
    /// Whether the library computes on threads of its own, which keep processors for a while after a call.
    lingers: bool,
    seconds: Vec<f64>,
}

impl<'a> Stepper<'a> {
    fn new(
        rival: &Rival,
        (form, x): (Form, InputRef<'a, f32>),
        images: &Images<'a>,
        cell: Cell,
        (columns, classes): (usize, usize),
    ) -> Result<Self, Failure> {
        let hidden = Dense::new(cell.hidden).activation(Activation::Tanh);
        let model = (0..cell.layers).fold(Sequential::new(columns), |model, _| model.add(hidden.clone()));
        let model = model.add(Dense::new(classes).activation(Nonlinearity::Softmax));
        let compile = Compile::new(Optimizer::sgd(LEARNING_RATE), Loss::SparseCategoricalCrossEntropy);
        let (backend, threads) = (rival.backend.clone(), rival.threads);
        let network = model.compile(compile, SessionOptions { backend, threads, seed: SEED, pin: false })?;
        let name = if images.input == GridInput::Random {
            rival.name.to_owned()
        } else {
            format!("{}, {}", rival.name, form.name())
        };
        let (labels, batch) = (images.labels, cell.batch);
        let lingers = rival.backend.describe().threads_per_call > 1;
        Ok(Self { name, network, x, labels, batch, next: 0, lingers, seconds: Vec::new() })
    }

    /// The mean seconds of `count` steps, which follow each other.
    fn take(&mut self, count: usize) -> Result<f64, Failure> {
        let (loss, time) = timed(|| {
            (0..count).try_fold(0.0, |_, _| {
                if self.next + self.batch > self.labels.len() {
                    self.next = 0;
                }
                let (x, labels) =
                    (self.x.slice(self.next, self.batch), &self.labels[self.next..][..self.batch]);
                self.next += self.batch;
                Ok::<f64, nn_core::Error>(self.network.train_on_batch(x, labels)?.loss())
            })
        });
        let loss = loss?;
        if !loss.is_finite() {
            return Err(Failure::other(format_args!("{}: the loss is no finite number: {loss}", self.name)));
        }
        Ok(time / count as f64)
    }

    /// Lets the library's threads fall asleep, so that whoever comes next has all processors.
    fn rest(&self) {
        if self.lingers {
            rest();
        }
    }

    fn best(&self) -> f64 {
        self.seconds.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

fn measure(
    cell: Cell,
    images: &Images<'_>,
    ends: (usize, usize),
    versus: &Versus,
    seconds: f64,
) -> Result<Measured, Failure> {
    let mut steppers = Vec::new();
    for &(form, x) in images.forms.iter().filter(|(form, _)| *form == images.preferred) {
        steppers.push(Stepper::new(&versus.simd, (form, x), images, cell, ends)?);
    }
    for rival in [&versus.blas].into_iter().chain(&versus.own_threads) {
        for &form in &images.forms {
            steppers.push(Stepper::new(rival, form, images, cell, ends)?);
        }
    }
    in_turns(&mut steppers, seconds)?;
    let series: Vec<Series> = steppers
        .into_iter()
        .map(|stepper| Series { name: stepper.name, seconds: Seconds::of(stepper.seconds) })
        .collect();
    let [simd, blas @ ..] = series.as_slice() else { return Err(Failure::other("grid: nothing to measure")) };
    let best = blas.iter().min_by(|a, b| a.seconds.min.total_cmp(&b.seconds.min));
    let Some(best) = best else { return Err(Failure::other("grid: no BLAS to measure")) };
    let (best_blas, ratio) = (best.name.clone(), simd.seconds.min / best.seconds.min);
    Ok(Measured { cell, series, best_blas, ratio })
}

/// Measures all in turns for so many seconds, first steps and rests between them apart, and at least one step each. The first is `simd`,
/// which is always measured.
fn in_turns(steppers: &mut Vec<Stepper<'_>>, seconds: f64) -> Result<(), Failure> {
    // First steps compile plans, allocate memory and list what is lit. However long they take, they don't count.
    for stepper in steppers.iter_mut() {
        stepper.take(1)?;
        stepper.rest();
    }
    let mut taken = 0.0;
    for stepper in steppers.iter_mut() {
        let time = stepper.take(1)?;
        stepper.seconds.push(time);
        taken += time;
        stepper.rest();
    }
    if taken > seconds {
        return Ok(());
    }
    let best = |steppers: &[Stepper<'_>]| steppers.iter().map(Stepper::best).fold(f64::INFINITY, f64::min);
    let fastest_blas = best(&steppers[1..]);
    let mut number = 0;
    steppers.retain(|stepper| {
        number += 1;
        number == 1 || stepper.best() <= HOPELESS * fastest_blas
    });
    let turn = seconds / f64::from(TURNS) / steppers.len() as f64;
    taken = 0.0;
    for _ in 0..TURNS {
        for stepper in steppers.iter_mut() {
            let together = (TAKEN_TOGETHER.as_secs_f64() / stepper.best()).ceil().max(1.0) as usize;
            let begin = Instant::now();
            loop {
                let time = stepper.take(together)?;
                stepper.seconds.push(time);
                if begin.elapsed().as_secs_f64() + time * together as f64 > turn {
                    break;
                }
            }
            taken += begin.elapsed().as_secs_f64();
            stepper.rest();
        }
        if taken > seconds {
            break;
        }
    }
    Ok(())
}

impl Measured {
    /// A row of the table of all cells.
    fn line(&self, style: Style) -> String {
        let Cell { input, layers, hidden, batch } = self.cell;
        let time = |name: &str| {
            let found = self.series.iter().find(|series| series.name == name);
            found.map_or(String::new(), |series| duration(series.seconds.min, style))
        };
        let simd = self.series.first().map_or("", |series| &series.name);
        let units = vec![hidden.to_string(); layers].join(", ");
        row(&[
            input_name(input).to_owned(),
            units,
            batch.to_string(),
            time(simd),
            time(&self.best_blas),
            self.best_blas.clone(),
            marked(self.ratio),
        ])
    }
}

fn input_name(input: GridInput) -> &'static str {
    match input {
        GridInput::Random => "random",
        GridInput::Mnist => "mnist",
    }
}

/// A table of ratios for each kind of data and depth, in Markdown.
fn tables(cells: &[Measured], args: &GridArgs) -> String {
    let mut text = String::from("time(simd) : time(BLAS at its best); in bold where simd takes longer\n");
    for &input in &args.input {
        for layers in &args.layers {
            let name = format!("{}, {layers} hidden", input_name(input));
            let batches = args.batch.iter().map(|batch| format!("batch {batch}"));
            text += &format!("\n{}\n", heading(&[name].into_iter().chain(batches).collect::<Vec<_>>()));
            for hidden in &args.hidden {
                let of = |batch: usize| Cell { input, layers: layers.get(), hidden: hidden.get(), batch };
                let ratio = |batch: usize| cells.iter().find(|measured| measured.cell == of(batch));
                let ratios = args.batch.iter().filter_map(|batch| ratio(batch.get()));
                let ratios = ratios.map(|measured| marked(measured.ratio));
                text += &row(&[hidden.to_string()].into_iter().chain(ratios).collect::<Vec<_>>());
                text.push('\n');
            }
        }
    }
    text
}

/// A Markdown table's first two lines.
pub(super) fn heading<S: AsRef<str>>(names: &[S]) -> String {
    format!("{}\n|{}", row(names), "---|".repeat(names.len()))
}

/// A line of a Markdown table.
pub(super) fn row<S: AsRef<str>>(cells: &[S]) -> String {
    format!("| {} |", cells.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" | "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nn_core::backend::Naive;

    use super::*;

    #[test]
    fn first_steps_never_count_and_one_more_always_does() -> Result<(), Failure> {
        let (x, labels) = ([0.5; 12 * 4], [1; 12]);
        let rows = InputRef::dense(MatRef::new(&x, 12, 4)?);
        let forms = vec![(Form::Dense, rows)];
        let images = Images { input: GridInput::Random, forms, labels: &labels, preferred: Form::Dense };
        let cell = Cell { input: GridInput::Random, layers: 1, hidden: 3, batch: 5 };
        let rival = Rival { name: "naive", backend: Arc::new(Naive), threads: 1 };
        let stepper = || Stepper::new(&rival, (Form::Dense, rows), &images, cell, (4, 2));
        let mut steppers = vec![stepper()?, stepper()?];
        in_turns(&mut steppers, f64::MIN_POSITIVE)?;
        for stepper in steppers {
            assert_eq!(
                (stepper.seconds.len(), stepper.next),
                (1, 10),
                "two steps of 5 rows, of which one counts"
            );
        }
        Ok(())
    }
}
