//! S3-compatible stores, as far as the data plane needs them: look at an object, read a part of one
//! version of it, list a prefix.
//!
//! A store is named in `hiwar.toml`, with its endpoint and its buckets. Offers keep the store's name, the
//! bucket and the key; nothing that a peer sends has a part in an address. The clients of the stores are
//! apart from those for others' addresses, so that a private endpoint that is allowed here stays closed
//! to callbacks and data addresses.

mod answer;
mod config;
mod object;
mod sign;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use reqwest::{Response, Url};
use zeroize::Zeroizing;

use self::answer::{Listed, Page, Refusal};
pub use self::answer::{Problem, StoreError};
pub(crate) use self::config::check;
pub use self::config::{StoreConfig, Style};
pub(super) use self::object::{Described, Version};
use self::sign::{Keys, NO_BODY, Unsigned};
use super::retry::Retry;
use super::secret;
use crate::clock::now;
use crate::outbound::{self, AddressRule, Outbound, Target};

/// Longest error read, in bytes.
const ERROR_BYTES_MAX: usize = 64 * 1024;
/// Longest page of a list read, in bytes: 1000 keys of 1024 bytes, three characters each, and as much again.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 1024;

/// An object or a prefix, as a person writes it: `s3://BUCKET/KEY`, or `s3://BUCKET/PREFIX/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectAddress {
    /// The bucket.
    pub bucket: String,
    /// The key, or the prefix: empty for a whole bucket.
    pub key: String,
}

/// How an address begins.
pub const SCHEME: &str = "s3://";

impl ObjectAddress {
    /// Reads an address. The key is taken as it is, without any encoding.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix(SCHEME).ok_or("it does not begin with s3://")?;
        let (bucket, key) = rest.split_once('/').ok_or("there is no / behind the bucket")?;
        let read = Self { bucket: bucket.to_owned(), key: key.to_owned() };
        if read.key.len() > KEY_BYTES_MAX || read.key.chars().any(char::is_control) {
            return Err("the key is longer than 1024 bytes, or holds control characters".into());
        }
        if read.key.split('/').any(|part| part == "." || part == "..") {
            return Err("a part of the key is . or .., which changes its meaning on the way".into());
        }
        Ok(read)
    }

    /// Whether it is a prefix: a folder.
    pub fn is_folder(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }
}

/// The stores of this node.
#[derive(Debug)]
pub struct Stores {
    configs: Vec<StoreConfig>,
    dir: PathBuf,
    outbound: Outbound,
    retry: Retry,
}

impl Default for Stores {
    /// None.
    fn default() -> Self {
        Self {
            configs: Vec::new(),
            dir: PathBuf::new(),
            outbound: Outbound::new(AddressRule::default(), None),
            retry: Retry::standard(),
        }
    }
}

impl Stores {
    /// The stores of a configuration; files with credentials are relative to `dir`, the node's folder.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(configs: &[StoreConfig], dir: &Path) -> Result<Self, String> {
        check(configs)?;
        let allow = configs.iter().map(StoreConfig::allowed).collect::<Result<_, _>>()?;
        // Whoever waits for content waits for these attempts, so they are few.
        let retry = Retry {
            attempts: 6,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(4),
            ..Retry::standard()
        };
        Ok(Self {
            configs: configs.to_vec(),
            dir: dir.to_owned(),
            outbound: Outbound::new(AddressRule { allow }, None),
            retry,
        })
    }

    /// The bucket, of the store that has it.
    ///
    /// # Errors
    /// When no store has it.
    pub(super) fn of_bucket(self: &Arc<Self>, bucket: &str) -> Result<Bucket, String> {
        match self.configs.iter().find(|store| store.buckets.iter().any(|held| held == bucket)) {
            Some(store) => Ok(self.opened(store, bucket)),
            None => Err(format!(
                "no store in hiwar.toml has the bucket {bucket:?}; add it to `buckets` of a \
                 [[dataspace.stores]] table and start the node again"
            )),
        }
    }

    /// The bucket of a store that an offer names.
    ///
    /// # Errors
    /// When `hiwar.toml` does not have it any more.
    pub(super) fn named(self: &Arc<Self>, store: &str, bucket: &str) -> Result<Bucket, String> {
        let found = self.configs.iter().find(|held| held.name == store);
        match found.filter(|store| store.buckets.iter().any(|held| held == bucket)) {
            Some(store) => Ok(self.opened(store, bucket)),
            None => Err(format!(
                "hiwar.toml has no store {store:?} with the bucket {bucket:?} any more; put it back, or offer \
                 the data anew"
            )),
        }
    }

    fn opened(self: &Arc<Self>, config: &StoreConfig, bucket: &str) -> Bucket {
        Bucket { stores: self.clone(), config: config.clone(), name: bucket.to_owned() }
    }
}

/// A bucket of a store.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    stores: Arc<Stores>,
    config: StoreConfig,
    name: String,
}

/// What is asked of a bucket.
struct Ask<'a> {
    method: Method,
    /// The object; none for the bucket itself.
    key: Option<&'a str>,
    query: &'a [(&'a str, &'a str)],
    headers: &'a [(HeaderName, String)],
}

impl Bucket {
    /// The store's name.
    pub(super) fn store(&self) -> &str {
        &self.config.name
    }

    /// An error of this store.
    pub(super) fn error(&self, problem: Problem) -> StoreError {
        StoreError { store: self.config.name.clone(), problem }
    }

    fn retry(&self) -> &Retry {
        &self.stores.retry
    }

    /// One page of the objects below a prefix.
    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Page, StoreError> {
        let mut query = vec![("list-type", "2"), ("encoding-type", "url"), ("prefix", prefix)];
        query.extend(after.map(|token| ("continuation-token", token)));
        let ask = Ask { method: Method::GET, key: None, query: &query, headers: &[] };
        let answer = self.persist(&ask).await?;
        let read = outbound::read_limited(answer, PAGE_BYTES_MAX).await;
        let body = read.map_err(|e| self.error(e.into()))?;
        let text = std::str::from_utf8(&body).map_err(|e| e.to_string());
        text.and_then(answer::page).map_err(|why| self.error(Problem::Answer(why)))
    }

    /// Asks until there is an answer, or no hope of one.
    async fn persist(&self, ask: &Ask<'_>) -> Result<Response, StoreError> {
        let mut failed = 0;
        loop {
            match self.ask(ask).await {
                Err(problem) if problem.passes() && failed + 1 < self.retry().attempts => {
                    failed += 1;
                    tracing::info!(store = self.store(), %problem, "a store is asked again");
                    tokio::time::sleep(self.retry().wait(failed)).await;
                }
                Err(problem) => return Err(self.error(problem)),
                Ok(answer) => return Ok(answer),
            }
        }
    }

    /// Asks once.
    async fn ask(&self, ask: &Ask<'_>) -> Result<Response, Problem> {
        let keys = self.keys().await.map_err(Problem::Credentials)?;
        let url = self.address(ask).map_err(Problem::Answer)?;
        let headers = self.headers(ask, &url, &keys)?;
        let request = self.stores.outbound.request(ask.method.clone(), Target::Stranger(&url))?;
        let answer = request.headers(headers).send().await.map_err(|e| outbound::failure(&url, &e))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text =
            |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).map(ToOwned::to_owned);
        let (region, date) = (text("x-amz-bucket-region"), text("date").unwrap_or_default());
        let body = outbound::read_limited(answer, ERROR_BYTES_MAX).await.unwrap_or_default();
        let (body, place) = (String::from_utf8_lossy(&body), self.place());
        let (bucket, key) = (self.name.as_str(), ask.key);
        Err(Refusal { status, body: &body, region, date, bucket, key, place: &place }.problem())
    }

    /// The address. What `Url` makes of it must be what is signed.
    fn address(&self, ask: &Ask<'_>) -> Result<Url, String> {
        let mut url = self.config.url()?;
        let key = sign::encode(ask.key.unwrap_or_default(), true);
        let path = match self.config.style {
            Style::Path if ask.key.is_none() => format!("/{}", self.name),
            Style::Path => format!("/{}/{key}", self.name),
            Style::VirtualHost => {
                let host = format!("{}.{}", self.name, url.host_str().unwrap_or_default());
                url.set_host(Some(&host)).map_err(|e| format!("the bucket makes no host: {e}"))?;
                format!("/{key}")
            }
        };
        let query = sign::query(ask.query);
        url.set_path(&path);
        url.set_query(Some(query.as_str()).filter(|q| !q.is_empty()));
        if url.path() != path || url.query().unwrap_or_default() != query {
            return Err("the key cannot be written in an address".into());
        }
        Ok(url)
    }

    fn headers(&self, ask: &Ask<'_>, url: &Url, keys: &Keys) -> Result<HeaderMap, Problem> {
        let date = sign::date(now());
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let mut signed: Vec<(&str, &str)> = vec![("host", &host), ("x-amz-date", &date)];
        signed.push(("x-amz-content-sha256", NO_BODY));
        signed.extend(keys.session.as_ref().map(|token| ("x-amz-security-token", token.as_str())));
        signed.extend(ask.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        signed.sort_unstable();
        let unsigned = Unsigned {
            method: ask.method.as_str(),
            path: url.path(),
            query: url.query().unwrap_or_default(),
            headers: &signed,
            body: NO_BODY,
        };
        let authorization = sign::authorization(&unsigned, keys, &self.config.region, &date);
        let mut headers = HeaderMap::new();
        let all = signed.iter().filter(|(name, _)| *name != "host").copied();
        for (name, value) in all.chain([("authorization", authorization.as_str())]) {
            let odd = |_| Problem::Credentials(format!("{}: what is in it makes no header", self.place()));
            let mut value = HeaderValue::from_str(value).map_err(odd)?;
            value.set_sensitive(matches!(name, "authorization" | "x-amz-security-token"));
            let name = HeaderName::try_from(name).map_err(|e| Problem::Answer(e.to_string()))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }

    /// Where the keys are from, for people.
    fn place(&self) -> String {
        match &self.config.credentials {
            Some(file) => file.display().to_string(),
            None => "the node's environment".into(),
        }
    }

    async fn keys(&self) -> Result<Keys, String> {
        let place = self.place();
        let missing = |name: &str| format!("{place} does not have {name}");
        let Some(file) = &self.config.credentials else {
            let of = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
            let (access, secret) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
            let hint = |name| missing(name) + "; set it, or name a file as `credentials` of the store";
            return Ok(Keys {
                access: of(access).ok_or_else(|| hint(access))?,
                secret: of(secret).map(Zeroizing::new).ok_or_else(|| hint(secret))?,
                session: of("AWS_SESSION_TOKEN").map(Zeroizing::new),
            });
        };
        let text = secret::read(self.stores.dir.join(file)).await?;
        let [mut access, mut secret, mut session] = [None, None, None];
        for line in text.lines() {
            let Some((name, value)) = line.split_once('=') else { continue };
            let held = match name.trim() {
                "aws_access_key_id" => &mut access,
                "aws_secret_access_key" => &mut secret,
                "aws_session_token" => &mut session,
                _ => continue,
            };
            if held.replace(Zeroizing::new(value.trim().to_owned())).is_some() {
                return Err(format!("{place} has {} twice; leave one profile in it", name.trim()));
            }
        }
        Ok(Keys {
            access: access.ok_or_else(|| missing("aws_access_key_id"))?.to_string(),
            secret: secret.ok_or_else(|| missing("aws_secret_access_key"))?,
            session,
        })
    }
}

/// The objects below a prefix, all pages of them.
pub(super) struct Listing<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) prefix: &'a str,
    /// Most objects.
    pub(super) most: usize,
}

impl Listing<'_> {
    /// Brings them. Nothing when there are more than allowed.
    pub(super) async fn objects(&self) -> Result<Option<Vec<Described>>, StoreError> {
        let mut objects: Vec<Described> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.bucket.page(self.prefix, after.as_deref()).await?;
            let moved = !page.objects.is_empty() && page.next != after;
            objects.extend(page.objects.into_iter().map(Described::from));
            match page.next {
                None => return Ok(Some(objects).filter(|all| all.len() <= self.most)),
                Some(_) if objects.len() > self.most => return Ok(None),
                Some(_) if !moved => {
                    let why = "its list does not come to an end".into();
                    return Err(self.bucket.error(Problem::Answer(why)));
                }
                next => after = next,
            }
        }
    }
}

/// The header of an answer, as text.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A version's entity tag as it is sent back: some stores leave out its quotes.
fn quoted(etag: &str) -> String {
    let held = etag.trim();
    if held.ends_with('"') { held.to_owned() } else { format!("\"{held}\"") }
}

#[cfg(test)]
mod tests;
