//! What must hold in every run.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::entry::{Body, EntryId};
use hiwar_dialogue::ledger::{Direction, StoredEntry};
use hiwar_trust::checkpoint::SignedCheckpoint;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::receipt::ItemKind;

use crate::world::World;

/// What was seen on the wire.
#[derive(Default)]
pub(crate) struct Checks {
    roots: BTreeMap<(String, u64), Hash>,
}

impl Checks {
    /// A node shows its checkpoint; no honest node ever signs two roots for one size of a log.
    pub(crate) fn checkpoint_shown(&mut self, did: &Did, message: &[u8], forger: bool) {
        if forger {
            return;
        }
        let head = message.split(|b| *b == b'\n').next().unwrap_or_default();
        let value: serde_json::Value = serde_json::from_slice(head).expect("own messages are JSON");
        let note =
            value.pointer("/log/checkpoint").and_then(serde_json::Value::as_str).expect("a checkpoint");
        let signed = SignedCheckpoint::parse(note.as_bytes()).expect("own checkpoints can be read");
        let checkpoint = signed.checkpoint();
        let place = (checkpoint.origin().to_owned(), checkpoint.size());
        let before = self.roots.insert(place, checkpoint.root());
        assert!(
            before.is_none_or(|root| root == checkpoint.root()),
            "{did} signed two roots for size {} of its log",
            checkpoint.size()
        );
    }
}

impl World {
    /// Holds everything against everything when all is quiet.
    pub(crate) fn check_at_the_end(&mut self) {
        self.check_stores();
        self.check_acknowledged();
        self.check_receipts();
        self.check_convergence();
        self.check_alarms();
        self.check_fork();
    }

    fn honest_nodes(&self) -> impl Iterator<Item = (usize, &crate::node::SimNode)> {
        self.nodes.iter().enumerate().filter(|(i, _)| !self.is_forger(*i))
    }

    /// Effects once: no entry twice, and one leaf for each in its log.
    fn check_stores(&self) {
        for (index, node) in self.honest_nodes() {
            let mut ids = BTreeSet::new();
            for entry in node.store.entries() {
                assert!(ids.insert(entry.id), "node {index} keeps entry {} twice", entry.id);
                let leaf = usize::try_from(entry.leaf).ok().and_then(|l| node.store.log(entry.log).get(l));
                assert_eq!(
                    leaf.map(String::as_str),
                    Some(format!("entry {}", entry.id).as_str()),
                    "node {index}: leaf {} of log {} is not that of entry {}",
                    entry.leaf,
                    entry.log,
                    entry.id
                );
            }
            for log in 1..=8 {
                let leaves: Vec<&String> =
                    node.store.log(log).iter().filter(|l| l.starts_with("entry ")).collect();
                let distinct: BTreeSet<&&String> = leaves.iter().collect();
                // After a restore an entry is logged anew for each peer that brings it again.
                let once = leaves.len() == distinct.len();
                assert!(once || node.restored > 0, "node {index}: an entry has two leaves in log {log}");
            }
        }
    }

    /// Nothing acknowledged to a desk is lost. What a restored node had told nobody is gone with
    /// its store, and only that.
    fn check_acknowledged(&self) {
        for (index, node) in self.honest_nodes().filter(|(_, n)| !self.is_silently_restored(n)) {
            for id in &node.acknowledged {
                let held = node.store.entries().any(|e| e.id == *id);
                let elsewhere =
                    self.honest_nodes().any(|(i, n)| i != index && n.store.entries().any(|e| e.id == *id));
                assert!(
                    held || (node.restored > 0 && !elsewhere),
                    "node {index} lost entry {id}, which it had acknowledged"
                );
            }
        }
    }

    /// A receipt that a node holds is true: its issuer has the entry, at that leaf.
    fn check_receipts(&self) {
        for (index, node) in self.honest_nodes() {
            for (direction, receipt) in node.store.receipts() {
                if *direction != Direction::Received {
                    continue;
                }
                let issuer = self.honest_nodes().find(|(_, n)| n.did == receipt.receipt.issuer);
                let Some((other, issuer)) = issuer else { continue };
                for item in receipt.receipt.items.iter().filter(|i| i.kind == ItemKind::Entry) {
                    let held = issuer.store.entries().any(|e| e.id == EntryId(item.hash));
                    assert!(
                        held || issuer.restored > 0,
                        "node {index} holds a receipt of node {other} for an entry that {other} does not have"
                    );
                }
            }
        }
    }

    /// Every party ends with the same entries of a dialogue, as far as they were meant for it.
    fn check_convergence(&self) {
        let mut meant: BTreeMap<EntryId, (BTreeSet<Did>, Did)> = BTreeMap::new();
        for (_, node) in self.honest_nodes() {
            let Some(engine) = &node.engine else { continue };
            for entry in node.store.entries() {
                let signed = entry.signed().expect("kept entries can be read");
                let Some(record) = engine.dialogue(&entry.dialogue) else { continue };
                let Some(state) = record.membership(&signed.membership()) else { continue };
                let mut parties: BTreeSet<Did> = state.membership.parties.iter().cloned().collect();
                if let Body::Membership(m) = &signed.entry.body {
                    parties.extend(m.parties.iter().cloned());
                }
                meant.insert(entry.id, (parties, signed.entry.author.clone()));
            }
        }
        let forger = self.twin_of.and_then(|t| self.nodes.get(t)).map(|n| n.did.clone());
        for (index, node) in self.honest_nodes().filter(|(_, n)| !self.is_silently_restored(n)) {
            let held: BTreeSet<EntryId> = node.store.entries().map(|e: &StoredEntry| e.id).collect();
            for (id, (parties, author)) in &meant {
                let by_forger = forger.as_ref() == Some(author);
                if parties.contains(&node.did) && !by_forger && !self.excused(author) {
                    assert!(held.contains(id), "node {index} lacks entry {id} by {author}");
                }
            }
            let Some(engine) = &node.engine else { continue };
            for record in engine.dialogues() {
                for (other, peer) in self.honest_nodes().filter(|(i, _)| *i > index) {
                    let theirs = peer.engine.as_ref().and_then(|e| e.dialogue(&record.id));
                    let both = record.current().is_some_and(|m| {
                        m.membership.parties.contains(&peer.did) && m.membership.parties.contains(&node.did)
                    });
                    if let Some(theirs) = theirs.filter(|_| both && forger.is_none() && !self.any_excused()) {
                        assert_eq!(
                            record.current, theirs.current,
                            "nodes {index} and {other} hold different memberships of {} to be in force",
                            record.id
                        );
                    }
                }
            }
        }
    }

    /// A node that ran on from an old store before anybody noticed. What is checked of it is that it
    /// is noticed and that all others agree; that it gets every single entry back is not
    /// guaranteed yet (seeds 1197, 1890 and 1925 show one that stays missing).
    fn is_silently_restored(&self, node: &crate::node::SimNode) -> bool {
        self.faults.silent_restore && node.restored > 0
    }

    /// Whose entries may rightly be refused by some: after a revocation only those count that
    /// others had linked to, and a restored node may have said things that nobody heard.
    fn excused(&self, author: &Did) -> bool {
        self.nodes.iter().zip(&self.disturbed).any(|(n, d)| *d && n.did == *author)
    }

    fn any_excused(&self) -> bool {
        self.disturbed.iter().any(|d| *d)
    }

    /// No honest node is accused by an honest node.
    fn check_alarms(&self) {
        let forger = self.twin_of.and_then(|t| self.nodes.get(t)).map(|n| n.did.clone());
        for (index, node) in self.honest_nodes() {
            for alarm in node.store.alarms() {
                let about_forger = forger.is_some() && alarm.peer == forger;
                let grave =
                    ["fork", "identity-fork", "rollback", "own-log-behind"].contains(&alarm.code.as_str());
                let explained = about_forger || self.any_excused();
                assert!(
                    !grave || explained,
                    "node {index} accuses an honest node: {} {}",
                    alarm.code,
                    alarm.detail
                );
            }
        }
    }

    /// A fork that was shown to two honest nodes of one dialogue is caught by one of them.
    fn check_fork(&mut self) {
        let Some(forger) = self.twin_of else { return };
        let (Some(one), Some(two)) = (self.nodes.get(forger), self.nodes.get(self.honest)) else { return };
        let did = one.did.clone();
        let lives_noticed =
            [one, two].iter().any(|n| n.store.alarms().iter().any(|a| a.code == "own-log-behind"));
        let lives = [&one.only, &two.only];
        let shown = |life: &BTreeSet<usize>| {
            life.iter().filter_map(|i| self.nodes.get(*i)).any(|n| {
                let peer = n.engine.as_ref().and_then(|e| e.peers().find(|p| p.did == did));
                let verified = peer.and_then(|p| p.verified.as_deref());
                let size = verified
                    .and_then(|v| SignedCheckpoint::parse(v.as_bytes()).ok())
                    .map_or(0, |c| c.checkpoint().size());
                size > self.fork_size
            })
        };
        let talk = lives.first().is_some_and(|l| {
            l.iter().any(|left| {
                lives.get(1).is_some_and(|r| r.iter().any(|right| self.share_a_dialogue(*left, *right, &did)))
            })
        });
        if !(lives.iter().all(|l| shown(l)) && talk) {
            return;
        }
        let caught = self.honest_nodes().any(|(_, n)| {
            n.store
                .alarms()
                .iter()
                .any(|a| a.peer.as_ref() == Some(&did) && (a.code == "fork" || a.code == "rollback"))
        });
        // A life that is told of the other's checkpoint takes itself for a restored store and halts.
        let noticed = lives_noticed;
        assert!(caught || noticed, "node {forger} showed two histories and nobody noticed");
        self.summary.forks_caught += 1;
    }

    fn share_a_dialogue(&self, left: usize, right: usize, third: &Did) -> bool {
        let (Some(left), Some(right)) = (self.nodes.get(left), self.nodes.get(right)) else { return false };
        left.engine.as_ref().is_some_and(|e| {
            e.dialogues().any(|d| {
                let everyone = d.everyone();
                everyone.contains(&right.did)
                    && everyone.contains(third)
                    && right.engine.as_ref().is_some_and(|r| r.dialogue(&d.id).is_some())
            })
        })
    }
}
