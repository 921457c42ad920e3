//! Negotiations, agreements and transfers of this node.

use std::process::ExitCode;

use hiwar::api_client::{Format, NodeArgs};
use serde_json::{Value, json};

use super::{segment, with_client};
use crate::commands::{list, print, print_json, table, text};

/// A list
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only those with this participant
    #[arg(long = "with")]
    counterparty: Option<String>,
    /// Only those in this state, such as FINALIZED
    #[arg(long)]
    state: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

impl ListArgs {
    fn query(&self) -> String {
        let part =
            |name: &str, value: &Option<String>| value.as_ref().map(|v| format!("{name}={}", segment(v)));
        let parts = [part("counterparty", &self.counterparty), part("state", &self.state)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("&")
    }

    fn show(&self, what: &str, head: &[&str], cells: &[&str]) -> anyhow::Result<ExitCode> {
        with_client(&self.node, async |client| {
            let found = client.get(&format!("/api/v1/data/{what}?{}", self.query())).await?;
            if self.node.format == Format::Json {
                print_json(&found)?;
                return Ok(ExitCode::SUCCESS);
            }
            let mut rows = vec![head.iter().map(ToString::to_string).collect::<Vec<_>>()];
            for item in list(&found, &format!("/{what}")) {
                rows.push(cells.iter().map(|pointer| cell(item, pointer)).collect());
            }
            print(&table(&rows))?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn cell(item: &Value, pointer: &str) -> String {
    match item.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

pub(crate) fn negotiations(args: &ListArgs) -> anyhow::Result<ExitCode> {
    args.show(
        "negotiations",
        &["NEGOTIATION", "ROLE", "WITH", "STATE", "CHANGED", "DATASET"],
        &["/pid", "/role", "/counterparty", "/state", "/changed", "/dataset"],
    )
}

pub(crate) fn agreements(args: &ListArgs) -> anyhow::Result<ExitCode> {
    args.show(
        "agreements",
        &["AGREEMENT", "ROLE", "WITH", "AGREED", "TRANSFERS", "ENDED", "DATASET", "ENTRY"],
        &["/id", "/role", "/counterparty", "/agreed", "/transfers", "/ended/at", "/dataset", "/entry"],
    )
}

pub(crate) fn transfers(args: &ListArgs) -> anyhow::Result<ExitCode> {
    args.show(
        "transfers",
        &[
            "TRANSFER",
            "ROLE",
            "WITH",
            "STATE",
            "BYTES",
            "SHA-256",
            "DELETE BY",
            "DELETED",
            "AGREEMENT",
            "ENTRY",
        ],
        &[
            "/pid",
            "/role",
            "/counterparty",
            "/state",
            "/content/bytes",
            "/content/sha256",
            "/retention/delete_by",
            "/retention/deleted",
            "/agreement",
            "/entry",
        ],
    )
}

/// A negotiation in words.
pub(crate) fn negotiation_text(item: &Value) -> String {
    let mut lines = vec![format!(
        "negotiation {} with {} about {}: {}",
        text(item, "/pid"),
        text(item, "/counterparty"),
        text(item, "/dataset"),
        cell(item, "/state")
    )];
    lines.extend(course(item));
    lines.join("\n")
}

/// What both negotiations and transfers tell: steps, trouble, the end, the policy's decision.
fn course(item: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for step in list(item, "/history") {
        lines.push(format!("  {}  {:8}  {}", text(step, "/at"), text(step, "/by"), text(step, "/step")));
    }
    if let Some(trouble) = item.pointer("/delivering/trouble").and_then(Value::as_str) {
        lines.push(format!(
            "  not delivered after {} attempts, next at {}: {trouble}",
            cell(item, "/delivering/attempts"),
            cell(item, "/delivering/next")
        ));
    }
    if let Some(stuck) = item["stuck"].as_str() {
        lines.push(format!("  given up: {stuck}"));
    }
    if !item["ending"].is_null() {
        lines.push(format!("  ended by the {} ({}):", text(item, "/ending/by"), text(item, "/ending/code")));
        lines.extend(
            list(item, "/ending/reasons").iter().filter_map(|r| r.as_str()).map(|r| format!("    {r}")),
        );
    }
    if !item["decision"].is_null() {
        lines.push(format!(
            "  policy rules version {}: {}",
            item["decision"]["rules_version"],
            text(item, "/decision/reason")
        ));
        for finding in list(item, "/decision/findings") {
            let part = |name: &str| text(finding, &format!("/{name}")).to_owned();
            let found = finding["actual"].as_str().unwrap_or("not known");
            lines.push(format!(
                "    {}: {} {} {}; found {found}: {}",
                part("path"),
                part("operand"),
                part("operator"),
                part("required"),
                part("verdict")
            ));
            if !part("satisfy").is_empty() {
                lines.push(format!("      what would satisfy it: {}", part("satisfy")));
            }
        }
    }
    lines
}

/// By when what was received is to be deleted, and what was done about it.
pub(super) fn retention(item: &Value) -> Option<String> {
    let kept = item.get("retention").filter(|kept| !kept.is_null())?;
    let due = text(kept, "/delete_by");
    Some(match (kept["confirmed"].as_str(), kept["deleted"].as_str()) {
        (Some(at), _) => format!("  due to be deleted by {due}; no copy is left since {at}"),
        (None, Some(at)) => format!(
            "  due to be deleted by {due}; the node deleted its copy at {at}; once your own copies are gone: hiwar data deleted {}",
            text(item, "/pid")
        ),
        (None, None) => format!("  delete all copies by {due}; the node deletes its own then"),
    })
}

pub(crate) fn deleted(transfer: &str, node: &NodeArgs) -> anyhow::Result<ExitCode> {
    with_client(node, async |client| {
        let path = format!("/api/v1/data/transfers/{}/deleted", segment(transfer));
        let made = client.post(&path, &json!({})).await?;
        if node.format == Format::Json {
            print_json(&made)?;
        } else {
            eprintln!(
                "Noted for the log: no copy of {transfer} is left since {}.",
                text(&made, "/retention/confirmed")
            );
        }
        Ok(ExitCode::SUCCESS)
    })
}

pub(crate) fn explain(id: &str, node: &NodeArgs) -> anyhow::Result<ExitCode> {
    with_client(node, async |client| {
        let found = client.get(&format!("/api/v1/data/explain/{}", segment(id))).await?;
        if node.format == Format::Json {
            print_json(&found)?;
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(item) = found.get("negotiation") {
            print(&negotiation_text(item))?;
        } else if let Some(item) = found.get("transfer") {
            let mut lines = vec![format!(
                "transfer {} with {} under {}: {}",
                text(item, "/pid"),
                text(item, "/counterparty"),
                text(item, "/agreement"),
                cell(item, "/state")
            )];
            lines.extend(course(item));
            lines.extend(retention(item));
            print(&lines.join("\n"))?;
        } else if let Some(item) = found.get("agreement") {
            print(&serde_json::to_string_pretty(item)?)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Take a step in a negotiation or transfer by hand
#[derive(Debug, clap::Args)]
pub(crate) struct StepArgs {
    /// Its identifier
    id: String,
    /// In a negotiation: accept, request, offer, agree, verify, finalize, terminate; in a transfer:
    /// start, suspend, complete, terminate
    step: String,
    /// Why; the other side is told
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

impl StepArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        with_client(&self.node, async |client| {
            let found = client.get(&format!("/api/v1/data/explain/{}", segment(&self.id))).await?;
            let kind = if found.get("transfer").is_some() { "transfers" } else { "negotiations" };
            let path = format!("/api/v1/data/{kind}/{}/step", segment(&self.id));
            let made = client.post(&path, &json!({ "step": self.step, "reason": self.reason })).await?;
            if self.node.format == Format::Json {
                print_json(&made)?;
            } else {
                eprintln!("{} is being told", text(&made, "/counterparty"));
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

pub(crate) fn end(agreement: &str, reason: &str, node: &NodeArgs) -> anyhow::Result<ExitCode> {
    with_client(node, async |client| {
        let path = format!("/api/v1/data/agreements/{}/end", segment(agreement));
        let made = client.post(&path, &json!({ "reason": reason })).await?;
        eprintln!("{agreement} is ended; {} transfers stopped", made["transfers_stopped"]);
        Ok(ExitCode::SUCCESS)
    })
}
