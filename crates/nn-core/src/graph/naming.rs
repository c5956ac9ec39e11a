//! What nodes are called, and how errors name what was being built and the line that built it.

use std::fmt::Display;
use std::panic::Location;

use super::{DType, Graph, Node};
use crate::{Error, Result};

/// What stands before file and line at the end of a message.
const BUILT_AT: &str = " (built at ";

impl Graph {
    /// Builds nodes under a name: what `body` makes is called `name/…`.
    pub fn scope<R>(&mut self, name: &str, body: impl FnOnce(&mut Self) -> R) -> R {
        self.scope_named(name, body).1
    }

    /// Likewise, and the full name that the scope was given.
    pub(crate) fn scope_named<R>(&mut self, name: &str, body: impl FnOnce(&mut Self) -> R) -> (String, R) {
        let unique = self.unique(name);
        let result = self.within(&unique, body);
        (unique, result)
    }

    /// Builds more nodes in a scope that there is already, by its full name.
    pub(crate) fn within<R>(&mut self, scope: &str, body: impl FnOnce(&mut Self) -> R) -> R {
        self.scopes.push(scope.to_owned());
        let result = body(self);
        self.scopes.pop();
        result
    }

    /// Builds nodes under a name that may have been used before, as it is: what `body` makes belongs with what was made
    /// under it earlier. (A layer that is called again works in the scope of its variables.)
    pub fn reopen<R>(&mut self, name: &str, body: impl FnOnce(&mut Self) -> R) -> R {
        let full = self.full_name(name);
        self.names.entry(full.clone()).or_default();
        self.within(&full, body)
    }

    /// A scope for a function that builds several nodes for its caller, such as a layer: the line that nodes, and errors
    /// about them, say built them is the caller's. The function itself must be `#[track_caller]`.
    ///
    /// ```
    /// use nn_core::graph::{Graph, Node};
    /// use nn_core::Result;
    /// #[track_caller]
    /// fn swish(g: &mut Graph, x: Node) -> Result<Node> {
    ///     g.composite("swish", |g| {
    ///         let gate = g.sigmoid(x)?;
    ///         g.mul(x, gate)
    ///     })
    /// }
    /// let mut g = Graph::new();
    /// let x = g.placeholder("x", &[None, Some(3)])?;
    /// let (y, line) = (swish(&mut g, x)?, line!());
    /// assert_eq!(g.node(y).name, "swish/mul");
    /// assert_eq!(g.node(y).built_at.line(), line);
    /// # Ok::<(), nn_core::Error>(())
    /// ```
    #[track_caller]
    pub fn composite<R>(&mut self, name: &str, body: impl FnOnce(&mut Self) -> R) -> R {
        self.on_behalf(|g| g.scope(name, body))
    }

    /// The same without a scope.
    #[track_caller]
    pub(crate) fn on_behalf<R>(&mut self, body: impl FnOnce(&mut Self) -> R) -> R {
        let line = self.caller();
        self.at(line, body)
    }

    /// Builds nodes on behalf of a line that was noted before, whatever the line is that builds them now.
    pub(crate) fn at<R>(&mut self, line: &'static Location<'static>, body: impl FnOnce(&mut Self) -> R) -> R {
        let outer = self.on_behalf_of.replace(line);
        let result = body(self);
        self.on_behalf_of = outer;
        result
    }

    /// The line that builds what is being built.
    #[track_caller]
    pub(super) fn caller(&self) -> &'static Location<'static> {
        self.on_behalf_of.unwrap_or(Location::caller())
    }

    /// `name` under the current scope.
    fn full_name(&self, name: &str) -> String {
        match self.scopes.last() {
            Some(scope) => format!("{scope}/{name}"),
            None => name.to_owned(),
        }
    }

    /// The same with a number behind it if it is taken.
    pub(super) fn unique(&mut self, name: &str) -> String {
        let full = self.full_name(name);
        let mut candidate = full.clone();
        while self.names.contains_key(&candidate) {
            let uses = self.names.entry(full.clone()).or_default();
            *uses += 1;
            candidate = format!("{full}_{uses}");
        }
        self.names.insert(candidate.clone(), 0);
        candidate
    }

    /// What a message about an operation that is being built calls it: `matmul "hidden"`, by the scope it is built in.
    fn label(&self, op: &str) -> String {
        match self.scopes.last() {
            Some(scope) => format!("{op} \"{scope}\""),
            None => op.to_owned(),
        }
    }

    /// What it calls something that has a name of its own: `variable "dense/kernel"`.
    pub(super) fn named(&self, op: &str, name: &str) -> String {
        format!("{op} \"{}\"", self.full_name(name))
    }

    /// An error about the shapes or types of an operation's inputs.
    #[cold]
    #[track_caller]
    pub(crate) fn shape_error(&self, op: &str, what: impl Display) -> Error {
        self.shape_error_of(&self.label(op), what)
    }

    /// The same about what `label` says.
    #[cold]
    #[track_caller]
    pub(super) fn shape_error_of(&self, label: &str, what: impl Display) -> Error {
        Error::shape(self.message(label, what))
    }

    /// An error about anything else that an operation was given.
    #[cold]
    #[track_caller]
    pub(crate) fn usage_error(&self, op: &str, what: impl Display) -> Error {
        Error::invalid(self.message(&self.label(op), what))
    }

    /// An error of a layer with the line that built it behind, unless it is that of an operation, which has it.
    #[cold]
    #[track_caller]
    pub(crate) fn located(&self, error: Error) -> Error {
        let at = self.caller();
        let with_line = |message: String| {
            if message.ends_with(')') && message.contains(BUILT_AT) {
                return message;
            }
            format!("{message}{BUILT_AT}{}:{})", at.file(), at.line())
        };
        match error {
            Error::Shape(message) => Error::Shape(with_line(message)),
            Error::Invalid(message) => Error::Invalid(with_line(message)),
            other => other,
        }
    }

    #[track_caller]
    fn message(&self, label: &str, what: impl Display) -> String {
        let at = self.caller();
        format!("{label}: {what}{BUILT_AT}{}:{})", at.file(), at.line())
    }

    /// An error unless `node`'s elements are of type `dtype`.
    #[track_caller]
    pub(super) fn expect_dtype(&self, op: &str, node: Node, dtype: DType) -> Result<()> {
        let found = self.dtype(node);
        if found == dtype {
            return Ok(());
        }
        let (name, shape) = (&self.node(node).name, self.shape(node));
        Err(self.shape_error(
            op,
            format_args!("\"{name}\" holds {} {shape}, expected {}; cast it", found.name(), dtype.name()),
        ))
    }
}
