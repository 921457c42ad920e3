//! What anyone may read of a node: who it is and the state of its log. The log's tiles hold only
//! digests of salted contents and betray nothing about what was said.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use hiwar_trust::tiles::{TileIndex, encode_tile};
use serde_json::json;

use crate::node::Shared;

fn json_answer(value: &serde_json::Value, media_type: &'static str) -> Response {
    ([(header::CONTENT_TYPE, media_type)], value.to_string()).into_response()
}

/// The DID document (W3C DID Core 1.0): the organisation key as a JSON Web Key (RFC 8037) and the
/// node's address.
pub(crate) async fn did_document(State(shared): State<Arc<Shared>>) -> Response {
    let identity = shared.identity();
    let card = identity.latest();
    let key_id = format!("{}#organisation-{}", card.did, card.organisation_key.id().0.short());
    let x = base64::Engine::encode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        card.organisation_key.as_bytes(),
    );
    let mut document = json!({
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/suites/jws-2020/v1"],
        "id": card.did,
        "verificationMethod": [{
            "id": key_id,
            "type": "JsonWebKey2020",
            "controller": card.did,
            "publicKeyJwk": { "kty": "OKP", "crv": "Ed25519", "x": x },
        }],
        "assertionMethod": [key_id],
        "authentication": [key_id],
        "service": card.endpoints.iter().enumerate().map(|(i, e)| json!({
            "id": format!("{}#hiwar-{i}", card.did), "type": "HiwarNode", "serviceEndpoint": e,
        })).collect::<Vec<_>>(),
    });
    if let Some(claims) = &shared.dataspace().claims {
        claims.publish(&mut document);
    }
    json_answer(&document, "application/did+json")
}

/// The DID document of a participant whose identifier has a path (did:web, "Read").
pub(crate) async fn did_document_at_path(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let url = shared.did.document_url();
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    if uri.path().trim_start_matches('/') == path {
        did_document(State(shared)).await
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

/// The chain of cards, so that anyone who has pinned the first can follow it.
pub(crate) async fn cards(State(shared): State<Arc<Shared>>) -> Response {
    json_answer(&json!({ "cards": shared.identity().cards() }), "application/json")
}

/// The newest durable checkpoint (C2SP tlog-checkpoint).
pub(crate) async fn checkpoint(State(shared): State<Arc<Shared>>) -> Response {
    let keys = shared.keys();
    let note = shared
        .writer
        .query(move |engine, _| {
            let checkpoint = engine.checkpoint().ok()?;
            let name = checkpoint.origin().parse().ok()?;
            checkpoint.sign(&name, &*keys.node).ok().map(|note| note.to_string())
        })
        .await;
    match note {
        Ok(Some(note)) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], note).into_response(),
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// One tile of hashes (C2SP tlog-tiles). Entry bundles are not served: what was said is for its
/// parties only.
pub(crate) async fn tile(shared: &Arc<Shared>, path: &str) -> Response {
    let Ok(tile) = path.parse::<TileIndex>() else { return StatusCode::NOT_FOUND.into_response() };
    let hashes = shared.writer.query(move |engine, view| engine.tile(view, tile)).await;
    match hashes {
        Ok(Ok(hashes)) => {
            ([(header::CONTENT_TYPE, "application/octet-stream")], encode_tile(&hashes)).into_response()
        }
        Ok(Err(_)) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
