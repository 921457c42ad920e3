//! What happened between two connectors, counted.

use std::fmt;
use std::ops::AddAssign;

crate::stats::stats! {
    /// Seeds run.
    seeds,
    /// Events taken from the queue.
    events,
    /// Transactions committed.
    commits,
    /// Commits refused because the disk was full.
    disk_full,
    /// Processes that died, most of them beside a commit.
    crashes,
    /// Requests put on the network.
    requests,
    /// Requests lost before they were taken.
    requests_lost,
    /// Answers lost: the message was taken, its sender does not know.
    answers_lost,
    /// Requests delivered twice.
    duplicated,
    /// Answers 5xx and 404 that came from elsewhere.
    strange_answers,
    /// Messages refused by a connector.
    refused,
    /// Clock jumps.
    clock_jumps,
    /// Negotiations begun, by either side.
    negotiations,
    /// Of them, finalized on both sides.
    finalized,
    /// Of them, terminated.
    negotiations_terminated,
    /// Transfers begun.
    transfers,
    /// Of them, complete on both sides.
    completed,
    /// Of them, terminated.
    transfers_terminated,
    /// Agreements ended by a person, or with their negotiation.
    agreements_ended,
    /// Steps taken by people.
    people,
    /// Deliveries given up.
    given_up,
    /// Transfers that are suspended on one side only, because of a late copy of a message.
    out_of_step,
    /// Virtual seconds until all was settled after the faults had stopped.
    seconds_to_settle,
}
