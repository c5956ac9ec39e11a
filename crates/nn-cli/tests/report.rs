//! `report.html` as a browser meets it.

mod common;

use std::fs;

use common::{TestResult, images, labels, nn, write_set};
use roxmltree::{Document, Node, ParsingOptions};

/// Trains on five 4×4 images into a folder whose name would be markup if it were not escaped, and gives back the page.
fn page(tested: bool) -> Result<String, Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir(path("data"))?;
    write_set(&dir.path().join("data"))?;
    if !tested {
        fs::write(path("data/t10k-images-idx3-ubyte"), images(&[]))?;
        fs::write(path("data/t10k-labels-idx1-ubyte"), labels(&[]))?;
    }
    let (data, out) = (path("data"), path("<i>a & 'b\""));
    let mut args = vec!["train", "--quiet", "--data", &data, "--hidden", "6", "--epochs", "3", "--out", &out];
    args.extend(["--optimizer", "sgd", "--lr", "0.001"]);
    let run = nn(&args)?;
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    Ok(fs::read_to_string(format!("{out}/report.html"))?)
}

/// The page is written so that it is XML too, which a parser checks to the last bracket.
fn parsed(page: &str) -> Result<Document<'_>, roxmltree::Error> {
    Document::parse_with_options(page, ParsingOptions { allow_dtd: true, ..ParsingOptions::default() })
}

fn named<'a>(document: &'a Document<'_>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.tag_name().name() == name)
}

fn words(node: Node<'_, '_>) -> String {
    node.descendants().filter_map(|n| if n.is_text() { n.text() } else { None }).collect()
}

#[test]
fn the_page_is_well_formed_and_has_every_section() -> TestResult {
    let page = page(true)?;
    let document = parsed(&page)?;
    let headings: Vec<String> = named(&document, "h2").map(words).collect();
    assert_eq!(
        headings,
        [
            "Training curves",
            "Test images",
            "Mistakes",
            "First layer's weights",
            "Graph",
            "Figures",
            "Environment",
            "Time",
            "Options, and how to run it again"
        ]
    );
    assert_eq!(named(&document, "svg").count(), 4, "accuracy, loss, confusion matrix, graph");
    for section in named(&document, "section") {
        let id = section.attribute("aria-labelledby").ok_or("a section without a name")?;
        assert!(document.descendants().any(|n| n.attribute("id") == Some(id)), "{id}");
    }
    let rows = |caption: &str| {
        let table = named(&document, "table").find(|t| words(*t).contains(caption));
        table.map_or(0, |t| t.descendants().filter(|n| n.tag_name().name() == "tr").count())
    };
    assert_eq!(rows("Scores of each class"), 1 + 3 + 3);
    assert_eq!(rows("Figures of each epoch"), 1 + 3);
    Ok(())
}

#[test]
fn every_image_is_a_png_of_the_datas_size_and_says_what_it_is() -> TestResult {
    use base64::Engine as _;
    let page = page(true)?;
    let document = parsed(&page)?;
    let images: Vec<_> = named(&document, "img").collect();
    assert!(images.len() >= 6, "six hidden units");
    for image in images {
        assert!(image.attribute("alt").is_some_and(|alt| alt.contains("unit") || alt.contains("taken for")));
        let payload = image.attribute("src").and_then(|s| s.strip_prefix("data:image/png;base64,"));
        let png = base64::engine::general_purpose::STANDARD.decode(payload.ok_or("no data")?)?;
        let reader = png::Decoder::new(std::io::Cursor::new(png)).read_info()?;
        assert_eq!((reader.info().width, reader.info().height), (4, 4));
    }
    for svg in named(&document, "svg") {
        assert!(svg.attribute("aria-label").is_some_and(|label| label.len() > 20));
    }
    Ok(())
}

#[test]
fn the_page_asks_for_nothing_and_runs_nothing() -> TestResult {
    let page = page(true)?;
    let document = parsed(&page)?;
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        assert!(!["script", "link", "iframe", "object", "embed", "base", "form"].contains(&name), "{name}");
        for attribute in node.attributes() {
            let (key, value) = (attribute.name(), attribute.value());
            assert!(!key.starts_with("on"), "{key}");
            if ["src", "href", "srcset", "action", "data"].contains(&key) {
                assert!(
                    value.starts_with("data:image/png;base64,") || value.starts_with('#'),
                    "{key}={value}"
                );
            }
        }
    }
    let style: String = named(&document, "style").map(words).collect();
    assert!(!style.contains("url(") && !style.contains("@import"));
    assert!(style.contains("prefers-color-scheme: dark") && style.contains("@media print"));
    Ok(())
}

#[test]
fn names_that_look_like_markup_are_text() -> TestResult {
    let page = page(true)?;
    let document = parsed(&page)?;
    assert_eq!(named(&document, "h1").map(words).collect::<Vec<_>>(), ["<i>a & 'b\""]);
    assert_eq!(named(&document, "i").count(), 0);
    Ok(())
}

#[test]
fn without_test_images_the_page_says_so_and_shows_the_rest() -> TestResult {
    let page = page(false)?;
    let document = parsed(&page)?;
    assert!(page.contains("The data have no test images."));
    assert_eq!(named(&document, "svg").count(), 3);
    assert!(named(&document, "h2").map(words).all(|heading| heading != "Mistakes"));
    Ok(())
}
