//! Disclosure control: firms' reports, designs, releases of peers, proofs.

use hiwar_disclosure::sdmx::Received;
use hiwar_disclosure::{Blinding, Context, Design, Proof, Report};
use serde_json::{Value, json};

use super::{answered, text};

fn value(data: &[u8]) -> Option<Value> {
    serde_json::from_slice(data).ok()
}

/// A firm's report, and whether it fits a design.
pub fn disclosure_report(data: &[u8]) {
    let Some(value) = value(data) else { return };
    let read = Report::read(&value);
    answered(&read);
    if let (Ok(report), Ok(design)) = (read, Design::read(&design())) {
        answered(&report.place(&design, report.period));
    }
}

/// With and without a commitment.
pub fn disclosure_report_seeds() -> Vec<Vec<u8>> {
    let blinding = Blinding::new(&[7; 64]);
    let commitment = context().map(|context| context.commit(12, &blinding).to_hex());
    let plain = json!({ "firm": "did:web:firm.example", "dataset": "STOCK", "period": "2026-03", "unit": "KGM", "value": 12,
        "dimensions": { "ITEM": "HF" }, "status": "E" });
    let mut committed = plain.clone();
    committed["commitment"] = json!(commitment);
    committed["blinding"] = json!(blinding.to_hex());
    [plain, committed].map(|value| value.to_string().into_bytes()).to_vec()
}

/// A release's design.
pub fn disclosure_design(data: &[u8]) {
    let Some(value) = value(data) else { return };
    answered(&Design::read(&value));
}

/// One with all kinds of rules.
pub fn disclosure_design_seeds() -> Vec<Vec<u8>> {
    vec![design().to_string().into_bytes()]
}

/// A release in SDMX-CSV: what is read is written so that it is read the same.
pub fn disclosure_sdmx(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let read = Received::read(text);
    answered(&read);
    let Ok(received) = read else { return };
    let again = received.write().map(|text| Received::read(&text));
    assert!(again.is_ok_and(|again| again.as_ref() == Ok(&received)), "written and read differently");
}

/// A value and a gap.
pub fn disclosure_sdmx_seeds() -> Vec<Vec<u8>> {
    let head =
        "STRUCTURE,STRUCTURE_ID,ACTION,ITEM,TIME_PERIOD,OBS_VALUE,OBS_STATUS,CONF_STATUS,UNIT_MEASURE\r\n";
    let rows = "datastructure,KR:STOCK(1.0),R,_T,2026-Q1,12,A,F,KGM\r\ndatastructure,KR:STOCK(1.0),R,HF,2026-Q1,,Q,C,KGM\r\n";
    vec![format!("{head}{rows}").into_bytes()]
}

/// A proof: what is read is written the same, and it holds or not without a panic.
pub fn disclosure_proof(data: &[u8]) {
    let Some(value) = value(data) else { return };
    let read = Proof::read(&value);
    answered(&read);
    let Ok(proof) = read else { return };
    answered(&proof.verify());
    assert_eq!(Proof::read(&proof.to_json()), Ok(proof), "written and read differently");
}

/// One that holds, of a single commitment.
pub fn disclosure_proof_seeds() -> Vec<Vec<u8>> {
    let blinding = Blinding::new(&[7; 64]);
    let commitment = context().map(|context| context.commit(12, &blinding).to_hex());
    let proof = json!({ "type": hiwar_disclosure::proof::PROOF, "dataset": "STOCK", "period": "2026-03", "unit": "KGM",
        "cell": ["_T"], "total": 12, "blinding": blinding.to_hex(), "commitments": [commitment] });
    vec![proof.to_string().into_bytes()]
}

fn context() -> Option<Context> {
    let (dataset, period, unit) = ("STOCK".parse().ok()?, "2026-03".parse().ok()?, "KGM".parse().ok()?);
    Some(Context { dataset, period, unit })
}

fn design() -> Value {
    json!({ "agency": "KR", "dataset": "STOCK", "version": "1.0", "unit": "KGM", "sign": "non-negative",
        "dimensions": [{ "id": "ITEM", "codes": [{ "code": "_T" }, { "code": "HF", "within": "_T" }, { "code": "NEON", "within": "_T" }] }],
        "rules": { "version": "1", "minimum_frequency": 3, "frequency_range": "10", "p_percent": "10",
            "prior_posterior": { "p": "10", "q": "50" }, "dominance": [{ "n": 2, "k": "85" }] } })
}
