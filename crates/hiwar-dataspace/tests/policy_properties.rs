//! What holds for every policy and every request.

use hiwar_dataspace::policy::{
    Action, Atomic, Authoring, Constraint, Credential, LeftOperand, LogicalKind, MessageOffer, Offer,
    Operator, PROFILE, Participant, Phase, Policy, Request, RightOperand, Rule, Terms, cannot_keep, dry_run,
    duties, evaluate, lint, next_change, permits, read,
};
use hiwar_trust::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Times of policies and requests lie in the same few seconds, so that they meet.
fn instant() -> impl Strategy<Value = Timestamp> {
    (0i64..4000).prop_map(|millis| Timestamp::from_millis(1_800_000_000_000 + millis))
}

fn right_operand() -> impl Strategy<Value = RightOperand> {
    let text = prop_oneof![
        Just("KR".to_owned()),
        Just("did:web:kr.example".to_owned()),
        Just("a".to_owned()),
        Just("credential:M.c=1".to_owned()),
        Just("TLP:AMBER".to_owned()),
        (0u64..4).prop_map(|n| n.to_string()),
        (0u64..4).prop_map(|n| format!("PT{n}S")),
        instant().prop_map(|at| at.to_string()),
        ".{0,6}",
    ];
    prop_oneof![
        text.clone().prop_map(|text| json!(text)),
        proptest::collection::vec(text.clone(), 0..3).prop_map(|texts| json!(texts)),
        text.prop_map(|text| json!({"@value": text})),
        (0u64..4).prop_map(|n| json!(n)),
        Just(json!({"x": 1})),
    ]
    .prop_map(RightOperand::from_value)
}

fn operator() -> impl Strategy<Value = Operator> {
    prop_oneof![
        9 => proptest::sample::select(Operator::ALL.to_vec()),
        1 => Just(Operator::Other("nearly".to_owned())),
    ]
}

fn atomic() -> impl Strategy<Value = Constraint> {
    let left = prop_oneof![
        9 => proptest::sample::select(LeftOperand::KNOWN.to_vec()),
        // Time is what `next_change` is about.
        9 => Just(LeftOperand::DateTime),
        1 => Just(LeftOperand::Other("ex:unknown".to_owned())),
    ];
    let free = (left, operator(), right_operand())
        .prop_map(|(left, operator, right)| Atomic::new(left, operator, right));
    let timed = (operator(), instant()).prop_map(|(operator, at)| {
        Atomic::new(LeftOperand::DateTime, operator, RightOperand::one(at.to_string()))
    });
    let elapsed = (operator(), 0u64..4).prop_map(|(operator, n)| {
        Atomic::new(LeftOperand::ElapsedTime, operator, RightOperand::one(format!("PT{n}S")))
    });
    prop_oneof![free, timed, elapsed].prop_map(Constraint::Atomic)
}

fn constraint() -> impl Strategy<Value = Constraint> {
    atomic().prop_recursive(3, 12, 3, |inner| {
        (proptest::sample::select(LogicalKind::ALL.to_vec()), proptest::collection::vec(inner, 0..4))
            .prop_map(|(kind, list)| Constraint::logical(kind, list))
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let action = prop_oneof![
        5 => Just(Action::Use),
        1 => Just(Action::Distribute),
        1 => Just(Action::Delete),
        1 => Just(Action::from_term("read")),
    ];
    (action, proptest::collection::vec(constraint(), 0..4)).prop_map(|(action, list)| Rule::new(action, list))
}

fn policy() -> impl Strategy<Value = Policy> {
    let rules = |max| proptest::collection::vec(rule(), 0..max);
    (rules(4), rules(2), rules(2), any::<bool>()).prop_map(|(permission, prohibition, obligation, named)| {
        Policy {
            profile: if named { vec![PROFILE.to_owned()] } else { vec![] },
            permission,
            prohibition,
            obligation,
            ..Policy::default()
        }
    })
}

#[derive(Clone, Debug)]
struct Facts {
    participant: Participant,
    phase: Phase,
    action: Action,
    purpose: Option<String>,
    marking: Option<String>,
    now: Timestamp,
    agreed_at: Option<Timestamp>,
    transfers_before: Option<u64>,
}

impl Facts {
    fn request(&self) -> Request<'_> {
        Request {
            phase: self.phase,
            action: &self.action,
            participant: &self.participant,
            purpose: self.purpose.as_deref(),
            accepted_marking: self.marking.as_deref(),
            now: self.now,
            agreed_at: self.agreed_at,
            transfers_before: self.transfers_before,
        }
    }
}

fn facts() -> impl Strategy<Value = Facts> {
    let some = |text: &str| proptest::option::of(Just(text.to_owned()));
    let credential =
        Credential { types: vec!["M".to_owned()], claims: vec![("c".to_owned(), "1".to_owned())] };
    let participant =
        (some("did:web:kr.example"), any::<bool>(), some("KR"), proptest::option::of(Just(vec![credential])))
            .prop_map(|(id, member, country, credentials)| Participant {
                id,
                groups: if member { vec!["a".to_owned()] } else { vec![] },
                country,
                credentials,
            });
    let phase =
        proptest::sample::select(vec![Phase::Catalogue, Phase::Negotiation, Phase::Transfer, Phase::Running]);
    let action = proptest::sample::select(vec![Action::Use, Action::Distribute]);
    (
        participant,
        phase,
        action,
        some("a"),
        some("TLP:AMBER"),
        instant(),
        proptest::option::of(instant()),
        proptest::option::of(0u64..4),
    )
        .prop_map(|(participant, phase, action, purpose, marking, now, agreed_at, transfers_before)| {
            Facts { participant, phase, action, purpose, marking, now, agreed_at, transfers_before }
        })
}

/// The same policy with every list turned around, except that of `andSequence`.
fn turned(policy: &Policy) -> Policy {
    fn constraints(list: &[Constraint]) -> Vec<Constraint> {
        list.iter().rev().map(one).collect()
    }
    fn one(constraint: &Constraint) -> Constraint {
        match constraint {
            Constraint::Atomic(atomic) => {
                let mut values = atomic.right_operand().values().to_vec();
                values.reverse();
                let right = if values.len() > 1 {
                    RightOperand::many(values)
                } else {
                    atomic.right_operand().clone()
                };
                Constraint::Atomic(Atomic::new(
                    atomic.left_operand().clone(),
                    atomic.operator().clone(),
                    right,
                ))
            }
            Constraint::Logical(logical) if logical.kind == LogicalKind::AndSequence => {
                Constraint::logical(logical.kind, logical.constraints.iter().map(one).collect())
            }
            Constraint::Logical(logical) => {
                Constraint::logical(logical.kind, constraints(&logical.constraints))
            }
        }
    }
    let rules = |list: &[Rule]| {
        list.iter().rev().map(|rule| Rule::new(rule.action.clone(), constraints(&rule.constraint))).collect()
    };
    Policy {
        profile: vec![],
        permission: rules(&policy.permission),
        prohibition: rules(&policy.prohibition),
        obligation: rules(&policy.obligation),
        ..Policy::default()
    }
}

/// Any JSON, mostly of the words that policies are made of.
fn json_value() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        proptest::sample::select(vec![
            "permission",
            "prohibition",
            "obligation",
            "action",
            "use",
            "constraint",
            "leftOperand",
            "operator",
            "rightOperand",
            "and",
            "or",
            "xone",
            "andSequence",
            "dateTime",
            "eq",
            "@id",
            "@value",
            "@list",
            "@type",
            "Offer",
            "profile",
            "permit",
            "forbid",
            "until",
            "count",
            "2027-01-01",
            "odrl:permission",
        ])
        .prop_map(str::to_owned),
        ".{0,4}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((word.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_policy_is_read_back_as_it_was_written(policy in policy()) {
        let written = serde_json::to_vec(&policy).unwrap();
        prop_assert_eq!(&read(&written).unwrap(), &policy);
        let offer = Offer::new("urn:offer:1", policy);
        let again: Offer = serde_json::from_slice(&serde_json::to_vec(&offer).unwrap()).unwrap();
        prop_assert_eq!(again, offer);
    }

    #[test]
    fn a_policy_means_what_it_means_in_any_order(policy in policy(), facts in facts()) {
        prop_assert!(policy.same_meaning(&policy.clone()));
        let turned = turned(&policy);
        prop_assert!(policy.same_meaning(&turned) && turned.same_meaning(&policy));
        prop_assert_eq!(permits(&policy, &facts.request()), permits(&turned, &facts.request()));
    }

    #[test]
    fn policies_that_decide_differently_do_not_mean_the_same(a in policy(), b in policy(), facts in facts()) {
        if permits(&a, &facts.request()) != permits(&b, &facts.request()) {
            prop_assert!(!a.same_meaning(&b));
        }
    }

    #[test]
    fn the_explanation_decides_as_the_decision(policy in policy(), facts in facts()) {
        let decision = evaluate(&policy, &facts.request());
        prop_assert_eq!(decision.permitted, permits(&policy, &facts.request()));
        prop_assert!(!decision.reason.is_empty());
        let asked = policy.permission.iter().any(|rule| rule.action.covers(&facts.action));
        if !decision.permitted && asked {
            prop_assert!(decision.obstacles().next().is_some(), "{:?}", decision);
        }
    }

    #[test]
    fn until_the_next_change_the_decision_is_constant_and_then_it_changes(policy in policy(), facts in facts()) {
        let request = facts.request();
        let today = permits(&policy, &request);
        let next = next_change(&policy, &request);
        let until = next.unwrap_or(Timestamp::from_millis(1_800_000_010_000));
        for millis in request.now.as_millis()..until.as_millis() {
            let later = Request { now: Timestamp::from_millis(millis), ..request };
            prop_assert_eq!(permits(&policy, &later), today, "at {}", later.now);
        }
        if let Some(next) = next {
            prop_assert!(next > request.now);
            prop_assert_eq!(permits(&policy, &Request { now: next, ..request }), !today);
        }
    }

    #[test]
    fn what_the_lint_lets_through_could_be_kept(policy in policy(), facts in facts()) {
        let findings = lint(&policy, &Authoring { now: facts.now, groups: None });
        for unkept in cannot_keep(&policy) {
            prop_assert!(findings.contains(&unkept));
        }
        let rows = dry_run(&policy, [&facts.participant], facts.now);
        prop_assert_eq!(rows.len(), 1);
        duties(&policy, facts.agreed_at, None);
    }

    #[test]
    fn anything_is_read_or_refused(value in json_value(), bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let text = value.to_string();
        for bytes in [text.as_bytes(), &bytes] {
            if let Ok(policy) = read(bytes) {
                prop_assert_eq!(&read(&serde_json::to_vec(&policy).unwrap()).unwrap(), &policy);
                lint(&policy, &Authoring { now: Timestamp::from_millis(0), groups: None });
            }
            if let Ok(terms) = Terms::read(bytes) {
                prop_assert!(!terms.policy.to_value().is_null());
            }
        }
        drop(MessageOffer::from_value(value));
    }
}
