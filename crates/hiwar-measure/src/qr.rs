//! Notifications of quantitative restrictions to the World Trade Organization.
//!
//! The form is Annex 1 of the Decision on Notification Procedures for Quantitative Restrictions (WTO
//! document G/L/59/Rev.1, 22 June 2012): a header A to G, Section 1 with one row a restriction, Section 2
//! with references to other notifications. Restrictions are named by the ten symbols of Annex 2, with the
//! suffixes `X` for exports and `S` for seasonal ones (qr.wto.org/en/how-to-notify).
//!
//! Whoever files a notification compares it with the form in force: of the columns of Section 1 only the
//! first two, and of the symbols only `P`, `CP`, `GQ` and `NAL`, were read in a text of the WTO; the
//! rest follows reports of the form.

use std::fmt;

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::claim::Field;
use crate::measure::{Flow, Kind, Measure};
use crate::query::touches;
use crate::{Country, TariffCode};

/// Months within which a change has to be notified after it entered into force (paragraph 1 of the decision).
pub const NOTIFY_WITHIN_MONTHS: i32 = 6;

/// The last day for notifying a restriction that entered into force on this day. Of months without that
/// day, the last day counts. None at the end of the calendar (year 9999).
pub fn due(in_force: Date) -> Option<Date> {
    in_force.checked_add(NOTIFY_WITHIN_MONTHS.months()).ok()
}

/// A kind of restriction (Annex 2 of the decision).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Restriction {
    /// `P`
    Prohibition,
    /// `CP`
    ConditionalProhibition,
    /// `GQ`
    GlobalQuota,
    /// `GQC`
    GlobalQuotaByCountry,
    /// `BQ`
    BilateralQuota,
    /// `NAL`
    NonAutomaticLicensing,
    /// `STR`
    StateTrading,
    /// `MXR`
    MixingRegulation,
    /// `MPR`
    MinimumPrice,
    /// `VER`
    VoluntaryExportRestraint,
}

impl Restriction {
    /// All.
    pub const ALL: [Self; 10] = [
        Self::Prohibition,
        Self::ConditionalProhibition,
        Self::GlobalQuota,
        Self::GlobalQuotaByCountry,
        Self::BilateralQuota,
        Self::NonAutomaticLicensing,
        Self::StateTrading,
        Self::MixingRegulation,
        Self::MinimumPrice,
        Self::VoluntaryExportRestraint,
    ];

    /// Its symbol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prohibition => "P",
            Self::ConditionalProhibition => "CP",
            Self::GlobalQuota => "GQ",
            Self::GlobalQuotaByCountry => "GQC",
            Self::BilateralQuota => "BQ",
            Self::NonAutomaticLicensing => "NAL",
            Self::StateTrading => "STR",
            Self::MixingRegulation => "MXR",
            Self::MinimumPrice => "MPR",
            Self::VoluntaryExportRestraint => "VER",
        }
    }
}

/// A symbol with its suffixes, such as `NAL X`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol {
    /// The restriction.
    pub restriction: Restriction,
    /// On exports: suffix `X`.
    pub export: bool,
    /// In a part of the year: suffix `S`.
    pub seasonal: bool,
}

impl Symbol {
    /// The symbol of a kind of measure. None for what is no quantitative restriction in the sense of
    /// GATT Article XI: duties, taxes, lists of countries, inspections, disputes.
    pub fn of(kind: Kind, flow: Flow) -> Option<Self> {
        let restriction = match kind {
            Kind::Ban => Restriction::Prohibition,
            Kind::Quota => Restriction::GlobalQuota,
            Kind::Licence(_) => Restriction::NonAutomaticLicensing,
            _ => return None,
        };
        Some(Self { restriction, export: flow == Flow::Export, seasonal: false })
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.restriction.as_str())?;
        f.write_str(if self.export { " X" } else { "" })?;
        f.write_str(if self.seasonal { " S" } else { "" })
    }
}

/// A measure cannot be notified as a quantitative restriction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotNotifiable {
    /// It is none.
    #[error("{measure} is a {kind}, which is no quantitative restriction; leave it out")]
    NoRestriction {
        /// The measure.
        measure: String,
        /// What it is.
        kind: Kind,
    },
    /// Section 1 lists what is in force.
    #[error(
        "{measure} is not in force on {as_of}; leave it out, or tell of its end in the general comments (D.2.2, G)"
    )]
    NotInForce {
        /// The measure.
        measure: String,
        /// The day as of which the notification speaks.
        as_of: Date,
    },
    /// Nobody says since when it applies.
    #[error("nothing says when {measure} entered into force; add a claim for in-force")]
    NoEntryIntoForce {
        /// The measure.
        measure: String,
    },
}

/// What a notification is (header D).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nature {
    /// 1: all restrictions in force.
    Complete,
    /// 2: changes to an earlier notification.
    Changes {
        /// Symbol of the earlier notification.
        to: String,
        /// 2.1: new restrictions.
        new: bool,
        /// 2.2: restrictions that ended, told in G.
        eliminated: bool,
        /// 2.3: restrictions that changed.
        modified: bool,
    },
    /// 3: restrictions of another member.
    Reverse {
        /// That member.
        of: Country,
    },
}

/// A row of Section 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// QR No.
    pub number: u32,
    /// 1: general description of the restriction.
    pub description: String,
    /// 2: type of restriction.
    pub symbols: Vec<Symbol>,
    /// 3: tariff lines affected, by edition of the Harmonized System.
    pub tariff_lines: Vec<TariffCode>,
    /// 4: detailed product description.
    pub products: String,
    /// 5: WTO justification, and grounds for the restriction.
    pub justification: String,
    /// 6: national legal basis and entry into force.
    pub legal_basis: String,
    /// 7: administration, modification of previously notified measures, other comments.
    pub administration: String,
}

/// Titles of the columns of Section 1.
pub const COLUMNS: [&str; 8] = [
    "QR No.",
    "General description of the restriction",
    "Type of restriction",
    "Tariff line code(s) affected",
    "Detailed product description",
    "WTO justification and grounds for restriction",
    "National legal basis and entry into force",
    "Administration, modification of previously notified measures, and other comments",
];

impl Row {
    /// The row of a measure. The justification is the member's own to give.
    ///
    /// # Errors
    ///
    /// When the measure is no quantitative restriction, is not in force on the day `as_of`, or nobody says
    /// when it entered into force.
    pub fn of(
        measure: &Measure,
        number: u32,
        justification: &str,
        as_of: Date,
    ) -> Result<Self, NotNotifiable> {
        let name = || measure.id.to_string();
        let symbol = Symbol::of(measure.kind, measure.flow)
            .ok_or_else(|| NotNotifiable::NoRestriction { measure: name(), kind: measure.kind })?;
        let in_force = measure.claimed(&Field::InForce);
        let in_force = in_force.ok_or_else(|| NotNotifiable::NoEntryIntoForce { measure: name() })?;
        let begun = |field| measure.date(&field).is_some_and(|when| when.first_day() <= as_of);
        if begun(Field::Ended) || !begun(Field::InForce) {
            return Err(NotNotifiable::NotInForce { measure: name(), as_of });
        }
        let products = measure.items.iter().map(|item| {
            let bounds: Vec<String> = item.thresholds.iter().map(ToString::to_string).collect();
            if bounds.is_empty() {
                item.title.to_string()
            } else {
                format!("{} ({})", item.title, bounds.join("; "))
            }
        });
        let bases = measure.legal_bases.iter().map(|basis| match &basis.number {
            Some(number) => format!("{}, {number}", basis.title),
            None => basis.title.clone(),
        });
        let entry = format!("Entry into force: {}", in_force.shown.value);
        let others = in_force
            .conflicting
            .iter()
            .map(|claim| format!("{} says {}", claim.source.publisher, claim.value));
        let mut tariff_lines: Vec<TariffCode> =
            touches(measure).map(|touched| touched.listed.code.clone()).collect();
        tariff_lines.sort();
        tariff_lines.dedup();
        Ok(Self {
            number,
            description: format!("{} (destinations: {})", measure.title, measure.destinations),
            symbols: vec![symbol],
            tariff_lines,
            products: products.collect::<Vec<_>>().join("; "),
            justification: justification.to_owned(),
            legal_basis: bases.chain([entry]).collect::<Vec<_>>().join("; "),
            administration: others.collect::<Vec<_>>().join("; "),
        })
    }

    fn cells(&self) -> [String; 8] {
        let join = |parts: Vec<String>| parts.join("; ");
        [
            self.number.to_string(),
            self.description.clone(),
            join(self.symbols.iter().map(ToString::to_string).collect()),
            join(self.tariff_lines.iter().map(ToString::to_string).collect()),
            self.products.clone(),
            self.justification.clone(),
            self.legal_basis.clone(),
            self.administration.clone(),
        ]
    }
}

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// A: the member.
    pub member: Country,
    /// B: the day of the notification.
    pub date: Date,
    /// C: symbol of the last notification; none for the first.
    pub last: Option<String>,
    /// D: what it is.
    pub nature: Nature,
    /// E: the biennium, such as `2024-2026`.
    pub biennium: String,
    /// E: the day as of which the restrictions are in force.
    pub as_of: Date,
    /// G: general comments.
    pub comments: String,
    /// Section 1.
    pub rows: Vec<Row>,
    /// Section 2: references to other notifications.
    pub references: Vec<String>,
}

impl Notification {
    /// The header, letter by letter.
    pub fn header(&self) -> Vec<(&'static str, &'static str, String)> {
        let nature = match &self.nature {
            Nature::Complete => "1. Complete".to_owned(),
            Nature::Changes { to, new, eliminated, modified } => {
                let part = |is: bool, text: &str| is.then(|| text.to_owned());
                let parts = [
                    part(*new, "2.1 Introduction of new restrictions"),
                    part(*eliminated, "2.2 Elimination of restrictions"),
                    part(*modified, "2.3 Modification of a previously notified restriction"),
                ];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                format!("2. Changes to {to}: {}", parts.join("; "))
            }
            Nature::Reverse { of } => format!("3. Reverse notification of restrictions maintained by {of}"),
        };
        let last = self.last.as_ref();
        let sections = match (self.rows.is_empty(), self.references.is_empty()) {
            (false, false) => "Section 1; Section 2",
            (false, true) => "Section 1",
            (true, false) => "Section 2",
            (true, true) => "None",
        };
        vec![
            ("A", "Notifying Member", self.member.to_string()),
            ("B", "Date of notification", self.date.to_string()),
            ("C", "First time notification", last.map_or("Yes".to_owned(), |s| format!("No, last: {s}"))),
            ("D", "Type of notification", nature),
            (
                "E",
                "Period and date",
                format!("{}; restrictions in force as of {}", self.biennium, self.as_of),
            ),
            ("F", "Sections", sections.to_owned()),
            ("G", "Comments of a general nature", self.comments.clone()),
        ]
    }

    /// Section 1 as CSV: a line of titles, then one line a restriction.
    pub fn section_1_csv(&self) -> String {
        let mut text = line(COLUMNS.map(str::to_owned).as_slice());
        for row in &self.rows {
            text.push_str(&line(&row.cells()));
        }
        text
    }

    /// Header and sections as one CSV: sections begin with a line that names them.
    pub fn csv(&self) -> String {
        let mut text = String::new();
        for (letter, title, value) in self.header() {
            text.push_str(&line(&[letter.to_owned(), title.to_owned(), value]));
        }
        text.push_str(&line(&["Section 1".to_owned()]));
        text.push_str(&self.section_1_csv());
        text.push_str(&line(&["Section 2".to_owned()]));
        for reference in &self.references {
            text.push_str(&line(std::slice::from_ref(reference)));
        }
        text
    }

    /// The whole form as a page without scripts or anything fetched.
    pub fn html(&self) -> String {
        let mut page = String::from(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Notification of quantitative restrictions (G/L/59/Rev.1)</title>\n<h1>Notification pursuant to the Decision on Notification Procedures for Quantitative Restrictions (G/L/59/Rev.1)</h1>\n<table>\n",
        );
        for (letter, title, value) in self.header() {
            let row = format!("<tr><th>{letter}.</th><th>{title}</th><td>{}</td></tr>\n", escape(&value));
            page.push_str(&row);
        }
        page.push_str("</table>\n<h2>Section 1</h2>\n<table border=\"1\">\n<tr>");
        for title in COLUMNS {
            page.push_str(&format!("<th>{title}</th>"));
        }
        page.push_str("</tr>\n");
        for row in &self.rows {
            let cells: String = row.cells().iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
            page.push_str(&format!("<tr>{cells}</tr>\n"));
        }
        page.push_str("</table>\n<h2>Section 2</h2>\n<ul>\n");
        for reference in &self.references {
            page.push_str(&format!("<li>{}</li>\n", escape(reference)));
        }
        page.push_str("</ul>\n</html>\n");
        page
    }
}

/// One line of CSV (RFC 4180, line feed). Texts of strangers that a spreadsheet would take for a formula
/// get an apostrophe before them.
fn line(cells: &[String]) -> String {
    let cell = |text: &String| {
        let guarded = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
            format!("'{text}")
        } else {
            text.clone()
        };
        if guarded.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", guarded.replace('"', "\"\""))
        } else {
            guarded
        }
    };
    let mut line = cells.iter().map(cell).collect::<Vec<_>>().join(",");
    line.push('\n');
    line
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
