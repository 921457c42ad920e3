//! Procedures on a running node: what the entries of a dialogue say of them, what an act would do before it
//! is sent, acts that wait for a second desk, and duties whose stages are told when their time comes.
//!
//! What counts is in the entries alone; this room reads them, keeps what it read, and forgets it at will.

mod release;
mod send;
mod timer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hiwar_dialogue::entry::{DialogueId, EntryId, Texts};
use hiwar_dialogue::ledger::{DialogueRecord, Seq, StoreError};
use hiwar_procedure::Procedures;
use hiwar_procedure::history::Held;
use hiwar_store::StorageError;
use hiwar_store::procedure::ProcedureStore;
use hiwar_trust::did::Did;

use crate::node::Shared;
use crate::writer::WriterError;

pub(crate) use release::{Decided, Released};
pub(crate) use send::{ActAsked, Refused};
pub(crate) use timer::tell;

/// Entries read at one time.
const PAGE: usize = 1000;
/// Dialogues whose reading is kept in memory.
const VIEWS_MAX: usize = 64;

/// Procedures on this node.
pub(crate) struct Procedure {
    store: Arc<Mutex<ProcedureStore>>,
    views: Mutex<BTreeMap<DialogueId, Arc<View>>>,
    watch: tokio::sync::Mutex<Option<timer::Watch>>,
}

/// The procedures of a dialogue as far as this node holds its entries.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// The position of the last entry that was read.
    after: Seq,
    held: Vec<Held>,
    pub(crate) procedures: Procedures,
}

/// A dialogue with its procedures.
pub(crate) struct Dialogue {
    pub(crate) view: Arc<View>,
    /// The membership in force.
    pub(crate) membership: EntryId,
    /// Its parties.
    pub(crate) parties: Vec<Did>,
    /// Its title.
    pub(crate) title: Texts,
}

impl View {
    /// All entries that were read.
    pub(crate) fn held(&self) -> &[Held] {
        &self.held
    }

    /// An entry that was read.
    pub(crate) fn entry(&self, id: &EntryId) -> Option<&Held> {
        self.held.iter().find(|held| held.entry.id == *id)
    }
}

impl Procedure {
    /// Opens the store in the node's folder.
    pub(crate) fn open(dir: &Path) -> Result<Self, StorageError> {
        let store = Arc::new(Mutex::new(ProcedureStore::open(dir)?));
        Ok(Self { store, views: Mutex::default(), watch: tokio::sync::Mutex::default() })
    }

    /// The procedures of a dialogue, up to its last entry.
    pub(crate) async fn view(
        &self,
        shared: &Arc<Shared>,
        dialogue: DialogueId,
    ) -> Result<Arc<View>, StoreError> {
        let known = self.views().get(&dialogue).cloned().unwrap_or_default();
        let before = known.clone();
        let newer = shared.read(move |reader| {
            let mut newer = Vec::new();
            let mut after = before.after;
            loop {
                let page = reader.dialogue_entries(&dialogue, after, PAGE)?;
                let full = page.len() == PAGE;
                after = page.last().map_or(after, |entry| entry.seq);
                for stored in page {
                    let entry = stored.signed()?;
                    newer.push(Held { entry, received: stored.received, receipts: BTreeMap::new() });
                }
                if !full {
                    break;
                }
            }
            if newer.is_empty() {
                return Ok(None);
            }
            let held: Vec<Held> = before.held.iter().cloned().chain(newer).collect();
            let procedures = Procedures::of(&held);
            Ok(Some(View { after, held, procedures }))
        });
        let Some(view) = newer.await? else { return Ok(known) };
        let view = Arc::new(view);
        let mut views = self.views();
        if views.len() >= VIEWS_MAX && !views.contains_key(&dialogue) {
            views.pop_first();
        }
        // Another request may have read further meanwhile.
        if views.get(&dialogue).is_none_or(|other| other.after < view.after) {
            views.insert(dialogue, view.clone());
        }
        Ok(view)
    }

    /// A dialogue with its procedures, when this node holds it.
    pub(crate) async fn dialogue(
        &self,
        shared: &Arc<Shared>,
        id: DialogueId,
    ) -> Result<Option<Dialogue>, WriterError> {
        let record = shared.writer.query(move |engine, _| engine.dialogue(&id).cloned()).await?;
        let Some(current) = record.as_ref().and_then(DialogueRecord::current) else { return Ok(None) };
        let view = self.view(shared, id).await?;
        let (membership, parties) = (current.entry, current.membership.parties.clone());
        Ok(Some(Dialogue { view, membership, parties, title: current.membership.title.clone() }))
    }

    fn views(&self) -> std::sync::MutexGuard<'_, BTreeMap<DialogueId, Arc<View>>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works with the store on a thread where waiting for the disk harms nobody.
    async fn keep<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut ProcedureStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.store.clone();
        let working = tokio::task::spawn_blocking(move || {
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut store)
        });
        working.await.map_err(|error| StoreError::Failed(error.to_string()))?
    }
}
