//! The order within each layer: barycentres, swept up and down, the order with the fewest crossings kept.

/// Sweeps over all layers; the number of crossings hardly falls after some ten.
const SWEEPS: usize = 24;

/// An arrow between neighbouring layers, and how far along its ends' widths it begins and ends, 0 to 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) leaves: f64,
    pub(super) enters: f64,
}

/// Reorders each layer so that few links cross.
pub(super) fn reorder(layers: &mut Vec<Vec<usize>>, links: &[Link], n: usize) {
    let mut best = (crossings(layers, links, n), layers.clone());
    for sweep in 0..SWEEPS {
        if best.0 == 0 {
            break;
        }
        let down = sweep % 2 == 0;
        let mut position = positions(layers, n);
        let numbers: Vec<usize> =
            if down { (0..layers.len()).collect() } else { (0..layers.len()).rev().collect() };
        for layer in numbers {
            let mut sums = vec![(0.0, 0usize); n];
            for link in links {
                let (v, other) = if down {
                    (link.to, position[link.from] + link.leaves)
                } else {
                    (link.from, position[link.to] + link.enters)
                };
                sums[v].0 += other;
                sums[v].1 += 1;
            }
            let key = |v: usize| match sums[v] {
                (_, 0) => position[v],
                (sum, count) => sum / count as f64,
            };
            layers[layer].sort_by(|&a, &b| key(a).total_cmp(&key(b)));
            for (i, &v) in layers[layer].iter().enumerate() {
                position[v] = i as f64;
            }
        }
        let found = crossings(layers, links, n);
        if found < best.0 {
            best = (found, layers.clone());
        }
    }
    *layers = best.1;
}

fn positions(layers: &[Vec<usize>], n: usize) -> Vec<f64> {
    let mut position = vec![0.0; n];
    for layer in layers {
        for (i, &v) in layer.iter().enumerate() {
            position[v] = i as f64;
        }
    }
    position
}

/// Pairs of links between the same layers that cross.
fn crossings(layers: &[Vec<usize>], links: &[Link], n: usize) -> usize {
    let position = positions(layers, n);
    let mut layer_of = vec![0; n];
    for (l, layer) in layers.iter().enumerate() {
        layer.iter().for_each(|&v| layer_of[v] = l);
    }
    let mut by_layer: Vec<Vec<(f64, f64)>> = vec![Vec::new(); layers.len()];
    for link in links {
        let ends = (position[link.from] + link.leaves, position[link.to] + link.enters);
        by_layer[layer_of[link.from]].push(ends);
    }
    let crossing = |a: &(f64, f64), b: &(f64, f64)| (a.0 - b.0) * (a.1 - b.1) < 0.0;
    by_layer
        .iter()
        .map(|ends| {
            ends.iter()
                .enumerate()
                .map(|(i, a)| ends[..i].iter().filter(|b| crossing(a, b)).count())
                .sum::<usize>()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_need_not_cross_do_not() {
        let link = |from, to| Link { from, to, leaves: 0.5, enters: 0.5 };
        // 0 1 2 above 3 4 5, linked the other way round.
        let links = [link(0, 5), link(1, 4), link(2, 3)];
        let mut layers = vec![vec![0, 1, 2], vec![3, 4, 5]];
        assert_eq!(crossings(&layers, &links, 6), 3);
        reorder(&mut layers, &links, 6);
        assert_eq!(crossings(&layers, &links, 6), 0);
        assert_eq!(layers[1], [5, 4, 3]);
    }
}
