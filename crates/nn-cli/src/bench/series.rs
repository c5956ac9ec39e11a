//! Measures the subjects of a benchmark between two readings of the peak; prints and writes what came of it.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Map, Value};

use super::candidates::LeftOut;
use super::flops::{COUNTED, Flops};
use super::peak::{Meter, Peak, UNIT};
use super::setup::Form;
use super::timing::{Seconds, Take, Taken, group_by_group};
use crate::args::DType;
use crate::environment::{Engine, Machine};
use crate::failure::Failure;
use crate::render::{Table, grouped};
use crate::screen::{Screen, Style};
use crate::train::record::write_json;

/// A benchmark that can be run.
pub(super) struct Bench<'a> {
    pub(super) name: &'static str,
    pub(super) config: Map<String, Value>,
    pub(super) repeat: usize,
    pub(super) threads: usize,
    pub(super) dtype: DType,
    pub(super) json: Option<PathBuf>,
    pub(super) subjects: Vec<(Subject, Take<'a>)>,
}

/// One thing that is measured: a backend with images in one form.
pub(super) struct Subject {
    /// What one time is the time of: `step`, `epoch`, …
    pub(super) what: String,
    pub(super) backend: String,
    pub(super) form: Form,
    pub(super) engine: Engine,
    /// Images and operations of one time.
    pub(super) images: usize,
    pub(super) flops: Flops,
    pub(super) basis: Basis,
}

/// The time that rates are worked out from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Basis {
    /// The shortest: what it takes when nothing disturbs.
    Min,
    /// The mean, where each time is that of another image.
    Mean,
}

/// The content of `--json`.
#[derive(Debug, Serialize)]
struct Record<'a> {
    benchmark: &'static str,
    environment: Machine,
    peak: &'a Peak,
    config: Map<String, Value>,
    counted: &'static str,
    series: &'a [Series],
    left_out: &'a [LeftOut],
}

/// What came of one subject.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    pub(super) name: String,
    what: String,
    input: Form,
    #[serde(flatten)]
    engine: Engine,
    pub(super) images: usize,
    pub(super) seconds: Seconds,
    flops: Flops,
    pub(super) rates: Rates,
    loss: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Rates {
    of: Basis,
    images_per_second: f64,
    /// What one of many images takes: 10⁹ / `images_per_second`.
    pub(super) nanoseconds_per_image: f64,
    pub(super) gflops: f64,
    dense_equivalent_gflops: f64,
    /// Of the operations that were done, on as many threads as computed.
    pub(super) share_of_peak: f64,
}

impl Bench<'_> {
    /// Measures, prints tables, and writes what `--json` asked for.
    pub(super) fn run(self, left_out: &[LeftOut], screen: &mut Screen) -> Result<(), Failure> {
        self.run_with(tables, left_out, screen).map(drop)
    }

    /// The same with tables of another kind; gives back what is in them.
    pub(super) fn run_with(
        self,
        tables: impl FnOnce(&[Series], Style) -> String,
        left_out: &[LeftOut],
        screen: &mut Screen,
    ) -> Result<Vec<Series>, Failure> {
        let meter = Meter::new(self.threads);
        let heading = |name: &str| screen.style.bold(&format!("{name:8}"));
        let (peak, again) = (heading("peak"), heading("again"));
        if !left_out.is_empty() {
            let names: Vec<&str> = left_out.iter().map(|left| left.name.as_str()).collect();
            let note = format!("{}; nn backends says why", names.join(", "));
            screen.print(format!("{} {note}", heading("missing")));
        }
        let before = meter.read()?;
        screen.print(format!("{peak} {}", meter.line(&before)));
        let (subjects, mut takes): (Vec<_>, Vec<_>) = self.subjects.into_iter().unzip();
        let alike = subjects.chunk_by(|a, b| a.what == b.what).map(<[_]>::len);
        let taken = group_by_group(&mut takes, alike, self.repeat)?;
        let after = meter.read()?;
        screen.print(format!("{again} {}\n", meter.line(&after)));

        let peak = Peak::new(meter, before, after);
        let best = peak.best(self.dtype);
        let made = subjects.into_iter().zip(taken).map(|(subject, taken)| Series::new(subject, taken, best));
        let series = made.collect::<Result<Vec<_>, _>>()?;
        screen.print(tables(&series, screen.style));
        if let Some(path) = &self.json {
            let record = Record {
                benchmark: self.name,
                environment: Machine::here(),
                peak: &peak,
                config: self.config,
                counted: COUNTED,
                series: &series,
                left_out,
            };
            write_json(path, &record)?;
        }
        Ok(series)
    }
}

impl Series {
    fn new(subject: Subject, taken: Taken, peak: f64) -> Result<Self, Failure> {
        let Subject { what, backend, form, engine, images, flops, basis } = subject;
        let Taken { seconds, loss } = taken;
        let name = format!("{backend} {}", form.name());
        if loss.is_some_and(|loss| !loss.is_finite()) {
            return Err(Failure::other(format_args!(
                "{name}: the loss is no longer a finite number, and times of such numbers say nothing; choose a smaller \
                 --lr"
            )));
        }
        let rates = Rates::new(images, flops, &seconds, basis, peak);
        Ok(Self { name, what, input: form, engine, images, seconds, flops, rates, loss })
    }
}

impl Rates {
    fn new(images: usize, flops: Flops, seconds: &Seconds, basis: Basis, peak: f64) -> Self {
        let time = match basis {
            Basis::Min => seconds.min,
            Basis::Mean => seconds.mean,
        };
        let gflops = |flops: u64| flops as f64 / time / 1e9;
        Self {
            of: basis,
            images_per_second: images as f64 / time,
            nanoseconds_per_image: time / images as f64 * 1e9,
            gflops: gflops(flops.done),
            dense_equivalent_gflops: gflops(flops.dense_equivalent),
            share_of_peak: gflops(flops.done) / peak,
        }
    }
}

/// A table for each thing that was measured, and what its columns are.
fn tables(series: &[Series], style: Style) -> String {
    let mut text = String::new();
    let mut whats: Vec<&str> = series.iter().map(|s| s.what.as_str()).collect();
    whats.dedup();
    for what in whats {
        let of_it: Vec<&Series> = series.iter().filter(|s| s.what == what).collect();
        let mut table = Table::default();
        if of_it.iter().all(|s| s.rates.of == Basis::Mean) {
            table.row([what, "mean", "median", "99 %", "max"]);
            for s in of_it {
                let times = [s.seconds.mean, s.seconds.median, s.seconds.p99, s.seconds.max];
                let times = times.map(|seconds| duration(seconds, style));
                table.row([s.name.clone()].into_iter().chain(times));
            }
        } else {
            table.row([what, "min", "median", "max", "images/s", "MFLOP", UNIT, "of peak", "as if dense"]);
            for s in of_it {
                let times = [s.seconds.min, s.seconds.median, s.seconds.max];
                let rates = [
                    grouped(s.rates.images_per_second.round() as usize),
                    mega(s.flops.done),
                    format!("{:.1}", s.rates.gflops),
                    format!("{:.3}", s.rates.share_of_peak),
                    format!("{:.1}", s.rates.dense_equivalent_gflops),
                ];
                let times = times.map(|seconds| duration(seconds, style));
                table.row([s.name.clone()].into_iter().chain(times).chain(rates));
            }
        }
        text += &table.text();
        text.push('\n');
    }
    text + &counted(style)
}

/// What below all tables says how to read them.
pub(super) fn counted(style: Style) -> String {
    let counted = if style.unicode { COUNTED.to_owned() } else { COUNTED.replace('·', "*") };
    counted
        + "\nrates: those of the shortest time; the peak is the better one of its two readings, of multiply-adds of vectors: products in \
           tiles (AMX) may exceed it\n"
}

/// Operations in millions.
fn mega(flops: u64) -> String {
    let millions = flops as f64 / 1e6;
    if millions < 100.0 { format!("{millions:.2}") } else { grouped(millions.round() as usize) }
}

/// A time with four digits that count.
pub(super) fn duration(seconds: f64, style: Style) -> String {
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, style.or_ascii("µs", "us")),
    };
    let decimals = if value >= 100.0 {
        1
    } else if value >= 10.0 {
        2
    } else {
        3
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_operations_and_images_over_the_time_that_they_are_of() {
        let seconds = Seconds { count: 2, min: 0.5, median: 0.5, mean: 1.0, p99: 1.5, max: 1.5 };
        let flops = Flops { done: 10_000_000_000, dense_equivalent: 50_000_000_000 };
        let rates = Rates::new(600, flops, &seconds, Basis::Min, 40.0);
        assert_eq!((rates.gflops, rates.dense_equivalent_gflops), (20.0, 100.0));
        assert_eq!((rates.share_of_peak, rates.images_per_second), (0.5, 1200.0));
        // Half a second for 600: 833 µs each.
        assert_eq!(rates.nanoseconds_per_image.round(), 833_333.0);
        assert_eq!(Rates::new(600, flops, &seconds, Basis::Mean, 40.0).gflops, 10.0);
    }

    #[test]
    fn times_have_four_digits_and_a_unit_that_fits() {
        let style = Style { terminal: false, colour: false, unicode: false, width: 80 };
        let texts = [12.3456, 0.123_456, 0.001_234_5, 3.456e-6].map(|seconds| duration(seconds, style));
        assert_eq!(texts, ["12.35 s", "123.5 ms", "1.234 ms", "3.456 us"]);
    }
}
