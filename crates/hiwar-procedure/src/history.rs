//! The order of the entries of one dialogue, the same for everybody who holds the same entries.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use hiwar_dialogue::entry::{EntryId, SignedEntry};
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;

/// An entry with what this node knows of who held it when.
#[derive(Clone, Debug)]
pub struct Held {
    /// The entry.
    pub entry: SignedEntry,
    /// When this node stored it, by its own clock.
    pub received: Timestamp,
    /// When other nodes proved by their receipts that they hold it, by their clocks. The author of an entry
    /// has everybody's; others have none.
    pub receipts: BTreeMap<Did, Timestamp>,
}

/// The entries in an order that follows from the set alone: what an entry links to comes before it; of those
/// that do not know of each other, the one with the earlier claimed time comes first, then the one with the
/// smaller identifier. A link to an entry that is not held counts as none.
///
/// Source of the method: Kahn, *Topological sorting of large networks*, CACM 5 (1962), with a priority queue.
pub fn in_order(held: &[Held]) -> Vec<&Held> {
    let position: BTreeMap<EntryId, usize> =
        held.iter().enumerate().map(|(index, held)| (held.entry.id, index)).collect();
    let mut waiting_for: Vec<usize> = vec![0; held.len()];
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); held.len()];
    for (index, one) in held.iter().enumerate() {
        for before in one.entry.entry.prev.iter().filter_map(|prev| position.get(prev)) {
            if let (Some(count), Some(list)) = (waiting_for.get_mut(index), followers.get_mut(*before)) {
                *count += 1;
                list.push(index);
            }
        }
    }
    let key = |index: usize| held.get(index).map(|one| (one.entry.entry.time, one.entry.id, index));
    let mut ready: BinaryHeap<Reverse<(Timestamp, EntryId, usize)>> = waiting_for
        .iter()
        .enumerate()
        .filter(|(_, count)| **count == 0)
        .filter_map(|(index, _)| key(index).map(Reverse))
        .collect();
    let mut order = Vec::with_capacity(held.len());
    while let Some(Reverse((_, _, index))) = ready.pop() {
        order.extend(held.get(index));
        for follower in followers.get(index).into_iter().flatten() {
            if let Some(count) = waiting_for.get_mut(*follower) {
                *count -= 1;
                if *count == 0 {
                    ready.extend(key(*follower).map(Reverse));
                }
            }
        }
    }
    // Identifiers are digests of what links, so no entry can link to itself through others: all are here.
    order
}
