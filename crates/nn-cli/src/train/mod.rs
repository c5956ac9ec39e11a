//! `nn train`: options in, a trained network and its figures out.

mod callbacks;
pub(crate) mod config;
mod folder;
pub(crate) mod inputs;
mod interrupt;
mod keep;
pub(crate) mod model;
mod optimizer;
mod outcome;
mod page;
mod progress;
pub(crate) mod record;

use std::time::Instant;

use nn_core::Scalar;
use nn_core::exec::SessionOptions;
use nn_train::checkpoint::Checkpoint;
use nn_train::metrics::{ClassificationReport, ConfusionMatrix, argmax_rows};
use nn_train::{FitData, FitOptions, Fitted, History, Trainable, predict};

use self::callbacks::Callbacks;
use self::config::TrainConfig;
use self::folder::{Contents, Folder};
pub(crate) use self::folder::{HISTORY, MODEL};
use self::inputs::Inputs;
pub(crate) use self::inputs::WHITE;
use self::outcome::Outcome;
use self::progress::Progress;
use self::record::{DataFacts, Outputs, Record, Seconds};
use crate::args::{DType, TrainArgs};
use crate::data::load;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::mistakes::{Mistake, drawn};
use crate::render::grouped;
use crate::report::Fact;
use crate::screen::{Screen, Style};

/// `options`: those in effect, as the text of a file. `started`: when the program was.
pub(crate) fn run(
    args: TrainArgs,
    options: String,
    started: Instant,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let config = TrainConfig::new(args, options)?;
    if config.quiet {
        screen.mute();
    }
    match config.dtype {
        DType::F32 => train::<f32>(&config, started, screen),
        DType::F64 => train::<f64>(&config, started, screen),
    }
}

fn train<T: Scalar>(config: &TrainConfig, started: Instant, screen: &mut Screen) -> Result<(), Failure> {
    let outputs = Outputs::check(config)?;
    let backend = config.backend.open::<T>()?;
    let data = load(&config.data)?;
    let inputs = Inputs::<T>::new(&data, config, &*backend)?;
    let options =
        SessionOptions { backend, threads: config.threads.get(), seed: config.fit.seed, pin: config.pin };
    let kept = config.kept(inputs.train()?.rows());
    let (pixels, classes) = (data.train.images.pixels(), data.class_count());
    let (mut network, resumed) = match &config.callbacks.resume {
        Some(path) => {
            let mut network = model::fresh(&config.network, pixels, classes, options)?;
            let resumed = keep::resume(path, &mut network, kept, config.fit.epochs)?;
            (network, resumed)
        }
        None => {
            let network = model::build(&config.network, pixels, classes, options)?;
            (network, Checkpoint { run: kept, ..Checkpoint::new(Vec::new(), History::default(), 0) })
        }
    };
    let test = inputs.test()?;
    let monitor = callbacks::monitor(config, &network, test.rows() > 0)?;
    if let Some(dir) = &config.callbacks.tensorboard {
        callbacks::prepare_tensorboard(dir)?;
    }
    let folder = match &config.out {
        _ if config.no_out => None,
        Some(path) => Some(Folder::named(path)?),
        None => Some(Folder::fresh(&config.name())?),
    };
    // A run that was not told where to leave anything is for its reader, and may stop when the reader goes away.
    let for_reader = outputs.is_empty() && config.out.is_none();
    let load_seconds = started.elapsed().as_secs_f64();

    let environment =
        Environment::new(network.session().description(), network.session().threads(), config.dtype);
    let mut facts = introduction(config, &data, &inputs, &environment, screen.style)?;
    let words = |name: &str, text: String| (name.to_owned(), text);
    facts.extend(callbacks::in_words(&config.callbacks, &monitor).map(|text| words("watching", text)));
    facts.extend(config.callbacks.resume.as_ref().map(|path| {
        words("resumed", format!("after epoch {}, from {}", resumed.epochs_done, path.display()))
    }));
    screen.print(lines(&facts, screen.style));
    let fit_data =
        FitData { test: (test.rows() > 0).then_some(test.clone()), ..FitData::new(inputs.train()?) };
    let fit_options = FitOptions { initial_epoch: resumed.epochs_done, ..config.fit.clone() };
    let interrupt = interrupt::on_ctrl_c(config.quiet)?;
    let mut callbacks = Callbacks::new(&config.callbacks, &monitor, &resumed, interrupt);
    let mut progress = Progress::new(screen, config.quiet, for_reader);
    let Fitted { history: later, ending } =
        network.fit(&fit_data, &fit_options, &mut callbacks.with(&mut progress))?;
    let times = progress.finish();
    if screen.is_closed() && for_reader {
        return Ok(());
    }
    let mut history = resumed.history;
    history.append(&later);
    let outcome = Outcome::new(ending, &callbacks, config.fit.epochs);
    let early = callbacks.keep.outcome(&monitor, history.epochs()).map(|text| words("early stopping", text));
    if let Some((name, text)) = &early {
        screen.print(format!("{name}: {text}"));
    }
    facts.extend(early.into_iter().chain(outcome.fact()));

    let answers = predict(&mut network, test.x())?;
    let predicted = argmax_rows(&answers, data.class_count())?;
    let matrix = ConfusionMatrix::from_labels(inputs.test_labels(), &predicted, data.class_count())?;
    let report = ClassificationReport::new(&matrix);
    let record = Record {
        history: &history,
        confusion_matrix: &matrix,
        classification_report: &report,
        seconds: Seconds {
            load: load_seconds,
            until_first_step: times.first_step.map(|at| at.duration_since(started).as_secs_f64()),
            training: times.training_seconds,
            evaluation: times.evaluation_seconds,
            total: started.elapsed().as_secs_f64(),
        },
        images_per_second: times.images_per_second(),
        environment: &environment,
        data: DataFacts::new(&data),
        config: config.describe(),
    };
    let mistakes = Mistake::all(data.test.labels.classes(), &predicted, &answers);
    outputs.write(&record, &network)?;
    if let Some(folder) = &folder {
        let (title, config_file) = (folder.title(), folder.config());
        let page = page::report(&title, &config_file, &facts, &record, &data, &mistakes, &network)?;
        folder.write(&Contents { config: &config.text, record: &record, network: &network, page: &page })?;
    }

    let heading = |text: &str| screen.style.bold(text);
    let summary = [
        heading("\nConfusion matrix of the test images"),
        matrix.to_string(),
        heading("Classification report"),
        format!("{report:.4}"),
        drawn(&mistakes, &data, screen.style).trim_end().to_owned() + "\n",
        format!(
            "{}: {:.1} s in all, {:.1} s of them training at {} images/s",
            environment.line(),
            record.seconds.total,
            record.seconds.training,
            grouped(record.images_per_second.round() as usize)
        ),
    ];
    screen.print(summary.join("\n"));
    if let Some(folder) = &folder {
        screen.print(format!("left in {}; look at {}", folder.path().display(), folder.report().display()));
    }
    outcome.result(!outputs.keeps_nothing() || folder.is_some(), callbacks.keep.saved())
}

/// What is about to happen: names and values.
fn introduction<T: Scalar>(
    config: &TrainConfig,
    data: &mnist_data::Dataset,
    inputs: &Inputs<T>,
    environment: &Environment,
    style: Style,
) -> Result<Vec<Fact>, Failure> {
    let (_, rows, columns) = data.train.images.shape();
    let classes = data.class_count();
    let mut layers = vec![data.train.images.pixels().to_string()];
    layers.extend(
        config.network.hidden.iter().map(|units| format!("{units} {}", config.network.activation.name())),
    );
    layers.push(format!("{classes} softmax"));
    let lines = [
        (
            "data",
            format!(
                "{}, {} training and {} test images of {rows}{}{columns} pixels, {classes} classes",
                data.name,
                grouped(inputs.train()?.rows()),
                grouped(inputs.test()?.rows()),
                style.or_ascii("×", "x"),
            ),
        ),
        ("network", layers.join(style.or_ascii(" → ", " -> "))),
        ("training", config.training_line()),
        ("with", format!("{}, {}", environment.line(), inputs.line())),
    ];
    Ok(lines.map(|(name, text)| (name.to_owned(), text)).into())
}

fn lines(facts: &[Fact], style: Style) -> String {
    facts.iter().map(|(name, text)| format!("{} {text}\n", style.bold(&format!("{name:8}")))).collect()
}
