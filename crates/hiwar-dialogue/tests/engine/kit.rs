//! A few parties with real engines over ledgers in memory, and the ways to let them talk.

use std::sync::Arc;

use hiwar_dialogue::engine::{
    Command, CommandError, Draft, Engine, EngineConfig, EngineError, Keys, Plan, PushPlan,
};
use hiwar_dialogue::entry::{Body, DialogueId, Entry, EntryId, SignedEntry, Texts, Words};
use hiwar_dialogue::ledger::{Alarm, Store as _};
use hiwar_dialogue::marking::Marking;
use hiwar_dialogue::wire::{self, BatchHeader, RefusalCode, Reply};
use hiwar_store::memory::MemoryStore;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{CARD_TYPE, Card, DeliveryMode, Identity, LogContinuation, RevokedKey};
use hiwar_trust::key::{KeyHolder as _, SoftwareKey};
use hiwar_trust::time::Timestamp;

/// 2019-07-01T01:00:00.000Z.
const START_MS: i64 = 1_561_942_800_000;

pub(crate) fn key(text: &str) -> Arc<SoftwareKey> {
    Arc::new(SoftwareKey::from_seed(&Hash::of(text.as_bytes()).0))
}

pub(crate) fn words(text: &str) -> Words {
    Words { texts: Texts::from([("en".to_owned(), text.to_owned())]), prevailing: None }
}

pub(crate) struct Party {
    pub(crate) did: Did,
    pub(crate) engine: Engine,
    pub(crate) store: MemoryStore,
    pub(crate) keys: Keys,
    pub(crate) now_ms: i64,
    nonce: u64,
}

/// `count` parties that are peers of each other.
pub(crate) fn parties(count: usize) -> Vec<Party> {
    let mut parties: Vec<Party> = (0..count).map(Party::new).collect();
    let identities: Vec<Arc<Identity>> = parties.iter().map(|p| p.engine.identity().clone()).collect();
    for party in &mut parties {
        for identity in identities.iter().filter(|i| *i.did() != party.did) {
            party.engine.add_peer(Identity::clone(identity), party.now()).unwrap();
        }
        party.commit();
    }
    parties
}

impl Party {
    fn new(number: usize) -> Self {
        let did: Did = format!("did:web:p{number}.example").parse().unwrap();
        let keys =
            Keys { organisation: key(&format!("{did} organisation")), node: key(&format!("{did} node")) };
        let card = Card {
            kind: CARD_TYPE.into(),
            did: did.clone(),
            name: did.to_string(),
            sequence: 0,
            previous: None,
            time: Timestamp::from_millis(START_MS),
            organisation_key: keys.organisation.public_key().clone(),
            node_key: keys.node.public_key().clone(),
            recovery_key: None,
            endpoints: vec!["https://node.example".into()],
            tls_key: None,
            delivery: DeliveryMode::Push,
            log_origin: format!("{did}/log/1"),
            log_continues: None,
            revoked: Vec::new(),
        };
        let mut store = MemoryStore::new();
        store.apply(&Engine::found(card.sign(&[&*keys.organisation]).unwrap()).unwrap()).unwrap();
        store.commit().unwrap();
        let engine = load(&keys, &store, START_MS).unwrap();
        Self { did, engine, store, keys, now_ms: START_MS, nonce: 0 }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms)
    }

    pub(crate) fn commit(&mut self) {
        let changes = self.engine.take_changes();
        self.store.apply(&changes).unwrap();
        self.store.commit().unwrap();
        for status in self.engine.peer_statuses() {
            let waiting = self.store.waiting(&status.record.did).count() as u64;
            assert_eq!(status.backlog, waiting, "{} counts what waits for {}", self.did, status.record.did);
        }
    }

    /// The process ends and starts again.
    pub(crate) fn restart(&mut self) {
        self.store.crash();
        self.engine = load(&self.keys, &self.store, self.now_ms).unwrap();
    }

    /// Puts a backup in place of the store, as far as the keys are still the same.
    pub(crate) fn put_back(&mut self, backup: &MemoryStore) {
        self.store = backup.clone();
        self.engine = load(&self.keys, &self.store, self.now_ms).unwrap();
    }

    pub(crate) fn nonce(&mut self) -> [u8; 16] {
        self.nonce += 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonce.to_le_bytes());
        nonce
    }

    pub(crate) fn command(&mut self, command: Command) -> Result<SignedEntry, CommandError> {
        let draft = Draft { desk: "desk".into(), command, nonce: self.nonce() };
        let made = self.engine.command(&self.store, draft, self.now()).map(|(_, signed)| signed);
        self.commit();
        made
    }

    pub(crate) fn open(&mut self, with: &[&Did], cap: Marking) -> DialogueId {
        let with = with.iter().map(|d| (*d).clone()).collect();
        let title = words("About something").texts;
        self.command(Command::Open { title, with, arrangement: "a/1".into(), cap }).unwrap().id
    }

    pub(crate) fn say(&mut self, dialogue: DialogueId, text: &str) -> SignedEntry {
        let marking = Marking::Clear;
        self.command(Command::Say { dialogue, marking, words: words(text), attachments: Vec::new() }).unwrap()
    }

    pub(crate) fn assent(&mut self, of: EntryId) -> SignedEntry {
        self.command(Command::Assent { of }).unwrap()
    }

    pub(crate) fn plan(&mut self, to: &Did) -> Option<PushPlan> {
        let plan = self.engine.plan(&self.store, to, self.now()).unwrap();
        self.commit();
        match plan {
            Plan::Push(push) => Some(*push),
            Plan::Wait(_) => None,
        }
    }

    pub(crate) fn take(&mut self, from: &Did, body: &[u8]) -> Result<Reply, EngineError> {
        let batch = wire::verify_batch(body, &self.engine.directory()).unwrap();
        let reply = self.engine.receive(&self.store, from, batch, self.now());
        self.commit();
        reply
    }

    pub(crate) fn settle(&mut self, from: &Did, token: u64, reply: &Reply) -> Result<(), EngineError> {
        let issuer = self.engine.peer_identity(from).unwrap().clone();
        let reply = wire::verify_reply(&serde_json::to_vec(reply).unwrap(), &issuer).unwrap();
        let settled = self.engine.settle(&self.store, from, token, reply, self.now());
        self.commit();
        settled
    }

    /// The header of a batch that is due now.
    pub(crate) fn header(&mut self, to: &Did) -> BatchHeader {
        self.now_ms += EngineConfig::standard().compare_ms + 1;
        let push = self.plan(to).expect("heads are to be compared");
        self.engine.failed(to, push.token, self.now());
        self.commit();
        let head = push.body.split(|b| *b == b'\n').next().unwrap().to_vec();
        let mut header: BatchHeader = serde_json::from_slice(&head).unwrap();
        header.entries = 0;
        header
    }

    /// A batch with these lines, whatever they are.
    pub(crate) fn batch_of(&mut self, to: &Did, lines: &[Vec<u8>]) -> Vec<u8> {
        let mut header = self.header(to);
        header.entries = lines.len();
        let mut body = serde_json::to_vec(&header).unwrap();
        body.push(b'\n');
        for line in lines {
            body.extend_from_slice(line);
            body.push(b'\n');
        }
        body
    }

    /// A statement as this party would make it.
    pub(crate) fn draft(&mut self, dialogue: DialogueId) -> Entry {
        let nonce = self.nonce();
        let record = self.engine.dialogue(&dialogue).unwrap();
        let state = record.current().unwrap();
        Entry {
            author: self.did.clone(),
            desk: "desk".into(),
            dialogue: Some(dialogue),
            membership: Some(state.entry),
            arrangement: state.arrangement.clone(),
            marking: Marking::Clear,
            time: self.now(),
            prev: record.heads.iter().copied().collect(),
            nonce,
            attachments: Vec::new(),
            body: Body::Statement(words("text")),
        }
    }

    pub(crate) fn sign(&self, entry: Entry) -> SignedEntry {
        let id = self.keys.organisation.public_key().id();
        SignedEntry::sign(entry, &*self.keys.organisation, id).unwrap()
    }

    fn next_card(&self) -> Card {
        let identity = self.engine.identity();
        let latest = identity.latest().clone();
        let time = self.engine.card_time(self.now());
        let (sequence, previous) = (latest.sequence + 1, Some(identity.latest_hash()));
        Card { sequence, previous, time, log_continues: None, ..latest }
    }

    /// A new organisation key; the old one is revoked on demand.
    pub(crate) fn rotate(&mut self, revoke: bool) {
        let mut card = self.next_card();
        let new = key(&format!("{} organisation {}", self.did, card.sequence));
        card.organisation_key = new.public_key().clone();
        if revoke {
            let old = self.keys.organisation.public_key().id();
            card.revoked.push(RevokedKey { key: old, since: self.now(), reason: "lost".into() });
        }
        let signed = card.sign(&[&*self.keys.organisation, &*new]).unwrap();
        self.keys.organisation = new;
        self.engine.adopt_card(signed, self.keys.clone()).unwrap();
        self.commit();
    }

    /// Goes on in a new log.
    pub(crate) fn declare_restore(&mut self) {
        let mut card = self.next_card();
        let (number, tail) = self.engine.log();
        card.log_continues =
            Some(LogContinuation { origin: card.log_origin.clone(), size: tail.size(), root: tail.root() });
        card.log_origin = format!("{}/log/{}", self.did, number + 1);
        let signed = card.sign(&[&*self.keys.organisation]).unwrap();
        self.engine.adopt_card(signed, self.keys.clone()).unwrap();
        self.commit();
    }

    pub(crate) fn alarms(&self, code: &str) -> Vec<&Alarm> {
        self.store.alarms().iter().filter(|a| a.code == code).collect()
    }
}

fn load(keys: &Keys, store: &MemoryStore, now_ms: i64) -> Result<Engine, EngineError> {
    let now = Timestamp::from_millis(now_ms);
    Engine::load(EngineConfig::standard(), keys.clone(), store.snapshot().unwrap(), store, now)
}

/// An entry as it travels.
pub(crate) fn envelope(signed: &SignedEntry) -> Vec<u8> {
    let mut out = Vec::new();
    signed.write_envelope(&mut out);
    out
}

/// Two of the parties, to be changed both.
pub(crate) fn two(parties: &mut [Party], a: usize, b: usize) -> (&mut Party, &mut Party) {
    let [one, other] = parties.get_disjoint_mut([a, b]).unwrap();
    (one, other)
}

/// One exchange, if there is something to send; the reply.
pub(crate) fn exchange(parties: &mut [Party], from: usize, to: usize) -> Option<Reply> {
    let (sender, receiver) = two(parties, from, to);
    let push = sender.plan(&receiver.did)?;
    let reply = receiver.take(&sender.did, &push.body).unwrap();
    sender.settle(&receiver.did, push.token, &reply).unwrap();
    Some(reply)
}

/// Lets all parties talk for `seconds`; the number of exchanges.
pub(crate) fn talk(parties: &mut [Party], seconds: i64) -> usize {
    let mut exchanges = 0;
    for _ in 0..seconds * 2 {
        for from in 0..parties.len() {
            for to in (0..parties.len()).filter(|to| *to != from) {
                exchanges += usize::from(exchange(parties, from, to).is_some());
            }
        }
        for party in parties.iter_mut() {
            party.now_ms += 500;
        }
    }
    exchanges
}

/// An open dialogue between the first `count` parties, opened by the first.
pub(crate) fn open_dialogue(parties: &mut [Party], count: usize, cap: Marking) -> DialogueId {
    let dids: Vec<Did> = parties.iter().take(count).map(|p| p.did.clone()).collect();
    let with: Vec<&Did> = dids.iter().skip(1).collect();
    let dialogue = parties[0].open(&with, cap);
    talk(parties, 2);
    for party in parties.iter_mut().take(count).skip(1) {
        party.assent(dialogue);
    }
    talk(parties, 5);
    for party in parties.iter().take(count) {
        assert!(party.engine.dialogue(&dialogue).unwrap().is_open(), "{}", party.did);
    }
    dialogue
}

/// The codes of what was refused.
pub(crate) fn codes(reply: &Reply) -> Vec<RefusalCode> {
    reply.refused.iter().map(|r| r.code).collect()
}
