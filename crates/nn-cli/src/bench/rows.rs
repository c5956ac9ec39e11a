//! `nn bench rows`: what an image costs in a step with few images and with many, all of them at once.

use std::collections::BTreeSet;
use std::path::Path;

use nn_core::Scalar;
use nn_train::files::{check_writable, write_atomically};
use serde_json::json;

use super::flops::Rows;
use super::series::{Basis, Series, Subject, counted, duration};
use super::setup::{Form, Setup};
use super::step::steps_of;
use crate::args::RowsArgs;
use crate::draw::{Growth, Use, growth, svg};
use crate::environment::Engine;
use crate::failure::Failure;
use crate::render::{Table, grouped};
use crate::screen::{Screen, Style};
use crate::train::inputs::Examples;

/// Images of which a time is the time, at least: steps with fewer are made several times. As many as MNIST has, which take some
/// 0.1 s on two cores, so that all counts up to there are measured for equally long.
const IMAGES_PER_TIME: usize = 60_000;

/// What lies across and up in the picture.
const IMAGES: &str = "images in a step";
const UNIT: &str = "ns per image";

/// So many images in one form.
struct Grown<T> {
    form: Form,
    examples: Examples<T>,
    rows: Rows,
}

pub(super) fn run<T: Scalar>(args: RowsArgs, screen: &mut Screen) -> Result<(), Failure> {
    let RowsArgs { subjects, counts, svg: picture } = args;
    if let Some(path) = &picture {
        check_writable(path)?;
    }
    // In order, each once.
    let counts: BTreeSet<usize> = counts.into_iter().map(usize::from).collect();
    let setup = Setup::<T>::new(subjects)?;
    let rows = setup.rows_of(&setup.data.train)?;
    if rows == 0 {
        return Err(Failure::usage("the data have no training images, expected one or more"));
    }
    let all: Vec<&usize> = counts.iter().collect();
    let texts: Vec<String> = all.iter().map(|&&count| grouped(count)).collect();
    let of_all =
        format!("steps with {} images ({} of them again and again)", texts.join(", "), grouped(rows));
    super::introduce(&setup, &of_all, screen);
    let mut grown = Vec::new();
    for &count in &counts {
        grown.extend(repeated(&setup, rows, count)?);
    }
    let more = [("counts", json!(counts)), ("images_per_time", json!(IMAGES_PER_TIME))];
    let mut bench = setup.bench("rows", rows, &more);
    let widths = setup.widths();
    for candidate in &setup.candidates {
        for Grown { form, examples, rows } in &grown {
            let data = examples.dataset()?;
            let subject = Subject {
                what: "step".into(),
                backend: candidate.name.clone(),
                form: *form,
                engine: Engine::new(candidate.backend.describe(), setup.threads, setup.dtype),
                images: rows.count,
                flops: widths.step(*rows),
                basis: Basis::Min,
            };
            let steps =
                vec![(data.x(), data.labels().unwrap_or_default()); IMAGES_PER_TIME.div_ceil(rows.count)];
            bench.subjects.push((subject, steps_of(setup.network(candidate)?, steps)));
        }
    }
    let series = bench.run_with(table, &setup.left_out, screen)?;
    match &picture {
        Some(path) => draw(&series, path, screen),
        None => Ok(()),
    }
}

/// `count` images in each form that was asked for: the first `rows` of the training images, again and again.
fn repeated<T: Scalar>(setup: &Setup<T>, rows: usize, count: usize) -> Result<Vec<Grown<T>>, Failure> {
    let order: Vec<usize> = (0..count).map(|i| i % rows).collect();
    let split = setup.data.train.select(&order)?;
    let images = setup.in_forms(&split, count)?.into_iter();
    let grown = images.map(|images| {
        let rows = images.rows(count);
        Grown { form: images.form, examples: images.examples, rows }
    });
    Ok(grown.collect())
}

/// What an image costs, and how many times what it costs where it costs least.
fn table(series: &[Series], style: Style) -> String {
    let cost = |one: &Series| one.rates.nanoseconds_per_image;
    let mut table = Table::default();
    table.row(["step", "images", "min", "median", UNIT, "of least", super::UNIT, "of peak"]);
    for one in series {
        let same = series.iter().filter(|other| other.name == one.name);
        let least = same.map(cost).fold(f64::INFINITY, f64::min);
        table.row([
            one.name.clone(),
            grouped(one.images),
            duration(one.seconds.min, style),
            duration(one.seconds.median, style),
            format!("{:.0}", cost(one)),
            format!("{:.3}", cost(one) / least),
            format!("{:.1}", one.rates.gflops),
            format!("{:.3}", one.rates.share_of_peak),
        ]);
    }
    format!("{}\n{}", table.text(), counted(style))
}

/// The same as a picture.
fn draw(series: &[Series], path: &Path, screen: &mut Screen) -> Result<(), Failure> {
    let mut all: Vec<Growth> = Vec::new();
    for one in series {
        let point = (one.images as f64, one.rates.nanoseconds_per_image);
        match all.iter_mut().find(|growth| growth.name == one.name) {
            Some(growth) => growth.points.push(point),
            None => all.push(Growth { name: one.name.clone(), points: vec![point] }),
        }
    }
    if let Some(scene) = growth("A step's time for each of its images (ns)", IMAGES, UNIT, &all) {
        write_atomically(path, svg(&scene, Use::File).as_bytes())?;
        screen.print(format!("wrote {}", path.display()));
    }
    Ok(())
}
