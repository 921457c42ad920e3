//! A client of a node's local API.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use hiwar_node::config::Config;
use hiwar_node::folder;
use serde_json::Value;

/// Which node a command speaks to, and as whom.
#[derive(Clone, Debug, clap::Args)]
pub struct NodeArgs {
    /// The node's folder
    #[arg(long, env = "HIWAR_NODE", default_value = ".", global = true)]
    pub node: PathBuf,
    /// The desk that acts (the node's first desk when left out)
    #[arg(long, env = "HIWAR_DESK", global = true)]
    pub desk: Option<String>,
    /// File with the token to use, in place of the operator's
    #[arg(long, env = "HIWAR_TOKEN_FILE", global = true)]
    pub token_file: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table, global = true)]
    pub format: Format,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// A connection to a running node.
#[derive(Clone)]
pub struct ApiClient {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl ApiClient {
    /// Finds the running node whose folder is `args.node`.
    ///
    /// # Errors
    /// When the folder is no node's, or its token cannot be read.
    pub fn of(args: &NodeArgs) -> anyhow::Result<Self> {
        let config = Config::read(&args.node)?;
        let token_path = args.token_file.clone().unwrap_or_else(|| args.node.join(folder::API_TOKEN));
        let token = folder::read_secret(&token_path)?.trim().to_owned();
        Ok(Self::new(&format!("http://{}", config.api_listen), token))
    }

    /// The node in `dir`, as its operator.
    ///
    /// # Errors
    /// When the folder is no node's, or its token cannot be read.
    pub fn of_folder(dir: &Path) -> anyhow::Result<Self> {
        Self::of(&NodeArgs { node: dir.to_owned(), desk: None, token_file: None, format: Format::Json })
    }

    fn new(base: &str, token: String) -> Self {
        let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().unwrap_or_default();
        Self { http, base: base.to_owned(), token }
    }

    /// Reads `path`.
    ///
    /// # Errors
    /// When the node does not answer, or refuses.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.answer(self.http.get(format!("{}{path}", self.base))).await
    }

    /// Whether the node says that it is ready.
    pub async fn is_ready(&self) -> bool {
        let answer = self.http.get(format!("{}/readyz", self.base)).send().await;
        answer.is_ok_and(|a| a.status().is_success())
    }

    /// Reads `path` as text.
    ///
    /// # Errors
    /// When the node does not answer, or refuses.
    pub async fn get_text(&self, path: &str) -> anyhow::Result<String> {
        let answer =
            self.http.get(format!("{}{path}", self.base)).send().await.with_context(|| self.unreachable())?;
        Ok(answer.text().await?)
    }

    /// Reads `path` as a stream.
    ///
    /// # Errors
    /// When the node does not answer, or refuses.
    pub async fn get_stream(&self, path: &str) -> anyhow::Result<reqwest::Response> {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token);
        let response = request.send().await.with_context(|| self.unreachable())?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    /// Posts JSON to `path`.
    ///
    /// # Errors
    /// When the node does not answer, or refuses.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.http.post(format!("{}{path}", self.base)).body(body.to_string());
        self.answer(request.header("content-type", "application/json")).await
    }

    /// Changes what is at `path`.
    ///
    /// # Errors
    /// When the node does not answer, or refuses.
    pub async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.http.patch(format!("{}{path}", self.base)).body(body.to_string());
        self.answer(request.header("content-type", "application/json")).await
    }

    /// Posts bytes to `path`.
    ///
    /// # Errors
    /// When the node does not answer, or refuses.
    pub async fn post_bytes(&self, path: &str, body: Vec<u8>) -> anyhow::Result<Value> {
        self.answer(self.http.post(format!("{}{path}", self.base)).body(body)).await
    }

    /// Deletes `path`.
    ///
    /// # Errors
    /// When the node does not answer, or refuses.
    pub async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.answer(self.http.delete(format!("{}{path}", self.base))).await
    }

    /// Uploads a file, streamed.
    ///
    /// # Errors
    /// When the node does not answer, or refuses.
    pub async fn upload(&self, file: &Path) -> anyhow::Result<Value> {
        let handle = tokio::fs::File::open(file)
            .await
            .with_context(|| format!("{} cannot be read", file.display()))?;
        let size = handle.metadata().await?.len();
        let stream = tokio_util::io::ReaderStream::with_capacity(handle, 1024 * 1024);
        let request = self
            .http
            .put(format!("{}/api/v1/attachments", self.base))
            .header("content-length", size)
            .body(reqwest::Body::wrap_stream(stream));
        self.answer(request).await
    }

    /// Reads a file that entries carry, of at most `max` bytes; absent while it is not on the node.
    ///
    /// # Errors
    /// When the node does not answer, or refuses, or the file is larger.
    pub async fn file(&self, sha256: &str, max: usize) -> anyhow::Result<Option<Vec<u8>>> {
        let request = self.http.get(format!("{}/api/v1/attachments/{sha256}", self.base));
        let mut response =
            request.bearer_auth(&self.token).send().await.with_context(|| self.unreachable())?;
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await? {
            bytes.extend_from_slice(&part);
            anyhow::ensure!(bytes.len() <= max, "the file {sha256} has more than {max} bytes");
        }
        Ok(Some(bytes))
    }

    /// Stores bytes as a file that entries can carry.
    ///
    /// # Errors
    /// When the node does not answer, or refuses.
    pub async fn store_file(&self, bytes: Vec<u8>) -> anyhow::Result<Value> {
        self.answer(self.http.put(format!("{}/api/v1/attachments", self.base)).body(bytes)).await
    }

    fn unreachable(&self) -> String {
        format!("no node answers at {}; is it running? start it with `hiwar serve DIR`", self.base)
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let response = request.bearer_auth(&self.token).send().await.with_context(|| self.unreachable())?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let bytes = response.bytes().await?;
        serde_json::from_slice(&bytes).context("the node's answer is no JSON")
    }
}

/// What a node refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail} ({code})")]
pub struct Refusal {
    /// The stable code.
    pub code: String,
    /// Why, in words.
    pub detail: String,
    /// What is wrong with single fields: `field`, `code`, `texts` by language.
    pub faults: Vec<Value>,
}

async fn refusal(response: reqwest::Response) -> anyhow::Error {
    let status = response.status();
    let bytes = response.bytes().await.unwrap_or_default();
    let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let part =
        |name: &str| value.pointer(&format!("/error/{name}")).and_then(Value::as_str).map(ToOwned::to_owned);
    match (part("code"), part("detail")) {
        (Some(code), Some(detail)) => {
            let faults =
                value.pointer("/error/faults").and_then(Value::as_array).cloned().unwrap_or_default();
            Refusal { code, detail, faults }.into()
        }
        _ => anyhow::anyhow!("the node answered {status}: {}", String::from_utf8_lossy(&bytes)),
    }
}

/// Runs an asynchronous command.
///
/// # Errors
/// Whatever the command says.
pub fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    hiwar_node::tls::install_provider();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// The full identifier that starts with `prefix`, among `all`.
///
/// # Errors
/// When none or several do.
pub fn complete(prefix: &str, all: &[String], what: &str) -> anyhow::Result<String> {
    let fitting: Vec<&String> = all.iter().filter(|id| id.starts_with(prefix)).collect();
    match fitting.as_slice() {
        [one] => Ok((*one).clone()),
        [] => bail!("there is no {what} whose identifier starts with {prefix:?}"),
        several => bail!("{} {what}s start with {prefix:?}; give more digits", several.len()),
    }
}
