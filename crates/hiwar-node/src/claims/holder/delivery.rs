//! Taking credentials in (DCP 1.0, section 6.5): from an issuer whom we asked, each verified, and kept
//! before the issuer is answered. A delivery that nobody asked for is taken only from issuers that
//! `[claims.accept]` names for each of its types.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hiwar_claims::credential::{self, CredentialError};
use hiwar_claims::did::{DidDocument, Relationship};
use hiwar_claims::issuance::delivery::{self, Outcome};
use hiwar_claims::issuance::state::Made;
use hiwar_claims::token::LEEWAY_SECONDS;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;

use super::kept::{Answer, KeptError};
use super::{Refusal, claims_of, in_time};
use crate::claims::Claims;
use crate::claims::verifier::ClaimsError;
use crate::clock::now;
use crate::node::Shared;

/// Who we never asked learns no more than that, and neither does somebody who names another's request.
const NOT_ASKED: &str = "this node did not ask you for credentials";

/// `POST /credentials`
pub(super) async fn credentials(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match in_time(take(&shared, &headers, &body)).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => {
            tracing::info!(reason = refusal.reason, "a delivery of credentials is refused");
            refusal.into_response()
        }
    }
}

impl From<KeptError> for Refusal {
    fn from(error: KeptError) -> Self {
        match error {
            KeptError::Unknown => Self::new(StatusCode::NOT_FOUND, NOT_ASKED),
            KeptError::Answered => Self::new(StatusCode::CONFLICT, error),
            KeptError::CredentialsFull | KeptError::RequestsFull => {
                tracing::error!(%error, "a delivery cannot be kept");
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "nothing more can be kept here; try again later")
            }
            KeptError::Folder(_) | KeptError::Record(_) => Self::internal(error),
        }
    }
}

async fn take(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    let claims = claims_of(shared)?;
    let is_known = |who: &Did| claims.kept.asked(who) || claims.config.accepts(who, None);
    let (token, issuer) = claims.known_sender(headers, is_known, NOT_ASKED).await?;
    let delivery = delivery::read(body).map_err(Refusal::bad_request)?;
    let Some(holder_pid) = delivery.holder_pid else {
        return take_unasked(claims, &token.iss, delivery.outcome, &issuer).await;
    };
    let request = claims.kept.request(&holder_pid).filter(|r| r.issuer == token.iss);
    let request = request.ok_or(KeptError::Unknown)?;
    // The issuer has to give back the access token that came with the request. One that forgets it has
    // still named our request and signs what it brings; another token is not ours for this request.
    let given = token.token.map(|access| Hash::of(access.as_bytes()));
    if let (Some(given), Some(expected)) = (given, request.access)
        && given != expected
    {
        return Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "the access token is not the one of this request",
        ));
    }
    let answer = match delivery.outcome {
        Outcome::Rejected(reason) => Answer::Rejected(reason),
        Outcome::Issued(made) => {
            for one in &made {
                if !request.types.contains(&one.kind) {
                    let reason = format!("we asked for {}", request.types.join(", "));
                    return Err(wrong(one, &reason));
                }
                claims.check_delivered(one, &request.issuer, &issuer)?;
            }
            Answer::Issued(made.into_iter().map(|one| (one.kind, one.jwt)).collect())
        }
    };
    // From here on a caller who hangs up does not stop what is being written.
    let kept = tokio::task::spawn_blocking(move || {
        claims.kept.answer(&holder_pid, &delivery.issuer_pid, answer, now())
    });
    Ok(kept.await.map_err(Refusal::internal)??)
}

/// Takes in what nobody asked for, if the operator takes it from this issuer.
async fn take_unasked(
    claims: Arc<Claims>,
    from: &Did,
    outcome: Outcome,
    issuer: &DidDocument,
) -> Result<(), Refusal> {
    let Outcome::Issued(made) = outcome else { return Err(KeptError::Unknown.into()) };
    for one in &made {
        if !claims.config.accepts(from, Some(&one.kind)) {
            return Err(Refusal::new(StatusCode::NOT_FOUND, NOT_ASKED));
        }
        claims.check_delivered(one, from, issuer)?;
    }
    let kept = tokio::task::spawn_blocking(move || {
        made.iter().try_for_each(|one| claims.kept.import(&one.jwt).map(drop))
    });
    Ok(kept.await.map_err(Refusal::internal)??)
}

fn wrong(made: &Made, reason: &str) -> Refusal {
    Refusal::bad_request(format!("the credential {:?}: {reason}", made.kind))
}

impl Claims {
    /// Whether a delivered credential is what it is said to be, is about us and of this issuer.
    fn check_delivered(&self, made: &Made, from: &Did, issuer: &DidDocument) -> Result<(), Refusal> {
        let wrong = |reason: String| wrong(made, &reason);
        let keys = self.keys(issuer, Relationship::AssertionMethod)?;
        let found = credential::verify(&made.jwt, &keys, Some(&self.did), now(), LEEWAY_SECONDS);
        let found = found.map_err(|e| wrong(e.to_string()))?;
        if found.issuer != *from {
            return Err(wrong(format!("it is of {}, but {from} brings it", found.issuer)));
        }
        if !found.types.contains(&made.kind) {
            return Err(wrong(format!("its types are {}", found.types.join(", "))));
        }
        if found.profile != made.profile {
            let (is, said) = (found.profile.name(), made.profile.name());
            return Err(wrong(format!("it is written as {is}, but said to be {said}")));
        }
        Ok(())
    }
}

/// Why a credential from a file is not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error("the issuer's keys: {0}")]
    Issuer(#[from] ClaimsError),
    #[error(transparent)]
    Kept(#[from] KeptError),
    #[error("{0}")]
    Stopped(String),
}

impl Claims {
    /// Keeps a credential that a person brings: one about us, that holds, signed by its issuer. Gives its
    /// name.
    pub(crate) async fn import(self: &Arc<Self>, jwt: &str) -> Result<String, ImportError> {
        let (issuer, _) = credential::peek(jwt)?;
        let document = self.resolve(&issuer).await?;
        let keys = self.keys(&document, Relationship::AssertionMethod).map_err(ClaimsError::from)?;
        credential::verify(jwt, &keys, Some(&self.did), now(), LEEWAY_SECONDS)?;
        let (claims, jwt) = (self.clone(), jwt.to_owned());
        let kept = tokio::task::spawn_blocking(move || claims.kept.import(&jwt));
        Ok(kept.await.map_err(|e| ImportError::Stopped(e.to_string()))??)
    }
}
