//! Everything that a known participant can send wrongly, to every address of the Dataspace Protocol, in both
//! roles: it is refused in the form of the protocol, and nothing changes.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a story stops where it cannot go on"
)]

mod counterpart;
mod newcomer;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use counterpart::{Counterpart, Pids, THEIRS, message, peers_of, pids_of};
use hiwar_dataspace::wire::CONTEXT;
use hiwar_node::clock::now;
use hiwar_node::folder;
use newcomer::Ministries;
use serde_json::{Value, json};

const OPEN: &str = r#"{ "permit": { "use": {} } }"#;

/// One message, an address at which it is right now, and what of it is looked at.
struct Scene {
    path: String,
    valid: Value,
    /// Members that must be there.
    required: &'static [&'static str],
    /// Members, as JSON pointers, that must be of their own type.
    typed: &'static [&'static str],
    /// The kind of the process and its identifier at motie, when there is one already.
    process: Option<(&'static str, String)>,
    /// The `@type` of a refusal.
    error: &'static str,
}

struct Attack<'a> {
    both: &'a Ministries,
    partner: &'a Counterpart,
    stranger: &'a Counterpart,
}

/// All that a refused message must not change.
fn state(attack: &Attack<'_>, scene: &Scene) -> Value {
    if let Some((kind, pid)) = &scene.process {
        return attack.partner.get(&format!("{kind}/{pid}")).1;
    }
    let listed = |what: &str| {
        let shown = attack.both.motie(&["data", what, "--format", "json"]).ok().json();
        shown[what].as_array().unwrap().len()
    };
    json!([listed("negotiations"), listed("transfers"), listed("agreements")])
}

/// The answer is a refusal as the protocol writes it.
#[track_caller]
fn is_refusal(scene: &Scene, what: &str, status: u16, answer: &Value) {
    let context = format!("{} to {}: {what}: {status} {answer}", scene.valid["@type"], scene.path);
    assert!((400..500).contains(&status), "{context}");
    assert_eq!(answer["@type"], scene.error, "{context}");
    assert_eq!(answer["@context"], json!([CONTEXT]), "{context}");
    assert!(answer["code"].as_str().is_some_and(|c| !c.is_empty()), "{context}");
    let reasons = answer["reason"].as_array().unwrap_or_else(|| panic!("{context}"));
    assert!(reasons.iter().any(|r| r.as_str().is_some_and(|r| r.len() > 10)), "{context}");
    if scene.error != "CatalogError" {
        assert!(answer["providerPid"].is_string() && answer["consumerPid"].is_string(), "{context}");
    }
    assert!(answer.to_string().len() < 4096, "the refusal is as long as the message: {context}");
}

/// Bodies that are wrong, whatever the message is, each with what is wrong with it.
fn bodies(scene: &Scene) -> Vec<(String, Vec<u8>)> {
    let valid = &scene.valid;
    let mut made: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |what: String, value: &Value| made.push((what, value.to_string().into_bytes()));
    for member in scene.required {
        let mut without = valid.clone();
        without.as_object_mut().unwrap().remove(*member);
        add(format!("without {member}"), &without);
        let mut empty = valid.clone();
        empty[*member] = Value::Null;
        add(format!("{member} is null"), &empty);
    }
    for pointer in scene.typed {
        for wrong in [json!(7), json!(true), json!({ "a": 1 }), json!([["a"], "b"]), json!("")] {
            let mut changed = valid.clone();
            *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer} in {valid}")) =
                wrong.clone();
            add(format!("{pointer} is {wrong}"), &changed);
        }
    }
    let mut other = valid.clone();
    other["@type"] = json!("ContractAgreementMessageX");
    add("another @type".into(), &other);
    other["@type"] = valid["@type"].clone();
    other["@context"] = json!(["https://w3id.org/dspace/2024/1/context.json"]);
    add("the context of another version".into(), &other);
    add("two messages".into(), &json!([valid, valid]));
    add("no object".into(), &json!("x"));
    add("a number".into(), &json!(1));
    let text = valid.to_string();
    let cut = text.as_bytes().split_at(text.len() / 2).0.to_vec();
    made.push(("cut in the middle".into(), cut));
    made.push(("nothing".into(), Vec::new()));
    let behind = |more: &[u8]| {
        let mut bytes = text.as_bytes().strip_suffix(b"}").unwrap().to_vec();
        bytes.extend_from_slice(more);
        bytes.push(b'}');
        bytes
    };
    made.push(("bytes that are no UTF-8".into(), behind(b",\"x\":\"\xff\xfe\"")));
    made.push(("10 MB".into(), behind(format!(",\"x\":\"{}\"", "a".repeat(10_000_000)).as_bytes())));
    let deep = format!(",\"x\":{}{}", "[".repeat(10_000), "]".repeat(10_000));
    made.push(("10,000 deep".into(), behind(deep.as_bytes())));
    made
}

#[track_caller]
fn attacked(attack: &Attack<'_>, scene: &Scene) {
    let bearer = |partner: &Counterpart| format!("Bearer {}", partner.token());
    let before = state(attack, scene);
    for (what, body) in bodies(scene) {
        let (status, answer) = attack.partner.send("POST", &scene.path, Some(&bearer(attack.partner)), body);
        if what == "10 MB" && status == 0 {
            continue;
        }
        is_refusal(scene, &what, status, &answer);
        assert_eq!(what == "10 MB", status == 413, "{what}: {status}");
    }
    let valid = scene.valid.to_string().into_bytes();
    for (what, token) in strange_tokens(attack) {
        let (status, answer) = attack.partner.send("POST", &scene.path, token.as_deref(), valid.clone());
        is_refusal(scene, what, status, &answer);
        assert_eq!(status, 401, "{what}: {answer}");
        if let Some((kind, pid)) = &scene.process {
            let (status, answer) =
                attack.partner.send("GET", &format!("{kind}/{pid}"), token.as_deref(), Vec::new());
            is_refusal(scene, what, status, &answer);
            assert_eq!(status, 401, "{what}: {answer}");
        }
    }
    let (status, answer) =
        attack.partner.send("PUT", &scene.path, Some(&bearer(attack.partner)), valid.clone());
    is_refusal(scene, "another method", status, &answer);
    if scene.process.is_some() {
        strange_pids(attack, scene);
    }
    if scene.valid.get("callbackAddress").is_some() {
        strange_addresses(attack, scene, "/callbackAddress");
    }
    assert_eq!(state(attack, scene), before, "{}: what was refused changed something", scene.path);
    assert!(attack.both.motie.as_ref().unwrap().answers("/readyz"), "the node is alive");
}

/// Headers that do not show who sends.
fn strange_tokens(attack: &Attack<'_>) -> Vec<(&'static str, Option<String>)> {
    let partner = attack.partner;
    let bearer = |token: String| Some(format!("Bearer {token}"));
    let own = &*partner.keys.node;
    let (at, here) = (now(), partner.target.as_str());
    let mut broken = partner.token();
    broken.replace_range(broken.len() - 6.., "AAAAAA");
    vec![
        ("no token", None),
        ("no Bearer", Some(partner.token())),
        ("no JWT", bearer("abc".into())),
        ("another signature", bearer(broken)),
        ("expired", bearer(partner.token_by(own, here, at.plus_millis(-400_000), 300))),
        ("made in the future", bearer(partner.token_by(own, here, at.plus_millis(400_000), 300))),
        ("for another audience", bearer(partner.token_by(own, &attack.both.meti_did, at, 300))),
        ("by another key", bearer(partner.token_by(&folder::new_key().unwrap(), here, at, 300))),
        (
            "by another participant's key",
            bearer(partner.token_by(&*attack.stranger.keys.node, here, at, 300)),
        ),
        ("by the organisation's key", bearer(partner.token_by(&*partner.keys.organisation, here, at, 300))),
    ]
}

/// Processes that are not there, and one that is another's: the two are not told apart.
#[track_caller]
fn strange_pids(attack: &Attack<'_>, scene: &Scene) {
    let (kind, pid) = scene.process.as_ref().unwrap();
    for unknown in ["urn:uuid:0", "%00", "..%2F..", "%F0%9F%98%80"] {
        let path = scene.path.replace(pid.as_str(), unknown);
        let (status, answer) = attack.partner.post(&path, &scene.valid);
        is_refusal(scene, "an unknown process", status, &answer);
        assert_eq!(status, 404, "{path}: {answer}");
    }
    let (status, answer) = attack.partner.post(&scene.path.replace(pid.as_str(), "%FF"), &scene.valid);
    is_refusal(scene, "a path that is no UTF-8", status, &answer);
    let at_another = attack.stranger.post(&scene.path, &scene.valid);
    assert_eq!(at_another.0, 404);
    is_refusal(scene, "another's process", 404, &at_another.1);
    let masked = attack.partner.post(&scene.path.replace(pid.as_str(), "urn:uuid:0"), &scene.valid);
    let alike = |text: &Value| text.to_string().replace(pid.as_str(), "urn:uuid:0");
    assert_eq!(alike(&at_another.1), alike(&masked.1), "another's process looks like one that is not there");
    let (status, answer) = attack.stranger.get(&format!("{kind}/{pid}"));
    assert_eq!(status, 404, "{answer}");
    for member in ["providerPid", "consumerPid"] {
        let mut other = scene.valid.clone();
        if other.get(member).is_some() {
            other[member] = json!("urn:uuid:0");
            let (status, answer) = attack.partner.post(&scene.path, &other);
            is_refusal(scene, &format!("another {member}"), status, &answer);
            assert_eq!(status, 400, "{answer}");
        }
    }
}

/// Addresses that only the node itself can reach; the rule allows none of them.
#[track_caller]
fn strange_addresses(attack: &Attack<'_>, scene: &Scene, pointer: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let knocked = Arc::new(AtomicUsize::new(0));
    let counting = knocked.clone();
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            counting.fetch_add(1, Ordering::SeqCst);
        }
    });
    let root = attack.partner.root.trim_start_matches("http://");
    let addresses = [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("http://{root}@127.0.0.1:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        "http://169.254.169.254/latest/meta-data/".into(),
        "https://169.254.169.254/latest/meta-data/".into(),
        "https://[::ffff:169.254.169.254]/".into(),
        "https://10.0.0.1/".into(),
        "https://192.168.1.1/".into(),
        "https://[fd00::1]/".into(),
        "https://0.0.0.0/".into(),
        "http://participant.example/".into(),
        "file:///etc/passwd".into(),
        "unix:/run/service".into(),
        "not an address".into(),
        format!("https://{}.example/", "a".repeat(3000)),
    ];
    for address in addresses {
        let mut wrong = scene.valid.clone();
        *wrong.pointer_mut(pointer).unwrap() = json!(address);
        let (status, answer) = attack.partner.post(&scene.path, &wrong);
        is_refusal(scene, &format!("{pointer} is {address}"), status, &answer);
        assert_eq!(status, 400, "{answer}");
    }
    assert_eq!(knocked.load(Ordering::SeqCst), 0, "nobody was called");
}

/// The message as other connectors write it: with members that nobody knows, one-element arrays for single
/// values, prefixed names, and a slash behind the path.
#[track_caller]
fn taken_from_others(attack: &Attack<'_>, scene: &Scene) -> Value {
    let mut foreign = scene.valid.clone();
    let members = foreign.as_object_mut().unwrap();
    for name in ["consumerPid", "eventType", "agreementId", "offer"] {
        if let Some(value) = members.remove(name) {
            members.insert(format!("dspace:{name}"), json!([value]));
        }
    }
    for name in ["providerPid", "callbackAddress"] {
        if let Some(value) = members.remove(name) {
            members.insert(name.into(), json!({ "@value": value }));
        }
    }
    let kind = members["@type"].as_str().unwrap().to_owned();
    members.insert("@type".into(), json!([format!("dspace:{kind}")]));
    members.insert("@context".into(), json!([CONTEXT, "https://example.org/other.jsonld"]));
    members.insert("@id".into(), json!(attack.partner.fresh("message")));
    members.insert("ex:unknown".into(), json!({ "a": [1, null, { "b": "c" }] }));
    members.insert("code".into(), json!("other"));
    attack.partner.taken(&format!("{}/", scene.path), &foreign)
}

fn negotiation(pid: &str) -> Option<(&'static str, String)> {
    Some(("negotiations", pid.to_owned()))
}

fn transfer(pid: &str) -> Option<(&'static str, String)> {
    Some(("transfers", pid.to_owned()))
}

const PIDS: &[&str] = &["/@context", "/@type", "/providerPid", "/consumerPid"];
const BOTH: &[&str] = &["@context", "@type", "providerPid", "consumerPid"];

/// A message that has nothing but its pids, in a process that waits for it.
fn plain(kind: &'static str, of: &'static str, own: &str, pids: &Pids, last: &str) -> Scene {
    Scene {
        path: format!("{of}/{own}/{last}"),
        valid: message(kind, pids),
        required: BOTH,
        typed: PIDS,
        process: Some((of, own.to_owned())),
        error: if of == "negotiations" { "ContractNegotiationError" } else { "TransferError" },
    }
}

fn begun() -> (Ministries, Vec<Counterpart>, String) {
    let mut both = Ministries::started();
    let peers = peers_of(&mut both, &["partner", "stranger"]);
    let dataset = both.offered(OPEN, "month,kg\n2019-07,12\n");
    (both, peers, dataset)
}

/// Resident memory of the node, bytes.
fn memory(both: &Ministries) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", both.motie.as_ref()?.id())).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kb| kb * 1024)
}

#[track_caller]
fn memory_is_bounded(both: &Ministries, before: Option<u64>) {
    if let (Some(before), Some(after)) = (before, memory(both)) {
        assert!(after < before + (64 << 20), "{before} bytes before, {after} after");
    }
}

#[test]
fn a_provider_takes_nothing_wrong_about_a_negotiation() {
    let (both, peers, dataset) = begun();
    let before = memory(&both);
    let [partner, stranger] = peers.as_slice() else { panic!() };
    let attack = Attack { both: &both, partner, stranger };
    let scene = Scene {
        path: "negotiations/request".into(),
        valid: partner.request_message(partner.offer_of(&dataset)),
        required: &["@context", "@type", "consumerPid", "offer", "callbackAddress"],
        typed: &[
            "/@context",
            "/@type",
            "/consumerPid",
            "/offer",
            "/offer/@id",
            "/offer/target",
            "/offer/permission",
            "/callbackAddress",
        ],
        process: None,
        error: "ContractNegotiationError",
    };
    attacked(&attack, &scene);
    let pid = pids_of(&taken_from_others(&attack, &scene)).provider;
    partner.wait("negotiations", &pid, "AGREED");

    let pids = partner.offered(&dataset);
    let mut counter = message("ContractRequestMessage", &pids);
    counter["offer"] = partner.offer_of(&dataset);
    let counter = Scene {
        path: format!("negotiations/{}/request", pids.provider),
        valid: counter,
        required: &["@context", "@type", "consumerPid", "offer"],
        typed: &[
            "/@context",
            "/@type",
            "/providerPid",
            "/consumerPid",
            "/offer",
            "/offer/@id",
            "/offer/permission",
        ],
        process: negotiation(&pids.provider),
        error: "ContractNegotiationError",
    };
    attacked(&attack, &counter);
    let mut accepting =
        plain("ContractNegotiationEventMessage", "negotiations", &pids.provider, &pids, "events");
    accepting.valid["eventType"] = json!("ACCEPTED");
    accepting.required = &["@context", "@type", "providerPid", "consumerPid", "eventType"];
    accepting.typed = &["/@context", "/@type", "/providerPid", "/consumerPid", "/eventType"];
    attacked(&attack, &accepting);
    taken_from_others(&attack, &counter);
    partner.wait("negotiations", &pids.provider, "AGREED");

    let verifying = plain(
        "ContractAgreementVerificationMessage",
        "negotiations",
        &pids.provider,
        &pids,
        "agreement/verification",
    );
    attacked(&attack, &verifying);
    let ending =
        plain("ContractNegotiationTerminationMessage", "negotiations", &pids.provider, &pids, "termination");
    attacked(&attack, &ending);
    taken_from_others(&attack, &verifying);
    partner.wait("negotiations", &pids.provider, "FINALIZED");
    memory_is_bounded(&both, before);
}

#[test]
fn a_consumer_takes_nothing_wrong_about_a_negotiation() {
    let (both, peers, _) = begun();
    let before = memory(&both);
    let [partner, stranger] = peers.as_slice() else { panic!() };
    let attack = Attack { both: &both, partner, stranger };
    let motie = both.person.path("motie");
    let offer = json!({ "@id": "urn:theirs:offer", "@type": "Offer", "target": THEIRS,
        "permission": [{ "action": "use" }] });
    let opening = Scene {
        path: "negotiations/offers".into(),
        valid: json!({ "@context": [CONTEXT], "@type": "ContractOfferMessage", "offer": offer,
            "providerPid": partner.fresh("negotiation"), "callbackAddress": partner.base() }),
        required: &["@context", "@type", "providerPid", "offer", "callbackAddress"],
        typed: &[
            "/@context",
            "/@type",
            "/providerPid",
            "/offer",
            "/offer/@id",
            "/offer/target",
            "/callbackAddress",
        ],
        process: None,
        error: "ContractNegotiationError",
    };
    attacked(&attack, &opening);
    let pids = pids_of(&taken_from_others(&attack, &opening));
    partner.wait("negotiations", &pids.consumer, "OFFERED");

    let pids = partner.asked_by(&motie);
    let mut offering = plain("ContractOfferMessage", "negotiations", &pids.consumer, &pids, "offers");
    offering.valid["offer"] = offer;
    offering.valid["offer"]["permission"] = json!([{ "action": "use", "constraint": [
        { "leftOperand": "count", "operator": "lteq", "rightOperand": 7 }] }]);
    offering.required = &["@context", "@type", "providerPid", "offer"];
    offering.typed =
        &["/@context", "/@type", "/providerPid", "/consumerPid", "/offer", "/offer/@id", "/offer/permission"];
    attacked(&attack, &offering);
    let mut agreeing = plain("ContractAgreementMessage", "negotiations", &pids.consumer, &pids, "agreement");
    agreeing.valid = partner.agreement_message(&pids);
    agreeing.required = &["@context", "@type", "providerPid", "consumerPid", "agreement"];
    agreeing.typed = &[
        "/@context",
        "/@type",
        "/providerPid",
        "/consumerPid",
        "/agreement",
        "/agreement/@id",
        "/agreement/target",
        "/agreement/assigner",
        "/agreement/assignee",
        "/agreement/permission",
        "/agreement/timestamp",
    ];
    attacked(&attack, &agreeing);
    taken_from_others(&attack, &agreeing);
    partner.wait("negotiations", &pids.consumer, "VERIFIED");

    let mut finalizing =
        plain("ContractNegotiationEventMessage", "negotiations", &pids.consumer, &pids, "events");
    finalizing.valid["eventType"] = json!("FINALIZED");
    finalizing.required = &["@context", "@type", "providerPid", "consumerPid", "eventType"];
    finalizing.typed = &["/@context", "/@type", "/providerPid", "/consumerPid", "/eventType"];
    attacked(&attack, &finalizing);
    let ending =
        plain("ContractNegotiationTerminationMessage", "negotiations", &pids.consumer, &pids, "termination");
    attacked(&attack, &ending);
    taken_from_others(&attack, &finalizing);
    partner.wait("negotiations", &pids.consumer, "FINALIZED");
    memory_is_bounded(&both, before);
}

/// Every message of a transfer that motie may get when it is STARTED or SUSPENDED.
#[track_caller]
fn attacked_while_it_runs(attack: &Attack<'_>, own: &str, pids: &Pids) {
    let scene = |kind, last| plain(kind, "transfers", own, pids, last);
    let suspending = scene("TransferSuspensionMessage", "suspension");
    attacked(attack, &suspending);
    attacked(attack, &scene("TransferCompletionMessage", "completion"));
    attacked(attack, &scene("TransferTerminationMessage", "termination"));
    taken_from_others(attack, &suspending);
    attack.partner.wait("transfers", own, "SUSPENDED");
    let starting = scene("TransferStartMessage", "start");
    attacked(attack, &starting);
    taken_from_others(attack, &starting);
    attack.partner.wait("transfers", own, "STARTED");
    taken_from_others(attack, &scene("TransferCompletionMessage", "completion"));
    attack.partner.wait("transfers", own, "COMPLETED");
}

#[test]
fn nothing_wrong_about_a_transfer_is_taken_in_either_role() {
    let (both, peers, dataset) = begun();
    let before = memory(&both);
    let [partner, stranger] = peers.as_slice() else { panic!() };
    let attack = Attack { both: &both, partner, stranger };
    let agreement = partner.contract(&dataset);
    let asking = Scene {
        path: "transfers/request".into(),
        valid: partner.transfer_message(&agreement),
        required: &["@context", "@type", "consumerPid", "agreementId", "format", "callbackAddress"],
        typed: &["/@context", "/@type", "/consumerPid", "/agreementId", "/format", "/callbackAddress"],
        process: None,
        error: "TransferError",
    };
    attacked(&attack, &asking);
    let mut pushing = asking.valid.clone();
    pushing["format"] = json!("HttpData-PUSH");
    pushing["dataAddress"] = json!({ "@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
        "endpoint": format!("{}/inbox", partner.root),
        "endpointProperties": [{ "@type": "EndpointProperty", "name": "authorization", "value": "secret" }] });
    let pushing = Scene {
        valid: pushing,
        required: &[
            "@context",
            "@type",
            "consumerPid",
            "agreementId",
            "format",
            "callbackAddress",
            "dataAddress",
        ],
        typed: &[
            "/dataAddress",
            "/dataAddress/endpointType",
            "/dataAddress/endpoint",
            "/dataAddress/endpointProperties/0/name",
        ],
        ..asking
    };
    attacked(&attack, &pushing);
    strange_addresses(&attack, &pushing, "/dataAddress/endpoint");
    let asking = Scene { valid: partner.transfer_message(&agreement), ..pushing };
    // Under an agreement that is another's, or nobody's: the two are not told apart.
    let others = stranger.post("transfers/request", &asking.valid);
    is_refusal(&asking, "another's agreement", others.0, &others.1);
    let pids = pids_of(&taken_from_others(&attack, &asking));
    partner.wait("transfers", &pids.provider, "STARTED");
    attacked_while_it_runs(&attack, &pids.provider, &pids);

    let motie = both.person.path("motie");
    let agreement = partner.contract_by(&motie);
    let pids = partner.transfer_by(&motie, &agreement);
    let starting = Scene {
        path: format!("transfers/{}/start", pids.consumer),
        valid: partner.start_message(&pids),
        required: BOTH,
        typed: &[
            "/@context",
            "/@type",
            "/providerPid",
            "/consumerPid",
            "/dataAddress",
            "/dataAddress/endpointType",
        ],
        process: transfer(&pids.consumer),
        error: "TransferError",
    };
    attacked(&attack, &starting);
    taken_from_others(&attack, &starting);
    partner.wait("transfers", &pids.consumer, "STARTED");
    attacked_while_it_runs(&attack, &pids.consumer, &pids);
    memory_is_bounded(&both, before);
}

#[test]
fn nothing_wrong_is_taken_about_the_catalog() {
    let (both, peers, dataset) = begun();
    let [partner, stranger] = peers.as_slice() else { panic!() };
    let attack = Attack { both: &both, partner, stranger };
    let scene = Scene {
        path: "catalog/request".into(),
        valid: json!({ "@context": [CONTEXT], "@type": "CatalogRequestMessage", "filter": [] }),
        required: &["@context", "@type"],
        typed: &["/@context", "/@type"],
        process: None,
        error: "CatalogError",
    };
    attacked(&attack, &scene);
    let wrong = [
        json!([7]),
        json!({ "field": "colour", "value": "x" }),
        json!([{ "field": "id", "operator": "matches", "value": "x" }]),
        json!([{ "field": "id", "operator": "in", "value": vec!["x"; 257] }]),
        json!(vec!["x"; 33]),
    ];
    for filter in wrong {
        let mut asking = scene.valid.clone();
        asking["filter"] = filter;
        let (status, answer) = partner.post(&scene.path, &asking);
        is_refusal(&scene, &asking["filter"].to_string(), status, &answer);
    }
    for query in ["after=x", "after=9223372036854775808", "after=1&after=2"] {
        let (status, answer) = partner.post(&format!("{}?{query}", scene.path), &scene.valid);
        is_refusal(&scene, query, status, &answer);
    }
    for unknown in ["urn:none", "%FF", "%00", "..%2F..%2Fetc"] {
        let (status, answer) = partner.get(&format!("catalog/datasets/{unknown}"));
        is_refusal(&scene, unknown, status, &answer);
    }
    let catalog = taken_from_others(&attack, &scene);
    assert_eq!(catalog["dataset"][0]["@id"], dataset.as_str());
}
