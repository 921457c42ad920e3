//! What a file is, by its first lines.

use super::read::Format;
use super::table::Header;
use super::{japan, kcs, plain, world};

pub(crate) enum Found {
    KcsXml,
    Table { format: Box<dyn Format>, delimiter: u8 },
}

/// How Parquet files begin.
pub(crate) const PARQUET: &[u8] = b"PAR1";

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

type Recogniser = fn(&Header) -> Option<Box<dyn Format>>;

const FORMATS: [Recogniser; 8] = [
    kcs::recognise,
    japan::recognise_wide,
    japan::recognise_estat,
    world::recognise_comext,
    world::recognise_comtrade,
    world::recognise_old_comtrade,
    world::recognise_baci,
    plain::recognise,
];

/// Recognises the start of a file, or says what was seen instead.
pub(crate) fn sniff(head: &str) -> Result<Found, String> {
    let head = head.trim_start_matches('\u{feff}').trim_start();
    if head.starts_with('<') {
        return xml(head);
    }
    let first = head.lines().next().unwrap_or_default();
    if first.is_empty() {
        return Err("The file is empty.".to_owned());
    }
    // By how often they occur, so that the most likely is named when none fits.
    let mut candidates = DELIMITERS;
    candidates.sort_by_key(|d| std::cmp::Reverse(first.bytes().filter(|b| b == d).count()));
    for delimiter in candidates {
        let header = header(first, delimiter);
        if let Some(format) = recognise(&header) {
            return Ok(Found::Table { format, delimiter });
        }
    }
    let delimiter = candidates.first().copied().unwrap_or(b',');
    let header = header(first, delimiter);
    Err(saw(&header, char::from(delimiter)))
}

/// The reader of a table with these columns.
pub(crate) fn recognise(header: &Header) -> Option<Box<dyn Format>> {
    FORMATS.iter().find_map(|recognise| recognise(header))
}

/// What to do with a file that holds a table, and is none.
pub(crate) fn container(start: &[u8]) -> Option<&'static str> {
    if start.starts_with(b"PK\x03\x04") {
        return Some("It is a ZIP archive or a spreadsheet; unpack it, or save the sheet as CSV.");
    }
    if start.starts_with(b"PARE") {
        return Some("It is encrypted Parquet; write it out without encryption.");
    }
    start.starts_with(PARQUET).then_some(if cfg!(feature = "parquet") {
        "It is Parquet in a pipe or within compression; name the Parquet file itself."
    } else {
        "It is Parquet, which this build cannot read; write it out as CSV, or build with the feature `parquet`."
    })
}

fn header(line: &str, delimiter: u8) -> Header {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).from_reader(line.as_bytes());
    let mut record = csv::StringRecord::new();
    // A header that cannot be read is no header: no column of it has a name.
    match reader.read_record(&mut record) {
        Ok(true) => Header::new(record.iter()),
        _ => Header::new(std::iter::empty()),
    }
}

fn saw(header: &Header, delimiter: char) -> String {
    format!("With the delimiter {delimiter:?} its first line is: {}. {}", header.names(), hint(header))
}

/// What would be known.
pub(crate) fn hint(header: &Header) -> &'static str {
    let has = |names: &[&str]| header.find(names).is_some();
    if has(&["commodity code"]) && has(&["trade value (us$)"]) {
        "This is the old layout of UN Comtrade without all that is needed: Period, Trade Flow Code, Reporter Code, \
         Partner Code, Commodity Code, Qty, Netweight (kg), Trade Value (US$)."
    } else if has(&["hsk10"]) && !(has(&["country"]) && has(&["year"])) {
        "Korea's tables need the columns country, year and month; add the one that is missing."
    } else {
        "Known are Korea Customs (CSV, XML), Japan Customs, e-Stat, Comext, UN Comtrade, BACI, and a plain \
         table with the columns period, reporter, partner, item, flow, value, unit."
    }
}

fn xml(head: &str) -> Result<Found, String> {
    let between = |tag: &str| {
        let (_, rest) = head.split_once(&format!("<{tag}>"))?;
        Some(rest.split('<').next().unwrap_or_default().trim().chars().take(80).collect::<String>())
    };
    if let Some(message) = between("returnAuthMsg") {
        return Err(format!("The interface answered: {message}. Check the service key."));
    }
    if let Some(code) = between("resultCode").filter(|c| !c.trim_start_matches('0').is_empty()) {
        let message = between("resultMsg").unwrap_or_default();
        return Err(format!("The interface answered with code {code}: {message}."));
    }
    if head.contains("<expDlr>") && head.contains("<hsCd>") {
        return Ok(Found::KcsXml);
    }
    let start: String = head.chars().take(80).collect();
    Err(format!("XML without <expDlr> and <hsCd>, beginning {start:?}."))
}
