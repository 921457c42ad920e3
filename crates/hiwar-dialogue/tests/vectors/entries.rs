//! Entries that are to be refused, and some that are right.

use hiwar_dialogue::entry::write_envelope;
use hiwar_trust::hash::Hash;
use hiwar_trust::jcs;
use hiwar_trust::key::{KeyHolder as _, Signature};
use serde_json::{Value, json};

use super::negative::{Kind, edit};
use super::world::{MOTIE, MOTIE_NEXT, World, at, key};

pub(crate) fn vectors(world: &World, out: &mut Vec<Value>) {
    malformed_entries(world, out);
    openings(world, out);
    envelopes(world, out);
    judged_entries(world, out);
}

/// Bytes as an entry, signed under the key with this seed.
fn envelope(content: &[u8], seed: u8) -> Value {
    let key = key(seed);
    let mut line = Vec::new();
    write_envelope(content, key.public_key().id(), &key.sign(content).unwrap(), &mut line);
    json!({ "envelope": String::from_utf8(line).unwrap(), "now": at(90) })
}

fn entry(content: &Value, seed: u8) -> Value {
    envelope(&jcs::to_vec(content).unwrap(), seed)
}

/// A right entry: the statement once more, under the new key, an hour after the first entry.
fn base(world: &World) -> Value {
    let mut content: Value = serde_json::from_slice(&world.entry("statement").content).unwrap();
    content["nonce"] = json!("b0".repeat(16));
    content["time"] = json!(at(60));
    content["prev"] = json!([world.entry("acknowledgement").id]);
    content
}

fn malformed_entries(world: &World, out: &mut Vec<Value>) {
    let base = base(world);
    let mut kind = Kind { out, kind: "entry" };
    kind.add("right", None, entry(&base, MOTIE_NEXT));
    kind.add(
        "right, with members that nobody knows",
        None,
        entry(&edit(&base, "/data/mood", Some(json!([1]))), MOTIE_NEXT),
    );
    let texts = |n: usize| {
        (0..n)
            .map(|n| (format!("a{}", char::from(b'a' + n as u8)), json!("x")))
            .collect::<serde_json::Map<_, _>>()
    };
    let ids = |n: u8| {
        let mut ids: Vec<Hash> = (0..n).map(|n| Hash::of(&[n])).collect();
        ids.sort();
        json!(ids)
    };
    let deep = (0..16).fold(json!(0), |inner, _| json!([inner]));
    for (name, pointer, new) in [
        ("specversion", "/specversion", Some(json!("1.1"))),
        ("unknown type", "/type", Some(json!("org.hiwar.statement.v2"))),
        ("datacontenttype", "/datacontenttype", Some(json!("text/plain"))),
        ("source is no DID", "/source", Some(json!("did:web:motie.example."))),
        ("no desk", "/desk", None),
        ("blank desk", "/desk", Some(json!(" "))),
        ("desk of 201 bytes", "/desk", Some(json!("d".repeat(201)))),
        ("control character in the arrangement", "/arrangement", Some(json!("a\u{85}b"))),
        ("no dialogue", "/dialogue", None),
        ("no membership", "/membership", None),
        ("marking of TLP 1.0", "/marking", Some(json!("TLP:WHITE"))),
        ("time without milliseconds", "/time", Some(json!("2019-07-01T02:00:00Z"))),
        ("nonce in upper case", "/nonce", Some(json!("B0".repeat(16)))),
        ("nonce of 15 bytes", "/nonce", Some(json!("b0".repeat(15)))),
        ("prev repeats", "/prev", Some(json!([Hash::of(b"a"), Hash::of(b"a")]))),
        ("21 prev", "/prev", Some(ids(21))),
        ("33 attachments", "/attachments", Some(json!(vec![base["attachments"][0].clone(); 33]))),
        ("attachment as an array", "/attachments/0", Some(json!(["7.csv", "text/csv", 1, Hash::of(b"")]))),
        ("attachment name with a path", "/attachments/0/name", Some(json!("../7.csv"))),
        ("attachment name that starts with a dot", "/attachments/0/name", Some(json!(".7.csv"))),
        ("attachment name with a direction mark", "/attachments/0/name", Some(json!("7\u{202e}vsc.exe"))),
        ("attachment larger than 10 GiB", "/attachments/0/size", Some(json!(10_737_418_241_u64))),
        ("attachment of negative size", "/attachments/0/size", Some(json!(-1))),
        ("media type without a slash", "/attachments/0/mediaType", Some(json!("csv"))),
        (
            "digest in upper case",
            "/attachments/0/sha256",
            Some(json!(Hash::of(b"").to_string().to_uppercase())),
        ),
        ("no data", "/data", None),
        ("data as an array", "/data", Some(json!([{ "en": "x" }]))),
        ("no text", "/data/texts", Some(json!({}))),
        ("blank text", "/data/texts/en", Some(json!(" \n"))),
        ("text with a control character", "/data/texts/en", Some(json!("a\rb"))),
        ("language tag in upper case", "/data/texts/EN", Some(json!("x"))),
        ("17 languages", "/data", Some(json!({ "texts": texts(17) }))),
        ("prevailing language without a text", "/data/prevailing", Some(json!("fr"))),
        ("17 levels", "/x", Some(deep)),
    ] {
        kind.refuse(name, "malformed", entry(&edit(&base, pointer, new), MOTIE_NEXT));
    }
    let files = edit(&edit(&base, "/type", Some(json!("org.hiwar.attachment.v1"))), "/attachments", None);
    kind.refuse("attachment entry without files", "malformed", entry(&files, MOTIE_NEXT));
    kind.refuse("array of the members", "malformed", entry(&json!(["1.0"]), MOTIE_NEXT));
    let text = String::from_utf8(jcs::to_vec(&base).unwrap()).unwrap();
    for (name, changed) in [
        ("space", text.replacen("\":", "\": ", 1)),
        ("member twice", text.replacen("{\"arrangement\"", "{\"arrangement\":\"x\",\"arrangement\"", 1)),
        ("members out of order", text.replacen("{\"arrangement\"", "{\"z\":1,\"arrangement\"", 1)),
        ("integer beyond 2^53", text.replacen("\"type\":", "\"sum\":9007199254740993,\"type\":", 1)),
    ] {
        assert_ne!(changed, text, "{name}");
        kind.refuse(name, "malformed", envelope(changed.as_bytes(), MOTIE_NEXT));
    }
}

/// Entries that open a dialogue, or change its membership.
fn openings(world: &World, out: &mut Vec<Value>) {
    let mut opening: Value = serde_json::from_slice(&world.entry("opening").content).unwrap();
    opening["nonce"] = json!("b1".repeat(16));
    let (motie, meti, third) = ("did:web:motie.example", world.meti.did.as_str(), "did:web:third.example");
    let id = world.dialogue();
    let mut kind = Kind { out, kind: "entry" };
    kind.add("right opening", None, entry(&opening, MOTIE_NEXT));
    for (name, pointer, new) in [
        ("opening with one party", "/data/parties", json!([motie])),
        ("opening with unsorted parties", "/data/parties", json!([motie, meti])),
        ("opening without its author", "/data/parties", json!([meti, third])),
        ("opening with a prev", "/prev", json!([id])),
        ("opening that names a dialogue", "/dialogue", json!(id)),
        ("opening marked above its cap", "/marking", json!("TLP:RED")),
        ("opening without a title", "/data/title", json!({})),
        ("change that replaces another membership than it stands under", "/data/replaces", json!(id)),
    ] {
        kind.refuse(name, "malformed", entry(&edit(&opening, pointer, Some(new)), MOTIE_NEXT));
    }
    let others = edit(&opening, "/data/parties", Some(json!([motie, third])));
    kind.refuse("opening of a dialogue of others", "not-asked-for", entry(&others, MOTIE_NEXT));
}

fn envelopes(world: &World, out: &mut Vec<Value>) {
    let good = entry(&base(world), MOTIE_NEXT)["envelope"].as_str().unwrap().to_owned();
    let mut kind = Kind { out, kind: "entry" };
    let now = at(90);
    let spaced = good.replacen("{\"entry\":", "{ \"entry\" : ", 1);
    kind.add("right, with spaces around the entry", None, json!({ "envelope": spaced, "now": now }));
    let without = |member: &str| {
        let mut envelope: Value = serde_json::from_str(&good).unwrap();
        envelope.as_object_mut().unwrap().remove(member);
        String::from_utf8(jcs::to_vec(&envelope).unwrap()).unwrap()
    };
    for (name, changed) in [
        ("envelope as an array", good.replacen('{', "[", 1)),
        ("envelope without a key", without("key")),
        ("envelope without a signature", without("signature")),
        ("envelope without an entry", without("entry")),
        ("signature of 63 bytes", good.replace("==\"}", "\"}")),
    ] {
        kind.refuse(name, "malformed", json!({ "envelope": changed, "now": now }));
    }
}

/// L, the order of the base point (RFC 8032 section 5.1), little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Well-formed entries that are refused for what they are.
fn judged_entries(world: &World, out: &mut Vec<Value>) {
    let base = base(world);
    let content = jcs::to_vec(&base).unwrap();
    let other = Hash::of(b"another");
    let late = at(90).plus_millis(24 * 60 * 60 * 1000 + 1);
    let mut kind = Kind { out, kind: "entry" };
    for (name, refused, pointer, new, seed) in [
        ("unknown author", "unknown-author", "/source", json!("did:web:nobody.example"), MOTIE_NEXT),
        ("key of no card", "unknown-key", "/nonce", json!("b2".repeat(16)), 99),
        ("node key", "unknown-key", "/nonce", json!("b2".repeat(16)), MOTIE.node),
        ("revoked key", "revoked-key", "/nonce", json!("b3".repeat(16)), MOTIE.organisation),
        (
            "revoked key, claimed time before the theft",
            "revoked-key",
            "/time",
            json!(at(35)),
            MOTIE.organisation,
        ),
        ("more than a day ahead", "future-dated", "/time", json!(late), MOTIE_NEXT),
        ("membership not held", "unknown-membership", "/membership", json!(other), MOTIE_NEXT),
        ("another dialogue", "wrong-dialogue", "/dialogue", json!(other), MOTIE_NEXT),
        ("another arrangement", "wrong-dialogue", "/arrangement", json!("Another"), MOTIE_NEXT),
        ("above the cap", "above-cap", "/marking", json!("TLP:AMBER+STRICT"), MOTIE_NEXT),
    ] {
        kind.refuse(name, refused, entry(&edit(&base, pointer, Some(new)), seed));
    }
    let key = key(MOTIE_NEXT);
    let good = *key.sign(&content).unwrap().as_bytes();
    let mut flipped = good;
    flipped[10] ^= 1;
    let mut plus_order = good;
    let mut carry = 0_u16;
    for (byte, order) in plus_order[32..].iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(order);
        *byte = carry as u8;
        carry >>= 8;
    }
    let elsewhere = *key.sign(b"something else").unwrap().as_bytes();
    for (name, signature) in [
        ("one bit of the signature", flipped),
        ("S beyond the order of the group", plus_order),
        ("signature of something else", elsewhere),
    ] {
        let mut line = Vec::new();
        write_envelope(&content, key.public_key().id(), &Signature::from_bytes(signature), &mut line);
        let line = String::from_utf8(line).unwrap();
        kind.refuse(name, "wrong-signature", json!({ "envelope": line, "now": at(90) }));
    }
}
