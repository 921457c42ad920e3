//! Who could get the data under terms, before they are offered.

use hiwar_trust::time::Timestamp;
use serde::Serialize;

use super::evaluate::{Verdict, permits};
use super::{Finding, Participant, Phase, Policy, Request, evaluate};

/// What terms mean for one participant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DryRun {
    /// The participant identifier, if it has one.
    pub participant: Option<String>,
    /// Whether it could come to an agreement, if it does what `to_do` says.
    pub could: bool,
    /// Why, in one sentence.
    pub reason: String,
    /// What it still has to do or wait for, such as to state a purpose.
    pub to_do: Vec<String>,
    /// What stands in the way.
    pub obstacles: Vec<Finding>,
}

/// What terms mean for each participant at `now`: what only the participant itself can state, and what
/// only time and transfers bring, is taken as still to be done.
pub fn dry_run<'a>(
    policy: &Policy,
    participants: impl IntoIterator<Item = &'a Participant>,
    now: Timestamp,
) -> Vec<DryRun> {
    participants.into_iter().map(|participant| one(policy, participant, now)).collect()
}

fn one(policy: &Policy, participant: &Participant, now: Timestamp) -> DryRun {
    let request = Request::new(Phase::Catalogue, participant, now);
    let could = permits(policy, &request);
    let decision = evaluate(policy, &request);
    let still = decision.findings.iter().filter(|finding| {
        finding.path.starts_with("permission")
            && finding.verdict == Verdict::NotDue
            && !finding.satisfy.is_empty()
    });
    let to_do = if could { still.map(|finding| finding.satisfy.clone()).collect() } else { Vec::new() };
    let obstacles = if could { Vec::new() } else { decision.obstacles().cloned().collect() };
    DryRun { participant: participant.id.clone(), could, reason: decision.reason, to_do, obstacles }
}
