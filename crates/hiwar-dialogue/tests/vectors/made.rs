//! The vectors that are to be accepted.

use hiwar_dialogue::entry::SignedEntry;
use hiwar_dialogue::wire::{PROTOCOL, Reply};
use hiwar_trust::checkpoint::Checkpoint;
use hiwar_trust::hash::Hash;
use hiwar_trust::httpsig::{self, ReceivedSignature, RequestParts, ResponseParts};
use hiwar_trust::identity::{Identity, SignedCard};
use hiwar_trust::invitation::Invitation;
use hiwar_trust::jcs::{self, JsonLimits};
use hiwar_trust::key::{KeyHolder as _, SoftwareKey};
use hiwar_trust::merkle;
use hiwar_trust::note::{SignatureKind, VerifierKey};
use hiwar_trust::receipt::{ItemKind, Receipt, ReceiptItem, SignedReceipt, key_name};
use hiwar_trust::tiles::{LogTail, TailReader, TileIndex};
use hiwar_trust::words;
use serde_json::{Value, json};

use super::world::{FILE, METI, MOTIE, MOTIE_NEXT, World, at, key};

/// Limits that no vector reaches.
pub(crate) const ANY: JsonLimits = JsonLimits { bytes_max: 1 << 20, depth_max: 64, members_max: 1 << 16 };
/// The session of the HTTP vectors.
pub(crate) const SESSION: &str = "00112233445566778899aabbccddeeff";

pub(crate) fn vectors(world: &mut World) -> Value {
    json!({
        "protocol": PROTOCOL,
        "keys": keys(),
        "json": canonical_json(),
        "cards": cards(world),
        "invitation": Invitation::new(Identity::clone(world.motie.engine.identity())).to_string(),
        "attachment": { "text": String::from_utf8_lossy(FILE), "sha256": Hash::of(FILE), "size": FILE.len() },
        "entries": world.entries.iter().map(|(name, signed)| entry(name, signed)).collect::<Vec<_>>(),
        "membership": membership(world),
        "log": log(world),
        "checkpoint": checkpoint(world),
        "receipt": receipt_vector(world),
        "http": [http_batch(world), http_part(world)],
        "exchanges": world.exchanges.iter().map(|e| json!({
            "from": e.from, "to": e.to, "batch": e.batch, "reply": e.reply,
        })).collect::<Vec<_>>(),
    })
}

fn keys() -> Value {
    let named = [
        ("motie organisation, first", MOTIE.organisation),
        ("motie organisation, second", MOTIE_NEXT),
        ("motie node", MOTIE.node),
        ("motie recovery", MOTIE.recovery),
        ("meti organisation", METI.organisation),
        ("meti node", METI.node),
        ("meti recovery", METI.recovery),
    ];
    let one = |(name, seed): (&str, u8)| {
        let key = key(seed);
        json!({ "name": name, "seed": hex::encode([seed; 32]), "public": key.public_key(), "id": key.public_key().id() })
    };
    named.into_iter().map(one).collect()
}

/// Source of the first two: RFC 8785 sections 3.2.2 and 3.2.3.
fn canonical_json() -> Value {
    let given = [
        (
            "rfc-8785-numbers-and-escapes",
            r#"{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
                "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}"#,
        ),
        (
            "rfc-8785-order-of-utf-16-code-units",
            r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",
                "\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#,
        ),
        (
            "numbers",
            "[0, -0.0, 1.0, -1, 9007199254740991, 9007199254740992, 9007199254740994, 1e20, 1e21, 1e-6, 1e-7, 5e-324, \
              1.7976931348623157e308, 0.1, 123456789012345680000]",
        ),
    ];
    let one = |(name, text): (&str, &str)| {
        let value = jcs::parse_any(text.as_bytes(), ANY).unwrap();
        let canonical = String::from_utf8(jcs::to_vec(&value).unwrap()).unwrap();
        json!({ "name": name, "text": text, "canonical": canonical })
    };
    given.into_iter().map(one).collect()
}

fn card(name: &str, signed: &SignedCard) -> Value {
    let fingerprint = signed.card.fingerprint();
    json!({
        "name": name,
        "signed": signed,
        "canonical": String::from_utf8(signed.card.canonical().unwrap()).unwrap(),
        "hash": signed.card.hash().unwrap(),
        "fingerprint": fingerprint,
        "words": words::fingerprint_words(&fingerprint),
        "document": signed.card.did.document_url(),
    })
}

fn cards(world: &World) -> Value {
    let motie = world.motie.engine.identity().cards();
    let meti = world.meti.engine.identity().cards();
    json!([card("motie 0", &motie[0]), card("motie 1", &motie[1]), card("meti 0", &meti[0])])
}

fn entry(name: &str, signed: &SignedEntry) -> Value {
    let mut envelope = Vec::new();
    signed.write_envelope(&mut envelope);
    json!({
        "name": name,
        "author": signed.entry.author,
        "canonical": String::from_utf8_lossy(&signed.content),
        "id": signed.id,
        "key": signed.key,
        "signature": signed.signature,
        "envelope": String::from_utf8(envelope).unwrap(),
        "leaf": { "data": format!("entry {}", signed.id), "hash": merkle::leaf_hash(format!("entry {}", signed.id).as_bytes()) },
    })
}

/// Both nodes see the same membership in force.
fn membership(world: &World) -> Value {
    let seen = [&world.motie, &world.meti].map(|node| {
        let record = node.engine.dialogue(&world.dialogue()).unwrap();
        let state = record.current().unwrap();
        json!({
            "dialogue": record.id, "current": record.current, "open": record.is_open(),
            "parties": state.membership.parties, "assents": state.assents, "heads": record.heads,
        })
    });
    assert_eq!(seen[0], seen[1], "the nodes agree");
    seen[0].clone()
}

fn log(world: &World) -> Value {
    let leaves = &world.motie.store.leaves;
    let hashes: Vec<Hash> = leaves.iter().map(|data| merkle::leaf_hash(data.as_bytes())).collect();
    let roots: Vec<Value> =
        (0..=hashes.len()).map(|n| json!({ "size": n, "root": merkle::root(&hashes[..n]) })).collect();
    let mut tail = LogTail::new();
    for hash in &hashes {
        assert!(tail.append(*hash).full_tiles.is_empty(), "the log has one partial tile");
    }
    assert_eq!(world.motie.engine.checkpoint().unwrap().root(), tail.root());
    let inclusion = |index: u64, size: usize| json!({ "index": index, "size": size, "proof": merkle::inclusion_proof(&hashes[..size], index).unwrap() });
    let consistency = |from: u64, to: usize| {
        let mut tail = LogTail::new();
        hashes[..to].iter().for_each(|hash| drop(tail.append(*hash)));
        let none = |tile: TileIndex| Err(merkle::ReadError::Missing { tile });
        let reader = TailReader { tail: &tail, stored: &none };
        json!({ "from": from, "to": to, "proof": merkle::consistency_proof_from(&reader, from, to as u64).unwrap() })
    };
    let all = hashes.len();
    json!({
        "origin": world.motie.engine.identity().latest().log_origin,
        "leaves": leaves.iter().zip(&hashes).map(|(data, hash)| json!({ "data": data, "hash": hash })).collect::<Vec<_>>(),
        "roots": roots,
        "inclusion": [inclusion(0, 1), inclusion(0, all), inclusion(2, 3), inclusion(4, 7), inclusion(all as u64 - 1, all)],
        "consistency": [consistency(1, all), consistency(3, 7), consistency(4, all), consistency(6, all), consistency(all as u64, all)],
        "tile": { "path": format!("tile/0/000.p/{all}"), "hex": hex::encode(hiwar_trust::tiles::encode_tile(&hashes)) },
    })
}

fn vkey(name: &str, kind: SignatureKind, key: &SoftwareKey) -> String {
    VerifierKey { name: name.parse().unwrap(), kind, key: key.public_key().clone() }.to_string()
}

/// The first checkpoint of motie's log that meti cosigned, from the very reply that brought it.
pub(crate) fn checkpoint(world: &World) -> Value {
    let reply: Reply = serde_json::from_str(&world.exchanges[0].reply).unwrap();
    let cosigned = reply.briefing.cosigned.unwrap();
    let origin = &world.motie.engine.identity().latest().log_origin;
    let (body, _) = cosigned.rsplit_once("\u{2014} ").unwrap();
    json!({
        "note": body,
        "cosigned": cosigned,
        "log_key": vkey(origin, SignatureKind::Note, &key(MOTIE.node)),
        "cosigner_key": vkey(world.meti.did.as_str(), SignatureKind::Cosignature, &key(METI.node)),
        "cosigned_at": at(2).as_seconds(),
    })
}

/// A receipt by meti over five things.
pub(crate) fn receipt(world: &World) -> SignedReceipt {
    let mut items: Vec<ReceiptItem> = world
        .entries
        .iter()
        .enumerate()
        .map(|(n, (_, e))| ReceiptItem { kind: ItemKind::Entry, hash: e.id.0, leaf: 2 + n as u64 })
        .collect();
    items[4] = ReceiptItem { kind: ItemKind::Attachment, hash: Hash::of(FILE), leaf: 8 };
    let log = Checkpoint::new("did:web:meti.example%3A7400:trade/log/1", 9, Hash::of(b"a log")).unwrap();
    let receipt =
        Receipt { issuer: world.meti.did.clone(), to: world.motie.did.clone(), time: at(50), log, items };
    receipt.sign(&key(world.meti.node_seed)).unwrap()
}

pub(crate) fn receipt_vector(world: &World) -> Value {
    let signed = receipt(world);
    let hashes = signed.receipt.item_hashes();
    json!({
        "note": signed.note,
        "items": signed.receipt.items.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "root": merkle::root(&hashes),
        "issuer_key": vkey(key_name(&world.meti.did).unwrap().as_ref(), SignatureKind::Note, &key(METI.node)),
        "leaf": format!("receipt {}", Hash::of(signed.note.as_bytes())),
        "single": {
            "index": 2, "item": signed.receipt.items[2].to_string(), "proof": merkle::inclusion_proof(&hashes, 2).unwrap(),
        },
    })
}

/// A request and the answer to it, both signed.
fn http(parts: &RequestParts<'_>, body: &str, answer: &str, minutes: i64) -> Value {
    let (sender, answerer) = (key(MOTIE.node), key(METI.node));
    let headers = httpsig::sign_request(parts, at(minutes), &sender).unwrap();
    let base = httpsig::request_base(parts, at(minutes).as_seconds(), sender.public_key().id()).unwrap();
    let received = ReceivedSignature::of_request(&headers.signature_input, &headers.signature).unwrap();
    let digest = httpsig::content_digest(&Hash::of(answer.as_bytes()));
    let answered =
        ResponseParts { status: 200, content_digest: &digest, request_signature: &received.signature };
    let answer_headers = httpsig::sign_response(&answered, at(minutes), &answerer).unwrap();
    let answer_base =
        httpsig::response_base(&answered, at(minutes).as_seconds(), answerer.public_key().id()).unwrap();
    json!({
        "request": {
            "method": parts.method, "target": parts.path_and_query, "body": body,
            "headers": {
                "content-digest": parts.content_digest, "hiwar-destination": parts.destination,
                "hiwar-session": parts.session, "hiwar-sequence": parts.sequence,
                "signature-input": headers.signature_input, "signature": headers.signature,
            },
            "base": base.text, "key": sender.public_key(),
        },
        "response": {
            "status": 200, "body": answer,
            "headers": { "content-digest": digest, "signature-input": answer_headers.signature_input, "signature": answer_headers.signature },
            "base": answer_base.text, "key": answerer.public_key(),
        },
    })
}

pub(crate) fn http_batch(world: &World) -> Value {
    let exchange = &world.exchanges[0];
    let digest = httpsig::content_digest(&Hash::of(exchange.batch.as_bytes()));
    let parts = RequestParts {
        method: "POST",
        path_and_query: "/hiwar/v1/batch",
        content_digest: &digest,
        destination: exchange.to.as_str(),
        session: SESSION,
        sequence: "1",
    };
    http(&parts, &exchange.batch, &exchange.reply, 2)
}

pub(crate) fn http_part(world: &World) -> Value {
    let body = String::from_utf8_lossy(FILE);
    let digest = httpsig::content_digest(&Hash::of(FILE));
    let target = format!("/hiwar/v1/attachments/write?sha256={}&offset=0", Hash::of(FILE));
    let parts = RequestParts {
        method: "POST",
        path_and_query: &target,
        content_digest: &digest,
        destination: world.meti.did.as_str(),
        session: SESSION,
        sequence: "18446744073709551615",
    };
    http(&parts, &body, &format!("{{\"offset\":{}}}", FILE.len()), 43)
}
