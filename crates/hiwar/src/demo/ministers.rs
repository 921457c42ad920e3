//! The ministers' meeting of 22 April 2024 as a procedure: an arrangement that both sign, a meeting, minutes that
//! a second desk releases and both agree to, commitments of which one is overdue and one is shown to be done,
//! and the next agenda, which writes itself.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use hiwar::api_client::{ApiClient, Format, NodeArgs};
use hiwar_dialogue::entry::ActKind;
use hiwar_form::Language;
use hiwar_procedure::arrangement::{Template, Texts};
use serde_json::{Map, Value, json};

use super::cast::must;
use super::play::Stage;
use super::script::Party;
use crate::commands::{list, text};

/// What was said, with real facts; dates of commitments and who owns them are invented (data/demo/SOURCE.md).
const SCRIPT: &str = include_str!("../../../../data/demo/ministers-2024.json");
/// The text that both sign.
const TEMPLATE: &str = "korea-japan-directors";
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

const KOREA: Party = Party::Motie;
const JAPAN: Party = Party::Meti;

/// What came of it.
#[derive(Clone, Debug)]
pub(super) struct Ministers {
    /// Commitments in all, overdue ones, and those that both confirm as done.
    pub(super) commitments: usize,
    pub(super) overdue: usize,
    pub(super) done: usize,
    /// The titles of the next agenda as either side reads it, each in four languages.
    pub(super) agendas: Vec<Vec<Value>>,
    /// Whether both read the same state.
    pub(super) same: bool,
    /// The desk that wrote the minutes, and the one that released them.
    pub(super) desks: (String, String),
}

impl Ministers {
    /// Whether both read the same, one commitment is overdue, one is done, and the agenda begins with what is overdue.
    pub(super) fn holds(&self) -> bool {
        let first = self.agendas.first().and_then(|agenda| agenda.first());
        let same = self.same && self.agendas.windows(2).all(|pair| pair.first() == pair.last());
        let late = first.is_some_and(|title| text(title, "/en").contains("Name the desk"));
        same && late
            && (self.commitments, self.overdue, self.done) == (3, 1, 1)
            && self.desks.0 != self.desks.1
    }
}

/// One dialogue of the two.
struct Table<'a> {
    stage: &'a Stage<'a>,
    dialogue: String,
}

/// Lets the ministers meet.
pub(super) async fn meet(stage: &Stage<'_>) -> anyhow::Result<Ministers> {
    let script: Value = serde_json::from_str(SCRIPT)?;
    let body = json!({ "title": script["title"], "arrangement": TEMPLATE, "cap": stage.script.cap });
    let table = Table { stage, dialogue: stage.cast.open_for_two((KOREA, JAPAN), body).await? };
    let proposal = table.act(KOREA, ActKind::Arrangement, None, arrangement(stage)?, None).await?;
    table.step(JAPAN, &proposal, json!({ "step": "assent" })).await?;
    let meeting = table.act(KOREA, ActKind::Meeting, None, script["meeting"].clone(), None).await?;
    table.step(JAPAN, &meeting, json!({ "step": "accept", "sequence": 0 })).await?;
    let held = json!({
        "step": "held", "sequence": 0, "attendance": { "KR": 2, "JP": 2 },
        "starts": script["meeting"]["starts"], "ends": script["meeting"]["ends"],
    });
    table.step(KOREA, &meeting, held).await?;
    let (minutes, desks) = table.released(KOREA, &meeting, script["minutes"].clone()).await?;
    for party in [KOREA, JAPAN] {
        table.step(party, &minutes, json!({ "step": "agree" })).await?;
    }
    let evidence =
        stage.cast.client(KOREA)?.store_file(text(&script, "/evidence/text").as_bytes().to_vec()).await?;
    let evidence = json!({
        "name": script["evidence"]["name"], "mediaType": "text/plain", "size": evidence["size"], "sha256": evidence["sha256"],
    });
    let hydrogen = |step: &str| json!({ "step": step, "commitment": "hydrogen/0" });
    table.act(KOREA, ActKind::Step, Some(&minutes), hydrogen("done"), Some(evidence)).await?;
    table.step(JAPAN, &minutes, hydrogen("accept-done")).await?;
    table.outcome(desks).await
}

fn arrangement(stage: &Stage<'_>) -> anyhow::Result<Value> {
    let template = Template::named(TEMPLATE).context("the template is not built in")?;
    let party = |code: &'static str, party: Party, names: [&str; 4]| {
        let names: Texts = Language::ALL
            .iter()
            .zip(names)
            .map(|(language, name)| (language.to_string(), name.to_owned()))
            .collect();
        Ok::<_, anyhow::Error>((code, stage.cast.actor(party)?.did.parse()?, names))
    };
    let parties = [
        party("KR", KOREA, ["Korea", "대한민국", "韓国", "كوريا"])?,
        party("JP", JAPAN, ["Japan", "일본", "日本", "اليابان"])?,
    ];
    Ok(Value::Object(template.fill(&parties)?.to_content()))
}

fn other(party: Party) -> Party {
    if party == KOREA { JAPAN } else { KOREA }
}

impl Table<'_> {
    fn action(&self, kind: ActKind, of: Option<&str>, content: Value, file: Option<Value>) -> Value {
        json!({
            "action": "act", "dialogue": self.dialogue, "marking": "TLP:GREEN", "kind": kind, "of": of,
            "content": content, "attachments": file.into_iter().collect::<Vec<_>>(),
        })
    }

    /// Sends an act, and waits until the other side holds it.
    async fn act(
        &self,
        party: Party,
        kind: ActKind,
        of: Option<&str>,
        content: Value,
        file: Option<Value>,
    ) -> anyhow::Result<String> {
        let action = self.action(kind, of, content, file);
        let made = self.stage.cast.client(party)?.post("/api/v1/entries", &action).await?;
        self.arrived(party, text(&made, "/entry")).await
    }

    async fn step(&self, party: Party, of: &str, content: Value) -> anyhow::Result<String> {
        self.act(party, ActKind::Step, Some(of), content, None).await
    }

    async fn arrived(&self, from: Party, entry: &str) -> anyhow::Result<String> {
        must("an act to arrive", LIMIT, || self.stage.cast.holds(other(from), entry)).await?;
        Ok(entry.to_owned())
    }

    /// Drafts minutes as one desk and releases them as another one, with a token of its own.
    async fn released(
        &self,
        party: Party,
        meeting: &str,
        content: Value,
    ) -> anyhow::Result<(String, (String, String))> {
        let actor = self.stage.cast.actor(party)?;
        let desks: Vec<String> = self.stage.script.desks(party).into_iter().map(str::to_owned).collect();
        let [first, second, ..] = desks.as_slice() else {
            anyhow::bail!("the ministry has fewer than two desks")
        };
        let mut action = self.action(ActKind::Minutes, Some(meeting), content, None);
        action["desk"] = json!(first);
        let drafted = actor.client().post("/api/v1/drafts", &action).await?;
        ensure!(drafted["needs_release"] == json!(true), "the minutes need no second desk: {drafted}");
        let path = format!("/api/v1/drafts/{}/release", drafted["draft"]);
        let refused = actor.client().post(&path, &json!({ "desk": first })).await;
        ensure!(refused.is_err(), "the desk that wrote the minutes could release them");
        let token = actor.client().post(&format!("/api/v1/desks/{second}/tokens"), &json!({})).await?;
        let file = actor.dir().join("second-desk.token");
        hiwar_node::folder::write_secret(&file, text(&token, "/token").as_bytes())?;
        let client = ApiClient::of(&NodeArgs {
            node: actor.dir().to_owned(),
            desk: None,
            token_file: Some(file),
            format: Format::Json,
        })?;
        let made = client.post(&path, &json!({})).await?;
        let minutes = self.arrived(party, text(&made, "/entry")).await?;
        Ok((minutes, (first.clone(), second.clone())))
    }

    /// What both sides read at the end.
    async fn outcome(&self, desks: (String, String)) -> anyhow::Result<Ministers> {
        let mut states = Vec::new();
        let mut agendas = Vec::new();
        for party in [KOREA, JAPAN] {
            let client = self.stage.cast.client(party)?;
            states.push(client.get(&format!("/api/v1/dialogues/{}/procedures", self.dialogue)).await?);
            let planned =
                client.get(&format!("/api/v1/dialogues/{}/agenda?body=ministers", self.dialogue)).await?;
            let items = list(&planned, "/agenda").iter();
            agendas.push(items.map(|one| one["item"]["title"].clone()).collect());
        }
        let same = states.windows(2).all(|pair| pair.first() == pair.last());
        let state = states.first().context("no state")?;
        let empty = Map::new();
        let commitments = state["commitments"].as_object().unwrap_or(&empty);
        let done = commitments.values().filter(|one| text(one, "/phase") == "done-accepted").count();
        let overdue = list(state, "/overdue").len();
        Ok(Ministers { commitments: commitments.len(), overdue, done, agendas, same, desks })
    }
}
