//! What a person writes on the command line, typed. The options of `nn train` are in [`train`], [`optimizer`] and
//! [`callbacks`], those of `nn plot`, `nn graph` and `nn bench` in [`plot`], [`graph`] and [`mod@bench`].

mod bench;
mod callbacks;
mod config;
mod graph;
mod numbers;
mod optimizer;
mod plot;
mod train;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use mnist_data::NamedSet;

use crate::failure::Failure;

pub(crate) use bench::{
    BenchCommand, EpochArgs, Forms, GemmArgs, GridArgs, GridInput, PeakArgs, RowsArgs, StepArgs, SubjectArgs,
    VersusArgs,
};
pub(crate) use callbacks::{CallbackArgs, Log};
pub(crate) use graph::{Format, GraphArgs, GraphStage};
pub(crate) use optimizer::{OptimizerArgs, OptimizerName};
pub(crate) use plot::{Graphics, Ground, PlotArgs, What};
pub(crate) use train::{ACTIVATIONS, Api, BatchRows, DType, Init, Input, NetworkArgs, TrainArgs};

/// A command line, read.
#[derive(Debug)]
pub(crate) struct CommandLine {
    pub(crate) args: Args,
    /// The options of `nn train` in effect, as the text of a file that says the same; empty for other commands, and for
    /// a run that leaves no folder.
    pub(crate) config: String,
}

/// Reads the command line, and the file that its `--config` names. Wrong usage ends the program as clap ends it.
///
/// # Errors
/// If that file can't be used.
pub(crate) fn parse() -> Result<CommandLine, Failure> {
    let line: Vec<OsString> = std::env::args_os().collect();
    let mut command = Args::command();
    command.build();
    let mut matches = command.clone().get_matches_from(&line);
    let args = from_matches(&matches)?;
    let (Command::Train(train_args), Some((name, given))) = (&args.command, matches.subcommand()) else {
        return Ok(CommandLine { args, config: String::new() });
    };
    let train = command.find_subcommand(name).cloned().unwrap_or_default();
    if let Some(file) = &train_args.config {
        let place = line.iter().position(|word| word == name).map_or(line.len(), |n| n + 1);
        let more = config::read(file, &train, given)?;
        let all = [&line[..place], &more, &line[place..]].concat();
        let found = command.try_get_matches_from(all);
        matches =
            found.map_err(|e| Failure::usage(format_args!("{}: {}", file.display(), first_part(&e))))?;
    }
    let args = from_matches(&matches)?;
    let leaves_folder = matches!(&args.command, Command::Train(train) if !train.no_out);
    let given = matches.subcommand().filter(|_| leaves_folder);
    let config = given.map_or_else(|| Ok(String::new()), |(_, given)| config::write(&train, given))?;
    Ok(CommandLine { args, config })
}

fn from_matches(matches: &ArgMatches) -> Result<Args, Failure> {
    Args::from_arg_matches(matches).map_err(|e| Failure::usage(first_part(&e)))
}

/// What clap says is wrong, without its hints at the end.
fn first_part(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.split("\n\n").next().unwrap_or_default();
    text.trim_start_matches("error: ").to_owned()
}

/// Trains small dense networks on the CPU, in the open and very fast.
#[derive(Debug, Parser)]
#[command(name = "nn", version, arg_required_else_help = true, args_override_self = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Draw with ASCII only, whatever the locale says
    #[arg(long, global = true)]
    pub(crate) ascii: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a network and show how good it is
    Train(Box<TrainArgs>),
    /// Draw what runs left: training curves, confusion matrix, digits, mistakes, weights
    Plot(PlotArgs),
    /// Replay the exercise that this program is built on, part by part: data, graph, layers, models
    Notebook(NotebookArgs),
    /// Draw the training graph of a network
    Graph(Box<GraphArgs>),
    /// Look at, fetch and verify data sets
    #[command(subcommand)]
    Data(DataCommand),
    /// Measure how fast the backends are, beside what the processor could do
    #[command(subcommand)]
    Bench(BenchCommand),
    /// List the linear-algebra backends: what is available, in which version, and what is not and why
    Backends,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NotebookArgs {
    /// Only this part: 1 data, 2 graph, 3 layers, 4 sequential models, 5 functional models
    #[arg(long, value_name = "N")]
    pub(crate) part: Option<usize>,
    /// Train a tenth of the epochs
    #[arg(long)]
    pub(crate) fast: bool,
    /// Write the lesson to FILE, one page with code, output and pictures
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Print shapes, class counts, pixel statistics and checksums
    Info {
        #[arg(long, default_value = "bundled", value_name = "bundled|DIR", help = DATA_HELP)]
        data: DataSource,
    },
    /// Print one image as numbers, as a picture, or both
    Show {
        /// The image's number, from 0
        index: usize,
        /// Of the training or of the test images
        #[arg(long, value_enum, default_value_t = Part::Train)]
        split: Part,
        /// How to print it
        #[arg(long = "as", value_enum, default_value_t = Show::Both)]
        show: Show,
        #[arg(long, default_value = "bundled", value_name = "bundled|DIR", help = DATA_HELP)]
        data: DataSource,
    },
    /// Download a data set, checked, into the cache or a directory
    Fetch {
        /// The data set
        #[arg(long, value_enum, default_value_t = SetName::Mnist)]
        set: SetName,
        /// Where to put the four files [default: the data set's folder in the cache directory]
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Use no network: only check what is there
        #[arg(long)]
        offline: bool,
    },
    /// Compare a data set with its published checksums
    Verify {
        /// The directory of the four files [default: the data inside this program]
        dir: Option<PathBuf>,
        /// The data set that it should be
        #[arg(long, value_enum, default_value_t = SetName::Mnist, requires = "dir")]
        set: SetName,
    },
}

pub(crate) const DATA_HELP: &str =
    "The data set: MNIST as it is inside this program, or a directory with four IDX files, plain or .gz";

/// Where a data set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DataSource {
    /// Inside the program.
    Bundled,
    /// Four IDX files in a directory.
    Dir(PathBuf),
}

impl From<String> for DataSource {
    fn from(text: String) -> Self {
        if text == "bundled" { Self::Bundled } else { Self::Dir(text.into()) }
    }
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled => f.write_str("bundled"),
            Self::Dir(dir) => write!(f, "{}", dir.display()),
        }
    }
}

/// One of a data set's two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// To learn from
    Train,
    /// To measure on
    Test,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "training",
            Self::Test => "test",
        })
    }
}

/// How to print an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Show {
    /// Its pixels' values, 0 to 255
    Numbers,
    /// Drawn with characters
    Picture,
    /// The numbers, then the picture
    Both,
}

/// A published data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SetName {
    /// Handwritten digits
    Mnist,
    /// Articles of clothing
    FashionMnist,
}

impl From<SetName> for NamedSet {
    fn from(name: SetName) -> Self {
        match name {
            SetName::Mnist => Self::mnist(),
            SetName::FashionMnist => Self::fashion_mnist(),
        }
    }
}
