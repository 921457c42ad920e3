//! Signing credentials, each with a place of its own in a status list.

use hiwar_claims::credential::CREDENTIAL_BYTES_MAX;
use hiwar_claims::issuance::issue::{self, NewCredential};
use hiwar_claims::issuance::list::ENTRIES;
use hiwar_dataspace::connector::Refusal;
use hiwar_store::dataspace::{Issuance, IssuanceState, IssuedCredential, Tx, Wanted};
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use serde_json::{Map, Value};

use super::DAY_MS;
use super::config::{CLAIMS_MAX, profile};
use crate::claims::Claims;
use crate::clock::random;
use crate::dataspace::failed;

/// How often a place is drawn until a free one is found. Lists are given to one half only, so that each draw
/// succeeds at least every second time.
const DRAWS_MAX: u32 = 64;

/// What a person decided beside the rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// More claims; one of the same name takes the place of the configured one.
    pub(crate) claims: Map<String, Value>,
    /// Until when it holds, in place of the configured number of days.
    pub(crate) until: Option<Timestamp>,
}

/// A new identifier: a UUID of version 4 (RFC 9562, section 5.4).
pub(crate) fn new_id() -> Result<String, Refusal> {
    let mut bytes = random::<16>().map_err(failed)?;
    if let Some(byte) = bytes.get_mut(6) {
        *byte = (*byte & 0x0f) | 0x40;
    }
    if let Some(byte) = bytes.get_mut(8) {
        *byte = (*byte & 0x3f) | 0x80;
    }
    let hex = hex::encode(bytes);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    Ok([part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-"))
}

impl Claims {
    /// Makes all credentials of an issuance and keeps them; the holder is to be told now.
    ///
    /// # Errors
    /// When one cannot be made; then nothing of it is kept.
    pub(crate) fn issue(
        &self,
        tx: &mut Tx<'_>,
        issuance: &mut Issuance,
        terms: &Terms,
        at: Timestamp,
    ) -> Result<Vec<IssuedCredential>, Refusal> {
        let mut made = Vec::new();
        for wanted in issuance.wanted.clone() {
            let credential = self.sign_one(tx, issuance, &wanted, terms, at)?;
            tx.put_issued(&credential)?;
            made.push(credential);
        }
        issuance.state = IssuanceState::Issued;
        issuance.due = Some(at);
        issuance.decided = Some(at);
        tx.put_issuance(issuance)?;
        Ok(made)
    }

    fn sign_one(
        &self,
        tx: &mut Tx<'_>,
        issuance: &Issuance,
        wanted: &Wanted,
        terms: &Terms,
        at: Timestamp,
    ) -> Result<IssuedCredential, Refusal> {
        let offered = self.issuer_config().types.get(&wanted.kind);
        let (Some(offered), Some(profile)) = (offered, profile(&wanted.profile)) else {
            return Err(Refusal::bad("not-offered", format!("{} is not issued here any more", wanted.kind)));
        };
        let holder: Did = issuance.holder.parse().map_err(failed)?;
        let mut subject = offered.subject();
        subject.extend(terms.claims.clone());
        if subject.len() > CLAIMS_MAX || subject.contains_key("id") {
            let rule = format!("at most {CLAIMS_MAX} claims, and none of them id, which is the holder");
            return Err(Refusal::bad("claims", rule));
        }
        let until = terms.until.unwrap_or_else(|| at.plus_millis(i64::from(offered.days) * DAY_MS));
        if until <= at {
            return Err(Refusal::bad(
                "until",
                format!("the credential would end at {until}, before it begins"),
            ));
        }
        let (list, place) = self.place(tx, &wanted.profile)?;
        let id = format!("urn:uuid:{}", new_id()?);
        let address = self.list_address(list);
        let claims = issue::claims(&NewCredential {
            profile,
            id: &id,
            kind: &wanted.kind,
            issuer: &self.did,
            holder: &holder,
            subject: &subject,
            contexts: &offered.contexts,
            schema: offered.schema.as_deref(),
            from: at,
            until,
            list: &address,
            place,
        });
        let jwt = self.key.sign(&claims, issue::kind(profile), &self.kid()).map_err(failed)?;
        if jwt.len() > CREDENTIAL_BYTES_MAX {
            let rule =
                format!("the credential would have {} bytes; at most {CREDENTIAL_BYTES_MAX}", jwt.len());
            return Err(Refusal::bad("claims", rule));
        }
        Ok(IssuedCredential {
            id,
            issuance: issuance.id.clone(),
            holder: issuance.holder.clone(),
            kind: wanted.kind.clone(),
            profile: wanted.profile.clone(),
            list,
            place,
            issued: at,
            until,
            revoked: None,
            reason: None,
            jwt,
        })
    }

    /// A place that was never given. Places are drawn at random, so that they tell nothing about who got a
    /// credential when.
    fn place(&self, tx: &mut Tx<'_>, profile: &str) -> Result<(i64, u32), Refusal> {
        let list = match tx.newest_list(profile)? {
            Some((list, given)) if given < ENTRIES / 2 => list,
            _ => tx.new_list(profile)?,
        };
        for _ in 0..DRAWS_MAX {
            // A power of two: every place is equally likely.
            let place = u32::from_be_bytes(random().map_err(failed)?) % ENTRIES;
            if !tx.is_given(list, place)? {
                return Ok((list, place));
            }
        }
        Err(failed("no free place was found in the status list; try again"))
    }
}
