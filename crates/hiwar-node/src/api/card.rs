//! This node's own card: name, address, delivery. Keys are in `operations`.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use super::{ApiError, By, must_be_operator};
use crate::card_update::{self, Update};
use crate::node::Shared;

/// `PATCH /api/v1/card`
pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    caller: By,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let asked: Update = super::body(&body)?;
    let updated = card_update::update(shared, asked).await?;
    let card = &updated.card;
    Ok(Json(json!({
        "sequence": card.sequence,
        "name": card.name,
        "endpoints": card.endpoints,
        "delivery": card.delivery,
        "listen": updated.listen,
    })))
}
