//! `report.html`: a run on one page that needs no network, no script and no other file.

mod html;
mod sections;

use nn_train::History;
use nn_train::metrics::{ClassificationReport, ConfusionMatrix};

pub(crate) use self::html::Html;
use crate::draw::{Item, Theme, UnitPictures, css_rules};

/// What the page shows.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// The run's name.
    pub(crate) title: &'a str,
    /// What was trained on what and how, and how it ended: names and values.
    pub(crate) facts: Vec<Fact>,
    pub(crate) history: &'a History,
    /// Of the test images, and the scores that follow from it; of no images if there were none.
    pub(crate) matrix: &'a ConfusionMatrix,
    pub(crate) scores: &'a ClassificationReport,
    /// The classes' names.
    pub(crate) classes: &'a [String],
    /// The worst mistakes, and how many there are in all.
    pub(crate) mistakes: Vec<Item>,
    pub(crate) mistakes_in_all: usize,
    /// The first layer's weights, where they can be shown as images.
    pub(crate) weights: Option<UnitPictures>,
    /// The network's graph, as an `svg` element.
    pub(crate) graph: Option<String>,
    /// What the run ran on: names and values.
    pub(crate) environment: Vec<Fact>,
    /// Where the time went: names and values.
    pub(crate) seconds: Vec<Fact>,
    /// The options that differ from nothing: names and values.
    pub(crate) options: Vec<Fact>,
    /// A command that trains the same network again.
    pub(crate) command: Option<String>,
}

/// A name and its value.
pub(crate) type Fact = (String, String);

/// The page. Every text in it is escaped; nothing in it asks for anything from anywhere, and a policy that browsers
/// enforce says so.
pub(crate) fn page(report: &Report<'_>) -> String {
    document(&format!("{}: nn train", report.title), "", |page| {
        sections::header(page, report);
        page.inside("main", "", |page| {
            sections::curves(page, report);
            sections::test(page, report);
            sections::mistakes(page, report);
            sections::weights(page, report);
            sections::graph(page, report);
            sections::epochs(page, report);
            sections::facts(page, report);
            sections::again(page, report);
        });
    })
}

/// A page in the style of this program: `style` is added to that.
pub(crate) fn document(title: &str, style: &str, body: impl FnOnce(&mut Html)) -> String {
    let mut page = Html::default();
    page.raw("<!DOCTYPE html>\n");
    page.inside("html", " lang=\"en\"", |page| {
        page.inside("head", "", |page| head(page, title, style));
        page.inside("body", "", body);
    });
    page.finish()
}

fn head(page: &mut Html, title: &str, style: &str) {
    page.raw("<meta charset=\"utf-8\"/>\n");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n");
    page.raw("<meta name=\"color-scheme\" content=\"light dark\"/>\n");
    page.raw(
        "<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"/>\n",
    );
    page.element("title", "", title);
    let dark = css_rules(Theme::Dark);
    page.raw(&format!(
        "<style>\n{}{style}{}\n@media screen and (prefers-color-scheme:dark){{{dark}}}\n</style>\n",
        include_str!("style.css"),
        css_rules(Theme::Light)
    ));
}
