//! What is drawn, before it has places and whatever the form: boxes in groups, and arrows between them.

/// A graph to draw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Picture {
    pub(crate) title: String,
    /// One line of figures below the title.
    pub(crate) subtitle: String,
    pub(crate) boxes: Vec<Item>,
    pub(crate) arrows: Vec<Arrow>,
    pub(crate) groups: Vec<Group>,
}

/// A box with text.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) title: String,
    /// Smaller lines below the title.
    pub(crate) lines: Vec<String>,
    /// Everything there is to say, for those who point at the box.
    pub(crate) detail: String,
    /// What stands beside the arrows that leave each output: shapes.
    pub(crate) outputs: Vec<String>,
    pub(crate) group: Option<usize>,
}

/// From an output of a box to another box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Arrow {
    pub(crate) from: usize,
    pub(crate) output: usize,
    pub(crate) to: usize,
}

/// A frame around boxes and other groups.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) parent: Option<usize>,
}

/// What a box stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Placeholder,
    Variable,
    Constant,
    Operation,
    Gradient,
    Update,
    Shard,
    Sum,
    Once,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Placeholder,
        Self::Variable,
        Self::Constant,
        Self::Operation,
        Self::Gradient,
        Self::Update,
        Self::Shard,
        Self::Sum,
        Self::Once,
    ];

    /// Its name in styles and in Graphviz.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Placeholder => "placeholder",
            Self::Variable => "variable",
            Self::Constant => "constant",
            Self::Operation => "operation",
            Self::Gradient => "gradient",
            Self::Update => "update",
            Self::Shard => "shard",
            Self::Sum => "sum",
            Self::Once => "once",
        }
    }

    /// What a legend says of it.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Placeholder => "fed for each run",
            Self::Variable => "variable",
            Self::Constant => "constant",
            Self::Operation => "operation",
            Self::Gradient => "gradient",
            Self::Update => "update of variables",
            Self::Shard => "kernel, for each shard of rows",
            Self::Sum => "sum over the batch",
            Self::Once => "kernel, once",
        }
    }
}

impl Picture {
    /// The kinds that occur, in their order.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(|kind| self.boxes.iter().any(|b| b.kind == *kind))
    }

    /// The groups around a group or box, from the outermost to `innermost`.
    pub(crate) fn path(&self, innermost: Option<usize>) -> Vec<usize> {
        let mut path: Vec<usize> =
            std::iter::successors(innermost, |&group| self.groups[group].parent).collect();
        path.reverse();
        path
    }
}
