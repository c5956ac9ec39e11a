//! The picture as SVG: one file, light and dark by what the reader's system prefers.

use std::fmt::Write as _;

use super::layout::{Layout, Segment, Size, lay_out};
use super::picture::{Item, Kind, Picture};
use crate::draw::escaped;

/// Pixels per character of each text. The fonts that the style names are 0.6 em wide and a little; what is left of a
/// line's width is margin.
const TITLE_CHAR: f64 = 7.6;
const LINE_CHAR: f64 = 6.8;
const LABEL_CHAR: f64 = 6.4;
/// Pixels per line of text.
const TITLE_LINE: f64 = 17.0;
const LINE: f64 = 15.0;
/// Pixels between a box's edge and its text.
const PAD: f64 = 9.0;
/// Pixels below a box for the shapes of its outputs.
const LABELS: f64 = 19.0;
/// Characters after which a line is cut.
const MAX_CHARS: usize = 46;
/// Pixels above the picture for its title and figures, without the legend.
const HEADING: f64 = 58.0;
/// Pixels per row of the legend.
const LEGEND_ROW: f64 = 22.0;
/// The least width of a picture with a heading.
const MIN_WIDTH: f64 = 360.0;

/// The picture as one SVG element, with its title and legend above it if there is a `heading`.
pub(super) fn svg(mut picture: Picture, heading: bool) -> String {
    let sizes: Vec<Size> = picture.boxes.iter().map(size).collect();
    let layout = lay_out(&mut picture, &sizes);
    let title_width =
        if heading { wide(&picture.title, 10.8).max(wide(&picture.subtitle, 7.4)) + 32.0 } else { 0.0 };
    let width = layout.width.max(title_width).max(if heading { MIN_WIDTH } else { 0.0 });
    let (legend, legend_height) = if heading { legend(&picture, width) } else { (String::new(), 0.0) };
    let top = if heading { HEADING + legend_height } else { 0.0 };
    let height = top + layout.height;
    let left = (width - layout.width) / 2.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"nn-graph\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{}\">\n<style>{}</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n",
        escaped(&picture.title),
        include_str!("graph.css").trim()
    );
    if heading {
        text(&mut out, "heading", (16.0, 28.0), &picture.title);
        text(&mut out, "figures", (16.0, 47.0), &picture.subtitle);
        out += &legend;
    }
    let _ = writeln!(out, "<g transform=\"translate({left:.1} {top:.1})\">");
    frames(&mut out, &picture, &layout);
    arrows(&mut out, &layout.segments);
    for (number, item) in picture.boxes.iter().enumerate() {
        draw_box(&mut out, item, number, &sizes[number], &layout, has_arrows(&picture, number));
    }
    titles(&mut out, &picture, &layout);
    out += "</g>\n</svg>\n";
    out
}

/// A line that is not too long; of a name the end says most.
fn cut(line: &str) -> String {
    let chars = line.chars().count();
    if chars <= MAX_CHARS {
        return line.to_owned();
    }
    let end: String = line.chars().skip(chars - MAX_CHARS + 1).collect();
    format!("…{end}")
}

fn wide(line: &str, per_char: f64) -> f64 {
    line.chars().count() as f64 * per_char
}

fn size(item: &Item) -> Size {
    let lines = item.lines.iter().map(|line| wide(&cut(line), LINE_CHAR)).fold(0.0, f64::max);
    let inside = wide(&cut(&item.title), TITLE_CHAR).max(lines) + 2.0 * PAD;
    let slots: Vec<f64> = item.outputs.iter().map(|label| wide(label, LABEL_CHAR) + 18.0).collect();
    let w = match slots.as_slice() {
        // One output leaves in the middle, with its shape to the right.
        &[slot] => inside.max(2.0 * slot - 12.0),
        slots => inside.max(slots.iter().sum()),
    };
    let w = w.max(40.0).ceil();
    let outputs = match slots.len() {
        1 => vec![w / 2.0],
        _ => slots.iter().scan(8.0, |x, slot| Some(std::mem::replace(x, *x + slot))).collect(),
    };
    let h = 2.0 * PAD + TITLE_LINE + LINE * item.lines.len() as f64 - 4.0;
    let labels = if item.outputs.is_empty() { 0.0 } else { LABELS };
    Size { w, h: h + labels, outputs }
}

fn text(out: &mut String, class: &str, (x, y): (f64, f64), text: &str) {
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(text));
}

/// Swatches with their meaning, in rows no wider than the picture; and how tall they are.
fn legend(picture: &Picture, width: f64) -> (String, f64) {
    let (mut out, mut x, mut y) = (String::new(), 16.0, HEADING + 6.0);
    for kind in picture.kinds() {
        let w = 20.0 + wide(kind.meaning(), LINE_CHAR) + 16.0;
        if x > 16.0 && x + w > width {
            (x, y) = (16.0, y + LEGEND_ROW);
        }
        let _ = writeln!(
            out,
            "<rect class=\"box {}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"14\" height=\"14\" rx=\"3\"/>",
            kind.class(),
            y - 11.0
        );
        text(&mut out, "line", (x + 20.0, y), kind.meaning());
        x += w;
    }
    (out, y - HEADING + 12.0)
}

/// The groups' frames, outer ones first.
fn frames(out: &mut String, picture: &Picture, layout: &Layout) {
    let mut numbers: Vec<usize> = (0..picture.groups.len()).collect();
    numbers.sort_by_key(|&g| picture.path(Some(g)).len());
    for rect in numbers.into_iter().filter_map(|g| layout.groups[g]) {
        let _ = writeln!(
            out,
            "<rect class=\"group\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"8\"/>",
            rect.x, rect.y, rect.w, rect.h
        );
    }
}

/// The groups' titles, where no arrow enters if there is such a place.
fn titles(out: &mut String, picture: &Picture, layout: &Layout) {
    for (group, rect) in picture.groups.iter().zip(&layout.groups) {
        let Some(rect) = rect else { continue };
        let width = wide(&group.title, TITLE_CHAR);
        let enters = |s: &&Segment| s.from.y == rect.y && (rect.x..rect.x + rect.w).contains(&s.from.x);
        let arrows: Vec<f64> = layout.segments.iter().filter(enters).map(|s| s.from.x).collect();
        let free = |x: &f64| arrows.iter().all(|&a| a < x - 6.0 || a > x + width + 4.0);
        let places = arrows.iter().map(|a| a + 8.0).filter(|x| x + width < rect.x + rect.w - 4.0);
        let x = std::iter::once(rect.x + 10.0).chain(places).filter(free).fold(f64::INFINITY, f64::min);
        let x = if x.is_finite() { x } else { rect.x + 10.0 };
        text(out, "scope", (x, rect.y + 17.0), &group.title);
    }
}

fn arrows(out: &mut String, segments: &[Segment]) {
    /// How long and how wide half a head is, in pixels.
    const HEAD: (f64, f64) = (7.0, 3.5);
    for s in segments {
        let middle = (s.bend + s.end.y) / 2.0;
        let tip = if s.head { HEAD.0 } else { 0.0 };
        let _ = writeln!(
            out,
            "<path class=\"arrow\" d=\"M{:.1} {:.1}V{:.1}C{:.1} {middle:.1} {:.1} {middle:.1} {:.1} {:.1}V{:.1}\"/>",
            s.from.x,
            s.from.y,
            s.bend,
            s.from.x,
            s.end.x,
            s.end.x,
            s.end.y - tip,
            s.to - tip
        );
        if s.head {
            let _ = writeln!(
                out,
                "<path class=\"head\" d=\"M{:.1} {:.1}l{:.1} {:.1}h{:.1}z\"/>",
                s.end.x,
                s.end.y,
                -HEAD.1,
                -HEAD.0,
                2.0 * HEAD.1
            );
        }
    }
}

/// For each output whether arrows leave it.
fn has_arrows(picture: &Picture, number: usize) -> impl Fn(usize) -> bool {
    let outputs: Vec<usize> = picture.arrows.iter().filter(|a| a.from == number).map(|a| a.output).collect();
    move |output| outputs.contains(&output)
}

fn draw_box(
    out: &mut String,
    item: &Item,
    number: usize,
    size: &Size,
    layout: &Layout,
    has_arrows: impl Fn(usize) -> bool,
) {
    let rect = layout.boxes[number];
    let labels = if item.outputs.is_empty() { 0.0 } else { LABELS };
    let h = rect.h - labels;
    let _ = writeln!(out, "<g class=\"node\"><title>{}</title>", escaped(&item.detail));
    let _ = writeln!(
        out,
        "<rect class=\"box {}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{h:.1}\" rx=\"{}\"/>",
        item.kind.class(),
        rect.x,
        rect.y,
        rect.w,
        if matches!(item.kind, Kind::Placeholder | Kind::Variable | Kind::Constant) { 12 } else { 4 }
    );
    let mut y = rect.y + PAD + 10.0;
    let x = rect.x + rect.w / 2.0;
    text(out, "title", (x, y), &cut(&item.title));
    for line in &item.lines {
        y += LINE;
        text(out, "line middle", (x, y), &cut(line));
    }
    for (output, (label, at)) in item.outputs.iter().zip(&size.outputs).enumerate() {
        let (x, y) = (rect.x + at, rect.y + h);
        if has_arrows(output) {
            let _ = writeln!(out, "<path class=\"arrow\" d=\"M{x:.1} {y:.1}v{LABELS}\"/>");
        }
        text(out, "label", (x + 6.0, y + 13.0), label);
    }
    *out += "</g>\n";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_lose_their_beginning() {
        let name = "a/".repeat(30) + "momentum";
        let short = cut(&name);
        assert_eq!(short.chars().count(), MAX_CHARS);
        assert!(short.starts_with('…') && short.ends_with("/momentum"), "{short}");
    }
}
