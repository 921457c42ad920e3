//! An HTTP service of the provider's own: requests are passed on to it, ranges as well.

use std::path::PathBuf;

use futures_util::StreamExt as _;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::super::secret;
use super::{Relayed, SourceError};
use crate::outbound::{self, Outbound, Target};

/// Headers of the request that are passed on.
const ASKED: [HeaderName; 6] = [
    header::ACCEPT,
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
];
/// Headers of the answer that are passed back.
const ANSWERED: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_ENCODING,
    header::ACCEPT_RANGES,
    header::ETAG,
    header::LAST_MODIFIED,
];

/// An HTTP service behind the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendSource {
    /// Its address. `hiwar.toml` must allow it below `[outbound]` when it is not public.
    pub url: String,
    /// File that holds the value of the header that it asks for, such as `Bearer …`. Read at each
    /// request, never kept and never logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// The header; `authorization` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_header: Option<String>,
    /// Whether a path and a query behind the transfer's address are passed on.
    #[serde(default)]
    pub paths: bool,
}

impl BackendSource {
    /// Passes a request on. The answer's status and the headers that concern its content come back;
    /// everything else stays here.
    ///
    /// # Errors
    /// When the service is not allowed, not reached, or asks for what the secret does not give.
    pub async fn relay(
        &self,
        outbound: &Outbound,
        method: Method,
        path: Option<&str>,
        query: Option<&str>,
        asked: &HeaderMap,
    ) -> Result<Relayed, SourceError> {
        let url = self.address(path, query)?;
        let mut request = outbound.request(method, Target::Stranger(&url))?;
        for name in ASKED {
            for value in asked.get_all(&name) {
                request = request.header(&name, value);
            }
        }
        if let Some(file) = &self.secret_file {
            let name = self.secret_header.as_deref().unwrap_or("authorization");
            request = request.header(name, secret(file.clone()).await?);
        }
        let answer = request.send().await.map_err(|e| outbound::failure(&url, &e))?;
        let status = answer.status();
        let passes = matches!(
            status,
            StatusCode::OK
                | StatusCode::PARTIAL_CONTENT
                | StatusCode::NOT_MODIFIED
                | StatusCode::NOT_FOUND
                | StatusCode::PRECONDITION_FAILED
                | StatusCode::RANGE_NOT_SATISFIABLE
        );
        if !passes {
            return Err(SourceError::Backend(format!("it answered {status}")));
        }
        let mut headers = HeaderMap::new();
        for name in ANSWERED {
            if let Some(value) = answer.headers().get(&name) {
                headers.insert(name, value.clone());
            }
        }
        let broken = move |e: reqwest::Error| SourceError::Backend(outbound::causes(&e));
        Ok(Relayed {
            status,
            headers,
            stream: Box::pin(answer.bytes_stream().map(move |part| part.map_err(&broken))),
        })
    }

    /// Looks whether it can be offered: its address, whether it is allowed, and its secret.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub async fn check(&self, outbound: &Outbound) -> Result<(), SourceError> {
        let url = self.address(None, None)?;
        if !url.username().is_empty() || url.password().is_some() {
            let why = "its address holds a password, which would be kept; put it into a secret file";
            return Err(SourceError::Backend(why.into()));
        }
        outbound.client_for(Target::Stranger(&url))?;
        if let Some(name) = &self.secret_header {
            HeaderName::try_from(name.as_str())
                .map_err(|_| SourceError::Backend(format!("{name:?} is no name of a header")))?;
        }
        if let Some(file) = &self.secret_file {
            secret(file.clone()).await?;
        }
        Ok(())
    }

    fn address(&self, path: Option<&str>, query: Option<&str>) -> Result<Url, SourceError> {
        let mut url: Url =
            self.url.parse().map_err(|_| SourceError::Backend("its address is no URL".into()))?;
        if !self.paths {
            return if path.is_none() { Ok(url) } else { Err(SourceError::NoSuchPath) };
        }
        if let Some(path) = path {
            if !super::folder::is_inner(path) {
                return Err(SourceError::NoSuchPath);
            }
            let mut parts = url.path_segments_mut().map_err(|()| SourceError::NoSuchPath)?;
            parts.pop_if_empty().extend(path.split('/'));
        }
        if let Some(query) = query {
            let joined = url.query().map_or_else(|| query.to_owned(), |own| format!("{own}&{query}"));
            url.set_query(Some(&joined));
        }
        Ok(url)
    }
}

/// Reads a secret; errors name the file and never its content.
async fn secret(file: PathBuf) -> Result<HeaderValue, SourceError> {
    let shown = file.display().to_string();
    let text = secret::read(file).await.map_err(SourceError::Read)?;
    let mut value = HeaderValue::from_str(text.trim())
        .map_err(|_| SourceError::Read(secret::unusable(&shown, "it is no value of a header")))?;
    value.set_sensitive(true);
    Ok(value)
}
