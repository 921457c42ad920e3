//! Groups: the node's own lists, and what credentials say.

use super::Participant;

/// What a group's name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group<'a> {
    /// A list of participants that the node keeps.
    List(&'a str),
    /// A credential of this type, and if named one of its claims with this value.
    Credential(&'a str, Option<(&'a str, &'a str)>),
}

/// Reads `NAME`, `credential:TYPE` or `credential:TYPE.CLAIM=VALUE`.
pub(crate) fn group(name: &str) -> Group<'_> {
    let Some(rest) = name.strip_prefix("credential:") else { return Group::List(name) };
    let (left, value) = rest.split_once('=').map_or((rest, None), |(left, value)| (left, Some(value)));
    match (left.split_once('.'), value) {
        (Some((kind, claim)), Some(value)) => Group::Credential(kind, Some((claim, value))),
        _ => Group::Credential(rest, None),
    }
}

/// Whether a participant belongs to a group; `None` when its credentials have not been asked for.
pub(crate) fn belongs(participant: &Participant, name: &str) -> Option<bool> {
    match group(name) {
        Group::List(name) => Some(participant.groups.iter().any(|own| own == name)),
        Group::Credential(kind, claim) => {
            let credentials = participant.credentials.as_ref()?;
            Some(credentials.iter().any(|credential| {
                credential.types.iter().any(|own| own == kind)
                    && claim.is_none_or(|(name, value)| {
                        credential.claims.iter().any(|(n, v)| n == name && v == value)
                    })
            }))
        }
    }
}

/// What belonging to a group asks of a participant, in words.
pub(crate) fn in_words(name: &str) -> String {
    match group(name) {
        Group::List(name) => format!("the group {name}"),
        Group::Credential(kind, None) => format!("the holders of a verified {kind}"),
        Group::Credential(kind, Some((claim, value))) => {
            format!("the holders of a verified {kind} whose {claim} is {value}")
        }
    }
}
