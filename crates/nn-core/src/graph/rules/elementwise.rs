//! Elementwise functions of one and two arguments, and spreading.

use super::Gradients;
use crate::Result;
use crate::graph::{DType, Dim, Graph, Node, Op, Shape, Spread, shape};
use crate::ops::{Activation, Binary, Unary};

/// Methods that add one elementwise node each.
macro_rules! binary_methods {
    ($($(#[$doc:meta])* $name:ident => $op:expr;)*) => { impl Graph { $(
        $(#[$doc])*
        ///
        /// # Errors
        /// If the shapes can't be spread over one another by NumPy's rules.
        #[track_caller]
        pub fn $name(&mut self, a: Node, b: Node) -> Result<Node> {
            self.binary($op, a, b)
        }
    )* } };
}

macro_rules! unary_methods {
    ($($(#[$doc:meta])* $name:ident => $op:expr;)*) => { impl Graph { $(
        $(#[$doc])*
        ///
        /// # Errors
        /// If x does not hold floats.
        #[track_caller]
        pub fn $name(&mut self, x: Node) -> Result<Node> {
            self.unary($op, x)
        }
    )* } };
}

binary_methods! {
    /// a + b
    add => Binary::Add;
    /// a − b
    sub => Binary::Sub;
    /// a · b, element by element
    mul => Binary::Mul;
    /// a / b, element by element
    div => Binary::Div;
    /// aᵇ, element by element
    pow => Binary::Pow;
    /// max(a, b), element by element
    maximum => Binary::Maximum;
    /// min(a, b), element by element
    minimum => Binary::Minimum;
}

unary_methods! {
    /// −x
    neg => Unary::Neg;
    /// eˣ
    exp => Unary::Exp;
    /// ln x
    log => Unary::Log;
    /// ln(1 + x), accurate near 0
    log1p => Unary::Log1p;
    /// √x
    sqrt => Unary::Sqrt;
    /// x²
    square => Unary::Square;
    /// |x|
    abs => Unary::Abs;
    /// −1, 0 or 1
    sign => Unary::Sign;
    /// The largest whole number that is not above x; its gradient is none
    floor => Unary::Floor;
    /// sin x, of radians
    sin => Unary::Sin;
    /// cos x, of radians
    cos => Unary::Cos;
    /// tanh x
    tanh => Unary::Activation(Activation::Tanh);
    /// max(x, 0)
    relu => Unary::Activation(Activation::Relu);
    /// 1 / (1 + e⁻ˣ)
    sigmoid => Unary::Activation(Activation::Sigmoid);
}

impl Graph {
    /// f(x) of an activation; x itself for [`Activation::Linear`].
    ///
    /// # Errors
    /// If x does not hold floats.
    #[track_caller]
    pub fn activation(&mut self, f: Activation, x: Node) -> Result<Node> {
        if f == Activation::Linear { Ok(x) } else { self.unary(Unary::Activation(f), x) }
    }

    #[track_caller]
    fn unary(&mut self, f: Unary, x: Node) -> Result<Node> {
        self.expect_dtype(f.name(), x, DType::Float)?;
        let shape = self.shape(x);
        Ok(self.push(Op::Unary(f), vec![x], shape, DType::Float))
    }

    #[track_caller]
    fn binary(&mut self, f: Binary, a: Node, b: Node) -> Result<Node> {
        self.expect_dtype(f.name(), a, DType::Float)?;
        self.expect_dtype(f.name(), b, DType::Float)?;
        let (shape, sa, sb) = self.all_or_nothing(|g| g.spread_both(f.name(), a, b))?;
        Ok(self.push(Op::Binary(f, sa, sb), vec![a, b], shape, DType::Float))
    }

    /// The shape that two operands spread to, and how each does.
    #[track_caller]
    pub(in crate::graph) fn spread_both(
        &mut self,
        op: &str,
        a: Node,
        b: Node,
    ) -> Result<(Shape, Spread, Spread)> {
        let (sa, sb) = (self.shape(a), self.shape(b));
        let rank = sa.rank().max(sb.rank());
        let padded =
            |s: &Shape| vec![Dim::Fixed(1); rank - s.rank()].into_iter().chain(s.dims().to_vec()).collect();
        let (da, db): (Vec<Dim>, Vec<Dim>) = (padded(&sa), padded(&sb));
        let one = Dim::Fixed(1);
        let mut dims = Vec::with_capacity(rank);
        for (&x, &y) in da.iter().zip(&db) {
            let dim = match (x, y) {
                _ if x == one => y,
                _ if y == one => x,
                _ if self.unify(x, y) => self.resolve_dim(x),
                _ => {
                    return Err(self.shape_error(
                        op,
                        format_args!("{sa} and {sb}: dimensions {x} and {y} are neither equal nor 1"),
                    ));
                }
            };
            dims.push(dim);
        }
        let shape = Shape::new(dims);
        let spreads = (shape::spread(&self.resolve(&sa), &shape), shape::spread(&self.resolve(&sb), &shape));
        match spreads {
            (Some(a), Some(b)) => Ok((shape, a, b)),
            _ => Err(self.shape_error(
                op,
                format_args!(
                    "{sa} and {sb}: one operand must be a scalar, a row [n] or a column [m, 1] of the other; reshape or \
                     split the operation"
                ),
            )),
        }
    }

    /// x spread to the shape of `like`.
    ///
    /// # Errors
    /// If x can't be spread so.
    #[track_caller]
    pub fn broadcast_like(&mut self, x: Node, like: Node) -> Result<Node> {
        const OP: &str = "broadcast_like";
        self.expect_dtype(OP, x, DType::Float)?;
        let (spread, to) = self.all_or_nothing(|g| {
            let (from, to) = (g.shape(x), g.shape(like));
            if let (Some(a), Some(b)) = (from.batch(), to.batch()) {
                g.unify(Dim::Symbol(a), Dim::Symbol(b));
            }
            let shapes = (g.resolve(&from), g.resolve(&to));
            let spread = shape::spread(&shapes.0, &shapes.1);
            let spread = spread.ok_or_else(|| {
                g.shape_error(OP, format_args!("{from} and {to}: the first can't be spread to the second"))
            })?;
            Ok((spread, shapes.1))
        })?;
        Ok(match spread {
            Spread::Same => x,
            spread => self.push(Op::Broadcast(spread), vec![x, like], to, DType::Float),
        })
    }

    /// a · f′, with f′ told from the activation's output: the gradient behind an activation.
    ///
    /// # Errors
    /// If the shapes can't be spread over one another.
    #[track_caller]
    pub fn activation_gradient(&mut self, f: Activation, a: Node, output: Node) -> Result<Node> {
        self.binary(Binary::Slope(f), a, output)
    }
}

/// `up` summed over the elements that one element of `operand` was spread to.
pub(super) fn sum_to_operand(g: &mut Graph, up: Node, operand: Node, spread: Spread) -> Result<Node> {
    use crate::graph::Keep;
    let shape = g.shape(operand);
    let sum = match spread {
        Spread::Same => return Ok(up),
        Spread::Scalar => g.sum_keeping(up, Keep::Nothing)?,
        Spread::Suffix => {
            let kept = shape.dims().iter().skip_while(|&&d| d == Dim::Fixed(1)).count();
            let leading = g.shape(up).rank() - kept;
            g.sum_keeping(up, Keep::Suffix(leading))?
        }
        Spread::Prefix(kept) => g.sum_keeping(up, Keep::Prefix(kept))?,
    };
    if g.shape(sum) == shape { Ok(sum) } else { g.reshape_to(sum, shape) }
}

pub(super) fn unary_gradient(g: &mut Graph, f: Unary, x: Node, y: Node, up: Node) -> Result<Option<Node>> {
    Ok(Some(match f {
        Unary::Neg => g.neg(up)?,
        Unary::Exp => g.mul(up, y)?,
        Unary::Log => g.div(up, x)?,
        Unary::Log1p => {
            let one = g.scalar(1.0);
            let shifted = g.add(x, one)?;
            g.div(up, shifted)?
        }
        Unary::Sqrt => {
            let half = g.scalar(0.5);
            let scaled = g.mul(half, up)?;
            g.div(scaled, y)?
        }
        Unary::Square => {
            let two = g.scalar(2.0);
            let scaled = g.mul(two, x)?;
            g.mul(up, scaled)?
        }
        Unary::Abs => {
            let sign = g.sign(x)?;
            g.mul(up, sign)?
        }
        Unary::Sign | Unary::Floor => return Ok(None),
        Unary::Sin => {
            let cosine = g.cos(x)?;
            g.mul(up, cosine)?
        }
        Unary::Cos => {
            let sine = g.sin(x)?;
            let product = g.mul(up, sine)?;
            g.neg(product)?
        }
        Unary::Activation(f) => g.activation_gradient(f, up, y)?,
    }))
}

pub(super) fn binary_gradient(g: &mut Graph, f: Binary, a: Node, b: Node, y: Node, up: Node) -> Gradients {
    let &Op::Binary(_, spread_a, spread_b) = &g.node(y).op else { return Ok(vec![None, None]) };
    let (da, db) = match f {
        Binary::Add => (Some(up), Some(up)),
        Binary::Sub => (Some(up), Some(g.neg(up)?)),
        Binary::Mul => (Some(g.mul(up, b)?), Some(g.mul(up, a)?)),
        Binary::Div => {
            // ∂(a/b)/∂b = −y / b
            let over = g.div(up, b)?;
            let scaled = g.mul(over, y)?;
            (Some(over), Some(g.neg(scaled)?))
        }
        Binary::Pow => {
            // ∂aᵇ/∂a = b aᵇ⁻¹, ∂aᵇ/∂b = aᵇ ln a
            let one = g.scalar(1.0);
            let less = g.sub(b, one)?;
            let power = g.pow(a, less)?;
            let da = g.mul(b, power)?;
            let log = g.log(a)?;
            let db = g.mul(y, log)?;
            (Some(g.mul(up, da)?), Some(g.mul(up, db)?))
        }
        Binary::Maximum | Binary::Minimum => {
            // The gradient goes to the operand that was taken; to both by half where they are equal.
            let difference = if f == Binary::Maximum { g.sub(a, b)? } else { g.sub(b, a)? };
            let sign = g.sign(difference)?;
            let half = g.scalar(0.5);
            let signed = g.mul(half, sign)?;
            let share_a = g.add(half, signed)?;
            let share_b = g.sub(half, signed)?;
            (Some(g.mul(up, share_a)?), Some(g.mul(up, share_b)?))
        }
        Binary::Slope(f) => {
            let da = g.activation_gradient(f, up, b)?;
            let db = slope_of_slope(g, f, a, b, up)?;
            (Some(da), db)
        }
    };
    let reduce = |g: &mut Graph, d: Option<Node>, operand, spread| {
        d.map(|d| {
            let d = g.broadcast_like(d, y)?;
            sum_to_operand(g, d, operand, spread)
        })
        .transpose()
    };
    Ok(vec![reduce(g, da, a, spread_a)?, reduce(g, db, b, spread_b)?])
}

/// ∂(a · f′(y))/∂y · up: f′ is 1 − y² for tanh, y (1 − y) for sigmoid, and piecewise constant for the others.
fn slope_of_slope(g: &mut Graph, f: Activation, a: Node, y: Node, up: Node) -> Result<Option<Node>> {
    let scaled = g.mul(up, a)?;
    let two = g.scalar(2.0);
    let doubled = g.mul(two, y)?;
    Ok(match f {
        Activation::Linear | Activation::Relu => None,
        Activation::Tanh => {
            let product = g.mul(scaled, doubled)?;
            Some(g.neg(product)?)
        }
        Activation::Sigmoid => {
            let one = g.scalar(1.0);
            let difference = g.sub(one, doubled)?;
            Some(g.mul(scaled, difference)?)
        }
    })
}
