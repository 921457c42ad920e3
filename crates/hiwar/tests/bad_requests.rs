//! What programs and people ask of the local API and must not get: refused with the rule and how
//! to mend it, and nothing changed.

#![allow(
    clippy::allow_attributes,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop here"
)]

mod newcomer;

use std::fs;

use newcomer::{Ministries, Newcomer, api, api_address, request, two_free_ports};
use serde_json::{Value, json};

/// Posts to motie's API; it must refuse with `status` and `code`, say all of `words`, and change nothing.
#[track_caller]
fn refused(both: &Ministries, path: &str, body: &[u8], status: u16, code: &str, words: &[&str]) {
    let dir = both.person.path("motie");
    let before = (both.status("motie", "entries"), both.status("motie", "log"));
    let (got, answer) = api(&dir, "POST", path, body);
    assert_eq!((got, answer["error"]["code"].as_str()), (status, Some(code)), "{answer}");
    let detail = answer["error"]["detail"].as_str().unwrap();
    for word in words {
        assert!(detail.contains(word), "the error does not say {word:?}: {detail}");
    }
    assert!(detail.len() < 1000, "an error is no dump: {detail}");
    assert_eq!((both.status("motie", "entries"), both.status("motie", "log")), before);
}

#[test]
fn a_prefix_must_fit_exactly_one_dialogue_or_entry() {
    let (both, dialogue) = Ministries::talking();
    let say = |id: &str| both.motie(&["dialogue", "say", id, "--text", "en=x"]);
    let no_such: String = if dialogue.starts_with('f') { "eee".into() } else { "fff".into() };
    say(&no_such).refused(&["no dialogue whose identifier starts with", &no_such]);
    say(&"0".repeat(64)).refused(&["there is no dialogue", "hiwar dialogue list"]);
    say("not an id").refused(&["no dialogue whose identifier starts with"]);
    say(&"z".repeat(64)).refused(&["64"]);
    // Sixteen more dialogues, so that two of them start with the same digit.
    for _ in 0..16 {
        both.open();
    }
    let listed = both.motie(&["dialogue", "list", "--format", "json"]).ok().json();
    let ids: Vec<String> = listed["dialogues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["id"].as_str().unwrap().to_owned())
        .collect();
    let shared = ids.iter().find(|id| ids.iter().filter(|other| other[..1] == id[..1]).count() > 1).unwrap();
    say(&shared[..1]).refused(&["dialogues start with", "give more digits"]);
    say("").refused(&["give more digits"]);
    let ack = |id: &str| both.motie(&["dialogue", "ack", id]);
    ack("123").refused(&["at least 6 digits"]);
    ack(&no_such.repeat(3)).refused(&["no entry whose identifier starts with"]);
    ack(&"0".repeat(64)).refused(&["there is no entry"]);
    // What is no membership cannot be assented to.
    let said = both.say("motie", &dialogue, "a statement");
    both.motie(&["dialogue", "assent", &said]).refused(&["proposes no membership"]);
    both.motie(&["dialogue", "assent", &dialogue]).refused(&["has already spoken"]);
}

#[test]
fn an_entry_that_breaks_a_rule_is_refused_with_the_rule() {
    let (both, dialogue) = Ministries::talking();
    let say = |more: Value| {
        let mut body = json!({ "action": "say", "dialogue": dialogue, "marking": "TLP:GREEN" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body.to_string().into_bytes()
    };
    let entries = "/api/v1/entries";
    let entry = |more: Value, words: &[&str]| refused(&both, entries, &say(more), 422, "bad-entry", words);
    refused(
        &both,
        entries,
        &say(json!({ "marking": "TLP:RED", "texts": { "en": "x" } })),
        409,
        "above-cap",
        &["TLP:RED", "cap TLP:AMBER", "lower it"],
    );
    refused(
        &both,
        entries,
        &say(json!({ "marking": "SECRET", "texts": { "en": "x" } })),
        400,
        "bad-request",
        &["SECRET", "TLP:CLEAR"],
    );
    entry(json!({ "texts": { "en": "x".repeat(70_000) } }), &["65", "bytes"]);
    entry(json!({ "texts": { "en": "bell \u{7}" } }), &["control"]);
    entry(json!({ "texts": { "en": "nul \u{0}" } }), &["control"]);
    entry(json!({ "texts": { "en": "esc \u{1b}[31m" } }), &["control"]);
    entry(json!({ "texts": { "en": "" } }), &["empty"]);
    entry(json!({ "texts": {} }), &["at least one"]);
    entry(json!({ "texts": { "english please": "x" } }), &["english please"]);
    entry(json!({ "texts": { "en": "x" }, "prevailing": "ko" }), &["ko"]);
    let languages: serde_json::Map<_, _> =
        (b'a'..=b'q').map(|c| (format!("x-{}", c as char), json!("text"))).collect();
    assert_eq!(languages.len(), 17);
    entry(json!({ "texts": languages }), &["16"]);
    for (body, word) in [
        (&b"{"[..], "EOF"),
        (b"", "EOF"),
        (b"[]", "body"),
        (b"null", "body"),
        (b"{\"action\":\"shout\"}", "shout"),
        (b"{\"action\":\"say\"}", "missing field"),
        (b"{\"action\":\"say\",\"dialogue\":\"12\"}", "64"),
        (b"\xff\xfe", "body"),
    ] {
        refused(&both, entries, body, 400, "bad-request", &[word]);
        refused(
            &both,
            "/api/v1/entries/bulk",
            if body.is_empty() { b"\x00" } else { body },
            400,
            "bad-request",
            &["line 1"],
        );
    }
    let nested = [[b'['; 100_000].as_slice(), &[b']'; 100_000]].concat();
    refused(&both, entries, &nested, 400, "bad-request", &[]);
    refused(&both, entries, &vec![b' '; 9 << 20], 413, "too-large", &["8 MiB"]);
    refused(&both, "/api/v1/entries/bulk", &b"{}\n".repeat(600), 400, "bad-request", &["line 1"]);
    refused(&both, "/api/v1/peers", b"{\"invitation\":1}", 400, "bad-request", &["fingerprint"]);
    refused(&both, "/api/v1/backup", b"{}", 400, "bad-request", &["to"]);
    refused(&both, "/api/v1/keys/rotate", b"{\"revoke_since\":\"soon\"}", 400, "bad-request", &["soon"]);
}

#[test]
fn an_attachment_needs_a_plain_name_and_its_file_here() {
    let (both, dialogue) = Ministries::talking();
    let (status, stored) = api(&both.person.path("motie"), "PUT", "/api/v1/attachments", b"figures");
    assert_eq!(status, 200);
    let attach = |name: &str, sha256: &Value, size: u64, media_type: &str| {
        let file = json!({ "name": name, "mediaType": media_type, "size": size, "sha256": sha256 });
        let body =
            json!({ "action": "say", "dialogue": dialogue, "marking": "TLP:GREEN", "attachments": [file] });
        body.to_string().into_bytes()
    };
    let entries = "/api/v1/entries";
    for name in ["../x", "a/b", "..", ".", "C:\\x", "a\\b", "", "/etc/passwd"] {
        refused(&both, entries, &attach(name, &stored["sha256"], 7, "text/csv"), 422, "bad-entry", &["name"]);
    }
    for name in ["a\u{202e}fdp.exe", "a\u{2066}b", "a\u{0}b", "a\nb", "a\u{200f}b"] {
        refused(
            &both,
            entries,
            &attach(name, &stored["sha256"], 7, "text/csv"),
            422,
            "bad-entry",
            &["control or text-direction"],
        );
    }
    refused(
        &both,
        entries,
        &attach(&"n".repeat(256), &stored["sha256"], 7, "text/csv"),
        422,
        "bad-entry",
        &["255"],
    );
    refused(
        &both,
        entries,
        &attach("a.csv", &stored["sha256"], 7, "spreadsheet"),
        422,
        "bad-entry",
        &["media type"],
    );
    refused(
        &both,
        entries,
        &attach("a.csv", &stored["sha256"], 11 << 30, "text/csv"),
        422,
        "wrong-size",
        &["7 bytes"],
    );
    let absent = json!("0".repeat(64));
    refused(
        &both,
        entries,
        &attach("a.csv", &absent, 7, "text/csv"),
        422,
        "missing-file",
        &["a.csv", "upload it first"],
    );
    // A size that is not the file's would never be complete at the peer.
    refused(
        &both,
        entries,
        &attach("a.csv", &stored["sha256"], 8, "text/csv"),
        422,
        "wrong-size",
        &["a.csv", "7 bytes"],
    );
    let many: Vec<Value> = (0..33)
        .map(|n| json!({ "name": format!("{n}"), "mediaType": "text/csv", "size": 7, "sha256": stored["sha256"] }))
        .collect();
    let body = json!({ "action": "say", "dialogue": dialogue, "marking": "TLP:GREEN", "attachments": many });
    refused(&both, entries, body.to_string().as_bytes(), 422, "bad-entry", &["32"]);
    both.motie(&["dialogue", "attach", &dialogue, "no-such-file.csv"])
        .refused(&["no-such-file.csv", "cannot be read"]);
    both.motie(&["dialogue", "attach", &dialogue, ".."]).refused(&[".. has no file name"]);
    fs::create_dir(both.person.path("folder")).unwrap();
    both.motie(&["dialogue", "attach", &dialogue, "folder"]).refused(&["folder"]);
    both.motie(&["dialogue", "say", &dialogue, "--text", "no language"]).refused(&["write LANGUAGE=TEXT"]);
    both.motie(&["dialogue", "say", &dialogue, "--text-file", "en=absent.txt"])
        .refused(&["absent.txt cannot be read"]);
}

#[test]
fn nobody_acts_without_a_token_or_as_another_desk() {
    let person = Newcomer::new();
    let listen = format!("127.0.0.1:{}", two_free_ports());
    person
        .hiwar(&["init", "node", "--name", "N", "--listen", &listen, "--desk", "trade", "--desk", "press"])
        .ok();
    let _serving = person.serve("node");
    let address = api_address(&person.path("node"));
    for token in [None, Some(""), Some("wrong"), Some("Bearer x")] {
        let (status, text) = request(address, "GET", "/api/v1/status", token, b"");
        assert_eq!(status, 401, "{text}");
        assert!(text.contains("no-token") && text.contains("api.token"), "{text}");
    }
    let token = person.at("node", &["desk", "token", "press"]).ok().word();
    person.at("node", &["desk", "token", "nobody"]).refused(&["no desk \"nobody\"", "hiwar.toml"]);
    let as_press =
        |method: &str, path: &str, body: &str| request(address, method, path, Some(&token), body.as_bytes());
    assert_eq!(as_press("GET", "/api/v1/status", "").0, 200);
    let open = |desk: &str| {
        json!({ "desk": desk, "title": { "en": "T" }, "with": ["did:web:x.example"], "arrangement": "A", "cap": "TLP:AMBER" })
            .to_string()
    };
    let (status, text) = as_press("POST", "/api/v1/dialogues", &open("trade"));
    assert!(status == 403 && text.contains("wrong-desk") && text.contains("press"), "{status} {text}");
    let (status, text) = as_press("POST", "/api/v1/dialogues", &open("press"));
    assert!(status == 409 && text.contains("unknown-party"), "{status} {text}");
    for (path, body) in [
        ("/api/v1/keys/rotate", "{}"),
        ("/api/v1/backup", "{\"to\":\"/tmp/x\"}"),
        ("/api/v1/desks/press/tokens", "{}"),
        ("/api/v1/peers", "{}"),
        ("/api/v1/peers/did:web:x.example/retire", "{}"),
        ("/api/v1/peers/did:web:x.example/trust", "{}"),
    ] {
        let (status, text) = as_press("POST", path, body);
        assert!(status == 403 && text.contains("operator-only"), "{path}: {status} {text}");
    }
    person
        .at(
            "node",
            &[
                "dialogue",
                "open",
                "--desk",
                "nobody",
                "--title",
                "en=T",
                "--with",
                "did:web:x.example",
                "--arrangement",
                "A",
            ],
        )
        .refused(&["no desk \"nobody\"", "trade, press"]);
    person.at("node", &["desk", "revoke", "press"]).ok();
    assert_eq!(as_press("GET", "/api/v1/status", "").0, 401, "a token taken back is of no use");
}
