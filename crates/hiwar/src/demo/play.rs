//! Plays the script: the desks speak through their nodes' local APIs, one node is killed, another
//! is cut off, and both come back.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hiwar::api_client::ApiClient;
use hiwar_trust::time::Timestamp;
use serde_json::{Value, json};

use super::cast::{Cast, must, until};
use super::contract::Contract;
use super::ministers::Ministers;
use super::progress::Progress;
use super::report::{known_sentence, row_head};
use super::script::{Party, Script, Step, file};
use crate::commands::{list, text};

/// Rest between two steps, so that a person can follow.
const PACE: Duration = Duration::from_millis(200);
/// How long a step may take to reach the parties that can be reached.
const DELIVERY_LIMIT: Duration = Duration::from_secs(5);
/// How long anything else may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Why a party could not know of a step at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hindrance {
    /// Its node, or the speaker's, was down.
    Down(Party),
    /// Its node, or the speaker's, was cut off.
    CutOff(Party),
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down(party) => write!(f, "{party} was down"),
            Self::CutOff(party) => write!(f, "{party} was cut off"),
        }
    }
}

/// A step that was said and acknowledged by the speaker's node.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Its position in the script.
    pub(super) step: usize,
    pub(super) speaker: Party,
    pub(super) entry: String,
    pub(super) time: Timestamp,
    pub(super) hindrances: BTreeMap<Party, Hindrance>,
}

/// That a party's node proved by a receipt when it held a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) party: Party,
    /// Milliseconds after the step was said.
    pub(super) delay_ms: i64,
}

/// How the SIGKILL went.
#[derive(Clone, Debug)]
pub(super) struct Killed {
    pub(super) party: Party,
    pub(super) process: u32,
    /// Entries that the node had acknowledged to its desks.
    pub(super) acknowledged: usize,
    /// How many of them were on the dead node's disk.
    pub(super) on_disk: usize,
    /// How many parties held its last statement when it died.
    pub(super) reached: usize,
    /// How long it was down.
    pub(super) down: Duration,
    /// From its start until it was ready.
    pub(super) ready: Duration,
    /// From then on until it held what all others held.
    pub(super) caught_up: Duration,
}

/// How the cut went.
#[derive(Clone, Debug)]
pub(super) struct WasCut {
    pub(super) party: Party,
    /// What was said during it.
    pub(super) said: usize,
    /// How much of that crossed the cut all the same.
    pub(super) crossed: usize,
    /// Connections that were refused.
    pub(super) refused: u64,
    /// How long it lasted.
    pub(super) lasted: Duration,
    /// From its end until all nodes held the same.
    pub(super) healed: Duration,
}

/// The running demo.
pub(super) struct Stage<'a> {
    pub(super) script: &'a Script,
    pub(super) cast: Cast,
    pub(super) dialogue: String,
    pub(super) said: Vec<Said>,
    pub(super) killed: Option<Killed>,
    pub(super) was_cut: Option<WasCut>,
    pub(super) contract: Option<Contract>,
    pub(super) ministers: Option<Ministers>,
    progress: &'a Progress,
    down: Option<Party>,
    cut: Option<Party>,
    since: Instant,
}

impl<'a> Stage<'a> {
    /// Makes the nodes peers of each other and opens the dialogue between them.
    pub(super) async fn open(script: &'a Script, cast: Cast, progress: &'a Progress) -> anyhow::Result<Self> {
        cast.introduce().await?;
        let opener = Party::Motie;
        let with = opener.others().map(|p| Ok(&cast.actor(p)?.did)).collect::<anyhow::Result<Vec<_>>>()?;
        let body = json!({
            "title": script.title, "with": with, "arrangement": script.arrangement, "cap": script.cap,
        });
        let opened = cast.client(opener)?.post("/api/v1/dialogues", &body).await?;
        let dialogue = text(&opened, "/dialogue").to_owned();
        for party in opener.others() {
            must("the dialogue to arrive", LIMIT, || cast.holds(party, &dialogue)).await?;
            cast.client(party)?
                .post("/api/v1/entries", &json!({ "action": "assent", "of": dialogue }))
                .await?;
        }
        let path = format!("/api/v1/dialogues/{dialogue}");
        for party in Party::ALL {
            let client = cast.client(party)?;
            must("all assents", LIMIT, || async {
                Ok(client.get(&path).await?["open"] == Value::Bool(true))
            })
            .await?;
        }
        Ok(Self {
            script,
            cast,
            dialogue,
            said: Vec::new(),
            killed: None,
            was_cut: None,
            contract: None,
            ministers: None,
            progress,
            down: None,
            cut: None,
            since: Instant::now(),
        })
    }

    /// Plays all steps.
    pub(super) async fn play(&mut self) -> anyhow::Result<()> {
        let script = self.script;
        for (index, step) in script.steps.iter().enumerate() {
            if step.id == script.kill.until {
                self.bring_back().await?;
            }
            if step.id == script.cut.from {
                self.cut_off();
            }
            if step.id == script.cut.until {
                self.reconnect().await?;
            }
            if step.id == script.kill.alongside {
                continue;
            }
            self.progress.now(&format!("{} {}: {}", step.date, step.speaker, step.kind.name()));
            if step.id == script.kill.at {
                self.kill_while_speaking().await?;
            } else {
                let said = self.say(index).await?;
                self.follow(said).await?;
            }
            tokio::time::sleep(PACE).await;
        }
        Ok(())
    }

    /// What a step asks of the speaker's node; its file is stored there already.
    async fn request(&self, step: &Step) -> anyhow::Result<Value> {
        let client = self.cast.client(step.speaker)?;
        let mut body = json!({
            "action": step.kind.action(), "desk": step.desk, "texts": step.texts, "prevailing": step.prevailing,
        });
        let object = body.as_object_mut().context("no object")?;
        match &step.about {
            None => {
                object.insert("dialogue".into(), json!(self.dialogue));
                object.insert("marking".into(), json!(step.marking));
            }
            Some(about) => {
                let about = &self.entry_of(about)?.entry;
                let here = || self.cast.holds(step.speaker, about);
                must("the entry that the next one is about", LIMIT, here).await?;
                object.insert("of".into(), json!(about));
            }
        }
        if let Some(name) = &step.attachment {
            let path = self.cast.actor(step.speaker)?.dir().join(name);
            std::fs::write(&path, file(name).unwrap_or_default())?;
            let stored = client.upload(&path).await?;
            std::fs::remove_file(&path)?;
            let attachment = json!({ "name": name, "mediaType": "text/csv", "size": stored["size"], "sha256": stored["sha256"] });
            object.insert("attachments".into(), json!([attachment]));
        }
        Ok(body)
    }

    /// The step with this name, as it was said.
    pub(super) fn entry_of(&self, id: &str) -> anyhow::Result<&Said> {
        let position = self.script.position(id)?;
        self.said.iter().find(|s| s.step == position).with_context(|| format!("{id} was not said yet"))
    }

    fn step(&self, index: usize) -> anyhow::Result<&'a Step> {
        self.script.steps.get(index).context("the script is shorter")
    }

    async fn say(&self, index: usize) -> anyhow::Result<Said> {
        let step = self.step(index)?;
        let body = self.request(step).await?;
        let answer = post(self.cast.client(step.speaker)?.clone(), body).await?;
        self.acknowledged(index, &answer)
    }

    fn acknowledged(&self, index: usize, answer: &Value) -> anyhow::Result<Said> {
        let speaker = self.step(index)?.speaker;
        let mut hindrances = BTreeMap::new();
        for party in speaker.others() {
            if let Some(down) = self.down.filter(|down| *down == party) {
                hindrances.insert(party, Hindrance::Down(down));
            }
            if let Some(cut) = self.cut.filter(|cut| *cut == party || *cut == speaker) {
                hindrances.insert(party, Hindrance::CutOff(cut));
            }
        }
        let entry = text(answer, "/entry").to_owned();
        Ok(Said { step: index, speaker, entry, time: text(answer, "/time").parse()?, hindrances })
    }

    /// Waits until a step has reached whom it can reach, and shows it.
    async fn follow(&mut self, said: Said) -> anyhow::Result<()> {
        let reachable = said.speaker.others().filter(|p| !said.hindrances.contains_key(p)).count();
        until(DELIVERY_LIMIT, || async { Ok(self.known(&said).await?.len() >= reachable) }).await?;
        let known = self.known(&said).await?;
        self.show(&said, &known)?;
        self.said.push(said);
        Ok(())
    }

    /// Shows a step that was said.
    fn show(&self, said: &Said, known: &[Known]) -> anyhow::Result<()> {
        let step = self.step(said.step)?;
        self.progress.advance();
        self.progress.line(&format!("{}{}", row_head(step), known_sentence(known, &said.hindrances)));
        Ok(())
    }

    /// Who is proved to hold a step since when, by the receipts that the speaker's node has.
    pub(super) async fn known(&self, said: &Said) -> anyhow::Result<Vec<Known>> {
        let shown = self.cast.client(said.speaker)?.get(&format!("/api/v1/entries/{}", said.entry)).await?;
        let mut known: Vec<Known> = Vec::new();
        for receipt in list(&shown, "/receipts").iter().filter(|r| text(r, "/direction") == "received") {
            let Some(party) = self.cast.party(text(receipt, "/peer")) else { continue };
            let time: Timestamp = text(receipt, "/time").parse()?;
            known.push(Known { party, delay_ms: time.millis_since(said.time) });
        }
        known.sort_by_key(|k| k.delay_ms);
        Ok(known)
    }

    /// Two parties speak at once; as soon as the second is answered, its node is killed.
    async fn kill_while_speaking(&mut self) -> anyhow::Result<()> {
        let (script, kill) = (self.script, &self.script.kill);
        let alongside = script.position(&kill.alongside)?;
        let at = script.position(&kill.at)?;
        let other = post(
            self.cast.client(self.step(alongside)?.speaker)?.clone(),
            self.request(self.step(alongside)?).await?,
        );
        let last = self.request(self.step(at)?).await?;
        let other = tokio::spawn(other);
        let answer = post(self.cast.client(kill.party)?.clone(), last).await?;
        let process = self.cast.kill(kill.party)?;
        self.since = Instant::now();
        let mut last = self.acknowledged(at, &answer)?;
        self.down = Some(kill.party);
        let other = self.acknowledged(alongside, &other.await??)?;
        for party in kill.party.others() {
            if !self.cast.holds(party, &last.entry).await? {
                last.hindrances.insert(party, Hindrance::Down(kill.party));
            }
        }
        let reached = kill.party.others().count() - last.hindrances.len();
        self.follow(other).await?;
        self.show(&last, &[])?;
        self.said.push(last);
        let mine: Vec<String> =
            self.said.iter().filter(|s| s.speaker == kill.party).map(|s| s.entry.clone()).collect();
        let on_disk = self.cast.on_disk(kill.party, &mine).await?;
        self.progress.line(&format!(
            "            ✗ SIGKILL to the node of {} (process {process}); its last statement had reached {reached} of 2",
            kill.party
        ));
        self.killed = Some(Killed {
            party: kill.party,
            process,
            acknowledged: mine.len(),
            on_disk,
            reached,
            down: Duration::ZERO,
            ready: Duration::ZERO,
            caught_up: Duration::ZERO,
        });
        Ok(())
    }

    /// Starts the killed node again and waits until it has caught up.
    async fn bring_back(&mut self) -> anyhow::Result<()> {
        let party = self.script.kill.party;
        self.progress.now(&format!("{party} comes back"));
        let down = self.since.elapsed();
        let ready = self.cast.start(party).await?;
        self.down = None;
        let caught_up = must("the killed node to catch up", LIMIT, || self.all_same()).await?;
        let (ready_ms, caught_up_ms) = (ready.as_millis(), caught_up.as_millis());
        self.progress.line(&format!(
            "            ✓ {party} is back after {:.1} s: ready in {ready_ms} ms, caught up {caught_up_ms} ms later",
            down.as_secs_f64()
        ));
        if let Some(killed) = &mut self.killed {
            (killed.down, killed.ready, killed.caught_up) = (down, ready, caught_up);
        }
        Ok(())
    }

    fn cut_off(&mut self) {
        let party = self.script.cut.party;
        self.cast.network.cut_off(party);
        self.cut = Some(party);
        self.since = Instant::now();
        self.progress.line(&format!("            ✗ {party} is cut off from both others, in both directions"));
    }

    /// Looks whether the cut held, ends it, and waits until all nodes hold the same again.
    async fn reconnect(&mut self) -> anyhow::Result<()> {
        let party = self.script.cut.party;
        self.progress.now(&format!("{party} is connected again"));
        let lasted = self.since.elapsed();
        let during: Vec<&Said> = self.said.iter().filter(|s| was_cut(s)).collect();
        let mut crossed = 0;
        for said in &during {
            for other in said.hindrances.keys() {
                crossed += usize::from(self.cast.holds(*other, &said.entry).await?);
            }
        }
        let said = during.len();
        let refused = self.cast.network.heal();
        self.cut = None;
        let healed = must("the nodes to heal the cut", LIMIT, || self.all_same()).await?;
        self.progress.line(&format!(
            "            ✓ {party} is connected again after {:.1} s; all nodes hold the same {} ms later",
            lasted.as_secs_f64(),
            healed.as_millis()
        ));
        self.was_cut = Some(WasCut { party, said, crossed, refused, lasted, healed });
        Ok(())
    }

    /// Whether all nodes hold the same entries of the dialogue.
    pub(super) async fn all_same(&self) -> anyhow::Result<bool> {
        let first = self.cast.ids(Party::Motie, &self.dialogue).await?;
        for party in Party::Motie.others() {
            if self.cast.ids(party, &self.dialogue).await? != first {
                return Ok(false);
            }
        }
        Ok(self.said.iter().all(|s| first.contains(&s.entry)))
    }
}

/// Whether a step was said across a cut.
fn was_cut(said: &Said) -> bool {
    said.hindrances.values().any(|h| matches!(h, Hindrance::CutOff(_)))
}

async fn post(client: ApiClient, body: Value) -> anyhow::Result<Value> {
    client.post("/api/v1/entries", &body).await
}
