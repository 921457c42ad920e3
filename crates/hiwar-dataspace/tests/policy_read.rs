//! Reading and writing policies: the examples of the specification, the forms that other connectors
//! write, and what is refused.
//!
//! Schema: Dataspace Protocol 2025-1, `negotiation/contract-schema.json`.

#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

use hiwar_dataspace::policy::{Agreement, Limits, MessageOffer, Offer, Policy, PolicyError, read};
use serde_json::{Value, json};

fn policy(value: Value) -> Policy {
    Policy::from_value(value).unwrap()
}

/// The constraint's parts that the schema is strict about, everywhere in a written policy.
fn follows_the_schema(policy: &Value) -> bool {
    fn constraint(value: &Value) -> bool {
        let logical: Vec<&str> = ["and", "andSequence", "or", "xone"]
            .into_iter()
            .filter(|kind| value.get(kind).is_some())
            .collect();
        match logical.as_slice() {
            [] => {
                let right = &value["rightOperand"];
                value["leftOperand"].is_string()
                    && value["operator"].is_string()
                    && (right.is_string() || right.is_object() || right.is_array())
            }
            [kind] => value[kind].as_array().is_some_and(|list| list.iter().all(constraint)),
            _ => false,
        }
    }
    ["permission", "prohibition", "obligation"].into_iter().all(|name| match policy.get(name) {
        None => true,
        Some(rules) => rules.as_array().is_some_and(|rules| {
            !rules.is_empty()
                && rules.iter().all(|rule| {
                    rule["action"].is_string()
                        && rule.get("constraint").is_none_or(|list| {
                            list.as_array().is_some_and(|list| list.iter().all(constraint))
                        })
                })
        }),
    })
}

/// `example/contract-agreement-message-full.json`, shortened to one of each logical operator.
fn agreement_of_the_specification() -> Value {
    let partner = |name: &str| json!({"leftOperand": "partner", "operator": "eq", "rightOperand": name});
    let rule =
        |kind: &str| json!({"action": "use", "constraint": [{kind: [partner("gold"), partner("silver")]}]});
    json!({
        "@id": "urn:uuid:e8dc8655-44c2-46ef-b701-4cffdc2faa44",
        "@type": "Agreement",
        "target": "urn:uuid:3dd1add4-4d2d-569e-d634-8394a8836d23",
        "profile": "https://test.com/profile",
        "timestamp": "2023-01-01T01:00:00Z",
        "assigner": "http://example.com/Provider",
        "assignee": "http://example.com/Consumer",
        "permission": [
            {"action": "use", "constraint": [
                {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2023-12-31T06:00Z"}]},
            rule("and"), rule("or"), rule("andSequence"), rule("xone"),
            {"action": "use", "constraint": [{"or": [{"and": [partner("gold"), partner("silver")]}, partner("bronze")]}]}
        ]
    })
}

#[test]
fn the_agreement_of_the_specification_is_read_and_written_back_as_it_was() {
    let written = agreement_of_the_specification();
    let agreement: Agreement = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(agreement.policy.permission.len(), 6);
    let mut again = serde_json::to_value(&agreement).unwrap();
    assert!(follows_the_schema(&again), "{again}");
    // Times are written with milliseconds.
    assert_eq!(again["timestamp"], "2023-01-01T01:00:00.000Z");
    again["timestamp"] = written["timestamp"].clone();
    assert_eq!(again, written);
}

#[test]
fn the_forms_that_other_connectors_write_mean_the_same_and_are_written_as_the_schema_wants() {
    let strict = json!({"permission": [{"action": "use", "constraint": [
        {"leftOperand": "count", "operator": "lteq", "rightOperand": "5"}]}]});
    let one = |rule: Value| json!({"permission": [rule]});
    let compare = |left: Value, operator: Value, right: Value| {
        one(json!({"action": "use", "constraint":
            [{"leftOperand": left, "operator": operator, "rightOperand": right}]}))
    };
    let tolerated = [
        (
            "one object for an array of one",
            json!({"permission": {"action": "use", "constraint":
            {"leftOperand": "count", "operator": "lteq", "rightOperand": "5"}}}),
        ),
        ("a number", compare(json!("count"), json!("lteq"), json!(5))),
        ("an array of one", compare(json!("count"), json!("lteq"), json!(["5"]))),
        (
            "a typed value",
            compare(json!("count"), json!("lteq"), json!({"@value": "5", "@type": "xsd:integer"})),
        ),
        ("prefixes", compare(json!("odrl:count"), json!("odrl:lteq"), json!("5"))),
        ("identifiers", compare(json!({"@id": "odrl:count"}), json!({"@id": "odrl:lteq"}), json!("5"))),
        (
            "IRIs",
            compare(
                json!("http://www.w3.org/ns/odrl/2/count"),
                json!("http://www.w3.org/ns/odrl/2/lteq"),
                json!("5"),
            ),
        ),
        (
            "prefixed members",
            json!({"odrl:permission": {"odrl:action": {"@id": "odrl:use"}, "odrl:constraint":
            {"odrl:leftOperand": {"@id": "odrl:count"}, "odrl:operator": {"@id": "odrl:lteq"},
             "odrl:rightOperand": 5}}, "odrl:prohibition": [], "odrl:obligation": []}),
        ),
        (
            "an action in an object",
            one(json!({"action": {"odrl:type": "odrl:use"}, "constraint":
            [{"leftOperand": "count", "operator": "lteq", "rightOperand": "5"}]})),
        ),
        (
            "types and notes",
            one(json!({"@type": "Permission", "action": "use", "constraint":
            [{"@type": "Constraint", "leftOperand": "count", "operator": "lteq", "rightOperand": "5"}]})),
        ),
        ("a rule said twice", json!({"permission": [strict["permission"][0], strict["permission"][0]]})),
    ];
    let expected = policy(strict.clone());
    assert_eq!(expected.to_value(), strict);
    for (form, value) in tolerated {
        let read = policy(value);
        assert!(read.same_meaning(&expected), "{form}: {}", read.to_value());
        assert!(follows_the_schema(&read.to_value()), "{form}: {}", read.to_value());
    }
}

#[test]
fn order_does_not_matter_but_content_does() {
    let a = json!({"leftOperand": "spatial", "operator": "isAnyOf", "rightOperand": ["KR", "JP"]});
    let b = json!({"leftOperand": "purpose", "operator": "eq", "rightOperand": "audit"});
    let of =
        |constraints: Value| policy(json!({"permission": [{"action": "use", "constraint": constraints}]}));
    let turned = json!({"leftOperand": "country", "operator": "isAnyOf", "rightOperand": ["JP", "KR"]});
    let both = of(json!([a, b]));
    assert!(both.same_meaning(&of(json!([b, turned]))));
    assert!(of(json!([{"or": [a, b]}])).same_meaning(&of(json!([{"or": [b, a]}]))));
    // IM 2.2 section 2.5.2: the operands of andSequence are satisfied in their order.
    assert!(!of(json!([{"andSequence": [a, b]}])).same_meaning(&of(json!([{"andSequence": [b, a]}]))));
    // Exactly one of two equal constraints can never be fulfilled; exactly one of one can.
    assert!(!of(json!([{"xone": [a, a]}])).same_meaning(&of(json!([{"xone": [a]}]))));
    for other in [
        json!([a]),
        json!([a, b, {"leftOperand": "count", "operator": "lteq", "rightOperand": "1"}]),
        json!([{"leftOperand": "spatial", "operator": "isAnyOf", "rightOperand": ["KR"]}, b]),
        json!([{"leftOperand": "spatial", "operator": "isNoneOf", "rightOperand": ["KR", "JP"]}, b]),
        json!([{"or": [a, b]}]),
    ] {
        assert!(!both.same_meaning(&of(other.clone())), "{other}");
    }
    let prohibited = policy(json!({"prohibition": [{"action": "use", "constraint": [a, b]}]}));
    assert!(!both.same_meaning(&prohibited));
    let with_duty = policy(json!({"permission": [{"action": "use", "constraint": [a, b],
        "duty": [{"action": "compensate"}]}]}));
    assert!(!both.same_meaning(&with_duty), "a duty inside the rule changes what is agreed");
}

#[test]
fn unknown_members_are_kept() {
    let written = json!({
        "@id": "urn:offer:1", "@type": "Offer", "https://purl.org/dc/terms/title": "Imports",
        "permission": [{"action": "use", "ex:note": {"a": [1, 2]}, "constraint": [
            {"leftOperand": "purpose", "operator": "eq", "rightOperand": "audit", "unit": "x"},
            {"or": [{"leftOperand": "a", "operator": "eq", "rightOperand": {"b": 1}}], "ex:why": "w"}]}]
    });
    let offer: Offer = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&offer).unwrap(), written);
}

#[test]
fn an_offer_becomes_a_message_and_an_agreement_with_the_same_rules() {
    let offer: Offer =
        serde_json::from_value(json!({"@id": "urn:offer:1", "@type": "odrl:Offer", "target": "urn:d:1",
        "permission": [{"action": "use"}]}))
        .unwrap();
    assert_eq!(
        serde_json::to_value(&offer).unwrap(),
        json!({"@id": "urn:offer:1", "@type": "Offer", "permission": [{"action": "use"}]}),
        "an offer in a catalogue has no target (schema, Offer)"
    );
    let message = offer.about("urn:d:1");
    let by_name: MessageOffer = serde_json::from_value(json!({"@id": "urn:offer:1"})).unwrap();
    assert!(by_name.policy.permission.is_empty() && by_name.target.is_none());
    let agreement = message.clone().agree(
        "urn:a:1",
        "urn:d:1",
        "did:web:p.example",
        "did:web:c.example",
        hiwar_trust::time::Timestamp::from_millis(0),
    );
    assert!(agreement.keeps(&message));
    let elsewhere = Agreement { target: "urn:d:2".to_owned(), ..agreement.clone() };
    assert!(!elsewhere.keeps(&message));
    let read: Agreement = serde_json::from_value(serde_json::to_value(&agreement).unwrap()).unwrap();
    assert_eq!(read, agreement);
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_how_to_mend_it() {
    let cases = [
        (json!([]), "policy: it is an array; write a JSON object, { … }"),
        (
            json!({"permission": [{}]}),
            "permission[0]: action is missing; add an action, such as \"action\": \"use\"",
        ),
        (json!({"permission": [{"action": ""}]}), "permission[0].action: it is empty; add an action"),
        (
            json!({"permission": [{"action": 5}]}),
            "permission[0].action: it is a number; write a text in quotes",
        ),
        (json!({"permission": "use"}), "permission[0]: it is a text; write a JSON object"),
        (
            json!({"permission": [{"action": "use", "constraint": [{"leftOperand": "count", "rightOperand": "1"}]}]}),
            "permission[0].constraint[0]: operator is missing; add an operator, such as \"eq\"",
        ),
        (
            json!({"permission": [{"action": "use", "constraint": [{"leftOperand": "count", "operator": "eq"}]}]}),
            "permission[0].constraint[0]: rightOperand is missing; add the value",
        ),
        (
            json!({"prohibition": [{"action": "use", "constraint": [{"and": [], "or": []}]}]}),
            "prohibition[0].constraint[0]: it has several of leftOperand, and,",
        ),
        (
            json!({"obligation": [{"action": "delete", "odrl:action": "use"}]}),
            "obligation[0]: action is written twice; write it once",
        ),
    ];
    for (value, message) in cases {
        let error = read(value.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    let error = read(b"{\n  \"permission\": [}").unwrap_err();
    assert!(matches!(error, PolicyError::Json { line: 2, .. }), "{error}");
}

#[test]
fn a_stranger_cannot_send_more_than_the_limits() {
    let mut nested = json!({"leftOperand": "count", "operator": "eq", "rightOperand": "1"});
    for _ in 0..Limits::DEPTH {
        nested = json!({"and": [nested]});
    }
    let rules = vec![json!({"action": "use"}); Limits::RULES + 1];
    let constraint = json!({"leftOperand": "a", "operator": "eq", "rightOperand": "1"});
    let values = vec!["a"; Limits::VALUES + 1];
    let cases = [
        ("rules", json!({"permission": rules})),
        (
            "constraints",
            json!({"permission": [{"action": "use", "constraint": vec![constraint; Limits::CONSTRAINTS + 1]}]}),
        ),
        ("nested deeper", json!({"permission": [{"action": "use", "constraint": [nested]}]})),
        (
            "values",
            json!({"permission": [{"action": "use", "constraint":
            [{"leftOperand": "a", "operator": "isAnyOf", "rightOperand": values}]}]}),
        ),
        ("too long", json!({"permission": [{"action": "a".repeat(Limits::TEXT_BYTES + 1)}]})),
    ];
    for (what, value) in cases {
        let error = read(value.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    }
    let large = vec![b' '; Limits::BYTES + 1];
    assert_eq!(read(&large), Err(PolicyError::TooLarge { bytes: Limits::BYTES + 1 }));
    assert!(read("[".repeat(100_000).as_bytes()).is_err(), "deep JSON is refused, not followed");
}
