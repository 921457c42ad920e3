//! What notes, key names and verifier keys accept, sign and refuse.

use proptest::prelude::*;

use super::*;
use crate::key::SoftwareKey;

/// Source: the test vectors of the signed notes of the Go checksum database.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
/// Source: as `PETER`; the type byte and seed of its private key.
const PETER_SEED: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n";
const PETER_LINE: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_LINE: &str = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn key(text: &str) -> VerifierKey {
    text.parse().expect("the verifier key is well formed")
}

fn name(text: &str) -> KeyName {
    text.parse().expect("the name is well formed")
}

fn peter() -> SoftwareKey {
    let seed = BASE64.decode(PETER_SEED).expect("test vector is base64");
    SoftwareKey::from_seed(seed[1..].try_into().expect("a seed has 32 bytes"))
}

/// Source: as `PETER`; Ed25519 signatures are deterministic (RFC 8032 section 5.1.6).
#[test]
fn signing_makes_the_published_note() {
    let note = Note::sign(TEXT, &name("PeterNeumann"), &peter()).expect("a software key signs");
    assert_eq!(note.to_string(), format!("{TEXT}\n{PETER_LINE}"));
    let typed = VerifierKey {
        name: name("PeterNeumann"),
        kind: SignatureKind::Note,
        key: peter().public_key().clone(),
    };
    assert_eq!(typed.to_string(), PETER);
}

/// Source: as `PETER` and `ENOCH`; the example of C2SP signed-note, section "Example".
#[test]
fn published_notes_read_verify_and_print() {
    let foo = key("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k");
    let foo_line = "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    for (text, lines, keys) in [
        (TEXT, PETER_LINE.to_owned(), vec![key(PETER)]),
        (TEXT, format!("{PETER_LINE}{ENOCH_LINE}"), vec![key(PETER), key(ENOCH)]),
        ("This is an example message.\n", foo_line.to_owned(), vec![foo]),
    ] {
        let printed = format!("{text}\n{lines}");
        let note = Note::parse(printed.as_bytes()).expect("the note is well formed");
        assert_eq!(note.text(), text);
        assert_eq!(note.signatures().len(), keys.len());
        assert_eq!(note.to_string(), printed);
        for key in keys {
            assert_eq!(note.verify(&key.name, &key.key), Ok(()));
            assert_eq!(key.to_string().parse(), Ok(key));
        }
    }
}

/// Source: the example of C2SP signed-note with blank lines in its text; its public key is not given.
#[test]
fn the_text_may_contain_blank_lines() {
    let text = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n";
    let line = "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
    let note: Note = format!("{text}\n{line}").parse().expect("the note is well formed");
    assert_eq!(note.text(), text);
    assert_eq!(note.signatures()[0].key_hash(), [0x36, 0x7b, 0xa0, 0x4b]);
}

/// Source: the malformed messages of the Go checksum database's note tests, and the rules of C2SP
/// signed-note, section "Format".
#[test]
fn malformed_notes_are_refused() {
    let unended = PETER_LINE.trim_end();
    let many = PETER_LINE.repeat(MAX_SIGNATURES + 1);
    let large = "x".repeat(MAX_NOTE_BYTES);
    for note in [
        String::new(),
        "\n\n".to_owned(),
        TEXT.to_owned(),
        format!("{TEXT}\n"),
        format!("{TEXT}{PETER_LINE}"),
        format!("{TEXT}\n{unended}"),
        format!("\u{1}{TEXT}\n{PETER_LINE}"),
        format!("{TEXT}\r\n\n{PETER_LINE}"),
        format!("\t{TEXT}\n{PETER_LINE}"),
        format!("{TEXT}\n{PETER_LINE}Unexpected line.\n"),
        format!("{TEXT}\n{PETER_LINE}\n"),
        format!("{TEXT}\n— Bad Name x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXg=\n"),
        format!("{TEXT}\n- PeterNeumann x08go/ZJ\n"),
        format!("{TEXT}\n—PeterNeumann x08go/ZJ\n"),
        format!("{TEXT}\n— PeterNeumann  x08go/ZJ\n"),
        format!("{TEXT}\n— PeterNeumann x08go/ZJ \n"),
        format!("{TEXT}\n— PeterNeumann\n"),
        format!("{TEXT}\n— PeterNeumann \n"),
        format!("{TEXT}\n— PeterNeumann x08gow==\n"),
        format!("{TEXT}\n— PeterNeumann x08go_ZJ\n"),
        format!("{TEXT}\n— PeterNeumann x08go/Y\n"),
        format!("{TEXT}\n— PeterNeumann x08go/Z=\n"),
        format!("{TEXT}\n—  x08go/ZJ\n"),
        format!("{TEXT}\n— Peter+Neumann x08go/ZJ\n"),
        format!("{TEXT}\n{many}"),
        format!("{large}\n\n{PETER_LINE}"),
    ] {
        assert!(note.parse::<Note>().is_err(), "{note:?}");
    }
    let latin1 = [b"\xff", TEXT.as_bytes(), b"\n", PETER_LINE.as_bytes()].concat();
    assert_eq!(Note::parse(&latin1), Err(NoteError::NotUtf8 { at: 0 }));
}

#[test]
fn texts_that_no_note_can_carry_are_not_signed() {
    for text in ["", "no newline", "a tab\t\n", "\r\n", &"x\n".repeat(MAX_NOTE_BYTES / 2)] {
        assert!(Note::sign(text, &name("PeterNeumann"), &peter()).is_err(), "{text:?}");
    }
}

#[test]
fn only_the_key_that_signed_this_text_verifies() {
    let note: Note = format!("{TEXT}\n{PETER_LINE}").parse().expect("the note is well formed");
    let (peter, enoch) = (key(PETER), key(ENOCH));
    assert!(matches!(note.verify(&enoch.name, &enoch.key), Err(NoteError::NotSigned { .. })));
    assert!(matches!(note.verify(&peter.name, &enoch.key), Err(NoteError::NotSigned { .. })));
    assert!(matches!(note.verify(&enoch.name, &peter.key), Err(NoteError::NotSigned { .. })));

    let forged = format!("If only.\n\n{PETER_LINE}").parse::<Note>().expect("the note is well formed");
    assert!(matches!(forged.verify(&peter.name, &peter.key), Err(NoteError::Key { .. })));

    let short =
        format!("{TEXT}\n— PeterNeumann x08go/ZJ\n").parse::<Note>().expect("the note is well formed");
    let refused = short.verify(&peter.name, &peter.key);
    assert!(matches!(refused, Err(NoteError::WrongSignatureLength { bytes: 2, .. })));
}

#[test]
fn one_wrong_signature_by_the_key_spoils_a_right_one() {
    let wrong = PETER_LINE.replace("ZJkuBS", "ZJkuBT");
    let note: Note = format!("{TEXT}\n{PETER_LINE}{wrong}").parse().expect("the note is well formed");
    let peter = key(PETER);
    assert!(matches!(note.verify(&peter.name, &peter.key), Err(NoteError::Key { .. })));
}

#[test]
fn a_signature_replaces_the_earlier_one_by_its_key() {
    let mut note: Note = format!("{TEXT}\n{PETER_LINE}").parse().expect("the note is well formed");
    let enoch: NoteSignature = ENOCH_LINE.trim_end().parse().expect("the line is well formed");
    let peter: NoteSignature = PETER_LINE.trim_end().parse().expect("the line is well formed");
    assert_eq!(note.add(enoch), Ok(()));
    assert_eq!(note.to_string(), format!("{TEXT}\n{PETER_LINE}{ENOCH_LINE}"));
    assert_eq!(note.add(peter), Ok(()));
    assert_eq!(note.to_string(), format!("{TEXT}\n{ENOCH_LINE}{PETER_LINE}"));
    for number in 2..MAX_SIGNATURES {
        let line = format!("— key{number} x08go/ZJ");
        assert_eq!(note.add(line.parse().expect("the line is well formed")), Ok(()));
    }
    let before = note.clone();
    let one_more = "— one-more x08go/ZJ".parse().expect("the line is well formed");
    assert_eq!(note.add(one_more), Err(NoteError::TooManySignatures));
    assert_eq!(note, before);
}

/// Source: the mangled keys of the Go checksum database's note tests.
#[test]
fn every_part_and_every_change_of_a_verifier_key_is_refused() {
    for from in 0..=PETER.len() {
        for to in from..=PETER.len() {
            let part = PETER.get(from..to).expect("the key is ASCII");
            assert_eq!(part.parse::<VerifierKey>().is_ok(), part == PETER, "{part}");
        }
        if from < PETER.len() {
            let mut changed = PETER.as_bytes().to_vec();
            changed[from] += 1;
            let changed = String::from_utf8(changed).expect("the key is ASCII");
            assert!(changed.parse::<VerifierKey>().is_err(), "{changed}");
        }
    }
    for wrong in [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ] {
        assert!(wrong.parse::<VerifierKey>().is_err(), "{wrong}");
    }
}

#[test]
fn key_names_have_no_white_space_control_characters_or_plus() {
    for text in ["", "a b", "a\u{a0}b", "a\u{2003}b", "a\u{85}b", "a+b", "a\nb", "a\u{1}b"] {
        assert!(text.parse::<KeyName>().is_err(), "{text:?}");
    }
    for text in ["a", "example.com/log", "合同会社", "—"] {
        assert_eq!(name(text).to_string(), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_note_reads_back_as_itself(
        text in "([^\\x00-\\x1f]|\n){0,80}\n",
        signers in prop::collection::vec(("[^\\s+\\x00-\\x1f]{1,12}", any::<[u8; 4]>(), prop::collection::vec(any::<u8>(), 1..80)), 1..6),
    ) {
        let signatures = signers
            .into_iter()
            .map(|(name, key_hash, bytes)| NoteSignature { name: KeyName(name), key_hash, bytes })
            .collect();
        let note = Note { text, signatures };
        prop_assert_eq!(Note::parse(note.to_string().as_bytes()), Ok(note));
    }

    #[test]
    fn what_reads_as_a_note_prints_as_itself(text in "(.|\n){0,40}\n?\n?\n?(— ?[a-z+ ]{0,4} [A-Za-z0-9+/=]{0,12}\n){0,3}") {
        if let Ok(note) = text.parse::<Note>() {
            prop_assert_eq!(note.to_string(), text);
        }
    }

    #[test]
    fn signed_notes_verify(text in "[^\\x00-\\x1f]{0,80}\n", seed in any::<[u8; 32]>(), name in "[^\\s+\\x00-\\x1f]{1,12}") {
        let (key, name) = (SoftwareKey::from_seed(&seed), KeyName(name));
        let note = Note::sign(&text, &name, &key).expect("a software key signs");
        prop_assert_eq!(note.verify(&name, key.public_key()), Ok(()));
        let typed = VerifierKey { name, kind: SignatureKind::Cosignature, key: key.public_key().clone() };
        prop_assert_eq!(typed.to_string().parse(), Ok(typed.clone()));
        prop_assert!(note.verify(&typed.name, peter().public_key()).is_err());
    }
}
