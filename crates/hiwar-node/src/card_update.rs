//! What a card says beside keys: the participant's name, the address where its node answers, and
//! whether it accepts connections. `hiwar.toml` says the same and is changed together with the card.

use std::net::SocketAddr;
use std::sync::Arc;

use hiwar_dialogue::engine::EngineError;
use hiwar_trust::identity::{Card, DeliveryMode, Identity};
use serde::Deserialize;

use crate::cards;
use crate::config::{Config, ConfigError, Tls};
use crate::folder::FolderError;
use crate::node::{self, NodeError, Shared};
use crate::peer_client::{self, ClientError};
use crate::rotation::{self, RotationError};
use crate::succession;

/// What is to change.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Update {
    name: Option<String>,
    url: Option<String>,
    listen: Option<SocketAddr>,
    delivery: Option<DeliveryMode>,
}

/// What is so now.
#[derive(Clone, Debug)]
pub(crate) struct Updated {
    /// The newest card.
    pub(crate) card: Card,
    /// Where the node listens, now and after its next start.
    pub(crate) listen: Option<SocketAddr>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpdateError {
    /// What was asked for does not go together.
    #[error("{0}")]
    Wrong(&'static str),
    /// The card and the configuration say so already.
    #[error("card {sequence} and hiwar.toml say so already; nothing was changed")]
    NothingNew {
        /// The newest card.
        sequence: u64,
    },
    /// Peers would not connect to the address.
    #[error(transparent)]
    Address(#[from] ClientError),
    /// The port cannot be used.
    #[error(transparent)]
    Listen(#[from] NodeError),
    /// The configuration cannot be changed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The card cannot be made or kept.
    #[error(transparent)]
    Card(#[from] RotationError),
}

impl From<FolderError> for UpdateError {
    fn from(error: FolderError) -> Self {
        Self::Card(error.into())
    }
}

/// What card and configuration are to say.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    name: String,
    endpoints: Vec<String>,
    delivery: DeliveryMode,
    listen: Option<SocketAddr>,
}

/// The address that peers are told when none is given.
fn made_from(listen: SocketAddr) -> String {
    format!("https://{listen}")
}

impl Wanted {
    fn of(update: Update, config: &Config, card: &Card) -> Result<Self, UpdateError> {
        let delivery = update.delivery.unwrap_or(card.delivery);
        let name = update.name.unwrap_or_else(|| card.name.clone());
        if delivery == DeliveryMode::Pull {
            return if update.url.is_some() || update.listen.is_some() {
                Err(UpdateError::Wrong(
                    "a node that fetches has no address; leave out the URL and the place to listen, or set the delivery to push",
                ))
            } else {
                Ok(Self { name, endpoints: Vec::new(), delivery, listen: None })
            };
        }
        let listen = update.listen.or(config.listen).ok_or(UpdateError::Wrong(
            "say where peers connect, with --listen; until now this node accepts no connection",
        ))?;
        let endpoints = match update.url {
            Some(url) => vec![url],
            None => endpoints_for(listen, config, card)?,
        };
        Ok(Self { name, endpoints, delivery, listen: Some(listen) })
    }

    fn is_said_by(&self, card: &Card) -> bool {
        (&self.name, &self.endpoints, self.delivery) == (&card.name, &card.endpoints, card.delivery)
    }
}

/// The addresses for a node whose operator named none: as before, unless they follow from the place
/// where it listened.
fn endpoints_for(listen: SocketAddr, config: &Config, card: &Card) -> Result<Vec<String>, UpdateError> {
    let followed = config.listen.map(made_from);
    let kept = card.endpoints.iter().any(|endpoint| Some(endpoint) != followed.as_ref());
    if kept || (!card.endpoints.is_empty() && config.listen == Some(listen)) {
        return Ok(card.endpoints.clone());
    }
    if listen.ip().is_unspecified() || config.tls == Tls::BehindProxy {
        return Err(UpdateError::Wrong(
            "give the address that peers are told with --url, such as https://ministry.example:7400; the place to listen alone does not say it",
        ));
    }
    Ok(vec![made_from(listen)])
}

/// Brings what is asked for into force. Goes on to the end although whoever asked may not wait.
pub(crate) async fn update(shared: Arc<Shared>, update: Update) -> Result<Updated, UpdateError> {
    let task = async move {
        let _one = shared.rotating.lock().await;
        let config = Config::read(&shared.dir)?;
        let newest = shared.identity().latest().clone();
        let wanted = Wanted::of(update, &config, &newest)?;
        let text = Config::changed_text(&shared.dir, &wanted.name, wanted.listen)?;
        let listen = wanted.listen;
        if wanted.is_said_by(&newest) {
            if (config.listen, &config.name) == (listen, &wanted.name) {
                return Err(UpdateError::NothingNew { sequence: newest.sequence });
            }
            open(&shared, listen).await?;
            succession::write_config(&shared.dir, &text)?;
            return Ok(Updated { card: newest, listen });
        }
        let card = change(&shared, wanted, &text).await?;
        Ok(Updated { card, listen })
    };
    tokio::spawn(task).await.map_err(|_| RotationError::Stopped)?
}

/// Listens there as well from now on, if the node does not yet.
async fn open(shared: &Arc<Shared>, listen: Option<SocketAddr>) -> Result<(), NodeError> {
    match listen {
        Some(address) if !shared.listens_at(address) => node::listen_too(shared, address).await,
        _ => Ok(()),
    }
}

async fn change(shared: &Arc<Shared>, wanted: Wanted, text: &str) -> Result<Card, UpdateError> {
    let mut card = rotation::next_card(shared).await.map_err(RotationError::from)?;
    card.name = wanted.name;
    card.endpoints = wanted.endpoints;
    card.delivery = wanted.delivery;
    must_be_good(shared, &card)?;
    open(shared, wanted.listen).await?;
    succession::prepare_config(&shared.dir, &card, text)?;
    let keys = shared.keys();
    let adopted = rotation::adopt(shared, card.clone(), &[&*keys.organisation], keys.clone()).await;
    Ok(rotation::settle(
        adopted,
        |card| {
            cards::keep(&shared.dir, shared.identity().cards())?;
            succession::put_config_in_force(&shared.dir, card)
        },
        || succession::give_up_config(&shared.dir, &card),
    )?)
}

/// Finds out before anything is changed whether the card would be taken and its address used.
fn must_be_good(shared: &Shared, card: &Card) -> Result<(), UpdateError> {
    let engine = |error| RotationError::from(EngineError::Identity(error));
    let signed = card.clone().sign(&[&*shared.keys().organisation]).map_err(engine)?;
    Identity::clone(&shared.identity()).extend(signed).map_err(engine)?;
    if card.delivery == DeliveryMode::Push {
        peer_client::endpoint(card)?;
    }
    Ok(())
}
