//! The one dishonest node of a run: it shows two histories, or sends what no honest node would.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use hiwar_dialogue::entry::{About, Body, Entry, EntryId, Membership, SignedEntry, Texts, Words};
use hiwar_dialogue::marking::Marking;
use hiwar_dialogue::wire::BatchHeader;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;

use crate::faults::Byzantine;
use crate::node::{Bytes, Node, Sessions, key};
use crate::world::{Message, Packet, Violation, World};

impl World {
    /// The dishonest node splits: from now on one instance talks to some peers, another to the rest.
    pub(crate) fn fork(&mut self) -> Result<(), Violation> {
        let idx = self.swarm.nodes - 1;
        let virtual_now = self.now;
        let split = self.rng.chance(400);
        let Some(node) = self.nodes.get(idx) else { return Ok(()) };
        let Some(engine) = node.engine.as_ref() else { return Ok(()) };
        let mut peers: Vec<Did> = engine.peers().map(|p| p.did.clone()).collect();
        if node.serves.is_some() || !split || peers.len() < 2 || node.next_keys.is_some() {
            return Ok(());
        }
        let size = engine.log().1.size();
        let first = self.rng.index(peers.len());
        let mut one = BTreeSet::from([peers.swap_remove(first)]);
        let mut other = BTreeSet::new();
        for (n, peer) in peers.into_iter().enumerate() {
            if n == 0 || self.rng.chance(500) {
                other.insert(peer)
            } else {
                one.insert(peer)
            };
        }
        let Some(node) = self.nodes.get_mut(idx) else { return Ok(()) };
        let mut twin = Node {
            did: node.did.clone(),
            engine: None,
            store: node.store.backup(),
            keys: node.keys.clone(),
            key_number: node.key_number,
            next_keys: None,
            config: node.config.clone(),
            life: 0,
            inbox: VecDeque::new(),
            working: false,
            sessions: Sessions::default(),
            tasks: other.iter().map(|p| (p.clone(), Default::default())).collect::<BTreeMap<_, _>>(),
            offset_ms: node.offset_ms,
            pull: node.pull,
            honest: false,
            serves: Some(other),
            restored: None,
            backup: None,
            restore_pending: None,
        };
        node.serves = Some(one);
        twin.load(virtual_now).map_err(|e| self.wrong(format!("the twin cannot start: {e}")))?;
        self.nodes.push(twin);
        self.stats.forks += 1;
        self.fork_size = Some(size);
        self.note(|| format!("node {idx}: forks at {size} leaves"));
        self.start_tasks(self.nodes.len() - 1);
        Ok(())
    }

    /// The dishonest node sends one hostile request.
    pub(crate) fn attack(&mut self) {
        let idx = self.swarm.nodes - 1;
        let target = self.rng.index(idx);
        let Some(to) = self.nodes.get(target).map(|n| n.did.clone()) else { return };
        let Some(node) = self.nodes.get(idx) else { return };
        let Some(tasks) = node.tasks.get(&to) else { return };
        let (Some(session), Some(last)) = (tasks.push.session, tasks.sent.last().cloned()) else { return };
        let old = tasks.sent.first().cloned().unwrap_or_else(|| Arc::clone(&last));
        let Some(engine) = node.engine.as_ref() else { return };
        let node_key = engine.identity().latest_node_key_id();
        let roll = self.rng.below(14);
        let body: Option<Bytes> = match roll {
            0 => self.mutated(&last),
            1 => last.get(..self.rng.index(last.len())).map(Into::into),
            2 => Some((0..200).map(|_| self.rng.below(256) as u8).collect::<Vec<u8>>().into()),
            // Now and then an old batch again, as if the log had shrunk.
            3 if self.rng.chance(200) => Some(old),
            4 => self.readdressed(&last),
            n => self.forged_entry(idx, target, n).and_then(|entry| with_entries(&last, &[entry])),
        };
        let Some(body) = body else { return };
        self.stats.attacks += 1;
        self.note(|| format!("node {idx}: attacks node {target} ({roll})"));
        self.next_request += 1;
        let request = self.next_request;
        let Some(tasks) = self.nodes.get_mut(idx).and_then(|n| n.tasks.get_mut(&to)) else { return };
        tasks.push.number += 1;
        let number = tasks.push.number;
        let message = Message::Batch { session, number, key: node_key, body };
        self.send(Packet { from: idx, to: target, request, message });
    }

    fn mutated(&mut self, body: &[u8]) -> Option<Bytes> {
        let mut bytes = body.to_vec();
        for _ in 0..=self.rng.below(3) {
            let at = self.rng.index(bytes.len());
            let new = self.rng.below(256) as u8;
            *bytes.get_mut(at)? = new;
        }
        Some(bytes.into())
    }

    /// A batch that names another receiver or sender.
    fn readdressed(&mut self, body: &[u8]) -> Option<Bytes> {
        let (mut header, rest) = split(body)?;
        let other: Did = format!("did:web:n{}.example", self.rng.below(5)).parse().ok()?;
        if self.rng.chance(500) {
            header.to = other
        } else {
            header.from = other
        }
        let mut out = serde_json::to_vec(&header).ok()?;
        out.extend_from_slice(rest);
        Some(out.into())
    }

    /// An entry that must not be taken, or does no harm if it is.
    fn forged_entry(&mut self, idx: usize, target: usize, kind: u64) -> Option<SignedEntry> {
        let nonce = self.rng.nonce();
        let virtual_now = self.now;
        let victim = self.nodes.get(target)?;
        let victims: Vec<EntryId> = victim.engine.as_ref()?.dialogues().map(|d| d.id).collect();
        let dialogue = self.rng.pick(&victims).copied()?;
        let me = self.nodes.get(idx)?;
        let victim = self.nodes.get(target)?;
        let record = victim.engine.as_ref()?.dialogue(&dialogue)?;
        let state = record.current()?;
        let heads: Vec<EntryId> = record.heads.iter().take(20).copied().collect();
        let key_id = me.engine.as_ref()?.identity().latest().organisation_key.id();
        let text = Texts::from([("en".to_owned(), "hostile".to_owned())]);
        let say = Body::Statement(Words { texts: text.clone(), prevailing: None });
        let about = |of| About { of, words: Words::default() };
        let mut entry = Entry {
            author: me.did.clone(),
            desk: "desk".into(),
            dialogue: Some(dialogue),
            membership: Some(state.entry),
            arrangement: state.arrangement.clone(),
            marking: state.membership.cap.min(Marking::Green),
            time: me.now(virtual_now),
            prev: heads,
            nonce,
            attachments: Vec::new(),
            body: say,
        };
        let mut key_of = Arc::clone(&me.keys.organisation);
        match kind {
            5 => entry.marking = Marking::Red,
            6 => key_of = key(&me.did, "wrong", 0),
            7 => entry.author = victim.did.clone(),
            8 => entry.prev = vec![EntryId(Hash::of(&nonce))],
            9 => entry.membership = Some(EntryId(Hash::of(&nonce))),
            10 => entry.time = entry.time.plus_millis(3 * 24 * 3_600_000),
            11 => entry.body = Body::Assent(about(EntryId(Hash::of(&nonce)))),
            12 => entry.arrangement = "another".into(),
            13 => {
                let parties = BTreeSet::from([me.did.clone(), victim.did.clone()]);
                entry.body = Body::Membership(Membership {
                    title: text,
                    parties: parties.into_iter().collect(),
                    cap: Marking::Red,
                    replaces: entry.membership,
                });
            }
            _ => entry.body = Body::Assent(about(state.entry)),
        }
        SignedEntry::sign(entry, &*key_of, key_id).ok()
    }

    /// The dishonest node's reply, sometimes spoilt on its way out.
    pub(crate) fn spoil_reply(&mut self, idx: usize, body: Vec<u8>) -> Vec<u8> {
        let vandal = self.swarm.byzantine == Some(Byzantine::Vandal) && idx + 1 == self.swarm.nodes;
        if vandal && self.faults_on && self.rng.chance(100) {
            return self.mutated(&body).map_or(body, |b| b.to_vec());
        }
        body
    }
}

fn split(body: &[u8]) -> Option<(BatchHeader, &[u8])> {
    let end = body.iter().position(|b| *b == b'\n')?;
    Some((serde_json::from_slice(body.get(..end)?).ok()?, body.get(end..)?))
}

/// The header of a batch with other entries behind it.
fn with_entries(body: &[u8], entries: &[SignedEntry]) -> Option<Bytes> {
    let (mut header, _) = split(body)?;
    header.entries = entries.len();
    let mut out = serde_json::to_vec(&header).ok()?;
    out.push(b'\n');
    for entry in entries {
        entry.write_envelope(&mut out);
        out.push(b'\n');
    }
    Some(out.into())
}
