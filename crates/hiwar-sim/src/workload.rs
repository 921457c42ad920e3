//! What desks do: founding, opening dialogues, speaking in them, changing who takes part, replacing
//! keys.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hiwar_dialogue::engine::{Command, Draft, Engine, EngineConfig};
use hiwar_dialogue::entry::{Attachment, EntryId, Texts, Words};
use hiwar_dialogue::ledger::{Change, DialogueRecord, Store as _};
use hiwar_dialogue::marking::Marking;
use hiwar_store::memory::MemoryStore;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;

use crate::node::{Job, Node, Sessions, keys};
use crate::world::{Event, Violation, World};

/// How often a desk tries to speak about a membership before it gives up.
const SPEAK_AGAIN_MS: (i64, i64) = (5_000, 20_000);

fn words(text: &str) -> Words {
    Words { texts: Texts::from([("en".to_owned(), text.to_owned())]), prevailing: None }
}

impl World {
    /// Founds all nodes and makes them peers of each other.
    pub(crate) fn found(&mut self) -> Result<(), Violation> {
        let config = EngineConfig {
            batch_entries: self.swarm.batch_entries,
            compare_ms: self.swarm.compare_ms,
            ..EngineConfig::standard()
        };
        let count = self.swarm.nodes;
        for number in 0..count {
            let did: Did = format!("did:web:n{number}.example").parse().map_err(|_| self.wrong("no DID"))?;
            let skew = self.swarm.skew_ms;
            let offset_ms = self.rng.range(-skew, skew);
            let keys = keys(&did, 0, 0);
            let pull = self.swarm.pull && number == 0;
            let mut node = Node {
                did: did.clone(),
                engine: None,
                store: MemoryStore::new(),
                keys: keys.clone(),
                key_number: 0,
                next_keys: None,
                config: config.clone(),
                life: 0,
                inbox: VecDeque::new(),
                working: false,
                sessions: Sessions::default(),
                tasks: BTreeMap::new(),
                offset_ms,
                pull,
                honest: self.swarm.byzantine.is_none() || number + 1 != count,
                serves: None,
                restored: None,
                backup: None,
                restore_pending: None,
            };
            let wrong = |e: String| self.wrong(e);
            let card = Node::first_card(&did, pull, &keys, node.now(self.now));
            let card = card.sign(&[&*keys.organisation]).map_err(|e| wrong(e.to_string()))?;
            let changes = Engine::found(card).map_err(|e| wrong(e.to_string()))?;
            node.store.apply(&changes).map_err(|e| wrong(e.to_string()))?;
            node.store.commit().map_err(|e| wrong(e.to_string()))?;
            node.load(self.now).map_err(wrong)?;
            self.nodes.push(node);
        }
        let identities: Vec<_> =
            self.nodes.iter().filter_map(|n| n.engine.as_ref()).map(|e| e.identity().clone()).collect();
        for idx in 0..count {
            let wrong = |e: String| Violation { at_ms: 0, what: e };
            let Some(node) = self.nodes.get_mut(idx) else { continue };
            let now = node.now(self.now);
            let Some(engine) = node.engine.as_mut() else { continue };
            for identity in &identities {
                if identity.did() != engine.did() {
                    engine
                        .add_peer(hiwar_trust::identity::Identity::clone(identity), now)
                        .map_err(|e| wrong(e.to_string()))?;
                    node.tasks.entry(identity.did().clone()).or_default();
                }
            }
            let changes = engine.take_changes();
            node.store.apply(&changes).map_err(|e| wrong(e.to_string()))?;
            node.store.commit().map_err(|e| wrong(e.to_string()))?;
            self.start_tasks(idx);
        }
        Ok(())
    }

    fn command(&mut self, idx: usize, command: Command) {
        let nonce = self.rng.nonce();
        self.give(idx, Job::Command(Draft { desk: "desk".into(), command, nonce }));
    }

    /// One desk does something.
    pub(crate) fn act(&mut self) -> Result<(), Violation> {
        if self.acts_left == 0 {
            return Ok(());
        }
        self.acts_left -= 1;
        let (low, high) = self.swarm.act_every_ms;
        let delay = self.rng.range(low, high);
        self.at(delay, Event::Act);
        let alive: Vec<usize> = (0..self.nodes.len()).filter(|i| self.is_up(*i)).collect();
        let Some(idx) = self.rng.pick(&alive).copied() else { return Ok(()) };
        let roll = self.rng.below(1000);
        let open = self.open_dialogues(idx);
        let dialogue = self.rng.pick(&open).copied();
        match (roll, dialogue) {
            (0..120, _) | (120..900, None) => self.open(idx),
            (120..200, Some(dialogue)) => self.change_membership(idx, dialogue),
            (200..560, Some(dialogue)) => self.say(idx, dialogue),
            (560..900, Some(dialogue)) => self.remark(idx, dialogue),
            _ => self.replace_keys(idx),
        }
        Ok(())
    }

    pub(crate) fn is_up(&self, idx: usize) -> bool {
        self.nodes.get(idx).is_some_and(|n| n.engine.is_some())
    }

    /// Dialogues in which a node may speak.
    fn open_dialogues(&self, idx: usize) -> Vec<EntryId> {
        let Some(engine) = self.nodes.get(idx).and_then(|n| n.engine.as_ref()) else { return Vec::new() };
        let mine = |d: &&DialogueRecord| {
            d.is_open() && d.current().is_some_and(|m| m.membership.parties.contains(engine.did()))
        };
        engine.dialogues().filter(mine).map(|d| d.id).collect()
    }

    fn some_parties(&mut self, me: &Did) -> Vec<Did> {
        let all: BTreeSet<Did> = self.nodes.iter().map(|n| n.did.clone()).filter(|d| d != me).collect();
        let mut chosen: Vec<Did> = all.iter().filter(|_| self.rng.chance(550)).cloned().collect();
        if chosen.is_empty() {
            let all: Vec<Did> = all.into_iter().collect();
            chosen.extend(self.rng.pick(&all).cloned());
        }
        chosen
    }

    fn open(&mut self, idx: usize) {
        let Some(me) = self.nodes.get(idx).map(|n| n.did.clone()) else { return };
        let with = self.some_parties(&me);
        let cap = *self.rng.pick(&Marking::ALL).unwrap_or(&Marking::Amber);
        let title = words("about something").texts;
        self.command(idx, Command::Open { title, with, arrangement: "arrangement/1".into(), cap });
    }

    fn change_membership(&mut self, idx: usize, dialogue: EntryId) {
        let Some(me) = self.nodes.get(idx).map(|n| n.did.clone()) else { return };
        let mut parties = self.some_parties(&me);
        // Now and then a party proposes to go on without it.
        if parties.len() < 2 || self.rng.chance(900) {
            parties.push(me);
        }
        let cap = *self.rng.pick(&Marking::ALL).unwrap_or(&Marking::Amber);
        self.command(idx, Command::ChangeMembership { dialogue, parties, cap, title: Texts::new() });
    }

    pub(crate) fn say(&mut self, idx: usize, dialogue: EntryId) {
        let mut attachments = Vec::new();
        if self.swarm.files && self.rng.chance(200) {
            let sha256 = Hash::of(&self.rng.nonce());
            self.give(idx, Job::FileStored { sha256, authors: Vec::new() });
            attachments.push(Attachment {
                name: "file.csv".into(),
                media_type: "text/csv".into(),
                size: 10,
                sha256,
            });
        }
        let marking = if self.rng.chance(900) { Marking::Clear } else { Marking::Red };
        let words = words(&format!("statement {}", self.rng.below(1_000_000)));
        self.command(idx, Command::Say { dialogue, marking, words, attachments });
    }

    /// Says something about an entry.
    fn remark(&mut self, idx: usize, dialogue: EntryId) {
        let Some(node) = self.nodes.get(idx) else { return };
        let recent: Vec<(EntryId, bool)> = node
            .store
            .entries()
            .rev()
            .take(40)
            .filter(|e| e.dialogue == dialogue)
            .filter_map(|e| Some((e.id, e.signed().ok()?.entry.author == node.did)))
            .collect();
        let Some((of, own)) = self.rng.pick(&recent).copied() else { return };
        let words = words("a remark");
        let command = match (own, self.rng.chance(500)) {
            (true, true) => Command::Correct { of, words },
            (true, false) => Command::Withdraw { of, words },
            (false, true) => Command::Dispute { of, words },
            (false, false) => Command::Acknowledge { of, words },
        };
        self.command(idx, command);
    }

    fn replace_keys(&mut self, idx: usize) {
        if !self.swarm.rotations || self.nodes.get(idx).is_some_and(|n| n.serves.is_some()) {
            return;
        }
        let organisation = self.rng.chance(700);
        let node_key = !organisation || self.rng.chance(300);
        let revoke = organisation && self.swarm.revocations && self.rng.chance(500);
        let virtual_now = self.now;
        let Some(node) = self.nodes.get(idx) else { return };
        let now = node.now(virtual_now);
        if let Some((card, keys, key_number)) = node.rotated(organisation, node_key, revoke, now) {
            self.stats.rotations += 1;
            self.stats.revocations += u64::from(revoke);
            self.note(|| {
                format!("node {idx}: new keys, organisation {organisation} revoke {revoke} node {node_key}")
            });
            self.give(idx, Job::Adopt { card: Box::new(card), keys, key_number });
        }
    }

    /// A desk sees what was decided: it speaks about proposals, and fetches files.
    pub(crate) fn notice(&mut self, idx: usize, changes: &[Change]) {
        let Some(me) = self.nodes.get(idx).map(|n| n.did.clone()) else { return };
        let mut proposals = Vec::new();
        for change in changes {
            match change {
                Change::Dialogue(record) => {
                    let silent = record.memberships.iter().filter(|m| {
                        record.concerned(m).contains(&me)
                            && !m.assents.contains(&me)
                            && !m.refusals.contains(&me)
                    });
                    proposals.extend(silent.map(|m| m.entry));
                }
                Change::AttachmentWanted { sha256, author: Some(author), .. } => {
                    let delay = self.rng.range(10, 5_000);
                    let authors = vec![author.clone()];
                    self.at(delay, Event::FileArrives { node: idx, sha256: *sha256, authors });
                }
                _ => {}
            }
        }
        for of in proposals {
            let node = self.speaking.entry((idx, of)).or_insert(0);
            *node += 1;
            if *node == 1 {
                let delay = self.rng.range(0, 15_000);
                self.at(delay, Event::Speak { node: idx, of });
            }
        }
    }

    /// A desk speaks about a membership, until it is durable that it has.
    pub(crate) fn speak(&mut self, idx: usize, of: EntryId) {
        let Some(node) = self.nodes.get(idx) else { return };
        let again = |world: &mut Self| {
            let delay = world.rng.range(SPEAK_AGAIN_MS.0, SPEAK_AGAIN_MS.1);
            world.at(delay, Event::Speak { node: idx, of });
        };
        let Some(engine) = node.engine.as_ref() else { return again(self) };
        let me = node.did.clone();
        let state = engine.dialogues().find_map(|d| d.membership(&of));
        let Some(state) = state else {
            // It was seen, but did not become durable; when it comes again it is noticed again.
            self.speaking.remove(&(idx, of));
            return;
        };
        if state.assents.contains(&me) || state.refusals.contains(&me) {
            return;
        }
        let tries = self.speaking.entry((idx, of)).or_insert(0);
        *tries += 1;
        if *tries > 40 {
            return;
        }
        let refuses = of.0.0.first().is_some_and(|b| (usize::from(*b) + idx).is_multiple_of(12));
        let command =
            if refuses { Command::Refuse { of, words: words("no") } } else { Command::Assent { of } };
        self.command(idx, command);
        again(self);
    }

    /// Everyone says one more thing wherever it may.
    pub(crate) fn last_words(&mut self) {
        if !self.swarm.rotations && !self.swarm.revocations {
            return;
        }
        for idx in 0..self.nodes.len() {
            for dialogue in self.open_dialogues(idx) {
                let words = words("last words");
                let marking = Marking::Clear;
                self.command(idx, Command::Say { dialogue, marking, words, attachments: Vec::new() });
            }
        }
    }
}
