//! Verifiable credentials as JSON Web Tokens, in the two profiles of DCP 1.0, appendix A.1:
//! `vc20-bssl/jwt` (VC Data Model 2.0, the token's payload is the credential) and `vc11-sl2021/jwt`
//! (VC Data Model 1.1, the credential is the claim `vc`).

use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde_json::{Map, Value};

use crate::jws::{self, JwsError, VerificationKey};
use crate::status::{self, StatusEntry};

/// The most bytes of a credential.
pub const CREDENTIAL_BYTES_MAX: usize = 64 * 1024;
/// The most types, status entries, schemas and subjects of a credential.
pub const PARTS_MAX: usize = 16;

/// How a credential is written. All credentials of one presentation have the same profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// VC Data Model 1.1 as JWT.
    Vc11,
    /// VC Data Model 2.0 as JOSE.
    Vc20,
}

impl Profile {
    /// Its name in DCP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vc11 => "vc11-sl2021/jwt",
            Self::Vc20 => "vc20-bssl/jwt",
        }
    }
}

/// A credential whose signature, holder and validity were checked. Its status and its schemas are
/// for the caller to check: both have to be fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// How it was written.
    pub profile: Profile,
    /// Who attests.
    pub issuer: Did,
    /// What kind of credential it is, without `VerifiableCredential`.
    pub types: Vec<String>,
    /// What is attested.
    pub subjects: Vec<Map<String, Value>>,
    /// When it ends, seconds since 1970.
    pub valid_until: Option<i64>,
    /// Where it is said whether it was revoked.
    pub status: Vec<StatusEntry>,
    /// The addresses of its schemas.
    pub schemas: Vec<String>,
}

/// Why a credential was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// Its form, key or signature.
    #[error("a credential: {0}")]
    Jws(#[from] JwsError),
    /// A member is absent or wrong.
    #[error("a credential's member {member} is absent or wrong: {rule}")]
    Member {
        /// Which.
        member: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// It attests something about somebody else.
    #[error(
        "a credential is about {subject:?}, but {holder} shows it; credentials are shown by their subject"
    )]
    OtherSubject {
        /// About whom, cut to 200 characters.
        subject: String,
        /// Who shows it.
        holder: Did,
    },
    /// Its time is over.
    #[error(
        "a credential of {issuer} ended at {end} (seconds since 1970), now it is {now}; ask {issuer} for a new one"
    )]
    Expired {
        /// Who attested.
        issuer: Did,
        /// When.
        end: i64,
        /// The reader's time.
        now: i64,
    },
    /// Its time has not begun.
    #[error(
        "a credential of {issuer} begins at {start} (seconds since 1970), now it is {now}; wait, or compare the clocks"
    )]
    NotYetValid {
        /// Who attested.
        issuer: Did,
        /// When.
        start: i64,
        /// The reader's time.
        now: i64,
    },
}

fn wrong(member: &'static str, rule: &'static str) -> CredentialError {
    CredentialError::Member { member, rule }
}

/// What a credential says of itself before anything is checked: who says to have issued it, and its
/// types. Good for finding out whose keys are needed, and for nothing else.
///
/// # Errors
/// When it is not of the form.
pub fn peek(jwt: &str) -> Result<(Did, Vec<String>), CredentialError> {
    let unverified = jws::read(jwt, CREDENTIAL_BYTES_MAX)?;
    let (_, members) = body(unverified.claims())?;
    Ok((issuer(unverified.claims(), members)?, types(members)?))
}

/// The credential in the claims, and how it is written.
pub(crate) fn body(claims: &Map<String, Value>) -> Result<(Profile, &Map<String, Value>), CredentialError> {
    match claims.get("vc") {
        Some(Value::Object(members)) => Ok((Profile::Vc11, members)),
        Some(_) => Err(wrong("vc", "it must be an object")),
        None => Ok((Profile::Vc20, claims)),
    }
}

pub(crate) fn issuer(
    claims: &Map<String, Value>,
    members: &Map<String, Value>,
) -> Result<Did, CredentialError> {
    let inside = match members.get("issuer") {
        Some(Value::String(id)) => Some(id.as_str()),
        Some(Value::Object(issuer)) => issuer.get("id").and_then(Value::as_str),
        _ => None,
    };
    let outside = claims.get("iss").and_then(Value::as_str);
    let rule = "it must be a DID of the method did:web, and the same in the claim iss";
    match (inside, outside) {
        (Some(inside), Some(outside)) if inside != outside => Err(wrong("issuer", rule)),
        (Some(id), _) | (None, Some(id)) => id.parse().map_err(|_| wrong("issuer", rule)),
        (None, None) => Err(wrong("issuer", rule)),
    }
}

pub(crate) fn types(members: &Map<String, Value>) -> Result<Vec<String>, CredentialError> {
    let fail = || wrong("type", "it must be one to 16 texts");
    let named = texts(members.get("type").or_else(|| members.get("@type")), fail)?;
    if named.is_empty() { Err(fail()) } else { Ok(named) }
}

/// One text or several; none when the member is absent.
fn texts(value: Option<&Value>, fail: impl Fn() -> CredentialError) -> Result<Vec<String>, CredentialError> {
    one_or_more(value, &fail)?.iter().map(|v| v.as_str().map(str::to_owned).ok_or_else(&fail)).collect()
}

fn one_or_more(
    value: Option<&Value>,
    fail: impl Fn() -> CredentialError,
) -> Result<&[Value], CredentialError> {
    let all = match value {
        None | Some(Value::Null) => &[],
        Some(Value::Array(all)) => all.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    if all.len() > PARTS_MAX { Err(fail()) } else { Ok(all) }
}

/// Verifies a credential that `holder` shows with the keys that its issuer's document names under
/// `assertionMethod`. Whether the issuer is trusted is for the caller to say.
///
/// # Errors
/// When any part of it is wrong; each reason has its own error.
pub fn verify(
    jwt: &str,
    keys: &[VerificationKey],
    holder: Option<&Did>,
    now: Timestamp,
    leeway_seconds: i64,
) -> Result<Credential, CredentialError> {
    let unverified = jws::read(jwt, CREDENTIAL_BYTES_MAX)?;
    let (_, members) = body(unverified.claims())?;
    let issuer = issuer(unverified.claims(), members)?;
    let kid = unverified.kid()?;
    if kid.split_once('#').is_some_and(|(did, _)| !did.is_empty() && did != issuer.as_str()) {
        return Err(JwsError::UnknownKey { kid: kid.chars().take(200).collect() }.into());
    }
    let claims = unverified.verify(issuer.as_str(), keys)?;
    let (profile, members) = body(&claims)?;
    let subjects = subjects(&claims, members)?;
    if let Some(holder) = holder {
        held_by(&subjects, holder)?;
    }
    let mut named = types(members)?;
    named.retain(|t| t != "VerifiableCredential");
    let valid_until = valid(&claims, members, &issuer, now.as_seconds(), leeway_seconds)?;
    let entry = |v: &Value| status::entry(v).ok_or_else(|| wrong("credentialStatus", status::ENTRY_RULE));
    let statuses = one_or_more(members.get("credentialStatus"), || wrong("credentialStatus", AT_MOST))?;
    let schemas = one_or_more(members.get("credentialSchema"), || wrong("credentialSchema", AT_MOST))?;
    let schema = |v: &Value| v.get("id").and_then(Value::as_str).map(str::to_owned);
    let schema_rule = || wrong("credentialSchema", "each must have the address of a schema as id");
    Ok(Credential {
        profile,
        types: named,
        subjects,
        valid_until,
        status: statuses.iter().map(entry).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect(),
        schemas: schemas.iter().map(|v| schema(v).ok_or_else(schema_rule)).collect::<Result<_, _>>()?,
        issuer,
    })
}

const AT_MOST: &str = "at most 16 are accepted";

fn subjects(
    claims: &Map<String, Value>,
    members: &Map<String, Value>,
) -> Result<Vec<Map<String, Value>>, CredentialError> {
    let fail = || wrong("credentialSubject", "it must be one to 16 objects with the subject's id");
    let mut found = Vec::new();
    for value in one_or_more(members.get("credentialSubject"), fail)? {
        let mut subject = value.as_object().ok_or_else(fail)?.clone();
        // VC Data Model 1.1, section 6.3.1: as a token's subject the id may stand outside.
        if let (false, Some(sub)) = (subject.contains_key("id"), claims.get("sub")) {
            subject.insert("id".to_owned(), sub.clone());
        }
        found.push(subject);
    }
    if found.is_empty() { Err(fail()) } else { Ok(found) }
}

/// DCP 1.0, section 5.4.3: the subject of each credential is the holder.
fn held_by(subjects: &[Map<String, Value>], holder: &Did) -> Result<(), CredentialError> {
    for subject in subjects {
        let id = subject.get("id").and_then(Value::as_str).unwrap_or_default();
        if id != holder.as_str() {
            let subject = id.chars().take(200).collect();
            return Err(CredentialError::OtherSubject { subject, holder: holder.clone() });
        }
    }
    Ok(())
}

/// Checks the validity by every member that speaks of it, and gives the earliest end.
fn valid(
    claims: &Map<String, Value>,
    members: &Map<String, Value>,
    issuer: &Did,
    now: i64,
    leeway: i64,
) -> Result<Option<i64>, CredentialError> {
    let (start, end) = period(claims, members)?;
    if let Some(start) = start.filter(|start| start.saturating_sub(leeway) > now) {
        return Err(CredentialError::NotYetValid { issuer: issuer.clone(), start, now });
    }
    match end {
        Some(end) if end.saturating_add(leeway) <= now => {
            Err(CredentialError::Expired { issuer: issuer.clone(), end, now })
        }
        end => Ok(end),
    }
}

/// From when and until when a credential holds, by every member that speaks of it.
pub(crate) fn period(
    claims: &Map<String, Value>,
    members: &Map<String, Value>,
) -> Result<(Option<i64>, Option<i64>), CredentialError> {
    let starts = [
        numeric(claims, "nbf")?,
        numeric(claims, "iat")?,
        dated(members, "validFrom")?,
        dated(members, "issuanceDate")?,
    ];
    let ends = [numeric(claims, "exp")?, dated(members, "validUntil")?, dated(members, "expirationDate")?];
    Ok((starts.into_iter().flatten().max(), ends.into_iter().flatten().min()))
}

const NUMERIC_DATE: &str = "it must be a number of seconds since 1970-01-01T00:00:00Z";

fn numeric(claims: &Map<String, Value>, member: &'static str) -> Result<Option<i64>, CredentialError> {
    match claims.get(member) {
        None | Some(Value::Null) => Ok(None),
        #[expect(clippy::cast_possible_truncation, reason = "a cast from f64 saturates")]
        Some(Value::Number(n)) => {
            let seconds = n.as_i64().or_else(|| n.as_f64().map(|f| f as i64));
            // The largest time that every JSON reader holds exactly.
            let seconds = seconds.filter(|s| (0..=9_000_000_000_000_000).contains(s));
            seconds.map(Some).ok_or_else(|| wrong(member, NUMERIC_DATE))
        }
        Some(_) => Err(wrong(member, NUMERIC_DATE)),
    }
}

fn dated(members: &Map<String, Value>, member: &'static str) -> Result<Option<i64>, CredentialError> {
    let fail = || wrong(member, "it must be a time such as 2026-01-31T12:00:00Z");
    match members.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= 64 => {
            text.parse::<jiff::Timestamp>().map(|t| Some(t.as_second())).map_err(|_| fail())
        }
        Some(_) => Err(fail()),
    }
}

#[cfg(test)]
#[path = "credential_tests.rs"]
mod tests;
