//! The dossier: exported, verified, changed by one byte, and verified again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use hiwar_dossier::{Anchor, Claim, Counts, Limits, Outcome, Status, Subject, Verdict, verify};
use hiwar_form::Language;

use super::cast::Cast;
use super::script::{Flip, Party, Script};
use crate::commands::dossier::export;

/// What verifying the dossiers found.
pub(super) struct Proof {
    /// The first party's dossier.
    pub(super) path: PathBuf,
    pub(super) bytes: usize,
    pub(super) counts: Counts,
    pub(super) outcome: Outcome,
    /// Failed claims of the three unchanged dossiers; there should be none.
    pub(super) failed: Vec<String>,
    /// Claims that the first dossier leaves open and the others do not prove either.
    pub(super) open: Vec<String>,
    pub(super) changed: Changed,
}

/// What verifying the changed copy found.
pub(super) struct Changed {
    pub(super) path: PathBuf,
    /// Which byte was changed, from 0.
    pub(super) offset: usize,
    pub(super) before: String,
    pub(super) after: String,
    /// Whether the copy was rejected.
    pub(super) rejected: bool,
    /// The entries that failed claims are about.
    pub(super) entries: BTreeSet<String>,
    /// The failed claims.
    pub(super) failed: Vec<Claim>,
}

/// Exports the dialogue as each party holds it and verifies that against the three invitations.
/// The first one is changed, too.
pub(super) async fn prove(cast: &Cast, script: &Script, dialogue: &str, dir: &Path) -> anyhow::Result<Proof> {
    let mut paths = Vec::new();
    for party in Party::ALL {
        let path = dir.join(format!("{}.dossier", party.key()));
        export(cast.client(party)?, dialogue, true, &path).await?;
        paths.push(path);
    }
    let anchors = Party::ALL
        .into_iter()
        .map(|p| Ok(Anchor::from(cast.actor(p)?.invitation.fingerprint())))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let text = script.step(&script.flip.step)?.text(Language::En).to_owned();
    let flip = script.flip.clone();
    tokio::task::spawn_blocking(move || judge(&paths, &anchors, &text, &flip)).await?
}

fn judge(paths: &[PathBuf], anchors: &[Anchor], text: &str, flip: &Flip) -> anyhow::Result<Proof> {
    let mut verdicts = Vec::new();
    for path in paths {
        let file = std::fs::File::open(path)?;
        verdicts.push(verify(std::io::BufReader::new(file), anchors, &Limits::default()));
    }
    let failed = verdicts.iter().flat_map(failed).map(|c| c.id.clone()).collect();
    let (path, first) = paths.first().zip(verdicts.first()).context("there is no dossier")?;
    let elsewhere = |id: &str| verdicts.iter().any(|v| v.claim(id).is_some_and(Claim::is_proved));
    let open =
        first.claims.iter().filter(|c| !c.is_proved() && !elsewhere(&c.id)).map(|c| c.id.clone()).collect();
    let content = std::fs::read(path)?;
    Ok(Proof {
        path: path.clone(),
        bytes: content.len(),
        counts: first.counts(),
        outcome: first.outcome(),
        failed,
        open,
        changed: change(content, text, flip, path, anchors)?,
    })
}

fn failed(verdict: &Verdict) -> impl Iterator<Item = &Claim> {
    verdict.claims.iter().filter(|c| c.is_failed())
}

fn change(
    mut content: Vec<u8>,
    text: &str,
    flip: &Flip,
    path: &Path,
    anchors: &[Anchor],
) -> anyhow::Result<Changed> {
    // As it stands in the entry's canonical JSON.
    let quoted = serde_json::to_string(text)?;
    let at = only(&content, quoted.as_bytes()).context("the text stands not exactly once in the dossier")?;
    let inside = quoted.find(&flip.digits).context("the digits are not in the text")?;
    let offset = at + inside;
    let byte = content.get_mut(offset).context("the dossier is shorter")?;
    *byte ^= 1;
    let changed = char::from(*byte);
    let rest: String = flip.digits.chars().skip(1).collect();
    let verdict = verify(content.as_slice(), anchors, &Limits::default());
    let path = path.with_extension("changed.dossier");
    std::fs::write(&path, &content)?;
    let failed: Vec<Claim> = failed(&verdict).cloned().collect();
    ensure!(changed.is_ascii_digit(), "the changed byte is no digit");
    let entries = failed
        .iter()
        .filter_map(|c| match &c.subject {
            Subject::Entry(id) => Some(id.to_string()),
            _ => None,
        })
        .collect();
    Ok(Changed {
        path,
        offset,
        before: flip.digits.clone(),
        after: format!("{changed}{rest}"),
        rejected: verdict.outcome() == Outcome::Failed,
        entries,
        failed,
    })
}

/// Where `needle` stands, if it stands there exactly once.
fn only(content: &[u8], needle: &[u8]) -> Option<usize> {
    let mut found = content.windows(needle.len()).enumerate().filter(|(_, w)| *w == needle);
    let (at, _) = found.next()?;
    found.next().is_none().then_some(at)
}

/// Why a claim failed.
pub(super) fn why(claim: &Claim) -> &str {
    match &claim.status {
        Status::Failed { why } => why,
        Status::Proved | Status::Unproved { .. } => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_only_when_it_stands_there_once() {
        for (content, expected) in [("abcabd", None), ("xxabd", Some(2)), ("", None), ("ab", Some(0))] {
            assert_eq!(only(content.as_bytes(), b"ab"), expected, "{content}");
        }
    }
}
