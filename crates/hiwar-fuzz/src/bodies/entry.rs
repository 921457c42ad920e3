//! Entries and their envelopes.

use hiwar_dialogue::entry::{Entry, EntryId, SignedEntry};
use hiwar_dialogue::limits;
use hiwar_trust::hash::Hash;
use hiwar_trust::key::KeyHolder as _;

use serde_json::Value;

use super::answered;
use crate::sample;

/// The content of an entry. What was understood of it must be an acceptable entry of its own.
pub fn entry(data: &[u8]) {
    let read = Entry::parse(data);
    answered(&read);
    let Ok(entry) = read else { return };
    assert!(data.len() <= limits::ENTRY_BYTES_MAX);
    assert!(entry.prev.len() <= limits::PREV_MAX && entry.attachments.len() <= limits::ATTACHMENTS_MAX);
    let canonical = entry.canonical();
    let again = canonical.as_ref().map(|bytes| Entry::parse(bytes));
    assert_eq!(again, Ok(Ok(entry.clone())), "written and read differently");
    let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let understood = canonical.as_ref().map(|bytes| value(bytes)).unwrap_or_default();
    assert!(is_part_of(&understood, &value(data)), "{understood} does not stand in the content");
    // What is left out are members this version does not know, never anything it adds.
    assert!(canonical.is_ok_and(|bytes| bytes.len() <= data.len()), "longer than what was read");
    for file in &entry.attachments {
        let plain = !file.name.contains(['/', '\\', '\0']) && file.name != ".." && file.name != ".";
        assert!(plain, "{:?} leaves its folder", file.name);
    }
}

/// Whether all that `part` says stands in `whole` as well, at the same place in the same form.
fn is_part_of(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, member)| whole.get(name).is_some_and(|found| is_part_of(member, found)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(part, whole)| is_part_of(part, whole))
        }
        (part, whole) => part == whole,
    }
}

/// One valid content of every type.
pub fn entry_seeds() -> Vec<Vec<u8>> {
    sample::entries().iter().map(|signed| signed.content.to_vec()).collect()
}

/// An envelope, as it travels.
pub fn envelope(data: &[u8]) {
    let read = SignedEntry::parse_envelope(data);
    answered(&read);
    let Ok(signed) = read else { return };
    assert_eq!(data.first(), Some(&b'{'), "an envelope in another form");
    assert_eq!(signed.id, EntryId(Hash::of(&signed.content)));
    let mut written = Vec::new();
    signed.write_envelope(&mut written);
    assert_eq!(SignedEntry::parse_envelope(&written).as_ref(), Ok(&signed), "written and read differently");
    assert!(written.len() <= signed.content.len() + 512);
    let verified = signed.verify(sample::organisation_key(0).public_key());
    answered(&verified);
    let genuine = || sample::entries().into_iter().any(|known| known.content == signed.content);
    assert!(verified.is_err() || genuine(), "a forged entry verifies");
}

/// One valid envelope of every type.
pub fn envelope_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for signed in sample::entries() {
        let mut envelope = Vec::new();
        signed.write_envelope(&mut envelope);
        seeds.push(envelope);
    }
    seeds
}
