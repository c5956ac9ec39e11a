//! Which lines to pair: those that are near each other.

/// The lines in an order in which each two that follow each other are a pair: each with the nearest of those that are left, then partners
/// are swapped. `apart` is how far from each other two lines are.
pub(super) fn order(lines: usize, apart: impl Fn(u16, u16) -> u32) -> Vec<u16> {
    let mut left: Vec<u16> = (0..lines as u16).collect();
    let mut order = Vec::with_capacity(lines);
    while !left.is_empty() {
        let a = left.remove(0);
        order.push(a);
        if let Some((at, _)) = left.iter().enumerate().min_by_key(|&(_, &b)| apart(a, b)) {
            order.push(left.remove(at));
        }
    }
    swap_partners(order.as_chunks_mut().0, apart);
    order
}

/// Lets pairs swap partners until no two of them get nearer by that. Each swap makes the sum of distances less, so that it ends.
pub(in super::super) fn swap_partners(pairs: &mut [[u16; 2]], apart: impl Fn(u16, u16) -> u32) {
    let mut swapped = true;
    while swapped {
        swapped = false;
        for i in 1..pairs.len() {
            for j in 0..i {
                let ([a, b], [c, d]) = (pairs[i], pairs[j]);
                let others = [([a, c], [b, d]), ([a, d], [b, c])];
                let sum = |(one, two): &([u16; 2], [u16; 2])| apart(one[0], one[1]) + apart(two[0], two[1]);
                let best = if sum(&others[0]) <= sum(&others[1]) { others[0] } else { others[1] };
                if sum(&best) < sum(&(pairs[i], pairs[j])) {
                    (pairs[i], pairs[j]) = best;
                    swapped = true;
                }
            }
        }
    }
}
