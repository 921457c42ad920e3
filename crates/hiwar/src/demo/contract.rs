//! A table under a contract: the Korean ministry offers its imports of July 2019 under terms, the
//! Japanese one negotiates for them and pulls them, and both logs say so.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hiwar::api_client::ApiClient;
use hiwar_trust::hash::Hash;
use serde_json::{Value, json};

use super::cast::must;
use super::play::Stage;
use super::script::{Party, file};
use crate::commands::{list, text};

/// The table that is offered.
pub(super) const TABLE: &str = "korea-imports-2019-07.csv";
/// Its terms, in the short form.
const TERMS: &str = r#"{ "permit": { "use": { "purposes": ["supply-chain-monitoring"] } } }"#;
/// The purpose that the consumer states.
const PURPOSE: &str = "supply-chain-monitoring";
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);
/// The same for the node's API, in milliseconds.
const WAIT_MS: u64 = 30_000;

const PROVIDER: Party = Party::Motie;
const CONSUMER: Party = Party::Meti;

/// What came of it.
#[derive(Clone, Debug)]
pub(super) struct Contract {
    pub(super) agreement: String,
    /// From the request until the consumer knew that the negotiation is final.
    pub(super) negotiated: Duration,
    /// SHA-256 and bytes of what arrived.
    pub(super) arrived: (String, u64),
    /// The digests of the documents about the agreement in the two logs.
    pub(super) agreement_logged: Vec<String>,
    /// The digest of the content, as the consumer's log says it.
    pub(super) transfer_logged: String,
}

impl Contract {
    /// Whether both said the same, and what arrived is what was offered and what the log says.
    pub(super) fn holds(&self) -> bool {
        let offered =
            file(TABLE).map(|content| (Hash::of(content.as_bytes()).to_string(), content.len() as u64));
        let same = self.agreement_logged.len() == 2
            && self.agreement_logged.windows(2).all(|w| w.first() == w.last());
        same && offered.as_ref() == Some(&self.arrived) && self.transfer_logged == self.arrived.0
    }
}

/// Carries the table.
pub(super) async fn carry(stage: &Stage<'_>) -> anyhow::Result<Contract> {
    let cast = &stage.cast;
    let dialogue = open_dialogue(stage).await?;
    let provider = cast.actor(PROVIDER)?;
    let path = provider.dir().join(TABLE);
    std::fs::write(&path, file(TABLE).context("the table is not built in")?)?;
    let offering = json!({
        "title": "Imports of Korea, July 2019", "keywords": ["hs:2811", "hs:3707"], "media_type": "text/csv",
        "terms": TERMS, "path": std::path::absolute(&path)?,
    });
    let offered = provider.client().post("/api/v1/data/datasets", &offering).await?;
    let dataset = text(&offered, "/id").to_owned();
    let consumer = cast.client(CONSUMER)?;
    let begun = Instant::now();
    let wanted = json!({ "peer": provider.did, "dataset": dataset, "purpose": PURPOSE, "wait_ms": WAIT_MS });
    let negotiation = consumer.post("/api/v1/data/negotiations", &wanted).await?;
    let negotiated = begun.elapsed();
    ensure!(text(&negotiation, "/state") == "FINALIZED", "the negotiation did not end well: {negotiation}");
    let agreement = text(&negotiation, "/agreement/@id").to_owned();
    let wanted = json!({ "agreement": agreement, "purpose": PURPOSE, "wait_ms": WAIT_MS });
    let pulled = consumer.post("/api/v1/data/pulls", &wanted).await?;
    let arrived = (text(&pulled, "/sha256").to_owned(), pulled["bytes"].as_u64().unwrap_or_default());
    let mut agreement_logged = Vec::new();
    for party in [PROVIDER, CONSUMER] {
        let entry = logged(cast.client(party)?, "agreements").await?;
        ensure!(text(&entry, "/entry/dialogue") == dialogue, "the agreement stands in another dialogue");
        agreement_logged.push(text(&entry, "/entry/attachments/0/sha256").to_owned());
    }
    let transfer = logged(consumer, "transfers").await?;
    let document = consumer.file(text(&transfer, "/entry/attachments/0/sha256"), 1 << 20).await?;
    let document: Value = serde_json::from_slice(&document.context("the transfer's document is missing")?)?;
    let transfer_logged = text(&document, "/sha256").to_owned();
    Ok(Contract { agreement, negotiated, arrived, agreement_logged, transfer_logged })
}

/// The entry that says the only agreement or transfer of a node, once there is one.
async fn logged(client: &ApiClient, what: &str) -> anyhow::Result<Value> {
    let path = format!("/api/v1/data/{what}");
    let first = async || anyhow::Ok(list(&client.get(&path).await?, &format!("/{what}")).first().cloned());
    must("the log to say it", LIMIT, async || Ok(first().await?.is_some_and(|f| f["entry"].is_string())))
        .await?;
    let found = first().await?.unwrap_or_default();
    client.get(&format!("/api/v1/entries/{}", text(&found, "/entry"))).await
}

/// A dialogue of the two: what they agree on is nobody else's business.
async fn open_dialogue(stage: &Stage<'_>) -> anyhow::Result<String> {
    let script = stage.script;
    let title = json!({
        "en": "Trade tables under contract", "ko": "계약에 따른 무역 통계표",
        "ja": "契約に基づく貿易統計表", "ar": "جداول التجارة بموجب اتفاق",
    });
    let body = json!({ "title": title, "arrangement": script.arrangement, "cap": script.cap });
    stage.cast.open_for_two((PROVIDER, CONSUMER), body).await
}
