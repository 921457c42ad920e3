use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use tokio::sync::mpsc;

use super::super::source::{FileSource, Source};
use super::super::*;
use super::rig::*;
use crate::outbound::Trust;

/// What a plane told, in words.
struct Told(mpsc::UnboundedSender<String>);

impl Events for Told {
    fn completed(&self, id: &str, moved: Moved) {
        drop(self.0.send(format!("{id} completed: {} bytes", moved.size)));
    }

    fn suspended(&self, id: &str, _: String) {
        drop(self.0.send(format!("{id} suspended")));
    }

    fn errored(&self, id: &str, reason: String) {
        drop(self.0.send(format!("{id} errored: {reason}")));
    }
}

/// The part of a control plane that both gates need: tokens by digest, and the plane's signals.
struct Control {
    plane: Mutex<Option<BuiltIn>>,
    token: Mutex<Option<Hash>>,
    source: Option<Arc<Source>>,
    to: PathBuf,
}

impl Control {
    fn plane(&self) -> BuiltIn {
        self.plane.lock().unwrap().clone().unwrap()
    }

    fn keep(&self, ready: Ready) -> Option<Access> {
        if ready.token_sha256.is_some() {
            *self.token.lock().unwrap() = ready.token_sha256;
        }
        ready.access
    }

    fn check(&self, id: &str, token: &str) -> Result<tokio_util::sync::CancellationToken, Refusal> {
        if *self.token.lock().unwrap() != Some(Hash::of(token.as_bytes())) {
            return Err(Refusal::Token);
        }
        self.plane().on_end(id).ok_or(Refusal::Suspended)
    }
}

impl Gate for Control {
    fn admit<'a>(
        &'a self,
        id: &'a str,
        token: &'a str,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<Admission, Refusal>> {
        Box::pin(async move {
            let source = self.source.clone().ok_or(Refusal::Token)?;
            let (on_end, sha256) = (self.check(id, token)?, source.sha256());
            Ok(Admission { source, expires: None, sha256, on_end })
        })
    }
}

impl InboxGate for Control {
    fn admit<'a>(
        &'a self,
        id: &'a str,
        token: &'a str,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<InboxAdmission, Refusal>> {
        Box::pin(async move {
            let (on_end, to) = (self.check(id, token)?, self.to.clone());
            Ok(InboxAdmission { to, size_max: 1 << 30, sha256: None, received: None, on_end })
        })
    }

    fn received<'a>(&'a self, id: &'a str, _: u64, _: Hash) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move { self.plane().complete(id).await.map_err(|_| Refusal::Unavailable) })
    }
}

/// A node with a plane, and what that told.
fn node(
    source: Option<&Path>,
    to: PathBuf,
) -> (Arc<Control>, BuiltIn, Server, mpsc::UnboundedReceiver<String>) {
    let source = source.map(|path| Arc::new(Source::File(FileSource::offer(path, None).unwrap())));
    let control = Arc::new(Control { plane: Mutex::default(), token: Mutex::default(), source, to });
    let shared = Arc::new(outbound());
    let routes =
        Serve::new(control.clone(), shared.clone()).routes().merge(Inbox::new(control.clone()).routes());
    let server = Server::routes(routes, 0);
    let (sender, told) = mpsc::unbounded_channel();
    let public = format!("http://127.0.0.1:{}/", server.port);
    let plane = BuiltIn::new(&public, (shared, Arc::default()), Arc::new(Told(sender)), quick_retry());
    *control.plane.lock().unwrap() = Some(plane.clone());
    (control, plane, server, told)
}

fn run_pull(to: &Path) -> Kind {
    let (to, trust, renew) = (to.to_owned(), Trust::Stranger, Arc::new(NoRenewal));
    Kind::RunPull { to, folder: false, sha256: None, size_max: 1 << 30, trust, renew }
}

#[tokio::test]
async fn a_pull_runs_is_suspended_by_its_provider_and_is_completed_after_it_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let offered = folder.path().join("offered");
    std::fs::write(&offered, content(80_000_000, 1)).unwrap();
    let (control, provider, _server, _) = node(Some(&offered), PathBuf::new());
    let (_, consumer, _other, mut told) = node(None, PathBuf::new());
    let to = folder.path().join("pulled");
    provider.prepare("t", Kind::ServePull).await.unwrap();
    assert!(provider.on_end("t").is_none(), "prepared is not started");
    let access = control.keep(provider.start("t", None).await.unwrap());
    let first_token = *control.token.lock().unwrap();
    consumer.prepare("t", run_pull(&to)).await.unwrap();
    assert!(matches!(consumer.start("t", None).await, Err(PlaneError::NoAddress(_))));
    consumer.start("t", access).await.unwrap();
    while consumer.status("t").await.unwrap().progress.is_none_or(|p| p.have < 1_000_000) {
        tokio::task::yield_now().await;
    }
    provider.suspend("t").await.unwrap();
    assert_eq!(told.recv().await.unwrap(), "t suspended");
    assert_eq!(consumer.status("t").await.unwrap().state, State::Suspended);
    assert!(!to.exists());
    let access = control.keep(provider.resume("t", None).await.unwrap());
    assert_ne!(*control.token.lock().unwrap(), first_token);
    consumer.resume("t", access).await.unwrap();
    assert_eq!(told.recv().await.unwrap(), "t completed: 80000000 bytes");
    assert!(std::fs::read(&to).unwrap() == std::fs::read(&offered).unwrap());
    provider.complete("t").await.unwrap();
    assert!(matches!(provider.resume("t", None).await, Err(PlaneError::State { .. })));
    provider.forget("t");
    assert!(matches!(provider.status("t").await, Err(PlaneError::Unknown(_))));
}

#[tokio::test]
async fn a_push_goes_to_the_address_that_the_consumers_plane_prepared() {
    let folder = tempfile::tempdir().unwrap();
    let offered = folder.path().join("offered");
    std::fs::write(&offered, content(2_000_000, 1)).unwrap();
    let to = folder.path().join("received");
    let (control, consumer, _server, _) = node(None, to.clone());
    let (_, provider, _other, mut told) = node(Some(&offered), PathBuf::new());
    let access = control.keep(consumer.prepare("t", Kind::TakePush).await.unwrap());
    consumer.start("t", None).await.unwrap();
    let source = Arc::new(Source::File(FileSource::offer(&offered, None).unwrap()));
    let kind = Kind::RunPush { source, trust: Trust::Stranger, renew: Arc::new(NoRenewal) };
    provider.prepare("t", kind).await.unwrap();
    provider.start("t", access).await.unwrap();
    assert_eq!(told.recv().await.unwrap(), "t completed: 2000000 bytes");
    assert!(std::fs::read(&to).unwrap() == std::fs::read(&offered).unwrap());
    assert_eq!(consumer.status("t").await.unwrap().state, State::Completed);
}

#[tokio::test]
async fn a_terminated_flow_fails_on_the_other_side_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (_, consumer, _server, mut told) = node(None, PathBuf::new());
    consumer.prepare("t", run_pull(&folder.path().join("f"))).await.unwrap();
    let mut nowhere = access(1);
    nowhere.endpoint = "https://169.254.169.254/latest".into();
    consumer.start("t", Some(nowhere)).await.unwrap();
    let said = told.recv().await.unwrap();
    assert!(said.starts_with("t errored: https://169.254.169.254:443 is refused"), "{said}");
    let status = consumer.status("t").await.unwrap();
    assert!(status.state == State::Terminated && status.reason.is_some());
    consumer.terminate("t", "again").await.unwrap();
}
