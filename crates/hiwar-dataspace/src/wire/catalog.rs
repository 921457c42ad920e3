//! Messages about the catalog (DSP 2025-1, section 6).

use serde::Serialize;
use serde_json::Value;

use super::read::{Members, WireError};
use super::{Context, Message};
use crate::policy::Offer;

/// The most datasets read from one page of a catalog.
const PAGE_DATASETS_MAX: usize = 10_000;
/// The most catalogs inside of catalogs that are followed.
const NESTED_MAX: usize = 8;

/// A consumer asks for the catalog.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(tag = "@type", rename = "CatalogRequestMessage", rename_all = "camelCase")]
pub struct CatalogRequest {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// What is wanted; its grammar is the provider's, see [`crate::catalog::Filter`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<Value>,
}

/// Why a request about the catalog is refused.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type", rename = "CatalogError", rename_all = "camelCase")]
pub struct CatalogError {
    /// Always the protocol's context.
    #[serde(rename = "@context")]
    pub context: Context,
    /// Why, for machines.
    pub code: String,
    /// Why, for people.
    pub reason: Vec<String>,
}

/// A catalog as seen at a provider: its datasets, those of nested catalogs too.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenCatalog {
    /// Who offers.
    pub participant: String,
    /// What is offered.
    pub datasets: Vec<OfferedDataset>,
}

/// A dataset as seen at a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct OfferedDataset {
    /// Its identifier.
    pub id: String,
    /// Its title, when it has one.
    pub title: Option<String>,
    /// The offers that stand, each with its own identifier; they have no target.
    pub offers: Vec<Offer>,
    /// The formats of its distributions.
    pub formats: Vec<String>,
    /// Everything as received.
    pub raw: Value,
}

impl Message for CatalogRequest {
    const TYPE: &'static str = "CatalogRequestMessage";

    fn from_value(value: &Value) -> Result<Self, WireError> {
        let members = Members::of(value, "message")?;
        members.expect(Self::TYPE)?;
        Ok(Self { context: Context, filter: members.list("filter").into_iter().cloned().collect() })
    }
}

impl OfferedDataset {
    /// Reads a dataset of a catalog, or the answer to a request for one dataset.
    ///
    /// # Errors
    /// What is wrong, with its path.
    pub fn from_value(value: &Value) -> Result<Self, WireError> {
        let members = Members::of(value, "dataset")?;
        let offers = members.list("hasPolicy").into_iter().map(|offer| {
            Offer::from_value(offer.clone()).map_err(|e| WireError::of_policy("dataset.hasPolicy", &e))
        });
        let offers = offers.collect::<Result<Vec<_>, _>>()?;
        let mut formats = Vec::new();
        for distribution in members.list("distribution") {
            if let Some(format) =
                Members::of(distribution, "dataset.distribution")?.optional_text("format")?
            {
                formats.push(format);
            }
        }
        let title = members.get("title").and_then(title);
        Ok(Self { id: members.text("@id")?, title, offers, formats, raw: value.clone() })
    }
}

/// A title as a string, or the first of several in several languages.
fn title(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(map) => map.get("@value").and_then(Value::as_str).map(ToOwned::to_owned),
        Value::Array(items) => items.iter().find_map(title),
        _ => None,
    }
}

impl SeenCatalog {
    /// Reads a page of a catalog. A dataset that cannot be read does not spoil the others: it is
    /// left out and named in the second part.
    ///
    /// # Errors
    /// When it is no catalog, or one of more than 10,000 datasets.
    pub fn from_value(value: &Value) -> Result<(Self, Vec<WireError>), WireError> {
        let members = Members::of(value, "message")?;
        members.expect("Catalog")?;
        let mut seen = Self { participant: members.text("participantId")?, datasets: Vec::new() };
        let mut unread = Vec::new();
        seen.collect(&members, &mut unread, 0)?;
        Ok((seen, unread))
    }

    fn collect(
        &mut self,
        members: &Members<'_>,
        unread: &mut Vec<WireError>,
        depth: usize,
    ) -> Result<(), WireError> {
        for dataset in members.list("dataset") {
            if self.datasets.len() + unread.len() >= PAGE_DATASETS_MAX {
                let problem = format!("one page has more than {PAGE_DATASETS_MAX}; ask the provider to page");
                return Err(WireError::new("dataset", problem));
            }
            match OfferedDataset::from_value(dataset) {
                Ok(read) => self.datasets.push(read),
                Err(error) => unread.push(error),
            }
        }
        if depth < NESTED_MAX {
            for nested in members.list("catalog") {
                self.collect(&Members::of(nested, "catalog")?, unread, depth + 1)?;
            }
        }
        Ok(())
    }
}
