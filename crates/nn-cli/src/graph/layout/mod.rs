//! Where everything goes: layers from top to bottom (Sugiyama, Tagawa and Toda 1981), group within group.
//!
//! Each group is laid out on its own and is then one vertex of the group around it. An arrow that leaves or enters a
//! group does so through a *port* on the group's lower or upper edge, and on its way past other layers it has a vertex
//! of its own in each; so no arrow runs over a box. Arrows from one output share their way until they part.

mod level;
mod order;
mod place;
mod rank;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use self::level::{Level, Port, Source, What};
use super::picture::{Arrow, Picture};

/// A point, in pixels from the upper left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// Where a box or group is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Rect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) w: f64,
    pub(crate) h: f64,
}

/// A part of an arrow: straight down from `from` to `bend`, in a curve to `end`, straight down to `to`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Segment {
    pub(crate) from: Point,
    pub(crate) bend: f64,
    pub(crate) end: Point,
    pub(crate) to: f64,
    /// Whether it ends at a box, with a head.
    pub(crate) head: bool,
}

/// A picture with its places.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) boxes: Vec<Rect>,
    /// None for groups that are not drawn.
    pub(crate) groups: Vec<Option<Rect>>,
    pub(crate) segments: Vec<Segment>,
}

/// The size of a box, and where its outputs leave it: distances from its left edge.
#[derive(Debug, Clone)]
pub(crate) struct Size {
    pub(crate) w: f64,
    pub(crate) h: f64,
    pub(crate) outputs: Vec<f64>,
}

/// Finds a place for everything in `picture`, whose boxes have these sizes. Groups whose insides and surroundings feed
/// each other in turn can't stand in layers; their frames are left out, with a note in their boxes' names.
pub(crate) fn lay_out(picture: &mut Picture, sizes: &[Size]) -> Layout {
    while let Some(group) = tangled(picture) {
        dissolve(picture, group);
    }
    let mut out = Layout {
        boxes: vec![Rect::default(); picture.boxes.len()],
        groups: vec![None; picture.groups.len()],
        ..Layout::default()
    };
    let done = lay_out_group(picture, sizes, None, &HashMap::new());
    (out.width, out.height, out.segments) = (done.width, done.height, done.segments);
    done.boxes.into_iter().for_each(|(i, rect)| out.boxes[i] = rect);
    done.groups.into_iter().for_each(|(i, rect)| out.groups[i] = Some(rect));
    out
}

/// A group with everything in it, relative to its upper left corner.
struct Done {
    width: f64,
    height: f64,
    boxes: Vec<(usize, Rect)>,
    groups: Vec<(usize, Rect)>,
    segments: Vec<Segment>,
    ports: HashMap<Port, f64>,
}

impl Done {
    fn moved(mut self, by: Point) -> Self {
        for rect in self.boxes.iter_mut().chain(&mut self.groups).map(|(_, rect)| rect) {
            rect.x += by.x;
            rect.y += by.y;
        }
        for segment in &mut self.segments {
            for point in [&mut segment.from, &mut segment.end] {
                point.x += by.x;
                point.y += by.y;
            }
            segment.bend += by.y;
            segment.to += by.y;
        }
        self
    }
}

/// Lays out a group. `beside` says where the groups laid out before let go of their outputs: what several of them come
/// from enters this group in the same order.
fn lay_out_group(
    picture: &Picture,
    sizes: &[Size],
    group: Option<usize>,
    beside: &HashMap<Source, f64>,
) -> Done {
    let mut beside = beside.clone();
    let mut inner: BTreeMap<usize, Done> = BTreeMap::new();
    for g in (0..picture.groups.len()).filter(|&g| picture.groups[g].parent == group) {
        if picture.boxes.iter().any(|b| picture.path(b.group).contains(&g)) {
            let done = lay_out_group(picture, sizes, Some(g), &beside);
            beside.extend(done.ports.iter().filter_map(|(port, &x)| match port {
                Port::Out(source) => Some((*source, x)),
                Port::In(_) => None,
            }));
            inner.insert(g, done);
        }
    }
    let mut level = Level::new(group.is_some());
    for (i, size) in sizes.iter().enumerate().filter(|(i, _)| picture.boxes[*i].group == group) {
        level.add(What::Box(i), (size.w, size.h), HashMap::new());
    }
    for (&g, done) in &inner {
        level.add(What::Group(g), (done.width, done.height), done.ports.clone());
    }
    for arrow in &picture.arrows {
        level.connect(picture, sizes, group, arrow);
    }
    level.finish(inner, &beside)
}

/// The part of an arrow's end that a group sees: the box itself if it is directly inside, or the group it is in.
fn child(picture: &Picture, group: Option<usize>, item: usize) -> Option<What> {
    let path = picture.path(picture.boxes[item].group);
    let depth = match group {
        None => 0,
        Some(g) => path.iter().position(|&p| p == g)? + 1,
    };
    Some(path.get(depth).map_or(What::Box(item), |&g| What::Group(g)))
}

/// A group that lies on a circle of arrows among its neighbours.
fn tangled(picture: &Picture) -> Option<usize> {
    let parents: BTreeSet<Option<usize>> = picture.groups.iter().map(|g| g.parent).collect();
    parents.into_iter().find_map(|parent| {
        let ends = |a: &Arrow| Some((child(picture, parent, a.from)?, child(picture, parent, a.to)?));
        let edges: BTreeSet<(What, What)> =
            picture.arrows.iter().filter_map(ends).filter(|(from, to)| from != to).collect();
        rank::on_a_circle(&edges).into_iter().find_map(|what| match what {
            What::Group(g) => Some(g),
            _ => None,
        })
    })
}

/// Moves what is in a group into the group around it.
fn dissolve(picture: &mut Picture, group: usize) {
    let Some(frame) = picture.groups.get(group).cloned() else { return };
    for item in picture.boxes.iter_mut().filter(|b| b.group == Some(group)) {
        item.group = frame.parent;
        item.title = format!("{}/{}", frame.title, item.title);
    }
    for other in picture.groups.iter_mut().filter(|g| g.parent == Some(group)) {
        other.parent = frame.parent;
        other.title = format!("{}/{}", frame.title, other.title);
    }
}

#[cfg(test)]
mod tests;
