//! `nn notebook`: the lesson as text and as a page.

mod common;

use std::fs;

use common::{TestResult, nn};

#[test]
fn a_part_prints_its_steps_and_its_page_shows_the_code_that_was_compiled_with_what_came_out() -> TestResult {
    let dir = tempfile::tempdir()?;
    let page = dir.path().join("lesson.html").display().to_string();
    let run = nn(&["notebook", "--part", "1", "--html", &page])?;
    assert_eq!(run.status, Some(0), "{run:?}");
    for text in ["Part 1: The data", "train: 60000 images of 28 × 28 pixels", "5:  5421"] {
        assert!(run.stdout.contains(text), "no {text:?} in {}", run.stdout);
    }
    let html = fs::read_to_string(&page)?;
    let document = roxmltree::Document::parse(html.trim_start_matches("<!DOCTYPE html>\n"))?;
    let texts = document.descendants().filter(roxmltree::Node::is_text);
    let text: String = texts.filter_map(|node| node.text()).collect();
    let source = include_str!("../examples/part_1_data.rs");
    let line = "let image = data.train.images.get(0).ok_or(\"an empty data set\")?;";
    assert!(source.contains(line) && text.contains(line), "the code of the second step");
    assert!(text.contains("80.9 % are 0, 67 pixels are 0 in every image"), "what the fourth step says");
    let digits = document.descendants().filter(|node| node.has_tag_name("img")).count();
    assert_eq!(digits, 1, "the digit of the second step");
    Ok(())
}

#[test]
fn a_part_that_is_not_there_is_wrong_usage_and_a_page_that_can_not_be_written_is_found_out_first()
-> TestResult {
    let run = nn(&["notebook", "--part", "9"])?;
    assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{run:?}");
    assert_eq!(run.stderr, "error: --part 9: expected a part from 1 to 5\n");
    let run = nn(&["notebook", "--part", "1", "--html", "/"])?;
    assert_eq!((run.status, run.stdout.as_str()), (Some(1), ""), "{run:?}");
    assert!(run.stderr.starts_with("error: /: cannot write"), "{run:?}");
    Ok(())
}
