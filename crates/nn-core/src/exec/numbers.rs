//! Passes over single numbers: a mean's quotient, the count of the steps. To call a kernel for one takes longer than to compute it.

use smallvec::{SmallVec, smallvec};

use super::elementwise::{FEW, FEW_READ};
use super::program::{Instr, Operand};
use crate::Scalar;
use crate::ops::{Pass, Source, Step};

/// Whether the outputs of a pass are single numbers, which it makes of others in a way that is the same whoever computes it.
pub(super) fn are_numbers(pass: &Pass, instr: &Instr) -> bool {
    pass.is_alike() && instr.outs.iter().all(|out| out.len() == 1)
}

/// What a pass makes of single numbers, which `number` knows: one for each output.
pub(super) fn evaluate<T: Scalar>(
    pass: &Pass,
    instr: &Instr,
    number: impl Fn(&Operand) -> T,
) -> SmallVec<[T; FEW]> {
    let (arrays, scalars) = instr.ins.split_at(pass.inputs());
    let read = |registers: &[T], source| match source {
        Source::Register(register) => registers[register],
        Source::Input(i) => number(&arrays[i]),
        Source::Scalar(i) => number(&scalars[i]),
        Source::Output(i) => number(&instr.outs[i]),
    };
    let mut registers: SmallVec<[T; FEW_READ]> = smallvec![T::zero(); pass.registers()];
    for step in pass.steps() {
        registers[step.target()] = match *step {
            Step::Unary(f, x, _) => f.eval(read(&registers, x)),
            Step::Binary(f, a, b, _) => f.eval(read(&registers, a), read(&registers, b)),
        };
    }
    pass.outputs().iter().map(|&source| read(&registers, source)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;
    use crate::exec::program::{Extent, Kernel, Place};
    use crate::ops::{Activation, Binary, Unary};

    /// A value whose number is known by its place.
    fn operand(place: usize, cols: usize) -> Operand {
        Operand { place: Place::Once(place), extent: Extent::Fixed(1), cols, ints: false, blocked: false }
    }

    fn instr(pass: &Pass, ins: &[usize], outs: Vec<Operand>) -> Instr {
        let ins = ins.iter().map(|&place| operand(place, 1)).collect();
        Instr { kernel: Kernel::Elementwise(pass.clone()), ins, outs }
    }

    #[test]
    fn each_output_gets_what_its_source_says() -> Result<()> {
        // Inputs are 10 and 11, the scalar 12, and the outputs held 13, 14 and 15.
        let steps = vec![
            Step::Binary(Binary::Mul, Source::Input(1), Source::Scalar(0), 0),
            Step::Unary(Unary::Neg, Source::Output(0), 1),
            Step::Binary(Binary::Add, Source::Register(0), Source::Register(1), 2),
        ];
        let outputs = vec![Source::Register(2), Source::Output(1), Source::Input(0)];
        let pass = Pass::new(2, 1, steps, outputs)?;
        let outs = vec![operand(13, 1), operand(14, 1), operand(15, 1)];
        let instr = instr(&pass, &[10, 11, 12], outs);
        let number = |operand: &Operand| match operand.place {
            Place::Once(place) => place as f64,
            _ => f64::NAN,
        };
        assert!(are_numbers(&pass, &instr));
        assert_eq!(evaluate(&pass, &instr, number)[..], [11.0 * 12.0 - 13.0, 14.0, 10.0]);
        Ok(())
    }

    #[test]
    fn arrays_and_what_backends_approximate_are_left_to_them() -> Result<()> {
        let of = |f| Pass::new(1, 0, vec![Step::Unary(f, Source::Input(0), 0)], vec![Source::Register(0)]);
        let is = |pass: &Pass, cols| are_numbers(pass, &instr(pass, &[0], vec![operand(1, cols)]));
        let root = of(Unary::Sqrt)?;
        assert_eq!([1, 2].map(|cols| is(&root, cols)), [true, false]);
        for f in [Unary::Exp, Unary::Activation(Activation::Tanh)] {
            assert!(!is(&of(f)?, 1), "{}", f.name());
        }
        Ok(())
    }
}
