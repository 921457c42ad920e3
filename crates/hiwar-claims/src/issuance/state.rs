//! How far a request for credentials is (DCP 1.0, section 6.8), and the message that brings its outcome
//! to the holder (section 6.5.1).

use serde_json::{Value, json};

use super::request::ID_BYTES_MAX;
use crate::credential::Profile;
use crate::json;
use crate::query::{CONTEXT, QueryError};

/// The most bytes of a status.
pub const STATUS_BYTES_MAX: usize = 16 * 1024;

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// Somebody or something has to decide.
    Received,
    /// The credentials were refused.
    Rejected,
    /// The credentials were made.
    Issued,
}

impl RequestState {
    /// As messages write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "RECEIVED",
            Self::Rejected => "REJECTED",
            Self::Issued => "ISSUED",
        }
    }
}

/// The status of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialStatus {
    /// The issuer's name for the process.
    pub issuer_pid: String,
    /// The holder's.
    pub holder_pid: String,
    /// How far it is.
    pub state: RequestState,
}

impl CredentialStatus {
    /// The status as a message.
    pub fn to_json(&self) -> Value {
        json!({
            "@context": [CONTEXT], "type": "CredentialStatus", "issuerPid": self.issuer_pid,
            "holderPid": self.holder_pid, "status": self.state.name(),
        })
    }
}

/// Reads a status.
///
/// # Errors
/// When it is none.
pub fn read(bytes: &[u8]) -> Result<CredentialStatus, QueryError> {
    let members = json::object(bytes, STATUS_BYTES_MAX)?;
    let wrong = |member, rule| QueryError::Member { member, rule };
    if members.get("type").or_else(|| members.get("@type")) != Some(&json!("CredentialStatus")) {
        return Err(wrong("type", "it must be CredentialStatus"));
    }
    let text = |member: &'static str| {
        let found = members.get(member).and_then(Value::as_str);
        let found = found.filter(|t| !t.is_empty() && t.len() <= ID_BYTES_MAX).map(str::to_owned);
        found.ok_or_else(|| wrong(member, "it must be a text of 1 to 512 bytes"))
    };
    let named = text("status")?;
    let all = [RequestState::Received, RequestState::Rejected, RequestState::Issued];
    let state = all.into_iter().find(|state| state.name().eq_ignore_ascii_case(&named));
    let state = state.ok_or_else(|| wrong("status", "it must be RECEIVED, REJECTED or ISSUED"))?;
    Ok(CredentialStatus { issuer_pid: text("issuerPid")?, holder_pid: text("holderPid")?, state })
}

/// A credential on its way to its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its type.
    pub kind: String,
    /// How it is written.
    pub profile: Profile,
    /// The credential.
    pub jwt: String,
}

/// How messages name a credential's format. DCP 1.0 leaves it open (section 6.5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormatNames {
    /// The alias of the profile, such as `vc20-bssl/jwt`.
    #[default]
    Alias,
    /// `VC1_0_JWT` and `VC2_0_JOSE`: the only ones that older holders of the Eclipse family read.
    Constant,
}

impl FormatNames {
    fn of(self, profile: Profile) -> &'static str {
        match (self, profile) {
            (Self::Alias, profile) => profile.name(),
            (Self::Constant, Profile::Vc11) => "VC1_0_JWT",
            (Self::Constant, Profile::Vc20) => "VC2_0_JOSE",
        }
    }
}

/// The message that brings credentials. Without `holder_pid` nobody asked for them.
pub fn issued_message(issuer_pid: &str, holder_pid: Option<&str>, made: &[Made]) -> Value {
    issued_message_with(issuer_pid, holder_pid, made, FormatNames::Alias)
}

/// As [`issued_message`], with formats named as `names` says.
pub fn issued_message_with(
    issuer_pid: &str,
    holder_pid: Option<&str>,
    made: &[Made],
    names: FormatNames,
) -> Value {
    let made: Vec<Value> = made
        .iter()
        .map(|m| json!({ "credentialType": m.kind, "payload": m.jwt, "format": names.of(m.profile) }))
        .collect();
    let mut message = outcome(issuer_pid, holder_pid, RequestState::Issued);
    message.insert("credentials".into(), Value::Array(made));
    Value::Object(message)
}

/// The message that says that credentials are refused.
pub fn rejected_message(issuer_pid: &str, holder_pid: Option<&str>, reason: Option<&str>) -> Value {
    let mut message = outcome(issuer_pid, holder_pid, RequestState::Rejected);
    if let Some(reason) = reason {
        message.insert("rejectionReason".into(), json!(reason));
    }
    Value::Object(message)
}

fn outcome(
    issuer_pid: &str,
    holder_pid: Option<&str>,
    state: RequestState,
) -> serde_json::Map<String, Value> {
    let mut message = serde_json::Map::new();
    message.insert("@context".into(), json!([CONTEXT]));
    message.insert("type".into(), json!("CredentialMessage"));
    message.insert("issuerPid".into(), json!(issuer_pid));
    if let Some(pid) = holder_pid {
        message.insert("holderPid".into(), json!(pid));
    }
    message.insert("status".into(), json!(state.name()));
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_back_as_written_and_an_unknown_state_is_refused() {
        for state in [RequestState::Received, RequestState::Rejected, RequestState::Issued] {
            let status = CredentialStatus { issuer_pid: "i".into(), holder_pid: "h".into(), state };
            assert_eq!(read(status.to_json().to_string().as_bytes()).unwrap(), status);
        }
        let odd =
            json!({ "type": "CredentialStatus", "issuerPid": "i", "holderPid": "h", "status": "MAYBE" });
        let error = read(odd.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, QueryError::Member { member: "status", .. }), "{error}");
    }

    #[test]
    fn a_credential_message_has_the_members_of_dcp_1_0_section_6_5_1() {
        let made = Made { kind: "T".into(), profile: Profile::Vc11, jwt: "a.b.c".into() };
        let message = issued_message("i", Some("h"), &[made]);
        assert_eq!(message["status"], "ISSUED");
        assert_eq!(message["credentials"][0]["credentialType"], "T");
        assert_eq!(message["credentials"][0]["format"], "vc11-sl2021/jwt");
        assert_eq!(message["credentials"][0]["payload"], "a.b.c");
        let made = Made { kind: "T".into(), profile: Profile::Vc20, jwt: "a.b.c".into() };
        let older = issued_message_with("i", Some("h"), &[made], FormatNames::Constant);
        assert_eq!(older["credentials"][0]["format"], "VC2_0_JOSE");
        let refused = rejected_message("i", None, Some("not a member"));
        assert_eq!(refused["status"], "REJECTED");
        assert_eq!(refused["rejectionReason"], "not a member");
        assert!(refused.get("holderPid").is_none() && refused.get("credentials").is_none());
    }
}
