//! How long a table of about 5,000 cells and three dimensions takes: `cargo run --release -p hiwar-disclosure --example measure`.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "an example")]

use std::collections::BTreeMap;
use std::time::Instant;

use hiwar_disclosure::{Design, Report, Table, protect};
use serde_json::{Value, json};

/// A dimension with groups of `width` leaves.
fn dimension(id: &str, groups: usize, width: usize) -> Value {
    let mut codes = vec![json!({ "code": "_T" })];
    for group in 0..groups {
        codes.push(json!({ "code": format!("G{group}"), "within": "_T" }));
        codes.extend(
            (0..width)
                .map(|leaf| json!({ "code": format!("G{group}L{leaf}"), "within": format!("G{group}") })),
        );
    }
    json!({ "id": id, "codes": codes })
}

fn main() {
    let design = Design::read(&json!({ "agency": "KR", "dataset": "STOCK", "version": "1.0", "unit": "KGM",
        "sign": "non-negative",
        "dimensions": [dimension("ITEM", 5, 5), dimension("REGION", 3, 3), dimension("COUNTERPART", 3, 3)],
        "rules": { "version": "1", "minimum_frequency": 3, "frequency_range": "10", "p_percent": "10",
            "dominance": [{ "n": 2, "k": "85" }] } }))
    .unwrap();
    for firms in [40u64, 120, 400] {
        // A generator of its own (Lehmer), so that the table is always the same.
        let mut seed = 12_345u64;
        let mut random = |most: u64| {
            seed = seed * 48_271 % 2_147_483_647;
            seed % most
        };
        let mut reports = BTreeMap::new();
        for firm in 0..firms {
            for _ in 0..40 {
                let (i, r, c) = (random(25), random(9), random(9));
                // Sizes over several powers of ten, as firms have them.
                let value = (random(1000) + 1) * 10u64.pow(u32::try_from(random(4)).unwrap());
                let dimensions = json!({ "ITEM": format!("G{}L{}", i / 5, i % 5), "REGION": format!("G{}L{}", r / 3, r % 3),
                    "COUNTERPART": format!("G{}L{}", c / 3, c % 3) });
                let report = json!({ "firm": format!("F{firm}"), "dataset": "STOCK", "period": "2026-03", "unit": "KGM",
                    "value": value, "dimensions": dimensions });
                reports.insert((firm, i, r, c), Report::read(&report).unwrap());
            }
        }
        let reports: Vec<Report> = reports.into_values().collect();
        let started = Instant::now();
        let table = Table::build(&design, "2026-03".parse().unwrap(), &reports, &BTreeMap::new()).unwrap();
        let built = started.elapsed();
        let unsafe_cells = table.cells().filter(|(id, _)| table.unsafe_by(*id).is_some()).count();
        let release = protect(&table);
        let cells = table.cells().count();
        match release {
            Ok(release) => {
                let gaps = release.rows().iter().filter(|row| row.value.is_err()).count();
                println!(
                    "{} reports, {cells} cells: {unsafe_cells} unsafe, {gaps} gaps; table {built:.1?}, all {:.1?}",
                    reports.len(),
                    started.elapsed()
                );
            }
            Err(refusal) => println!("{} reports: {refusal} after {:.1?}", reports.len(), started.elapsed()),
        }
    }
}
