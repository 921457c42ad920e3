//! The Dataspace Protocol: what a connector of a stranger, or its policy, may send.

use hiwar_dataspace::catalog::Filter;
use hiwar_dataspace::policy::{
    Agreement, MessageOffer, Offer, Participant, Phase, Policy, Request, Terms, cannot_keep, evaluate,
    next_change, permits,
};
use hiwar_dataspace::wire::{
    AgreementMessage, CatalogRequest, CompletionMessage, DataAddress, EventMessage, Message,
    NegotiationStatus, NegotiationTermination, OfferMessage, OfferedDataset, RequestMessage, SeenCatalog,
    StartMessage, SuspensionMessage, TransferRequest, TransferStatus, TransferTermination, VERSION,
    VerificationMessage, VersionResponse, json as read_json,
};
use hiwar_trust::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::answered;

const CONTEXT: &str = hiwar_dataspace::wire::CONTEXT;
const NOW_MS: i64 = 1_800_000_000_000;

/// What was read is written as the schema says, and read again it is the same.
fn message<M: Message + Serialize>(data: &[u8]) {
    let read = M::read(data);
    answered(&read);
    let Ok(read) = read else { return };
    let written = serde_json::to_vec(&read).unwrap_or_default();
    let again = M::read(&written);
    assert!(again.is_ok(), "what is written is not read: {:?}", again.err());
    let twice = again.map(|again| serde_json::to_vec(&again).unwrap_or_default());
    assert_eq!(twice.as_ref(), Ok(&written), "written and read differently");
}

/// Every message and answer of a negotiation.
pub fn dsp_negotiation(data: &[u8]) {
    message::<RequestMessage>(data);
    message::<OfferMessage>(data);
    message::<AgreementMessage>(data);
    message::<VerificationMessage>(data);
    message::<EventMessage>(data);
    message::<NegotiationTermination>(data);
    message::<NegotiationStatus>(data);
}

/// One of each.
pub fn dsp_negotiation_seeds() -> Vec<Vec<u8>> {
    let mut offer =
        json!({ "@id": "urn:o", "@type": "Offer", "target": "urn:d", "assigner": "did:web:a.example" });
    offer["permission"] = policy_value()["permission"].clone();
    let mut agreement = offer.clone();
    agreement["@type"] = json!("Agreement");
    agreement["assignee"] = json!("did:web:b.example");
    agreement["timestamp"] = json!("2019-07-01T00:00:00Z");
    seeds([
        json!({ "@type": "ContractRequestMessage", "@id": "urn:m", "offer": offer, "callbackAddress": "https://b.example/dsp",
            "hiwar:purpose": "supply-chain-monitoring", "hiwar:marking": "TLP:AMBER" }),
        json!({ "@type": "ContractRequestMessage", "offer": offer }),
        json!({ "@type": "ContractOfferMessage", "offer": offer }),
        json!({ "@type": "ContractAgreementMessage", "agreement": agreement }),
        json!({ "@type": "ContractAgreementVerificationMessage" }),
        json!({ "@type": "ContractNegotiationEventMessage", "eventType": "ACCEPTED" }),
        json!({ "@type": "dspace:ContractNegotiationEventMessage", "dspace:eventType": "dspace:FINALIZED" }),
        json!({ "@type": "ContractNegotiationTerminationMessage", "code": "policy", "reason": ["no", { "message": "why" }] }),
        json!({ "@type": "ContractNegotiation", "state": "REQUESTED" }),
    ])
}

/// Adds what every message has.
fn seeds<const N: usize>(messages: [Value; N]) -> Vec<Vec<u8>> {
    let made = messages.into_iter().map(|mut message| {
        message["@context"] = json!([CONTEXT]);
        message["consumerPid"] = json!("urn:uuid:1");
        message["providerPid"] = json!("urn:uuid:2");
        message.to_string().into_bytes()
    });
    made.collect()
}

/// Every message and answer of a transfer.
pub fn dsp_transfer(data: &[u8]) {
    message::<TransferRequest>(data);
    message::<StartMessage>(data);
    message::<SuspensionMessage>(data);
    message::<CompletionMessage>(data);
    message::<TransferTermination>(data);
    message::<TransferStatus>(data);
}

/// One of each.
pub fn dsp_transfer_seeds() -> Vec<Vec<u8>> {
    seeds([
        json!({ "@type": "TransferRequestMessage", "agreementId": "urn:a", "format": "HttpData-PULL",
            "callbackAddress": "https://b.example/dsp" }),
        json!({ "@type": "TransferRequestMessage", "agreementId": "urn:a", "format": "HttpData-PUSH",
            "callbackAddress": "https://b.example/dsp", "dataAddress": address() }),
        json!({ "@type": "TransferStartMessage", "dataAddress": address() }),
        json!({ "@type": "TransferStartMessage" }),
        json!({ "@type": "TransferSuspensionMessage", "code": "pause", "reason": ["later"] }),
        json!({ "@type": "TransferCompletionMessage" }),
        json!({ "@type": "TransferTerminationMessage", "code": "policy", "reason": [{ "@value": "no" }] }),
        json!({ "@type": "TransferProcess", "state": "STARTED" }),
    ])
}

fn address() -> Value {
    let property =
        |name: &str, value: &str| json!({ "@type": "EndpointProperty", "name": name, "value": value });
    json!({ "@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
        "endpoint": "https://a.example/data/1",
        "endpointProperties": [property("authorization", "abc"), property("authType", "bearer"),
            property("https://w3id.org/edc/v0.0.1/ns/refreshToken", "def")] })
}

/// A request for the catalog, with its filter.
pub fn dsp_catalog_request(data: &[u8]) {
    message::<CatalogRequest>(data);
    let Ok(request) = CatalogRequest::read(data) else { return };
    answered(&Filter::read(&request.filter));
}

/// Filters of both grammars.
pub fn dsp_catalog_request_seeds() -> Vec<Vec<u8>> {
    let filters = [
        json!([]),
        json!(["hydrogen fluoride"]),
        json!([{ "field": "keyword", "operator": "eq", "value": "hs:281111" }, { "field": "id", "operator": "in", "value": ["a", "b"] }]),
        json!([{ "field": "title", "operator": "startsWith", "value": "Imports" }, { "field": "text", "operator": "words", "value": "x y" }]),
        json!([{ "@type": "QuerySpec", "filterExpression": [
            { "operandLeft": "https://w3id.org/edc/v0.0.1/ns/id", "operator": "=", "operandRight": "a" }] }]),
    ];
    seeds(filters.map(|filter| json!({ "@type": "CatalogRequestMessage", "filter": filter })))
}

/// A catalog of a stranger, and a dataset alone.
pub fn dsp_catalog(data: &[u8]) {
    let Ok(value) = read_json(data) else { return };
    let catalog = SeenCatalog::from_value(&value);
    answered(&catalog);
    if let Ok((_, unread)) = catalog {
        for error in unread {
            answered::<(), _>(&Err(error));
        }
    }
    let dataset = OfferedDataset::from_value(&value);
    answered(&dataset);
    if let Ok(dataset) = dataset {
        assert_eq!(dataset.raw, value);
    }
}

/// A catalog inside of a catalog, and a dataset.
pub fn dsp_catalog_seeds() -> Vec<Vec<u8>> {
    let mut offer = policy_value();
    offer["@id"] = json!("urn:o");
    offer["@type"] = json!("Offer");
    let dataset = json!({ "@id": "urn:d", "@type": "Dataset", "title": [{ "@value": "A table", "@language": "en" }],
        "hasPolicy": [offer], "distribution": [{ "@type": "Distribution", "format": "HttpData-PULL", "accessService": "urn:s" }] });
    seeds([
        json!({ "@type": "Catalog", "@id": "urn:c", "participantId": "did:web:a.example", "dataset": [dataset],
            "catalog": [{ "@type": "Catalog", "@id": "urn:n", "dataset": [dataset, { "@id": 7 }] }] }),
        dataset,
    ])
}

/// A data address alone.
pub fn dsp_data_address(data: &[u8]) {
    let Ok(value) = read_json(data) else { return };
    let read = DataAddress::from_value(&value);
    answered(&read);
    let Ok(read) = read else { return };
    let told = format!("{read:?}");
    for property in read.endpoint_properties.iter().filter(|p| p.value.len() > 16) {
        let named = read.endpoint_properties.iter().any(|p| p.name.contains(&property.value))
            || read.endpoint_type.contains(&property.value)
            || read.endpoint.as_ref().is_some_and(|e| e.contains(&property.value));
        assert!(named || !told.contains(&property.value), "a secret is in a log");
    }
    let written = serde_json::to_value(&read).unwrap_or_default();
    assert_eq!(DataAddress::from_value(&written).as_ref(), Ok(&read));
}

/// An address with a token.
pub fn dsp_data_address_seeds() -> Vec<Vec<u8>> {
    vec![address().to_string().into_bytes()]
}

/// A version document.
pub fn dsp_version(data: &[u8]) {
    let read = VersionResponse::read(data);
    answered(&read);
    let Ok(read) = read else { return };
    answered(&read.path_of(VERSION));
    let written = serde_json::to_vec(&read).unwrap_or_default();
    assert_eq!(VersionResponse::read(&written).as_ref(), Ok(&read));
}

/// Two versions.
pub fn dsp_version_seeds() -> Vec<Vec<u8>> {
    let document = json!({ "protocolVersions": [
        { "version": "2025-1", "path": "/dsp/2025-1", "binding": "HTTPS", "identifierType": "did:web",
          "serviceId": "did:web:a.example", "auth": { "protocol": "DCP", "version": "1.0", "profile": ["vc20-bssl/jwt"] } },
        { "version": "2024-1", "path": "/dsp/2024-1", "binding": "HTTPS" }] });
    vec![document.to_string().into_bytes()]
}

/// A policy, alone and as offer and agreement; it is written the same, and can be asked.
pub fn dsp_policy(data: &[u8]) {
    let read = hiwar_dataspace::policy::read(data);
    answered(&read);
    if let Ok(policy) = &read {
        let again = Policy::from_value(policy.to_value()).map(|again| again.meaning());
        assert_eq!(again, Ok(policy.meaning()), "written and read differently");
        asked(policy);
    }
    let Ok(value) = read_json(data) else { return };
    let offer = Offer::from_value(value.clone());
    answered(&offer);
    if let Ok(offer) = offer {
        assert_eq!(Offer::from_value(offer.to_value()).as_ref(), Ok(&offer));
        let about = offer.clone().about("urn:d");
        assert!(about.same_meaning(&about));
    }
    let message = MessageOffer::from_value(value.clone());
    answered(&message);
    if let Ok(message) = message {
        assert_eq!(MessageOffer::from_value(message.to_value()).as_ref(), Ok(&message));
    }
    let agreement = Agreement::from_value(value);
    answered(&agreement);
    if let Ok(agreement) = agreement {
        assert_eq!(Agreement::from_value(agreement.to_value()).as_ref(), Ok(&agreement));
    }
}

/// In every phase: to permit and to say why are one opinion.
fn asked(policy: &Policy) {
    let somebody = Participant { id: Some("did:web:b.example".into()), ..Participant::default() };
    for phase in [Phase::Catalogue, Phase::Negotiation, Phase::Transfer, Phase::Running] {
        let request = Request {
            purpose: Some("supply-chain-monitoring"),
            agreed_at: Some(Timestamp::from_millis(NOW_MS)),
            transfers_before: Some(1),
            ..Request::new(phase, &somebody, Timestamp::from_millis(NOW_MS))
        };
        let decision = evaluate(policy, &request);
        assert_eq!(permits(policy, &request), decision.permitted);
        assert!(serde_json::to_value(&decision).is_ok());
        let _when = next_change(policy, &request);
    }
    let _findings = cannot_keep(policy);
}

fn policy_value() -> Value {
    json!({ "permission": [{ "action": "use", "constraint": [
        { "leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["supply-chain-monitoring"] },
        { "or": [
            { "leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2030-01-01T00:00:00Z" },
            { "leftOperand": "count", "operator": "lteq", "rightOperand": 3 }] }] }],
        "prohibition": [{ "action": "distribute" }],
        "obligation": [{ "action": "delete", "constraint": [{ "leftOperand": "elapsedTime", "operator": "lteq", "rightOperand": "P30D" }] }] })
}

/// Policies of every shape.
pub fn dsp_policy_seeds() -> Vec<Vec<u8>> {
    let policy = policy_value();
    let mut offer = policy.clone();
    offer["@id"] = json!("urn:o");
    offer["@type"] = json!("Offer");
    let mut message = offer.clone();
    message["target"] = json!("urn:d");
    let mut agreement = message.clone();
    agreement["@type"] = json!("Agreement");
    agreement["assigner"] = json!("did:web:a.example");
    agreement["assignee"] = json!("did:web:b.example");
    agreement["timestamp"] = json!("2019-07-01T00:00:00Z");
    [policy, offer, message, agreement].iter().map(|v| v.to_string().into_bytes()).collect()
}

/// Terms as a person writes them.
pub fn dsp_terms(data: &[u8]) {
    let read = Terms::read(data);
    answered(&read);
    let Ok(terms) = read else { return };
    asked(&terms.policy);
    for finding in cannot_keep(&terms.policy) {
        let _place = terms.place(&finding.path);
    }
    let written = terms.policy.to_value().to_string();
    let again = hiwar_dataspace::policy::read(written.as_bytes()).map(|again| again.meaning());
    assert_eq!(again, Ok(terms.policy.meaning()), "written and read differently");
}

/// The short form and ODRL.
pub fn dsp_terms_seeds() -> Vec<Vec<u8>> {
    let short = json!({ "permit": { "use": {
        "participants": ["did:web:b.example"], "countries": ["JP", "KR"], "groups": ["allies"],
        "purposes": ["supply-chain-monitoring"], "from": "2019-07-01", "until": "2030-01-01", "count": 3 } } });
    let open = json!({ "permit": { "use": {} } });
    [short, open, policy_value()].iter().map(|v| v.to_string().into_bytes()).collect()
}
