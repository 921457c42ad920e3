//! `hiwar radar draft`: a signal becomes a draft in a dialogue. Nothing is sent unless a desk says so.

use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use hiwar::api_client::{ApiClient, NodeArgs, block_on};
use hiwar_radar::month::{Date, Month};
use hiwar_radar::scan::{self, Alarm, Measure};
use hiwar_radar::store::Filter;
use serde_json::json;

use super::scan::word;
use super::{StoreOfNodeArgs, open_store, rule, series};
use crate::commands::dialogue::dialogue_id;
use crate::commands::print;

/// Make a statement of a signal, to be read by a desk and sent with --send
#[derive(Debug, clap::Args)]
pub(crate) struct Draft {
    /// The signal, as `scan` prints it: SOURCE:REPORTER:FLOW:ITEM:PARTNER:MONTH, for a price with :unit-value
    signal: String,
    /// The dialogue (its first digits are enough)
    #[arg(long)]
    dialogue: String,
    /// Judge as of this day [default: today]
    #[arg(long)]
    as_of: Option<Date>,
    /// The rule: a shipped one by name, or a file
    #[arg(long, default_value = "screen")]
    rule: String,
    /// The marking of the statement
    #[arg(long, default_value = "TLP:AMBER")]
    marking: String,
    /// Send it, as the desk of the token
    #[arg(long)]
    send: bool,
    #[command(flatten)]
    store: StoreOfNodeArgs,
    #[command(flatten)]
    node: NodeArgs,
}

/// The name of a signal.
pub(crate) fn signal(alarm: &Alarm) -> String {
    let key = &alarm.series;
    let flow = word(&key.flow);
    let price = if alarm.measure == Measure::UnitValue { ":unit-value" } else { "" };
    format!("{}:{}:{flow}:{}:{}:{}{price}", key.source, key.reporter, key.item, key.partner, alarm.month)
}

impl Draft {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let parts: Vec<&str> = self.signal.split(':').collect();
        let ([source, reporter, _, item, partner, month]
        | [source, reporter, _, item, partner, month, "unit-value"]) = parts.as_slice()
        else {
            anyhow::bail!(
                "{:?} is no signal; it is SOURCE:REPORTER:FLOW:ITEM:PARTNER:MONTH, as `hiwar radar scan` prints it",
                self.signal
            );
        };
        let month: Month = month.parse()?;
        let rule = rule(&self.rule)?;
        let as_of = self.as_of.map_or_else(super::today, Ok)?;
        // All of the source's series: how rare a signal is depends on the others.
        let filter = Filter {
            sources: vec![(*source).to_owned()],
            reporters: vec![(*reporter).to_owned()],
            without_aggregates: true,
            ..Filter::default()
        };
        let store = open_store(&self.store.path(&self.node.node)?)?;
        let all = series(&store, as_of, &filter)?;
        let found = scan::scan(&all, month, as_of, &rule);
        let alarm = found.alarms.iter().find(|a| signal(a) == self.signal).with_context(|| {
            format!("rule {} does not alarm for {item} with {partner} in {month} as of {as_of}", rule.id)
        })?;
        let text = format!(
            "Signal of this party's radar: {alarm}. CUSUM above {:.1}, below {:.1} spreads. Source {source}, published \
             figures of {month}; rule {}: {}. A desk has to judge what it means.",
            alarm.cusum_up, alarm.cusum_down, alarm.rule, rule.source
        );
        print(&text)?;
        if !self.send {
            eprintln!(
                "Nothing was sent. Add --send to say it in dialogue {} as the desk of the token.",
                self.dialogue
            );
            return Ok(ExitCode::SUCCESS);
        }
        block_on(async {
            let client = ApiClient::of(&self.node)?;
            let dialogue = dialogue_id(&client, &self.dialogue).await?;
            let action = json!({
                "action": "say", "dialogue": dialogue, "marking": self.marking,
                "texts": { "en": text }, "prevailing": "en",
            });
            let made = client.post("/api/v1/entries", &action).await?;
            let entry = made["entry"].as_str().unwrap_or_default();
            ensure!(!entry.is_empty(), "the node answered without an entry: {made}");
            eprintln!("Said as entry {entry}");
            Ok(ExitCode::SUCCESS)
        })
    }
}
