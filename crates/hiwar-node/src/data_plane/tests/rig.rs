//! A provider, a consumer, and a wire between them that can be cut.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::super::source::{FileSource, FolderSource, Source};
use super::super::*;
use crate::outbound::{AddressRule, Outbound, Trust};

/// Numbers that look random and repeat for a seed (SplitMix64, Steele and others 2014).
pub(super) struct Seed(pub(super) u64);

impl Seed {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

pub(super) fn content(size: usize, seed: u64) -> Vec<u8> {
    let mut seed = Seed(seed);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&seed.next().to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// A gate over one transfer, `t1`.
pub(super) struct Door {
    pub(super) source: Source,
    pub(super) token: Mutex<String>,
    pub(super) old_tokens: Mutex<Vec<String>>,
    pub(super) on_end: Mutex<CancellationToken>,
    pub(super) suspended: Mutex<bool>,
    pub(super) served: Mutex<Vec<Served>>,
}

impl Door {
    pub(super) fn of(source: Source) -> Arc<Self> {
        Arc::new(Self {
            source,
            token: Mutex::new("token-0".into()),
            old_tokens: Mutex::default(),
            on_end: Mutex::default(),
            suspended: Mutex::default(),
            served: Mutex::default(),
        })
    }

    pub(super) fn file(path: &Path) -> Arc<Self> {
        Self::of(Source::File(FileSource::offer(path, Some("text/csv".into())).unwrap()))
    }

    pub(super) fn folder(path: &Path) -> Arc<Self> {
        Self::of(Source::Folder(FolderSource::offer(path).unwrap()))
    }

    /// The token in force expires; another takes its place.
    pub(super) fn expire(&self) -> String {
        let mut token = self.token.lock().unwrap();
        let mut old = self.old_tokens.lock().unwrap();
        old.push(token.clone());
        *token = format!("token-{}", old.len());
        token.clone()
    }

    pub(super) fn suspend(&self) {
        *self.suspended.lock().unwrap() = true;
        self.on_end.lock().unwrap().cancel();
    }

    pub(super) fn resume(&self) {
        *self.on_end.lock().unwrap() = CancellationToken::new();
        *self.suspended.lock().unwrap() = false;
    }
}

impl Gate for Door {
    fn admit<'a>(
        &'a self,
        transfer: &'a str,
        token: &'a str,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<Admission, Refusal>> {
        Box::pin(async move {
            if self.old_tokens.lock().unwrap().iter().any(|old| old == token) {
                return Err(Refusal::Expired);
            }
            if transfer != "t1" || *self.token.lock().unwrap() != token {
                return Err(Refusal::Token);
            }
            if *self.suspended.lock().unwrap() {
                return Err(Refusal::Suspended);
            }
            Ok(Admission {
                source: Arc::new(self.source.clone()),
                expires: None,
                sha256: self.source.sha256(),
                on_end: self.on_end.lock().unwrap().clone(),
            })
        })
    }

    fn served(&self, _: &str, served: Served) {
        self.served.lock().unwrap().push(served);
    }
}

/// A server with threads of its own, so that stopping it cuts every connection, as a crash does.
pub(super) struct Server {
    pub(super) port: u16,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Server {
    pub(super) fn start(door: &Arc<Door>, port: u16) -> Self {
        let outbound = Arc::new(Outbound::new(allow_loopback(), None));
        Self::routes(Serve::new(door.clone(), outbound).routes(), port)
    }

    pub(super) fn routes(routes: axum::Router, port: u16) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // The port of a server that was just stopped may be in use for a moment.
        let listener = loop {
            match std::net::TcpListener::bind(("127.0.0.1", port)) {
                Ok(listener) => break listener,
                Err(_) if port != 0 => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => panic!("{error}"),
            }
        };
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            axum::serve(listener, routes).await
        });
        Self { port, runtime: Some(runtime) }
    }

    /// Stops it and says its port.
    pub(super) fn stop(self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(super) fn allow_loopback() -> AddressRule {
    AddressRule { allow: vec!["http://127.0.0.0/8".parse().unwrap()] }
}

/// A client as any program has one.
pub(super) fn any_client() -> reqwest::Client {
    crate::tls::install_provider();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(super) fn outbound() -> Outbound {
    Outbound::new(allow_loopback(), None)
}

/// A wire to `port` that is cut after as many bytes as the next number of `cuts` says; once they are
/// used up it holds.
pub(super) async fn wire(port: u16, cuts: Vec<u64>) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = listener.local_addr().unwrap().port();
    let made = Arc::new(AtomicU64::new(0));
    let counted = made.clone();
    tokio::spawn(async move {
        let mut cuts = cuts.into_iter();
        loop {
            let (mut here, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let cut = cuts.next();
            tokio::spawn(async move {
                let Ok(mut there) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                let Some(mut left) = cut else {
                    drop(tokio::io::copy_bidirectional(&mut here, &mut there).await);
                    return;
                };
                let (mut here_in, mut here_out) = here.split();
                let (mut there_in, mut there_out) = there.split();
                let back = async {
                    let mut buffer = vec![0; 16 * 1024];
                    while left > 0 {
                        let most = buffer.len().min(usize::try_from(left).unwrap());
                        let Ok(read @ 1..) = there_in.read(&mut buffer[..most]).await else { return };
                        if here_out.write_all(&buffer[..read]).await.is_err() {
                            return;
                        }
                        left -= read as u64;
                    }
                };
                let forth = async {
                    drop(tokio::io::copy(&mut here_in, &mut there_out).await);
                    std::future::pending::<()>().await;
                };
                tokio::select! { () = back => {}, () = forth => {} }
            });
        }
    });
    (near, made)
}

/// Gives the token that the door has in force.
pub(super) struct FromDoor(pub(super) Arc<Door>, pub(super) AtomicU64);

impl Renew for FromDoor {
    fn renew<'a>(&'a self, stale: &'a Access) -> BoxFuture<'a, Result<Access, NotRenewed>> {
        Box::pin(async move {
            self.1.fetch_add(1, Ordering::SeqCst);
            let token = self.0.token.lock().unwrap().clone();
            Ok(Access { authorization: Some(Zeroizing::new(token)), ..stale.clone() })
        })
    }
}

pub(super) fn access(port: u16) -> Access {
    Access {
        endpoint: format!("http://127.0.0.1:{port}/data/t1"),
        authorization: Some(Zeroizing::new("token-0".to_owned())),
        renewal: None,
    }
}

pub(super) fn pull(port: u16, to: PathBuf, sha256: Option<Hash>) -> Pull {
    Pull {
        access: access(port),
        to,
        sha256,
        size_max: 1 << 40,
        trust: Trust::Stranger,
        retry: quick_retry(),
        renew: Arc::new(NoRenewal),
        cancel: CancellationToken::new(),
        progress: Arc::new(|_| {}),
    }
}

pub(super) fn quick_retry() -> Retry {
    Retry {
        attempts: 200,
        first: Duration::from_millis(2),
        longest: Duration::from_millis(20),
        jitter: Arc::new(|| 1.0),
    }
}
