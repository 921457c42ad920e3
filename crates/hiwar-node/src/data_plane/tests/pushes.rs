use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use axum::extract::Request;
use futures_util::future::BoxFuture;
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::super::source::{FileSource, Source};
use super::super::*;
use super::rig::*;
use crate::outbound::{AddressRule, Outbound, Trust};

/// An inbox for one transfer, `t1`.
struct Box1 {
    to: PathBuf,
    sha256: Option<Hash>,
    size_max: u64,
    received: Mutex<Option<(u64, Hash)>>,
    on_end: CancellationToken,
}

impl InboxGate for Box1 {
    fn admit<'a>(
        &'a self,
        transfer: &'a str,
        token: &'a str,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<InboxAdmission, Refusal>> {
        let admission = InboxAdmission {
            to: self.to.clone(),
            size_max: self.size_max,
            sha256: self.sha256,
            received: *self.received.lock().unwrap(),
            on_end: self.on_end.clone(),
        };
        let admitted = transfer == "t1" && token == "token-0";
        Box::pin(async move { if admitted { Ok(admission) } else { Err(Refusal::Token) } })
    }

    fn received<'a>(&'a self, _: &'a str, size: u64, sha256: Hash) -> BoxFuture<'a, Result<(), Refusal>> {
        *self.received.lock().unwrap() = Some((size, sha256));
        Box::pin(async { Ok(()) })
    }
}

struct Scene {
    folder: tempfile::TempDir,
    content: Vec<u8>,
    source: Arc<Source>,
    gate: Arc<Box1>,
    server: Server,
}

fn scene(size: usize, size_max: u64, sha256: impl FnOnce(&[u8]) -> Option<Hash>) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let content = content(size, 5);
    std::fs::write(folder.path().join("offered"), &content).unwrap();
    let source = Arc::new(Source::File(FileSource::offer(&folder.path().join("offered"), None).unwrap()));
    let gate = Arc::new(Box1 {
        to: folder.path().join("received"),
        sha256: sha256(&content),
        size_max,
        received: Mutex::default(),
        on_end: CancellationToken::new(),
    });
    let server = Server::routes(Inbox::new(gate.clone()).routes(), 0);
    Scene { folder, content, source, gate, server }
}

impl Scene {
    fn push(&self, port: u16, path: &str) -> Push {
        Push {
            access: Access {
                endpoint: format!("http://127.0.0.1:{port}{path}"),
                authorization: Some(Zeroizing::new("token-0".to_owned())),
                renewal: None,
            },
            source: self.source.clone(),
            stores: Arc::default(),
            trust: Trust::Stranger,
            retry: quick_retry(),
            renew: Arc::new(NoRenewal),
            cancel: CancellationToken::new(),
        }
    }
}

#[tokio::test]
async fn a_push_goes_on_after_every_cut_and_the_content_is_verified_before_it_is_confirmed() {
    for seed in 1..=4 {
        let scene = scene(3_000_000, 3_000_000, |content| Some(Hash::of(content)));
        let mut random = Seed(seed);
        // The wire counts what comes back, so it is cut after a few answers; the upload itself is cut by time.
        let cuts: Vec<u64> = (0..6).map(|_| random.below(300)).collect();
        println!("seed {seed}: the wire is cut after {cuts:?} bytes of answers");
        let (wire, made) = wire(scene.server.port, cuts).await;
        let pushed = scene.push(wire, "/data/inbox/t1").run(&outbound()).await.unwrap();
        let expected = Pushed { size: 3_000_000, sha256: Some(Hash::of(&scene.content)), verified: true };
        assert_eq!(pushed, expected);
        assert!(std::fs::read(&scene.gate.to).unwrap() == scene.content);
        assert!(made.load(Ordering::SeqCst) > 1, "the wire was cut");
        assert_eq!(std::fs::read_dir(scene.folder.path()).unwrap().count(), 2, "nothing else is left");
    }
}

#[tokio::test]
async fn what_came_before_a_break_is_not_sent_again() {
    let scene = scene(1_000_000, 1_000_000, |_| None);
    let client = any_client();
    let url = format!("http://127.0.0.1:{}/data/inbox/t1", scene.server.port);
    // The first 400 000 bytes, and then the sender is gone.
    let mut raw = tokio::net::TcpStream::connect(("127.0.0.1", scene.server.port)).await.unwrap();
    let head = "PUT /data/inbox/t1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer token-0\r\n\
                content-length: 1000000\r\n\r\n";
    raw.write_all(head.as_bytes()).await.unwrap();
    raw.write_all(&scene.content[..400_000]).await.unwrap();
    raw.shutdown().await.unwrap();
    let offset = async || {
        let head = client.head(&url).bearer_auth("token-0").send().await.unwrap();
        head.headers()["upload-offset"].to_str().unwrap().parse::<usize>().unwrap()
    };
    let mut answer = Vec::new();
    // The answer says how much came; a server that finds the connection gone may say nothing.
    drop(raw.read_to_end(&mut answer).await);
    let arriving = async {
        while offset().await < 400_000 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), arriving).await.unwrap();
    assert_eq!(offset().await, 400_000);
    let wrong_place = client
        .put(&url)
        .bearer_auth("token-0")
        .header("content-range", "bytes 500000-999999/1000000")
        .body(scene.content[500_000..].to_vec())
        .send()
        .await
        .unwrap();
    assert_eq!(wrong_place.status(), StatusCode::CONFLICT);
    assert_eq!(wrong_place.headers()["upload-offset"], "400000");
    let rest = client
        .put(&url)
        .bearer_auth("token-0")
        .header("content-range", "bytes 400000-999999/1000000")
        .body(scene.content[400_000..].to_vec())
        .send()
        .await
        .unwrap();
    assert_eq!(rest.status(), StatusCode::CREATED);
    assert!(std::fs::read(&scene.gate.to).unwrap() == scene.content);
    // The sender that did not hear of it asks, and sends nothing.
    assert!(scene.push(scene.server.port, "/data/inbox/t1").run(&outbound()).await.unwrap().verified);
    // A second content under the same token is not taken.
    let other = client.put(&url).bearer_auth("token-0").body("other").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::CONFLICT);
    assert!(std::fs::read(&scene.gate.to).unwrap() == scene.content);
}

#[tokio::test]
async fn other_content_more_than_agreed_and_a_wrong_token_are_not_taken() {
    let other = scene(1000, 1_000_000, |_| Some(Hash::of(b"agreed")));
    let error = other.push(other.server.port, "/data/inbox/t1").run(&outbound()).await.unwrap_err();
    assert!(matches!(error, TransferError::Refused { status: 422, .. }), "{error}");
    let large = scene(1000, 999, |_| None);
    let error = large.push(large.server.port, "/data/inbox/t1").run(&outbound()).await.unwrap_err();
    assert!(matches!(error, TransferError::Refused { status: 413, .. }), "{error}");
    let error = large.push(large.server.port, "/data/inbox/t2").run(&outbound()).await.unwrap_err();
    assert!(matches!(error, TransferError::NotRenewed(_)), "{error}");
    // Without an announced digest the content itself is looked at, and nothing of it kept.
    let client = any_client();
    let url = format!("http://127.0.0.1:{}/data/inbox/t1", other.server.port);
    let plain = client.put(&url).bearer_auth("token-0").body("not agreed").send().await.unwrap();
    assert_eq!(plain.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!other.gate.to.exists() && other.gate.received.lock().unwrap().is_none());
    let head = client.head(&url).bearer_auth("token-0").send().await.unwrap();
    assert_eq!(head.headers()["upload-offset"], "0");
}

#[tokio::test]
async fn a_receiver_with_a_way_of_its_own_gets_one_plain_put_or_post() {
    for takes in [Method::PUT, Method::POST] {
        let scene = scene(700_000, 0, |_| None);
        let got = Arc::new(Mutex::new(Vec::new()));
        let (kept, only) = (got.clone(), takes.clone());
        let receiver = axum::Router::new().fallback(async move |request: Request| {
            if request.method() != only {
                return StatusCode::METHOD_NOT_ALLOWED;
            }
            let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
            kept.lock().unwrap().push(body);
            StatusCode::ACCEPTED
        });
        let receiver = Server::routes(receiver, 0);
        let pushed = scene.push(receiver.port, "/anything?x=1").run(&outbound()).await.unwrap();
        assert!(!pushed.verified, "{takes}");
        let got = got.lock().unwrap();
        assert!(got.len() == 1 && got[0] == scene.content, "{takes}");
    }
}

#[tokio::test]
async fn a_file_that_changed_is_not_pushed() {
    let scene = scene(3_000_000, 3_000_000, |_| None);
    let mut late = scene.content.clone();
    late[2_900_000] ^= 1;
    std::fs::write(scene.folder.path().join("offered"), &late).unwrap();
    let error = scene.push(scene.server.port, "/data/inbox/t1").run(&outbound()).await.unwrap_err();
    assert!(matches!(error, TransferError::Source(source::SourceError::Changed(_))), "{error}");
    assert!(!scene.gate.to.exists());
}

/// The address of a push comes from the consumer: the rule that guards every address from outside guards it.
#[tokio::test]
async fn nothing_is_pushed_to_an_address_that_the_rule_forbids() {
    let scene = scene(10, 100, |_| None);
    let strict = Outbound::new(AddressRule::default(), None);
    for endpoint in [
        "http://169.254.169.254/latest/meta-data",
        "https://127.0.0.1:1/x",
        "https://[::1]/x",
        "http://example.com/x",
    ] {
        let mut push = scene.push(1, "/");
        push.access.endpoint = endpoint.to_owned();
        let error = push.run(&strict).await.unwrap_err();
        assert!(matches!(error, TransferError::Outbound(_)), "{endpoint}: {error}");
    }
}
