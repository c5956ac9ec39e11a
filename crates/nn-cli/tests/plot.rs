//! `nn plot` as a person or a script meets it.

mod common;

use std::fs;
use std::io::Cursor;

use common::{Run, TestResult, assert_refused, images, labels, nn, write_set};

/// The tag of an element of SVG.
fn tag(name: &str) -> (&str, &str) {
    ("http://www.w3.org/2000/svg", name)
}

/// Runs over a data set of five 4×4 images, each in a folder of its own.
struct Runs {
    dir: tempfile::TempDir,
}

impl Runs {
    fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("data"))?;
        write_set(&dir.path().join("data"))?;
        Ok(Self { dir })
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Trains, and leaves a folder of this name beside a file of figures.
    fn train(&self, name: &str, epochs: &str) -> Result<String, Box<dyn std::error::Error>> {
        let (data, out, json) = (self.path("data"), self.path(name), self.path(&format!("{name}.json")));
        let mut args = vec!["train", "--quiet", "--data", &data, "--hidden", "6", "--epochs", epochs];
        args.extend(["--out", &out, "--json", &json]);
        let run = nn(&args)?;
        assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
        Ok(out)
    }

    /// Draws to a file, and gives back its bytes.
    fn draw(&self, args: &[&str], file: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let out = self.path(file);
        let run = nn(&[&["plot"], args, &["--out", &out]].concat())?;
        assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert_eq!(run.stdout, format!("wrote {out}\n"));
        Ok(fs::read(out)?)
    }
}

fn plotted(args: &[&str]) -> Result<Run, Box<dyn std::error::Error>> {
    nn(&[&["plot"], args].concat())
}

#[test]
fn every_picture_is_well_formed_svg_and_png_of_twice_its_size() -> TestResult {
    let runs = Runs::new()?;
    let run = runs.train("first", "3")?;
    for (what, shapes) in [
        // Three parts' dots would be 9 in each panel; there is no validation: 6.
        ("history", ("circle", 12)),
        // The ground and 3 × 3 cells.
        ("confusion", ("rect", 1 + 1 + 9)),
        ("digits", ("image", 2)),
        ("weights", ("image", 6)),
    ] {
        let svg = String::from_utf8(runs.draw(&[&run, "--what", what], "a.svg")?)?;
        let xml = roxmltree::Document::parse(&svg)?;
        let count = xml.descendants().filter(|n| n.has_tag_name(tag(shapes.0))).count();
        assert_eq!(count, shapes.1, "{what}: {svg}");
        assert!(xml.root_element().attribute("aria-label").is_some_and(|label| label.len() > 10), "{what}");
        let size = |name| xml.root_element().attribute(name).and_then(|v| v.parse::<f64>().ok());
        let png = runs.draw(&[&run, "--what", what], "a.png")?;
        let reader = png::Decoder::new(Cursor::new(png)).read_info()?;
        let twice = |v: Option<f64>| v.map(|v| (2.0 * v).ceil());
        // SVG sizes are rounded to hundredths: the picture may be a pixel larger or smaller.
        for (pixels, expected) in
            [(reader.info().width, size("width")), (reader.info().height, size("height"))]
        {
            assert!(
                twice(expected).is_some_and(|e| (f64::from(pixels) - e).abs() <= 1.0),
                "{what}: {pixels}"
            );
        }
    }
    Ok(())
}

#[test]
fn several_runs_share_a_picture_and_are_told_apart_by_name() -> TestResult {
    let runs = Runs::new()?;
    let (first, second) = (runs.train("first", "2")?, runs.train("second", "4")?);
    let json = runs.path("second.json");
    for args in [[&first, &second], [&first, &json]] {
        let svg = String::from_utf8(runs.draw(&args.map(String::as_str), "both.svg")?)?;
        let xml = roxmltree::Document::parse(&svg)?;
        let texts: Vec<_> =
            xml.descendants().filter(|n| n.has_tag_name(tag("text"))).filter_map(|n| n.text()).collect();
        assert!(texts.contains(&"first") && texts.contains(&"second"), "{texts:?}");
    }
    // Two with the same name are told apart by their paths.
    let svg = String::from_utf8(runs.draw(&[&first, &first], "same.svg")?)?;
    assert!(svg.contains(&first), "{svg}");
    Ok(())
}

#[test]
fn mistakes_are_drawn_or_said_to_be_none() -> TestResult {
    let runs = Runs::new()?;
    let run = runs.train("first", "1")?;
    let figures: serde_json::Value = serde_json::from_slice(&fs::read(runs.path("first.json"))?)?;
    let matrix: Vec<Vec<u64>> = serde_json::from_value(figures["confusion_matrix"].clone())?;
    let wrong: u64 = (0..3)
        .flat_map(|t| (0..3).map(move |p| (t, p)))
        .filter(|(t, p)| t != p)
        .map(|(t, p)| matrix[t][p])
        .sum();
    let svg = String::from_utf8(runs.draw(&[&run, "--what", "mistakes"], "m.svg")?)?;
    let xml = roxmltree::Document::parse(&svg)?;
    let drawn = xml.descendants().filter(|n| n.has_tag_name(tag("image"))).count();
    assert_eq!(drawn as u64, wrong, "the network asked again says what it said before");
    assert_eq!(svg.contains("No mistakes among the test images"), wrong == 0);
    Ok(())
}

#[test]
fn a_terminal_is_drawn_in_as_it_is_asked_to() -> TestResult {
    let runs = Runs::new()?;
    let run = runs.train("first", "2")?;
    for (graphics, start) in
        [("kitty", "\x1b_Ga=T,f=100,"), ("iterm", "\x1b]1337;File=inline=1;"), ("sixel", "\x1bP0;1q\"1;1;")]
    {
        let out = plotted(&[&run, "--what", "digits", "--graphics", graphics])?;
        assert!(out.status == Some(0) && out.stdout.starts_with(start), "{graphics}: {out:?}");
    }
    for what in ["history", "confusion", "digits", "mistakes", "weights"] {
        let out = plotted(&[&run, "--what", what, "--graphics", "ascii"])?;
        assert!(out.status == Some(0) && out.stdout.is_ascii() && !out.stdout.contains('\x1b'), "{out:?}");
        assert!(out.stdout.lines().count() > 1 || what == "mistakes", "{what}: {}", out.stdout);
        let out = plotted(&[&run, "--what", what, "--graphics", "blocks"])?;
        assert!(out.status == Some(0) && !out.stdout.contains("\x1bP"), "{what}: {out:?}");
    }
    let out = plotted(&[&run])?;
    assert!(
        out.stdout.contains("training") && !out.stdout.contains('\x1b'),
        "no terminal, no escapes: {out:?}"
    );
    Ok(())
}

#[test]
fn a_file_and_the_terminal_can_both_be_had() -> TestResult {
    let runs = Runs::new()?;
    let (run, file) = (runs.train("first", "2")?, runs.path("both.svg"));
    let out = plotted(&[&run, "--out", &file, "--terminal"])?;
    assert!(out.stdout.contains("Accuracy") && out.stdout.ends_with(&format!("wrote {file}\n")), "{out:?}");
    assert!(fs::read_to_string(file)?.starts_with("<svg"));
    Ok(())
}

#[test]
fn what_is_no_run_or_lacks_what_is_asked_for_is_one_line_on_stderr() -> TestResult {
    let runs = Runs::new()?;
    runs.train("first", "1")?;
    let (missing, folder, text) = (runs.path("no-such-run"), runs.path("data"), runs.path("text.json"));
    fs::write(&text, "not JSON")?;
    assert_refused(&plotted(&[&missing])?, &["no-such-run", "no such file", "--json"], "missing");
    assert_refused(&plotted(&[&folder])?, &["data", "history.json"], "a folder of something else");
    assert_refused(&plotted(&[&text])?, &["text.json", "expected the figures"], "text");
    for (content, what, words) in [
        (r#"{"history": {}}"#, "history", "nothing to draw"),
        (r#"{"history": {"loss": [1]}}"#, "confusion", "no test figures"),
        (r#"{"history": {}, "confusion_matrix": [[0, 0], [0, 0]]}"#, "confusion", "no test figures"),
        (r#"{"history": {}, "confusion_matrix": [[1, 2]]}"#, "confusion", "expected 1 counts"),
        (r#"{"history": {"loss": "high"}}"#, "history", "expected the figures"),
    ] {
        fs::write(&text, content)?;
        assert_refused(&plotted(&[&text, "--what", what])?, &["error: ", words], content);
    }
    let json = runs.path("first.json");
    for what in ["weights", "digits", "mistakes"] {
        assert_refused(&plotted(&[&json, "--what", what])?, &["first.json", "folder"], what);
    }
    let (run, nowhere) = (runs.path("first"), runs.path("none/a.svg"));
    assert_refused(&plotted(&[&run, "--out", &nowhere])?, &["none/a.svg", "cannot write"], "no directory");
    fs::remove_file(runs.path("first/model.safetensors"))?;
    assert_refused(
        &plotted(&[&run, "--what", "weights"])?,
        &["model.safetensors", "cannot read"],
        "no weights",
    );
    Ok(())
}

#[test]
fn a_run_without_test_images_has_curves_and_no_confusion() -> TestResult {
    let runs = Runs::new()?;
    fs::write(runs.path("data/t10k-images-idx3-ubyte"), images(&[]))?;
    fs::write(runs.path("data/t10k-labels-idx1-ubyte"), labels(&[]))?;
    let run = runs.train("untested", "2")?;
    runs.draw(&[&run], "curves.svg")?;
    for what in ["confusion", "digits", "mistakes"] {
        assert_refused(&plotted(&[&run, "--what", what])?, &["no test"], what);
    }
    Ok(())
}

#[test]
fn options_that_mean_nothing_are_wrong_usage() -> TestResult {
    for (wrong, words) in [
        (&[][..], "RUN"),
        (&["a", "--out", "picture.jpg"], ".svg or .png"),
        (&["a", "--out", "svg"], ".svg or .png"),
        (&["a", "b", "--what", "confusion"], "one run"),
        (&["a", "--count", "5"], "--count"),
        (&["a", "--what", "confusion", "--count", "5"], "--count"),
        (&["a", "--what", "digits", "--count", "0"], "--count"),
        (&["a", "--what", "everything"], "history"),
        (&["a", "--graphics", "tektronix"], "sixel"),
        (&["1", "2", "3", "4", "5", "6", "7", "8", "9"], "at most 8"),
    ] {
        let run = plotted(wrong)?;
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{wrong:?}: {run:?}");
        assert!(run.stderr.starts_with("error: ") && run.stderr.contains(words), "{wrong:?}: {}", run.stderr);
    }
    Ok(())
}
