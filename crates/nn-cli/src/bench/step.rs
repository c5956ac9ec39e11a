//! `nn bench step`: forward, loss, accuracy, backward and update of one batch.

use nn_core::Scalar;
use nn_core::matrix::InputRef;
use nn_core::models::Network;
use serde_json::json;

use super::flops::Flops;
use super::series::{Basis, Subject};
use super::setup::Setup;
use super::timing::{Take, timed};
use crate::args::StepArgs;
use crate::environment::Engine;
use crate::failure::Failure;
use crate::render::grouped;
use crate::screen::Screen;

pub(super) fn run<T: Scalar>(args: StepArgs, screen: &mut Screen) -> Result<(), Failure> {
    let batch_size = args.batch_size;
    let setup = Setup::<T>::new(args.subjects)?;
    let all = setup.images(&setup.data.train)?;
    let datasets = all.iter().map(|images| images.examples.dataset()).collect::<Result<Vec<_>, _>>()?;
    let rows = datasets.first().map_or(0, nn_train::Dataset::rows);
    let batch = super::batch_rows(batch_size, rows)?;
    let steps = rows / batch;
    let mut bench =
        setup.bench("step", rows, &[("batch_size", json!(batch)), ("steps_per_time", json!(steps))]);
    let of_all = if batch == rows { String::new() } else { format!(" of {}", grouped(rows)) };
    super::introduce(&setup, &format!("a step with {}{of_all} images", grouped(batch)), screen);
    let widths = setup.widths();
    for candidate in &setup.candidates {
        for (images, data) in all.iter().zip(&datasets) {
            let flops = widths.step(images.rows(steps * batch));
            let labels = data.labels().unwrap_or_default();
            let starts = (0..steps).map(|step| step * batch);
            let batches = starts.map(|start| (data.x().slice(start, batch), &labels[start..start + batch]));
            let subject = Subject {
                what: "step".into(),
                backend: candidate.name.clone(),
                form: images.form,
                engine: Engine::new(candidate.backend.describe(), setup.threads, setup.dtype),
                images: batch,
                flops: Flops {
                    done: flops.done / steps as u64,
                    dense_equivalent: flops.dense_equivalent / steps as u64,
                },
                basis: Basis::Min,
            };
            let take = steps_of(setup.network(candidate)?, batches.collect());
            bench.subjects.push((subject, take));
        }
    }
    bench.run(&setup.left_out, screen)
}

/// One step with each batch; the time is their mean, so that steps of microseconds are timed as well as long ones.
pub(super) fn steps_of<'a, T: Scalar>(
    mut network: Network<T>,
    batches: Vec<(InputRef<'a, T>, &'a [i32])>,
) -> Take<'a> {
    Box::new(move |seconds| {
        let (loss, time) = timed(|| {
            batches.iter().try_fold(0.0, |_, (x, labels)| Ok(network.train_on_batch(*x, labels)?.loss()))
        });
        seconds.push(time / batches.len() as f64);
        loss.map(Some).map_err(|error: nn_core::Error| error.into())
    })
}
