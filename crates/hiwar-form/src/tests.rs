use std::collections::BTreeMap;

use serde_json::json;

use super::*;

#[derive(Debug, PartialEq)]
struct Clock {
    id: String,
    hours: u32,
}

fn clocks(form: &mut Form<'_>) -> Option<(BTreeMap<String, String>, Vec<Clock>)> {
    let title = form.required("title");
    let clocks = form.list("clocks", |form| {
        let (id, hours) = (form.required("id"), form.required("hours"));
        Some(Clock { id: id?, hours: hours? })
    });
    Some((title?, clocks))
}

const TOML: &str =
    "[title]\nen = \"A\"\n\n[[clocks]]\nid = \"alert\"\nhours = 48\n\n[[clocks]]\nid = 5\nhour = 24\n";
const JSON: &str = "{\n  \"title\": { \"en\": \" \" },\n  \"clocks\": [\n    7,\n    { \"id\": \"a\\\"b\",\n      \"hours\": -1 }\n  ]\n}\n";

fn said(faults: &Faults, language: Language) -> String {
    faults.say(&Messages::new([""; 4]), language)
}

#[test]
fn all_faults_of_a_toml_form_are_told_with_their_lines() {
    let faults = Document::toml(Some("crisis.toml"), TOML).unwrap().read(clocks).unwrap_err();
    assert_eq!(
        said(&faults, Language::En),
        "crisis.toml:8: clocks[1].hours: this field is missing; add it\n\
         crisis.toml:9: clocks[1].id: this must be a text in quotation marks\n\
         crisis.toml:10: clocks[1].hour: there is no field of this name here; did you mean hours?"
    );
    assert!(said(&faults, Language::Ko).contains("clocks[1].id: 따옴표로 묶은 글이어야 합니다"));
}

#[test]
fn all_faults_of_a_json_form_are_told_with_their_lines() {
    let faults = Document::json(Some("crisis.json"), JSON).unwrap().read(clocks).unwrap_err();
    let places: Vec<String> =
        faults.0.iter().map(|fault| format!("{} {}", fault.place, fault.code)).collect();
    assert_eq!(
        places,
        [
            "crisis.json:2: title.en empty-text",
            "crisis.json:4: clocks[0] not-object",
            "crisis.json:6: clocks[1].hours not-count"
        ]
    );
}

#[test]
fn a_form_without_faults_is_read() {
    let (title, read) =
        Document::of(json!({ "title": { "en": "A" }, "clocks": [{ "id": "x", "hours": 1 }] }))
            .read(clocks)
            .unwrap();
    assert_eq!(title["en"], "A");
    assert_eq!(read, [Clock { id: "x".to_owned(), hours: 1 }]);
}

#[test]
fn a_member_written_twice_and_text_that_is_no_form_are_refused_with_their_line() {
    for (text, place, code) in [
        ("{\n\"title\": 1,\n\"title\": 2}", "f:3: title", "twice"),
        ("{\n\"title\": }", "f:2", "not-json"),
        ("[]", "f", "not-object"),
    ] {
        let read = Document::json(Some("f"), text).and_then(|document| document.read(clocks));
        let faults = read.unwrap_err();
        assert_eq!((faults.0[0].place.to_string().as_str(), faults.0[0].code), (place, code), "{text}");
    }
    let faults = Document::toml(Some("f"), "a = 1\nb = = 2\n").unwrap_err();
    assert_eq!((faults.0[0].place.to_string().as_str(), faults.0[0].code), ("f:2", "not-toml"));
}

#[test]
fn deep_nesting_and_long_lists_do_no_harm() {
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let text = format!("{{\"title\": {deep}, \"clocks\": {deep}}}");
    assert!(Document::json(None, &text).unwrap().read(clocks).is_err());
    let many = format!("{{\"title\": {{\"en\": \"A\"}}, \"clocks\": [{}0]}}", "0,".repeat(5000));
    let faults = Document::json(None, &many).unwrap().read(clocks).unwrap_err();
    assert_eq!(faults.0[0].code, "too-many");
}
