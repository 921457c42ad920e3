//! Brings credentials, refusals and offers to the Credential Service of their holder. No polling: it sleeps
//! until something is due.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hiwar_claims::did::CREDENTIAL_SERVICE;
use hiwar_claims::issuance::metadata::{self, CredentialObject};
use hiwar_claims::issuance::state::{Made, issued_message_with, rejected_message};
use hiwar_store::dataspace::{Issuance, IssuanceState, IssuedCredential};
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use reqwest::Url;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::config::profile;
use crate::claims::Claims;
use crate::claims::verifier::ClaimsError;
use crate::clock::now;
use crate::config::DeliveryConfig;
use crate::node::Shared;
use crate::outbound::{OutboundError, Target, failure};

/// Most deliveries at one time.
const DELIVERIES_MAX: usize = 8;
/// How long one attempt may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(30);
/// How long to wait after the store failed.
const STORE_RETRY: Duration = Duration::from_secs(5);
/// A holder that refuses so often is left alone.
const REFUSALS_MAX: u32 = 5;

/// Why a message did not arrive.
#[derive(Debug)]
struct Trouble {
    problem: String,
    /// Trying again can help only when something here is changed.
    hopeless: bool,
    /// The holder's service does not want it.
    unwanted: bool,
}

impl From<ClaimsError> for Trouble {
    fn from(error: ClaimsError) -> Self {
        let hopeless = matches!(error, ClaimsError::Outbound(OutboundError::Refused(_)));
        let unwanted = matches!(error, ClaimsError::Delivery(status)
            if (400..500).contains(&status) && ![408, 425, 429].contains(&status));
        Self { problem: error.to_string(), hopeless, unwanted }
    }
}

/// Runs until the node stops.
pub(crate) async fn deliver(shared: Arc<Shared>) {
    let Some(claims) = shared.dataspace().claims.clone() else { return };
    let slots = Arc::new(Semaphore::new(DELIVERIES_MAX));
    let busy: Arc<Mutex<HashSet<String>>> = Arc::default();
    loop {
        let wait = match shared.dataspace().read(|reader| reader.issuances_due()).await {
            Ok(due) => start(&shared, &claims, due, &slots, &busy),
            Err(error) => {
                tracing::error!(%error, "what is to be delivered to holders cannot be read");
                STORE_RETRY
            }
        };
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            () = claims.issuing.wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Starts what is due now, and says how long to sleep.
fn start(
    shared: &Arc<Shared>,
    claims: &Arc<Claims>,
    due: Vec<(String, Timestamp)>,
    slots: &Arc<Semaphore>,
    busy: &Arc<Mutex<HashSet<String>>>,
) -> Duration {
    let at = now();
    let held = |busy: &Mutex<HashSet<String>>, id: &str| {
        busy.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    };
    for (id, when) in due {
        if held(busy, &id) {
            continue;
        }
        if when > at {
            return Duration::from_millis(u64::try_from(when.millis_since(at)).unwrap_or(0).max(1));
        }
        // Whoever ends wakes the loop, and the next one is started.
        let Ok(slot) = slots.clone().try_acquire_owned() else { break };
        busy.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        let (shared, claims, busy) = (shared.clone(), claims.clone(), busy.clone());
        tokio::spawn(async move {
            let kept = one(&shared, &claims, &id).await;
            if let Err(problem) = kept {
                tracing::error!(problem, issuance = id, "the outcome of a delivery cannot be kept");
                tokio::time::sleep(STORE_RETRY).await;
            }
            busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            drop(slot);
            claims.wake_issuer();
        });
    }
    Duration::from_secs(3600)
}

/// One attempt for one issuance; its outcome is kept.
async fn one(shared: &Arc<Shared>, claims: &Claims, id: &str) -> Result<(), String> {
    let wanted = id.to_owned();
    let found = shared.dataspace().read(move |reader| {
        let Some(issuance) = reader.issuance(&wanted)? else { return Ok(None) };
        Ok(Some((issuance, reader.issued_by(&wanted)?)))
    });
    let Some((issuance, made)) = found.await.map_err(|e| e.to_string())? else { return Ok(()) };
    let outcome = claims.tell(&issuance, &made).await;
    match &outcome {
        Ok(()) => tracing::info!(holder = issuance.holder, issuance = id, "credentials were delivered"),
        Err(trouble) => tracing::warn!(
            holder = issuance.holder,
            issuance = id,
            problem = trouble.problem,
            "credentials were not delivered"
        ),
    }
    let (id, retry) = (id.to_owned(), shared.config.delivery.clone());
    let kept = shared.dataspace().desk.run(move |tx| {
        // A person may have changed it meanwhile: only what this attempt showed is written.
        if let Some(mut issuance) = tx.issuance(&id)? {
            settle(&mut issuance, outcome, &retry, now());
            tx.put_issuance(&issuance)?;
        }
        Ok(())
    });
    kept.await.map_err(|refusal| refusal.reason)
}

/// Writes down what an attempt showed, and when the next one is due.
fn settle(issuance: &mut Issuance, outcome: Result<(), Trouble>, retry: &DeliveryConfig, at: Timestamp) {
    match outcome {
        Ok(()) => {
            issuance.delivered = Some(at);
            issuance.due = None;
            issuance.problem = None;
            // Who has it can write into the holder's Credential Service.
            issuance.access = None;
        }
        Err(trouble) => {
            issuance.attempts = issuance.attempts.saturating_add(1);
            let since = at.millis_since(issuance.decided.unwrap_or(issuance.created));
            let unwanted = trouble.unwanted && issuance.attempts >= REFUSALS_MAX;
            let over = trouble.hopeless || unwanted || since >= retry.give_up_ms;
            issuance.problem = Some(trouble.problem);
            issuance.due = (!over).then(|| {
                let doubled = 1_i64.checked_shl(issuance.attempts.saturating_sub(1).min(30)).unwrap_or(1);
                at.plus_millis(retry.retry_first_ms.saturating_mul(doubled).min(retry.retry_max_ms))
            });
        }
    }
}

impl Claims {
    /// Tells a holder what became of its request.
    async fn tell(&self, issuance: &Issuance, made: &[IssuedCredential]) -> Result<(), Trouble> {
        let unreadable = |problem: String| Trouble { problem, hopeless: true, unwanted: false };
        let holder: Did = issuance.holder.parse().map_err(|e| unreadable(format!("{e}")))?;
        let pid = issuance.holder_pid.as_deref();
        let message = if issuance.state == IssuanceState::Refused {
            rejected_message(&issuance.id, pid, issuance.reason.as_deref())
        } else {
            // What was revoked before it arrived is not brought any more.
            let standing = made.iter().filter(|credential| credential.revoked.is_none());
            let made: Option<Vec<Made>> = standing
                .map(|c| {
                    Some(Made { kind: c.kind.clone(), profile: profile(&c.profile)?, jwt: c.jwt.clone() })
                })
                .collect();
            match made {
                Some(made) if !made.is_empty() => {
                    let names = self.issuer_config().format_names.names();
                    issued_message_with(&issuance.id, pid, &made, names)
                }
                _ => return Err(unreadable("there is no credential that holds; nothing is sent".into())),
            }
        };
        Ok(self.post(&holder, "credentials", &message, issuance.access.clone()).await?)
    }

    /// Posts a message to a holder's Credential Service.
    async fn post(
        &self,
        holder: &Did,
        path: &str,
        message: &Value,
        access: Option<String>,
    ) -> Result<(), ClaimsError> {
        let document = self.resolve(holder).await?;
        let address = format!("{}/{path}", document.service(CREDENTIAL_SERVICE)?);
        let url = Url::parse(&address).map_err(|e| ClaimsError::Address(e.to_string()))?;
        let token = self.self_issued(holder.as_str(), access).map_err(ClaimsError::Own)?;
        let request = self.outbound.request(http::Method::POST, Target::Stranger(&url))?;
        let request = request
            .timeout(ATTEMPT_LIMIT)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(message.to_string());
        let response = request.send().await.map_err(|e| failure(&url, &e))?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(ClaimsError::Delivery(status.as_u16())) }
    }
}

/// Offers a credential to a holder, who may then ask for it.
///
/// # Errors
/// Why the offer did not arrive.
pub(crate) async fn offer(
    claims: &Claims,
    holder: &Did,
    offered: &[CredentialObject],
    reason: &str,
) -> Result<(), String> {
    let message = metadata::offer_message(claims.did(), offered, reason);
    claims.post(holder, "offers", &message, None).await.map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued() -> Issuance {
        Issuance {
            id: "i".into(),
            holder: "did:web:a.example".into(),
            holder_pid: None,
            access: Some("secret".into()),
            wanted: Vec::new(),
            state: IssuanceState::Issued,
            reason: None,
            created: Timestamp::from_millis(0),
            due: Some(Timestamp::from_millis(0)),
            attempts: 0,
            problem: None,
            decided: Some(Timestamp::from_millis(0)),
            delivered: None,
        }
    }

    fn retry() -> DeliveryConfig {
        DeliveryConfig {
            retry_first_ms: 100,
            retry_max_ms: 1000,
            give_up_ms: 10_000,
            ..DeliveryConfig::default()
        }
    }

    fn trouble(error: ClaimsError) -> Trouble {
        Trouble::from(error)
    }

    fn after(issuance: &mut Issuance, error: ClaimsError, at: i64) -> Option<i64> {
        settle(issuance, Err(trouble(error)), &retry(), Timestamp::from_millis(at));
        issuance.due.map(|due| due.as_millis() - at)
    }

    #[test]
    fn each_failure_doubles_the_wait_up_to_the_longest_until_the_time_is_over() {
        let mut issuance = issued();
        let waits: Vec<Option<i64>> =
            (0..6).map(|_| after(&mut issuance, ClaimsError::Delivery(503), 1000)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000].map(Some));
        assert_eq!(after(&mut issuance, ClaimsError::TooLong, 9_999), Some(1000));
        assert_eq!(after(&mut issuance, ClaimsError::TooLong, 10_000), None);
        assert_eq!(issuance.attempts, 8);
        assert!(issuance.problem.is_some() && issuance.access.is_some(), "a person may send it again");
    }

    #[test]
    fn a_holder_that_does_not_want_it_is_left_alone_and_one_that_is_busy_is_not() {
        let mut issuance = issued();
        let waits: Vec<Option<i64>> =
            (0..5).map(|_| after(&mut issuance, ClaimsError::Delivery(403), 10)).collect();
        assert_eq!(waits, [Some(100), Some(200), Some(400), Some(800), None]);
        let mut issuance = issued();
        let busy: Vec<Option<i64>> =
            (0..6).map(|_| after(&mut issuance, ClaimsError::Delivery(429), 10)).collect();
        assert!(busy.iter().all(Option::is_some));
    }

    #[test]
    fn what_arrived_is_not_sent_again_and_the_access_token_is_forgotten() {
        let mut issuance = issued();
        issuance.problem = Some("x".into());
        let at = Timestamp::from_millis(7);
        settle(&mut issuance, Ok(()), &retry(), at);
        assert_eq!((issuance.delivered, issuance.due), (Some(at), None));
        assert_eq!((issuance.problem, issuance.access), (None, None));
    }
}
