//! Tokens of ours: self-issued ones, and the access tokens inside them, by which another participant may
//! see some of our credentials for a while.

use hiwar_claims::query::Scope;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;

use crate::claims::{Claims, LIFETIME_SECONDS, REMEMBERED_MAX};
use crate::clock::{now, random};

/// What an access token gives.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// To whom.
    pub(super) whose: String,
    /// Until when, seconds since 1970.
    pub(super) until: i64,
    /// Which credentials; all that may be shown when absent.
    pub(super) scopes: Option<Vec<Scope>>,
}

impl Claims {
    /// A self-issued token for a participant that may ask us for all credentials that we show.
    pub(crate) fn token_for(&self, audience: &str) -> Result<String, String> {
        let access = self.new_access(audience, None)?;
        self.self_issued(audience, Some(access))
    }

    /// A self-issued token, with an access token for these scopes inside unless there are none.
    pub(crate) fn token_with(&self, audience: &Did, scopes: Vec<Scope>) -> Result<String, String> {
        let access = match scopes.is_empty() {
            true => None,
            false => Some(self.new_access(audience.as_str(), Some(scopes))?),
        };
        self.self_issued(audience.as_str(), access)
    }

    /// A self-issued token for a participant, with the access token that it gave us inside.
    pub(crate) fn token_around(&self, audience: &Did, access: String) -> Result<String, String> {
        self.self_issued(audience.as_str(), Some(access))
    }

    /// The type of the first scope by which nothing could be seen.
    pub(crate) fn never_shown<'a>(&self, scopes: &'a [Scope]) -> Option<&'a str> {
        scopes.iter().find_map(|scope| match scope {
            Scope::Type(kind) if !self.config.present.contains(kind) => Some(kind.as_str()),
            _ => None,
        })
    }

    pub(super) fn new_access(&self, audience: &str, scopes: Option<Vec<Scope>>) -> Result<String, String> {
        let access = hex::encode(random::<32>().map_err(|e| e.to_string())?);
        let at = now().as_seconds();
        let mut memory = self.memory();
        if memory.access.len() >= REMEMBERED_MAX {
            memory.access.retain(|_, access| at < access.until);
        }
        if memory.access.len() >= REMEMBERED_MAX {
            return Err(format!("{REMEMBERED_MAX} access tokens are in use; try again in a few minutes"));
        }
        let given = Access { whose: audience.to_owned(), until: at + LIFETIME_SECONDS, scopes };
        memory.access.insert(Hash::of(access.as_bytes()), given);
        Ok(access)
    }

    /// Whether an unexpired access token of ours was given to this participant.
    pub(super) fn gave_access_to(&self, who: &Did) -> bool {
        let at = now().as_seconds();
        self.memory().access.values().any(|access| access.whose == who.as_str() && at < access.until)
    }

    /// What an access token gives to this participant.
    pub(super) fn access_of(&self, who: &Did, token: &str) -> Option<Access> {
        let memory = self.memory();
        let access = memory.access.get(&Hash::of(token.as_bytes()))?;
        (access.whose == who.as_str() && now().as_seconds() < access.until).then(|| access.clone())
    }
}
