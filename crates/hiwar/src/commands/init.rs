//! `hiwar init`

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_node::config::Tls;
use hiwar_node::folder::{self, NewNode};
use hiwar_trust::identity::Identity;
use hiwar_trust::invitation::Invitation;
use hiwar_trust::words;

use super::{PassphraseArgs, print};

/// Make a node: keys, configuration, store; prints its invitation
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// The new node's folder
    dir: PathBuf,
    /// The participant's name, for people
    #[arg(long)]
    name: String,
    /// Where peers connect, such as 127.0.0.1:7400 or 0.0.0.0:7400
    #[arg(long, required_unless_present = "outbound_only")]
    listen: Option<SocketAddr>,
    /// Accept no connection; fetch from peers instead (for a node behind a firewall)
    #[arg(long, conflicts_with = "listen")]
    outbound_only: bool,
    /// The participant's identifier (made from --listen when left out)
    #[arg(long)]
    did: Option<String>,
    /// The address that peers are told, when it differs from --listen
    #[arg(long)]
    url: Option<String>,
    /// Where desks and operators connect [default: loopback, port of --listen + 1, else 7401]
    #[arg(long)]
    api: Option<SocketAddr>,
    /// The local address that connections to peers come from, on a host with several
    #[arg(long)]
    connect_from: Option<IpAddr>,
    /// A desk of this participant; may be repeated
    #[arg(long = "desk", default_values_t = ["desk".to_owned()])]
    desks: Vec<String>,
    /// The radar's store that this node mounts, relative to its folder; made by the first import
    #[arg(long)]
    radar_store: Option<PathBuf>,
    /// Leave TLS to a proxy in front of this node; it must then listen on the loopback interface
    #[arg(long)]
    behind_proxy: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl Init {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let did = match &self.did {
            Some(text) => text.parse()?,
            None => {
                let listen = self.listen.context(
                    "give the participant's identifier with --did, such as did:web:ministry.example",
                )?;
                format!("did:web:{}%3A{}", host(listen), listen.port()).parse()?
            }
        };
        let unspecified = self.listen.is_some_and(|l| l.ip().is_unspecified());
        if self.url.is_none() && (unspecified || self.behind_proxy) && self.listen.is_some() {
            anyhow::bail!(
                "give the address that peers are told with --url, such as https://ministry.example:7400; --listen alone does not say it"
            );
        }
        let port = self.listen.map_or(7401, |l| l.port().saturating_add(1));
        let api_listen = self.api.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], port)));
        let tls = if self.behind_proxy { Tls::BehindProxy } else { Tls::Pinned };
        let new = NewNode {
            did,
            name: self.name,
            listen: self.listen,
            public_url: self.url,
            api_listen,
            connect_from: self.connect_from,
            desks: self.desks,
            radar_store: self.radar_store,
            tls,
        };
        let passphrase = self.passphrase.read(true)?;
        let card = folder::make(&self.dir, &new, passphrase.as_ref().map(|p| p.as_slice()))?;
        let identity = Identity::verify(vec![card])?;
        let dir = self.dir.display();
        eprintln!("Made the node {dir} for {} ({})", identity.latest().name, identity.did());
        if let Some(url) = identity.latest().endpoints.first() {
            eprintln!("Peers connect to {url}");
        }
        eprintln!("Desks connect to http://{api_listen} with the token in {dir}/{}", folder::API_TOKEN);
        eprintln!(
            "Move {dir}/{} to a safe place off this machine; it can replace a lost key.",
            folder::RECOVERY_KEY
        );
        eprintln!("Start it:           hiwar serve {dir}");
        eprintln!("Give the invitation below to each peer, and read the fingerprint to them by another way:");
        eprintln!("Fingerprint:        {}", words::fingerprint_words(&identity.fingerprint()));
        print(Invitation::new(identity).to_string().trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}

fn host(listen: SocketAddr) -> String {
    match listen {
        SocketAddr::V4(v4) if !v4.ip().is_unspecified() => v4.ip().to_string(),
        _ => "localhost".into(),
    }
}
