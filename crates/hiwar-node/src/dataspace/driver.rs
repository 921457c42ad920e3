//! Delivers what is due, when it is due: no polling. Every commit tells which processes changed and
//! when something is to be done for them; the driver sleeps until the first of these times.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hiwar_dataspace::connector::{Delivery, Failure, Refusal};
use hiwar_dataspace::wire::{Message, NegotiationStatus, TransferStatus, json};
use hiwar_store::dataspace::{Due, ProcessKind};
use hiwar_trust::time::Timestamp;
use reqwest::Url;
use tokio::sync::{Semaphore, mpsc};

use super::{Dataspace, callers};
use crate::clock::now;
use crate::node::Shared;
use crate::outbound::read_limited;

/// Most deliveries at one time.
const DELIVERIES_MAX: usize = 256;
/// How long one attempt may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(30);
/// Largest answer read.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long to wait after the store failed, in milliseconds.
const STORE_RETRY_MS: i64 = 5_000;

type Key = (ProcessKind, String);

/// When what is due.
#[derive(Default)]
struct Schedule {
    by_time: BTreeSet<(Timestamp, Key)>,
    by_key: HashMap<Key, Timestamp>,
    /// Processes that are being worked on, and what became due meanwhile.
    busy: HashMap<Key, Option<Timestamp>>,
}

impl Schedule {
    fn set(&mut self, key: Key, due: Option<Timestamp>) {
        if let Some(later) = self.busy.get_mut(&key) {
            *later = due;
            return;
        }
        if let Some(before) = self.by_key.remove(&key) {
            self.by_time.remove(&(before, key.clone()));
        }
        if let Some(due) = due {
            self.by_key.insert(key.clone(), due);
            self.by_time.insert((due, key));
        }
    }

    fn first(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(due, _)| *due)
    }

    fn take_due(&mut self, at: Timestamp) -> Option<Key> {
        if self.first().is_none_or(|due| due > at) {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        self.busy.insert(key.clone(), None);
        Some(key)
    }

    /// The work on a process is done. `again` is when to look at it although no commit said so.
    fn done(&mut self, key: &Key, again: Option<Timestamp>) {
        if let Some(later) = self.busy.remove(key) {
            self.set(key.clone(), [later, again].into_iter().flatten().min());
        }
    }
}

/// Runs until the node stops.
pub(crate) async fn drive(
    shared: Arc<Shared>,
    dataspace: Arc<Dataspace>,
    mut changes: mpsc::UnboundedReceiver<Due>,
    waiting: Vec<Due>,
) {
    let mut schedule = Schedule::default();
    for change in waiting {
        schedule.set((change.kind, change.pid), change.due);
    }
    let (done, mut finished) = mpsc::unbounded_channel::<(Key, Option<Timestamp>)>();
    let slots = Arc::new(Semaphore::new(DELIVERIES_MAX));
    loop {
        while slots.available_permits() > 0
            && let Some(key) = schedule.take_due(now())
        {
            let Ok(slot) = slots.clone().try_acquire_owned() else { break };
            let (shared, dataspace, done) = (shared.clone(), dataspace.clone(), done.clone());
            tokio::spawn(async move {
                let again = work(&shared, &dataspace, &key).await;
                dataspace.settled(&key.1);
                drop(slot);
                let _ = done.send((key, again));
            });
        }
        let sleep = schedule.first().map_or(Duration::from_secs(3600), |due| {
            Duration::from_millis(u64::try_from(due.millis_since(now())).unwrap_or(0).max(1))
        });
        tokio::select! {
            () = shared.stopping.cancelled() => return,
            Some(change) = changes.recv() => {
                dataspace.changed(&change);
                if change.kind == ProcessKind::Transfer {
                    let (shared, dataspace, pid) = (shared.clone(), dataspace.clone(), change.pid.clone());
                    tokio::spawn(async move { dataspace.push_if_started(shared, pid).await });
                }
                schedule.set((change.kind, change.pid), change.due);
            }
            Some((key, again)) = finished.recv() => schedule.done(&key, again),
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// Delivers everything that is due for one process, one after the other. When the store fails it says
/// when to try again: no commit tells.
async fn work(shared: &Arc<Shared>, dataspace: &Arc<Dataspace>, key: &Key) -> Option<Timestamp> {
    let _busy = dataspace.in_flight(&key.1);
    loop {
        let delivery = match next(dataspace, key).await {
            Ok(Some(delivery)) => delivery,
            Ok(None) => return None,
            Err(refusal) => {
                tracing::error!(pid = key.1, reason = refusal.reason, "what is due cannot be read");
                return Some(now().plus_millis(STORE_RETRY_MS));
            }
        };
        let outcome = deliver(shared, dataspace, &delivery, key.0).await;
        let failed = outcome.is_err();
        if let Err(refusal) = report(shared, dataspace, key, delivery, outcome).await {
            tracing::error!(pid = key.1, reason = refusal.reason, "the outcome of a delivery cannot be kept");
            return Some(now().plus_millis(STORE_RETRY_MS));
        }
        dataspace.settled(&key.1);
        if failed {
            return None;
        }
    }
}

async fn next(dataspace: &Arc<Dataspace>, key: &Key) -> Result<Option<Delivery>, Refusal> {
    let (kind, pid) = key.clone();
    let connector = dataspace.connector.clone();
    let moment = dataspace.moment()?;
    dataspace
        .desk
        .run(move |tx| match kind {
            ProcessKind::Negotiation => connector.due_negotiation(tx, &pid, moment),
            ProcessKind::Transfer => connector.due_transfer(tx, &pid, moment),
        })
        .await
}

async fn report(
    shared: &Arc<Shared>,
    dataspace: &Arc<Dataspace>,
    key: &Key,
    delivery: Delivery,
    outcome: Result<Option<String>, Failure>,
) -> Result<(), Refusal> {
    let (kind, pid) = key.clone();
    let connector = dataspace.connector.clone();
    let moment = dataspace.moment()?;
    let facts = callers::facts(shared, &delivery.counterparty);
    dataspace
        .desk
        .run(move |tx| match (kind, outcome) {
            (ProcessKind::Negotiation, Ok(peer)) => {
                connector.negotiation_delivered(tx, &pid, &delivery.message, peer, &facts, moment)
            }
            (ProcessKind::Transfer, Ok(peer)) => {
                connector.transfer_delivered(tx, &pid, &delivery.message, peer, moment)
            }
            (ProcessKind::Negotiation, Err(failure)) => {
                connector.negotiation_undelivered(tx, &pid, &delivery.message, &failure, moment)
            }
            (ProcessKind::Transfer, Err(failure)) => {
                connector.transfer_undelivered(tx, &pid, &delivery.message, &failure, moment)
            }
        })
        .await
}

/// One attempt. With success comes the other side's identifier, when its answer names one.
async fn deliver(
    shared: &Arc<Shared>,
    dataspace: &Arc<Dataspace>,
    delivery: &Delivery,
    kind: ProcessKind,
) -> Result<Option<String>, Failure> {
    let answer =
        call(shared, dataspace, &delivery.counterparty, &delivery.url, Some(delivery.body.clone())).await;
    let (status, body) = answer.map_err(Failure::Unreachable)?;
    let first = delivery.status_url.is_none();
    match status {
        200..=299 if first => peer_pid(&body, kind, &delivery.pid).map(Some),
        200..=299 => Ok(None),
        404 => Err(Failure::NotFound(said(status, &body))),
        408 | 425 | 429 | 500..=599 | 401 | 403 => Err(Failure::Unreachable(said(status, &body))),
        _ => {
            let said = said(status, &body);
            let refused =
                if status == 409 { Failure::NotYet(said.clone()) } else { Failure::Refused(said.clone()) };
            // An answer to an earlier attempt may have been lost: the other side's state tells.
            let (Some(url), Some(target)) = (&delivery.status_url, delivery.target) else {
                return Err(refused);
            };
            match state_there(shared, dataspace, &delivery.counterparty, url).await {
                Some(state) if state == target => Ok(None),
                Some(_) => Err(refused),
                None => Err(Failure::Unreachable(said)),
            }
        }
    }
}

fn peer_pid(body: &[u8], kind: ProcessKind, own: &str) -> Result<String, Failure> {
    let pids = match kind {
        ProcessKind::Negotiation => NegotiationStatus::read(body).map(|s| (s.provider_pid, s.consumer_pid)),
        ProcessKind::Transfer => TransferStatus::read(body).map(|s| (s.provider_pid, s.consumer_pid)),
    };
    match pids {
        Ok((provider, consumer)) if consumer == own => Ok(provider),
        Ok((provider, consumer)) if provider == own => Ok(consumer),
        Ok(_) => Err(Failure::Unreachable("its answer is about another process".into())),
        Err(error) => Err(Failure::Unreachable(format!("its answer cannot be read: {error}"))),
    }
}

async fn state_there(
    shared: &Arc<Shared>,
    dataspace: &Arc<Dataspace>,
    counterparty: &str,
    url: &str,
) -> Option<String> {
    let (status, body) = call(shared, dataspace, counterparty, url, None).await.ok()?;
    if status != 200 {
        return None;
    }
    json(&body).ok()?.get("state")?.as_str().map(ToOwned::to_owned)
}

/// What an answer says, for people.
fn said(status: u16, body: &[u8]) -> String {
    let reason = json(body).ok().and_then(|v| {
        let reasons = v.get("reason")?;
        let listed = reasons.as_array().cloned().unwrap_or_else(|| vec![reasons.clone()]);
        Some(hiwar_dataspace::wire::reason_text(&listed))
    });
    let reason: String = reason.unwrap_or_default().chars().take(500).collect();
    if reason.is_empty() {
        format!("it answered with status {status}")
    } else {
        format!("it answered with status {status}: {reason}")
    }
}

/// Calls another connector: a POST with a body, a GET without.
pub(crate) async fn call(
    shared: &Arc<Shared>,
    dataspace: &Arc<Dataspace>,
    counterparty: &str,
    url: &str,
    body: Option<String>,
) -> Result<(u16, Vec<u8>), String> {
    let (status, _, body) = exchange(shared, dataspace, counterparty, url, body).await?;
    Ok((status, body))
}

/// Calls another connector for one page of something: beside status and body comes the query of
/// the next page, when there is one (RFC 8288).
pub(crate) async fn call_paged(
    shared: &Arc<Shared>,
    dataspace: &Arc<Dataspace>,
    counterparty: &str,
    url: &str,
    body: String,
) -> Result<(u16, Vec<u8>, Option<String>), String> {
    let (status, headers, body) = exchange(shared, dataspace, counterparty, url, Some(body)).await?;
    let links = headers.get_all("link").iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    let next = links.filter(|l| l.contains("rel=\"next\"") || l.contains("rel=next")).find_map(|link| {
        let (target, _) = link.trim().strip_prefix('<')?.split_once('>')?;
        target.split_once('?').map(|(_, query)| query.to_owned())
    });
    Ok((status, body, next))
}

async fn exchange(
    shared: &Arc<Shared>,
    dataspace: &Arc<Dataspace>,
    counterparty: &str,
    url: &str,
    body: Option<String>,
) -> Result<(u16, http::HeaderMap, Vec<u8>), String> {
    let parsed = Url::parse(url).map_err(|e| format!("{url} is no address: {e}"))?;
    let trust = callers::trust(shared, counterparty);
    let method = if body.is_some() { http::Method::POST } else { http::Method::GET };
    let mut request = dataspace.outbound.request(method, trust.target(&parsed)).map_err(|e| e.to_string())?;
    request = request.header("authorization", dataspace.callers.authorization(shared, counterparty)?);
    request = request.header("accept-encoding", "gzip").timeout(ATTEMPT_LIMIT);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body);
    }
    let response = request.send().await.map_err(|e| crate::outbound::failure(&parsed, &e).to_string())?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = read_limited(response, ANSWER_BYTES_MAX).await.map_err(|e| e.to_string())?;
    let body = super::gzip::content(&headers, body, ANSWER_BYTES_MAX)?;
    Ok((status, headers, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn key() -> Key {
        (ProcessKind::Negotiation, "n".into())
    }

    #[test]
    fn a_process_whose_outcome_could_not_be_kept_is_looked_at_again() {
        let mut schedule = Schedule::default();
        schedule.set(key(), Some(at(1)));
        assert_eq!(schedule.take_due(at(1)), Some(key()));
        schedule.done(&key(), Some(at(6)));
        assert_eq!(schedule.first(), Some(at(6)));
    }

    #[test]
    fn what_became_due_during_the_work_is_not_forgotten() {
        let mut schedule = Schedule::default();
        schedule.set(key(), Some(at(1)));
        schedule.take_due(at(1));
        schedule.set(key(), Some(at(3)));
        assert_eq!(schedule.first(), None, "nobody else works on it meanwhile");
        schedule.done(&key(), None);
        assert_eq!(schedule.first(), Some(at(3)));
    }
}
