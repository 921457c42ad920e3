//! What no conformance kit looks at: terms one by one, pages, repetitions, crowds, and data that break off.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a story stops where it cannot go on"
)]

mod counterpart;
mod newcomer;

use std::collections::BTreeSet;
use std::path::Path;

use counterpart::{Counterpart, message, peers_of, pids_of};
use hiwar_dataspace::wire::CONTEXT;
use newcomer::{Ministries, until};
use serde_json::{Value, json};

const OPEN: &str = r#"{ "permit": { "use": {} } }"#;

fn begun(names: &[&str]) -> (Ministries, Vec<Counterpart>) {
    let mut both = Ministries::started();
    let peers = peers_of(&mut both, names);
    (both, peers)
}

/// What motie knows of the partner, from now on.
fn known(both: &mut Ministries, facts: &str) {
    let config = both.person.path("motie").join("hiwar.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let kept = text.split("\n[dataspace").next().unwrap().to_owned();
    std::fs::write(&config, format!("{kept}\n{facts}")).unwrap();
    both.kill("motie");
    both.start("motie");
}

const FRIEND: &str = "[dataspace.groups]\nallies = [\"did:web:partner.example\"]\n\
                      others = [\"did:web:somebody.example\"]\n\
                      [dataspace.countries]\n\"did:web:partner.example\" = \"JP\"\n";

/// Terms under `permit.use` and beside it, what the partner states, and a word of the refusal.
struct Term {
    terms: Value,
    right: Value,
    wrong: Option<(Value, &'static str)>,
}

fn terms_by_operand() -> Vec<Term> {
    let of = |terms: Value| Term { terms, right: json!({}), wrong: None };
    let stated = |terms: Value, name: &str, right: &str, wrong: &str, word| Term {
        terms,
        right: json!({ name: right }),
        wrong: Some((json!({ name: wrong }), word)),
    };
    vec![
        of(json!({ "permit": { "use": { "participants": ["did:web:partner.example"] } } })),
        of(json!({ "permit": { "use": { "groups": ["allies"] } } })),
        of(json!({ "permit": { "use": { "countries": ["JP", "KR"] } } })),
        of(json!({ "permit": { "use": { "from": "2019-07-01", "until": "2100-01-01" } } })),
        of(json!({ "permit": { "use": { "count": 2 } } })),
        of(json!({ "permit": { "use": {}, "distribute": { "countries": ["KR"] } } })),
        of(json!({ "permit": { "use": {} }, "oblige": { "delete_after": "P30D" } })),
        stated(
            json!({ "permit": { "use": { "purposes": ["supply-chain-monitoring"] } } }),
            "hiwar:purpose",
            "supply-chain-monitoring",
            "marketing",
            "supply-chain-monitoring",
        ),
        stated(
            json!({ "permit": { "use": {} }, "marking": "TLP:AMBER" }),
            "hiwar:marking",
            "TLP:AMBER",
            "TLP:CLEAR",
            "TLP:AMBER",
        ),
    ]
}

fn with(mut message: Value, more: &Value) -> Value {
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message
}

/// The negotiation ends, and the partner is told why.
#[track_caller]
fn ended(partner: &Counterpart, kind: &str, own: &str, word: &str) {
    partner.wait(kind, own, "TERMINATED");
    let told = partner.received("/termination").unwrap();
    assert!(told["reason"].to_string().contains(word), "{word}: {told}");
}

#[test]
fn each_operand_is_looked_at_in_the_negotiation_and_again_in_each_transfer() {
    let (mut both, mut peers) = begun(&["partner"]);
    let partner = peers.remove(0);
    known(&mut both, FRIEND);
    let mut agreements = Vec::new();
    for Term { terms, right, wrong } in terms_by_operand() {
        let dataset = both.offered(&terms.to_string(), "x\n");
        let asking = partner.request_message(partner.offer_of(&dataset));
        if let Some((stated, word)) = &wrong {
            let mut other = with(asking.clone(), stated);
            other["consumerPid"] = json!(partner.fresh("negotiation"));
            let pids = pids_of(&partner.taken("negotiations/request", &other));
            ended(&partner, "negotiations", &pids.provider, word);
        }
        let pids = pids_of(&partner.taken("negotiations/request", &with(asking, &right)));
        partner.wait("negotiations", &pids.provider, "AGREED");
        partner.verify(&pids);
        partner.wait("negotiations", &pids.provider, "FINALIZED");
        let told = partner.received(&format!("{}/agreement", pids.consumer)).unwrap();
        let agreement = told["agreement"]["@id"].as_str().unwrap().to_owned();
        partner.started(&agreement);
        if let Some((stated, word)) = &wrong {
            let asking = with(partner.transfer_message(&agreement), stated);
            let pids = pids_of(&partner.taken("transfers/request", &asking));
            ended(&partner, "transfers", &pids.provider, word);
        }
        agreements.push((terms, agreement));
    }
    let of = |name: &str| {
        let found = agreements.iter().find(|(terms, _)| terms["permit"]["use"].get(name).is_some());
        found.unwrap().1.clone()
    };
    let asked = |agreement: &str| {
        pids_of(&partner.taken("transfers/request", &partner.transfer_message(agreement))).provider
    };
    partner.wait("transfers", &asked(&of("count")), "STARTED");
    ended(&partner, "transfers", &asked(&of("count")), "2");
    // The partner is no friend any more: what holds no longer opens nothing, what still holds does.
    known(&mut both, "[dataspace.countries]\n\"did:web:partner.example\" = \"FR\"\n");
    ended(&partner, "transfers", &asked(&of("groups")), "allies");
    ended(&partner, "transfers", &asked(&of("countries")), "JP");
    partner.wait("transfers", &asked(&of("participants")), "STARTED");
    partner.wait("transfers", &asked(&of("until")), "STARTED");
}

#[test]
fn what_the_terms_do_not_permit_to_a_participant_is_neither_shown_nor_agreed() {
    let (mut both, mut peers) = begun(&["partner"]);
    let partner = peers.remove(0);
    known(&mut both, FRIEND);
    let open = both.offered(OPEN, "x\n");
    let offer = partner.offer_of(&open);
    for hidden in [
        json!({ "permit": { "use": { "participants": ["did:web:somebody.example"] } } }),
        json!({ "permit": { "use": { "groups": ["others"] } } }),
        json!({ "permit": { "use": { "countries": ["KR"] } } }),
        json!({ "permit": { "use": { "except": { "countries": ["JP"] } } } }),
    ] {
        let dataset = both.offered(&hidden.to_string(), "x\n");
        assert_eq!(partner.get(&format!("catalog/datasets/{dataset}")).0, 404, "{hidden}");
        // Whoever knows its name all the same gets nothing by asking under other terms.
        let mut asked = offer.clone();
        asked["target"] = json!(dataset);
        let (status, answer) = partner.post("negotiations/request", &partner.request_message(asked));
        assert_eq!((status, answer["code"].as_str()), (400, Some("unknown-offer")), "{answer}");
    }
    let asking = json!({ "@context": [CONTEXT], "@type": "CatalogRequestMessage" });
    let catalog = partner.taken("catalog/request", &asking);
    let shown: Vec<&Value> = catalog["dataset"].as_array().unwrap().iter().map(|d| &d["@id"]).collect();
    assert_eq!(shown, [open.as_str()]);
    let agreements = both.motie(&["data", "agreements", "--format", "json"]).ok().json();
    assert_eq!(agreements["agreements"], json!([]));
}

/// Offers datasets `from..to` at once.
fn offered(both: &Ministries, from: u32, to: u32) {
    let line = |n| {
        let keyword = if n % 2 == 0 { "even" } else { "odd" };
        format!(r#"{{"id":"urn:t:{n}","title":"Table {n}","path":"table.csv","keywords":["{keyword}"]}}"#)
    };
    let lines: Vec<String> = (from..to).map(line).collect();
    let paths = [("table.csv", "x\n"), ("terms.json", OPEN), ("list.jsonl", &lines.join("\n"))];
    for (name, text) in paths {
        std::fs::write(both.person.path(name), text).unwrap();
    }
    let path = |name: &str| both.person.path(name).to_str().unwrap().to_owned();
    both.motie(&["data", "offer-many", &path("list.jsonl"), "--terms", &path("terms.json")]).ok();
}

#[test]
fn pages_show_every_dataset_exactly_once_while_others_are_offered() {
    let (both, peers) = begun(&["partner"]);
    let partner = &peers[0];
    offered(&both, 0, 130);
    for (filter, expected) in [(json!([]), 130), (json!([{ "field": "keyword", "value": "even" }]), 65)] {
        let asking = json!({ "@context": [CONTEXT], "@type": "CatalogRequestMessage", "filter": filter });
        let (mut seen, mut next, mut pages) = (Vec::new(), Some("catalog/request".to_owned()), 0);
        while let Some(path) = next.take() {
            let bearer = format!("Bearer {}", partner.token());
            let (status, link, body) =
                partner.exchange("POST", &path, Some(&bearer), asking.to_string().into_bytes());
            assert_eq!(status, 200);
            let page: Value = serde_json::from_slice(&body).unwrap();
            let ids =
                page["dataset"].as_array().unwrap().iter().map(|d| d["@id"].as_str().unwrap().to_owned());
            seen.extend(ids);
            let links = link.split(", ").find(|l| l.ends_with("rel=\"next\""));
            next = links.map(|l| {
                let query = l.split('?').nth(1).unwrap().split('>').next().unwrap();
                format!("catalog/request?{query}")
            });
            pages += 1;
            offered(&both, 1000 + pages * 10 + expected, 1000 + pages * 10 + expected + 4);
        }
        assert!(pages > 1, "{pages}");
        let first: Vec<&String> =
            seen.iter().filter(|id| id.trim_start_matches("urn:t:").parse::<u32>().unwrap() < 130).collect();
        let different: BTreeSet<&&String> = first.iter().collect();
        assert_eq!((first.len(), different.len()), (usize::try_from(expected).unwrap(), different.len()));
        assert_eq!(seen.len(), seen.iter().collect::<BTreeSet<_>>().len(), "nothing twice");
    }
}

#[test]
fn a_message_sent_twice_counts_once() {
    let (both, peers) = begun(&["partner"]);
    let partner = &peers[0];
    let dataset = both.offered(OPEN, "x\n");
    let asking = partner.request_message(partner.offer_of(&dataset));
    let first = pids_of(&partner.taken("negotiations/request", &asking));
    assert_eq!(
        pids_of(&partner.taken("negotiations/request", &asking)),
        first,
        "as if the answer had been lost"
    );
    partner.wait("negotiations", &first.provider, "AGREED");
    assert_eq!(pids_of(&partner.taken("negotiations/request", &asking)), first);
    let mut other = asking.clone();
    other["callbackAddress"] = json!(format!("{}/other", partner.root));
    let (status, answer) = partner.post("negotiations/request", &other);
    assert_eq!((status, answer["code"].as_str()), (400, Some("pid-in-use")), "{answer}");
    for _ in 0..3 {
        partner.verify(&first);
    }
    partner.wait("negotiations", &first.provider, "FINALIZED");
    partner.verify(&first);
    assert_eq!(partner.count(&format!("{}/agreement", first.consumer)), 1);
    let told = partner.received("/agreement").unwrap();
    let agreement = told["agreement"]["@id"].as_str().unwrap();

    let asking = partner.transfer_message(agreement);
    let pids = pids_of(&partner.taken("transfers/request", &asking));
    assert_eq!(pids_of(&partner.taken("transfers/request", &asking)), pids);
    partner.wait("transfers", &pids.provider, "STARTED");
    let mut suspension = message("TransferSuspensionMessage", &pids);
    suspension["@id"] = json!(partner.fresh("message"));
    let suspend = format!("transfers/{}/suspension", pids.provider);
    partner.taken(&suspend, &suspension);
    partner.taken(&format!("transfers/{}/start", pids.provider), &message("TransferStartMessage", &pids));
    partner.taken(&suspend, &suspension);
    assert_eq!(
        partner.state("transfers", &pids.provider),
        "STARTED",
        "a copy that comes late changes nothing"
    );
    let listed = both.motie(&["data", "transfers", "--format", "json"]).ok().json();
    assert_eq!(listed["transfers"].as_array().unwrap().len(), 1);
}

#[test]
fn fifty_negotiations_of_two_participants_at_once_are_fifty_agreements() {
    let (both, peers) = begun(&["partner", "stranger"]);
    let dataset = both.offered(OPEN, "x\n");
    std::thread::scope(|scope| {
        for peer in &peers {
            for _ in 0..5 {
                scope.spawn(|| {
                    let begun: Vec<_> = (0..5).map(|_| peer.ask(peer.offer_of(&dataset))).collect();
                    for pids in &begun {
                        peer.wait("negotiations", &pids.provider, "AGREED");
                        peer.verify(pids);
                    }
                    for pids in &begun {
                        peer.wait("negotiations", &pids.provider, "FINALIZED");
                    }
                });
            }
        }
    });
    let listed = both.motie(&["data", "agreements", "--format", "json"]).ok().json();
    let agreements = listed["agreements"].as_array().unwrap();
    let ids: BTreeSet<&str> = agreements.iter().map(|a| a["agreement"]["@id"].as_str().unwrap()).collect();
    assert_eq!((agreements.len(), ids.len()), (50, 50));
    for peer in &peers {
        let with = agreements.iter().filter(|a| a["agreement"]["assignee"] == peer.did.as_str());
        assert_eq!(with.count(), 25);
    }
}

#[test]
fn a_format_that_is_not_offered_is_refused_and_said_which_are() {
    let (both, peers) = begun(&["partner"]);
    let partner = &peers[0];
    let dataset = both.offered(OPEN, "x\n");
    let mut asking = partner.transfer_message(&partner.contract(&dataset));
    asking["format"] = json!("AmazonS3-PUSH");
    let (status, answer) = partner.post("transfers/request", &asking);
    assert_eq!((status, answer["code"].as_str()), (400, Some("format-not-offered")), "{answer}");
    let reason = answer["reason"][0].as_str().unwrap();
    assert!(reason.contains("HttpData-PULL") && reason.contains("HttpData-PUSH"), "{reason}");
    let listed = both.motie(&["data", "transfers", "--format", "json"]).ok().json();
    assert_eq!(listed["transfers"], json!([]));
}

/// Bytes of files below a folder.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(listed) = std::fs::read_dir(folder) else { return 0 };
    let sizes = listed.filter_map(Result::ok).map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_in(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[test]
fn a_folder_that_was_half_pulled_when_the_node_was_killed_is_pulled_to_its_end() {
    const FILE: u64 = 96 << 20;
    let mut both = Ministries::introduced();
    let folder = both.person.path("tables");
    std::fs::create_dir(&folder).unwrap();
    for name in ["a", "b", "c", "d"] {
        std::fs::File::create(folder.join(name)).unwrap().set_len(FILE).unwrap();
    }
    let terms = both.person.path("terms.json");
    std::fs::write(&terms, OPEN).unwrap();
    let offer =
        ["data", "offer", folder.to_str().unwrap(), "--terms", terms.to_str().unwrap(), "--title", "T"];
    let dataset = both.motie(&offer).ok().word();
    let agreement = both.meti(&["data", "negotiate", &both.motie_did, &dataset]).ok().word();
    let to = both.person.path("received");
    let args = ["data", "pull", &agreement, "-o", to.to_str().unwrap()];
    let mut command = both.person.command(&args);
    let quiet = std::process::Stdio::null;
    let mut asked = command.env("HIWAR_NODE", "meti").stdout(quiet()).stderr(quiet()).spawn().unwrap();
    let received = both.person.path("meti").join("received");
    until("a part has come", || bytes_in(&received) > FILE / 4);
    both.kill("meti");
    asked.wait().unwrap();
    let before = bytes_in(&received);
    assert!(!to.exists());
    both.start("meti");
    let listed = both.meti(&["data", "transfers", "--format", "json"]).ok().json();
    let pid = listed["transfers"][0]["pid"].as_str().unwrap().to_owned();
    assert!(bytes_in(&received) >= before, "what had come was thrown away");
    both.meti(&["data", "pull", &agreement, "--transfer", &pid, "-o", to.to_str().unwrap()]).ok();
    for name in ["a", "b", "c", "d"] {
        assert_eq!(to.join(name).metadata().unwrap().len(), FILE, "{name}");
    }
    until("both say that it is complete", || {
        ["motie", "meti"].iter().all(|node| {
            let listed = both.person.at(node, &["data", "transfers", "--format", "json"]).ok().json();
            listed["transfers"][0]["state"] == "COMPLETED"
        })
    });
}
