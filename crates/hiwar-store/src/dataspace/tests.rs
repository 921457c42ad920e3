use hiwar_dataspace::catalog::{Dataset, Filter, PULL, PUSH};
use hiwar_dataspace::policy::{Offer, Policy};
use hiwar_trust::time::Timestamp;

use super::*;

mod catalog;
mod issuance;
mod jobs;
mod ledger;

fn policy() -> Policy {
    serde_json::from_value(serde_json::json!({ "permission": [{ "action": "use" }] })).unwrap()
}

fn dataset(number: u64) -> Dataset {
    const WORDS: [&str; 7] = ["hydrogen", "fluoride", "wafer", "Größe", "半導体", "NOT", "near"];
    let word = |at: u64| WORDS[usize::try_from(at % 7).unwrap()];
    Dataset {
        id: format!("urn:data:{}:{number}", number % 13),
        title: format!("{} report {}", word(number), number % 200),
        description: (!number.is_multiple_of(3))
            .then(|| format!("On {} and \"{}\"", word(number / 7), word(number / 11))),
        keywords: (0..number % 4).map(|k| format!("hs:{:04}", (number + k * 17) % 300)).collect(),
        offer: Offer::new(format!("offer-{number}"), policy()),
        formats: if number.is_multiple_of(5) { vec![PULL.into(), PUSH.into()] } else { vec![PULL.into()] },
        media_type: None,
        byte_size: Some(number),
        sha256: None,
        issued: Timestamp::from_millis(1_700_000_000_000),
    }
}

fn key(number: u64) -> String {
    format!("policy-{}", number % 3)
}

fn put(store: &mut DataspaceStore, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        let made = dataset(number);
        let rendered = made.to_json("service").to_string();
        store.job(|tx| tx.put_dataset(&made, &rendered, &key(number), "{\"path\":\"x\"}")).unwrap();
    }
    store.commit().unwrap();
}

fn filter(text: serde_json::Value) -> Filter {
    Filter::read(text.as_array().unwrap()).unwrap()
}
