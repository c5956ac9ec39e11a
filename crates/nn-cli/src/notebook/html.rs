//! The lesson as one page: each step with what it says, the code that did it, and what came out.

use nn_cli::lesson::Pace;
use nn_train::metrics::ClassificationReport;

use super::page::{Block, epochs};
use super::{Chapter, comparisons, highlight, percent, points};
use crate::draw::{Bitmap, Curve, Figure, Use, confusion, panel, svg};
use crate::report::{Html, document};

/// The edge of a digit, in pixels, and how large it is shown.
const DIGIT: usize = 28;
const DIGIT_SIDE: usize = 140;

/// Beside the style of a run's report: the code, its output, and the lesson's contents.
const STYLE: &str = include_str!("style.css");

pub(super) fn page(chapters: &[Chapter], pace: Pace) -> String {
    document("nn notebook: training digits from the bottom up", STYLE, |page| {
        header(page, chapters, pace);
        page.inside("main", "", |page| {
            chapters.iter().for_each(|chapter| part(page, chapter));
            summary(page, chapters);
        });
    })
}

fn header(page: &mut Html, chapters: &[Chapter], pace: Pace) {
    page.inside("header", "", |page| {
        page.element("h1", "", "Training digits, from the bottom up");
        page.element(
            "p",
            "",
            "One small network, 784 → 512 → 10, built three times: as a dataflow graph, by layers, and as a model. Each \
             step shows the Rust code that was run, and what it printed.",
        );
        if pace == Pace::Fast {
            page.element("p", " class=\"note\"", "Run with a tenth of the epochs, so the figures are lower than they would be.");
        }
        page.inside("nav", " aria-label=\"Parts\"", |page| {
            page.inside("ol", "", |page| {
                for chapter in chapters {
                    let number = chapter.number;
                    page.inside("li", &format!(" value=\"{number}\""), |page| {
                        page.element("a", &format!(" href=\"#part-{number}\""), chapter.part.title);
                    });
                }
            });
        });
    });
}

fn part(page: &mut Html, chapter: &Chapter) {
    let source = chapter.part.source;
    let heading = format!("Part {}: {}", chapter.number, chapter.part.title);
    page.section(&format!("part-{}", chapter.number), &heading, |page| {
        page.element("p", "", &sentence(&source.about()));
        if !source.helpers().is_empty() {
            page.inside("details", "", |page| {
                page.element("summary", "", "What the steps below call");
                code(page, source.helpers());
            });
        }
        let mut steps = source.steps().into_iter();
        for block in &chapter.blocks {
            if let Block::Step { title, text } = block {
                page.element("h3", "", title);
                page.element("p", "", text);
                if let Some(step) = steps.next() {
                    code(page, &step.code);
                }
            } else {
                output(page, block);
            }
        }
        page.element("p", " class=\"note\"", &format!("This part took {:.1} s.", chapter.seconds));
    });
}

/// What stands behind the part's number in the first line of its source, as a sentence.
fn sentence(about: &str) -> String {
    let text = about.split_once(": ").map_or(about, |(_, text)| text);
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

fn code(page: &mut Html, text: &str) {
    page.scrolling("Code", |page| {
        page.inside("pre", " class=\"code\"", |page| {
            page.raw(&format!("<code>{}</code>", highlight::html(text)))
        });
    });
}

fn output(page: &mut Html, block: &Block) {
    match block {
        Block::Step { .. } => {}
        Block::Text(text) => page.scrolling("Output", |page| page.element("pre", " class=\"out\"", text)),
        Block::Digit { pixels, caption } => page.inside("figure", " class=\"digit\"", |page| {
            let uri = Bitmap::grey(DIGIT, DIGIT, pixels).data_uri();
            page.raw(&format!(
                "<img src=\"{uri}\" width=\"{DIGIT_SIDE}\" height=\"{DIGIT_SIDE}\" alt=\"\"/>\n"
            ));
            page.element("figcaption", "", caption);
        }),
        Block::History { title, history } => {
            let run = [Curve { name: title, history }];
            page.inside("div", " class=\"panels\"", |page| {
                for panel in Figure::ALL.iter().filter_map(|&figure| panel(&run, figure)) {
                    page.inside("figure", "", |page| page.raw(&svg(&panel, Use::Page)));
                }
            });
            page.inside("details", "", |page| {
                page.element("summary", "", "The figures");
                page.scrolling("Figures of each epoch", |page| {
                    page.element("pre", " class=\"out\"", &epochs(history))
                });
            });
        }
        Block::Confusion(matrix) => page.inside("div", " class=\"panels\"", |page| {
            page.inside("figure", "", |page| page.raw(&svg(&confusion(matrix, &[]), Use::Page)));
            page.scrolling("Classification report", |page| {
                page.element("pre", " class=\"out\"", &ClassificationReport::new(matrix).to_string());
            });
        }),
        Block::Compare { what, ours, theirs } => {
            let text = format!(
                "{what}: {} here, {} in the exercise ({} points).",
                percent(*ours),
                percent(*theirs),
                points(ours - theirs)
            );
            page.element("p", " class=\"compare\"", &text);
        }
    }
}

fn summary(page: &mut Html, chapters: &[Chapter]) {
    let rows: Vec<Vec<String>> = comparisons(chapters)
        .map(|(part, what, ours, theirs)| {
            vec![format!("part {part}: {what}"), percent(ours), percent(theirs), points(ours - theirs)]
        })
        .collect();
    if !rows.is_empty() {
        page.section("summary", "Beside what the exercise reports", |page| {
            page.table("Accuracies", &["", "here", "exercise", "points"], &rows);
        });
    }
}
