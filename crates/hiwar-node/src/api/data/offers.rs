//! What this node offers, and what terms would mean before they are offered.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hiwar_dataspace::catalog::{Dataset, Filter, PULL, PUSH};
use hiwar_dataspace::connector::Refusal;
use hiwar_dataspace::policy::{Authoring, Offer, Severity, Terms, dry_run, lint};
use hiwar_store::dataspace::{Policies, Tx};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body;
use crate::api::{ApiError, By, must_be_operator};
use crate::clock::{now, random};
use crate::data_plane::source::{BackendSource, FileSource, FolderSource, Source, offer_object};
use crate::data_plane::store;
use crate::dataspace::SERVICE;
use crate::node::Shared;

/// Datasets in one answer.
const LISTED_MAX: usize = 1000;
/// Most lines in one bulk request.
const BULK_LINES_MAX: usize = 1000;

/// Terms as a person writes them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checking {
    /// The text of the file.
    terms: String,
}

/// Something to be offered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offering {
    /// Its identifier; made when absent.
    #[serde(default)]
    id: Option<String>,
    title: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    media_type: Option<String>,
    /// The text of the terms.
    terms: String,
    /// A file or folder on the node's machine.
    #[serde(default)]
    path: Option<PathBuf>,
    /// Instead of `path`: a service over HTTP that the rule below `[outbound]` lets the node reach, or
    /// `s3://BUCKET/KEY` or `s3://BUCKET/PREFIX/` in a store of `[[dataspace.stores]]`.
    #[serde(default)]
    url: Option<String>,
    /// A file that only its owner can read, with the value of the header that the service asks for.
    #[serde(default)]
    secret_file: Option<PathBuf>,
    /// That header; `authorization` when absent.
    #[serde(default)]
    secret_header: Option<String>,
    /// Whether a path and a query behind the address are passed on to the service.
    #[serde(default)]
    paths: bool,
}

/// What terms say, what is wrong with them, and who could get the data.
struct Checked {
    terms: Terms,
    findings: Vec<Value>,
    wrong: Vec<String>,
    who: Value,
}

fn checked(shared: &Shared, text: &str) -> Result<Checked, ApiError> {
    let refused = |problem: String| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "terms", problem);
    let terms = Terms::read(text.as_bytes()).map_err(|e| refused(e.to_string()))?;
    let groups: Vec<String> = shared.config.dataspace.groups.keys().cloned().collect();
    let found = lint(&terms.policy, &Authoring { now: now(), groups: Some(&groups) });
    let place = |path: &str| {
        terms
            .place(path)
            .map_or_else(|| path.to_owned(), |p| format!("line {}, column {}, {}", p.line, p.column, p.field))
    };
    let wrong = found
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .map(|f| format!("{}: {}; {}", place(&f.path), f.problem, f.mend))
        .collect();
    let findings = found
        .iter()
        .map(|f| {
            let severity = if f.severity == Severity::Error { "error" } else { "warning" };
            json!({ "severity": severity, "place": place(&f.path), "problem": f.problem, "mend": f.mend })
        })
        .collect();
    let everybody = crate::dataspace::everybody(shared);
    let who = serde_json::to_value(dry_run(&terms.policy, everybody.values(), now()))
        .map_err(ApiError::internal)?;
    Ok(Checked { terms, findings, wrong, who })
}

/// `POST /api/v1/data/terms`
pub(crate) async fn check(State(shared): State<Arc<Shared>>, bytes: Bytes) -> Result<Json<Value>, ApiError> {
    let wanted: Checking = body(&bytes)?;
    let checked = checked(&shared, &wanted.terms)?;
    Ok(Json(json!({
        "fit": checked.wrong.is_empty(),
        "findings": checked.findings,
        "participants": checked.who,
        "policy": checked.terms.policy.to_value(),
        "rules_version": hiwar_dataspace::policy::RULES_VERSION,
    })))
}

/// What is offered, after it was looked at.
async fn source_of(shared: &Shared, wanted: &Offering) -> Result<Source, ApiError> {
    let refused = |code: &str, why: String| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, code, why);
    match (&wanted.path, &wanted.url) {
        (Some(path), None) => source(path.clone(), wanted.media_type.clone()).await,
        (None, Some(url)) if url.starts_with(store::SCHEME) => {
            if wanted.secret_file.is_some() || wanted.secret_header.is_some() || wanted.paths {
                let why = "secret_file, secret_header and paths are for a service over HTTP; the keys of a store \
                           are named in hiwar.toml";
                return Err(ApiError::bad_request(why));
            }
            offer_object(&shared.dataspace().stores, url, wanted.media_type.clone())
                .await
                .map_err(|e| refused("store", e.to_string()))
        }
        (None, Some(url)) => {
            let backend = BackendSource {
                url: url.clone(),
                secret_file: wanted.secret_file.clone(),
                secret_header: wanted.secret_header.clone(),
                paths: wanted.paths,
            };
            backend
                .check(&shared.dataspace().outbound)
                .await
                .map_err(|e| refused("backend", e.to_string()))?;
            Ok(Source::Http(backend))
        }
        _ => Err(ApiError::bad_request(
            "give either path, a file or folder, or url, a service over HTTP or s3://BUCKET/KEY",
        )),
    }
}

/// Takes the fingerprint of what is offered.
async fn source(path: PathBuf, media_type: Option<String>) -> Result<Source, ApiError> {
    let task = tokio::task::spawn_blocking(move || {
        if path.is_dir() {
            FolderSource::offer(&path).map(Source::Folder)
        } else {
            FileSource::offer(&path, media_type).map(Source::File)
        }
    });
    let made = task.await.map_err(ApiError::internal)?;
    made.map_err(|e| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "unreadable", e))
}

type Place = (Option<PathBuf>, Option<String>, Option<PathBuf>, Option<String>, bool, Option<String>);

/// A dataset that can be kept, and what is said of it.
struct Ready {
    dataset: Dataset,
    /// Where its content is, as it is kept.
    source: String,
    shown: Value,
}

impl Ready {
    fn new(wanted: Offering, terms: &Terms, source: &Source) -> Result<Self, ApiError> {
        let byte_size = source.file_bytes();
        let made = |what: &str| -> Result<String, ApiError> {
            let digits = hex::encode(random::<16>().map_err(ApiError::internal)?);
            Ok(format!("urn:hiwar:{what}:{digits}"))
        };
        let id = match wanted.id {
            Some(id) => id,
            None => made("dataset")?,
        };
        let dataset = Dataset {
            id,
            title: wanted.title,
            description: wanted.description,
            keywords: wanted.keywords,
            offer: Offer::new(made("offer")?, terms.policy.clone()),
            // Only single files are pushed.
            formats: if byte_size.is_some() { vec![PULL.into(), PUSH.into()] } else { vec![PULL.into()] },
            media_type: wanted.media_type,
            byte_size,
            sha256: source.sha256().map(|h| hex::encode(h.as_bytes())),
            issued: now(),
        };
        let shown = json!({ "id": dataset.id, "offer": dataset.offer.id, "sha256": dataset.sha256, "bytes": byte_size });
        Ok(Self { dataset, source: serde_json::to_string(source).map_err(ApiError::internal)?, shown })
    }

    fn keep(&self, tx: &mut Tx<'_>, policy_key: &str) -> Result<(), Refusal> {
        let rendered = self.dataset.to_json(SERVICE).to_string();
        Ok(tx.put_dataset(&self.dataset, &rendered, policy_key, &self.source)?)
    }
}

impl Offering {
    /// What lines that offer the same thing have in common.
    fn place(&self) -> Place {
        let Self { path, url, secret_file, secret_header, paths, media_type, .. } = self;
        (path.clone(), url.clone(), secret_file.clone(), secret_header.clone(), *paths, media_type.clone())
    }

    fn check(&self) -> Result<(), ApiError> {
        if self.title.trim().is_empty() || self.title.len() > 500 {
            return Err(ApiError::bad_request("title: it must have 1 to 500 bytes"));
        }
        let fit = |id: &String| !id.is_empty() && id.len() <= 500 && !id.chars().any(char::is_control);
        if !self.id.as_ref().is_none_or(fit) {
            return Err(ApiError::bad_request("id: it must have 1 to 500 bytes without control characters"));
        }
        Ok(())
    }
}

/// Terms that can be offered.
fn fit(shared: &Shared, text: &str) -> Result<Checked, ApiError> {
    let checked = checked(shared, text)?;
    if checked.wrong.is_empty() {
        return Ok(checked);
    }
    Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "terms", checked.wrong.join("\n")))
}

/// `POST /api/v1/data/datasets`
pub(crate) async fn offer(
    State(shared): State<Arc<Shared>>,
    caller: By,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let wanted: Offering = body(&bytes)?;
    wanted.check()?;
    let checked = fit(&shared, &wanted.terms)?;
    let source = source_of(&shared, &wanted).await?;
    let ready = Ready::new(wanted, &checked.terms, &source)?;
    let mut shown = ready.shown.clone();
    shown["findings"] = checked.findings.into();
    shown["participants"] = checked.who;
    let key = checked.terms.policy.meaning();
    shared.dataspace().desk.run(move |tx| ready.keep(tx, &key)).await?;
    Ok(Json(shown))
}

/// `POST /api/v1/data/datasets/bulk`: one dataset a line, all of them or none, made durable together.
/// Terms and files that several lines name are checked and read once.
pub(crate) async fn offer_many(
    State(shared): State<Arc<Shared>>,
    caller: By,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let mut terms: HashMap<String, (Terms, Arc<str>)> = HashMap::new();
    let mut sources: HashMap<Place, Source> = HashMap::new();
    let mut many = Vec::new();
    for (index, line) in bytes.split(|b| *b == b'\n').enumerate().filter(|(_, l)| !l.is_empty()) {
        if many.len() >= BULK_LINES_MAX {
            return Err(ApiError::bad_request(format!(
                "more than {BULK_LINES_MAX} lines; send the rest in another request"
            )));
        }
        let named = |e: ApiError| e.within(&format!("line {}", index + 1));
        let wanted: Offering = crate::json::parse(line).map_err(|e| named(ApiError::bad_request(e)))?;
        wanted.check().map_err(named)?;
        let (terms, key) = match terms.entry(wanted.terms.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let checked = fit(&shared, new.key()).map_err(named)?;
                let key = checked.terms.policy.meaning();
                new.insert((checked.terms, key.into()))
            }
        };
        let source = match sources.entry(wanted.place()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(source_of(&shared, &wanted).await.map_err(named)?),
        };
        many.push((Ready::new(wanted, terms, source).map_err(named)?, key.clone()));
    }
    let shown: Vec<Value> = many.iter().map(|(ready, _)| ready.shown.clone()).collect();
    shared
        .dataspace()
        .desk
        .run(move |tx| many.iter().try_for_each(|(ready, key)| ready.keep(tx, key)))
        .await?;
    Ok(Json(json!({ "offered": shown })))
}

/// `GET /api/v1/data/datasets`
pub(crate) async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, ApiError> {
    let page = shared
        .dataspace()
        .read(|reader| reader.page(&Filter::default(), Policies::All, None, LISTED_MAX))
        .await
        .map_err(ApiError::internal)?;
    let datasets: Vec<Value> =
        page.rendered.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    Ok(Json(json!({ "datasets": datasets, "more": page.next.is_some() })))
}

/// `DELETE /api/v1/data/datasets/{id}`
pub(crate) async fn withdraw(
    State(shared): State<Arc<Shared>>,
    caller: By,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    must_be_operator(&caller)?;
    let wanted = id.clone();
    let gone = shared.dataspace().desk.run(move |tx| Ok(tx.remove_dataset(&wanted)?)).await?;
    if !gone {
        return Err(ApiError::not_found(format!(
            "no dataset {id:?} is offered; `hiwar data datasets` lists them"
        )));
    }
    Ok(Json(json!({ "withdrawn": id })))
}
