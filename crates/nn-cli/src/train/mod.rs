//! `nn train`: options in, a trained network and its figures out.

pub(crate) mod config;
mod folder;
mod inputs;
mod interrupt;
pub(crate) mod model;
mod optimizer;
mod page;
mod progress;
mod record;

use std::time::Instant;

use nn_core::Scalar;
use nn_core::exec::SessionOptions;
use nn_train::callbacks::Interrupt;
use nn_train::metrics::{ClassificationReport, ConfusionMatrix, argmax_rows};
use nn_train::{Ending, FitData, Fitted, Trainable, predict};

use self::config::TrainConfig;
use self::folder::{Contents, Folder};
pub(crate) use self::folder::{HISTORY, MODEL};
use self::inputs::Inputs;
pub(crate) use self::inputs::WHITE;
use self::progress::Progress;

use self::record::{DataFacts, Environment, Outputs, Record, Seconds};
use crate::args::{DType, TrainArgs};
use crate::data::load;
use crate::failure::Failure;
use crate::mistakes::{Mistake, drawn};
use crate::render::grouped;
use crate::report::Fact;
use crate::screen::{Screen, Style};

/// `options`: those in effect, as the text of a file.
pub(crate) fn run(args: TrainArgs, options: String, screen: &mut Screen) -> Result<(), Failure> {
    let config = TrainConfig::new(args, options)?;
    if config.quiet {
        screen.mute();
    }
    match config.dtype {
        DType::F32 => train::<f32>(&config, screen),
        DType::F64 => train::<f64>(&config, screen),
    }
}

fn train<T: Scalar>(config: &TrainConfig, screen: &mut Screen) -> Result<(), Failure> {
    let begin = Instant::now();
    let outputs = Outputs::check(config)?;
    let backend = config.backend.open::<T>()?;
    let data = load(&config.data)?;
    let inputs = Inputs::<T>::new(&data, config, &*backend)?;
    let options = SessionOptions { backend, threads: config.threads.get(), seed: config.fit.seed };
    let mut network = model::build(&config.network, data.train.images.pixels(), data.class_count(), options)?;
    let folder = match &config.out {
        _ if config.no_out => None,
        Some(path) => Some(Folder::named(path)?),
        None => Some(Folder::fresh(&config.name())?),
    };
    // A run that was not told where to leave anything is for its reader, and may stop when the reader goes away.
    let for_reader = outputs.is_empty() && config.out.is_none();
    let load_seconds = begin.elapsed().as_secs_f64();

    let environment = Environment::new(network.session().description(), network.session().threads(), config);
    let mut facts = introduction(config, &data, &inputs, &environment, screen.style)?;
    screen.print(lines(&facts, screen.style));
    let test = inputs.test()?;
    let fit_data =
        FitData { test: (test.rows() > 0).then_some(test.clone()), ..FitData::new(inputs.train()?) };
    let mut interrupt = Interrupt::new(interrupt::on_ctrl_c(config.quiet)?);
    let mut progress = Progress::new(screen, config.quiet, for_reader);
    let fitted = network.fit(&fit_data, &config.fit, &mut [&mut progress, &mut interrupt])?;
    let Fitted { history, ending } = fitted;
    let stopped = interrupted_in(ending).filter(|_| interrupt.is_set());
    facts.extend(
        stopped.clone().map(|place| ("interrupted".to_owned(), format!("{place} of {}", config.fit.epochs))),
    );
    let times = progress.finish();
    if screen.is_closed() && for_reader {
        return Ok(());
    }

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
            training: times.training_seconds,
            evaluation: times.evaluation_seconds,
            total: begin.elapsed().as_secs_f64(),
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
    match stopped {
        Some(place) => {
            let epochs = config.fit.epochs;
            let kept = if outputs.is_empty() && folder.is_none() {
                ""
            } else {
                "; what was trained until then is saved"
            };
            Err(Failure::other(format_args!("interrupted {place} of {epochs}{kept}")))
        }
        None => Ok(()),
    }
}

/// Where training ended, if it was before its end.
fn interrupted_in(ending: Ending) -> Option<String> {
    match ending {
        Ending::Finished => None,
        Ending::StoppedAfter { epoch } => Some(format!("after epoch {}", epoch + 1)),
        Ending::StoppedWithin { epoch, batches } => {
            let unit = if batches == 1 { "batch" } else { "batches" };
            Some(format!("after {batches} {unit} of epoch {}", epoch + 1))
        }
    }
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
        ("with", format!("{}, {} input", environment.line(), inputs.form())),
    ];
    Ok(lines.map(|(name, text)| (name.to_owned(), text)).into())
}

fn lines(facts: &[Fact], style: Style) -> String {
    facts.iter().map(|(name, text)| format!("{} {text}\n", style.bold(&format!("{name:8}")))).collect()
}
