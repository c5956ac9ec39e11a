//! What something costs as there is more of it: a line for each thing, over counts that grow by ratios.

use super::area::{Area, HEIGHT, TEXT, TICKS, TITLE, WIDTH};
use super::axis::Axis;
use super::paint::{Paint, SERIES};
use super::scene::{Dash, Scene, Shape, Text, fitted};

/// One thing, and what it costs: how many, and how much for each of them.
#[derive(Debug, Clone)]
pub(crate) struct Growth {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Around the panel, and between lines of the legend.
const GAP: f64 = 16.0;

/// The costs over the counts, from 0 on, so that what is flat looks flat. `what`: what is counted; `unit`: of what each of them
/// costs. `None` if there is nothing to draw, and what can't be told apart by its colour is left out.
pub(crate) fn growth(title: &str, what: &str, unit: &str, all: &[Growth]) -> Option<Scene> {
    let all = &all[..all.len().min(SERIES)];
    let points =
        || all.iter().flat_map(|one| &one.points).filter(|(n, cost)| n.is_finite() && cost.is_finite());
    let least = points().map(|p| p.0).fold(f64::INFINITY, f64::min);
    let (most, dearest) = points().fold((0.0, 0.0), |(n, c): (f64, f64), p| (n.max(p.0), c.max(p.1)));
    if least > most {
        return None;
    }
    let across = Axis::linear_or_by_ratio(least, most, TICKS);
    let scale = if across.is_logarithmic() { ", logarithmic scale" } else { "" };
    let area = Area::new(across, Axis::around(0.0, dearest, TICKS));
    let mut plot = Scene::new(WIDTH, HEIGHT, title);
    plot.text(Text::new(0.0, TITLE, TITLE, title).bold());
    area.draw(&mut plot, &format!("{what}{scale}"));
    let mut scene = Scene::new(WIDTH + 2.0 * GAP, 0.0, title);
    let mut top = GAP;
    for (i, one) in all.iter().enumerate() {
        let paint = Paint::Series(i);
        let places: Vec<(f64, f64)> = one.points.iter().map(|&(n, cost)| area.at(n, cost)).collect();
        if places.len() > 1 {
            plot.shapes.push(Shape::Line { points: places.clone(), width: 2.0, paint, dash: Dash::Solid });
        }
        for (&(n, cost), (x, y)) in one.points.iter().zip(places) {
            let hint = Some(format!("{}, {n} {what}: {cost:.0} {unit}", one.name));
            plot.shapes.push(Shape::Dot { x, y, radius: 3.0, paint, hint });
        }
        let middle = top + 0.65 * TEXT;
        scene.line((GAP, middle), (GAP + 26.0, middle), 2.5, paint);
        scene.text(Text::new(GAP + 32.0, top + TEXT, TEXT, fitted(&one.name, TEXT, WIDTH - 32.0)));
        top += 1.5 * TEXT;
    }
    let in_words = |one: &Growth| {
        let costs: Vec<String> = one.points.iter().map(|(n, cost)| format!("{cost:.0} with {n}")).collect();
        format!("{}: {}", one.name, costs.join(", "))
    };
    let lines: Vec<String> = all.iter().map(in_words).collect();
    scene.description = format!("{unit} over {what}. {}.", lines.join("; "));
    scene.place(plot, GAP, top + GAP);
    scene.set_height(top + HEIGHT + 2.0 * GAP);
    Some(scene)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(name: &str, cost: f64) -> Growth {
        Growth { name: name.into(), points: [1e3, 1e4, 1e6].map(|n| (n, cost)).into() }
    }

    /// The points of the lines that are drawn, thickest first left out: those of the legend.
    fn lines(scene: &Scene) -> Vec<&[(f64, f64)]> {
        let line = |shape: &'_ Shape| matches!(shape, Shape::Line { width, .. } if *width == 2.0);
        let of = |shape: &'_ Shape| matches!(shape, Shape::Line { .. }) && line(shape);
        let all = scene.shapes.iter().filter(|shape| of(shape));
        all.filter_map(|shape| if let Shape::Line { points, .. } = shape { Some(&points[..]) } else { None })
            .collect()
    }

    #[test]
    fn what_costs_the_same_is_level_and_half_as_high_where_it_is_half_as_dear() {
        let scene = growth("t", "images", "ns", &[flat("a", 2000.0), flat("b", 1000.0)]).expect("a picture");
        let [a, b] = lines(&scene)[..] else { panic!("two lines: {scene:?}") };
        assert!(a.iter().all(|p| p.1 == a[0].1) && b.iter().all(|p| p.1 == b[0].1), "{a:?}, {b:?}");
        // 0 is at the bottom: where another line of half of b would be is as far below b as twice that of a below a.
        let bottom = 2.0 * b[0].1 - a[0].1;
        let quarter = growth("t", "images", "ns", &[flat("a", 2000.0), flat("c", 500.0)]).expect("a picture");
        let c = lines(&quarter)[1][0].1;
        assert!(((bottom - c) / (bottom - a[0].1) - 0.25).abs() < 1e-9, "{a:?}, {b:?}, {c}");
        // Decades are equally far apart.
        let [x0, x1, x2] = [a[0].0, a[1].0, a[2].0];
        assert!(((x2 - x1) - 2.0 * (x1 - x0)).abs() < 1e-6, "{a:?}");
        for text in ["a: 2000 with 1000, 2000 with 10000, 2000 with 1000000", "ns over images"] {
            assert!(scene.description.contains(text), "{}", scene.description);
        }
    }

    #[test]
    fn one_count_is_a_dot_and_none_is_no_picture() {
        let one = Growth { name: "a".into(), points: vec![(60.0, 5.0)] };
        let scene = growth("t", "images", "ns", &[one]).expect("a picture");
        assert!(lines(&scene).is_empty());
        assert_eq!(scene.shapes.iter().filter(|s| matches!(s, Shape::Dot { .. })).count(), 1);
        assert_eq!(growth("t", "images", "ns", &[]), None);
    }
}
