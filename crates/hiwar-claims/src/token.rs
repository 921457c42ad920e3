//! Self-issued ID tokens (DCP 1.0, section 4.3): by such a token a participant says who it is, to one
//! other participant and for a short time.

use hiwar_trust::did::Did;
use hiwar_trust::key::KeyHolder;
use hiwar_trust::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::jws::{self, JwsError, VerificationKey};

/// The most bytes of a token.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// The most bytes of a `jti`: it is kept until its token expires.
pub const JTI_BYTES_MAX: usize = 256;
/// The longest time from `iat` to `exp`, seconds. A token that never ends could be used by whoever
/// finds it, and its `jti` would have to be kept for ever.
pub const LIFETIME_SECONDS_MAX: i64 = 24 * 3600;
/// How far clocks may differ, where nothing else is configured.
pub const LEEWAY_SECONDS: i64 = 5;

/// What a token says. Times are seconds since 1970-01-01T00:00:00Z (RFC 7519, NumericDate).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it.
    pub iss: Did,
    /// Whom it speaks about: always its maker.
    pub sub: Did,
    /// For whom it is made.
    pub aud: String,
    /// Its own name, never used again.
    pub jti: String,
    /// When it was made.
    pub iat: i64,
    /// When it ends.
    pub exp: i64,
    /// Before when it is not to be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// An access token for the maker's Credential Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl Claims {
    /// A token of `me` for `audience` that lasts `seconds` from now. `jti` must be random.
    pub fn new(me: &Did, audience: &str, jti: String, now: Timestamp, seconds: i64) -> Self {
        Self {
            iss: me.clone(),
            sub: me.clone(),
            aud: audience.to_owned(),
            jti,
            iat: now.as_seconds(),
            exp: now.as_seconds().saturating_add(seconds.clamp(1, LIFETIME_SECONDS_MAX)),
            nbf: None,
            token: None,
        }
    }
}

/// Why a token was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Its form, key or signature.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// A claim is absent or of the wrong kind.
    #[error("the token's claim {claim} is absent or wrong: {rule}")]
    Claim {
        /// Which.
        claim: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// Somebody speaks for another.
    #[error("the token's iss {iss} and sub {sub} differ; a participant speaks only for itself")]
    IssuerIsNotSubject {
        /// Its maker.
        iss: Did,
        /// Its subject.
        sub: String,
    },
    /// Meant for somebody else.
    #[error("the token is meant for {aud:?}, this is {expected}")]
    Audience {
        /// As given, cut to 200 characters.
        aud: String,
        /// Who reads it.
        expected: String,
    },
    /// Its time is over.
    #[error("the token expired at {exp} (seconds since 1970); now it is {now}; make a new one")]
    Expired {
        /// When.
        exp: i64,
        /// The reader's time.
        now: i64,
    },
    /// Made in the future.
    #[error("the token was made at {iat} (seconds since 1970), but now it is {now}; compare the clocks")]
    IssuedInFuture {
        /// When.
        iat: i64,
        /// The reader's time.
        now: i64,
    },
    /// Not to be used yet.
    #[error("the token is not to be used before {nbf} (seconds since 1970); now it is {now}")]
    NotYetValid {
        /// From when.
        nbf: i64,
        /// The reader's time.
        now: i64,
    },
    /// It would last too long.
    #[error("the token would last {seconds} s; at most {LIFETIME_SECONDS_MAX} s are accepted")]
    Lifetime {
        /// From `iat` to `exp`.
        seconds: i64,
    },
    /// It ends before it begins.
    #[error("the token ends (exp {exp}) before it was made (iat {iat})")]
    EndsBeforeItBegins {
        /// When made.
        iat: i64,
        /// When it ends.
        exp: i64,
    },
}

/// Signs a token. `kid` is the DID of the maker, `#` and the name of its key in the DID document.
///
/// # Errors
/// When the key holder does not sign.
pub fn sign(claims: &Claims, kid: &str, key: &dyn KeyHolder) -> Result<String, TokenError> {
    Ok(jws::sign(claims, "JWT", kid, key)?)
}

/// Who says to have made the token. Nothing is checked; it tells whose keys are needed.
///
/// # Errors
/// When the token is not of the form, or `iss` is no DID of the method did:web.
pub fn peek_issuer(jwt: &str) -> Result<Did, TokenError> {
    issuer(jws::read(jwt, TOKEN_BYTES_MAX)?.claims())
}

fn issuer(claims: &Map<String, Value>) -> Result<Did, TokenError> {
    let text = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    text.parse()
        .map_err(|_| TokenError::Claim { claim: "iss", rule: "it must be a DID of the method did:web" })
}

/// Verifies a token with the keys of the participant that says to have made it. Whether its `jti`
/// was used before is for [`crate::replay`] to say.
///
/// # Errors
/// When any part of it is wrong; each reason has its own error.
pub fn verify(
    jwt: &str,
    keys: &[VerificationKey],
    audience: &str,
    now: Timestamp,
    leeway_seconds: i64,
) -> Result<Claims, TokenError> {
    let unverified = jws::read(jwt, TOKEN_BYTES_MAX)?;
    let iss = issuer(unverified.claims())?;
    if !key_is_of(unverified.kid()?, &iss) {
        let kid = unverified.kid()?.chars().take(200).collect();
        return Err(JwsError::UnknownKey { kid }.into());
    }
    let claims = unverified.verify(iss.as_str(), keys)?;
    let claims = read_claims(iss, &claims, audience)?;
    check_times(&claims, now.as_seconds(), leeway_seconds)?;
    Ok(claims)
}

/// A key of another participant must not speak for this one, whatever keys the caller gave.
fn key_is_of(kid: &str, iss: &Did) -> bool {
    kid.split_once('#').is_none_or(|(did, _)| did.is_empty() || did == iss.as_str())
}

fn read_claims(iss: Did, claims: &Map<String, Value>, audience: &str) -> Result<Claims, TokenError> {
    let text = |name| claims.get(name).and_then(Value::as_str);
    let sub = text("sub").ok_or(TokenError::Claim { claim: "sub", rule: "it must be equal to iss" })?;
    if sub != iss.as_str() {
        return Err(TokenError::IssuerIsNotSubject { iss, sub: sub.chars().take(200).collect() });
    }
    check_audience(claims.get("aud"), audience)?;
    let jti = text("jti").filter(|jti| !jti.is_empty() && jti.len() <= JTI_BYTES_MAX);
    let jti = jti.ok_or(TokenError::Claim { claim: "jti", rule: "it must be a text of 1 to 256 bytes" })?;
    let token = match claims.get("token") {
        None | Some(Value::Null) => None,
        Some(Value::String(token)) => Some(token.clone()),
        Some(_) => return Err(TokenError::Claim { claim: "token", rule: "it must be a text" }),
    };
    let needed = |claim| move |time: Option<i64>| time.ok_or(TokenError::Claim { claim, rule: NUMERIC_DATE });
    Ok(Claims {
        sub: iss.clone(),
        iss,
        aud: audience.to_owned(),
        jti: jti.to_owned(),
        iat: time(claims, "iat").and_then(needed("iat"))?,
        exp: time(claims, "exp").and_then(needed("exp"))?,
        nbf: time(claims, "nbf")?,
        token,
    })
}

const NUMERIC_DATE: &str = "it must be a number of seconds since 1970-01-01T00:00:00Z";

/// A NumericDate, rounded down; RFC 7519 allows fractions.
fn time(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<i64>, TokenError> {
    let wrong = TokenError::Claim { claim, rule: NUMERIC_DATE };
    match claims.get(claim) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(seconds), _) if (0..=MAX_SECONDS).contains(&seconds) => Ok(Some(seconds)),
            #[expect(clippy::cast_possible_truncation, reason = "the value lies in the range checked here")]
            (None, Some(seconds)) if (0.0..=9e15).contains(&seconds) => Ok(Some(seconds.floor() as i64)),
            _ => Err(wrong),
        },
        Some(_) => Err(wrong),
    }
}

/// The largest time that every JSON reader holds exactly.
const MAX_SECONDS: i64 = 9_000_000_000_000_000;

fn check_audience(aud: Option<&Value>, expected: &str) -> Result<(), TokenError> {
    let other = |aud: String| TokenError::Audience {
        aud: aud.chars().take(200).collect(),
        expected: expected.to_owned(),
    };
    match aud {
        Some(Value::String(aud)) if aud == expected => Ok(()),
        Some(Value::String(aud)) => Err(other(aud.clone())),
        // RFC 7519, section 4.1.3: several are allowed; the reader must be among them. A token for
        // several readers could be replayed by one to another, so only one is accepted here.
        Some(Value::Array(all)) => match all.as_slice() {
            [Value::String(aud)] if aud == expected => Ok(()),
            _ => Err(other(Value::Array(all.clone()).to_string())),
        },
        _ => Err(TokenError::Claim { claim: "aud", rule: "it must be the reader's DID" }),
    }
}

fn check_times(claims: &Claims, now: i64, leeway: i64) -> Result<(), TokenError> {
    let (iat, exp) = (claims.iat, claims.exp);
    if exp.saturating_add(leeway) <= now {
        return Err(TokenError::Expired { exp, now });
    }
    if iat.saturating_sub(leeway) > now {
        return Err(TokenError::IssuedInFuture { iat, now });
    }
    if let Some(nbf) = claims.nbf.filter(|nbf| nbf.saturating_sub(leeway) > now) {
        return Err(TokenError::NotYetValid { nbf, now });
    }
    if exp <= iat {
        return Err(TokenError::EndsBeforeItBegins { iat, exp });
    }
    let seconds = exp.saturating_sub(iat);
    if seconds > LIFETIME_SECONDS_MAX { Err(TokenError::Lifetime { seconds }) } else { Ok(()) }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
