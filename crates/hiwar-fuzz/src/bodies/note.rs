//! Signed notes, verifier keys and checkpoints.

use hiwar_trust::checkpoint::{Checkpoint, SignedCheckpoint};
use hiwar_trust::key::{KeyHolder as _, SoftwareKey};
use hiwar_trust::note::{MAX_NOTE_BYTES, MAX_SIGNATURES, Note, SignatureKind, VerifierKey};

use super::{answered, text};
use crate::sample;

/// A note. Whatever is accepted prints as it was, and a signature added to it verifies.
pub fn note(data: &[u8]) {
    let read = Note::parse(data);
    answered(&read);
    let Ok(mut note) = read else { return };
    assert_eq!(note.to_string().as_bytes(), data, "read and printed differently");
    assert!(data.len() <= MAX_NOTE_BYTES && (1..=MAX_SIGNATURES).contains(&note.signatures().len()));
    assert!(note.text().ends_with('\n'));
    let (name, key) = (sample::key_name("fuzz.example/key"), signer());
    assert!(note.verify(&name, key.public_key()).is_err(), "signed by a key that nobody has used");
    let Ok(signed) = Note::sign(note.text(), &name, key) else { return };
    if signed.signatures().iter().cloned().try_for_each(|line| note.add(line)).is_ok() {
        assert_eq!(note.verify(&name, key.public_key()), Ok(()));
        assert_eq!(Note::parse(note.to_string().as_bytes()), Ok(note));
    }
}

fn signer() -> &'static SoftwareKey {
    static KEY: std::sync::LazyLock<SoftwareKey> = std::sync::LazyLock::new(|| sample::software_key(77));
    &KEY
}

/// Valid notes.
pub fn note_seeds() -> Vec<Vec<u8>> {
    let name = sample::key_name("example.com/log");
    let plain = Note::sign("text\n\nwith a gap, — a dash and 합의\n", &name, &sample::software_key(1));
    let plain = plain.map(|note| note.to_string().into_bytes());
    let mut seeds: Vec<Vec<u8>> = plain.into_iter().collect();
    seeds.push(sample::signed_checkpoint(0, 5).into());
    seeds.push(sample::receipt(2).note.into());
    seeds
}

/// A verifier key.
pub fn verifier_key(data: &[u8]) {
    let Some(given) = text(data) else { return };
    let read = given.parse::<VerifierKey>();
    answered(&read);
    if let Ok(key) = read {
        assert_eq!(key.to_string(), given, "read and printed differently");
    }
}

/// Valid verifier keys.
pub fn verifier_key_seeds() -> Vec<Vec<u8>> {
    [SignatureKind::Note, SignatureKind::Cosignature]
        .map(|kind| {
            let (name, key) =
                (sample::key_name("example.com/log"), sample::software_key(1).public_key().clone());
            VerifierKey { name, kind, key }.to_string().into()
        })
        .into()
}

/// A signed checkpoint.
pub fn checkpoint(data: &[u8]) {
    let read = SignedCheckpoint::parse(data);
    answered(&read);
    let Ok(signed) = read else { return };
    assert_eq!(signed.to_string().as_bytes(), data, "read and printed differently");
    let checkpoint = signed.checkpoint();
    assert_eq!(checkpoint.to_string(), signed.note().text(), "the checkpoint is not what was signed");
    assert_eq!(checkpoint.to_string().parse::<Checkpoint>().as_ref(), Ok(checkpoint));
    let name = sample::key_name(sample::PARTICIPANTS[0]);
    answered(&signed.verify(&name, sample::node_key(0).public_key()));
    let witness = sample::key_name("did:web:witness.example");
    let seen = signed.verify_cosignature(&witness, sample::software_key(99).public_key());
    answered(&seen);
    assert!(seen.is_err() || checkpoint == &sample::checkpoint(0, checkpoint.size().min(64)), "forged");
}

/// Valid signed checkpoints, with a cosignature and with extensions.
pub fn checkpoint_seeds() -> Vec<Vec<u8>> {
    let name = sample::key_name(sample::PARTICIPANTS[0]);
    let extended = sample::checkpoint(0, 5)
        .with_extension("an extension line")
        .and_then(|extended| Ok(extended.sign(&name, &sample::node_key(0))?.to_string().into_bytes()));
    let mut seeds: Vec<Vec<u8>> = extended.into_iter().collect();
    seeds.extend([0, 1, 9].map(|size| sample::signed_checkpoint(0, size).into()));
    seeds
}
