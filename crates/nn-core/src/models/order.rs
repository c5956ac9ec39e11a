//! The order in which Keras lists a model's layers, which is the order of their weights: by their distance from the outputs,
//! and at the same distance as they are met on the way from the first output back.

use super::layout::{Placement, Value};

/// Of inputs and layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    /// An input of the model, by number.
    Input(usize),
    /// A layer, by number.
    Layer(usize),
}

/// A model's inputs and layers in order.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// Each input and each layer once.
    pub(super) rows: Vec<Row>,
    /// Whether each value goes to the next layer and nowhere else, as in a stack.
    pub(super) is_chain: bool,
}

/// The way from the outputs back. A *step* is an input or a call; a *row* an input or a layer.
struct Walk<'a> {
    inputs: usize,
    calls: &'a [Placement],
    /// When each row was met first.
    met: Vec<Option<usize>>,
    /// The steps, each after those it depends on.
    done: Vec<usize>,
}

impl Order {
    pub(super) fn new(inputs: usize, layers: usize, calls: &[Placement], outputs: &[Value]) -> Self {
        let mut walk = Walk { inputs, calls, met: vec![None; inputs + layers], done: Vec::new() };
        let mut visited = vec![false; inputs + calls.len()];
        let mut rows_met = 0;
        for &output in outputs {
            // Depth first, without recursion: an unrolled loop is as deep as it is long.
            let mut way: Vec<(usize, usize)> = Vec::new();
            let mut next = Some(walk.step(output));
            loop {
                if let Some(step) = next.take()
                    && !std::mem::replace(&mut visited[step], true)
                {
                    if walk.met[walk.row(step)].is_none() {
                        let row = walk.row(step);
                        walk.met[row] = Some(rows_met);
                        rows_met += 1;
                    }
                    way.push((step, 0));
                }
                let Some((step, seen)) = way.last_mut() else { break };
                match walk.before(*step).get(*seen) {
                    Some(&value) => {
                        *seen += 1;
                        next = Some(walk.step(value));
                    }
                    None => {
                        walk.done.push(*step);
                        way.pop();
                    }
                }
            }
        }
        let (depth_of_step, depth_of_row) = walk.depths();
        let mut rows: Vec<usize> = (0..inputs + layers).collect();
        // An input that nothing depends on was not met, and comes before the others of its depth.
        rows.sort_by_key(|&row| (std::cmp::Reverse(depth_of_row[row]), walk.met[row]));
        let rows = rows.into_iter().map(|row| match row.checked_sub(inputs) {
            None => Row::Input(row),
            Some(layer) => Row::Layer(layer),
        });
        let one_at_each_depth = {
            let mut depths = depth_of_step.clone();
            depths.sort_unstable();
            depths.windows(2).all(|pair| pair[0] != pair[1])
        };
        let is_chain =
            one_at_each_depth && calls.iter().all(|call| call.inputs.len() == 1) && calls.len() == layers;
        Self { rows: rows.collect(), is_chain }
    }
}

impl Walk<'_> {
    fn step(&self, value: Value) -> usize {
        match value {
            Value::Input(input) => input,
            Value::Output { call, .. } => self.inputs + call,
        }
    }

    fn row(&self, step: usize) -> usize {
        step.checked_sub(self.inputs).map_or(step, |call| self.inputs + self.calls[call].layer)
    }

    /// What a step reads.
    fn before(&self, step: usize) -> &[Value] {
        step.checked_sub(self.inputs).map_or(&[], |call| &self.calls[call].inputs)
    }

    /// How far each step and each row is from the outputs. A layer that is called several times is as far as its farthest
    /// call so far, and so, seen from there, are the calls that come before it.
    fn depths(&self) -> (Vec<usize>, Vec<usize>) {
        let (mut steps, mut rows) = (vec![0; self.inputs + self.calls.len()], vec![0; self.met.len()]);
        for &step in self.done.iter().rev() {
            let row = self.row(step);
            rows[row] = rows[row].max(steps[step]);
            steps[step] = rows[row];
            for &value in self.before(step) {
                let before = self.step(value);
                steps[before] = steps[before].max(steps[step] + 1);
            }
        }
        (steps, rows)
    }
}
