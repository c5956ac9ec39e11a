//! `nn bench epoch`: all updates of the training images through `fit`, as anybody trains.

use nn_core::Scalar;
use nn_core::models::Network;
use nn_train::{BatchSize, FitData, FitOptions, Trainable as _};
use serde_json::json;

use super::series::{Basis, Subject};
use super::setup::{Form, SEED, Setup};
use super::timing::{Take, timed};
use crate::args::{BatchRows, EpochArgs};
use crate::environment::Engine;
use crate::failure::Failure;
use crate::render::grouped;
use crate::screen::Screen;

pub(super) fn run<T: Scalar>(args: EpochArgs, screen: &mut Screen) -> Result<(), Failure> {
    let exercise = args.exercise;
    let batch_size = if exercise { BatchRows::Full } else { args.batch_size };
    let setup = Setup::<T>::new(args.subjects)?;
    let train = setup.images(&setup.data.train)?;
    let test = setup.all_images(&setup.data.test)?;
    let rows = match train.first() {
        Some(images) => images.examples.dataset()?.rows(),
        None => 0,
    };
    let batch = super::batch_rows(batch_size, rows)?;
    let what = if exercise {
        format!("one update with all {} images, then their accuracy and the test images'", grouped(rows))
    } else {
        format!("an epoch of {} images in batches of {}", grouped(rows), grouped(batch))
    };
    super::introduce(&setup, &what, screen);
    let more =
        [("batch_size", json!(batch)), ("shuffle", json!(batch < rows)), ("exercise", json!(exercise))];
    let mut bench = setup.bench("epoch", rows, &more);
    let widths = setup.widths();
    for candidate in &setup.candidates {
        for (train, test) in train.iter().zip(&test) {
            let counted = train.rows(rows);
            let mut data = FitData::new(train.examples.dataset()?);
            let mut flops = widths.step(counted);
            if exercise {
                data.validation = Some(data.train.clone());
                let measured = test.examples.dataset()?;
                flops = flops.plus(widths.forward(test.rows(measured.rows())));
                // What is measured on sparse rows is part of the next step, computed ahead; counted is what is done for certain.
                if train.form != Form::Sparse {
                    flops = flops.plus(widths.forward(counted));
                }
                data.test = Some(measured);
            }
            let options = FitOptions {
                batch_size: std::num::NonZeroUsize::new(batch).map_or(BatchSize::Full, BatchSize::Rows),
                seed: SEED,
                ..FitOptions::default()
            };
            let subject = Subject {
                what: if exercise { "exercise's epoch".into() } else { "epoch".into() },
                backend: candidate.name.clone(),
                form: train.form,
                engine: Engine::new(candidate.backend.describe(), setup.threads, setup.dtype),
                images: rows,
                flops,
                basis: Basis::Min,
            };
            let take = epochs_of(setup.network(candidate)?, data, options);
            bench.subjects.push((subject, take));
        }
    }
    bench.run(&setup.left_out, screen)
}

/// One epoch more of the same training, and so another order of the images each time.
fn epochs_of<T: Scalar>(mut network: Network<T>, data: FitData<'_, T>, mut options: FitOptions) -> Take<'_> {
    options.epochs = 0;
    Box::new(move |seconds| {
        options.initial_epoch = options.epochs;
        options.epochs += 1;
        let (fitted, time) = timed(|| network.fit(&data, &options, &mut []));
        seconds.push(time);
        Ok(fitted?.history.last("loss"))
    })
}
