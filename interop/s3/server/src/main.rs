//! An S3 server over a folder (the crates s3s and s3s-fs), with faults that a test asks for.
//!
//! `hiwar-interop-s3 ROOT ACCESS_KEY SECRET_KEY [SKEW_SECONDS]` prints its port and serves until it is ended.
//! Each folder below `ROOT` is a bucket. `POST /_faults?slow=N&cut=N` makes the next N requests fail with
//! 503 SlowDown, and the next N contents break off in their middle; `GET /_faults` says how many requests there were.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;

type Any = Box<dyn Error + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, Any>>;

#[derive(Default)]
struct Faults {
    slow: AtomicU64,
    cut: AtomicU64,
    requests: AtomicU64,
}

/// Takes one of what is left.
fn take(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

fn said(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(Full::from(text).map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status;
    answer
}

fn told(faults: &Faults, request: &Request<Incoming>) -> Answer {
    if request.method() == Method::POST {
        for pair in request.uri().query().unwrap_or_default().split('&') {
            match pair.split_once('=').map(|(name, n)| (name, n.parse().unwrap_or(0))) {
                Some(("slow", n)) => faults.slow.store(n, Ordering::SeqCst),
                Some(("cut", n)) => faults.cut.store(n, Ordering::SeqCst),
                _ => {}
            }
        }
    }
    said(StatusCode::OK, faults.requests.load(Ordering::SeqCst).to_string())
}

/// The body, broken off when half of it was sent.
fn halved(body: s3s::Body) -> UnsyncBoxBody<Bytes, Any> {
    let half = body.size_hint().lower() / 2;
    let mut sent = 0;
    let cut = body.map_frame(move |frame| match frame.into_data() {
        Ok(mut data) => {
            sent += data.len() as u64;
            let over = usize::try_from(sent.saturating_sub(half)).unwrap_or(0).min(data.len());
            Frame::data(data.split_to(data.len() - over))
        }
        Err(frame) => frame,
    });
    // A body that ends before its length makes the server close the connection.
    cut.boxed_unsync()
}

async fn answer(faults: Arc<Faults>, s3: S3Service, request: Request<Incoming>) -> Result<Answer, Any> {
    if request.uri().path() == "/_faults" {
        return Ok(told(&faults, &request));
    }
    faults.requests.fetch_add(1, Ordering::SeqCst);
    if take(&faults.slow) {
        let xml = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.\
                   </Message></Error>";
        return Ok(said(StatusCode::SERVICE_UNAVAILABLE, xml.to_owned()));
    }
    let content = request.method() == Method::GET && !request.uri().query().unwrap_or_default().contains("list-type");
    let answer = s3.call(request.map(s3s::Body::from)).await.map_err(|error| format!("{error:?}"))?;
    let cut = content && answer.status().is_success() && take(&faults.cut);
    Ok(answer.map(|body| if cut { halved(body) } else { body.boxed_unsync() }))
}

#[tokio::main]
async fn main() -> Result<(), Any> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root, access, secret, rest @ ..] = arguments.as_slice() else {
        return Err("give ROOT ACCESS_KEY SECRET_KEY [SKEW_SECONDS]".into());
    };
    let files = s3s_fs::FileSystem::new(PathBuf::from(root)).map_err(|error| format!("{error:?}"))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(access.as_str(), secret.as_str()));
    if let Some(skew) = rest.first() {
        let mut config = S3Config::default();
        config.presigned_url_max_skew_time_secs = skew.parse()?;
        service.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    }
    let (s3, faults) = (service.build(), Arc::new(Faults::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (socket, _) = listener.accept().await?;
        let (s3, faults) = (s3.clone(), faults.clone());
        tokio::spawn(async move {
            let serve = service_fn(move |request| answer(faults.clone(), s3.clone(), request));
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), serve).await);
        });
    }
}
