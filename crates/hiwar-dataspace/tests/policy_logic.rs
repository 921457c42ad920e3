//! Tables of truth: every operator, and every logical constraint.
//!
//! Sources: ODRL Information Model 2.2 (W3C Recommendation 2018-02-15), sections 2.5.1 and 2.5.2; ODRL
//! Vocabulary & Expression 2.2 (W3C Recommendation 2018-02-15), "Constraint Operators" and "Logical
//! Constraint Operands"; the list of operators is that of the Dataspace Protocol 2025-1 schema.

#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

use hiwar_dataspace::policy::{Action, RightOperand};
use hiwar_dataspace::policy::{
    Atomic, Constraint, Credential, Decision, LeftOperand, LogicalKind, Operator, Participant, Phase, Policy,
    Request, Rule, Verdict, evaluate, permits,
};
use hiwar_trust::time::Timestamp;
use serde_json::{Value, json};

const F: Verdict = Verdict::Fulfilled;
const N: Verdict = Verdict::NotFulfilled;
const U: Verdict = Verdict::CannotBeEvaluated;
const D: Verdict = Verdict::NotDue;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn korea() -> Participant {
    Participant {
        id: Some("did:web:kr.example".to_owned()),
        groups: vec!["a".to_owned(), "b".to_owned()],
        country: Some("KR".to_owned()),
        credentials: Some(vec![Credential {
            types: vec!["VerifiableCredential".to_owned(), "MembershipCredential".to_owned()],
            claims: vec![("memberOf".to_owned(), "Ouranos".to_owned())],
        }]),
    }
}

fn request(participant: &Participant) -> Request<'_> {
    Request {
        purpose: Some("audit"),
        accepted_marking: Some("TLP:AMBER"),
        agreed_at: Some(time("2026-01-01T00:00:00.000Z")),
        transfers_before: Some(2),
        ..Request::new(Phase::Transfer, participant, time("2026-01-31T00:00:00.000Z"))
    }
}

fn permission(constraint: Constraint) -> Policy {
    Policy { permission: vec![Rule::new(Action::Use, vec![constraint])], ..Policy::default() }
}

/// The verdict on one constraint, by way of the finding on it.
fn verdict(constraint: Constraint, request: &Request<'_>) -> Verdict {
    let policy = permission(constraint);
    let decision: Decision = evaluate(&policy, request);
    let finding =
        decision.findings.iter().find(|finding| finding.path == "permission[0].constraint[0]").unwrap();
    assert_eq!(decision.permitted, permits(&policy, request));
    assert_eq!(decision.permitted, finding.verdict.lets_through());
    finding.verdict
}

fn compared(left: &str, operator: &str, right: Value, request: &Request<'_>) -> Verdict {
    let atomic = Atomic::new(
        LeftOperand::from_term(left),
        Operator::from_term(operator),
        RightOperand::from_value(right),
    );
    verdict(Constraint::Atomic(atomic), request)
}

/// Of one known text every operator has its meaning, or none.
#[test]
fn operators_on_names() {
    let (me, other) = ("did:web:kr.example", "did:web:jp.example");
    for (left, me, other) in
        [("participant", me, other), ("spatial", "KR", "JP"), ("purpose", "audit", "resale")]
    {
        let table = [
            ("eq", json!(me), F),
            ("eq", json!(other), N),
            ("eq", json!([me, other]), U),
            ("neq", json!(me), N),
            ("neq", json!(other), F),
            ("isAnyOf", json!([other, me]), F),
            ("isAnyOf", json!([other]), N),
            ("isAnyOf", json!(me), F),
            ("isNoneOf", json!([other, me]), N),
            ("isNoneOf", json!([other]), F),
            ("isAllOf", json!([me]), U),
            ("gt", json!(me), U),
            ("gteq", json!(me), U),
            ("lt", json!(me), U),
            ("lteq", json!(me), U),
            ("term-lteq", json!(me), U),
            ("hasPart", json!(me), U),
            ("isA", json!(me), U),
            ("isPartOf", json!(me), U),
            ("equals", json!(me), U),
            ("isAnyOf", json!([]), U),
        ];
        for (operator, right, expected) in table {
            let participant = korea();
            assert_eq!(
                compared(left, operator, right.clone(), &request(&participant)),
                expected,
                "{left} {operator} {right}"
            );
        }
    }
}

/// A participant is in several groups: ODRL's set-based operators compare the set.
#[test]
fn operators_on_groups() {
    let table = [
        ("eq", json!("a"), F),
        ("eq", json!("c"), N),
        ("neq", json!("a"), N),
        ("neq", json!("c"), F),
        ("isAnyOf", json!(["c", "b"]), F),
        ("isAnyOf", json!(["c"]), N),
        ("isNoneOf", json!(["c", "b"]), N),
        ("isNoneOf", json!(["c", "d"]), F),
        ("isAllOf", json!(["a", "b"]), F),
        ("isAllOf", json!(["a", "c"]), N),
        ("isPartOf", json!("a"), F),
        ("isPartOf", json!("c"), N),
        ("hasPart", json!("a"), U),
        ("isA", json!("a"), U),
        ("gt", json!("a"), U),
        ("eq", json!("credential:MembershipCredential"), F),
        ("eq", json!("credential:MembershipCredential.memberOf=Ouranos"), F),
        ("eq", json!("credential:MembershipCredential.memberOf=Other"), N),
        ("eq", json!("credential:DataProcessorCredential"), N),
    ];
    let participant = korea();
    for (operator, right, expected) in table {
        assert_eq!(
            compared("group", operator, right.clone(), &request(&participant)),
            expected,
            "{operator} {right}"
        );
    }
    let unasked = Participant { credentials: None, ..korea() };
    let membership = json!("credential:MembershipCredential");
    for operator in ["eq", "neq", "isAnyOf", "isNoneOf", "isAllOf"] {
        assert_eq!(compared("group", operator, membership.clone(), &request(&unasked)), U, "{operator}");
    }
    // One known group settles `isAnyOf`, whatever a credential would say.
    assert_eq!(compared("group", "isAnyOf", json!([membership, "a"]), &request(&unasked)), F);
    assert_eq!(compared("group", "isAllOf", json!([membership, "c"]), &request(&unasked)), N);
}

/// The request is of 2026-01-31, 30 days after the agreement, and would be the third transfer.
#[test]
fn operators_on_times_and_numbers() {
    let earlier = [("eq", N), ("neq", F), ("gt", F), ("gteq", F), ("lt", N), ("lteq", N)];
    let same = [("eq", F), ("neq", N), ("gt", N), ("gteq", F), ("lt", N), ("lteq", F)];
    let later = [("eq", N), ("neq", F), ("gt", N), ("gteq", N), ("lt", F), ("lteq", F)];
    let rows = [
        ("dateTime", "2026-01-30T23:59:59.999Z", earlier),
        ("dateTime", "2026-01-31T00:00:00Z", same),
        ("dateTime", "2026-01-31T09:00:00+09:00", same),
        ("dateTime", "2026-01-31T00:00Z", same),
        ("dateTime", "2026-01-31T00:00:00.001Z", later),
        ("elapsedTime", "P29D", earlier),
        ("elapsedTime", "P30D", same),
        ("elapsedTime", "PT720H", same),
        ("elapsedTime", "P1M", later),
        ("count", "2", earlier),
        ("count", "3", same),
        ("count", "4", later),
    ];
    let participant = korea();
    for (left, right, expected) in rows {
        for (operator, expected) in expected {
            let found = compared(left, operator, json!(right), &request(&participant));
            assert_eq!(found, expected, "{left} {operator} {right}");
        }
        for operator in ["isAnyOf", "isNoneOf", "isAllOf", "isA", "hasPart", "isPartOf", "term-lteq"] {
            assert_eq!(
                compared(left, operator, json!(right), &request(&participant)),
                U,
                "{left} {operator}"
            );
        }
    }
    for (left, right) in [
        ("dateTime", "2026-01-31"),
        ("dateTime", "2026-01-31T00:00:00"),
        ("elapsedTime", "30 days"),
        ("count", "-1"),
        ("count", "many"),
    ] {
        assert_eq!(compared(left, "lteq", json!(right), &request(&participant)), U, "{left} {right}");
    }
    assert_eq!(
        compared("count", "lteq", json!(3.0), &request(&participant)),
        F,
        "as JavaScript may write it"
    );
}

#[test]
fn a_fact_that_is_not_known_differs_from_one_that_does_not_match() {
    let nobody = Participant::default();
    let now = time("2026-01-31T00:00:00.000Z");
    // catalogue, negotiation, transfer, running
    let table = [
        ("participant", json!("did:web:kr.example"), [U, U, U, U]),
        ("group", json!("a"), [N, N, N, N]),
        ("spatial", json!("KR"), [U, U, U, U]),
        ("purpose", json!("audit"), [D, U, U, U]),
        ("marking", json!("TLP:AMBER"), [D, U, U, U]),
        ("elapsedTime", json!("P1D"), [D, D, U, U]),
        ("count", json!("5"), [D, D, U, U]),
        ("dateTime", json!("2026-02-01T00:00:00Z"), [D, D, N, N]),
        ("dateTime", json!("2026-01-01T00:00:00Z"), [N, N, N, N]),
        ("delayPeriod", json!("P1D"), [U, U, U, U]),
        ("cx-policy:FrameworkAgreement", json!("x"), [U, U, U, U]),
    ];
    let phases = [Phase::Catalogue, Phase::Negotiation, Phase::Transfer, Phase::Running];
    for (left, right, expected) in table {
        let found =
            phases.map(|phase| compared(left, "eq", right.clone(), &Request::new(phase, &nobody, now)));
        assert_eq!(found, expected, "{left}");
    }
}

/// Constraints of each verdict at negotiation.
fn with(verdict: Verdict) -> Constraint {
    let (left, right) = match verdict {
        Verdict::Fulfilled => (LeftOperand::Country, "KR"),
        Verdict::NotFulfilled => (LeftOperand::Country, "JP"),
        Verdict::CannotBeEvaluated => (LeftOperand::Other("x".to_owned()), "y"),
        Verdict::NotDue => (LeftOperand::Count, "1"),
    };
    Constraint::atomic(left, Operator::Eq, right)
}

/// Kleene's strong logic for `and` and `or` with "not due" between unknown and true; `xone` is true of
/// exactly one, false as soon as two are.
#[test]
fn logical_constraints_of_two() {
    //        a  b  and or xone
    let table = [
        (F, F, F, F, N),
        (F, N, N, F, F),
        (F, U, U, F, U),
        (F, D, D, F, D),
        (N, N, N, N, N),
        (N, U, N, U, U),
        (N, D, N, D, D),
        (U, U, U, U, U),
        (U, D, U, D, U),
        (D, D, D, D, D),
    ];
    let participant = korea();
    let request = Request::new(Phase::Negotiation, &participant, time("2026-01-31T00:00:00.000Z"));
    for (a, b, and, or, xone) in table {
        for (a, b) in [(a, b), (b, a)] {
            let of = |kind| verdict(Constraint::logical(kind, vec![with(a), with(b)]), &request);
            assert_eq!(of(LogicalKind::And), and, "{a:?} and {b:?}");
            assert_eq!(of(LogicalKind::AndSequence), and, "{a:?} andSequence {b:?}");
            assert_eq!(of(LogicalKind::Or), or, "{a:?} or {b:?}");
            assert_eq!(of(LogicalKind::Xone), xone, "{a:?} xone {b:?}");
        }
    }
}

#[test]
fn logical_constraints_of_none_one_and_three() {
    let participant = korea();
    let request = Request::new(Phase::Negotiation, &participant, time("2026-01-31T00:00:00.000Z"));
    for kind in LogicalKind::ALL {
        assert_eq!(verdict(Constraint::logical(kind, vec![]), &request), U, "nothing says nothing: {kind:?}");
        for one in [F, N, U, D] {
            assert_eq!(
                verdict(Constraint::logical(kind, vec![with(one)]), &request),
                one,
                "{kind:?} of {one:?}"
            );
        }
    }
    let of = |kind, list: [Verdict; 3]| verdict(Constraint::logical(kind, list.map(with).to_vec()), &request);
    assert_eq!(of(LogicalKind::Xone, [F, F, U]), N, "two are fulfilled, so exactly one never is");
    assert_eq!(of(LogicalKind::Xone, [F, N, N]), F);
    assert_eq!(of(LogicalKind::Xone, [N, N, N]), N);
    let inner = Constraint::logical(LogicalKind::Or, vec![with(N), with(F)]);
    assert_eq!(verdict(Constraint::logical(LogicalKind::And, vec![inner, with(F)]), &request), F);
}

/// IM 2.2 section 2.6 and 2.10: a fulfilled prohibition wins over a fulfilled permission; what cannot
/// be told is decided against the request.
#[test]
fn permissions_and_prohibitions_together() {
    let participant = korea();
    let request = Request::new(Phase::Negotiation, &participant, time("2026-01-31T00:00:00.000Z"));
    let rule = |verdict| Rule::new(Action::Use, vec![with(verdict)]);
    let table = [
        (vec![F], vec![], true),
        (vec![D], vec![], true),
        (vec![U], vec![], false),
        (vec![N], vec![], false),
        (vec![N, F], vec![], true),
        (vec![], vec![], false),
        (vec![F], vec![N], true),
        (vec![F], vec![D], true),
        (vec![F], vec![F], false),
        (vec![F], vec![U], false),
        (vec![F], vec![N, F], false),
        (vec![], vec![N], false),
    ];
    for (permission, prohibition, expected) in table {
        let policy = Policy {
            permission: permission.iter().copied().map(rule).collect(),
            prohibition: prohibition.iter().copied().map(rule).collect(),
            ..Policy::default()
        };
        assert_eq!(permits(&policy, &request), expected, "{permission:?} but not {prohibition:?}");
        let decision = evaluate(&policy, &request);
        assert_eq!(decision.permitted, expected);
        assert!(!decision.reason.is_empty());
    }
}

/// ODRL Vocabulary 2.2: `distribute` is included in `use`, `transfer` is not.
#[test]
fn a_rule_about_use_is_about_all_that_use_includes() {
    let participant = korea();
    let now = time("2026-01-31T00:00:00.000Z");
    let asks = |policy: &Policy, action: Action| {
        permits(policy, &Request { action: &action, ..Request::new(Phase::Transfer, &participant, now) })
    };
    let use_all = Policy { permission: vec![Rule::new(Action::Use, vec![])], ..Policy::default() };
    assert!(asks(&use_all, Action::Use) && asks(&use_all, Action::Distribute));
    assert!(asks(&use_all, Action::from_term("odrl:read")));
    assert!(!asks(&use_all, Action::Transfer) && !asks(&use_all, Action::from_term("ex:frame")));
    let kept = Policy { prohibition: vec![Rule::new(Action::Distribute, vec![])], ..use_all.clone() };
    assert!(asks(&kept, Action::Use) && !asks(&kept, Action::Distribute));
    let read = Policy { permission: vec![Rule::new(Action::from_term("read"), vec![])], ..Policy::default() };
    assert!(!asks(&read, Action::Use), "who may read may not do everything else");
}

#[test]
fn members_that_change_the_meaning_are_never_read_over() {
    let participant = korea();
    let request = Request::new(Phase::Transfer, &participant, time("2026-01-31T00:00:00.000Z"));
    let fulfilled = json!({"leftOperand": "spatial", "operator": "eq", "rightOperand": "KR"});
    let mut refined = fulfilled.clone();
    refined["refinement"] = json!([{"leftOperand": "a", "operator": "eq", "rightOperand": "b"}]);
    let cases = [
        (json!({"permission": [{"action": "use", "constraint": [fulfilled]}]}), true),
        (json!({"permission": [{"action": "use", "constraint": [fulfilled], "duty": []}]}), true),
        (json!({"permission": [{"action": "use", "constraint": [fulfilled], "rdfs:label": "x"}]}), true),
        (json!({"dct:title": "x", "permission": [{"action": "use"}]}), true),
        (json!({"conflict": "odrl:prohibit", "permission": [{"action": "use"}]}), true),
        (json!({"conflict": "perm", "permission": [{"action": "use"}]}), false),
        (json!({"inheritFrom": "urn:p:1", "permission": [{"action": "use"}]}), false),
        (json!({"permission": [{"action": "use", "odrl:duty": [{"action": "compensate"}]}]}), false),
        (json!({"permission": [{"action": "use", "assignee": "did:web:x.example"}]}), false),
        (json!({"permission": [{"action": "use", "constraint": [refined]}]}), false),
        (
            json!({"permission": [{"action": "use"}],
                "prohibition": [{"action": "use", "constraint": [
                    {"leftOperand": "spatial", "operator": "eq", "rightOperand": "JP", "unit": "x"}]}]}),
            false,
        ),
    ];
    for (value, expected) in cases {
        let policy = Policy::from_value(value.clone()).unwrap();
        let decision = evaluate(&policy, &request);
        assert_eq!((permits(&policy, &request), decision.permitted), (expected, expected), "{value}");
        assert!(expected || decision.obstacles().next().is_some(), "{value}: says what stands in the way");
    }
}
