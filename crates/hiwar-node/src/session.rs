//! Sessions: how a request by a peer is authenticated and a replay refused, without trusting any
//! clock.
//!
//! A peer first asks for a session and gets a random name for it. Every further request names the
//! session and carries a number larger than the one before on the same channel; both are covered
//! by the request's signature (RFC 9421) together with its path, its body's digest and the node it
//! is meant for. A request that was recorded can therefore not be used again, not even after this
//! node restarts, since it then knows no session any more. Within a channel a request that comes
//! late is refused, so batches of one peer are taken in the order in which they were made.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use hiwar_trust::did::Did;

/// Sessions in use kept for one peer, and as many not used yet; older ones are forgotten. A recorded
/// request for a session can be sent again by anyone, so what it starts pushes out no session in use.
const SESSIONS_PER_PEER_MAX: usize = 8;

/// What a session's numbers are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Batches.
    Batch,
    /// Fetches by a node that accepts no connection.
    Fetch,
    /// Parts of files that the peer reads here.
    Read,
    /// Parts of files that the peer brings.
    Write,
}

/// Why a request does not fit a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The session is not known, perhaps because this node restarted.
    #[error("the session is not known to this node; ask for a new one")]
    Unknown,
    /// The number was used before, or a later one was.
    #[error("the request is not newer than the last one seen; a request is accepted once")]
    Replayed,
}

#[derive(Debug, Default)]
struct PeerSessions {
    unused: VecDeque<(u64, String)>,
    used: VecDeque<(u64, String)>,
    started: u64,
    last: BTreeMap<Channel, (u64, u64)>,
}

/// All sessions of this node's peers.
#[derive(Debug, Default)]
pub struct Sessions {
    peers: Mutex<BTreeMap<Did, PeerSessions>>,
}

impl Sessions {
    /// Starts a session under a random `name`.
    pub fn start(&self, peer: &Did, name: String) {
        let Ok(mut peers) = self.peers.lock() else { return };
        let sessions = peers.entry(peer.clone()).or_default();
        sessions.started += 1;
        push_limited(&mut sessions.unused, (sessions.started, name));
    }

    /// Admits the request `number` of a session, once.
    ///
    /// # Errors
    /// When the session is unknown or the number is not newer.
    pub fn admit(&self, peer: &Did, name: &str, channel: Channel, number: u64) -> Result<(), SessionError> {
        let mut peers = self.peers.lock().map_err(|_| SessionError::Unknown)?;
        let sessions = peers.get_mut(peer).ok_or(SessionError::Unknown)?;
        let started = match sessions.used.iter().find(|(_, n)| n == name) {
            Some((started, _)) => *started,
            None => {
                let at = sessions.unused.iter().position(|(_, n)| n == name);
                let first = at.and_then(|at| sessions.unused.remove(at)).ok_or(SessionError::Unknown)?;
                let started = first.0;
                push_limited(&mut sessions.used, first);
                started
            }
        };
        let last = sessions.last.entry(channel).or_insert((0, 0));
        if (started, number) <= *last {
            return Err(SessionError::Replayed);
        }
        *last = (started, number);
        Ok(())
    }
}

fn push_limited(sessions: &mut VecDeque<(u64, String)>, new: (u64, String)) {
    sessions.push_back(new);
    while sessions.len() > SESSIONS_PER_PEER_MAX {
        sessions.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_admitted_once_and_in_order() {
        let sessions = Sessions::default();
        let peer: Did = "did:web:a.example".parse().unwrap();
        assert_eq!(sessions.admit(&peer, "s1", Channel::Batch, 1), Err(SessionError::Unknown));
        sessions.start(&peer, "s1".into());
        assert_eq!(sessions.admit(&peer, "s1", Channel::Batch, 1), Ok(()));
        assert_eq!(sessions.admit(&peer, "s1", Channel::Batch, 1), Err(SessionError::Replayed));
        assert_eq!(sessions.admit(&peer, "s1", Channel::Batch, 7), Ok(()));
        assert_eq!(sessions.admit(&peer, "s1", Channel::Batch, 6), Err(SessionError::Replayed));
        assert_eq!(sessions.admit(&peer, "s1", Channel::Fetch, 6), Ok(()), "channels are counted apart");
    }

    #[test]
    fn requests_for_sessions_that_are_sent_again_end_no_session_in_use() {
        let sessions = Sessions::default();
        let peer: Did = "did:web:a.example".parse().unwrap();
        sessions.start(&peer, "s1".into());
        assert_eq!(sessions.admit(&peer, "s1", Channel::Batch, 1), Ok(()));
        for n in 0..100 {
            sessions.start(&peer, format!("replayed {n}"));
        }
        assert_eq!(sessions.admit(&peer, "s1", Channel::Batch, 2), Ok(()));
    }

    #[test]
    fn an_older_session_cannot_deliver_after_a_newer_one_has() {
        let sessions = Sessions::default();
        let peer: Did = "did:web:a.example".parse().unwrap();
        sessions.start(&peer, "s1".into());
        sessions.start(&peer, "s2".into());
        assert_eq!(sessions.admit(&peer, "s2", Channel::Batch, 1), Ok(()));
        assert_eq!(sessions.admit(&peer, "s1", Channel::Batch, 9), Err(SessionError::Replayed));
    }
}
