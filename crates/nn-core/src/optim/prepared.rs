//! An optimizer that has its variables in a graph.

use super::Optimizer;
use super::rule::Point;
use crate::graph::{Graph, Node};
use crate::init::Initializer;
use crate::{Error, Result};

/// An [`Optimizer`] with its learning rate, its count of updates and its slots in a graph. Several updates may be built
/// on them, such as one of a weighted and one of an unweighted loss; one of them is fetched in a run.
///
/// ```
/// use nn_core::graph::Graph;
/// use nn_core::init::Initializer;
/// use nn_core::optim::Optimizer;
/// let mut g = Graph::new();
/// let w = g.variable("w", &[3], Initializer::Constant(1.0))?;
/// let adam = Optimizer::adam(0.1).prepare(&mut g, &[w])?;
/// for factor in [1.0, 0.5] {
///     let factor = g.scalar(factor);
///     let weighted = g.mul(factor, w)?;
///     let cost = g.reduce_sum(weighted)?;
///     let gradient = g.gradients(cost, &[w])?[0];
///     let _step = adam.apply(&mut g, &[(gradient, w)])?;
/// }
/// let names: Vec<_> = g.variables().iter().map(|v| v.name.as_str()).collect();
/// assert_eq!(names, ["w", "adam/learning_rate", "adam/iterations", "adam/w/momentum", "adam/w/velocity"]);
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Prepared {
    /// The variable that holds the base learning rate, a scalar. It may be changed between runs; what the schedule makes
    /// of it follows.
    pub learning_rate: Node,
    /// The variable that counts the updates made, a scalar.
    pub iterations: Node,
    /// The learning rate of the next update: the base as scheduled. It is the variable itself where the rate is constant.
    pub rate: Node,
    /// The number of the next update, from 1.
    next: Node,
    /// What multiplies the direction of the next update.
    scale: Node,
    optimizer: Optimizer,
    /// The scope of the optimizer's nodes.
    scope: String,
    slots: Vec<Slots>,
}

/// What is remembered of a variable.
#[derive(Debug, Clone)]
struct Slots {
    variable: Node,
    nodes: Vec<(&'static str, Node)>,
}

impl Prepared {
    pub(super) fn new(optimizer: Optimizer, g: &mut Graph, vars: &[Node]) -> Result<Self> {
        optimizer.check()?;
        let formula = optimizer.rule.formula();
        let name = formula.name();
        for (at, &variable) in vars.iter().enumerate() {
            let found = &g.node(variable).name;
            if g.variable_of(variable).is_none() {
                let op = g.node(variable).op.name();
                return Err(Error::invalid(format_args!(
                    "{name}: \"{found}\" is a {op}, expected a variable"
                )));
            }
            if vars[..at].contains(&variable) {
                return Err(Error::invalid(format_args!(
                    "{name}: the variable \"{found}\" is given twice; expected each variable once"
                )));
            }
        }
        let (scope, parts) = g.scope_named(name, |g| {
            let lr = Initializer::Constant(formula.learning_rate());
            let learning_rate = g.state("learning_rate", &[], lr)?;
            let iterations = g.state("iterations", &[], Initializer::Zeros)?;
            let one = g.scalar(1.0);
            let next = g.add(iterations, one)?;
            let rate = optimizer.schedule.rate(g, learning_rate, iterations)?;
            let scale = formula.scale(g, rate, next)?;
            let slots = vars.iter().map(|&variable| {
                let dims = g.shape(variable).with_batch(0);
                let named = formula.slots().into_iter().map(|(slot, start)| {
                    let name = format!("{}/{slot}", g.node(variable).name);
                    let start = if start == 0.0 { Initializer::Zeros } else { Initializer::Constant(start) };
                    Ok((slot, g.state(&name, &dims, start)?))
                });
                Ok(Slots { variable, nodes: named.collect::<Result<_>>()? })
            });
            let slots = slots.collect::<Result<_>>()?;
            Ok::<_, Error>((learning_rate, iterations, next, rate, scale, slots))
        });
        let (learning_rate, iterations, next, rate, scale, slots) = parts?;
        Ok(Self { learning_rate, iterations, rate, next, scale, optimizer, scope, slots })
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// The scope that its variables are in: the optimizer's name, with a number behind it where that was taken.
    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    /// A node that, when run, updates each variable of the (gradient, variable) pairs and counts one update.
    ///
    /// # Errors
    /// If a variable is none of those prepared or comes twice, or a gradient has another shape than its variable.
    pub fn apply(&self, g: &mut Graph, pairs: &[(Node, Node)]) -> Result<Node> {
        for (at, &(gradient, variable)) in pairs.iter().enumerate() {
            self.check_pair(g, gradient, variable)?;
            if pairs[..at].iter().any(|&(_, earlier)| earlier == variable) {
                return Err(self.error(g, variable, "has two gradients; add them up"));
            }
        }
        g.within(&self.scope, |g| {
            let mut updates = vec![g.assign(self.iterations, self.next)?];
            let mut gradients: Vec<Node> = pairs.iter().map(|&(gradient, _)| gradient).collect();
            if let Some(clipping) = self.optimizer.clipping {
                gradients = clipping.apply(g, &gradients)?;
            }
            for (gradient, &(_, w)) in gradients.into_iter().zip(pairs) {
                let slots = &self.slots_of(g, w)?.nodes;
                let at = Point { w, gradient, rate: self.rate, scale: self.scale, slots };
                let new = self.optimizer.rule.formula().step(g, &at, &mut updates)?;
                updates.push(g.assign(w, new)?);
            }
            Ok(g.group(&updates))
        })
    }

    fn check_pair(&self, g: &Graph, gradient: Node, variable: Node) -> Result<()> {
        self.slots_of(g, variable)?;
        let (found, expected) = (g.shape(gradient), g.shape(variable));
        if found == expected {
            return Ok(());
        }
        Err(Error::shape(format_args!(
            "{}: the variable \"{}\" is {expected}, its gradient \"{}\" is {found}; expected the same shape",
            self.optimizer.name(),
            g.node(variable).name,
            g.node(gradient).name
        )))
    }

    fn slots_of(&self, g: &Graph, variable: Node) -> Result<&Slots> {
        self.slots
            .iter()
            .find(|slots| slots.variable == variable)
            .ok_or_else(|| self.error(g, variable, "was not among the variables that it was prepared for"))
    }

    fn error(&self, g: &Graph, variable: Node, what: &str) -> Error {
        Error::invalid(format_args!("{}: \"{}\" {what}", self.optimizer.name(), g.node(variable).name))
    }
}
