//! The catalog: one query a page, by indexes, whatever the filter.

use std::fmt::Write as _;

use hiwar_dataspace::catalog::{Condition, Field, Filter, Test};
use hiwar_dataspace::policy::Offer;
use hiwar_dialogue::ledger::StoreError;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::DataspaceReader;
use crate::error::StorageError;
use crate::sqlite::connection::store_error;

/// One page of the catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The datasets as JSON text, as they were kept.
    pub rendered: Vec<String>,
    /// Where the next page begins.
    pub next: Option<i64>,
    /// Where the page before begins.
    pub previous: Option<i64>,
}

/// A query and what it is asked with.
#[derive(Debug, Default)]
struct Query {
    conditions: String,
    params: Vec<Value>,
}

impl Query {
    fn param(&mut self, value: impl Into<Value>) -> usize {
        self.params.push(value.into());
        self.params.len()
    }

    fn and(&mut self, sql: &str) {
        self.conditions.push_str(if self.conditions.is_empty() { "WHERE " } else { " AND " });
        self.conditions.push_str(sql);
    }

    /// A list as one parameter.
    fn one_of(&mut self, column: &str, values: &[String]) -> String {
        let list = serde_json::to_string(values).unwrap_or_else(|_| "[]".to_owned());
        let at = self.param(list);
        format!("{column} IN (SELECT value FROM json_each(?{at}))")
    }

    fn compare(&mut self, column: &str, test: &Test) -> String {
        match test {
            Test::In(values) => self.one_of(column, values),
            Test::StartsWith(start) => {
                // From the start itself up to the start followed by the last character there is: a
                // range that an index serves.
                let (from, to) = (self.param(start.clone()), self.param(format!("{start}\u{10FFFF}")));
                format!("({column} >= ?{from} AND {column} < ?{to})")
            }
            Test::Words(words) => {
                let quoted: Vec<String> =
                    words.iter().map(|w| format!("\"{}\"", w.replace('"', "\"\""))).collect();
                let at = self.param(quoted.join(" "));
                format!("d.number IN (SELECT rowid FROM dataset_text WHERE dataset_text MATCH ?{at})")
            }
        }
    }

    fn condition(&mut self, condition: &Condition) {
        let sql = match condition.field {
            Field::Id => self.compare("d.id", &condition.test),
            Field::Title => self.compare("d.title", &condition.test),
            Field::Text => match &condition.test {
                // No word at all: everything holds none.
                Test::Words(words) if words.is_empty() => return,
                test => self.compare("d.number", test),
            },
            Field::Keyword => {
                let inner = self.compare("k.keyword", &condition.test);
                format!("d.number IN (SELECT k.number FROM dataset_keyword k WHERE {inner})")
            }
            Field::Format => {
                let inner = self.compare("f.format", &condition.test);
                format!("d.number IN (SELECT f.number FROM dataset_format f WHERE {inner})")
            }
        };
        self.and(&sql);
    }
}

impl DataspaceReader {
    /// The different terms that datasets are offered under, each with one offer that has them.
    ///
    /// # Errors
    /// When the store fails.
    pub fn policies(&self) -> Result<Vec<(String, Offer)>, StorageError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT policy, offer FROM policy ORDER BY policy")
            .map_err(store_error)?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
        rows.map_err(store_error)?
            .map(|row| {
                let (key, text) = row.map_err(store_error)?;
                let offer = serde_json::from_str(&text).map_err(|e| StoreError::Failed(e.to_string()))?;
                Ok((key, offer))
            })
            .collect()
    }

    /// How many datasets are offered.
    ///
    /// # Errors
    /// When the store fails.
    pub fn datasets(&self) -> Result<u64, StorageError> {
        let count = self.connection.query_row("SELECT count(*) FROM dataset", [], |row| row.get::<_, i64>(0));
        Ok(u64::try_from(count.map_err(store_error)?).unwrap_or(0))
    }

    fn query(&self, filter: &Filter, shown: Option<&[String]>) -> Result<Query, StorageError> {
        let mut query = Query::default();
        if let Some(shown) = shown {
            let all: i64 = self
                .connection
                .prepare_cached("SELECT count(*) FROM policy")
                .and_then(|mut s| s.query_row([], |row| row.get(0)))
                .map_err(store_error)?;
            // When all terms are shown there is nothing to leave out.
            if i64::try_from(shown.len()).ok() != Some(all) {
                let sql = query.one_of("d.policy", shown);
                query.and(&sql);
            }
        }
        for condition in &filter.conditions {
            query.condition(condition);
        }
        Ok(query)
    }

    /// A page of datasets that fit `filter` and are offered under terms in `shown` (all when absent), in
    /// the order they were offered. `after` is what the page before named.
    ///
    /// # Errors
    /// When the store fails.
    pub fn page(
        &self,
        filter: &Filter,
        shown: Option<&[String]>,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Page, StorageError> {
        let mut query = self.query(filter, shown)?;
        let before = query.params.len();
        let at = query.param(after.unwrap_or(0));
        let wanted = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let count = query.param(wanted);
        let mut sql = format!("SELECT d.number, d.rendered FROM dataset d {}", query.conditions);
        let word = if query.conditions.is_empty() { "WHERE" } else { "AND" };
        // Writing to a string cannot fail.
        let _ = write!(sql, " {word} d.number > ?{at} ORDER BY d.number LIMIT ?{count}");
        let mut statement = self.connection.prepare_cached(&sql).map_err(store_error)?;
        let rows = statement.query_map(params_from_iter(&query.params), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        });
        let mut found: Vec<(i64, String)> =
            rows.map_err(store_error)?.collect::<Result<_, _>>().map_err(store_error)?;
        let mut page = Page::default();
        if found.len() > limit {
            found.truncate(limit);
            page.next = found.last().map(|(number, _)| *number);
        }
        if after.is_some() {
            query.params.truncate(before);
            page.previous = self.page_before(query, after.unwrap_or(0), limit)?;
        }
        page.rendered = found.into_iter().map(|(_, text)| text).collect();
        Ok(page)
    }

    /// What a page that ends at `last` begins after.
    fn page_before(&self, mut query: Query, last: i64, limit: usize) -> Result<Option<i64>, StorageError> {
        let at = query.param(last);
        let skip = query.param(i64::try_from(limit).unwrap_or(i64::MAX));
        let word = if query.conditions.is_empty() { "WHERE" } else { "AND" };
        let sql = format!(
            "SELECT coalesce((SELECT d.number FROM dataset d {} {word} d.number <= ?{at} ORDER BY d.number DESC LIMIT 1 OFFSET ?{skip}), 0)",
            query.conditions
        );
        let mut statement = self.connection.prepare_cached(&sql).map_err(store_error)?;
        let found: i64 =
            statement.query_row(params_from_iter(&query.params), |row| row.get(0)).map_err(store_error)?;
        Ok(Some(found))
    }
}
