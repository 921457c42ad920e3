//! Replacing keys: the next card is made, signed by the organisation key (by the old and the new one
//! where it is that which changes), made durable, and told to all peers with the next batch.
//!
//! What is new is written to its own file first and moved into place after the card is durable. A
//! node that is killed between the two finds both files at its next start and finishes.

use std::sync::Arc;

use hiwar_dialogue::engine::{EngineError, Keys};
use hiwar_trust::identity::{Card, Identity, LogContinuation, RevokedKey};
use hiwar_trust::key::{KeyHolder, KeyId};
use hiwar_trust::time::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::cards;
use crate::clock::now;
use crate::folder::{self, FolderError};
use crate::node::Shared;
use crate::succession::{self, Certificate, NODE, ORGANISATION, Place};
use crate::tls;
use crate::writer::WriterError;

/// A key that can be replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// Signs entries and cards.
    #[default]
    Organisation,
    /// Signs requests, receipts and checkpoints.
    Node,
    /// Secures connections; peers pin it.
    Tls,
}

/// That a key may be in wrong hands.
#[derive(Clone, Debug)]
pub struct Revocation {
    /// Since when.
    pub since: Timestamp,
    /// Why, for the peers.
    pub reason: String,
}

impl Revocation {
    /// Names `key` as revoked in the card that replaces it.
    pub(crate) fn write_into(self, card: &mut Card, key: KeyId) {
        card.revoked.push(RevokedKey { key, since: self.since, reason: self.reason });
    }
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
    /// TLS is not this node's own.
    #[error(
        "peers do not pin this node's TLS key: its certificate comes from an authority; replace it there, and start the node again if it reads the files itself"
    )]
    NotPinned,
    /// A TLS key signs nothing that would have to be doubted.
    #[error(
        "a TLS key cannot be revoked: it signs nothing that lasts; leave out the time and the reason, the new card alone makes peers refuse it"
    )]
    NotRevocable,
    /// The task was ended.
    #[error("the node is shutting down; look at the newest card after its next start")]
    Stopped,
}

/// The card that follows the newest one, unchanged but for its place in the chain.
pub(crate) fn following(identity: &Identity, time: Timestamp) -> Card {
    let latest = identity.latest().clone();
    Card {
        sequence: latest.sequence + 1,
        previous: Some(identity.latest_hash()),
        time,
        log_continues: None,
        ..latest
    }
}

pub(crate) async fn next_card(shared: &Shared) -> Result<Card, WriterError> {
    let time = shared.writer.query(|engine, _| engine.card_time(now())).await?;
    Ok(following(&shared.identity(), time))
}

/// Signs a card, has it kept, and goes on with `keys`.
pub(crate) async fn adopt(
    shared: &Shared,
    card: Card,
    signers: &[&dyn KeyHolder],
    keys: Keys,
) -> Result<Card, RotationError> {
    let signed = card.sign(signers).map_err(EngineError::from)?;
    let card = signed.card.clone();
    shared.writer.adopt_card(signed, keys.clone()).await?;
    shared.set_keys(keys);
    Ok(card)
}

/// Brings a new key into force. Goes on to the end although whoever asked may not wait for it.
pub(crate) async fn rotate(
    shared: Arc<Shared>,
    which: Which,
    revocation: Option<Revocation>,
) -> Result<Card, RotationError> {
    let task = async move {
        // One at a time: a second rotation would overwrite the first one's new key before it is in place.
        let _one = shared.rotating.lock().await;
        let card = match which {
            Which::Organisation => rotate_organisation_key(&shared, revocation).await,
            Which::Node => rotate_node_key(&shared, revocation).await,
            Which::Tls if revocation.is_some() => Err(RotationError::NotRevocable),
            Which::Tls => rotate_certificate(&shared).await,
        }?;
        cards::keep(&shared.dir, shared.identity().cards())?;
        Ok(card)
    };
    tokio::spawn(task).await.map_err(|_| RotationError::Stopped)?
}

async fn rotate_organisation_key(
    shared: &Shared,
    revocation: Option<Revocation>,
) -> Result<Card, RotationError> {
    let old = shared.keys();
    let new = folder::new_key()?;
    ORGANISATION.prepare(&shared.dir, &new, shared.passphrase())?;
    let mut card = next_card(shared).await?;
    card.organisation_key = new.public_key().clone();
    if let Some(revocation) = revocation {
        revocation.write_into(&mut card, old.organisation.public_key().id());
    }
    let new = Arc::new(new);
    let keys = Keys { organisation: new.clone(), node: old.node };
    let adopted = adopt(shared, card, &[&*old.organisation, &*new], keys).await;
    settle_key(shared, &ORGANISATION, adopted)
}

async fn rotate_node_key(shared: &Shared, revocation: Option<Revocation>) -> Result<Card, RotationError> {
    let old = shared.keys();
    let new = folder::new_key()?;
    NODE.prepare(&shared.dir, &new, shared.passphrase())?;
    let mut card = next_card(shared).await?;
    card.node_key = new.public_key().clone();
    if let Some(revocation) = revocation {
        revocation.write_into(&mut card, old.node.public_key().id());
    }
    let keys = Keys { organisation: old.organisation.clone(), node: Arc::new(new) };
    let adopted = adopt(shared, card, &[&*old.organisation], keys).await;
    settle_key(shared, &NODE, adopted)
}

/// Puts what was prepared in its place, or gives it up when its card was refused. After a failed
/// commit only the next start can tell.
pub(crate) fn settle(
    adopted: Result<Card, RotationError>,
    put_in_force: impl FnOnce(&Card) -> Result<(), FolderError>,
    give_up: impl FnOnce() -> Result<(), FolderError>,
) -> Result<Card, RotationError> {
    match &adopted {
        Ok(card) => put_in_force(card)?,
        Err(RotationError::Engine(_) | RotationError::Writer(WriterError::Engine(_))) => give_up()?,
        Err(_) => {}
    }
    adopted
}

fn settle_key(
    shared: &Shared,
    place: &Place,
    adopted: Result<Card, RotationError>,
) -> Result<Card, RotationError> {
    settle(adopted, |_| place.put_in_force(&shared.dir), || place.give_up(&shared.dir))
}

/// Brings a new TLS key into force. From now on both certificates are shown, each to peers that
/// expect it.
async fn rotate_certificate(shared: &Shared) -> Result<Card, RotationError> {
    if shared.identity().latest().tls_key.is_none() {
        return Err(RotationError::NotPinned);
    }
    let next = new_certificate(shared.config.certificate_host())?;
    succession::prepare_certificate(&shared.dir, &next)?;
    let hash = shared.certificates.add(&next.certificate, &next.key).map_err(FolderError::from)?;
    let mut card = next_card(shared).await?;
    card.tls_key = Some(hash);
    let keys = shared.keys();
    let adopted = adopt(shared, card, &[&*keys.organisation], keys.clone()).await;
    settle(
        adopted,
        |_| {
            shared.certificates.prefer(hash);
            succession::put_certificate_in_force(&shared.dir)
        },
        || {
            shared.certificates.withdraw(hash);
            succession::give_up_certificate(&shared.dir)
        },
    )
}

/// A new certificate for the peers' listener.
pub(crate) fn new_certificate(host: String) -> Result<Certificate, FolderError> {
    let (certificate, key) = tls::new_certificate(&host)?;
    Ok(Certificate { certificate, key: Zeroizing::new(key) })
}

/// Has `card` begin a new log behind one of which there are these leaves.
pub(crate) fn begin_new_log(card: &mut Card, number: u32, log: &hiwar_trust::tiles::LogTail) {
    let origin = card.log_origin.clone();
    card.log_continues = Some(LogContinuation { origin, size: log.size(), root: log.root() });
    card.log_origin = folder::log_origin(&card.did, number + 1);
}

/// Goes on in a new log after the store was restored from a backup.
pub(crate) async fn declare_restore(shared: &Arc<Shared>) -> Result<Card, RotationError> {
    let mut card = next_card(shared).await?;
    let (number, log) = shared.writer.query(|engine, _| (engine.log().0, engine.log().1.clone())).await?;
    begin_new_log(&mut card, number, &log);
    let keys = shared.keys();
    let card = adopt(shared, card, &[&*keys.organisation], keys.clone()).await?;
    cards::keep(&shared.dir, shared.identity().cards())?;
    Ok(card)
}
