//! The picture in Graphviz' language: `nn graph --format dot | dot -Tpdf > graph.pdf`.

use std::fmt::Write as _;

use super::picture::{Kind, Picture};

/// The picture; groups are clusters.
pub(super) fn dot(picture: &Picture) -> String {
    let mut out = format!(
        "digraph {} {{\n  label={};\n  labelloc=t;\n  node [shape=box, style=\"rounded,filled\", fontname=monospace, fontsize=11];\n  edge [fontname=monospace, fontsize=9];\n",
        quoted("nn"),
        quoted(&format!("{}\n{}", picture.title, picture.subtitle))
    );
    cluster(&mut out, picture, None, 1);
    for arrow in &picture.arrows {
        let from = &picture.boxes[arrow.from];
        let label = from.outputs.get(arrow.output).map_or("", String::as_str);
        let _ = writeln!(out, "  n{} -> n{} [label={}];", arrow.from, arrow.to, quoted(label));
    }
    out += "}\n";
    out
}

/// What is directly in a group, then the groups in it.
fn cluster(out: &mut String, picture: &Picture, group: Option<usize>, depth: usize) {
    let indent = "  ".repeat(depth);
    for (number, item) in picture.boxes.iter().enumerate().filter(|(_, b)| b.group == group) {
        let lines: Vec<&str> = [&item.title].into_iter().chain(&item.lines).map(String::as_str).collect();
        let _ = writeln!(
            out,
            "{indent}n{number} [label={}, tooltip={}, fillcolor={}];",
            quoted(&lines.join("\n")),
            quoted(&item.detail),
            quoted(colour(item.kind))
        );
    }
    for (number, inner) in picture.groups.iter().enumerate().filter(|(_, g)| g.parent == group) {
        let _ =
            writeln!(out, "{indent}subgraph cluster_{number} {{\n{indent}  label={};", quoted(&inner.title));
        cluster(out, picture, Some(number), depth + 1);
        let _ = writeln!(out, "{indent}}}");
    }
}

fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Placeholder => "#d7f1e2",
        Kind::Variable => "#fdeccb",
        Kind::Constant | Kind::Once => "#eceff2",
        Kind::Operation | Kind::Shard => "#dae8fa",
        Kind::Gradient => "#f8dde6",
        Kind::Update => "#e7def9",
        Kind::Sum => "#fde0cd",
    }
}

/// A string of the language: only quotes, backslashes and ends of lines mean something in it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_ends_of_lines_stay_inside_a_string() {
        assert_eq!(quoted("a \"b\"\\\nc"), r#""a \"b\"\\\nc""#);
    }
}
