//! A running node: its parts put together.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use axum::Router;
use hiwar_dialogue::engine::Keys;
use hiwar_store::attachments::AttachmentFolder;
use hiwar_store::{SqliteReader, SqliteStore};
use hiwar_trust::did::Did;
use hiwar_trust::identity::{DeliveryMode, Identity};
use hiwar_trust::key::KeyId;
use hiwar_trust::time::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::clock::now;
use crate::config::{Config, ConfigError, Tls};
use crate::dataspace::{Dataspace, DataspaceError};
use crate::desks::Desks;
use crate::folder::{self, FolderError};
use crate::metrics::Metrics;
use crate::procedure::Procedure;
use crate::rotation::{self, RotationError};
use crate::session::Sessions;
use crate::writer::{Writer, WriterError};
use crate::{api, attachments, cards, deliver, listen, peer_server, succession, tls};

/// How long a stopping node lets requests finish.
const STOP_LIMIT: Duration = Duration::from_secs(8);
/// Read-only connections kept open.
const READERS_MAX: usize = 4;

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Its configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file of its folder is wrong.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its store is wrong.
    #[error(transparent)]
    Store(#[from] hiwar_dialogue::ledger::StoreError),
    /// Its store cannot be opened.
    #[error(transparent)]
    Storage(#[from] hiwar_store::StorageError),
    /// The writer cannot start.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// A restore could not be declared.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The dataspace cannot start.
    #[error(transparent)]
    Dataspace(#[from] DataspaceError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// A port cannot be used.
    #[error(
        "{what} cannot listen on {address}: {error}; is another node running, or is the port taken? set another in hiwar.toml"
    )]
    Listen {
        /// Which listener.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
}

/// What all tasks of a node share.
pub(crate) struct Shared {
    pub(crate) did: Did,
    pub(crate) dir: PathBuf,
    pub(crate) config: Config,
    pub(crate) writer: Writer,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) sessions: Sessions,
    pub(crate) folder: Arc<AttachmentFolder>,
    pub(crate) desks: Desks,
    pub(crate) stopping: CancellationToken,
    /// Batches handed to fetching peers and not answered yet.
    pub(crate) fetched: tokio::sync::Mutex<BTreeMap<Did, u64>>,
    /// Held while keys are replaced.
    pub(crate) rotating: tokio::sync::Mutex<()>,
    /// Where peers can connect.
    listening: Mutex<Vec<(SocketAddr, tokio::task::JoinHandle<()>)>>,
    /// What the peers' listener shows.
    pub(crate) certificates: Arc<tls::Certificates>,
    passphrase: Option<Zeroizing<Vec<u8>>>,
    dataspace: Arc<Dataspace>,
    pub(crate) procedure: Procedure,
    keys: RwLock<Keys>,
    readers: Mutex<Vec<SqliteReader>>,
}

impl Shared {
    /// This node's cards.
    pub(crate) fn identity(&self) -> Arc<Identity> {
        #[expect(clippy::expect_used, reason = "Engine::directory always holds the node's own identity")]
        self.writer.directory().get(&self.did).cloned().expect("the directory holds this node")
    }

    /// What the key files are locked with.
    pub(crate) fn passphrase(&self) -> Option<&[u8]> {
        self.passphrase.as_ref().map(|p| p.as_slice())
    }

    /// The keys this node signs with.
    pub(crate) fn keys(&self) -> Keys {
        match self.keys.read() {
            Ok(keys) => keys.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }

    /// The connector.
    pub(crate) fn dataspace(&self) -> &Arc<Dataspace> {
        &self.dataspace
    }

    /// Goes on with other keys.
    pub(crate) fn set_keys(&self, keys: Keys) {
        self.dataspace.callers.forget_made();
        match self.keys.write() {
            Ok(mut held) => *held = keys,
            Err(poisoned) => *poisoned.into_inner() = keys,
        }
    }

    /// Whether peers can connect at this address.
    pub(crate) fn listens_at(&self, address: SocketAddr) -> bool {
        self.listening.lock().is_ok_and(|listening| listening.iter().any(|(at, _)| *at == address))
    }

    /// Whether this node must fetch, because peers do not or cannot push to it.
    pub(crate) fn fetches(&self) -> bool {
        self.identity().latest().delivery == DeliveryMode::Pull
            || self.listening.lock().is_ok_and(|listening| listening.is_empty())
    }

    /// The peer whose newest card names this node key.
    pub(crate) fn peer_by_node_key(&self, key: KeyId) -> Option<Arc<Identity>> {
        let directory = self.writer.directory();
        directory.all().find(|i| *i.did() != self.did && i.latest_node_key_id() == key).cloned()
    }

    /// When a point in time will be, for timers.
    pub(crate) fn instant_of(&self, at: Timestamp) -> tokio::time::Instant {
        let wait = u64::try_from(at.millis_since(now())).unwrap_or(0);
        tokio::time::Instant::now() + Duration::from_millis(wait.min(86_400_000))
    }

    /// Runs a read on a connection of its own, apart from the writer.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&SqliteReader) -> Result<T, hiwar_dialogue::ledger::StoreError> + Send + 'static,
    ) -> Result<T, hiwar_dialogue::ledger::StoreError> {
        let shared = self.clone();
        tokio::task::spawn_blocking(move || {
            let idle = shared.readers.lock().ok().and_then(|mut r| r.pop());
            let reader = match idle {
                Some(reader) => reader,
                None => SqliteReader::open(&shared.dir)
                    .map_err(|e| hiwar_dialogue::ledger::StoreError::Failed(e.to_string()))?,
            };
            let result = read(&reader);
            if let Ok(mut readers) = shared.readers.lock()
                && readers.len() < READERS_MAX
            {
                readers.push(reader);
            }
            result
        })
        .await
        .map_err(|e| hiwar_dialogue::ledger::StoreError::Failed(e.to_string()))?
    }
}

/// A running node.
pub struct Node {
    shared: Arc<Shared>,
    peers_at: Option<SocketAddr>,
    api_at: SocketAddr,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    threads: [std::thread::JoinHandle<()>; 2],
}

impl Node {
    /// Starts the node whose folder is `dir`.
    ///
    /// # Errors
    /// When anything of it is missing, wrong or taken; nothing is left running then.
    pub async fn start(dir: &Path, passphrase: Option<&[u8]>) -> Result<Self, NodeError> {
        Config::read(dir)?;
        let database = dir.join(hiwar_store::DATABASE_FILE);
        if !database.exists() {
            return Err(FolderError::NoStore(database).into());
        }
        // The store comes first, because opening it locks the folder: a second process must not
        // touch the keys of the one that runs.
        let mut store = SqliteStore::open(dir)?;
        cards::recall(dir, &mut store, folder::is_marked_restored(dir))?;
        let keys = folder::read_keys(dir, passphrase)?;
        // A change of the configuration that was cut off is finished by now.
        let config = Config::read(dir)?;
        let desks = Desks::read(dir, &config.desks)?;
        let (peers_listener, api_listener) = bind(&config).await?;
        let folder = Arc::new(
            AttachmentFolder::open(dir)
                .map_err(|e| hiwar_dialogue::ledger::StoreError::Failed(e.to_string()))?,
        );
        let metrics = Arc::new(Metrics::new());
        let (writer, writer_thread) = Writer::start(store, config.engine(), keys.clone(), metrics.clone())?;
        let own = writer.directory().get(&config.did).and_then(|i| i.latest().endpoints.first().cloned());
        let prepared = Dataspace::prepare(dir, &config, &own.unwrap_or_default())?;
        let procedure = Procedure::open(dir)?;
        let shared = Arc::new(Shared {
            procedure,
            dataspace: prepared.dataspace.clone(),
            did: config.did.clone(),
            dir: dir.to_owned(),
            writer,
            metrics,
            sessions: Sessions::default(),
            folder,
            desks,
            stopping: CancellationToken::new(),
            fetched: tokio::sync::Mutex::default(),
            rotating: tokio::sync::Mutex::default(),
            listening: Mutex::default(),
            certificates: Arc::default(),
            passphrase: passphrase.map(|p| Zeroizing::new(p.to_vec())),
            keys: RwLock::new(keys),
            readers: Mutex::default(),
            config,
        });
        if folder::is_marked_restored(dir) {
            rotation::declare_restore(&shared).await?;
            folder::clear_restored(dir)?;
        }
        let (dataspace_tasks, dataspace_thread) = prepared.start(&shared).await?;
        let mut tasks = Vec::from(dataspace_tasks);
        let api_at = local(&api_listener)?;
        tasks.push(serve_plain(shared.clone(), api_listener, api::router(shared.clone())));
        let mut peers_at = None;
        if let (Some(listener), Some(address)) = (peers_listener, shared.config.listen) {
            peers_at = Some(local(&listener)?);
            serve_peers(&shared, address, listener)?;
        }
        tasks.push(tokio::spawn(deliver::supervise(shared.clone())));
        tasks.push(tokio::spawn(attachments::fetch_wanted(shared.clone())));
        tasks.push(tokio::spawn(crate::claims::issuer::deliver(shared.clone())));
        tasks.push(tokio::spawn(crate::procedure::tell(shared.clone())));
        Ok(Self { shared, peers_at, api_at, tasks, threads: [writer_thread, dataspace_thread] })
    }

    /// The participant it speaks for.
    pub fn did(&self) -> &Did {
        &self.shared.did
    }

    /// Where peers connect.
    pub fn peers_at(&self) -> Option<SocketAddr> {
        self.peers_at
    }

    /// Where desks connect.
    pub fn api_at(&self) -> SocketAddr {
        self.api_at
    }

    /// Stops the node: requests under way may finish, what is decided is committed.
    pub async fn stop(self) {
        self.shared.stopping.cancel();
        let listening = self.shared.listening.lock().map(|mut l| std::mem::take(&mut *l)).unwrap_or_default();
        for task in self.tasks.into_iter().chain(listening.into_iter().map(|(_, task)| task)) {
            if tokio::time::timeout(STOP_LIMIT, task).await.is_err() {
                tracing::warn!("a task did not stop in time");
            }
        }
        drop(self.shared);
        for thread in self.threads {
            let joined = tokio::task::spawn_blocking(move || thread.join());
            if tokio::time::timeout(STOP_LIMIT, joined).await.is_err() {
                tracing::warn!("a writer did not stop in time; nothing acknowledged is lost");
            }
        }
    }
}

async fn bind(config: &Config) -> Result<(Option<TcpListener>, TcpListener), NodeError> {
    let peers = match config.listen {
        Some(address) => Some(bind_one("the peers' listener", address).await?),
        None => None,
    };
    Ok((peers, bind_one("the desks' listener", config.api_listen).await?))
}

async fn bind_one(what: &'static str, address: SocketAddr) -> Result<TcpListener, NodeError> {
    TcpListener::bind(address).await.map_err(|error| NodeError::Listen { what, address, error })
}

fn local(listener: &TcpListener) -> Result<SocketAddr, NodeError> {
    listener.local_addr().map_err(|error| NodeError::Listen {
        what: "a listener",
        address: SocketAddr::from(([0, 0, 0, 0], 0)),
        error,
    })
}

fn serve_plain(shared: Arc<Shared>, listener: TcpListener, router: Router) -> tokio::task::JoinHandle<()> {
    let stopping = shared.stopping.clone();
    tokio::spawn(async move {
        let served = axum::serve(listen::NoDelay(listener), router)
            .with_graceful_shutdown(stopping.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "a listener failed");
        }
    })
}

/// Lets peers connect at one more address; those there are stay until the node stops, for peers that
/// have not learned the new one.
pub(crate) async fn listen_too(shared: &Arc<Shared>, address: SocketAddr) -> Result<(), NodeError> {
    let listener = bind_one("the peers' listener", address).await?;
    serve_peers(shared, address, listener)
}

fn serve_peers(shared: &Arc<Shared>, address: SocketAddr, listener: TcpListener) -> Result<(), NodeError> {
    let task = peers_task(shared, listener)?;
    if let Ok(mut listening) = shared.listening.lock() {
        listening.push((address, task));
    }
    Ok(())
}

fn peers_task(shared: &Arc<Shared>, listener: TcpListener) -> Result<tokio::task::JoinHandle<()>, NodeError> {
    let router = peer_server::router(shared.clone());
    if shared.config.tls == Tls::BehindProxy {
        return Ok(serve_plain(shared.clone(), listener, router));
    }
    load_certificates(shared)?;
    let listener = listen::TlsListener::new(listener, tls::server(shared.certificates.clone())?)?;
    let stopping = shared.stopping.clone();
    Ok(tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "the peers' listener failed");
        }
    }))
}

/// Reads the certificate in force, and those before it that this node's cards named: peers that
/// were away since then expect them.
fn load_certificates(shared: &Shared) -> Result<(), NodeError> {
    let (certificate, key) = folder::read_certificate(&shared.dir, &shared.config.tls)?;
    let in_force = shared.certificates.add(&certificate, &key)?;
    if shared.config.tls == Tls::Pinned {
        let identity = shared.identity();
        for retired in succession::retired_certificates(&shared.dir)? {
            let hash = retired.public_key_hash()?;
            if identity.cards().iter().any(|signed| signed.card.tls_key == Some(hash)) {
                shared.certificates.add(&retired.certificate, &retired.key)?;
            }
        }
    }
    shared.certificates.prefer(in_force);
    Ok(())
}
