//! Two ministries compare what their radars see, each with its own country's table in its own node.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    reason = "a test that cannot go on should stop here"
)]

mod newcomer;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hiwar_radar::month::Date;
use hiwar_radar::store::{Filter, Store};
use newcomer::{Done, Ministries, Newcomer, whole_file};
use serde_json::Value;

const AS_OF: &str = "2019-07-01";

fn data(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../data/trade").join(file);
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// Names a store in a node's configuration.
fn mount(person: &Newcomer, node: &str, store: &str) {
    let path = person.path(node).join("hiwar.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("# radar_store = "), "init says how to mount a store: {text}");
    std::fs::write(&path, text.replace("# radar_store = \"radar\"", &format!("radar_store = \"{store}\"")))
        .unwrap();
}

/// Two ministries that talk; Korea's table is in motie's node, Japan's in meti's.
fn with_tables() -> (Ministries, String) {
    let (both, dialogue) = Ministries::talking();
    for (node, table, received) in [
        ("motie", "kcs-korea/korea_trade_hsk10_monthly_2000_2021.csv", "2022-02-01"),
        ("meti", "japan-estat/japan_trade_area_goods_monthly_2009_01_2019_05.csv.gz", AS_OF),
    ] {
        mount(&both.person, node, "radar");
        both.person.hiwar(&["radar", "import", &data(table), "--received", received, "--node", node]).ok();
        assert!(both.person.path(node).join("radar").is_dir());
    }
    (both, dialogue)
}

/// One turn of a node; what is not said here is given by `more`.
fn turn(both: &Ministries, node: &str, dialogue: &str, more: &[&str]) -> Done {
    let (peer, economy, rule) = match node {
        "motie" => (&both.meti_did, "KR", "robust-36"),
        _ => (&both.motie_did, "JP", "yen-24-wide"),
    };
    let shared = data("examples/shared-items-korea-japan.csv");
    let mut args = vec![
        "radar",
        "corroborate",
        peer,
        "--dialogue",
        dialogue,
        "--economy",
        economy,
        "--rule",
        rule,
        "--as-of",
        AS_OF,
        "--shared-items",
        &shared,
        "--node",
        node,
    ];
    args.extend(more);
    both.person.hiwar(&args)
}

fn json(both: &Ministries, node: &str, dialogue: &str, more: &[&str]) -> Value {
    turn(both, node, dialogue, &[more, &["--format", "json"]].concat()).ok().json()
}

fn leaves(turn: &Value) -> &[Value] {
    turn["leaves"].as_array().unwrap()
}

fn notes(turn: &Value) -> String {
    turn["notes"].to_string()
}

/// The words of the entry, and the bytes of its one file.
fn said(both: &Ministries, node: &str, dialogue: &str, entry: &str) -> (String, String) {
    let found = both.arrived(node, dialogue, entry)["entry"].take();
    let files = found["attachments"].as_array().unwrap();
    assert_eq!(files.len(), 1, "{found}");
    let path = whole_file(&both.person.path(node), files[0]["sha256"].as_str().unwrap());
    newcomer::until("the file", || path.exists());
    (
        found["data"]["texts"]["en"].as_str().unwrap_or_default().to_owned(),
        std::fs::read_to_string(path).unwrap(),
    )
}

/// Runs of digits in a text, without the digests in it.
fn numbers(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| w.len() != 64);
    let digits = words.flat_map(|w| w.split(|c: char| !c.is_ascii_digit()));
    digits.filter(|d| !d.is_empty()).map(ToOwned::to_owned).collect()
}

/// The significant digits of all amounts in a store that have at least four of them.
fn amounts(store: &Path) -> BTreeSet<String> {
    let known = Store::open(store).unwrap().series(Date::constant(2022, 1, 1), &Filter::default()).unwrap();
    let mut amounts = BTreeSet::new();
    for series in known {
        for o in series.unwrap().months.into_iter().flatten() {
            for amount in [o.value, o.kg, o.quantity].into_iter().flatten() {
                let digits: String = format!("{amount}").chars().filter(char::is_ascii_digit).collect();
                amounts.insert(digits.trim_matches('0').to_owned());
            }
        }
    }
    amounts.retain(|digits| digits.len() >= 4);
    amounts
}

#[test]
fn a_question_is_asked_once_answered_once_and_tells_no_amount() {
    let (both, dialogue) = with_tables();
    let ask = ["--month", "2014-09", "--peer-economy", "JP"];

    // What would leave is shown to the byte, and nothing leaves.
    let before = both.held("motie", &dialogue);
    let shown = json(&both, "motie", &dialogue, &ask);
    let [question] = leaves(&shown) else { panic!("{shown}") };
    assert_eq!(question["sent"], Value::Null);
    let printed = turn(&both, "motie", &dialogue, &ask).ok();
    assert!(
        printed.out.contains("\"exporter\": \"TH\"") && printed.out.contains("Nothing was sent"),
        "{}",
        printed.out
    );
    assert_eq!(both.held("motie", &dialogue), before);

    let sent = json(&both, "motie", &dialogue, &[&ask[..], &["--send"]].concat());
    let asked = leaves(&sent)[0]["sent"].as_str().unwrap().to_owned();
    let again = json(&both, "motie", &dialogue, &[&ask[..], &["--send"]].concat());
    assert!(leaves(&again).is_empty() && notes(&again).contains("asked in entry"), "{again}");
    let (words, bytes) = said(&both, "meti", &dialogue, &asked);
    assert!(printed.out.contains(bytes.trim_end()), "what was shown is what came");
    assert_eq!(serde_json::from_str::<Value>(&bytes).unwrap(), question["message"]);

    // The peer answers for Korea only, because the desk says that this peer is Korea.
    both.settle(&dialogue);
    let shown = json(&both, "meti", &dialogue, &[]);
    assert!(notes(&shown).contains("asks as KR"), "{shown}");
    turn(&both, "meti", &dialogue, &["--send"]).refused(&["asks as KR", "--peer-economy KR"]);
    turn(&both, "meti", &dialogue, &["--send", "--peer-economy", "CN"])
        .refused(&[&asked[..12], "asks as KR"]);
    let shown = json(&both, "meti", &dialogue, &["--peer-economy", "KR"]);
    assert_eq!(leaves(&shown)[0]["sent"], Value::Null);
    let answer = ["--peer-economy", "KR", "--send"];
    let sent = json(&both, "meti", &dialogue, &answer);
    assert_eq!(leaves(&sent)[0]["message"], leaves(&shown)[0]["message"]);
    let answered = leaves(&sent)[0]["sent"].as_str().unwrap().to_owned();
    assert!(leaves(&json(&both, "meti", &dialogue, &answer)).is_empty(), "a question is answered once");

    // The asker learns that Japan's imports of integrated circuits from Thailand surge as well.
    both.settle(&dialogue);
    let (answer_words, answer_bytes) = said(&both, "motie", &dialogue, &answered);
    let read = turn(&both, "motie", &dialogue, &[]).ok();
    assert!(read.out.contains("HS 8542 from TH in 2014-09: surge – Joint"), "{}", read.out);
    let filed = json(&both, "motie", &dialogue, &[]);
    assert!(
        notes(&filed).contains("1 answers were filed before") && filed["came"].as_array().unwrap().is_empty()
    );

    no_amount(&both, [words, bytes, answer_words, answer_bytes]);
}

/// No number in what travelled is anything but an item, a month, a day or a count of claims; and no
/// amount of either table is in it, whatever its scale.
fn no_amount(both: &Ministries, texts: [String; 4]) {
    let claims = texts[1].matches("\"exporter\"").count().to_string();
    let known = [
        "1", "2014", "09", "2019", "07", "01", "8542", "882", "381800", "281111", "370790", "700231", &claims,
    ];
    let known: BTreeSet<String> = known.iter().map(|k| (*k).to_owned()).collect();
    let held: BTreeSet<String> =
        ["motie", "meti"].iter().flat_map(|node| amounts(&both.person.path(node).join("radar"))).collect();
    assert!(held.len() > 100_000, "both tables were looked at: {}", held.len());
    for text in &texts {
        let found = numbers(text);
        let is_amount = |n: &&String| held.contains(n.trim_matches('0')) && !known.contains(*n);
        assert_eq!(found.iter().find(is_amount), None, "an amount of a table is in {text}");
        assert!(found.is_subset(&known), "{:?} in {text}", found.difference(&known));
    }
}

#[test]
fn both_learn_what_both_see_and_of_the_rest_only_how_much_it_is() {
    let (both, dialogue) = with_tables();
    let motie = ["--psi", "--month", "2014-09", "--peer-economy", "JP"];
    let meti = ["--psi", "--month", "2014-09", "--peer-economy", "KR"];
    let send = |args: &[&'static str]| -> Vec<&'static str> { [args, &["--send"]].concat() };
    let mut sent = Vec::new();
    let mut go = |node: &str, args: &[&'static str]| {
        // What is shown first is what is sent then, to the byte.
        let shown = json(&both, node, &dialogue, args);
        let done = json(&both, node, &dialogue, &send(args));
        assert_eq!(leaves(&shown)[0]["message"], leaves(&done)[0]["message"]);
        let entry = leaves(&done)[0]["sent"].as_str().unwrap().to_owned();
        let again = json(&both, node, &dialogue, &send(args));
        assert!(leaves(&again).is_empty(), "each message is sent once: {again}");
        both.settle(&dialogue);
        let other = if node == "motie" { "meti" } else { "motie" };
        sent.push(said(&both, other, &dialogue, &entry));
        done
    };
    let offered = go("motie", &motie);
    let secrets = both.person.path("motie/radar/corroboration/secrets");
    let [secret] = &std::fs::read_dir(&secrets).unwrap().collect::<Vec<_>>()[..] else {
        panic!("one secret")
    };
    let mode = secret.as_ref().unwrap().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only its owner may read the secret");
    go("meti", &meti);
    let closed = go("motie", &motie);
    let learnt = json(&both, "meti", &dialogue, &meti);

    // The offer's entry names the exchange; both found the same.
    let expected = serde_json::json!([{
        "offer": leaves(&offered)[0]["sent"],
        "subjects": [{ "exporter": "TH", "item": "HS 8542", "month": "2014-09", "direction": "surge" }],
    }]);
    assert_eq!((&closed["both_see"], &learnt["both_see"]), (&expected, &expected));
    for node in ["motie", "meti"] {
        let secrets = both.person.path(&format!("{node}/radar/corroboration/secrets"));
        assert_eq!(
            std::fs::read_dir(secrets).unwrap().count(),
            0,
            "the secret is gone when the exchange has ended"
        );
    }
    // Points, digests and types are all that travelled.
    for (words, bytes) in &sent {
        let message: Value = serde_json::from_str(bytes).unwrap();
        for (field, value) in message.as_object().unwrap() {
            match field.as_str() {
                "type" => assert!(value.as_str().unwrap().starts_with("org.hiwar.psi.")),
                "to" => assert_eq!(value.as_str().unwrap().len(), 64),
                "mine" | "yours" => {
                    let hex = |p: &Value| hex::decode(p.as_str().unwrap()).unwrap().len() == 32;
                    assert!(value.as_array().unwrap().iter().all(hex));
                }
                other => panic!("the field {other} in {bytes}"),
            }
        }
        assert!(numbers(words).is_empty(), "{words}");
    }
    // The same is not compared again.
    let again = json(&both, "motie", &dialogue, &send(&motie));
    assert!(leaves(&again).is_empty() && notes(&again).contains("compared by the offer"), "{again}");
}

#[test]
fn wrong_answers_are_refused_and_the_entry_is_named() {
    let (both, dialogue) = with_tables();
    let sent = json(&both, "motie", &dialogue, &["--month", "2014-09", "--send"]);
    let asked = leaves(&sent)[0]["sent"].as_str().unwrap().to_owned();
    said(&both, "meti", &dialogue, &asked);
    let sent = json(&both, "meti", &dialogue, &["--peer-economy", "KR"]);
    let right = &leaves(&sent)[0]["message"];
    let media_type = "application/vnd.hiwar.corroboration.answers.v1+json";
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut answers = right.clone();
        change(&mut answers);
        let text = answers.to_string();
        std::fs::write(both.person.path("wrong.json"), text).unwrap();
        let attach = ["dialogue", "attach", &dialogue, "wrong.json", "--media-type", media_type];
        both.meti(&attach).ok().word()
    };
    let wrong = [
        (changed(&|a| a["to"] = "00".repeat(32).into()), "no question of this side"),
        (changed(&|a| a["answers"].as_array_mut().unwrap().clear()), "0 answers to"),
        (changed(&|a| a["answers"][0]["kg"] = 529_850.into()), "unknown field"),
        (
            changed(&|a| a["type"] = "org.hiwar.psi.hello.v1".into()),
            "expected org.hiwar.corroboration.answers.v1",
        ),
        (
            changed(&|a| {
                let one = a["answers"][0].clone();
                a["answers"] = vec![one; 4_097].into();
            }),
            "at most 4096",
        ),
    ];
    both.settle(&dialogue);
    for (entry, _) in &wrong {
        said(&both, "motie", &dialogue, entry);
    }
    let parts: Vec<&str> = wrong.iter().flat_map(|(entry, why)| [&entry[..12], *why]).collect();
    turn(&both, "motie", &dialogue, &[]).refused(&parts);
    // It was said; the next turn goes on.
    let next = turn(&both, "motie", &dialogue, &[]).ok();
    assert_eq!(next.out.matches("Refused: entry").count(), wrong.len(), "{}", next.out);
    // An answer that was taken back is none.
    both.meti(&["dialogue", "withdraw", &wrong[0].0]).ok();
    both.settle(&dialogue);
    let fewer = turn(&both, "motie", &dialogue, &[]).ok();
    assert_eq!(fewer.out.matches("Refused: entry").count(), wrong.len() - 1, "{}", fewer.out);
    // A stranger to the dialogue is no peer to ask.
    turn(&both, "motie", &dialogue, &["--psi"]).ok();
    let known = both.arrived("meti", &dialogue, &asked);
    assert!(!known.is_null());
    let args = [
        "radar",
        "corroborate",
        "did:web:nobody.example",
        "--dialogue",
        &dialogue,
        "--economy",
        "KR",
        "--node",
        "motie",
    ];
    both.person.hiwar(&args).refused(&["no peer of this node", "Ministry B"]);
}

#[test]
fn stores_whose_volumes_differ_a_thousandfold_ask_the_same_to_the_byte() {
    let person = Newcomer::new();
    let ask = |store: &str, scale: u64| {
        let mut table = String::from("period,reporter,partner,item,flow,value,unit,kg\n");
        for (item, last) in [("281111", 15), ("370790", 300), ("381800", 104), ("854232", 45)] {
            for n in 0..49 {
                let kg = if n == 48 { last } else { 100 + 4 * (n % 7) } * 1_000_000 * scale;
                table.push_str(&format!(
                    "{}-{:02},KR,JP,{item},import,{},USD,{kg}\n",
                    2015 + n / 12,
                    n % 12 + 1,
                    kg * 3
                ));
            }
        }
        std::fs::write(person.path("table.csv"), table).unwrap();
        person.hiwar(&["radar", "import", "table.csv", "--store", store, "--released", "2019-02-15"]).ok();
        let question = format!("{store}.json");
        let args = [
            "radar",
            "corroborate",
            "file",
            "ask",
            "--economy",
            "KR",
            "--month",
            "2019-01",
            "--as-of",
            "2019-03-01",
            "--store",
            store,
            "-o",
            &question,
        ];
        person.hiwar(&args).ok();
        std::fs::read_to_string(person.path(&question)).unwrap()
    };
    let small = ask("small", 1);
    assert_eq!(small.matches("\"exporter\"").count(), 3, "one of four is as usual: {small}");
    assert_eq!(small, ask("large", 1000));
}

#[test]
fn a_node_s_store_that_is_missing_or_damaged_is_named() {
    let (both, dialogue) = Ministries::talking();
    mount(&both.person, "motie", "elsewhere");
    let gone = both.person.path("motie/elsewhere");
    turn(&both, "motie", &dialogue, &["--month", "2014-09"]).refused(&["motie/elsewhere", "radar import"]);
    both.person.hiwar(&["radar", "scan", "--node", "motie"]).refused(&["motie/elsewhere", "radar_store"]);
    std::fs::create_dir(&gone).unwrap();
    std::fs::write(gone.join("00000001-00000001.seg"), b"no segment").unwrap();
    turn(&both, "motie", &dialogue, &["--month", "2014-09"]).refused(&["00000001-00000001.seg", "damaged"]);
    // A node can be made with its store; without one, the radar's own is used.
    let made = [
        "init",
        "third",
        "--name",
        "C",
        "--outbound-only",
        "--did",
        "did:web:c.example",
        "--radar-store",
        "r",
    ];
    both.person.hiwar(&made).ok();
    both.person.hiwar(&["radar", "scan", "--node", "third"]).refused(&["third/r"]);
    both.person.hiwar(&["radar", "scan", "--node", "meti"]).refused(&[".hiwar"]);
    both.person.hiwar(&["radar", "scan", "--node", "nowhere"]).refused(&["nowhere/hiwar.toml", "hiwar init"]);
}
