//! `hiwar card …`

use std::net::SocketAddr;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::{list, print, print_json, table, text};
use hiwar::api_client::{ApiClient, Format, NodeArgs, block_on};

/// How entries reach a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Delivery {
    /// Peers connect to it
    Push,
    /// It accepts no connection and fetches from peers
    Pull,
}

/// What peers know of a running node beside its keys
#[derive(Debug, clap::Subcommand)]
pub(crate) enum CardCommand {
    /// Publish another name, address or way of delivery; hiwar.toml is changed with it
    Update {
        /// The participant's name, for people
        #[arg(long)]
        name: Option<String>,
        /// The address that peers are told
        #[arg(long)]
        url: Option<String>,
        /// Where peers connect, from now on; the present place stays open until the next start
        #[arg(long)]
        listen: Option<SocketAddr>,
        /// Whether peers connect, or this node fetches from them
        #[arg(long, value_enum)]
        delivery: Option<Delivery>,
        #[command(flatten)]
        node: NodeArgs,
    },
}

impl CardCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Update { name, url, listen, delivery, node } = self;
        let delivery = delivery.map(|delivery| match delivery {
            Delivery::Push => "push",
            Delivery::Pull => "pull",
        });
        let mut body = Map::new();
        for (member, value) in [
            ("name", json!(name)),
            ("url", json!(url)),
            ("listen", json!(listen)),
            ("delivery", json!(delivery)),
        ] {
            if !value.is_null() {
                body.insert(member.into(), value);
            }
        }
        block_on(async {
            let made = ApiClient::of(&node)?.patch("/api/v1/card", &Value::Object(body)).await?;
            show(&made, node.format)?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn show(made: &Value, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return print_json(made);
    }
    eprintln!("Card {} is in force; peers learn it with the next batch", made["sequence"]);
    if text(made, "/delivery") == "pull" {
        eprintln!("This node fetches from now on; a port that was open stays so until its next start");
    }
    let endpoints: Vec<&str> = list(made, "/endpoints").iter().filter_map(Value::as_str).collect();
    let rows = [
        ["name", text(made, "/name")],
        ["delivery", text(made, "/delivery")],
        ["endpoints", &endpoints.join(" ")],
        ["listen", text(made, "/listen")],
    ];
    print(&table(&rows.map(|row| row.map(ToOwned::to_owned).to_vec())))
}
