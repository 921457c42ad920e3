//! The claims about each entry: who signed it, where it stands, what it does and who held it when.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::entry::{Body, EntryId};
use hiwar_dialogue::thread::void_reason;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::KeyStatus;
use hiwar_trust::receipt::ItemKind;
use hiwar_trust::time::Timestamp;

use super::book::{Book, Damaged, Reference};
use super::collect::Collected;
use super::lines::{Held, KeyFinding, ReceiptFinding, Received};
use super::logs::Log;
use super::{Limits, memberships};
use crate::claim::{Claim, Known, KnownBy, Subject, Trouble};
use crate::format::{LogPlace, Member};

/// Who knew an entry when.
pub(super) type KnownByEntry = BTreeMap<EntryId, Vec<Known>>;

/// What was found about the entries.
pub(super) struct Findings {
    pub(super) claims: Vec<Claim>,
    pub(super) known: KnownByEntry,
    /// The entries whose author's signature is proved.
    pub(super) signed: BTreeSet<EntryId>,
}

/// Receipts for one thing, by issuer.
type Receipts<'a> = BTreeMap<&'a Did, &'a ReceiptFinding>;

struct Court<'a> {
    collected: &'a Collected,
    book: &'a Book<'a>,
    logs: &'a [Log],
    receipts: BTreeMap<Hash, Receipts<'a>>,
    places: BTreeMap<EntryId, (usize, Option<&'a LogPlace>)>,
    /// Entries that the exporter's log took in another order than the file says.
    misplaced: BTreeSet<EntryId>,
    /// Every participant of the dialogue.
    everyone: BTreeSet<Did>,
}

/// Judges all entries.
pub(super) fn judge(collected: &Collected, book: &Book<'_>, logs: &[Log], limits: &Limits) -> Findings {
    let mut receipts: BTreeMap<Hash, Receipts<'_>> = BTreeMap::new();
    for finding in collected.receipts.iter().filter(|f| f.item.kind == ItemKind::Entry) {
        receipts.entry(finding.item.hash).or_default().insert(&finding.issuer, finding);
    }
    let listed = collected.log.iter().flat_map(|log| log.entries.iter().enumerate());
    let places: BTreeMap<_, _> = listed.map(|(index, e)| (e.id, (index, e.place.as_ref()))).collect();
    let misplaced = misplaced(book, &places);
    let court = Court { collected, book, logs, receipts, places, misplaced, everyone: book.everyone() };
    let mut findings = Findings { claims: Vec::new(), known: BTreeMap::new(), signed: BTreeSet::new() };
    let mut damaged = book.damaged.iter().peekable();
    for held in &book.held {
        while let Some(item) = damaged.next_if(|d| d.line.is_some_and(|line| line < held.line)) {
            court.damaged(item, &mut findings.claims);
        }
        if findings.claims.len() > limits.claims_max {
            return findings;
        }
        court.entry(held, &mut findings);
    }
    for item in damaged {
        court.damaged(item, &mut findings.claims);
    }
    court.strangers(&mut findings.claims);
    findings
}

/// The file gives the entries in the order in which the exporter's log took them.
fn misplaced(book: &Book<'_>, places: &BTreeMap<EntryId, (usize, Option<&LogPlace>)>) -> BTreeSet<EntryId> {
    let mut last: BTreeMap<usize, u64> = BTreeMap::new();
    let mut misplaced = BTreeSet::new();
    for held in &book.held {
        let Some((_, Some(place))) = places.get(&held.id) else { continue };
        let last = last.entry(place.log).or_insert(place.leaf);
        if place.leaf < *last {
            misplaced.insert(held.id);
        }
        *last = place.leaf.max(*last);
    }
    misplaced
}

impl Court<'_> {
    fn entry(&self, held: &Held, findings: &mut Findings) {
        let (id, short) = (held.id, held.id.0.short());
        let subject = || Subject::Entry(id);
        let line = format!("entries.ndjson, line {}", held.line);
        let claims = &mut findings.claims;

        let included = self.included(&id);
        let (signature, under) = self.signature(held, included.is_ok());
        if signature.is_ok() {
            findings.signed.insert(id);
        }
        let kind = kind_name(&held.body);
        let statement = format!("{} signed this {kind}, {short}, dated {}{under}", held.author, held.time);
        claims.push(
            Claim::new(format!("entry:{id}:signature"), subject(), statement, signature)
                .at(Some(held.time))
                .seen_in(&line),
        );

        let statement = format!(
            "Entry {short} stands in this dialogue under membership {}, is marked {} within the cap, and was made with knowledge of the {} entries it links to",
            held.membership.0.short(),
            held.marking,
            held.prev.len()
        );
        claims.push(
            Claim::new(
                format!("entry:{id}:order"),
                subject(),
                statement,
                memberships::place(self.book, held),
            )
            .seen_in(&line),
        );
        if let Some(claim) = self.effect(held) {
            claims.push(claim.seen_in(&line));
        }
        claims.push(self.log_claim(&id, included));
        for did in self.book.audience(held) {
            claims.push(self.receipt_claim(&id, &did, Some(held.time)));
        }
        if let Some(receipts) = self.receipts.get(&id.0) {
            let audience = self.book.audience(held);
            for did in receipts.keys().filter(|did| !audience.contains(**did)) {
                claims.push(self.receipt_claim(&id, did, Some(held.time)));
            }
        }
        findings.known.insert(id, self.known(held));
    }

    /// What can still be said of an entry whose text was changed or taken out.
    fn damaged(&self, item: &Damaged, claims: &mut Vec<Claim>) {
        let (id, short) = (item.id, item.id.0.short());
        let subject = || Subject::Entry(id);
        let evidence = match item.line {
            Some(line) => format!("entries.ndjson, line {line}"),
            None => "log.json".into(),
        };
        let why = format!("the text that was signed is not here: {}", item.why);
        for (code, statement) in [
            ("signature", format!("The text of entry {short} is the one that was signed")),
            ("order", format!("Entry {short} stands at its place in this dialogue")),
        ] {
            let failed = Err(Trouble::Failed(why.clone()));
            claims.push(
                Claim::new(format!("entry:{id}:{code}"), subject(), statement, failed).seen_in(&evidence),
            );
        }
        claims.push(self.log_claim(&id, self.included(&id)));
        for did in self.receipts.get(&id.0).into_iter().flat_map(BTreeMap::keys) {
            claims.push(self.receipt_claim(&id, did, None));
        }
    }

    /// Receipts for entries that are not here at all.
    fn strangers(&self, claims: &mut Vec<Claim>) {
        for (hash, receipts) in &self.receipts {
            let id = EntryId(*hash);
            if matches!(self.book.reference(&id), Reference::Absent | Reference::SaidMissing) {
                for did in receipts.keys() {
                    claims.push(self.receipt_claim(&id, did, None));
                }
            }
        }
    }

    fn signature(&self, held: &Held, included: bool) -> (Result<(), Trouble>, String) {
        let author = &held.author;
        let failed = |why: String| (Err(Trouble::Failed(why)), String::new());
        match &held.key {
            KeyFinding::NoCards => {
                let trouble = Trouble::Unproved(
                    format!("there are no valid cards of {author} to verify it with"),
                    format!("the cards of {author}"),
                );
                (Err(trouble), String::new())
            }
            KeyFinding::UnknownKey => failed(format!(
                "it names a key that the cards of {author} never named as an organisation key"
            )),
            KeyFinding::Wrong => failed(format!("the signature does not verify under the key of {author}")),
            KeyFinding::Good(KeyStatus::Retired { at }) if held.time > *at => {
                failed(format!("{author} had replaced the key on {at}, before the entry's date"))
            }
            KeyFinding::Good(KeyStatus::Current | KeyStatus::Unknown) => {
                (Ok(()), ", with the organisation key that is current in its cards here".into())
            }
            KeyFinding::Good(KeyStatus::Retired { at }) => {
                (Ok(()), format!(", with the organisation key that it replaced in good order on {at}"))
            }
            KeyFinding::Good(KeyStatus::Revoked { since }) => {
                match self.held_before(held, *since, included) {
                    Some((party, time)) => (
                        Ok(()),
                        format!(
                            ", before it revoked the key as of {since}: {party} shows that it existed on {time}"
                        ),
                    ),
                    None => {
                        let trouble = Trouble::Unproved(
                            format!(
                                "{author} revoked the key as of {since}, and nobody but the exporter shows here that the entry existed before; a thief of the key could have made it"
                            ),
                            format!(
                                "a receipt of a third party from before {since}, or a state of the exporter's log with the entry that somebody else cosigned before"
                            ),
                        );
                        (Err(trouble), String::new())
                    }
                }
            }
        }
    }

    /// A party that shows that an entry existed before `since`. The exporter's word does not count:
    /// it hands over the file, and could have put any time under its own receipt. The author's
    /// cosignature of the exporter's log does, because another key made it.
    fn held_before(&self, held: &Held, since: Timestamp, included: bool) -> Option<(Did, Timestamp)> {
        let exporter = self.collected.manifest.as_ref().map(|m| &m.exporter);
        let counts = |known: &Known| {
            known.time < since
                && self.everyone.contains(&known.party)
                && Some(&known.party) != exporter
                && (known.by == KnownBy::Cosignature || known.party != held.author)
        };
        self.shown(held, included)
            .into_iter()
            .filter(counts)
            .map(|known| (known.party, known.time))
            .min_by_key(|(_, time)| *time)
    }

    /// Who shows that an entry existed, and when.
    fn shown(&self, held: &Held, included: bool) -> Vec<Known> {
        let mut shown = Vec::new();
        let mut add = |party: &Did, by, time: Timestamp| {
            let delay_ms = time.millis_since(held.time);
            shown.push(Known { party: party.clone(), by, time, delay_ms });
        };
        for (did, finding) in self.receipts.get(&held.id.0).into_iter().flatten() {
            if let Ok(received) = &finding.outcome {
                add(did, KnownBy::Receipt, received.time);
            }
        }
        if let (true, Some((_, Some(place)))) = (included, self.places.get(&held.id)) {
            for witness in self.logs.get(place.log).into_iter().flat_map(|log| log.witnesses_of(place.leaf)) {
                add(&witness.party, KnownBy::Cosignature, witness.time);
            }
        }
        shown
    }

    /// Who knew an entry when, each party once for each way of knowing, earliest first.
    fn known(&self, held: &Held) -> Vec<Known> {
        let mut known = self.shown(held, self.included(&held.id).is_ok());
        known.sort_by_key(|k| (k.time, k.by, k.party.clone()));
        let mut seen = BTreeSet::new();
        known.retain(|k| seen.insert((k.party.clone(), k.by)));
        known
    }

    /// Whether an entry is in the log at its place, whoever signed the log's state.
    fn included(&self, id: &EntryId) -> Result<(), Trouble> {
        let unread = || "an undamaged copy of this dossier".to_owned();
        if self.collected.log.is_none() {
            return Err(Trouble::Unproved("log.json could not be read".into(), unread()));
        }
        let Some((_, place)) = self.places.get(id) else {
            return Err(match self.collected.is_whole(Member::Log) {
                true => Trouble::Failed("log.json does not name the entry".into()),
                false => {
                    Trouble::Unproved("log.json was changed and does not name the entry".into(), unread())
                }
            });
        };
        let Some(place) = place else {
            return Err(Trouble::Unproved(
                "the exporter gives no proof for it".into(),
                "the exporter's log from the time before a restore".into(),
            ));
        };
        let Some(log) = self.logs.get(place.log) else {
            return Err(Trouble::Failed(format!("log.json has no log number {}", place.log)));
        };
        log.includes(id, place)?;
        match self.misplaced.contains(id) {
            true => Err(Trouble::Failed(
                "it stands behind entries that the log took later; lines of entries.ndjson were moved".into(),
            )),
            false => Ok(()),
        }
    }

    fn log_claim(&self, id: &EntryId, included: Result<(), Trouble>) -> Claim {
        let place = self.places.get(id);
        let log = place.and_then(|(_, place)| self.logs.get((*place)?.log));
        let leaf = place.and_then(|(_, place)| place.map(|p| p.leaf));
        let statement = match (log, leaf) {
            (Some(log), Some(leaf)) => {
                format!("Entry {} is leaf {leaf} of the exporter's log {}", id.0.short(), log.origin)
            }
            _ => format!("Entry {} is in the exporter's log", id.0.short()),
        };
        let outcome = included.and_then(|()| match log.map(|log| &log.signed) {
            Some(Ok(())) => Ok(()),
            _ => Err(Trouble::Unproved(
                "the state of the log that it is in is not proved".into(),
                "a state of the log that the exporter signed".into(),
            )),
        });
        let index = place.map_or(0, |(index, _)| *index);
        Claim::new(format!("entry:{id}:log"), Subject::Entry(*id), statement, outcome)
            .seen_in(format!("log.json, entry {index}"))
    }

    fn receipt_claim(&self, id: &EntryId, did: &Did, made: Option<Timestamp>) -> Claim {
        let code = format!("entry:{id}:receipt:{did}");
        let (subject, short) = (Subject::Entry(*id), id.0.short());
        let Some(finding) = self.receipts.get(&id.0).and_then(|receipts| receipts.get(did)) else {
            let would = match self.collected.manifest.as_ref().map(|m| &m.exporter) {
                Some(exporter) if exporter == did => {
                    "a receipt that it issued; that it exports the entry shows that it holds it now"
                        .to_owned()
                }
                _ => format!("a dossier exported by {did} or by the entry's author"),
            };
            let trouble = Trouble::Unproved(format!("there is no receipt of {did} for it here"), would);
            let statement = format!("{did} confirmed that it held entry {short}");
            return Claim::new(code, subject, statement, Err(trouble));
        };
        let evidence = format!("receipts.ndjson, line {}", finding.line);
        match &finding.outcome {
            Ok(Received { time, log }) => {
                let leaf = finding.item.leaf;
                let late = made.map_or(String::new(), |made| format!(", {} its date", delay(*time, made)));
                let statement = format!(
                    "{did} confirmed on {time} that it held entry {short} durably, as leaf {leaf} of its log {log}{late}"
                );
                Claim::new(code, subject, statement, Ok(())).at(Some(*time)).seen_in(evidence)
            }
            Err(trouble) => {
                let statement = format!("{did} confirmed that it held entry {short}");
                Claim::new(code, subject, statement, Err(trouble.clone())).seen_in(evidence)
            }
        }
    }

    /// What an entry about another one does.
    fn effect(&self, held: &Held) -> Option<Claim> {
        let verb = match &held.body {
            Body::Correction(_) => "corrects",
            Body::Withdrawal(_) => "takes back",
            Body::Dispute(_) => "contradicts",
            Body::Acknowledgement(_) => "takes note of",
            Body::Statement(_)
            | Body::Attachment(_)
            | Body::Membership(_)
            | Body::Assent(_)
            | Body::Refusal(_)
            | Body::Act(_) => return None,
        };
        let of = held.body.of()?;
        let (short, target) = (held.id.0.short(), of.0.short());
        let (statement, outcome) = match self.book.get(&of) {
            None => {
                let trouble = Trouble::Unproved(
                    format!("entry {target} is not here as it was signed"),
                    format!("entry {of}"),
                );
                (format!("Entry {short} {verb} entry {target}"), Err(trouble))
            }
            Some(other) => match void_reason(&held.body, other.author == held.author) {
                None => {
                    (format!("Entry {short} {verb} entry {target} of {}; both stay", other.author), Ok(()))
                }
                Some(reason) => (format!("Entry {short} has no effect on entry {target}: {reason}"), Ok(())),
            },
        };
        Some(Claim::new(format!("entry:{}:effect", held.id), Subject::Entry(held.id), statement, outcome))
    }
}

/// How long after the entry's date something happened, for people.
fn delay(time: Timestamp, made: Timestamp) -> String {
    let millis = time.millis_since(made);
    let side = if millis < 0 { "before" } else { "after" };
    let seconds = millis.unsigned_abs() / 1000;
    match seconds {
        0 => format!("{} ms {side}", millis.unsigned_abs()),
        1..120 => format!("{seconds} s {side}"),
        120..7200 => format!("{} min {side}", seconds / 60),
        7200..172_800 => format!("{} h {side}", seconds / 3600),
        _ => format!("{} days {side}", seconds / 86_400),
    }
}

/// What an entry is called in a sentence.
pub(super) fn kind_name(body: &Body) -> &'static str {
    match body {
        Body::Statement(_) => "statement",
        Body::Attachment(_) => "set of files",
        Body::Correction(_) => "correction",
        Body::Withdrawal(_) => "withdrawal",
        Body::Dispute(_) => "dispute",
        Body::Acknowledgement(_) => "acknowledgement",
        Body::Membership(_) => "membership",
        Body::Assent(_) => "assent",
        Body::Refusal(_) => "refusal",
        Body::Act(act) => act.kind.as_str(),
    }
}
