//! Data move between two ministries: pushed, in folders, out of a service, with tokens that end early, and
//! while nodes are killed or agreements ended.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a story stops where it cannot go on")]

mod newcomer;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use newcomer::{Ministries, until};
use serde_json::Value;

const OPEN: &str = r#"{ "permit": { "use": {} } }"#;
/// SHA-256 of 1 GiB of zeros, as `head -c 1073741824 /dev/zero | sha256sum` prints it.
const GIB_OF_ZEROS: &str = "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14";
const GIB: u64 = 1 << 30;

fn offer(both: &Ministries, what: &str, more: &[&str]) -> String {
    let terms = both.person.path("terms.json");
    std::fs::write(&terms, OPEN).unwrap();
    let mut args = vec!["data", "offer", what, "--terms", terms.to_str().unwrap(), "--title", "Data"];
    args.extend(more);
    both.motie(&args).ok().word()
}

fn agreed(both: &Ministries, what: &Path) -> String {
    let dataset = offer(both, what.to_str().unwrap(), &[]);
    both.meti(&["data", "negotiate", &both.motie_did, &dataset]).ok().word()
}

/// A file of 1 GiB; its holes cost no disk at the provider.
fn gib(both: &Ministries) -> PathBuf {
    let path = both.person.path("gib");
    std::fs::File::create(&path).unwrap().set_len(GIB).unwrap();
    path
}

fn transfers(out: &str) -> Vec<Value> {
    serde_json::from_str::<Value>(out).unwrap()["transfers"].as_array().unwrap().clone()
}

fn at_motie(both: &Ministries) -> Vec<Value> {
    transfers(&both.motie(&["data", "transfers", "--format", "json"]).ok().out)
}

fn at_meti(both: &Ministries) -> Vec<Value> {
    transfers(&both.meti(&["data", "transfers", "--format", "json"]).ok().out)
}

/// Bytes that have come to meti of transfers that are not complete.
fn came(both: &Ministries) -> u64 {
    let Ok(listed) = std::fs::read_dir(both.person.path("meti").join("received")) else { return 0 };
    let parts =
        listed.filter_map(Result::ok).filter(|e| e.path().extension().is_some_and(|x| x == "partial"));
    parts.filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum()
}

/// The command runs while the story goes on.
fn begun(both: &Ministries, args: &[&str]) -> std::process::Child {
    let mut command = both.person.command(args);
    command
        .env("HIWAR_NODE", "meti")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn what_is_pushed_arrives_and_both_sides_hold_its_hash() {
    let both = Ministries::introduced();
    let table = both.person.path("table.csv");
    std::fs::write(&table, "month,kg\n2019-07,12\n").unwrap();
    let agreement = agreed(&both, &table);
    let to = both.person.path("pushed.csv");
    let pushed = both.meti(&["data", "push", &agreement, "-o", to.to_str().unwrap()]).ok();
    assert!(pushed.err.contains("20 bytes"), "{}", pushed.err);
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "month,kg\n2019-07,12\n");
    both.meti(&["data", "pull", &agreement, "-o", both.person.path("pulled.csv").to_str().unwrap()]).ok();
    until("both transfers are complete with their hash at both", || {
        let all: Vec<Value> = at_motie(&both).into_iter().chain(at_meti(&both)).collect();
        all.len() == 4
            && all.iter().all(|t| t["state"] == "COMPLETED" && t["content"] == all[0]["content"])
            && all[0]["content"]["bytes"] == 20
    });
}

#[test]
fn a_push_goes_on_where_it_was_after_either_node_was_killed() {
    let mut both = Ministries::introduced();
    let agreement = agreed(&both, &gib(&both));
    let mut asked = begun(&both, &["data", "push", &agreement]);
    until("a part has come", || came(&both) > GIB / 16);
    both.kill("motie");
    let first = came(&both);
    both.start("motie");
    until("more has come", || came(&both) > first + GIB / 16);
    both.kill("meti");
    asked.wait().unwrap();
    let second = came(&both);
    assert!(second >= first, "{second} after {first}: what had come was thrown away");
    both.start("meti");
    let transfer = at_meti(&both)[0]["pid"].as_str().unwrap().to_owned();
    let done = both.meti(&["data", "push", &agreement, "--transfer", &transfer, "--wait", "200"]).ok();
    assert!(done.out.contains(GIB_OF_ZEROS), "{done:?}");
    until("the provider knows too", || at_motie(&both)[0]["content"]["sha256"] == GIB_OF_ZEROS);
}

#[test]
fn a_pull_outlives_its_tokens_and_a_killed_provider() {
    let mut both = Ministries::introduced();
    let config = both.person.path("motie").join("hiwar.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[dataspace]\ntoken_seconds = 1\n")).unwrap();
    both.kill("motie");
    both.start("motie");
    let agreement = agreed(&both, &gib(&both));
    let to = both.person.path("pulled");
    let asked = begun(&both, &["data", "pull", &agreement, "-o", to.to_str().unwrap()]);
    until("a part has come", || came(&both) > GIB / 16);
    both.kill("motie");
    // Longer than a token lives: the one that the pull has is worth nothing afterwards.
    std::thread::sleep(std::time::Duration::from_millis(1200));
    both.start("motie");
    let done = asked.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && out.contains(GIB_OF_ZEROS), "{out}{err}");
    assert_eq!(to.metadata().unwrap().len(), GIB);
}

#[test]
fn when_an_agreement_is_ended_a_transfer_stops_in_the_middle() {
    let both = Ministries::introduced();
    let agreement = agreed(&both, &gib(&both));
    let to = both.person.path("never");
    let asked = begun(&both, &["data", "pull", &agreement, "-o", to.to_str().unwrap()]);
    until("a part has come", || came(&both) > GIB / 16);
    both.motie(&["data", "end", &agreement, "--reason", "the project is over"]).ok();
    let done = asked.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && told.contains("the project is over"), "{told}");
    assert!(!to.exists());
    assert!(came(&both) < GIB, "all of it came all the same");
    until("both say so", || {
        at_motie(&both).iter().chain(&at_meti(&both)).all(|t| t["state"] == "TERMINATED")
    });
}

#[test]
fn an_offered_folder_arrives_with_every_file_in_its_place() {
    let both = Ministries::introduced();
    let folder = both.person.path("tables");
    std::fs::create_dir_all(folder.join("2019/July")).unwrap();
    for (name, text) in [("index.txt", "two tables"), ("2019/July/a b.csv", "1,2\n"), ("2019/empty", "")] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let agreement = agreed(&both, &folder);
    let to = both.person.path("received");
    let pulled = both.meti(&["data", "pull", &agreement, "-o", to.to_str().unwrap()]).ok();
    assert!(pulled.err.contains("14 bytes"), "{}", pulled.err);
    let read = |name: &str| std::fs::read_to_string(to.join(name)).unwrap();
    assert_eq!((read("index.txt"), read("2019/July/a b.csv")), ("two tables".into(), "1,2\n".into()));
    assert_eq!(read("2019/empty"), "");
    until("the provider knows what was sent", || {
        let (theirs, ours) = (at_motie(&both), at_meti(&both));
        !theirs[0]["content"].is_null() && theirs[0]["content"] == ours[0]["content"]
    });
    let pid = at_meti(&both)[0]["pid"].as_str().unwrap().replace(':', "%3A");
    let (status, _) = newcomer::api(
        &both.person.path("meti"),
        "GET",
        &format!("/api/v1/data/transfers/{pid}/content?path=..%2F..%2Fhiwar.toml"),
        b"",
    );
    assert_eq!(status, 404);
}

/// A service that gives `content` to whoever sends the header `x-key: KEY`.
fn service(key: &'static str, content: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                asked.extend(byte);
            }
            let asked = String::from_utf8_lossy(&asked).into_owned();
            let known = asked.contains(&format!("x-key: {key}\r\n"));
            let (status, body) = if known { ("200 OK", content) } else { ("403 Forbidden", "") };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: text/csv\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let body = if asked.starts_with("HEAD") { "" } else { body };
            drop(stream.write_all(format!("{head}{body}").as_bytes()));
        }
    });
    port
}

#[cfg(unix)]
#[test]
fn a_service_behind_the_node_is_offered_when_it_is_allowed_and_its_secret_is_kept_secret() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut both = Ministries::introduced();
    let address = format!("http://127.0.0.1:{}", service("open sesame", "month,kg\n2019-07,12\n"));
    let secret = both.person.path("secret");
    std::fs::write(&secret, "open sesame\n").unwrap();
    let terms = both.person.path("terms.json");
    std::fs::write(&terms, OPEN).unwrap();
    let url = format!("{address}/table");
    let args = [
        "data",
        "offer",
        &url,
        "--terms",
        terms.to_str().unwrap(),
        "--title",
        "T",
        "--secret-header",
        "x-key",
        "--secret-file",
        secret.to_str().unwrap(),
    ];
    both.motie(&args).refused(&[&address, "[outbound]"]);
    let config = both.person.path("motie").join("hiwar.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[outbound]\nallow = [\"{address}\"]\n")).unwrap();
    both.kill("motie");
    both.start("motie");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    both.motie(&args).refused(&["chmod 600"]);
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let dataset = both.motie(&args).ok().word();
    let agreement = both.meti(&["data", "negotiate", &both.motie_did, &dataset]).ok().word();
    let to = both.person.path("table.csv");
    both.meti(&["data", "pull", &agreement, "-o", to.to_str().unwrap()]).ok();
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "month,kg\n2019-07,12\n");
    let shown = both.motie(&["data", "datasets", "--format", "json"]).ok().out;
    assert!(!shown.contains("sesame") && !shown.contains(&address), "{shown}");
}
