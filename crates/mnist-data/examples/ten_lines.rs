//! The crate on its own, in ten lines: what is in MNIST, and the first batch of a shuffled epoch.
//!
//! `cargo run --release -p mnist-data --example ten_lines`

use mnist_data::{Batches, Holdout, Mnist, PixelStats, Result};

fn main() -> Result<()> {
    let data = Mnist::bundled()?;
    let (train, validation) = data.train.divide(&Holdout::stratified(&data.train.labels, 0.1, 42)?)?;
    println!(
        "{}: {} to train, {} to validate, {} to test",
        data.name,
        train.len(),
        validation.len(),
        data.test.len()
    );
    println!("validation examples per class: {:?}", validation.labels.counts(data.class_count())?);
    println!(
        "mean {:.4}, zeros {:.1} %",
        PixelStats::of(&train.images).mean / 255.0,
        100.0 * PixelStats::of(&train.images).zero_fraction
    );
    for indices in Batches::new(train.len(), 32)?.shuffled(42).epoch(0).iter().take(1) {
        let batch = train.select(indices)?;
        let (x, y) = (batch.images.scaled::<f32>(), batch.labels.one_hot::<f32>(data.class_count())?);
        println!(
            "first batch: x has {} numbers, y {}; classes {:?}",
            x.len(),
            y.len(),
            batch.labels.classes()
        );
    }
    Ok(())
}
