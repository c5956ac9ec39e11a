//! Operations on classes and counts, through which nothing is differentiated.

use crate::Result;
use crate::graph::{DType, Graph, Node, Op, Shape};

impl Graph {
    /// The index of the largest element of the last dimension, the first of equals: \[m, n\] → int \[m\].
    ///
    /// # Errors
    /// If x is not a matrix of floats.
    #[track_caller]
    pub fn argmax(&mut self, x: Node) -> Result<Node> {
        self.expect_dtype("argmax", x, DType::Float)?;
        let shape = self.shape(x);
        if shape.rank() != 2 {
            return Err(
                self.shape_error("argmax", format_args!("{shape}: expected a matrix [rows, classes]"))
            );
        }
        Ok(self.push(Op::ArgMax, vec![x], shape.prefix(1), DType::Int))
    }

    /// Whether a = b, element by element: two tensors of the same shape and type → bool.
    ///
    /// # Errors
    /// If shapes or types differ.
    #[track_caller]
    pub fn equal(&mut self, a: Node, b: Node) -> Result<Node> {
        let (da, db) = (self.dtype(a), self.dtype(b));
        let (sa, sb) = (self.shape(a), self.shape(b));
        self.all_or_nothing(|g| {
            let same = da == db
                && sa.rank() == sb.rank()
                && sa.dims().iter().zip(sb.dims()).all(|(&x, &y)| g.unify(x, y));
            if same {
                return Ok(());
            }
            Err(g.shape_error(
                "equal",
                format_args!("{} {sa} and {} {sb}: expected the same shape and type", da.name(), db.name()),
            ))
        })?;
        let shape = self.shape(a);
        Ok(self.push(Op::Equal, vec![a, b], shape, DType::Bool))
    }

    /// Whether fewer than `k` scores of a row are greater than its class's: scores \[m, n\], classes int \[m\] → bool
    /// \[m\]. So all that tie for the last place are in, as Keras has it. False where the class's score is NaN, or
    /// where there is no such class.
    ///
    /// # Errors
    /// If the scores are not a matrix of floats, or the classes not a vector of as many ints as there are rows.
    #[track_caller]
    pub fn in_top_k(&mut self, scores: Node, classes: Node, k: usize) -> Result<Node> {
        const OP: &str = "in_top_k";
        self.expect_dtype(OP, scores, DType::Float)?;
        self.expect_dtype(OP, classes, DType::Int)?;
        let (shape, given) = (self.shape(scores), self.shape(classes));
        let fits = shape.rank() == 2 && given.rank() == 1 && self.unify(shape.dims()[0], given.dims()[0]);
        if !fits {
            return Err(self.shape_error(
                OP,
                format_args!("scores {shape} and classes {given}: expected float [m, n] and int [m]"),
            ));
        }
        let rows = self.shape(classes);
        Ok(self.push(Op::InTopK(k), vec![scores, classes], rows, DType::Bool))
    }

    /// Row i is 1 at index xᵢ and 0 elsewhere, `depth` long: int \[m\] → float \[m, depth\].
    ///
    /// # Errors
    /// If x is not a vector of ints.
    #[track_caller]
    pub fn one_hot(&mut self, x: Node, depth: usize) -> Result<Node> {
        self.expect_dtype("one_hot", x, DType::Int)?;
        let shape = self.shape(x);
        if shape.rank() != 1 {
            return Err(
                self.shape_error("one_hot", format_args!("{shape}: expected a vector of class indices"))
            );
        }
        let dims = [shape.dims()[0], crate::graph::Dim::Fixed(depth)];
        Ok(self.push(Op::OneHot(depth), vec![x], Shape::new(dims), DType::Float))
    }

    /// The same numbers in another type; false and true become 0 and 1, a float is rounded towards zero.
    #[track_caller]
    pub fn cast(&mut self, x: Node, dtype: DType) -> Node {
        if self.dtype(x) == dtype {
            return x;
        }
        let shape = self.shape(x);
        self.push(Op::Cast(dtype), vec![x], shape, dtype)
    }
}
