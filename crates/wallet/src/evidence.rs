//! What to do about a refused or unclear request, decided from evidence alone.
//!
//! The mint was asked two things: which of the operation's own outputs it signed (NUT-09), and the states of its inputs
//! (NUT-07). Everything here is pure, so that each row of the table can be tested.
//!
//! | outputs signed | inputs | verdict |
//! |---|---|---|
//! | all of one request | all spent | [`Settle`](Verdict::Settle): that request was applied |
//! | any | one pending | [`Wait`](Verdict::Wait) |
//! | some or all of the last request | all unspent | [`Rebuild`](Verdict::Rebuild): another device with the same seed used these outputs |
//! | none | all unspent, outputs refused that fresh ones can stand in for | `Rebuild` |
//! | none | all unspent, only copy refused for another reason | [`Release`](Verdict::Release) |
//! | none | all unspent, refused for another reason, a copy may still arrive | [`Repeat`](Verdict::Repeat) |
//! | anything else | one spent | [`Lost`](Verdict::Lost): somebody else spent it |

use hazel_protocol::{ErrorCode, ProofState};

/// What the mint says about a request that it refused, or whose answer was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// For each request made on the inputs, the last one first: how many outputs it has and how many of them are signed.
    pub outputs: Vec<Signed>,
    /// The states of the inputs.
    pub inputs: Vec<ProofState>,
    /// The NUT code of the last refusal.
    pub code: Option<u16>,
    /// Whether no copy of any request can be applied any more, because the only one was refused.
    pub finally_refused: bool,
}

/// Outputs of one request. Counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// All of them.
    pub total: usize,
    /// Those with a signature.
    pub signed: usize,
}

impl Signed {
    fn all(self) -> bool {
        self.total > 0 && self.signed == self.total
    }
}

/// What follows from the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The request of this index was applied: its signatures are the answer.
    Settle(usize),
    /// Nothing can be said yet.
    Wait,
    /// The mint wants none of it, but an earlier copy may still arrive: send the same bytes again later.
    Repeat,
    /// Nothing was applied and nothing can be: give the inputs back.
    Release,
    /// Make a new request of the same inputs with fresh outputs.
    Rebuild {
        /// Whether the former request can never be applied, so that its outputs need no watching.
        former_is_dead: bool,
    },
    /// Inputs were spent by somebody else: they are gone, the others are free.
    Lost,
}

/// Decides about a swap.
pub fn judge(evidence: &Evidence) -> Verdict {
    let pending = evidence.inputs.contains(&ProofState::Pending);
    let spent = evidence.inputs.iter().filter(|state| **state == ProofState::Spent).count();
    if spent == evidence.inputs.len() {
        let applied = evidence.outputs.iter().position(|request| request.all());
        return applied.map_or(Verdict::Lost, Verdict::Settle);
    }
    if pending {
        return Verdict::Wait;
    }
    if spent > 0 {
        return Verdict::Lost;
    }
    if in_progress(evidence.code) {
        return Verdict::Wait;
    }
    let used_elsewhere = evidence.outputs.first().is_some_and(|request| request.signed > 0);
    if used_elsewhere || is(evidence.code, ErrorCode::OutputsAlreadySigned) {
        return Verdict::Rebuild { former_is_dead: true };
    }
    if is(evidence.code, ErrorCode::KeysetInactive) || is(evidence.code, ErrorCode::OutputsPending) {
        return Verdict::Rebuild { former_is_dead: evidence.finally_refused };
    }
    if evidence.finally_refused { Verdict::Release } else { Verdict::Repeat }
}

/// Whether the mint works on this request or on another with the same inputs. Outputs that are pending while the inputs are
/// not are in use by another device with the same seed.
pub(crate) fn in_progress(code: Option<u16>) -> bool {
    is(code, ErrorCode::ProofsPending) || is(code, ErrorCode::QuotePending)
}

pub(crate) fn is(code: Option<u16>, which: ErrorCode) -> bool {
    code == Some(which.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hazel_protocol::ProofState::{Pending, Spent, Unspent};

    const FREE: &[ProofState] = &[Unspent, Unspent];
    const NONE: Signed = Signed { total: 3, signed: 0 };
    const SOME: Signed = Signed { total: 3, signed: 2 };
    const ALL: Signed = Signed { total: 3, signed: 3 };

    type Row = (&'static [Signed], &'static [ProofState], ErrorCode, bool, Verdict);

    fn verdict(outputs: &[Signed], inputs: &[ProofState], code: ErrorCode, finally_refused: bool) -> Verdict {
        let code = Some(code.code());
        judge(&Evidence { outputs: outputs.to_vec(), inputs: inputs.to_vec(), code, finally_refused })
    }

    #[test]
    fn every_row_of_the_table() {
        use ErrorCode::{
            KeysetInactive, OutputsAlreadySigned, OutputsPending, ProofsAlreadySpent, ProofsPending,
            TransactionNotBalanced,
        };
        use Verdict::{Lost, Rebuild, Release, Repeat, Settle, Wait};
        let dead = Rebuild { former_is_dead: true };
        let alive = Rebuild { former_is_dead: false };
        let other = TransactionNotBalanced;
        let table: [Row; 20] = [
            (&[ALL], &[Spent, Spent], ProofsAlreadySpent, false, Settle(0)),
            (&[ALL], &[Spent, Spent], ProofsAlreadySpent, true, Settle(0)),
            (&[NONE, ALL], &[Spent, Spent], ProofsAlreadySpent, false, Settle(1)),
            (&[ALL, ALL], &[Spent, Spent], ProofsAlreadySpent, false, Settle(0)),
            (&[NONE], &[Spent, Spent], ProofsAlreadySpent, true, Lost),
            (&[SOME], &[Spent, Spent], ProofsAlreadySpent, true, Lost),
            (&[NONE], &[Spent, Unspent], ProofsAlreadySpent, true, Lost),
            (&[NONE], &[Spent, Pending], ProofsAlreadySpent, true, Wait),
            (&[ALL], &[Pending, Unspent], ProofsPending, true, Wait),
            (&[NONE], FREE, ProofsPending, true, Wait),
            (&[NONE], &[Pending, Unspent], OutputsPending, false, Wait),
            (&[NONE], FREE, OutputsPending, false, alive),
            (&[NONE], FREE, OutputsPending, true, dead),
            (&[ALL], FREE, OutputsAlreadySigned, true, dead),
            (&[SOME], FREE, other, true, dead),
            (&[NONE], FREE, OutputsAlreadySigned, false, dead),
            (&[NONE], FREE, KeysetInactive, true, dead),
            (&[NONE], FREE, KeysetInactive, false, alive),
            (&[NONE], FREE, other, false, Repeat),
            (&[NONE, NONE], FREE, other, true, Release),
        ];
        for (outputs, inputs, code, finally_refused, expected) in table {
            let found = verdict(outputs, inputs, code, finally_refused);
            assert_eq!(found, expected, "{outputs:?} {inputs:?} {code:?} {finally_refused}");
        }
    }

    #[test]
    fn nothing_is_given_back_while_a_copy_may_arrive() {
        for outputs in [NONE, SOME, ALL] {
            for code in ErrorCode::ALL {
                assert_ne!(verdict(&[outputs], &[Unspent], *code, false), Verdict::Release);
            }
        }
    }
}
