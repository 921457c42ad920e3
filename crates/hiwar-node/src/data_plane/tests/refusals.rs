use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use hiwar_trust::hash::Hash;
use http::StatusCode;

use super::super::*;
use super::rig::*;
use crate::outbound::{AddressRule, Outbound, OutboundError, Refused};

fn offered(size: usize) -> (tempfile::TempDir, Vec<u8>, Arc<Door>) {
    let folder = tempfile::tempdir().unwrap();
    let content = content(size, 9);
    std::fs::write(folder.path().join("offered"), &content).unwrap();
    let door = Door::file(&folder.path().join("offered"));
    (folder, content, door)
}

async fn status(port: u16, path: &str, token: Option<&str>) -> (StatusCode, String) {
    let client = any_client();
    let mut request = client.get(format!("http://127.0.0.1:{port}{path}"));
    if let Some(token) = token {
        request = request.header("authorization", token);
    }
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, response.text().await.unwrap())
}

#[tokio::test]
async fn without_the_right_token_nothing_is_said_of_a_transfer() {
    let (_folder, _, door) = offered(10);
    let server = Server::start(&door, 0);
    let mut said = std::collections::BTreeSet::new();
    for (path, token) in [
        ("/data/t1", None),
        ("/data/t1", Some("Bearer wrong")),
        ("/data/t1", Some("Basic token-0")),
        ("/data/t1", Some("Bearer ")),
        ("/data/none", Some("Bearer token-0")),
    ] {
        let (status, body) = status(server.port, path, token).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path} {token:?}");
        said.insert(body);
    }
    assert_eq!(said.len(), 1, "an unknown transfer and a wrong token look alike");
    assert_eq!(status(server.port, "/data/t1", Some("bearer token-0")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn paths_out_of_an_offered_folder_lead_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("offered");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(folder.path().join("secret"), b"secret").unwrap();
    std::fs::write(root.join("a"), b"inside").unwrap();
    let server = Server::start(&Door::folder(&root), 0);
    let token = Some("Bearer token-0");
    assert_eq!(status(server.port, "/data/t1/a", token).await, (StatusCode::OK, "inside".into()));
    for path in ["..%2fsecret", "%2e%2e/secret", "a/..%2f..%2fsecret", "..%5csecret", "%2fetc%2fpasswd", "b"]
    {
        let (status, body) = status(server.port, &format!("/data/t1/{path}"), token).await;
        assert!(status.is_client_error() && !body.contains("secret"), "{path} {status} {body}");
    }
    #[cfg(unix)]
    {
        std::fs::remove_file(root.join("a")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), root.join("a")).unwrap();
        let (status, body) = status(server.port, "/data/t1/a", token).await;
        assert!(status.is_server_error() && !body.contains("secret"), "{status} {body}");
    }
}

/// The stamps of the system count only for files left alone for two seconds; here that is waited for, and
/// the content swapped with its size and modification time kept, as an attacker would.
#[cfg(unix)]
#[tokio::test]
async fn content_that_was_swapped_under_its_old_size_and_date_is_found_by_its_change_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("offered");
    let mut content = content(600_000, 9);
    std::fs::write(&path, &content).unwrap();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let door = Door::file(&path);
    assert!(serde_json::to_string(&door.source).unwrap().contains("changed_ns"), "the stamp counts");
    let server = Server::start(&door, 0);
    assert_eq!(status(server.port, "/data/t1", Some("Bearer token-0")).await.0, StatusCode::OK);
    let date = std::fs::metadata(&path).unwrap().modified().unwrap();
    content[5] ^= 1;
    std::fs::write(&path, &content).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(date).unwrap();
    assert_eq!(status(server.port, "/data/t1", Some("Bearer token-0")).await.0, StatusCode::GONE);
}

#[tokio::test]
async fn a_changed_file_is_an_error_with_words_and_never_mixed_bytes() {
    let (folder, content, door) = offered(3_000_000);
    let server = Server::start(&door, 0);
    let path = folder.path().join("offered");
    let to = folder.path().join("pulled");
    let mut other = content.clone();
    other.push(0);
    let mut swapped = content.clone();
    swapped[10] ^= 1;
    for changed in [other, swapped] {
        std::fs::write(&path, &changed).unwrap();
        let (status, body) = status(server.port, "/data/t1", Some("Bearer token-0")).await;
        assert_eq!(status, StatusCode::GONE);
        assert!(body.contains("content-changed"), "{body}");
        let error = pull(server.port, to.clone(), None).file(&outbound()).await.unwrap_err();
        assert!(matches!(error, TransferError::Refused { status: 410, .. }), "{error}");
    }
    // Of the same size, and changed only behind what was sent first.
    let mut late = content.clone();
    late[2_900_000] ^= 1;
    std::fs::write(&path, &late).unwrap();
    let error = pull(server.port, to.clone(), None).file(&outbound()).await.unwrap_err();
    assert!(matches!(error, TransferError::Refused { status: 410, .. }), "{error}");
    assert!(!to.exists());
    let partial = std::fs::read(folder.path().join("pulled.partial")).unwrap();
    assert!(content.starts_with(&partial) && partial.len() < 2_900_000, "each byte that left was offered");
    // Put back as it was offered, the pull goes on.
    std::fs::write(&path, &content).unwrap();
    pull(server.port, to.clone(), None).file(&outbound()).await.unwrap();
    assert!(std::fs::read(to).unwrap() == content);
}

#[tokio::test]
async fn a_suspended_transfer_stops_in_the_middle_and_goes_on_when_it_is_started_again() {
    let (folder, content, door) = offered(60_000_000);
    let server = Server::start(&door, 0);
    let to = folder.path().join("pulled");
    let suspending = door.clone();
    let mut first = pull(server.port, to.clone(), Some(Hash::of(&content)));
    first.progress = Arc::new(move |progress| {
        if progress.have > 1_000_000 && !*suspending.suspended.lock().unwrap() {
            suspending.suspend();
        }
    });
    let error = first.file(&outbound()).await.unwrap_err();
    assert!(matches!(error, TransferError::Suspended(_)), "{error}");
    let served = door.served.lock().unwrap().clone();
    assert!(served.iter().all(|served| !served.complete && served.bytes < 60_000_000), "{served:?}");
    let kept = std::fs::metadata(folder.path().join("pulled.partial")).unwrap().len();
    assert!(kept > 1_000_000 && kept < 60_000_000 && !to.exists());
    door.resume();
    pull(server.port, to.clone(), Some(Hash::of(&content))).file(&outbound()).await.unwrap();
    assert!(std::fs::read(to).unwrap() == content);
}

#[tokio::test]
async fn an_answer_stops_when_its_transfer_is_suspended_though_nobody_asks_again() {
    let (_folder, _, door) = offered(60_000_000);
    let server = Server::start(&door, 0);
    let client = any_client();
    let url = format!("http://127.0.0.1:{}/data/t1", server.port);
    let mut parts = client.get(url).bearer_auth("token-0").send().await.unwrap().bytes_stream();
    let mut came = parts.next().await.unwrap().unwrap().len();
    door.suspend();
    let error = loop {
        match parts.next().await {
            Some(Ok(part)) => came += part.len(),
            Some(Err(error)) => break error,
            None => panic!("the answer looks whole after {came} bytes"),
        }
    };
    assert!(came < 60_000_000, "{error}");
    let ended = async {
        while door.served.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
    assert!(!door.served.lock().unwrap()[0].complete);
}

#[tokio::test]
async fn content_with_another_hash_than_announced_is_not_kept() {
    let (folder, content, door) = offered(100_000);
    let server = Server::start(&door, 0);
    let to = folder.path().join("pulled");
    let announced = Hash::of(b"something else");
    let error = pull(server.port, to.clone(), Some(announced)).file(&outbound()).await.unwrap_err();
    assert!(matches!(error, TransferError::WrongHash { expected, .. } if expected == announced), "{error}");
    // A server that says nothing of its content's hash.
    let plain = content.clone();
    let plain = axum::Router::new().route("/data/t1", axum::routing::get(async move || plain.clone()));
    let plain = Server::routes(plain, 0);
    let error = pull(plain.port, to.clone(), Some(announced)).file(&outbound()).await.unwrap_err();
    assert!(matches!(error, TransferError::WrongHash { .. }), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "only what was offered");
}

#[tokio::test]
async fn more_than_is_allowed_is_not_taken() {
    let (folder, _, door) = offered(100_000);
    let server = Server::start(&door, 0);
    let mut pull = pull(server.port, folder.path().join("pulled"), None);
    pull.size_max = 99_999;
    let error = pull.file(&outbound()).await.unwrap_err();
    assert!(matches!(error, TransferError::TooLarge(99_999)), "{error}");
}

#[tokio::test]
async fn a_token_that_is_never_accepted_is_renewed_once_and_not_for_ever() {
    let (folder, _, door) = offered(10);
    let server = Server::start(&door, 0);
    let mut pull = pull(server.port, folder.path().join("pulled"), None);
    door.expire();
    door.token.lock().unwrap().push_str("-for-somebody-else");
    struct Stale;
    impl Renew for Stale {
        fn renew<'a>(
            &'a self,
            stale: &'a Access,
        ) -> futures_util::future::BoxFuture<'a, Result<Access, NotRenewed>> {
            Box::pin(async { Ok(stale.clone()) })
        }
    }
    pull.renew = Arc::new(Stale);
    let error = pull.file(&outbound()).await.unwrap_err();
    assert!(matches!(error, TransferError::NotRenewed(_)), "{error}");
}

#[tokio::test]
async fn a_data_address_that_leads_inside_is_refused_also_by_redirect() {
    let (folder, _, door) = offered(10);
    let server = Server::start(&door, 0);
    let to = folder.path().join("pulled");
    let strict = Outbound::new(AddressRule::default(), None);
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let mut inside = pull(server.port, to.clone(), None);
        inside.access.endpoint = format!("https://{host}:{}/data/t1", server.port);
        let error = inside.file(&strict).await.unwrap_err();
        let refused =
            matches!(error, TransferError::Outbound(OutboundError::Refused(Refused::Address { .. })));
        assert!(refused, "{host}: {error}");
    }
    let target = format!("http://127.0.0.1:{}/data/t1", server.port);
    let leads =
        axum::routing::get(async move || (StatusCode::TEMPORARY_REDIRECT, [("location", target.clone())]));
    let leads = Server::routes(axum::Router::new().route("/data/t1", leads), 0);
    let error = pull(leads.port, to, None).file(&outbound()).await.unwrap_err();
    assert!(matches!(error, TransferError::Refused { status: 307, .. }), "{error}");
    assert!(door.served.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_manifest_that_leads_out_of_the_folder_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = serde_json::json!({ "form": "hiwar-manifest/1", "files": [
        { "path": "../out", "size": 3, "sha256": Hash::of(b"out") } ] })
    .to_string();
    let routes = axum::Router::new().route("/data/t1", axum::routing::get(async move || manifest.clone()));
    let server = Server::routes(routes, 0);
    let error = pull(server.port, folder.path().join("in"), None).folder(&outbound()).await.unwrap_err();
    assert!(matches!(error, TransferError::Manifest(_)), "{error}");
    assert!(!folder.path().join("out").exists());
}
