//! Checkpoints: the signed heads of a log (C2SP tlog-checkpoint), and the cosignatures by which
//! others say that they saw the same log (C2SP tlog-cosignature, `cosignature/v1`).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::hash::Hash;
use crate::key::{KeyHolder, PublicKey};
use crate::note::{KeyName, Note, NoteError, NoteSignature, SignatureKind, sign_message, verify_message};

/// The head of a log: which log, how many entries, and the Merkle root over them.
///
/// Written as the text that is signed: lines for origin, size in decimal and root in base64,
/// then any extension lines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    extensions: Vec<String>,
}

/// A note whose text is a checkpoint. Reading one verifies no signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    note: Note,
    checkpoint: Checkpoint,
}

/// Why a text is no checkpoint, or a signed one was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The origin or an extension is no single line.
    #[error(
        "{line:?} cannot be a line of a checkpoint; write one line, not empty, without control characters"
    )]
    BadLine {
        /// The line as given, cut to 80 characters.
        line: String,
    },
    /// The text has too few lines, or its last line is cut off.
    #[error("the text is no checkpoint; it has lines for origin, size and root, each ending in a newline")]
    MissingLine,
    /// The second line is no size.
    #[error("{line:?} is no log size; write a decimal number below 2^64 without leading zeros")]
    BadSize {
        /// The line as given, cut to 80 characters.
        line: String,
    },
    /// The third line is no root.
    #[error("{line:?} is no root hash; write the base64 of 32 bytes")]
    BadRoot {
        /// The line as given, cut to 80 characters.
        line: String,
    },
    /// The time of a cosignature cannot be written.
    #[error("{time_seconds} is no time for a cosignature; give seconds since 1970, below 2^63")]
    BadTime {
        /// Seconds since the Unix epoch.
        time_seconds: u64,
    },
    /// The note around the checkpoint was refused.
    #[error(transparent)]
    Note(#[from] NoteError),
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Checks that `line` can be one line of a checkpoint.
fn line(line: &str) -> Result<String, CheckpointError> {
    if line.is_empty() || line.contains(|c| c < ' ') {
        return Err(CheckpointError::BadLine { line: cut(line) });
    }
    Ok(line.to_owned())
}

impl Checkpoint {
    /// The head of the log that calls itself `origin`, with `size` entries and `root` over them.
    ///
    /// # Errors
    /// [`CheckpointError::BadLine`] when the origin is no single line.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        Ok(Self { origin: line(origin)?, size, root, extensions: Vec::new() })
    }

    /// This checkpoint with one more extension line. Cosigners sign extensions unread.
    ///
    /// # Errors
    /// [`CheckpointError::BadLine`] when the extension is no single line.
    pub fn with_extension(mut self, extension: &str) -> Result<Self, CheckpointError> {
        self.extensions.push(line(extension)?);
        Ok(self)
    }

    /// What the log calls itself.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of entries in the log.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The Merkle root over the entries.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The extension lines, mostly none.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// Signs this checkpoint as its log. A log signs a head only when it extends every head that
    /// it signed before; `name` should be the origin.
    ///
    /// # Errors
    /// A [`NoteError`] when the note would be too large or the key holder does not sign.
    pub fn sign(&self, name: &KeyName, key: &dyn KeyHolder) -> Result<Note, NoteError> {
        Note::sign(&self.to_string(), name, key)
    }

    /// States that at `time_seconds` after the Unix epoch this was the largest head of its log that
    /// the cosigner had seen, and that it extends all earlier ones. One key serves one cosigner
    /// only: the name is not part of what is signed.
    ///
    /// # Errors
    /// [`CheckpointError::BadTime`] for a time of 2^63 or later, [`CheckpointError::Note`] when
    /// the key holder does not sign.
    pub fn cosign(
        &self,
        name: &KeyName,
        key: &dyn KeyHolder,
        time_seconds: u64,
    ) -> Result<NoteSignature, CheckpointError> {
        let message = cosigned_message(&self.to_string(), checked_time(time_seconds)?);
        let signature = sign_message(message.as_bytes(), name, key)?;
        let blob = [&time_seconds.to_be_bytes(), signature.as_bytes().as_slice()].concat();
        Ok(NoteSignature::new(name, SignatureKind::Cosignature, key.public_key(), &blob))
    }
}

/// Cosignatures carry times below 2^63 seconds.
fn checked_time(time_seconds: u64) -> Result<u64, CheckpointError> {
    match i64::try_from(time_seconds) {
        Ok(_) => Ok(time_seconds),
        Err(_) => Err(CheckpointError::BadTime { time_seconds }),
    }
}

fn cosigned_message(text: &str, time_seconds: u64) -> String {
    format!("cosignature/v1\ntime {time_seconds}\n{text}")
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, BASE64.encode(self.root.0))?;
        self.extensions.iter().try_for_each(|extension| writeln!(f, "{extension}"))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    /// Reads exactly the form that `Display` writes, so that a checkpoint has one text.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::MissingLine)?.split('\n');
        let mut next = || lines.next().ok_or(CheckpointError::MissingLine);
        let (origin, size, root) = (next()?, next()?, next()?);
        let size = size
            .parse()
            .ok()
            .filter(|number: &u64| number.to_string() == size)
            .ok_or_else(|| CheckpointError::BadSize { line: cut(size) })?;
        let root = BASE64
            .decode(root)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Hash)
            .ok_or_else(|| CheckpointError::BadRoot { line: cut(root) })?;
        lines.try_fold(Self::new(origin, size, root)?, Self::with_extension)
    }
}

impl SignedCheckpoint {
    /// Reads a signed checkpoint; the inverse of printing it. Verifies no signature.
    ///
    /// # Errors
    /// A [`CheckpointError`] saying what makes it no note or no checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        Note::parse(bytes)?.try_into()
    }

    /// The checkpoint; believe it only after a signature on it verified.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note around the checkpoint.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Adds a signature or cosignature, in place of any by the same key.
    ///
    /// # Errors
    /// A [`NoteError`] when the note carries too much already; it is unchanged then.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        self.note.add(signature)
    }

    /// Verifies that the log with this name and key signed the checkpoint. Whether it is the log
    /// that was asked for is for the caller to compare: see [`Checkpoint::origin`].
    ///
    /// # Errors
    /// As [`Note::verify`].
    pub fn verify(&self, name: &KeyName, key: &PublicKey) -> Result<(), NoteError> {
        self.note.verify(name, key)
    }

    /// Verifies that the cosigner with this name and key cosigned the checkpoint. Returns when, in
    /// seconds since the Unix epoch by the cosigner's clock; the latest of several times.
    ///
    /// # Errors
    /// [`CheckpointError::Note`] when there is no cosignature by the key, or any that is wrong;
    /// [`CheckpointError::BadTime`] when its time is 2^63 or later.
    pub fn verify_cosignature(&self, name: &KeyName, key: &PublicKey) -> Result<u64, CheckpointError> {
        let mut latest = 0;
        for bytes in self.note.signatures_by(name, SignatureKind::Cosignature, key)? {
            let malformed = || NoteError::WrongSignatureLength { name: name.clone(), bytes: bytes.len() };
            let (time, signature) = bytes
                .split_first_chunk()
                .filter(|(_, signature)| signature.len() == 64)
                .ok_or_else(malformed)?;
            let time_seconds = checked_time(u64::from_be_bytes(*time))?;
            let message = cosigned_message(self.note.text(), time_seconds);
            verify_message(message.as_bytes(), name, key, signature)?;
            latest = latest.max(time_seconds);
        }
        Ok(latest)
    }
}

impl TryFrom<Note> for SignedCheckpoint {
    type Error = CheckpointError;

    fn try_from(note: Note) -> Result<Self, CheckpointError> {
        let checkpoint = note.text().parse()?;
        Ok(Self { note, checkpoint })
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.note, f)
    }
}

impl FromStr for SignedCheckpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        Self::parse(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::SoftwareKey;
    use crate::note::VerifierKey;

    /// Source: the public staging log arche2025h1, cosigned by public witnesses on 2026-05-23
    /// (time 0x6a122120); the lines of the log's Ed25519 key and of one witness.
    const ARCHE: &str = "arche2025h1.staging.ct.transparency.dev\n\
        1432088532\n\
        U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n\
        \n\
        — arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=\n\
        — remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==\n";
    /// Source: the published verifier keys of the log and of the witness in `ARCHE`.
    const ARCHE_KEY: &str =
        "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
    const REMORA: &str = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";
    /// Source: the Go checksum database and its published verifier key.
    const SUM_DB: &str = "go.sum database tree\n\
        35225469\n\
        vt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n\
        \n\
        — sum.golang.org Az3grpukl5AXaVfYkLiDGORx/DN2nlcS5kZHR5uYOBV2KA2HgXpD+gu9HHONebHLAyaKbbTM75QTtPydhKCExixSfwQ=\n";
    const SUM_DB_KEY: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    /// Source: the example of C2SP tlog-cosignature; its public keys are not given.
    const SOFA: &str = "example.com/behind-the-sofa\n\
        20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
        \n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

    fn key(text: &str) -> VerifierKey {
        text.parse().expect("the verifier key is well formed")
    }

    fn name(text: &str) -> KeyName {
        text.parse().expect("the name is well formed")
    }

    fn signed(text: &str) -> SignedCheckpoint {
        text.parse().expect("the signed checkpoint is well formed")
    }

    #[test]
    fn published_checkpoints_read_verify_and_print() {
        for (text, origin, size) in [
            (ARCHE, "arche2025h1.staging.ct.transparency.dev", 1_432_088_532),
            (SUM_DB, "go.sum database tree", 35_225_469),
            (SOFA, "example.com/behind-the-sofa", 20_852_163),
        ] {
            let found = signed(text);
            assert_eq!((found.checkpoint().origin(), found.checkpoint().size()), (origin, size));
            assert_eq!(found.to_string(), text);
        }
        for (text, log) in [(SUM_DB, key(SUM_DB_KEY)), (ARCHE, key(ARCHE_KEY))] {
            assert_eq!(signed(text).verify(&log.name, &log.key), Ok(()));
        }
    }

    /// Source: `ARCHE`, whose cosignature carries the time 0x6a122120; `SOFA`, whose cosignature
    /// carries the time 1679315147 as the specification prints it.
    #[test]
    fn published_cosignatures_verify_and_give_their_time() {
        let witness = key(REMORA);
        assert_eq!(witness.kind, SignatureKind::Cosignature);
        assert_eq!(signed(ARCHE).verify_cosignature(&witness.name, &witness.key), Ok(0x6a12_2120));
        let sofa = signed(SOFA);
        let (time, _) = sofa.note().signatures()[1].as_bytes().split_first_chunk().expect("a time leads");
        assert_eq!(u64::from_be_bytes(*time), 1_679_315_147);
    }

    #[test]
    fn a_cosignature_covers_text_and_time_and_is_no_signature() {
        let witness = key(REMORA);
        for (from, to) in [
            ("1432088532", "1432088533"),
            ("U7WM79", "U7WM78"),
            ("4Ro=\n", "4Ro=\nextension\n"),
            ("AABqEiEg", "AABqEiEh"),
        ] {
            let changed = signed(&ARCHE.replacen(from, to, 1));
            let refused = changed.verify_cosignature(&witness.name, &witness.key);
            assert!(matches!(refused, Err(CheckpointError::Note(NoteError::Key { .. }))), "{from}");
        }
        let refused = signed(ARCHE).verify(&witness.name, &witness.key);
        assert!(matches!(refused, Err(NoteError::NotSigned { .. })));
        let log = key(SUM_DB_KEY);
        let refused = signed(SUM_DB).verify_cosignature(&log.name, &log.key);
        assert!(matches!(refused, Err(CheckpointError::Note(NoteError::NotSigned { .. }))));
    }

    #[test]
    fn a_signed_and_cosigned_checkpoint_verifies() {
        let (log, witness) = (SoftwareKey::from_seed(&[1; 32]), SoftwareKey::from_seed(&[2; 32]));
        let (log_name, witness_name) = (name("log.example/a"), name("witness.example/w"));
        let checkpoint = Checkpoint::new("log.example/a", 0, Hash::of(b"")).expect("the origin is a line");
        let note = checkpoint.sign(&log_name, &log).expect("a software key signs");
        let mut signed = SignedCheckpoint::try_from(note).expect("the text is a checkpoint");
        for time_seconds in [7, 5] {
            let line =
                checkpoint.cosign(&witness_name, &witness, time_seconds).expect("a software key signs");
            assert_eq!(line.to_string().parse(), Ok(line.clone()));
            assert_eq!(signed.add(line), Ok(()));
            assert_eq!(signed.verify_cosignature(&witness_name, witness.public_key()), Ok(time_seconds));
        }
        assert_eq!(signed.note().signatures().len(), 2);
        assert_eq!(signed.verify(&log_name, log.public_key()), Ok(()));
        assert!(signed.verify(&log_name, witness.public_key()).is_err());
        let late = checkpoint.cosign(&witness_name, &witness, 1 << 63);
        assert_eq!(late, Err(CheckpointError::BadTime { time_seconds: 1 << 63 }));
    }

    #[test]
    fn a_cosignature_with_a_time_no_clock_reaches_is_refused() {
        let (name, witness) = (name("witness.example/w"), SoftwareKey::from_seed(&[2; 32]));
        let mut late = signed(SUM_DB);
        let message = cosigned_message(late.note().text(), 1 << 63);
        let signature = witness.sign(message.as_bytes()).expect("a software key signs");
        let blob = [&(1_u64 << 63).to_be_bytes(), signature.as_bytes().as_slice()].concat();
        let line = NoteSignature::new(&name, SignatureKind::Cosignature, witness.public_key(), &blob);
        assert_eq!(late.add(line), Ok(()));
        let refused = late.verify_cosignature(&name, witness.public_key());
        assert_eq!(refused, Err(CheckpointError::BadTime { time_seconds: 1 << 63 }));
    }

    #[test]
    fn a_cosignature_of_another_length_is_refused() {
        let witness = key(REMORA);
        for length in [1, 7, 8, 71, 73] {
            let mut short = signed(SUM_DB);
            let bytes = vec![0; length];
            let line = NoteSignature::new(&witness.name, SignatureKind::Cosignature, &witness.key, &bytes);
            assert_eq!(short.add(line), Ok(()));
            let refused = short.verify_cosignature(&witness.name, &witness.key);
            let expected = NoteError::WrongSignatureLength { name: witness.name.clone(), bytes: length };
            assert_eq!(refused, Err(CheckpointError::Note(expected)), "{length}");
        }
    }

    /// Source: the malformed checkpoints of the Go checksum database's and the transparency-dev
    /// formats' tests, and the rules of C2SP tlog-checkpoint, section "Note text".
    #[test]
    fn malformed_checkpoints_are_refused() {
        let root = "TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=";
        let right = format!("example.com/log\n123456789012\n{root}\n");
        assert_eq!(right.parse::<Checkpoint>().expect("it is well formed").size(), 123_456_789_012);
        for text in [
            String::new(),
            "\n".to_owned(),
            "example.com/log\n9944\n".to_owned(),
            format!("\n9944\n{root}\n"),
            format!("example.com/log\n9944\n{root}"),
            format!("example.com/log\nbananas\n{root}\n"),
            format!("example.com/log\n\n{root}\n"),
            format!("example.com/log\n-34\n{root}\n"),
            format!("example.com/log\n+34\n{root}\n"),
            format!("example.com/log\n034\n{root}\n"),
            format!("example.com/log\n00\n{root}\n"),
            format!("example.com/log\n 34\n{root}\n"),
            format!("example.com/log\n0xabcdef\n{root}\n"),
            format!("example.com/log\n18446744073709551616\n{root}\n"),
            "example.com/log\n123\nYmFuYW5hcw==\n".to_owned(),
            "example.com/log\n123\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBTOOBIG=\n".to_owned(),
            "example.com/log\n123\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0\n".to_owned(),
            "example.com/log\n123\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb1=\n".to_owned(),
            format!("{right}\n"),
            format!("{right}extension\n\n"),
            format!("{right}\u{7}\n"),
        ] {
            assert!(text.parse::<Checkpoint>().is_err(), "{text:?}");
        }
        for origin in ["", "a\nb", "a\tb"] {
            assert!(Checkpoint::new(origin, 0, Hash::of(b"")).is_err(), "{origin:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_printed_checkpoint_reads_back_as_itself(
            origin in "[^\\x00-\\x1f]{1,20}",
            size in any::<u64>(),
            root in any::<[u8; 32]>(),
            extensions in prop::collection::vec("[^\\x00-\\x1f]{1,20}", 0..3),
            seed in any::<[u8; 32]>(),
        ) {
            let plain = Checkpoint::new(&origin, size, Hash(root)).expect("the origin is a line");
            let checkpoint = extensions
                .iter()
                .try_fold(plain, |checkpoint, extension| checkpoint.with_extension(extension))
                .expect("the extensions are lines");
            prop_assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint.clone()));
            let note = checkpoint.sign(&name("k"), &SoftwareKey::from_seed(&seed)).expect("a software key signs");
            let read = signed(&note.to_string());
            prop_assert_eq!(read.checkpoint(), &checkpoint);
        }
    }
}
