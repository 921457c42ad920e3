//! What goes wrong from outside: partitions, clocks, power, old backups.

use hiwar_dialogue::ledger::{Standing, Store as _};

use hiwar_trust::checkpoint::SignedCheckpoint;

use crate::faults::{Byzantine, Restore};
use crate::world::{Event, Violation, World};

impl World {
    /// One fault happens, and the next is set up.
    pub(crate) fn fault(&mut self) -> Result<(), Violation> {
        if !self.faults_on {
            return Ok(());
        }
        let delay = self.rng.range(300, 6_000);
        self.at(delay, Event::Fault);
        let idx = self.rng.index(self.nodes.len());
        match self.rng.below(7) {
            0 if self.swarm.partitions => self.partition(),
            1 if self.swarm.jumps => {
                let jump = if self.rng.chance(500) { 20_000 } else { 2 * 3_600_000 };
                let jump = self.rng.range(-jump, jump);
                self.stats.clock_jumps += 1;
                self.note(|| format!("node {idx}: clock jumps by {jump} ms"));
                if let Some(node) = self.nodes.get_mut(idx) {
                    node.offset_ms = (node.offset_ms + jump).clamp(-8 * 3_600_000, 8 * 3_600_000);
                }
            }
            2 if self.swarm.crashes > 0 && self.rng.chance(300) => self.crash(idx),
            3 => self.restore(),
            4 if self.swarm.byzantine == Some(Byzantine::Fork) => self.fork()?,
            5 | 6 if self.swarm.byzantine == Some(Byzantine::Vandal) => self.attack(),
            _ => {}
        }
        Ok(())
    }

    fn partition(&mut self) {
        let (a, b) = (self.rng.index(self.nodes.len()), self.rng.index(self.nodes.len()));
        if a == b {
            return;
        }
        self.stats.partitions += 1;
        let length = self.rng.range(500, 60_000);
        let both = self.rng.chance(500);
        self.note(|| format!("partition {a} -> {b} (both ways: {both}) for {length} ms"));
        for (from, to) in [(a, b), (b, a)].into_iter().take(if both { 2 } else { 1 }) {
            self.cut.insert((from, to));
            self.at(length, Event::HealPartition { from, to });
        }
    }

    /// Takes a backup of one node first and puts it back later, once in a run.
    fn restore(&mut self) {
        let Some(kind) = self.swarm.restore else { return };
        // An honest node that is reached by everybody: the second one.
        let idx = 1;
        let Some(node) = self.nodes.get_mut(idx) else { return };
        if node.restored.is_some() || node.restore_pending.is_some() || node.engine.is_none() {
            return;
        }
        match &node.backup {
            None => node.backup = Some(node.store.backup()),
            Some(_) => {
                node.restore_pending = Some(kind);
                self.crash(idx);
            }
        }
    }

    /// After the start of a node whose disk is to be replaced: puts the backup in place.
    pub(crate) fn put_back(&mut self, idx: usize) -> Result<(), Violation> {
        let virtual_now = self.now;
        let Some(node) = self.nodes.get_mut(idx) else { return Ok(()) };
        let (Some(kind), Some(backup)) = (node.restore_pending.take(), node.backup.take()) else {
            return Ok(());
        };
        node.store = backup;
        node.restored = Some(kind);
        let loaded = node.load(virtual_now);
        let origin = node.engine.as_ref().map(|e| e.identity().latest().log_origin.clone());
        let size = node.engine.as_ref().map_or(0, |e| e.log().1.size());
        loaded.map_err(|e| self.wrong(format!("node {idx} cannot start from its backup: {e}")))?;
        let origin = origin.unwrap_or_default();
        // What it had let go may have been lost on the way; only what a peer verified can be missed.
        let did = self.nodes.get(idx).map(|n| n.did.clone());
        let verified = self.nodes.iter().filter(|n| n.honest).filter_map(|n| n.store.snapshot().ok());
        let verified = verified.flat_map(|s| s.peers).filter(|p| Some(&p.did) == did.as_ref());
        let shown = verified
            .filter_map(|p| SignedCheckpoint::parse(p.verified?.as_bytes()).ok())
            .filter(|c| c.checkpoint().origin() == origin)
            .map(|c| c.checkpoint().size())
            .max()
            .unwrap_or(0);
        self.note(|| format!("node {idx}: restored {kind:?} to {size} leaves; it had shown {shown}"));
        self.acknowledged.remove(&idx);
        match kind {
            Restore::Declared => {
                self.stats.restores_declared += 1;
                self.declare(idx)?;
            }
            Restore::Undeclared => {
                self.stats.restores_undeclared += 1;
                if shown > size {
                    self.undeclared_loss.insert(idx);
                }
            }
        }
        Ok(())
    }

    /// The operator declares a restore: before the node talks to anybody again.
    fn declare(&mut self, idx: usize) -> Result<(), Violation> {
        let virtual_now = self.now;
        let Some(node) = self.nodes.get_mut(idx) else { return Ok(()) };
        let now = node.now(virtual_now);
        let Some(card) = node.restored_card(now) else { return Ok(()) };
        let keys = node.keys.clone();
        let Some(engine) = node.engine.as_mut() else { return Ok(()) };
        let adopted = engine.adopt_card(card, keys).map_err(|e| e.to_string());
        let changes = engine.take_changes();
        let kept = node.store.apply(&changes).and_then(|()| node.store.commit()).map_err(|e| e.to_string());
        adopted.and(kept).map_err(|e| self.wrong(format!("node {idx} cannot declare its restore: {e}")))?;
        self.note(|| format!("node {idx}: declares its restore"));
        Ok(())
    }

    /// No more faults: everything that is cut heals, everybody who is down comes back.
    pub(crate) fn stop_faults(&mut self) -> Result<(), Violation> {
        self.faults_on = false;
        self.cut.clear();
        self.note(|| "faults stop".into());
        for idx in 0..self.nodes.len() {
            self.restart(idx)?;
            self.files_arrive(idx);
        }
        Ok(())
    }

    /// Files that a crash kept from arriving are fetched again.
    fn files_arrive(&mut self, idx: usize) {
        let Some(node) = self.nodes.get(idx) else { return };
        let wanted: Vec<_> = node.store.wanted_files().map(|(file, _)| file.clone()).collect();
        for file in wanted {
            if let Some(author) = file.author {
                let delay = self.rng.range(1_000, 5_000);
                self.at(delay, Event::FileArrives { node: idx, sha256: file.sha256, authors: vec![author] });
            }
        }
    }

    /// A restore that nobody declared must come to light; then the operators mend it.
    pub(crate) fn settle_restores(&mut self, limit: i64) -> Result<(), Violation> {
        for idx in std::mem::take(&mut self.undeclared_loss) {
            while !self.noticed(idx) {
                if self.now >= limit {
                    return Err(self.wrong(format!("nobody notices that node {idx} was put back")));
                }
                self.advance(self.now + 10_000)?;
            }
            self.stats.restores_detected += 1;
            // Some time for the alarm to go round before operators act.
            self.advance(self.now + 60_000)?;
            self.mend(idx)?;
        }
        Ok(())
    }

    /// A node may halt without a loss that the world knows of: a forked peer can hold a checkpoint
    /// that no honest one does. Its operator sees that it has halted.
    pub(crate) fn settle_halts(&mut self) -> Result<(), Violation> {
        for idx in 0..self.nodes.len() {
            let put_back = |n: &crate::node::Node| n.honest && n.restored == Some(Restore::Undeclared);
            let halted = |n: &crate::node::Node| n.engine.as_ref().is_some_and(|e| e.halted().is_some());
            if self.nodes.get(idx).is_some_and(|n| put_back(n) && halted(n)) {
                self.mend(idx)?;
            }
        }
        Ok(())
    }

    /// The operator of a node that was put back declares it, and those of its peers trust it again.
    fn mend(&mut self, idx: usize) -> Result<(), Violation> {
        self.declare(idx)?;
        let Some(did) = self.nodes.get(idx).map(|n| n.did.clone()) else { return Ok(()) };
        for other in 0..self.nodes.len() {
            let virtual_now = self.now;
            let Some(node) = self.nodes.get_mut(other) else { continue };
            let now = node.now(virtual_now);
            let Some(engine) = node.engine.as_mut() else { continue };
            let distrusts = engine.peers().any(|p| {
                p.did == did && matches!(&p.standing, Standing::Distrusted { code } if code == "fork")
            });
            if distrusts {
                let trusted = engine.trust_again(&did, now).map_err(|e| e.to_string());
                let changes = engine.take_changes();
                let kept = node.store.apply(&changes).and_then(|()| node.store.commit());
                let kept = kept.map_err(|e| e.to_string());
                trusted.and(kept).map_err(|e| self.wrong(e))?;
            }
        }
        self.start_tasks(idx);
        Ok(())
    }

    fn noticed(&self, idx: usize) -> bool {
        let Some(node) = self.nodes.get(idx) else { return false };
        let halted = node.engine.as_ref().is_some_and(|e| e.halted().is_some());
        let distrusted = self.nodes.iter().filter(|n| n.honest).filter_map(|n| n.engine.as_ref()).any(|e| {
            e.peers().any(|p| p.did == node.did && matches!(p.standing, Standing::Distrusted { .. }))
        });
        halted || distrusted
    }
}
