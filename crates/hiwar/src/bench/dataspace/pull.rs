//! Pulls of one large file, from nodes and from nginx, by the same clients.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use hiwar::node_process::{NodeProcess, free_addresses};
use hiwar_node::data_plane::{Access, NoRenewal, Pull, Retry};
use hiwar_node::outbound::Trust;
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Size;
use super::memory::{Memory, Watch};
use super::peers::{self, Peers};

const OPEN: &str = r#"{ "permit": { "use": {} } }"#;

/// Megabytes (of a million bytes) per second, medians.
#[derive(Debug, Serialize)]
pub(super) struct Pulls {
    pub(super) bytes: u64,
    /// A client that only reads.
    pub(super) read_node: f64,
    pub(super) read_nginx: Option<f64>,
    pub(super) read_node_tls: f64,
    /// The product's pull: hashed, written, compared, durable.
    pub(super) pull_node: f64,
    pub(super) pull_nginx: Option<f64>,
    pub(super) pull_node_tls: f64,
    /// `hiwar data pull` between two nodes with TLS, with the negotiation of the transfer.
    pub(super) between_nodes: f64,
    pub(super) memory: Memory,
    /// Why nginx is missing.
    pub(super) nginx_missing: Option<String>,
}

/// nginx in a process of its own; ends when dropped.
struct Nginx {
    child: Child,
    url: String,
}

impl Nginx {
    fn start(script: &Path, folder: &Path) -> anyhow::Result<Self> {
        let [address, _] = free_addresses()?;
        let mut child = Command::new(script)
            .arg(folder)
            .arg(address.port().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be started", script.display()))?;
        let mut line = String::new();
        let out = child.stdout.take().context("nginx has no output")?;
        BufReader::new(out).read_line(&mut line)?;
        let made = Self { child, url: format!("http://{address}/file.bin") };
        ensure!(line.trim() == "ready", "nginx did not start; is the package nginx installed?");
        Ok(made)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The script ends nginx when it is told to end.
        drop(Command::new("kill").arg(self.child.id().to_string()).status());
        drop(self.child.wait());
    }
}

/// Bytes that no compression makes smaller.
fn write_file(path: &Path, bytes: u64) -> anyhow::Result<()> {
    let mut file = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let (mut state, mut left) = (0x9e37_79b9_7f4a_7c15_u64, bytes);
    while left > 0 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = state.to_le_bytes();
        let part = word.get(..usize::try_from(left.min(8))?).unwrap_or(&word);
        file.write_all(part)?;
        left -= part.len() as u64;
    }
    file.flush()?;
    file.get_ref().sync_all()?;
    Ok(())
}

/// Where content is, for both clients.
struct From {
    access: Access,
    trust: Trust,
}

/// Offers the file at `provider`; returns the consumer's agreement about it.
async fn agreed(peers: &Peers, provider: &NodeProcess, file: &Path) -> anyhow::Result<String> {
    let body = json!({ "id": "urn:example:file", "title": "A large file", "terms": OPEN, "path": file });
    provider.client.post("/api/v1/data/datasets", &body).await?;
    let body =
        json!({ "peer": peers::did(provider).await?, "dataset": "urn:example:file", "wait_ms": 60_000 });
    let made = peers.consumer.client.post("/api/v1/data/negotiations", &body).await?;
    Ok(made.pointer("/agreement/@id").and_then(|a| a.as_str()).context("there is no agreement")?.to_owned())
}

/// Begins a transfer; returns where its data are.
async fn begun(peers: &Peers, provider: &NodeProcess, agreement: &str) -> anyhow::Result<From> {
    let body = json!({ "agreement": agreement, "wait_ms": 60_000 });
    let made = peers.consumer.client.post("/api/v1/data/transfers", &body).await?;
    let access = Access::read(&made["address"], hiwar_node::clock::now())?;
    Ok(From { access, trust: peers::trust(provider)? })
}

async fn read(from: &From, bytes: u64) -> anyhow::Result<f64> {
    let outbound = peers::outbound()?;
    let url: reqwest::Url = from.access.endpoint.parse()?;
    let client = outbound.client_for(from.trust.target(&url))?;
    let start = Instant::now();
    let mut request = client.get(url);
    if let Some(token) = &from.access.authorization {
        request = request.bearer_auth(token.as_str());
    }
    let mut parts = request.send().await?.error_for_status()?.bytes_stream();
    let mut came = 0;
    while let Some(part) = parts.next().await {
        came += part?.len() as u64;
    }
    ensure!(came == bytes, "{came} of {bytes} bytes came");
    Ok(bytes as f64 / 1e6 / start.elapsed().as_secs_f64())
}

async fn pull(from: &From, to: PathBuf, bytes: u64) -> anyhow::Result<f64> {
    let start = Instant::now();
    let pull = Pull {
        access: from.access.clone(),
        to: to.clone(),
        sha256: None,
        size_max: bytes,
        trust: from.trust.clone(),
        retry: Retry::standard(),
        renew: Arc::new(NoRenewal),
        cancel: CancellationToken::new(),
        progress: Arc::new(|_| {}),
    };
    let pulled = pull.file(&peers::outbound()?).await?;
    let speed = bytes as f64 / 1e6 / start.elapsed().as_secs_f64();
    ensure!(pulled.size == bytes, "{} of {bytes} bytes came", pulled.size);
    std::fs::remove_file(to)?;
    Ok(speed)
}

fn median(mut speeds: Vec<f64>) -> f64 {
    speeds.sort_by(f64::total_cmp);
    speeds.get(speeds.len() / 2).copied().unwrap_or(0.0)
}

pub(super) async fn measure(peers: &Peers, dir: &Path, size: &Size, interop: &Path) -> anyhow::Result<Pulls> {
    let served = dir.join("served");
    std::fs::create_dir_all(&served)?;
    let file = served.join("file.bin");
    write_file(&file, size.file_bytes)?;
    let plain = peers.plain_provider(dir).await?;
    let plain_agreement = agreed(peers, &plain, &file).await?;
    let tls_agreement = agreed(peers, &peers.provider, &file).await?;
    let node = begun(peers, &plain, &plain_agreement).await?;
    let node_tls = begun(peers, &peers.provider, &tls_agreement).await?;
    let (nginx, nginx_missing) = match Nginx::start(&interop.join("bench/nginx"), &served) {
        Ok(nginx) => (Some(nginx), None),
        Err(error) => {
            eprintln!("NGINX IS NOT MEASURED: {error:#}");
            (None, Some(format!("{error:#}")))
        }
    };
    let web = nginx.as_ref().map(|nginx| From {
        access: Access { endpoint: nginx.url.clone(), authorization: None, renewal: None },
        trust: Trust::Stranger,
    });
    let to = |name: &str| dir.join(name);
    let watch = Watch::begin(&plain, &peers.consumer);
    let bytes = size.file_bytes;
    let mut speeds: [Vec<f64>; 7] = Default::default();
    let [read_node, read_nginx, read_tls, pull_node, pull_nginx, pull_tls, between] = &mut speeds;
    // One after the other in turn, so that what else the machine does meets all alike.
    for _ in 0..size.pulls {
        if let Some(web) = &web {
            read_nginx.push(read(web, bytes).await?);
            pull_nginx.push(pull(web, to("nginx.bin"), bytes).await?);
        }
        read_node.push(read(&node, bytes).await?);
        pull_node.push(pull(&node, to("node.bin"), bytes).await?);
        read_tls.push(read(&node_tls, bytes).await?);
        pull_tls.push(pull(&node_tls, to("tls.bin"), bytes).await?);
        between.push(between_nodes(peers, &tls_agreement, bytes).await?);
    }
    let memory = watch.end();
    let some = |speeds: &[f64]| (!speeds.is_empty()).then(|| median(speeds.to_vec()));
    Ok(Pulls {
        bytes,
        read_node: median(read_node.clone()),
        read_nginx: some(read_nginx),
        read_node_tls: median(read_tls.clone()),
        pull_node: median(pull_node.clone()),
        pull_nginx: some(pull_nginx),
        pull_node_tls: median(pull_tls.clone()),
        between_nodes: median(between.clone()),
        memory,
        nginx_missing,
    })
}

async fn between_nodes(peers: &Peers, agreement: &str, bytes: u64) -> anyhow::Result<f64> {
    let start = Instant::now();
    let body = json!({ "agreement": agreement, "wait_ms": 60_000 });
    let pulled = peers.consumer.client.post("/api/v1/data/pulls", &body).await?;
    let speed = bytes as f64 / 1e6 / start.elapsed().as_secs_f64();
    ensure!(pulled["bytes"] == json!(bytes), "not all came: {pulled}");
    // The next one needs the room.
    drop(std::fs::remove_dir_all(peers.consumer.dir.join("received")));
    Ok(speed)
}
