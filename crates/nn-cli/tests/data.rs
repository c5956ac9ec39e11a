//! `nn data` and `nn backends` as a person or a script meets them.

mod common;

use std::fs;
use std::path::Path;

use common::{TestResult, assert_refused, images, labels, nn, write_set};

/// gzip with the data stored as they are (RFC 1952, RFC 1951 § 3.2.4): header, one stored block, CRC-32, length.
fn gzip_of(data: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    let len = data.len() as u16;
    file.extend(len.to_le_bytes());
    file.extend((!len).to_le_bytes());
    file.extend(data);
    let crc = data.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
    });
    file.extend((!crc).to_le_bytes());
    file.extend((data.len() as u32).to_le_bytes());
    file
}

/// What is broken, how the file is broken, and what the message must say.
type Breakage = (&'static str, fn(&Path) -> std::io::Result<()>, &'static [&'static str]);

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";

fn rewrite(dir: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> std::io::Result<()> {
    let path = dir.join(name);
    let mut bytes = fs::read(&path)?;
    change(&mut bytes);
    fs::write(path, bytes)
}

const BREAKAGES: &[Breakage] = &[
    (
        "wrong magic",
        |d| rewrite(d, TRAIN_IMAGES, |b| b[0] = 0x50),
        &[TRAIN_IMAGES, "byte 0", "magic", "50 00 08 03"],
    ),
    (
        "wrong rank",
        |d| fs::write(d.join(TRAIN_IMAGES), labels(&[0, 1, 2])),
        &[TRAIN_IMAGES, "byte 3", "rank 3", "rank 1"],
    ),
    ("wrong element type", |d| rewrite(d, TRAIN_LABELS, |b| b[2] = 0x0d), &[TRAIN_LABELS, "byte 2", "0x0d"]),
    (
        "truncated",
        |d| rewrite(d, TRAIN_IMAGES, |b| b.truncate(b.len() - 5)),
        &[TRAIN_IMAGES, "expected 64 bytes", "found 59"],
    ),
    ("truncated header", |d| rewrite(d, TRAIN_LABELS, |b| b.truncate(6)), &[TRAIN_LABELS, "found 6"]),
    ("trailing bytes", |d| rewrite(d, TRAIN_LABELS, |b| b.push(1)), &[TRAIN_LABELS, "after 11 bytes"]),
    (
        "more labels than images",
        |d| fs::write(d.join(TRAIN_LABELS), labels(&[0, 1, 2, 0])),
        &[TRAIN_LABELS, "expected 3 labels", "found 4"],
    ),
    (
        "a test label that no training example has",
        |d| fs::write(d.join("t10k-labels-idx1-ubyte"), labels(&[1, 9])),
        &["t10k-labels-idx1-ubyte", "byte 9", "below 3", "found 9"],
    ),
    (
        "not gzip",
        |d| fs::rename(d.join(TRAIN_IMAGES), d.join(format!("{TRAIN_IMAGES}.gz"))),
        &[".gz", "byte 0", "expected gzip"],
    ),
    (
        "damaged gzip",
        |d| {
            let mut packed = gzip_of(&fs::read(d.join(TRAIN_IMAGES))?);
            packed[20] ^= 1;
            fs::remove_file(d.join(TRAIN_IMAGES))?;
            fs::write(d.join(format!("{TRAIN_IMAGES}.gz")), packed)
        },
        &[".gz", "intact gzip data"],
    ),
    ("empty", |d| fs::write(d.join(TRAIN_LABELS), b""), &[TRAIN_LABELS, "empty"]),
    (
        "missing",
        |d| fs::remove_file(d.join("t10k-images-idx3-ubyte")),
        &["t10k-images-idx3-ubyte", "missing"],
    ),
    (
        "sizes beyond any memory",
        |d| rewrite(d, TRAIN_IMAGES, |b| b[4..16].fill(0xff)),
        &[TRAIN_IMAGES, "byte 4"],
    ),
];

#[test]
fn every_kind_of_broken_file_is_one_line_on_stderr_and_exit_status_1() -> TestResult {
    for (what, break_it, words) in BREAKAGES {
        let dir = tempfile::tempdir()?;
        write_set(dir.path())?;
        break_it(dir.path())?;
        let before = fs::read_dir(dir.path())?.count();
        let data = dir.path().to_str().unwrap_or_default();
        let json = dir.path().join("never.json");
        let train = ["train", "--no-out", "--data", data, "--json", json.to_str().unwrap_or_default()];
        for command in [&["data", "info", "--data", data][..], &["data", "show", "0", "--data", data], &train]
        {
            assert_refused(&nn(command)?, words, &format!("{what}, {command:?}"));
        }
        assert_refused(&nn(&["data", "verify", data])?, &[], what);
        assert_eq!(fs::read_dir(dir.path())?.count(), before, "{what}: something was written");
    }
    Ok(())
}

#[test]
fn a_directory_that_is_not_there_is_one_line_on_stderr() -> TestResult {
    let dir = tempfile::tempdir()?;
    let none = dir.path().join("none");
    let run = nn(&["data", "info", "--data", none.to_str().unwrap_or_default()])?;
    assert_refused(&run, &["none", "cannot read"], "no directory");
    Ok(())
}

#[test]
fn the_bundled_data_are_described_with_the_counts_and_digests_that_are_known_of_mnist() -> TestResult {
    let run = nn(&["data", "info"])?;
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    let lines: Vec<String> =
        run.stdout.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "images 60 000 10 000",
        "zero pixels 80.88 % 80.72 %",
        "mean (0 to 1) 0.1307 0.1325",
        "class 0 5 923 980",
        "class 9 5 949 1 009",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db train-images-idx3-ubyte",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2 t10k-labels-idx1-ubyte",
    ] {
        assert!(lines.iter().any(|l| l == line), "no line {line:?} in {lines:#?}");
    }
    assert!(lines.iter().any(|l| l.starts_with("pixels never lit 67 ")), "{lines:#?}");
    Ok(())
}

#[test]
fn a_directory_of_another_size_and_other_classes_is_described_from_what_it_holds() -> TestResult {
    let dir = tempfile::tempdir()?;
    write_set(dir.path())?;
    let run = nn(&["--ascii", "data", "info", "--data", dir.path().to_str().unwrap_or_default()])?;
    assert_eq!(run.status, Some(0), "{run:?}");
    assert!(run.stdout.contains("3 classes, images of 4x4 pixels"), "{}", run.stdout);
    Ok(())
}

#[test]
fn an_image_is_shown_as_its_numbers_and_as_a_picture() -> TestResult {
    let dir = tempfile::tempdir()?;
    write_set(dir.path())?;
    let data = dir.path().to_str().unwrap_or_default();
    let show = |options: &[&str]| {
        nn(&[&["data", "show", "1", "--split", "test", "--data", data][..], options].concat())
    };
    let numbers = show(&["--as", "numbers"])?;
    assert_eq!(numbers.stdout.lines().count(), 5);
    assert_eq!(numbers.stdout.lines().nth(2), Some("   0 255 255   0"), "{}", numbers.stdout);
    let picture = show(&["--as", "picture", "--ascii"])?;
    assert_eq!(picture.stdout.lines().skip(1).collect::<Vec<_>>(), [" == ", " == "]);
    let both = show(&["--ascii"])?;
    assert_eq!(both.stdout.lines().count(), 7);
    Ok(())
}

#[test]
fn an_image_that_is_not_there_is_wrong_usage() -> TestResult {
    let run = nn(&["data", "show", "10000", "--split", "test"])?;
    assert_eq!(run.status, Some(2));
    assert_eq!(run.stderr, "error: image 10000 of the test images: expected a number below 10000\n");
    Ok(())
}

#[test]
fn the_bundled_data_verify_and_other_files_do_not_pass_for_mnist() -> TestResult {
    let run = nn(&["data", "verify"])?;
    assert_eq!((run.status, run.stdout.matches("ok  ").count()), (Some(0), 4), "{run:?}");
    let dir = tempfile::tempdir()?;
    write_set(dir.path())?;
    let run = nn(&["data", "verify", dir.path().to_str().unwrap_or_default()])?;
    assert_refused(&run, &[TRAIN_IMAGES, "expected SHA-256 ba891046", "found "], "another set");
    Ok(())
}

#[test]
fn fetching_offline_into_an_empty_directory_fails_and_leaves_it_empty() -> TestResult {
    let dir = tempfile::tempdir()?;
    let run = nn(&["data", "fetch", "--offline", "--dir", dir.path().to_str().unwrap_or_default()])?;
    assert_refused(&run, &[TRAIN_IMAGES, "fetching is off"], "offline");
    assert_eq!(fs::read_dir(dir.path())?.count(), 0);
    Ok(())
}

#[test]
fn pictures_and_tables_are_ascii_when_asked_for_and_never_coloured_in_a_pipe() -> TestResult {
    for command in [&["data", "show", "0", "--ascii"][..], &["data", "info", "--ascii"]] {
        let run = nn(command)?;
        assert!(run.stdout.is_ascii(), "{}", run.stdout);
    }
    let run = nn(&["data", "show", "0"])?;
    assert!(!run.stdout.contains('\x1b'));
    Ok(())
}

#[test]
fn wrong_usage_is_exit_status_2_and_help_is_0() -> TestResult {
    for wrong in [
        &["data", "show"][..],
        &["data", "show", "-1"],
        &["data", "show", "0", "--as", "music"],
        &["data", "fetch", "--set", "cifar"],
        &["data", "verify", "--set", "mnist"],
        &["frobnicate"],
        &[],
    ] {
        let run = nn(wrong)?;
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{wrong:?}");
        assert!(!run.stderr.is_empty(), "{wrong:?}");
    }
    for right in [&["--help"][..], &["data", "--help"], &["data", "show", "--help"], &["--version"]] {
        let run = nn(right)?;
        assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""), "{right:?}");
    }
    Ok(())
}

#[test]
fn backends_lists_our_own_as_available_and_says_of_every_blas_what_it_is_or_why_it_is_not() -> TestResult {
    let run = nn(&["backends"])?;
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    for own in ["ndarray: available", "naive: available"] {
        assert!(run.stdout.lines().any(|line| line == own), "{}", run.stdout);
    }
    assert!(run.stdout.contains("blas (openblas): "), "{}", run.stdout);
    let entries = run.stdout.lines().filter(|line| !line.starts_with(' ')).count();
    let explained = run.stdout.lines().filter(|line| line.starts_with("    ")).count();
    assert!(explained >= entries, "{}", run.stdout);
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_ends_the_program_quietly() -> TestResult {
    let (status, stderr) = common::nn_into_closed_pipe(&["data", "info"])?;
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    Ok(())
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_standard_output_is_an_error() -> TestResult {
    let full = fs::OpenOptions::new().write(true).open("/dev/full")?;
    let run = common::command(&["data", "show", "0"]).stdout(full).output()?;
    assert_eq!(run.status.code(), Some(1));
    let stderr = String::from_utf8(run.stderr)?;
    assert!(stderr.starts_with("error: cannot write to standard output: "), "{stderr}");
    Ok(())
}

#[test]
fn the_test_set_has_the_shape_that_the_messages_are_held_against() {
    assert_eq!(images(&[[0; 16]; 3]).len(), 64);
    assert_eq!(labels(&[0, 1, 2]).len(), 11);
}
