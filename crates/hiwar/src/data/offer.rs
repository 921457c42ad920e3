//! What this node offers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use hiwar::api_client::{ApiClient, Format, NodeArgs};
use hiwar_node::data_plane::store::SCHEME;
use serde_json::{Value, json};

use super::{absolute, segment, with_client};
use crate::commands::{list, print, print_json, table, text};

/// Check terms without offering anything
#[derive(Debug, clap::Args)]
pub(crate) struct TermsArgs {
    /// The file with the terms
    file: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
}

/// Offer a file, a folder, an object of a store or a service over HTTP under terms
#[derive(Debug, clap::Args)]
pub(crate) struct OfferArgs {
    /// The file, the folder, s3://BUCKET/KEY or s3://BUCKET/PREFIX/ in a store of hiwar.toml, or the https
    /// address of a service behind the node
    path: PathBuf,
    /// Of a service: the file, readable by its owner only, with the value of the header that it asks for
    #[arg(long)]
    secret_file: Option<PathBuf>,
    /// Of a service: that header, when it is not authorization
    #[arg(long)]
    secret_header: Option<String>,
    /// Of a service: pass on the path and the query behind the address
    #[arg(long)]
    paths: bool,
    /// The file with the terms
    #[arg(long)]
    terms: PathBuf,
    /// Its title, for people
    #[arg(long)]
    title: String,
    /// What it holds, for people
    #[arg(long)]
    description: Option<String>,
    /// What it is about, such as hs:281111; may be given several times
    #[arg(long)]
    keyword: Vec<String>,
    /// Its media type, such as text/csv
    #[arg(long)]
    media_type: Option<String>,
    /// Its identifier; made when absent. The same identifier again replaces the offer
    #[arg(long)]
    id: Option<String>,
    /// Only check the terms and say who could get it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    node: NodeArgs,
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

impl TermsArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let terms = read(&self.file)?;
        with_client(&self.node, async |client| check(&client, &self.node, &self.file, &terms).await)
    }
}

async fn check(client: &ApiClient, node: &NodeArgs, file: &Path, terms: &str) -> anyhow::Result<ExitCode> {
    let found = client
        .post("/api/v1/data/terms", &json!({ "terms": terms }))
        .await
        .with_context(|| format!("{}", file.display()))?;
    let fit = found["fit"].as_bool() == Some(true);
    if node.format == Format::Json {
        print_json(&found)?;
    } else {
        findings(file, &found);
        print(&who(&found))?;
        if fit {
            eprintln!("The terms can be offered (policy rules version {}).", found["rules_version"]);
        }
    }
    Ok(if fit { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn findings(file: &Path, found: &Value) {
    for finding in list(found, "/findings") {
        let part = |name: &str| text(finding, &format!("/{name}")).to_owned();
        let mend = Some(part("mend")).filter(|mend| !mend.is_empty()).map(|mend| format!("; {mend}"));
        eprintln!(
            "{}: {}, {}: {}{}",
            part("severity"),
            file.display(),
            part("place"),
            part("problem"),
            mend.unwrap_or_default()
        );
    }
}

/// Who could get the data, who not and why.
fn who(found: &Value) -> String {
    let mut rows =
        vec![["PARTICIPANT", "COULD GET IT", "WHY, AND WHAT IS STILL TO DO"].map(ToOwned::to_owned).to_vec()];
    for one in list(found, "/participants") {
        let could = if one["could"].as_bool() == Some(true) { "yes" } else { "no" };
        let mut why = vec![text(one, "/reason").to_owned()];
        why.extend(list(one, "/to_do").iter().filter_map(|t| t.as_str().map(ToOwned::to_owned)));
        rows.push(vec![text(one, "/participant").to_owned(), could.to_owned(), why.join("; ")]);
    }
    table(&rows)
}

impl OfferArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let terms = read(&self.terms)?;
        let address = |schemes: &[&str]| {
            self.path.to_str().filter(|p| schemes.iter().any(|scheme| p.starts_with(scheme)))
        };
        let service = address(&["https://", "http://"]);
        let address = address(&["https://", "http://", SCHEME]);
        if service.is_none() && (self.secret_file.is_some() || self.secret_header.is_some() || self.paths) {
            bail!("--secret-file, --secret-header and --paths are for the address of a service");
        }
        let path = if address.is_some() { None } else { Some(absolute(&self.path)?) };
        let secret_file = self.secret_file.as_deref().map(absolute).transpose()?;
        with_client(&self.node, async |client| {
            if self.dry_run {
                return check(&client, &self.node, &self.terms, &terms).await;
            }
            let body = json!({
                "id": self.id, "title": self.title, "description": self.description,
                "keywords": self.keyword, "media_type": self.media_type, "terms": terms, "path": path,
                "url": address, "secret_file": secret_file, "secret_header": self.secret_header, "paths": self.paths,
            });
            let made = client.post("/api/v1/data/datasets", &body).await.with_context(|| {
                format!("{} is not offered under {}", self.path.display(), self.terms.display())
            })?;
            if self.node.format == Format::Json {
                print_json(&made)?;
            } else {
                findings(&self.terms, &made);
                eprintln!("{}", who(&made));
                print(text(&made, "/id"))?;
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Lines in one request to the node.
const LINES: usize = 500;

/// Offer many datasets
#[derive(Debug, clap::Args)]
pub(crate) struct OfferManyArgs {
    /// One JSON object a line: title, path, and if wanted id, description, keywords, media_type. A path
    /// that is not absolute lies beside this file
    list: PathBuf,
    /// The file with the terms of all of them
    #[arg(long)]
    terms: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
}

impl OfferManyArgs {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let terms = read(&self.terms)?;
        let list_path = absolute(&self.list)?;
        let beside = list_path.parent().unwrap_or(Path::new("/"));
        let text = read(&self.list)?;
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let at = || format!("{}, line {}", self.list.display(), index + 1);
            let mut dataset: Value = serde_json::from_str(line).with_context(at)?;
            let path = dataset["path"].as_str().with_context(|| format!("{}: it has no path", at()))?;
            let path = beside.join(path);
            dataset["path"] = json!(path);
            dataset["terms"] = json!(terms);
            lines.push((index + 1, dataset.to_string()));
        }
        with_client(&self.node, async |client| {
            let mut offered: Vec<Value> = Vec::new();
            for part in lines.chunks(LINES) {
                let from = part.first().map_or(0, |(number, _)| *number);
                let body: Vec<&str> = part.iter().map(|(_, line)| line.as_str()).collect();
                let made = client.post_bytes("/api/v1/data/datasets/bulk", body.join("\n").into()).await;
                let made = made.with_context(|| {
                    let done = offered.len();
                    format!("{} from its line {from} on; {done} before it are offered", self.list.display())
                })?;
                offered.extend(list(&made, "/offered").iter().cloned());
            }
            if self.node.format == Format::Json {
                print_json(&json!({ "offered": offered }))?;
            } else {
                eprintln!("{} datasets are offered", offered.len());
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

pub(crate) fn datasets(node: &NodeArgs) -> anyhow::Result<ExitCode> {
    with_client(node, async |client| {
        let found = client.get("/api/v1/data/datasets").await?;
        if node.format == Format::Json {
            print_json(&found)?;
        } else {
            print(&datasets_table(list(&found, "/datasets")))?;
            if found["more"].as_bool() == Some(true) {
                eprintln!("There are more; `--format json` and the local API page through them.");
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Datasets as a table, of this node or of a catalog.
pub(crate) fn datasets_table(datasets: &[Value]) -> String {
    let mut rows = vec![["DATASET", "BYTES", "FORMATS", "OFFERS", "TITLE"].map(ToOwned::to_owned).to_vec()];
    for dataset in datasets {
        let many = |pointer: &str, name: &str| {
            let all = list(dataset, pointer).iter().filter_map(|v| v.get(name).and_then(Value::as_str));
            all.collect::<Vec<_>>().join(",")
        };
        let size = dataset["byteSize"].as_u64().map_or_else(|| "-".into(), |b| b.to_string());
        rows.push(vec![
            text(dataset, "/@id").to_owned(),
            size,
            many("/distribution", "format"),
            many("/hasPolicy", "@id"),
            text(dataset, "/title").to_owned(),
        ]);
    }
    table(&rows)
}

pub(crate) fn withdraw(dataset: &str, node: &NodeArgs) -> anyhow::Result<ExitCode> {
    with_client(node, async |client| {
        client.delete(&format!("/api/v1/data/datasets/{}", segment(dataset))).await?;
        eprintln!("{dataset} is not offered any more");
        Ok(ExitCode::SUCCESS)
    })
}
