//! The catalog at scale.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::memory::{Memory, Watch};
use super::peers::{AsConsumer, Peers, did};
use super::{Size, Spread};

/// Datasets in one bulk request.
const BULK: usize = 500;
/// Different product codes among the keywords.
const CODES: usize = 500;
const OPEN: &str = r#"{ "permit": { "use": {} } }"#;

/// How long it took to offer everything.
#[derive(Debug, Serialize)]
pub(super) struct Offering {
    pub(super) datasets: usize,
    pub(super) per_second: f64,
    pub(super) memory: Memory,
}

/// One kind of page.
#[derive(Debug, Serialize)]
pub(super) struct Pages {
    pub(super) what: &'static str,
    pub(super) gzip: bool,
    pub(super) datasets: usize,
    pub(super) bytes: Option<usize>,
    #[serde(flatten)]
    pub(super) spread: Spread,
}

/// The identifier of the n-th dataset.
pub(super) fn id(number: usize) -> String {
    format!("urn:example:trade:{number:06}")
}

fn dataset(number: usize, path: &Path) -> Value {
    let code = 280_000 + (number * 7) % CODES;
    let (port, month) = (number % 97, 1 + number % 12);
    json!({
        "id": id(number),
        "title": format!("Exports of item {code} through port {port}, 2019-{month:02}"),
        "description": "Weight and value by destination, week by week, as customs recorded them.",
        "keywords": [format!("hs:{code}"), format!("port:{port}"), "customs"],
        "media_type": "text/csv",
        "terms": OPEN,
        "path": path,
    })
}

/// Offers all datasets through the local API.
pub(super) async fn offer(peers: &Peers, dir: &Path, datasets: usize) -> anyhow::Result<Offering> {
    let path = dir.join("table.csv");
    std::fs::write(&path, "month,kg\n2019-07,12\n")?;
    let watch = Watch::begin(&peers.provider, &peers.consumer);
    let begun = Instant::now();
    let mut from = 0;
    while from < datasets {
        let to = (from + BULK).min(datasets);
        let lines: Vec<String> = (from..to).map(|number| dataset(number, &path).to_string()).collect();
        peers.provider.client.post_bytes("/api/v1/data/datasets/bulk", lines.join("\n").into()).await?;
        from = to;
    }
    let per_second = datasets as f64 / begun.elapsed().as_secs_f64();
    Ok(Offering { datasets, per_second, memory: watch.end() })
}

struct Wanted {
    what: &'static str,
    query: String,
    filter: Vec<Value>,
}

fn wanted(size: &Size) -> Vec<Wanted> {
    let page = |what, query: String, filter| Wanted { what, query, filter };
    let keyword =
        |operator: &str, value: &str| json!({ "field": "keyword", "operator": operator, "value": value });
    let text = |words: &str| json!({ "field": "text", "operator": "words", "value": words });
    vec![
        page("first page", String::new(), vec![]),
        page("page in the middle", format!("?after={}", size.datasets / 2), vec![]),
        page("one keyword", String::new(), vec![keyword("eq", "hs:280007")]),
        page(
            "one keyword, middle",
            format!("?after={}", size.datasets / 2),
            vec![keyword("eq", "hs:280007")],
        ),
        page("narrow keyword prefix", String::new(), vec![keyword("startsWith", "hs:28000")]),
        page("broad keyword prefix", String::new(), vec![keyword("startsWith", "hs:")]),
        page(
            "broad prefix, middle",
            format!("?after={}", size.datasets / 2),
            vec![keyword("startsWith", "hs:")],
        ),
        page("words of the text", String::new(), vec![text("port 13")]),
        page("words in every dataset", String::new(), vec![text("customs recorded")]),
        page("keyword and words", String::new(), vec![keyword("eq", "hs:280007"), text("customs")]),
    ]
}

pub(super) async fn measure(peers: &Peers, size: &Size) -> anyhow::Result<(Vec<Pages>, Memory)> {
    let consumer = AsConsumer::of(peers).await?;
    let watch = Watch::begin(&peers.provider, &peers.consumer);
    let mut found = Vec::new();
    for wanted in wanted(size) {
        for gzip in [false, true] {
            found.push(pages(&consumer, &wanted, gzip, size.pages).await?);
        }
    }
    found.push(through_consumer(peers, size.pages).await?);
    Ok((found, watch.end()))
}

async fn pages(consumer: &AsConsumer, wanted: &Wanted, gzip: bool, count: usize) -> anyhow::Result<Pages> {
    let mut times = Vec::new();
    let (mut bytes, mut datasets) = (0, 0);
    for number in 0..=count {
        let begun = Instant::now();
        let (headers, body) = consumer.catalog(&wanted.query, &wanted.filter, gzip).await?;
        let took = begun.elapsed();
        let zipped = headers.get("content-encoding").is_some_and(|v| v == "gzip");
        if number == 0 {
            bytes = body.len();
            if !zipped {
                let page: Value = serde_json::from_slice(&body)?;
                datasets = page["dataset"].as_array().map_or(0, Vec::len);
                ensure!(datasets > 0 || !wanted.query.is_empty(), "the page \"{}\" is empty", wanted.what);
            }
            ensure!(zipped == gzip || !zipped, "gzip was not asked for");
            continue;
        }
        times.push(took);
    }
    Ok(Pages { what: wanted.what, gzip, datasets, bytes: Some(bytes), spread: Spread::of(times) })
}

/// The first page as a desk at the consumer sees it: asked of its own node, which asks the provider.
async fn through_consumer(peers: &Peers, count: usize) -> anyhow::Result<Pages> {
    let body = json!({ "peer": did(&peers.provider).await?, "filter": [] });
    let (mut times, mut datasets) = (Vec::new(), 0);
    for _ in 0..count {
        let begun = Instant::now();
        let page = peers.consumer.client.post("/api/v1/data/catalog", &body).await?;
        times.push(begun.elapsed());
        datasets = page["datasets"].as_array().context("the consumer shows no datasets")?.len();
    }
    Ok(Pages {
        what: "first page, asked of the consumer's node",
        gzip: true,
        datasets,
        bytes: None,
        spread: Spread::of(times),
    })
}
