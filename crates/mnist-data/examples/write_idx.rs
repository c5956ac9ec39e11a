//! Writes the bundled MNIST as the four IDX files that other programs read.
//!
//! `cargo run --release -p mnist-data --example write_idx -- DIRECTORY`

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use mnist_data::{Mnist, STANDARD_NAMES};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(env::args_os().nth(1).ok_or("usage: write_idx DIRECTORY")?);
    let data = Mnist::bundled()?;
    let files = [&data.train, &data.test].map(|split| [split.images.to_idx(), split.labels.to_idx()]);
    fs::create_dir_all(&directory)?;
    for (name, bytes) in STANDARD_NAMES.iter().zip(files.concat()) {
        fs::write(directory.join(name), bytes)?;
    }
    Ok(())
}
