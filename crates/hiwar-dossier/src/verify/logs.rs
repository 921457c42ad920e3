//! The exporter's logs: who signed their states and who saw them.

use hiwar_trust::checkpoint::{Checkpoint, SignedCheckpoint};
use hiwar_trust::did::Did;
use hiwar_trust::identity::Identity;
use hiwar_trust::merkle;
use hiwar_trust::note::KeyName;
use hiwar_trust::receipt::key_name;
use hiwar_trust::time::Timestamp;

use super::collect::Collected;
use super::parties::revoked_node_key;
use crate::claim::{Claim, Subject, Trouble};
use crate::format::{LogEvidence, LogPlace, entry_leaf};

/// That a party saw the log with `size` leaves.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    pub(super) party: Did,
    pub(super) size: u64,
    pub(super) time: Timestamp,
}

/// One log, judged.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) origin: String,
    /// The state that inclusion proofs lead to, if it could be read.
    pub(super) checkpoint: Option<Checkpoint>,
    /// Whether its owner is proved to have signed it.
    pub(super) signed: Result<(), Trouble>,
    /// Those who saw it.
    pub(super) witnesses: Vec<Witness>,
    pub(super) claims: Vec<Claim>,
}

/// Judges all logs.
pub(super) fn judge(collected: &Collected) -> Vec<Log> {
    let Some(document) = &collected.log else { return Vec::new() };
    let mut logs: Vec<Log> = Vec::new();
    for (index, evidence) in document.logs.iter().enumerate() {
        let mut log = judge_one(collected, index, evidence);
        if logs.iter().any(|other| other.origin == log.origin) {
            log.signed =
                Err(Trouble::Failed("this log is there twice, with different states perhaps".into()));
            log.origin = format!("{}#{index}", log.origin);
            log.claims = vec![checkpoint_claim(&log, index)];
        }
        logs.push(log);
    }
    logs
}

fn judge_one(collected: &Collected, index: usize, evidence: &LogEvidence) -> Log {
    let read = SignedCheckpoint::parse(evidence.checkpoint.as_bytes());
    let signed = match read {
        Ok(signed) => signed,
        Err(error) => {
            let mut log = Log {
                origin: format!("#{index}"),
                checkpoint: None,
                signed: Err(Trouble::Failed(error.to_string())),
                witnesses: Vec::new(),
                claims: Vec::new(),
            };
            log.claims.push(checkpoint_claim(&log, index));
            return log;
        }
    };
    let checkpoint = signed.checkpoint().clone();
    let owner = owner(collected, checkpoint.origin());
    let mut log = Log {
        origin: checkpoint.origin().to_owned(),
        signed: owner.as_ref().map_err(Clone::clone).and_then(|owner| signed_by(&signed, owner)),
        checkpoint: Some(checkpoint.clone()),
        witnesses: Vec::new(),
        claims: Vec::new(),
    };
    log.claims.push(checkpoint_claim(&log, index));
    let Ok(owner) = owner else { return log };
    log.claims.extend(continuation(owner, &checkpoint));
    for (did, identity) in &collected.identities {
        if did != owner.did() {
            let (claim, witnesses) = witness(owner, identity, &signed, evidence);
            log.claims.push(claim);
            log.witnesses.extend(witnesses);
        }
    }
    log
}

/// The participant whose log it is: the exporter, if its cards name the log.
fn owner<'a>(collected: &'a Collected, origin: &str) -> Result<&'a Identity, Trouble> {
    match &collected.manifest {
        Some(manifest) => {
            let exporter = &manifest.exporter;
            let identity = collected.identities.get(exporter).ok_or_else(|| {
                Trouble::Unproved(
                    format!("there are no valid cards of the exporter {exporter}"),
                    format!("the cards of {exporter}"),
                )
            })?;
            match identity.log_origins().any(|own| own == origin) {
                true => Ok(identity),
                false => Err(Trouble::Failed(format!("the cards of {exporter} name no log {origin}"))),
            }
        }
        None => collected.identities.values().find(|i| i.log_origins().any(|own| own == origin)).ok_or_else(
            || {
                Trouble::Unproved(
                    format!("no card here names the log {origin}"),
                    "the cards of the exporter".into(),
                )
            },
        ),
    }
}

fn signed_by(signed: &SignedCheckpoint, owner: &Identity) -> Result<(), Trouble> {
    let did = owner.did();
    let wrong = || Trouble::Failed(format!("no node key of {did} signed it"));
    let name: KeyName = signed.checkpoint().origin().parse().map_err(|_| wrong())?;
    let key = owner.node_keys().find(|key| signed.verify(&name, key).is_ok()).ok_or_else(wrong)?;
    revoked_node_key(owner, key)
}

fn checkpoint_claim(log: &Log, index: usize) -> Claim {
    let size = log.checkpoint.as_ref().map_or(0, Checkpoint::size);
    Claim::new(
        format!("log:{}:checkpoint", log.origin),
        Subject::Log(log.origin.clone()),
        format!("The exporter's node signed the state of its log {} with {size} leaves", log.origin),
        log.signed.clone(),
    )
    .seen_in(format!("log.json, log {index}"))
}

/// Whether the state is the one that the owner's cards name as the end of a log that was replaced.
fn continuation(owner: &Identity, checkpoint: &Checkpoint) -> Option<Claim> {
    let mut cards = owner.cards().iter().map(|signed| &signed.card);
    let (card, before) = cards.find_map(|card| {
        let before = card.log_continues.as_ref().filter(|before| before.origin == checkpoint.origin())?;
        Some((card, before))
    })?;
    let outcome = match (checkpoint.size() == before.size, checkpoint.root() == before.root) {
        (true, true) => Ok(()),
        (true, false) => {
            Err(Trouble::Failed(format!("the card gives the root {} for that size", before.root)))
        }
        (false, _) => Err(Trouble::Unproved(
            format!("the card speaks of {} leaves, this state has {}", before.size, checkpoint.size()),
            format!("a signed state of the log with {} leaves", before.size),
        )),
    };
    Some(
        Claim::new(
            format!("log:{}:continuation", checkpoint.origin()),
            Subject::Log(checkpoint.origin().to_owned()),
            format!(
                "After a restore, card {} of {} declares that this log ended so and goes on as {}",
                card.sequence,
                owner.did(),
                card.log_origin
            ),
            outcome,
        )
        .at(Some(card.time))
        .seen_in("identities.json"),
    )
}

/// Where `party` cosigned states of the log, and the claim about it.
fn witness(
    owner: &Identity,
    party: &Identity,
    main: &SignedCheckpoint,
    evidence: &LogEvidence,
) -> (Claim, Vec<Witness>) {
    let mut witnesses = Vec::new();
    let mut trouble = None;
    let mut take = |found: Option<Result<Witness, Trouble>>| match found {
        Some(Ok(witness)) => witnesses.push(witness),
        Some(Err(found)) if trouble.is_none() || matches!(found, Trouble::Failed(_)) => trouble = Some(found),
        Some(Err(_)) => {}
        None => {}
    };
    take(cosigned(main, party));
    for state in &evidence.witnessed {
        match SignedCheckpoint::parse(state.checkpoint.as_bytes()) {
            Err(error) => {
                take(Some(Err(Trouble::Failed(format!("a witnessed state is malformed: {error}")))))
            }
            Ok(signed) => {
                if let Some(found) = cosigned(&signed, party) {
                    let tied = same_log(owner, main.checkpoint(), &signed, &state.proof);
                    take(Some(found.and_then(|witness| tied.map(|()| witness))));
                }
            }
        }
    }
    let did = party.did();
    let origin = main.checkpoint().origin();
    let latest = witnesses.iter().max_by_key(|w| (w.size, w.time)).cloned();
    let outcome = match (trouble, &latest) {
        (Some(failed @ Trouble::Failed(_)), _) => Err(failed),
        (_, Some(_)) => Ok(()),
        (Some(unproved), None) => Err(unproved),
        (None, None) => Err(Trouble::Unproved(
            format!("no state of it here bears a cosignature of {did}"),
            format!("a dossier that was exported after {did} next exchanged entries with the exporter"),
        )),
    };
    let size = latest.as_ref().map_or(main.checkpoint().size(), |w| w.size);
    let claim = Claim::new(
        format!("log:{origin}:witness:{did}"),
        Subject::Log(origin.to_owned()),
        format!("{did} saw the log {origin} with {size} leaves and found that it had only grown"),
        outcome,
    )
    .at(latest.map(|w| w.time))
    .seen_in("log.json");
    (claim, witnesses)
}

/// What a cosignature in the name of `party` on a state proves; none when there is no such line.
fn cosigned(signed: &SignedCheckpoint, party: &Identity) -> Option<Result<Witness, Trouble>> {
    let name = key_name(party.did())?;
    if !signed.note().signatures().iter().any(|line| *line.name() == name) {
        return None;
    }
    let found = party
        .node_keys()
        .find_map(|key| signed.verify_cosignature(&name, key).ok().map(|seconds| (key, seconds)));
    let Some((key, seconds)) = found else {
        let why = format!("the cosignature in the name of {name} verifies under none of its node keys");
        return Some(Err(Trouble::Failed(why)));
    };
    let millis = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000);
    let witness = Witness {
        party: party.did().clone(),
        size: signed.checkpoint().size(),
        time: Timestamp::from_millis(millis),
    };
    Some(revoked_node_key(party, key).map(|()| witness))
}

/// Whether a witnessed state belongs to the same log as the main one.
fn same_log(
    owner: &Identity,
    main: &Checkpoint,
    signed: &SignedCheckpoint,
    proof: &[hiwar_trust::hash::Hash],
) -> Result<(), Trouble> {
    let other = signed.checkpoint();
    if other.origin() != main.origin() {
        return Err(Trouble::Failed(format!("a witnessed state is one of another log, {}", other.origin())));
    }
    let (old, new) = if other.size() <= main.size() { (other, main) } else { (main, other) };
    merkle::verify_consistency(old.size(), &old.root(), new.size(), &new.root(), proof).map_err(|error| {
        let forked = old.size() == new.size() && signed_by(signed, owner).is_ok();
        Trouble::Failed(match forked {
            true => format!("{} signed two different states of its log with one size", owner.did()),
            false => format!("a witnessed state is not proved to belong to this log: {error}"),
        })
    })
}

impl Log {
    /// Whether an entry stands at its place.
    pub(super) fn includes(
        &self,
        id: &hiwar_dialogue::entry::EntryId,
        place: &LogPlace,
    ) -> Result<(), Trouble> {
        let Some(checkpoint) = &self.checkpoint else {
            return Err(Trouble::Unproved(
                format!("the state of the log {} could not be read", self.origin),
                "an undamaged copy of this dossier".into(),
            ));
        };
        let leaf = entry_leaf(id);
        let (size, root) = (checkpoint.size(), checkpoint.root());
        merkle::verify_inclusion(&leaf, place.leaf, size, &place.proof, &root)
            .map_err(|error| Trouble::Failed(error.to_string()))
    }

    /// Those who saw the log with the leaf in it.
    pub(super) fn witnesses_of(&self, leaf: u64) -> impl Iterator<Item = &Witness> {
        self.witnesses.iter().filter(move |w| leaf < w.size)
    }
}
