//! What a conformance kit needs: datasets, agreements, rules and two addresses to begin processes.
//! Only with the test switch `dataspace.conformance`.

use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hiwar_dataspace::catalog::Dataset;
use hiwar_dataspace::connector::{NewNegotiation, NewTransfer};
use hiwar_dataspace::ledger::{Contract, Ledger as _, Statement};
use hiwar_dataspace::negotiation::Role;
use hiwar_dataspace::policy::{Agreement, Offer, Policy};
use hiwar_dataspace::rules::{ConsumerRule, ConsumerSequence, ProviderRule, ProviderSequence, Rules};
use hiwar_trust::time::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Dataspace;
use super::endpoints::{Failed, SERVICE, caller};
use crate::clock::now;
use crate::node::Shared;

/// The file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixture {
    pause_ms: i64,
    pub(crate) caller: KitCaller,
    format: String,
    datasets: Vec<FixtureDataset>,
    agreements: Vec<FixtureAgreement>,
    rules: FixtureRules,
    /// Requests for credentials that a kit answers without having received them.
    #[serde(default)]
    pub(crate) claims_requests: Vec<crate::claims::StandingRequest>,
    /// A query for credentials beyond its access token's scopes is refused: the kit's release candidates
    /// want that, the final protocol an answer with less in it.
    #[serde(default)]
    pub(crate) claims_refuse_beyond_scopes: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct KitCaller {
    pub(crate) participant: String,
    pub(crate) bearer: String,
}

#[derive(Clone, Debug, Deserialize)]
struct FixtureDataset {
    id: String,
    offer: String,
    title: String,
    policy: Value,
}

#[derive(Clone, Debug, Deserialize)]
struct FixtureAgreement {
    id: String,
    dataset: String,
    provider: String,
    consumer: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FixtureRules {
    provider_negotiation: Vec<OfDataset<ProviderRule>>,
    consumer_negotiation: Vec<OfDataset<ConsumerRule>>,
    provider_transfer: Vec<OfAgreement<ProviderSequence>>,
    consumer_transfer: Vec<OfAgreement<ConsumerSequence>>,
}

#[derive(Clone, Debug, Deserialize)]
struct OfDataset<T> {
    dataset: String,
    #[serde(flatten)]
    rule: T,
}

#[derive(Clone, Debug, Deserialize)]
struct OfAgreement<T> {
    agreement: String,
    #[serde(flatten)]
    rule: T,
}

impl Fixture {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
        serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))
    }

    pub(crate) fn rules(&self) -> Rules {
        let rules = self.rules.clone();
        Rules {
            pause_ms: self.pause_ms,
            token_life_ms: None,
            provider: rules.provider_negotiation.into_iter().map(|r| (r.dataset, r.rule)).collect(),
            consumer: rules.consumer_negotiation.into_iter().map(|r| (r.dataset, r.rule)).collect(),
            provider_transfer: rules.provider_transfer.into_iter().map(|r| (r.agreement, r.rule)).collect(),
            consumer_transfer: rules.consumer_transfer.into_iter().map(|r| (r.agreement, r.rule)).collect(),
        }
    }

    fn dataset(&self, made: &FixtureDataset, issued: Timestamp) -> Result<Dataset, String> {
        let policy =
            Policy::from_value(made.policy.clone()).map_err(|e| format!("dataset {}: {e}", made.id))?;
        Ok(Dataset {
            id: made.id.clone(),
            title: made.title.clone(),
            description: None,
            keywords: Vec::new(),
            offer: Offer::new(made.offer.clone(), policy),
            formats: vec![self.format.clone()],
            media_type: None,
            byte_size: None,
            sha256: None,
            issued,
        })
    }

    fn contract(&self, me: &str, made: &FixtureAgreement, agreed: Timestamp) -> Result<Contract, String> {
        let policy =
            Policy::from_value(json!({ "permission": [{ "action": "use" }] })).map_err(|e| e.to_string())?;
        let named = |who: &str| if who == "self" { me.to_owned() } else { who.to_owned() };
        let (assigner, assignee) = (named(&made.provider), named(&made.consumer));
        let role = if assigner == me { Role::Provider } else { Role::Consumer };
        Ok(Contract {
            counterparty: if role == Role::Provider { assignee.clone() } else { assigner.clone() },
            agreement: Agreement {
                id: made.id.clone(),
                target: made.dataset.clone(),
                assigner,
                assignee,
                timestamp: Some(agreed),
                policy,
            },
            role,
            address: String::new(),
            negotiation: String::new(),
            agreed,
            statement: Statement::default(),
            transfers: 0,
            ended: None,
        })
    }

    /// Puts everything into the store.
    pub(crate) async fn install(self, dataspace: &Arc<Dataspace>) -> Result<(), String> {
        let me = dataspace.connector.participant.clone();
        let at = now();
        let mut datasets = Vec::new();
        for made in &self.datasets {
            datasets.push(self.dataset(made, at)?);
        }
        let mut contracts = Vec::new();
        for made in &self.agreements {
            contracts.push(self.contract(&me, made, at)?);
        }
        let installed = dataspace.desk.run(move |tx| {
            for dataset in &datasets {
                let rendered = dataset.to_json(SERVICE).to_string();
                tx.put_dataset(dataset, &rendered, &dataset.offer.policy.meaning(), "{}")?;
            }
            for contract in &contracts {
                tx.put_contract(contract)?;
            }
            Ok(())
        });
        installed.await.map_err(|refusal| refusal.reason)
    }
}

/// What the kit sends to begin a negotiation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InitiateNegotiation {
    provider_id: String,
    offer_id: String,
    dataset_id: String,
    connector_address: String,
}

/// What the kit sends to begin a transfer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InitiateTransfer {
    agreement_id: String,
    format: String,
    connector_address: String,
}

/// Begins a negotiation as consumer.
pub(crate) async fn negotiation(
    State(shared): State<Arc<Shared>>,
    headers: axum::http::HeaderMap,
    Json(wanted): Json<InitiateNegotiation>,
) -> Result<Response, Failed> {
    let dataspace = shared.dataspace().clone();
    caller(&shared, &headers).await?;
    let policy = Policy::from_value(json!({ "permission": [{ "action": "use" }] }))
        .map_err(|e| Failed::internal(e.to_string()))?;
    let new = NewNegotiation {
        provider: wanted.provider_id,
        address: wanted.connector_address,
        offer: Offer::new(wanted.offer_id, policy).about(wanted.dataset_id.clone()),
        dataset: wanted.dataset_id,
        statement: Statement::default(),
    };
    let (connector, moment) = (dataspace.connector.clone(), dataspace.moment()?);
    let begun = dataspace.desk.run(move |tx| connector.begin_negotiation(tx, new, moment)).await?;
    Ok(Json(json!({ "consumerPid": begun.process.pid })).into_response())
}

/// Begins a transfer as consumer.
pub(crate) async fn transfer(
    State(shared): State<Arc<Shared>>,
    headers: axum::http::HeaderMap,
    Json(wanted): Json<InitiateTransfer>,
) -> Result<Response, Failed> {
    let dataspace = shared.dataspace().clone();
    caller(&shared, &headers).await?;
    let new = NewTransfer {
        agreement: wanted.agreement_id,
        format: wanted.format,
        address: None,
        statement: Statement::default(),
        provider_address: Some(wanted.connector_address),
    };
    let (connector, moment) = (dataspace.connector.clone(), dataspace.moment()?);
    let begun = dataspace.desk.run(move |tx| connector.begin_transfer(tx, new, moment)).await?;
    Ok(Json(json!({ "consumerPid": begun.process.pid })).into_response())
}

/// Lets in whoever a DSP endpoint would let in, and does nothing else: the kit's trigger.
pub(crate) async fn verifier(
    State(shared): State<Arc<Shared>>,
    headers: axum::http::HeaderMap,
) -> Result<axum::http::StatusCode, Failed> {
    let known = caller(&shared, &headers).await.inspect_err(|refused| {
        tracing::info!(?refused, "the kit's caller is not let in");
    })?;
    tracing::info!(caller = known.id, "the kit's caller is let in");
    Ok(axum::http::StatusCode::NO_CONTENT)
}
