//! A run that is computed before it is asked for: which programs allow it, and what proves that it is the run that is asked
//! for in the end.

use super::program::{Instr, Operand, Place, Program};
use super::value::Feed;
use crate::Scalar;
use crate::matrix::RowsId;

/// Whether an instruction writes variables.
pub(super) fn assigns(instr: &Instr) -> bool {
    instr.outs.iter().any(|out| matches!(out.place, Place::Var(_)))
}

/// Whether everything that writes variables can be left until the rest of the program was computed, and then find all that
/// it reads. So it is if
///
/// - no shard writes a variable,
/// - what writes variables writes nothing else, which the rest might need,
/// - the rest reads none of them after they were to be written, since it is to read what they were before that,
/// - and writes nothing that was to be read before.
///
/// What the passes that are left read of each other stays as it was: they keep their order.
pub(super) fn is_separable(program: &Program) -> bool {
    let is_variable = |out: &Operand| matches!(out.place, Place::Var(_));
    let mut left: Vec<&Instr> = Vec::new();
    for (number, stage) in program.stages.iter().enumerate() {
        for instr in &stage.before {
            if assigns(instr) {
                if !instr.outs.iter().all(is_variable) {
                    return false;
                }
                left.push(instr);
            } else if left.iter().any(|pass| conflict(pass, instr)) {
                return false;
            }
        }
        if stage.per_shard.iter().any(|instr| assigns(instr) || left.iter().any(|pass| conflict(pass, instr)))
        {
            return false;
        }
        let mut sums = program.sums.iter().filter(|sum| sum.stage == number);
        if sums.any(|sum| left.iter().any(|pass| reads(pass, Place::Once(sum.into)))) {
            return false;
        }
    }
    !program.initializes
}

/// Whether `other`, which comes after `pass`, can't just as well come before it.
fn conflict(pass: &Instr, other: &Instr) -> bool {
    pass.outs.iter().any(|out| reads(other, out.place)) || other.outs.iter().any(|out| reads(pass, out.place))
}

fn reads(instr: &Instr, place: Place) -> bool {
    instr.ins.iter().any(|x| x.place == place)
}

/// The run that was computed ahead, if one was.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    computed: Option<Computed>,
    /// What it was fed. Kept when it is over, for the memory.
    fed: Vec<Fed>,
}

/// Whose buffers hold the run, and of which variables it is.
#[derive(Debug, Clone, Copy)]
struct Computed {
    plan: usize,
    version: u64,
}

/// What a placeholder was fed, so that it can be told from everything else: rows, or integers.
#[derive(Debug, Default)]
struct Fed {
    rows: Option<RowsId>,
    ints: Vec<i32>,
}

impl Ahead {
    /// Whether what was computed is a run of this plan, on variables of this version, with these feeds.
    pub(super) fn is<T: Scalar, N>(&self, plan: usize, version: u64, feeds: &[(N, Feed<'_, T>)]) -> bool {
        let same = |(fed, (_, feed)): (&Fed, &(N, Feed<'_, T>))| match feed {
            Feed::Input(x) => fed.rows.is_some() && fed.rows == x.id(),
            Feed::Ints(ints) => fed.rows.is_none() && fed.ints == *ints,
            Feed::Floats(_) => false,
        };
        // The plan has the same placeholders, in the same order.
        self.computed.is_some_and(|run| run.plan == plan && run.version == version)
            && self.fed.iter().zip(feeds).all(same)
    }

    /// The same, when this plan is going to run: what its buffers hold serves once at most.
    pub(super) fn take<T: Scalar, N>(
        &mut self,
        plan: usize,
        version: u64,
        feeds: &[(N, Feed<'_, T>)],
    ) -> bool {
        let found = self.is(plan, version, feeds);
        self.computed = self.computed.filter(|run| run.plan != plan);
        found
    }

    /// Remembers the feeds of a run that is going to be computed ahead, instead of any other; whether they can be told from
    /// everything else.
    pub(super) fn begin<T: Scalar, N>(&mut self, feeds: &[(N, Feed<'_, T>)]) -> bool {
        self.computed = None;
        self.fed.resize_with(feeds.len(), Fed::default);
        self.fed.iter_mut().zip(feeds).all(|(fed, (_, feed))| {
            fed.ints.clear();
            match feed {
                Feed::Input(x) => {
                    fed.rows = x.id();
                    fed.rows.is_some()
                }
                Feed::Ints(ints) => {
                    fed.rows = None;
                    fed.ints.extend_from_slice(ints);
                    true
                }
                Feed::Floats(_) => false,
            }
        })
    }

    /// The run that began is computed.
    pub(super) fn computed(&mut self, plan: usize, version: u64) {
        self.computed = Some(Computed { plan, version });
    }

    /// Plans are going to have other numbers.
    pub(super) fn forget(&mut self) {
        self.computed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::{Extent, Kernel, Stage, SumSpec};
    use super::*;
    use crate::graph::VarId;
    use crate::ops::Unary;

    const V: Place = Place::Var(VarId(0));

    fn instr(ins: &[Place], outs: &[Place]) -> Instr {
        let operand = |&place: &Place| Operand {
            place,
            extent: Extent::Fixed(1),
            cols: 1,
            ints: false,
            blocked: false,
        };
        let kernel = Kernel::Unary(Unary::Sqrt);
        Instr { kernel, ins: ins.iter().map(operand).collect(), outs: outs.iter().map(operand).collect() }
    }

    /// Two stages: what runs before the shards of each, and what the shards of the second do.
    fn program(first: Vec<Instr>, second: Vec<Instr>, shards: Vec<Instr>) -> Program {
        let stages = vec![
            Stage { before: first, ..Stage::default() },
            Stage { before: second, per_shard: shards, ..Stage::default() },
        ];
        let sums = vec![SumSpec { len: 1, into: 9, stage: 1, begins: false }];
        Program { stages, sums, ..Program::default() }
    }

    #[test]
    fn assignments_can_be_left_unless_the_rest_would_notice_or_spoil_them() {
        let (once, other, sum) = (Place::Once(0), Place::Once(1), Place::Once(9));
        let assign = || instr(&[once, V], &[V]);
        let shard = |x: Place| instr(&[Place::Feed(0), x], &[Place::Slot(0)]);
        let cases = [
            ("nothing to do with each other", true, program(vec![assign()], vec![], vec![shard(other)])),
            ("read before", true, program(vec![instr(&[V], &[other]), assign()], vec![], vec![])),
            ("assignments of each other's", true, program(vec![assign(), assign()], vec![], vec![])),
            ("reads what is summed before", true, program(vec![instr(&[other], &[V])], vec![], vec![])),
            ("writes a buffer, too", false, program(vec![instr(&[V], &[V, once])], vec![], vec![])),
            ("read afterwards", false, program(vec![assign(), instr(&[V], &[other])], vec![], vec![])),
            ("read in a later stage", false, program(vec![assign()], vec![instr(&[V], &[other])], vec![])),
            ("read by shards", false, program(vec![assign()], vec![], vec![shard(V)])),
            (
                "its input is written anew",
                false,
                program(vec![assign(), instr(&[], &[once])], vec![], vec![]),
            ),
            ("its input is a sum to come", false, program(vec![instr(&[sum], &[V])], vec![], vec![])),
            ("written by shards", false, program(vec![], vec![], vec![instr(&[Place::Feed(0)], &[V])])),
        ];
        for (what, expected, program) in cases {
            assert_eq!(is_separable(&program), expected, "{what}");
        }
        assert!(!is_separable(&Program { initializes: true, ..Program::default() }));
    }
}
