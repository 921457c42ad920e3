//! The tables `[[dataspace.stores]]` of `hiwar.toml`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::outbound::Allow;

/// How a bucket is named in an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// `https://endpoint/bucket/key`.
    #[default]
    Path,
    /// `https://bucket.endpoint/key`.
    VirtualHost,
}

/// An S3-compatible store that the operator lets the node read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// Its name, by which offers remember it.
    pub name: String,
    /// Its address, such as `https://s3.eu-central-1.amazonaws.com` or `http://127.0.0.1:9000`.
    pub endpoint: String,
    /// Its region; `us-east-1` when absent, which most stores of one's own take.
    #[serde(default = "standard_region")]
    pub region: String,
    /// How a bucket is named in an address; `path` when absent.
    #[serde(default)]
    pub style: Style,
    /// The buckets that are read. Each is in one store only, so that `s3://BUCKET/KEY` says enough.
    pub buckets: Vec<String>,
    /// A file that only its owner can read, with lines `aws_access_key_id = …`, `aws_secret_access_key = …`
    /// and perhaps `aws_session_token = …`; relative to the node's folder, and read at each request. When
    /// absent, the environment of the node: `AWS_ACCESS_KEY_ID` and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<PathBuf>,
}

fn standard_region() -> String {
    "us-east-1".into()
}

/// Whether a bucket can be named in a path and in a host. Stricter than some stores, to be safe in both.
fn is_bucket(name: &str) -> bool {
    let ordinary = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    (3..=63).contains(&name.len())
        && name.bytes().all(ordinary)
        && !name.contains("..")
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

impl StoreConfig {
    /// The endpoint.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn url(&self) -> Result<Url, String> {
        let url: Url = self.endpoint.parse().map_err(|_| "endpoint: it is no URL".to_owned())?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !bare || !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
            return Err("endpoint: write https:// or http://, a host and perhaps a port, nothing else; \
                        keys belong into the file of `credentials`"
                .into());
        }
        Ok(url)
    }

    /// Where the node may connect to for this store, and nobody else through the node.
    pub(super) fn allowed(&self) -> Result<Allow, String> {
        let url = self.url()?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err("endpoint: it names no host".into());
        };
        let is_number = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        if self.style == Style::VirtualHost && is_number {
            return Err(
                "endpoint: with style = \"virtual-host\" it must be a name, for the bucket stands before it"
                    .into(),
            );
        }
        let plain = if url.scheme() == "http" { "http://" } else { "" };
        let below = if self.style == Style::VirtualHost { "*." } else { "" };
        let allow = format!("{plain}{below}{host}:{port}").parse::<Allow>();
        allow.map_err(|e| format!("endpoint: {e}"))
    }

    fn check(&self) -> Result<(), String> {
        let ordinary = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.len() > 100 || !self.name.chars().all(ordinary) {
            return Err("name: it must have 1 to 100 of the characters a-z, A-Z, 0-9, -, _ and .".into());
        }
        self.allowed()?;
        if self.region.is_empty() || self.region.len() > 100 || !self.region.chars().all(ordinary) {
            return Err("region: it must be a name such as eu-central-1".into());
        }
        if self.buckets.is_empty() {
            return Err("buckets: name at least one, such as buckets = [\"trade\"]".into());
        }
        match self.buckets.iter().find(|bucket| !is_bucket(bucket)) {
            Some(bucket) => Err(format!(
                "buckets: {bucket:?} is no name of a bucket: 3 to 63 of a-z, A-Z, 0-9, -, . and _, the first \
                 a letter or digit"
            )),
            None => Ok(()),
        }
    }
}

/// Checks all stores of a configuration.
///
/// # Errors
/// Which field of which store is wrong, and how to mend it.
pub(crate) fn check(stores: &[StoreConfig]) -> Result<(), String> {
    let (mut names, mut buckets) = (BTreeSet::new(), BTreeSet::new());
    for (index, store) in stores.iter().enumerate() {
        let named = |problem: String| format!("dataspace.stores, number {}: {problem}", index + 1);
        store.check().map_err(named)?;
        if !names.insert(&store.name) {
            return Err(named(format!("name: {:?} is there twice", store.name)));
        }
        if let Some(twice) = store.buckets.iter().find(|bucket| !buckets.insert(*bucket)) {
            return Err(named(format!(
                "buckets: {twice:?} is named twice; `s3://{twice}/…` would not say which"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Table {
            stores: Vec<StoreConfig>,
        }
        let table: Table = toml::from_str(text).map_err(|e| e.to_string())?;
        check(&table.stores)
    }

    #[test]
    fn a_store_that_cannot_be_used_is_refused_with_the_field_to_mend() {
        let good = "[[stores]]\nname = \"a\"\nendpoint = \"https://s3.example\"\nbuckets = [\"trade\"]\n";
        assert_eq!(read(good), Ok(()));
        for (from, to, field) in [
            ("name = \"a\"", "name = \"a b\"", "name"),
            ("https://s3.example", "s3.example", "endpoint"),
            ("https://s3.example", "https://k:s@s3.example", "endpoint"),
            ("https://s3.example", "https://s3.example/bucket", "endpoint"),
            ("https://s3.example", "file:///etc", "endpoint"),
            ("\"trade\"", "", "buckets"),
            ("\"trade\"", "\"..\"", "buckets"),
            ("\"trade\"", "\"a/b/c\"", "buckets"),
            ("\"trade\"", "\"trade\", \"trade\"", "twice"),
            ("name = \"a\"", "name = \"a\"\nregion = \"eu/1\"", "region"),
            ("name = \"a\"", "name = \"a\"\nsecret = \"x\"", "unknown field `secret`"),
        ] {
            let error = read(&good.replace(from, to)).unwrap_err();
            assert!(error.contains(field), "{to}: {error}");
        }
        let error = read(&format!("{good}{}", good.replace("trade", "other"))).unwrap_err();
        assert!(error.contains("number 2") && error.contains("name"), "{error}");
        let virtual_ip = good
            .replace("https://s3.example", "https://10.0.0.1")
            .replace("name = \"a\"", "name = \"a\"\nstyle = \"virtual-host\"");
        assert!(read(&virtual_ip).is_err(), "a bucket cannot be put before an address");
    }
}
