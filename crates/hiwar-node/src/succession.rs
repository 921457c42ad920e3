//! Files that take the place of others, keys above all, in steps after each of which the node can be killed.
//!
//! What is new is first written to a file of its own, `….next`. Then the card that names it becomes
//! durable. Then it takes the old one's place. The next start finds what was left undone: a key
//! that the newest card names is put in its place, any other is of no use and removed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hiwar_trust::hash::Hash;
use hiwar_trust::identity::Card;
use hiwar_trust::key::{KeyHolder as _, PublicKey, SoftwareKey};
use zeroize::Zeroizing;

use crate::clock::now;
use crate::config::CONFIG_FILE;
use crate::folder::{
    CERTIFICATE, CERTIFICATE_KEY, FolderError, NEXT_CERTIFICATE, NEXT_NODE_KEY, NEXT_ORGANISATION_KEY,
    NODE_KEY, ORGANISATION_KEY, io, read_key, read_secret, replace_file, sync_parent, write_key,
    write_secret,
};
use crate::tls;

/// Beginning of the name of a file with a certificate that was replaced, and its key.
const RETIRED_CERTIFICATE: &str = "tls.retired-";
/// Where the key begins in a file that holds certificate and key.
const KEY_BEGINS: &str = "-----BEGIN PRIVATE KEY-----";

/// A key file, and the one that is to take its place.
pub(crate) struct Place {
    current: &'static str,
    next: &'static str,
}

/// The organisation key's.
pub(crate) const ORGANISATION: Place = Place { current: ORGANISATION_KEY, next: NEXT_ORGANISATION_KEY };
/// The node key's.
pub(crate) const NODE: Place = Place { current: NODE_KEY, next: NEXT_NODE_KEY };

impl Place {
    /// Writes the key that is to take over.
    pub(crate) fn prepare(
        &self,
        dir: &Path,
        key: &SoftwareKey,
        passphrase: Option<&[u8]>,
    ) -> Result<(), FolderError> {
        write_key(&dir.join(self.next), key, passphrase)
    }

    /// Gives up a key that no card names.
    pub(crate) fn give_up(&self, dir: &Path) -> Result<(), FolderError> {
        remove(&dir.join(self.next))
    }

    /// Puts the next key in the place of the old one, which is kept beside it. When this was cut off
    /// before, the old one has been set aside already.
    pub(crate) fn put_in_force(&self, dir: &Path) -> Result<(), FolderError> {
        let (current, next) = (dir.join(self.current), dir.join(self.next));
        if current.exists() {
            let retired = dir.join(format!("{}.retired-{}", self.current, now().as_millis()));
            fs::rename(&current, &retired).map_err(io(&current))?;
        }
        fs::rename(&next, &current).map_err(io(&next))?;
        sync_parent(&current)
    }

    fn finish(&self, dir: &Path, passphrase: Option<&[u8]>, named: &PublicKey) -> Result<(), FolderError> {
        let next = dir.join(self.next);
        if !next.exists() {
            return Ok(());
        }
        if read_key(&next, passphrase)?.public_key() == named {
            self.put_in_force(dir)
        } else {
            remove(&next)
        }
    }
}

/// Brings to its end, or undoes, what was cut off: the files are then those that `newest` names.
pub(crate) fn finish(dir: &Path, passphrase: Option<&[u8]>, newest: &Card) -> Result<(), FolderError> {
    ORGANISATION.finish(dir, passphrase, &newest.organisation_key)?;
    NODE.finish(dir, passphrase, &newest.node_key)?;
    finish_certificate(dir, newest.tls_key)?;
    finish_config(dir, newest)
}

/// Beginning of the name of a configuration that goes with a card; the rest is the card's digest.
const NEXT_CONFIG: &str = "hiwar.toml.next-";

fn next_config(dir: &Path, card: &Card) -> Result<PathBuf, FolderError> {
    let hash = card.hash().map_err(hiwar_dialogue::engine::EngineError::from)?;
    Ok(dir.join(format!("{NEXT_CONFIG}{hash}")))
}

/// Writes the configuration that is to take over together with `card`.
pub(crate) fn prepare_config(dir: &Path, card: &Card, text: &str) -> Result<(), FolderError> {
    write_secret(&next_config(dir, card)?, text.as_bytes())
}

/// Gives up the configuration that was to go with `card`.
pub(crate) fn give_up_config(dir: &Path, card: &Card) -> Result<(), FolderError> {
    remove(&next_config(dir, card)?)
}

/// Puts the configuration that goes with `card` in the place of the old one, under its mode.
pub(crate) fn put_config_in_force(dir: &Path, card: &Card) -> Result<(), FolderError> {
    let next = next_config(dir, card)?;
    let text = fs::read_to_string(&next).map_err(io(&next))?;
    write_config(dir, &text)?;
    remove(&next)
}

/// Writes the configuration, under the mode that it has.
pub(crate) fn write_config(dir: &Path, text: &str) -> Result<(), FolderError> {
    let path = dir.join(CONFIG_FILE);
    let mode = fs::metadata(&path).map_err(io(&path))?.permissions().mode() & 0o777;
    replace_file(&path, text.as_bytes(), mode)
}

fn finish_config(dir: &Path, newest: &Card) -> Result<(), FolderError> {
    let in_force = next_config(dir, newest)?;
    for entry in fs::read_dir(dir).map_err(io(dir))? {
        let path = entry.map_err(io(dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path == in_force {
            put_config_in_force(dir, newest)?;
        } else if name.starts_with(NEXT_CONFIG) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), FolderError> {
    fs::remove_file(path).map_err(io(path))?;
    sync_parent(path)
}

/// A certificate and its private key, as PEM.
pub(crate) struct Certificate {
    pub(crate) certificate: String,
    pub(crate) key: Zeroizing<String>,
}

impl Certificate {
    /// The digest of its public key, as a card names it.
    pub(crate) fn public_key_hash(&self) -> Result<Hash, FolderError> {
        Ok(tls::public_key_hash(&self.certificate)?)
    }

    /// Both in one file, so that neither is ever there without the other.
    fn write(&self, path: &Path) -> Result<(), FolderError> {
        let both = Zeroizing::new(format!("{}{}", self.certificate, self.key.as_str()));
        write_secret(path, both.as_bytes())
    }

    fn read(path: &Path) -> Result<Self, FolderError> {
        let both = read_secret(path)?;
        let parts = both.find(KEY_BEGINS).and_then(|at| both.split_at_checked(at));
        let (certificate, key) = parts.ok_or_else(|| FolderError::Io {
            path: path.to_owned(),
            error: std::io::Error::new(std::io::ErrorKind::InvalidData, "it holds no private key"),
        })?;
        Ok(Self { certificate: certificate.to_owned(), key: Zeroizing::new(key.to_owned()) })
    }

    /// The one in force; nothing when one of its files is missing.
    pub(crate) fn current(dir: &Path) -> Result<Option<Self>, FolderError> {
        let (certificate, key) = (dir.join(CERTIFICATE), dir.join(CERTIFICATE_KEY));
        if !certificate.exists() || !key.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&certificate).map_err(io(&certificate))?;
        Ok(Some(Self { certificate: text, key: read_secret(&key)? }))
    }
}

/// Writes the certificate that is to take over.
pub(crate) fn prepare_certificate(dir: &Path, next: &Certificate) -> Result<(), FolderError> {
    next.write(&dir.join(NEXT_CERTIFICATE))
}

/// Gives up a certificate that no card names.
pub(crate) fn give_up_certificate(dir: &Path) -> Result<(), FolderError> {
    remove(&dir.join(NEXT_CERTIFICATE))
}

/// Puts the next certificate in the place of the old one, which is kept: peers that have not learned
/// the new card accept no other. Every step may be repeated.
pub(crate) fn put_certificate_in_force(dir: &Path) -> Result<(), FolderError> {
    let path = dir.join(NEXT_CERTIFICATE);
    let next = Certificate::read(&path)?;
    retire_certificate(dir, &next)?;
    write_secret(&dir.join(CERTIFICATE_KEY), next.key.as_bytes())?;
    replace_file(&dir.join(CERTIFICATE), next.certificate.as_bytes(), 0o644)?;
    remove(&path)
}

fn retire_certificate(dir: &Path, next: &Certificate) -> Result<(), FolderError> {
    let Some(old) = Certificate::current(dir)? else { return Ok(()) };
    let hash = old.public_key_hash()?;
    let retired = dir.join(format!("keys/{RETIRED_CERTIFICATE}{}", hash.short()));
    // When this was cut off between the two files, the old pair has been kept already.
    if retired.exists() || hash == next.public_key_hash()? { Ok(()) } else { old.write(&retired) }
}

fn finish_certificate(dir: &Path, named: Option<Hash>) -> Result<(), FolderError> {
    let path = dir.join(NEXT_CERTIFICATE);
    if !path.exists() {
        return Ok(());
    }
    if named == Some(Certificate::read(&path)?.public_key_hash()?) {
        put_certificate_in_force(dir)
    } else {
        remove(&path)
    }
}

/// The certificates that were replaced and are still kept.
pub(crate) fn retired_certificates(dir: &Path) -> Result<Vec<Certificate>, FolderError> {
    let keys = dir.join("keys");
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&keys).map_err(io(&keys))? {
        let path = entry.map_err(io(&keys))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(RETIRED_CERTIFICATE) {
            paths.push(path);
        }
    }
    paths.iter().map(|path| Certificate::read(path)).collect()
}
