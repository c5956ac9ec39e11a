//! What comes out the same in every run of a program, because it is made of constants alone: the factor 1 / rows of a mean's gradient is
//! one. It is computed before the first run, and never again.

use super::program::{Instr, Operand, Place, Program};

/// Takes out of the stages, in the order in which they would have run, the instructions that read nothing but constants and what other
/// such instructions write.
pub(super) fn take_fixed(program: &mut Program) {
    let mut written: Vec<(Place, bool)> = Vec::new();
    for stage in &mut program.stages {
        for instr in std::mem::take(&mut stage.before) {
            if instr.ins.iter().all(|x| is_fixed(x, &written)) && writes_buffers(&instr) {
                written.extend(instr.outs.iter().map(|out| (out.place, out.ints)));
                program.fixed.push(instr);
            } else {
                stage.before.push(instr);
            }
        }
    }
}

fn is_fixed(x: &Operand, written: &[(Place, bool)]) -> bool {
    matches!(x.place, Place::Const(_)) || written.contains(&(x.place, x.ints))
}

/// Whether all that it writes are the plan's own buffers, of which each is written by one instruction.
fn writes_buffers(instr: &Instr) -> bool {
    instr.outs.iter().all(|out| matches!(out.place, Place::Once(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::program::{Extent, Kernel, Stage};
    use crate::graph::VarId;
    use crate::ops::Unary;

    fn instr(from: &[Place], to: Place) -> Instr {
        let operand =
            |place| Operand { place, extent: Extent::Fixed(1), cols: 1, ints: false, blocked: false };
        let ins = from.iter().map(|&place| operand(place)).collect();
        Instr { kernel: Kernel::Unary(Unary::Neg), ins, outs: vec![operand(to)] }
    }

    #[test]
    fn what_is_made_of_constants_runs_once_and_what_reads_anything_else_stays() {
        use Place::{Const, Once, Sum, Var};
        let fixed =
            [instr(&[Const(0)], Once(0)), instr(&[Const(0), Once(0)], Once(1)), instr(&[Once(1)], Once(4))];
        let variable = instr(&[Once(0), Var(VarId(0))], Once(2));
        let of_a_variable = instr(&[Const(0), Once(2)], Once(3));
        let to_a_variable = instr(&[Const(0)], Var(VarId(0)));
        let of_a_sum = instr(&[Sum(0)], Once(5));
        let first = vec![fixed[0].clone(), variable.clone(), fixed[1].clone(), of_a_variable.clone()];
        let second = vec![to_a_variable.clone(), fixed[2].clone(), of_a_sum.clone()];
        let stages = [first, second].map(|before| Stage { before, ..Stage::default() });
        let mut program = Program { stages: stages.into(), ..Program::default() };
        take_fixed(&mut program);
        assert_eq!(program.fixed, fixed);
        let left: Vec<_> = program.stages.into_iter().map(|stage| stage.before).collect();
        assert_eq!(left, [vec![variable, of_a_variable], vec![to_a_variable, of_a_sum]]);
    }
}
