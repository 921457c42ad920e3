//! A small dialogue between three parties, made by hand with keys from seeds: the ministries of
//! the hydrogen-fluoride approvals of 2019 and a directorate-general that looks on.

use std::collections::BTreeMap;
use std::io::Read;

use hiwar_dialogue::entry::{
    About, Attachment, Body, DialogueId, Entry, EntryId, Membership, SignedEntry, Texts, Words,
};
use hiwar_dialogue::marking::Marking;
use hiwar_dossier::{
    Anchor, AttachmentFile, DossierContents, DossierEntry, Limits, LogEvidence, LogPlace, ReceiptEvidence,
    Verdict, WitnessedState, verify, write, write_sealed,
};
use hiwar_trust::checkpoint::{Checkpoint, SignedCheckpoint};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::identity::{CARD_TYPE, Card, DeliveryMode, Identity, RevokedKey, SignedCard};
use hiwar_trust::key::{KeyHolder, SoftwareKey};
use hiwar_trust::merkle;
use hiwar_trust::receipt::{ItemKind, Receipt, ReceiptItem, SignedReceipt, key_name};
use hiwar_trust::time::Timestamp;

/// 2019-07-01T01:00:00Z, the day of the announcement.
pub(crate) const START: i64 = 1_561_942_800_000;
pub(crate) const MOTIE: usize = 0;
pub(crate) const METI: usize = 1;
pub(crate) const DG: usize = 2;

pub(crate) fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(START + minutes * 60_000)
}

pub(crate) struct Party {
    pub(crate) did: Did,
    pub(crate) organisation: Vec<SoftwareKey>,
    pub(crate) node: SoftwareKey,
    pub(crate) cards: Vec<SignedCard>,
    pub(crate) leaves: Vec<String>,
}

impl Party {
    pub(crate) fn new(name: &str, host: &str, seed: u8) -> Self {
        let organisation = SoftwareKey::from_seed(&[seed; 32]);
        let node = SoftwareKey::from_seed(&[seed + 100; 32]);
        let did: Did = format!("did:web:{host}").parse().unwrap();
        let card = Card {
            kind: CARD_TYPE.into(),
            did: did.clone(),
            name: name.into(),
            sequence: 0,
            previous: None,
            time: at(-1000),
            organisation_key: organisation.public_key().clone(),
            node_key: node.public_key().clone(),
            recovery_key: None,
            endpoints: vec![format!("https://{host}")],
            tls_key: None,
            delivery: DeliveryMode::Push,
            log_origin: format!("{did}/log/1"),
            log_continues: None,
            revoked: Vec::new(),
        };
        let cards = vec![card.sign(&[&organisation]).unwrap()];
        Self { did, organisation: vec![organisation], node, cards, leaves: vec!["card x".into()] }
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::verify(self.cards.clone()).unwrap()
    }

    /// Brings a new organisation key, and revokes the old one if asked to.
    pub(crate) fn rotate(&mut self, seed: u8, time: Timestamp, revoked_since: Option<Timestamp>) {
        let next = SoftwareKey::from_seed(&[seed; 32]);
        let last = self.organisation.last().unwrap();
        let identity = self.identity();
        let mut card = identity.latest().clone();
        card.sequence += 1;
        card.previous = Some(identity.latest_hash());
        card.time = time;
        card.organisation_key = next.public_key().clone();
        if let Some(since) = revoked_since {
            card.revoked.push(RevokedKey { key: last.public_key().id(), since, reason: "stolen".into() });
        }
        let signed = card.sign(&[last, &next]).unwrap();
        self.cards.push(signed);
        self.organisation.push(next);
    }

    pub(crate) fn leaf_hashes(&self) -> Vec<Hash> {
        self.leaves.iter().map(|leaf| merkle::leaf_hash(leaf.as_bytes())).collect()
    }

    pub(crate) fn checkpoint_at(&self, size: usize) -> Checkpoint {
        let root = merkle::root(&self.leaf_hashes()[..size]);
        Checkpoint::new(&format!("{}/log/1", self.did), size as u64, root).unwrap()
    }

    pub(crate) fn signed_checkpoint(&self, size: usize) -> SignedCheckpoint {
        let checkpoint = self.checkpoint_at(size);
        let name = checkpoint.origin().parse().unwrap();
        checkpoint.sign(&name, &self.node).unwrap().try_into().unwrap()
    }

    pub(crate) fn cosign(&self, signed: &mut SignedCheckpoint, time: Timestamp) {
        let seconds = u64::try_from(time.as_seconds()).unwrap();
        let name = key_name(&self.did).unwrap();
        let cosignature = signed.checkpoint().cosign(&name, &self.node, seconds).unwrap();
        signed.add(cosignature).unwrap();
    }
}

/// A made-up RFC 6962 consistency proof from the definition, for small trees.
pub(crate) fn consistency(leaves: &[Hash], old: usize) -> Vec<Hash> {
    fn sub(leaves: &[Hash], old: usize, whole: bool) -> Vec<Hash> {
        if old == leaves.len() {
            return if whole { Vec::new() } else { vec![merkle::root(leaves)] };
        }
        let (left, right) = leaves.split_at(1 << (leaves.len() - 1).ilog2());
        if old <= left.len() {
            let mut proof = sub(left, old, whole);
            proof.push(merkle::root(right));
            proof
        } else {
            let mut proof = sub(right, old - left.len(), false);
            proof.push(merkle::root(left));
            proof
        }
    }
    sub(leaves, old, true)
}

pub(crate) struct World {
    pub(crate) parties: Vec<Party>,
    pub(crate) entries: Vec<SignedEntry>,
    pub(crate) files: BTreeMap<Hash, Vec<u8>>,
    /// Leave out receipts for which this says so: entry position and issuer.
    pub(crate) without_receipt: Vec<(usize, usize)>,
    /// Minutes between an entry and its receipts.
    pub(crate) receipt_delay: i64,
    /// Whether peers cosigned.
    pub(crate) witnessed: bool,
}

pub(crate) fn texts(en: &str, ko: &str) -> Texts {
    [("en".to_owned(), en.to_owned()), ("ko".to_owned(), ko.to_owned())].into()
}

pub(crate) fn words(en: &str) -> Words {
    Words { texts: [("en".to_owned(), en.to_owned())].into(), prevailing: None }
}

pub(crate) fn about(of: EntryId, en: &str) -> About {
    About { of, words: words(en) }
}

impl World {
    /// The dialogue without any entry.
    pub(crate) fn empty() -> Self {
        let parties = vec![
            Party::new("산업통상자원부", "motie.example", 1),
            Party::new("経済産業省", "meti.example", 2),
            Party::new("DG Observation", "dg.example", 3),
        ];
        Self {
            parties,
            entries: Vec::new(),
            files: BTreeMap::new(),
            without_receipt: Vec::new(),
            receipt_delay: 1,
            witnessed: true,
        }
    }

    /// The whole dialogue.
    pub(crate) fn new() -> Self {
        let mut world = Self::empty();
        let opening = world.open();
        world.say(METI, 1, Body::Assent(about(opening, "agreed")));
        world.say(DG, 2, Body::Assent(about(opening, "agreed")));
        let file = b"month,kg\n2019-07,479000\n".to_vec();
        let attachment = Attachment {
            name: "수입.csv".into(),
            media_type: "text/csv".into(),
            size: file.len() as u64,
            sha256: Hash::of(&file),
        };
        world.files.insert(attachment.sha256, file);
        let statement = world.say_with(
            MOTIE,
            3,
            Body::Statement(words("No licence for hydrogen fluoride has reached us since July.")),
            vec![attachment],
        );
        world.parties[METI].rotate(20, at(4), None);
        world.say(METI, 5, Body::Dispute(about(statement, "A licence was granted on 8 August.")));
        world.say(MOTIE, 6, Body::Correction(about(statement, "No licence for etching gas has reached us.")));
        world.say(DG, 7, Body::Acknowledgement(about(statement, "noted")));
        world.say(DG, 8, Body::Correction(about(statement, "A third party cannot correct this.")));
        world
    }

    pub(crate) fn dialogue(&self) -> DialogueId {
        self.entries[0].id
    }

    /// Opens the dialogue.
    pub(crate) fn open(&mut self) -> EntryId {
        let mut parties: Vec<Did> = self.parties.iter().map(|p| p.did.clone()).collect();
        parties.sort();
        let membership = Membership {
            title: texts("Hydrogen fluoride approvals", "불화수소 허가"),
            parties,
            cap: Marking::Amber,
            replaces: None,
        };
        self.say(MOTIE, 0, Body::Membership(membership))
    }

    pub(crate) fn say(&mut self, author: usize, minutes: i64, body: Body) -> EntryId {
        self.say_with(author, minutes, body, Vec::new())
    }

    pub(crate) fn say_with(
        &mut self,
        author: usize,
        minutes: i64,
        body: Body,
        attachments: Vec<Attachment>,
    ) -> EntryId {
        let entry = self.draft(author, minutes, body, attachments);
        let key = self.parties[author].organisation.last().unwrap();
        let signed = SignedEntry::sign(entry, key, key.public_key().id()).unwrap();
        self.add(signed)
    }

    pub(crate) fn draft(
        &self,
        author: usize,
        minutes: i64,
        body: Body,
        attachments: Vec<Attachment>,
    ) -> Entry {
        let first = self.entries.first().map(|e| e.id);
        let opens = matches!(&body, Body::Membership(m) if m.replaces.is_none());
        Entry {
            author: self.parties[author].did.clone(),
            desk: "Trade Controls".into(),
            dialogue: first.filter(|_| !opens),
            membership: first.filter(|_| !opens),
            arrangement: "Export control dialogue 2019".into(),
            marking: Marking::Amber,
            time: at(minutes),
            prev: self.entries.last().filter(|_| !opens).map(|e| e.id).into_iter().collect(),
            nonce: [u8::try_from(self.entries.len()).unwrap(); 16],
            attachments,
            body,
        }
    }

    pub(crate) fn add(&mut self, signed: SignedEntry) -> EntryId {
        let id = signed.id;
        for party in &mut self.parties {
            party.leaves.push(format!("entry {id}"));
        }
        self.entries.push(signed);
        id
    }

    fn leaf_of(&self, party: usize, id: &EntryId) -> usize {
        let data = format!("entry {id}");
        self.parties[party].leaves.iter().position(|leaf| *leaf == data).unwrap()
    }

    /// A receipt of `issuer` for the entry and two things that are nobody else's business.
    pub(crate) fn receipt(&self, issuer: usize, position: usize) -> SignedReceipt {
        let entry = &self.entries[position];
        let party = &self.parties[issuer];
        let leaf = self.leaf_of(issuer, &entry.id);
        let secret =
            |n: u64| ReceiptItem { kind: ItemKind::Entry, hash: Hash::of(&n.to_be_bytes()), leaf: 0 };
        let item = ReceiptItem { kind: ItemKind::Entry, hash: entry.id.0, leaf: leaf as u64 };
        Receipt {
            issuer: party.did.clone(),
            to: entry.entry.author.clone(),
            time: entry.entry.time.plus_millis(self.receipt_delay * 60_000),
            log: party.checkpoint_at(leaf + 1),
            items: vec![secret(1), item, secret(2)],
        }
        .sign(&party.node)
        .unwrap()
    }

    /// What MOTIE exports.
    pub(crate) fn contents(&self) -> DossierContents {
        let exporter = &self.parties[MOTIE];
        let hashes = exporter.leaf_hashes();
        let place = |entry: &SignedEntry| {
            let leaf = self.leaf_of(MOTIE, &entry.id) as u64;
            LogPlace { log: 0, leaf, proof: merkle::inclusion_proof(&hashes, leaf).unwrap() }
        };
        let mut receipts = Vec::new();
        for (position, entry) in self.entries.iter().enumerate() {
            for (issuer, party) in self.parties.iter().enumerate() {
                let left_out = self.without_receipt.contains(&(position, issuer));
                if party.did != entry.entry.author && !left_out {
                    let receipt = self.receipt(issuer, position);
                    receipts.push(ReceiptEvidence::of(&receipt, ItemKind::Entry, &entry.id.0).unwrap());
                }
            }
        }
        let whole = hashes.len();
        let last = self.entries.last().map_or(at(0), |e| e.entry.time);
        let mut checkpoint = exporter.signed_checkpoint(whole);
        let mut witnessed = Vec::new();
        if self.witnessed {
            self.parties[METI].cosign(&mut checkpoint, last.plus_millis(120_000));
            let mut earlier = exporter.signed_checkpoint(whole - 1);
            self.parties[DG].cosign(&mut earlier, last.plus_millis(60_000));
            witnessed.push(WitnessedState {
                checkpoint: earlier.to_string(),
                proof: consistency(&hashes, whole - 1),
            });
        }
        DossierContents {
            dialogue: self.dialogue(),
            title: texts("Hydrogen fluoride approvals", "불화수소 허가"),
            exporter: exporter.did.clone(),
            time: at(60),
            identities: self.parties.iter().map(|p| p.cards.clone()).collect(),
            entries: self.entries.iter().map(|e| DossierEntry::signed(e, Some(place(e)))).collect(),
            missing: Vec::new(),
            logs: vec![LogEvidence { checkpoint: checkpoint.to_string(), witnessed }],
            receipts,
            alarms: Vec::new(),
        }
    }

    pub(crate) fn attachments(&self) -> Vec<AttachmentFile<'_>> {
        let one = |(sha256, bytes): (&Hash, &'_ Vec<u8>)| (*sha256, bytes.clone());
        self.files
            .iter()
            .map(one)
            .map(|(sha256, bytes)| AttachmentFile {
                sha256,
                size: bytes.len() as u64,
                open: Box::new(move || Ok(Box::new(std::io::Cursor::new(bytes)) as Box<dyn Read>)),
            })
            .collect()
    }

    pub(crate) fn sealed(&self, contents: &DossierContents) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_sealed(contents, self.attachments(), &self.parties[MOTIE].node, &mut bytes).unwrap();
        bytes
    }

    pub(crate) fn unsealed(&self, contents: &DossierContents) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(contents, self.attachments(), &mut bytes).unwrap();
        bytes
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.sealed(&self.contents())
    }

    pub(crate) fn anchors(&self) -> Vec<Anchor> {
        self.parties.iter().map(|p| Anchor::from(p.identity().fingerprint())).collect()
    }

    pub(crate) fn verdict(&self, bytes: &[u8]) -> Verdict {
        verify(bytes, &self.anchors(), &Limits::default())
    }
}

pub(crate) fn failed(verdict: &Verdict) -> Vec<&str> {
    verdict.claims.iter().filter(|c| c.is_failed()).map(|c| c.id.as_str()).collect()
}

pub(crate) fn unproved(verdict: &Verdict) -> Vec<&str> {
    verdict.claims.iter().filter(|c| !c.is_failed() && !c.is_proved()).map(|c| c.id.as_str()).collect()
}

pub(crate) fn show(verdict: &Verdict) -> String {
    hiwar_dossier::render_text(verdict, false)
}
