//! Delivery: one task per peer that sends what the engine plans, and one task that fetches from
//! peers when this node accepts no connection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hiwar_dialogue::engine::{Plan, PushPlan};
use hiwar_dialogue::wire::{self, VerifiedReply};
use hiwar_trust::did::Did;
use hiwar_trust::identity::DeliveryMode;
use tokio::task::JoinHandle;

use crate::attachments;
use crate::clock::random;
use crate::metrics::PeerLabel;
use crate::node::Shared;
use crate::peer_client::{Answer, ClientError, PREFIX, PeerLink};
use crate::peer_server::{FetchRequest, TOKEN, WANTED_FILES, take_batch};
use crate::writer::WriterError;

/// Longest sleep of a delivery task without looking again.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Wait after something failed.
const RETRY: Duration = Duration::from_secs(2);
/// Longest wait between two fetches that fail.
const FETCH_RETRY_MAX: Duration = Duration::from_secs(60);

/// Keeps one delivery task running for every peer.
pub(crate) async fn supervise(shared: Arc<Shared>) {
    let mut directories = shared.writer.directory_changes();
    let mut tasks: BTreeMap<Did, JoinHandle<()>> = BTreeMap::new();
    let mut fetching: BTreeMap<Did, JoinHandle<()>> = BTreeMap::new();
    loop {
        let directory = directories.borrow_and_update().clone();
        for identity in directory.all().filter(|i| *i.did() != shared.did) {
            let did = identity.did().clone();
            if tasks.get(&did).is_none_or(JoinHandle::is_finished) {
                tasks.insert(did.clone(), tokio::spawn(deliver_to(shared.clone(), did.clone())));
            }
            if shared.fetches() && fetching.get(&did).is_none_or(JoinHandle::is_finished) {
                fetching.insert(did.clone(), tokio::spawn(fetch_from(shared.clone(), did)));
            }
        }
        tokio::select! {
            changed = directories.changed() => if changed.is_err() { break },
            // A task that was about to end when it was looked at has ended by then.
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = shared.stopping.cancelled() => break,
        }
    }
    for task in tasks.into_values() {
        task.abort();
    }
    // Those that fetch end by themselves, with what they were about to bring.
}

fn link(shared: &Shared, did: &Did) -> Option<PeerLink> {
    let peer = shared.writer.directory().get(did)?.clone();
    Some(PeerLink::new(shared.identity(), shared.keys().node, peer, shared.config.connect_from))
}

async fn refresh(shared: &Shared, link: &mut PeerLink) {
    let learned = link.take_learned();
    if !learned.is_empty()
        && let Err(error) = shared.writer.learn_cards(link.peer().did().clone(), learned).await
    {
        tracing::warn!(peer = %link.peer().did(), %error, "newer cards could not be kept");
    }
    if let Some(peer) = shared.writer.directory().get(link.peer().did()) {
        link.renew(shared.identity(), shared.keys().node, peer.clone());
    }
}

async fn deliver_to(shared: Arc<Shared>, did: Did) {
    let Some(mut link) = link(&shared, &did) else { return };
    let mut commits = shared.writer.commits();
    let mut cards = shared.writer.directory_changes();
    let label = PeerLabel { peer: did.to_string() };
    loop {
        cards.mark_unchanged();
        refresh(&shared, &mut link).await;
        commits.mark_unchanged();
        if link.peer().latest().delivery == DeliveryMode::Pull {
            // It fetches; there is nothing to send until its card says otherwise.
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => continue,
                changed = cards.changed() => if changed.is_err() { return } else { continue },
                () = shared.stopping.cancelled() => return,
            }
        }
        let wake = match shared.writer.plan(did.clone()).await {
            Ok(Plan::Push(push)) => match send_all(&shared, &mut link, &did, *push).await {
                Ok(()) => continue,
                Err(Undelivered { error: DeliveryError::Stopped, .. }) => return,
                Err(Undelivered { token, error: DeliveryError::Client(error) }) => {
                    if matches!(error, ClientError::OtherCertificate(_)) {
                        tracing::warn!(peer = %did, %error, "delivery failed");
                    } else {
                        tracing::info!(peer = %did, %error, "delivery failed");
                    }
                    shared.metrics.batches_failed.get_or_create(&label).inc();
                    if shared.writer.failed(did.clone(), token).await.is_err() {
                        return;
                    }
                    continue;
                }
            },
            Ok(Plan::Wait(Some(at))) => shared.instant_of(at),
            Ok(Plan::Wait(None)) => tokio::time::Instant::now() + LOOK_AGAIN,
            Err(WriterError::Stopped) => return,
            Err(error) => {
                tracing::error!(peer = %did, %error, "no plan could be made");
                tokio::time::Instant::now() + RETRY
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(wake.min(tokio::time::Instant::now() + LOOK_AGAIN)) => {}
            changed = commits.changed() => if changed.is_err() { return },
            () = shared.stopping.cancelled() => return,
        }
    }
}

enum DeliveryError {
    Client(ClientError),
    Stopped,
}

/// A batch that did not arrive, or whose reply could not be taken.
struct Undelivered {
    token: u64,
    error: DeliveryError,
}

/// Sends a batch and those that follow it. While one is under way, the reply to the one before is
/// settled and the one after is made; that one leaves only when this one was answered.
async fn send_all(
    shared: &Shared,
    link: &mut PeerLink,
    did: &Did,
    first: PushPlan,
) -> Result<(), Undelivered> {
    let label = PeerLabel { peer: did.to_string() };
    let mut push = first;
    let mut answered: Option<(u64, VerifiedReply)> = None;
    loop {
        let token = push.token;
        shared.metrics.batches_sent.get_or_create(&label).inc();
        tracing::debug!(peer = %did, token, entries = push.entries, "batch sent");
        let before = answered.take();
        let settle_before = async {
            match before {
                Some((token, reply)) => {
                    settle(shared, did, token, reply).await.map_err(|error| Undelivered { token, error })
                }
                None => Ok(()),
            }
        };
        let exchange = async { tokio::join!(settle_before, send(link, did, push.body)) };
        let ((settled, replied), next) = with_next(shared, did, exchange).await;
        settled?;
        let reply = replied.map_err(|error| Undelivered { token, error })?;
        tracing::debug!(peer = %did, token, "batch answered");
        match next {
            Some(next) => {
                answered = Some((token, reply));
                push = *next;
            }
            None => {
                return settle(shared, did, token, reply).await.map_err(|error| Undelivered { token, error });
            }
        }
    }
}

/// Runs an exchange, and has the batch to follow it made as soon as a full one waits. Once asked
/// for, that batch is waited for: the writer would otherwise hold it to be under way.
async fn with_next<T>(
    shared: &Shared,
    did: &Did,
    exchange: impl Future<Output = T>,
) -> (T, Option<Box<PushPlan>>) {
    let mut exchange = std::pin::pin!(exchange);
    let mut commits = shared.writer.commits();
    loop {
        commits.mark_unchanged();
        let mut asked = std::pin::pin!(shared.writer.plan_ahead(did.clone()));
        let next = tokio::select! {
            done = &mut exchange => return (done, asked.await.ok().flatten()),
            next = &mut asked => next,
        };
        if let Ok(None) = next {
            tokio::select! {
                done = &mut exchange => return (done, None),
                changed = commits.changed() => if changed.is_ok() { continue },
            }
        }
        return (exchange.await, next.ok().flatten());
    }
}

async fn send(link: &mut PeerLink, did: &Did, body: Vec<u8>) -> Result<VerifiedReply, DeliveryError> {
    let answer =
        link.post(&format!("{PREFIX}/batch"), body, Duration::ZERO).await.map_err(DeliveryError::Client)?;
    let issuer = link.peer().clone();
    let verified = tokio::task::spawn_blocking(move || wire::verify_reply(&answer.body, &issuer))
        .await
        .map_err(|_| DeliveryError::Stopped)?;
    verified
        .map_err(|e| DeliveryError::Client(ClientError::Forged { did: did.clone(), problem: e.to_string() }))
}

async fn settle(shared: &Shared, did: &Did, token: u64, reply: VerifiedReply) -> Result<(), DeliveryError> {
    match shared.writer.settle(did.clone(), token, reply).await {
        Ok(()) => Ok(()),
        Err(WriterError::Stopped) => Err(DeliveryError::Stopped),
        Err(error) => {
            tracing::warn!(peer = %did, %error, "a reply could not be taken");
            Err(DeliveryError::Client(ClientError::Making(error.to_string())))
        }
    }
}

/// Fetches from a peer for as long as this node accepts no connection: waits there for something, takes it, and
/// brings the reply with the next fetch.
async fn fetch_from(shared: Arc<Shared>, did: Did) {
    let Some(mut link) = link(&shared, &did) else { return };
    let mut pending: Option<(String, Vec<u8>)> = None;
    // Files are given beside the fetching, so that a large one holds up no entry.
    let mut giving: Option<JoinHandle<()>> = None;
    let mut failed: u32 = 0;
    loop {
        refresh(&shared, &mut link).await;
        // Once its card says that it can be pushed to, what was fetched is answered and no more.
        if pending.is_none() && !shared.fetches() {
            return;
        }
        let fetched = tokio::select! {
            fetched = fetch_once(&shared, &mut link, &mut pending, &mut giving) => fetched,
            () = shared.stopping.cancelled() => return,
        };
        let Err(problem) = fetched else {
            failed = 0;
            continue;
        };
        tracing::info!(peer = %did, %problem, "fetch failed");
        let wait = RETRY.saturating_mul(1 << failed.min(10)).min(FETCH_RETRY_MAX);
        failed = failed.saturating_add(1);
        tokio::select! {
            () = tokio::time::sleep(wait + jitter(wait)) => {}
            () = shared.stopping.cancelled() => return,
        }
    }
}

/// Up to a quarter of `wait`, so that many nodes that lost one peer do not come back at once.
fn jitter(wait: Duration) -> Duration {
    // Without randomness there is no jitter, which is no reason not to fetch.
    let [part] = random::<1>().unwrap_or_default();
    wait / 4 * u32::from(part) / 256
}

async fn fetch_once(
    shared: &Arc<Shared>,
    link: &mut PeerLink,
    pending: &mut Option<(String, Vec<u8>)>,
    giving: &mut Option<JoinHandle<()>>,
) -> Result<(), String> {
    let did = link.peer().did().clone();
    let wait_ms = if shared.fetches() { shared.config.delivery.long_poll_ms } else { 0 };
    let (token, reply) = match pending.as_ref() {
        Some((token, reply)) => {
            let text = String::from_utf8(reply.clone()).map_err(|e| e.to_string())?;
            (
                Some(token.clone()),
                Some(serde_json::value::RawValue::from_string(text).map_err(|e| e.to_string())?),
            )
        }
        None => (None, None),
    };
    giving.take_if(|task| task.is_finished());
    let request = FetchRequest { wait_ms, token, reply, giving: giving.is_some() };
    let body = serde_json::to_vec(&request).map_err(|e| e.to_string())?;
    let answered = link.post(&format!("{PREFIX}/fetch"), body, Duration::from_millis(wait_ms)).await;
    // Whatever became of it, a reply is not brought twice; the peer plans the batch again.
    *pending = None;
    let Answer { status, headers, body } = answered.map_err(|e| e.to_string())?;
    let wanted = headers.get(WANTED_FILES).and_then(|v| v.to_str().ok());
    if let (None, Some(list), Some(link)) = (&giving, wanted, self::link(shared, &did)) {
        let (work, stopping) =
            (attachments::give_wanted(shared.clone(), link, list.to_owned()), shared.stopping.clone());
        *giving = Some(tokio::spawn(async move {
            tokio::select! {
                () = work => {}
                () = stopping.cancelled() => {}
            }
        }));
    }
    if status == 204 {
        return Ok(());
    }
    let token = headers.get(TOKEN).and_then(|v| v.to_str().ok()).ok_or("the batch has no token")?.to_owned();
    let reply = take_batch(shared, &did, body).await.map_err(|refusal| format!("{refusal:?}"))?;
    *pending = Some((token, serde_json::to_vec(&reply).map_err(|e| e.to_string())?));
    Ok(())
}
