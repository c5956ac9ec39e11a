//! What is saved, and when.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use nn_train::History;
use nn_train::callbacks::{Mode, ModelCheckpoint};
use nn_train::checkpoint::Checkpoint;
use nn_train::weights::read_weights;

use crate::TestResult;
use crate::scripted::Scripted;

fn names(dir: &Path) -> std::io::Result<Vec<String>> {
    let mut names: Vec<String> = fs::read_dir(dir)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()?;
    names.sort();
    Ok(names)
}

#[test]
fn the_latest_checkpoint_replaces_the_one_before_and_knows_what_came_earlier() -> TestResult {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("made/for/it/latest.safetensors");
    let mut earlier = History::default();
    earlier.push("loss", 9.0);
    earlier.push("figure", 9.0);
    let mut saver = ModelCheckpoint::new(&path).earlier(earlier);
    Scripted::new(&[3.0, 2.0]).train(1, &mut [&mut saver])?;
    let found = Checkpoint::<f64>::load(&path)?;
    assert_eq!((found.epochs_done, found.state[0].values[0]), (3, 2.0));
    assert_eq!(found.history.get("loss"), Some(&[9.0, 3.0, 2.0][..]));
    assert_eq!(saver.saved(), Some(&*path));
    assert_eq!(names(path.parent().unwrap_or(dir.path()))?, ["latest.safetensors"]);
    Ok(())
}

#[test]
fn the_best_is_saved_when_it_is_reached_and_not_replaced_by_a_worse_one() -> TestResult {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name);
    let values = [3.0, f64::NAN, 1.0, 2.0, 1.0];
    let mut best = ModelCheckpoint::new(path("best")).best("loss").weights_only();
    let mut most = ModelCheckpoint::new(path("most")).best_by("figure", Mode::Max).weights_only();
    let mut better = ModelCheckpoint::new(path("better-{epoch}")).best("loss").threshold(3.0).weights_only();
    Scripted::new(&values).train(0, &mut [&mut best, &mut most, &mut better])?;
    let updates =
        |name: &str| -> nn_train::Result<f64> { Ok(read_weights::<f64>(&path(name))?[0].values[0]) };
    assert_eq!((updates("best")?, updates("most")?, updates("better-3")?), (3.0, 1.0, 3.0));
    assert_eq!(names(dir.path())?, ["best", "better-3", "most"]);

    let mut never = ModelCheckpoint::new(path("never")).best("loss").threshold(0.5);
    Scripted::new(&values).train(0, &mut [&mut never])?;
    assert!(never.saved().is_none() && !path("never").exists());
    Ok(())
}

#[test]
fn every_second_epoch_counts_from_the_first_of_all_and_names_its_file() -> TestResult {
    let dir = tempfile::tempdir()?;
    let pattern = dir.path().join("{epoch:03}-{loss:.1}.safetensors");
    let mut saver =
        ModelCheckpoint::new(pattern).every(NonZeroUsize::new(2).unwrap_or(NonZeroUsize::MIN)).weights_only();
    Scripted::new(&[5.0, 4.0, 3.0, 2.0]).train(1, &mut [&mut saver])?;
    assert_eq!(names(dir.path())?, ["002-5.0.safetensors", "004-3.0.safetensors"]);
    Ok(())
}

#[test]
fn what_cannot_be_saved_is_found_out_before_any_update_and_leaves_nothing() -> TestResult {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("file");
    fs::write(&file, "in the way")?;
    for (saver, complaint) in [
        (ModelCheckpoint::new(file.join("a.safetensors")), "cannot make the directory"),
        (ModelCheckpoint::new(dir.path()), "it is a directory"),
        (ModelCheckpoint::new(dir.path().join("{epoch}-{val_loss}")), "there are loss, figure"),
        (ModelCheckpoint::new(dir.path().join("a")).best("val_loss"), "there are loss, figure"),
        (ModelCheckpoint::new(dir.path().join("a")).threshold(1.0), "expected best(…) too"),
    ] {
        let mut saver = saver;
        let mut network = Scripted::new(&[1.0]);
        let message = network.train(0, &mut [&mut saver]).map(|_| ()).map_err(|e| e.to_string());
        assert!(message.as_ref().is_err_and(|m| m.contains(complaint)), "{message:?} for {complaint}");
        assert_eq!(network.updates, 0.0);
    }
    let mut saver = ModelCheckpoint::new(dir.path().join("new/{epoch}")).best("loss").threshold(0.0);
    Scripted::new(&[1.0]).train(0, &mut [&mut saver])?;
    assert_eq!(
        (names(dir.path())?, names(&dir.path().join("new"))?),
        (vec!["file".into(), "new".into()], vec![])
    );
    Ok(())
}
