//! What the holder keeps, as files in the folder `claims` of the node's folder: `NAME.jwt` for each
//! credential, `requests/NAME.json` and `offers/NAME.json`.
//!
//! Each file is written whole, made durable and put in its place before anything is answered, so that
//! nothing acknowledged is lost and nothing half-written is ever read. Credentials are written before the
//! request that they answer is closed: a node killed in between takes the same delivery again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hiwar_claims::credential::CREDENTIAL_BYTES_MAX;
use hiwar_claims::held::Outline;
use hiwar_claims::issuance::offer::Offered;
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::folder::{FolderError, io, sync_parent, write_secret};

/// Most credentials kept.
const CREDENTIALS_MAX: usize = 1000;
/// Most requests kept; those that ended longest ago make room.
const REQUESTS_MAX: usize = 1000;
/// Most offers kept of one issuer; the oldest make room.
const OFFERS_OF_ISSUER_MAX: usize = 32;
/// Most bytes of a record.
const RECORD_BYTES_MAX: u64 = 1024 * 1024;

/// How far a request of ours is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AskedState {
    /// The message is on its way, or its answer was lost.
    Asking,
    /// The issuer has the message.
    Received,
    /// All credentials came.
    Issued,
    /// The issuer gives none.
    Rejected,
    /// The issuer did not take the message.
    Failed,
}

impl AskedState {
    fn is_open(self) -> bool {
        matches!(self, Self::Asking | Self::Received)
    }
}

/// A request of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Our name for it.
    pub(crate) holder_pid: String,
    /// Whom we asked.
    pub(crate) issuer: Did,
    /// The types of credentials that we asked for.
    pub(crate) types: Vec<String>,
    /// How far it is.
    pub(crate) state: AskedState,
    /// When we asked.
    pub(crate) asked: Timestamp,
    /// When the state changed last.
    pub(crate) changed: Timestamp,
    /// The issuer's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) issuer_pid: Option<String>,
    /// Where the issuer tells its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status_at: Option<String>,
    /// Why there are no credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// The names of the credentials that came.
    #[serde(default)]
    pub(crate) credentials: Vec<String>,
    /// The types that came.
    #[serde(default)]
    pub(crate) came: Vec<String>,
    /// Digest of the access token that the issuer got with the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access: Option<Hash>,
    /// It is a conformance kit's: it stays open and is not kept.
    #[serde(skip)]
    pub(super) stands: bool,
}

/// A request that stays open for ever. Only for a conformance kit, which delivers again and again for one
/// request that it never received.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StandingRequest {
    holder_pid: String,
    issuer: Did,
    types: Vec<String>,
}

/// An offer that an issuer made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptOffer {
    /// Its name here.
    pub(crate) id: String,
    /// Who offers.
    pub(crate) issuer: Did,
    /// What.
    pub(crate) credentials: Vec<Offered>,
    /// When it came.
    pub(crate) came: Timestamp,
}

/// A credential of ours.
#[derive(Clone, Debug)]
pub(crate) struct HeldCredential {
    /// Its name: that of its file, without the ending.
    pub(crate) name: String,
    pub(crate) jwt: String,
    pub(crate) outline: Outline,
}

/// What an issuer answered.
pub(super) enum Answer {
    /// These credentials, which were verified, each with its type.
    Issued(Vec<(String, String)>),
    /// None, for this reason.
    Rejected(Option<String>),
}

/// Why something is not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeptError {
    #[error("no request of ours has this holderPid")]
    Unknown,
    #[error("the request was answered already")]
    Answered,
    #[error("{CREDENTIALS_MAX} credentials are kept; remove some files from the folder claims of the node")]
    CredentialsFull,
    #[error(
        "{REQUESTS_MAX} requests are open; wait for answers, or remove some from the folder claims/requests of the node"
    )]
    RequestsFull,
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("a record cannot be written: {0}")]
    Record(#[from] serde_json::Error),
}

#[derive(Default)]
struct Records {
    requests: BTreeMap<String, Asked>,
    offers: BTreeMap<String, KeptOffer>,
}

/// The files.
pub(crate) struct Kept {
    folder: PathBuf,
    /// Held while files are written, so that what was read before holds still.
    writing: Mutex<()>,
    records: Mutex<Records>,
}

impl Kept {
    /// Reads the records in a folder, which need not exist. A file that cannot be read is left out and
    /// stays where it is.
    pub(crate) fn open(folder: PathBuf) -> Self {
        let requests = read_records::<Asked>(&folder.join("requests"));
        let offers = read_records::<KeptOffer>(&folder.join("offers"));
        let records = Records {
            requests: requests.into_iter().map(|r| (r.holder_pid.clone(), r)).collect(),
            offers: offers.into_iter().map(|o| (o.id.clone(), o)).collect(),
        };
        Self { folder, writing: Mutex::default(), records: Mutex::new(records) }
    }

    pub(crate) fn stand(&self, requests: Vec<StandingRequest>) {
        let at = crate::clock::now();
        let standing = requests
            .into_iter()
            .map(|r| Asked { stands: true, ..Asked::new(r.holder_pid, r.issuer, r.types, at) });
        let mut records = self.records();
        records.requests.extend(standing.map(|r| (r.holder_pid.clone(), r)));
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request with this name.
    pub(crate) fn request(&self, holder_pid: &str) -> Option<Asked> {
        self.records().requests.get(holder_pid).cloned()
    }

    /// All requests, the newest first.
    pub(crate) fn requests(&self) -> Vec<Asked> {
        let mut all: Vec<_> = self.records().requests.values().cloned().collect();
        all.sort_by_key(|r| std::cmp::Reverse(r.asked));
        all
    }

    /// All offers, the newest first.
    pub(crate) fn offers(&self) -> Vec<KeptOffer> {
        let mut all: Vec<_> = self.records().offers.values().cloned().collect();
        all.sort_by_key(|o| std::cmp::Reverse(o.came));
        all
    }

    /// Whether we ever asked this issuer for anything.
    pub(super) fn asked(&self, issuer: &Did) -> bool {
        self.records().requests.values().any(|r| r.issuer == *issuer)
    }

    /// Whether this issuer has still to answer a request for this type.
    pub(super) fn waits_for(&self, issuer: &Did, kind: &str) -> bool {
        let waits = |r: &Asked| r.issuer == *issuer && r.state.is_open() && r.types.iter().any(|t| t == kind);
        self.records().requests.values().any(waits)
    }

    /// Keeps a new request.
    pub(super) fn begin(&self, request: Asked) -> Result<(), KeptError> {
        let _writing = self.writing();
        let oldest_ended = {
            let records = self.records();
            let ended = records.requests.values().filter(|r| !r.state.is_open() && !r.stands);
            match records.requests.len() < REQUESTS_MAX {
                true => None,
                false => {
                    Some(ended.min_by_key(|r| r.changed).ok_or(KeptError::RequestsFull)?.holder_pid.clone())
                }
            }
        };
        self.put("requests", &request.holder_pid, &request)?;
        if let Some(gone) = oldest_ended {
            self.remove("requests", &gone);
            self.records().requests.remove(&gone);
        }
        self.records().requests.insert(request.holder_pid.clone(), request);
        Ok(())
    }

    /// Notes what became of the message that asked. A delivery may have come before: then it stays so.
    pub(super) fn sent(
        &self,
        holder_pid: &str,
        state: AskedState,
        status_at: Option<String>,
        reason: Option<String>,
        at: Timestamp,
    ) -> Result<Asked, KeptError> {
        let _writing = self.writing();
        let mut request = self.request(holder_pid).ok_or(KeptError::Unknown)?;
        if request.state.is_open() {
            request = Asked { state, reason, changed: at, ..request };
        }
        request.status_at = status_at.or(request.status_at);
        self.put("requests", holder_pid, &request)?;
        self.records().requests.insert(holder_pid.to_owned(), request.clone());
        Ok(request)
    }

    /// Keeps an answer. The very same answer may come again: its first acknowledgement may be lost.
    pub(super) fn answer(
        &self,
        holder_pid: &str,
        issuer_pid: &str,
        answer: Answer,
        at: Timestamp,
    ) -> Result<(), KeptError> {
        let _writing = self.writing();
        let mut request = self.request(holder_pid).ok_or(KeptError::Unknown)?;
        let is_same = request.issuer_pid.as_deref() == Some(issuer_pid);
        match (request.state, &answer) {
            (AskedState::Rejected, Answer::Rejected(_)) if is_same => return Ok(()),
            (AskedState::Issued, Answer::Issued(came))
                if is_same && came.iter().all(|(_, jwt)| request.credentials.contains(&name_of(jwt))) =>
            {
                return Ok(());
            }
            (state, _) if !state.is_open() => return Err(KeptError::Answered),
            _ => {}
        }
        match answer {
            Answer::Rejected(reason) => {
                request.state = AskedState::Rejected;
                request.reason = reason;
            }
            Answer::Issued(came) => {
                for (kind, jwt) in came {
                    let name = self.put_credential(&jwt)?;
                    if !request.credentials.contains(&name) {
                        request.credentials.push(name);
                    }
                    if !request.came.contains(&kind) {
                        request.came.push(kind);
                    }
                }
                // An issuer may bring the credentials of one request one by one.
                if request.types.iter().all(|kind| request.came.contains(kind)) {
                    request.state = AskedState::Issued;
                }
                request.reason = None;
            }
        }
        if request.stands {
            return Ok(());
        }
        request.issuer_pid = Some(issuer_pid.to_owned());
        request.changed = at;
        self.put("requests", holder_pid, &request)?;
        self.records().requests.insert(holder_pid.to_owned(), request);
        Ok(())
    }

    /// Keeps a credential that was verified; gives its name.
    pub(super) fn import(&self, jwt: &str) -> Result<String, KeptError> {
        let _writing = self.writing();
        self.put_credential(jwt)
    }

    /// Keeps an offer. The same one again takes the place of the first.
    pub(super) fn offer(
        &self,
        issuer: &Did,
        credentials: Vec<Offered>,
        at: Timestamp,
    ) -> Result<KeptOffer, KeptError> {
        let _writing = self.writing();
        let digest = Hash::of(serde_json::to_string(&(issuer, &credentials))?.as_bytes());
        let offer = KeptOffer {
            id: hex::encode(digest.as_bytes().first_chunk::<16>().copied().unwrap_or_default()),
            issuer: issuer.clone(),
            credentials,
            came: at,
        };
        self.put("offers", &offer.id, &offer)?;
        let gone: Vec<String> = {
            let mut records = self.records();
            records.offers.insert(offer.id.clone(), offer.clone());
            let mut of_issuer: Vec<_> = records.offers.values().filter(|o| o.issuer == *issuer).collect();
            of_issuer.sort_by_key(|o| std::cmp::Reverse(o.came));
            let gone: Vec<_> = of_issuer.iter().skip(OFFERS_OF_ISSUER_MAX).map(|o| o.id.clone()).collect();
            gone.iter().for_each(|id| drop(records.offers.remove(id)));
            gone
        };
        gone.iter().for_each(|id| self.remove("offers", id));
        Ok(offer)
    }

    /// Our credentials, the newest first. A file that is no credential is left out and told in the log.
    pub(crate) fn credentials(&self) -> Result<Vec<HeldCredential>, String> {
        let mut found = Vec::new();
        for path in self.credential_files()? {
            let read =
                fs::metadata(&path).and_then(|file| match file.len() > CREDENTIAL_BYTES_MAX as u64 + 16 {
                    true => Err(std::io::Error::other("it is larger than a credential")),
                    false => fs::read_to_string(&path),
                });
            let outlined = read.map_err(|e| e.to_string()).and_then(|text| {
                let jwt = text.trim().to_owned();
                Outline::of(&jwt).map(|outline| (jwt, outline)).map_err(|e| e.to_string())
            });
            match outlined {
                Ok((jwt, outline)) => {
                    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                    found.push(HeldCredential { name, jwt, outline });
                }
                Err(problem) => {
                    tracing::warn!(file = %path.display(), problem, "a credential of ours cannot be used");
                }
            }
        }
        found.sort_by_key(|held| std::cmp::Reverse(held.outline.from));
        Ok(found)
    }

    fn credential_files(&self) -> Result<Vec<PathBuf>, String> {
        let files = match fs::read_dir(&self.folder) {
            Ok(files) => files,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(format!("{} cannot be read: {e}", self.folder.display())),
        };
        let mut paths: Vec<_> = files.flatten().map(|file| file.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "jwt"));
        paths.sort();
        Ok(paths)
    }

    fn put_credential(&self, jwt: &str) -> Result<String, KeptError> {
        let name = name_of(jwt);
        let path = self.folder.join(format!("{name}.jwt"));
        let count = self.credential_files().map(|files| files.len()).unwrap_or(0);
        if count >= CREDENTIALS_MAX && !path.exists() {
            return Err(KeptError::CredentialsFull);
        }
        make_folder(&self.folder)?;
        write_secret(&path, jwt.as_bytes())?;
        Ok(name)
    }

    fn put(&self, kind: &str, name: &str, record: &impl Serialize) -> Result<(), KeptError> {
        let folder = self.folder.join(kind);
        make_folder(&self.folder)?;
        make_folder(&folder)?;
        Ok(write_secret(&folder.join(format!("{name}.json")), &serde_json::to_vec_pretty(record)?)?)
    }

    /// Best effort: what stays behind is found again at the next start and makes room then.
    fn remove(&self, kind: &str, name: &str) {
        if let Err(error) = fs::remove_file(self.folder.join(kind).join(format!("{name}.json"))) {
            tracing::warn!(%error, kind, name, "an old record cannot be removed");
        }
    }
}

impl Asked {
    /// A request that is about to be sent. `holder_pid` is random and becomes the name of a file.
    pub(super) fn new(holder_pid: String, issuer: Did, types: Vec<String>, at: Timestamp) -> Self {
        Self {
            holder_pid,
            issuer,
            types,
            state: AskedState::Asking,
            asked: at,
            changed: at,
            issuer_pid: None,
            status_at: None,
            reason: None,
            credentials: Vec::new(),
            came: Vec::new(),
            access: None,
            stands: false,
        }
    }
}

/// A credential's name: a digest, so that the same one is kept once.
fn name_of(jwt: &str) -> String {
    hex::encode(Hash::of(jwt.as_bytes()).as_bytes())
}

/// Makes a folder that only its owner may read, durably.
fn make_folder(folder: &Path) -> Result<(), FolderError> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir(folder).map_err(io(folder))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(io(folder))?;
    sync_parent(folder)
}

fn read_records<T: DeserializeOwned>(folder: &Path) -> Vec<T> {
    let files = fs::read_dir(folder).map(|files| files.flatten().collect()).unwrap_or_else(|_| Vec::new());
    let mut found = Vec::new();
    for path in files.iter().map(fs::DirEntry::path).filter(|p| p.extension().is_some_and(|e| e == "json")) {
        let read = fs::metadata(&path).and_then(|file| match file.len() > RECORD_BYTES_MAX {
            true => Err(std::io::Error::other("it is larger than any record")),
            false => fs::read(&path),
        });
        let record = read
            .map_err(|e| e.to_string())
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| e.to_string()));
        match record {
            Ok(record) => found.push(record),
            Err(problem) => tracing::warn!(file = %path.display(), problem, "a record cannot be used"),
        }
    }
    found
}
