//! What must hold at every moment, whatever fails. (What must hold once everything has healed is
//! in `oracle`.)
//!
//! 1. No honest node lets go two checkpoints with one size and two roots.
//! 2. A receipt names the leaf that the entry really is in the issuer's log.
//! 3. What was acknowledged to a desk is in the store, also after a crash.
//! 4. Who holds a receipt can count on its issuer holding the entry.
//! 5. An entry is stored once and is one leaf of each log at most; the log's root is that of its
//!    leaves.
//! 6. An honest node raises no fork, rollback or halt about an honest node that was not put back
//!    to an old backup behind everybody's back, and refuses nothing of it but for a revoked key.
//! 7. Whatever is stored was signed by its author, who takes part, at or below the cap.

use std::collections::BTreeSet;

use hiwar_dialogue::ledger::{Alarm, Direction, Store as _, View as _};
use hiwar_dialogue::wire::{BatchHeader, Reply, WireReceipt};
use hiwar_trust::checkpoint::{Checkpoint, SignedCheckpoint};
use hiwar_trust::did::Did;
use hiwar_trust::merkle;
use hiwar_trust::receipt::{ItemKind, ReceiptItem, SignedReceipt};

use crate::faults::{Byzantine, Restore};
use crate::node::Node;
use crate::world::{Violation, World};

impl World {
    /// Whether a participant is honest and never was put back without a word.
    pub(crate) fn is_blameless(&self, did: &Did) -> bool {
        self.nodes
            .iter()
            .filter(|n| n.did == *did)
            .all(|n| n.honest && n.restored != Some(Restore::Undeclared))
    }

    pub(crate) fn judge_alarm(&mut self, idx: usize, alarm: &Alarm) -> Result<(), Violation> {
        let Some(node) = self.nodes.get(idx).filter(|n| n.honest) else { return Ok(()) };
        let blameless = alarm.peer.as_ref().is_some_and(|p| self.is_blameless(p));
        let wrong = match alarm.code.as_str() {
            "fork" | "rollback" | "identity-fork" => blameless && self.is_blameless(&node.did),
            "own-log-behind" => self.is_blameless(&node.did),
            // An honest node may pass on what a vandal wrote.
            "refused" => {
                blameless
                    && self.swarm.byzantine != Some(Byzantine::Vandal)
                    && !alarm.detail.contains("revoked-key")
            }
            _ => false,
        };
        if wrong {
            return Err(self.wrong(format!("node {idx} raises a false alarm: {alarm:?}")));
        }
        Ok(())
    }

    fn watch_checkpoint(&mut self, idx: usize, checkpoint: &Checkpoint) -> Result<(), Violation> {
        let key = (checkpoint.origin().to_owned(), checkpoint.size());
        let known = *self.roots.entry(key).or_insert(checkpoint.root());
        let restored_log = self.nodes.get(idx).is_some_and(|n| n.restored == Some(Restore::Undeclared));
        if known != checkpoint.root() && !restored_log {
            return Err(self.wrong(format!("node {idx} signed two histories: {checkpoint}")));
        }
        Ok(())
    }

    fn watch_note(&mut self, idx: usize, note: &str) -> Result<(), Violation> {
        let parsed = SignedCheckpoint::parse(note.as_bytes());
        let parsed = parsed.map_err(|e| self.wrong(format!("node {idx} lets go no checkpoint: {e}")))?;
        self.watch_checkpoint(idx, parsed.checkpoint())
    }

    fn watch_receipts(&mut self, idx: usize, receipts: &[WireReceipt]) -> Result<(), Violation> {
        for wire in receipts {
            let items: Option<Vec<ReceiptItem>> = wire.items.iter().map(|i| i.parse().ok()).collect();
            let receipt = items.and_then(|items| SignedReceipt::parse(&wire.note, items).ok());
            let Some(receipt) = receipt else {
                return Err(self.wrong(format!("node {idx} lets go a receipt that does not match its items")));
            };
            let receipt = receipt.receipt;
            self.watch_checkpoint(idx, &receipt.log)?;
            let Some(node) = self.nodes.get(idx) else { continue };
            let Some(number) = receipt.log.origin().rsplit('/').next().and_then(|n| n.parse().ok()) else {
                continue;
            };
            for item in &receipt.items {
                let leaf = usize::try_from(item.leaf).ok();
                let leaf = leaf.and_then(|l| node.store.all_leaves(number).get(l));
                let kind = match item.kind {
                    ItemKind::Entry => "entry",
                    ItemKind::Attachment => "attachment",
                };
                let restored = node.restored.is_some() && leaf.is_none();
                if leaf != Some(&format!("{kind} {}", item.hash)) && !restored {
                    return Err(self.wrong(format!(
                        "node {idx} receipts {item} in {}, where the leaf is {leaf:?}",
                        receipt.log.origin()
                    )));
                }
            }
        }
        Ok(())
    }

    /// Looks at a batch before it leaves.
    pub(crate) fn watch_batch(&mut self, idx: usize, body: &[u8]) -> Result<(), Violation> {
        if !self.nodes.get(idx).is_some_and(|n| n.honest) {
            return Ok(());
        }
        let head = body.split(|b| *b == b'\n').next().unwrap_or_default();
        let header: BatchHeader =
            serde_json::from_slice(head).map_err(|e| self.wrong(format!("a batch has no header: {e}")))?;
        self.watch_note(idx, &header.briefing.log.checkpoint)?;
        self.watch_receipts(idx, &header.briefing.receipts)
    }

    /// Looks at a reply before it leaves.
    pub(crate) fn watch_reply(&mut self, idx: usize, body: &[u8]) -> Result<(), Violation> {
        let reply: Reply =
            serde_json::from_slice(body).map_err(|e| self.wrong(format!("a reply is none: {e}")))?;
        self.stats.entries_refused += reply.refused.len() as u64;
        for refusal in &reply.refused {
            self.note(|| {
                format!("node {idx}: refuses {:?}: {:?} {}", refusal.entry, refusal.code, refusal.detail)
            });
        }
        if !self.nodes.get(idx).is_some_and(|n| n.honest) {
            return Ok(());
        }
        self.watch_note(idx, &reply.briefing.log.checkpoint)?;
        self.watch_receipts(idx, &reply.briefing.receipts)
    }

    /// Right after a commit: engine and store agree.
    pub(crate) fn check_after_commit(&mut self, idx: usize) -> Result<(), Violation> {
        let Some(node) = self.nodes.get(idx) else { return Ok(()) };
        let Some(engine) = node.engine.as_ref() else { return Ok(()) };
        let (number, tail) = engine.log();
        if tail.size() != node.store.all_leaves(number).len() as u64 {
            return Err(self.wrong(format!("node {idx}: the engine's log has another size than the store's")));
        }
        let snapshot = node.store.snapshot().map_err(|e| self.wrong(e.to_string()))?;
        for status in engine.peer_statuses() {
            let waiting = snapshot.backlog.get(&status.record.did).copied().unwrap_or(0);
            if status.backlog != waiting {
                return Err(self.wrong(format!(
                    "node {idx} counts {} entries for {}, but {waiting} wait",
                    status.backlog, status.record.did
                )));
            }
        }
        Ok(())
    }

    /// Everything that must hold at any time and costs more to look at.
    pub(crate) fn check_safety(&mut self) -> Result<(), Violation> {
        for idx in 0..self.nodes.len() {
            let Some(node) = self.nodes.get(idx).filter(|n| n.honest) else { continue };
            if let Some(ids) = self.acknowledged.get(&idx)
                && let Some(lost) = ids.iter().find(|id| !node.store.holds(id))
            {
                return Err(self.wrong(format!("node {idx} lost {lost}, which it had acknowledged")));
            }
            self.check_receipts(idx, node)?;
        }
        Ok(())
    }

    fn check_receipts(&self, idx: usize, node: &Node) -> Result<(), Violation> {
        for (number, kept) in node.store.receipts() {
            if kept.direction != Direction::Received {
                continue;
            }
            let Some(issuer) = self.nodes.iter().find(|n| n.did == kept.peer && n.honest) else { continue };
            if issuer.restored.is_some() {
                continue;
            }
            for item in kept.receipt.receipt.items.iter().filter(|i| i.kind == ItemKind::Entry) {
                if !issuer.store.holds(&hiwar_dialogue::entry::EntryId(item.hash)) {
                    return Err(self.wrong(format!(
                        "node {idx} has receipt {number} of {}, which does not hold {item}",
                        kept.peer
                    )));
                }
            }
        }
        Ok(())
    }

    /// The whole of what every honest node keeps.
    pub(crate) fn check_at_end(&mut self) -> Result<(), Violation> {
        self.check_safety()?;
        self.check_forks()?;
        for idx in 0..self.nodes.len() {
            let Some(node) = self.nodes.get(idx).filter(|n| n.honest) else { continue };
            let entries = node.store.entries().count() as u64;
            let receipts = node.store.receipts().filter(|(_, r)| r.direction == Direction::Received);
            let receipts = receipts.count() as u64;
            self.check_log(idx, node)?;
            self.check_stored(idx, node)?;
            self.stats.entries += entries;
            self.stats.receipts += receipts;
        }
        Ok(())
    }

    fn check_log(&self, idx: usize, node: &Node) -> Result<(), Violation> {
        for log in node.store.logs() {
            let leaves = node.store.all_leaves(log);
            let mut seen = BTreeSet::new();
            for leaf in leaves.iter().filter(|l| l.starts_with("entry ") || l.starts_with("attachment ")) {
                if !seen.insert(leaf) {
                    return Err(self.wrong(format!("node {idx} has {leaf} twice in log {log}")));
                }
            }
            let hashes: Vec<_> = leaves.iter().map(|l| merkle::leaf_hash(l.as_bytes())).collect();
            let engine = node.engine.as_ref().filter(|e| e.log().0 == log);
            if engine.is_some_and(|e| e.log().1.root() != merkle::root(&hashes)) {
                return Err(self.wrong(format!("node {idx}: the root of its log is not that of its leaves")));
            }
        }
        Ok(())
    }

    fn check_stored(&self, idx: usize, node: &Node) -> Result<(), Violation> {
        let Some(engine) = node.engine.as_ref() else { return Ok(()) };
        for stored in node.store.entries() {
            let signed = stored.signed().map_err(|e| self.wrong(e.to_string()))?;
            let wrong = |what: &str| Err(self.wrong(format!("node {idx} stored {}: {what}", signed.id)));
            let author = &signed.entry.author;
            let identity =
                if author == engine.did() { Some(engine.identity()) } else { engine.peer_identity(author) };
            let key = identity.and_then(|i| i.organisation_key(signed.key).0);
            if key.is_none_or(|k| signed.verify(k).is_err()) {
                return wrong("its author's signature does not verify");
            }
            let Some(record) = engine.dialogue(&signed.dialogue()) else {
                return wrong("its dialogue is not known");
            };
            let Some(state) = record.membership(&signed.membership()) else {
                return wrong("its membership is not known");
            };
            if signed.entry.marking > state.membership.cap {
                return wrong("its marking is above the cap");
            }
            let about = signed.entry.body.of().and_then(|of| record.membership(&of));
            let in_about = about.is_some_and(|m| record.concerned(m).contains(author));
            if !state.membership.parties.contains(author) && !in_about {
                return wrong("its author is no party");
            }
            if let Some(receipt) = stored.receipt
                && node.store.receipt(receipt).ok().flatten().is_none_or(|(d, _)| d != Direction::Issued)
            {
                return wrong("its receipt is missing");
            }
        }
        Ok(())
    }
}
