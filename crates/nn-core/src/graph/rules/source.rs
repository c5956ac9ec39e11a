//! Where values come from: what is fed, what is kept from run to run, and what is known already.

use crate::Result;
use crate::graph::{DType, Dim, Graph, Node, Op, Shape, VarId, Variable};
use crate::init::Initializer;

impl Graph {
    /// A value to be fed. Only the first dimension may be `None`.
    ///
    /// # Errors
    /// If another dimension is `None`.
    #[track_caller]
    pub fn placeholder(&mut self, name: &str, dims: &[Option<usize>]) -> Result<Node> {
        self.typed_placeholder(name, dims, DType::Float)
    }

    /// A value to be fed whose elements are of type `dtype`: class indices are [`DType::Int`].
    ///
    /// # Errors
    /// If a dimension other than the first is `None`.
    #[track_caller]
    pub fn typed_placeholder(&mut self, name: &str, dims: &[Option<usize>], dtype: DType) -> Result<Node> {
        if let Some(axis) = dims.iter().skip(1).position(Option::is_none) {
            let shown: Vec<String> =
                dims.iter().map(|dim| dim.map_or("None".to_owned(), |n| n.to_string())).collect();
            return Err(self.shape_error_of(
                &self.named("placeholder", name),
                format_args!(
                    "[{}]: only the first dimension may be None, dimension {} is too",
                    shown.join(", "),
                    axis + 1
                ),
            ));
        }
        let dims: Vec<Dim> =
            dims.iter().map(|dim| dim.map_or_else(|| self.fresh_symbol(), Dim::Fixed)).collect();
        Ok(self.push_named(Some(name), Op::Placeholder, vec![], Shape::new(dims), dtype))
    }

    /// A trainable variable.
    ///
    /// # Errors
    /// If the initialiser does not fit the dimensions.
    #[track_caller]
    pub fn variable(&mut self, name: &str, dims: &[usize], initializer: Initializer) -> Result<Node> {
        self.add_variable(name, dims, initializer, true)
    }

    /// A variable that optimizers leave alone: a slot, a counter, a learning rate.
    ///
    /// # Errors
    /// If the initialiser does not fit the dimensions.
    #[track_caller]
    pub fn state(&mut self, name: &str, dims: &[usize], initializer: Initializer) -> Result<Node> {
        self.add_variable(name, dims, initializer, false)
    }

    #[track_caller]
    fn add_variable(
        &mut self,
        name: &str,
        dims: &[usize],
        initializer: Initializer,
        trainable: bool,
    ) -> Result<Node> {
        if let Err(error) = initializer.check(dims) {
            return Err(self.shape_error_of(&self.named("variable", name), error));
        }
        let id = VarId(self.variables.len());
        let node = self.push_named(Some(name), Op::Variable(id), vec![], Shape::fixed(dims), DType::Float);
        let name = self.node(node).name.clone();
        self.variables.push(Variable { name, dims: dims.to_vec(), initializer, trainable, node });
        Ok(node)
    }

    /// A float scalar.
    #[track_caller]
    pub fn scalar(&mut self, value: f64) -> Node {
        self.push(Op::Constant([value].into()), vec![], Shape::scalar(), DType::Float)
    }

    /// Numbers known now, row-major.
    ///
    /// # Errors
    /// If `values` is not as long as `dims` says.
    #[track_caller]
    pub fn constant(&mut self, values: &[f64], dims: &[usize]) -> Result<Node> {
        if dims.iter().product::<usize>() != values.len() {
            return Err(self.shape_error(
                "constant",
                format_args!(
                    "{} values were given for the shape {}, which holds {}",
                    values.len(),
                    Shape::fixed(dims),
                    dims.iter().product::<usize>()
                ),
            ));
        }
        Ok(self.push(Op::Constant(values.into()), vec![], Shape::fixed(dims), DType::Float))
    }
}
