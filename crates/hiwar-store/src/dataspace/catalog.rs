//! Pages of the catalog.
//!
//! A page is found in two steps, in one statement: the numbers of its datasets, through the index of the
//! condition that leaves the fewest; then the texts of these few. Conditions other than that one are
//! held against each dataset on the way. Pages follow one another by number, so a page deep in the
//! catalog costs what the first one costs, and a dataset that comes or goes moves no other.

use hiwar_dataspace::catalog::{Condition, Field, Filter, Test};
use hiwar_dialogue::ledger::StoreError;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::reader::DataspaceReader;
use super::text::segmented;

/// Whose datasets a page may show, by the keys of their terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policies<'a> {
    /// Under whatever terms.
    All,
    /// Under these terms only.
    These(&'a [String]),
}

/// A page of the catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The datasets as they stand in a catalog, in JSON.
    pub rendered: Vec<String>,
    /// What to give as `after` for the next page; none at the end.
    pub next: Option<i64>,
    /// What to give as `after` for the page before; none at the beginning.
    pub previous: Option<i64>,
}

impl DataspaceReader {
    /// The different terms that datasets are offered under: their keys and an offer of each in JSON.
    ///
    /// # Errors
    /// When the store fails.
    pub fn policies(&self) -> Result<Vec<(String, String)>, StoreError> {
        self.rows("SELECT key, offer FROM policy ORDER BY number", [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// A page of at most `limit` datasets, in the order in which they were first offered.
    ///
    /// # Errors
    /// When the store fails.
    pub fn page(
        &self,
        filter: &Filter,
        policies: Policies<'_>,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let limit = limit.max(1);
        let after = after.unwrap_or(0);
        let breadth = self.breadth(filter)?;
        let (sql, values) = Search::new(filter, policies, Some(Span::After(after)), &breadth).page(limit);
        let rows: Vec<(i64, String)> =
            self.rows(&sql, params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let more = rows.len() > limit;
        let next = rows.get(limit.saturating_sub(1)).filter(|_| more).map(|(number, _)| *number);
        let previous =
            if after > 0 { self.previous(filter, policies, after, limit, &breadth)? } else { None };
        Ok(Page { rendered: rows.into_iter().take(limit).map(|(_, text)| text).collect(), next, previous })
    }

    /// Where the page before the one after `after` begins.
    fn previous(
        &self,
        filter: &Filter,
        policies: Policies<'_>,
        after: i64,
        limit: usize,
        breadth: &Breadth,
    ) -> Result<Option<i64>, StoreError> {
        let (sql, values) = Search::new(filter, policies, Some(Span::UpTo(after)), breadth).numbers(limit);
        let before: Vec<i64> = self.rows(&sql, params_from_iter(values), |row| row.get(0))?;
        // The one before the page's first, or the beginning when there is none.
        Ok((!before.is_empty()).then(|| before.get(limit).copied().unwrap_or(0)))
    }

    /// How many datasets a filter finds.
    ///
    /// # Errors
    /// When the store fails.
    pub fn count(&self, filter: &Filter, policies: Policies<'_>) -> Result<u64, StoreError> {
        let (sql, values) = Search::new(filter, policies, None, &self.breadth(filter)?).count();
        let counts: Vec<i64> = self.rows(&sql, params_from_iter(values), |row| row.get(0))?;
        Ok(counts.first().and_then(|count| u64::try_from(*count).ok()).unwrap_or(0))
    }
}

/// Which parts of a filter find so many datasets that looking at all of those costs more than looking at
/// datasets in their order until a page is full.
#[derive(Debug, Default)]
pub(super) struct Breadth {
    /// The words of the text.
    pub(super) words: bool,
    /// By condition, in the filter's order.
    pub(super) conditions: Vec<bool>,
}

/// More rows than this are many. Found, joined and sorted, so many take about 5 ms.
const MANY_ROWS: i64 = 4000;

impl DataspaceReader {
    /// Counts what each condition finds, up to [`MANY_ROWS`].
    pub(super) fn breadth(&self, filter: &Filter) -> Result<Breadth, StoreError> {
        let several = filter.conditions.len() > 1;
        let words: Vec<&Condition> =
            filter.conditions.iter().filter(|c| matches!(c.test, Test::Words(_))).collect();
        let is_broad = |search: Option<(String, Vec<Value>)>| -> Result<bool, StoreError> {
            let Some((rows, values)) = search else { return Ok(false) };
            let sql = format!("SELECT count(*) FROM ({rows} LIMIT {MANY_ROWS})");
            let counts: Vec<i64> = self.rows(&sql, params_from_iter(values), |row| row.get(0))?;
            Ok(counts.first().is_some_and(|count| *count >= MANY_ROWS))
        };
        let by_words = match_all(&words).filter(|_| several).map(|words| {
            let sql = "SELECT rowid FROM dataset_text WHERE dataset_text MATCH ?1".to_owned();
            (sql, vec![Value::Text(words)])
        });
        let conditions = filter.conditions.iter().map(|c| is_broad(Search::rows_of(c, several)));
        Ok(Breadth { words: is_broad(by_words)?, conditions: conditions.collect::<Result<_, _>>()? })
    }
}

/// Which part of the catalog.
#[derive(Clone, Copy)]
pub(super) enum Span {
    /// Higher numbers than this, rising.
    After(i64),
    /// This number and lower ones, falling.
    UpTo(i64),
}

/// A filter in SQL. Values are always bound, never written into the statement, and a list is bound as
/// one JSON array, so that there are as many statements as there are shapes of filters.
pub(super) struct Search {
    /// The tables, the one that leads first.
    from: String,
    /// The column with the dataset's number in the table that leads.
    number: &'static str,
    /// `DISTINCT` when one dataset can have several rows.
    distinct: &'static str,
    conditions: Vec<String>,
    values: Vec<Value>,
    span: Option<Span>,
}

/// How few datasets a condition is likely to leave; the lowest leads.
fn rank(condition: &Condition, broad: bool) -> u8 {
    match (condition.field, &condition.test) {
        (Field::Id, Test::In(_)) => 0,
        (Field::Keyword, Test::In(values)) if values.len() == 1 => {
            if broad {
                8
            } else {
                1
            }
        }
        (Field::Keyword, _) if broad => 9,
        // Datasets are looked at in their order: most fit.
        (Field::Title | Field::Id, _) if broad => u8::MAX,
        (Field::Title, Test::In(_)) => 2,
        (Field::Id, Test::StartsWith(_)) => 4,
        (Field::Keyword, _) => 5,
        (Field::Title, _) => 6,
        // Most datasets have the same formats; looking at each is cheaper.
        (Field::Format, _) | (Field::Text, _) | (Field::Id, _) => u8::MAX,
    }
}

/// Where the words of all conditions on the text stand.
const RANK_TEXT: u8 = 3;
/// Where they stand when many texts have them.
const RANK_TEXT_BROAD: u8 = 7;

impl Search {
    pub(super) fn new(
        filter: &Filter,
        policies: Policies<'_>,
        span: Option<Span>,
        breadth: &Breadth,
    ) -> Self {
        let mut made = Self::over("dataset d", "d.number", span);
        let broad = |at: usize| breadth.conditions.get(at).copied().unwrap_or(false);
        let (text, others): (Vec<_>, Vec<_>) =
            filter.conditions.iter().enumerate().partition(|(_, c)| matches!(c.test, Test::Words(_)));
        let words = match_all(&text.iter().map(|(_, c)| *c).collect::<Vec<_>>());
        let text_rank = match (&words, breadth.words) {
            (None, _) => u8::MAX,
            (Some(_), false) => RANK_TEXT,
            (Some(_), true) => RANK_TEXT_BROAD,
        };
        let lead = others.iter().map(|(at, c)| (*at, rank(c, broad(*at)))).min_by_key(|(_, rank)| *rank);
        let lead = lead.filter(|(_, rank)| *rank < text_rank).map(|(at, _)| at);
        match (&words, lead.and_then(|at| filter.conditions.get(at).map(|c| (at, c)))) {
            (Some(words), None) => made.lead_by_text(words),
            (_, Some((at, condition))) => made.lead(condition, broad(at)),
            (None, None) => {}
        }
        if let (Some(words), Some(_)) = (words, lead) {
            let words = made.bind(words);
            // Many are asked one by one, as far as the page needs them; few are found at once.
            made.conditions.push(if breadth.words {
                format!(
                    "EXISTS (SELECT 1 FROM dataset_text WHERE dataset_text MATCH {words} AND rowid = d.number)"
                )
            } else {
                format!("d.number IN (SELECT rowid FROM dataset_text WHERE dataset_text MATCH {words})")
            });
        }
        for (at, condition) in others {
            if lead != Some(at) {
                made.check(condition);
            }
        }
        if let Policies::These(keys) = policies {
            let keys = made.bind(json_list(keys));
            made.conditions.push(format!(
                "+d.policy IN (SELECT number FROM policy WHERE key IN (SELECT value FROM json_each({keys})))"
            ));
        }
        made.bound();
        made
    }

    fn over(from: &str, number: &'static str, span: Option<Span>) -> Self {
        Self { from: from.to_owned(), number, distinct: "", conditions: Vec::new(), values: Vec::new(), span }
    }

    /// The rows that a condition leads to, when counting them helps to choose: a list of identifiers is
    /// short, and one keyword alone is read in the order of pages.
    fn rows_of(condition: &Condition, several: bool) -> Option<(String, Vec<Value>)> {
        let (table, column) = match (condition.field, &condition.test) {
            (_, Test::Words(_)) | (Field::Format | Field::Text, _) | (Field::Id, Test::In(_)) => return None,
            (Field::Keyword, Test::In(values)) if values.len() == 1 && !several => return None,
            (Field::Keyword, _) => ("dataset_keyword", "keyword"),
            (Field::Title, _) => ("dataset", "title"),
            (Field::Id, _) => ("dataset", "id"),
        };
        let mut made = Self::over(table, column, None);
        let holds = made.compare(column, &condition.test);
        Some((format!("SELECT 1 FROM {table} WHERE {holds}"), made.values))
    }

    /// The numbers of at most one more than `limit`.
    pub(super) fn numbers(mut self, limit: usize) -> (String, Vec<Value>) {
        let limit = self.bind(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)));
        let order = if matches!(self.span, Some(Span::UpTo(_))) { "DESC" } else { "ASC" };
        let Self { from, number, distinct, .. } = &self;
        let r#where = self.r#where();
        let sql = format!(
            "SELECT {distinct}{number} AS number FROM {from}{where} ORDER BY {number} {order} LIMIT {limit}"
        );
        (sql, self.values)
    }

    /// The numbers and texts of at most one more than `limit`.
    pub(super) fn page(self, limit: usize) -> (String, Vec<Value>) {
        let (numbers, values) = self.numbers(limit);
        let sql = format!(
            "SELECT p.number, c.rendered FROM ({numbers}) p CROSS JOIN dataset_content c
             ON c.number = p.number ORDER BY p.number"
        );
        (sql, values)
    }

    fn count(self) -> (String, Vec<Value>) {
        let sql =
            format!("SELECT count({}{}) FROM {}{}", self.distinct, self.number, self.from, self.r#where());
        (sql, self.values)
    }

    fn r#where(&self) -> String {
        if self.conditions.is_empty() {
            return String::new();
        }
        format!(" WHERE {}", self.conditions.join(" AND "))
    }

    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn bound(&mut self) {
        let (sign, bound) = match self.span {
            None => return,
            Some(Span::After(number)) => (">", number),
            Some(Span::UpTo(number)) => ("<=", number),
        };
        let bound = self.bind(Value::Integer(bound));
        self.conditions.push(format!("{} {sign} {bound}", self.number));
    }

    fn lead_by_text(&mut self, words: &str) {
        self.from = "dataset_text CROSS JOIN dataset d ON d.number = dataset_text.rowid".to_owned();
        self.number = "dataset_text.rowid";
        let words = self.bind(words.to_owned());
        self.conditions.push(format!("dataset_text MATCH {words}"));
    }

    /// Lets a condition lead. A sign before a column keeps SQLite from using its index in place of the
    /// leading one.
    fn lead(&mut self, condition: &Condition, broad: bool) {
        match (condition.field, &condition.test) {
            // Rows of one keyword stand in the order of numbers: reading stops at the page's end.
            (Field::Keyword, Test::In(values)) if values.len() == 1 => {
                self.from = "dataset_keyword k CROSS JOIN dataset d ON d.number = k.dataset".to_owned();
                self.number = "k.dataset";
                let value = self.bind(values.first().cloned().unwrap_or_default());
                self.conditions.push(format!("k.keyword = {value}"));
            }
            // Read in the order of numbers up to the page's end; a dataset may come several times.
            (Field::Keyword, test) if broad => {
                self.from = "dataset_keyword k INDEXED BY keyword_of_dataset
                     CROSS JOIN dataset d ON d.number = k.dataset"
                    .to_owned();
                self.number = "k.dataset";
                self.distinct = "DISTINCT ";
                let holds = self.compare("+k.keyword", test);
                self.conditions.push(holds);
            }
            (Field::Keyword, test) => {
                let holds = self.compare("keyword", test);
                self.from = format!(
                    "(SELECT DISTINCT dataset FROM dataset_keyword WHERE {holds}) k
                     CROSS JOIN dataset d ON d.number = k.dataset"
                );
                self.number = "k.dataset";
            }
            (field, test) => {
                let column = if field == Field::Title { "d.title" } else { "d.id" };
                let holds = self.compare(column, test);
                self.conditions.push(holds);
                self.number = "+d.number";
            }
        }
    }

    /// Holds a condition against each dataset.
    fn check(&mut self, condition: &Condition) {
        let test = &condition.test;
        let holds = match condition.field {
            Field::Id | Field::Text => self.compare("+d.id", test),
            Field::Title => self.compare("+d.title", test),
            Field::Keyword => {
                let holds = self.compare("+o.keyword", test);
                format!("(SELECT 1 FROM dataset_keyword o WHERE o.dataset = d.number AND {holds} LIMIT 1)")
            }
            Field::Format => {
                let holds = self.compare("+o.format", test);
                format!("(SELECT 1 FROM dataset_format o WHERE o.dataset = d.number AND {holds} LIMIT 1)")
            }
        };
        self.conditions.push(holds);
    }

    fn compare(&mut self, column: &str, test: &Test) -> String {
        match test {
            Test::In(values) => {
                let list = self.bind(json_list(values));
                format!("{column} IN (SELECT value FROM json_each({list}))")
            }
            Test::StartsWith(start) => {
                let from = self.bind(start.clone());
                match following(start) {
                    Some(end) => {
                        let to = self.bind(end);
                        format!("({column} >= {from} AND {column} < {to})")
                    }
                    None => format!("{column} >= {from}"),
                }
            }
            // Words are asked of the text's index, for all conditions together.
            Test::Words(_) => "TRUE".to_owned(),
        }
    }
}

/// The lowest text above all that begin with `start`; none when there is no such text.
fn following(start: &str) -> Option<String> {
    let mut chars: Vec<char> = start.chars().collect();
    while let Some(last) = chars.pop() {
        // A range of characters steps over the numbers that are none.
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

fn json_list(values: &[String]) -> Value {
    Value::Text(serde_json::Value::from(values).to_string())
}

/// All words of all conditions, for the index of the text; none when there are none. Each stands in
/// quotes, so that no word is taken for an operator.
fn match_all(conditions: &[&Condition]) -> Option<String> {
    let mut quoted = Vec::new();
    for condition in conditions {
        if let Test::Words(words) = &condition.test {
            let quote = |w: &String| format!("\"{}\"", segmented(w).replace('\0', " ").replace('"', "\"\""));
            quoted.extend(words.iter().map(quote));
        }
    }
    (!quoted.is_empty()).then(|| quoted.join(" "))
}
