//! One group's inside: boxes, inner groups, ports and the arrows between them, in layers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::order::{Link, reorder};
use super::place::spread_out;
use super::rank::ranks;
use super::{Done, Point, Rect, Segment, Size, child};
use crate::graph::picture::{Arrow, Picture};

/// Pixels between a group's left or right edge and what is in it.
const SIDE: f64 = 16.0;
/// Pixels between a group's upper edge and what is in it: a line of text.
const HEADER: f64 = 28.0;
/// Pixels between what is in a group and its lower edge.
const BOTTOM: f64 = 14.0;
/// Pixels between neighbours in a layer where one is a box or group.
const GAP: f64 = 18.0;
/// Pixels between arrows that pass a layer side by side.
const ARROW_GAP: f64 = 10.0;
/// The least pixels between two layers, in which arrows bend.
const LAYER_GAP: f64 = 34.0;
/// By how much the distance between layers grows with the widest bend there is, so that no curve lies flat.
const SLANT: f64 = 0.07;
/// The most pixels between two layers.
const LAYER_GAP_MAX: f64 = 110.0;
/// Rounds of moving vertices towards their neighbours; pictures of 500 vertices hardly change after some 60.
const ROUNDS: usize = 80;
/// How much more a passing arrow resists being moved than a box, so that long arrows become straight.
const ARROW_WEIGHT: f64 = 6.0;
/// How strongly the two ends of an arrow's part pull at each other, by how many of them are on the way between boxes:
/// 1, 2 and 8 as Gansner, Koutsofios, North and Vo (1993) have it.
const PULL: [f64; 3] = [1.0, 2.0, 8.0];
/// Pixels from which on a layer of boxes and groups is split in two, boxes first.
const WIDE: f64 = 1200.0;

/// An output of a box, which arrows begin at.
pub(super) type Source = (usize, usize);

/// Where an output's arrows enter or leave a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Port {
    In(Source),
    Out(Source),
}

/// What a vertex stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum What {
    Box(usize),
    Group(usize),
    Port(Port),
    /// An arrow on its way past a layer.
    Way(Source, usize),
}

struct Vertex {
    what: What,
    w: f64,
    h: f64,
    ports: HashMap<Port, f64>,
    rank: usize,
    x: f64,
    y: f64,
}

/// An arrow, or the part of one, between two vertices; after `finish` has begun, of neighbouring layers.
struct Edge {
    source: Source,
    from: usize,
    to: usize,
    /// Where it leaves, from the left edge of `from`.
    leaves: f64,
    /// Where it enters, from the left edge of `to`.
    enters: f64,
}

/// A group's inside.
pub(super) struct Level {
    framed: bool,
    vertices: Vec<Vertex>,
    number: HashMap<What, usize>,
    edges: Vec<Edge>,
    known: BTreeSet<(Source, usize, usize)>,
    outputs: HashMap<Source, f64>,
}

impl Level {
    pub(super) fn new(framed: bool) -> Self {
        Self {
            framed,
            vertices: Vec::new(),
            number: HashMap::new(),
            edges: Vec::new(),
            known: BTreeSet::new(),
            outputs: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, what: What, (w, h): (f64, f64), ports: HashMap<Port, f64>) -> usize {
        let number = self.vertices.len();
        self.vertices.push(Vertex { what, w, h, ports, rank: 0, x: 0.0, y: 0.0 });
        self.number.insert(what, number);
        number
    }

    /// Adds what this group sees of an arrow.
    pub(super) fn connect(&mut self, picture: &Picture, sizes: &[Size], group: Option<usize>, arrow: &Arrow) {
        let source = (arrow.from, arrow.output);
        let ends = (child(picture, group, arrow.from), child(picture, group, arrow.to));
        let (from, to) = match ends {
            (Some(from), Some(to)) if from == to => return,
            (Some(from), Some(to)) => (from, to),
            (Some(from), None) => (from, What::Port(Port::Out(source))),
            (None, Some(to)) => (What::Port(Port::In(source)), to),
            (None, None) => return,
        };
        let offset = sizes[arrow.from].outputs.get(arrow.output).copied();
        self.outputs.insert(source, offset.unwrap_or(sizes[arrow.from].w / 2.0));
        let [from, to] = [from, to].map(|what| match self.number.get(&what) {
            Some(&number) => number,
            None => self.add(what, (0.0, 0.0), HashMap::new()),
        });
        if self.known.insert((source, from, to)) {
            self.edges.push(Edge { source, from, to, leaves: 0.0, enters: 0.0 });
        }
    }

    /// Gives everything a place. `beside` orders the ports that arrows enter by.
    pub(super) fn finish(mut self, inner: BTreeMap<usize, Done>, beside: &HashMap<Source, f64>) -> Done {
        let pairs: BTreeSet<(usize, usize)> = self.edges.iter().map(|e| (e.from, e.to)).collect();
        let is_in = |v: usize| matches!(self.vertices[v].what, What::Port(Port::In(_)));
        let rank = ranks(self.vertices.len(), &pairs, is_in);
        // Ports out have a layer that is theirs alone, below all others.
        let is_out = |v: &Vertex| matches!(v.what, What::Port(Port::Out(_)));
        let others = self.vertices.iter().zip(&rank).filter(|(v, _)| !is_out(v));
        let below_others = others.map(|(_, &rank)| rank + 1).max().unwrap_or(0);
        for (vertex, rank) in self.vertices.iter_mut().zip(rank) {
            vertex.rank = if is_out(vertex) { below_others } else { rank };
        }
        self.split_wide_layers();
        self.split_long_edges();
        self.set_ends();
        let layers = self.layers(beside);
        self.stand(&layers);
        let heights = self.stack(&layers);
        self.done(inner, &heights)
    }

    /// Gives the groups of a wide layer one of their own, below: beside a large group, boxes would stand far away from
    /// their neighbours.
    fn split_wide_layers(&mut self) {
        let last = self.vertices.iter().map(|v| v.rank).max().unwrap_or(0);
        let is_group = |v: &Vertex| matches!(v.what, What::Group(_));
        for rank in (0..=last).rev() {
            let here = || self.vertices.iter().filter(|v| v.rank == rank);
            let mixed = here().any(is_group) && !here().all(is_group);
            if mixed && here().map(|v| v.w + GAP).sum::<f64>() > WIDE {
                let below = |v: &&mut Vertex| v.rank > rank || v.rank == rank && is_group(v);
                self.vertices.iter_mut().filter(below).for_each(|v| v.rank += 1);
            }
        }
    }

    /// Lets an arrow that passes layers have a vertex in each, shared by all arrows of its output.
    fn split_long_edges(&mut self) {
        let edges = std::mem::take(&mut self.edges);
        for edge in edges {
            let mut from = edge.from;
            for layer in self.vertices[edge.from].rank + 1..self.vertices[edge.to].rank {
                let what = What::Way(edge.source, layer);
                let way = match self.number.get(&what) {
                    Some(&there) => there,
                    None => {
                        let number = self.add(what, (0.0, 0.0), HashMap::new());
                        self.vertices[number].rank = layer;
                        self.edges.push(Edge { from, to: number, ..edge });
                        number
                    }
                };
                from = way;
            }
            self.edges.push(Edge { from, ..edge });
        }
    }

    /// Where each edge leaves and enters its ends.
    fn set_ends(&mut self) {
        for edge in &mut self.edges {
            let (from, to) = (&self.vertices[edge.from], &self.vertices[edge.to]);
            edge.leaves = match from.what {
                What::Box(_) => self.outputs.get(&edge.source).copied().unwrap_or(from.w / 2.0),
                _ => from.ports.get(&Port::Out(edge.source)).copied().unwrap_or(from.w / 2.0),
            };
            edge.enters = to.ports.get(&Port::In(edge.source)).copied().unwrap_or(to.w / 2.0);
        }
    }

    fn layers(&self, beside: &HashMap<Source, f64>) -> Vec<Vec<usize>> {
        let count = self.vertices.iter().map(|v| v.rank + 1).max().unwrap_or(0);
        let mut layers = vec![Vec::new(); count];
        for (v, vertex) in self.vertices.iter().enumerate() {
            layers[vertex.rank].push(v);
        }
        let enters_at = |v: usize| match self.vertices[v].what {
            What::Port(Port::In(source)) => beside.get(&source).copied(),
            _ => None,
        };
        if let Some(first) = layers.first_mut() {
            first.sort_by(|&a, &b| {
                let [a, b] = [a, b].map(|v| enters_at(v).unwrap_or(f64::INFINITY));
                a.total_cmp(&b)
            });
        }
        let along = |offset: f64, w: f64| if w > 0.0 { offset / w } else { 0.5 };
        let link = |e: &Edge| Link {
            from: e.from,
            to: e.to,
            leaves: along(e.leaves, self.vertices[e.from].w),
            enters: along(e.enters, self.vertices[e.to].w),
        };
        let links: Vec<Link> = self.edges.iter().map(link).collect();
        reorder(&mut layers, &links, self.vertices.len());
        layers
    }

    /// Sets every x: from the order, then towards the neighbours above, below, and both.
    fn stand(&mut self, layers: &[Vec<usize>]) {
        for layer in layers {
            let steps = self.steps(layer);
            let mut x = 0.0;
            for (&v, step) in layer.iter().zip(steps) {
                self.vertices[v].x = x;
                x += step;
            }
        }
        for round in 0..ROUNDS {
            // First along with one side's neighbours, which moves whole parts of the picture, then with both.
            let both = round >= ROUNDS / 2;
            let (above, below) = (round % 2 == 0 || both, round % 2 == 1 || both);
            let mut numbers: Vec<usize> = (0..layers.len()).collect();
            if round % 2 == 1 {
                numbers.reverse();
            }
            for layer in numbers {
                self.stand_layer(&layers[layer], above, below);
            }
        }
        let left = self.vertices.iter().map(|v| v.x).fold(f64::INFINITY, f64::min);
        self.vertices.iter_mut().for_each(|v| v.x += SIDE - left);
    }

    fn stand_layer(&mut self, layer: &[usize], above: bool, below: bool) {
        let mut wishes = vec![(0.0, 0.0); self.vertices.len()];
        for edge in &self.edges {
            let (from, to) = (&self.vertices[edge.from], &self.vertices[edge.to]);
            let ways = [from, to].into_iter().filter(|v| matches!(v.what, What::Way(..))).count();
            let pull = PULL[ways];
            if above {
                wishes[edge.to].0 += pull * (from.x + edge.leaves - edge.enters);
                wishes[edge.to].1 += pull;
            }
            if below {
                wishes[edge.from].0 += pull * (to.x + edge.enters - edge.leaves);
                wishes[edge.from].1 += pull;
            }
        }
        let wished: Vec<f64> = layer
            .iter()
            .map(|&v| if wishes[v].1 > 0.0 { wishes[v].0 / wishes[v].1 } else { self.vertices[v].x })
            .collect();
        let weight = |&v: &usize| match (self.vertices[v].what, wishes[v].1 > 0.0) {
            (What::Way(..), _) => ARROW_WEIGHT,
            (_, true) => 1.0,
            // What has no neighbour there gives way.
            (_, false) => 0.1,
        };
        let weights: Vec<f64> = layer.iter().map(weight).collect();
        let xs = spread_out(&wished, &weights, &self.steps(layer));
        for (&v, x) in layer.iter().zip(xs) {
            self.vertices[v].x = x;
        }
    }

    /// The least distances between the left edges of neighbours.
    fn steps(&self, layer: &[usize]) -> Vec<f64> {
        let thin = |v: usize| self.vertices[v].w == 0.0;
        let step = |i: usize| {
            let v = layer[i];
            let gap = if thin(v) && layer.get(i + 1).is_none_or(|&n| thin(n)) { ARROW_GAP } else { GAP };
            self.vertices[v].w + gap
        };
        (0..layer.len()).map(step).collect()
    }

    /// Sets every y; returns the lower edge of each layer and, behind them, the height of all.
    fn stack(&mut self, layers: &[Vec<usize>]) -> Vec<f64> {
        let mut y = if self.framed { HEADER } else { SIDE };
        let mut lower = Vec::with_capacity(layers.len() + 1);
        for (number, layer) in layers.iter().enumerate() {
            let height = layer.iter().map(|&v| self.vertices[v].h).fold(0.0, f64::max);
            layer.iter().for_each(|&v| self.vertices[v].y = y);
            y += height;
            lower.push(y);
            let widest = self
                .edges
                .iter()
                .filter(|e| self.vertices[e.from].rank == number)
                .map(|e| (self.vertices[e.from].x + e.leaves - self.vertices[e.to].x - e.enters).abs())
                .fold(0.0, f64::max);
            if number + 1 < layers.len() {
                y += (widest * SLANT).clamp(LAYER_GAP, LAYER_GAP_MAX);
            }
        }
        lower.push(y + BOTTOM);
        lower
    }

    fn done(mut self, mut inner: BTreeMap<usize, Done>, lower: &[f64]) -> Done {
        self.fan_in();
        let right = self.vertices.iter().map(|v| v.x + v.w).fold(0.0, f64::max);
        let (width, height) = (right + SIDE, lower.last().copied().unwrap_or(0.0));
        let mut done = Done {
            width,
            height,
            boxes: Vec::new(),
            groups: Vec::new(),
            segments: Vec::new(),
            ports: HashMap::new(),
        };
        for v in &self.vertices {
            let rect = Rect { x: v.x, y: v.y, w: v.w, h: v.h };
            match v.what {
                What::Box(i) => done.boxes.push((i, rect)),
                What::Group(g) => {
                    done.groups.push((g, rect));
                    let Some(inside) = inner.remove(&g) else { continue };
                    let inside = inside.moved(Point { x: v.x, y: v.y });
                    done.boxes.extend(inside.boxes);
                    done.groups.extend(inside.groups);
                    done.segments.extend(inside.segments);
                }
                What::Port(port) => {
                    done.ports.insert(port, v.x);
                }
                What::Way(..) => {}
            }
        }
        // Arrows that leave a vertex together are drawn once down to where they part.
        let mut left = BTreeSet::new();
        for edge in &self.edges {
            let first = left.insert((edge.from, edge.source));
            done.segments.push(self.segment(edge, first, lower, height));
        }
        done
    }

    /// Spreads the arrows that enter a box over its upper edge, in the order in which they come.
    fn fan_in(&mut self) {
        let mut into: HashMap<usize, Vec<(f64, usize)>> = HashMap::new();
        for (i, e) in self.edges.iter().enumerate() {
            if matches!(self.vertices[e.to].what, What::Box(_)) {
                into.entry(e.to).or_default().push((self.vertices[e.from].x + e.leaves, i));
            }
        }
        for (to, mut edges) in into {
            edges.sort_by(|a, b| a.0.total_cmp(&b.0));
            let step = self.vertices[to].w / (edges.len() + 1) as f64;
            for (k, (_, i)) in edges.into_iter().enumerate() {
                self.edges[i].enters = step * (k + 1) as f64;
            }
        }
    }

    fn segment(&self, edge: &Edge, first: bool, lower: &[f64], height: f64) -> Segment {
        let (from, to) = (&self.vertices[edge.from], &self.vertices[edge.to]);
        let begin = match from.what {
            What::Port(_) if first => 0.0,
            What::Box(_) | What::Group(_) if first => from.y + from.h,
            // The part before drew the rest.
            _ => lower[from.rank],
        };
        let after = match to.what {
            What::Port(_) => height,
            What::Way(..) => lower[to.rank],
            What::Box(_) | What::Group(_) => to.y,
        };
        Segment {
            from: Point { x: from.x + edge.leaves, y: begin },
            bend: lower[from.rank],
            end: Point { x: to.x + edge.enters, y: to.y },
            to: after,
            head: matches!(to.what, What::Box(_)),
        }
    }
}
