//! The issuer's commands: issue, approve, refuse, revoke.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar::api_client::{ApiClient, Format, NodeArgs, block_on, complete};
use serde_json::{Map, Value, json};

use crate::commands::{list, print, print_json, table, text};

/// What an issuer does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum IssuerCommand {
    /// Issue a credential to a participant, and bring it to its Credential Service
    Issue {
        /// The participant's DID, such as did:web:member.example
        holder: String,
        /// The type of the credential, as in [claims.issuer.types] of hiwar.toml
        #[arg(value_name = "TYPE")]
        kind: String,
        #[command(flatten)]
        terms: TermsArgs,
        /// How it is written (vc20-bssl/jwt or vc11-sl2021/jwt)
        #[arg(long)]
        profile: Option<String>,
        /// Write the credential to this file in place of bringing it; hand the file to the holder
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Credentials that this node issued
    Issued {
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Take a credential back: from now on verifiers are told so
    Revoke {
        /// The credential, or the beginning of its identifier
        credential: String,
        /// Why; kept here, told nobody
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Who asked this node for credentials, and what became of it
    Issuances {
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Issue what somebody asked for
    Approve {
        /// The request, or the beginning of its identifier
        request: String,
        #[command(flatten)]
        terms: TermsArgs,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Refuse what somebody asked for; the holder is told
    Refuse {
        /// The request, or the beginning of its identifier
        request: String,
        /// Why; the holder is told
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Tell the holder again what became of its request, after that was given up
    Send {
        /// The request, or the beginning of its identifier
        request: String,
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Tell a participant that it may ask for a credential
    Offer {
        /// The participant's DID
        holder: String,
        /// The type of the credential
        #[arg(value_name = "TYPE")]
        kind: String,
        /// How it is written (vc20-bssl/jwt or vc11-sl2021/jwt)
        #[arg(long)]
        profile: Option<String>,
        /// Why, such as reissue
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        node: NodeArgs,
    },
}

/// What a credential says beside the configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct TermsArgs {
    /// A claim about the holder, such as level=full; may be given several times
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// The last day on which it holds (UTC), such as 2027-01-31; the configured number of days when left out
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
}

/// `true`, `false` and whole numbers keep their kind; everything else is a text.
fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, such as level=full")?;
    if name.is_empty() {
        return Err("the name before = is empty".into());
    }
    let value = match (value, value.parse::<i64>()) {
        ("true", _) => json!(true),
        ("false", _) => json!(false),
        (_, Ok(number)) => json!(number),
        (text, Err(_)) => json!(text),
    };
    Ok((name.to_owned(), value))
}

impl TermsArgs {
    fn into_body(self, mut body: Value) -> Value {
        if let Some(members) = body.as_object_mut() {
            members.insert("claims".into(), Value::Object(self.claims.into_iter().collect::<Map<_, _>>()));
            members.insert("until".into(), json!(self.until));
        }
        body
    }
}

impl IssuerCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Issue { holder, kind, terms, profile, output, node } => {
                let deliver = output.is_none();
                let body = json!({ "holder": holder, "type": kind, "profile": profile, "deliver": deliver });
                let body = terms.into_body(body);
                match output {
                    Some(path) => hand_over(&path, &body, &node),
                    None => {
                        let answer = post(&node, "issued", &body)?;
                        show_credential(&node, &answer, "issued, being brought to")
                    }
                }
            }
            Self::Issued { node } => issued(&node),
            Self::Revoke { credential, reason, node } => {
                let id = find(&node, "issued", "/issued", &credential, "credential")?;
                let answer = post(&node, &format!("issued/{id}/revoke"), &json!({ "reason": reason }))?;
                show_credential(&node, &answer, "revoked, was of")
            }
            Self::Issuances { node } => issuances(&node),
            Self::Approve { request, terms, node } => {
                decide(&node, &request, "approve", &terms.into_body(json!({})))
            }
            Self::Refuse { request, reason, node } => {
                decide(&node, &request, "refuse", &json!({ "reason": reason }))
            }
            Self::Send { request, node } => decide(&node, &request, "send", &json!({})),
            Self::Offer { holder, kind, profile, reason, node } => {
                let body = json!({ "holder": holder, "type": kind, "profile": profile, "reason": reason });
                let answer = post(&node, "offers", &body)?;
                match node.format {
                    Format::Json => print_json(&answer)?,
                    Format::Table => print(&format!("offered to {holder}: {}", text(&answer, "/offered")))?,
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn post(node: &NodeArgs, path: &str, body: &Value) -> anyhow::Result<Value> {
    block_on(async { ApiClient::of(node)?.post(&format!("/api/v1/claims/{path}"), body).await })
}

fn get(node: &NodeArgs, path: &str) -> anyhow::Result<Value> {
    block_on(async { ApiClient::of(node)?.get(&format!("/api/v1/claims/{path}")).await })
}

/// The identifier that a person began. Credentials are `urn:uuid:…`; the beginning may be left out.
fn find(node: &NodeArgs, path: &str, pointer: &str, prefix: &str, what: &str) -> anyhow::Result<String> {
    let found = get(node, path)?;
    let bare = |id: &str| id.strip_prefix("urn:uuid:").unwrap_or(id).to_owned();
    let all: Vec<String> = list(&found, pointer).iter().map(|v| bare(text(v, "/id"))).collect();
    let id = complete(&bare(prefix), &all, what)?;
    Ok(if pointer == "/issued" { format!("urn:uuid:{id}") } else { id })
}

fn decide(node: &NodeArgs, request: &str, what: &str, body: &Value) -> anyhow::Result<ExitCode> {
    let id = find(node, "issuances", "/issuances", request, "request")?;
    let answer = post(node, &format!("issuances/{id}/{what}"), body)?;
    match node.format {
        Format::Json => print_json(&answer)?,
        Format::Table => {
            print(&format!("{} for {}: {id}", text(&answer, "/state"), text(&answer, "/holder")))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show_credential(node: &NodeArgs, answer: &Value, what: &str) -> anyhow::Result<ExitCode> {
    match node.format {
        Format::Json => print_json(answer)?,
        Format::Table => print(&format!(
            "{} {what} {}: {}, until {}",
            text(answer, "/type"),
            text(answer, "/holder"),
            text(answer, "/id"),
            text(answer, "/until")
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Issues a credential into a new file that only its owner can read: it says who somebody is. The file
/// comes first, so that nothing is issued that cannot be handed over.
fn hand_over(path: &Path, body: &Value, node: &NodeArgs) -> anyhow::Result<ExitCode> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.with_context(|| format!("{} cannot be made", path.display()))?;
    let answer = match post(node, "issued", body) {
        Ok(answer) => answer,
        Err(error) => {
            // What is wrong is reported; that no empty file stays is best effort.
            drop(std::fs::remove_file(path));
            return Err(error);
        }
    };
    writeln!(file, "{}", text(&answer, "/credential")).and_then(|()| file.sync_all())?;
    show_credential(node, &answer, &format!("issued into {}, to be handed to", path.display()))
}

fn issued(node: &NodeArgs) -> anyhow::Result<ExitCode> {
    let found = get(node, "issued")?;
    if node.format == Format::Json {
        print_json(&found)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["CREDENTIAL", "TYPE", "HOLDER", "UNTIL", "REVOKED"].map(str::to_owned).to_vec()];
    for credential in list(&found, "/issued") {
        let revoked = match (text(credential, "/revoked"), text(credential, "/reason")) {
            ("", _) => "no".to_owned(),
            (at, "") => at.to_owned(),
            (at, why) => format!("{at} ({why})"),
        };
        rows.push(vec![
            text(credential, "/id").trim_start_matches("urn:uuid:").to_owned(),
            text(credential, "/type").to_owned(),
            text(credential, "/holder").to_owned(),
            text(credential, "/until").to_owned(),
            revoked,
        ]);
    }
    print(&table(&rows))?;
    Ok(ExitCode::SUCCESS)
}

fn issuances(node: &NodeArgs) -> anyhow::Result<ExitCode> {
    let found = get(node, "issuances")?;
    if node.format == Format::Json {
        print_json(&found)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["REQUEST", "HOLDER", "WANTED", "STATE", "HOLDER TOLD"].map(str::to_owned).to_vec()];
    for issuance in list(&found, "/issuances") {
        let wanted: Vec<&str> = list(issuance, "/wanted").iter().map(|w| text(w, "/type")).collect();
        let told = match (text(issuance, "/delivery/state"), text(issuance, "/delivery/problem")) {
            (state, "") => state.to_owned(),
            (state, problem) => format!("{state}: {problem}"),
        };
        rows.push(vec![
            text(issuance, "/id").to_owned(),
            text(issuance, "/holder").to_owned(),
            wanted.join(", "),
            text(issuance, "/state").to_owned(),
            told,
        ]);
    }
    print(&table(&rows))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_of_the_command_line_keep_the_kind_of_their_values() {
        assert_eq!(claim("level=full"), Ok(("level".into(), json!("full"))));
        assert_eq!(claim("since=2019"), Ok(("since".into(), json!(2019))));
        assert_eq!(claim("observer=true"), Ok(("observer".into(), json!(true))));
        assert_eq!(claim("note=a=b"), Ok(("note".into(), json!("a=b"))));
        assert!(claim("level").is_err() && claim("=x").is_err());
    }
}
