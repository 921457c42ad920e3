//! The document that describes the local API and the routes that it has are the same.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use std::collections::BTreeSet;

use newcomer::{Newcomer, api, api_address, request, two_free_ports};
use serde_json::Value;

const METHODS: [&str; 5] = ["get", "post", "put", "delete", "patch"];

fn document() -> Value {
    serde_json::from_str(hiwar_node::api::OPENAPI).unwrap()
}

/// Every operation of the document, as method and path.
fn documented() -> BTreeSet<(String, String)> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys().filter(|k| METHODS.contains(&k.as_str()));
        methods.map(|m| (m.clone(), path.clone())).collect::<Vec<_>>()
    });
    operations.collect()
}

/// Every operation of the router, read from its source: `.route("PATH", get(…).post(…))`.
fn routed() -> BTreeSet<(String, String)> {
    let source = include_str!("../../hiwar-node/src/api/mod.rs");
    let mut found = BTreeSet::new();
    for part in source.split(".route(").skip(1) {
        let path = part.split('"').nth(1).unwrap().to_owned();
        let handlers = part.split_once(',').unwrap().1.split('\n').next().unwrap();
        for method in METHODS {
            if handlers.contains(&format!("{method}(")) {
                found.insert((method.to_owned(), path.clone()));
            }
        }
    }
    found
}

#[test]
fn every_route_is_documented_and_every_documented_operation_is_routed() {
    let (documented, routed) = (documented(), routed());
    assert!(routed.len() > 15, "{routed:?}");
    let missing: Vec<_> = routed.difference(&documented).collect();
    assert!(missing.is_empty(), "not in openapi.json: {missing:?}");
    let extra: Vec<_> = documented.difference(&routed).collect();
    assert!(extra.is_empty(), "in openapi.json, but not routed: {extra:?}");
}

#[test]
fn every_operation_says_what_it_does_what_it_answers_and_which_parameters_it_takes() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut names = BTreeSet::new();
    for (method, path) in documented() {
        let item = &document["paths"][&path];
        let operation = &item[&method];
        let name = format!("{method} {path}");
        assert!(operation["summary"].is_string() || operation["description"].is_string(), "{name}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|code| code.starts_with('2')), "{name} has no answer for success");
        assert!(responses.contains_key("default"), "{name} has no answer for failure");
        if let Some(id) = operation["operationId"].as_str() {
            assert!(names.insert(id.to_owned()), "{name}: the operationId {id} is used twice");
        }
        let parameters = [&item["parameters"], &operation["parameters"]].map(|p| p.as_array().cloned());
        let parameters: Vec<Value> = parameters.into_iter().flatten().flatten().collect();
        let in_path = path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'));
        for wanted in in_path {
            let found = parameters.iter().any(|p| resolved(&document, p)["name"] == wanted);
            assert!(found, "{name}: the parameter {wanted} is not described");
        }
    }
}

/// A part of the document, or what it refers to.
fn resolved<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    match part["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => part,
    }
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    fn walk(document: &Value, part: &Value, count: &mut usize) {
        match part {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    let target = document.pointer(reference.trim_start_matches('#'));
                    assert!(target.is_some(), "{reference} leads nowhere");
                    *count += 1;
                }
                members.values().for_each(|m| walk(document, m, count));
            }
            Value::Array(items) => items.iter().for_each(|i| walk(document, i, count)),
            _ => {}
        }
    }
    let document = document();
    let mut count = 0;
    walk(&document, &document, &mut count);
    assert!(count > 0);
}

#[test]
fn a_running_node_serves_the_document_and_answers_every_refusal_as_it_says() {
    let person = Newcomer::new();
    let listen = format!("127.0.0.1:{}", two_free_ports());
    person.hiwar(&["init", "node", "--name", "N", "--listen", &listen]).ok();
    let _node = person.serve("node");
    let dir = person.path("node");
    let (status, served) = api(&dir, "GET", "/api/v1/openapi.json", b"");
    assert_eq!((status, served), (200, document()));
    let address = api_address(&dir);
    for (method, path) in documented() {
        let filled =
            path.replace("{id}", "00").replace("{sha256}", "00").replace("{did}", "x").replace("{desk}", "x");
        let (status, text) = request(address, &method.to_uppercase(), &filled, None, b"{");
        let public = ["/healthz", "/readyz", "/metrics", "/api/v1/openapi.json"].contains(&path.as_str());
        assert_eq!(status, if public { 200 } else { 401 }, "{method} {path}: {text}");
    }
    // Whatever refuses a request, the answer has the documented form.
    for (method, path, body, expected) in [
        ("GET", "/api/v1/nothing", "", 404),
        ("GET", "/nothing", "", 404),
        ("DELETE", "/api/v1/status", "", 405),
        ("POST", "/healthz", "", 405),
        ("GET", "/api/v1/alarms?after=many", "", 400),
        ("GET", "/api/v1/alarms?limit=-1", "", 400),
        ("POST", "/api/v1/entries?wait_ms=soon", "{}", 400),
        ("POST", "/api/v1/entries", "{", 400),
        ("GET", "/api/v1/entries/zz", "", 400),
        ("GET", "/api/v1/dialogues/%FF", "", 400),
        ("POST", "/api/v1/dialogues", "[]", 400),
    ] {
        let (status, answer) = api(&dir, method, path, body.as_bytes());
        assert_eq!(status, expected, "{method} {path}: {answer}");
        assert!(answer["error"]["code"].is_string(), "{method} {path}: {answer}");
        assert!(answer["error"]["detail"].is_string(), "{method} {path}: {answer}");
    }
}
