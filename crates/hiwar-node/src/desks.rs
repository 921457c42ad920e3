//! Desks and their tokens. The operator's token may act as any desk; a desk's own token only as
//! that desk. Tokens are kept as digests.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::RwLock;

use hiwar_trust::hash::Hash;
use serde::{Deserialize, Serialize};

use crate::clock::random;
use crate::folder::{API_TOKEN, FolderError, read_secret, write_secret};

/// File with the digests of the desks' tokens.
const DESKS_FILE: &str = "desks.json";

/// Who asks the local API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The operator, who may act as any desk.
    Operator,
    /// A desk.
    Desk(String),
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct DesksFile {
    tokens: BTreeMap<Hash, String>,
}

/// The desks of a node and who may act for them.
#[derive(Debug)]
pub struct Desks {
    path: std::path::PathBuf,
    names: Vec<String>,
    operator: Hash,
    tokens: RwLock<BTreeMap<Hash, String>>,
}

/// Digest under which a token is kept. Tokens are 256 random bits, so a plain digest is enough.
fn digest(token: &str) -> Hash {
    Hash::of(token.trim().as_bytes())
}

impl Desks {
    /// Reads the tokens of the node in `dir`.
    ///
    /// # Errors
    /// When a file is absent or exposed.
    pub fn read(dir: &Path, names: &[String]) -> Result<Self, FolderError> {
        let operator = digest(&read_secret(&dir.join(API_TOKEN))?);
        let path = dir.join(DESKS_FILE);
        let tokens = if path.exists() {
            let file: DesksFile = serde_json::from_str(&read_secret(&path)?)
                .map_err(|e| FolderError::Config(format!("{}: {e}", path.display())))?;
            file.tokens
        } else {
            BTreeMap::new()
        };
        Ok(Self { path, names: names.to_vec(), operator, tokens: RwLock::new(tokens) })
    }

    /// The desks' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Who bears this token.
    pub fn caller(&self, token: &str) -> Option<Caller> {
        let hash = digest(token);
        if hash == self.operator {
            return Some(Caller::Operator);
        }
        self.tokens.read().ok()?.get(&hash).cloned().map(Caller::Desk)
    }

    /// Makes a new token for a desk; it is shown once and kept only as a digest.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn new_token(&self, desk: &str) -> Result<String, FolderError> {
        let token = hex::encode(random::<32>()?);
        let mut tokens = match self.tokens.write() {
            Ok(tokens) => tokens,
            Err(poisoned) => poisoned.into_inner(),
        };
        let mut file = DesksFile { tokens: tokens.clone() };
        file.tokens.insert(digest(&token), desk.to_owned());
        let text = serde_json::to_vec_pretty(&file).map_err(|e| FolderError::Config(e.to_string()))?;
        write_secret(&self.path, &text)?;
        *tokens = file.tokens;
        Ok(token)
    }

    /// Takes all tokens of a desk back; returns how many.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub fn revoke_tokens(&self, desk: &str) -> Result<usize, FolderError> {
        let mut tokens = match self.tokens.write() {
            Ok(tokens) => tokens,
            Err(poisoned) => poisoned.into_inner(),
        };
        let left: BTreeMap<Hash, String> =
            tokens.iter().filter(|(_, d)| *d != desk).map(|(h, d)| (*h, d.clone())).collect();
        let gone = tokens.len() - left.len();
        let file = DesksFile { tokens: left };
        let text = serde_json::to_vec_pretty(&file).map_err(|e| FolderError::Config(e.to_string()))?;
        write_secret(&self.path, &text)?;
        *tokens = file.tokens;
        Ok(gone)
    }
}
