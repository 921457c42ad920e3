//! What must hold at the end of the demo.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use hiwar_form::Language;
use hiwar_store::SqliteReader;
use hiwar_trust::checkpoint::SignedCheckpoint;
use hiwar_trust::hash::Hash;
use hiwar_trust::receipt::key_name;
use serde::Serialize;
use serde_json::Value;

use super::cast::until;
use super::play::Stage;
use super::prove::{Proof, why};
use super::script::{Party, file};
use crate::commands::dialogue::all_entries;
use crate::commands::{list, text};

/// How long the nodes may take to come to rest.
const REST_LIMIT: Duration = Duration::from_secs(20);

/// One thing that must hold.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    /// Stable code.
    pub(super) id: &'static str,
    pub(super) holds: bool,
    /// What was found, as one sentence.
    pub(super) says: String,
}

fn check(id: &'static str, holds: bool, says: String) -> Check {
    Check { id, holds, says }
}

/// Waits until nothing is on its way any more: entries, receipts, files, cosignatures.
pub(super) async fn rest(stage: &Stage<'_>) -> anyhow::Result<()> {
    // When they do not come to rest, the checks say what is missing.
    until(REST_LIMIT, || async {
        if !stage.all_same().await? || !received(stage).await?.holds || !files(stage).await?.holds {
            return Ok(false);
        }
        Ok(witnessed(stage).await?.holds && waiting(stage).await? == 0)
    })
    .await?;
    Ok(())
}

/// Looks at everything.
pub(super) async fn all(stage: &Stage<'_>, proof: &Proof) -> anyhow::Result<Vec<Check>> {
    Ok(vec![
        kill(stage)?,
        cut(stage)?,
        same(stage).await?,
        received(stage).await?,
        files(stage).await?,
        side_by_side(stage).await?,
        contract(stage)?,
        ministers(stage)?,
        logs(stage).await?,
        witnessed(stage).await?,
        alarms(stage).await?,
        dossier(proof),
        changed(stage, proof)?,
    ])
}

fn kill(stage: &Stage<'_>) -> anyhow::Result<Check> {
    let k = stage.killed.as_ref().context("no node was killed")?;
    let says = format!(
        "SIGKILL lost nothing acknowledged: {} had acknowledged {} entries, and all {} were on its disk while it was dead; its last one had then reached {} of 2 parties",
        k.party, k.acknowledged, k.on_disk, k.reached
    );
    Ok(check("kill-lost-nothing", k.acknowledged > 0 && k.on_disk == k.acknowledged, says))
}

fn cut(stage: &Stage<'_>) -> anyhow::Result<Check> {
    let c = stage.was_cut.as_ref().context("no node was cut off")?;
    let says = format!(
        "The cut was real and healed: {} steps were said during it on both sides, {} crossed it, {} connections were refused; all nodes held the same {} ms after its end",
        c.said,
        c.crossed,
        c.refused,
        c.healed.as_millis()
    );
    Ok(check("cut-healed", c.said > 0 && c.crossed == 0 && c.refused > 0, says))
}

/// How many entries wait on all nodes together.
async fn waiting(stage: &Stage<'_>) -> anyhow::Result<u64> {
    let mut waiting = 0;
    for party in Party::ALL {
        waiting += stage.cast.backlog(party).await?;
    }
    Ok(waiting)
}

async fn same(stage: &Stage<'_>) -> anyhow::Result<Check> {
    let mut sizes = BTreeSet::new();
    for party in Party::ALL {
        sizes.insert(stage.cast.ids(party, &stage.dialogue).await?.len());
    }
    let waiting = waiting(stage).await?;
    let counts: Vec<String> = sizes.iter().map(ToString::to_string).collect();
    let says =
        format!("All three nodes hold the same {} entries; {waiting} wait for delivery", counts.join(" or "));
    Ok(check("same-entries", stage.all_same().await? && waiting == 0, says))
}

async fn received(stage: &Stage<'_>) -> anyhow::Result<Check> {
    let (mut deliveries, mut receipted) = (0_usize, 0_usize);
    for party in Party::ALL {
        let actor = stage.cast.actor(party)?;
        for entry in all_entries(actor.client(), &stage.dialogue).await? {
            if text(&entry, "/entry/source") != actor.did {
                continue;
            }
            let path = format!("/api/v1/entries/{}", text(&entry, "/entry/id"));
            let shown = actor.client().get(&path).await?;
            let states =
                list(&shown, "/deliveries").iter().filter(|d| text(d, "/delivery/state") == "receipted");
            receipted += states.count();
            deliveries += party.others().count();
        }
    }
    let says = format!(
        "Every delivery is receipted: {receipted} of {deliveries}, each with the receiver's signature"
    );
    Ok(check("all-receipted", deliveries > 0 && receipted == deliveries, says))
}

async fn files(stage: &Stage<'_>) -> anyhow::Result<Check> {
    let (mut holds, mut names) = (true, Vec::new());
    for step in stage.script.steps.iter() {
        let Some(name) = &step.attachment else { continue };
        let content = file(name).unwrap_or_default();
        let sha256 = Hash::of(content.as_bytes());
        names.push(format!("{name} ({} bytes)", content.len()));
        for party in Party::ALL {
            holds &= held(stage, party, &sha256).await? == Some(sha256);
        }
        let dir = stage.cast.actor(step.speaker)?.dir().to_owned();
        let read = move || Ok(SqliteReader::open(&dir)?.attachment_receipts(&sha256)?.len());
        let receipts: anyhow::Result<usize> = tokio::task::spawn_blocking(read).await?;
        holds &= receipts? == step.speaker.others().count();
    }
    let says =
        format!("The attached file is on all three nodes, byte for byte and receipted: {}", names.join(", "));
    Ok(check("files-everywhere", holds && !names.is_empty(), says))
}

/// The digest of a file as a node hands it out.
async fn held(stage: &Stage<'_>, party: Party, sha256: &Hash) -> anyhow::Result<Option<Hash>> {
    let path = format!("/api/v1/attachments/{sha256}");
    // The only reason for a refusal that can occur here is that the file is not there yet.
    let Ok(answer) = stage.cast.client(party)?.get_stream(&path).await else { return Ok(None) };
    let mut bytes = Vec::new();
    let mut stream = answer.bytes_stream();
    while let Some(part) = stream.next().await {
        bytes.extend_from_slice(&part?);
    }
    Ok(Some(Hash::of(&bytes)))
}

async fn side_by_side(stage: &Stage<'_>) -> anyhow::Result<Check> {
    let contradiction = &stage.script.contradiction;
    let (one, other) = (stage.entry_of(&contradiction.one)?, stage.entry_of(&contradiction.other)?);
    let mut holds = true;
    for party in Party::ALL {
        let entries = all_entries(stage.cast.client(party)?, &stage.dialogue).await?;
        for (said, id) in [(one, &contradiction.one), (other, &contradiction.other)] {
            let item = entries.iter().find(|e| text(e, "/entry/id") == said.entry);
            let words = stage.script.step(id)?;
            holds &= item.is_some_and(|item| {
                let whole = Language::ALL
                    .iter()
                    .all(|l| text(item, &format!("/entry/data/texts/{}", l.as_str())) == words.text(*l));
                whole && item["void"].is_null() && item["corrected_by"] == Value::Array(Vec::new())
            });
        }
        let first = entries.iter().find(|e| text(e, "/entry/id") == one.entry);
        holds &= first.is_some_and(|item| list(item, "/disputed_by").iter().any(|d| *d == other.entry));
    }
    let says = format!(
        "The two versions on hydrogen fluoride stand side by side on all three nodes, in four languages each: that of {} and that of {}, which contradicts it",
        one.speaker, other.speaker
    );
    Ok(check("two-versions", holds, says))
}

fn contract(stage: &Stage<'_>) -> anyhow::Result<Check> {
    let c = stage.contract.as_ref().context("no table was carried")?;
    let (sha256, bytes) = &c.arrived;
    let says = format!(
        "A table went from MOTIE to METI under agreement {}: {bytes} bytes, SHA-256 {}…, negotiated in {} ms; both logs hold the same agreement, and METI's the content's SHA-256",
        c.agreement,
        sha256.chars().take(12).collect::<String>(),
        c.negotiated.as_millis()
    );
    Ok(check("table-under-contract", c.holds(), says))
}

fn ministers(stage: &Stage<'_>) -> anyhow::Result<Check> {
    let m = stage.ministers.as_ref().context("the ministers did not meet")?;
    let says = format!(
        "The ministers' meeting of 22 April 2024 became {} commitments, {} overdue, {} done with evidence and confirmed; its minutes were written by {} and released by {}; both nodes read the same, and the next agenda writes itself with {} items, the overdue one first",
        m.commitments,
        m.overdue,
        m.done,
        m.desks.0,
        m.desks.1,
        m.agendas.first().map_or(0, Vec::len)
    );
    Ok(check("ministers-meeting", m.holds(), says))
}

async fn logs(stage: &Stage<'_>) -> anyhow::Result<Check> {
    let (mut problems, mut sizes) = (Vec::new(), Vec::new());
    for party in Party::ALL {
        let dir = stage.cast.actor(party)?.dir().to_owned();
        let read = move || Ok(SqliteReader::open(&dir)?.check()?);
        let report: anyhow::Result<_> = tokio::task::spawn_blocking(read).await?;
        let report = report?;
        sizes.push(format!("{} leaves", report.leaves));
        problems.extend(report.problems);
    }
    let mut says = format!("The logs and stores of all three nodes agree ({})", sizes.join(", "));
    for problem in &problems {
        says = format!("{says}; {problem}");
    }
    Ok(check("log-check", problems.is_empty(), says))
}

async fn witnessed(stage: &Stage<'_>) -> anyhow::Result<Check> {
    let (mut holds, mut sizes) = (true, Vec::new());
    for party in Party::ALL {
        let actor = stage.cast.actor(party)?;
        let entries = all_entries(actor.client(), &stage.dialogue).await?;
        let last = entries.iter().filter_map(|e| e["leaf"].as_u64()).max().context("no entries")?;
        let peers = actor.client().get("/api/v1/peers").await?;
        let mut seen = Vec::new();
        for other in party.others() {
            let identity = stage.cast.actor(other)?.invitation.identity();
            let name = key_name(identity.did()).context("the identifier is no key name")?;
            let note = list(&peers, "/peers").iter().find(|p| text(p, "/did") == identity.did().as_str());
            let note = note.map_or("", |p| text(p, "/witnessed"));
            let size = SignedCheckpoint::parse(note.as_bytes()).ok().filter(|checkpoint| {
                identity.node_keys().any(|key| checkpoint.verify_cosignature(&name, key).is_ok())
            });
            seen.push(size.map_or(0, |checkpoint| checkpoint.checkpoint().size()));
        }
        holds &= seen.iter().all(|size| *size > last);
        sizes.push(seen.iter().min().copied().unwrap_or(0).to_string());
    }
    let says = format!(
        "Each log is witnessed by both other nodes with every entry in it (cosigned up to leaf {})",
        sizes.join(", ")
    );
    Ok(check("witnessed", holds, says))
}

async fn alarms(stage: &Stage<'_>) -> anyhow::Result<Check> {
    let mut found = Vec::new();
    for party in Party::ALL {
        let alarms = stage.cast.client(party)?.get("/api/v1/alarms?limit=1000").await?;
        for item in list(&alarms, "/alarms") {
            found.push(format!("{party}: {}: {}", text(item, "/alarm/code"), text(item, "/alarm/detail")));
        }
    }
    let says = if found.is_empty() { "No node raised an alarm".into() } else { found.join("; ") };
    Ok(check("no-alarms", found.is_empty(), says))
}

fn dossier(proof: &Proof) -> Check {
    let counts = proof.counts;
    let mut says = format!(
        "The dossier ({} bytes) verifies offline against the three fingerprints: {} claims proved, {} failed; the {} that need receipts of the other parties are proved by their dossiers",
        proof.bytes, counts.proved, counts.failed, counts.unproved
    );
    for (what, claims) in [("failed", &proof.failed), ("open", &proof.open)] {
        for id in claims {
            says = format!("{says}; {what}: {id}");
        }
    }
    let holds = proof.failed.is_empty() && proof.open.is_empty() && counts.proved > 0;
    check("dossier-verifies", holds, says)
}

fn changed(stage: &Stage<'_>, proof: &Proof) -> anyhow::Result<Check> {
    let changed = &proof.changed;
    let entry = &stage.entry_of(&stage.script.flip.step)?.entry;
    let signature = format!("entry:{entry}:signature");
    let named = changed.failed.iter().find(|c| c.id == signature);
    let exactly = changed.entries.len() == 1 && changed.entries.contains(entry);
    let says = format!(
        "One changed byte is found: {:?} became {:?} at byte {}, and of all entries exactly that one fails: claim entry:{}…:signature, {}",
        changed.before,
        changed.after,
        changed.offset,
        entry.chars().take(12).collect::<String>(),
        named.map_or("which did not fail", why)
    );
    Ok(check("changed-byte-found", changed.rejected && exactly && named.is_some(), says))
}
