//! What the graph compiles to: kernels instead of operations; after partition also what runs per shard, what is summed
//! over the batch, and what runs once.

use std::collections::HashMap;

use nn_core::exec::{Explained, Origin, StepView, ValueView};
use nn_core::graph::{Graph, Node};

use super::picture::{Arrow, Group, Item, Kind, Picture};
use crate::render::grouped;

/// Names of computed nodes that a box lists before it says how many more there are.
const NAMES: usize = 3;

/// Draws the kernels; with `partition` in groups that say when each runs, and with the sizes of one run.
pub(super) fn picture(graph: &Graph, explained: &Explained, partition: bool) -> Picture {
    let mut draw = Draw {
        graph,
        explained,
        partition,
        picture: Picture::default(),
        step_boxes: Vec::new(),
        sum_boxes: HashMap::new(),
        source_boxes: HashMap::new(),
    };
    draw.stages();
    draw.commits();
    draw.picture
}

struct Draw<'a> {
    graph: &'a Graph,
    explained: &'a Explained,
    partition: bool,
    picture: Picture,
    step_boxes: Vec<usize>,
    /// The boxes of sums, by the step that accumulates them.
    sum_boxes: HashMap<usize, usize>,
    source_boxes: HashMap<Origin, usize>,
}

impl Draw<'_> {
    fn stages(&mut self) {
        let explained = self.explained;
        for stage in &explained.stages {
            let once = self.group("once", !stage.before.is_empty());
            for &step in &stage.before {
                self.step(&explained.steps[step], Kind::Once, once);
            }
            let shards = format!(
                "for each of {} of {} rows, in {}",
                counted(stage.shards, "shard"),
                grouped(explained.shard_rows),
                counted(stage.lanes, "lane")
            );
            let per_shard = self.group(&shards, !stage.per_shard.is_empty());
            for &step in &stage.per_shard {
                self.step(&explained.steps[step], Kind::Shard, per_shard);
            }
            if !self.partition {
                continue;
            }
            let lanes = format!("summed over {}", counted(stage.lanes, "lane"));
            let sums = self.group(&lanes, !stage.sums.is_empty());
            for sum in &stage.sums {
                let name = sum.node.map_or("sum", |n| &self.graph.node(n).name);
                let dims = shape(&sum.dims);
                let number = self.picture.boxes.len();
                self.picture.boxes.push(Item {
                    kind: Kind::Sum,
                    title: "Σ".to_owned(),
                    lines: vec![name.to_owned()],
                    detail: format!("{name}\nthe lanes' sums {dims}, added up in their order"),
                    outputs: vec![dims],
                    group: sums,
                });
                self.picture.arrows.push(Arrow { from: self.step_boxes[sum.step], output: 0, to: number });
                self.sum_boxes.insert(sum.step, number);
            }
        }
    }

    /// Variables that get their new value at the end.
    fn commits(&mut self) {
        let explained = self.explained;
        let group = self.group("when everything is computed", !explained.commits.is_empty());
        for commit in &explained.commits {
            let name = &self.graph.var(commit.variable).name;
            let number = self.picture.boxes.len();
            self.picture.boxes.push(Item {
                kind: Kind::Update,
                title: "assign".to_owned(),
                lines: vec![name.clone()],
                detail: format!("{name} gets its new value {}", shape(&commit.value.dims)),
                outputs: Vec::new(),
                group,
            });
            self.arrow(&commit.value, number);
        }
    }

    fn group(&mut self, title: &str, occurs: bool) -> Option<usize> {
        if !(self.partition && occurs) {
            return None;
        }
        self.picture.groups.push(Group { title: title.to_owned(), parent: None });
        Some(self.picture.groups.len() - 1)
    }

    fn step(&mut self, step: &StepView, kind: Kind, group: Option<usize>) {
        let name = |node: &Node| self.graph.node(*node).name.clone();
        let names: Vec<String> = step.nodes.iter().map(name).collect();
        let updated: Vec<String> = step
            .outputs
            .iter()
            .filter_map(|out| match out.origin {
                Origin::Variable(id) => Some(format!("updates {}", self.graph.var(id).name)),
                _ => None,
            })
            .collect();
        let mut lines: Vec<String> = names.iter().take(NAMES).cloned().collect();
        if let more @ 1.. = names.len().saturating_sub(NAMES) {
            lines.push(format!("and {more} more"));
        }
        lines.extend(updated.iter().cloned());
        let detail = [&[step.kernel.clone()][..], &names, &updated].concat().join("\n");
        // What is written into a variable is read by nobody in this run.
        let read = step.outputs.iter().filter(|out| !matches!(out.origin, Origin::Variable(_)));
        let outputs = read.map(|out| self.label(out)).collect();
        let kind = if kind == Kind::Once && !updated.is_empty() { Kind::Update } else { kind };
        let number = self.picture.boxes.len();
        self.picture.boxes.push(Item { kind, title: step.kernel.clone(), lines, detail, outputs, group });
        self.step_boxes.push(number);
        for input in &step.inputs {
            self.arrow(input, number);
        }
    }

    /// Draws where a value comes from and its way to a box. Constants are left out.
    fn arrow(&mut self, value: &ValueView, to: usize) {
        let (from, output) = match value.origin {
            Origin::Constant => return,
            Origin::Step { step, output } => {
                let outputs = &self.explained.steps[step].outputs;
                let before = outputs[..output].iter().filter(|o| matches!(o.origin, Origin::Variable(_)));
                (self.step_boxes[step], output - before.count())
            }
            Origin::Sum { step } => (*self.sum_boxes.get(&step).unwrap_or(&self.step_boxes[step]), 0),
            Origin::Fed(node) => (self.source(value, node, Kind::Placeholder), 0),
            Origin::Variable(id) => (self.source(value, self.graph.var(id).node, Kind::Variable), 0),
        };
        let arrow = Arrow { from, output, to };
        if !self.picture.arrows.contains(&arrow) {
            self.picture.arrows.push(arrow);
        }
    }

    /// The box of a placeholder or variable, made when it is first read.
    fn source(&mut self, value: &ValueView, node: Node, kind: Kind) -> usize {
        if let Some(&there) = self.source_boxes.get(&value.origin) {
            return there;
        }
        let data = self.graph.node(node);
        let dims = self.label(value);
        let number = self.picture.boxes.len();
        self.picture.boxes.push(Item {
            kind,
            title: data.name.clone(),
            lines: Vec::new(),
            detail: format!(
                "{}\n{} {} {}",
                data.name,
                kind.meaning(),
                data.dtype.name(),
                self.graph.shape(node)
            ),
            outputs: vec![dims],
            group: None,
        });
        self.source_boxes.insert(value.origin, number);
        number
    }

    /// A value's shape: the shard's after partition, with the unknown number of rows before.
    fn label(&self, value: &ValueView) -> String {
        match &value.shape {
            Some(symbolic) if !self.partition => symbolic.to_string(),
            _ if value.batched && !self.partition => {
                let columns: Vec<String> = value.dims[1..].iter().map(usize::to_string).collect();
                format!("[None, {}]", columns.join(", "))
            }
            _ => shape(&value.dims),
        }
    }
}

/// `[256, 784]`
pub(super) fn shape(dims: &[usize]) -> String {
    let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
    format!("[{}]", dims.join(", "))
}

/// `1 lane`, `16 lanes`
pub(super) fn counted(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {what}{s}", grouped(n))
}
