//! Replacing keys: the next card is made, signed by the old and the new organisation key, made
//! durable, and told to all peers with the next batch.
//!
//! The new key is written to its own file first and moved into place after the card is durable. A
//! node that is killed between the two finds both files at its next start and finishes.

use std::sync::Arc;

use hiwar_dialogue::engine::{EngineError, Keys};
use hiwar_trust::identity::{Card, LogContinuation, RevokedKey};
use hiwar_trust::key::KeyHolder as _;
use hiwar_trust::time::Timestamp;

use crate::cards;
use crate::clock::now;
use crate::folder::{self, FolderError, NEXT_ORGANISATION_KEY};
use crate::node::Shared;
use crate::writer::WriterError;

/// That the old key may be in wrong hands.
#[derive(Clone, Debug)]
pub(crate) struct Revocation {
    pub(crate) since: Timestamp,
    pub(crate) reason: String,
}

/// Why keys could not be replaced; the old ones stay in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// A key file could not be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The card could not be kept.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// The card could not be made.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The card that follows the newest one, unchanged but for its place in the chain.
async fn following(shared: &Shared) -> Result<Card, WriterError> {
    let time = shared.writer.query(|engine, _| engine.card_time(now())).await?;
    let identity = shared.identity();
    let latest = identity.latest().clone();
    Ok(Card {
        sequence: latest.sequence + 1,
        previous: Some(identity.latest_hash()),
        time,
        log_continues: None,
        ..latest
    })
}

/// Brings a new organisation key into force.
pub(crate) async fn rotate(
    shared: &Arc<Shared>,
    revocation: Option<Revocation>,
) -> Result<Card, RotationError> {
    // One at a time: a second rotation would overwrite the first one's new key before it is in place.
    let _one = shared.rotating.lock().await;
    let old = shared.keys();
    let new = folder::new_key()?;
    let next = shared.dir.join(NEXT_ORGANISATION_KEY);
    folder::write_key(&next, &new, shared.passphrase())?;
    let mut card = following(shared).await?;
    card.organisation_key = new.public_key().clone();
    if let Some(Revocation { since, reason }) = revocation {
        card.revoked.push(RevokedKey { key: old.organisation.public_key().id(), since, reason });
    }
    let signed = card.sign(&[&*old.organisation, &new]).map_err(EngineError::from)?;
    let card = signed.card.clone();
    let keys = Keys { organisation: Arc::new(new), node: old.node };
    if let Err(error) = shared.writer.adopt_card(signed, keys.clone()).await {
        // The card was not kept, so its key is of no use; at the latest the next start removes it.
        drop(std::fs::remove_file(&next));
        return Err(error.into());
    }
    shared.set_keys(keys);
    folder::retire_key(&shared.dir)?;
    cards::keep(&shared.dir, shared.identity().cards())?;
    Ok(card)
}

/// Goes on in a new log after the store was restored from a backup.
pub(crate) async fn declare_restore(shared: &Arc<Shared>) -> Result<Card, RotationError> {
    let (number, size, root) = shared
        .writer
        .query(|engine, _| (engine.log().0, engine.log().1.size(), engine.log().1.root()))
        .await?;
    let keys = shared.keys();
    let mut card = following(shared).await?;
    card.log_continues = Some(LogContinuation { origin: card.log_origin.clone(), size, root });
    card.log_origin = folder::log_origin(&shared.did, number + 1);
    let signed = card.sign(&[&*keys.organisation]).map_err(EngineError::from)?;
    let card = signed.card.clone();
    shared.writer.adopt_card(signed, keys).await?;
    cards::keep(&shared.dir, shared.identity().cards())?;
    Ok(card)
}
