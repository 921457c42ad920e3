//! A node's folder: key files, certificate, token; how it is made and read.
//!
//! Secrets are readable by their owner only. A key file that others may read is refused, because
//! whoever could read it may have copied it.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hiwar_dialogue::engine::{Engine, EngineError, Keys};
use hiwar_dialogue::ledger::{Store as _, StoreError};
use hiwar_store::SqliteStore;
use hiwar_trust::did::Did;
use hiwar_trust::identity::{CARD_TYPE, Card, DeliveryMode, SignedCard};
use hiwar_trust::key::{KeyHolder as _, SoftwareKey};
use hiwar_trust::keyfile::{self, KeyFileError};
use zeroize::Zeroizing;

use crate::cards;
use crate::clock::{NoEntropy, now, random};
use crate::config::{CONFIG_FILE, Config, DeliveryConfig, Tls, certificate_host};
use crate::succession;
use crate::tls::{self, TlsError};

/// The organisation key: signs entries and cards.
pub const ORGANISATION_KEY: &str = "keys/organisation.key";
/// A new organisation key that is about to take over.
pub const NEXT_ORGANISATION_KEY: &str = "keys/organisation.key.next";
/// The node key: signs requests, receipts and checkpoints.
pub const NODE_KEY: &str = "keys/node.key";
/// A new node key that is about to take over.
pub const NEXT_NODE_KEY: &str = "keys/node.key.next";
/// The recovery key; belongs in a safe, not on the node.
pub const RECOVERY_KEY: &str = "keys/recovery.key";
/// The certificate made by `init`.
pub const CERTIFICATE: &str = "keys/tls.crt";
/// Its private key.
pub const CERTIFICATE_KEY: &str = "keys/tls.key";
/// A new certificate and its private key, which are about to take over.
pub const NEXT_CERTIFICATE: &str = "keys/tls.next";
/// The operator's token for the local API.
pub const API_TOKEN: &str = "api.token";

/// What is wrong with a node's folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// There is something already.
    #[error("{0} is not empty; choose another folder, a node is never made over an old one")]
    NotEmpty(PathBuf),
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A secret can be read by others.
    #[error(
        "{path} can be read by others (mode {mode:o}); run `chmod 600 {path}`, and replace the key if anybody may have copied it"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A key that cannot be done without is not there.
    #[error(
        "{0} is missing; put the newest copy of the keys folder back; when there is none, `hiwar key recover` goes on with the recovery key"
    )]
    NoKey(PathBuf),
    /// A key file is wrong.
    #[error("{path}: {error}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: KeyFileError,
    },
    /// A key file is locked.
    #[error(
        "{0} is encrypted; give its passphrase with --passphrase-file FILE, or --ask-passphrase on a terminal"
    )]
    Locked(PathBuf),
    /// The file with the node's own cards is wrong.
    #[error("{path}: {problem}; restore the file from a copy of the keys folder")]
    Cards {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The store is gone.
    #[error("{0} is missing; put it back with `hiwar backup restore BACKUP DIR`")]
    NoStore(PathBuf),
    /// A backup of another node.
    #[error("the backup is of {found}, this folder is of {expected}; name the backup of this node")]
    OtherBackup {
        /// Whose backup it is.
        found: Did,
        /// Whose folder it is.
        expected: Did,
    },
    /// The first card cannot be made.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The store cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store cannot be opened.
    #[error(transparent)]
    Storage(#[from] hiwar_store::StorageError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The configuration, or the list of desks' tokens, cannot be read or written.
    #[error("{0}")]
    Config(String),
}

pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> FolderError + '_ {
    |error| FolderError::Io { path: path.to_owned(), error }
}

/// Writes a file that only its owner may read, durably and all or nothing.
///
/// # Errors
/// When it cannot be written.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    replace_file(path, bytes, 0o600)
}

/// Writes a file with this mode, durably and all or nothing.
pub(crate) fn replace_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FolderError> {
    let part = path.with_extension("part");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&part)
        .map_err(io(&part))?;
    // What was left over from a process that was killed may have another mode.
    let written = file.set_permissions(fs::Permissions::from_mode(mode));
    written.and_then(|()| file.write_all(bytes)).and_then(|()| file.sync_all()).map_err(io(&part))?;
    fs::rename(&part, path).map_err(io(path))?;
    sync_parent(path)
}

pub(crate) fn sync_parent(path: &Path) -> Result<(), FolderError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|d| d.sync_all()).map_err(io(parent))
}

/// Reads a secret, refusing one that others may read.
///
/// # Errors
/// When it is absent or exposed.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, FolderError> {
    let mode = fs::metadata(path).map_err(io(path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FolderError::Exposed { path: path.to_owned(), mode });
    }
    Ok(Zeroizing::new(fs::read_to_string(path).map_err(io(path))?))
}

/// Reads a key file.
///
/// # Errors
/// When it is absent, exposed, locked or no Ed25519 key.
pub fn read_key(path: &Path, passphrase: Option<&[u8]>) -> Result<SoftwareKey, FolderError> {
    let pem = read_secret(path)?;
    keyfile::decode(&pem, passphrase).map_err(|error| match error {
        KeyFileError::PassphraseNeeded => FolderError::Locked(path.to_owned()),
        error => FolderError::Key { path: path.to_owned(), error },
    })
}

/// Writes a key file.
///
/// # Errors
/// When it cannot be written.
pub fn write_key(path: &Path, key: &SoftwareKey, passphrase: Option<&[u8]>) -> Result<(), FolderError> {
    let pem = keyfile::encode(key, passphrase, &random()?)
        .map_err(|error| FolderError::Key { path: path.to_owned(), error })?;
    write_secret(path, pem.as_bytes())
}

/// A new key from the operating system's randomness.
///
/// # Errors
/// When there is none.
pub fn new_key() -> Result<SoftwareKey, FolderError> {
    let seed = Zeroizing::new(random::<32>()?);
    Ok(SoftwareKey::from_seed(&seed))
}

/// The keys of the node in `dir`. A rotation that was cut off after its card became durable is
/// brought to its end.
///
/// # Errors
/// When a key file is absent, exposed, locked or wrong.
pub fn read_keys(dir: &Path, passphrase: Option<&[u8]>) -> Result<Keys, FolderError> {
    let own = hiwar_store::SqliteReader::open(dir)?.own()?;
    // Without a record the engine says what is wrong.
    if let Some(newest) = own.as_ref().and_then(|own| own.cards.last()) {
        succession::finish(dir, passphrase, &newest.card)?;
    }
    let read = |name| {
        let path = dir.join(name);
        if path.exists() { read_key(&path, passphrase) } else { Err(FolderError::NoKey(path)) }
    };
    Ok(Keys { organisation: Arc::new(read(ORGANISATION_KEY)?), node: Arc::new(read(NODE_KEY)?) })
}

/// The certificate and key of the peers' listener, as PEM.
///
/// # Errors
/// When a file cannot be read.
pub fn read_certificate(dir: &Path, mode: &Tls) -> Result<(String, Zeroizing<String>), FolderError> {
    let (certificate, key) = match mode {
        Tls::Files { certificate, key } => (dir.join(certificate), dir.join(key)),
        Tls::Pinned | Tls::BehindProxy => (dir.join(CERTIFICATE), dir.join(CERTIFICATE_KEY)),
    };
    Ok((fs::read_to_string(&certificate).map_err(io(&certificate))?, read_secret(&key)?))
}

/// What a new node is to be.
#[derive(Clone, Debug)]
pub struct NewNode {
    /// The participant.
    pub did: Did,
    /// Its name, for people.
    pub name: String,
    /// Where peers connect; absent for a node that accepts no connection.
    pub listen: Option<SocketAddr>,
    /// The address peers are told; made from `listen` when absent.
    pub public_url: Option<String>,
    /// Where desks connect.
    pub api_listen: SocketAddr,
    /// The local address that connections to peers come from; the system's choice when absent.
    pub connect_from: Option<IpAddr>,
    /// Its desks.
    pub desks: Vec<String>,
    /// The radar's store that it mounts, relative to the node's folder.
    pub radar_store: Option<PathBuf>,
    /// How the peers' listener is secured.
    pub tls: Tls,
}

/// Makes a node's folder: keys, certificate, configuration, token and store.
///
/// # Errors
/// When the folder is not empty or something cannot be written. A folder that this call made is
/// removed again then.
pub fn make(dir: &Path, new: &NewNode, passphrase: Option<&[u8]>) -> Result<SignedCard, FolderError> {
    let existed = dir.exists();
    if existed && fs::read_dir(dir).map_err(io(dir))?.next().is_some() {
        return Err(FolderError::NotEmpty(dir.to_owned()));
    }
    let made = fill(dir, new, passphrase);
    if made.is_err() && !existed {
        // What is wrong is reported by the error; that nothing half-made stays is best effort.
        drop(fs::remove_dir_all(dir));
    }
    made
}

fn fill(dir: &Path, new: &NewNode, passphrase: Option<&[u8]>) -> Result<SignedCard, FolderError> {
    make_keys_folder(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(io(dir))?;
    let (organisation, node, recovery) = (new_key()?, new_key()?, new_key()?);
    write_key(&dir.join(ORGANISATION_KEY), &organisation, passphrase)?;
    write_key(&dir.join(NODE_KEY), &node, passphrase)?;
    write_key(&dir.join(RECOVERY_KEY), &recovery, passphrase)?;
    let (certificate, certificate_key) = tls::new_certificate(&certificate_host(new.listen))?;
    let certificate_path = dir.join(CERTIFICATE);
    fs::write(&certificate_path, &certificate).map_err(io(&certificate_path))?;
    write_secret(&dir.join(CERTIFICATE_KEY), certificate_key.as_bytes())?;
    write_secret(&dir.join(API_TOKEN), hex::encode(random::<32>()?).as_bytes())?;
    let config = Config {
        dataspace: Default::default(),
        claims: crate::claims::config::ClaimsConfig::default(),
        outbound: Default::default(),
        did: new.did.clone(),
        name: new.name.clone(),
        listen: new.listen,
        api_listen: new.api_listen,
        connect_from: new.connect_from,
        tls: new.tls.clone(),
        desks: new.desks.clone(),
        radar_store: new.radar_store.clone(),
        delivery: DeliveryConfig::default(),
        log: "info".into(),
    };
    let text = config
        .first_text()
        .map_err(|e| FolderError::Config(format!("the configuration cannot be written: {e}")))?;
    let config_path = dir.join(CONFIG_FILE);
    fs::write(&config_path, text).map_err(io(&config_path))?;
    let card = first_card(new, &organisation, &node, &recovery, &certificate)?;
    let mut store = SqliteStore::open(dir)?;
    store.apply(&Engine::found(card.clone())?)?;
    store.commit()?;
    cards::keep(dir, std::slice::from_ref(&card))?;
    sync_parent(&config_path)?;
    Ok(card)
}

/// Makes the folder for the keys when it is missing, closed to others.
pub(crate) fn make_keys_folder(dir: &Path) -> Result<(), FolderError> {
    let keys = dir.join("keys");
    fs::create_dir_all(&keys).map_err(io(&keys))?;
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).map_err(io(&keys))
}

fn first_card(
    new: &NewNode,
    organisation: &SoftwareKey,
    node: &SoftwareKey,
    recovery: &SoftwareKey,
    certificate: &str,
) -> Result<SignedCard, FolderError> {
    let scheme = if new.tls == Tls::BehindProxy { "http" } else { "https" };
    let made = new.listen.map(|l| format!("{scheme}://{l}"));
    let endpoints: Vec<String> =
        new.public_url.clone().or(made).filter(|_| new.listen.is_some()).into_iter().collect();
    let card = Card {
        kind: CARD_TYPE.into(),
        did: new.did.clone(),
        name: new.name.clone(),
        sequence: 0,
        previous: None,
        time: now(),
        organisation_key: organisation.public_key().clone(),
        node_key: node.public_key().clone(),
        recovery_key: Some(recovery.public_key().clone()),
        tls_key: if new.tls == Tls::Pinned { Some(tls::public_key_hash(certificate)?) } else { None },
        delivery: if endpoints.is_empty() { DeliveryMode::Pull } else { DeliveryMode::Push },
        endpoints,
        log_origin: log_origin(&new.did, 1),
        log_continues: None,
        revoked: Vec::new(),
    };
    Ok(card.sign(&[organisation]).map_err(EngineError::from)?)
}

/// Says that the store in `dir` was restored; the node declares it at its next start.
const RESTORED_MARK: &str = "restored";

/// Marks the store of a stopped node as restored: at its next start the node tells its peers and
/// goes on in a new log.
///
/// # Errors
/// When the mark cannot be written.
pub fn mark_restored(dir: &Path) -> Result<(), FolderError> {
    write_secret(&dir.join(RESTORED_MARK), b"the store was restored from a backup\n")
}

/// Whether the store is marked as restored.
pub(crate) fn is_marked_restored(dir: &Path) -> bool {
    dir.join(RESTORED_MARK).exists()
}

/// Takes the mark away, once the restore is declared.
pub(crate) fn clear_restored(dir: &Path) -> Result<(), FolderError> {
    let mark = dir.join(RESTORED_MARK);
    fs::remove_file(&mark).map_err(io(&mark))?;
    sync_parent(&mark)
}

/// Puts a backup in the place of a stopped node's store, which is set aside, and marks it as
/// restored. Returns where the old store is.
///
/// # Errors
/// When the backup is another node's, the node runs, or something cannot be copied; the old store
/// is then still in place, and not marked.
pub fn restore(dir: &Path, backup: &Path) -> Result<Option<PathBuf>, FolderError> {
    let expected = Config::read(dir).map_err(|e| FolderError::Config(e.to_string()))?.did;
    let found = hiwar_store::SqliteReader::open_backup(backup)?.own()?;
    if let Some(first) = found.as_ref().and_then(|own| own.cards.first()).filter(|c| c.card.did != expected) {
        return Err(FolderError::OtherBackup { found: first.card.did.clone(), expected });
    }
    // Marked first: a store that was put in place and not marked would go on as if it were newest.
    let was_marked = is_marked_restored(dir);
    mark_restored(dir)?;
    let restored = hiwar_store::backup::restore_in_place(backup, dir);
    if restored.is_err() && !was_marked {
        clear_restored(dir)?;
    }
    Ok(restored?)
}

/// Origin line of a participant's n-th log.
pub fn log_origin(did: &Did, number: u32) -> String {
    format!("{did}/log/{number}")
}

/// Which of its participant's logs an origin line names.
pub(crate) fn log_number(origin: &str) -> Option<u32> {
    origin.rsplit_once("/log/")?.1.parse().ok()
}
