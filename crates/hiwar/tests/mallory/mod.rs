//! A peer that was added in good order, holds valid keys, and makes its requests by hand.

use std::net::SocketAddr;
use std::path::PathBuf;

use hiwar::api_client::block_on;
use hiwar_dialogue::engine::{Command, Draft, Engine, EngineConfig, Keys, Plan};
use hiwar_dialogue::entry::{DialogueId, Words};
use hiwar_dialogue::ledger::Store as _;
use hiwar_dialogue::marking::Marking;
use hiwar_dialogue::wire;
use hiwar_node::clock::now;
use hiwar_node::folder;
use hiwar_node::peer_client::SessionRequest;
use hiwar_node::tls;
use hiwar_store::SqliteStore;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::httpsig::{self, RequestParts};
use hiwar_trust::identity::{Card, SignedCard};
use hiwar_trust::key::{KeyHolder, SoftwareKey};
use serde_json::{Value, json};

use crate::newcomer::outsider::Outsider;
use crate::newcomer::{Ministries, until};

/// Words in English.
pub(crate) fn words(text: &str) -> Words {
    serde_json::from_value(json!({ "texts": { "en": text } })).unwrap()
}

/// A request that can be changed after it was signed.
#[derive(Clone, Debug)]
pub(crate) struct Forged {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Forged {
    pub(crate) fn leave_out(&mut self, header: &str) {
        self.headers.retain(|(name, _)| name != header);
    }

    pub(crate) fn double(&mut self, header: &str) {
        let twice = self.headers.iter().find(|(name, _)| name == header).cloned().unwrap();
        self.headers.push(twice);
    }

    pub(crate) fn set(&mut self, header: &str, value: &str) {
        self.leave_out(header);
        self.headers.push((header.to_owned(), value.to_owned()));
    }
}

/// New keys for a next card.
pub(crate) struct Fresh {
    pub(crate) organisation: SoftwareKey,
    pub(crate) node: SoftwareKey,
}

pub(crate) struct Mallory {
    pub(crate) dir: PathBuf,
    pub(crate) did: Did,
    pub(crate) keys: Keys,
    /// Where its card says that it listens, when it says so.
    pub(crate) listen: Option<SocketAddr>,
    /// Where the attacked node listens for peers.
    pub(crate) address: SocketAddr,
    pub(crate) dialogue: Option<DialogueId>,
    /// A genuine batch.
    pub(crate) plan_body: Vec<u8>,
    target: Did,
    pin: Hash,
    store: SqliteStore,
    engine: Engine,
    token: u64,
}

impl Mallory {
    /// Makes itself a peer of meti. It accepts no connection unless it `listens`, without TLS.
    pub(crate) fn peer_of(both: &Ministries, listens: bool) -> Self {
        let dir = both.person.path("mallory");
        let [address, api_listen] = hiwar::node_process::free_addresses().unwrap();
        let listen = listens.then_some(address);
        let Outsider { did, keys, target, .. } =
            Outsider::known_to(both, "meti", "mallory", "Mallory", listen, api_listen);
        let meti = target.identity().latest().clone();
        let store = SqliteStore::open(&dir).unwrap();
        let snapshot = store.snapshot().unwrap();
        let mut engine =
            Engine::load(EngineConfig::standard(), keys.clone(), snapshot, &store, now()).unwrap();
        engine.add_peer(target.into_identity(), now()).unwrap();
        let address = meti.endpoints[0].trim_start_matches("https://").parse().unwrap();
        let mut mallory = Self {
            dir,
            did,
            keys,
            listen,
            address,
            dialogue: None,
            plan_body: Vec::new(),
            target: meti.did,
            pin: meti.tls_key.unwrap(),
            store,
            engine,
            token: 0,
        };
        mallory.plan();
        mallory
    }

    fn commit(&mut self) {
        self.store.apply(&self.engine.take_changes()).unwrap();
        self.store.commit().unwrap();
    }

    /// Makes a batch of all that waits, as an honest node would.
    fn plan(&mut self) {
        self.commit();
        self.engine.failed(&self.target, self.token, now());
        // Long after any wait between attempts.
        let plan = self.engine.plan(&self.store, &self.target, now().plus_millis(3_600_000)).unwrap();
        let Plan::Push(push) = plan else { panic!("nothing to send: {plan:?}") };
        self.token = push.token;
        self.plan_body = push.body;
        self.commit();
    }

    pub(crate) fn command(&mut self, command: Command) -> DialogueId {
        let nonce = *Hash::of(format!("{:?}{command:?}", now()).as_bytes()).as_bytes();
        let draft = Draft { desk: "desk".into(), command, nonce: nonce[..16].try_into().unwrap() };
        let (_, signed) = self.engine.command(&self.store, draft, now()).unwrap();
        self.plan();
        signed.id
    }

    pub(crate) fn open_dialogue(&mut self) -> DialogueId {
        let id = self.command(Command::Open {
            title: words("A trap").texts,
            with: vec![self.target.clone()],
            arrangement: "None".into(),
            cap: Marking::Amber,
        });
        self.dialogue = Some(id);
        id
    }

    /// Fetches what waits at the node until the dialogue is open.
    pub(crate) fn fetch_assent(&mut self) {
        let session = self.session();
        let mut number = 0;
        let body = json!({ "wait_ms": 2000 }).to_string().into_bytes();
        let target = self.target.clone();
        let dialogue = self.dialogue.unwrap();
        until("the assent", || {
            number += 1;
            let fetch =
                self.signed("/hiwar/v1/fetch", body.clone(), &session, &number.to_string(), target.as_str());
            let (status, bytes) = self.send_raw(&fetch);
            assert!(status == 200 || status == 204, "{status}");
            if status == 200 {
                let batch = wire::verify_batch(&bytes, &self.engine.directory()).unwrap();
                self.engine.receive(&self.store, &target, batch, now()).unwrap();
                self.commit();
            }
            self.engine.dialogue(&dialogue).is_some_and(|d| d.is_open())
        });
        self.plan();
    }

    pub(crate) fn cards(&self) -> Vec<SignedCard> {
        self.engine.identity().cards().to_vec()
    }

    /// Brings the next card into force, changed by `change`, which may put in keys of `Fresh`.
    pub(crate) fn next_card(&mut self, change: impl FnOnce(&mut Card, &Fresh)) {
        let fresh = Fresh { organisation: folder::new_key().unwrap(), node: folder::new_key().unwrap() };
        let identity = self.engine.identity().clone();
        let latest = identity.latest().clone();
        let mut card = Card {
            sequence: latest.sequence + 1,
            previous: Some(identity.latest_hash()),
            time: now(),
            ..latest
        };
        change(&mut card, &fresh);
        let old = self.keys.organisation.clone();
        if card.organisation_key == *fresh.organisation.public_key() {
            self.keys.organisation = std::sync::Arc::new(fresh.organisation);
        }
        if card.node_key == *fresh.node.public_key() {
            self.keys.node = std::sync::Arc::new(fresh.node);
        }
        let signed = card.sign(&[&*old, &*self.keys.organisation]).unwrap();
        self.engine.adopt_card(signed, self.keys.clone()).unwrap();
        self.plan();
    }

    /// Signs a request with its node key.
    pub(crate) fn signed(
        &self,
        path: &str,
        body: Vec<u8>,
        session: &str,
        sequence: &str,
        to: &str,
    ) -> Forged {
        self.signed_by(&*self.keys.node, path, body, session, sequence, to)
    }

    pub(crate) fn signed_by(
        &self,
        key: &dyn KeyHolder,
        path: &str,
        body: Vec<u8>,
        session: &str,
        sequence: &str,
        to: &str,
    ) -> Forged {
        let digest = httpsig::content_digest(&Hash::of(&body));
        let parts = RequestParts {
            method: "POST",
            path_and_query: path,
            content_digest: &digest,
            destination: to,
            session,
            sequence,
        };
        let signed = httpsig::sign_request(&parts, now(), key).unwrap();
        let headers = [
            ("content-digest", digest.clone()),
            ("hiwar-destination", to.to_owned()),
            ("hiwar-session", session.to_owned()),
            ("hiwar-sequence", sequence.to_owned()),
            ("signature-input", signed.signature_input),
            ("signature", signed.signature),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Forged { path: path.to_owned(), headers, body }
    }

    /// A genuine batch in a session.
    pub(crate) fn batch(&self, session: &str, number: u64) -> Forged {
        self.batch_of(self.planned(), session, number)
    }

    /// The batch that was made last.
    pub(crate) fn planned(&self) -> Vec<u8> {
        self.plan_body.clone()
    }

    pub(crate) fn batch_of(&self, body: Vec<u8>, session: &str, number: u64) -> Forged {
        self.signed("/hiwar/v1/batch", body, session, &number.to_string(), self.target.as_str())
    }

    pub(crate) fn asking_for_session(&self) -> Forged {
        self.asking_with(&self.cards())
    }

    pub(crate) fn asking_with(&self, cards: &[SignedCard]) -> Forged {
        self.asking_as(&*self.keys.node, cards)
    }

    pub(crate) fn asking_as(&self, key: &dyn KeyHolder, cards: &[SignedCard]) -> Forged {
        let body = serde_json::to_vec(&SessionRequest { cards: cards.to_vec(), knows_card: None }).unwrap();
        self.signed_by(key, "/hiwar/v1/session", body, "new", "0", self.target.as_str())
    }

    /// Asks for a session as an honest node does.
    pub(crate) fn session(&self) -> String {
        let (status, answer) = self.send(&self.asking_for_session());
        assert_eq!(status, 200, "{answer}");
        answer["session"].as_str().unwrap().to_owned()
    }

    /// Posts a batch of all that waits, in a session of its own.
    pub(crate) fn post_plan(&mut self) -> (u16, Value) {
        self.plan();
        let session = self.session();
        self.send(&self.batch(&session, 1))
    }

    /// Sends a request over TLS; the status and the answer, if it is JSON.
    pub(crate) fn send(&self, forged: &Forged) -> (u16, Value) {
        let (status, body) = self.send_raw(forged);
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn send_raw(&self, forged: &Forged) -> (u16, Vec<u8>) {
        let config = tls::pinned_client(self.pin).unwrap();
        let answered = block_on(async {
            let client = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config).build()?;
            let mut request = client.post(format!("https://{}{}", self.address, forged.path));
            for (name, value) in &forged.headers {
                request = request.header(name, value);
            }
            let response = request.body(forged.body.clone()).send().await?;
            Ok((response.status().as_u16(), response.bytes().await?.to_vec()))
        });
        answered.unwrap()
    }
}
