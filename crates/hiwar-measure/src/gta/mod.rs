//! Tables of Global Trade Alert (GTA): interventions of governments in commerce, one row each.
//!
//! Two layouts are read, told apart by nothing but their column names: the names of GTA's programming
//! interface (`intervention_id`, github.com/global-trade-alert/docs, `.api/gta-data.md`) and those of the
//! CSV that its data centre gives (`Intervention ID`). Lists stand in one cell, separated by commas,
//! semicolons or bars. Columns that are not known are named in [`Import::ignored_columns`].
//!
//! A row that cannot be read is returned with its faults beside the rows that can: nothing is lost.
//! No data of GTA are part of this project; its terms are its own.

mod jurisdiction;
mod row;

use hiwar_form::{Fault, Faults, Place};
use jiff::civil::Date;

pub use jurisdiction::{country_of_id, country_of_name};

use crate::claim::{Checked, Claim, Field, Source, Value};
use crate::code::Listed;
use crate::measure::{Flow, Item, Kind, Licence, Measure, Party, Texts};
use crate::{Country, Edition, Places, TariffCode, When};

/// Largest table, in bytes.
pub const TABLE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// GTA's judgement of an intervention (`gta_evaluation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evaluation {
    /// Certainly discriminates against foreign interests.
    Red,
    /// Likely to.
    Amber,
    /// Liberalises.
    Green,
}

/// A type of intervention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterventionType {
    /// GTA's name of it.
    pub name: String,
    /// What it is here, and which way goods go; none for types that are not about goods at a border,
    /// such as subsidies.
    pub means: Option<(Flow, Kind)>,
}

/// Types by GTA's number (`gta-value-mappings.md` for 1 to 68, the interface's type list for the rest) that
/// are about goods at a border.
const TYPES: [(u16, &str, Flow, Kind); 26] = [
    (18, "Export tax", Flow::Export, Kind::ExportTax),
    (19, "Export ban", Flow::Export, Kind::Ban),
    (20, "Export tariff quota", Flow::Export, Kind::TariffQuota),
    (21, "Export quota", Flow::Export, Kind::Quota),
    (22, "Import ban", Flow::Import, Kind::Ban),
    (35, "Export licensing requirement", Flow::Export, Kind::Licence(Licence::Unspecified)),
    (36, "Import licensing requirement", Flow::Import, Kind::Licence(Licence::Unspecified)),
    (37, "Export-related non-tariff measure, nes", Flow::Export, Kind::Other),
    (38, "Import-related non-tariff measure, nes", Flow::Import, Kind::Other),
    (44, "Import tariff quota", Flow::Import, Kind::TariffQuota),
    (45, "Import quota", Flow::Import, Kind::Quota),
    (46, "Sanitary and phytosanitary measure", Flow::Import, Kind::Other),
    (47, "Import tariff", Flow::Import, Kind::Other),
    (48, "Internal taxation of imports", Flow::Import, Kind::Other),
    (49, "Technical barrier to trade", Flow::Import, Kind::Other),
    (50, "Import monitoring", Flow::Import, Kind::NotificationDuty),
    (51, "Anti-dumping", Flow::Import, Kind::Other),
    (52, "Safeguard", Flow::Import, Kind::Other),
    (53, "Anti-subsidy", Flow::Import, Kind::Other),
    (56, "Anti-circumvention", Flow::Import, Kind::Other),
    (58, "Special safeguard", Flow::Import, Kind::Other),
    (63, "Local supply requirement for exports", Flow::Export, Kind::Other),
    (69, "Voluntary export-restraint arrangements", Flow::Export, Kind::Quota),
    (70, "Voluntary export-price restraints", Flow::Export, Kind::Other),
    (71, "Minimum import price", Flow::Import, Kind::Other),
    (74, "Export price benchmark", Flow::Export, Kind::Other),
];

/// The largest number of a type in GTA's list.
const TYPE_MAX: u16 = 83;

impl InterventionType {
    /// The type of a number; none when GTA's list has no such number.
    pub fn of_id(id: u16) -> Option<Self> {
        let known = TYPES.iter().find(|(known, ..)| *known == id);
        match known {
            Some((_, name, flow, kind)) => {
                Some(Self { name: (*name).to_owned(), means: Some((*flow, *kind)) })
            }
            None => (1..=TYPE_MAX).contains(&id).then(|| Self { name: format!("type {id}"), means: None }),
        }
    }

    /// The type of a name; names that are not known are kept as they are.
    pub fn of_name(name: &str) -> Self {
        let known = TYPES.iter().find(|(_, known, ..)| known.eq_ignore_ascii_case(name));
        Self { name: name.to_owned(), means: known.map(|(_, _, flow, kind)| (*flow, *kind)) }
    }
}

/// One intervention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervention {
    /// The line of the table, from 1.
    pub line: u32,
    /// GTA's number of the intervention.
    pub intervention_id: u64,
    /// GTA's number of the announcement that holds it.
    pub state_act_id: Option<u64>,
    /// Title of the announcement.
    pub title: String,
    /// GTA's judgement.
    pub evaluation: Option<Evaluation>,
    /// Who acts.
    pub implementing: Vec<Country>,
    /// Who is affected; empty when the table does not say.
    pub affected: Vec<Country>,
    /// What is done.
    pub kind: InterventionType,
    /// Chapter of the UN MAST classification, as GTA writes it.
    pub mast_chapter: Option<String>,
    /// Six digits of the Harmonized System each; of which edition the table does not say.
    pub products: Vec<String>,
    /// Day of the announcement.
    pub announced: Option<Date>,
    /// Day on which GTA published it.
    pub published: Option<Date>,
    /// First day of application.
    pub implemented: Option<Date>,
    /// Day of its end.
    pub removed: Option<Date>,
    /// Whether GTA takes it to be in force.
    pub in_force: Option<bool>,
    /// Whether GTA relied on an official source.
    pub official_source: Option<bool>,
}

impl Intervention {
    /// The intervention as measures, one for each country that acts, named `gta-<number>-<country>`. None
    /// when it is not about goods at a border or has no date.
    ///
    /// `edition` is the edition of the Harmonized System that the table is in, which whoever fetched it
    /// has to know. GTA is a secondary source, also where it relied on an official one.
    pub fn measures(&self, edition: Edition) -> Vec<Measure> {
        let Some((flow, kind)) = self.kind.means else { return Vec::new() };
        let claims = self.claims();
        if claims.is_empty() {
            return Vec::new();
        }
        let one = |country: &Country| {
            let others =
                if self.affected.is_empty() { Places::All } else { Places::Of(self.affected.clone()) };
            let own = Places::Of(vec![*country]);
            let (origins, destinations) = if flow == Flow::Import { (others, own) } else { (own, others) };
            let party = |country: &Country| Party { country: *country, role: "affected, by GTA".to_owned() };
            let name = format!("gta-{}-{}", self.intervention_id, country.as_str().to_lowercase());
            Some(Measure {
                id: name.parse().ok()?,
                title: Texts::english(&self.title),
                jurisdiction: *country,
                flow,
                kind,
                origins,
                destinations,
                legal_bases: Vec::new(),
                items: self.item(edition).into_iter().collect(),
                affected_parties: self.affected.iter().map(party).collect(),
                states: Vec::new(),
                claims: claims.clone(),
            })
        };
        self.implementing.iter().filter_map(one).collect()
    }

    fn item(&self, edition: Edition) -> Option<Item> {
        let listed = |digits: &String| {
            let code = TariffCode::new(None, edition, digits).ok()?;
            Some(Listed { code, checked: Checked::Secondary })
        };
        let tariff_codes: Vec<_> = self.products.iter().filter_map(listed).collect();
        if tariff_codes.is_empty() {
            return None;
        }
        Some(Item {
            id: "affected-products".parse().ok()?,
            title: Texts::english("Affected products"),
            control_codes: Vec::new(),
            tariff_codes,
            thresholds: Vec::new(),
            cas: None,
            // Six digits are rarely all that a measure is about.
            separable_in_statistics: false,
        })
    }

    fn claims(&self) -> Vec<Claim> {
        let dates = [
            (Field::Announced, self.announced),
            (Field::InForce, self.implemented),
            (Field::Ended, self.removed),
        ];
        let note = self.official_source.map(|official| {
            if official { "GTA relied on an official source." } else { "GTA relied on no official source." }
        });
        let source = Source {
            title: self.title.clone(),
            publisher: "Global Trade Alert".to_owned(),
            url: Some(format!("https://www.globaltradealert.org/intervention/{}", self.intervention_id)),
            date: self.published,
            checked: Checked::Secondary,
        };
        let claim = |(field, date): (Field, Option<Date>)| {
            let value = Value::Date(When::Day(date?));
            Some(Claim { field, value, party: None, note: note.map(str::to_owned), source: source.clone() })
        };
        dates.into_iter().filter_map(claim).collect()
    }
}

/// A row that was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// The line, from 1.
    pub line: u32,
    /// Its cells as they came; bytes that are not UTF-8 are replaced.
    pub cells: Vec<String>,
    /// What is wrong, with file, line and column.
    pub faults: Vec<Fault>,
}

/// What a table holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// Rows that were read.
    pub interventions: Vec<Intervention>,
    /// Rows that were not.
    pub bad: Vec<BadRow>,
    /// Columns that nobody reads.
    pub ignored_columns: Vec<String>,
}

/// Reads a table in CSV, UTF-8, with or without a byte-order mark.
///
/// # Errors
///
/// When the table is too large, or its first line lacks a column that every row needs.
pub fn read(file: &str, table: &[u8]) -> Result<Import, Faults> {
    let place = |field: &str| Place { file: Some(file.to_owned()), line: Some(1), field: field.to_owned() };
    if table.len() > TABLE_BYTES_MAX {
        let arguments = vec![("most", TABLE_BYTES_MAX.to_string())];
        return Err(Faults(vec![Fault { place: place(""), code: "too-long", arguments }]));
    }
    let table = table.strip_prefix(b"\xef\xbb\xbf").unwrap_or(table);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(table);
    let mut records = reader.byte_records();
    let head = match records.next() {
        Some(Ok(head)) => head,
        _ => return Err(Faults(vec![Fault { place: place(""), code: "gta-empty", arguments: Vec::new() }])),
    };
    let head: Vec<String> = head.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect();
    let columns = row::Columns::of(&head);
    let missing = |name| Fault {
        place: place(name),
        code: "gta-no-column",
        arguments: vec![("found", row::named(name))],
    };
    let faults: Vec<Fault> = columns.missing().into_iter().map(missing).collect();
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    let mut import = Import { ignored_columns: columns.ignored(&head), ..Import::default() };
    // Reading bytes from memory into records of any length cannot fail.
    for record in records.map_while(Result::ok) {
        let line = record.position().map_or(0, csv::Position::line);
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        match row::Reader::new(file, line, &head, &columns, &record).read() {
            Ok(intervention) => import.interventions.push(intervention),
            Err(faults) => {
                let cells = record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
                import.bad.push(BadRow { line, cells, faults });
            }
        }
    }
    Ok(import)
}
