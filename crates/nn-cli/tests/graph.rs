//! `nn graph` as a person or a script meets it.

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{TestResult, assert_refused, nn, write_set};

/// A data set of five 4×4 images and three classes, so that pictures are of 16 → 8 → 3.
struct Small {
    dir: tempfile::TempDir,
}

impl Small {
    fn new() -> std::io::Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("data"))?;
        write_set(&dir.path().join("data"))?;
        Ok(Self { dir })
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// What `nn graph` prints.
    fn draw(&self, options: &[&str]) -> Result<String, Box<dyn std::error::Error>> {
        let data = self.path("data");
        let run = nn(&[&["graph", "--data", &data, "--hidden", "8"], options].concat())?;
        assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""), "{options:?}");
        Ok(run.stdout)
    }
}

const STAGES: [&str; 4] = ["built", "gradients", "fused", "partition"];

/// Titles of the text form's boxes, in order.
fn listed(text: &str) -> Vec<String> {
    let numbered = text.lines().filter_map(|line| line.strip_prefix("  #"));
    numbered.map(|line| line.split_once(' ').map_or("", |(_, rest)| rest.trim()).to_owned()).collect()
}

/// Elements of a class, in order.
fn elements<'a>(doc: &'a roxmltree::Document<'a>, class: &str) -> Vec<roxmltree::Node<'a, 'a>> {
    doc.descendants().filter(|n| n.attribute("class").is_some_and(|c| c == class)).collect()
}

fn number(node: &roxmltree::Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name).and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

#[test]
fn every_stage_shows_the_same_boxes_in_every_form() -> TestResult {
    let small = Small::new()?;
    for stage in STAGES {
        let of = |format: &str| small.draw(&["--stage", stage, "--format", format]);
        let boxes = listed(&of("text")?).len();
        assert!(boxes > 15, "{stage}: {boxes}");

        let svg = of("svg")?;
        let doc = roxmltree::Document::parse(&svg)?;
        assert_eq!(elements(&doc, "node").len(), boxes, "{stage}");

        let page = of("html")?;
        let xml = page.strip_prefix("<!DOCTYPE html>\n").ok_or("no doctype")?;
        let doc = roxmltree::Document::parse(xml)?;
        assert_eq!(elements(&doc, "node").len(), boxes, "{stage}");
        let title = doc.descendants().find(|n| n.has_tag_name("title")).and_then(|n| n.text());
        assert!(title.is_some_and(|t| svg.contains(t)), "{stage}: {title:?}");
        for outside in ["http:", "https:", "src=", "@import", "url("] {
            let used = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!used.contains(outside), "{stage}: the page asks for {outside}");
        }

        let dot = of("dot")?;
        let defined = dot.lines().filter(|l| l.trim().starts_with('n') && l.contains("tooltip=")).count();
        assert_eq!(defined, boxes, "{stage}");
        assert_eq!(dot.matches('{').count(), dot.matches('}').count(), "{stage}");
        for line in dot.lines().filter(|l| l.contains(" -> ")) {
            let ends: Vec<usize> = line
                .split(" -> ")
                .filter_map(|end| end.trim().strip_prefix('n'))
                .filter_map(|end| end.split(' ').next().and_then(|n| n.parse().ok()))
                .collect();
            assert!(ends.len() == 2 && ends.iter().all(|&end| end < boxes), "{stage}: {line}");
        }
    }
    Ok(())
}

#[test]
fn as_built_there_are_no_gradients_and_with_gradients_everything_built_is_still_there() -> TestResult {
    let small = Small::new()?;
    let details = |stage: &str| -> Result<BTreeSet<String>, Box<dyn std::error::Error>> {
        let svg = small.draw(&["--stage", stage, "--format", "svg"])?;
        let doc = roxmltree::Document::parse(&svg)?;
        let titles = doc.descendants().filter(|n| n.has_tag_name("title"));
        Ok(titles.filter_map(|t| t.text().and_then(|t| t.lines().next()).map(str::to_owned)).collect())
    };
    let (built, all) = (details("built")?, details("gradients")?);
    assert!(built.is_subset(&all) && built.len() < all.len());
    for name in ["input", "dense/kernel", "dense/matmul", "dense/tanh", "dense_1/bias"] {
        assert!(built.contains(name), "no {name} in {built:?}");
    }
    assert!(!built.iter().any(|name| name.starts_with("gradients/") || name.starts_with("adam/")));
    for name in ["gradients/tanh_grad", "adam/learning_rate", "adam/dense/kernel/momentum"] {
        assert!(all.contains(name), "no {name} in {all:?}");
    }
    Ok(())
}

#[test]
fn fusion_names_its_kernels_and_partition_says_what_runs_when_on_how_many_rows() -> TestResult {
    let small = Small::new()?;
    let fused = small.draw(&["--stage", "fused"])?;
    let kernels = listed(&fused);
    for kernel in ["affine tanh", "cross-entropy + gradient", "accumulate weights (xᵀ·δ)", "backpropagate"]
    {
        assert!(kernels.iter().any(|line| line.starts_with(kernel)), "no {kernel} in {fused}");
    }
    assert!(fused.contains("→ [None, 8]") && !fused.contains("shards"), "{fused}");

    let partition = small.draw(&["--stage", "partition", "--rows", "3000"])?;
    let headings: Vec<&str> =
        partition.lines().skip(2).filter(|l| !l.starts_with("  ") && !l.is_empty()).collect();
    for heading in ["once", "for each of 12 shards of 252 rows, in 6 lanes", "summed over 6 lanes"] {
        assert!(headings.contains(&heading), "no {heading:?} in {headings:?}");
    }
    assert!(partition.contains("→ [252, 8]") && partition.contains("→ [16, 8]"), "{partition}");
    let small_batch = small.draw(&["--stage", "partition", "--rows", "7"])?;
    assert!(small_batch.contains("for each of 1 shard of 7 rows, in 1 lane"), "{small_batch}");
    Ok(())
}

#[test]
fn text_stays_inside_its_box_and_boxes_stay_apart() -> TestResult {
    let small = Small::new()?;
    for (stage, optimizer) in [("gradients", "adam"), ("partition", "rmsprop"), ("fused", "sgd")] {
        let svg = small.draw(&[
            "--stage",
            stage,
            "--optimizer",
            optimizer,
            "--hidden",
            "8,5",
            "--format",
            "svg",
        ])?;
        let doc = roxmltree::Document::parse(&svg)?;
        let mut rects = Vec::new();
        for node in elements(&doc, "node") {
            let rect = node.children().find(|n| n.has_tag_name("rect")).ok_or("a box without a frame")?;
            let [x, y, w, h] = ["x", "y", "width", "height"].map(|name| number(&rect, name));
            for text in node.children().filter(|n| n.has_tag_name("text")) {
                let (tx, ty) = (number(&text, "x"), number(&text, "y"));
                let content = text.text().unwrap_or("");
                let class = text.attribute("class").unwrap_or("");
                // Monospace fonts are 0.6 em wide, DejaVu 0.602; sizes as in the style.
                let size = match class {
                    "title" => 12.0,
                    "label" => 10.5,
                    _ => 11.0,
                };
                let width = content.chars().count() as f64 * size * 0.603;
                if class == "label" {
                    assert!(tx + width <= x + w + 1.0 && ty > y + h, "{stage}: the shape {content} of {x}");
                } else {
                    assert!(width <= w, "{stage}: {content} is wider than its box");
                    // Coordinates are written with one decimal.
                    assert!((tx - x - w / 2.0).abs() < 0.11, "{stage}: {content} is not in the middle");
                    assert!(ty - size > y && ty < y + h, "{stage}: {content}");
                }
            }
            rects.push((x, y, w, h));
        }
        for (i, a) in rects.iter().enumerate() {
            for b in &rects[..i] {
                let apart = a.0 + a.2 <= b.0 || b.0 + b.2 <= a.0 || a.1 + a.3 <= b.1 || b.1 + b.3 <= a.1;
                assert!(apart, "{stage}: {a:?} and {b:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn every_level_and_optimizer_can_be_drawn() -> TestResult {
    let small = Small::new()?;
    for api in ["graph", "layers", "sequential", "functional"] {
        assert!(small.draw(&["--api", api])?.contains("matmul"), "{api}");
    }
    for optimizer in ["sgd", "rmsprop", "adam"] {
        assert!(
            small.draw(&["--optimizer", optimizer])?.contains(&format!("\n{optimizer}\n")),
            "{optimizer}"
        );
    }
    Ok(())
}

#[test]
fn a_picture_goes_to_a_file_and_events_into_a_directory() -> TestResult {
    let small = Small::new()?;
    let file = small.path("graph.svg");
    assert_eq!(small.draw(&["--format", "svg", "--out", &file])?, "");
    assert_eq!(fs::read_to_string(&file)?, small.draw(&["--format", "svg"])?);

    let dir = small.path("events");
    let said = small.draw(&["--format", "tensorboard", "--out", &dir])?;
    let files: Vec<_> = fs::read_dir(&dir)?.collect::<Result<_, _>>()?;
    let [file] = files.as_slice() else { return Err("one event file was expected".into()) };
    let nodes = listed(&small.draw(&[])?).len();
    assert_eq!(said, format!("{nodes} nodes in {}\n", file.path().display()));
    Ok(())
}

#[test]
fn what_cannot_be_drawn_is_refused_in_one_line() -> TestResult {
    let small = Small::new()?;
    let data = small.path("data");
    let usage = |more: &[&str], words: &[&str]| -> TestResult {
        let run = nn(&[&["graph", "--data", &data], more].concat())?;
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{more:?}: {run:?}");
        words.iter().for_each(|word| assert!(run.stderr.contains(word), "{more:?}: {run:?}"));
        Ok(())
    };
    usage(&["--format", "tensorboard"], &["--out DIR"])?;
    usage(&["--format", "tensorboard", "--stage", "fused", "--out", "x"], &["--stage built or gradients"])?;
    usage(&["--stage", "all"], &["partition"])?;
    usage(&["--rows", "0"], &["--rows"])?;
    usage(&["--optimizer", "adam", "--nesterov"], &["--nesterov"])?;

    let nowhere = small.path("none/graph.svg");
    let run = nn(&["graph", "--data", &data, "--out", &nowhere])?;
    assert_refused(&run, &[&nowhere], "a directory that is not there");
    let run = nn(&["graph", "--data", &small.path("nothing")])?;
    assert_refused(&run, &["nothing"], "data that are not there");
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_error() -> TestResult {
    let small = Small::new()?;
    let run = common::nn_into_closed_pipe(&["graph", "--data", &small.path("data"), "--format", "svg"])?;
    assert_eq!(run, (Some(0), String::new()));
    Ok(())
}
