//! What people get wrong about files and folders: each time an error that names what is wrong and how
//! to mend it, and nothing changed.

#![allow(
    clippy::allow_attributes,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop here"
)]

mod newcomer;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use newcomer::{Ministries, Newcomer, two_free_ports};
use serde_json::json;

/// One node that was made and does not run.
fn made() -> Newcomer {
    let person = Newcomer::new();
    let listen = format!("127.0.0.1:{}", two_free_ports());
    person.typed_into(&["init", "node", "--name", "Ministry", "--listen", &listen], "node.invitation");
    person
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
fn what_is_no_whole_dossier_is_never_verified() {
    let (both, dialogue) = Ministries::talking();
    both.motie(&["dossier", "export", &dialogue, "-o", "good.dossier"]).ok();
    let good = fs::read(both.person.path("good.dossier")).unwrap();
    let mut changed = good.clone();
    let at = good.windows(5).position(|w| w == b"Hydro").unwrap();
    changed[at] = b'X';
    // A gigabyte of zeros in a megabyte, which `gzip` makes of them.
    let bomb = {
        let mut out = gzip_of_zeros(1 << 30);
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
fn gzip_of_zeros(bytes: usize) -> Vec<u8> {
    let command = format!("head -c {bytes} /dev/zero | gzip -1");
    std::process::Command::new("sh").args(["-c", &command]).output().unwrap().stdout
}
