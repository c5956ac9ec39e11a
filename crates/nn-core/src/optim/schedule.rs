//! Learning rates that change with the number of updates made.

use std::f64::consts::PI;

use super::rule::{Number, Range};
use crate::graph::{Graph, Node};
use crate::{Error, Result};

/// How the learning rate goes on from where it begins. i is the number of updates made before this one, lr the base: the
/// variable `learning_rate`, which begins as the optimizer's learning rate and may be changed between runs. Every
/// schedule is lr times a factor, so that halving the variable halves whatever follows. The formulas are Keras'.
///
/// ```
/// use nn_core::optim::{Optimizer, Schedule};
/// let halves = Schedule::Step { every: 100, factor: 0.5 };
/// assert_eq!([0, 99, 100, 250].map(|i| halves.at(i)), [1.0, 1.0, 0.5, 0.25]);
/// let optimizer = Optimizer::sgd(0.2).schedule(halves);
/// assert_eq!(optimizer.learning_rate_at(250), 0.05);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Schedule {
    /// lr
    #[default]
    Constant,
    /// lr / (1 + r · i / n); with staircase, i / n is rounded down.
    InverseTime {
        /// n
        decay_steps: u64,
        /// r
        decay_rate: f64,
        /// Whether the rate falls every n updates only.
        staircase: bool,
    },
    /// lr · rᵖ with p = i / n; with staircase, p is rounded down.
    Exponential {
        /// n
        decay_steps: u64,
        /// r
        decay_rate: f64,
        /// Whether the rate falls every n updates only.
        staircase: bool,
    },
    /// lr · fᵏ with k = i / n rounded down.
    Step {
        /// n
        every: u64,
        /// f
        factor: f64,
    },
    /// Along a half wave from lr to α lr in n updates, and α lr from then on: with q = min(i − w, n) / n,
    /// lr · ((1 − α) (1 + cos π q) / 2 + α) (Loshchilov & Hutter 2017). The first w updates warm up along a line that
    /// begins at b lr and ends at lr: lr · ((1 − b) i / w + b).
    ///
    /// lr is the highest rate. Where Keras has an `initial_learning_rate` and a `warmup_target`, the target is lr and b
    /// their ratio.
    Cosine {
        /// n
        decay_steps: u64,
        /// α
        alpha: f64,
        /// w, 0 for none
        warmup_steps: u64,
        /// b
        warmup_from: f64,
    },
    /// lr · vⱼ, where j is the number of boundaries below i: v₀ as long as i ≤ b₀, and the last value behind the last
    /// boundary. With a learning rate of 1 the values are the rates themselves.
    Piecewise {
        /// b, in ascending order, one or more
        boundaries: Vec<u64>,
        /// v, one more than boundaries
        values: Vec<f64>,
    },
}

impl Schedule {
    /// The factor of the update that follows `iteration` others. [`Optimizer::learning_rate_at`] is the rate itself.
    ///
    /// [`Optimizer::learning_rate_at`]: super::Optimizer::learning_rate_at
    pub fn at(&self, iteration: u64) -> f64 {
        self.rate_at(1.0, iteration)
    }

    /// What [`rate`](Self::rate) computes, operation by operation, in plain numbers.
    pub(super) fn rate_at(&self, lr: f64, iteration: u64) -> f64 {
        let i = iteration as f64;
        let progress = |steps: u64, staircase: bool| {
            let p = i / steps as f64;
            if staircase { p.floor() } else { p }
        };
        match *self {
            Self::Constant => lr,
            Self::InverseTime { decay_steps, decay_rate, staircase } => {
                lr / (1.0 + decay_rate * progress(decay_steps, staircase))
            }
            Self::Exponential { decay_steps, decay_rate, staircase } => {
                lr * decay_rate.powf(progress(decay_steps, staircase))
            }
            Self::Step { every, factor } => lr * factor.powf(progress(every, true)),
            Self::Cosine { decay_steps, alpha, warmup_steps, warmup_from } => {
                if iteration < warmup_steps {
                    return lr * ((1.0 - warmup_from) * (i / warmup_steps as f64) + warmup_from);
                }
                let q = (i - warmup_steps as f64).min(decay_steps as f64) / decay_steps as f64;
                lr * ((1.0 - alpha) * (0.5 * (1.0 + (PI * q).cos())) + alpha)
            }
            Self::Piecewise { ref boundaries, ref values } => {
                let passed = boundaries.iter().filter(|&&b| b < iteration).count();
                lr * values.get(passed).copied().unwrap_or(1.0)
            }
        }
    }

    /// The rate as a node, of the base rate and the number of updates made.
    pub(super) fn rate(&self, g: &mut Graph, lr: Node, iterations: Node) -> Result<Node> {
        match *self {
            Self::Constant => Ok(lr),
            Self::InverseTime { decay_steps, decay_rate, staircase } => {
                let p = progress(g, iterations, decay_steps, staircase)?;
                let (one, decay_rate) = (g.scalar(1.0), g.scalar(decay_rate));
                let slowed = g.mul(decay_rate, p)?;
                let divisor = g.add(one, slowed)?;
                g.div(lr, divisor)
            }
            Self::Exponential { decay_steps, decay_rate, staircase } => {
                let p = progress(g, iterations, decay_steps, staircase)?;
                let decay_rate = g.scalar(decay_rate);
                let power = g.pow(decay_rate, p)?;
                g.mul(lr, power)
            }
            Self::Step { every, factor } => {
                let p = progress(g, iterations, every, true)?;
                let factor = g.scalar(factor);
                let power = g.pow(factor, p)?;
                g.mul(lr, power)
            }
            Self::Cosine { decay_steps, alpha, warmup_steps, warmup_from } => {
                let wave = wave(g, iterations, (warmup_steps, decay_steps), alpha)?;
                let factor = if warmup_steps == 0 {
                    wave
                } else {
                    let p = progress(g, iterations, warmup_steps, false)?;
                    let line = on_line(g, 1.0 - warmup_from, p, warmup_from)?;
                    let warming = at_most(g, iterations, warmup_steps as f64 - 1.0)?;
                    let one = g.scalar(1.0);
                    let warm = g.sub(one, warming)?;
                    let (line, wave) = (g.mul(warming, line)?, g.mul(warm, wave)?);
                    g.add(line, wave)?
                };
                g.mul(lr, factor)
            }
            Self::Piecewise { ref boundaries, ref values } => {
                let factor = piecewise(g, iterations, boundaries, values)?;
                g.mul(lr, factor)
            }
        }
    }

    pub(super) fn check(&self, owner: &str) -> Result<()> {
        let steps = |name: &str, n: u64| match n {
            0 => {
                Err(Error::invalid(format_args!("{owner}: the schedule's {name} must be 1 or more, it is 0")))
            }
            _ => Ok(()),
        };
        let number = |name, value, range| Number::new(name, value, range).check(owner);
        match *self {
            Self::Constant => Ok(()),
            Self::InverseTime { decay_steps, decay_rate, .. } => {
                steps("decay steps", decay_steps)?;
                number("decay", decay_rate, Range::NotNegative)
            }
            Self::Exponential { decay_steps, decay_rate, .. } => {
                steps("decay steps", decay_steps)?;
                number("schedule's decay rate", decay_rate, Range::Positive)
            }
            Self::Step { every, factor } => {
                steps("number of updates between steps", every)?;
                number("schedule's factor", factor, Range::Positive)
            }
            Self::Cosine { decay_steps, alpha, warmup_from, .. } => {
                steps("decay steps", decay_steps)?;
                number("schedule's alpha", alpha, Range::Share)?;
                number("schedule's beginning of the warm-up", warmup_from, Range::Share)
            }
            Self::Piecewise { ref boundaries, ref values } => {
                let rising = boundaries.windows(2).all(|pair| pair[0] < pair[1]);
                if boundaries.is_empty() || values.len() != boundaries.len() + 1 || !rising {
                    return Err(Error::invalid(format_args!(
                        "{owner}: a piecewise schedule needs one boundary or more in ascending order and one value \
                         more than boundaries, found boundaries {boundaries:?} and values {values:?}"
                    )));
                }
                values.iter().try_for_each(|&v| number("schedule's value", v, Range::NotNegative))
            }
        }
    }
}

/// i / steps
fn progress(g: &mut Graph, iterations: Node, steps: u64, staircase: bool) -> Result<Node> {
    let mut p = iterations;
    if steps != 1 {
        let steps = g.scalar(steps as f64);
        p = g.div(iterations, steps)?;
    }
    // A whole number over 1 is whole already.
    if staircase && steps != 1 { g.floor(p) } else { Ok(p) }
}

/// slope · x + start
fn on_line(g: &mut Graph, slope: f64, x: Node, start: f64) -> Result<Node> {
    let (slope, start) = (g.scalar(slope), g.scalar(start));
    let risen = g.mul(slope, x)?;
    g.add(risen, start)
}

/// (1 − α) (1 + cos π q) / 2 + α with q = min(i − skipped, steps) / steps
fn wave(g: &mut Graph, iterations: Node, (skipped, steps): (u64, u64), alpha: f64) -> Result<Node> {
    let mut i = iterations;
    if skipped > 0 {
        let skipped = g.scalar(skipped as f64);
        i = g.sub(i, skipped)?;
    }
    let end = g.scalar(steps as f64);
    let i = g.minimum(i, end)?;
    let q = g.div(i, end)?;
    let (pi, one, half) = (g.scalar(PI), g.scalar(1.0), g.scalar(0.5));
    let angle = g.mul(pi, q)?;
    let cosine = g.cos(angle)?;
    let raised = g.add(one, cosine)?;
    let halved = g.mul(half, raised)?;
    on_line(g, 1.0 - alpha, halved, alpha)
}

/// 1 where i ≤ n, else 0; of whole numbers: min(max(n + 1 − i, 0), 1).
fn at_most(g: &mut Graph, i: Node, n: f64) -> Result<Node> {
    let (beyond, zero, one) = (g.scalar(n + 1.0), g.scalar(0.0), g.scalar(1.0));
    let left = g.sub(beyond, i)?;
    let positive = g.maximum(left, zero)?;
    g.minimum(positive, one)
}

/// Σⱼ vⱼ · (1 where bⱼ₋₁ < i ≤ bⱼ, else 0): one term is not 0, so the sum is exact.
fn piecewise(g: &mut Graph, iterations: Node, boundaries: &[u64], values: &[f64]) -> Result<Node> {
    let mut sum = g.scalar(0.0);
    let mut before = g.scalar(0.0);
    for (j, &value) in values.iter().enumerate() {
        let until = match boundaries.get(j) {
            Some(&b) => at_most(g, iterations, b as f64)?,
            None => g.scalar(1.0),
        };
        let here = g.sub(until, before)?;
        let value = g.scalar(value);
        let term = g.mul(here, value)?;
        sum = g.add(sum, term)?;
        before = until;
    }
    Ok(sum)
}
