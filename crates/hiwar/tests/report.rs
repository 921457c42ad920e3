//! Firms report confidentially; the ministry releases a table that reveals none of them, with proofs.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use newcomer::{Ministries, Newcomer};
use serde_json::{Value, json};

fn design(person: &Newcomer) -> String {
    let content = json!({
        "agency": "KR_MOTIE", "dataset": "STOCK", "version": "1.0", "unit": "KGM", "sign": "non-negative",
        "dimensions": [
            { "id": "ITEM", "codes": [{ "code": "_T" }, { "code": "HF", "within": "_T" }, { "code": "NEON", "within": "_T" }] },
            { "id": "REGION", "codes": [{ "code": "_T" }, { "code": "SEOUL", "within": "_T" }, { "code": "BUSAN", "within": "_T" },
                { "code": "ULSAN", "within": "_T" }] },
        ],
        "rules": { "version": "2026-1", "minimum_frequency": 3, "frequency_range": "10", "p_percent": "10" },
    });
    write(person, "design.json", &content)
}

fn write(person: &Newcomer, name: &str, content: &Value) -> String {
    let path = person.path(name);
    std::fs::write(&path, content.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn prepared(person: &Newcomer, design: &str, firm: &str, value: &str, item: &str, region: &str) -> Value {
    let (item, region) = (format!("ITEM={item}"), format!("REGION={region}"));
    person
        .hiwar(&[
            "report", "prepare", "--design", design, "--period", "2026-03", "--firm", firm, "--value", value,
            &item, &region,
        ])
        .ok()
        .json()
}

/// One cell has a firm with nearly everything (p % rule), one has two firms only (minimum frequency); both are kept
/// back, and so are others from which they could be worked out.
const VALUES: [(&str, &str, &[&str]); 6] = [
    ("HF", "SEOUL", &["5000", "40", "30"]),
    ("HF", "BUSAN", &["500", "450", "300", "250"]),
    ("HF", "ULSAN", &["900", "800", "700", "650"]),
    ("NEON", "SEOUL", &["80", "70", "60", "50"]),
    ("NEON", "BUSAN", &["60", "45"]),
    ("NEON", "ULSAN", &["95", "85", "75", "66"]),
];

fn reports(person: &Newcomer, design: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for (item, region, values) in VALUES {
        for (number, value) in values.iter().enumerate() {
            all.push(prepared(person, design, &format!("firm {region} {number}"), value, item, region));
        }
    }
    all
}

#[test]
fn a_table_keeps_back_what_would_reveal_a_firm_and_proves_the_rest() {
    let person = Newcomer::new();
    let design = design(&person);
    let all = reports(&person, &design);
    let file = write(&person, "reports.json", &json!(all));
    let out = person.path("release");
    let out = out.to_str().unwrap();
    let release =
        ["report", "release", "--design", &design, "--period", "2026-03", "--reports", &file, "-o", out];
    let told = person.hiwar(&[&release[..], &["--format", "json"]].concat()).ok().json();
    assert_eq!(told["cells"], 12);
    assert!(told["primary"].as_u64().unwrap() >= 2, "{told}");
    assert!(told["secondary"].as_u64().unwrap() >= 2, "{told}");
    let table = std::fs::read_to_string(person.path("release").join("sdmx.csv")).unwrap();
    assert!(!table.contains("5070") && !table.contains("105"), "an unsafe total is in the table:\n{table}");
    for secret in ["firm", "5000", "\"40\"", "blinding"] {
        assert!(!table.contains(secret), "{secret} is in the table:\n{table}");
    }
    let proofs = person.path("release").join("proofs.json");
    let proofs = proofs.to_str().unwrap();
    person.hiwar(&["report", "verify", proofs]).ok().shows(&["totals are the sums of what was committed"]);
    let own = write(&person, "own.json", &all[3]);
    person.hiwar(&["report", "verify", proofs, "--report", &own]).ok().shows(&["the report is in _T _T"]);
    let stranger = prepared(&person, &design, "stranger", "5", "HF", "SEOUL");
    let stranger = write(&person, "stranger.json", &stranger);
    person.hiwar(&["report", "verify", proofs, "--report", &stranger]).refused(&["in none of them"]);
    // A forged total is found.
    let text = std::fs::read_to_string(proofs).unwrap();
    let mut forged: Value = serde_json::from_str(&text).unwrap();
    forged[0]["total"] = json!(forged[0]["total"].as_i64().unwrap() + 1);
    let forged = write(&person, "forged.json", &forged);
    person.hiwar(&["report", "verify", &forged]).refused(&["do not add up"]);
    // Too few firms in all: nothing is released.
    let few = write(&person, "few.json", &json!(&all[..2]));
    let other = person.path("few");
    let few = [
        "report",
        "release",
        "--design",
        &design,
        "--period",
        "2026-03",
        "--reports",
        &few,
        "-o",
        other.to_str().unwrap(),
    ];
    let done = person.hiwar(&few);
    assert!(done.code == 1 || done.out.contains(" 0 released"), "{done:?}");
    // A wrong report is told field by field.
    let mut wrong = all[0].clone();
    wrong["value"] = json!("many");
    let wrong = write(&person, "wrong.json", &wrong);
    let release =
        ["report", "release", "--design", &design, "--period", "2026-03", "--reports", &wrong, "-o", "no"];
    person.hiwar(&release).refused(&["wrong.json[0]: value: "]);
}

/// The firm's node sends its report to the ministry's node; whatever name the report gives, its sender is the firm.
#[test]
fn a_report_that_came_in_a_dialogue_counts_for_its_sender() {
    let (both, dialogue) = Ministries::talking();
    let person = &both.person;
    let design = design(person);
    let mut all = reports(person, &design);
    let own = all.remove(0);
    let file = write(person, "own.json", &own);
    let sent = both.motie(&["report", "send", &dialogue, &file]).ok().word();
    both.arrived("meti", &dialogue, &sent);
    let rest = write(person, "reports.json", &json!(all));
    let out = person.path("release");
    let release = ["report", "release", "--design", &design, "--period", "2026-03", "--dialogue", &dialogue];
    let release = [&release[..], &["--reports", &rest, "-o", out.to_str().unwrap()]].concat();
    both.meti(&release).ok().shows(&["12 cells from 21 reports"]);
    let proofs = out.join("proofs.json");
    both.motie(&["dialogue", "withdraw", &sent]).ok();
    person
        .hiwar(&["report", "verify", proofs.to_str().unwrap(), "--report", &file])
        .ok()
        .shows(&["the report is in _T _T"]);
}
