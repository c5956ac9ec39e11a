//! Training curves as characters: braille, which has eight dots to a character, in colours; where there are no colours or
//! no braille, a mark of its own for each line.

use super::Depth;
use crate::draw::{Axis, Curve, Figure, Line, Paint, Theme, lines};
use crate::screen::Style;

/// Lines of text of one figure's plot.
const ROWS: usize = 12;
/// Columns at most: more would tear a short history apart.
const MOST_COLUMNS: usize = 100;
/// The braille dot of each place in a character, row by row: Unicode numbers them down the columns, the last row last.
const DOTS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
/// The marks of lines where there are no colours.
const MARKS: &[u8] = b"*o+x#%@&~=$";

/// Both figures under each other, with their keys.
pub(crate) fn curves(runs: &[Curve<'_>], style: Style, depth: Depth) -> String {
    let all: Vec<String> = Figure::ALL.iter().filter_map(|&f| plot(runs, f, style, depth)).collect();
    all.join("\n")
}

fn plot(runs: &[Curve<'_>], figure: Figure, style: Style, depth: Depth) -> Option<String> {
    let lines = lines(runs, figure);
    let (across, up) = figure.axes(&lines)?;
    let Some(up) = up else {
        return Some(format!("{}\nnot one finite value: the run diverged\n", style.bold(figure.title())));
    };
    let labels: Vec<(usize, String)> =
        up.ticks().iter().map(|&tick| (row_of(up.place(tick), ROWS), up.label(tick))).collect();
    let margin = labels.iter().map(|(_, label)| label.chars().count()).max().unwrap_or(0) + 1;
    let columns = style.width.min(MOST_COLUMNS).saturating_sub(margin + 2).max(10);
    let braille = style.unicode && depth != Depth::None;
    let mut canvas = Canvas::new(columns, ROWS, if braille { (2, 4) } else { (1, 1) });
    for (n, line) in lines.iter().enumerate() {
        let points: Vec<(f64, f64)> = line
            .values
            .iter()
            .enumerate()
            .map(|(i, &v)| (across.place((i + 1) as f64), up.place(figure.shown(v))))
            .collect();
        canvas.line(&points, n);
    }
    let (bar, corner, dash) = if style.unicode { ("┤", "└", "─") } else { ("|", "+", "-") };
    let mut text = style.bold(&figure.heading(Some(&up))) + "\n";
    for row in 0..ROWS {
        let label = labels.iter().find(|(r, _)| *r == row).map_or("", |(_, label)| label.as_str());
        text += &format!("{label:>margin$} {bar}");
        text += canvas.row(row, &|dots, n| drawn(dots, &lines[n], n, braille, depth)).trim_end();
        text.push('\n');
    }
    text += &format!("{:>margin$} {corner}{}\n", "", dash.repeat(columns));
    text += &format!("{:>margin$}  {}\n", "", epochs(&across, columns));
    Some(text + &keys(&lines, runs.len() > 1, braille, depth))
}

/// From 0 for the top to the last for the bottom.
fn row_of(place: f64, rows: usize) -> usize {
    ((1.0 - place) * (rows - 1) as f64).round().clamp(0.0, (rows - 1) as f64) as usize
}

fn drawn(dots: u8, line: &Line<'_>, n: usize, braille: bool, depth: Depth) -> String {
    if !braille {
        return mark(n).to_string();
    }
    let cell = char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' ');
    coloured(&cell.to_string(), line.paint, depth)
}

fn mark(n: usize) -> char {
    char::from(MARKS[n % MARKS.len()])
}

fn coloured(text: &str, paint: Paint, depth: Depth) -> String {
    // Terminals' grounds are dark more often than not, and the dark theme's colours are bright enough to be seen on light.
    format!("\x1b[{}m{text}\x1b[0m", depth.parameters(paint.colour(Theme::Dark), false))
}

/// The first and the last epoch, at the ends; a single one in the middle.
fn epochs(across: &Axis, columns: usize) -> String {
    let label = |tick: Option<&f64>| tick.map_or(String::new(), |&t| across.label(t));
    let (first, last) = (label(across.ticks().first()), label(across.ticks().last()));
    if first == last {
        return format!("{:^columns$}", format!("epoch {first}")).trim_end().to_owned();
    }
    // The last tick may stand before the end of the axis.
    let end = across.ticks().last().map_or(columns, |&t| (across.place(t) * columns as f64).round() as usize);
    let room = end.saturating_sub("epoch ".len() + first.len()).max(last.len() + 1);
    format!("epoch {first}{last:>room$}")
}

fn keys(lines: &[Line<'_>], several: bool, braille: bool, depth: Depth) -> String {
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate() {
        let name = if several { format!("{}, {}", line.run, line.part) } else { line.part.to_owned() };
        let sample = if braille { coloured("⠤⠤", line.paint, depth) } else { mark(n).to_string() };
        text += &format!(
            "  {sample} {name}: {}\n",
            line.values.last().map_or(String::new(), |&v| line.written(v))
        );
    }
    text
}

/// Characters of so many dots each; a character belongs to the line that was drawn last.
struct Canvas {
    columns: usize,
    rows: usize,
    dots: (usize, usize),
    cells: Vec<Option<(u8, usize)>>,
}

impl Canvas {
    fn new(columns: usize, rows: usize, dots: (usize, usize)) -> Self {
        Self { columns, rows, dots, cells: vec![None; columns * rows] }
    }

    /// Draws from point to point, each between 0 and 1 both ways; what is not finite breaks the line.
    fn line(&mut self, points: &[(f64, f64)], n: usize) {
        let (wide, high) = (self.columns * self.dots.0 - 1, self.rows * self.dots.1 - 1);
        let at = |&(x, y): &(f64, f64)| (x * wide as f64, (1.0 - y) * high as f64);
        for part in points.split(|(_, y)| !y.is_finite()) {
            if let [only] = part {
                let (x, y) = at(only);
                self.dot(x, y, n);
            }
            for pair in part.windows(2) {
                let ((x0, y0), (x1, y1)) = (at(&pair[0]), at(&pair[1]));
                let steps = (x1 - x0).abs().max((y1 - y0).abs()).ceil().max(1.0);
                for step in 0..=steps as usize {
                    let t = step as f64 / steps;
                    self.dot(x0 + t * (x1 - x0), y0 + t * (y1 - y0), n);
                }
            }
        }
    }

    fn dot(&mut self, x: f64, y: f64, n: usize) {
        let (x, y) = (x.round().max(0.0) as usize, y.round().max(0.0) as usize);
        let (column, row) = (x / self.dots.0, y / self.dots.1);
        if column < self.columns && row < self.rows {
            let bit = DOTS[y % self.dots.1][x % self.dots.0];
            let cell = &mut self.cells[row * self.columns + column];
            let before = cell.map_or(0, |(dots, _)| dots);
            *cell = Some((before | bit, n));
        }
    }

    fn row(&self, row: usize, draw: &dyn Fn(u8, usize) -> String) -> String {
        let cells = self.cells[row * self.columns..][..self.columns].iter();
        cells.map(|cell| cell.map_or(" ".to_owned(), |(dots, n)| draw(dots, n))).collect()
    }
}

#[cfg(test)]
mod tests {
    use nn_train::History;

    use super::*;

    const ASCII: Style = Style { terminal: false, colour: false, unicode: false, width: 40 };

    fn rising(epochs: usize) -> History {
        let mut history = History::default();
        for epoch in 0..epochs {
            history.push("accuracy", 0.1 + 0.8 * epoch as f64 / (epochs.max(2) - 1) as f64);
        }
        history
    }

    #[test]
    fn a_rising_accuracy_rises_from_the_left_to_the_right() {
        let history = rising(5);
        let text = curves(&[Curve { name: "run", history: &history }], ASCII, Depth::None);
        let columns: Vec<usize> = text.lines().filter_map(|line| line.split_once('|')?.1.find('*')).collect();
        // From 10 % to 90 % of eleven steps: from the second row to the last but one.
        assert_eq!(columns.len(), ROWS - 2, "{text}");
        assert!(columns.is_sorted_by(|above, below| above > below), "{text}");
        assert!(text.contains("  * training: 90.00 %\n") && text.is_ascii(), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
    }

    #[test]
    fn one_epoch_and_a_thousand_have_their_marks() {
        for (epochs, words) in [(1, "epoch 1\n"), (1000, "1000\n")] {
            let history = rising(epochs);
            let text = curves(&[Curve { name: "run", history: &history }], ASCII, Depth::None);
            assert!(text.contains('*') && text.contains(words), "{text}");
        }
    }

    #[test]
    fn braille_dots_are_where_unicode_has_them() {
        let mut canvas = Canvas::new(2, 1, (2, 4));
        canvas.line(&[(0.0, 1.0), (0.0, 0.0)], 0);
        canvas.line(&[(1.0, 0.0)], 1);
        let found = canvas
            .row(0, &|dots, _| char::from_u32(0x2800 + u32::from(dots)).map_or(String::new(), String::from));
        assert_eq!(found, "⡇⢀");
    }

    #[test]
    fn colours_tell_lines_apart_and_runs_have_their_names() {
        let history = rising(3);
        let runs = [Curve { name: "first", history: &history }, Curve { name: "second", history: &history }];
        let style = Style { terminal: false, colour: true, unicode: true, width: 60 };
        let text = curves(&runs, style, Depth::True);
        for (n, words) in [(0, " first, training"), (1, " second, training")] {
            let colour = Depth::True.parameters(Paint::Series(n).colour(Theme::Dark), false);
            assert!(text.contains(&format!("\x1b[{colour}m⠤⠤\x1b[0m{words}")), "{text}");
        }
    }
}
