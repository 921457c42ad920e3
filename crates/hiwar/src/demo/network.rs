//! The network between the nodes, which the demo can cut: a TCP proxy in front of every node.
//!
//! Each node connects from a loopback address of its own, so a proxy knows which node is at the
//! other end. Where the system has no such addresses, a cut separates all nodes from each other.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::script::Party;

/// Rest after the system refused to accept a connection.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// The links between the nodes.
pub(super) struct Network {
    isolated: watch::Sender<Option<Party>>,
    refused: Arc<AtomicU64>,
    addresses: BTreeMap<IpAddr, Party>,
}

impl Network {
    /// A network without any cut.
    pub(super) fn new() -> Self {
        let address = |party| {
            let last = match party {
                Party::Motie => 11,
                Party::Meti => 12,
                Party::Association => 13,
            };
            IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
        };
        let addresses: BTreeMap<IpAddr, Party> = Party::ALL.into_iter().map(|p| (address(p), p)).collect();
        let usable = addresses.keys().all(|a| std::net::TcpListener::bind((*a, 0)).is_ok());
        let addresses = if usable { addresses } else { BTreeMap::new() };
        Self { isolated: watch::Sender::new(None), refused: Arc::default(), addresses }
    }

    /// The address from which a party's node is to connect.
    pub(super) fn address_of(&self, party: Party) -> Option<IpAddr> {
        self.addresses.iter().find(|(_, p)| **p == party).map(|(a, _)| *a)
    }

    /// Passes what arrives at `listener` on to the node of `party` at `node`.
    pub(super) fn pass_on(&self, party: Party, listener: TcpListener, node: SocketAddr) {
        let (isolated, refused) = (self.isolated.subscribe(), self.refused.clone());
        let addresses = self.addresses.clone();
        tokio::spawn(async move {
            loop {
                let Ok((stream, from)) = listener.accept().await else {
                    tokio::time::sleep(ACCEPT_REST).await;
                    continue;
                };
                let link = Link { from: addresses.get(&from.ip()).copied(), to: party };
                if link.is_cut(*isolated.borrow()) {
                    refused.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                tokio::spawn(link.carry(stream, node, isolated.clone()));
            }
        });
    }

    /// Cuts a party's node off from all others, in both directions; open connections break.
    pub(super) fn cut_off(&self, party: Party) {
        self.isolated.send_replace(Some(party));
    }

    /// Ends the cut; returns how many connections were refused during it.
    pub(super) fn heal(&self) -> u64 {
        self.isolated.send_replace(None);
        self.refused.swap(0, Ordering::Relaxed)
    }
}

/// A direction between two nodes.
#[derive(Clone, Copy)]
struct Link {
    from: Option<Party>,
    to: Party,
}

impl Link {
    fn is_cut(self, isolated: Option<Party>) -> bool {
        isolated.is_some_and(|party| self.to == party || self.from.is_none_or(|from| from == party))
    }

    async fn carry(
        self,
        mut stream: TcpStream,
        node: SocketAddr,
        mut isolated: watch::Receiver<Option<Party>>,
    ) {
        let passing = async {
            let mut inner = TcpStream::connect(node).await?;
            stream.set_nodelay(true)?;
            inner.set_nodelay(true)?;
            tokio::io::copy_bidirectional(&mut stream, &mut inner).await
        };
        // However a connection ends, the nodes at both ends see it and try again.
        tokio::select! {
            ended = passing => drop(ended),
            cut = isolated.wait_for(|party| self.is_cut(*party)) => drop(cut),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_separates_one_party_in_both_directions_and_nobody_else() {
        for (from, to, cut) in [
            (Some(Party::Motie), Party::Meti, false),
            (Some(Party::Motie), Party::Association, true),
            (Some(Party::Association), Party::Motie, true),
            (None, Party::Motie, true),
        ] {
            let link = Link { from, to };
            assert_eq!(link.is_cut(Some(Party::Association)), cut, "{from:?} to {to}");
            assert!(!link.is_cut(None));
        }
    }
}
