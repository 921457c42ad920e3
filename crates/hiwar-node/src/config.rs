//! A node's configuration: `hiwar.toml` in its folder.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use hiwar_dialogue::engine::EngineConfig;
use hiwar_trust::did::Did;
use serde::{Deserialize, Serialize};

use crate::claims::config::ClaimsConfig;
use crate::dataspace::config::DataspaceConfig;
use crate::outbound::AddressRule;

/// The file's name.
pub const CONFIG_FILE: &str = "hiwar.toml";

/// A node's configuration. Times are in milliseconds, sizes in bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The participant this node speaks for.
    pub did: Did,
    /// Its name, for people.
    pub name: String,
    /// Where peers connect; absent for a node that accepts no connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Where desks and operators connect. Keep it on the loopback interface.
    pub api_listen: SocketAddr,
    /// The local address that connections to peers come from, for a host with several addresses of
    /// which peers' firewalls expect one; chosen by the system when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_from: Option<IpAddr>,
    /// How the peers' listener is secured.
    #[serde(default)]
    pub tls: Tls,
    /// The desks of this participant.
    pub desks: Vec<String>,
    /// The radar's store that this node mounts, relative to the node's folder. The node itself does
    /// not read it: radar commands that are given the node find the store by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radar_store: Option<PathBuf>,
    /// How delivery behaves.
    #[serde(default)]
    pub delivery: DeliveryConfig,
    /// The dataspace.
    #[serde(default, skip_serializing_if = "DataspaceConfig::is_standard")]
    pub dataspace: DataspaceConfig,
    /// Credentials: who is believed, what is required.
    #[serde(default, skip_serializing_if = "ClaimsConfig::is_standard")]
    pub claims: ClaimsConfig,
    /// Where URLs given by others may lead.
    #[serde(default, skip_serializing_if = "is_standard_rule")]
    pub outbound: AddressRule,
    /// What is logged: an `EnvFilter` directive such as `info` or `hiwar=debug`.
    #[serde(default = "standard_log")]
    pub log: String,
}

/// How the peers' listener is secured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Tls {
    /// TLS with the certificate made by `init`; peers pin its key through the card.
    #[default]
    Pinned,
    /// TLS with a certificate from an authority.
    Files {
        /// PEM file with the chain.
        certificate: PathBuf,
        /// PEM file with the private key.
        key: PathBuf,
    },
    /// No TLS: only for a listener on the loopback interface behind a proxy that does TLS.
    BehindProxy,
}

/// How delivery behaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryConfig {
    /// Most entries in one batch (at most 512).
    pub batch_entries: usize,
    /// About the most bytes in one batch (at most 8 MiB less one entry).
    pub batch_bytes: usize,
    /// Wait after the first failed attempt.
    pub retry_first_ms: i64,
    /// Longest wait between attempts.
    pub retry_max_ms: i64,
    /// A peer unreachable this long raises an alarm.
    pub unreachable_alarm_ms: i64,
    /// A peer unreachable this long is given up.
    pub give_up_ms: i64,
    /// How long a grown log may wait for its witnesses.
    pub witness_ms: i64,
    /// How often newest entries are compared with each peer.
    pub compare_ms: i64,
    /// How long one fetch waits at a peer when this node accepts no connection.
    pub long_poll_ms: u64,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        let engine = EngineConfig::standard();
        Self {
            batch_entries: engine.batch_entries,
            batch_bytes: engine.batch_bytes,
            retry_first_ms: engine.retry_first_ms,
            retry_max_ms: engine.retry_max_ms,
            unreachable_alarm_ms: engine.unreachable_alarm_ms,
            give_up_ms: engine.give_up_ms,
            witness_ms: engine.witness_ms,
            compare_ms: engine.compare_ms,
            long_poll_ms: 25_000,
        }
    }
}

fn is_standard_rule(rule: &AddressRule) -> bool {
    *rule == AddressRule::default()
}

/// The host that a certificate names. Peers look at its key only.
pub(crate) fn certificate_host(listen: Option<SocketAddr>) -> String {
    listen.map_or_else(|| "localhost".to_owned(), |l| l.ip().to_string())
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Whether a line of TOML gives `field` a value.
fn sets(line: &str, field: &str) -> bool {
    line.trim_start().strip_prefix(field).is_some_and(|rest| rest.trim_start().starts_with('='))
}

/// `text` with `field = value` in it, or without that field, before the first table.
fn set_line(text: &str, field: &str, value: Option<&str>) -> String {
    let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    let end = lines.iter().position(|line| line.trim_start().starts_with('[')).unwrap_or(lines.len());
    let at = lines.iter().take(end).position(|line| sets(line, field));
    let line = value.map(|value| format!("{field} = {value}"));
    match (at, line) {
        (Some(at), Some(line)) => drop(lines.splice(at..=at, [line])),
        (Some(at), None) => drop(lines.remove(at)),
        (None, Some(line)) => lines.insert(0, line),
        (None, None) => {}
    }
    lines.push(String::new());
    lines.join("\n")
}

fn standard_log() -> String {
    "info".into()
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{path} cannot be read: {error}; is this a node's folder? `hiwar init` makes one")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is wrong.
    #[error("{path}: {problem}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and field.
        problem: String,
    },
    /// It cannot be written.
    #[error("{path} cannot be written: {error}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

impl Config {
    /// Reads the configuration of the node in `dir`.
    ///
    /// # Errors
    /// When it is absent or wrong; the message names file, line and field.
    pub fn read(dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join(CONFIG_FILE);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| ConfigError::Unreadable { path: path.clone(), error })?;
        let config: Self = toml::from_str(&text).map_err(|e| ConfigError::Wrong {
            path: path.clone(),
            problem: e.to_string().trim_end().to_owned(),
        })?;
        config.check().map_err(|problem| ConfigError::Wrong { path, problem })?;
        Ok(config)
    }

    /// The text of `hiwar.toml` in `dir` with another name and place to listen, everything else and
    /// every comment unchanged.
    ///
    /// # Errors
    /// When the file is wrong, or so written that these lines cannot be told from others.
    pub(crate) fn changed_text(
        dir: &Path,
        name: &str,
        listen: Option<SocketAddr>,
    ) -> Result<String, ConfigError> {
        let mut wanted = Self::read(dir)?;
        wanted.name = name.to_owned();
        wanted.listen = listen;
        let path = dir.join(CONFIG_FILE);
        let before = std::fs::read_to_string(&path)
            .map_err(|error| ConfigError::Unreadable { path: path.clone(), error })?;
        let listen = listen.map(|address| quoted(&address.to_string()));
        let text = set_line(&before, "name", Some(&quoted(name)));
        let text = set_line(&text, "listen", listen.as_deref());
        let problem = match toml::from_str::<Self>(&text) {
            Ok(read) if read.to_toml().is_ok_and(|t| Ok(t) == wanted.to_toml()) => {
                return match wanted.check() {
                    Ok(()) => Ok(text),
                    Err(problem) => Err(ConfigError::Wrong { path, problem }),
                };
            }
            _ => {
                "name and listen could not be changed in it; write each on a line of its own, before the first [table]"
            }
        };
        Err(ConfigError::Wrong { path, problem: problem.into() })
    }

    /// The configuration as text.
    ///
    /// # Errors
    /// When it cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }

    /// Where the radar's store is that the node in `dir` mounts.
    pub fn radar_store(&self, dir: &Path) -> Option<PathBuf> {
        self.radar_store.as_ref().map(|store| dir.join(store))
    }

    /// The text that a new node's `hiwar.toml` begins with: what is not set, and how to set it.
    ///
    /// # Errors
    /// When it cannot be written as TOML.
    pub(crate) fn first_text(&self) -> Result<String, toml::ser::Error> {
        let mut text = String::new();
        if self.radar_store.is_none() {
            text.push_str(
                "# The radar's store, when radar commands with `--node` are to find it; relative to this folder:\n\
                 # radar_store = \"radar\"\n\n",
            );
        }
        Ok(text + &self.to_toml()?)
    }

    /// The host that the certificate made for this node names.
    pub(crate) fn certificate_host(&self) -> String {
        certificate_host(self.listen)
    }

    /// The engine's part of it.
    pub fn engine(&self) -> EngineConfig {
        EngineConfig {
            batch_entries: self.delivery.batch_entries,
            batch_bytes: self.delivery.batch_bytes,
            retry_first_ms: self.delivery.retry_first_ms,
            retry_max_ms: self.delivery.retry_max_ms,
            unreachable_alarm_ms: self.delivery.unreachable_alarm_ms,
            give_up_ms: self.delivery.give_up_ms,
            witness_ms: self.delivery.witness_ms,
            compare_ms: self.delivery.compare_ms,
            ..EngineConfig::standard()
        }
    }

    fn check(&self) -> Result<(), String> {
        use hiwar_dialogue::limits::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, ENTRY_BYTES_MAX};
        if self.tls == Tls::BehindProxy && self.listen.is_some_and(|l| !l.ip().is_loopback()) {
            return Err("listen: without TLS a node may only listen on the loopback interface; set tls.mode to \"pinned\" or listen on 127.0.0.1".into());
        }
        if self.desks.is_empty() || self.desks.iter().any(|d| d.trim().is_empty()) {
            return Err("desks: name at least one desk, such as desks = [\"export-control\"]".into());
        }
        self.claims.check()?;
        self.dataspace.check()?;
        let d = &self.delivery;
        if d.batch_entries == 0 || d.batch_entries > BATCH_ENTRIES_MAX {
            return Err(format!("delivery.batch_entries: it must be 1 to {BATCH_ENTRIES_MAX}"));
        }
        if d.batch_bytes == 0 || d.batch_bytes > BATCH_BYTES_MAX - 4 * ENTRY_BYTES_MAX {
            return Err(format!(
                "delivery.batch_bytes: it must be 1 to {}",
                BATCH_BYTES_MAX - 4 * ENTRY_BYTES_MAX
            ));
        }
        let times = [
            d.retry_first_ms,
            d.retry_max_ms,
            d.unreachable_alarm_ms,
            d.give_up_ms,
            d.witness_ms,
            d.compare_ms,
        ];
        if times.iter().any(|t| *t <= 0) {
            return Err("delivery: every time must be above 0 ms".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# ours\ndid = \"did:web:a.example\"\nname = \"A\" # short\nlisten = \"127.0.0.1:1\"\n\
        api_listen = \"127.0.0.1:2\" # keep it here\ndesks = [\n  \"desk\",\n]\n\n[delivery]\n# name = \"x\"\nbatch_entries = 7\n";

    fn changed(before: &str, name: &str, listen: Option<&str>) -> Result<String, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(CONFIG_FILE), before).unwrap();
        Config::changed_text(dir.path(), name, listen.map(|l| l.parse().unwrap()))
    }

    #[test]
    fn name_and_listen_change_and_nothing_else_does() {
        let text = changed(BEFORE, "B \"öre\"", Some("[::1]:9")).unwrap();
        assert_eq!(
            text,
            BEFORE
                .replace("name = \"A\" # short", "name = 'B \"öre\"'")
                .replace("127.0.0.1:1\"", "[::1]:9\"")
        );
        let without = changed(BEFORE, "A", None).unwrap();
        assert!(!without.contains("\nlisten") && without.contains("# keep it here"), "{without}");
        let again = changed(&without, "A", Some("127.0.0.1:1")).unwrap();
        assert!(again.starts_with("listen = \"127.0.0.1:1\"\n# ours\n"), "{again}");
    }

    #[test]
    fn a_new_file_says_how_to_mount_the_radar_s_store() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CONFIG_FILE);
        std::fs::write(&path, BEFORE).unwrap();
        let config = Config::read(dir.path()).unwrap();
        assert_eq!(config.radar_store(dir.path()), None);
        let text = config.first_text().unwrap();
        std::fs::write(&path, text.replace("# radar_store", "radar_store")).unwrap();
        let mounted = Config::read(dir.path()).unwrap();
        assert_eq!(mounted.radar_store(dir.path()), Some(dir.path().join("radar")));
        assert!(!mounted.first_text().unwrap().contains('#'));
    }

    #[test]
    fn a_file_whose_lines_cannot_be_told_apart_is_left_to_its_operator() {
        let odd = BEFORE.replace("name = \"A\"", "\"name\" = \"A\"");
        let error = changed(&odd, "B", None).unwrap_err().to_string();
        assert!(error.contains("on a line of its own"), "{error}");
        assert!(changed("nothing", "B", None).is_err());
    }
}
