//! `nn bench`: how fast the backends are, beside what the processor could do in the same process.

mod candidates;
mod epoch;
mod flops;
mod gemm;
mod grid;
mod peak;
mod predict;
mod rows;
mod series;
mod setup;
mod step;
mod timing;
mod versus;

use std::num::NonZeroUsize;

use nn_core::Scalar;
use nn_train::files::check_writable;
use serde_json::json;

use self::peak::{Meter, UNIT};
use self::setup::Setup;
use crate::args::{BatchRows, BenchCommand, DType, PeakArgs};
use crate::environment::Machine;
use crate::failure::Failure;
use crate::render::grouped;
use crate::screen::Screen;
use crate::train::record::write_json;

pub(crate) fn run(command: BenchCommand, screen: &mut Screen) -> Result<(), Failure> {
    match command {
        BenchCommand::Peak(args) => peak(&args, screen),
        BenchCommand::Step(args) => match args.subjects.dtype {
            DType::F32 => step::run::<f32>(*args, screen),
            DType::F64 => step::run::<f64>(*args, screen),
        },
        BenchCommand::Rows(args) => match args.subjects.dtype {
            DType::F32 => rows::run::<f32>(*args, screen),
            DType::F64 => rows::run::<f64>(*args, screen),
        },
        BenchCommand::Epoch(args) => match args.subjects.dtype {
            DType::F32 => epoch::run::<f32>(*args, screen),
            DType::F64 => epoch::run::<f64>(*args, screen),
        },
        BenchCommand::Predict(args) => match args.dtype {
            DType::F32 => predict::run::<f32>(*args, screen),
            DType::F64 => predict::run::<f64>(*args, screen),
        },
        BenchCommand::Grid(args) => grid::run(&args, screen),
        BenchCommand::Gemm(args) => gemm::run(&args, screen),
    }
}

fn peak(args: &PeakArgs, screen: &mut Screen) -> Result<(), Failure> {
    if let Some(path) = &args.json {
        check_writable(path)?;
    }
    let meter = Meter::new(threads(args.threads));
    let reading = meter.read()?;
    screen.print(format!("{}\n{}", Machine::here().line(), meter.line(&reading)));
    if let Some(path) = &args.json {
        let content = json!({
            "benchmark": "peak",
            "environment": Machine::here(),
            "peak": { "unit": UNIT, "isa": meter.isa(), "threads": meter.threads(), "reading": reading },
        });
        write_json(path, &content)?;
    }
    Ok(())
}

/// As many as were asked for, or one per processor.
fn threads(asked: Option<NonZeroUsize>) -> usize {
    let available = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    asked.unwrap_or_else(available).get()
}

/// Images per update, of `rows`.
fn batch_rows(size: BatchRows, rows: usize) -> Result<usize, Failure> {
    match size {
        BatchRows::Full if rows > 0 => Ok(rows),
        BatchRows::Rows(batch) if batch.get() <= rows => Ok(batch.get()),
        BatchRows::Full => Err(Failure::usage("the data have no training images, expected one or more")),
        BatchRows::Rows(batch) => Err(Failure::usage(format_args!(
            "--batch-size {batch}: expected no more than the {rows} images that there are to train on"
        ))),
    }
}

/// What is about to be measured, and with what.
fn introduce<T: Scalar>(setup: &Setup<T>, what: &str, screen: &mut Screen) {
    let line = |name: &str, text: &str| format!("{} {text}", screen.style.bold(&format!("{name:8}")));
    let threads = if setup.threads == 1 { "thread" } else { "threads" };
    let network = setup.shape(screen.style.or_ascii(" → ", " -> "));
    let mut lines = vec![
        line("measured", what),
        line("network", &format!("{network}, {}", T::NAME)),
        line("machine", &format!("{}; {} {threads} compute", Machine::here().line(), grouped(setup.threads))),
    ];
    for candidate in &setup.candidates {
        lines.push(line("backend", &candidate.backend.describe().to_string()));
    }
    screen.print(lines.join("\n"));
}
