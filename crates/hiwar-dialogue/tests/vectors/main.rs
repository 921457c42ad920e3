//! The test vectors of PROTOCOL.md: made anew by the real code and compared with
//! `vectors/hiwar-1.json`. After an intended change of the protocol write them again:
//!
//! ```text
//! HIWAR_WRITE_VECTORS=1 cargo test -p hiwar-dialogue --test vectors
//! ```

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod entries;
mod made;
mod negative;
mod refused;
mod store;
mod world;

use std::path::PathBuf;

use serde_json::{Value, json};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/hiwar-1.json")
}

/// Where two documents differ first, as a JSON pointer.
fn difference(left: &Value, right: &Value, at: &str) -> Option<String> {
    match (left, right) {
        (Value::Object(l), Value::Object(r)) => {
            let names = l.keys().chain(r.keys()).collect::<std::collections::BTreeSet<_>>();
            let null = Value::Null;
            names.into_iter().find_map(|name| {
                difference(
                    l.get(name).unwrap_or(&null),
                    r.get(name).unwrap_or(&null),
                    &format!("{at}/{name}"),
                )
            })
        }
        (Value::Array(l), Value::Array(r)) if l.len() == r.len() => {
            l.iter().zip(r).enumerate().find_map(|(i, (l, r))| difference(l, r, &format!("{at}/{i}")))
        }
        _ => (left != right).then(|| format!("{at}\n  file: {left}\n  made: {right}")),
    }
}

#[test]
fn the_vectors_in_the_file_are_those_the_code_makes() {
    let mut world = world::play();
    let mut vectors = made::vectors(&mut world);
    let negative = negative::vectors(&world);
    vectors.as_object_mut().unwrap().insert("negative".into(), Value::Array(negative));
    let text = format!("{}\n", serde_json::to_string_pretty(&vectors).unwrap());
    if std::env::var_os("HIWAR_WRITE_VECTORS").is_some() {
        std::fs::write(path(), &text).unwrap();
    }
    let found = std::fs::read_to_string(path()).unwrap_or_else(|_| json!({}).to_string());
    let file: Value = serde_json::from_str(&found).unwrap();
    if let Some(place) = difference(&file, &vectors, "") {
        panic!("vectors/hiwar-1.json is not what the code makes, first at {place}");
    }
    assert!(found == text, "vectors/hiwar-1.json says the right things in another layout; write it again");
}

/// Every negative vector is refused with the code it names, and the control among them is taken.
#[test]
fn negative_vectors_are_refused_with_their_codes() {
    let mut world = world::play();
    for vector in negative::vectors(&world) {
        let name = vector["name"].as_str().unwrap();
        let expected = vector["refused"].as_str();
        let found = refused::by_the_code(&mut world, &vector);
        assert_eq!(found.as_deref(), expected, "{name}");
    }
}
