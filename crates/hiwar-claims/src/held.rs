//! What a holder reads of its own credentials, to know which to show. They were verified when they came.

use hiwar_trust::did::Did;
use serde_json::{Map, Value};

use crate::credential::{self, CREDENTIAL_BYTES_MAX, CredentialError, Profile};
use crate::jws;
use crate::query::Scope;

/// An outline of a credential. Nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// How it is written.
    pub profile: Profile,
    /// Its own name, when it has one.
    pub id: Option<String>,
    /// Who attests.
    pub issuer: Did,
    /// Its types, without `VerifiableCredential`.
    pub types: Vec<String>,
    /// From when it holds, seconds since 1970; the latest member that speaks of it.
    pub from: Option<i64>,
    /// Until when it holds, seconds since 1970; the earliest member that speaks of it.
    pub until: Option<i64>,
}

impl Outline {
    /// Reads the outline of a credential.
    ///
    /// # Errors
    /// When it is not of the form.
    pub fn of(jwt: &str) -> Result<Self, CredentialError> {
        let read = jws::read(jwt, CREDENTIAL_BYTES_MAX)?;
        let claims = read.claims();
        let (profile, members) = credential::body(claims)?;
        let mut types = credential::types(members)?;
        types.retain(|t| t != "VerifiableCredential");
        let (from, until) = credential::period(claims, members)?;
        let text =
            |from: &Map<String, Value>, name| from.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            profile,
            // VC Data Model 1.1, section 6.3.1: as a token's name the id may stand outside.
            id: text(members, "id").or_else(|| text(claims, "jti")),
            issuer: credential::issuer(claims, members)?,
            types,
            from,
            until,
        })
    }

    /// Whether a scope asks for it.
    pub fn is_in(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Type(kind) => self.types.contains(kind),
            Scope::Id(id) => self.id.as_ref() == Some(id),
        }
    }

    /// Whether it holds at `now`, seconds since 1970.
    pub fn holds_at(&self, now: i64) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}
