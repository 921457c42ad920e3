//! The messages of an exchange among the entries of a dialogue. Each is the one attachment of a
//! statement that says in words what it is; its media type tells it from other files.

use anyhow::{Context as _, bail, ensure};
use hiwar::api_client::ApiClient;
use hiwar_dialogue::entry::Attachment;
use hiwar_radar::corroborate::{Digest, MESSAGE_BYTES_MAX, Message};
use serde_json::{Value, json};

use super::show::Leaving;
use crate::commands::dialogue::{all_entries, dialogue_id};
use crate::commands::{list, text};

/// A message that is in the dialogue.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    /// The entry that carries it.
    pub(super) entry: String,
    /// When its author says that it was made.
    pub(super) time: String,
    author: String,
    media_type: String,
    sha256: String,
    size: u64,
}

/// A message that was read, and the digest of its bytes.
pub(super) struct Read<'a, M> {
    pub(super) letter: &'a Letter,
    pub(super) message: M,
    pub(super) digest: Digest,
}

/// All messages of an exchange in a dialogue.
pub(super) struct Correspondence {
    client: ApiClient,
    pub(super) dialogue: String,
    pub(super) own: String,
    pub(super) peer: String,
    /// Who gets what is said in the dialogue.
    pub(super) reaches: Vec<String>,
    letters: Vec<Letter>,
}

impl Correspondence {
    /// Finds the peer and the dialogue on the node, and reads the dialogue.
    pub(super) async fn open(client: ApiClient, peer: &str, dialogue: &str) -> anyhow::Result<Self> {
        let dialogue = dialogue_id(&client, dialogue).await?;
        let record = client.get(&format!("/api/v1/dialogues/{dialogue}")).await?;
        let own = text(&client.get("/api/v1/status").await?, "/did").to_owned();
        let peer = did_of(&client, peer).await?;
        let parties: Vec<&str> = list(&record, "/parties").iter().filter_map(Value::as_str).collect();
        ensure!(parties.contains(&peer.as_str()), "{peer} is no party of dialogue {dialogue}");
        let reaches = parties.into_iter().filter(|p| *p != own).map(ToOwned::to_owned).collect();
        let entries = all_entries(&client, &dialogue).await?;
        let letters = entries.iter().flat_map(letters_of).collect();
        Ok(Self { client, dialogue, own, peer, reaches, letters })
    }

    /// The letters with messages of a kind by one side, oldest first.
    pub(super) fn by(&self, author: &str, kind: &str) -> Vec<&Letter> {
        let media_type = Attachment::media_type_of(kind);
        self.letters.iter().filter(|l| l.author == author && l.media_type == media_type).collect()
    }

    /// Reads the message of a letter: `Ok(None)` while its file is on its way, the inner error when
    /// it is wrong.
    pub(super) async fn read<'a, M: Message>(
        &self,
        letter: &'a Letter,
    ) -> anyhow::Result<Option<Result<Read<'a, M>, String>>> {
        if letter.size > MESSAGE_BYTES_MAX as u64 {
            let problem = format!("its file has {} bytes; at most {MESSAGE_BYTES_MAX} are read", letter.size);
            return Ok(Some(Err(problem)));
        }
        let Some(bytes) = self.client.file(&letter.sha256, MESSAGE_BYTES_MAX).await? else {
            return Ok(None);
        };
        let digest = Digest::of(&bytes);
        ensure!(
            digest.to_string() == letter.sha256,
            "the node's file of entry {} is not the one that the entry names; check the node's disk",
            letter.entry
        );
        let read = M::read(&bytes).map(|message| Read { letter, message, digest });
        Ok(Some(read.map_err(|e| e.to_string())))
    }

    /// Own messages of a kind; what this side has sent can be read.
    pub(super) async fn own<M: Message>(&self) -> anyhow::Result<Vec<Read<'_, M>>> {
        let mut all = Vec::new();
        for letter in self.by(&self.own, M::KIND) {
            // A message of another version of this program is none that this one goes on from.
            if let Some(Ok(read)) = self.read(letter).await? {
                all.push(read);
            }
        }
        Ok(all)
    }

    /// Says what is ready to leave; returns the entry.
    pub(super) async fn send(
        &self,
        desk: Option<&str>,
        marking: &str,
        letter: &Leaving,
    ) -> anyhow::Result<String> {
        let stored = self.client.store_file(letter.bytes.clone()).await?;
        let file = json!({
            "name": letter.file, "mediaType": Attachment::media_type_of(letter.kind),
            "size": stored["size"], "sha256": stored["sha256"],
        });
        let action = json!({
            "action": "say", "desk": desk, "dialogue": self.dialogue, "marking": marking,
            "texts": { "en": letter.words }, "prevailing": "en", "attachments": [file],
        });
        let made = self.client.post("/api/v1/entries", &action).await?;
        let entry = text(&made, "/entry");
        ensure!(!entry.is_empty(), "the node answered without an entry: {made}");
        Ok(entry.to_owned())
    }
}

/// The messages that an entry carries; one that was withdrawn carries none.
fn letters_of(item: &Value) -> Vec<Letter> {
    if !text(item, "/withdrawn_by").is_empty() {
        return Vec::new();
    }
    let letter = |file: &Value| Letter {
        entry: text(item, "/entry/id").to_owned(),
        time: text(item, "/entry/time").to_owned(),
        author: text(item, "/entry/source").to_owned(),
        media_type: text(file, "/mediaType").to_owned(),
        sha256: text(file, "/sha256").to_owned(),
        size: file["size"].as_u64().unwrap_or(u64::MAX),
    };
    list(item, "/entry/attachments").iter().map(letter).collect()
}

/// A peer's identifier, from it or from the peer's name.
async fn did_of(client: &ApiClient, peer: &str) -> anyhow::Result<String> {
    let peers = client.get("/api/v1/peers").await?;
    let is = |p: &&Value| text(p, "/did") == peer || text(p, "/name") == peer;
    let found: Vec<&str> = list(&peers, "/peers").iter().filter(is).map(|p| text(p, "/did")).collect();
    match found.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => {
            let known: Vec<String> = list(&peers, "/peers")
                .iter()
                .map(|p| format!("{} ({})", text(p, "/did"), text(p, "/name")))
                .collect();
            bail!("{peer:?} is no peer of this node; its peers are {}", known.join(", "))
        }
        _ => Err(anyhow::anyhow!("several peers are called {peer:?}")).context("give the peer's identifier"),
    }
}
