//! What happened in a run, counted.

use std::fmt;
use std::ops::AddAssign;

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What happened in one or many runs.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl AddAssign for Stats {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }

        impl fmt::Display for Stats {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "  {:<22}{}", stringify!($name).replace('_', " "), self.$name)?;)*
                Ok(())
            }
        }
    };
}
pub(crate) use stats;

stats! {
    /// Seeds run.
    seeds,
    /// Events taken from the heap.
    events,
    /// Packets put on the network.
    messages,
    /// Packets lost or cut off by a partition.
    lost,
    /// Packets delivered twice.
    duplicated,
    /// Batches taken.
    batches,
    /// Commands carried out.
    commands,
    /// Commands refused.
    commands_refused,
    /// Entries held by all nodes at the end.
    entries,
    /// Receipts held by their receivers at the end.
    receipts,
    /// Commits.
    commits,
    /// Commits that failed because the disk was full.
    disk_full,
    /// Commits torn by a power failure.
    torn_commits,
    /// Nodes that crashed.
    crashes,
    /// Partitions.
    partitions,
    /// Clock jumps.
    clock_jumps,
    /// Keys rotated.
    rotations,
    /// Keys revoked.
    revocations,
    /// Restores declared.
    restores_declared,
    /// Restores not declared.
    restores_undeclared,
    /// Restores nobody declared and that were noticed.
    restores_detected,
    /// Forked peers.
    forks,
    /// Forks caught by an honest node.
    forks_caught,
    /// Attacks by a dishonest peer.
    attacks,
    /// Requests refused by a session.
    replays_refused,
    /// Batches sent before the reply to the one before was settled.
    ahead,
    /// Replies settled after their sender had given up on them.
    stale_replies,
    /// Entries refused.
    entries_refused,
    /// Alarms raised.
    alarms,
    /// Virtual minutes until everything had converged after the faults stopped.
    minutes_to_converge,
}
