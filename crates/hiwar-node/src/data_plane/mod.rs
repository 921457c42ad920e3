//! The data plane: content moves here, under transfers that were agreed on elsewhere.
//!
//! Nothing here knows how a transfer came about. Who may take or bring content is asked through
//! [`Gate`]; where content goes to or comes from is told by [`Access`].

mod access;
mod gate;
mod inbox;
mod partial;
mod pull;
mod push;
mod range;
mod retry;
mod secret;
mod serve;
mod signal;
pub mod source;
pub mod store;

pub use self::access::{Access, AccessError, HTTP_ENDPOINT, Renewal};
pub use self::gate::{Admission, Gate, InboxAdmission, InboxGate, Refusal, Served};
pub use self::inbox::Inbox;
pub use self::partial::FileError;
pub(crate) use self::partial::erase;
pub use self::pull::{Progress, Pull, Pulled};
pub use self::push::{Push, Pushed};
pub use self::retry::{NoRenewal, NotRenewed, Renew, Retry, TransferError};
pub use self::serve::{STREAMS_MAX, Serve};

pub use self::signal::{BuiltIn, DataPlane, Events, Kind, Moved, PlaneError, Ready, State, Status};

#[cfg(test)]
mod tests;
