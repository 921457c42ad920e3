//! The README's "Your own node", typed by a newcomer: two nodes, one dialogue, one dossier.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use newcomer::{Ministries, Newcomer, two_free_ports, until};
use serde_json::{Value, json};

#[test]
fn the_commands_of_the_readme_lead_from_nothing_to_a_proved_dossier() {
    let (mut both, dialogue) = Ministries::talking();
    let said = both
        .motie(&[
            "dialogue",
            "say",
            &dialogue,
            "--text",
            "en=We ask for the July figures.",
            "--text",
            "ko=7월 수치를 요청합니다.",
        ])
        .ok()
        .word();
    let arrived = both.arrived("meti", &dialogue, &said);
    assert_eq!(arrived["entry"]["data"]["texts"]["ko"], "7월 수치를 요청합니다.");
    assert_eq!(arrived["entry"]["source"], json!(both.motie_did));
    both.wait_known(&dialogue, &said);
    // The first digits are enough.
    let prefix: String = dialogue.chars().take(4).collect();
    both.motie(&["dialogue", "show", &prefix]).ok().shows(&[
        &format!("Dialogue {dialogue}"),
        &format!("party  {}", both.meti_did),
        "We ask for the July figures.",
        "[en; also in ko]",
        &format!("held by {} at 20", both.meti_did),
        "TLP:AMBER",
    ]);
    both.motie(&["dialogue", "show", &dialogue, "--language", "ko"])
        .ok()
        .shows(&["7월 수치를 요청합니다.", "[ko; also in en]"]);
    let exported = both.motie(&["dossier", "export", &dialogue, "-o", "hydrogen-fluoride.dossier"]).ok();
    assert!(exported.err.contains("Wrote hydrogen-fluoride.dossier ("), "{}", exported.err);
    let anchors = ["--anchor", "meti.invitation", "--anchor", "motie.invitation"];
    let verify = [&["verify", "hydrogen-fluoride.dossier"][..], &anchors].concat();
    both.person.hiwar(&verify).ok().shows(&[
        "Dossier: Hydrogen fluoride",
        " 0 failed, 0 unproved",
        "Verdict: ",
    ]);
    let verdict = both.person.hiwar(&[&verify[..], &["--format", "json"]].concat()).ok().json();
    assert_eq!(verdict["dialogue"], json!(dialogue));
    assert_eq!(verdict["entries"].as_array().unwrap().len(), 3, "membership, assent, statement");
    // The fingerprint in words anchors as well as the file does; without anchors not all is proved.
    both.person
        .hiwar(&[
            "verify",
            "hydrogen-fluoride.dossier",
            "--anchor",
            &both.meti_words,
            "--anchor",
            "motie.invitation",
        ])
        .ok();
    both.person
        .hiwar(&["verify", "hydrogen-fluoride.dossier"])
        .ends_with(3)
        .shows(&["UNPROVED", "would prove it"]);
    both.stop();
    both.person.hiwar(&["log", "check", "motie"]).ok().shows(&["Log and store agree."]);
    let checked = both.person.hiwar(&["log", "check", "meti", "--format", "json"]).ok().json();
    assert_eq!((&checked["ok"], &checked["problems"]), (&json!(true), &json!([])));
}

#[test]
fn every_way_to_speak_about_an_entry_reaches_the_other_side() {
    let (both, dialogue) = Ministries::talking();
    let say =
        |text: &str| both.motie(&["dialogue", "say", &dialogue, "--text", &format!("en={text}")]).ok().word();
    let (wrong, regretted, contested) = (say("June: 479 t"), say("We demand."), say("July: 0 t"));
    for id in [&wrong, &regretted, &contested] {
        both.arrived("meti", &dialogue, id);
    }
    let short = |id: &str| id.chars().take(12).collect::<String>();
    let corrected =
        both.motie(&["dialogue", "correct", &short(&wrong), "--text", "en=June: 497 t"]).ok().word();
    let withdrawn =
        both.motie(&["dialogue", "withdraw", &short(&regretted), "--text", "en=Sent by mistake"]).ok().word();
    let disputed =
        both.meti(&["dialogue", "dispute", &short(&contested), "--text", "en=July: 12 t"]).ok().word();
    both.meti(&["dialogue", "ack", &short(&wrong)]).ok();
    // Roles are kept apart: nobody disputes their own words or corrects another's.
    both.motie(&["dialogue", "dispute", &wrong, "--text", "en=No"])
        .refused(&["correct or withdraw it instead"]);
    both.meti(&["dialogue", "correct", &wrong, "--text", "en=No"]).refused(&["dispute it instead"]);
    std::fs::write(both.person.path("figures.csv"), "month,t\n2019-07,12\n").unwrap();
    let handed = both
        .meti(&[
            "dialogue",
            "attach",
            &dialogue,
            "figures.csv",
            "--media-type",
            "text/csv",
            "--text",
            "en=The figures",
        ])
        .ok()
        .word();
    until("the file's entry and the dispute to arrive", || {
        let shown = both.motie(&["dialogue", "show", &dialogue]).ok().out;
        shown.contains("file figures.csv (19 bytes")
            && shown.contains(&format!("contradicted by {}", short(&disputed)))
    });
    both.motie(&["dialogue", "show", &dialogue]).ok().shows(&[
        &format!("corrected by {}", short(&corrected)),
        &format!("withdrawn by {}", short(&withdrawn)),
        &format!("acknowledged by {}", both.meti_did),
    ]);
    let entry = both.arrived("motie", &dialogue, &handed);
    let file = &entry["entry"]["attachments"][0];
    assert_eq!((&file["mediaType"], &file["size"]), (&json!("text/csv"), &json!(19)));
    let sha256 = file["sha256"].as_str().unwrap();
    let stored = both.person.path("motie/attachments").join(&sha256[..2]).join(sha256);
    until("the file to arrive", || stored.is_file());
    assert_eq!(std::fs::read_to_string(stored).unwrap(), "month,t\n2019-07,12\n");
    let thread = both.motie(&["dialogue", "show", &dialogue, "--format", "json"]).ok().json();
    assert_eq!(thread["dialogue"]["open"], json!(true));
    assert_eq!(thread["entries"].as_array().unwrap().len(), 10);
    until("the receipt for the file", || {
        both.meti(&["dossier", "export", &dialogue, "-o", "all.dossier"]).ok();
        let anchored =
            ["verify", "all.dossier", "--anchor", "meti.invitation", "--anchor", "motie.invitation"];
        both.person.hiwar(&anchored).code == 0
    });
}

#[test]
fn an_operator_sees_state_peers_and_alarms_as_tables_and_as_json() {
    let (both, _) = Ministries::talking();
    until("everything to be delivered", || {
        both.motie(&["status", "--format", "json"]).ok().json()["queued"] == 0
    });
    let status = both.motie(&["status", "--format", "json"]).ok().json();
    for (member, value) in [
        ("did", json!(both.motie_did)),
        ("name", json!("Ministry A")),
        ("dialogues", json!(1)),
        ("peers", json!(1)),
        ("alarms", json!(0)),
        ("entries", json!(2)),
        ("halted", Value::Null),
        ("desks", json!(["desk"])),
    ] {
        assert_eq!(status[member], value, "{member} in {status}");
    }
    both.motie(&["status"]).ok().shows(&[&both.motie_did, "Ministry A", "queued"]);
    both.motie(&["alarms"]).ok().shows(&["TIME", "CODE"]);
    assert_eq!(both.motie(&["alarms", "--format", "json"]).ok().json(), json!({ "alarms": [] }));
    both.motie(&["peer", "list"]).ok().shows(&[&both.meti_did, "Ministry B", "active", "reachable"]);
    let listed = both.motie(&["peer", "list", "--format", "json"]).ok().json();
    assert_eq!(listed["peers"][0]["fingerprint"], json!(both.meti_words));
    both.motie(&["peer", "show", &both.meti_did]).ok().shows(&[&both.meti_words, "endpoints"]);
    let shown = both.motie(&["peer", "show", &both.meti_did, "--format", "json"]).ok().json();
    assert_eq!((&shown["did"], &shown["delivery"]), (&json!(both.meti_did), &json!("push")));
    both.motie(&["dialogue", "list"]).ok().shows(&["DIALOGUE", "Hydrogen fluoride", "TLP:AMBER", "open"]);
    let invitation = both.motie(&["invitation"]).ok();
    let filed = std::fs::read_to_string(both.person.path("motie.invitation")).unwrap();
    assert_eq!(invitation.out, filed, "`init` and `invitation` print the same");
}

#[test]
fn a_peer_is_not_added_without_a_yes() {
    let both = Ministries::started();
    for answer in ["no\n", "\n", "y\n", ""] {
        both.person
            .answering(&["peer", "add", "meti.invitation", "--node", "motie"], answer)
            .refused(&["not confirmed; the peer was not added", "--fingerprint"]);
    }
    assert_eq!(both.motie(&["peer", "list", "--format", "json"]).ok().json(), json!({ "peers": [] }));
    both.motie(&["dialogue", "open", "--title", "en=T", "--with", &both.meti_did, "--arrangement", "A"])
        .refused(&["is no active peer of this node", "hiwar peer add"]);
}

#[test]
fn the_exit_code_tells_a_wrong_command_line_from_a_failure() {
    let person = Newcomer::new();
    for wrong in [
        &["dialogue", "open"][..],
        &["init", "x"],
        &["init", "x", "--name", "N"],
        &["init", "x", "--name", "N", "--listen", "here"],
        &["serve"],
        &["no-such-command"],
        &["status", "--format", "yaml"],
    ] {
        let done = person.hiwar(wrong).ends_with(2);
        assert!(done.err.contains("error:") && done.err.contains("--help"), "{wrong:?}: {}", done.err);
    }
    person.hiwar(&["--version"]).ok().shows(&["hiwar 0."]);
    person.hiwar(&["--help"]).ok().shows(&["init", "serve", "dossier", "verify"]);
    person
        .hiwar(&["status", "--node", "nowhere"])
        .refused(&["nowhere/hiwar.toml cannot be read", "hiwar init"]);
    person.hiwar(&["serve", "nowhere"]).refused(&["nowhere/hiwar.toml cannot be read", "hiwar init"]);
    let port = two_free_ports().to_string();
    person.hiwar(&["init", "node", "--name", "N", "--listen", &format!("127.0.0.1:{port}")]).ok();
    person.hiwar(&["status", "--node", "node"]).refused(&["no node answers at", "hiwar serve DIR"]);
}
