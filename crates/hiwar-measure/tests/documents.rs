//! Documents of measures: what is wrong is told field by field, what is right is kept.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on fails")]

use hiwar_form::{Document, Language};
use hiwar_measure::code::Listed;
use hiwar_measure::query::{Asked, Filter, Question, governing, timeline};
use hiwar_measure::{
    Checked, Claim, Field, Flow, Item, Kind, Licence, Measure, Places, Register, Source, State, TariffCode,
    Texts, Value, When, document, messages, shipped,
};
use jiff::civil::{Date, date};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn good() -> Json {
    json!({
        "id": "a", "title": { "en": "A" }, "jurisdiction": "JP", "flow": "export", "kind": "licence",
        "origins": ["JP"], "destinations": "all",
        "items": [{
            "id": "x", "title": { "en": "X" },
            "tariff_codes": [{ "jurisdiction": "JP", "edition": "HS2017", "code": "281111000", "checked": "primary" }],
            "thresholds": [{ "quantity": "purity", "above": "99.9", "unit": "%" }],
            "separable_in_statistics": true
        }],
        "states": [{ "id": "s", "kind": "licence", "title": { "en": "S" }, "items": ["x"] }],
        "claims": [
            { "field": "in-force", "date": "2019-07-04", "source": { "title": "t", "publisher": "p", "checked": "primary" } },
            { "field": "state.s.from", "date": "2019-07-04", "source": { "title": "t", "publisher": "p", "checked": "primary" } }
        ]
    })
}

/// The faults of the good document after one change.
fn faults(pointer: &str, change: Json) -> Vec<(String, &'static str)> {
    let mut value = good();
    *value.pointer_mut(pointer).unwrap() = change;
    let read = document::read(&Document::of(value));
    let faults = read.map(|_| Vec::new()).unwrap_or_else(|faults| faults.0);
    faults.into_iter().map(|fault| (fault.place.field, fault.code)).collect()
}

fn source() -> Json {
    json!({ "title": "t", "publisher": "p", "checked": "secondary" })
}

#[test]
fn each_mistake_is_told_where_it_is() {
    assert!(document::read(&Document::of(good())).is_ok());
    for (pointer, change, place, code) in [
        ("/id", json!("A b"), "id", "not-a-name"),
        ("/title", json!({ "ko": "가" }), "title", "texts-without-english"),
        ("/jurisdiction", json!("UK"), "jurisdiction", "not-a-country"),
        ("/flow", json!("out"), "flow", "not-one-of"),
        ("/kind", json!("banned"), "kind", "not-one-of"),
        ("/origins", json!([]), "origins", "not-places"),
        ("/origins", json!(["JP", "XX"]), "origins[1]", "not-a-country"),
        ("/destinations", json!("KR"), "destinations", "not-places"),
        (
            "/items/0/tariff_codes/0/code",
            json!("28111"),
            "items[0].tariff_codes[0].code",
            "not-a-tariff-code",
        ),
        (
            "/items/0/tariff_codes/0/jurisdiction",
            json!(null),
            "items[0].tariff_codes[0].code",
            "tariff-code-without-jurisdiction",
        ),
        (
            "/items/0/tariff_codes/0/edition",
            json!("HS2018"),
            "items[0].tariff_codes[0].edition",
            "not-an-edition",
        ),
        ("/items/0/tariff_codes/0/checked", json!("yes"), "items[0].tariff_codes[0].checked", "not-one-of"),
        ("/items/0/thresholds/0/unit", json!(null), "items[0].thresholds[0].unit", "threshold-without-unit"),
        ("/items/0/thresholds/0/above", json!("1e3"), "items[0].thresholds[0].above", "not-a-decimal"),
        ("/items/0/thresholds/0/above", json!(null), "items[0].thresholds[0]", "no-bound"),
        ("/items/0/separable_in_statistics", json!("no"), "items[0].separable_in_statistics", "not-boolean"),
        ("/states/0/items/0", json!("y"), "states[0].items[0]", "no-such-item"),
        ("/claims", json!([]), "claims", "no-claims"),
        ("/claims/0/field", json!("began"), "claims[0].field", "not-a-field"),
        ("/claims/0/field", json!("state.other.from"), "claims[0]", "no-such-state"),
        ("/claims/0/date", json!("2019-02-30"), "claims[0].date", "not-a-when"),
        ("/claims/0/date", json!(null), "claims[0]", "claim-not-one-value"),
        ("/claims/0/source", json!(null), "claims[0].source", "claim-without-source"),
        ("/claims/0/source/publisher", json!(" "), "claims[0].source.publisher", "empty-text"),
        ("/claims/1/field", json!("announced"), "states[0]", "state-without-start"),
        (
            "/claims/0",
            json!({ "field": "in-force", "text": "soon", "source": source() }),
            "claims[0]",
            "claim-needs-date",
        ),
        (
            "/claims/0/source",
            json!({ "title": "t", "publisher": "p", "checked": "primary", "url": "javascript:x" }),
            "claims[0].source.url",
            "not-a-url",
        ),
        (
            "/claims/0/source",
            json!({ "title": "t", "publisher": "p", "checked": "primary", "date": "2019-07" }),
            "claims[0].source.date",
            "not-a-day",
        ),
    ] {
        let found = faults(pointer, change.clone());
        assert!(found.contains(&(place.to_owned(), code)), "{pointer} = {change}: {found:?}");
    }
}

#[test]
fn unknown_members_are_told_with_what_may_have_been_meant() {
    let mut value = good();
    value["jurisdictions"] = json!("JP");
    value["items"][0]["thresholds"][0]["color"] = json!(1);
    let faults = document::read(&Document::of(value)).unwrap_err().say(messages(), Language::En);
    assert!(
        faults.contains("jurisdictions: there is no field of this name here; did you mean jurisdiction?"),
        "{faults}"
    );
    assert!(faults.contains("items[0].thresholds[0].color: there is no field of this name here"), "{faults}");
}

#[test]
fn an_end_before_its_start_and_states_at_the_same_time_are_refused() {
    let claim = |field: &str, day: &str| json!({ "field": field, "date": day, "source": source() });
    let mut value = good();
    value["claims"].as_array_mut().unwrap().push(claim("ended", "2019-07-03"));
    value["claims"].as_array_mut().unwrap().push(claim("state.s.until", "2019-07-03"));
    let found = document::read(&Document::of(value)).unwrap_err();
    let codes: Vec<_> = found.0.iter().map(|fault| (fault.place.field.as_str(), fault.code)).collect();
    assert_eq!(codes, [("claims", "end-before-start"), ("states[0]", "end-before-start")]);

    let mut value = good();
    let states = value["states"].as_array_mut().unwrap();
    states.push(json!({ "id": "t", "kind": "ban", "title": { "en": "T" } }));
    value["claims"].as_array_mut().unwrap().push(claim("state.t.from", "2019-07-04"));
    let found = document::read(&Document::of(value)).unwrap_err().say(messages(), Language::En);
    assert!(found.contains("the states s and t hold for one item at the same time"), "{found}");
}

#[test]
fn faults_are_told_in_four_languages_with_their_line() {
    let text = "{\n \"id\": \"a\",\n \"title\": { \"en\": \"A\" },\n \"jurisdiction\": \"UK\"\n}";
    let faults = Document::json(Some("m.json"), text).and_then(|d| document::read(&d)).unwrap_err();
    for (language, said) in [
        (Language::En, "m.json:4: jurisdiction: \"UK\" is no country"),
        (Language::Ko, "m.json:4: jurisdiction: \"UK\"은(는) 국가 부호가 아닙니다"),
        (Language::Ja, "m.json:4: jurisdiction: \"UK\" は国コードではありません"),
        (Language::Ar, "ليس رمز بلد"),
    ] {
        let all = faults.say(messages(), language);
        assert!(all.contains(said), "{all}");
    }
}

fn any_day() -> impl Strategy<Value = Date> {
    (0i32..4000).prop_map(|days| date(2015, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap())
}

fn any_checked() -> impl Strategy<Value = Checked> {
    prop::sample::select(Checked::ALL.to_vec())
}

fn claim(field: Field, day: Date, checked: Checked, published: Option<Date>) -> Claim {
    let source = Source { title: "t".into(), publisher: "p".into(), url: None, date: published, checked };
    Claim { field, value: Value::Date(When::Day(day)), party: None, note: None, source }
}

/// A measure with one item, states that begin on different days, and several claims about each field.
fn any_measure() -> impl Strategy<Value = Measure> {
    let states = prop::collection::btree_set(any_day(), 1..5);
    let versions = prop::collection::vec((any_day(), any_checked(), prop::option::of(any_day())), 0..6);
    (states, versions, prop::sample::select(Kind::ALL.to_vec())).prop_map(|(begins, versions, kind)| {
        let code =
            TariffCode::new(Some("JP".parse().unwrap()), "HS2017".parse().unwrap(), "281111000").unwrap();
        let mut claims = Vec::new();
        let mut states = Vec::new();
        for (index, day) in begins.into_iter().enumerate() {
            let id: hiwar_measure::StateId = format!("s{index}").parse().unwrap();
            claims.push(claim(Field::StateFrom(id.clone()), day, Checked::Primary, None));
            states.push(State { id, kind, title: Texts::english("S"), items: Vec::new() });
        }
        claims.extend(
            versions
                .into_iter()
                .map(|(day, checked, published)| claim(Field::InForce, day, checked, published)),
        );
        Measure {
            id: "m".parse().unwrap(),
            title: Texts::english("M"),
            jurisdiction: "JP".parse().unwrap(),
            flow: Flow::Export,
            kind: Kind::Licence(Licence::Unspecified),
            origins: Places::Of(vec!["JP".parse().unwrap()]),
            destinations: Places::All,
            legal_bases: Vec::new(),
            items: vec![Item {
                id: "x".parse().unwrap(),
                title: Texts::english("X"),
                control_codes: Vec::new(),
                tariff_codes: vec![Listed { code, checked: Checked::Primary }],
                thresholds: Vec::new(),
                cas: None,
                separable_in_statistics: true,
            }],
            affected_parties: Vec::new(),
            states,
            claims,
        }
    })
}

fn question(day: Date) -> Question {
    let [from, to] = ["JP", "KR"].map(|code| code.parse().unwrap());
    Question { item: Asked::Item("x".parse().unwrap()), from, to, day }
}

proptest! {
    #[test]
    fn a_measure_is_read_as_it_was_written_with_all_its_claims(measure in any_measure()) {
        let text = document::write(&measure);
        let again = document::read(&Document::json(None, &text).unwrap()).unwrap();
        prop_assert_eq!(&again.claims, &measure.claims, "no version is lost");
        prop_assert_eq!(again, measure);
    }

    #[test]
    fn of_every_field_each_claim_is_shown_or_told_beside_it(measure in any_measure()) {
        for field in measure.fields() {
            let all = measure.claims.iter().filter(|claim| claim.field == *field).count();
            let claimed = measure.claimed(field).unwrap();
            prop_assert_eq!(1 + claimed.agreeing.len() + claimed.conflicting.len(), all);
            let best = measure.claims.iter().filter(|c| c.field == *field).map(|c| c.source.checked).min();
            prop_assert_eq!(Some(claimed.shown.source.checked), best);
        }
    }

    #[test]
    fn on_every_day_the_state_is_the_last_that_began(measure in any_measure(), day in any_day()) {
        let mut begun: Vec<(Date, String)> = measure.states.iter().map(|state| {
            let from = measure.date(&Field::StateFrom(state.id.clone())).unwrap();
            (from.first_day(), state.id.to_string())
        }).collect();
        begun.retain(|(from, _)| *from <= day);
        let expected = begun.into_iter().max().map(|(_, id)| id);
        let register = Register::new([measure]).unwrap();
        let answer = governing(&register, &question(day));
        prop_assert_eq!(answer.governing.len(), 1);
        let state = answer.governing[0].ruling.state.map(|state| state.id.to_string());
        prop_assert_eq!(state, expected);
    }

    #[test]
    fn a_timeline_is_sorted_and_holds_every_dated_claim(measure in any_measure()) {
        let claims = measure.claims.len();
        let register = Register::new([measure]).unwrap();
        let rows = timeline(&register, &Filter::default());
        prop_assert_eq!(rows.len(), claims);
        prop_assert!(rows.windows(2).all(|pair| pair[0].when <= pair[1].when));
    }

    #[test]
    fn what_is_known_only_grows(measure in any_measure(), day in any_day(), later in 0i32..1000) {
        let register = Register::new([measure]).unwrap();
        let then = register.known_on(day);
        let after = register.known_on(day.checked_add(jiff::Span::new().days(later)).unwrap());
        let count = |known: &hiwar_measure::Known| known.register.measures().map(|m| m.claims.len()).sum::<usize>();
        prop_assert!(count(&then) <= count(&after));
    }

    #[test]
    fn a_changed_document_is_read_or_refused_but_never_breaks(index in 0usize..10, at in 0usize..5000, byte: u8) {
        let (_, text) = shipped::FILES[index];
        let mut bytes = text.as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = Document::json(None, &text).and_then(|document| document::read(&document));
        }
    }
}
