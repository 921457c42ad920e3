//! Measures what an exchange costs in the store: the rows that the sender's and the receiver's
//! node write, in batches as delivery makes them.
//!
//! `cargo run --release -p hiwar-store --example store_throughput -- DIR [ENTRIES] [BATCH] [BYTES]`

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use hiwar_dialogue::entry::{DialogueId, EntryId};
use hiwar_dialogue::ledger::{
    Change, Delivery, DialogueRecord, Direction, OwnRecord, PeerRecord, Standing, Store, StoredEntry, View,
};
use hiwar_store::SqliteStore;
use hiwar_trust::checkpoint::Checkpoint;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::key::{KeyHolder as _, KeyId, Signature, SoftwareKey};
use hiwar_trust::receipt::{ItemKind, Receipt, ReceiptItem, SignedReceipt};
use hiwar_trust::time::Timestamp;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// One node: its store and how far it got.
struct Node {
    store: SqliteStore,
    did: Did,
    peer: Did,
    seq: u64,
    leaf: u64,
    receipts: u64,
    applying: Duration,
    committing: Duration,
    slowest: Duration,
}

impl Node {
    fn open(dir: &Path, did: &str, peer: &str) -> Outcome<Self> {
        let mut store = SqliteStore::open(dir)?;
        let snapshot = store.snapshot()?;
        let own = OwnRecord { cards: Vec::new(), log: 1, halted: None };
        store.apply(&[Change::Own(Box::new(own))])?;
        store.commit()?;
        let leaf = store.snapshot()?.log_size;
        Ok(Self {
            store,
            did: did.parse()?,
            peer: peer.parse()?,
            seq: snapshot.last_seq,
            leaf,
            receipts: snapshot.last_receipt,
            applying: Duration::ZERO,
            committing: Duration::ZERO,
            slowest: Duration::ZERO,
        })
    }

    fn keep(&mut self, changes: &[Change]) -> Outcome<()> {
        let start = Instant::now();
        self.store.apply(changes)?;
        let applied = Instant::now();
        self.store.commit()?;
        self.applying += applied - start;
        self.committing += applied.elapsed();
        self.slowest = self.slowest.max(start.elapsed());
        Ok(())
    }

    fn add_leaf(&mut self, data: String, changes: &mut Vec<Change>) -> u64 {
        let index = self.leaf;
        self.leaf += 1;
        changes.push(Change::Leaf { log: 1, index, data });
        if self.leaf.is_multiple_of(256) {
            let hashes = vec![Hash([7; 32]); 256];
            changes.push(Change::Tile { log: 1, level: 0, index: index / 256, hashes });
        }
        index
    }

    fn records(&self, dialogue: DialogueId, changes: &mut Vec<Change>) {
        changes.push(Change::Dialogue(Box::new(DialogueRecord {
            id: dialogue,
            memberships: Vec::new(),
            current: dialogue,
            heads: [dialogue].into(),
            missing: [].into(),
            entries: self.seq,
            updated: Timestamp::from_millis(0),
        })));
        changes.push(Change::Peer(Box::new(PeerRecord {
            did: self.peer.clone(),
            cards: Vec::new(),
            standing: Standing::Active,
            verified: Some("x".repeat(300)),
            witnessed: Some("x".repeat(500)),
            witnessed_before: Vec::new(),
            knows_card: Some(0),
            knows_size: self.leaf,
            knows_log: 1,
            settled_through: self.seq,
            down_since: None,
            down_alarmed: false,
            clock_skew_ms: Some(3),
            shown_in_batch: self.leaf,
            owed_attachments: [].into(),
        })));
    }

    /// The rows of a batch of entries made here or received.
    fn take(
        &mut self,
        contents: &[Vec<u8>],
        dialogue: DialogueId,
        sends: bool,
    ) -> (Vec<Change>, Vec<ReceiptItem>) {
        let mut changes = Vec::new();
        let mut items = Vec::new();
        let receipt = (!sends).then_some(self.receipts + 1);
        for content in contents {
            let id = EntryId(Hash::of(content));
            self.seq += 1;
            let leaf = self.add_leaf(format!("entry {id}"), &mut changes);
            items.push(ReceiptItem { kind: ItemKind::Entry, hash: id.0, leaf });
            changes.push(Change::Entry(Box::new(StoredEntry {
                seq: self.seq,
                id,
                dialogue,
                content: content.as_slice().into(),
                key: KeyId(Hash([3; 32])),
                signature: Signature::from_bytes([5; 64]),
                log: 1,
                leaf,
                via: (!sends).then(|| self.peer.clone()),
                received: Timestamp::from_millis(0),
                receipt,
            })));
            if sends {
                changes.push(Change::Queue { peer: self.peer.clone(), seq: self.seq });
            }
        }
        self.records(dialogue, &mut changes);
        (changes, items)
    }

    fn receipt(&mut self, direction: Direction, receipt: &SignedReceipt, changes: &mut Vec<Change>) -> u64 {
        self.receipts += 1;
        changes.push(Change::Receipt {
            number: self.receipts,
            direction,
            peer: self.peer.clone(),
            receipt: Box::new(receipt.clone()),
        });
        self.receipts
    }

    fn report(&mut self, name: &str, entries: u64) {
        let micros =
            |time: Duration| time.as_secs_f64() * 1e6 / f64::from(u32::try_from(entries).unwrap_or(1));
        println!(
            "  {name:8} {:6.2} µs applying, {:6.2} µs committing; slowest batch {:.1?}",
            micros(self.applying),
            micros(self.committing),
            self.slowest
        );
        (self.applying, self.committing, self.slowest) = Default::default();
    }
}

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("name a folder for the two stores")?;
    let mut number = |otherwise: u64| args.next().map_or(Ok(otherwise), |text| text.parse());
    let (entries, batch, bytes) = (number(100_000)?, number(250)?, number(700)?);
    let dir = Path::new(&dir);
    let (a, b) = ("did:web:a.example", "did:web:b.example");
    let mut sender = Node::open(&dir.join("sender"), a, b)?;
    let mut receiver = Node::open(&dir.join("receiver"), b, a)?;
    let key = SoftwareKey::from_seed(&[1; 32]);
    println!("{} bytes per entry, {batch} per batch; key {}", bytes, key.public_key().id());
    let step = (entries / 10).max(batch);
    let mut since = 0;
    while sender.seq < entries {
        let contents: Vec<Vec<u8>> = (0..batch)
            .map(|n| {
                let mut content = format!("{:020}", sender.seq + n).into_bytes();
                content.resize(usize::try_from(bytes).unwrap_or(700), b'x');
                content
            })
            .collect();
        let dialogue = EntryId(Hash::of(&(sender.seq / batch % 20).to_be_bytes()));
        let (changes, _) = sender.take(&contents, dialogue, true);
        sender.keep(&changes)?;

        let (mut changes, items) = receiver.take(&contents, dialogue, false);
        let receipt = Receipt {
            issuer: receiver.did.clone(),
            to: sender.did.clone(),
            time: Timestamp::from_millis(0),
            log: Checkpoint::new("b.example/log/1", receiver.leaf, Hash([9; 32]))?,
            items,
        }
        .sign(&key)?;
        receiver.receipt(Direction::Issued, &receipt, &mut changes);
        receiver.keep(&changes)?;

        let mut changes = Vec::new();
        let number = sender.receipt(Direction::Received, &receipt, &mut changes);
        let peer = sender.peer.clone();
        for seq in sender.seq - batch + 1..=sender.seq {
            let delivery = Delivery::Receipted { receipt: number };
            changes.push(Change::Delivered { peer: peer.clone(), seq, delivery });
        }
        sender.records(dialogue, &mut changes);
        sender.keep(&changes)?;

        since += batch;
        if since >= step {
            println!("at {} entries", sender.seq);
            sender.report("sender", since);
            receiver.report("receiver", since);
            since = 0;
        }
    }
    let start = Instant::now();
    let snapshot = sender.store.snapshot()?;
    println!("snapshot in {:?}: {} leaves", start.elapsed(), snapshot.log_size);
    let start = Instant::now();
    let mut found = 0;
    for n in 0..10_000_u64 {
        let mut content = format!("{:020}", n * 7919 % entries).into_bytes();
        content.resize(usize::try_from(bytes).unwrap_or(700), b'x');
        found += u32::from(sender.store.find(&EntryId(Hash::of(&content)))?.is_some());
    }
    println!("find: {:?} each, {found} of 10000 found", start.elapsed() / 10_000);
    Ok(())
}
