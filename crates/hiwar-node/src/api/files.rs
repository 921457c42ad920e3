//! Files that entries carry: stored before the entry is made, streamed both ways.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use hiwar_trust::hash::Hash;
use serde_json::{Value, json};

use super::ApiError;
use crate::node::Shared;

/// `PUT /api/v1/attachments`: stores the body as a file, whatever its size up to 10 GiB, and
/// answers its digest when it is durable and logged.
pub(super) async fn store(State(shared): State<Arc<Shared>>, body: Body) -> Result<Json<Value>, ApiError> {
    let folder = shared.folder.clone();
    let mut upload = tokio::task::spawn_blocking(move || folder.begin())
        .await
        .map_err(ApiError::internal)?
        .map_err(ApiError::internal)?;
    let mut stream = body.into_data_stream();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|e| ApiError::bad_request(format!("the upload broke off: {e}")))?;
        upload = tokio::task::spawn_blocking(move || upload.append(&part).map(|()| upload))
            .await
            .map_err(ApiError::internal)?
            .map_err(|e| ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "not-stored", e))?;
    }
    let (sha256, size) = tokio::task::spawn_blocking(move || upload.finish())
        .await
        .map_err(ApiError::internal)?
        .map_err(|e| ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "not-stored", e))?;
    shared.writer.attachment_stored(sha256, Vec::new()).await?;
    Ok(Json(json!({ "sha256": sha256, "size": size })))
}

/// `GET /api/v1/attachments/{sha256}`
pub(super) async fn load(
    State(shared): State<Arc<Shared>>,
    Path(sha256): Path<String>,
) -> Result<Response, ApiError> {
    let sha256: Hash = sha256.parse().map_err(ApiError::bad_request)?;
    let path = shared.folder.path_of(&sha256);
    let file = tokio::fs::File::open(&path).await.map_err(|_| {
        ApiError::not_found(format!("the file {sha256} is not on this node, or not complete yet"))
    })?;
    let size = file.metadata().await.map_err(ApiError::internal)?.len();
    let stream = tokio_util::io::ReaderStream::with_capacity(file, 64 * 1024);
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
        (header::CONTENT_DISPOSITION, "attachment".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}
