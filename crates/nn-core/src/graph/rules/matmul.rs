//! Matrix products.

use super::Gradients;
use crate::Result;
use crate::graph::{DType, Dim, Graph, Node, Op, Shape};
use crate::ops::Trans;

impl Graph {
    /// A · B for A: \[m, k\], B: \[k, n\].
    ///
    /// # Errors
    /// If one is not a matrix, or if the inner dimensions differ.
    #[track_caller]
    pub fn matmul(&mut self, a: Node, b: Node) -> Result<Node> {
        self.matmul_with(a, Trans::No, b, Trans::No)
    }

    /// op(A) · op(B), each as it is or transposed.
    ///
    /// # Errors
    /// If one is not a matrix, if the inner dimensions differ, or if the result's columns would be unknown.
    #[track_caller]
    pub fn matmul_with(&mut self, a: Node, ta: Trans, b: Node, tb: Trans) -> Result<Node> {
        self.expect_dtype("matmul", a, DType::Float)?;
        self.expect_dtype("matmul", b, DType::Float)?;
        let (sa, sb) = (self.shape(a), self.shape(b));
        let show = |s: &Shape, t: Trans| format!("{s}{}", if t == Trans::Yes { "ᵀ" } else { "" });
        let both = format!("{} · {}", show(&sa, ta), show(&sb, tb));
        let (&[ra, ca], &[rb, cb]) = (sa.dims(), sb.dims()) else {
            return Err(self.shape_error("matmul", format_args!("{both}: expected two matrices")));
        };
        let order = |t: Trans, r: Dim, c: Dim| if t == Trans::No { (r, c) } else { (c, r) };
        let ((m, ka), (kb, n)) = (order(ta, ra, ca), order(tb, rb, cb));
        let (m, n) = self.all_or_nothing(|g| {
            if !g.unify(ka, kb) {
                return Err(
                    g.shape_error("matmul", format_args!("{both}: inner dimensions differ ({ka} vs {kb})"))
                );
            }
            let (m, n) = (g.resolve_dim(m), g.resolve_dim(n));
            if matches!(n, Dim::Symbol(_)) {
                return Err(g.shape_error(
                    "matmul",
                    format_args!(
                        "{both}: the number of columns of the result must be known, only a first dimension may be None"
                    ),
                ));
            }
            if let (Dim::Symbol(_), Trans::No, Dim::Symbol(_)) = (m, ta, g.resolve_dim(kb)) {
                return Err(g
                    .shape_error("matmul", format_args!("{both}: both dimensions of the left matrix are None")));
            }
            Ok((m, n))
        })?;
        Ok(self.push(Op::MatMul(ta, tb), vec![a, b], Shape::new([m, n]), DType::Float))
    }
}

/// Y = op(A) · op(B): d op(A) = dY · op(B)ᵀ and d op(B) = op(A)ᵀ · dY, transposed back where the operand was.
pub(super) fn gradient(g: &mut Graph, ta: Trans, tb: Trans, a: Node, b: Node, up: Node) -> Gradients {
    let da = match ta {
        Trans::No => g.matmul_with(up, Trans::No, b, tb.flip())?,
        Trans::Yes => g.matmul_with(b, tb, up, Trans::Yes)?,
    };
    let db = match tb {
        Trans::No => g.matmul_with(a, ta.flip(), up, Trans::No)?,
        Trans::Yes => g.matmul_with(up, Trans::Yes, a, ta)?,
    };
    Ok(vec![Some(da), Some(db)])
}
