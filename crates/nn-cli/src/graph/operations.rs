//! The graph as it was built, node by node: name scopes become groups.

use std::collections::HashMap;

use nn_core::graph::{Graph, Node, Op};

use super::picture::{Arrow, Group, Item, Kind, Picture};

/// Draws the given nodes of a graph, which include the inputs of each.
pub(super) fn picture(graph: &Graph, nodes: &[Node]) -> Picture {
    let mut scopes = Scopes::new(nodes.iter().map(|&n| graph.node(n).name.as_str()));
    let mut picture = Picture::default();
    let number: HashMap<Node, usize> = nodes.iter().enumerate().map(|(i, &n)| (n, i)).collect();
    for (to, &node) in nodes.iter().enumerate() {
        let data = graph.node(node);
        let (group, title) = scopes.place(&data.name, &mut picture.groups);
        let line = match &data.op {
            Op::Constant(values) if values.len() == 1 => Some(short(values[0])),
            // A name that is made of the operation says it already.
            op => (!title.starts_with(op.name())).then(|| op.name().to_owned()),
        };
        let shape = graph.shape(node).to_string();
        picture.boxes.push(Item {
            kind: kind(&data.op, &data.name),
            title,
            lines: line.into_iter().collect(),
            detail: format!(
                "{}\n{} → {} {shape}\nbuilt at {}:{}",
                data.name,
                data.op.name(),
                data.dtype.name(),
                data.built_at.file(),
                data.built_at.line()
            ),
            outputs: vec![shape],
            group,
        });
        for from in data.inputs.iter().filter_map(|input| number.get(input)) {
            let arrow = Arrow { from: *from, output: 0, to };
            if !picture.arrows.contains(&arrow) {
                picture.arrows.push(arrow);
            }
        }
    }
    picture
}

/// A number with at most six digits.
fn short(x: f64) -> String {
    let rounded: f64 = format!("{x:.5e}").parse().unwrap_or(x);
    if rounded != 0.0 && !(1e-4..1e6).contains(&rounded.abs()) {
        format!("{rounded:e}")
    } else {
        rounded.to_string()
    }
}

fn kind(op: &Op, name: &str) -> Kind {
    match op {
        Op::Placeholder => Kind::Placeholder,
        Op::Variable(_) => Kind::Variable,
        Op::Constant(_) => Kind::Constant,
        Op::Assign(_) | Op::Group => Kind::Update,
        _ if name.starts_with("gradients/") => Kind::Gradient,
        _ => Kind::Operation,
    }
}

/// Which scopes become groups: those with two nodes or more, directly or below.
struct Scopes {
    /// Nodes below each scope.
    sizes: HashMap<String, usize>,
    /// The numbers of the groups made so far.
    groups: HashMap<String, usize>,
}

impl Scopes {
    fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut sizes = HashMap::new();
        for name in names {
            for (end, _) in name.match_indices('/') {
                *sizes.entry(name[..end].to_owned()).or_insert(0) += 1;
            }
        }
        Self { sizes, groups: HashMap::new() }
    }

    /// The group of a node, made if need be, and what remains of its name there.
    fn place(&mut self, name: &str, groups: &mut Vec<Group>) -> (Option<usize>, String) {
        let mut parent = None;
        let mut begin = 0;
        for (end, _) in name.match_indices('/') {
            let scope = &name[..end];
            if self.sizes.get(scope).is_none_or(|&nodes| nodes < 2) || self.is_only_a_way(scope) {
                continue;
            }
            let group = *self.groups.entry(scope.to_owned()).or_insert_with(|| {
                groups.push(Group { title: scope[begin..].to_owned(), parent });
                groups.len() - 1
            });
            parent = Some(group);
            begin = end + 1;
        }
        (parent, name[begin..].to_owned())
    }

    /// Whether everything in a scope lies in one scope below it: a frame around a frame says nothing.
    fn is_only_a_way(&self, scope: &str) -> bool {
        let below = |other: &str| {
            other
                .strip_prefix(scope)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|r| !r.contains('/'))
        };
        self.sizes.iter().any(|(other, nodes)| below(other) && *nodes == self.sizes[scope])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 1.0, 1.0 - 0.9, 1e-7, -0.25, 2.5e9, f64::NAN].map(short);
        assert_eq!(texts, ["0", "1", "0.1", "1e-7", "-0.25", "2.5e9", "NaN"]);
    }

    #[test]
    fn scopes_of_two_nodes_become_groups_and_shorten_names() {
        let names = ["x", "a/b/c", "a/b/d", "a/e", "lone/f", "way/in/g", "way/in/h"];
        let mut scopes = Scopes::new(names.into_iter());
        let mut groups = Vec::new();
        let placed: Vec<_> = names.iter().map(|name| scopes.place(name, &mut groups)).collect();
        let titles: Vec<(&str, Option<usize>)> =
            groups.iter().map(|g| (g.title.as_str(), g.parent)).collect();
        assert_eq!(titles, [("a", None), ("b", Some(0)), ("way/in", None)]);
        let expected = [
            (None, "x"),
            (Some(1), "c"),
            (Some(1), "d"),
            (Some(0), "e"),
            (None, "lone/f"),
            (Some(2), "g"),
            (Some(2), "h"),
        ];
        assert_eq!(placed, expected.map(|(group, title)| (group, title.to_owned())));
    }
}
