//! Event files for TensorBoard. That TensorBoard itself reads them, `tests/tensorboard` shows.

use std::fs;
use std::path::Path;

use nn_train::callbacks::TensorBoard;
use nn_train::{Callback, EpochEnd, Flow, Result, Trainable};

use crate::TestResult;
use crate::scripted::Scripted;

/// The bytes of a folder's only file.
fn only_file(dir: &Path) -> std::io::Result<Vec<u8>> {
    let files = fs::read_dir(dir)?.collect::<std::io::Result<Vec<_>>>()?;
    assert_eq!(files.len(), 1, "{files:?}");
    fs::read(files[0].path())
}

/// How often a tag occurs in an event file, where it stands as it is.
fn count(bytes: &[u8], tag: &str) -> usize {
    bytes.windows(tag.len()).filter(|window| *window == tag.as_bytes()).count()
}

#[test]
fn every_epoch_has_its_figures_and_weights_and_folders_are_only_for_what_is_measured() -> TestResult {
    let dir = tempfile::tempdir()?;
    Scripted::new(&[0.5, 0.25, f64::NAN]).train(0, &mut [&mut TensorBoard::new(dir.path())])?;
    let runs: Vec<_> =
        fs::read_dir(dir.path())?.map(|d| d.map(|d| d.file_name())).collect::<std::io::Result<_>>()?;
    assert_eq!(runs, ["train"]);
    let bytes = only_file(&dir.path().join("train"))?;
    let counts = ["epoch_loss", "epoch_figure", "updates"].map(|tag| count(&bytes, tag));
    assert_eq!(counts, [3, 3, 3]);
    Ok(())
}

#[test]
fn histograms_can_be_left_out_and_a_second_training_begins_a_second_file() -> TestResult {
    let dir = tempfile::tempdir()?;
    let mut events = TensorBoard::new(dir.path()).histograms(false);
    Scripted::new(&[0.5]).train(0, &mut [&mut events])?;
    assert_eq!(count(&only_file(&dir.path().join("train"))?, "updates"), 0);
    Scripted::new(&[0.5]).train(1, &mut [&mut events])?;
    assert_eq!(fs::read_dir(dir.path().join("train"))?.count(), 2);
    Ok(())
}

#[test]
fn what_is_written_can_be_read_as_soon_as_its_epoch_is_done() -> TestResult {
    struct Reader(std::path::PathBuf, Vec<usize>);
    impl Callback<f64> for Reader {
        fn on_epoch_end(&mut self, _: &mut EpochEnd<'_>, _: &mut dyn Trainable<f64>) -> Result<Flow> {
            self.1.push(only_file(&self.0).map_or(0, |bytes| count(&bytes, "epoch_loss")));
            Ok(Flow::Continue)
        }
    }
    let dir = tempfile::tempdir()?;
    let mut reader = Reader(dir.path().join("train"), Vec::new());
    Scripted::new(&[1.0; 3]).train(0, &mut [&mut TensorBoard::new(dir.path()), &mut reader])?;
    assert_eq!(reader.1, [1, 2, 3]);
    Ok(())
}

#[test]
fn a_folder_that_cannot_be_made_ends_the_training_before_it_begins() -> TestResult {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("file");
    fs::write(&file, "")?;
    let mut network = Scripted::new(&[1.0]);
    let Err(error) = network.train(0, &mut [&mut TensorBoard::new(&file)]) else {
        return Err("it trained".into());
    };
    assert!(error.to_string().contains("file/train: cannot create: "), "{error}");
    assert_eq!(network.updates, 0.0);
    Ok(())
}
