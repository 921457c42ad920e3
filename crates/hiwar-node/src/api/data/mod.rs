//! The dataspace for desks: offers, catalogs, negotiations, agreements, transfers.

mod offers;
mod processes;
mod remote;

pub(super) use offers::{check, list as datasets, offer, offer_many, withdraw};
pub(super) use processes::{
    agreements, content, deleted, end_agreement, explain, negotiation, negotiation_step, negotiations,
    transfer, transfer_step, transfers,
};
pub(super) use remote::{begin_transfer, catalog, negotiate, pull, push};

use axum::http::StatusCode;
use hiwar_dataspace::connector::{Refusal, RefusalKind};

use super::{ApiError, body};

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.kind {
            RefusalKind::BadRequest => StatusCode::CONFLICT,
            RefusalKind::NotFound => StatusCode::NOT_FOUND,
            RefusalKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, refusal.code, refusal.reason)
    }
}
