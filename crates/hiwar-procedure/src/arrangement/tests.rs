use hiwar_dialogue::entry::{ActKind, Words};
use hiwar_dialogue::marking::Marking;
use hiwar_form::{Document, Language};
use serde_json::{Value, json};

use super::sample::{arrangement, did, texts, value};
use super::*;
use crate::MESSAGES;
use crate::act::Void;
use crate::status::Status;

/// The sample with one member changed, by JSON pointer; `null` takes it away.
fn changed(pointer: &str, to: Value) -> Value {
    let mut value = value();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = value.pointer_mut(parent).unwrap();
    match parent {
        Value::Object(members) if to.is_null() => drop(members.remove(name)),
        Value::Object(members) => drop(members.insert(name.to_owned(), to)),
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = to,
        other => panic!("{other} has no members"),
    }
    value
}

fn schema() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn faults(value: &Value) -> Vec<String> {
    let faults = match read(&Document::of(value.clone())) {
        Ok(_) => return Vec::new(),
        Err(faults) => faults,
    };
    for language in Language::ALL {
        for fault in &faults.0 {
            let said = fault.say(&MESSAGES, language);
            assert!(!said.ends_with(fault.code) && !said.contains("{$"), "{language:?} {said}");
        }
    }
    faults.0.iter().map(|fault| format!("{} {}", fault.place.field, fault.code)).collect()
}

/// Pointer, new value, the faults, and whether the published schema sees it too.
#[test]
fn every_fault_is_told_with_its_place() {
    let texts = json!({ "en": "x", "ko": "x" });
    let body =
        |id: &str, above: &str| json!({ "id": id, "name": texts, "level": "ministers", "above": above });
    let table: Vec<(&str, Value, &[&str], bool)> = vec![
        ("/id", json!("IPEF"), &["id arrangement-name"], true),
        ("/id", Value::Null, &["id missing"], true),
        ("/version", json!(0), &["version arrangement-version"], true),
        ("/version", json!("1"), &["version not-count"], true),
        ("/title", json!({ "en": "x" }), &["title arrangement-language"], false),
        ("/title", json!({ "en": " ", "ko": "x" }), &["title.en empty-text"], true),
        ("/sources/0/url", json!("ftp://a"), &["sources[0].url arrangement-url"], true),
        (
            "/parties",
            json!([]),
            &["clocks[5].owner arrangement-no-party", "parties arrangement-parties"],
            true,
        ),
        ("/parties", Value::Null, &["clocks[5].owner arrangement-no-party", "parties missing"], true),
        ("/parties/1/code", json!("KR"), &["parties[1].code arrangement-twice"], false),
        ("/parties/1/did", json!("did:web:kr.example"), &["parties[1].did arrangement-twice"], false),
        ("/parties/1/did", json!("did:key:z6"), &["parties[1].did arrangement-did"], true),
        ("/parties/1/code", json!("jp"), &["parties[1].code arrangement-code"], true),
        ("/parties/1/desks", json!([]), &["parties[1].desks arrangement-empty"], true),
        (
            "/parties/1/desks/0/may",
            json!(["notices"]),
            &["parties[1].desks[0].may[0] arrangement-scope"],
            true,
        ),
        ("/parties/1/desks/1/name", json!("policy"), &["parties[1].desks[1].name arrangement-twice"], false),
        ("/parties/0/holidays/0", json!("2024-02-30"), &["parties[0].holidays[0] not-date"], false),
        ("/bodies/2/above", json!("director"), &["bodies[2].above arrangement-no-body"], false),
        (
            "/bodies/0/id",
            json!("directors"),
            &["bodies[1].above arrangement-no-body", "bodies[1].id arrangement-twice"],
            false,
        ),
        (
            "/bodies/0",
            body("ministers", "wg"),
            &[
                "bodies[0].above arrangement-circle",
                "bodies[1].above arrangement-circle",
                "bodies[2].above arrangement-circle",
            ],
            false,
        ),
        ("/bodies/0", body("ministers", "ministers"), &["bodies[0].above arrangement-circle"], false),
        ("/bodies/0/level", json!("kings"), &["bodies[0].level not-one-of"], true),
        ("/allows", json!([]), &["allows arrangement-empty"], true),
        ("/allows/0", json!("notice:"), &["allows[0] arrangement-scope"], true),
        ("/four-eyes/0", json!("alert"), &["four-eyes[0] arrangement-scope"], true),
        ("/time/zone", json!("Asia/Soul"), &["time.zone arrangement-zone"], false),
        ("/time/zone", json!("asia/seoul"), &["time.zone arrangement-zone"], false),
        ("/time", Value::Null, &["time missing"], true),
        ("/clocks/1/id", json!("follow-up"), &["clocks[2].id arrangement-twice"], false),
        ("/clocks/1/starts", json!("notice"), &["clocks[1].starts arrangement-event"], true),
        ("/clocks/1/owner", json!("CN"), &["clocks[1].owner arrangement-no-party"], false),
        ("/clocks/1/owner", json!("all"), &["clocks[1].owner arrangement-owner"], true),
        ("/clocks/0/body", json!("council"), &["clocks[0].body arrangement-no-body"], false),
        (
            "/clocks/0/escalate/0/to",
            json!("council"),
            &["clocks[0].escalate[0].to arrangement-no-body"],
            false,
        ),
        ("/clocks/0/escalate", json!([]), &["clocks[0].escalate arrangement-empty"], true),
        (
            "/clocks/0/body",
            Value::Null,
            &[
                "clocks[0].escalate[0] arrangement-nobody-above",
                "clocks[0].escalate[1] arrangement-nobody-above",
            ],
            false,
        ),
        ("/clocks/1/due/within", json!("24h"), &["clocks[1].due.within arrangement-span"], true),
        ("/clocks/1/due/within", json!("10001 h"), &["clocks[1].due.within arrangement-span"], true),
        (
            "/clocks/1/due/working-days",
            json!(true),
            &["clocks[1].due.working-days arrangement-working-hours"],
            true,
        ),
        (
            "/clocks/3/due",
            json!({ "within": "3 d", "working-days": true }),
            &["clocks[3].due.working-days arrangement-working-days"],
            true,
        ),
        ("/clocks/0/dues", json!("15 d"), &["clocks[0].dues unknown-meant"], true),
        ("/marking/cap", json!("TLP:WHITE"), &["marking.cap arrangement-marking"], true),
        ("/marking/community", json!({ "ko": "x" }), &["marking.community arrangement-language"], false),
        ("/languages/prevailing", json!("ja"), &["languages.prevailing arrangement-prevailing"], false),
        ("/languages/required", json!(["en", "en"]), &["languages.required[1] arrangement-twice"], true),
        ("/exercise/allowed", json!("no"), &["exercise.allowed not-boolean"], true),
    ];
    let schema = schema();
    for (pointer, to, expected, in_schema) in table {
        let value = changed(pointer, to.clone());
        let mut found = faults(&value);
        found.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{pointer} {to}");
        assert_eq!(!schema.is_valid(&value), in_schema, "the schema on {pointer} {to}");
    }
}

#[test]
fn lists_that_are_too_long_are_refused() {
    for (pointer, item, most) in [
        ("/bodies", value()["bodies"][0].clone(), 256),
        ("/clocks", value()["clocks"][1].clone(), 256),
        ("/clocks/0/remind", json!("1 d"), 16),
        ("/clocks/0/escalate", json!({ "after": "1 d", "to": "wg" }), 16),
        ("/languages/required", json!("en"), 16),
        ("/parties", value()["parties"][0].clone(), 64),
    ] {
        let many = changed(pointer, Value::Array(vec![item; most + 1]));
        let found = faults(&many);
        let expected = if pointer == "/parties" { "arrangement-parties" } else { "too-many" };
        assert!(found.iter().any(|fault| fault.ends_with(expected)), "{pointer} {found:?}");
        assert!(!schema().is_valid(&many), "{pointer}");
    }
}

#[test]
fn all_faults_of_a_file_come_at_once_with_their_lines() {
    let text = "id = \"x\"\nversion = 0\ntitel = { en = \"A\" }\n\n[time]\nzone = \"Mars\"\n\n[languages]\nrequired = [\"en\"]\n\n[[parties]]\ncode = \"KR\"\n";
    let faults = Document::toml(Some("a.toml"), text).and_then(|document| read(&document)).unwrap_err();
    let said = faults.say(&MESSAGES, Language::En);
    for line in [
        "a.toml:2: version: the version must be 1 or more",
        "a.toml:3: titel: there is no field of this name here; did you mean title?",
        "a.toml:6: time.zone: \"Mars\" is no time zone; write an IANA name such as Asia/Seoul",
        "parties[0].did: this field is missing; add it",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert!(faults.say(&MESSAGES, Language::Ko).contains("시간대가 아닙니다"));
}

#[test]
fn what_is_written_is_read_again() {
    let filled = filled();
    for arrangement in [arrangement()].iter().chain(&filled) {
        let content = Document::of(Value::Object(arrangement.to_content()));
        assert_eq!(read(&content).as_ref(), Ok(arrangement));
        let toml = arrangement.to_toml();
        let again = Document::toml(None, &toml).and_then(|document| read(&document));
        assert_eq!(again.as_ref(), Ok(arrangement), "{toml}");
        let serde: Arrangement = serde_json::from_value(Value::Object(arrangement.to_content())).unwrap();
        assert_eq!(serde, *arrangement);
    }
}

fn filled() -> Vec<Arrangement> {
    let parties = [
        ("KR", did("kr"), texts("Korea")),
        ("JP", did("jp"), texts("Japan")),
        ("COM", did("com"), texts("Commission")),
    ];
    Template::ALL
        .into_iter()
        .map(|template| template.fill(&parties).unwrap_or_else(|error| panic!("{}: {error}", template.id())))
        .collect()
}

#[test]
fn the_templates_make_arrangements_that_the_schema_accepts_and_an_entry_holds() {
    let schema = schema();
    for (template, arrangement) in Template::ALL.into_iter().zip(filled()) {
        let content = Value::Object(arrangement.to_content());
        let problems: Vec<String> =
            schema.iter_errors(&content).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(problems, Vec::<String>::new(), "{}", template.id());
        assert_eq!(arrangement.id, template.id());
        assert_eq!(Template::named(template.id()), Some(template));
        // An entry has at most 65,536 bytes, with its envelope and further parties.
        let bytes = content.to_string().len();
        assert!(bytes < 32_000, "{}: {bytes}", template.id());
    }
}

#[test]
fn the_templates_speak_four_languages_and_every_clock_names_its_source() {
    for arrangement in filled() {
        let clocks = arrangement.clocks.iter().map(|clock| &clock.title);
        let bodies = arrangement.bodies.iter().map(|body| &body.name);
        let others = [&arrangement.title, &arrangement.marking.community, &arrangement.exercise.banner];
        for texts in clocks.chain(bodies).chain(others) {
            assert!(["en", "ko", "ja", "ar"].iter().all(|tag| texts.contains_key(*tag)), "{texts:?}");
        }
        for clock in &arrangement.clocks {
            let source = clock.source.as_ref().unwrap_or_else(|| panic!("{} has no source", clock.id));
            let own = source.title.contains("working rule of this template");
            assert!(own || source.url.is_some(), "{}: {source:?}", clock.id);
        }
    }
}

#[test]
fn a_template_says_which_parties_its_clocks_need() {
    let rasff = Template::named("rasff-alert").unwrap();
    assert_eq!(rasff.codes(), ["COM"]);
    let error =
        rasff.fill(&[("KR", did("kr"), texts("Korea")), ("JP", did("jp"), texts("Japan"))]).unwrap_err();
    assert!(error.to_string().contains("there is no party \"COM\""), "{error}");
}

#[test]
fn a_duty_climbs_through_the_bodies_above() {
    let arrangement = arrangement();
    let clock = arrangement.clock("emergency-meeting").unwrap();
    assert_eq!(clock.ladder(&arrangement), [(Span::Hours(0), "directors"), (Span::Days(7), "ministers")]);
}

fn reason(result: Result<(), Void>) -> Option<&'static str> {
    let void = result.err()?;
    for language in Language::ALL {
        let said = void.say(language);
        assert!(said != void.code && !said.contains("{$"), "{language:?} {said}");
    }
    Some(void.code)
}

#[test]
fn mandates_bind_desks_of_a_party_that_lists_them() {
    let arrangement = arrangement();
    let alert = (ActKind::Notice, Some("disruption-alert"));
    for (party, desk, kind, expected) in [
        // KR lists no desks: every desk may do everything.
        ("kr", "any desk", ActKind::Meeting, None),
        ("jp", "policy", ActKind::Meeting, None),
        ("jp", "alerts", ActKind::Notice, None),
        ("jp", "alerts", ActKind::Meeting, Some("arrangement-void-desk")),
        ("jp", "unheard of", ActKind::Notice, Some("arrangement-void-desk")),
        ("cn", "policy", ActKind::Notice, Some("arrangement-void-party")),
    ] {
        assert_eq!(
            reason(arrangement.mandate(&did(party), desk, kind, alert.1)),
            expected,
            "{party} {desk} {kind}"
        );
    }
    let mut nobody = arrangement;
    nobody.parties[1].desks.remove(0);
    assert_eq!(
        reason(nobody.mandate(&did("jp"), "alerts", ActKind::Meeting, None)),
        Some("arrangement-void-no-desk")
    );
}

#[test]
fn kinds_markings_languages_exercises_and_four_eyes_are_judged_one_by_one() {
    let arrangement = arrangement();
    assert_eq!(reason(arrangement.allowed(ActKind::Notice, Some("offer"))), None);
    assert_eq!(reason(arrangement.allowed(ActKind::Commitment, None)), Some("arrangement-void-kind"));
    assert_eq!(reason(arrangement.allowed(ActKind::Arrangement, None)), None);
    assert_eq!(reason(arrangement.marking(Marking::Amber)), None);
    assert_eq!(reason(arrangement.marking(Marking::AmberStrict)), Some("arrangement-void-marking"));
    let words = |tags: &[&str]| Words {
        texts: tags.iter().map(|tag| ((*tag).to_owned(), "x".to_owned())).collect(),
        prevailing: None,
    };
    assert_eq!(reason(arrangement.languages(&words(&["en", "ko", "ja"]))), None);
    assert_eq!(reason(arrangement.languages(&words(&[]))), None);
    assert_eq!(reason(arrangement.languages(&words(&["en"]))), Some("arrangement-void-language"));
    assert_eq!(reason(arrangement.status(Status::Actual)), None);
    assert_eq!(reason(arrangement.status(Status::Exercise)), Some("arrangement-void-exercise"));
    let alert = (ActKind::Notice, Some("disruption-alert"));
    let release = |desks| arrangement.release(&did("jp"), desks, alert.0, alert.1);
    assert_eq!(reason(release(("alerts", "policy"))), None);
    assert_eq!(reason(release(("alerts", "alerts"))), Some("arrangement-void-four-eyes"));
    assert_eq!(reason(release(("alerts", "unheard of"))), Some("arrangement-void-desk"));
}
