//! The three nodes: their folders, processes and links, and what their local APIs say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hiwar::api_client::ApiClient;
use hiwar::node_process::{NodeProcess, free_addresses};
use hiwar_dialogue::entry::EntryId;
use hiwar_dialogue::ledger::View as _;
use hiwar_node::config::{CONFIG_FILE, Config, DeliveryConfig, Tls};
use hiwar_node::folder::{self, NewNode};
use hiwar_store::SqliteReader;
use hiwar_trust::identity::Identity;
use hiwar_trust::invitation::Invitation;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::network::Network;
use super::script::{Party, Script};
use crate::commands::dialogue::all_entries;
use crate::commands::{list, text};

/// Starts of a node before it is given up; another program may have taken its port meanwhile.
const STARTS_MAX: u32 = 5;
/// How long opening a dialogue of two may take.
const OPEN_LIMIT: Duration = Duration::from_secs(30);
/// Rest between two starts.
const START_REST: Duration = Duration::from_millis(300);

/// One node.
pub(super) struct Actor {
    pub(super) did: String,
    pub(super) api: SocketAddr,
    pub(super) public_url: String,
    pub(super) invitation: Invitation,
    process: NodeProcess,
}

impl Actor {
    pub(super) fn dir(&self) -> &Path {
        &self.process.dir
    }

    pub(super) fn client(&self) -> &ApiClient {
        &self.process.client
    }
}

/// The three nodes.
pub(super) struct Cast {
    actors: BTreeMap<Party, Actor>,
    pub(super) network: Network,
}

fn name(party: Party) -> &'static str {
    match party {
        Party::Motie => "Ministry of Trade, Industry and Energy, Korea (demonstration)",
        Party::Meti => "Ministry of Economy, Trade and Industry, Japan (demonstration)",
        Party::Association => "Semiconductor Materials Association (fictional)",
    }
}

fn did(party: Party) -> &'static str {
    match party {
        Party::Motie => "did:web:motie.example",
        Party::Meti => "did:web:meti.example",
        Party::Association => "did:web:materials-association.example",
    }
}

/// Short times, so that what takes minutes in operation can be watched.
fn brisk(standard: DeliveryConfig) -> DeliveryConfig {
    DeliveryConfig {
        retry_first_ms: 100,
        retry_max_ms: 1_000,
        witness_ms: 250,
        compare_ms: 5_000,
        ..standard
    }
}

impl Cast {
    /// Makes the three nodes under `dir` and starts them.
    pub(super) async fn make(dir: &Path, script: &Script) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program cannot be found")?;
        let network = Network::new();
        let mut actors = BTreeMap::new();
        for party in Party::ALL {
            let [listen, api] = free_addresses()?;
            let front = TcpListener::bind("127.0.0.1:0").await?;
            let public_url = format!("https://{}", front.local_addr()?);
            let dir = dir.join(party.key());
            let new = NewNode {
                did: did(party).parse()?,
                name: name(party).to_owned(),
                listen: Some(listen),
                public_url: Some(public_url.clone()),
                api_listen: api,
                connect_from: network.address_of(party),
                desks: script.desks(party).into_iter().map(ToOwned::to_owned).collect(),
                radar_store: None,
                tls: Tls::Pinned,
            };
            let card = folder::make(&dir, &new, None)?;
            let config = Config::read(&dir)?;
            let config = Config { delivery: brisk(config.delivery.clone()), ..config };
            std::fs::write(dir.join(CONFIG_FILE), config.to_toml()?)?;
            network.pass_on(party, front, listen);
            let invitation = Invitation::new(Identity::verify(vec![card])?);
            let process = NodeProcess::of(&program, &dir)?;
            actors.insert(party, Actor { did: did(party).to_owned(), api, public_url, invitation, process });
        }
        let mut cast = Self { actors, network };
        for party in Party::ALL {
            cast.start(party).await?;
        }
        Ok(cast)
    }

    pub(super) fn actor(&self, party: Party) -> anyhow::Result<&Actor> {
        self.actors.get(&party).with_context(|| format!("{party} has no node"))
    }

    pub(super) fn client(&self, party: Party) -> anyhow::Result<&ApiClient> {
        Ok(self.actor(party)?.client())
    }

    /// Whose identifier this is.
    pub(super) fn party(&self, did: &str) -> Option<Party> {
        self.actors.iter().find(|(_, a)| a.did == did).map(|(p, _)| *p)
    }

    /// Starts a node; returns how long it took until it was ready.
    pub(super) async fn start(&mut self, party: Party) -> anyhow::Result<Duration> {
        let actor = self.actors.get_mut(&party).with_context(|| format!("{party} has no node"))?;
        let begun = Instant::now();
        let mut starts = 1;
        while let Err(error) = actor.process.start().await {
            if starts >= STARTS_MAX {
                return Err(error);
            }
            starts += 1;
            tokio::time::sleep(START_REST).await;
        }
        Ok(begun.elapsed())
    }

    /// Kills a node's process with SIGKILL; returns its number.
    pub(super) fn kill(&mut self, party: Party) -> anyhow::Result<u32> {
        let actor = self.actors.get_mut(&party).with_context(|| format!("{party} has no node"))?;
        let id = actor.process.id().with_context(|| format!("the node of {party} does not run"))?;
        actor.process.kill()?;
        Ok(id)
    }

    /// Asks all nodes to end, and kills those that do not.
    pub(super) async fn end(&mut self, limit: Duration) -> anyhow::Result<()> {
        for actor in self.actors.values_mut() {
            actor.process.end(limit).await?;
        }
        Ok(())
    }

    /// Makes every node a peer of every other, with the fingerprint as it would be read out on the
    /// telephone.
    pub(super) async fn introduce(&self) -> anyhow::Result<()> {
        for host in Party::ALL {
            for guest in host.others() {
                let invitation = &self.actor(guest)?.invitation;
                let body = json!({
                    "invitation": serde_json::from_str::<Value>(&invitation.to_string())?,
                    "fingerprint": invitation.words(),
                });
                self.client(host)?.post("/api/v1/peers", &body).await?;
            }
        }
        Ok(())
    }

    /// Opens a dialogue of two of them that the other one assents to; `body` says what it is about.
    pub(super) async fn open_for_two(
        &self,
        (host, guest): (Party, Party),
        mut body: Value,
    ) -> anyhow::Result<String> {
        body["with"] = json!([self.actor(guest)?.did]);
        let opened = self.client(host)?.post("/api/v1/dialogues", &body).await?;
        let dialogue = text(&opened, "/dialogue").to_owned();
        must("the dialogue of the two", OPEN_LIMIT, || self.holds(guest, &dialogue)).await?;
        let assent = json!({ "action": "assent", "of": dialogue });
        self.client(guest)?.post("/api/v1/entries", &assent).await?;
        let (client, path) = (self.client(host)?, format!("/api/v1/dialogues/{dialogue}"));
        must("the assent", OPEN_LIMIT, async || Ok(client.get(&path).await?["open"] == Value::Bool(true)))
            .await?;
        Ok(dialogue)
    }

    /// Writes the three invitations beside the nodes' folders.
    pub(super) fn write_invitations(&self, dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for (party, actor) in &self.actors {
            let path = dir.join(format!("{}.invitation", party.key()));
            std::fs::write(&path, actor.invitation.to_string())?;
            paths.push(path);
        }
        Ok(paths)
    }

    /// The identifiers of the entries that a node holds of a dialogue.
    pub(super) async fn ids(&self, party: Party, dialogue: &str) -> anyhow::Result<BTreeSet<String>> {
        let entries = all_entries(self.client(party)?, dialogue).await?;
        Ok(entries.iter().map(|e| text(e, "/entry/id").to_owned()).collect())
    }

    /// Whether a node holds an entry.
    pub(super) async fn holds(&self, party: Party, entry: &str) -> anyhow::Result<bool> {
        let client = self.client(party)?;
        // The only reason for a refusal that can occur here is that the entry is not there yet.
        Ok(client.is_ready().await && client.get(&format!("/api/v1/entries/{entry}")).await.is_ok())
    }

    /// How many entries wait on a node for its peers.
    pub(super) async fn backlog(&self, party: Party) -> anyhow::Result<u64> {
        let peers = self.client(party)?.get("/api/v1/peers").await?;
        Ok(list(&peers, "/peers").iter().filter_map(|p| p["backlog"].as_u64()).sum())
    }

    /// Which of the entries the store of a node has on disk, read beside the node.
    pub(super) async fn on_disk(&self, party: Party, entries: &[String]) -> anyhow::Result<usize> {
        let dir = self.actor(party)?.dir().to_owned();
        let ids = entries.iter().map(|e| Ok(EntryId(e.parse()?))).collect::<anyhow::Result<Vec<_>>>()?;
        tokio::task::spawn_blocking(move || {
            let reader = SqliteReader::open(&dir)?;
            let mut found = 0;
            for id in &ids {
                found += usize::from(reader.find(id)?.is_some());
            }
            Ok(found)
        })
        .await?
    }
}

/// Asks again and again until the answer is yes, or `limit` is over; tells how long it took.
pub(super) async fn until<F, Fut>(limit: Duration, done: F) -> anyhow::Result<Option<Duration>>
where
    F: Fn() -> Fut,
    Fut: Future<Output = anyhow::Result<bool>>,
{
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if done().await? {
            return Ok(Some(begun.elapsed()));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(None)
}

/// As [`until`], but running out of time is an error.
pub(super) async fn must<F, Fut>(what: &str, limit: Duration, done: F) -> anyhow::Result<Duration>
where
    F: Fn() -> Fut,
    Fut: Future<Output = anyhow::Result<bool>>,
{
    match until(limit, done).await? {
        Some(took) => Ok(took),
        None => bail!("waited {} s in vain for {what}", limit.as_secs()),
    }
}
