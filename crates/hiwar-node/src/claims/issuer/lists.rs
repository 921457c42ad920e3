//! The status lists, published for everybody who has to check a credential.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hiwar_claims::credential::Profile;
use hiwar_claims::issuance::issue;
use hiwar_claims::issuance::list::{self, NewList};
use hiwar_trust::hash::Hash;
use tokio::sync::Mutex;

use super::config::profile;
use crate::claims::Claims;
use crate::clock::now;
use crate::node::Shared;

/// How long a list may be kept by whoever has it.
const TTL_SECONDS: i64 = 300;
/// How long a list is believed after it was signed. An old one could be shown in place of the newest.
const HOLDS_SECONDS: i64 = 24 * 3600;
/// A list is signed again after this time although nothing was revoked.
const SIGNED_AGAIN_SECONDS: i64 = 3600;

/// The lists as they were signed last.
#[derive(Default)]
pub(super) struct Lists {
    /// Counts revocations: a list that was signed before the last one is not shown any more.
    revision: AtomicU64,
    signed: Mutex<HashMap<i64, Signed>>,
}

#[derive(Clone)]
struct Signed {
    revision: u64,
    at: i64,
    profile: Profile,
    jwt: Bytes,
    tag: String,
}

impl Claims {
    /// The address of a status list.
    pub(super) fn list_address(&self, number: i64) -> String {
        format!("{}/status/{number}", self.issuer_address())
    }

    /// Something was revoked, durably.
    pub(crate) fn revoked(&self) {
        self.issuing.lists.revision.fetch_add(1, Ordering::SeqCst);
    }

    fn sign_list(
        &self,
        number: i64,
        profile: Profile,
        revoked: &[u32],
        revision: u64,
    ) -> Result<Signed, String> {
        let from = now();
        let claims = list::claims(&NewList {
            profile,
            address: &self.list_address(number),
            issuer: &self.did,
            revoked,
            from,
            until: from.plus_millis(HOLDS_SECONDS * 1000),
            ttl_ms: TTL_SECONDS.unsigned_abs() * 1000,
        })
        .map_err(|e| e.to_string())?;
        let jwt = self.key.sign(&claims, issue::kind(profile), &self.kid()).map_err(|e| e.to_string())?;
        let tag = format!("\"{}\"", Hash::of(jwt.as_bytes()));
        Ok(Signed { revision, at: from.as_seconds(), profile, jwt: jwt.into(), tag })
    }
}

/// A list as it is now; none when there is no such list.
async fn newest(shared: &Arc<Shared>, claims: &Arc<Claims>, number: i64) -> Result<Option<Signed>, String> {
    // One at a time: whoever comes while a list is being signed takes that one.
    let mut held = claims.issuing.lists.signed.lock().await;
    let revision = claims.issuing.lists.revision.load(Ordering::SeqCst);
    let fresh = |signed: &&Signed| {
        signed.revision == revision && now().as_seconds() < signed.at.saturating_add(SIGNED_AGAIN_SECONDS)
    };
    if let Some(signed) = held.get(&number).filter(fresh) {
        return Ok(Some(signed.clone()));
    }
    let signer = claims.clone();
    let signed = shared.dataspace().read(move |reader| {
        let Some((name, revoked)) = reader.status_list(number)? else { return Ok(None) };
        let Some(profile) = profile(&name) else { return Ok(None) };
        Ok(Some(signer.sign_list(number, profile, &revoked, revision)))
    });
    let signed = signed.await.map_err(|e| e.to_string())?.transpose()?;
    if let Some(signed) = &signed {
        held.insert(number, signed.clone());
    }
    Ok(signed)
}

/// `GET …/status/{number}`, for everybody.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(number): Path<String>,
    headers: HeaderMap,
) -> Response {
    let claims = shared.dataspace().claims.clone();
    let (Some(claims), Ok(number)) = (claims, number.parse()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let signed = match newest(&shared, &claims, number).await {
        Ok(Some(signed)) => signed,
        Ok(None) => return StatusCode::NOT_FOUND.into_response(),
        Err(problem) => {
            tracing::error!(problem, "a status list cannot be shown");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let kind = match signed.profile {
        Profile::Vc20 => "application/vc+jwt",
        Profile::Vc11 => "application/jwt",
    };
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|tags| {
        tags.to_str()
            .is_ok_and(|tags| tags.split(',').any(|t| t.trim().trim_start_matches("W/") == signed.tag))
    });
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, kind)], signed.jwt).into_response()
    };
    let kept = format!("public, max-age={TTL_SECONDS}");
    for (name, value) in [(header::CACHE_CONTROL, kept), (header::ETAG, signed.tag)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
