//! Decisions over the life of an agreement: what is explained, when time changes a decision, what is
//! taken on as a duty.

#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

use hiwar_dataspace::policy::{
    Action, Participant, Phase, Policy, RULES_VERSION, Request, RuleKind, Terms, Verdict, cannot_keep,
    duties, evaluate, next_change, permits,
};
use hiwar_trust::time::Timestamp;
use serde_json::json;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn terms(text: &str) -> Policy {
    Terms::read(text.as_bytes()).unwrap().policy
}

fn japan() -> Participant {
    Participant {
        id: Some("did:web:meti.example".to_owned()),
        groups: vec!["supply-chain".to_owned()],
        country: Some("JP".to_owned()),
        credentials: None,
    }
}

const TERMS: &str = r#"{
  "permit": {"use": {"countries": ["KR", "JP"], "purposes": ["audit"],
                     "from": "2026-12-01", "until": "2027-03-31", "within": "P90D", "count": 2}},
  "forbid": ["distribute"],
  "oblige": {"delete_after": "P30D"},
  "marking": "TLP:AMBER"
}"#;

#[test]
fn one_policy_is_asked_at_every_step_of_an_agreement() {
    let policy = terms(TERMS);
    let japan = japan();
    let shown = Request::new(Phase::Catalogue, &japan, time("2026-11-25T00:00:00.000Z"));
    assert!(
        permits(&policy, &shown),
        "shown before the window opens: purpose and marking are still to be stated"
    );
    let asked = Request { phase: Phase::Negotiation, ..shown };
    assert!(!permits(&policy, &asked), "an agreement needs the purpose");
    let stated = Request { purpose: Some("audit"), accepted_marking: Some("TLP:AMBER"), ..asked };
    assert!(permits(&policy, &stated), "an agreement may be made before the window opens");
    let agreed =
        Request { phase: Phase::Transfer, agreed_at: Some(stated.now), transfers_before: Some(0), ..stated };
    assert!(!permits(&policy, &agreed), "but nothing is transferred before it opens");
    let opened = Request { now: time("2026-12-01T00:00:00.000Z"), ..agreed };
    assert!(permits(&policy, &opened));
    assert!(
        permits(&policy, &Request { transfers_before: Some(1), ..opened }),
        "the second of two transfers"
    );
    assert!(!permits(&policy, &Request { transfers_before: Some(2), ..opened }), "the third");
    let running = Request { phase: Phase::Running, transfers_before: Some(1), ..opened };
    assert!(permits(&policy, &running), "the second transfer goes on");
    // 90 days after 2026-11-25 is 2027-02-23, before the end of the window.
    assert_eq!(next_change(&policy, &running), Some(time("2027-02-23T00:00:00.001Z")));
    assert!(permits(&policy, &Request { now: time("2027-02-23T00:00:00.000Z"), ..running }));
    assert!(!permits(&policy, &Request { now: time("2027-02-23T00:00:00.001Z"), ..running }));
    let onward = Request { action: &Action::Distribute, ..running };
    assert!(!permits(&policy, &onward), "what was got is not passed on");
}

#[test]
fn the_last_day_is_included_to_its_last_millisecond() {
    let policy = terms(r#"{"permit": {"use": {"from": "2027-03-30", "until": "2027-03-31"}}}"#);
    let japan = japan();
    let at = |text: &str| Request::new(Phase::Running, &japan, time(text));
    for (now, permitted, next) in [
        ("2027-03-29T23:59:59.999Z", false, Some("2027-03-30T00:00:00.000Z")),
        ("2027-03-30T00:00:00.000Z", true, Some("2027-04-01T00:00:00.000Z")),
        ("2027-03-31T23:59:59.999Z", true, Some("2027-04-01T00:00:00.000Z")),
        ("2027-04-01T00:00:00.000Z", false, None),
    ] {
        assert_eq!(permits(&policy, &at(now)), permitted, "{now}");
        assert_eq!(next_change(&policy, &at(now)), next.map(time), "{now}");
    }
}

#[test]
fn time_that_changes_nothing_sets_no_timer() {
    let japan = japan();
    let now = time("2026-12-01T00:00:00.000Z");
    let refused = terms(r#"{"permit": {"use": {"countries": ["KR"], "until": "2027-03-31"}}}"#);
    assert_eq!(
        next_change(&refused, &Request::new(Phase::Running, &japan, now)),
        None,
        "refused now and afterwards"
    );
    let later_prohibited = Policy::from_value(json!({
        "permission": [{"action": "use"}],
        "prohibition": [{"action": "use", "constraint": [
            {"leftOperand": "dateTime", "operator": "gteq", "rightOperand": "2027-01-01T00:00:00Z"},
            {"leftOperand": "spatial", "operator": "eq", "rightOperand": "JP"}]}]
    }))
    .unwrap();
    let request = Request::new(Phase::Running, &japan, now);
    assert_eq!(next_change(&later_prohibited, &request), Some(time("2027-01-01T00:00:00.000Z")));
    let instant = Policy::from_value(json!({"permission": [{"action": "use", "constraint": [
        {"leftOperand": "dateTime", "operator": "eq", "rightOperand": "2027-01-01T00:00:00Z"}]}]}))
    .unwrap();
    assert_eq!(next_change(&instant, &request), Some(time("2027-01-01T00:00:00.000Z")));
    let at = Request { now: time("2027-01-01T00:00:00.000Z"), ..request };
    assert_eq!(next_change(&instant, &at), Some(time("2027-01-01T00:00:00.001Z")));
}

/// What a person reads when a request is refused. The words are part of the product.
#[test]
fn a_refusal_names_the_rule_what_was_found_and_what_would_satisfy_it() {
    let policy = terms(TERMS);
    let france = Participant {
        id: Some("did:web:fr.example".to_owned()),
        country: Some("FR".to_owned()),
        ..Participant::default()
    };
    let request = Request {
        purpose: Some("resale"),
        agreed_at: Some(time("2026-11-25T00:00:00.000Z")),
        transfers_before: Some(2),
        ..Request::new(Phase::Transfer, &france, time("2027-04-02T00:00:00.000Z"))
    };
    let decision = evaluate(&policy, &request);
    assert!(!decision.permitted);
    assert_eq!(decision.rules_version, RULES_VERSION);
    assert_eq!(
        decision.reason,
        "permission[0].constraint[0]: country isAnyOf KR, JP is required, found: FR; \
         the participant's country must be KR or JP"
    );
    let rows: Vec<String> = decision
        .findings
        .iter()
        .map(|f| {
            let actual = f.actual.as_deref().unwrap_or("-");
            format!(
                "{} | {} {} {} | {actual} | {:?} | {}",
                f.path, f.operand, f.operator, f.required, f.verdict, f.satisfy
            )
        })
        .collect();
    let expected = [
        "permission[0] | use  all its constraints | - | NotFulfilled | ",
        "permission[0].constraint[0] | country isAnyOf KR, JP | FR | NotFulfilled | the participant's country must be KR or JP",
        "permission[0].constraint[1] | purpose eq audit | resale | NotFulfilled | state the purpose audit with the request",
        "permission[0].constraint[2] | dateTime gteq 2026-12-01T00:00:00.000Z | 2027-04-02T00:00:00.000Z | Fulfilled | ",
        "permission[0].constraint[3] | dateTime lt 2027-04-01T00:00:00.000Z | 2027-04-02T00:00:00.000Z | NotFulfilled | the time was over at 2027-04-01T00:00:00.000Z; ask the provider for a new offer",
        "permission[0].constraint[4] | elapsedTime lteq P90D | P128D | NotFulfilled | the time was over at 2027-02-23T00:00:00.000Z; ask for a new agreement",
        "permission[0].constraint[5] | count lteq 2 | 3 | NotFulfilled | at most 2 transfers are allowed; ask for a new agreement for more",
        "permission[0].constraint[6] | marking eq TLP:AMBER | - | CannotBeEvaluated | state that you keep the marking TLP:AMBER",
        "obligation[0] | delete  by 2026-12-25T00:00:00.000Z | - | NotDue | delete all copies by 2026-12-25T00:00:00.000Z",
    ];
    assert_eq!(rows, expected);
    assert_eq!(decision.obstacles().count(), 6);
}

#[test]
fn a_prohibition_says_how_not_to_fall_under_it() {
    let policy = Policy::from_value(json!({
        "permission": [{"action": "use"}],
        "prohibition": [{"action": "use", "constraint": [
            {"leftOperand": "group", "operator": "eq", "rightOperand": "supply-chain"},
            {"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": ["resale", "training"]},
            {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2027-01-01T00:00:00Z"}]}]
    }))
    .unwrap();
    let japan = japan();
    let request = Request {
        purpose: Some("resale"),
        ..Request::new(Phase::Transfer, &japan, time("2026-12-01T00:00:00.000Z"))
    };
    let decision = evaluate(&policy, &request);
    assert_eq!(decision.reason, "prohibition[0] applies");
    let wishes: Vec<&str> = decision.obstacles().map(|f| f.satisfy.as_str()).collect();
    assert_eq!(
        wishes,
        [
            "the participant must not belong to the group supply-chain",
            "state a purpose other than resale or training with the request",
            "ask from 2027-01-01T00:00:00.000Z on",
        ]
    );
    let unstated = Request { purpose: None, ..request };
    assert_eq!(
        evaluate(&policy, &unstated).reason,
        "whether prohibition[0] applies cannot be told, so it counts as applying"
    );
    let other = Request { purpose: Some("audit"), ..request };
    assert!(evaluate(&policy, &other).permitted);
}

#[test]
fn what_only_a_credential_can_show_is_asked_for_by_its_name() {
    let policy =
        terms(r#"{"permit": {"use": {"groups": ["credential:MembershipCredential.memberOf=Ouranos"]}}}"#);
    let japan = japan();
    let decision =
        evaluate(&policy, &Request::new(Phase::Negotiation, &japan, time("2026-12-01T00:00:00.000Z")));
    let obstacle = decision.obstacles().next().unwrap();
    assert_eq!(obstacle.verdict, Verdict::CannotBeEvaluated);
    assert_eq!(
        obstacle.satisfy,
        "the participant must belong to the holders of a verified MembershipCredential whose memberOf is Ouranos"
    );
}

#[test]
fn a_duty_has_its_date_as_soon_as_it_is_known() {
    let policy = terms(
        r#"{"permit": {"use": {}}, "forbid": "distribute",
                           "oblige": {"delete_after": "P1M", "delete_by": "2027-06-30"}}"#,
    );
    let agreed = time("2027-01-31T12:00:00.000Z");
    let received = time("2027-05-31T12:00:00.000Z");
    let due = |agreed, received| duties(&policy, agreed, received).into_iter().next().unwrap().due;
    assert_eq!(due(None, None), Some(time("2027-07-01T00:00:00.000Z")), "the end of the last day");
    // One month after 31 January is the last day of February.
    assert_eq!(due(Some(agreed), None), Some(time("2027-02-28T12:00:00.000Z")));
    assert_eq!(
        due(Some(agreed), Some(received)),
        Some(time("2027-06-30T12:00:00.000Z")),
        "counted from the arrival"
    );
    let all = duties(&policy, None, None);
    let rows: Vec<_> =
        all.iter().map(|duty| (duty.path.as_str(), duty.kind, duty.kept, duty.text.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("obligation[0]", RuleKind::Obligation, true, "delete all copies by 2027-07-01T00:00:00.000Z"),
            ("prohibition[0]", RuleKind::Prohibition, true, "do not pass the data on"),
        ]
    );
    let later = terms(r#"{"permit": {"use": {}}, "oblige": {"delete_after": "P30D"}}"#);
    let duty = duties(&later, None, None).pop().unwrap();
    assert_eq!((duty.due, duty.text.as_str()), (None, "delete all copies within P30D of receipt"));
}

#[test]
fn data_are_passed_on_only_to_whom_the_terms_name() {
    let policy =
        terms(r#"{"permit": {"use": {}, "distribute": {"groups": ["supply-chain"], "countries": ["JP"]}}}"#);
    let now = time("2026-12-01T00:00:00.000Z");
    let to = |recipient: &Participant| {
        permits(
            &policy,
            &Request { action: &Action::Distribute, ..Request::new(Phase::Running, recipient, now) },
        )
    };
    assert!(to(&japan()));
    assert!(!to(&Participant { groups: vec![], ..japan() }), "not in the group");
    assert!(!to(&Participant { country: Some("FR".to_owned()), ..japan() }), "in another country");
    assert!(!to(&Participant { country: None, ..japan() }), "in a country that is not known");
    assert!(
        permits(&policy, &Request::new(Phase::Running, &Participant::default(), now)),
        "use itself is free"
    );
}

#[test]
fn a_consumer_sees_what_it_cannot_keep_before_it_agrees() {
    let policy = Policy::from_value(json!({
        "permission": [{"action": "use", "constraint": [
            {"leftOperand": "https://w3id.org/catenax/policy/FrameworkAgreement", "operator": "eq",
             "rightOperand": "DataExchangeGovernance:1.0"},
            {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2027-01-01T00:00:00Z"}]}],
        "obligation": [{"action": "inform"}, {"action": "delete", "constraint": [
            {"leftOperand": "delayPeriod", "operator": "eq", "rightOperand": "P7D"}]}]
    }))
    .unwrap();
    let found: Vec<(String, String)> =
        cannot_keep(&policy).into_iter().map(|f| (f.path, f.problem)).collect();
    let expected = [
        (
            "permission[0].constraint[0]",
            "this node has no rule for https://w3id.org/catenax/policy/FrameworkAgreement, so it could never be fulfilled",
        ),
        ("obligation[0].action", "nobody could tell whether inform has been done"),
    ];
    assert_eq!(found, expected.map(|(path, problem)| (path.to_owned(), problem.to_owned())));
    assert!(cannot_keep(&terms(TERMS)).is_empty());
}
