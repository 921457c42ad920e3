//! The two nodes, and how the bench speaks as one of them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hiwar::node_process::NodeProcess;
use hiwar_claims::token::{self, Claims};
use hiwar_node::config::{Config, Tls};
use hiwar_node::folder;
use hiwar_node::outbound::{AddressRule, Outbound, Target, Trust};
use hiwar_trust::did::Did;
use reqwest::Url;
use serde_json::{Value, json};

/// How long a token of the bench lasts; a run takes less.
const TOKEN_SECONDS: i64 = 3600;

/// A provider and a consumer that know each other by invitation.
pub(super) struct Peers {
    pub(super) provider: NodeProcess,
    pub(super) consumer: NodeProcess,
    /// The longer of both starts with nothing stored.
    pub(super) start_ms: f64,
    program: PathBuf,
}

pub(super) async fn did(node: &NodeProcess) -> anyhow::Result<String> {
    let status = node.client.get("/api/v1/status").await?;
    Ok(status["did"].as_str().context("the node does not say who it is")?.to_owned())
}

/// Each becomes a peer of the other.
pub(super) async fn introduce(a: &NodeProcess, b: &NodeProcess) -> anyhow::Result<()> {
    for (host, guest) in [(a, b), (b, a)] {
        let invitation = guest.client.get("/api/v1/invitation").await?;
        let body =
            json!({ "invitation": invitation["invitation"], "fingerprint": invitation["fingerprint"] });
        host.client.post("/api/v1/peers", &body).await?;
    }
    Ok(())
}

impl Peers {
    /// Two nodes with the settings that `hiwar init` gives.
    pub(super) async fn make(dir: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let provider = NodeProcess::make(&program, &dir.join("provider"), "provider").await?;
        let consumer = NodeProcess::make(&program, &dir.join("consumer"), "consumer").await?;
        introduce(&provider, &consumer).await?;
        let mut peers = Self { provider, consumer, start_ms: 0.0, program };
        peers.start_ms = peers.restart().await?.into_iter().fold(0.0, f64::max);
        Ok(peers)
    }

    /// A third node that offers data to the consumer without TLS, as nginx does beside it.
    pub(super) async fn plain_provider(&self, dir: &Path) -> anyhow::Result<NodeProcess> {
        let made =
            NodeProcess::make_with(&self.program, &dir.join("plain"), "plain", Tls::BehindProxy).await?;
        introduce(&made, &self.consumer).await?;
        Ok(made)
    }

    /// Kills both nodes and starts them again; milliseconds until each is ready.
    pub(super) async fn restart(&mut self) -> anyhow::Result<[f64; 2]> {
        let mut times = [0.0; 2];
        for (node, time) in [&mut self.provider, &mut self.consumer].into_iter().zip(&mut times) {
            node.kill()?;
            *time = node.start().await?.as_secs_f64() * 1e3;
        }
        Ok(times)
    }
}

/// What a connector sends to another: with the consumer's token, over connections that are kept.
pub(super) struct AsConsumer {
    client: reqwest::Client,
    root: Url,
    authorization: String,
}

/// How a node is reached: its address and, with TLS, the digest of its key.
pub(super) fn trust(node: &NodeProcess) -> anyhow::Result<Trust> {
    let config = Config::read(&node.dir)?;
    let listen = config.listen.context("the node accepts no connection")?;
    if config.tls == Tls::BehindProxy {
        return Ok(Trust::Peer { endpoint: format!("http://{listen}"), pin: None });
    }
    let (certificate, _) = folder::read_certificate(&node.dir, &config.tls)?;
    let pin = hiwar_node::tls::public_key_hash(&certificate)?;
    Ok(Trust::Peer { endpoint: format!("https://{listen}"), pin: Some(pin) })
}

/// Clients that may reach anything on this machine.
pub(super) fn outbound() -> anyhow::Result<Outbound> {
    Ok(Outbound::new(AddressRule { allow: vec!["http://127.0.0.1".parse()?] }, None))
}

impl AsConsumer {
    pub(super) async fn of(peers: &Peers) -> anyhow::Result<Self> {
        let keys = folder::read_keys(&peers.consumer.dir, None)?;
        let me: Did = did(&peers.consumer).await?.parse()?;
        let kid = format!("{me}#node-{}", keys.node.public_key().id().0.short());
        let audience = did(&peers.provider).await?;
        let now = hiwar_node::clock::now();
        let claims = Claims::new(&me, &audience, "bench".into(), now, TOKEN_SECONDS);
        let token = token::sign(&claims, &kid, &*keys.node)?;
        let trust = trust(&peers.provider)?;
        let Trust::Peer { endpoint, pin } = &trust else { anyhow::bail!("the provider is no peer") };
        let root: Url = endpoint.parse()?;
        let client = outbound()?.client_for(Target::Pinned { url: &root, endpoint, pin: *pin })?;
        Ok(Self { client, root, authorization: format!("Bearer {token}") })
    }

    /// A page of the provider's catalog: the answer's headers and its body as it came.
    pub(super) async fn catalog(
        &self,
        query: &str,
        filter: &[Value],
        gzip: bool,
    ) -> anyhow::Result<(reqwest::header::HeaderMap, Vec<u8>)> {
        let url = self.root.join(&format!("/dsp/2025-1/catalog/request{query}"))?;
        let body = json!({
            "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
            "@type": "CatalogRequestMessage",
            "filter": filter,
        });
        let request = self
            .client
            .post(url)
            .header("authorization", &self.authorization)
            .header("content-type", "application/json")
            .header("accept-encoding", if gzip { "gzip" } else { "identity" })
            .body(body.to_string());
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await?;
        anyhow::ensure!(
            status.is_success(),
            "the catalog answered {status}: {}",
            String::from_utf8_lossy(&bytes)
        );
        Ok((headers, bytes.into()))
    }
}
