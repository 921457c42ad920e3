//! What an exchange leaves in the store's folder: answers that came, entries that were refused, what
//! was found by intersections, and the secrets of those that are under way. Only its owner may read
//! it: it says what this side sees.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hiwar_radar::corroborate::psi::{Reply, Side};
use hiwar_radar::corroborate::{Digest, Subject};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The folder within the store's.
const FOLDER: &str = "corroboration";

/// What a side keeps between two messages of an intersection: whoever reads it learns what this
/// side sees.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Secret {
    secret: String,
    pub(super) subjects: Vec<Subject>,
    /// What was answered, by the side that replied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reply: Option<Reply>,
}

impl Secret {
    /// A fresh one.
    pub(super) fn fresh(subjects: Vec<Subject>) -> anyhow::Result<Self> {
        Ok(Self { secret: hex::encode(hiwar_node::clock::random::<64>()?), subjects, reply: None })
    }

    pub(super) fn side(&self) -> anyhow::Result<Side> {
        let mut secret = [0; 64];
        hex::decode_to_slice(&self.secret, &mut secret).context("the secret's file is damaged")?;
        Ok(Side::new(&secret, self.subjects.clone())?)
    }

    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = hiwar_node::folder::read_secret(path)?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is no secret of an intersection, or damaged", path.display()))
    }

    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        Ok(hiwar_node::folder::write_secret(path, serde_json::to_string(self)?.as_bytes())?)
    }
}

/// What was found by an intersection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) dialogue: String,
    pub(super) peer: String,
    /// The entry that offered it.
    pub(super) offer: String,
    /// What this side put in.
    pub(super) compared: Vec<Subject>,
    pub(super) both_see: Vec<Subject>,
}

/// The folder.
pub(super) struct Kept {
    dir: PathBuf,
}

impl Kept {
    pub(super) fn open(store: &Path) -> anyhow::Result<Self> {
        let dir = store.join(FOLDER);
        for part in ["answers", "refused", "found", "secrets"] {
            let path = dir.join(part);
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.with_context(|| format!("{} cannot be made", path.display()))?;
        }
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700))
            .with_context(|| dir.display().to_string())?;
        Ok(Self { dir })
    }

    fn file(&self, part: &str, name: &str) -> PathBuf {
        self.dir.join(part).join(format!("{name}.json"))
    }

    /// Files something under an entry, once.
    pub(super) fn put(&self, part: &str, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(value)? + "\n";
        Ok(hiwar_node::folder::write_secret(&self.file(part, name), text.as_bytes())?)
    }

    /// Whether something is filed.
    pub(super) fn has(&self, part: &str, name: &str) -> bool {
        self.file(part, name).exists()
    }

    /// All that was found by intersections.
    pub(super) fn found(&self) -> anyhow::Result<Vec<Found>> {
        self.all("found")
    }

    fn all<T: DeserializeOwned>(&self, part: &str) -> anyhow::Result<Vec<T>> {
        let mut all = Vec::new();
        for path in self.paths(part)? {
            let text = hiwar_node::folder::read_secret(&path)?;
            all.push(serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?);
        }
        Ok(all)
    }

    fn paths(&self, part: &str) -> anyhow::Result<Vec<PathBuf>> {
        let dir = self.dir.join(part);
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let path = entry.with_context(|| dir.display().to_string())?.path();
            if path.extension().is_some_and(|e| e == "json") {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    /// The secret of the offer whose message has this digest. The digest stands in the offer's
    /// entry, so that the secret is known by the entry and can be kept before there is one.
    pub(super) fn offer(&self, dialogue: &str, offer: Digest) -> PathBuf {
        self.file("secrets", &format!("offer-{}-{offer}", super::show::short(dialogue)))
    }

    /// The secret of the reply to the offer with this digest.
    pub(super) fn reply(&self, dialogue: &str, offer: Digest) -> PathBuf {
        self.file("secrets", &format!("reply-{}-{offer}", super::show::short(dialogue)))
    }

    /// Secrets of offers in a dialogue, with the digest of each.
    pub(super) fn offers(&self, dialogue: &str) -> anyhow::Result<Vec<(PathBuf, Secret)>> {
        let start = format!("offer-{}-", super::show::short(dialogue));
        let mut offers = Vec::new();
        for path in self.paths("secrets")? {
            if path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(&start)) {
                let secret = Secret::read(&path)?;
                offers.push((path, secret));
            }
        }
        Ok(offers)
    }
}

/// Deletes a secret that is of no more use.
pub(super) fn forget(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("the secret {} cannot be deleted", path.display()))
        }
        _ => Ok(()),
    }
}
