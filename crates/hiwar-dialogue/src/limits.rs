//! Every limit on what a stranger may send, in one place. A limit that is crossed is an error that
//! names the limit; nothing is cut off silently.

/// Largest entry content, in bytes of canonical JSON (the size of a Matrix event).
pub const ENTRY_BYTES_MAX: usize = 65_536;
/// Deepest nesting of objects and arrays in an entry.
pub const ENTRY_DEPTH_MAX: usize = 16;
/// Most members and elements in an entry, counted over all levels.
pub const ENTRY_MEMBERS_MAX: usize = 4_096;
/// Most earlier entries one entry links to (the bound Matrix uses for `prev_events`).
pub const PREV_MAX: usize = 20;
/// Most attachments on one entry.
pub const ATTACHMENTS_MAX: usize = 32;
/// Largest attachment: 10 GiB.
pub const ATTACHMENT_BYTES_MAX: u64 = 10 * 1024 * 1024 * 1024;
/// Longest attachment name, in bytes.
pub const ATTACHMENT_NAME_BYTES_MAX: usize = 255;
/// Most languages in which one entry is written.
pub const LANGUAGES_MAX: usize = 16;
/// Most parties in one dialogue.
pub const PARTIES_MAX: usize = 64;
/// Longest name of a desk or arrangement, in bytes.
pub const NAME_BYTES_MAX: usize = 200;
/// Most entries in one batch.
pub const BATCH_ENTRIES_MAX: usize = 512;
/// Largest batch, in bytes.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most entries asked for in one backfill request.
pub const FETCH_IDS_MAX: usize = 256;
/// Most dialogues whose heads travel in one exchange of heads.
pub const HEADS_DIALOGUES_MAX: usize = 1_024;
/// An entry whose claimed time is further than this ahead of the receiver's clock is refused.
pub const FUTURE_MILLIS_MAX: i64 = 24 * 60 * 60 * 1000;
/// Most entries a node waits for at one time per dialogue; more gaps are asked for in turn.
pub const MISSING_MAX: usize = 4_096;
/// Most memberships that may compete to replace the one in force; a desk cannot propose more.
pub const PROPOSALS_MAX: usize = 64;
/// Part of an attachment that travels in one request.
pub const ATTACHMENT_PART_BYTES: u64 = 8 * 1024 * 1024;
