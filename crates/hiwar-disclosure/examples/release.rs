//! Writes a release of made-up reports into a folder: `structure.json`, `sdmx.csv`, `plain.csv`, `expected.json`.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "an example")]

use std::collections::BTreeMap;

use hiwar_disclosure::sdmx::{Kinds, structure_message, write, write_plain};
use hiwar_disclosure::{Blinding, Code, Context, Design, Report, Table, protect};
use serde_json::{Value, json};

fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let design = Design::read(&json!({ "agency": "KR_MOTIE", "dataset": "STOCK", "version": "1.0", "unit": "KGM",
        "sign": "non-negative",
        "dimensions": [
            { "id": "ITEM", "codes": [{ "code": "_T" }, { "code": "HF", "within": "_T" }, { "code": "NEON", "within": "_T" }] },
            { "id": "REGION", "codes": [{ "code": "_T" }, { "code": "CAP", "within": "_T" }, { "code": "SEOUL", "within": "CAP" },
                { "code": "GYEONGGI", "within": "CAP" }, { "code": "BUSAN", "within": "_T" }] }],
        "rules": { "version": "2026-1", "minimum_frequency": 3, "frequency_range": "10", "p_percent": "10" } }))
    .unwrap();
    let mut reports = Vec::new();
    let values: &[(&str, &str, &[i64])] = &[
        ("HF", "SEOUL", &[5000, 40, 30]),
        ("HF", "GYEONGGI", &[900, 800, 700, 650]),
        ("HF", "BUSAN", &[500, 450, 300, 250]),
        ("NEON", "SEOUL", &[80, 70, 60, 50]),
        ("NEON", "GYEONGGI", &[95, 85, 75, 66]),
        ("NEON", "BUSAN", &[60, 45, 35, 30]),
    ];
    let context = Context {
        dataset: "STOCK".parse().unwrap(),
        period: "2026-03".parse().unwrap(),
        unit: "KGM".parse().unwrap(),
    };
    for (item, region, values) in values {
        for (firm, value) in values.iter().enumerate() {
            // An example only: a firm takes 64 random bytes.
            let mut random = [0u8; 64];
            random.iter_mut().zip(format!("{item}{region}{firm}").bytes()).for_each(|(to, from)| *to = from);
            let blinding = Blinding::new(&random);
            let commitment = context.commit(*value, &blinding);
            let report = json!({ "firm": format!("firm-{region}-{firm}"), "dataset": "STOCK", "period": "2026-03", "unit": "KGM",
                "value": value, "dimensions": { "ITEM": item, "REGION": region },
                "commitment": commitment.to_hex(), "blinding": blinding.to_hex() });
            reports.push(Report::read(&report).unwrap());
        }
    }
    let table = Table::build(&design, context.period, &reports, &BTreeMap::new()).unwrap();
    let release = protect(&table).unwrap();
    let total: Vec<Code> = vec!["_T".parse().unwrap(), "_T".parse().unwrap()];
    let proof = release.prove(table.find(&total).unwrap()).unwrap();
    let rows: Vec<Value> = release
        .rows()
        .iter()
        .map(|row| {
            let codes: Vec<&str> = row.codes.iter().map(Code::as_str).collect();
            json!({ "codes": codes, "value": row.value.ok() })
        })
        .collect();
    let save = |name: &str, text: String| std::fs::write(format!("{folder}/{name}"), text).unwrap();
    save("structure.json", structure_message(&design, "2026-04-01T00:00:00Z"));
    save("sdmx.csv", write(&release, Kinds::Hidden).unwrap());
    save("plain.csv", write_plain(&release, Kinds::Told).unwrap());
    save("expected.json", json!(rows).to_string());
    save("proof.json", proof.to_json().to_string());
}
