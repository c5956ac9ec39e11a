//! Many elementwise operations in one go over memory: an optimizer's whole update is one of these.

use smallvec::SmallVec;

use super::{Binary, Unary};
use crate::matrix::blocked_len;
use crate::{Error, Result};

/// Where a step of a [`Pass`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// An input array.
    Input(usize),
    /// A single number, the same for every element.
    Scalar(usize),
    /// What an output array held before: a variable that is updated in place.
    Output(usize),
    /// The result of an earlier step.
    Register(usize),
}

/// One operation of a [`Pass`]; its last field is the register that gets the result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// register ← f(x)
    Unary(Unary, Source, usize),
    /// register ← f(a, b)
    Binary(Binary, Source, Source, usize),
}

impl Step {
    /// The register that gets the result.
    pub fn target(self) -> usize {
        let (Self::Unary(_, _, into) | Self::Binary(_, _, _, into)) = self;
        into
    }

    /// What it reads.
    pub fn sources(self) -> SmallVec<[Source; 2]> {
        match self {
            Self::Unary(_, x, _) => SmallVec::from_slice(&[x]),
            Self::Binary(_, a, b, _) => SmallVec::from_slice(&[a, b]),
        }
    }

    /// Whether every backend computes it alike. Exponentials, and what is made of them, they approximate each in its own way.
    fn is_alike(self) -> bool {
        let apart = matches!(
            self,
            Self::Unary(Unary::Exp | Unary::Activation(_), ..) | Self::Binary(Binary::Slope(_), ..)
        );
        !apart
    }

    /// The same operation with other places: each source as `f` says, the result to `into`.
    pub fn renamed(self, f: impl Fn(Source) -> Source, into: usize) -> Self {
        match self {
            Self::Unary(op, x, _) => Self::Unary(op, f(x), into),
            Self::Binary(op, a, b, _) => Self::Binary(op, f(a), f(b), into),
        }
    }
}

/// A little program for each element of some arrays of equal length: steps in order, then every output gets its value.
///
/// Its existence proves that every register is written before it is read, and not read by the step that writes it.
///
/// ```
/// use nn_core::ops::{Binary, Pass, Source, Step};
/// // w ← w − rate · g, with g as the input, rate as the scalar, and w as the output.
/// let steps = vec![
///     Step::Binary(Binary::Mul, Source::Scalar(0), Source::Input(0), 0),
///     Step::Binary(Binary::Sub, Source::Output(0), Source::Register(0), 1),
/// ];
/// let pass = Pass::new(1, 1, steps, vec![Source::Register(1)])?;
/// assert_eq!(pass.registers(), 2);
/// assert!(Pass::new(0, 1, pass.steps().to_vec(), vec![Source::Register(1)]).is_err(), "there is no input 0");
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    inputs: usize,
    scalars: usize,
    registers: usize,
    steps: Vec<Step>,
    outputs: Vec<Source>,
    /// Whether every backend computes all steps alike.
    alike: bool,
    /// Steps and outputs with a register for each step, whose number it has.
    numbered: (Vec<Step>, Vec<Source>),
}

impl Pass {
    /// The pass of these steps over so many input arrays and scalars; `outputs` says what each output array gets.
    ///
    /// # Errors
    /// If a source names what isn't there, or a register that was not written yet or is being written; or if an output gets
    /// another one without a step between them.
    pub fn new(inputs: usize, scalars: usize, steps: Vec<Step>, outputs: Vec<Source>) -> Result<Self> {
        let registers = steps.iter().map(|step| step.target() + 1).max().unwrap_or(0);
        let mut written = vec![false; registers];
        let check = |source, written: &[bool]| {
            let there = match source {
                Source::Input(i) => i < inputs,
                Source::Scalar(i) => i < scalars,
                Source::Output(i) => i < outputs.len(),
                Source::Register(r) => written.get(r).copied().unwrap_or(false),
            };
            there.then_some(()).ok_or_else(|| {
                Error::invalid(format_args!(
                    "pass: {source:?} is not there ({inputs} inputs, {scalars} scalars, {} outputs, registers once written)",
                    outputs.len()
                ))
            })
        };
        for step in &steps {
            step.sources().into_iter().try_for_each(|source| check(source, &written))?;
            if step.sources().contains(&Source::Register(step.target())) {
                return Err(Error::invalid(format_args!("pass: {step:?} reads the register that it writes")));
            }
            written[step.target()] = true;
        }
        for (k, &source) in outputs.iter().enumerate() {
            check(source, &written)?;
            if matches!(source, Source::Output(other) if other != k) {
                return Err(Error::invalid(format_args!(
                    "pass: output {k} gets {source:?} without a step, which may have been written already"
                )));
            }
        }
        let numbered = numbered(registers, &steps, &outputs);
        let alike = steps.iter().all(|step| step.is_alike());
        Ok(Self { inputs, scalars, registers, steps, outputs, alike, numbered })
    }

    /// Number of input arrays.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Number of scalars.
    pub fn scalars(&self) -> usize {
        self.scalars
    }

    /// Number of registers.
    pub fn registers(&self) -> usize {
        self.registers
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What each output array gets when all steps are done.
    pub fn outputs(&self) -> &[Source] {
        &self.outputs
    }

    /// Whether every backend computes its steps alike, to the bit, as [`Unary::eval`] and [`Binary::eval`] do.
    pub(crate) fn is_alike(&self) -> bool {
        self.alike
    }

    /// Steps and outputs as they would be if no two steps shared a register: what tells which computation a pass is, however its
    /// registers were given out.
    pub(crate) fn numbered(&self) -> (&[Step], &[Source]) {
        (&self.numbered.0, &self.numbered.1)
    }
}

/// Steps and outputs, whose registers were written before they are read, with a register for each step.
fn numbered(registers: usize, steps: &[Step], outputs: &[Source]) -> (Vec<Step>, Vec<Source>) {
    fn rename(source: Source, numbers: &[usize]) -> Source {
        match source {
            Source::Register(r) => Source::Register(numbers[r]),
            other => other,
        }
    }
    let mut numbers = vec![0; registers];
    let mut renamed = Vec::with_capacity(steps.len());
    for (number, step) in steps.iter().enumerate() {
        renamed.push(step.renamed(|source| rename(source, &numbers), number));
        numbers[step.target()] = number;
    }
    (renamed, outputs.iter().map(|&output| rename(output, &numbers)).collect())
}

/// The arrays that a [`Pass`] goes over: as many as it asks for, and of equal length.
///
/// ```
/// use nn_core::backend::{Backend, Naive};
/// use nn_core::matrix::Scratch;
/// use nn_core::ops::{Binary, Pass, PassArgs, Source, Step};
/// let half = Step::Binary(Binary::Mul, Source::Scalar(0), Source::Output(0), 0);
/// let pass = Pass::new(0, 1, vec![half], vec![Source::Register(0)])?;
/// let mut x = [2.0, 6.0];
/// Naive.pass(PassArgs::new(&pass, &[], &[0.5], &mut [&mut x])?, &mut Scratch::default());
/// assert_eq!(x, [1.0, 3.0]);
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug)]
pub struct PassArgs<'a, 'o, T> {
    pass: &'a Pass,
    inputs: &'a [&'a [T]],
    scalars: &'a [T],
    outputs: &'a mut [&'o mut [T]],
    len: usize,
}

/// What [`PassArgs`] hold, when they are taken apart.
#[derive(Debug)]
pub struct PassParts<'a, 'o, T> {
    /// The program.
    pub pass: &'a Pass,
    /// Its input arrays.
    pub inputs: &'a [&'a [T]],
    /// Its scalars.
    pub scalars: &'a [T],
    /// The arrays that are updated.
    pub outputs: &'a mut [&'o mut [T]],
    /// The length of every array.
    pub len: usize,
}

impl<'a, 'o, T> PassArgs<'a, 'o, T> {
    /// The arguments of a pass.
    ///
    /// # Errors
    /// If there are more or fewer arrays or scalars than the pass asks for, or arrays of different lengths.
    pub fn new(
        pass: &'a Pass,
        inputs: &'a [&'a [T]],
        scalars: &'a [T],
        outputs: &'a mut [&'o mut [T]],
    ) -> Result<Self> {
        let (wanted, found) =
            ((pass.inputs, pass.scalars, pass.outputs.len()), (inputs.len(), scalars.len(), outputs.len()));
        if wanted != found {
            return Err(Error::shape(format_args!(
                "pass: it takes (inputs, scalars, outputs) {wanted:?}, it was given {found:?}"
            )));
        }
        let mut lengths = inputs.iter().map(|x| x.len()).chain(outputs.iter().map(|x| x.len()));
        let len = lengths.next().unwrap_or(0);
        if let Some(other) = lengths.find(|&other| other != len) {
            return Err(Error::shape(format_args!("pass: arrays of {len} and of {other} elements")));
        }
        Ok(Self { pass, inputs, scalars, outputs, len })
    }

    /// The program.
    pub fn pass(&self) -> &'a Pass {
        self.pass
    }

    /// What it consists of.
    pub fn into_parts(self) -> PassParts<'a, 'o, T> {
        let Self { pass, inputs, scalars, outputs, len } = self;
        PassParts { pass, inputs, scalars, outputs, len }
    }
}

/// A [`Pass`] over matrices \[k, n\], each in a single block of columns (`blocked_len(k, n)` numbers), one of whose inputs is a
/// product that whoever carries it out has still to form: what an optimizer does to weights, given not their gradient but
/// what it is the product of.
///
/// ```
/// use nn_core::backend::{Backend, Naive};
/// use nn_core::matrix::{InputRef, MatRef, Scratch};
/// use nn_core::ops::{Binary, Pass, Source, Step, Update};
/// // w ← w − 0.5 · xᵀδ for x = [[1, 2]], δ = [[4]], w = [[10], [20]] and a row that does not count.
/// let steps = vec![
///     Step::Binary(Binary::Mul, Source::Scalar(0), Source::Input(0), 0),
///     Step::Binary(Binary::Sub, Source::Output(0), Source::Register(0), 1),
/// ];
/// let pass = Pass::new(1, 1, steps, vec![Source::Register(1)])?;
/// let (x, delta, mut w) = ([1.0, 2.0], [4.0], [10.0, 20.0, 0.0]);
/// let mut outputs = [&mut w[..]];
/// let update = Update::new((&pass, 0), &[], &[0.5], &mut outputs, (2, 1))?;
/// let (x, delta) = (InputRef::dense(MatRef::new(&x, 1, 2)?), MatRef::new(&delta, 1, 1)?);
/// Naive.update_weights(x, delta, update, &mut Scratch::default());
/// assert_eq!(w[..2], [8.0, 16.0]);
/// # Ok::<(), nn_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Update<'a, 'o, T> {
    pub(crate) pass: &'a Pass,
    /// Which of the pass's inputs is the product.
    pub(crate) product: usize,
    /// The others.
    pub(crate) inputs: &'a [&'a [T]],
    pub(crate) scalars: &'a [T],
    pub(crate) outputs: &'a mut [&'o mut [T]],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

impl<'a, 'o, T> Update<'a, 'o, T> {
    /// The arguments of a pass whose input number `product` is the product; `inputs` are the others.
    ///
    /// # Errors
    /// If there are more or fewer arrays or scalars than the pass asks for, or an array is not of `blocked_len(rows, cols)` numbers.
    pub fn new(
        (pass, product): (&'a Pass, usize),
        inputs: &'a [&'a [T]],
        scalars: &'a [T],
        outputs: &'a mut [&'o mut [T]],
        (rows, cols): (usize, usize),
    ) -> Result<Self> {
        let (wanted, found) = (
            (pass.inputs, pass.scalars, pass.outputs.len()),
            (inputs.len() + 1, scalars.len(), outputs.len()),
        );
        if wanted != found || product >= pass.inputs {
            return Err(Error::shape(format_args!(
                "update: its pass takes (inputs, scalars, outputs) {wanted:?}, it was given {found:?} with the product as input {product}"
            )));
        }
        let len = blocked_len(rows, cols);
        let mut lengths = inputs.iter().map(|x| x.len()).chain(outputs.iter().map(|x| x.len()));
        if let Some(other) = lengths.find(|&other| other != len) {
            return Err(Error::shape(format_args!(
                "update: an array of {other} elements, where a matrix [{rows}, {cols}] in a block takes {len}"
            )));
        }
        Ok(Self { pass, product, inputs, scalars, outputs, rows, cols })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_of_other_arrays_than_its_pass_takes_is_an_error() -> Result<()> {
        let steps = vec![Step::Binary(Binary::Mul, Source::Input(0), Source::Input(1), 0)];
        let pass = Pass::new(2, 0, steps, vec![Source::Register(0)])?;
        let (other, short, mut w) = ([1.0; 6], [1.0; 4], [0.0; 6]);
        let mut check = |product, inputs: &[&[f64]]| {
            let mut outputs = [&mut w[..]];
            Update::new((&pass, product), inputs, &[], &mut outputs, (2, 2))
                .err()
                .map(|error| error.to_string())
        };
        assert_eq!(check(0, &[&other]), None);
        assert_eq!(check(1, &[&other]), None);
        let message = check(2, &[&other]).unwrap_or_default();
        assert!(message.contains("(2, 0, 1)") && message.contains("input 2"), "{message}");
        let message = check(0, &[]).unwrap_or_default();
        assert!(message.contains("(2, 0, 1)") && message.contains("(1, 0, 1)"), "{message}");
        let message = check(0, &[&short]).unwrap_or_default();
        assert!(
            message.contains("4 elements") && message.contains("[2, 2]") && message.contains("takes 6"),
            "{message}"
        );
        Ok(())
    }
}
