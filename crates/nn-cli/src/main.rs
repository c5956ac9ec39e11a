//! The program `nn`: trains small dense networks on MNIST and its relatives, and shows how good they are.
//!
//! Exit status: 0 done, 2 wrong usage, 1 anything else, with one line on stderr that begins with `error: `.

mod args;
mod backends;
mod bench;
mod data;
mod draw;
mod environment;
mod failure;
mod graph;
mod mistakes;
mod notebook;
mod plot;
mod render;
mod report;
mod screen;
mod train;

use std::process::ExitCode;
use std::time::Instant;

use crate::args::{Command, CommandLine};
use crate::failure::Failure;
use crate::screen::Screen;

fn main() -> ExitCode {
    let started = Instant::now();
    let CommandLine { args, config } = match args::parse() {
        Ok(line) => line,
        Err(failure) => return failure.report(),
    };
    let mut screen = Screen::new(args.ascii);
    let outcome = run(args.command, config, started, &mut screen).and_then(|()| screen.finish());
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// `started`: when the program was.
fn run(command: Command, config: String, started: Instant, screen: &mut Screen) -> Result<(), Failure> {
    match command {
        Command::Train(args) => train::run(*args, config, started, screen),
        Command::Plot(args) => plot::run(&args, screen),
        Command::Notebook(args) => notebook::run(&args, screen),
        Command::Graph(args) => graph::run(*args, screen),
        Command::Data(command) => data::run(command, screen),
        Command::Bench(command) => bench::run(command, screen),
        Command::Backends => backends::run(screen),
    }
}
