//! What the code says of a negative vector: the code of the refusal, or nothing when it is taken.

use hiwar_dialogue::limits;
use hiwar_dialogue::wire::{self, KeyDirectory};
use hiwar_trust::checkpoint::SignedCheckpoint;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::httpsig::{self, ReceivedSignature, RequestParts, ResponseParts};
use hiwar_trust::identity::{Identity, IdentityError, SignedCard};
use hiwar_trust::invitation::Invitation;
use hiwar_trust::jcs::{self, JsonLimits};
use hiwar_trust::key::PublicKey;
use hiwar_trust::merkle;
use hiwar_trust::note::{Note, VerifierKey};
use hiwar_trust::receipt::SignedReceipt;
use hiwar_trust::tiles::TileIndex;
use hiwar_trust::time::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::world::World;

const ENTRY: JsonLimits = JsonLimits {
    bytes_max: limits::ENTRY_BYTES_MAX,
    depth_max: limits::ENTRY_DEPTH_MAX,
    members_max: limits::ENTRY_MEMBERS_MAX,
};

fn read<T: DeserializeOwned>(vector: &Value, name: &str) -> T {
    serde_json::from_value(vector[name].clone()).unwrap()
}

fn outcome<T, E>(result: Result<T, E>, code: &str) -> Option<String> {
    result.is_err().then(|| code.to_owned())
}

pub(crate) fn by_the_code(world: &mut World, vector: &Value) -> Option<String> {
    let text = vector["text"].as_str().unwrap_or_default();
    match vector["kind"].as_str().unwrap() {
        "did" => outcome(text.parse::<Did>(), "malformed"),
        "time" => outcome(text.parse::<Timestamp>(), "malformed"),
        "hash" => outcome(text.parse::<Hash>(), "malformed"),
        "key" => outcome(text.parse::<PublicKey>(), "malformed"),
        "tile" => outcome(text.parse::<TileIndex>(), "malformed"),
        "json" => outcome(jcs::parse_canonical(text.as_bytes(), ENTRY), "malformed"),
        "invitation" => outcome(Invitation::parse(text.as_bytes()), "malformed"),
        "cards" => cards(read(vector, "cards")),
        "entry" => entry(world, vector),
        "inclusion" => {
            let proof: Vec<Hash> = read(vector, "proof");
            let (leaf, root) = (read(vector, "leaf"), read(vector, "root"));
            outcome(
                merkle::verify_inclusion(&leaf, read(vector, "index"), read(vector, "size"), &proof, &root),
                "proof",
            )
        }
        "consistency" => {
            let proof: Vec<Hash> = read(vector, "proof");
            let (from, to) = (read(vector, "from_root"), read(vector, "to_root"));
            outcome(
                merkle::verify_consistency(read(vector, "from"), &from, read(vector, "to"), &to, &proof),
                "proof",
            )
        }
        "checkpoint" => outcome(checkpoint(vector, false), "note"),
        "cosignature" => outcome(checkpoint(vector, true), "note"),
        "receipt" => outcome(receipt(vector), "receipt"),
        "request" => outcome(request(vector), "request"),
        "response" => outcome(response(vector), "response"),
        "batch" => outcome(wire::verify_batch(text.as_bytes(), &KeyDirectory::default()), "batch"),
        other => panic!("there is no kind {other}"),
    }
}

fn cards(cards: Vec<SignedCard>) -> Option<String> {
    let code = match Identity::verify(cards).err()? {
        IdentityError::WrongType { .. } => "wrong-type",
        IdentityError::BadMember { .. } => "bad-member",
        IdentityError::BrokenChain { .. } => "broken-chain",
        IdentityError::MissingSignature { .. } => "missing-signature",
        IdentityError::Length { .. } => "length",
        other => panic!("unexpected: {other}"),
    };
    Some(code.to_owned())
}

/// Sends the entry from motie to meti as the only one of a batch with the last batch's header.
fn entry(world: &mut World, vector: &Value) -> Option<String> {
    let (header, _) = world.exchanges[4].batch.split_once('\n').unwrap();
    let body = format!("{header}\n{}\n", vector["envelope"].as_str().unwrap());
    let batch = wire::verify_batch(body.as_bytes(), &world.meti.engine.directory()).unwrap();
    assert_eq!(batch.lines.len(), 1);
    let now = read(vector, "now");
    let reply = world.meti.engine.receive(&world.meti.store, &world.motie.did, batch, now).unwrap();
    world.meti.commit();
    reply.refused.first().map(|refusal| refusal.code.as_str().to_owned())
}

fn checkpoint(vector: &Value, cosigned: bool) -> Result<(), String> {
    let vkey: VerifierKey = vector["vkey"].as_str().unwrap().parse().unwrap();
    let signed =
        SignedCheckpoint::parse(vector["note"].as_str().unwrap().as_bytes()).map_err(|e| e.to_string())?;
    if cosigned {
        signed.verify_cosignature(&vkey.name, &vkey.key).map(drop).map_err(|e| e.to_string())
    } else {
        signed.verify(&vkey.name, &vkey.key).map_err(|e| e.to_string())
    }
}

fn receipt(vector: &Value) -> Result<(), String> {
    let vkey: VerifierKey = vector["vkey"].as_str().unwrap().parse().unwrap();
    let lines: Vec<String> = read(vector, "items");
    let items =
        lines.iter().map(|line| line.parse()).collect::<Result<_, _>>().map_err(|e| format!("{e}"))?;
    let signed = SignedReceipt::parse(vector["note"].as_str().unwrap(), items).map_err(|e| e.to_string())?;
    let note = Note::parse(signed.note.as_bytes()).map_err(|e| e.to_string())?;
    note.verify(&vkey.name, &vkey.key).map_err(|e| e.to_string())
}

fn header<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector["headers"][name].as_str().unwrap()
}

fn request(vector: &Value) -> Result<(), String> {
    let received =
        ReceivedSignature::of_request(header(vector, "signature-input"), header(vector, "signature"));
    let parts = RequestParts {
        method: vector["method"].as_str().unwrap(),
        path_and_query: vector["target"].as_str().unwrap(),
        content_digest: header(vector, "content-digest"),
        destination: header(vector, "hiwar-destination"),
        session: header(vector, "hiwar-session"),
        sequence: header(vector, "hiwar-sequence"),
    };
    let body = Hash::of(vector["body"].as_str().unwrap().as_bytes());
    let key: PublicKey = read(vector, "key");
    httpsig::verify_request(&parts, &body, &received.map_err(|e| e.to_string())?, &key)
        .map_err(|e| e.to_string())
}

fn response(vector: &Value) -> Result<(), String> {
    let received =
        ReceivedSignature::of_response(header(vector, "signature-input"), header(vector, "signature"));
    let answered = vector["request_signature"]
        .as_str()
        .unwrap()
        .strip_prefix("hiwar=:")
        .and_then(|s| s.strip_suffix(':'));
    let signature = answered.unwrap().parse().unwrap();
    let parts = ResponseParts {
        status: read(vector, "status"),
        content_digest: header(vector, "content-digest"),
        request_signature: &signature,
    };
    let body = Hash::of(vector["body"].as_str().unwrap().as_bytes());
    let key: PublicKey = read(vector, "key");
    httpsig::verify_response(&parts, &body, &received.map_err(|e| e.to_string())?, &key)
        .map_err(|e| e.to_string())
}
