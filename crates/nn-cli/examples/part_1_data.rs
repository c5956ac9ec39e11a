//! Part 1: the data, looked at and prepared.
//!
//!     cargo run --release -p nn-cli --example part_1_data

use mnist_data::{Mnist, PixelStats};
use nn_cli::lesson::{Pace, Page, Result};

fn main() -> Result {
    nn_cli::lesson::tell(run)
}

pub(crate) fn run(page: &mut dyn Page, _: Pace) -> Result {
    page.cell("What there is", "MNIST: grey images of handwritten digits, and which digit each one is.");
    let data = Mnist::bundled()?;
    for (name, split) in [("train", &data.train), ("test", &data.test)] {
        let (images, rows, columns) = split.images.shape();
        page.say(&format!(
            "{name}: {images} images of {rows} × {columns} pixels, {} labels",
            split.labels.len()
        ));
    }

    page.cell("One of them", "A pixel is a byte: 0 is paper, 255 is ink.");
    let image = data.train.images.get(0).ok_or("an empty data set")?;
    page.digit(image, &format!("a {}", data.train.labels.classes()[0]));

    page.cell("How many of each", "The classes are about equally frequent, so accuracy is a fair measure.");
    for (digit, count) in data.train.labels.counts(10)?.into_iter().enumerate() {
        page.say(&format!("{digit}: {count:5}"));
    }

    page.cell(
        "What the pixels are like",
        "Most of an image is paper. Networks like small numbers: bytes become 0 to 1.",
    );
    let stats = PixelStats::of(&data.train.images);
    page.say(&format!("bytes from {} to {}", stats.min, stats.max));
    page.say(&format!(
        "{:.1} % are 0, {} pixels are 0 in every image",
        100.0 * stats.zero_fraction,
        stats.never_lit
    ));
    page.say(&format!("scaled to 0 … 1: mean {:.4}, deviation {:.4}", stats.mean / 255.0, stats.std / 255.0));

    page.cell(
        "Rows and one-hot labels",
        "A network takes rows: 28 × 28 becomes 784, and the class 5 a row with a 1 at 5.",
    );
    let (x, y) = (data.train.images.scaled::<f32>(), data.train.labels.one_hot::<f32>(10)?);
    page.say(&format!(
        "x: {} rows of 784, from {:?} to {:?}",
        x.len() / 784,
        0.0,
        x.iter().fold(0.0f32, |a, &b| a.max(b))
    ));
    page.say(&format!("y: {} rows of 10; the first: {:?}", y.len() / 10, &y[..10]));
    Ok(())
}
