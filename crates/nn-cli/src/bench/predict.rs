//! `nn bench predict`: all test images at once, and one image at a time.

use nn_core::Scalar;
use nn_core::matrix::InputRef;
use nn_core::models::Network;
use nn_train::predict;

use super::flops::Flops;
use super::series::{Basis, Subject};
use super::setup::Setup;
use super::timing::{Take, timed};
use crate::args::SubjectArgs;
use crate::environment::Engine;
use crate::failure::Failure;
use crate::render::grouped;
use crate::screen::Screen;

pub(super) fn run<T: Scalar>(args: SubjectArgs, screen: &mut Screen) -> Result<(), Failure> {
    let setup = Setup::<T>::new(args)?;
    let all = setup.images(&setup.data.test)?;
    let datasets = all.iter().map(|images| images.examples.dataset()).collect::<Result<Vec<_>, _>>()?;
    let rows = datasets.first().map_or(0, nn_train::Dataset::rows);
    if rows == 0 {
        return Err(Failure::usage("the data have no test images, expected one or more to predict"));
    }
    super::introduce(
        &setup,
        &format!("answers for {} images at once, and for one at a time", grouped(rows)),
        screen,
    );
    let mut bench = setup.bench("predict", rows, &[]);
    let widths = setup.widths();
    for single in [false, true] {
        for candidate in &setup.candidates {
            for (images, data) in all.iter().zip(&datasets) {
                let flops = widths.forward(images.rows(rows));
                let (network, x) = (setup.network(candidate)?, data.x());
                let each = |flops: u64| if single { flops / rows as u64 } else { flops };
                let subject = Subject {
                    what: if single { "one image".into() } else { format!("{} images", grouped(rows)) },
                    backend: candidate.name.clone(),
                    form: images.form,
                    engine: Engine::new(candidate.backend.describe(), setup.threads, setup.dtype),
                    images: if single { 1 } else { rows },
                    flops: Flops { done: each(flops.done), dense_equivalent: each(flops.dense_equivalent) },
                    basis: if single { Basis::Mean } else { Basis::Min },
                };
                let take = if single { one_by_one(network, x) } else { at_once(network, x) };
                bench.subjects.push((subject, take));
            }
        }
    }
    bench.run(&setup.left_out, screen)
}

fn at_once<T: Scalar>(mut network: Network<T>, x: InputRef<'_, T>) -> Take<'_> {
    Box::new(move |seconds| {
        let (answers, time) = timed(|| predict(&mut network, x));
        seconds.push(time);
        answers?;
        Ok(None)
    })
}

fn one_by_one<T: Scalar>(mut network: Network<T>, x: InputRef<'_, T>) -> Take<'_> {
    Box::new(move |seconds| {
        for i in 0..x.rows() {
            let image = x.slice(i, 1);
            let (answer, time) = timed(|| network.predict_on_batch(image).map(<[T]>::len));
            seconds.push(time);
            answer?;
        }
        Ok(None)
    })
}
