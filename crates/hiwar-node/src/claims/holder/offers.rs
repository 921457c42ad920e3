//! Offers of credentials (DCP 1.0, section 6.6): kept for a person to see, and asked for at once where
//! the configuration says so. Only issuers that it names for that are heard.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hiwar_claims::issuance::offer::{self, Offered};

use super::kept::KeptOffer;
use super::{Refusal, Wanted, claims_of, in_time};
use crate::claims::Claims;
use crate::clock::now;
use crate::node::Shared;

const NOT_HEARD: &str = "offers of yours are not taken here";

/// `POST /offers`
pub(super) async fn offers(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    match in_time(take(&shared, &headers, &body)).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => {
            tracing::info!(reason = refusal.reason, "an offer of credentials is refused");
            refusal.into_response()
        }
    }
}

async fn take(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    let claims = claims_of(shared)?;
    let (token, _) = claims.known_sender(headers, |who| claims.config.accepts(who, None), NOT_HEARD).await?;
    let offer = offer::read(body).map_err(Refusal::bad_request)?;
    if offer.issuer != token.iss {
        let (names, sends) = (offer.issuer, token.iss);
        return Err(Refusal::bad_request(format!("the offer names {names} as issuer, but {sends} sends it")));
    }
    // What is named by its identifier only may be of any type: that is looked up when it is asked for.
    let mut credentials = offer.credentials;
    credentials.retain(|o| claims.config.accepts(&offer.issuer, o.kind.as_deref()));
    if credentials.is_empty() {
        return Err(Refusal::new(StatusCode::FORBIDDEN, NOT_HEARD));
    }
    let keeper = claims.clone();
    let kept = tokio::task::spawn_blocking(move || keeper.kept.offer(&offer.issuer, credentials, now()));
    let kept = kept.await.map_err(Refusal::internal)??;
    if !claims.config.ask.is_empty() {
        tokio::spawn(async move { claims.ask_for_offered(kept).await });
    }
    Ok(())
}

impl Claims {
    /// Asks for what the configuration wants of an offer. What fails stays in the list of offers, for a
    /// person.
    async fn ask_for_offered(self: Arc<Self>, offer: KeptOffer) {
        let KeptOffer { issuer, credentials, .. } = offer;
        let is_offered = |kind: &str, o: &Offered| o.kind.as_deref().is_none_or(|named| named == kind);
        let wanted = self.config.ask.iter().filter(|kind| {
            self.config.accepts(&issuer, Some(kind))
                && credentials.iter().any(|o| is_offered(kind, o))
                && !self.kept.waits_for(&issuer, kind)
        });
        for kind in wanted {
            let offered =
                Some(credentials.iter().filter(|o| is_offered(kind, o)).map(|o| o.id.clone()).collect());
            let wanted = Wanted { issuer: issuer.clone(), kind: kind.clone(), profile: None, offered };
            if let Err(error) = self.ask(wanted).await {
                tracing::warn!(%issuer, kind, %error, "an offered credential could not be asked for");
            }
        }
    }
}
