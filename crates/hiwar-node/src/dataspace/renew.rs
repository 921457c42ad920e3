//! New access tokens in place of old ones (RFC 6749, section 6): asked for as consumer, given as provider.

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use hiwar_dataspace::ledger::Transfer;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::endpoints::caller;
use super::{Dataspace, callers};
use crate::clock::now;
use crate::data_plane::{Access, NotRenewed, Renew};
use crate::node::Shared;
use crate::outbound::read_limited;

/// How long the other side may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Longest answer and longest request, in bytes.
const BYTES_MAX: usize = 64 * 1024;

/// Renews the tokens of one transfer.
struct Renewing {
    dataspace: Weak<Dataspace>,
    shared: Arc<Shared>,
    counterparty: String,
}

/// A way to renew the tokens of a transfer.
pub(super) fn by(dataspace: &Arc<Dataspace>, shared: &Arc<Shared>, transfer: &Transfer) -> Arc<dyn Renew> {
    Arc::new(Renewing {
        dataspace: Arc::downgrade(dataspace),
        shared: shared.clone(),
        counterparty: transfer.process.counterparty.clone(),
    })
}

/// What a provider answers.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<i64>,
}

impl Renewing {
    async fn ask(&self, stale: &Access) -> Result<Access, NotRenewed> {
        let renewal = stale.renewal.as_ref().ok_or("the data address says no way to renew the token")?;
        let dataspace = self.dataspace.upgrade().ok_or("the node is shutting down")?;
        let url: Url = renewal.endpoint.parse().map_err(|_| "the refresh endpoint is no URL")?;
        let trust = callers::trust(&self.shared, &self.counterparty);
        let authorization = dataspace.callers.authorization(&self.shared, &self.counterparty)?;
        let mut form = url.clone();
        form.query_pairs_mut()
            .clear()
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", &renewal.refresh_token);
        let form = form.query().unwrap_or_default().to_owned();
        let request = dataspace
            .outbound
            .request(http::Method::POST, trust.target(&url))
            .map_err(|e| e.to_string())?
            .header("authorization", authorization)
            .header("content-type", "application/x-www-form-urlencoded")
            .timeout(LIMIT)
            .body(form);
        let answer = request
            .send()
            .await
            .map_err(|e| NotRenewed::Passing(crate::outbound::failure(&url, &e).to_string()))?;
        let status = answer.status();
        let body = read_limited(answer, BYTES_MAX).await.map_err(|e| NotRenewed::Passing(e.to_string()))?;
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(NotRenewed::Passing(format!("the refresh endpoint answered with status {status}")));
        }
        if !status.is_success() {
            return Err(format!("the refresh endpoint answered with status {}", status.as_u16()).into());
        }
        // What cannot be read may hold a token, so it is not shown.
        let given: Given =
            serde_json::from_slice(&body).map_err(|_| "the refresh endpoint's answer cannot be read")?;
        let mut access = stale.clone();
        access.authorization = Some(Zeroizing::new(given.access_token));
        if let Some(renewal) = &mut access.renewal {
            renewal.expires = given.expires_in.map(|seconds| now().plus_millis(seconds.saturating_mul(1000)));
            if let Some(refresh) = given.refresh_token {
                renewal.refresh_token = Zeroizing::new(refresh);
            }
        }
        Ok(access)
    }
}

impl Renew for Renewing {
    fn renew<'a>(&'a self, stale: &'a Access) -> BoxFuture<'a, Result<Access, NotRenewed>> {
        Box::pin(self.ask(stale))
    }
}

/// Carries a form while it is read.
const FORM_BASE: &str = "form:x";

fn refused(status: StatusCode, error: &str, why: String) -> Response {
    (status, axum::Json(json!({ "error": error, "error_description": why }))).into_response()
}

/// `POST /data-token/{transfer}`: a consumer of ours asks for a new access token.
pub(super) async fn give(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path(pid): Path<String>,
    body: Bytes,
) -> Response {
    let known = match caller(&shared, &headers).await {
        Ok(known) => known,
        Err(failed) => return failed.into_response(),
    };
    let mut refresh = None;
    let mut grant = None;
    // A form is written as a query is.
    let mut form = FORM_BASE.parse::<Url>().ok();
    if let Some(url) = &mut form {
        url.set_query(std::str::from_utf8(&body).ok());
    }
    for (name, value) in form.iter().flat_map(Url::query_pairs) {
        match &*name {
            "grant_type" => grant = Some(value.into_owned()),
            "refresh_token" => refresh = Some(Zeroizing::new(value.into_owned())),
            _ => {}
        }
    }
    let (Some("refresh_token"), Some(refresh)) = (grant.as_deref(), refresh) else {
        let why = "send grant_type=refresh_token and refresh_token=… as a form (RFC 6749, section 6)";
        return refused(StatusCode::BAD_REQUEST, "invalid_request", why.into());
    };
    let dataspace = shared.dataspace().clone();
    let connector = dataspace.connector.clone();
    let moment = match dataspace.moment() {
        Ok(moment) => moment,
        Err(problem) => return refused(StatusCode::INTERNAL_SERVER_ERROR, "server_error", problem.reason),
    };
    let shown = refresh.clone();
    let given =
        dataspace.desk.run(move |tx| connector.renew_token(tx, &known.id, &pid, &shown, moment)).await;
    match given {
        Ok(new) => {
            let expires_in = new.life_ms.map(|life| (life / 1000).max(1));
            let body = json!({
                "access_token": new.token, "token_type": "Bearer", "refresh_token": refresh.as_str(),
                "expires_in": expires_in,
            });
            ([("cache-control", "no-store")], axum::Json(body)).into_response()
        }
        // Whether there is such a transfer is not told apart from a wrong token.
        Err(_) => {
            let why = "the refresh token is not that of a transfer of yours that runs".to_owned();
            refused(StatusCode::BAD_REQUEST, "invalid_grant", why)
        }
    }
}
