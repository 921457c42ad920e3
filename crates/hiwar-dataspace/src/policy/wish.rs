//! Constraints in words: what is required, what was found, what would satisfy it.

use super::instant::elapsed;
use super::model::{Atomic, Required};
use super::{LeftOperand, Operator, Request, group};

/// Values named in one sentence at most; the rest is counted.
const NAMED_MAX: usize = 8;

/// What a comparison requires, as text.
pub(crate) fn required(atomic: &Atomic) -> String {
    match atomic.required() {
        Required::Instant(at) => at.to_string(),
        Required::Length(length) => length.text(),
        Required::Number(number) => number.to_string(),
        Required::Texts | Required::Unreadable(_) => list(atomic.right_operand().values(), ", "),
    }
}

/// What is known of the fact that a comparison is about.
pub(crate) fn actual(atomic: &Atomic, request: &Request<'_>) -> Option<String> {
    let participant = request.participant;
    match atomic.left_operand() {
        LeftOperand::Participant => participant.id.clone(),
        LeftOperand::Group => {
            let held = participant.credentials.iter().flatten().flat_map(|credential| &credential.types);
            let all: Vec<String> = participant.groups.iter().chain(held).cloned().collect();
            Some(if all.is_empty() { "no group".to_owned() } else { list(&all, ", ") })
        }
        LeftOperand::Country => participant.country.clone(),
        LeftOperand::Purpose => request.purpose.map(str::to_owned),
        LeftOperand::DateTime => Some(request.now.to_string()),
        LeftOperand::ElapsedTime => request.agreed_at.map(|agreed_at| elapsed(agreed_at, request.now)),
        LeftOperand::Count => request.transfers_before.map(|before| before.saturating_add(1).to_string()),
        LeftOperand::Marking => request.accepted_marking.map(str::to_owned),
        LeftOperand::DelayPeriod | LeftOperand::Other(_) => None,
    }
}

/// What would make a comparison hold, or with `want` false fail, in one sentence.
pub(crate) fn wish(atomic: &Atomic, request: &Request<'_>, want: bool) -> String {
    let operand = atomic.left_operand();
    if let Required::Unreadable(mend) = atomic.required() {
        return format!("ask the provider for an offer whose {operand} can be read: {mend}");
    }
    let Some(operator) = direction(atomic.operator(), want) else { return cannot(atomic) };
    match (operand, atomic.required()) {
        (LeftOperand::DelayPeriod | LeftOperand::Other(_), _) => cannot(atomic),
        (LeftOperand::DateTime, Required::Instant(at)) => {
            moment(operator, *at, request, "the provider for a new offer")
        }
        (LeftOperand::ElapsedTime, Required::Length(length)) => match request.agreed_at {
            Some(agreed_at) => moment(operator, length.after(agreed_at), request, "for a new agreement"),
            None => format!(
                "ask {} {} after the agreement",
                if matches!(operator, Way::Less | Way::LessOrSame) { "at most" } else { "at least" },
                length.text()
            ),
        },
        (LeftOperand::Count, Required::Number(number)) => match operator {
            Way::Less => {
                format!("fewer than {number} transfers are allowed; ask for a new agreement for more")
            }
            Way::LessOrSame => {
                format!("at most {number} transfers are allowed; ask for a new agreement for more")
            }
            _ => format!("no other transfer than number {number} is allowed; ask for a new agreement"),
        },
        (_, Required::Texts) => names(atomic, request, operator),
        _ => cannot(atomic),
    }
}

/// The direction of an operator, after negation if a prohibition is to be avoided.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Among,
    AllOf,
    NotAmong,
    Less,
    LessOrSame,
    More,
    MoreOrSame,
}

fn direction(operator: &Operator, want: bool) -> Option<Way> {
    let way = match operator {
        Operator::Eq | Operator::IsAnyOf | Operator::IsPartOf => Way::Among,
        Operator::IsAllOf => Way::AllOf,
        Operator::Neq | Operator::IsNoneOf => Way::NotAmong,
        Operator::Lt => Way::Less,
        Operator::Lteq => Way::LessOrSame,
        Operator::Gt => Way::More,
        Operator::Gteq => Way::MoreOrSame,
        _ => return None,
    };
    Some(match (way, want) {
        (way, true) => way,
        (Way::Among | Way::AllOf, false) => Way::NotAmong,
        (Way::NotAmong, false) => Way::Among,
        (Way::Less, false) => Way::MoreOrSame,
        (Way::LessOrSame, false) => Way::More,
        (Way::More, false) => Way::LessOrSame,
        (Way::MoreOrSame, false) => Way::Less,
    })
}

fn moment(way: Way, at: hiwar_trust::time::Timestamp, request: &Request<'_>, whom: &str) -> String {
    let over = request.now > at;
    match way {
        Way::More => format!("ask after {at}"),
        Way::MoreOrSame => format!("ask from {at} on"),
        Way::Less | Way::LessOrSame if over || request.now == at => {
            format!("the time was over at {at}; ask {whom}")
        }
        Way::Less => format!("ask before {at}"),
        Way::LessOrSame => format!("ask until {at}"),
        Way::Among | Way::AllOf => format!("ask at {at} exactly"),
        Way::NotAmong => format!("ask at another time than {at}"),
    }
}

fn names(atomic: &Atomic, request: &Request<'_>, way: Way) -> String {
    let values = atomic.right_operand().values();
    let not = if way == Way::NotAmong { "not " } else { "" };
    let or = list(values, " or ");
    match atomic.left_operand() {
        LeftOperand::Participant => format!("the request must {not}come from {or}"),
        LeftOperand::Group => {
            let words: Vec<String> = values.iter().map(|value| group::in_words(value)).collect();
            let joined = list(&words, if way == Way::AllOf { " and " } else { " or " });
            format!("the participant must {not}belong to {joined}")
        }
        LeftOperand::Country if request.participant.country.is_none() => format!(
            "the participant's country must be known (a Hiwar node: [dataspace.countries] in hiwar.toml), and must {not}be {or}"
        ),
        LeftOperand::Country => format!("the participant's country must {not}be {or}"),
        LeftOperand::Purpose if way != Way::NotAmong => format!("state the purpose {or} with the request"),
        LeftOperand::Purpose => format!("state a purpose other than {or} with the request"),
        LeftOperand::Marking if way != Way::NotAmong => format!("state that you keep the marking {or}"),
        LeftOperand::Marking => format!("state another marking than {or}"),
        _ => cannot(atomic),
    }
}

fn cannot(atomic: &Atomic) -> String {
    format!(
        "this node cannot evaluate {} {}; ask the provider for an offer without it",
        atomic.left_operand(),
        atomic.operator()
    )
}

fn list(values: &[String], by: &str) -> String {
    let mut text = values.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(by);
    if values.len() > NAMED_MAX {
        text.push_str(&format!("{by}{} more", values.len() - NAMED_MAX));
    }
    text
}
