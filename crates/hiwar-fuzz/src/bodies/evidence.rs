//! Files that a stranger hands over: invitations and dossiers.

use hiwar_dossier::{DossierContents, DossierEntry, Limits};
use hiwar_trust::identity::Identity;
use hiwar_trust::invitation::Invitation;

use super::answered;
use crate::sample;

/// The most that a dossier may claim here, so that an input costs little time.
const CLAIMS_MAX: usize = 10_000;

/// An invitation: what is accepted prints as a text that reads as the same invitation.
pub fn invitation(data: &[u8]) {
    let read = Invitation::parse(data);
    answered(&read);
    if let Ok(invitation) = read {
        let again = Invitation::parse(invitation.to_string().as_bytes());
        assert_eq!(again.map(|i| i.fingerprint()).ok(), Some(invitation.fingerprint()));
    }
}

/// Valid invitations.
pub fn invitation_seeds() -> Vec<Vec<u8>> {
    let read = |participant| Identity::verify(sample::chain(participant)).ok();
    [0, 1].into_iter().filter_map(read).map(|i| Invitation::new(i).to_string().into_bytes()).collect()
}

/// A dossier: whatever the bytes, there is a verdict; and a verdict that nothing failed is only
/// given for a file that names its dialogue and its exporter.
pub fn dossier(data: &[u8]) {
    let verdict = hiwar_dossier::verify(data, &[], &Limits::default());
    crate::outcome::report(&Ok::<_, String>(verdict.outcome()));
    assert!(verdict.claims.len() <= CLAIMS_MAX, "{} claims from {} bytes", verdict.claims.len(), data.len());
    if verdict.ok() {
        assert!(
            verdict.dialogue.is_some() && verdict.exporter.is_some(),
            "nothing failed, but nothing was said"
        );
    }
}

/// A valid dossier of the sample dialogue.
pub fn dossier_seeds() -> Vec<Vec<u8>> {
    let entries = sample::entries();
    let Some(opening) = entries.first() else { return Vec::new() };
    let contents = DossierContents {
        dialogue: opening.dialogue(),
        title: opening.entry.body.texts().clone(),
        exporter: sample::did(0),
        time: sample::time(90),
        identities: vec![sample::chain(0), sample::chain(1)],
        entries: entries.iter().map(|e| DossierEntry::signed(e, None)).collect(),
        missing: Vec::new(),
        logs: Vec::new(),
        receipts: Vec::new(),
        alarms: Vec::new(),
    };
    let mut bytes = Vec::new();
    match hiwar_dossier::write_sealed(&contents, [], &sample::node_key(0), &mut bytes) {
        Ok(_) => vec![bytes],
        Err(_) => Vec::new(),
    }
}
