//! Terms as a person writes them: the short form, what the lint finds, who could get the data.

#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

use hiwar_dataspace::policy::{Authoring, Participant, Policy, Severity, Terms, dry_run, lint};
use hiwar_trust::time::Timestamp;
use serde_json::{Value, json};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn authoring() -> Authoring<'static> {
    Authoring { now: time("2026-11-25T00:00:00.000Z"), groups: None }
}

fn constrained(constraints: Value) -> Policy {
    Policy::from_value(json!({"permission": [{"action": "use", "constraint": constraints}],
                              "prohibition": [{"action": "distribute"}]}))
    .unwrap()
}

#[test]
fn the_short_form_is_a_policy() {
    let terms = Terms::read(
        br#"{
  "permit": {"use": {"participants": ["did:web:meti.example"], "groups": ["supply-chain"],
                     "countries": ["KR", "JP"], "except": {"participants": "did:web:x.example"},
                     "purposes": ["audit"], "from": "2026-12-01", "until": "2027-03-31T15:00:00+09:00",
                     "within": "P90D", "count": 5}},
  "forbid": ["distribute"],
  "oblige": {"delete_after": "P30D"},
  "marking": "tlp:amber"
}"#,
    )
    .unwrap();
    let compare = |left: &str, operator: &str, right: Value| json!({"leftOperand": left, "operator": operator, "rightOperand": right});
    let expected = json!({
        "profile": "urn:hiwar:policy:1",
        "permission": [{"action": "use", "constraint": [
            {"or": [
                compare("urn:hiwar:policy:1:participant", "eq", json!("did:web:meti.example")),
                compare("urn:hiwar:policy:1:group", "eq", json!("supply-chain"))]},
            compare("spatial", "isAnyOf", json!(["KR", "JP"])),
            compare("purpose", "eq", json!("audit")),
            compare("urn:hiwar:policy:1:participant", "neq", json!("did:web:x.example")),
            compare("dateTime", "gteq", json!("2026-12-01T00:00:00.000Z")),
            compare("dateTime", "lt", json!("2027-03-31T06:00:00.000Z")),
            compare("elapsedTime", "lteq", json!("P90D")),
            compare("count", "lteq", json!("5")),
            compare("urn:hiwar:policy:1:marking", "eq", json!("TLP:AMBER"))]}],
        "prohibition": [{"action": "distribute"}],
        "obligation": [{"action": "delete", "constraint": [compare("delayPeriod", "lteq", json!("P30D"))]}]
    });
    assert_eq!(terms.policy.to_value(), expected);
    let findings = lint(&terms.policy, &authoring());
    assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{findings:?}");
    let again = Terms::read(expected.to_string().as_bytes()).unwrap();
    assert_eq!(again.policy, terms.policy, "the same terms may be written in ODRL");
}

#[test]
fn a_finding_about_the_policy_leads_back_to_the_line_of_the_short_form() {
    let text = "{\n \"permit\": {\n  \"use\": {\n   \"participants\": [\"did:web:a.example\"],\n   \"groups\": [\"g\"],\n   \"countries\": [\"UK\"],\n   \"until\": \"2020-01-01\"\n  }\n },\n \"marking\": \"TLP:WHITE\"\n}";
    let terms = Terms::read(text.as_bytes()).unwrap();
    let groups = ["supply-chain".to_owned()];
    let found: Vec<String> = lint(&terms.policy, &Authoring { groups: Some(&groups), ..authoring() })
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| {
            let place = terms.place(&finding.path).unwrap();
            format!("{}:{} {}: {}; {}", place.line, place.column, place.field, finding.problem, finding.mend)
        })
        .collect();
    let expected = [
        "5:4 permit.use.groups: the node has no list of participants named \"g\"; make the list g first",
        "6:4 permit.use.countries: \"UK\" is no country code; write GB",
        "10:2 marking: \"TLP:WHITE\" is no TLP 2.0 label; write one of TLP:CLEAR, TLP:GREEN, TLP:AMBER, TLP:AMBER+STRICT, TLP:RED",
        "3:3 permit.use: the time was over at 2020-01-02T00:00:00.000Z; nobody could ever use it; write a later time",
    ];
    assert_eq!(found, expected);
}

#[test]
fn errors_in_the_short_form_name_line_member_and_how_to_mend_it() {
    let cases = [
        (
            r#"{"permit": {"use": {"participans": []}}}"#,
            "line 1, column 21, permit.use.participans: unknown field `participans`; write participants",
        ),
        (r#"{"permitt": {}}"#, "line 1, column 2, permitt: unknown field `permitt`; write permit"),
        (r#"{"permit": {}}"#, "line 1, column 13, permit: missing field `use`; "),
        (r#"{}"#, "line 1, column 2: missing field `permit`; "),
        (
            "{\"permit\": {\"use\": {\n  \"count\": \"five\"}}}",
            "line 2, column 17, permit.use.count: invalid type: string \"five\", expected u64; ",
        ),
        (
            r#"{"permit": {"use": {"countries": 5}}}"#,
            "line 1, column 34, permit.use.countries: invalid type: integer `5`, expected a list of texts",
        ),
        (
            r#"{"permit": {"use": {"countries": []}}}"#,
            "line 1, column 21, permit.use.countries: the list is empty; name at least one, or leave the member out",
        ),
        (
            "{\"permit\": {\"use\":\n {\"until\": \"31.3.2027\"}}}",
            "line 2, column 3, permit.use.until: \"31.3.2027\" is neither a day nor a time; write 2027-03-31, or",
        ),
        (
            r#"{"permit": {"use": {"until": "2027-02-30"}}}"#,
            "line 1, column 21, permit.use.until: \"2027-02-30\" is neither",
        ),
        (
            r#"{"permit": {"use": {"until": "2027-03-31T00:00:00"}}}"#,
            "line 1, column 21, permit.use.until: \"2027-03-31T00:00:00\" is neither a day nor a time; write 2027-03-31, or add the time zone",
        ),
        (
            r#"{"permit": {"use": {}}, "oblige": {"delete_after": "30 days"}}"#,
            "line 1, column 36, oblige.delete_after: \"30 days\" is not a length of time; write an ISO 8601 duration",
        ),
        (
            r#"{"permit": {"use": {}}, "forbid": ["copy"]}"#,
            "line 1, column 25, forbid: \"copy\" cannot be forbidden",
        ),
        (
            r#"{"permit": {"use": {}, "distribute": {}}, "forbid": ["distribute"]}"#,
            "line 1, column 43, forbid: distribute is both permitted and forbidden",
        ),
        ("{\"permit\": {\"use\": {}},\n}", "line 2, column 1"),
        (r#"{"permission": [{}]}"#, "permission[0]: action is missing"),
    ];
    for (text, message) in cases {
        let error = Terms::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(message), "{text}\n  {error}\n  {message}");
    }
}

#[test]
fn what_can_never_hold_is_refused_when_it_is_written() {
    let compare = |left: &str, operator: &str, right: Value| json!({"leftOperand": left, "operator": operator, "rightOperand": right});
    let cases = [
        (
            json!([
                compare("dateTime", "gteq", json!("2027-02-01T00:00:00Z")),
                compare("dateTime", "lt", json!("2027-01-01T00:00:00Z"))
            ]),
            "the time window is empty",
        ),
        (
            json!([{"and": [compare("dateTime", "gteq", json!("2027-01-01T00:00:00Z"))]}, compare("dateTime", "lt", json!("2027-01-01T00:00:00Z"))]),
            "the time window is empty",
        ),
        (
            json!([compare("dateTime", "lteq", json!("2026-11-24T00:00:00Z"))]),
            "the time was over at 2026-11-24T00:00:00.000Z",
        ),
        (
            json!([
                compare("elapsedTime", "gteq", json!("P30D")),
                compare("elapsedTime", "lt", json!("P10D"))
            ]),
            "no time since the agreement",
        ),
        (json!([compare("count", "lteq", json!("0"))]), "not even one transfer"),
        (json!([compare("count", "lt", json!("1"))]), "not even one transfer"),
        (
            json!([
                compare("spatial", "eq", json!("KR")),
                compare("spatial", "isAnyOf", json!(["JP", "US"]))
            ]),
            "no country is left",
        ),
        (
            json!([compare("spatial", "isAnyOf", json!(["KR"])), compare("spatial", "neq", json!("KR"))]),
            "no country is left",
        ),
        (json!([compare("spatial", "isAnyOf", json!(["KR", "KOR"]))]), "\"KOR\" is no country code"),
        (json!([compare("spatial", "eq", json!(["KR", "JP"]))]), "eq takes one value"),
        (
            json!([compare("spatial", "isAnyof", json!(["KR"]))]),
            "isAnyof is no operator of the Dataspace Protocol",
        ),
        (
            json!([compare("datetime", "lt", json!("2027-01-01T00:00:00Z"))]),
            "this node has no rule for datetime",
        ),
        (
            json!([compare("dateTime", "lt", json!("2027-01-01T00:00:00"))]),
            "\"2027-01-01T00:00:00\" cannot be read as dateTime",
        ),
        (
            json!([compare("dateTime", "eq", json!("2027-01-01T00:00:00Z"))]),
            "dateTime is not enforced with eq in a permission",
        ),
        (json!([compare("count", "gteq", json!("2"))]), "count is not enforced with gteq in a permission"),
        (json!([compare("delayPeriod", "eq", json!("P7D"))]), "a delay says when a duty is due"),
        (json!([{"or": []}]), "or has nothing in it"),
        (json!([compare("marking", "eq", json!("TLP:WHITE"))]), "\"TLP:WHITE\" is no TLP 2.0 label"),
    ];
    for (constraints, problem) in cases {
        let findings = lint(&constrained(constraints.clone()), &authoring());
        let first = findings.first().unwrap_or_else(|| panic!("nothing found in {constraints}"));
        assert_eq!(first.severity, Severity::Error, "{constraints}");
        assert!(first.problem.starts_with(problem), "{constraints}: {}", first.problem);
        assert!(!first.mend.is_empty() && first.path.starts_with("permission[0]"), "{first:?}");
    }
}

#[test]
fn what_can_hold_is_let_through() {
    let compare = |left: &str, operator: &str, right: Value| json!({"leftOperand": left, "operator": operator, "rightOperand": right});
    for constraints in [
        json!([]),
        json!([
            compare("dateTime", "gteq", json!("2027-01-01T00:00:00Z")),
            compare("dateTime", "lteq", json!("2027-01-01T00:00:00Z"))
        ]),
        json!([compare("spatial", "isAnyOf", json!(["KR", "JP"])), compare("spatial", "neq", json!("KR"))]),
        json!([{"or": [compare("spatial", "eq", json!("KR")), compare("spatial", "eq", json!("JP"))]}]),
        json!([compare("elapsedTime", "gt", json!("P1D")), compare("elapsedTime", "lteq", json!("P1M"))]),
        json!([compare("count", "lteq", json!(1))]),
        json!([compare("group", "isAllOf", json!(["a", "credential:MembershipCredential"]))]),
    ] {
        let findings = lint(&constrained(constraints.clone()), &authoring());
        assert!(
            findings.iter().all(|finding| finding.severity == Severity::Note),
            "{constraints}: {findings:?}"
        );
    }
}

#[test]
fn rules_that_nobody_could_check_or_that_cancel_each_other_are_found() {
    let korea = json!({"leftOperand": "spatial", "operator": "eq", "rightOperand": "KR"});
    let audit = json!({"leftOperand": "purpose", "operator": "eq", "rightOperand": "audit"});
    let cases = [
        (
            json!({"prohibition": [{"action": "distribute"}]}),
            Severity::Error,
            "permission",
            "nothing is permitted",
        ),
        (
            json!({"permission": [{"action": "use", "constraint": [korea, audit]}], "prohibition": [{"action": "use", "constraint": [korea]}]}),
            Severity::Error,
            "permission[0]",
            "prohibition[0] prohibits everything that this permits",
        ),
        (
            json!({"permission": [{"action": "use", "constraint": [korea]}, {"action": "use", "constraint": [audit]}],
                "prohibition": [{"action": "use", "constraint": [korea]}, {"action": "distribute"}]}),
            Severity::Warning,
            "permission[0]",
            "prohibition[0] prohibits everything that this permits",
        ),
        (
            json!({"permission": [{"action": "read"}]}),
            Severity::Error,
            "permission[0].action",
            "the node cannot tell read from any other use",
        ),
        (
            json!({"permission": [{"action": "transfer"}]}),
            Severity::Error,
            "permission[0].action",
            "transfer means to give the data away",
        ),
        (
            json!({"permission": [{"action": "use"}], "obligation": [{"action": "attribute"}]}),
            Severity::Error,
            "obligation[0].action",
            "nobody could tell whether attribute has been done",
        ),
        (
            json!({"permission": [{"action": "use"}], "obligation": [{"action": "delete", "constraint": [korea]}]}),
            Severity::Error,
            "obligation[0].constraint[0]",
            "an obligation with country eq has no due date",
        ),
        (
            json!({"permission": [{"action": "use", "duty": [{"action": "delete"}]}]}),
            Severity::Error,
            "permission[0].duty",
            "duty may change the meaning",
        ),
        (
            json!({"permission": [{"action": "use"}]}),
            Severity::Note,
            "permission",
            "nothing is said of passing the data on",
        ),
        (
            json!({"permission": [{"action": "use"}, {"action": "distribute", "constraint": [korea]}]}),
            Severity::Warning,
            "permission[1]",
            "this narrows nothing",
        ),
        (
            json!({"permission": [{"action": "use", "constraint": [{"leftOperand": "participant", "operator": "eq", "rightOperand": "BPNL00000001"}]}]}),
            Severity::Warning,
            "permission[0].constraint[0]",
            "\"BPNL00000001\" is no DID",
        ),
    ];
    for (value, severity, path, problem) in cases {
        let findings = lint(&Policy::from_value(value.clone()).unwrap(), &authoring());
        let first = findings.first().unwrap_or_else(|| panic!("nothing found in {value}"));
        assert_eq!((first.severity, first.path.as_str()), (severity, path), "{value}: {first:?}");
        assert!(first.problem.starts_with(problem), "{value}: {}", first.problem);
    }
}

#[test]
fn operators_of_other_languages_are_translated() {
    for (written, mend) in [
        ("<=", "write lteq"),
        ("in", "write isAnyOf"),
        ("isnoneof", "write isNoneOf"),
        ("geq", "write gteq"),
        ("xyz", "write eq, neq,"),
    ] {
        let policy =
            constrained(json!([{"leftOperand": "spatial", "operator": written, "rightOperand": "KR"}]));
        let first = lint(&policy, &authoring()).into_iter().next().unwrap();
        assert!(first.mend.starts_with(mend), "{written}: {}", first.mend);
    }
}

#[test]
fn a_dry_run_says_who_could_get_the_data_who_not_and_why() {
    let terms = Terms::read(
        br#"{"permit": {"use": {"countries": ["KR", "JP"], "purposes": ["audit"], "until": "2027-03-31"}},
             "forbid": ["distribute"], "marking": "TLP:AMBER"}"#,
    )
    .unwrap();
    let party = |id: &str, country: Option<&str>| Participant {
        id: Some(format!("did:web:{id}.example")),
        country: country.map(str::to_owned),
        ..Participant::default()
    };
    let parties = [party("kr", Some("KR")), party("fr", Some("FR")), party("unknown", None)];
    let rows: Vec<(bool, Vec<String>, Vec<String>)> =
        dry_run(&terms.policy, &parties, time("2026-11-25T00:00:00.000Z"))
            .into_iter()
            .map(|row| (row.could, row.to_do, row.obstacles.into_iter().map(|f| f.satisfy).collect()))
            .collect();
    let text = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let expected = vec![
        (
            true,
            text(&["state the purpose audit with the request", "state that you keep the marking TLP:AMBER"]),
            vec![],
        ),
        (false, vec![], text(&["the participant's country must be KR or JP"])),
        (
            false,
            vec![],
            text(&[
                "the participant's country must be known (a Hiwar node: [dataspace.countries] in hiwar.toml), and must be KR or JP",
            ]),
        ),
    ];
    assert_eq!(rows, expected);
}
