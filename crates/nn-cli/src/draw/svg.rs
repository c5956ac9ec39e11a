//! A picture as SVG text. Every shape names its colour twice: as an attribute, in the light theme's colour, which any
//! viewer understands, and as a class, which a style sheet may give the dark theme's.

use std::fmt::Write as _;

use super::paint::{Paint, Theme, css_rules};
use super::scene::{Anchor, Scene, Shape, Text};

/// Where the text will stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// In a file of its own: with its style sheet.
    File,
    /// Within a page that has [`css_rules`]; as wide as there is room, up to its own width.
    Page,
}

/// What sans serif fonts readers may have.
const FONTS: &str =
    "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Ubuntu, 'DejaVu Sans', Arial, sans-serif";

/// The picture as one `svg` element.
pub(crate) fn svg(scene: &Scene, place: Use) -> String {
    let (width, height) = (number(scene.width), number(scene.height));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-label=\"{}\" font-family=\"{FONTS}\">\n",
        escaped(&label(scene))
    );
    if place == Use::File {
        let _ = writeln!(out, "<title>{}</title>", escaped(&scene.title));
        if !scene.description.is_empty() {
            let _ = writeln!(out, "<desc>{}</desc>", escaped(&scene.description));
        }
        let _ = writeln!(
            out,
            "<style>@media screen and (prefers-color-scheme:dark){{{}}}</style>",
            css_rules(Theme::Dark)
        );
    }
    for shape in &scene.shapes {
        out += &element(shape);
        out.push('\n');
    }
    out + "</svg>\n"
}

fn label(scene: &Scene) -> String {
    if scene.description.is_empty() {
        scene.title.clone()
    } else {
        format!("{}. {}", scene.title, scene.description)
    }
}

fn element(shape: &Shape) -> String {
    match shape {
        Shape::Rect { x, y, width, height, paint, hint } => {
            closed(format!("rect {}", box_of([*x, *y, *width, *height])), &filled(*paint), hint.as_deref())
        }
        Shape::Dot { x, y, radius, paint, hint } => closed(
            format!("circle cx=\"{}\" cy=\"{}\" r=\"{}\"", number(*x), number(*y), number(*radius)),
            &filled(*paint),
            hint.as_deref(),
        ),
        Shape::Image { x, y, width, height, bitmap, hint } => closed(
            format!("image {}", box_of([*x, *y, *width, *height])),
            &format!(
                " preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" href=\"{}\"",
                bitmap.data_uri()
            ),
            hint.as_deref(),
        ),
        Shape::Line { points, width, paint, dash } => {
            let points: Vec<String> =
                points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
            let dash = dash.lengths().map_or(String::new(), |[stroke, gap]| {
                format!(" stroke-dasharray=\"{} {}\"", number(stroke), number(gap))
            });
            format!(
                "<polyline points=\"{}\" fill=\"none\" class=\"{}-s\" stroke=\"{}\" stroke-width=\"{}\"{dash} stroke-linejoin=\"round\"/>",
                points.join(" "),
                paint.class(),
                paint.colour(Theme::Light).hex(),
                number(*width)
            )
        }
        Shape::Text(text) => words(text),
    }
}

fn words(text: &Text) -> String {
    let anchor = match text.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let weight = if text.bold { " font-weight=\"600\"" } else { "" };
    let (x, y) = (number(text.x), number(text.y));
    let turn = if text.turn == 0.0 {
        String::new()
    } else {
        format!(" transform=\"rotate({} {x} {y})\"", number(text.turn))
    };
    format!(
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\"{anchor}{weight}{turn}{}>{}</text>",
        number(text.size),
        filled(text.paint),
        escaped(&text.text)
    )
}

fn filled(paint: Paint) -> String {
    format!(" class=\"{}-f\" fill=\"{}\"", paint.class(), paint.colour(Theme::Light).hex())
}

fn box_of([x, y, width, height]: [f64; 4]) -> String {
    format!(
        "x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
        number(x),
        number(y),
        number(width),
        number(height)
    )
}

/// An element with nothing in it but, perhaps, the words that a pointer brings up.
fn closed(start: String, attributes: &str, hint: Option<&str>) -> String {
    let name = start.split(' ').next().unwrap_or_default();
    match hint {
        Some(hint) => format!("<{start}{attributes}><title>{}</title></{name}>", escaped(hint)),
        None => format!("<{start}{attributes}/>"),
    }
}

/// A number with at most two decimals, which is a 28th of what an eye can tell on paper, and no more characters than it needs.
fn number(value: f64) -> String {
    let text = format!("{:.2}", if value.is_finite() { value } else { 0.0 });
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Text as it may stand in XML and HTML, within elements and within quoted attributes. Control characters, which XML
/// does not allow, become U+FFFD.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\n' | '\t' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::bitmap::Bitmap;
    use crate::draw::scene::Dash;

    fn everything() -> Scene {
        let mut scene = Scene::new(100.0, 50.5, "a <title> & \"more\"");
        scene.description = "what's to be seen".into();
        scene.text(Text::new(1.0, 2.0, 12.0, "1 < 2 & 3 > 2\u{1b}").bold().turned(-90.0).anchor(Anchor::End));
        scene.shapes.extend([
            Shape::Line {
                points: vec![(0.0, 0.1 + 0.2), (1.0, -0.001)],
                width: 2.0,
                paint: Paint::Series(1),
                dash: Dash::Dashed,
            },
            Shape::Dot { x: 1.0, y: 1.0, radius: 3.0, paint: Paint::Hit(3), hint: Some("<b>".into()) },
            Shape::Image {
                x: 0.0,
                y: 0.0,
                width: 10.0,
                height: 10.0,
                bitmap: Bitmap::grey(1, 1, &[9]),
                hint: None,
            },
        ]);
        scene
    }

    #[test]
    fn every_shape_is_well_formed_and_texts_come_back_unescaped() -> Result<(), roxmltree::Error> {
        for place in [Use::File, Use::Page] {
            let text = svg(&everything(), place);
            let xml = roxmltree::Document::parse(&text)?;
            let root = xml.root_element();
            assert_eq!(root.attribute("viewBox"), Some("0 0 100 50.5"));
            assert_eq!(root.attribute("aria-label"), Some("a <title> & \"more\". what's to be seen"));
            let words = |name: &str| {
                xml.descendants()
                    .find(|n| n.has_tag_name(("http://www.w3.org/2000/svg", name)))
                    .and_then(|n| n.text())
            };
            assert_eq!(words("text"), Some("1 < 2 & 3 > 2\u{fffd}"));
            assert_eq!(words("style").is_some(), place == Use::File);
            assert!(xml.descendants().any(|n| n.attribute("points") == Some("0,0.3 1,0")), "{text}");
            assert!(xml.descendants().any(|n| n.text() == Some("<b>")));
            assert!(
                xml.descendants().any(|n| n
                    .attribute("href")
                    .is_some_and(|h| h.starts_with("data:image/png;base64,iVBOR")))
            );
        }
        Ok(())
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [1.0, 0.5, 0.126, -0.001, f64::NAN, 1e3].map(number),
            ["1", "0.5", "0.13", "0", "0", "1000"]
        );
    }
}
