//! Verifiable presentations as JSON Web Tokens: credentials that their holder shows to one verifier.
//! Both forms are read: the presentation as the claim `vp` with the credentials as tokens (VC Data
//! Model 1.1), and as the payload itself with enveloped credentials (VC-JOSE-COSE).

use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::credential::Profile;
use crate::jws::{self, JwsError, VerificationKey};

/// The most bytes of a presentation.
pub const PRESENTATION_BYTES_MAX: usize = 256 * 1024;
/// The most credentials of a presentation.
pub const CREDENTIALS_MAX: usize = 16;
/// What stands before an enveloped credential's token.
const ENVELOPES: [&str; 2] = ["data:application/vc+jwt,", "data:application/vc+ld+jwt,"];

/// Why a presentation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresentationError {
    /// Its form, key or signature.
    #[error("the presentation: {0}")]
    Jws(#[from] JwsError),
    /// A member is absent or wrong.
    #[error("the presentation's member {member} is absent or wrong: {rule}")]
    Member {
        /// Which.
        member: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// Somebody else's.
    #[error("the presentation is of {presented:?}, but {holder} is the one who calls")]
    OtherHolder {
        /// Whose, cut to 200 characters.
        presented: String,
        /// Who calls.
        holder: Did,
    },
    /// Meant for somebody else.
    #[error("the presentation is meant for {aud:?}, this is {expected}")]
    Audience {
        /// As given, cut to 200 characters.
        aud: String,
        /// Who reads it.
        expected: String,
    },
    /// It is not valid now.
    #[error("the presentation is not valid now ({now} seconds since 1970): {rule}")]
    Time {
        /// The reader's time.
        now: i64,
        /// Which rule.
        rule: &'static str,
    },
}

fn wrong(member: &'static str, rule: &'static str) -> PresentationError {
    PresentationError::Member { member, rule }
}

/// Verifies a presentation with the keys that the holder's document names under `authentication`, and
/// gives the tokens of its credentials.
///
/// # Errors
/// When any part of it is wrong; each reason has its own error.
pub fn verify(
    jwt: &str,
    keys: &[VerificationKey],
    holder: &Did,
    audience: &str,
    now: Timestamp,
    leeway_seconds: i64,
) -> Result<Vec<String>, PresentationError> {
    let claims = jws::read(jwt, PRESENTATION_BYTES_MAX)?.verify(holder.as_str(), keys)?;
    let body = match claims.get("vp") {
        Some(Value::Object(vp)) => vp,
        Some(_) => return Err(wrong("vp", "it must be an object")),
        None => &claims,
    };
    let named = |value: Option<&Value>| match value {
        Some(Value::Object(object)) => object.get("id").and_then(Value::as_str).map(str::to_owned),
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    let who = [named(claims.get("iss")), named(claims.get("sub")), named(body.get("holder"))];
    if let Some(other) = who.iter().flatten().find(|who| *who != holder.as_str()) {
        let presented = other.chars().take(200).collect();
        return Err(PresentationError::OtherHolder { presented, holder: holder.clone() });
    }
    if who.iter().all(Option::is_none) {
        return Err(wrong("iss", "it must be the holder's DID"));
    }
    check_audience(claims.get("aud"), audience)?;
    check_times(&claims, now.as_seconds(), leeway_seconds)?;
    let is = |t: &Value| t.as_str() == Some("VerifiablePresentation");
    let kinds = body.get("type").or_else(|| body.get("@type"));
    if !kinds.is_some_and(|k| is(k) || k.as_array().is_some_and(|all| all.iter().any(is))) {
        return Err(wrong("type", "it must contain VerifiablePresentation"));
    }
    credentials(body)
}

fn credentials(body: &Map<String, Value>) -> Result<Vec<String>, PresentationError> {
    let rule = "it must be at most 16 credentials, each a token or an EnvelopedVerifiableCredential";
    let all = match body.get("verifiableCredential") {
        None | Some(Value::Null) => &[],
        Some(Value::Array(all)) => all.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    if all.len() > CREDENTIALS_MAX {
        return Err(wrong("verifiableCredential", rule));
    }
    let token = |value: &Value| match value {
        Value::String(jwt) => Some(jwt.clone()),
        Value::Object(envelope) => {
            let id = envelope.get("id").and_then(Value::as_str)?;
            ENVELOPES.iter().find_map(|prefix| id.strip_prefix(prefix)).map(str::to_owned)
        }
        _ => None,
    };
    all.iter().map(|v| token(v).ok_or_else(|| wrong("verifiableCredential", rule))).collect()
}

fn check_audience(aud: Option<&Value>, expected: &str) -> Result<(), PresentationError> {
    match aud {
        Some(Value::String(aud)) if aud == expected => Ok(()),
        Some(Value::Array(all)) if all.len() == 1 && all.first().is_some_and(|a| a == expected) => Ok(()),
        Some(other) => Err(PresentationError::Audience {
            aud: other.to_string().chars().take(200).collect(),
            expected: expected.to_owned(),
        }),
        None => Err(wrong("aud", "it must be the verifier's DID")),
    }
}

fn check_times(claims: &Map<String, Value>, now: i64, leeway: i64) -> Result<(), PresentationError> {
    let time = |name| match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        #[expect(clippy::cast_possible_truncation, reason = "a cast from f64 saturates")]
        Some(Value::Number(n)) => Ok(n.as_i64().or_else(|| n.as_f64().map(|f| f as i64))),
        Some(_) => Err(wrong(name, "it must be a number of seconds since 1970-01-01T00:00:00Z")),
    };
    let Some(exp) = time("exp")? else { return Err(wrong("exp", "a presentation must end")) };
    if exp.saturating_add(leeway) <= now {
        return Err(PresentationError::Time { now, rule: "exp has passed" });
    }
    if time("nbf")?.max(time("iat")?).is_some_and(|start| start.saturating_sub(leeway) > now) {
        return Err(PresentationError::Time { now, rule: "iat or nbf lies in the future" });
    }
    Ok(())
}

/// The claims of a presentation of `holder` for `audience`, to be signed with a key that the holder's
/// document names under `authentication`; the header's `typ` is [`kind`]. `jti` must be random.
pub fn claims(
    profile: Profile,
    credentials: &[String],
    holder: &Did,
    audience: &str,
    jti: &str,
    now: Timestamp,
    seconds: i64,
) -> Value {
    let at = now.as_seconds();
    let mut claims = json!({
        "iss": holder, "sub": holder, "aud": audience, "jti": jti,
        "iat": at, "nbf": at, "exp": at.saturating_add(seconds),
    });
    let body = match profile {
        Profile::Vc11 => json!({ "vp": {
            "@context": ["https://www.w3.org/2018/credentials/v1"],
            "type": ["VerifiablePresentation"],
            "verifiableCredential": credentials,
        } }),
        Profile::Vc20 => json!({
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "type": ["VerifiablePresentation"],
            "holder": holder,
            "verifiableCredential": credentials.iter().map(|jwt| json!({
                "@context": "https://www.w3.org/ns/credentials/v2",
                "type": "EnvelopedVerifiableCredential",
                "id": format!("data:application/vc+jwt,{jwt}"),
            })).collect::<Vec<_>>(),
        }),
    };
    if let (Some(claims), Value::Object(body)) = (claims.as_object_mut(), body) {
        claims.extend(body);
    }
    claims
}

/// The `typ` of a presentation's header.
pub fn kind(profile: Profile) -> &'static str {
    match profile {
        Profile::Vc11 => "JWT",
        Profile::Vc20 => "vp+jwt",
    }
}
