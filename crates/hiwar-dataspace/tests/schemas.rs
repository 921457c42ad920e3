//! Everything that is written follows the published JSON Schemas of DSP 2025-1 (`schemas/SOURCE.md`).

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test stops where it cannot go on")]

use std::path::Path;

use hiwar_dataspace::catalog::{Dataset, PULL, PUSH};
use hiwar_dataspace::negotiation::NegotiationState;
use hiwar_dataspace::policy::{Agreement, MessageOffer, Offer};
use hiwar_dataspace::transfer::TransferState;
use hiwar_dataspace::wire::*;
use hiwar_trust::time::Timestamp;
use jsonschema::Registry;
use proptest::prelude::*;
use serde_json::{Value, json};

const BASE: &str = "https://w3id.org/dspace/2025/1/";

/// Every schema, by the address it has.
fn schemas() -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas");
    let mut read = Vec::new();
    for folder in ["catalog", "common", "negotiation", "transfer"] {
        for file in std::fs::read_dir(root.join(folder)).unwrap() {
            // One reference lacks its slash; read as JSON pointers, as the others are.
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let schema: Value =
                serde_json::from_str(&text.replace("json#definitions/", "json#/definitions/")).unwrap();
            read.push((schema["$id"].as_str().unwrap().to_owned(), schema));
        }
    }
    assert_eq!(read.len(), 26, "DSP 2025-1 has 26 schemas");
    read
}

/// Checks a document against the schema at `path` below the base.
fn check(path: &str, document: &Value) {
    thread_local! {
        static SCHEMAS: Vec<(String, Value)> = schemas();
    }
    SCHEMAS.with(|schemas| {
        let mut registry = Registry::new();
        for (id, schema) in schemas {
            registry = registry.add(id.as_str(), schema.clone()).unwrap();
        }
        let registry = registry.prepare().unwrap();
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2019-09/schema",
            "$ref": format!("{BASE}{path}"),
        });
        let validator = jsonschema::options().with_registry(&registry).build(&schema).unwrap();
        let wrong: Vec<String> =
            validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(wrong.is_empty(), "{path}: {wrong:?} in {document}");
    });
}

fn value(message: &impl serde::Serialize) -> Value {
    serde_json::to_value(message).unwrap()
}

fn text() -> impl Strategy<Value = String> + Clone {
    prop_oneof![Just("urn:uuid:1".to_owned()), ".{1,12}"]
}

fn reasons() -> impl Strategy<Value = Vec<Value>> {
    proptest::collection::vec(
        prop_oneof![text().prop_map(Value::String), Just(json!({"message": "no"}))],
        0..3,
    )
}

fn constraint() -> impl Strategy<Value = Value> {
    let atomic = (
        proptest::sample::select(vec!["purpose", "dateTime", "count", "spatial"]),
        proptest::sample::select(vec!["eq", "lteq", "gteq", "isAnyOf", "neq"]),
        text(),
    )
        .prop_map(|(left, operator, right)| {
            json!({ "leftOperand": left, "operator": operator, "rightOperand": right })
        });
    prop_oneof![
        4 => atomic.clone(),
        1 => proptest::collection::vec(atomic, 1..3).prop_map(|all| json!({ "and": all })),
    ]
}

fn offer() -> impl Strategy<Value = Offer> {
    let rules = proptest::collection::vec(proptest::collection::vec(constraint(), 0..3), 1..3);
    (text(), rules, any::<bool>()).prop_map(|(id, rules, duty)| {
        let rule = |constraints: &Vec<Value>| {
            let mut rule = json!({ "action": "use" });
            if !constraints.is_empty() {
                rule["constraint"] = json!(constraints);
            }
            rule
        };
        let mut made =
            json!({ "@id": id, "@type": "Offer", "permission": rules.iter().map(rule).collect::<Vec<_>>() });
        if duty {
            made["obligation"] = json!([{ "action": "delete" }]);
        }
        Offer::from_value(made).unwrap()
    })
}

fn message_offer() -> impl Strategy<Value = MessageOffer> {
    (offer(), text()).prop_map(|(offer, target)| offer.about(target))
}

fn agreement() -> impl Strategy<Value = Agreement> {
    (message_offer(), text(), text(), text()).prop_map(|(offer, id, a, b)| {
        offer.agree(id, "urn:dataset", a, b, Timestamp::from_millis(1_795_564_800_000))
    })
}

fn data_address() -> impl Strategy<Value = Option<DataAddress>> {
    let property = (text(), text()).prop_map(|(name, value)| EndpointProperty { name, value });
    let address = (text(), proptest::option::of(text()), proptest::collection::vec(property, 0..3)).prop_map(
        |(endpoint_type, endpoint, endpoint_properties)| DataAddress {
            endpoint_type,
            endpoint,
            endpoint_properties,
        },
    );
    proptest::option::of(address)
}

fn with_option() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(text())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn messages_of_a_negotiation_follow_their_schemas(
        (id, provider_pid, consumer_pid, purpose) in (with_option(), text(), text(), with_option()),
        (offer, agreement, reason, first) in (message_offer(), agreement(), reasons(), any::<bool>()),
    ) {
        let context = Context;
        let at = |name: &str| format!("negotiation/contract-{name}-schema.json");
        check(&at("request-message"), &value(&RequestMessage {
            context,
            id: id.clone(),
            consumer_pid: consumer_pid.clone(),
            provider_pid: (!first).then(|| provider_pid.clone()),
            offer: offer.clone(),
            callback_address: first.then(|| "https://c.example/dsp/2025-1".into()),
            purpose: purpose.clone(),
            marking: purpose,
        }));
        check(&at("offer-message"), &value(&OfferMessage {
            context,
            id: id.clone(),
            provider_pid: provider_pid.clone(),
            consumer_pid: (!first).then(|| consumer_pid.clone()),
            offer,
            callback_address: first.then(|| "https://p.example/dsp/2025-1".into()),
        }));
        check(&at("agreement-message"), &value(&AgreementMessage {
            context,
            id: id.clone(),
            provider_pid: provider_pid.clone(),
            consumer_pid: consumer_pid.clone(),
            agreement,
        }));
        check(&at("agreement-verification-message"), &value(&VerificationMessage {
            context,
            id: id.clone(),
            provider_pid: provider_pid.clone(),
            consumer_pid: consumer_pid.clone(),
        }));
        for event_type in [EventType::Accepted, EventType::Finalized] {
            check(&at("negotiation-event-message"), &value(&EventMessage {
                context,
                id: id.clone(),
                provider_pid: provider_pid.clone(),
                consumer_pid: consumer_pid.clone(),
                event_type,
            }));
        }
        check(&at("negotiation-termination-message"), &value(&NegotiationTermination {
            context,
            id: id.clone(),
            provider_pid: provider_pid.clone(),
            consumer_pid: consumer_pid.clone(),
            code: id,
            reason,
        }));
        for state in NegotiationState::ALL {
            check(&at("negotiation"), &value(&NegotiationStatus {
                context,
                provider_pid: provider_pid.clone(),
                consumer_pid: consumer_pid.clone(),
                state,
            }));
        }
        check(&at("negotiation-error"), &value(&NegotiationError {
            context,
            provider_pid,
            consumer_pid,
            code: "malformed".into(),
            reason: vec!["offer: it is missing".into()],
        }));
    }

    #[test]
    fn messages_of_a_transfer_follow_their_schemas(
        (id, provider_pid, consumer_pid, purpose) in (with_option(), text(), text(), with_option()),
        (data_address, reason) in (data_address(), reasons()),
    ) {
        let context = Context;
        let at = |name: &str| format!("transfer/transfer-{name}-schema.json");
        check(&at("request-message"), &value(&TransferRequest {
            context,
            id: id.clone(),
            consumer_pid: consumer_pid.clone(),
            agreement_id: provider_pid.clone(),
            format: PULL.into(),
            data_address: data_address.clone(),
            callback_address: "https://c.example/dsp/2025-1".into(),
            purpose: purpose.clone(),
            marking: purpose,
        }));
        check(&at("start-message"), &value(&StartMessage {
            context,
            id: id.clone(),
            provider_pid: provider_pid.clone(),
            consumer_pid: consumer_pid.clone(),
            data_address: data_address.clone(),
        }));
        if let Some(address) = &data_address {
            check("transfer/data-address-schema.json", &value(address));
        }
        check(&at("completion-message"), &value(&CompletionMessage {
            context,
            id: id.clone(),
            provider_pid: provider_pid.clone(),
            consumer_pid: consumer_pid.clone(),
        }));
        check(&at("suspension-message"), &value(&SuspensionMessage {
            context,
            id: id.clone(),
            provider_pid: provider_pid.clone(),
            consumer_pid: consumer_pid.clone(),
            code: id.clone(),
            reason: reason.clone(),
        }));
        check(&at("termination-message"), &value(&TransferTermination {
            context,
            id: id.clone(),
            provider_pid: provider_pid.clone(),
            consumer_pid: consumer_pid.clone(),
            code: id,
            reason,
        }));
        for state in TransferState::ALL {
            check(&at("process"), &value(&TransferStatus {
                context,
                provider_pid: provider_pid.clone(),
                consumer_pid: consumer_pid.clone(),
                state,
            }));
        }
        check(&at("error"), &value(&TransferError {
            context,
            provider_pid,
            consumer_pid,
            code: "malformed".into(),
            reason: vec!["agreementId: it is missing".into()],
        }));
    }

    #[test]
    fn a_catalog_and_its_datasets_follow_their_schemas(
        offer in offer(), title in text(), description in with_option(), size in proptest::option::of(any::<u64>()),
        keywords in proptest::collection::vec(text(), 0..3),
    ) {
        let dataset = Dataset {
            id: "urn:dataset:1".into(),
            title,
            description,
            keywords,
            offer,
            formats: vec![PULL.into(), PUSH.into()],
            media_type: Some("text/csv".into()),
            byte_size: size,
            sha256: None,
            issued: Timestamp::from_millis(1_795_564_800_000),
        };
        let mut alone = dataset.to_json("urn:service");
        check("catalog/catalog-schema.json", &json!({
            "@context": [CONTEXT],
            "@id": "urn:catalog",
            "@type": "Catalog",
            "participantId": "did:web:p.example",
            "service": [{ "@id": "urn:service", "@type": "DataService", "endpointURL": "https://p.example/dsp" }],
            "dataset": [alone.clone()],
        }));
        alone["@context"] = json!([CONTEXT]);
        check("catalog/dataset-schema.json", &alone);
    }
}

#[test]
fn the_other_documents_follow_their_schemas() {
    check(
        "catalog/catalog-error-schema.json",
        &value(&CatalogError {
            context: Context,
            code: "bad".into(),
            reason: vec!["filter[0]: unknown".into()],
        }),
    );
    check("catalog/catalog-request-message-schema.json", &value(&CatalogRequest::default()));
    let filter = vec![json!({ "field": "keyword", "operator": "eq", "value": "hs:281111" })];
    check(
        "catalog/catalog-request-message-schema.json",
        &value(&CatalogRequest { context: Context, filter }),
    );
    let version = ProtocolVersion {
        version: VERSION.into(),
        path: "/dsp/2025-1".into(),
        binding: "HTTPS".into(),
        identifier_type: Some("did:web".into()),
        service_id: None,
        auth: Some(Auth {
            protocol: "DCP".into(),
            version: "1.0".into(),
            profile: vec!["vc20-bssl/jwt".into()],
        }),
    };
    check(
        "common/protocol-version-schema.json",
        &value(&VersionResponse { protocol_versions: vec![version] }),
    );
}

#[test]
#[should_panic(expected = "consumerPid")]
fn a_message_that_lacks_a_member_does_not_pass() {
    check(
        "negotiation/contract-agreement-verification-message-schema.json",
        &json!({ "@context": [CONTEXT], "@type": "ContractAgreementVerificationMessage", "providerPid": "p" }),
    );
}
