use super::super::pull::digest;
use super::super::source::Manifest;
use super::super::*;
use super::rig::*;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hiwar_trust::hash::Hash;
use http::StatusCode;
use tokio_util::sync::CancellationToken;

const SIZE: usize = 3_000_017;

struct Scene {
    folder: tempfile::TempDir,
    content: Vec<u8>,
    door: Arc<Door>,
    server: Server,
}

fn scene(size: usize) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let content = content(size, 7);
    std::fs::write(folder.path().join("offered"), &content).unwrap();
    let door = Door::file(&folder.path().join("offered"));
    let server = Server::start(&door, 0);
    Scene { folder, content, door, server }
}

impl Scene {
    fn to(&self) -> std::path::PathBuf {
        self.folder.path().join("pulled")
    }

    fn sha256(&self) -> Hash {
        Hash::of(&self.content)
    }

    /// The file is here whole, and nothing else of the pull.
    fn assert_whole(&self) {
        assert!(std::fs::read(self.to()).unwrap() == self.content);
        let mut names: Vec<_> =
            std::fs::read_dir(self.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["offered", "pulled"]);
    }

    fn bytes_served(&self) -> u64 {
        self.door.served.lock().unwrap().iter().map(|served| served.bytes).sum()
    }
}

fn get(port: u16, headers: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let client = any_client();
    let request = client.get(format!("http://127.0.0.1:{port}/data/t1")).bearer_auth("token-0");
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

#[tokio::test]
async fn any_client_gets_the_whole_a_range_or_only_the_headers() {
    let scene = scene(SIZE);
    let port = scene.server.port;
    let whole = get(port, &[]).send().await.unwrap();
    assert_eq!(whole.status(), StatusCode::OK);
    let header = |response: &reqwest::Response, name: &str| {
        response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    let etag = format!("\"{}\"", scene.sha256());
    assert_eq!(header(&whole, "etag").unwrap(), etag);
    assert_eq!(header(&whole, "content-type").unwrap(), "text/csv");
    for name in ["repr-digest", "content-digest"] {
        assert_eq!(digest(&header(&whole, name).unwrap()), Some(scene.sha256()));
    }
    assert!(whole.bytes().await.unwrap() == scene.content);
    let mut seed = Seed(11);
    for _ in 0..40 {
        let from = seed.below(SIZE as u64);
        let to = from + seed.below(SIZE as u64 - from);
        let part =
            get(port, &[("range", &format!("bytes={from}-{to}")), ("if-range", &etag)]).send().await.unwrap();
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(header(&part, "content-range").unwrap(), format!("bytes {from}-{to}/{SIZE}"));
        assert_eq!(header(&part, "content-digest"), None);
        let (from, to) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
        assert!(part.bytes().await.unwrap() == scene.content[from..=to], "{from}-{to}");
    }
    let beyond = get(port, &[("range", "bytes=3000017-")]).send().await.unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(header(&beyond, "content-range").unwrap(), "bytes */3000017");
    let held = get(port, &[("if-none-match", &etag)]).send().await.unwrap();
    assert_eq!(held.status(), StatusCode::NOT_MODIFIED);
    let client = any_client();
    let url = format!("http://127.0.0.1:{port}/data/t1");
    let head = client.head(url).bearer_auth("token-0").send().await.unwrap();
    assert_eq!(header(&head, "content-length").unwrap(), "3000017");
    assert_eq!(head.bytes().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_pull_goes_on_after_every_cut_and_brings_each_byte_about_once() {
    for seed in 1..=6 {
        let scene = scene(SIZE);
        let mut random = Seed(seed);
        let cuts: Vec<u64> = (0..12).map(|_| random.below(500_000)).collect();
        println!("seed {seed}: the wire is cut after {cuts:?} bytes");
        let (wire, made) = wire(scene.server.port, cuts).await;
        let told = Arc::new(AtomicU64::new(0));
        let counted = told.clone();
        let mut pull = pull(wire, scene.to(), Some(scene.sha256()));
        pull.progress = Arc::new(move |progress| {
            assert_eq!(progress.size, Some(SIZE as u64));
            counted.store(progress.have, Ordering::SeqCst);
        });
        let pulled = pull.file(&outbound()).await.unwrap();
        assert_eq!(pulled, Pulled { size: SIZE as u64, sha256: scene.sha256(), files: 1 });
        scene.assert_whole();
        assert_eq!(told.load(Ordering::SeqCst), SIZE as u64);
        assert!(made.load(Ordering::SeqCst) > 2, "the wire was cut");
        let partly = scene.door.served.lock().unwrap().iter().filter(|served| served.from > 0).count();
        assert!(partly > 0, "it went on by range");
    }
}

#[tokio::test]
async fn a_pull_survives_a_restart_of_the_server() {
    let scene = scene(40_000_000);
    let (to, sha256, door) = (scene.to(), scene.sha256(), scene.door.clone());
    let halfway = CancellationToken::new();
    let seen = halfway.clone();
    let mut pull = pull(scene.server.port, to.clone(), Some(sha256));
    pull.progress = Arc::new(move |progress| {
        if progress.have > 5_000_000 {
            seen.cancel();
        }
    });
    let pulling = tokio::spawn(async move { pull.file(&outbound()).await });
    halfway.cancelled().await;
    let port = scene.server.stop();
    let _again = Server::start(&door, port);
    assert_eq!(pulling.await.unwrap().unwrap().sha256, sha256);
    assert!(std::fs::read(to).unwrap() == scene.content);
}

#[tokio::test]
async fn a_pull_that_was_killed_goes_on_from_its_partial_file() {
    let scene = scene(20_000_000);
    let halfway = CancellationToken::new();
    let seen = halfway.clone();
    let mut first = pull(scene.server.port, scene.to(), Some(scene.sha256()));
    first.progress = Arc::new(move |progress| {
        if progress.have > 5_000_000 {
            seen.cancel();
        }
    });
    let pulling = tokio::spawn(async move { first.file(&outbound()).await });
    halfway.cancelled().await;
    pulling.abort();
    drop(pulling.await);
    // The writer's thread finishes what it was given.
    let partial = scene.folder.path().join("pulled.partial");
    let mut before = std::fs::metadata(&partial).unwrap().len();
    loop {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let now = std::fs::metadata(&partial).unwrap().len();
        if now == before {
            break;
        }
        before = now;
    }
    assert!(before > 0 && before < 20_000_000 && !scene.to().exists());
    scene.door.served.lock().unwrap().clear();
    let second = pull(scene.server.port, scene.to(), Some(scene.sha256()));
    second.file(&outbound()).await.unwrap();
    scene.assert_whole();
    assert_eq!(scene.bytes_served(), 20_000_000 - before, "only the rest was asked for");
}

#[tokio::test]
async fn a_partial_file_that_was_damaged_is_brought_anew() {
    let scene = scene(SIZE);
    let stopped = pull(scene.server.port, scene.to(), Some(scene.sha256()));
    let cancel = stopped.cancel.clone();
    let stopped = Pull {
        progress: Arc::new(move |p| {
            if p.have > 500_000 {
                cancel.cancel()
            }
        }),
        ..stopped
    };
    assert!(matches!(stopped.file(&outbound()).await, Err(TransferError::Cancelled)));
    let partial = scene.folder.path().join("pulled.partial");
    let mut bytes = std::fs::read(&partial).unwrap();
    bytes[100_000] ^= 1;
    std::fs::write(&partial, bytes).unwrap();
    pull(scene.server.port, scene.to(), Some(scene.sha256())).file(&outbound()).await.unwrap();
    scene.assert_whole();
}

#[tokio::test]
async fn a_token_that_expires_on_the_way_is_renewed_and_the_pull_goes_on() {
    let scene = scene(SIZE);
    // The wire is cut on the way, and by then the token is no longer good.
    let (wire, _) = wire(scene.server.port, vec![1_000_000]).await;
    let renew = Arc::new(FromDoor(scene.door.clone(), AtomicU64::new(0)));
    let door = scene.door.clone();
    let mut pull = pull(wire, scene.to(), Some(scene.sha256()));
    pull.renew = renew.clone();
    pull.progress = Arc::new(move |progress| {
        if progress.have > 100_000 && door.old_tokens.lock().unwrap().is_empty() {
            door.expire();
        }
    });
    pull.file(&outbound()).await.unwrap();
    scene.assert_whole();
    assert_eq!(renew.1.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_token_that_is_about_to_expire_is_renewed_before_it_is_used() {
    let scene = scene(1000);
    let renew = Arc::new(FromDoor(scene.door.clone(), AtomicU64::new(0)));
    let mut pull = pull(scene.server.port, scene.to(), None);
    pull.access.renewal = Some(Renewal {
        refresh_token: zeroize::Zeroizing::new("r".into()),
        endpoint: "http://127.0.0.1/token".into(),
        audience: None,
        expires: Some(crate::clock::now().plus_millis(1000)),
    });
    pull.renew = renew.clone();
    pull.file(&outbound()).await.unwrap();
    scene.assert_whole();
    assert_eq!(renew.1.load(Ordering::SeqCst), 1);
    assert_eq!(scene.door.served.lock().unwrap().len(), 1, "no request with the old token");
}

#[tokio::test]
async fn ten_pulls_at_once_bring_ten_whole_files() {
    let scene = scene(SIZE);
    let outbound = Arc::new(outbound());
    let pulls = (0..10).map(|n| {
        let pull = pull(scene.server.port, scene.folder.path().join(format!("p{n}")), Some(scene.sha256()));
        let outbound = outbound.clone();
        tokio::spawn(async move { pull.file(&outbound).await.unwrap() })
    });
    for (n, pulled) in futures_util::future::join_all(pulls).await.into_iter().enumerate() {
        assert_eq!(pulled.unwrap().sha256, scene.sha256());
        assert!(std::fs::read(scene.folder.path().join(format!("p{n}"))).unwrap() == scene.content);
    }
}

#[tokio::test]
async fn a_folder_comes_with_all_its_files_and_goes_on_after_cuts() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("offered");
    std::fs::create_dir_all(root.join("2019/日本")).unwrap();
    let files = [("a b?#%.csv", 700_000), ("2019/empty", 0), ("2019/日本/七月.csv", 400_000)];
    for (path, size) in files {
        std::fs::write(root.join(path), content(size, size as u64)).unwrap();
    }
    let door = Door::folder(&root);
    let server = Server::start(&door, 0);
    let (wire, _) = wire(server.port, vec![200_000, 100_000, 300_000]).await;
    let to = folder.path().join("pulled");
    let pulled = pull(wire, to.clone(), door.source.sha256()).folder(&outbound()).await.unwrap();
    assert_eq!((pulled.size, pulled.files), (1_100_000, 3));
    for (path, size) in files {
        assert!(std::fs::read(to.join(path)).unwrap() == content(size, size as u64), "{path}");
    }
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), 2, "nothing beside the files");
    door.served.lock().unwrap().clear();
    pull(server.port, to, door.source.sha256()).folder(&outbound()).await.unwrap();
    assert_eq!(door.served.lock().unwrap().len(), 1, "only the manifest is brought again");
}

#[tokio::test]
async fn an_empty_file_is_brought_too() {
    let scene = scene(0);
    pull(scene.server.port, scene.to(), Some(scene.sha256())).file(&outbound()).await.unwrap();
    scene.assert_whole();
}

#[tokio::test]
async fn a_service_behind_the_node_is_passed_on_with_ranges_and_its_secret() {
    use axum::http::HeaderMap;
    let folder = tempfile::tempdir().unwrap();
    let held = content(100_000, 3);
    let body = held.clone();
    let behind = axum::Router::new().route(
        "/base/{*path}",
        axum::routing::get(async move |headers: HeaderMap| {
            if headers.get("x-key").is_none_or(|key| key != "s3cret") {
                return (StatusCode::UNAUTHORIZED, HeaderMap::new(), Vec::new());
            }
            let mut answered = HeaderMap::new();
            answered.insert("etag", "\"v1\"".parse().unwrap());
            answered.insert("set-cookie", "inner=1".parse().unwrap());
            if headers.get("range").is_some_and(|range| range == "bytes=10-19") {
                answered.insert("content-range", "bytes 10-19/100000".parse().unwrap());
                return (StatusCode::PARTIAL_CONTENT, answered, body[10..20].to_vec());
            }
            (StatusCode::OK, answered, body.clone())
        }),
    );
    let behind = Server::routes(behind, 0);
    let secret = folder.path().join("key");
    std::fs::write(&secret, "s3cret\n").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let door = Door::of(source::Source::Http(source::BackendSource {
        url: format!("http://127.0.0.1:{}/base/data", behind.port),
        secret_file: Some(secret.clone()),
        secret_header: Some("x-key".into()),
        paths: false,
    }));
    let server = Server::start(&door, 0);
    let part = get(server.port, &[("range", "bytes=10-19")]).send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert!(part.headers().get("set-cookie").is_none(), "only what concerns the content is passed back");
    assert_eq!(part.bytes().await.unwrap(), held[10..20]);
    let to = folder.path().join("pulled");
    pull(server.port, to.clone(), Some(Hash::of(&held))).file(&outbound()).await.unwrap();
    assert!(std::fs::read(to).unwrap() == held);
    std::fs::write(&secret, "other").unwrap();
    let refused = get(server.port, &[]).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_GATEWAY);
    assert!(!refused.text().await.unwrap().contains("other"));
}

#[tokio::test]
async fn the_manifest_is_the_content_of_a_folders_address() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a"), b"abc").unwrap();
    let door = Door::folder(folder.path());
    let server = Server::start(&door, 0);
    let json = get(server.port, &[]).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(door.source.sha256(), Some(Hash::of(&json)));
    assert_eq!(Manifest::read(&json).unwrap().files[0].sha256, Hash::of(b"abc"));
}
