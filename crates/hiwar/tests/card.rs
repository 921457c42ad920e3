//! Name, address and delivery change while the node runs; peers follow, and `hiwar.toml` says the
//! same as the card after every start.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use std::fs;
use std::net::TcpStream;

use hiwar_node::config::Config;
use newcomer::{Done, Ministries, api, two_free_ports, until};
use serde_json::{Value, json};

fn update(both: &Ministries, args: &[&str]) -> Done {
    let mut all = vec!["card", "update"];
    all.extend(args);
    both.motie(&all)
}

/// What the other node knows of motie.
fn known(both: &Ministries, member: &str) -> Value {
    both.meti(&["peer", "show", &both.motie_did, "--format", "json"]).ok().json()[member].take()
}

fn config(both: &Ministries) -> Config {
    Config::read(&both.person.path("motie")).unwrap()
}

/// The newest card of motie.
fn card(both: &Ministries) -> Value {
    let shown = both.motie(&["invitation"]).ok().json();
    shown["cards"].as_array().unwrap().last().unwrap()["card"].clone()
}

/// The configuration says what the card says.
fn card_and_configuration_agree(both: &Ministries) {
    let (card, config) = (card(both), config(both));
    assert_eq!(card["name"], json!(config.name));
    assert_eq!(card["delivery"], if config.listen.is_some() { "push" } else { "pull" });
    let listed = fs::read_dir(both.person.path("motie")).unwrap();
    let left = listed.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains("toml.")).count();
    assert_eq!(left, 0, "no configuration waits");
}

/// Both speak and hear each other at once, however they reach each other, without an alarm.
fn all_is_well(both: &Ministries, dialogue: &str) {
    for (from, to) in [("motie", "meti"), ("meti", "motie")] {
        let told = both.say(from, dialogue, "do you hear us?");
        both.arrived(to, dialogue, &told);
    }
    both.settle(dialogue);
    both.logs_agree();
    for node in ["motie", "meti"] {
        assert!(both.alarms(node).is_empty(), "{node}: {:?}", both.alarms(node));
    }
}

fn restart(both: &mut Ministries) {
    assert_eq!(both.motie.take().unwrap().stop(), 0);
    both.start("motie");
    card_and_configuration_agree(both);
}

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn another_name_and_address_reach_the_peers_and_the_configuration() {
    let (mut both, dialogue) = Ministries::talking();
    let path = both.person.path("motie/hiwar.toml");
    let before = format!("# our node\n{}", fs::read_to_string(&path).unwrap());
    fs::write(&path, &before).unwrap();
    let port = config(&both).listen.unwrap().port();
    let url = format!("https://localhost:{port}");
    let done = update(&both, &["--name", "Ministry A and \"Trade\"", "--url", &url]).ok();
    assert!(done.err.contains("Card 1 is in force; peers learn it"), "{}", done.err);
    done.shows(&["Ministry A and \"Trade\"", &url, "push"]);
    until("the peer to learn the card", || known(&both, "name") == "Ministry A and \"Trade\"");
    assert_eq!(known(&both, "endpoints"), json!([url]));
    assert_eq!(both.status("motie", "name"), "Ministry A and \"Trade\"");
    let after = fs::read_to_string(&path).unwrap();
    assert_eq!(after, before.replace("\"Ministry A\"", "'Ministry A and \"Trade\"'"), "the rest stays");
    all_is_well(&both, &dialogue);
    restart(&mut both);
    all_is_well(&both, &dialogue);
    both.dossiers_prove_everything(&dialogue);
    update(&both, &["--url", &url]).refused(&["card 1 and hiwar.toml say so already", "(nothing-new)"]);
}

#[test]
fn a_node_moves_to_another_port_while_it_runs_and_the_old_one_stays_open_until_the_next_start() {
    let (mut both, dialogue) = Ministries::talking();
    both.settle(&dialogue);
    let (old, new) = (config(&both).listen.unwrap().port(), two_free_ports());
    both.kill("meti");
    update(&both, &["--listen", &format!("127.0.0.1:{new}")]).ok();
    assert_eq!(card(&both)["endpoints"], json!([format!("https://127.0.0.1:{new}")]));
    assert_eq!(config(&both).listen.unwrap().port(), new);
    assert!(answers(old) && answers(new));
    both.start("meti");
    // It knows the old address only.
    both.say("meti", &dialogue, "are you still there?");
    both.settle(&dialogue);
    until("the peer to learn the card", || known(&both, "cards") == 2);
    restart(&mut both);
    assert!(!answers(old) && answers(new));
    all_is_well(&both, &dialogue);
    // A peer that was away all the time is told by this node.
    let newer = two_free_ports();
    both.kill("meti");
    update(&both, &["--listen", &format!("127.0.0.1:{newer}")]).ok();
    restart(&mut both);
    both.start("meti");
    both.say("motie", &dialogue, "we have moved");
    both.settle(&dialogue);
    all_is_well(&both, &dialogue);
}

#[test]
fn a_node_goes_from_fetching_to_being_pushed_to_and_back_while_it_runs() {
    let (mut both, dialogue) = Ministries::talking_outbound_only();
    both.settle(&dialogue);
    update(&both, &["--delivery", "push"]).refused(&["--listen", "accepts no connection"]);
    let listen = format!("127.0.0.1:{}", two_free_ports());
    update(&both, &["--listen", &listen]).refused(&["a node that fetches has no address"]);
    for round in 0..2 {
        update(&both, &["--delivery", "push", "--listen", &listen]).ok();
        until("the peer to learn the card", || known(&both, "delivery") == "push");
        assert_eq!(known(&both, "endpoints"), json!([format!("https://{listen}")]));
        card_and_configuration_agree(&both);
        all_is_well(&both, &dialogue);
        if round == 1 {
            restart(&mut both);
            all_is_well(&both, &dialogue);
        }
        let done = update(&both, &["--delivery", "pull"]).ok();
        assert!(done.err.contains("This node fetches from now on"), "{}", done.err);
        until("the peer to learn the card", || known(&both, "delivery") == "pull");
        card_and_configuration_agree(&both);
        all_is_well(&both, &dialogue);
        restart(&mut both);
        all_is_well(&both, &dialogue);
    }
    both.dossiers_prove_everything(&dialogue);
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let (mut both, dialogue) = Ministries::talking();
    let path = both.person.path("motie/hiwar.toml");
    let before = (card(&both), fs::read(&path).unwrap());
    update(&both, &[]).refused(&["(nothing-new)"]);
    update(&both, &["--name", " "]).refused(&["name must have 1 to 200 characters", "(identity)"]);
    update(&both, &["--url", "ministry.example"]).refused(&["endpoints must be", "(identity)"]);
    update(&both, &["--url", "http://ministry.example"]).refused(&["not allowed", "(bad-request)"]);
    update(&both, &["--delivery", "pull", "--url", "https://x.example"]).refused(&["(bad-request)"]);
    update(&both, &["--listen", "0.0.0.0:1"]).refused(&["--url", "(bad-request)"]);
    update(&both, &["--listen", "nowhere"]).ends_with(2);
    let taken = Config::read(&both.person.path("meti")).unwrap().listen.unwrap().to_string();
    update(&both, &["--listen", &taken]).refused(&["cannot listen on", "(cannot-listen)"]);
    let dir = both.person.path("motie");
    let (status, answer) = api(&dir, "PATCH", "/api/v1/card", br#"{"did":"did:web:x.example"}"#);
    assert!(status == 400 && answer.to_string().contains("did"), "{answer}");
    let token = both.motie(&["desk", "token", "desk"]).ok().word();
    let (status, _) = newcomer::request(
        newcomer::api_address(&dir),
        "PATCH",
        "/api/v1/card",
        Some(&token),
        br#"{"name":"Ours"}"#,
    );
    assert_eq!(status, 403, "a desk does not change the card");
    // A file written in another way than `init` does is not touched when it cannot be told what stands where.
    let odd = fs::read_to_string(&path).unwrap().replace("name = ", "\"name\" = ");
    fs::write(&path, &odd).unwrap();
    update(&both, &["--name", "Other"]).refused(&["on a line of its own", "(configuration)"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), odd);
    fs::write(&path, &before.1).unwrap();
    assert_eq!((card(&both), fs::read(&path).unwrap()), before);
    restart(&mut both);
    all_is_well(&both, &dialogue);
}

/// The configuration is written to a file that names the card, the card becomes durable, the file
/// takes the old one's place.
#[test]
fn an_update_that_was_killed_is_undone_or_finished_at_the_next_start() {
    let (mut both, dialogue) = Ministries::talking();
    let path = both.person.path("motie/hiwar.toml");
    let dir = both.person.path("motie");
    let next = |digest: &str| dir.join(format!("hiwar.toml.next-{digest}"));
    let before = fs::read_to_string(&path).unwrap();
    let port = two_free_ports();
    update(&both, &["--listen", &format!("127.0.0.1:{port}"), "--name", "Moved"]).ok();
    let after = fs::read_to_string(&path).unwrap();
    let newest: hiwar_trust::identity::Card = serde_json::from_value(card(&both)).unwrap();
    let digest = newest.hash().unwrap().to_string();
    both.kill("motie");
    // The card is durable, the file still waits; and one waits whose card never was.
    fs::write(&path, &before).unwrap();
    fs::write(next(&digest), &after).unwrap();
    fs::write(next(&"0".repeat(64)), before.replace("Ministry A", "Never")).unwrap();
    both.start("motie");
    assert_eq!(fs::read_to_string(&path).unwrap(), after);
    card_and_configuration_agree(&both);
    assert!(answers(port));
    all_is_well(&both, &dialogue);
}
