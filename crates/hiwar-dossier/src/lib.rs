//! Dossiers: one file that proves what was said in a dialogue, to anyone, years later, without
//! either node and without a network.
//!
//! A dossier is an uncompressed tar archive with a fixed list of members in a fixed order and with
//! one possible header for each, so that every byte of it counts and a changed byte can be
//! attributed to the part it stands in. [`write()`] makes one from plain data; [`verify`] reads one
//! as a stream and returns a [`Verdict`]: a list of [`Claim`]s, each one sentence that is proved,
//! failed, or not proved together with what would prove it.
//!
//! `FORMAT.md` beside this crate's sources describes the file and lists the claims.
//!
//! Nothing here knows of a store, a socket or a clock, and a hostile file can do no more than
//! fail: it is never unpacked, sizes it declares are never believed, and everything it makes the
//! reader remember is bounded by [`Limits`].

mod anchor;
mod claim;
mod container;
mod format;
mod input;
mod render;
mod seal;
mod verify;
mod writer;

pub use anchor::{Anchor, AnchorError};
pub use claim::{Claim, Counts, EntryRow, Known, KnownBy, Outcome, PartyRow, Status, Subject, Verdict};
pub use format::{FORMAT, LogEvidence, LogPlace, Manifest, MemberRecord, ReceiptEvidence, WitnessedState};
pub use render::render_text;
pub use verify::{Limits, verify};
pub use writer::{AttachmentFile, DossierContents, DossierEntry, WriteError, write, write_sealed};
