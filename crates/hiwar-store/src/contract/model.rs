//! Random stories against a model that keeps everything in maps.

use std::collections::BTreeMap;

use hiwar_dialogue::entry::DialogueId;
use hiwar_dialogue::ledger::{
    Change, Delivery, DialogueRecord, Direction, LogNumber, OwnRecord, PeerRecord, Seq, Store, StoredEntry,
};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::receipt::SignedReceipt;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::Place;
use super::samples::{Samples, acknowledged, did, items, kept, receipt_change};

/// Most steps in one story.
const STEPS_MAX: usize = 50;
/// Numbers of the participants that take part.
const PEERS: u8 = 4;

/// One thing that happens. Numbers that pick something are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Keep { dialogue: u8, via: Option<u8>, text_bytes: u16 },
    KeepTwice { pick: u8 },
    Queue { peer: u8, pick: u8 },
    Deliver { peer: u8, pick: u8, end: u8 },
    Receipt { peer: u8, issued: bool, count: u8 },
    EntryReceipt { pick: u8 },
    Tile { level: u8 },
    Peer { peer: u8, settled: u8 },
    Dialogue { dialogue: u8, entries: u8 },
    Own { halted: bool },
    Alarm { peer: u8 },
    Acknowledge { pick: u8 },
    Wanted { file: u8, dialogue: u8, author: Option<u8> },
    Stored { file: u8 },
    FileReceipt { file: u8, peer: u8 },
    Commit,
    RollBack,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let peer = 1..=PEERS;
    let who = || prop::option::of(1..=PEERS);
    let step = prop_oneof![
        8 => (1..4_u8, who(), 0..3000_u16)
            .prop_map(|(dialogue, via, text_bytes)| Step::Keep { dialogue, via, text_bytes }),
        1 => any::<u8>().prop_map(|pick| Step::KeepTwice { pick }),
        8 => (peer.clone(), any::<u8>()).prop_map(|(peer, pick)| Step::Queue { peer, pick }),
        5 => (peer.clone(), any::<u8>(), 0..3_u8)
            .prop_map(|(peer, pick, end)| Step::Deliver { peer, pick, end }),
        2 => (peer.clone(), any::<bool>(), 0..9_u8)
            .prop_map(|(peer, issued, count)| Step::Receipt { peer, issued, count }),
        1 => any::<u8>().prop_map(|pick| Step::EntryReceipt { pick }),
        1 => (0..3_u8).prop_map(|level| Step::Tile { level }),
        1 => (peer.clone(), any::<u8>()).prop_map(|(peer, settled)| Step::Peer { peer, settled }),
        1 => (1..4_u8, any::<u8>()).prop_map(|(dialogue, entries)| Step::Dialogue { dialogue, entries }),
        1 => any::<bool>().prop_map(|halted| Step::Own { halted }),
        1 => peer.clone().prop_map(|peer| Step::Alarm { peer }),
        1 => any::<u8>().prop_map(|pick| Step::Acknowledge { pick }),
        2 => (0..3_u8, 1..4_u8, who())
            .prop_map(|(file, dialogue, author)| Step::Wanted { file, dialogue, author }),
        1 => (0..3_u8).prop_map(|file| Step::Stored { file }),
        1 => (0..3_u8, peer).prop_map(|(file, peer)| Step::FileReceipt { file, peer }),
        3 => Just(Step::Commit),
        2 => Just(Step::RollBack),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..STEPS_MAX)
}

/// What a store should hold.
#[derive(Clone, Default)]
struct Model {
    entries: BTreeMap<Seq, StoredEntry>,
    deliveries: BTreeMap<(Did, Seq), Delivery>,
    receipts: BTreeMap<u64, (Direction, SignedReceipt)>,
    leaves: Vec<String>,
    tiles: BTreeMap<(LogNumber, u8, u64), Vec<Hash>>,
    own: Option<OwnRecord>,
    peers: BTreeMap<Did, PeerRecord>,
    dialogues: BTreeMap<DialogueId, DialogueRecord>,
    files: BTreeMap<Hash, u64>,
    alarms: u64,
}

impl Model {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Entry(entry) => {
                self.entries.insert(entry.seq, (**entry).clone());
            }
            Change::EntryReceipt { seq, receipt } => {
                self.entries.get_mut(seq).unwrap().receipt = Some(*receipt);
            }
            Change::Leaf { data, .. } => self.leaves.push(data.clone()),
            Change::Tile { log, level, index, hashes } => {
                self.tiles.insert((*log, *level, *index), hashes.clone());
            }
            Change::Queue { peer, seq } => {
                self.deliveries.insert((peer.clone(), *seq), Delivery::Pending);
            }
            Change::Delivered { peer, seq, delivery } => {
                self.deliveries.insert((peer.clone(), *seq), delivery.clone());
            }
            Change::Receipt { number, direction, receipt, .. } => {
                self.receipts.insert(*number, (*direction, (**receipt).clone()));
            }
            Change::Peer(record) => {
                self.peers.insert(record.did.clone(), (**record).clone());
            }
            Change::Dialogue(record) => {
                self.dialogues.insert(record.id, (**record).clone());
            }
            Change::Own(record) => self.own = Some((**record).clone()),
            Change::AttachmentStored { sha256, leaf } => {
                self.files.insert(*sha256, *leaf);
            }
            Change::Alarm(_) => self.alarms += 1,
            Change::AlarmAcknowledged { .. }
            | Change::AttachmentWanted { .. }
            | Change::AttachmentReceipted { .. } => {}
        }
    }

    /// The entry that `pick` means, when there is any.
    fn picked(&self, pick: u8) -> Option<&StoredEntry> {
        let count = self.entries.len().max(1);
        self.entries.values().nth(usize::from(pick) % count)
    }

    fn waiting(&self, peer: &Did) -> Vec<Seq> {
        let waits = self.deliveries.iter().filter(|((p, _), d)| p == peer && **d == Delivery::Pending);
        waits.map(|((_, seq), _)| *seq).collect()
    }

    /// The changes of a step; none when there is nothing that it could be about.
    fn changes(&self, samples: &Samples, step: &Step) -> Vec<Change> {
        let last_receipt = self.receipts.keys().next_back().copied().unwrap_or(0);
        match step {
            Step::Keep { dialogue, via, text_bytes } => {
                let seq = self.entries.len() as u64 + 1;
                let mut entry = samples.entry(seq, *dialogue, via.map(did), (*text_bytes).into());
                entry.leaf = self.leaves.len() as u64;
                kept(&entry).to_vec()
            }
            Step::Queue { peer, pick } => {
                let queue = |entry: &StoredEntry| Change::Queue { peer: did(*peer), seq: entry.seq };
                self.picked(*pick).map(queue).into_iter().collect()
            }
            Step::Deliver { peer, pick, end } => {
                let waiting = self.waiting(&did(*peer));
                let picked = waiting.get(usize::from(*pick) % waiting.len().max(1));
                let delivery = match end {
                    0 => Delivery::Expired,
                    1 => Delivery::Refused { code: "above-cap".into(), detail: "ö".into() },
                    _ if last_receipt == 0 => Delivery::Expired,
                    _ => Delivery::Receipted { receipt: last_receipt },
                };
                let end = |seq: &Seq| Change::Delivered { peer: did(*peer), seq: *seq, delivery };
                picked.map(end).into_iter().collect()
            }
            Step::Receipt { peer, issued, count } => {
                let direction = if *issued { Direction::Issued } else { Direction::Received };
                let receipt = samples.receipt(direction, &did(*peer), 100, &items((*count).into()));
                vec![receipt_change(last_receipt + 1, direction, &did(*peer), &receipt)]
            }
            Step::EntryReceipt { pick } => {
                let picked = self.picked(*pick);
                let note = |entry: &StoredEntry| Change::EntryReceipt { seq: entry.seq, receipt: 99 };
                picked.map(note).into_iter().collect()
            }
            Step::Tile { level } => {
                let index = self.tiles.keys().filter(|(_, l, _)| l == level).count() as u64;
                let hashes = vec![Hash::of(&[*level]); 256];
                vec![Change::Tile { log: 1, level: *level, index, hashes }]
            }
            Step::Peer { peer, settled } => {
                // A node moves this forward only over what is settled.
                let first = self.waiting(&did(*peer)).first().copied().unwrap_or(u64::MAX);
                let mut record = samples.peer(*peer);
                record.settled_through = u64::from(*settled).min(first - 1);
                vec![Change::Peer(Box::new(record))]
            }
            Step::Dialogue { dialogue, entries } => {
                vec![Change::Dialogue(Box::new(samples.dialogue_record(*dialogue, (*entries).into())))]
            }
            Step::Own { halted } => {
                let halted = halted.then(|| "it was restored".to_owned());
                vec![Change::Own(Box::new(OwnRecord { cards: Vec::new(), log: 1, halted }))]
            }
            Step::Alarm { peer } => vec![Change::Alarm(Box::new(samples.alarm(*peer)))],
            Step::Acknowledge { pick } if self.alarms > 0 => {
                vec![acknowledged(u64::from(*pick) % self.alarms + 1, samples.acknowledgement(None))]
            }
            Step::Wanted { file, dialogue, author } => vec![Change::AttachmentWanted {
                sha256: Hash::of(&[*file]),
                size: 5,
                dialogue: samples.dialogue(*dialogue),
                author: author.map(did),
            }],
            Step::Stored { file } => {
                vec![Change::AttachmentStored { sha256: Hash::of(&[*file]), leaf: u64::from(*file) + 3 }]
            }
            Step::FileReceipt { file, peer } if last_receipt > 0 => vec![Change::AttachmentReceipted {
                peer: did(*peer),
                sha256: Hash::of(&[*file]),
                receipt: last_receipt,
            }],
            Step::FileReceipt { .. }
            | Step::Acknowledge { .. }
            | Step::KeepTwice { .. }
            | Step::Commit
            | Step::RollBack
            | Step::Reopen => Vec::new(),
        }
    }

    /// Compares every answer of the store.
    fn compare(&self, store: &impl Store) {
        let mut snapshot = store.snapshot().unwrap();
        snapshot.peers.sort_by(|a, b| a.did.cmp(&b.did));
        snapshot.dialogues.sort_by_key(|d| d.id);
        assert_eq!(snapshot.own, self.own);
        assert_eq!(snapshot.peers, self.peers.values().cloned().collect::<Vec<_>>());
        assert_eq!(snapshot.dialogues, self.dialogues.values().cloned().collect::<Vec<_>>());
        assert_eq!(snapshot.last_seq, self.entries.len() as u64);
        assert_eq!(snapshot.last_receipt, self.receipts.len() as u64);
        if self.own.is_some() {
            assert_eq!(snapshot.log_size, self.leaves.len() as u64);
        }
        for n in 1..=PEERS {
            let peer = did(n);
            let waiting = self.waiting(&peer);
            assert_eq!(snapshot.backlog.get(&peer).copied().unwrap_or(0), waiting.len() as u64);
            let queued = store.queued(&peer, 0, usize::MAX, usize::MAX).unwrap();
            assert_eq!(super::seqs(&queued), waiting);
            for entry in &queued {
                assert_eq!(self.entries.get(&entry.seq), Some(entry));
            }
            for seq in 1..=self.entries.len() as u64 {
                let expected = self.deliveries.get(&(peer.clone(), seq));
                assert_eq!(store.delivery(&peer, seq).unwrap().as_ref(), expected);
            }
        }
        for (seq, entry) in &self.entries {
            assert_eq!(store.entry(*seq).unwrap().as_ref(), Some(entry));
            assert_eq!(store.find(&entry.id).unwrap(), Some(*seq));
        }
        assert_eq!(store.leaves(1, 0, usize::MAX).unwrap(), self.leaves);
        for number in 1..=self.receipts.len() as u64 + 1 {
            assert_eq!(store.receipt(number).unwrap().as_ref(), self.receipts.get(&number));
        }
        for ((log, level, index), hashes) in &self.tiles {
            assert_eq!(store.tile(*log, *level, *index).unwrap().as_ref(), Some(hashes));
        }
        for file in 0..3 {
            let sha256 = Hash::of(&[file]);
            assert_eq!(store.attachment(&sha256).unwrap(), self.files.get(&sha256).copied());
        }
    }
}

fn run<P: Place>(place: &P, samples: &Samples, steps: &[Step]) {
    let mut store = place.empty();
    let mut committed = Model::default();
    let mut open = committed.clone();
    for step in steps {
        match step {
            Step::Commit => {
                store.commit().unwrap();
                committed = open.clone();
            }
            Step::RollBack => {
                store.roll_back().unwrap();
                open = committed.clone();
            }
            Step::Reopen => {
                store = place.reopen(store);
                open = committed.clone();
            }
            Step::KeepTwice { pick } => {
                let Some(mut again) = open.picked(*pick).cloned() else { continue };
                again.seq = open.entries.len() as u64 + 1;
                assert!(store.apply(&[Change::Entry(Box::new(again))]).is_err());
                store.roll_back().unwrap();
                open = committed.clone();
            }
            other => {
                let changes = open.changes(samples, other);
                store.apply(&changes).unwrap();
                changes.iter().for_each(|change| open.apply(change));
                continue;
            }
        }
        open.compare(&store);
    }
    open.compare(&store);
    store.commit().unwrap();
    open.compare(&place.reopen(store));
}

/// Runs `cases` random stories against a model, and makes the shortest of one that fails.
///
/// # Panics
/// When the store does not do what the model does.
pub fn model_test<P: Place>(place: &P, cases: u32) {
    let samples = Samples::new();
    let config = Config { failure_persistence: None, ..Config::with_cases(cases) };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        run(place, &samples, &steps);
        Ok(())
    });
    assert!(outcome.is_ok(), "{}", outcome.err().map_or_else(String::new, |e| e.to_string()));
}
