//! Status lists of an issuer: which of its credentials were revoked (Bitstring Status List 1.0 for
//! credentials of VC Data Model 2.0, StatusList2021 for those of 1.1).

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde_json::{Value, json};

use super::issue::{VC20, in_token};
use crate::credential::Profile;

/// How many credentials a list speaks of: the least that hides whose credential a reader of the list asks
/// about (Bitstring Status List 1.0, section 6.1).
pub const ENTRIES: u32 = 131_072;

/// A list to be signed.
#[derive(Clone, Debug)]
pub struct NewList<'a> {
    /// For credentials of which profile.
    pub profile: Profile,
    /// Where it is published: its own name.
    pub address: &'a str,
    /// Whose it is.
    pub issuer: &'a Did,
    /// Places of the credentials that were revoked, each below [`ENTRIES`].
    pub revoked: &'a [u32],
    /// From when it holds.
    pub from: Timestamp,
    /// Until when it is believed.
    pub until: Timestamp,
    /// How long a reader may keep it, in milliseconds.
    pub ttl_ms: u64,
}

/// A place that no list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the status list has {ENTRIES} places; there is no place {0}")]
pub struct NoSuchPlace(pub u32);

/// The claims of a status list, to be signed as a credential is; the header's `typ` is
/// [`super::issue::kind`].
///
/// # Errors
/// When a place lies outside of the list.
pub fn claims(new: &NewList<'_>) -> Result<Value, NoSuchPlace> {
    let encoded = encode(new.revoked)?;
    let (context, credential, list) = match new.profile {
        Profile::Vc20 => (json!([VC20]), "BitstringStatusListCredential", "BitstringStatusList"),
        Profile::Vc11 => (
            json!(["https://www.w3.org/2018/credentials/v1", "https://w3id.org/vc/status-list/2021/v1"]),
            "StatusList2021Credential",
            "StatusList2021",
        ),
    };
    let mut subject = json!({
        "id": format!("{}#list", new.address), "type": list, "statusPurpose": "revocation",
    });
    if let Some(members) = subject.as_object_mut() {
        match new.profile {
            // Base64url as a multibase value; StatusList2021 has no prefix.
            Profile::Vc20 => {
                members.insert("encodedList".into(), json!(format!("u{encoded}")));
                members.insert("ttl".into(), json!(new.ttl_ms));
            }
            Profile::Vc11 => drop(members.insert("encodedList".into(), json!(encoded))),
        }
    }
    let body = json!({
        "@context": context, "id": new.address, "type": ["VerifiableCredential", credential],
        "issuer": new.issuer, "credentialSubject": subject,
    });
    Ok(in_token(new.profile, body, new.issuer, None, None, (new.from, new.until)))
}

/// The bits, compressed with gzip, as base64url. Place 0 is the left-most bit.
fn encode(revoked: &[u32]) -> Result<String, NoSuchPlace> {
    let mut bits = vec![0_u8; ENTRIES as usize / 8];
    for place in revoked {
        let byte = bits.get_mut(*place as usize / 8).ok_or(NoSuchPlace(*place))?;
        *byte |= 0x80 >> (place % 8);
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let packed = packer.write_all(&bits).and_then(|()| packer.finish()).unwrap_or_default();
    Ok(URL_SAFE_NO_PAD.encode(packed))
}
