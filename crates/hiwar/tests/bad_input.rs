//! What people, programs and disks get wrong: each time an error that names what is wrong and how
//! to mend it, and nothing changed.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use newcomer::{Ministries, Newcomer, api, api_address, request, two_free_ports};
use serde_json::{Value, json};

/// One node that was made and does not run.
fn made() -> Newcomer {
    let person = Newcomer::new();
    let listen = format!("127.0.0.1:{}", two_free_ports());
    person.typed_into(&["init", "node", "--name", "Ministry", "--listen", &listen], "node.invitation");
    person
}

/// Posts to meti's API; it must refuse with `status` and `code`, say all of `words`, and change nothing.
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

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn an_invitation_that_is_wrong_or_changed_adds_no_peer() {
    let both = Ministries::started();
    let add =
        |file: &str, fingerprint: &str| both.motie(&["peer", "add", file, "--fingerprint", fingerprint]);
    let wrong = "zoo-zoo-zoo zoo-zoo-zoo zoo-zoo-zoo zoo-zoo-wrong";
    add("meti.invitation", wrong).refused(&["fingerprint", "(wrong-fingerprint)", "by another way"]);
    add("meti.invitation", "").refused(&["(wrong-fingerprint)"]);
    let good = fs::read_to_string(both.person.path("meti.invitation")).unwrap();
    let write = |text: &str| fs::write(both.person.path("bad.invitation"), text).unwrap();
    for (text, words) in [
        (
            good.replace("Ministry B", "Ministry X"),
            &["bad.invitation", "ask the participant for a new invitation"][..],
        ),
        (good.replace("org.hiwar.invitation.v1", "org.hiwar.card.v1"), &["org.hiwar.card.v1"]),
        (good[..good.len() / 2].to_owned(), &["bad.invitation", "line", "ask for the file again"]),
        ("not JSON at all".into(), &["bad.invitation", "line 1"]),
        (String::new(), &["bad.invitation"]),
        ("x".repeat(2 << 20), &["bad.invitation", "1,048,576"]),
    ] {
        write(&text);
        add("bad.invitation", &both.meti_words).refused(words);
    }
    add("no.invitation", &both.meti_words).refused(&["no.invitation cannot be read"]);
    // A node is no peer of its own.
    let own = both.motie(&["invitation"]).ok();
    let words = own.err.trim().trim_start_matches("Fingerprint: ");
    add("motie.invitation", words).refused(&["is this node itself"]);
    assert_eq!(both.motie(&["peer", "list", "--format", "json"]).ok().json(), json!({ "peers": [] }));
    both.motie(&["peer", "show", "did:web:nobody.example"]).refused(&["did:web:nobody.example is no peer"]);
    both.motie(&["peer", "retire", "did:web:nobody.example"]).refused(&["did:web:nobody.example"]);
    both.motie(&["peer", "retire", "nobody"]).refused(&["nobody"]);
}

#[test]
fn a_folder_that_holds_something_is_never_made_into_a_node() {
    let person = made();
    let before = fs::read(person.path("node/keys/organisation.key")).unwrap();
    let init = |dir: &str| person.hiwar(&["init", dir, "--name", "N", "--listen", "127.0.0.1:7400"]);
    init("node").refused(&["node is not empty", "choose another folder"]);
    assert_eq!(fs::read(person.path("node/keys/organisation.key")).unwrap(), before);
    fs::create_dir(person.path("papers")).unwrap();
    fs::write(person.path("papers/a.txt"), "a").unwrap();
    init("papers").refused(&["papers is not empty"]);
    assert_eq!(fs::read_dir(person.path("papers")).unwrap().count(), 1);
    fs::write(person.path("file"), "a").unwrap();
    init("file").refused(&["file"]);
    person
        .hiwar(&["init", "n2", "--name", "N", "--listen", "127.0.0.1:7400", "--did", "ministry"])
        .refused(&["ministry", "did:web:"]);
    assert!(!person.path("n2").exists());
    person.hiwar(&["init", "n3", "--name", "", "--listen", "127.0.0.1:7400"]).refused(&["name"]);
    assert!(!person.path("n3").exists(), "nothing half-made stays");
}

#[test]
fn a_key_file_that_is_exposed_damaged_or_missing_keeps_the_node_from_starting() {
    let person = made();
    let serve = || person.hiwar(&["serve", "node"]);
    for name in ["organisation.key", "node.key"] {
        let key = person.path("node/keys").join(name);
        let good = fs::read(&key).unwrap();
        chmod(&key, 0o644);
        serve().refused(&[name, "can be read by others (mode 644)", "chmod 600"]);
        chmod(&key, 0o600);
        for (bytes, words) in [
            (good[..good.len() / 2].to_vec(), "key file"),
            (b"garbage".to_vec(), "PEM"),
            (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec(), "damaged"),
            (b"\xff\xfe\x00".to_vec(), name),
            (Vec::new(), "PEM"),
        ] {
            fs::write(&key, bytes).unwrap();
            serve().refused(&[name, words]);
        }
        fs::remove_file(&key).unwrap();
        serve().refused(&[name]);
        fs::write(&key, &good).unwrap();
        chmod(&key, 0o600);
    }
    // The key of another node.
    let organisation = person.path("node/keys/organisation.key");
    let good = fs::read(&organisation).unwrap();
    fs::copy(person.path("node/keys/recovery.key"), &organisation).unwrap();
    serve().refused(&["organisation key does not belong to the newest card", "put the right key file back"]);
    fs::write(&organisation, good).unwrap();
    let token = person.path("node/api.token");
    chmod(&token, 0o640);
    serve().refused(&["api.token can be read by others (mode 640)"]);
    person.hiwar(&["status", "--node", "node"]).refused(&["api.token can be read by others"]);
    chmod(&token, 0o600);
    let certificate = person.path("node/keys/tls.crt");
    let good = fs::read(&certificate).unwrap();
    fs::write(&certificate, "nothing").unwrap();
    serve().refused(&["TLS cannot be set up", "certificate"]);
    fs::write(&certificate, good).unwrap();
    person.serve("node").stop();
}

#[test]
fn locked_keys_open_with_their_passphrase_only() {
    let person = Newcomer::new();
    let secret = |name: &str, text: &str| {
        fs::write(person.path(name), text).unwrap();
        chmod(&person.path(name), 0o600);
    };
    secret("right", "correct horse battery staple\n");
    secret("wrong", "incorrect horse\n");
    secret("empty", "\n");
    let listen = format!("127.0.0.1:{}", two_free_ports());
    let init = |file: &str| {
        person.hiwar(&["init", "node", "--name", "N", "--listen", &listen, "--passphrase-file", file])
    };
    init("empty").refused(&["the passphrase is empty"]);
    init("absent").refused(&["absent"]);
    chmod(&person.path("right"), 0o644);
    init("right").refused(&["right can be read by others"]);
    chmod(&person.path("right"), 0o600);
    assert!(!person.path("node").exists());
    init("right").ok();
    let key = fs::read_to_string(person.path("node/keys/organisation.key")).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    person.hiwar(&["serve", "node"]).refused(&[
        "organisation.key",
        "is encrypted; give its passphrase",
        "--passphrase-file",
    ]);
    person
        .hiwar(&["serve", "node", "--passphrase-file", "wrong"])
        .refused(&["organisation.key", "the passphrase does not open the key file"]);
    let serving = person.serve_with(person.command(&["serve", "node", "--passphrase-file", "right"]), "node");
    // A rotated key is locked as well.
    person.hiwar(&["key", "rotate", "--node", "node"]).ok();
    let key = fs::read_to_string(person.path("node/keys/organisation.key")).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    assert_eq!(serving.stop(), 0);
    person.serve_with(person.command(&["serve", "node", "--passphrase-file", "right"]), "node").stop();
}

#[test]
fn a_mistake_in_the_configuration_is_named_with_file_line_and_field() {
    let person = made();
    let path = person.path("node/hiwar.toml");
    let good = fs::read_to_string(&path).unwrap();
    let line_of = |text: &str, part: &str| text.lines().position(|l| l.contains(part)).unwrap() + 1;
    for (from, to, field) in [
        ("name = ", "nmae = ", "nmae"),
        ("[delivery]", "[delivery]\nretry_fisrt_ms = 1", "retry_fisrt_ms"),
        ("batch_entries = ", "batch_entries = \"many\" # ", "batch_entries"),
        ("api_listen = ", "api_listen = \"everywhere\" # ", "api_listen"),
        ("did = ", "did = \"ministry\" # ", "did"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good);
        fs::write(&path, &text).unwrap();
        let line = format!("line {}", line_of(&text, to.lines().last().unwrap()));
        for command in [&["serve", "node"][..], &["status", "--node", "node"]] {
            person.hiwar(command).refused(&["node/hiwar.toml", &line, field]);
        }
    }
    for (from, to, words) in [
        ("desks = [", "desks = [] # [", "desks: name at least one desk"),
        ("batch_entries = ", "batch_entries = 100000 # ", "delivery.batch_entries: it must be 1 to 512"),
        ("retry_first_ms = ", "retry_first_ms = -1 # ", "above 0 ms"),
    ] {
        let start = good.find(from).unwrap();
        let end = good[start..].find("\n[").filter(|_| from == "desks = [").map_or(good.len(), |e| start + e);
        // A list may go over several lines.
        let rest =
            if from == "desks = [" { good[end..].to_owned() } else { good[start + from.len()..].to_owned() };
        fs::write(&path, format!("{}{to}{rest}", &good[..start])).unwrap();
        person.hiwar(&["serve", "node"]).refused(&["node/hiwar.toml", words]);
    }
    fs::write(&path, "").unwrap();
    person.hiwar(&["serve", "node"]).refused(&["node/hiwar.toml", "missing field"]);
    fs::write(&path, &good).unwrap();
    person.serve("node").stop();
}

#[test]
fn a_taken_port_or_folder_is_named_with_who_holds_it() {
    let person = made();
    let config = hiwar_node::config::Config::read(&person.path("node")).unwrap();
    for (address, what) in
        [(config.listen.unwrap(), "the peers' listener"), (config.api_listen, "the desks' listener")]
    {
        let holder = std::net::TcpListener::bind(address).unwrap();
        let words = [what, &address.to_string(), "set another in hiwar.toml"];
        person.hiwar(&["serve", "node"]).refused(&words);
        drop(holder);
    }
    let serving = person.serve("node");
    let process = format!("process {}", serving.id());
    person.hiwar(&["serve", "node"]).refused(&["node is in use by", &process, "one node runs in one folder"]);
    assert!(serving.answers("/readyz"), "the one that runs is not disturbed");
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

#[test]
fn what_is_no_whole_dossier_is_never_verified() {
    let (both, dialogue) = Ministries::talking();
    both.motie(&["dossier", "export", &dialogue, "-o", "good.dossier"]).ok();
    let good = fs::read(both.person.path("good.dossier")).unwrap();
    let mut changed = good.clone();
    let at = good.windows(5).position(|w| w == b"Hydro").unwrap();
    changed[at] = b'X';
    // A gigabyte of zeros in a megabyte, which `gzip` makes of them.
    let bomb = {
        let mut out = flate2_of_zeros(1 << 30);
        out.extend_from_slice(&good);
        out
    };
    for (name, bytes) in [
        ("empty", Vec::new()),
        ("text", b"this is a letter".to_vec()),
        ("half", good[..good.len() / 2].to_vec()),
        ("without-its-end", good[..good.len() - 1024].to_vec()),
        ("changed", changed),
        ("twice", [good.clone(), good.clone()].concat()),
        ("zeros", vec![0; 1 << 20]),
        ("bomb", bomb),
    ] {
        let file = format!("{name}.dossier");
        fs::write(both.person.path(&file), bytes).unwrap();
        let start = std::time::Instant::now();
        let verdict = both.person.hiwar(&["verify", &file, "--anchor", "motie.invitation"]).ends_with(1);
        assert!(verdict.out.contains("FAILED") && verdict.out.contains("why:"), "{name}: {}", verdict.out);
        assert!(start.elapsed().as_secs() < 20, "{name} took {:?}", start.elapsed());
    }
    both.person.hiwar(&["verify", "no.dossier"]).refused(&["no.dossier cannot be read"]);
    both.person
        .hiwar(&["verify", "good.dossier", "--anchor", "three words only"])
        .refused(&["neither an invitation file nor a fingerprint"]);
    both.person.hiwar(&["verify", "good.dossier", "--anchor", "good.dossier"]).refused(&["good.dossier"]);
    // The anchor of somebody else proves nothing here.
    let stranger = "zoo-zoo-zoo zoo-zoo-zoo zoo-zoo-zoo zoo-zoo-wrong";
    both.person
        .hiwar(&["verify", "good.dossier", "--anchor", stranger])
        .ends_with(1)
        .shows(&["no party here ever had the fingerprint"]);
    both.motie(&["dossier", "export", &dialogue, "-o", "no/such/folder.dossier"])
        .refused(&["no/such/folder", "cannot be written"]);
    both.motie(&["dossier", "export", "ffffffff", "-o", "x.dossier"]).refused(&["no dialogue"]);
    assert!(!both.person.path("x.dossier").exists());
}

/// `gzip` of that many zeros, by the tool that every system has.
fn flate2_of_zeros(bytes: usize) -> Vec<u8> {
    let command = format!("head -c {bytes} /dev/zero | gzip -1");
    std::process::Command::new("sh").args(["-c", &command]).output().unwrap().stdout
}
