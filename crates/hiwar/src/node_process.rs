//! Real nodes as processes of their own, for the demo, the bench and the tests.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hiwar_node::config::Tls;
use hiwar_node::folder::{self, NewNode};
use serde_json::{Value, json};

use crate::api_client::ApiClient;

/// A node in a process of its own; killed when dropped.
pub struct NodeProcess {
    /// Its folder.
    pub dir: PathBuf,
    /// A client of its local API, as its operator.
    pub client: ApiClient,
    program: PathBuf,
    child: Option<Child>,
}

/// Ports for nodes lie here. Systems give connections that leave theirs from 32,768 up, so that none of those takes
/// a port between the choice and the node's start.
const PORTS: std::ops::Range<u16> = 16_384..32_768;

/// Two addresses on loopback with neighbouring ports that nobody listens on; each call of a process gets its own.
///
/// # Errors
/// When all are taken.
pub fn free_addresses() -> anyhow::Result<[SocketAddr; 2]> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let pairs = u16::try_from(PORTS.len() / 2)?;
    // Processes that run side by side begin at different places.
    let begin = u16::try_from(std::process::id().wrapping_mul(61) % u32::from(pairs))?;
    for _ in 0..pairs {
        let pair = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % pairs;
        let [a, b] = [0, 1].map(|n| SocketAddr::from((Ipv4Addr::LOCALHOST, PORTS.start + 2 * pair + n)));
        if TcpListener::bind(a).is_ok() && TcpListener::bind(b).is_ok() {
            return Ok([a, b]);
        }
    }
    bail!("no two neighbouring ports from {} to {} are free", PORTS.start, PORTS.end)
}

impl NodeProcess {
    /// Makes a node in `dir` and starts it.
    ///
    /// # Errors
    /// When it cannot be made, or does not become ready.
    pub async fn make(program: &Path, dir: &Path, name: &str) -> anyhow::Result<Self> {
        Self::make_with(program, dir, name, Tls::Pinned).await
    }

    /// Makes a node in `dir` whose peers' listener is secured as `tls` says, and starts it.
    ///
    /// # Errors
    /// When it cannot be made, or does not become ready.
    pub async fn make_with(program: &Path, dir: &Path, name: &str, tls: Tls) -> anyhow::Result<Self> {
        let [listen, api_listen] = free_addresses()?;
        let new = NewNode {
            did: format!("did:web:{name}.example").parse()?,
            name: name.to_owned(),
            listen: Some(listen),
            public_url: None,
            api_listen,
            connect_from: None,
            desks: vec!["desk".into()],
            radar_store: None,
            tls,
        };
        folder::make(dir, &new, None)?;
        let mut node = Self::of(program, dir)?;
        node.start().await?;
        Ok(node)
    }

    /// The node whose folder is `dir`, not started yet.
    ///
    /// # Errors
    /// When the folder is no node's.
    pub fn of(program: &Path, dir: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            dir: dir.to_owned(),
            client: ApiClient::of_folder(dir)?,
            program: program.to_owned(),
            child: None,
        })
    }

    /// Starts the process; returns how long it took until the node was ready.
    ///
    /// # Errors
    /// When it ends or does not become ready.
    pub async fn start(&mut self) -> anyhow::Result<Duration> {
        let log = std::fs::File::options().create(true).append(true).open(self.dir.join("node.log"))?;
        let start = Instant::now();
        let child = Command::new(&self.program)
            .arg("serve")
            .arg(&self.dir)
            .env("HIWAR_LOG", "warn")
            .env_remove("HIWAR_PASSPHRASE_FILE")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        loop {
            if self.client.is_ready().await {
                return Ok(start.elapsed());
            }
            if let Some(status) = self.child.as_mut().and_then(|c| c.try_wait().ok().flatten()) {
                bail!("the node in {} ended at its start ({status}); see its node.log", self.dir.display());
            }
            if start.elapsed() > Duration::from_secs(60) {
                bail!("the node in {} did not become ready; see its node.log", self.dir.display());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Kills the process at once (SIGKILL).
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// The process's number, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Asks the process to end, and kills it when it has not done so after `limit`.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn end(&mut self, limit: Duration) -> anyhow::Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        // Where there is no such program, the limit passes and the process is killed.
        drop(Command::new("kill").arg(child.id().to_string()).stderr(Stdio::null()).status());
        let start = Instant::now();
        while start.elapsed() < limit && matches!(child.try_wait(), Ok(None)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.kill()
    }

    /// Resident memory, MiB.
    pub fn rss_mib(&self) -> f64 {
        let Some(child) = &self.child else { return 0.0 };
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    }

    /// Processor time used so far by the process, seconds (user and system).
    pub fn cpu_seconds(&self) -> f64 {
        let Some(child) = &self.child else { return 0.0 };
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
        let after = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        let fields: Vec<f64> = after.split_whitespace().filter_map(|f| f.parse().ok()).collect();
        // Fields 14 and 15 of proc(5), in clock ticks of 10 ms; the state letter is no number.
        let ticks = fields.get(10).copied().unwrap_or(0.0) + fields.get(11).copied().unwrap_or(0.0);
        ticks / 100.0
    }

    /// Value of an OpenMetrics figure without labels.
    ///
    /// # Errors
    /// When the node shows no such figure.
    pub async fn figure(&self, name: &str) -> anyhow::Result<u64> {
        let metrics = self.client.get_text("/metrics").await?;
        let line = metrics.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|n| n.trim().parse().ok()).with_context(|| format!("the node shows no figure {name}"))
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Nobody needs the node any more; a process that is gone already is what we want.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Makes each of the nodes a peer of the other and opens a dialogue; returns its identifier.
///
/// # Errors
/// When a node refuses or does not answer.
pub async fn introduce(a: &NodeProcess, b: &NodeProcess) -> anyhow::Result<String> {
    for (host, guest) in [(a, b), (b, a)] {
        let invitation = guest.client.get("/api/v1/invitation").await?;
        let body =
            json!({ "invitation": invitation["invitation"], "fingerprint": invitation["fingerprint"] });
        host.client.post("/api/v1/peers", &body).await?;
    }
    let other = b.client.get("/api/v1/status").await?;
    let body = json!({
        "title": { "en": "Bench" }, "with": [other["did"]], "arrangement": "bench", "cap": "TLP:AMBER",
    });
    let opened = a.client.post("/api/v1/dialogues", &body).await?;
    let dialogue = opened["dialogue"].as_str().context("no dialogue was opened")?.to_owned();
    wait("the dialogue to arrive", || async {
        Ok(b.client.get("/api/v1/dialogues").await?["dialogues"].as_array().is_some_and(|d| !d.is_empty()))
    })
    .await?;
    b.client.post("/api/v1/entries", &json!({ "action": "assent", "of": dialogue })).await?;
    wait("the dialogue to open", || async {
        let shown = a.client.get(&format!("/api/v1/dialogues/{dialogue}")).await?;
        Ok(shown["open"] == Value::Bool(true))
    })
    .await?;
    Ok(dialogue)
}

/// Waits until `done`.
///
/// # Errors
/// When that takes more than two minutes.
pub async fn wait<F, Fut>(what: &str, done: F) -> anyhow::Result<()>
where
    F: Fn() -> Fut,
    Fut: Future<Output = anyhow::Result<bool>>,
{
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(120) {
        if done().await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bail!("waited 120 s in vain for {what}")
}
