//! A folder: a manifest that lists its files, and each file by its path.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hiwar_trust::hash::Hash;
use serde::{Deserialize, Serialize};

use super::file::Recheck;
use super::pin::Fingerprint;
use super::{Content, SourceError};

/// The manifest's media type.
pub const MANIFEST_TYPE: &str = "application/vnd.hiwar.manifest+json";
/// The form's name, in the manifest.
const FORM: &str = "hiwar-manifest/1";
/// Most files in a folder.
pub const FILES_MAX: usize = 100_000;
/// Longest path, in bytes.
const PATH_BYTES_MAX: usize = 1024;

/// What a folder holds. As JSON it is the content of the folder's own address; its SHA-256 is that of
/// the transfer, and so covers every file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `hiwar-manifest/1`.
    pub form: String,
    /// The files in the order of their paths.
    pub files: Vec<ManifestFile>,
}

/// One file of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Relative to the folder, with `/` between its parts.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: Hash,
}

/// Why a manifest is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It cannot be read.
    #[error("the folder's manifest cannot be read: {0}")]
    Form(String),
    /// A path would lead elsewhere.
    #[error(
        "the folder's manifest holds the path {0:?}; paths are relative, with / between parts that are \
         neither empty nor . nor .., and hold neither \\ nor : nor control characters"
    )]
    Path(String),
    /// There is too much.
    #[error("the folder holds more than {FILES_MAX} files")]
    TooMany,
}

/// Whether a path stays within a folder, on every system.
pub(crate) fn is_inner(path: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part != "." && part != "..";
    let odd = |c: char| c.is_control() || c == '\\' || c == ':';
    path.len() <= PATH_BYTES_MAX && path.split('/').all(part) && !path.chars().any(odd)
}

impl Manifest {
    /// Reads a manifest that somebody sent, and checks every path in it.
    ///
    /// # Errors
    /// When it has another form, too many files, or a path that leads out of the folder or is there twice.
    pub fn read(json: &[u8]) -> Result<Self, ManifestError> {
        let read: Self = crate::json::parse(json).map_err(|e| ManifestError::Form(e.to_string()))?;
        if read.form != FORM {
            return Err(ManifestError::Form(format!("its form is not {FORM:?}")));
        }
        if read.files.len() > FILES_MAX {
            return Err(ManifestError::TooMany);
        }
        let mut seen = std::collections::BTreeSet::new();
        for file in &read.files {
            if !is_inner(&file.path) || !seen.insert(&file.path) {
                return Err(ManifestError::Path(file.path.chars().take(200).collect()));
            }
        }
        Ok(read)
    }
}

/// The manifest of files, as it is served.
pub(super) fn manifest<'a>(files: impl Iterator<Item = (&'a String, &'a Fingerprint)>) -> Vec<u8> {
    let of = |(path, print): (&String, &Fingerprint)| ManifestFile {
        path: path.clone(),
        size: print.size,
        sha256: print.sha256,
    };
    let manifest = Manifest { form: FORM.into(), files: files.map(of).collect() };
    serde_json::to_vec(&manifest).unwrap_or_default()
}

/// A manifest as content.
pub(super) fn listed(json: Vec<u8>) -> Content {
    let json = Bytes::from(json);
    let sha256 = Hash::of(&json);
    Content {
        size: json.len() as u64,
        etag: format!("\"{sha256}\""),
        sha256: Some(sha256),
        media_type: Some(MANIFEST_TYPE.into()),
        body: super::Body::Memory(json),
    }
}

/// A folder that is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderSource {
    /// Where it lies.
    pub path: PathBuf,
    /// Its files by their paths.
    pub files: BTreeMap<String, Arc<Fingerprint>>,
    /// How it is made sure that they are the same when they are sent.
    #[serde(default)]
    pub recheck: Recheck,
}

impl FolderSource {
    /// Takes the fingerprints of all files below a folder; blocks while they are read.
    ///
    /// # Errors
    /// When something cannot be read, or is neither a file nor a folder: symbolic links are refused,
    /// for they could lead out of the folder.
    pub fn offer(path: &Path) -> Result<Self, SourceError> {
        let root = path.canonicalize().map_err(|e| SourceError::read(path, &e))?;
        let mut files = BTreeMap::new();
        let mut open = vec![(root.clone(), String::new())];
        while let Some((folder, prefix)) = open.pop() {
            for entry in std::fs::read_dir(&folder).map_err(|e| SourceError::read(&folder, &e))? {
                let entry = entry.map_err(|e| SourceError::read(&folder, &e))?;
                let path = entry.path();
                let refused = |why: &str| SourceError::read(&path, &io::Error::other(why));
                let name = entry.file_name().into_string().map_err(|_| refused("its name is not UTF-8"))?;
                let inner = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
                if !is_inner(&inner) {
                    return Err(refused("its name holds \\, : or control characters, or is too long"));
                }
                let kind = entry.file_type().map_err(|e| SourceError::read(&path, &e))?;
                if kind.is_symlink() {
                    return Err(refused("it is a symbolic link; replace it by what it leads to"));
                } else if kind.is_dir() {
                    open.push((path, inner));
                } else {
                    let print = Fingerprint::of(&path).map_err(|e| SourceError::read(&path, &e))?;
                    files.insert(inner, Arc::new(print));
                }
                if files.len() > FILES_MAX {
                    return Err(SourceError::Manifest(ManifestError::TooMany));
                }
            }
        }
        Ok(Self { path: root, files, recheck: Recheck::default() })
    }

    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|print| print.size).sum()
    }

    /// The manifest as it is served.
    pub fn manifest(&self) -> Vec<u8> {
        manifest(self.files.iter().map(|(path, print)| (path, &**print)))
    }

    /// Opens the manifest, or the file with a path of the manifest.
    ///
    /// # Errors
    /// When there is no such file, or it changed.
    pub async fn open(&self, path: Option<&str>) -> Result<Content, SourceError> {
        let Some(path) = path else {
            return Ok(listed(self.manifest()));
        };
        // Only a path of the manifest is looked for: no other path ever reaches the file system.
        let (known, print) = self.files.get_key_value(path).ok_or(SourceError::NoSuchPath)?;
        let place = self.path.join(known);
        let (root, asked) = (self.path.clone(), place.clone());
        let real = tokio::task::spawn_blocking(move || asked.canonicalize()).await;
        let real = real.map_err(|e| SourceError::Read(e.to_string()))?;
        let real = real.map_err(|e| SourceError::read(&place, &e))?;
        if !real.starts_with(&root) {
            return Err(SourceError::Escapes);
        }
        super::file::open(real, print.clone(), None, self.recheck).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_out_of_a_folder_are_refused() {
        for path in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "a/..",
            "../a",
            "a/../../b",
            "a//b",
            "a/",
            ".",
            "./a",
            "a\\b",
            "..\\a",
            "C:/x",
            "a\0b",
            "a\nb",
            "a:stream",
        ] {
            assert!(!is_inner(path), "{path:?}");
            let json = serde_json::json!({ "form": FORM, "files": [
                { "path": path, "size": 0, "sha256": Hash::of(b"") } ] });
            assert!(matches!(Manifest::read(json.to_string().as_bytes()), Err(ManifestError::Path(_))));
        }
        for path in ["a", "a/b.csv", "..a", "a..b/...", "日本/表.csv", "a b"] {
            assert!(is_inner(path), "{path:?}");
        }
    }

    #[test]
    fn a_manifest_with_a_path_twice_or_another_form_is_refused() {
        let file = serde_json::json!({ "path": "a", "size": 0, "sha256": Hash::of(b"") });
        let twice = serde_json::json!({ "form": FORM, "files": [file, file] }).to_string();
        assert!(matches!(Manifest::read(twice.as_bytes()), Err(ManifestError::Path(_))));
        let other = serde_json::json!({ "form": "other/1", "files": [] }).to_string();
        assert!(matches!(Manifest::read(other.as_bytes()), Err(ManifestError::Form(_))));
    }

    #[test]
    fn a_symbolic_link_in_an_offered_folder_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        std::fs::write(folder.path().join("in/a"), b"a").unwrap();
        let offered = FolderSource::offer(folder.path()).unwrap();
        assert_eq!(offered.files.keys().collect::<Vec<_>>(), ["in/a"]);
        assert_eq!(Manifest::read(&offered.manifest()).unwrap().files.len(), 1);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/etc/hostname", folder.path().join("in/out")).unwrap();
            let error = FolderSource::offer(folder.path()).unwrap_err().to_string();
            assert!(error.contains("in/out") && error.contains("symbolic link"), "{error}");
        }
    }
}
