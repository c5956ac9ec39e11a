//! Training curves: accuracy and loss over the epochs, of one run or of several.

use nn_train::History;

use super::area::{Area, HEIGHT, TEXT, TICKS, TITLE, WIDTH};
use super::axis::Axis;
use super::paint::{Paint, SERIES};
use super::scene::{Anchor, Dash, Scene, Shape, Text, fitted, room_for};

/// What a run measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Curve<'a> {
    pub(crate) name: &'a str,
    pub(crate) history: &'a History,
}

/// The most runs in one picture: as many as there are colours that can be told apart.
pub(crate) const MOST_RUNS: usize = SERIES;

/// What is drawn over the epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    Accuracy,
    Loss,
}

impl Figure {
    /// Both, in the order in which they are drawn.
    pub(crate) const ALL: [Self; 2] = [Self::Accuracy, Self::Loss];

    /// The name in a history, after the prefix of the part of the data.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Loss => "loss",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Accuracy => "Accuracy (%)",
            Self::Loss => "Loss",
        }
    }

    /// The title, and how to read the axis of values.
    pub(crate) fn heading(self, up: Option<&Axis>) -> String {
        let scale = if up.is_some_and(Axis::is_logarithmic) { ", logarithmic scale" } else { "" };
        format!("{}{scale}", self.title())
    }

    /// As it is drawn: accuracies in percent.
    pub(crate) fn shown(self, value: f64) -> f64 {
        if self == Self::Accuracy { 100.0 * value } else { value }
    }

    /// Over the epochs, and over the values; that one is `None` if not one of them is finite, and all is if there are
    /// no values.
    pub(crate) fn axes(self, lines: &[Line<'_>]) -> Option<(Axis, Option<Axis>)> {
        let epochs = lines.iter().map(|line| line.values.len()).max().filter(|&n| n > 0)?;
        let shown =
            lines.iter().flat_map(|line| line.values).map(|&v| self.shown(v)).filter(|v| v.is_finite());
        let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let up = match self {
            _ if low > high => None,
            Self::Accuracy => Some(Axis::around(low, high, TICKS)),
            Self::Loss => Some(Axis::linear_or_by_ratio(low, high, TICKS)),
        };
        Some((Axis::epochs(epochs), up))
    }
}

/// The parts of the data that a history has figures of: prefix, name, and how their lines are broken.
pub(crate) const PARTS: [(&str, &str, Dash); 3] =
    [("", "training", Dash::Solid), ("val_", "validation", Dash::Dashed), ("test_", "test", Dash::Dotted)];

/// Between panels, and around everything.
const GAP: f64 = 16.0;
/// Up to so many epochs, each has its dot, which says its figures where there is a pointer.
const DOTTED_UP_TO: usize = 60;

/// Accuracy and loss beside each other, with one legend; `None` if there is nothing to draw.
pub(crate) fn history(runs: &[Curve<'_>]) -> Option<Scene> {
    let panels: Vec<Scene> = Figure::ALL.iter().filter_map(|&figure| plot(runs, figure)).collect();
    if panels.is_empty() {
        return None;
    }
    let width = panels.len() as f64 * (WIDTH + GAP) + GAP;
    let mut scene = Scene::new(width, 0.0, title(runs, "Training curves"));
    scene.description = panels.iter().map(|p| p.description.clone()).collect::<Vec<_>>().join(" ");
    let top = legend(&mut scene, runs, GAP, GAP + TEXT, width - 2.0 * GAP) + GAP;
    for (i, panel) in panels.into_iter().enumerate() {
        scene.place(panel, GAP + i as f64 * (WIDTH + GAP), top);
    }
    scene.set_height(top + HEIGHT + GAP);
    Some(scene)
}

/// One figure, with a legend of its own; `None` if no run has it.
pub(crate) fn panel(runs: &[Curve<'_>], figure: Figure) -> Option<Scene> {
    let plot = plot(runs, figure)?;
    let mut scene = Scene::new(WIDTH, 0.0, title(runs, figure.title()));
    scene.description = plot.description.clone();
    let top = legend(&mut scene, runs, 0.0, TEXT + 2.0, WIDTH) + GAP;
    scene.place(plot, 0.0, top);
    scene.set_height(top + HEIGHT);
    Some(scene)
}

fn title(runs: &[Curve<'_>], what: &str) -> String {
    let names: Vec<&str> = runs.iter().map(|run| run.name).collect();
    format!("{what}: {}", names.join(", "))
}

/// A line to draw.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) run: &'a str,
    /// Of the data.
    pub(crate) part: &'static str,
    /// One per epoch.
    pub(crate) values: &'a [f64],
    pub(crate) paint: Paint,
    dash: Dash,
    figure: Figure,
}

impl Line<'_> {
    /// One of its values, with its unit.
    pub(crate) fn written(&self, value: f64) -> String {
        match self.figure {
            Figure::Accuracy => format!("{:.2} %", self.figure.shown(value)),
            Figure::Loss => format!("{value:.4}"),
        }
    }
}

/// With one run, parts of the data have colours; with several, runs have.
pub(crate) fn lines<'a>(runs: &[Curve<'a>], figure: Figure) -> Vec<Line<'a>> {
    let of_run = |(r, run): (usize, &Curve<'a>)| {
        let (name, history, one) = (run.name, run.history, runs.len() == 1);
        PARTS.iter().enumerate().filter_map(move |(p, &(prefix, part, dash))| {
            let values = history.get(&format!("{prefix}{}", figure.key()))?;
            Some(Line {
                run: name,
                part,
                values,
                paint: Paint::Series(if one { p } else { r }),
                dash,
                figure,
            })
        })
    };
    runs.iter().enumerate().flat_map(of_run).collect()
}

/// Axes and lines, without a legend.
fn plot(runs: &[Curve<'_>], figure: Figure) -> Option<Scene> {
    let lines = lines(runs, figure);
    let (across, up) = figure.axes(&lines)?;
    let mut scene = Scene::new(WIDTH, HEIGHT, title(runs, figure.title()));
    scene.text(Text::new(0.0, TITLE, TITLE, figure.heading(up.as_ref())).bold());
    let Some(up) = up else {
        scene.description = format!("{}: no finite value.", figure.title());
        scene.text(
            Text::new(WIDTH / 2.0, HEIGHT / 2.0, TEXT, "Not one finite value: the run diverged")
                .anchor(Anchor::Middle),
        );
        return Some(scene);
    };
    let area = Area::new(across, up);
    area.draw(&mut scene, "epoch");
    for line in &lines {
        draw_line(&area, &mut scene, line);
    }
    scene.description = described(&lines, figure);
    Some(scene)
}

/// A value that is not finite breaks the line.
fn draw_line(area: &Area, scene: &mut Scene, line: &Line<'_>) {
    let measured: Vec<(usize, f64)> = line.values.iter().enumerate().map(|(i, &v)| (i + 1, v)).collect();
    for whole in measured.split(|(_, value)| !value.is_finite()).filter(|part| !part.is_empty()) {
        let points: Vec<(f64, f64)> =
            whole.iter().map(|&(e, v)| area.at(e as f64, line.figure.shown(v))).collect();
        if points.len() > 1 {
            scene.shapes.push(Shape::Line {
                points: points.clone(),
                width: 2.0,
                paint: line.paint,
                dash: line.dash,
            });
        }
        if line.values.len() > DOTTED_UP_TO && points.len() > 1 {
            continue;
        }
        for (&(epoch, value), (x, y)) in whole.iter().zip(points) {
            let hint = format!("{}, epoch {epoch}, {}: {}", line.run, line.part, line.written(value));
            scene.shapes.push(Shape::Dot { x, y, radius: 3.0, paint: line.paint, hint: Some(hint) });
        }
    }
}

/// The last value of each line, in words.
fn described(lines: &[Line<'_>], figure: Figure) -> String {
    let last =
        |line: &Line<'_>| Some(format!("{} {} {}", line.run, line.part, line.written(*line.values.last()?)));
    let all: Vec<String> = lines.iter().filter_map(last).collect();
    format!("{} after the last epoch: {}.", figure.title(), all.join("; "))
}

/// Keys to the lines, in as many rows as they need; gives back where they end.
fn legend(scene: &mut Scene, runs: &[Curve<'_>], left: f64, baseline: f64, width: f64) -> f64 {
    const SAMPLE: f64 = 26.0;
    let has = |prefix: &str| {
        let of = |run: &Curve<'_>, figure: &Figure| {
            run.history.get(&format!("{prefix}{}", figure.key())).is_some()
        };
        runs.iter().any(|run| Figure::ALL.iter().any(|figure| of(run, figure)))
    };
    let parts = PARTS.iter().enumerate().filter(|(_, (prefix, ..))| has(prefix));
    let mut keys: Vec<(String, Paint, Dash)> = Vec::new();
    if runs.len() == 1 {
        keys.extend(parts.map(|(p, &(_, name, dash))| (name.to_owned(), Paint::Series(p), dash)));
    } else {
        keys.extend(
            runs.iter().enumerate().map(|(r, run)| (run.name.to_owned(), Paint::Series(r), Dash::Solid)),
        );
        keys.extend(parts.map(|(_, &(_, name, dash))| (name.to_owned(), Paint::Ink, dash)));
    }
    let (mut x, mut y) = (left, baseline);
    for (name, paint, dash) in keys {
        let name = fitted(&name, TEXT, width - SAMPLE - 6.0);
        let room = SAMPLE + 6.0 + room_for(&name, TEXT);
        if x > left && x + room > left + width {
            (x, y) = (left, y + 1.5 * TEXT);
        }
        let middle = y - 0.35 * TEXT;
        let points = vec![(x, middle), (x + SAMPLE, middle)];
        scene.shapes.push(Shape::Line { points, width: 2.5, paint, dash });
        scene.text(Text::new(x + SAMPLE + 6.0, y, TEXT, name));
        x += room + 14.0;
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(epochs: usize) -> History {
        let mut history = History::default();
        for epoch in 1..=epochs {
            for (prefix, ..) in PARTS {
                history.push(&format!("{prefix}loss"), 1.0 / epoch as f64);
                history.push(&format!("{prefix}accuracy"), 1.0 - 0.5 / epoch as f64);
            }
        }
        history
    }

    fn counted(scene: &Scene) -> (usize, usize) {
        let lines = scene.shapes.iter().filter(|s| matches!(s, Shape::Line { width, .. } if *width == 2.0));
        let dots = scene.shapes.iter().filter(|s| matches!(s, Shape::Dot { .. }));
        (lines.count(), dots.count())
    }

    /// Whether everything is inside of the picture, texts with the room that they need.
    fn fits(scene: &Scene) -> Result<(), String> {
        let inside = |x: f64, y: f64| {
            (-0.01..=scene.width + 0.01).contains(&x) && (-0.01..=scene.height + 0.01).contains(&y)
        };
        for shape in &scene.shapes {
            let ok = match shape {
                Shape::Text(t) => {
                    let room = room_for(&t.text, t.size);
                    let start = match t.anchor {
                        Anchor::Start => t.x,
                        Anchor::Middle => t.x - room / 2.0,
                        Anchor::End => t.x - room,
                    };
                    inside(start, t.y) && inside(start + room, t.y - 0.8 * t.size)
                }
                Shape::Line { points, .. } => points.iter().all(|&(x, y)| inside(x, y)),
                Shape::Dot { x, y, .. } => inside(*x, *y),
                Shape::Rect { x, y, width, height, .. } | Shape::Image { x, y, width, height, .. } => {
                    inside(*x, *y) && inside(x + width, y + height)
                }
            };
            if !ok {
                return Err(format!("{shape:?} is not within {} × {}", scene.width, scene.height));
            }
        }
        Ok(())
    }

    #[test]
    fn everything_is_inside_the_picture_for_one_epoch_and_for_a_thousand() -> Result<(), String> {
        for epochs in [1, 2, 60, 1000] {
            let history_of = measured(epochs);
            let run = Curve {
                name: "a run with a name that is rather long, as names of folders go",
                history: &history_of,
            };
            for runs in [vec![run], vec![run; MOST_RUNS]] {
                let scene = history(&runs).ok_or("no picture")?;
                fits(&scene)?;
                for figure in Figure::ALL {
                    fits(&panel(&runs, figure).ok_or("no picture")?)?;
                }
                let expected_lines = if epochs == 1 { 0 } else { 6 * runs.len() };
                let expected_dots = if epochs <= DOTTED_UP_TO { 6 * runs.len() * epochs } else { 0 };
                assert_eq!(counted(&scene), (expected_lines, expected_dots), "{epochs} epochs");
            }
        }
        Ok(())
    }

    #[test]
    fn a_loss_that_is_not_finite_breaks_the_line_and_only_it() {
        let mut broken = History::default();
        for value in [3.0, 2.0, f64::NAN, 1.0, f64::INFINITY] {
            broken.push("loss", value);
        }
        let scene = panel(&[Curve { name: "run", history: &broken }], Figure::Loss);
        assert_eq!(scene.as_ref().map(counted), Some((1, 3)));
        let mut none = History::default();
        none.push("loss", f64::NAN);
        let scene = panel(&[Curve { name: "run", history: &none }], Figure::Loss);
        assert!(scene.is_some_and(|s| {
            s.shapes.iter().any(|s| matches!(s, Shape::Text(t) if t.text.contains("diverged")))
        }));
    }

    #[test]
    fn a_loss_over_decades_is_said_to_be_on_a_logarithmic_scale() {
        let says_so = |values: [f64; 2]| {
            let mut history = History::default();
            values.iter().for_each(|&value| history.push("loss", value));
            let scene = panel(&[Curve { name: "run", history: &history }], Figure::Loss);
            let said = |s: &Shape| matches!(s, Shape::Text(t) if t.text == "Loss, logarithmic scale");
            scene.is_some_and(|scene| scene.shapes.iter().any(said))
        };
        assert!(says_so([2.3, 0.001]) && !says_so([2.3, 0.5]));
    }

    #[test]
    fn runs_that_measured_nothing_give_no_picture() {
        let nothing = History::default();
        assert_eq!(history(&[Curve { name: "run", history: &nothing }]), None);
        assert_eq!(history(&[]), None);
    }

    #[test]
    fn what_is_seen_is_said_in_words() {
        let history_of = measured(2);
        let scene = panel(&[Curve { name: "r1", history: &history_of }], Figure::Accuracy);
        let words = scene.map(|s| s.description).unwrap_or_default();
        assert_eq!(
            words,
            "Accuracy (%) after the last epoch: r1 training 75.00 %; r1 validation 75.00 %; r1 test 75.00 %."
        );
    }
}
