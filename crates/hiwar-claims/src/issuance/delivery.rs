//! What an issuer delivers to a holder: credentials, or that there will be none (DCP 1.0, section 6.5).
//! The issuer's side is in [`super::state`].

use serde_json::{Map, Value, json};

use super::request::{CREDENTIALS_MAX, ID_BYTES_MAX};
use super::state::Made;
use crate::credential::{CREDENTIAL_BYTES_MAX, Profile};
use crate::json;
use crate::query::QueryError;

/// The most bytes of a delivery: 16 credentials of the largest size, and what stands around them.
pub const DELIVERY_BYTES_MAX: usize = CREDENTIALS_MAX * (CREDENTIAL_BYTES_MAX + 2048);
/// The most bytes of the reason of a rejection that are kept.
pub const REASON_BYTES_MAX: usize = 2048;
/// The type of the message.
pub const TYPE: &str = "CredentialMessage";

/// What an issuer says about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The issuer's own name for the process.
    pub issuer_pid: String,
    /// The holder's name for it: which request is answered. Absent when nobody asked.
    pub holder_pid: Option<String>,
    /// The outcome.
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Credentials, at least one. Nothing of them is verified yet.
    Issued(Vec<Made>),
    /// None; with the issuer's reason, cut to [`REASON_BYTES_MAX`].
    Rejected(Option<String>),
}

/// Reads a delivery.
///
/// # Errors
/// When it is none, or beyond the limits.
pub fn read(bytes: &[u8]) -> Result<Delivery, QueryError> {
    let members = json::object(bytes, DELIVERY_BYTES_MAX)?;
    let wrong = |member, rule| QueryError::Member { member, rule };
    if members.get("type").or_else(|| members.get("@type")) != Some(&json!(TYPE)) {
        return Err(wrong("type", "it must be CredentialMessage"));
    }
    let pid = |member| match members.get(member) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= ID_BYTES_MAX => Ok(Some(text.clone())),
        Some(_) => Err(wrong(member, "it must be a text of 1 to 512 bytes")),
    };
    let issuer_pid = pid("issuerPid")?.ok_or_else(|| wrong("issuerPid", "it must be there"))?;
    let holder_pid = pid("holderPid")?;
    let outcome = match members.get("status").and_then(Value::as_str) {
        Some("ISSUED") => Outcome::Issued(credentials(members.get("credentials"))?),
        Some("REJECTED") => Outcome::Rejected(reason(&members)?),
        _ => return Err(wrong("status", "it must be ISSUED or REJECTED")),
    };
    Ok(Delivery { issuer_pid, holder_pid, outcome })
}

/// The profile that a format names: by the alias of DCP, appendix A.1, or as older software of the Eclipse
/// family does; section 6.5.2 leaves it open.
fn profile_of(format: &str) -> Option<Profile> {
    match format {
        "VC1_0_JWT" => Some(Profile::Vc11),
        "VC2_0_JOSE" => Some(Profile::Vc20),
        alias => [Profile::Vc20, Profile::Vc11].into_iter().find(|p| p.name() == alias),
    }
}

fn credentials(value: Option<&Value>) -> Result<Vec<Made>, QueryError> {
    let rule = "it must be an array of 1 to 16 objects, each with credentialType, the format \
                vc20-bssl/jwt or vc11-sl2021/jwt, and as payload a token of at most 64 KiB";
    let wrong = || QueryError::Member { member: "credentials", rule };
    let all = match value {
        Some(Value::Array(all)) if !all.is_empty() && all.len() <= CREDENTIALS_MAX => all,
        _ => return Err(wrong()),
    };
    let read = |v: &Value| {
        let text = |name: &str, max| v.get(name).and_then(Value::as_str).filter(|t| t.len() <= max);
        let format = text("format", ID_BYTES_MAX)?;
        Some(Made {
            kind: text("credentialType", ID_BYTES_MAX).filter(|t| !t.is_empty())?.to_owned(),
            profile: profile_of(format)?,
            jwt: text("payload", CREDENTIAL_BYTES_MAX)?.to_owned(),
        })
    };
    all.iter().map(|v| read(v).ok_or_else(wrong)).collect()
}

fn reason(members: &Map<String, Value>) -> Result<Option<String>, QueryError> {
    match members.get("rejectionReason") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            let mut end = text.len().min(REASON_BYTES_MAX);
            while !text.is_char_boundary(end) {
                end = end.saturating_sub(1);
            }
            Ok(text.get(..end).map(str::to_owned))
        }
        Some(_) => Err(QueryError::Member { member: "rejectionReason", rule: "it must be a text" }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::{issued_message, rejected_message};
    use super::*;

    fn made() -> Made {
        Made { kind: "MembershipCredential".into(), profile: Profile::Vc20, jwt: "a.b.c".into() }
    }

    #[test]
    fn deliveries_and_rejections_read_back_as_the_issuer_s_side_writes_them() {
        let read_back = |message: Value| read(message.to_string().as_bytes()).unwrap();
        let issued = read_back(issued_message("i", Some("h"), &[made()]));
        assert_eq!((issued.issuer_pid.as_str(), issued.holder_pid.as_deref()), ("i", Some("h")));
        assert_eq!(issued.outcome, Outcome::Issued(vec![made()]));
        let rejected = read_back(rejected_message("i", Some("h"), Some("no such company")));
        assert_eq!(rejected.outcome, Outcome::Rejected(Some("no such company".into())));
        let long = "é".repeat(REASON_BYTES_MAX);
        let long = read_back(rejected_message("i", Some("h"), Some(&long)));
        assert!(matches!(long.outcome, Outcome::Rejected(Some(kept)) if kept.len() == REASON_BYTES_MAX));
    }

    #[test]
    fn a_delivery_without_a_needed_member_or_beyond_the_limits_is_refused_with_its_name() {
        let good = issued_message("i", Some("h"), &[made()]);
        let one = |name: &str, value: Value| {
            let mut container = good["credentials"][0].clone();
            container[name] = value;
            json!([container])
        };
        for (member, value) in [
            ("type", json!("CredentialOfferMessage")),
            ("issuerPid", Value::Null),
            ("holderPid", Value::Null),
            ("holderPid", json!("x".repeat(ID_BYTES_MAX + 1))),
            ("status", json!("INVALID_STATUS")),
            ("credentials", Value::Null),
            ("credentials", json!([])),
            ("credentials", json!(vec![good["credentials"][0].clone(); CREDENTIALS_MAX + 1])),
            ("credentials", one("format", json!("ldp_vc"))),
            ("credentials", one("payload", json!({}))),
            ("credentials", one("payload", json!("x".repeat(CREDENTIAL_BYTES_MAX + 1)))),
            ("credentials", one("credentialType", json!(""))),
        ] {
            let mut bad = good.clone();
            bad[member] = value;
            let error = read(bad.to_string().as_bytes()).unwrap_err();
            assert!(matches!(error, QueryError::Member { member: named, .. } if named == member), "{error}");
        }
        assert!(matches!(read(&vec![b' '; DELIVERY_BYTES_MAX + 1]), Err(QueryError::Json(_))));
    }
}
