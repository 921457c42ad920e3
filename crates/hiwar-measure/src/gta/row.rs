//! One row of a table of GTA.

use csv::ByteRecord;
use hiwar_form::{Fault, Place};
use jiff::civil::Date;

use super::{Evaluation, Intervention, InterventionType, country_of_id, country_of_name};
use crate::field::cut;
use crate::{Country, NotRead};

/// A column: our name, the names it has in tables (after [`normal`]), whether every row needs it.
type Column = (&'static str, &'static [&'static str], bool);

const COLUMNS: [Column; 15] = [
    ("intervention_id", &["intervention_id"], true),
    ("state_act_id", &["state_act_id"], false),
    ("title", &["state_act_title", "title", "intervention_title"], true),
    ("gta_evaluation", &["gta_evaluation", "evaluation"], false),
    (
        "implementing_jurisdictions",
        &["implementing_jurisdictions", "implementing_jurisdiction", "implementing_jurisdiction_id"],
        true,
    ),
    (
        "affected_jurisdictions",
        &["affected_jurisdictions", "affected_jurisdiction", "affected_jurisdiction_id"],
        false,
    ),
    ("intervention_type", &["intervention_type", "intervention_type_id"], true),
    ("mast_chapter", &["mast_chapter"], false),
    ("affected_products", &["affected_products", "affected_product", "hs6", "hs_codes"], false),
    ("date_announced", &["date_announced", "announcement_date"], false),
    ("date_published", &["date_published"], false),
    ("date_implemented", &["date_implemented", "implementation_date", "inception_date"], false),
    ("date_removed", &["date_removed", "removal_date"], false),
    ("is_in_force", &["is_in_force"], false),
    ("is_official_source", &["is_official_source"], false),
];

/// A column's name in lower case, its words joined by underlines.
fn normal(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '.', '-'], "_")
}

/// How a column may be called.
pub(super) fn named(column: &str) -> String {
    let names = COLUMNS.iter().find(|(own, ..)| *own == column).map(|(_, names, _)| names.join(", "));
    names.unwrap_or_else(|| column.to_owned())
}

/// Where each column stands.
pub(super) struct Columns([Option<usize>; COLUMNS.len()]);

impl Columns {
    pub(super) fn of(head: &[String]) -> Self {
        let names: Vec<String> = head.iter().map(|name| normal(name)).collect();
        let find = |(_, known, _): Column| names.iter().position(|name| known.contains(&name.as_str()));
        Self(COLUMNS.map(find))
    }

    pub(super) fn missing(&self) -> Vec<&'static str> {
        let each = COLUMNS.iter().zip(&self.0);
        each.filter(|((_, _, needed), at)| *needed && at.is_none()).map(|((name, ..), _)| *name).collect()
    }

    pub(super) fn ignored(&self, head: &[String]) -> Vec<String> {
        let read = |index: &usize| self.0.contains(&Some(*index));
        let each = head.iter().enumerate();
        each.filter(|(index, _)| !read(index)).map(|(_, name)| cut(name)).collect()
    }

    fn at(&self, column: &str) -> Option<usize> {
        let each = COLUMNS.iter().zip(&self.0);
        each.filter(|((name, ..), _)| *name == column).find_map(|(_, at)| *at)
    }
}

/// Reads one row, noting every fault.
pub(super) struct Reader<'t> {
    file: &'t str,
    line: u32,
    head: &'t [String],
    columns: &'t Columns,
    record: &'t ByteRecord,
    faults: Vec<Fault>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(
        file: &'t str,
        line: u32,
        head: &'t [String],
        columns: &'t Columns,
        record: &'t ByteRecord,
    ) -> Self {
        Self { file, line, head, columns, record, faults: Vec::new() }
    }

    pub(super) fn read(mut self) -> Result<Intervention, Vec<Fault>> {
        if self.record.len() != self.head.len() {
            let arguments =
                vec![("found", self.record.len().to_string()), ("needed", self.head.len().to_string())];
            self.fault("", NotRead { code: "gta-row-length", arguments });
            return Err(self.faults);
        }
        let intervention_id = self.needed("intervention_id", number);
        let state_act_id = self.cell("state_act_id", number);
        let title = self.needed("title", |text| Ok(text.chars().take(1000).collect()));
        let evaluation = self.cell("gta_evaluation", evaluation);
        let implementing = self.list("implementing_jurisdictions", country);
        let affected = self.list("affected_jurisdictions", country);
        let kind = self.needed("intervention_type", intervention_type);
        let mast_chapter = self.cell("mast_chapter", |text| Ok(cut(text)));
        let products = self.list("affected_products", product);
        let announced = self.cell("date_announced", date);
        let published = self.cell("date_published", date);
        let implemented = self.cell("date_implemented", date);
        let removed = self.cell("date_removed", date);
        let in_force = self.cell("is_in_force", boolean);
        let official_source = self.cell("is_official_source", boolean);
        if let (Some(start), Some(end)) = (implemented, removed)
            && end < start
        {
            let arguments = vec![("start", start.to_string()), ("end", end.to_string())];
            self.fault("date_removed", NotRead { code: "end-before-start", arguments });
        }
        if implementing.is_empty() && self.faults.is_empty() {
            self.fault("implementing_jurisdictions", NotRead::new("gta-empty-cell", ""));
        }
        match (intervention_id, title, kind) {
            (Some(intervention_id), Some(title), Some(kind)) if self.faults.is_empty() => Ok(Intervention {
                line: self.line,
                intervention_id,
                state_act_id,
                title,
                evaluation,
                implementing,
                affected,
                kind,
                mast_chapter,
                products,
                announced,
                published,
                implemented,
                removed,
                in_force,
                official_source,
            }),
            _ => Err(self.faults),
        }
    }

    fn fault(&mut self, column: &str, error: NotRead) {
        // The column as the table calls it, so that it is found there.
        let at = self.columns.at(column).and_then(|at| self.head.get(at));
        let field = cut(at.map_or(column, String::as_str));
        let place = Place { file: Some(self.file.to_owned()), line: Some(self.line), field };
        self.faults.push(Fault { place, code: error.code, arguments: error.arguments });
    }

    /// The text of a cell; none when it is empty or says that there is nothing.
    fn text(&mut self, column: &'static str) -> Option<&'t str> {
        let cell = self.record.get(self.columns.at(column)?)?;
        match std::str::from_utf8(cell) {
            Ok(text) => {
                let text = text.trim();
                let nothing = ["", "NA", "N/A", "null", "NULL", "None"].contains(&text);
                (!nothing).then_some(text)
            }
            Err(_) => {
                self.fault(column, NotRead::new("gta-not-utf8", &String::from_utf8_lossy(cell)));
                None
            }
        }
    }

    fn cell<T>(
        &mut self,
        column: &'static str,
        read: impl FnOnce(&'t str) -> Result<T, NotRead>,
    ) -> Option<T> {
        let text = self.text(column)?;
        read(text).map_err(|error| self.fault(column, error)).ok()
    }

    fn needed<T>(
        &mut self,
        column: &'static str,
        read: impl FnOnce(&'t str) -> Result<T, NotRead>,
    ) -> Option<T> {
        let before = self.faults.len();
        let found = self.cell(column, read);
        if found.is_none() && self.faults.len() == before {
            self.fault(column, NotRead::new("gta-empty-cell", ""));
        }
        found
    }

    fn list<T: Ord>(&mut self, column: &'static str, read: impl Fn(&'t str) -> Result<T, NotRead>) -> Vec<T> {
        let Some(text) = self.text(column) else { return Vec::new() };
        let mut found = Vec::new();
        let brackets = |c: char| matches!(c, '[' | ']' | '"') || c.is_whitespace();
        for part in text.split([',', ';', '|']).map(|part| part.trim_matches(brackets)) {
            if part.is_empty() {
                continue;
            }
            match read(part) {
                Ok(value) => found.push(value),
                Err(error) => {
                    self.fault(column, error);
                    // One fault a cell is enough to mend it by.
                    return Vec::new();
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn number(text: &str) -> Result<u64, NotRead> {
    text.parse().map_err(|_| NotRead::new("gta-not-a-number", text))
}

fn evaluation(text: &str) -> Result<Evaluation, NotRead> {
    // 4 and 5 (harmful, liberalising) are filters of the interface; no row has them.
    match text.to_lowercase().as_str() {
        "red" | "1" => Ok(Evaluation::Red),
        "amber" | "2" => Ok(Evaluation::Amber),
        "green" | "3" => Ok(Evaluation::Green),
        _ => Err(NotRead::new("gta-not-an-evaluation", text)),
    }
}

fn country(text: &str) -> Result<Country, NotRead> {
    match text.parse() {
        Ok(id) => country_of_id(id),
        Err(_) => country_of_name(text),
    }
}

fn intervention_type(text: &str) -> Result<InterventionType, NotRead> {
    match text.parse() {
        Ok(id) => InterventionType::of_id(id).ok_or_else(|| NotRead::new("gta-unknown-type", text)),
        Err(_) => Ok(InterventionType::of_name(&cut(text))),
    }
}

/// Six digits. Tables that passed through a spreadsheet have lost a leading zero: five digits get it back.
fn product(text: &str) -> Result<String, NotRead> {
    let digits = text.bytes().all(|b| b.is_ascii_digit()) && matches!(text.len(), 5 | 6);
    if digits { Ok(format!("{text:0>6}")) } else { Err(NotRead::new("gta-not-a-product", text)) }
}

fn date(text: &str) -> Result<Date, NotRead> {
    let date = text.parse::<Date>().ok().filter(|date| date.to_string() == text);
    date.ok_or_else(|| NotRead::new("gta-not-a-date", text))
}

fn boolean(text: &str) -> Result<bool, NotRead> {
    match text.to_lowercase().as_str() {
        "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        _ => Err(NotRead::new("gta-not-a-boolean", text)),
    }
}
