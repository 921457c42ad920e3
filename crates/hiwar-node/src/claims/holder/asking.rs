//! Asking an issuer for a credential (DCP 1.0, section 6.4). The request is kept before it is sent: its
//! answer may come before the message is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use hiwar_claims::did::ISSUER_SERVICE;
use hiwar_claims::issuance::metadata::{self, CredentialObject, METADATA_BYTES_MAX};
use hiwar_claims::issuance::request::CredentialRequest;
use hiwar_claims::query::QueryError;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use reqwest::Url;

use super::kept::{Asked, AskedState, KeptError};
use crate::claims::Claims;
use crate::claims::verifier::ClaimsError;
use crate::clock::{now, random};
use crate::outbound::{Target, failure, read_limited};

/// How long an issuer may take to acknowledge.
const SEND_LIMIT: Duration = Duration::from_secs(30);
/// Most bytes of a refusal that are read, and most characters that are kept.
const REFUSAL_MAX: usize = 2048;

/// What to ask for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) issuer: Did,
    /// The type of the credential.
    pub(crate) kind: String,
    /// How it is to be written; VC Data Model 2.0 where the issuer has it, when absent.
    pub(crate) profile: Option<String>,
    /// The identifiers that were offered, when this follows an offer.
    pub(crate) offered: Option<Vec<String>>,
}

/// Why an issuer was not asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    #[error("the metadata of {issuer}: {problem}")]
    Metadata { issuer: Did, problem: QueryError },
    #[error("{issuer} does not offer {kind:?} in a form that is read here; it offers: {offered}")]
    NotOffered { issuer: Did, kind: String, offered: String },
    #[error(transparent)]
    Kept(#[from] KeptError),
    #[error("{0}")]
    Own(String),
}

impl Claims {
    /// Asks an issuer. The answer says how far the request is: a message that is not acknowledged may
    /// have arrived, so its request stays open.
    pub(crate) async fn ask(self: &Arc<Self>, wanted: Wanted) -> Result<Asked, AskError> {
        let document = self.resolve(&wanted.issuer).await?;
        let base = document.service(ISSUER_SERVICE).map_err(ClaimsError::from)?.to_owned();
        let url = |path: &str| {
            Url::parse(&format!("{base}{path}")).map_err(|e| ClaimsError::Address(e.to_string()))
        };
        let bytes = self.fetch(url("/metadata")?.as_str(), METADATA_BYTES_MAX).await?;
        let objects = metadata::read(&bytes, &wanted.issuer)
            .map_err(|problem| AskError::Metadata { issuer: wanted.issuer.clone(), problem })?;
        let object = choose(&objects, &wanted).ok_or_else(|| {
            let offered = objects.iter().map(|o| format!("{} ({})", o.kind, o.profile));
            let mut offered = offered.collect::<Vec<_>>().join(", ");
            if offered.is_empty() {
                offered.push_str("nothing");
            }
            AskError::NotOffered { issuer: wanted.issuer.clone(), kind: wanted.kind.clone(), offered }
        })?;
        let pid = hex::encode(random::<16>().map_err(|e| AskError::Own(e.to_string()))?);
        let request = CredentialRequest { holder_pid: pid.clone(), credentials: vec![object.id.clone()] };
        // The issuer may want to see what we show to others before it decides.
        let access = match self.config.present.is_empty() {
            true => None,
            false => Some(self.new_access(wanted.issuer.as_str(), None).map_err(AskError::Own)?),
        };
        let mut asked = Asked::new(pid.clone(), wanted.issuer.clone(), vec![wanted.kind], now());
        asked.access = access.as_ref().map(|access| Hash::of(access.as_bytes()));
        let token = self.self_issued(wanted.issuer.as_str(), access).map_err(AskError::Own)?;
        self.keep(move |kept| kept.begin(asked)).await?;
        let sent = self.send(&url("/credentials")?, &token, request.to_json().to_string()).await;
        let (state, status_at, reason) = match sent {
            Ok(status_at) => (AskedState::Received, status_at, None),
            Err((true, reason)) => (AskedState::Failed, None, Some(reason)),
            Err((false, reason)) => (AskedState::Asking, None, Some(reason)),
        };
        self.keep(move |kept| kept.sent(&pid, state, status_at, reason, now())).await
    }

    async fn keep<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&super::Kept) -> Result<T, KeptError> + Send + 'static,
    ) -> Result<T, AskError> {
        let claims = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&claims.kept)).await;
        Ok(done.map_err(|e| AskError::Own(e.to_string()))??)
    }

    /// Sends the message: where its status is told, or whether it was surely not taken, and why.
    async fn send(&self, url: &Url, token: &str, body: String) -> Result<Option<String>, (bool, String)> {
        let request = self.outbound.request(http::Method::POST, Target::Stranger(url));
        let request = request.map_err(|e| (true, e.to_string()))?.timeout(SEND_LIMIT);
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", "application/json").body(body);
        let response = request.send().await.map_err(|e| (false, failure(url, &e).to_string()))?;
        let status = response.status();
        if status.is_success() {
            let location = response.headers().get("location").and_then(|v| v.to_str().ok());
            return Ok(location.filter(|l| l.len() <= REFUSAL_MAX).map(str::to_owned));
        }
        let said = read_limited(response, REFUSAL_MAX).await.unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        Err((status.is_client_error(), format!("it answered {status}: {}", said.trim())))
    }
}

/// The object to ask for: of the wanted type, in a form that is read here, the newer form first.
fn choose<'a>(objects: &'a [CredentialObject], wanted: &Wanted) -> Option<&'a CredentialObject> {
    let fits = |o: &&CredentialObject| {
        o.kind == wanted.kind
            && o.known_profile().is_some()
            && wanted.profile.as_ref().is_none_or(|profile| *profile == o.profile)
            && wanted.offered.as_ref().is_none_or(|offered| offered.contains(&o.id))
    };
    let mut fitting: Vec<_> = objects.iter().filter(fits).collect();
    fitting.sort_by_key(|o| o.known_profile() != Some(hiwar_claims::credential::Profile::Vc20));
    fitting.first().copied()
}
