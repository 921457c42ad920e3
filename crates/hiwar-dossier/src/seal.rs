//! The seal: the exporter's signature over `dossier.json` and through it over every byte.
//!
//! ```text
//! hiwar.org/dossier/v1
//! dialogue <64 hex>
//! time 2019-07-03T09:00:00.000Z
//! dossier <64 hex: SHA-256 of dossier.json>
//! ```

use hiwar_trust::hash::Hash;
use hiwar_trust::identity::Identity;
use hiwar_trust::key::{KeyHolder, PublicKey};
use hiwar_trust::note::Note;
use hiwar_trust::receipt::key_name;

use crate::format::Manifest;

/// The text that is signed.
fn text(manifest: &Manifest, digest: &Hash) -> String {
    format!(
        "hiwar.org/dossier/v1\ndialogue {}\ntime {}\ndossier {digest}\n",
        manifest.dialogue, manifest.time
    )
}

/// Seals a dossier with the exporter's node key. `digest` is that of `dossier.json`.
pub(crate) fn seal(manifest: &Manifest, digest: &Hash, holder: &dyn KeyHolder) -> Result<String, String> {
    let name = key_name(&manifest.exporter).ok_or("the exporter has no key name")?;
    let note = Note::sign(&text(manifest, digest), &name, holder).map_err(|e| e.to_string())?;
    Ok(note.to_string())
}

/// Verifies a seal; returns the node key that made it.
pub(crate) fn check<'a>(
    seal: &[u8],
    manifest: &Manifest,
    digest: &Hash,
    exporter: &'a Identity,
) -> Result<&'a PublicKey, String> {
    let note = Note::parse(seal).map_err(|e| e.to_string())?;
    if note.to_string().as_bytes() != seal {
        return Err("seal.txt is not spelled as a signed note is".into());
    }
    if note.text() != text(manifest, digest) {
        return Err(format!("it seals another dossier.json than this one, whose SHA-256 is {digest}"));
    }
    let name = key_name(&manifest.exporter).ok_or("the exporter has no key name")?;
    exporter
        .node_keys()
        .find(|key| note.verify(&name, key).is_ok())
        .ok_or_else(|| format!("no node key of {} signed it", manifest.exporter))
}
