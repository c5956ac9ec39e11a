//! What every rule has in common: its numbers, what it remembers of each weight, and one step of it.

use super::{Adagrad, Adam, AdamW, RmsProp, Sgd};
use crate::graph::{Graph, Node};
use crate::{Error, Result};

/// Which formula an [`Optimizer`](super::Optimizer) follows, with the formula's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// Gradient descent.
    Sgd(Sgd),
    /// RMSprop.
    RmsProp(RmsProp),
    /// Adam.
    Adam(Adam),
    /// Adam with decoupled weight decay.
    AdamW(AdamW),
    /// Adagrad.
    Adagrad(Adagrad),
}

impl Rule {
    pub(super) fn formula(&self) -> &dyn Formula {
        match self {
            Self::Sgd(rule) => rule,
            Self::RmsProp(rule) => rule,
            Self::Adam(rule) => rule,
            Self::AdamW(rule) => rule,
            Self::Adagrad(rule) => rule,
        }
    }
}

/// A rule, as the optimizer uses it.
pub(super) trait Formula {
    /// The name used for its variables and in messages.
    fn name(&self) -> &'static str;

    /// lr
    fn learning_rate(&self) -> f64;

    /// Its other numbers, and where each must lie.
    fn numbers(&self) -> Vec<Number>;

    /// What it remembers of each weight, in the order of creation, and the value that each begins with.
    fn slots(&self) -> Vec<(&'static str, f64)>;

    /// The number that multiplies the direction of update number `t`, a node; `rate` is lr as scheduled.
    fn scale(&self, _g: &mut Graph, rate: Node, _t: Node) -> Result<Node> {
        Ok(rate)
    }

    /// The new value of a variable. Assignments to its slots go to `updates`.
    fn step(&self, g: &mut Graph, at: &Point<'_>, updates: &mut Vec<Node>) -> Result<Node>;
}

/// Where a variable stands when a step is made.
pub(super) struct Point<'a> {
    /// The variable.
    pub(super) w: Node,
    /// Its gradient, clipped.
    pub(super) gradient: Node,
    /// lr as scheduled.
    pub(super) rate: Node,
    /// What [`Formula::scale`] made of it.
    pub(super) scale: Node,
    /// What is remembered of the variable.
    pub(super) slots: &'a [(&'static str, Node)],
}

impl Point<'_> {
    /// The slot of this name.
    pub(super) fn slot(&self, name: &str) -> Result<Node> {
        let found = self.slots.iter().find(|(slot, _)| *slot == name);
        found.map(|&(_, node)| node).ok_or_else(|| {
            Error::invalid(format_args!("optimizer: a rule uses the slot \"{name}\" that it did not list"))
        })
    }
}

/// A number that a rule is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    /// What messages call it.
    pub(super) name: &'static str,
    pub(super) value: f64,
    pub(super) range: Range,
}

/// Where a number must lie.
#[derive(Debug, Clone, Copy)]
pub(super) enum Range {
    /// 0 ≤ x < 1
    Fraction,
    /// 0 ≤ x ≤ 1
    Share,
    /// 0 ≤ x < ∞
    NotNegative,
    /// 0 < x < ∞
    Positive,
}

impl Number {
    pub(super) fn new(name: &'static str, value: f64, range: Range) -> Self {
        Self { name, value, range }
    }

    /// An error that names the number unless it lies where it must.
    pub(super) fn check(&self, owner: &str) -> Result<()> {
        let x = self.value;
        let (fits, range) = match self.range {
            Range::Fraction => ((0.0..1.0).contains(&x), "from 0 to below 1"),
            Range::Share => ((0.0..=1.0).contains(&x), "from 0 to 1"),
            Range::NotNegative => (x.is_finite() && x >= 0.0, "finite and not negative"),
            Range::Positive => (x.is_finite() && x > 0.0, "finite and greater than 0"),
        };
        if fits {
            return Ok(());
        }
        Err(Error::invalid(format_args!("{owner}: the {} must be {range}, it is {x}", self.name)))
    }
}

/// share · old + (1 − share) · new, as old + (1 − share) · (new − old)
pub(super) fn moving_average(g: &mut Graph, share: f64, old: Node, new: Node) -> Result<Node> {
    let rest = g.scalar(1.0 - share);
    let difference = g.sub(new, old)?;
    let change = g.mul(rest, difference)?;
    g.add(old, change)
}
