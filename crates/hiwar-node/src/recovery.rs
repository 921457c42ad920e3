//! What the recovery key is for: the next card of a stopped node, signed without the organisation
//! key, which is lost or stolen.
//!
//! As in a rotation, new keys are written to files of their own, then the card becomes durable, then
//! the files take their places. A node that is killed in between is as it was, or its next start
//! finishes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hiwar_dialogue::engine::{Engine, EngineError, Keys};
use hiwar_dialogue::ledger::{Store as _, StoreError};
use hiwar_store::{SqliteReader, SqliteStore, StorageError};
use hiwar_trust::identity::{Card, Identity, IdentityError, SignedCard};
use hiwar_trust::key::{KeyError, KeyHolder, PublicKey, Signature, SoftwareKey};

use crate::cards;
use crate::clock::now;
use crate::config::{Config, ConfigError};
use crate::folder::{self, CERTIFICATE, FolderError, NODE_KEY};
use crate::rotation::{self, Revocation};
use crate::succession::{self, Certificate, NODE, ORGANISATION};

/// What is to be done.
#[derive(Debug)]
pub struct Recovery {
    /// The recovery key that the newest card names.
    pub recovery_key: SoftwareKey,
    /// That the old keys may be in wrong hands.
    pub revocation: Option<Revocation>,
    /// Where a new recovery key is written; the present one stays in force when absent.
    pub new_recovery: Option<PathBuf>,
    /// Whether node key and TLS key are replaced although they are there.
    pub all_keys: bool,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// All cards, the new one last.
    pub identity: Identity,
    /// Whether the node key is new.
    pub node_key: bool,
    /// Whether the TLS key is new.
    pub tls_key: bool,
    /// Whether the card declares a restore as well.
    pub restored: bool,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file is wrong.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The store is wrong, or its node runs.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The card cannot be made.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The key given is another one.
    #[error(
        "this is not the recovery key that card {sequence}, the newest one here, names; find the file that was moved off the machine after `hiwar init` or the last `hiwar key recover --new-recovery`"
    )]
    WrongKey {
        /// The newest card.
        sequence: u64,
    },
    /// There is none.
    #[error(
        "card {sequence} names no recovery key; without the organisation key this node needs a new identifier"
    )]
    NoRecoveryKey {
        /// The newest card.
        sequence: u64,
    },
    /// A card now could contradict one that peers have seen.
    #[error(
        "the node has halted, because its store is older than what it signed: {0}; put the newer store back, or run `hiwar backup declare-restore DIR`, then this again"
    )]
    Halted(String),
    /// A file is in the way.
    #[error(
        "{0} is there already, and nothing is overwritten; name another file for the new recovery key, or delete this one when it was left by a recovery that was cut off"
    )]
    InTheWay(PathBuf),
    /// A key file that is to stay in force is another one.
    #[error(
        "the {which} key in {path} is not the one that card {sequence}, the newest one here, names; put the right file back, or replace it as well with --all-keys"
    )]
    WrongFile {
        /// Which key.
        which: &'static str,
        /// The file.
        path: PathBuf,
        /// The newest card.
        sequence: u64,
    },
}

/// Stands for a private key that is not here: nothing can be signed with it.
struct Absent(PublicKey);

impl KeyHolder for Absent {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn sign(&self, _: &[u8]) -> Result<Signature, KeyError> {
        Err(KeyError::SigningFailed { reason: "the key is not here".into() })
    }
}

/// New keys that are about to take over.
struct Fresh {
    organisation: Arc<SoftwareKey>,
    node: Option<Arc<SoftwareKey>>,
    certificate: Option<Certificate>,
    recovery: Option<SoftwareKey>,
}

/// Brings a new organisation key into force on the stopped node in `dir`, and whatever else is
/// asked for or missing.
///
/// # Errors
/// When the node runs, the recovery key is another one, or something cannot be written. Until the
/// card is durable the node stays as it was.
pub fn recover(
    dir: &Path,
    passphrase: Option<&[u8]>,
    recovery: Recovery,
) -> Result<Recovered, RecoveryError> {
    let config = Config::read(dir)?;
    let database = dir.join(hiwar_store::DATABASE_FILE);
    if !database.exists() {
        return Err(FolderError::NoStore(database).into());
    }
    let mut store = SqliteStore::open(dir)?;
    folder::make_keys_folder(dir)?;
    let restored = folder::is_marked_restored(dir);
    cards::recall(dir, &mut store, restored)?;
    let identity = own_cards(dir, restored)?;
    succession::finish(dir, passphrase, identity.latest())?;
    must_fit(&recovery, &identity)?;
    let fresh = fresh_keys(dir, &config, &recovery, identity.latest())?;
    let mut engine = load(&config, &store, &identity)?;
    let (card, keys) = next_card(dir, passphrase, &recovery, &fresh, &engine, restored)?;
    prepare(dir, passphrase, &recovery, &fresh)?;
    engine.adopt_card(card, keys)?;
    store.apply(&engine.take_changes())?;
    store.commit()?;
    put_in_force(dir, &fresh)?;
    cards::keep(dir, engine.identity().cards())?;
    if restored {
        folder::clear_restored(dir)?;
    }
    Ok(Recovered {
        identity: Identity::clone(engine.identity()),
        node_key: fresh.node.is_some(),
        tls_key: fresh.certificate.is_some(),
        restored,
    })
}

/// The chain that goes on.
fn own_cards(dir: &Path, restored: bool) -> Result<Identity, RecoveryError> {
    let own = SqliteReader::open(dir)?.own()?.ok_or(EngineError::NoIdentity)?;
    match own.halted {
        Some(why) if !restored => Err(RecoveryError::Halted(why)),
        _ => Ok(Identity::verify(own.cards).map_err(EngineError::from)?),
    }
}

fn must_fit(recovery: &Recovery, identity: &Identity) -> Result<(), RecoveryError> {
    let latest = identity.latest();
    match &latest.recovery_key {
        None => return Err(RecoveryError::NoRecoveryKey { sequence: latest.sequence }),
        Some(named) if named != recovery.recovery_key.public_key() => {
            return Err(RecoveryError::WrongKey { sequence: latest.sequence });
        }
        Some(_) => {}
    }
    match &recovery.new_recovery {
        Some(path) if path.exists() => Err(RecoveryError::InTheWay(path.clone())),
        _ => Ok(()),
    }
}

fn fresh_keys(
    dir: &Path,
    config: &Config,
    recovery: &Recovery,
    latest: &Card,
) -> Result<Fresh, RecoveryError> {
    let needs_node_key = recovery.all_keys || !dir.join(NODE_KEY).exists();
    Ok(Fresh {
        organisation: Arc::new(folder::new_key()?),
        node: if needs_node_key { Some(Arc::new(folder::new_key()?)) } else { None },
        certificate: fresh_certificate(dir, config, recovery, latest)?,
        recovery: if recovery.new_recovery.is_some() { Some(folder::new_key()?) } else { None },
    })
}

/// A new certificate, when peers pin the key of this node's and it is to be replaced or missing.
fn fresh_certificate(
    dir: &Path,
    config: &Config,
    recovery: &Recovery,
    latest: &Card,
) -> Result<Option<Certificate>, RecoveryError> {
    let Some(pinned) = latest.tls_key else { return Ok(None) };
    let current = if recovery.all_keys { None } else { Certificate::current(dir)? };
    match current {
        None => Ok(Some(rotation::new_certificate(config.certificate_host())?)),
        Some(current) if current.public_key_hash()? == pinned => Ok(None),
        Some(_) => {
            let (path, sequence) = (dir.join(CERTIFICATE), latest.sequence);
            Err(RecoveryError::WrongFile { which: "TLS", path, sequence })
        }
    }
}

/// The node key that stays in force.
fn node_key(dir: &Path, passphrase: Option<&[u8]>, latest: &Card) -> Result<SoftwareKey, RecoveryError> {
    let path = dir.join(NODE_KEY);
    let key = folder::read_key(&path, passphrase)?;
    if *key.public_key() == latest.node_key {
        Ok(key)
    } else {
        Err(RecoveryError::WrongFile { which: "node", path, sequence: latest.sequence })
    }
}

/// The engine of a node whose keys are not here.
fn load(config: &Config, store: &SqliteStore, identity: &Identity) -> Result<Engine, RecoveryError> {
    let latest = identity.latest();
    let keys = Keys {
        organisation: Arc::new(Absent(latest.organisation_key.clone())),
        node: Arc::new(Absent(latest.node_key.clone())),
    };
    Ok(Engine::load(config.engine(), keys, store.snapshot()?, store, now())?)
}

/// The card, signed, and the keys it names.
fn next_card(
    dir: &Path,
    passphrase: Option<&[u8]>,
    recovery: &Recovery,
    fresh: &Fresh,
    engine: &Engine,
    restored: bool,
) -> Result<(SignedCard, Keys), RecoveryError> {
    let identity = engine.identity();
    let old = identity.latest();
    let node: Arc<dyn KeyHolder> = match &fresh.node {
        Some(node) => node.clone(),
        None => Arc::new(node_key(dir, passphrase, old)?),
    };
    let mut card = rotation::following(identity, engine.card_time(now()));
    card.organisation_key = fresh.organisation.public_key().clone();
    card.node_key = node.public_key().clone();
    if let Some(certificate) = &fresh.certificate {
        card.tls_key = Some(certificate.public_key_hash()?);
    }
    if let Some(key) = &fresh.recovery {
        card.recovery_key = Some(key.public_key().clone());
    }
    if let Some(revocation) = &recovery.revocation {
        revocation.clone().write_into(&mut card, old.organisation_key.id());
        // Whoever may have the one file may have the other.
        if card.node_key != old.node_key {
            revocation.clone().write_into(&mut card, old.node_key.id());
        }
    }
    if restored {
        let (number, log) = engine.log();
        rotation::begin_new_log(&mut card, number, log);
    }
    let signers: [&dyn KeyHolder; 2] = [&recovery.recovery_key, &*fresh.organisation];
    let signed = card.sign(&signers).map_err(|e: IdentityError| EngineError::from(e))?;
    Ok((signed, Keys { organisation: fresh.organisation.clone(), node }))
}

fn prepare(
    dir: &Path,
    passphrase: Option<&[u8]>,
    recovery: &Recovery,
    fresh: &Fresh,
) -> Result<(), RecoveryError> {
    // The recovery key first: of a card that names one which nobody has there would be no way on.
    if let (Some(path), Some(key)) = (&recovery.new_recovery, &fresh.recovery) {
        folder::write_key(path, key, passphrase)?;
    }
    if let Some(certificate) = &fresh.certificate {
        succession::prepare_certificate(dir, certificate)?;
    }
    if let Some(node) = &fresh.node {
        NODE.prepare(dir, node, passphrase)?;
    }
    ORGANISATION.prepare(dir, &fresh.organisation, passphrase)?;
    Ok(())
}

fn put_in_force(dir: &Path, fresh: &Fresh) -> Result<(), FolderError> {
    if fresh.certificate.is_some() {
        succession::put_certificate_in_force(dir)?;
    }
    if fresh.node.is_some() {
        NODE.put_in_force(dir)?;
    }
    ORGANISATION.put_in_force(dir)
}
