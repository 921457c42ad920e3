//! What the web framework refuses before a handler sees it is told in the form of the protocol as well.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hiwar_store::dataspace::ProcessKind;

use super::PATH;
use super::endpoints::{About, BODY_BYTES_MAX, Failed};

/// Most bytes read of what the framework says.
const SAID_BYTES_MAX: usize = 4096;

/// Gives an answer of the framework (a body that is too large, a path or query that is none, a method that
/// is not served) the error body of its part of the protocol (DSP 2025-1, sections 6.3, 7.3 and 8.3).
pub(super) async fn typed(request: Request, next: Next) -> Response {
    let about = about(request.uri().path());
    let response = next.run(request).await;
    let status = response.status();
    let json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let Some(about) = about.filter(|_| status.is_client_error() && !json) else { return response };
    let allow = response.headers().get(header::ALLOW).cloned();
    let (code, reason) = match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            ("too-large", format!("the message has more than {BODY_BYTES_MAX} bytes"))
        }
        StatusCode::METHOD_NOT_ALLOWED => ("wrong-method", "this address does not take that method".into()),
        _ => ("malformed", said(response).await),
    };
    let mut answer = Failed::new(status, about, code, reason).into_response();
    if let Some(allow) = allow {
        answer.headers_mut().insert(header::ALLOW, allow);
    }
    answer
}

/// The part of the protocol that an address belongs to.
fn about(path: &str) -> Option<About> {
    let (part, _) = path.strip_prefix(PATH)?.strip_prefix('/')?.split_once('/')?;
    match part {
        "catalog" => Some(About::Catalog),
        "negotiations" => Some(About::Process(ProcessKind::Negotiation)),
        "transfers" => Some(About::Process(ProcessKind::Transfer)),
        _ => None,
    }
}

async fn said(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), SAID_BYTES_MAX).await.unwrap_or_default();
    match String::from_utf8_lossy(&bytes).trim() {
        "" => "the request cannot be read".into(),
        text => text.to_owned(),
    }
}
