//! `nn data`: looks at, fetches and verifies data sets.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use mnist_data::named::{digests, sha256};
use mnist_data::{Dataset, Fetch, Images, Mnist, NamedSet, PixelStats, STANDARD_NAMES, SetFiles, Split};

use crate::args::{DataCommand, DataSource, Part, Show};
use crate::failure::Failure;
use crate::render::{Gray, Table, grouped};
use crate::screen::Screen;

pub(crate) fn run(command: DataCommand, screen: &mut Screen) -> Result<(), Failure> {
    match command {
        DataCommand::Info { data } => info(&data, screen),
        DataCommand::Show { index, split, show, data } => {
            print_image(&load(&data)?, index, split, show, screen)
        }
        DataCommand::Fetch { set, dir, offline } => fetch(set.into(), dir, offline, screen),
        DataCommand::Verify { dir, set } => verify(&set.into(), dir.as_deref(), screen),
    }
}

/// Reads a data set from where an option says it is.
pub(crate) fn load(source: &DataSource) -> Result<Dataset, Failure> {
    Ok(match source {
        DataSource::Bundled => Mnist::bundled()?,
        DataSource::Dir(dir) => Dataset::from_dir(dir)?,
    })
}

fn info(source: &DataSource, screen: &mut Screen) -> Result<(), Failure> {
    let data = load(source)?;
    let splits = [&data.train, &data.test];
    let (_, rows, columns) = data.train.images.shape();
    let times = screen.style.or_ascii("×", "x");
    screen.print(format!(
        "{}: {} classes, images of {rows}{times}{columns} pixels ({source})\n",
        screen.style.bold(&data.name),
        data.class_count()
    ));

    let mut table = Table::default();
    table.row(["", "training", "test"]);
    table.row(["images".to_owned(), grouped(data.train.len()), grouped(data.test.len())]);
    table.row(["", "", ""]);
    let stats = splits.map(|split| PixelStats::of(&split.images));
    let mut figure = |name: &str, value: &dyn Fn(&PixelStats) -> String| {
        table.row([name.to_owned(), value(&stats[0]), value(&stats[1])]);
    };
    figure("zero pixels", &|s| format!("{:.2} %", 100.0 * s.zero_fraction));
    figure("pixels never lit", &|s| s.never_lit.to_string());
    figure("mean (0 to 1)", &|s| format!("{:.4}", s.mean / 255.0));
    figure("standard deviation", &|s| format!("{:.4}", s.std / 255.0));
    figure("least, greatest byte", &|s| format!("{}, {}", s.min, s.max));
    table.row(["", "", ""]);
    let counts =
        [data.train.labels.counts(data.class_count())?, data.test.labels.counts(data.class_count())?];
    for (class, name) in data.classes.iter().enumerate() {
        let number = class.to_string();
        let title = if *name == number { format!("class {class}") } else { format!("class {class}, {name}") };
        table.row([title, grouped(counts[0][class]), grouped(counts[1][class])]);
    }
    screen.print(table.text());

    screen.print("\nSHA-256 of the unpacked files");
    for (name, digest) in STANDARD_NAMES.iter().zip(checksums(source, splits)?) {
        screen.print(format!("{digest}  {name}"));
    }
    Ok(())
}

/// The digests of the four files, in the order of their standard names.
fn checksums(source: &DataSource, splits: [&Split; 2]) -> Result<Vec<String>, Failure> {
    match source {
        DataSource::Bundled => Ok(bundled_digests(splits)),
        DataSource::Dir(dir) => {
            let reports = digests(&SetFiles::find(dir)?)?;
            Ok(reports.into_iter().map(|report| report.idx_sha256).collect())
        }
    }
}

fn bundled_digests(splits: [&Split; 2]) -> Vec<String> {
    let both = |split: &Split| [sha256(&split.images.to_idx()), sha256(&split.labels.to_idx())];
    splits.into_iter().flat_map(both).collect()
}

fn print_image(
    data: &Dataset,
    index: usize,
    part: Part,
    show: Show,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let split = match part {
        Part::Train => &data.train,
        Part::Test => &data.test,
    };
    let (Some(pixels), Some(&label)) = (split.images.get(index), split.labels.classes().get(index)) else {
        return Err(Failure::usage(format_args!(
            "image {index} of the {part} images: expected a number below {}",
            split.len()
        )));
    };
    let (_, rows, columns) = split.images.shape();
    let image = Gray::new(pixels, rows, columns);
    let class = data.classes.get(usize::from(label)).map_or("", String::as_str);
    let of = if class == label.to_string() { String::new() } else { format!(" ({class})") };
    screen.print(screen.style.bold(&format!("{} {part} image {index}: class {label}{of}", data.name)));
    if show != Show::Picture {
        screen.print(image.numbers().join("\n"));
    }
    if show != Show::Numbers {
        screen.print(image.picture(screen.style).join("\n"));
    }
    Ok(())
}

fn fetch(set: NamedSet, dir: Option<PathBuf>, offline: bool, screen: &mut Screen) -> Result<(), Failure> {
    let name = set.name.clone();
    let mut fetch = Fetch::new(set).offline(offline);
    if let Some(dir) = dir {
        fetch = fetch.directory(dir);
    }
    let bar = download_bar();
    let fetched = fetch.run_with(|progress| {
        if bar.message() != progress.url {
            bar.set_message(progress.url.to_owned());
        }
        match progress.total {
            Some(total) => bar.set_length(total),
            None => bar.unset_length(),
        }
        bar.set_position(progress.received);
    });
    bar.finish_and_clear();
    let fetched = fetched?;
    for file in &fetched.files {
        let from = file.url.as_deref().map_or("was there".to_owned(), |url| format!("from {url}"));
        screen.print(format!("{}  {from}", file.path.display()));
    }
    screen.print(format!(
        "{name} is complete; train on it with: nn train --data {}",
        fetched.directory.display()
    ));
    Ok(())
}

/// On stderr, and only where that is a terminal.
fn download_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bytes}/{total_bytes} {binary_bytes_per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::no_length().with_style(style)
}

fn verify(set: &NamedSet, dir: Option<&Path>, screen: &mut Screen) -> Result<(), Failure> {
    let Some(dir) = dir else { return verify_bundled(screen) };
    // Reads everything first: digests say nothing about files that don't fit each other.
    let data = set.load(dir)?;
    for file in set.verify(dir)? {
        let path = file.path.display();
        match file.verified {
            Some(what) => screen.print(format!("ok  {}  {path} ({what})", file.idx_sha256)),
            None => screen
                .print(format!("??  {}  {path} (no published digest of the unpacked file)", file.idx_sha256)),
        }
    }
    screen.print(summary(&set.name, [&data.train.images, &data.test.images]));
    Ok(())
}

fn verify_bundled(screen: &mut Screen) -> Result<(), Failure> {
    let data = Mnist::bundled()?;
    let known = NamedSet::mnist();
    for ((name, found), known) in
        STANDARD_NAMES.iter().zip(bundled_digests([&data.train, &data.test])).zip(&known.files)
    {
        if known.idx.as_deref() != Some(found.as_str()) {
            return Err(Failure::other(format_args!(
                "bundled {name}: expected SHA-256 {}, found {found}: this program was built from a damaged copy",
                known.idx.as_deref().unwrap_or("(none)")
            )));
        }
        screen.print(format!("ok  {found}  bundled {name}"));
    }
    screen.print(summary("bundled MNIST", [&data.train.images, &data.test.images]));
    Ok(())
}

fn summary(name: &str, [train, test]: [&Images; 2]) -> String {
    format!("{name}: {} training and {} test images", grouped(train.len()), grouped(test.len()))
}
