//! A participant whose connector is written by hand: it is a peer of motie in good order, answers what motie
//! sends, and can send whatever it likes.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    dead_code,
    reason = "each test file uses another part of this module, and stops where it cannot go on"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use hiwar_claims::token::{self, Claims};
use hiwar_dataspace::wire::CONTEXT;
use hiwar_dialogue::engine::Keys;
use hiwar_node::clock::now;
use hiwar_node::tls;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::key::KeyHolder;
use hiwar_trust::time::Timestamp;
use serde_json::{Value, json};

use crate::newcomer::outsider::Outsider;
use crate::newcomer::{Ministries, api, until};

/// The dataset that the counterpart offers.
pub(crate) const THEIRS: &str = "urn:theirs:dataset";

/// The identifiers of a process at both sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pids {
    pub(crate) provider: String,
    pub(crate) consumer: String,
}

/// What its server was sent, and how it answers.
#[derive(Default)]
pub(crate) struct Desk {
    pub(crate) received: Vec<(String, Value)>,
    /// Ends of paths that are answered with another status than 200.
    pub(crate) refusing: Vec<(String, u16)>,
}

pub(crate) struct Counterpart {
    pub(crate) did: Did,
    pub(crate) keys: Keys,
    kid: String,
    /// The node that it deals with.
    pub(crate) target: String,
    address: SocketAddr,
    pin: Hash,
    runtime: tokio::runtime::Runtime,
    client: Mutex<Option<reqwest::Client>>,
    /// Where its connector answers: the root.
    pub(crate) root: String,
    pub(crate) desk: Arc<Mutex<Desk>>,
    count: Mutex<u64>,
}

/// Makes a participant named `name` a peer of motie for each name. Their addresses, and nothing else on this
/// machine, are allowed by motie's rule.
pub(crate) fn peers_of(both: &mut Ministries, names: &[&str]) -> Vec<Counterpart> {
    let listeners: Vec<TcpListener> =
        names.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let roots: Vec<String> =
        listeners.iter().map(|l| format!("http://{}", l.local_addr().unwrap())).collect();
    let config = both.person.path("motie").join("hiwar.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[outbound]\nallow = {}\n", json!(roots))).unwrap();
    both.kill("motie");
    both.start("motie");
    let made = names.iter().zip(listeners).zip(roots);
    made.map(|((name, listener), root)| Counterpart::made(both, name, listener, root)).collect()
}

impl Counterpart {
    fn made(both: &Ministries, name: &str, listener: TcpListener, root: String) -> Self {
        let [_, api_listen] = hiwar::node_process::free_addresses().unwrap();
        let Outsider { did, keys, invitation, target } =
            Outsider::known_to(both, "motie", name, name, None, api_listen);
        let kid = format!("{did}#node-{}", invitation.identity().latest().node_key.id().0.short());
        let motie = target.identity().latest().clone();
        let desk = Arc::new(Mutex::new(Desk::default()));
        serve(listener, desk.clone());
        Self {
            did,
            keys,
            kid,
            target: motie.did.as_str().to_owned(),
            address: motie.endpoints[0].trim_start_matches("https://").parse().unwrap(),
            pin: motie.tls_key.unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            client: Mutex::default(),
            root,
            desk,
            count: Mutex::default(),
        }
    }

    /// Where its connector takes messages.
    pub(crate) fn base(&self) -> String {
        format!("{}/dsp", self.root)
    }

    /// A name never used before.
    pub(crate) fn fresh(&self, what: &str) -> String {
        let mut count = self.count.lock().unwrap();
        *count += 1;
        format!("urn:{}:{what}:{count}", self.did)
    }

    /// A token of its own.
    pub(crate) fn token(&self) -> String {
        self.token_by(&*self.keys.node, &self.target, now(), 300)
    }

    pub(crate) fn token_by(&self, key: &dyn KeyHolder, to: &str, made: Timestamp, seconds: i64) -> String {
        let claims = Claims::new(&self.did, to, self.fresh("jti"), made, seconds);
        token::sign(&claims, &self.kid, key).unwrap()
    }

    /// Sends a request below motie's base; with `bearer`, that is the header Authorization.
    pub(crate) fn send(&self, method: &str, path: &str, bearer: Option<&str>, body: Vec<u8>) -> (u16, Value) {
        let (status, _, bytes) = self.exchange(method, path, bearer, body);
        (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes))))
    }

    /// Status, the header Link and the body; status 0 when the node hung up while the body was sent.
    pub(crate) fn exchange(
        &self,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        body: Vec<u8>,
    ) -> (u16, String, Vec<u8>) {
        let client = self.client.lock().unwrap().get_or_insert_with(|| self.new_client()).clone();
        let url = format!("https://{}/dsp/2025-1/{path}", self.address);
        let mut request = client.request(method.parse().unwrap(), url).body(body);
        request = request.header("content-type", "application/json");
        if let Some(bearer) = bearer {
            request = request.header("authorization", bearer);
        }
        let answered = self.runtime.block_on(async {
            let response = request.send().await?;
            let link = response.headers().get("link").and_then(|v| v.to_str().ok()).unwrap_or_default();
            let link = link.to_owned();
            Ok::<_, reqwest::Error>((response.status().as_u16(), link, response.bytes().await?.to_vec()))
        });
        match answered {
            Ok(answered) => answered,
            // The node has refused a body before all of it was sent, and has hung up.
            Err(error) if format!("{error:?}").contains("BodyWrite") => (0, String::new(), Vec::new()),
            Err(error) => panic!("{error:?}"),
        }
    }

    fn new_client(&self) -> reqwest::Client {
        let config = tls::pinned_client(self.pin).unwrap();
        // Connections are not kept: a node that was killed has closed them.
        let builder = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
        builder.tls_backend_preconfigured(config).build().unwrap()
    }

    pub(crate) fn post(&self, path: &str, message: &Value) -> (u16, Value) {
        self.send("POST", path, Some(&format!("Bearer {}", self.token())), message.to_string().into_bytes())
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, Some(&format!("Bearer {}", self.token())), Vec::new())
    }

    /// Sends a message that must be taken.
    #[track_caller]
    pub(crate) fn taken(&self, path: &str, message: &Value) -> Value {
        let (status, answer) = self.post(path, message);
        assert!((200..300).contains(&status), "{path}: {status} {answer}\n{message}");
        answer
    }

    /// The state of a process as motie tells it.
    pub(crate) fn state(&self, kind: &str, pid: &str) -> String {
        let (_, answer) = self.get(&format!("{kind}/{pid}"));
        answer["state"].as_str().unwrap_or("none").to_owned()
    }

    #[track_caller]
    pub(crate) fn wait(&self, kind: &str, pid: &str, state: &str) {
        until(&format!("{kind} to be {state}"), || self.state(kind, pid) == state);
    }

    /// Answers paths that end so with another status from now on.
    pub(crate) fn refuse(&self, end: &str, status: u16) {
        self.desk.lock().unwrap().refusing.push((end.into(), status));
    }

    pub(crate) fn refuse_nothing(&self) {
        self.desk.lock().unwrap().refusing.clear();
    }

    /// The last message that came to a path with this end.
    pub(crate) fn received(&self, end: &str) -> Option<Value> {
        let desk = self.desk.lock().unwrap();
        desk.received.iter().rev().find(|(path, _)| path.ends_with(end)).map(|(_, body)| body.clone())
    }

    /// How many messages came to paths with this end.
    pub(crate) fn count(&self, end: &str) -> usize {
        self.desk.lock().unwrap().received.iter().filter(|(path, _)| path.ends_with(end)).count()
    }
}

/// A message of a process.
pub(crate) fn message(kind: &str, pids: &Pids) -> Value {
    json!({ "@context": [CONTEXT], "@type": kind, "providerPid": pids.provider, "consumerPid": pids.consumer })
}

/// Negotiations and transfers in which motie is the provider.
impl Counterpart {
    /// motie's offer of a dataset, to be asked for.
    #[track_caller]
    pub(crate) fn offer_of(&self, dataset: &str) -> Value {
        let (status, answer) = self.get(&format!("catalog/datasets/{dataset}"));
        assert_eq!(status, 200, "{answer}");
        let mut offer = answer["hasPolicy"][0].clone();
        offer["target"] = json!(dataset);
        offer
    }

    pub(crate) fn request_message(&self, offer: Value) -> Value {
        json!({ "@context": [CONTEXT], "@type": "ContractRequestMessage", "consumerPid": self.fresh("negotiation"),
            "offer": offer, "callbackAddress": self.base() })
    }

    #[track_caller]
    pub(crate) fn ask(&self, offer: Value) -> Pids {
        let answer = self.taken("negotiations/request", &self.request_message(offer));
        pids_of(&answer)
    }

    /// Asks for other terms than those offered: motie answers with its offer.
    #[track_caller]
    pub(crate) fn offered(&self, dataset: &str) -> Pids {
        let mut offer = self.offer_of(dataset);
        offer["permission"] = json!([{ "action": "use", "constraint": [
            { "leftOperand": "count", "operator": "lteq", "rightOperand": 7 }] }]);
        let pids = self.ask(offer);
        self.wait("negotiations", &pids.provider, "OFFERED");
        pids
    }

    #[track_caller]
    pub(crate) fn agreed(&self, dataset: &str) -> Pids {
        let pids = self.ask(self.offer_of(dataset));
        self.wait("negotiations", &pids.provider, "AGREED");
        pids
    }

    /// An agreement under which motie gives data.
    #[track_caller]
    pub(crate) fn contract(&self, dataset: &str) -> String {
        let pids = self.agreed(dataset);
        self.verify(&pids);
        self.wait("negotiations", &pids.provider, "FINALIZED");
        let told = self.received(&format!("{}/agreement", pids.consumer)).unwrap();
        told["agreement"]["@id"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn verify(&self, pids: &Pids) {
        let verification = message("ContractAgreementVerificationMessage", pids);
        self.taken(&format!("negotiations/{}/agreement/verification", pids.provider), &verification);
    }

    pub(crate) fn transfer_message(&self, agreement: &str) -> Value {
        json!({ "@context": [CONTEXT], "@type": "TransferRequestMessage", "consumerPid": self.fresh("transfer"),
            "agreementId": agreement, "format": "HttpData-PULL", "callbackAddress": self.base() })
    }

    #[track_caller]
    pub(crate) fn started(&self, agreement: &str) -> Pids {
        let pids = pids_of(&self.taken("transfers/request", &self.transfer_message(agreement)));
        self.wait("transfers", &pids.provider, "STARTED");
        pids
    }
}

/// Negotiations and transfers in which motie is the consumer.
impl Counterpart {
    /// motie asks for the dataset; the request was taken.
    #[track_caller]
    pub(crate) fn asked_by(&self, motie: &Path) -> Pids {
        let body = json!({ "peer": self.did, "address": self.root, "dataset": THEIRS, "wait_ms": 0 });
        let (status, answer) = api(motie, "POST", "/api/v1/data/negotiations", body.to_string().as_bytes());
        assert_eq!(status, 200, "{answer}");
        let consumer = answer["pid"].as_str().unwrap().to_owned();
        self.wait("negotiations", &consumer, "REQUESTED");
        pids_of(&self.get(&format!("negotiations/{consumer}")).1)
    }

    pub(crate) fn agreement_message(&self, pids: &Pids) -> Value {
        let mut agreement = theirs();
        agreement["@type"] = json!("Agreement");
        agreement["@id"] = json!(self.fresh("agreement"));
        agreement["target"] = json!(THEIRS);
        agreement["assigner"] = json!(self.did);
        agreement["assignee"] = json!(self.target);
        agreement["timestamp"] = json!("2019-07-01T00:00:00Z");
        let mut made = message("ContractAgreementMessage", pids);
        made["agreement"] = agreement;
        made
    }

    #[track_caller]
    pub(crate) fn agree(&self, pids: &Pids) -> String {
        let made = self.agreement_message(pids);
        self.taken(&format!("negotiations/{}/agreement", pids.consumer), &made);
        self.wait("negotiations", &pids.consumer, "VERIFIED");
        made["agreement"]["@id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn event(&self, pids: &Pids, event: &str) -> Value {
        let mut made = message("ContractNegotiationEventMessage", pids);
        made["eventType"] = json!(event);
        made
    }

    /// An agreement under which motie takes data.
    #[track_caller]
    pub(crate) fn contract_by(&self, motie: &Path) -> String {
        let pids = self.asked_by(motie);
        let agreement = self.agree(&pids);
        self.taken(&format!("negotiations/{}/events", pids.consumer), &self.event(&pids, "FINALIZED"));
        agreement
    }

    /// motie asks for the data; the request was taken.
    #[track_caller]
    pub(crate) fn transfer_by(&self, motie: &Path, agreement: &str) -> Pids {
        let before = self.count("transfers/request");
        let body = json!({ "agreement": agreement, "wait_ms": 1 });
        api(motie, "POST", "/api/v1/data/transfers", body.to_string().as_bytes());
        until("motie to ask for the data", || self.count("transfers/request") > before);
        let asked = self.received("transfers/request").unwrap();
        let consumer = asked["consumerPid"].as_str().unwrap().to_owned();
        self.wait("transfers", &consumer, "REQUESTED");
        pids_of(&self.get(&format!("transfers/{consumer}")).1)
    }

    pub(crate) fn start_message(&self, pids: &Pids) -> Value {
        let mut made = message("TransferStartMessage", pids);
        made["dataAddress"] = json!({ "@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
            "endpoint": format!("{}/data", self.root),
            "endpointProperties": [{ "@type": "EndpointProperty", "name": "authorization", "value": "secret" }] });
        made
    }
}

#[track_caller]
pub(crate) fn pids_of(answer: &Value) -> Pids {
    let pid = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("no {name}: {answer}")).to_owned();
    Pids { provider: pid("providerPid"), consumer: pid("consumerPid") }
}

/// What the counterpart offers.
fn theirs() -> Value {
    json!({ "@id": "urn:theirs:offer", "@type": "Offer", "permission": [{ "action": "use" }] })
}

fn serve(listener: TcpListener, desk: Arc<Mutex<Desk>>) {
    std::thread::spawn(move || {
        let mut named = 0;
        for stream in listener.incoming() {
            named += 1;
            let Ok(stream) = stream else { continue };
            // A caller that was killed in between is no trouble of the server's.
            drop(answer(stream, &desk, named));
        }
    });
}

fn answer(mut stream: TcpStream, desk: &Mutex<Desk>, named: u32) -> std::io::Result<()> {
    stream.set_read_timeout(Some(crate::newcomer::LIMIT))?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length =
        head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let (status, told) = told(&mut desk.lock().unwrap(), &path, body, named);
    let told = told.to_string();
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        told.len()
    );
    stream.write_all(format!("{head}{told}").as_bytes())
}

fn told(desk: &mut Desk, path: &str, body: Value, named: u32) -> (u16, Value) {
    let refused = desk.refusing.iter().find(|(end, _)| path.ends_with(end.as_str())).map(|(_, s)| *s);
    if body.is_object() {
        desk.received.push((path.to_owned(), body.clone()));
    }
    if let Some(status) = refused {
        return (status, json!({}));
    }
    let begun = |kind: &str, state: &str| {
        let own = format!("urn:theirs:{named}");
        let (provider, consumer) = match body["consumerPid"].as_str() {
            Some(consumer) => (own, consumer.to_owned()),
            None => (body["providerPid"].as_str().unwrap_or_default().to_owned(), own),
        };
        let answer = json!({ "@context": [CONTEXT], "@type": kind, "providerPid": provider, "consumerPid": consumer,
            "state": state });
        (201, answer)
    };
    match path {
        "/.well-known/dspace-version" => (
            200,
            json!({ "protocolVersions": [{ "version": "2025-1", "path": "/dsp", "binding": "HTTPS" }] }),
        ),
        "/dsp/negotiations/request" => begun("ContractNegotiation", "REQUESTED"),
        "/dsp/negotiations/offers" => begun("ContractNegotiation", "OFFERED"),
        "/dsp/transfers/request" => begun("TransferProcess", "REQUESTED"),
        _ if path.starts_with("/dsp/catalog/datasets/") => {
            let distribution =
                json!([{ "@type": "Distribution", "format": "HttpData-PULL", "accessService": "urn:s" }]);
            (
                200,
                json!({ "@context": [CONTEXT], "@type": "Dataset", "@id": THEIRS, "hasPolicy": [theirs()],
                "distribution": distribution }),
            )
        }
        _ => (200, json!({})),
    }
}
