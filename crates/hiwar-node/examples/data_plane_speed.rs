//! Serves one file as the data plane does, or pulls one, to measure either alone.
//!
//! ```text
//! data_plane_speed serve FILE PORT      # http://127.0.0.1:PORT/data/t, token `t`
//! data_plane_speed drain URL [N]        # one connection; bytes thrown away; N times
//! data_plane_speed pull URL TO          # hashed, written, verified, durable
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use hiwar_node::data_plane::source::{FileSource, Source};
use hiwar_node::data_plane::{Access, Admission, Gate, NoRenewal, Pull, Refusal, Retry, Serve};
use hiwar_node::outbound::{AddressRule, Outbound, Target, Trust};
use hiwar_trust::time::Timestamp;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

type Outcome = Result<(), Box<dyn std::error::Error>>;

struct Open(Arc<Source>);

impl Gate for Open {
    fn admit<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<Admission, Refusal>> {
        let (source, sha256) = (self.0.clone(), self.0.sha256());
        Box::pin(
            async move { Ok(Admission { source, expires: None, sha256, on_end: CancellationToken::new() }) },
        )
    }
}

fn outbound() -> Result<Outbound, Box<dyn std::error::Error>> {
    Ok(Outbound::new(AddressRule { allow: vec!["http://127.0.0.1".parse()?] }, None))
}

async fn serve(file: &str, port: u16) -> Outcome {
    let begun = Instant::now();
    let source = FileSource::offer(Path::new(file), None)?;
    println!("fingerprint of {} bytes in {:.2} s", source.pinned.size, begun.elapsed().as_secs_f64());
    let gate = Arc::new(Open(Arc::new(Source::File(source))));
    let routes = Serve::new(gate, Arc::new(outbound()?)).routes();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, routes).await?)
}

async fn drain(url: &str, times: usize) -> Outcome {
    let outbound = outbound()?;
    let url: reqwest::Url = url.parse()?;
    for _ in 0..times {
        let begun = Instant::now();
        let client = outbound.client_for(Target::Stranger(&url))?;
        let response = client.get(url.clone()).bearer_auth("t").send().await?.error_for_status()?;
        let mut parts = response.bytes_stream();
        let mut came = 0;
        while let Some(part) = parts.next().await {
            came += part?.len();
        }
        let seconds = begun.elapsed().as_secs_f64();
        println!("{came} bytes in {seconds:.3} s = {:.0} MB/s", came as f64 / seconds / 1e6);
    }
    Ok(())
}

async fn pull(url: &str, to: &str) -> Outcome {
    let begun = Instant::now();
    let token = Some(Zeroizing::new("t".to_owned()));
    let pull = Pull {
        access: Access { endpoint: url.to_owned(), authorization: token, renewal: None },
        to: PathBuf::from(to),
        sha256: None,
        size_max: u64::MAX,
        trust: Trust::Stranger,
        retry: Retry::standard(),
        renew: Arc::new(NoRenewal),
        cancel: CancellationToken::new(),
        progress: Arc::new(|_| {}),
    };
    let pulled = pull.file(&outbound()?).await?;
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "pulled {} bytes in {seconds:.3} s = {:.0} MB/s",
        pulled.size,
        pulled.size as f64 / seconds / 1e6
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome {
    hiwar_node::tls::install_provider();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["serve", file, port] => serve(file, port.parse()?).await,
        ["drain", url] => drain(url, 3).await,
        ["drain", url, times] => drain(url, times.parse()?).await,
        ["pull", url, to] => pull(url, to).await,
        _ => Err("serve FILE PORT | drain URL [N] | pull URL TO".into()),
    };
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
    }
    outcome
}
