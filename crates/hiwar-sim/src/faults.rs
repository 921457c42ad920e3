//! What a seed may do to its world: each enables a random part of all faults (swarm testing), so
//! that faults meet in every combination and none hides another.

use crate::rng::Rng;

/// How a node is put back to an old backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restore {
    /// The operator declares it at once: a new card, a new log.
    Declared,
    /// Nobody says anything until the node halts or a peer complains.
    Undeclared,
}

/// What the one dishonest node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Byzantine {
    /// It shows one history to some peers and another to the others.
    Fork,
    /// It sends mutated, forged, replayed and misplaced messages beside its honest ones.
    Vandal,
}

/// The faults and sizes of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Swarm {
    pub(crate) nodes: usize,
    pub(crate) pull: bool,
    pub(crate) loss: u64,
    pub(crate) duplication: u64,
    pub(crate) delay_ms: (i64, i64),
    pub(crate) late: u64,
    pub(crate) partitions: bool,
    pub(crate) crashes: u64,
    pub(crate) torn: u64,
    pub(crate) full: u64,
    pub(crate) skew_ms: i64,
    pub(crate) jumps: bool,
    pub(crate) restore: Option<Restore>,
    pub(crate) byzantine: Option<Byzantine>,
    pub(crate) rotations: bool,
    pub(crate) revocations: bool,
    pub(crate) files: bool,
    pub(crate) group: i64,
    pub(crate) batch_entries: usize,
    pub(crate) compare_ms: i64,
    pub(crate) actions: usize,
    pub(crate) act_every_ms: (i64, i64),
}

impl Swarm {
    /// The faults of a seed.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let calm = rng.chance(60);
        let mut on = |permille: u64| !calm && rng.chance(permille);
        let (lossy, doubled, late, partitions) = (on(450), on(350), on(350), on(400));
        let (crashes, torn, full, jumps, skew) = (on(450), on(300), on(300), on(300), on(500));
        let (restored, dishonest, rotations, revocations) = (on(250), on(300), on(400), on(250));
        let (pull, files) = (on(350), on(400));
        let busy = rng.chance(200);
        Self {
            nodes: 3 + rng.index(3),
            pull,
            loss: if lossy { 10 + rng.below(300) } else { 0 },
            duplication: if doubled { 10 + rng.below(200) } else { 0 },
            delay_ms: (1, rng.range(2, 400)),
            late: if late { 5 + rng.below(100) } else { 0 },
            partitions,
            crashes: if crashes { 2 + rng.below(25) } else { 0 },
            torn: if torn { 2 + rng.below(30) } else { 0 },
            full: if full { 2 + rng.below(30) } else { 0 },
            skew_ms: if skew { rng.range(0, 3 * 3_600_000) } else { 0 },
            jumps,
            restore: restored.then(|| if rng.chance(600) { Restore::Declared } else { Restore::Undeclared }),
            byzantine: dishonest.then(|| if rng.chance(500) { Byzantine::Fork } else { Byzantine::Vandal }),
            rotations,
            revocations,
            files,
            group: rng.range(1, 8),
            batch_entries: [1, 2, 3, 8, 64, 256].get(rng.index(6)).copied().unwrap_or(8),
            compare_ms: [60_000, 600_000].get(rng.index(2)).copied().unwrap_or(600_000),
            actions: 15 + rng.index(if busy { 90 } else { 35 }),
            act_every_ms: if busy { (1, 200) } else { (10, 6_000) },
        }
    }
}
