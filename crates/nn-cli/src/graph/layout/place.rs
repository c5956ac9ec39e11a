//! Where the vertices of a layer stand from left to right.

/// Left edges, as near as can be to the wished ones (weighted squares) in the given order and with at least these
/// distances: `step[i]` from the left edge of vertex i to that of the next. Pool-adjacent-violators: vertices that would
/// overlap form a block, and a block stands at the weighted mean of what its members wish.
pub(super) fn spread_out(wished: &[f64], weight: &[f64], step: &[f64]) -> Vec<f64> {
    let mut start = 0.0;
    let starts: Vec<f64> = step
        .iter()
        .map(|step| {
            let here = start;
            start += step;
            here
        })
        .collect();
    // Each block: (mean of wished − start, weight, members).
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    for (i, &wish) in wished.iter().enumerate() {
        let mut block = (wish - starts[i], weight[i], 1);
        while let Some(&(mean, w, members)) = blocks.last().filter(|last| last.0 > block.0) {
            blocks.pop();
            let total = w + block.1;
            block = ((mean * w + block.0 * block.1) / total, total, members + block.2);
        }
        blocks.push(block);
    }
    let shifts = blocks.iter().flat_map(|&(mean, _, members)| std::iter::repeat_n(mean, members));
    starts.iter().zip(shifts).map(|(start, shift)| start + shift).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vertices_that_have_room_stand_where_they_wish() {
        assert_eq!(spread_out(&[0.0, 50.0, 100.0], &[1.0; 3], &[10.0; 3]), [0.0, 50.0, 100.0]);
    }

    #[test]
    fn vertices_that_wish_the_same_place_stand_around_it_in_order() {
        assert_eq!(spread_out(&[20.0, 20.0, 20.0], &[1.0; 3], &[10.0; 3]), [10.0, 20.0, 30.0]);
        // The heavier one moves less: the mean of 0 (weight 1) and −10 (weight 3) is −7.5.
        assert_eq!(spread_out(&[0.0, 0.0], &[1.0, 3.0], &[10.0; 2]), [-7.5, 2.5]);
    }
}
