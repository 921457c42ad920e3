//! Two ministries hold a small dialogue: real engines with keys from fixed seeds, fixed times and
//! fixed nonces, so that every byte they say to each other is the same in every run.

use std::sync::Arc;

use hiwar_dialogue::engine::{Command, Draft, Engine, EngineConfig, Keys, Plan};
use hiwar_dialogue::entry::{Attachment, EntryId, SignedEntry, Texts, Words};
use hiwar_dialogue::marking::Marking;
use hiwar_dialogue::wire;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{CARD_TYPE, Card, DeliveryMode, Identity, RevokedKey, SignedCard};
use hiwar_trust::key::{KeyHolder, SoftwareKey};
use hiwar_trust::time::Timestamp;

use super::store::MemoryStore;

/// 2019-07-01T01:00:00.000Z, the day of the announcement.
pub(crate) const START_MS: i64 = 1_561_942_800_000;
/// The file that the statement carries.
pub(crate) const FILE: &[u8] = b"month,tonnes\n2019-07,0\n";

pub(crate) fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + minutes * 60_000)
}

pub(crate) fn key(seed: u8) -> SoftwareKey {
    SoftwareKey::from_seed(&[seed; 32])
}

/// A participant with its node.
pub(crate) struct Node {
    pub(crate) did: Did,
    pub(crate) node_seed: u8,
    pub(crate) engine: Engine,
    pub(crate) store: MemoryStore,
}

/// What one node sent and the other answered.
pub(crate) struct Exchange {
    pub(crate) from: Did,
    pub(crate) to: Did,
    pub(crate) batch: String,
    pub(crate) reply: String,
}

pub(crate) struct World {
    pub(crate) motie: Node,
    pub(crate) meti: Node,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) entries: Vec<(&'static str, SignedEntry)>,
}

/// Seeds: every byte of a seed is this number.
pub(crate) struct Seeds {
    pub(crate) organisation: u8,
    pub(crate) node: u8,
    pub(crate) recovery: u8,
}

pub(crate) const MOTIE: Seeds = Seeds { organisation: 1, node: 2, recovery: 3 };
pub(crate) const METI: Seeds = Seeds { organisation: 4, node: 5, recovery: 6 };
/// The organisation key that replaces motie's first.
pub(crate) const MOTIE_NEXT: u8 = 7;

pub(crate) fn first_card(did: &str, name: &str, endpoint: &str, seeds: &Seeds) -> SignedCard {
    let organisation = key(seeds.organisation);
    let card = Card {
        kind: CARD_TYPE.into(),
        did: did.parse().unwrap(),
        name: name.into(),
        sequence: 0,
        previous: None,
        time: at(-60),
        organisation_key: organisation.public_key().clone(),
        node_key: key(seeds.node).public_key().clone(),
        recovery_key: Some(key(seeds.recovery).public_key().clone()),
        endpoints: vec![endpoint.into()],
        tls_key: Some(Hash::of(b"SubjectPublicKeyInfo")),
        delivery: DeliveryMode::Push,
        log_origin: format!("{did}/log/1"),
        log_continues: None,
        revoked: Vec::new(),
    };
    card.sign(&[&organisation]).unwrap()
}

/// The card that brings motie's next organisation key and revokes the first.
pub(crate) fn next_card(identity: &Identity) -> SignedCard {
    let (old, new) = (key(MOTIE.organisation), key(MOTIE_NEXT));
    let mut card = identity.latest().clone();
    card.sequence = 1;
    card.previous = Some(identity.latest_hash());
    card.time = at(40);
    card.organisation_key = new.public_key().clone();
    card.revoked.push(RevokedKey {
        key: old.public_key().id(),
        since: at(39),
        reason: "laptop stolen".into(),
    });
    card.sign(&[&old, &new]).unwrap()
}

impl Node {
    fn new(card: SignedCard, seeds: &Seeds) -> Self {
        let mut store = MemoryStore::default();
        let did = card.card.did.clone();
        store.apply(Engine::found(card).unwrap());
        let snapshot = hiwar_dialogue::ledger::Snapshot { log_size: 1, ..store.snapshot.clone() };
        let keys = keys(seeds.organisation, seeds.node);
        let engine = Engine::load(EngineConfig::standard(), keys, snapshot, &store, at(0)).unwrap();
        Self { did, node_seed: seeds.node, engine, store }
    }

    pub(crate) fn commit(&mut self) {
        self.store.apply(self.engine.take_changes());
    }

    fn command(&mut self, minutes: i64, nonce: u8, command: Command) -> SignedEntry {
        let draft = Draft { desk: "export-control".into(), command, nonce: [nonce; 16] };
        let (_, signed) = self.engine.command(&self.store, draft, at(minutes)).unwrap();
        self.commit();
        signed
    }
}

fn keys(organisation: u8, node: u8) -> Keys {
    Keys { organisation: Arc::new(key(organisation)), node: Arc::new(key(node)) }
}

fn texts(pairs: &[(&str, &str)]) -> Texts {
    pairs.iter().map(|(tag, text)| ((*tag).to_owned(), (*text).to_owned())).collect()
}

/// Sends what `from` plans for `to`, and brings the reply back.
fn exchange(from: &mut Node, to: &mut Node, minutes: i64) -> Exchange {
    let Plan::Push(push) = from.engine.plan(&from.store, &to.did, at(minutes)).unwrap() else {
        panic!("there is something to send")
    };
    let batch = wire::verify_batch(&push.body, &to.engine.directory()).unwrap();
    let reply = to.engine.receive(&to.store, &from.did, batch, at(minutes)).unwrap();
    to.commit();
    let bytes = serde_json::to_vec(&reply).unwrap();
    let issuer = from.engine.peer_identity(&to.did).unwrap();
    let verified = wire::verify_reply(&bytes, issuer).unwrap();
    assert!(verified.reply().refused.is_empty(), "{:?}", verified.reply().refused);
    from.engine.settle(&from.store, &to.did, push.token, verified, at(minutes)).unwrap();
    from.commit();
    Exchange {
        from: from.did.clone(),
        to: to.did.clone(),
        batch: String::from_utf8(push.body).unwrap(),
        reply: String::from_utf8(bytes).unwrap(),
    }
}

/// The whole dialogue: opened, assented to, a statement in four languages with a file, disputed,
/// and an acknowledgement under a new key.
pub(crate) fn play() -> World {
    let card = first_card("did:web:motie.example", "산업통상자원부", "https://hiwar.motie.example", &MOTIE);
    let mut motie = Node::new(card, &MOTIE);
    let card =
        first_card("did:web:meti.example%3A7400:trade", "経済産業省", "https://meti.example:7400", &METI);
    let mut meti = Node::new(card, &METI);
    motie.engine.add_peer(Identity::clone(meti.engine.identity()), at(0)).unwrap();
    meti.engine.add_peer(Identity::clone(motie.engine.identity()), at(0)).unwrap();
    motie.commit();
    meti.commit();
    let mut exchanges = Vec::new();
    let mut entries = Vec::new();

    let opening = motie.command(
        1,
        0xa1,
        Command::Open {
            title: texts(&[("en", "Hydrogen fluoride"), ("ko", "불화수소"), ("ja", "フッ化水素")]),
            with: vec![meti.did.clone()],
            arrangement: "Director-level dialogue".into(),
            cap: Marking::Amber,
        },
    );
    entries.push(("opening", opening.clone()));
    exchanges.push(exchange(&mut motie, &mut meti, 2));
    entries.push(("assent", meti.command(10, 0xa2, Command::Assent { of: opening.id })));
    exchanges.push(exchange(&mut meti, &mut motie, 11));

    motie.engine.attachment_stored(&motie.store, Hash::of(FILE), &[]).unwrap();
    motie.commit();
    let statement = motie.command(
        20,
        0xa3,
        Command::Say {
            dialogue: opening.id,
            marking: Marking::Amber,
            words: Words {
                texts: texts(&[
                    ("en", "We ask for the \"July\" figures.\nSee 7\u{a0}\\ 2019."),
                    ("ko", "7월 수치를 요청합니다."),
                    ("ja", "七月の数値を求めます。𠮷野"),
                    ("ar", "نطلب أرقام شهر يوليو."),
                ]),
                prevailing: Some("en".into()),
            },
            attachments: vec![Attachment {
                name: "7월-수치.csv".into(),
                media_type: "text/csv".into(),
                size: FILE.len() as u64,
                sha256: Hash::of(FILE),
            }],
        },
    );
    entries.push(("statement", statement.clone()));
    exchanges.push(exchange(&mut motie, &mut meti, 21));
    let words = Words {
        texts: texts(&[("ja", "七月の数値は別の基準によります。")]), prevailing: None
    };
    entries.push(("dispute", meti.command(30, 0xa4, Command::Dispute { of: statement.id, words })));
    exchanges.push(exchange(&mut meti, &mut motie, 31));

    let card = next_card(motie.engine.identity());
    motie.engine.adopt_card(card, keys(MOTIE_NEXT, MOTIE.node)).unwrap();
    motie.commit();
    let of = entries.last().map(|(_, e)| e.id).unwrap();
    entries.push((
        "acknowledgement",
        motie.command(41, 0xa5, Command::Acknowledge { of, words: Words::default() }),
    ));
    exchanges.push(exchange(&mut motie, &mut meti, 42));
    World { motie, meti, exchanges, entries }
}

impl World {
    pub(crate) fn entry(&self, name: &str) -> &SignedEntry {
        self.entries.iter().find(|(n, _)| *n == name).map(|(_, e)| e).unwrap()
    }

    pub(crate) fn dialogue(&self) -> EntryId {
        self.entry("opening").id
    }
}
