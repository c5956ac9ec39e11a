//! Which layer each vertex is in.

use std::collections::{BTreeMap, BTreeSet};

use super::level::What;

/// For each of `n` vertices its layer: one below the lowest of those it has arrows from. What has none stands one above
/// the highest of those it has arrows to, unless it is `fixed` to the first layer.
pub(super) fn ranks(n: usize, edges: &BTreeSet<(usize, usize)>, fixed: impl Fn(usize) -> bool) -> Vec<usize> {
    let first = usize::from((0..n).any(&fixed));
    let mut rank: Vec<usize> = (0..n).map(|v| if fixed(v) { 0 } else { first }).collect();
    let mut before = vec![0; n];
    for &(_, to) in edges {
        before[to] += 1;
    }
    let mut open: Vec<usize> = (0..n).filter(|&v| before[v] == 0).collect();
    let is_source: Vec<bool> = before.iter().map(|&count| count == 0).collect();
    while let Some(v) = open.pop() {
        for &(_, to) in edges.range((v, 0)..(v + 1, 0)) {
            rank[to] = rank[to].max(rank[v] + 1);
            before[to] -= 1;
            if before[to] == 0 {
                open.push(to);
            }
        }
    }
    for v in (0..n).filter(|&v| is_source[v] && !fixed(v)) {
        let below = edges.range((v, 0)..(v + 1, 0)).map(|&(_, to)| rank[to]).min();
        rank[v] = below.map_or(rank[v], |below| below.saturating_sub(1).max(first));
    }
    rank
}

/// What remains when everything is taken away that has no arrows in, or none out, again and again.
pub(super) fn on_a_circle(edges: &BTreeSet<(What, What)>) -> BTreeSet<What> {
    let mut edges = edges.clone();
    loop {
        let mut ends: BTreeMap<What, (bool, bool)> = BTreeMap::new();
        for &(from, to) in &edges {
            ends.entry(from).or_default().1 = true;
            ends.entry(to).or_default().0 = true;
        }
        let before = edges.len();
        edges.retain(|(from, to)| ends[from] == (true, true) && ends[to] == (true, true));
        if edges.len() == before {
            return edges.into_iter().flat_map(|(from, to)| [from, to]).collect();
        }
    }
}
