//! Optimizers: each is a formula, written as nodes of the graph. The executor makes one pass over memory of it.

use crate::graph::{Graph, Node};
use crate::init::Initializer;
use crate::{Error, Result};

/// How variables follow their gradients. lr is the learning rate, g the gradient, t the number of updates including
/// this one.
///
/// ```
/// use nn_core::graph::Graph;
/// use nn_core::init::Initializer;
/// use nn_core::optim::Optimizer;
/// let mut g = Graph::new();
/// let w = g.variable("w", &[3], Initializer::Constant(1.0))?;
/// let square = g.square(w)?;
/// let cost = g.reduce_sum(square)?;
/// let step = Optimizer::sgd(0.1).minimize(&mut g, cost)?;
/// # let _ = step;
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Optimizer {
    /// v ← μ v − lr g, w ← w + v; with nesterov w ← w + μ v − lr g. Without momentum w ← w − lr g.
    Sgd {
        /// lr
        learning_rate: f64,
        /// μ
        momentum: f64,
        /// Whether to look ahead (Nesterov 1983, as Keras has it).
        nesterov: bool,
        /// lr becomes lr / (1 + decay · (t − 1)).
        decay: f64,
    },
    /// v ← ρ v + (1 − ρ) g², w ← w − lr g / √(v + ε) (Hinton; ε under the root, as Keras 3 has it).
    RmsProp {
        /// lr
        learning_rate: f64,
        /// ρ
        rho: f64,
        /// ε
        epsilon: f64,
        /// lr becomes lr / (1 + decay · (t − 1)).
        decay: f64,
    },
    /// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², w ← w − lr √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)
    /// (Kingma & Ba 2015, ε as Keras has it).
    Adam {
        /// lr
        learning_rate: f64,
        /// β₁
        beta_1: f64,
        /// β₂
        beta_2: f64,
        /// ε
        epsilon: f64,
        /// lr becomes lr / (1 + decay · (t − 1)).
        decay: f64,
    },
}

impl Optimizer {
    /// Plain gradient descent.
    pub fn sgd(learning_rate: f64) -> Self {
        Self::Sgd { learning_rate, momentum: 0.0, nesterov: false, decay: 0.0 }
    }

    /// RMSprop with Keras' defaults: ρ = 0.9, ε = 1e-7.
    pub fn rmsprop(learning_rate: f64) -> Self {
        Self::RmsProp { learning_rate, rho: 0.9, epsilon: 1e-7, decay: 0.0 }
    }

    /// Adam with Keras' defaults: β₁ = 0.9, β₂ = 0.999, ε = 1e-7.
    pub fn adam(learning_rate: f64) -> Self {
        Self::Adam { learning_rate, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, decay: 0.0 }
    }

    /// The name used for its variables and in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd { .. } => "sgd",
            Self::RmsProp { .. } => "rmsprop",
            Self::Adam { .. } => "adam",
        }
    }

    /// A node that, when run, moves every trainable variable that `cost` depends on one step down its gradient.
    ///
    /// # Errors
    /// If a hyper-parameter is out of range, or the cost can't be differentiated.
    pub fn minimize(&self, g: &mut Graph, cost: Node) -> Result<Node> {
        let pairs = self.compute_gradients(g, cost)?;
        self.apply_gradients(g, &pairs)
    }

    /// (gradient, variable) for each trainable variable.
    ///
    /// # Errors
    /// If the cost can't be differentiated.
    pub fn compute_gradients(&self, g: &mut Graph, cost: Node) -> Result<Vec<(Node, Node)>> {
        let vars: Vec<Node> = g.variables().iter().filter(|v| v.trainable).map(|v| v.node).collect();
        Ok(g.gradients(cost, &vars)?.into_iter().zip(vars).collect())
    }

    /// A node that, when run, updates each variable by its gradient.
    ///
    /// # Errors
    /// If a hyper-parameter is out of range, or a pair does not fit.
    pub fn apply_gradients(&self, g: &mut Graph, pairs: &[(Node, Node)]) -> Result<Node> {
        self.check()?;
        g.scope(self.name(), |g| {
            let mut updates = Vec::new();
            let rate = self.rate(g, &mut updates)?;
            for &(gradient, variable) in pairs {
                self.update(g, rate, gradient, variable, &mut updates)?;
            }
            Ok(g.group(&updates))
        })
    }

    fn check(&self) -> Result<()> {
        let fraction = |x: f64| (0.0..1.0).contains(&x);
        let positive = |x: f64| x.is_finite() && x >= 0.0;
        let &(Self::Sgd { learning_rate, decay, .. }
        | Self::RmsProp { learning_rate, decay, .. }
        | Self::Adam { learning_rate, decay, .. }) = self;
        let own = match *self {
            Self::Sgd { momentum, .. } => ("momentum", fraction(momentum), momentum),
            Self::RmsProp { rho, .. } => ("rho", fraction(rho), rho),
            Self::Adam { beta_1, beta_2, .. } => {
                ("beta", fraction(beta_1) && fraction(beta_2), if fraction(beta_1) { beta_2 } else { beta_1 })
            }
        };
        let epsilon = match *self {
            Self::Sgd { .. } => 0.0,
            Self::RmsProp { epsilon, .. } | Self::Adam { epsilon, .. } => epsilon,
        };
        let all = [
            ("learning rate", positive(learning_rate), learning_rate),
            ("decay", positive(decay), decay),
            ("epsilon", positive(epsilon), epsilon),
            own,
        ];
        match all.into_iter().find(|(_, fits, _)| !fits) {
            Some((what, _, found)) => {
                let range = if what == own.0 { "from 0 to below 1" } else { "finite and not negative" };
                Err(Error::invalid(format_args!(
                    "{}: the {what} must be {range}, it is {found}",
                    self.name()
                )))
            }
            None => Ok(()),
        }
    }

    /// The number that multiplies this step's direction: lr with its decay, and Adam's correction of the moments.
    fn rate(&self, g: &mut Graph, updates: &mut Vec<Node>) -> Result<Node> {
        let &(Self::Sgd { learning_rate, decay, .. }
        | Self::RmsProp { learning_rate, decay, .. }
        | Self::Adam { learning_rate, decay, .. }) = self;
        let lr = g.state("learning_rate", &[], Initializer::Constant(learning_rate))?;
        let iterations = g.state("iterations", &[], Initializer::Zeros)?;
        let one = g.scalar(1.0);
        let t = g.add(iterations, one)?;
        updates.push(g.assign(iterations, t)?);
        let lr = if decay == 0.0 {
            lr
        } else {
            let decay = g.scalar(decay);
            let slowed = g.mul(decay, iterations)?;
            let divisor = g.add(one, slowed)?;
            g.div(lr, divisor)?
        };
        let &Self::Adam { beta_1, beta_2, .. } = self else { return Ok(lr) };
        let mut remaining = |beta: f64| -> Result<Node> {
            let beta = g.scalar(beta);
            let power = g.pow(beta, t)?;
            g.sub(one, power)
        };
        let (first, second) = (remaining(beta_1)?, remaining(beta_2)?);
        let root = g.sqrt(second)?;
        let scaled = g.mul(lr, root)?;
        g.div(scaled, first)
    }

    fn update(
        &self,
        g: &mut Graph,
        rate: Node,
        gradient: Node,
        w: Node,
        updates: &mut Vec<Node>,
    ) -> Result<()> {
        let step = match *self {
            Self::Sgd { momentum, nesterov, .. } => {
                let step = g.mul(rate, gradient)?;
                if momentum == 0.0 {
                    g.sub(w, step)?
                } else {
                    let v = slot(g, w, "momentum")?;
                    let mu = g.scalar(momentum);
                    let kept = g.mul(mu, v)?;
                    let new_v = g.sub(kept, step)?;
                    updates.push(g.assign(v, new_v)?);
                    if nesterov {
                        let ahead = g.mul(mu, new_v)?;
                        let moved = g.add(w, ahead)?;
                        g.sub(moved, step)?
                    } else {
                        g.add(w, new_v)?
                    }
                }
            }
            Self::RmsProp { rho, epsilon, .. } => {
                let v = slot(g, w, "velocity")?;
                let squared = g.square(gradient)?;
                let new_v = moving_average(g, rho, v, squared)?;
                updates.push(g.assign(v, new_v)?);
                let epsilon = g.scalar(epsilon);
                let shifted = g.add(new_v, epsilon)?;
                let root = g.sqrt(shifted)?;
                let scaled = g.mul(rate, gradient)?;
                let step = g.div(scaled, root)?;
                g.sub(w, step)?
            }
            Self::Adam { beta_1, beta_2, epsilon, .. } => {
                let (m, v) = (slot(g, w, "momentum")?, slot(g, w, "velocity")?);
                let new_m = moving_average(g, beta_1, m, gradient)?;
                let squared = g.square(gradient)?;
                let new_v = moving_average(g, beta_2, v, squared)?;
                updates.push(g.assign(m, new_m)?);
                updates.push(g.assign(v, new_v)?);
                let root = g.sqrt(new_v)?;
                let epsilon = g.scalar(epsilon);
                let shifted = g.add(root, epsilon)?;
                let scaled = g.mul(rate, new_m)?;
                let step = g.div(scaled, shifted)?;
                g.sub(w, step)?
            }
        };
        updates.push(g.assign(w, step)?);
        Ok(())
    }
}

/// A state variable of the shape of `w`, beginning at 0: `sgd/dense/kernel/momentum`.
fn slot(g: &mut Graph, w: Node, name: &str) -> Result<Node> {
    let dims = g.shape(w).with_batch(0);
    let name = format!("{}/{name}", g.node(w).name);
    g.state(&name, &dims, Initializer::Zeros)
}

/// share · old + (1 − share) · new
fn moving_average(g: &mut Graph, share: f64, old: Node, new: Node) -> Result<Node> {
    let (keep, take) = (g.scalar(share), g.scalar(1.0 - share));
    let kept = g.mul(keep, old)?;
    let taken = g.mul(take, new)?;
    g.add(kept, taken)
}
