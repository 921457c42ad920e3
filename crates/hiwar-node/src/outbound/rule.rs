//! What the operator allows beyond public addresses over TLS.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::address;

/// Longest URL taken from anybody, in bytes.
pub const URL_BYTES_MAX: usize = 2048;

/// Why the node does not connect to an address that somebody gave it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is no URL that a node could use.
    #[error("{url:?} is not an address that a node can use: {problem}")]
    Form {
        /// The address as given, cut to 200 characters.
        url: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// It is not encrypted.
    #[error(
        "{origin} is refused: without TLS anybody in between reads and changes what is sent; use https, or, \
         where the network in between is yours, add {suggestion:?} to `allow` below [outbound] in hiwar.toml"
    )]
    Plain {
        /// Scheme, host and port.
        origin: String,
        /// The entry that would allow it.
        suggestion: String,
    },
    /// It leads to an address that is not public.
    #[error(
        "{origin} is refused: {address} is {what}, not one on the public internet; if it is meant, add \
         {suggestion:?} to `allow` below [outbound] in hiwar.toml"
    )]
    Address {
        /// Scheme, host and port.
        origin: String,
        /// The address.
        address: IpAddr,
        /// What kind of address it is.
        what: &'static str,
        /// The entry that would allow it.
        suggestion: String,
    },
    /// The URL does not lead to the peer's own address.
    #[error(
        "{origin} is refused: the peer's card names {expected}, and a pinned connection goes nowhere else"
    )]
    OtherOrigin {
        /// Scheme, host and port of the URL.
        origin: String,
        /// The card's.
        expected: String,
    },
}

/// Why an entry of `allow` cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no entry of `allow`: {problem}; write a host (`data.example.org`, `data.example.org:8443`), \
     an address (`10.0.0.5:9000`, `[fd00::5]`), a block (`10.0.0.0/8`) or all hosts of a domain \
     (`*.example.org`), with `http://` before it where TLS is not used"
)]
pub struct AllowError {
    /// The entry, cut to 200 characters.
    text: String,
    /// What is wrong.
    problem: &'static str,
}

/// One entry of `allow`.
///
/// An entry lets URLs lead to addresses that are not public. Only with `http://` before it are they
/// allowed without TLS as well. Addresses of cloud metadata services are refused even for an allowed
/// name: they must be named as an address or block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    plain: bool,
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    Name(String),
    Below(String),
    Block { first: IpAddr, bits: u8 },
}

impl Allow {
    fn covers_address(&self, port: u16, address: IpAddr) -> bool {
        self.covers_port(port)
            && matches!(&self.hosts, Hosts::Block { first, bits } if address::within(address, *first, *bits))
    }

    fn covers_name(&self, port: u16, name: &str) -> bool {
        let named = match &self.hosts {
            Hosts::Name(held) => held == name,
            Hosts::Below(domain) => {
                name.strip_suffix(domain.as_str()).is_some_and(|head| head.len() > 1 && head.ends_with('.'))
            }
            Hosts::Block { .. } => false,
        };
        named && self.covers_port(port)
    }

    fn covers_port(&self, port: u16) -> bool {
        self.port.is_none_or(|held| held == port)
    }
}

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

impl FromStr for Allow {
    type Err = AllowError;

    fn from_str(text: &str) -> Result<Self, AllowError> {
        let fail = |problem| AllowError { text: cut(text), problem };
        let (plain, rest) = match text.strip_prefix("http://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("https://").unwrap_or(text)),
        };
        if let Some((first, bits)) = rest.split_once('/') {
            let first: IpAddr = first.parse().map_err(|_| fail("the block's first address is none"))?;
            let most = if first.is_ipv4() { 32 } else { 128 };
            let bits = bits.parse().ok().filter(|bits| *bits <= most);
            let bits = bits.ok_or_else(|| fail("the length of the block's prefix is none"))?;
            return Ok(Self { plain, hosts: Hosts::Block { first, bits }, port: None });
        }
        if let Ok(address) = rest.parse::<IpAddr>() {
            return Ok(Self { plain, hosts: single(address), port: None });
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| fail("the port is no number"))?)),
            None => (rest, None),
        };
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self { plain, hosts: single(address), port });
        }
        let (below, name) = match host.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, host),
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let ordinary = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(ordinary) {
            return Err(fail("the host is no name"));
        }
        let hosts = if below { Hosts::Below(name) } else { Hosts::Name(name) };
        Ok(Self { plain, hosts, port })
    }
}

fn single(address: IpAddr) -> Hosts {
    let first = address.to_canonical();
    Hosts::Block { first, bits: if first.is_ipv4() { 32 } else { 128 } }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.plain {
            f.write_str("http://")?;
        }
        match &self.hosts {
            Hosts::Name(name) => f.write_str(name)?,
            Hosts::Below(domain) => write!(f, "*.{domain}")?,
            Hosts::Block { first, bits } => match (first, bits, self.port) {
                (IpAddr::V4(_), 32, _) | (IpAddr::V6(_), 128, None) => write!(f, "{first}")?,
                (IpAddr::V6(_), 128, Some(_)) => write!(f, "[{first}]")?,
                _ => write!(f, "{first}/{bits}")?,
            },
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Serialize for Allow {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Allow {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The table `[outbound]` of `hiwar.toml`: where URLs given by others may lead.
///
/// Without it: TLS only, public addresses only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressRule {
    /// What is allowed beside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Allow>,
}

/// Scheme, host and port of a URL that passed the check, and what is allowed for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) text: String,
    plain: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// Takes a URL apart.
    pub(super) fn of(url: &Url) -> Result<Self, Refused> {
        let form = |problem| Refused::Form { url: cut(url.as_str()), problem };
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(form("it must begin with https://")),
        };
        if url.as_str().len() > URL_BYTES_MAX {
            return Err(form("it is longer than 2048 bytes"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(form("it must not hold a user name or password"));
        }
        if url.fragment().is_some() {
            return Err(form("it must not hold a fragment (`#…`)"));
        }
        let host = url.host_str().ok_or_else(|| form("it names no host"))?;
        let port = url.port_or_known_default().filter(|port| *port != 0);
        let port = port.ok_or_else(|| form("it names no port"))?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let text = format!("{}://{host}:{port}", url.scheme());
        Ok(Self { text, plain, host: bare.trim_end_matches('.').to_ascii_lowercase(), port })
    }

    /// Whether it is not encrypted and leaves this machine.
    pub(super) fn is_plain_beyond_loopback(&self) -> bool {
        let loopback =
            self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        self.plain && !loopback
    }

    /// The entry that would allow this.
    fn suggestion(&self, host: &str) -> String {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        format!("{}{host}:{}", if self.plain { "http://" } else { "" }, self.port)
    }
}

impl AddressRule {
    /// Checks a URL as it is written; the addresses of a name are checked when it is resolved.
    ///
    /// # Errors
    /// Which rule refuses it and what would allow it.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        self.origin(url).map(drop)
    }

    pub(super) fn origin(&self, url: &Url) -> Result<Origin, Refused> {
        let origin = Origin::of(url)?;
        if let Ok(address) = origin.host.parse() {
            self.admit(&origin, address)?;
            return Ok(origin);
        }
        // A name on a plain connection may be covered by its address only, which is not known yet.
        let blocks = |allow: &&Allow| matches!(allow.hosts, Hosts::Block { .. });
        let may = |allow: &Allow| {
            allow.plain
                && (allow.covers_name(origin.port, &origin.host)
                    || (blocks(&allow) && allow.covers_port(origin.port)))
        };
        if origin.plain && !self.allow.iter().any(may) {
            return Err(plain(&origin));
        }
        Ok(origin)
    }

    /// Whether a connection to `address` may be made for `origin`.
    pub(super) fn admit(&self, origin: &Origin, address: IpAddr) -> Result<(), Refused> {
        let fits = |allow: &&Allow| allow.plain || !origin.plain;
        let by_address = |allow: &Allow| allow.covers_address(origin.port, address);
        let by_name =
            |allow: &Allow| allow.covers_name(origin.port, &origin.host) && !address::is_metadata(address);
        if self.allow.iter().filter(fits).any(|allow| by_address(allow) || by_name(allow)) {
            return Ok(());
        }
        match address::not_public(address) {
            Some(what) => {
                let name =
                    if address::is_metadata(address) { address.to_string() } else { origin.host.clone() };
                let suggestion = origin.suggestion(&name);
                Err(Refused::Address { origin: origin.text.clone(), address, what, suggestion })
            }
            None if origin.plain => Err(plain(origin)),
            None => Ok(()),
        }
    }
}

fn plain(origin: &Origin) -> Refused {
    Refused::Plain { origin: origin.text.clone(), suggestion: origin.suggestion(&origin.host) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(allow: &[&str]) -> AddressRule {
        AddressRule { allow: allow.iter().map(|text| text.parse().unwrap()).collect() }
    }

    fn check(allow: &[&str], url: &str) -> Result<(), Refused> {
        rule(allow).check(&url.parse().unwrap())
    }

    #[test]
    fn without_a_rule_only_public_addresses_over_tls_pass() {
        for url in ["https://data.example.org/a", "https://8.8.8.8/", "https://[2606:4700::1111]:8443/x?y"] {
            assert_eq!(check(&[], url), Ok(()), "{url}");
        }
        for url in [
            "http://data.example.org/",
            "http://8.8.8.8/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://017700000001/",
            "https://127.0.0.1./",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data/",
            "https://0/",
            "https://①②⑦.0.0.1/",
            "https://user@8.8.8.8/",
            "https://:pw@8.8.8.8/",
            "https://8.8.8.8/#f",
            "ftp://8.8.8.8/",
            "file:///etc/passwd",
            "data:text/plain,x",
            "gopher://8.8.8.8/",
            "https://8.8.8.8:0/",
        ] {
            assert!(check(&[], url).is_err(), "{url}");
        }
        assert!(check(&[], &format!("https://a.example/{}", "x".repeat(URL_BYTES_MAX))).is_err());
    }

    #[test]
    fn the_entry_that_a_refusal_proposes_allows_what_was_refused() {
        for url in [
            "https://127.0.0.1:8443/x",
            "http://127.0.0.1:8080/x",
            "https://[::1]/",
            "http://10.0.0.7/x",
            "http://data.example.org/",
            "http://localhost:8083/",
            "https://169.254.169.254/",
        ] {
            let (Refused::Plain { suggestion, .. } | Refused::Address { suggestion, .. }) =
                check(&[], url).unwrap_err()
            else {
                panic!("{url}: another refusal")
            };
            assert_eq!(check(&[&suggestion], url), Ok(()), "{url} {suggestion}");
        }
    }

    #[test]
    fn an_entry_allows_its_host_port_and_scheme_and_nothing_beside() {
        for (allow, url, passes) in [
            ("10.0.0.0/8", "https://10.9.8.7:1234/", true),
            ("10.0.0.0/8", "http://10.9.8.7/", false),
            ("http://10.0.0.0/8", "http://10.9.8.7/", true),
            ("10.0.0.0/8", "https://11.0.0.1/", true),
            ("10.0.0.0/8", "https://192.168.0.1/", false),
            ("10.0.0.5:9000", "https://10.0.0.5:9000/", true),
            ("10.0.0.5:9000", "https://10.0.0.5:9001/", false),
            ("[fd00::5]:9000", "https://[fd00::5]:9000/", true),
            ("fd00::5", "https://[fd00::5]/", true),
            ("http://localhost:8083", "http://localhost:8083/x", true),
            ("http://localhost:8083", "http://localhost:8084/x", false),
            ("http://*.example.org", "http://a.example.org/", true),
            ("http://*.example.org", "http://a.b.example.org/", true),
            ("http://*.example.org", "http://example.org/", false),
            ("http://*.example.org", "http://badexample.org/", false),
            ("http://Data.Example.org.", "http://data.example.ORG./", true),
        ] {
            assert_eq!(check(&[allow], url).is_ok(), passes, "{allow} {url}");
        }
    }

    #[test]
    fn a_name_is_judged_by_the_addresses_that_it_has_when_it_is_used() {
        let admit = |allow: &[&str], url: &str, address: &str| {
            let rule = rule(allow);
            let origin = Origin::of(&url.parse().unwrap()).unwrap();
            rule.admit(&origin, address.parse().unwrap()).is_ok()
        };
        let url = "https://data.example.org/";
        assert!(admit(&[], url, "8.8.8.8"));
        assert!(!admit(&[], url, "127.0.0.1"));
        assert!(!admit(&[], url, "::ffff:10.0.0.1"));
        assert!(admit(&["data.example.org"], url, "10.0.0.1"));
        assert!(!admit(&["data.example.org"], url, "169.254.169.254"), "a name never leads to metadata");
        assert!(admit(&["169.254.169.254"], url, "169.254.169.254"), "unless its address is named");
        assert!(admit(&["10.0.0.0/8"], url, "10.0.0.1"));
        assert!(!admit(&["10.0.0.0/8"], url, "192.168.0.1"));
        let plain = "http://data.example.org/";
        assert!(!admit(&["http://10.0.0.0/8"], plain, "8.8.8.8"), "the name left the allowed block");
        assert!(admit(&["http://10.0.0.0/8"], plain, "10.0.0.1"));
    }

    #[test]
    fn entries_read_back_as_written_and_bad_ones_say_what_to_write() {
        for text in [
            "data.example.org",
            "data.example.org:8443",
            "*.example.org",
            "10.0.0.0/8",
            "10.0.0.5",
            "10.0.0.5:9000",
            "fd00::5",
            "[fd00::5]:9000",
            "fd00::/8",
            "http://localhost:8083",
        ] {
            assert_eq!(text.parse::<Allow>().unwrap().to_string(), text);
        }
        for text in ["", "*", "*.", "a b", "10.0.0.0/33", "x/8", "host:port", "host:99999", "*.*.org", "a/b"]
        {
            let error = text.parse::<Allow>().unwrap_err().to_string();
            assert!(error.contains("10.0.0.0/8"), "{text}: {error}");
        }
        let table: AddressRule =
            toml::from_str("allow = [\"http://localhost:8083\", \"10.0.0.0/8\"]").unwrap();
        assert_eq!(table, rule(&["http://localhost:8083", "10.0.0.0/8"]));
        assert!(toml::from_str::<AddressRule>("alow = []").is_err());
    }
}
