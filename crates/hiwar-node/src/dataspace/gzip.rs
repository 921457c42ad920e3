//! Answers in gzip (RFC 9110, section 8.4.1.3), both ways.

use std::io::{Read as _, Write as _};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// Smaller answers fit into one packet and are sent as they are.
const BYTES_MIN: usize = 1400;
/// Largest answer of this node that is held; all are smaller.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Catalogs repeat themselves: the fastest level leaves a tenth, the best little less.
const LEVEL: u32 = 1;

/// Whether an `Accept-Encoding` takes gzip: named, or by `*`, and not with the weight zero.
fn accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    let weight = |item: &str| {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        let weight = parameters.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        (name.trim().to_ascii_lowercase(), weight.unwrap_or(0.0))
    };
    let all: Vec<(String, f32)> = values.flat_map(|v| v.split(',')).map(weight).collect();
    let of = |wanted: &str| all.iter().find(|(name, _)| name == wanted).map(|(_, weight)| *weight);
    of("gzip").or(of("*")).is_some_and(|weight| weight > 0.0)
}

/// Compresses an answer for a caller that takes it so.
pub(super) async fn compress(request: Request, next: Next) -> Response {
    let wanted = accepted(request.headers());
    let mut response = next.run(request).await;
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if !wanted || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, BYTES_MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if bytes.len() < BYTES_MIN {
        return Response::from_parts(head, Body::from(bytes));
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::new(LEVEL));
    match encoder.write_all(&bytes).and_then(|()| encoder.finish()) {
        Ok(smaller) => {
            head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            head.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(head, Body::from(smaller))
        }
        Err(_) => Response::from_parts(head, Body::from(bytes)),
    }
}

/// The content of an answer that another connector gave.
///
/// # Errors
/// When it is not gzip though it says so, is of another coding, or has more than `limit` bytes.
pub(super) fn content(headers: &HeaderMap, body: Vec<u8>, limit: usize) -> Result<Vec<u8>, String> {
    let coding =
        headers.get(header::CONTENT_ENCODING).map(|v| v.to_str().unwrap_or("?").to_ascii_lowercase());
    match coding.as_deref() {
        None | Some("" | "identity") => Ok(body),
        Some("gzip" | "x-gzip") => {
            let mut content = Vec::new();
            let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
            MultiGzDecoder::new(body.as_slice())
                .take(most)
                .read_to_end(&mut content)
                .map_err(|e| format!("its answer is no gzip, though it says so: {e}"))?;
            if content.len() > limit {
                return Err(format!("its answer has more than {limit} bytes"));
            }
            Ok(content)
        }
        Some(other) => Err(format!(
            "its answer is encoded as {:?}, which was not asked for",
            other.chars().take(40).collect::<String>()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zipped(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn gzip_is_sent_to_those_that_take_it_only() {
        let takes = |value: &str| accepted(&with(header::ACCEPT_ENCODING, value));
        assert!(takes("gzip") && takes("deflate, GZIP;q=0.5") && takes("*") && takes("br, gzip; q=1"));
        assert!(!takes("identity") && !takes("gzip;q=0, *") && !takes("gzip;q=nonsense") && !takes(""));
        assert!(!accepted(&HeaderMap::new()));
    }

    #[test]
    fn an_answer_is_read_up_to_a_limit_however_small_it_travels() {
        let coding = with(header::CONTENT_ENCODING, "gzip");
        let bomb = zipped(&vec![b' '; 1_000_000]);
        assert!(bomb.len() < 2_000);
        assert_eq!(content(&coding, bomb.clone(), 1_000_000).unwrap().len(), 1_000_000);
        assert!(content(&coding, bomb, 999_999).unwrap_err().contains("999999"));
        let mut cut = zipped(b"a catalog that is cut off");
        cut.truncate(12);
        assert!(content(&coding, cut, 100).unwrap_err().contains("no gzip"));
        assert!(content(&with(header::CONTENT_ENCODING, "br"), vec![1], 100).unwrap_err().contains("br"));
        assert_eq!(content(&HeaderMap::new(), vec![1], 100).unwrap(), [1]);
    }
}
