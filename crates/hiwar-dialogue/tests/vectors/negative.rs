//! The vectors that are to be refused: each is nearly right and wrong in one place. Some are right
//! (`"refused": null`), so that a verifier that refuses everything is found out.

use hiwar_trust::checkpoint::Checkpoint;
use hiwar_trust::hash::Hash;
use hiwar_trust::key::KeyHolder as _;
use hiwar_trust::{jcs, merkle};
use serde_json::{Value, json};

use super::world::{METI, MOTIE, MOTIE_NEXT, World, at, key};
use super::{entries, made};

/// A list of vectors of one kind.
pub(crate) struct Kind<'a> {
    pub(crate) out: &'a mut Vec<Value>,
    pub(crate) kind: &'static str,
}

impl Kind<'_> {
    pub(crate) fn add(&mut self, name: &str, refused: Option<&str>, input: Value) {
        let mut vector =
            json!({ "name": format!("{}: {name}", self.kind), "kind": self.kind, "refused": refused });
        vector.as_object_mut().unwrap().extend(input.as_object().unwrap().clone());
        self.out.push(vector);
    }

    pub(crate) fn refuse(&mut self, name: &str, refused: &str, input: Value) {
        self.add(name, Some(refused), input);
    }

    fn texts(&mut self, texts: &[&str]) {
        texts.iter().for_each(|text| self.refuse(&format!("{text:?}"), "malformed", json!({ "text": text })));
    }
}

pub(crate) fn vectors(world: &World) -> Vec<Value> {
    let mut out = Vec::new();
    small_things(&mut out);
    json_texts(&mut out);
    cards(world, &mut out);
    invitations(world, &mut out);
    entries::vectors(world, &mut out);
    trees(world, &mut out);
    notes(world, &mut out);
    receipts(world, &mut out);
    http(world, &mut out);
    batches(world, &mut out);
    out
}

fn small_things(out: &mut Vec<Value>) {
    Kind { out, kind: "did" }.texts(&[
        "did:key:z6Mk",
        "did:web:",
        "did:web:A.example",
        "did:web:a.",
        "did:web:a..b",
        "did:web:-a",
        "did:web:a/b",
        "did:web:a%3A0",
        "did:web:a%3A0443",
        "did:web:a%3a443",
        "did:web:a%3A65536",
        "did:web:a:",
        "did:web:a:..",
        "did:web:a:b%20c",
    ]);
    Kind { out, kind: "time" }.texts(&[
        "2019-07-01T01:00:00Z",
        "2019-07-01T01:00:00.00Z",
        "2019-07-01T01:00:00.000+00:00",
        "2019-07-01t01:00:00.000z",
        "2019-02-29T01:00:00.000Z",
        "2019-07-01 01:00:00.000Z",
        "9999-01-01T00:00:00.000Z",
    ]);
    let id = Hash::of(b"").to_string();
    Kind { out, kind: "hash" }.texts(&[
        &id.to_uppercase(),
        id.split_at(62).0,
        &format!("{id}00"),
        &"g".repeat(64),
    ]);
    let (weak, mut unreduced, mut off) = ([0_u8; 32], [0xff_u8; 32], [0_u8; 32]);
    (unreduced[0], unreduced[31], off[0]) = (0xf0, 0x7f, 2);
    let encode = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    let good = key(1).public_key().to_string();
    Kind { out, kind: "key" }.texts(&[
        &format!("ed25519:{}", encode(&weak)),
        &format!("ed25519:{}", encode(&unreduced)),
        &format!("ed25519:{}", encode(&off)),
        &format!("ed25519:{}", encode(&[7; 31])),
        good.trim_end_matches('='),
        &good.replacen("ed25519:", "Ed25519:", 1),
        &good.replacen("ed25519:", "", 1),
    ]);
    Kind { out, kind: "tile" }.texts(&[
        "tile/0/67",
        "tile/0/x067",
        "tile/00/067",
        "tile/0/067.p/0",
        "tile/0/067.p/256",
        "tile/0/001/x234/067",
        "tile/8/000",
        "tile/entries/067",
    ]);
}

fn json_texts(out: &mut Vec<Value>) {
    let deep = format!("{}{}", "[".repeat(17), "]".repeat(17));
    let wide = format!("[{}0]", "0,".repeat(4096));
    Kind { out, kind: "json" }.texts(&[
        "",
        "{",
        "{\"b\":1,\"a\":2}",
        "{\"a\":1,\"a\":1}",
        "{\"a\": 1}",
        "{\"a\":1}\n",
        "\u{feff}{}",
        "[1.0]",
        "[1e3]",
        "[01]",
        "[-0]",
        "[+1]",
        "[9007199254740993]",
        "[9223372036854775808]",
        "[9223372036854776000]",
        "[1E400]",
        "[NaN]",
        "[\"\\u0041\"]",
        "[\"\\/\"]",
        "[\"\\u001F\"]",
        "[\"\t\"]",
        "[\"\\ud83d\"]",
        "{\"\u{fb33}\":1,\"\u{1f600}\":2}",
        "[1,]",
        "{\"$serde_json::private::x\":1}",
        &deep,
        &wide,
    ]);
    let mut kind = Kind { out, kind: "json" };
    kind.add(
        "right",
        None,
        json!({ "text": "{\"\u{1f600}\":[2,0.1,1e+21,true,null],\"\u{fb33}\":\"\\u001f\\n\u{7f}\"}" }),
    );
    kind.add("integers that a double holds", None, json!({ "text": "[9007199254740992,9007199254740994]" }));
}

/// Sets the member at a pointer, or takes it away.
pub(crate) fn edit(value: &Value, pointer: &str, new: Option<Value>) -> Value {
    let mut value = value.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = value.pointer_mut(parent).unwrap();
    match (parent, new) {
        (Value::Object(members), Some(new)) => drop(members.insert(name.to_owned(), new)),
        (Value::Object(members), None) => drop(members.remove(name)),
        (Value::Array(elements), Some(new)) => elements[name.parse::<usize>().unwrap()] = new,
        (other, _) => panic!("{pointer} does not lead into {other}"),
    }
    value
}

/// A card as JSON with the signatures of keys from seeds.
fn signed_card(card: &Value, seeds: &[u8]) -> Value {
    let bytes = jcs::to_vec(card).unwrap();
    let sign = |seed: &u8| {
        let key = key(*seed);
        json!({ "key": key.public_key().id(), "value": key.sign(&bytes).unwrap() })
    };
    json!({ "card": card, "signatures": seeds.iter().map(sign).collect::<Vec<_>>() })
}

fn cards(world: &World, out: &mut Vec<Value>) {
    let chain = serde_json::to_value(world.motie.engine.identity().cards()).unwrap();
    let (zero, one) = (&chain[0]["card"], &chain[1]["card"]);
    let (first, second) = (chain[0].clone(), chain[1].clone());
    let mut kind = Kind { out, kind: "cards" };
    let organisation = [MOTIE.organisation];
    for (name, refused, pointer, new) in [
        ("type", "wrong-type", "/type", json!("org.hiwar.card.v2")),
        ("empty name", "bad-member", "/name", json!(" ")),
        ("control character in the name", "bad-member", "/name", json!("a\u{7}b")),
        ("endpoint of another scheme", "bad-member", "/endpoints", json!(["ftp://motie.example"])),
        ("space in the log's origin", "bad-member", "/logOrigin", json!("did:web:motie.example/log 1")),
        ("first card is not 0", "broken-chain", "/sequence", json!(1)),
        ("first card has a previous", "broken-chain", "/previous", json!(Hash::of(b""))),
        ("signed over a member that no reader keeps", "missing-signature", "/motto", json!("unity")),
        (
            "revokes itself",
            "broken-chain",
            "/revoked",
            json!([{ "key": key(1).public_key().id(), "since": at(0), "reason": "" }]),
        ),
    ] {
        kind.refuse(
            name,
            refused,
            json!({ "cards": [signed_card(&edit(zero, pointer, Some(new)), &organisation)] }),
        );
    }
    kind.refuse("none", "length", json!({ "cards": [] }));
    kind.refuse(
        "signed by the node key",
        "missing-signature",
        json!({ "cards": [signed_card(zero, &[MOTIE.node])] }),
    );
    let mut altered = first.clone();
    altered["card"]["name"] = json!("산업부");
    kind.refuse("changed after it was signed", "missing-signature", json!({ "cards": [altered] }));
    kind.refuse(
        "one is left out",
        "broken-chain",
        json!({ "cards": [first, signed_card(&edit(one, "/sequence", Some(json!(2))), &[1, 7])] }),
    );
    for (name, refused, card, seeds) in [
        ("old key did not sign", "missing-signature", one.clone(), vec![MOTIE_NEXT]),
        ("new key did not sign", "missing-signature", one.clone(), vec![MOTIE.organisation]),
        (
            "previous is another card",
            "broken-chain",
            edit(one, "/previous", Some(json!(Hash::of(b"")))),
            vec![1, 7],
        ),
        (
            "names another participant",
            "broken-chain",
            edit(one, "/did", Some(json!("did:web:meti.example"))),
            vec![1, 7],
        ),
        ("five signatures", "bad-member", one.clone(), vec![1, 7, 2, 3, 4]),
    ] {
        kind.refuse(name, refused, json!({ "cards": [first, signed_card(&card, &seeds)] }));
    }
    let third = edit(
        &edit(one, "/sequence", Some(json!(2))),
        "/previous",
        Some(json!(Hash::of(&jcs::to_vec(one).unwrap()))),
    );
    let dropped = signed_card(&edit(&third, "/revoked", None), &[MOTIE_NEXT]);
    kind.refuse("drops a revocation", "broken-chain", json!({ "cards": [first, second, dropped] }));
    kind.add(
        "three that follow",
        None,
        json!({ "cards": [first, second, signed_card(&third, &[MOTIE_NEXT])] }),
    );
    kind.add(
        "recovery key in place of the old key",
        None,
        json!({ "cards": [first, signed_card(one, &[MOTIE.recovery, MOTIE_NEXT])] }),
    );
}

fn invitations(world: &World, out: &mut Vec<Value>) {
    let cards = world.motie.engine.identity().cards();
    let mut kind = Kind { out, kind: "invitation" };
    let good = json!({ "type": "org.hiwar.invitation.v1", "cards": cards });
    for (name, value) in [
        ("type", edit(&good, "/type", Some(json!("org.hiwar.card.v1")))),
        ("a member more", edit(&good, "/note", Some(json!(1)))),
        ("no cards", edit(&good, "/cards", Some(json!([])))),
    ] {
        kind.refuse(name, "malformed", json!({ "text": value.to_string() }));
    }
    kind.refuse("text behind it", "malformed", json!({ "text": format!("{good} x") }));
    kind.add("right", None, json!({ "text": format!("{good}\n") }));
}

fn trees(world: &World, out: &mut Vec<Value>) {
    let hashes: Vec<Hash> =
        world.motie.store.leaves.iter().map(|data| merkle::leaf_hash(data.as_bytes())).collect();
    let root = |n: usize| json!(merkle::root(&hashes[..n]));
    let proof = merkle::inclusion_proof(&hashes[..7], 4).unwrap();
    let mut longer = proof.clone();
    longer.push(Hash::of(b""));
    let good = json!({ "leaf": hashes[4], "index": 4, "size": 7, "proof": proof, "root": root(7) });
    let mut kind = Kind { out, kind: "inclusion" };
    kind.add("right", None, good.clone());
    for (name, pointer, new) in [
        ("another position", "/index", json!(5)),
        ("another leaf", "/leaf", json!(hashes[5])),
        ("position beyond the tree", "/index", json!(7)),
        ("a hash too few", "/proof", json!(proof[1..])),
        ("a hash too many", "/proof", json!(longer)),
        ("another root", "/root", root(6)),
    ] {
        kind.refuse(name, "proof", edit(&good, pointer, Some(new)));
    }
    let mut kind = Kind { out, kind: "consistency" };
    // From 4 to 7 leaves: the one complete subtree to the right of the earlier tree.
    let step = json!([merkle::root(&hashes[4..7])]);
    let good = json!({ "from": 4, "from_root": root(4), "to": 7, "to_root": root(7), "proof": step });
    kind.add("right", None, good.clone());
    for (name, pointer, new) in [
        ("another earlier root", "/from_root", root(3)),
        ("another later root", "/to_root", root(6)),
        ("sizes the wrong way round", "/from", json!(8)),
        ("no hashes", "/proof", json!([])),
        ("a hash too many", "/proof", json!([merkle::root(&hashes[4..7]), Hash::of(b"")])),
        ("equal sizes, other roots", "/from", json!(7)),
    ] {
        kind.refuse(name, "proof", edit(&good, pointer, Some(new)));
    }
}

fn notes(world: &World, out: &mut Vec<Value>) {
    let shown = made::checkpoint(world);
    let (note, cosigned) = (shown["note"].as_str().unwrap(), shown["cosigned"].as_str().unwrap());
    let (log_key, cosigner) = (&shown["log_key"], &shown["cosigner_key"]);
    let mut kind = Kind { out, kind: "checkpoint" };
    kind.add("right", None, json!({ "note": note, "vkey": log_key }));
    for (name, changed) in [
        ("no blank line", note.replacen("\n\n", "\n", 1)),
        ("cut off", note.trim_end().to_owned()),
        ("another size", note.replacen("\n3\n", "\n4\n", 1)),
        ("size with a leading zero", note.replacen("\n3\n", "\n03\n", 1)),
        ("a hyphen for the dash", note.replacen('\u{2014}', "-", 1)),
        ("two spaces", note.replacen("\u{2014} ", "\u{2014}  ", 1)),
        ("tab in the text", note.replacen("/log/1\n", "/log/1\t\n", 1)),
    ] {
        assert_ne!(changed, note, "{name}");
        kind.refuse(name, "note", json!({ "note": changed, "vkey": log_key }));
    }
    let origin = world.motie.engine.identity().latest().log_origin.clone();
    let checkpoint = Checkpoint::new(&origin, 2, Hash::of(b"x")).unwrap();
    let stranger = checkpoint.sign(&origin.parse().unwrap(), &key(99)).unwrap().to_string();
    kind.refuse("signed by a stranger", "note", json!({ "note": stranger, "vkey": log_key }));
    let mut kind = Kind { out, kind: "cosignature" };
    kind.add("right", None, json!({ "note": cosigned, "vkey": cosigner }));
    kind.refuse("not there", "note", json!({ "note": note, "vkey": cosigner }));
    let line = checkpoint.cosign(&world.meti.did.as_str().parse().unwrap(), &key(METI.node), 7).unwrap();
    kind.refuse(
        "of another checkpoint",
        "note",
        json!({ "note": format!("{note}{line}\n"), "vkey": cosigner }),
    );
}

fn receipts(world: &World, out: &mut Vec<Value>) {
    let signed = made::receipt(world);
    let items: Vec<String> = signed.receipt.items.iter().map(ToString::to_string).collect();
    let vkey = made::receipt_vector(world)["issuer_key"].clone();
    let mut kind = Kind { out, kind: "receipt" };
    let mut add = |name: &str, refused: Option<&str>, note: &str, items: &[String]| {
        kind.add(name, refused, json!({ "note": note, "items": items, "vkey": vkey }));
    };
    add("right", None, &signed.note, &items);
    let mut swapped = items.clone();
    swapped.swap(0, 1);
    add("items in another order", Some("receipt"), &signed.note, &swapped);
    add("an item left out", Some("receipt"), &signed.note, &items[1..]);
    let mut moved = items.clone();
    moved[0] = format!("{}0", moved[0]);
    add("an item with another leaf", Some("receipt"), &signed.note, &moved);
    add(
        "to another participant",
        Some("receipt"),
        &signed.note.replacen("to did:web:motie", "to did:web:other", 1),
        &items,
    );
    let mut beyond = signed.receipt.clone();
    beyond.items[0].leaf = beyond.log.size();
    let lines: Vec<String> = beyond.items.iter().map(ToString::to_string).collect();
    add("a leaf beyond the log", Some("receipt"), &beyond.sign(&key(METI.node)).unwrap().note, &lines);
    add(
        "signed by a stranger",
        Some("receipt"),
        &signed.receipt.clone().sign(&key(99)).unwrap().note,
        &items,
    );
    let (text, _) = signed.note.rsplit_once("\n\n").unwrap();
    let name = world.meti.did.as_str().parse().unwrap();
    let seven = hiwar_trust::note::Note::sign(&format!("{text}\nmore\n"), &name, &key(METI.node)).unwrap();
    add("a seventh line", Some("receipt"), &seven.to_string(), &items);
}

fn http(world: &World, out: &mut Vec<Value>) {
    let exchange = made::http_part(world);
    let request = &exchange["request"];
    let input = request["headers"]["signature-input"].as_str().unwrap();
    let mut kind = Kind { out, kind: "request" };
    kind.add("right", None, request.clone());
    for (name, pointer, new) in [
        ("another method", "/method", json!("PUT")),
        (
            "another offset",
            "/target",
            json!(request["target"].as_str().unwrap().replace("offset=0", "offset=1")),
        ),
        ("another body", "/body", json!("month,tonnes\n2019-07,9\n")),
        ("another destination", "/headers/hiwar-destination", json!("did:web:other.example")),
        ("another session", "/headers/hiwar-session", json!("0".repeat(32))),
        ("another number", "/headers/hiwar-sequence", json!("2")),
        ("another label", "/headers/signature-input", json!(input.replacen("hiwar=", "sig1=", 1))),
        (
            "another order of components",
            "/headers/signature-input",
            json!(input.replacen("\"@path\" \"@query\"", "\"@query\" \"@path\"", 1)),
        ),
        ("a component left out", "/headers/signature-input", json!(input.replacen("\"@method\" ", "", 1))),
        ("a parameter more", "/headers/signature-input", json!(format!("{input};expires=1"))),
        (
            "created with a leading zero",
            "/headers/signature-input",
            json!(input.replacen("created=", "created=0", 1)),
        ),
        ("no algorithm", "/headers/signature-input", json!(input.replacen(";alg=\"ed25519\"", "", 1))),
        (
            "digest of SHA-512",
            "/headers/content-digest",
            json!(request["headers"]["content-digest"].as_str().unwrap().replace("256", "512")),
        ),
    ] {
        kind.refuse(name, "request", edit(request, pointer, Some(new)));
    }
    let mut kind = Kind { out, kind: "response" };
    let mut response = exchange["response"].clone();
    response["request_signature"] = request["headers"]["signature"].clone();
    kind.add("right", None, response.clone());
    let other = &made::http_batch(world)["request"]["headers"]["signature"];
    for (name, pointer, new) in [
        ("another status", "/status", json!(204)),
        ("another body", "/body", json!("{\"offset\":0}")),
        ("answers another request", "/request_signature", other.clone()),
    ] {
        kind.refuse(name, "response", edit(&response, pointer, Some(new)));
    }
}

fn batches(world: &World, out: &mut Vec<Value>) {
    let batch = &world.exchanges[0].batch;
    let (header, rest) = batch.split_once('\n').unwrap();
    let value: Value = serde_json::from_str(header).unwrap();
    let mut kind = Kind { out, kind: "batch" };
    kind.add("right", None, json!({ "text": batch }));
    for (name, header) in [
        ("another protocol", edit(&value, "/protocol", Some(json!("hiwar/2"))).to_string()),
        ("an entry too few", edit(&value, "/entries", Some(json!(2))).to_string()),
        ("an entry too many", edit(&value, "/entries", Some(json!(0))).to_string()),
        ("more entries than may be", edit(&value, "/entries", Some(json!(513))).to_string()),
        ("header without a log", edit(&value, "/log", None).to_string()),
        ("header as an array", "[]".to_owned()),
    ] {
        kind.refuse(name, "batch", json!({ "text": format!("{header}\n{rest}") }));
    }
}
