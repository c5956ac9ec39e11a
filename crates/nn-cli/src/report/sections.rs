//! The page's sections, from top to bottom. A section that has nothing to show says so or is left out.

use nn_train::metrics::{Averages, ClassScores};

use super::Report;
use super::html::Html;
use crate::draw::{Curve, Figure, Item, Use, confusion, escaped, panel, svg};
use crate::render::grouped;

/// The side of a mistake's and of a unit's picture, in CSS pixels: three and two for each of MNIST's 28.
const DIGIT_SIDE: usize = 84;
const UNIT_SIDE: usize = 56;

pub(super) fn header(page: &mut Html, report: &Report<'_>) {
    page.inside("header", "", |page| {
        page.element("h1", "", report.title);
        // The test images were measured with the weights that are left, which need not be the last epoch's.
        let test = (report.matrix.total() > 0).then_some(report.scores.accuracy);
        let best = [("test accuracy", test), ("training accuracy", report.history.last("accuracy"))];
        if let Some((name, value)) = best.into_iter().find_map(|(name, value)| Some((name, value?))) {
            page.inside("p", " class=\"headline\"", |page| {
                page.element("strong", "", &format!("{:.2} %", 100.0 * value));
                page.element("span", "", name);
            });
        }
        page.facts(&report.facts);
    });
}

pub(super) fn curves(page: &mut Html, report: &Report<'_>) {
    let run = [Curve { name: report.title, history: report.history }];
    let panels: Vec<_> = Figure::ALL.iter().filter_map(|&figure| panel(&run, figure)).collect();
    page.section("curves", "Training curves", |page| {
        if panels.is_empty() {
            page.element("p", "", "Not one epoch was finished.");
        }
        page.inside("div", " class=\"panels\"", |page| {
            for panel in &panels {
                page.inside("figure", "", |page| page.raw(&svg(panel, Use::Page)));
            }
        });
    });
}

pub(super) fn test(page: &mut Html, report: &Report<'_>) {
    page.section("test", "Test images", |page| {
        if report.matrix.total() == 0 {
            page.element("p", "", "The data have no test images.");
            return;
        }
        page.inside("div", " class=\"panels\"", |page| {
            page.inside("figure", "", |page| {
                page.raw(&svg(&confusion(report.matrix, report.classes), Use::Page))
            });
            page.inside("div", "", |page| scores(page, report));
        });
    });
}

fn scores(page: &mut Html, report: &Report<'_>) {
    let digits = |value: f64| format!("{value:.4}");
    let class = |(class, s): (usize, &ClassScores)| {
        let name = report.classes.get(class).cloned().unwrap_or_else(|| class.to_string());
        vec![name, digits(s.precision), digits(s.recall), digits(s.f1), grouped_u64(s.support)]
    };
    let support = || grouped_u64(report.scores.support);
    let average = |name: &str, a: &Averages| {
        vec![name.to_owned(), digits(a.precision), digits(a.recall), digits(a.f1), support()]
    };
    let mut rows: Vec<_> = report.scores.classes.iter().enumerate().map(class).collect();
    rows.push(vec![
        "accuracy".into(),
        String::new(),
        String::new(),
        digits(report.scores.accuracy),
        support(),
    ]);
    rows.push(average("macro average", &report.scores.macro_average));
    rows.push(average("weighted average", &report.scores.weighted_average));
    page.table("Scores of each class", &["class", "precision", "recall", "F1", "images"], &rows);
}

fn grouped_u64(n: u64) -> String {
    usize::try_from(n).map_or_else(|_| n.to_string(), grouped)
}

pub(super) fn mistakes(page: &mut Html, report: &Report<'_>) {
    if report.matrix.total() == 0 {
        return;
    }
    page.section("mistakes", "Mistakes", |page| {
        let text = match (report.mistakes.len(), report.mistakes_in_all) {
            (_, 0) => "No mistakes among the test images.".to_owned(),
            (shown, all) if shown >= all => {
                format!("All {all} mistakes among the test images, the most confident first.")
            }
            (shown, all) => format!(
                "The {shown} of {} mistakes among the test images that the network was most confident of.",
                grouped(all)
            ),
        };
        page.element("p", "", &text);
        grid(page, &report.mistakes, DIGIT_SIDE);
    });
}

pub(super) fn weights(page: &mut Html, report: &Report<'_>) {
    let Some(units) = &report.weights else { return };
    page.section("weights", "First layer's weights", |page| {
        page.element("p", "", &format!("{}.", units.note()));
        grid(page, &units.items, UNIT_SIDE);
    });
}

fn grid(page: &mut Html, items: &[Item], side: usize) {
    if items.is_empty() {
        return;
    }
    page.inside("ul", &format!(" class=\"grid\" style=\"--side:{side}px\""), |page| {
        for item in items {
            page.inside("li", "", |page| {
                page.inside("figure", "", |page| {
                    page.raw(&format!(
                        "<img src=\"{}\" width=\"{side}\" height=\"{side}\" alt=\"{}\"/>\n",
                        item.bitmap.data_uri(),
                        escaped(&item.caption.join(", "))
                    ));
                    // The picture's alternative says the same.
                    page.element("figcaption", " aria-hidden=\"true\"", &item.caption.join("\n"));
                });
            });
        }
    });
}

pub(super) fn graph(page: &mut Html, report: &Report<'_>) {
    let Some(graph) = &report.graph else { return };
    page.section("graph", "Graph", |page| {
        page.element("p", "", "The network, its loss and its accuracy, as they were built; nn graph draws gradients and kernels too.");
        page.scrolling("The network's graph", |page| page.raw(graph));
    });
}

/// Every figure of every epoch, folded away: a thousand epochs are a thousand lines.
pub(super) fn epochs(page: &mut Html, report: &Report<'_>) {
    let series: Vec<(&str, &[f64])> = report.history.iter().collect();
    if report.history.epochs() == 0 {
        return;
    }
    let mut columns = vec!["epoch"];
    columns.extend(series.iter().map(|(name, _)| *name));
    // Learning rates differ in their first digits, wherever these stand.
    let written =
        |name: &str, v: f64| if name == "learning_rate" { format!("{v:.2e}") } else { format!("{v:.4}") };
    let row = |epoch: usize| {
        let values = series
            .iter()
            .map(|(name, values)| values.get(epoch).map_or(String::new(), |&v| written(name, v)));
        std::iter::once((epoch + 1).to_string()).chain(values).collect::<Vec<_>>()
    };
    let rows: Vec<_> = (0..report.history.epochs()).map(row).collect();
    page.section("epochs", "Figures", |page| {
        page.inside("details", "", |page| {
            page.element("summary", "", &format!("Every epoch's figures ({})", rows.len()));
            page.table("Figures of each epoch", &columns, &rows);
        });
    });
}

pub(super) fn facts(page: &mut Html, report: &Report<'_>) {
    for (id, heading, facts) in
        [("environment", "Environment", &report.environment), ("seconds", "Time", &report.seconds)]
    {
        if !facts.is_empty() {
            page.section(id, heading, |page| page.facts(facts));
        }
    }
}

pub(super) fn again(page: &mut Html, report: &Report<'_>) {
    page.section("again", "Options, and how to run it again", |page| {
        if let Some(command) = &report.command {
            page.inside("pre", "", |page| page.element("code", "", command));
        }
        page.facts(&report.options);
    });
}
