use std::collections::BTreeSet;

use super::*;
use crate::graph::picture::{Group, Item, Kind};

/// A picture of boxes in groups, from (group of each box), (parent of each group) and arrows.
fn picture(boxes: &[Option<usize>], groups: &[Option<usize>], arrows: &[(usize, usize)]) -> Picture {
    let item = |&group: &Option<usize>| Item {
        kind: Kind::Operation,
        title: "t".into(),
        lines: vec![],
        detail: String::new(),
        outputs: vec!["[]".into()],
        group,
    };
    let group = |(i, &parent): (usize, &Option<usize>)| Group { title: format!("g{i}"), parent };
    Picture {
        boxes: boxes.iter().map(item).collect(),
        groups: groups.iter().enumerate().map(group).collect(),
        arrows: arrows.iter().map(|&(from, to)| Arrow { from, output: 0, to }).collect(),
        ..Picture::default()
    }
}

fn laid(picture: &mut Picture) -> Layout {
    let sizes = vec![Size { w: 80.0, h: 40.0, outputs: vec![40.0] }; picture.boxes.len()];
    lay_out(picture, &sizes)
}

fn overlap(a: &Rect, b: &Rect) -> bool {
    a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
}

fn inside(a: &Rect, b: &Rect) -> bool {
    a.x >= b.x && a.y >= b.y && a.x + a.w <= b.x + b.w && a.y + a.h <= b.y + b.h
}

/// Points along a segment, as the picture draws it.
fn points(s: &Segment) -> Vec<Point> {
    let bend = Point { x: s.from.x, y: s.bend };
    let middle = (s.bend + s.end.y) / 2.0;
    let curve = |t: f64| {
        let u = 1.0 - t;
        let x = (u * u * u + 3.0 * u * u * t) * bend.x + (3.0 * u * t * t + t * t * t) * s.end.x;
        let y = u * u * u * bend.y + 3.0 * u * t * middle + t * t * t * s.end.y;
        Point { x, y }
    };
    let straight =
        |x: f64, a: f64, b: f64| (0..=20).map(move |i| Point { x, y: a + (b - a) * f64::from(i) / 20.0 });
    straight(s.from.x, s.from.y, s.bend)
        .chain((0..=40).map(move |i| curve(f64::from(i) / 40.0)))
        .chain(straight(s.end.x, s.end.y, s.to))
        .collect()
}

/// Boxes stand apart and in their groups' frames, groups stand apart or in each other, and no arrow touches a box but
/// where it begins or ends.
fn check(picture: &Picture, layout: &Layout) {
    let path = |i: usize| picture.path(picture.boxes[i].group);
    for (i, a) in layout.boxes.iter().enumerate() {
        for (j, b) in layout.boxes[..i].iter().enumerate() {
            assert!(!overlap(a, b), "boxes {i} and {j}: {a:?} {b:?}");
        }
        for (g, frame) in layout.groups.iter().enumerate() {
            let Some(frame) = frame else { continue };
            let belongs = path(i).contains(&g);
            assert!(if belongs { inside(a, frame) } else { !overlap(a, frame) }, "box {i}, group {g}");
        }
        for s in &layout.segments {
            for p in points(s) {
                let within = p.x > a.x && p.x < a.x + a.w && p.y > a.y + 0.01 && p.y < a.y + a.h - 0.01;
                assert!(!within, "an arrow at {p:?} runs over box {i} {a:?}");
            }
        }
        assert!(a.x >= 0.0 && a.y >= 0.0 && a.x + a.w <= layout.width && a.y + a.h <= layout.height);
    }
    let heads = layout.segments.iter().filter(|s| s.head).count();
    let expected: BTreeSet<&Arrow> = picture.arrows.iter().collect();
    assert_eq!(heads, expected.len(), "one head for each arrow");
}

#[test]
fn arrows_point_down_and_pass_by_the_boxes_between() {
    let arrows = [(0, 1), (1, 2), (2, 3), (0, 3), (0, 2), (4, 3)];
    let mut picture = picture(&[None; 5], &[], &arrows);
    let layout = laid(&mut picture);
    check(&picture, &layout);
    for (from, to) in arrows {
        assert!(layout.boxes[from].y + layout.boxes[from].h < layout.boxes[to].y);
    }
    // A source stands right above what it is for.
    assert_eq!(layout.boxes[4].y, layout.boxes[2].y);
}

#[test]
fn groups_in_groups_frame_what_is_theirs_and_nothing_else() {
    let boxes = [None, Some(0), Some(1), Some(1), Some(0), None, Some(2), Some(2)];
    let groups = [None, Some(0), None];
    let arrows = [(0, 1), (1, 2), (2, 3), (0, 3), (3, 4), (4, 5), (2, 5), (2, 6), (6, 7), (0, 7), (5, 7)];
    let mut picture = picture(&boxes, &groups, &arrows);
    let layout = laid(&mut picture);
    check(&picture, &layout);
    assert!(layout.groups.iter().all(Option::is_some));
}

#[test]
fn a_group_whose_inside_and_outside_feed_each_other_loses_its_frame_and_leaves_its_name() {
    // 0 and 2 are in the group, 1 is not: 0 → 1 → 2.
    let mut picture = picture(&[Some(0), None, Some(0)], &[None], &[(0, 1), (1, 2)]);
    let layout = laid(&mut picture);
    check(&picture, &layout);
    assert_eq!(layout.groups, [None]);
    let titles: Vec<&str> = picture.boxes.iter().map(|b| b.title.as_str()).collect();
    assert_eq!(titles, ["g0/t", "t", "g0/t"]);
}

#[test]
fn many_random_graphs_are_drawn_without_overlaps() {
    // A small generator of its own: the graphs are the same on every run.
    let mut state = 1u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..60 {
        let n = 3 + draw(25);
        let groups: Vec<Option<usize>> =
            (0..draw(5)).map(|g| if g > 0 && draw(2) == 0 { Some(draw(g)) } else { None }).collect();
        let boxes: Vec<Option<usize>> = (0..n)
            .map(|_| if groups.is_empty() || draw(3) == 0 { None } else { Some(draw(groups.len())) })
            .collect();
        let arrows: BTreeSet<(usize, usize)> =
            (0..n + draw(2 * n)).map(|_| (draw(n), draw(n))).filter(|(a, b)| a < b).collect();
        let mut picture = picture(&boxes, &groups, &arrows.into_iter().collect::<Vec<_>>());
        let layout = laid(&mut picture);
        check(&picture, &layout);
    }
}

#[test]
fn nothing_to_draw_is_drawn() {
    let mut picture = picture(&[], &[], &[]);
    assert!(laid(&mut picture).segments.is_empty());
}
