//! The table `[claims.issuer]` of `hiwar.toml`.

use std::collections::BTreeMap;

use hiwar_claims::credential::Profile;
use hiwar_claims::issuance::state::FormatNames;
use hiwar_trust::did::Did;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// In `automatic`: every peer that was invited and that is dealt with.
pub const PEERS: &str = "peers";
/// The most days that a credential may hold.
const DAYS_MAX: u32 = 3660;
/// The most claims of a credential.
pub(crate) const CLAIMS_MAX: usize = 64;

/// The credentials that this node issues, by their type. Off unless a type is named.
///
/// ```toml
/// [claims.issuer.types.MembershipCredential]
/// days = 365
/// automatic = ["peers", "did:web:member.example"]
/// claims = { dataspace = "Hydrogen fluoride" }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerConfig {
    /// How deliveries name a credential's format. DCP 1.0 leaves it open.
    #[serde(skip_serializing_if = "is_alias")]
    pub format_names: FormatNaming,
    /// What is offered, by type.
    pub types: BTreeMap<String, OfferedType>,
}

/// How deliveries name a credential's format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FormatNaming {
    /// By the alias of its profile, such as `vc20-bssl/jwt`.
    #[default]
    Alias,
    /// `VC1_0_JWT` or `VC2_0_JOSE`, for holders with older software of the Eclipse family, which reads
    /// nothing else; release candidates of the conformance kit are among it.
    Constant,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_alias(naming: &FormatNaming) -> bool {
    *naming == FormatNaming::Alias
}

impl FormatNaming {
    pub(crate) fn names(self) -> FormatNames {
        match self {
            Self::Alias => FormatNames::Alias,
            Self::Constant => FormatNames::Constant,
        }
    }
}

/// One type of credential that is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OfferedType {
    /// How it may be written; the first is taken when nobody says which.
    pub profiles: Vec<String>,
    /// How long it holds.
    pub days: u32,
    /// Who gets it without being asked who he is: DIDs, or `peers`. All others wait until a person
    /// approves with `hiwar claims approve`.
    pub automatic: Vec<String>,
    /// What it says about its holder, beside the holder's identifier.
    pub claims: BTreeMap<String, ClaimValue>,
    /// Addresses of JSON-LD contexts that define the claims.
    pub contexts: Vec<String>,
    /// The address of a JSON Schema of the claims, which verifiers then fetch and check.
    pub schema: Option<String>,
}

impl Default for OfferedType {
    fn default() -> Self {
        Self {
            profiles: [Profile::Vc20, Profile::Vc11].map(|p| p.name().to_owned()).into(),
            days: 365,
            automatic: Vec::new(),
            claims: BTreeMap::new(),
            contexts: Vec::new(),
            schema: None,
        }
    }
}

/// The value of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClaimValue {
    /// Yes or no.
    Truth(bool),
    /// A whole number.
    Whole(i64),
    /// A text.
    Text(String),
}

/// The profile of a name.
pub(crate) fn profile(name: &str) -> Option<Profile> {
    [Profile::Vc20, Profile::Vc11].into_iter().find(|profile| profile.name() == name)
}

impl OfferedType {
    /// What it says about its holder.
    pub(crate) fn subject(&self) -> Map<String, Value> {
        let value = |value: &ClaimValue| match value {
            ClaimValue::Truth(truth) => json!(truth),
            ClaimValue::Whole(number) => json!(number),
            ClaimValue::Text(text) => json!(text),
        };
        self.claims.iter().map(|(name, held)| (name.clone(), value(held))).collect()
    }

    fn check(&self, kind: &str) -> Result<(), String> {
        let at = format!("claims.issuer.types.{kind}");
        // The type is part of identifiers and addresses.
        if kind.is_empty() || kind.len() > 128 || !kind.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(format!("{at}: a type is 1 to 128 letters and digits, such as MembershipCredential"));
        }
        if self.profiles.is_empty() || self.profiles.iter().any(|p| profile(p).is_none()) {
            let known = [Profile::Vc20, Profile::Vc11].map(Profile::name).join(" and ");
            return Err(format!("{at}.profiles: name at least one; those known are {known}"));
        }
        if !(1..=DAYS_MAX).contains(&self.days) {
            return Err(format!("{at}.days: it must be 1 to {DAYS_MAX}"));
        }
        if let Some(bad) = self.automatic.iter().find(|a| *a != PEERS && a.parse::<Did>().is_err()) {
            return Err(format!(
                "{at}.automatic: {bad:?} is no DID of the method did:web and not {PEERS:?}; there is no way to \
                 give a credential to everybody, because it would say nothing"
            ));
        }
        if self.claims.len() > CLAIMS_MAX || self.claims.contains_key("id") {
            return Err(format!(
                "{at}.claims: at most {CLAIMS_MAX}, and none of them id, which is the holder"
            ));
        }
        Ok(())
    }
}

impl IssuerConfig {
    /// Whether nothing is issued.
    pub fn is_off(&self) -> bool {
        self.types.is_empty()
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        self.types.iter().try_for_each(|(kind, offered)| offered.check(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<IssuerConfig, String> {
        let config: IssuerConfig = toml::from_str(text).map_err(|e| e.to_string())?;
        config.check().map(|()| config)
    }

    #[test]
    fn a_type_alone_is_enough_and_then_nobody_gets_it_without_a_person() {
        let config = read("[types.MembershipCredential]\n").unwrap();
        let offered = config.types.get("MembershipCredential").unwrap();
        assert_eq!(offered.profiles, ["vc20-bssl/jwt", "vc11-sl2021/jwt"]);
        assert!(offered.automatic.is_empty());
        assert_eq!(offered.days, 365);
        assert!(!config.is_off() && IssuerConfig::default().is_off());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, place) in [
            ("[types.\"a b\"]", "types.a b"),
            ("[types.T]\nprofiles = []", "types.T.profiles"),
            ("[types.T]\nprofiles = [\"jwt\"]", "types.T.profiles"),
            ("[types.T]\ndays = 0", "types.T.days"),
            ("[types.T]\nautomatic = [\"*\"]", "types.T.automatic"),
            ("[types.T]\nclaims = { id = \"x\" }", "types.T.claims"),
            ("[types.T]\nautomatc = []", "automatc"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(place), "{text}: {error}");
        }
    }

    #[test]
    fn claims_keep_the_kind_of_their_values() {
        let config =
            read("[types.T]\nclaims = { level = \"full\", since = 2019, observer = false }").unwrap();
        let subject = config.types.get("T").unwrap().subject();
        assert_eq!(Value::Object(subject), json!({ "level": "full", "since": 2019, "observer": false }));
    }
}
