//! Releases as files: SDMX-CSV 2.0, plain CSV, and the SDMX-JSON 2.0 structure message they refer to.
//!
//! SDMX-CSV 2.0 (`sdmx-twg/sdmx-csv`, tag v2.0.0, field guide): the columns `STRUCTURE`, `STRUCTURE_ID` and
//! `ACTION` come first, then the components. Ours are the dimensions, `TIME_PERIOD`, `OBS_VALUE`, `OBS_STATUS`,
//! `CONF_STATUS` and `UNIT_MEASURE`. The action is `R`, replace: what is released again takes the place of what was.
//!
//! A gap has no `OBS_VALUE` and the `OBS_STATUS` `Q` ("Missing value; suppressed", `CL_OBS_STATUS` 2.0). Its
//! `CONF_STATUS` is `C` ("Confidential statistical information", `CL_CONF_STATUS` 1.0), or with [`Kinds::Told`]
//! `D` ("Secondary confidentiality set by the sender, not for publication") where only other cells are guarded by it. Who learns which
//! gaps are unsafe themselves learns a little more, so `C` for all is the ordinary choice. A value has `A` and `F` ("Free").

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::code::{Code, Id, Period};
use crate::design::{DIMENSIONS_MAX, Design, version};
use crate::fault::{Collected, Fault, Faults};
use crate::proof::TOTAL_MAX;
use crate::release::{Gap, Release};

/// Most bytes of a file that is read.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most rows of a file that is read.
pub const ROWS_MAX: usize = 200_000;
/// Schema of the structure message.
const SCHEMA: &str = "https://raw.githubusercontent.com/sdmx-twg/sdmx-json/master/structure-message/tools/schemas/2.0.0/sdmx-json-structure-schema.json";
const FIRST: [&str; 3] = ["STRUCTURE", "STRUCTURE_ID", "ACTION"];
const LAST: [&str; 5] = ["TIME_PERIOD", "OBS_VALUE", "OBS_STATUS", "CONF_STATUS", "UNIT_MEASURE"];

/// Whether gaps say of which kind they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// All are `C`.
    Hidden,
    /// Secondary ones are `D`.
    Told,
}

/// What a file cannot be written for.
#[derive(Debug, thiserror::Error)]
#[error("the table cannot be written as CSV: {0}")]
pub struct WriteError(String);

/// A release as SDMX-CSV 2.0.
///
/// # Errors
/// When the CSV writer fails.
pub fn write(release: &Release<'_>, kinds: Kinds) -> Result<String, WriteError> {
    table(release, kinds, true)
}

/// A release as plain CSV: the same columns but those of the structure.
///
/// # Errors
/// When the CSV writer fails.
pub fn write_plain(release: &Release<'_>, kinds: Kinds) -> Result<String, WriteError> {
    table(release, kinds, false)
}

fn table(release: &Release<'_>, kinds: Kinds, sdmx: bool) -> Result<String, WriteError> {
    let design = release.design();
    let observations = release.rows().into_iter().map(|row| Observation {
        codes: row.codes,
        period: release.period(),
        value: row.value.ok(),
        obs_status: code(if row.value.is_ok() { "A" } else { "Q" }),
        conf_status: code(match (row.value, kinds) {
            (Ok(_), _) => "F",
            (Err(Gap::Secondary), Kinds::Told) => "D",
            (Err(_), _) => "C",
        }),
    });
    let received = Received {
        agency: design.agency.clone(),
        dataset: design.dataset.clone(),
        version: design.version.clone(),
        unit: design.unit.clone(),
        dimensions: design.dimensions.iter().map(|dimension| dimension.id().clone()).collect(),
        observations: observations.collect(),
    };
    received.table(sdmx)
}

fn code(text: &str) -> Option<Code> {
    text.parse().ok()
}

/// One row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// A code for each dimension.
    pub codes: Vec<Code>,
    /// The time.
    pub period: Period,
    /// The total; none for a gap.
    pub value: Option<i64>,
    /// A code of `CL_OBS_STATUS`.
    pub obs_status: Option<Code>,
    /// A code of `CL_CONF_STATUS`.
    pub conf_status: Option<Code>,
}

/// A release as a peer receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Who maintains the structure.
    pub agency: Id,
    /// The structure.
    pub dataset: Id,
    /// Its version.
    pub version: String,
    /// The unit of all values.
    pub unit: Code,
    /// The dimensions, in the order of the columns.
    pub dimensions: Vec<Id>,
    /// The rows.
    pub observations: Vec<Observation>,
}

impl Received {
    /// As SDMX-CSV 2.0.
    ///
    /// # Errors
    /// When the CSV writer fails.
    pub fn write(&self) -> Result<String, WriteError> {
        self.table(true)
    }

    fn table(&self, sdmx: bool) -> Result<String, WriteError> {
        let failed = |error: csv::Error| WriteError(error.to_string());
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        let first = FIRST.into_iter().filter(|_| sdmx);
        let header = first.chain(self.dimensions.iter().map(Id::as_str)).chain(LAST);
        writer.write_record(header).map_err(failed)?;
        let structure = format!("{}:{}({})", self.agency, self.dataset, self.version);
        for row in &self.observations {
            let (period, value) = (row.period.to_string(), row.value.map(|value| value.to_string()));
            let first = ["datastructure", structure.as_str(), "R"].into_iter().filter(|_| sdmx);
            let obs = row.obs_status.as_ref().map_or("", Code::as_str);
            let conf = row.conf_status.as_ref().map_or("", Code::as_str);
            let last = [&*period, value.as_deref().unwrap_or(""), obs, conf, self.unit.as_str()];
            let record: Vec<&str> = first.chain(row.codes.iter().map(Code::as_str)).chain(last).collect();
            writer.write_record(record).map_err(failed)?;
        }
        let bytes = writer.into_inner().map_err(|error| WriteError(error.to_string()))?;
        String::from_utf8(bytes).map_err(|error| WriteError(error.to_string()))
    }

    /// Reads SDMX-CSV 2.0 of one data structure with our measure and attributes. Columns may come in any order after
    /// the first three. An `OBS_VALUE` that is empty or `NaN` is a gap.
    ///
    /// # Errors
    /// All that is wrong with it, up to [`crate::fault::FAULTS_MAX`].
    pub fn read(text: &str) -> Result<Self, Faults> {
        let mut faults = Collected::default();
        let read = read(text, &mut faults);
        faults.result(read)
    }
}

fn read(text: &str, faults: &mut Collected) -> Option<Received> {
    let mut fault = |field: &str, code: &'static str, value: &str| {
        faults.add(Fault::new(field, code).with("value", value));
        None::<Received>
    };
    if text.len() > BYTES_MAX {
        return fault("", "disclosure-too-large", &text.len().to_string());
    }
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let Ok(header) = reader.headers().cloned() else { return fault("line 1", "disclosure-csv", "") };
    if !FIRST.iter().zip(header.iter()).all(|(expected, found)| *expected == found) || header.len() < 3 {
        return fault("line 1", "disclosure-columns", &FIRST.join(","));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = header.iter().find(|name| !seen.insert(*name)) {
        return fault("line 1", "disclosure-twice", twice);
    }
    let column = |name: &str| header.iter().position(|found| found == name);
    let places: Option<Vec<usize>> = LAST.iter().map(|name| column(name)).collect();
    let Some(places) = places else { return fault("line 1", "disclosure-columns", &LAST.join(",")) };
    let mut dimensions = Vec::new();
    for (place, name) in header.iter().enumerate().skip(FIRST.len()) {
        match name.parse::<Id>() {
            Ok(id) if !LAST.contains(&name) => dimensions.push((place, id)),
            Ok(_) => {}
            Err(_) => return fault("line 1", "disclosure-id", name),
        }
    }
    if dimensions.is_empty() || dimensions.len() > DIMENSIONS_MAX {
        return fault("line 1", "disclosure-columns", &DIMENSIONS_MAX.to_string());
    }
    let mut received: Option<Received> = None;
    let mut keys = BTreeSet::new();
    for (index, record) in reader.records().enumerate() {
        let line = format!("row {}", index + 1);
        let Ok(record) = record else { return fault(&line, "disclosure-csv", "") };
        if index >= ROWS_MAX {
            return fault(&line, "disclosure-too-many", &ROWS_MAX.to_string());
        }
        let cell = |place: usize| record.get(place).unwrap_or_default();
        let last = |at: usize| places.get(at).map_or("", |&place| cell(place));
        if cell(0) != "datastructure" || !matches!(cell(2), "R" | "I" | "A") {
            return fault(&line, "disclosure-columns", cell(if cell(0) == "datastructure" { 2 } else { 0 }));
        }
        let Some((agency, dataset, version)) = structure(cell(1)) else {
            return fault(&format!("{line}, STRUCTURE_ID"), "disclosure-structure", cell(1));
        };
        let Ok(unit) = last(4).parse::<Code>() else {
            return fault(&format!("{line}, UNIT_MEASURE"), "disclosure-code", last(4));
        };
        let Some(row) = observation(&dimensions, cell, last) else {
            return fault(&line, "disclosure-row", last(1));
        };
        if !keys.insert((row.codes.clone(), row.period)) {
            return fault(&line, "disclosure-twice", last(0));
        }
        let names = || dimensions.iter().map(|(_, id)| id.clone()).collect();
        let new = || Received {
            agency: agency.clone(),
            dataset: dataset.clone(),
            version: version.clone(),
            unit: unit.clone(),
            dimensions: names(),
            observations: Vec::new(),
        };
        let all = received.get_or_insert_with(new);
        if (&all.agency, &all.dataset, &all.version, &all.unit) != (&agency, &dataset, &version, &unit) {
            return fault(&line, "disclosure-differs", cell(1));
        }
        all.observations.push(row);
    }
    if received.is_none() {
        return fault("", "disclosure-empty", "0");
    }
    received
}

fn observation<'r>(
    dimensions: &[(usize, Id)],
    cell: impl Fn(usize) -> &'r str,
    last: impl Fn(usize) -> &'r str,
) -> Option<Observation> {
    let codes: Option<Vec<Code>> = dimensions.iter().map(|(place, _)| cell(*place).parse().ok()).collect();
    let value = match last(1) {
        "" | "NaN" => None,
        text => {
            let plain = text.strip_prefix('-').unwrap_or(text);
            let plain = !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_digit());
            let value = text.parse::<i64>().ok().filter(|value| value.unsigned_abs() <= TOTAL_MAX as u64);
            Some(value.filter(|_| plain)?)
        }
    };
    let status = |text: &str| match text {
        "" => Some(None),
        text => text.parse::<Code>().ok().map(Some),
    };
    let (obs_status, conf_status) = (status(last(2))?, status(last(3))?);
    Some(Observation { codes: codes?, period: last(0).parse().ok()?, value, obs_status, conf_status })
}

/// `AGENCY:ID(VERSION)`.
fn structure(text: &str) -> Option<(Id, Id, String)> {
    let (agency, rest) = text.split_once(':')?;
    let (dataset, rest) = rest.split_once('(')?;
    Some((agency.parse().ok()?, dataset.parse().ok()?, version(rest.strip_suffix(')')?)?))
}

/// The structure of a design's releases as an SDMX-JSON 2.0 structure message: the data structure
/// definition, its concepts, and the code lists with their hierarchy. `prepared` is the time that the message states.
pub fn structure_message(design: &Design, prepared: &str) -> String {
    let (agency, version) = (design.agency.as_str(), design.version.as_str());
    let urn = |class: &str, id: &str| format!("urn:sdmx:org.sdmx.infomodel.{class}={agency}:{id}({version})");
    let concept = |id: &str| {
        let scheme = format!("CS_{}", design.dataset);
        format!("{}.{id}", urn("conceptscheme.Concept", &scheme))
    };
    let list_id = |id: &str| format!("CL_{}_{id}", design.dataset);
    let mut lists = Vec::new();
    for dimension in &design.dimensions {
        let codes = dimension.codes().iter().enumerate().map(|(at, code)| {
            let mut made = json!({ "id": code.as_str(), "name": code.as_str() });
            if let Some(parent) = dimension.parent(at).and_then(|parent| dimension.code(parent)) {
                made["parent"] = json!(parent.as_str());
            }
            made
        });
        lists.push((list_id(dimension.id().as_str()), codes.collect::<Vec<_>>()));
    }
    let fixed = |codes: &[(&str, &str)]| {
        codes.iter().map(|(id, name)| json!({ "id": id, "name": name })).collect::<Vec<_>>()
    };
    let obs = [("A", "Normal value"), ("Q", "Missing value; suppressed")];
    let conf = [
        ("F", "Free"),
        ("C", "Confidential statistical information"),
        ("D", "Secondary confidentiality set by the sender, not for publication"),
    ];
    lists.push((list_id("OBS_STATUS"), fixed(&obs)));
    lists.push((list_id("CONF_STATUS"), fixed(&conf)));
    lists.push((list_id("UNIT_MEASURE"), fixed(&[(design.unit.as_str(), design.unit.as_str())])));
    let enumerated = |id: &str| json!({ "enumeration": urn("codelist.Codelist", &list_id(id)) });
    let dimensions: Vec<Value> = design.dimensions.iter().enumerate().map(|(position, dimension)| {
        let id = dimension.id().as_str();
        json!({ "id": id, "position": position, "conceptIdentity": concept(id), "localRepresentation": enumerated(id) })
    })
    .collect();
    let attribute = |id: &str| {
        json!({ "id": id, "conceptIdentity": concept(id), "localRepresentation": enumerated(id), "usage": "mandatory",
            "attributeRelationship": { "observation": {} } })
    };
    let names = design.dimensions.iter().map(|dimension| dimension.id().as_str()).chain(LAST);
    let concepts: Vec<Value> = names.map(|id| json!({ "id": id, "name": id })).collect();
    let maintained =
        |id: &str, name: &str| json!({ "id": id, "agencyID": agency, "version": version, "name": name });
    let mut scheme = maintained(&format!("CS_{}", design.dataset), "Concepts");
    scheme["concepts"] = json!(concepts);
    let codelists: Vec<Value> = lists
        .into_iter()
        .map(|(id, codes)| {
            let mut list = maintained(&id, &id);
            list["codes"] = json!(codes);
            list
        })
        .collect();
    let mut definition = maintained(design.dataset.as_str(), design.dataset.as_str());
    definition["dataStructureComponents"] = json!({
        "dimensionList": { "id": "DimensionDescriptor", "dimensions": dimensions,
            "timeDimension": { "id": "TIME_PERIOD", "conceptIdentity": concept("TIME_PERIOD"),
                "localRepresentation": { "format": { "dataType": "ObservationalTimePeriod" } } } },
        "measureList": { "id": "MeasureDescriptor", "measures": [{ "id": "OBS_VALUE", "conceptIdentity": concept("OBS_VALUE"),
            "localRepresentation": { "format": { "dataType": "Long" } }, "usage": "optional" }] },
        "attributeList": { "id": "AttributeDescriptor",
            "attributes": [attribute("OBS_STATUS"), attribute("CONF_STATUS"), attribute("UNIT_MEASURE")] },
    });
    let meta = json!({ "schema": SCHEMA, "id": format!("{}-structure", design.dataset), "test": false, "prepared": prepared,
        "contentLanguages": ["en"], "sender": { "id": agency } });
    let data = json!({ "dataStructures": [definition], "conceptSchemes": [scheme], "codelists": codelists });
    // Readers look for the schema at the beginning.
    format!("{{\"meta\":{meta},\"data\":{data}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "STRUCTURE,STRUCTURE_ID,ACTION,ITEM,TIME_PERIOD,OBS_VALUE,OBS_STATUS,CONF_STATUS,UNIT_MEASURE\r\n";

    #[test]
    fn what_is_read_is_written_the_same() {
        let text = format!(
            "{HEAD}datastructure,KR:STOCK(1.0),R,_T,2026-03,-12,A,F,KGM\r\ndatastructure,KR:STOCK(1.0),R,HF,2026-03,,Q,C,KGM\r\n"
        );
        let read = Received::read(&text).unwrap();
        assert_eq!(read.observations[0].value, Some(-12));
        assert_eq!(read.observations[1].value, None);
        assert_eq!(read.write().unwrap(), text);
        let nan = text.replace("2026-03,,", "2026-03,NaN,");
        assert_eq!(Received::read(&nan), Ok(read));
    }

    #[test]
    fn what_is_no_release_is_refused_with_its_place() {
        let row = "datastructure,KR:STOCK(1.0),R,_T,2026-03,12,A,F,KGM\n";
        let cases = [
            (String::new(), "line 1"),
            ("A,B\n1,2\n".into(), "line 1"),
            (HEAD.replace("ITEM", "ACTION") + row, "line 1"),
            (HEAD.replace("OBS_VALUE", "VALUE") + row, "line 1"),
            (HEAD.to_owned(), ""),
            (format!("{HEAD}{row}{row}"), "row 2"),
            (format!("{HEAD}{}", row.replace("datastructure", "dataflow")), "row 1"),
            (format!("{HEAD}{}", row.replace(",R,", ",D,")), "row 1"),
            (format!("{HEAD}{}", row.replace("(1.0)", "")), "row 1, STRUCTURE_ID"),
            (format!("{HEAD}{}", row.replace(",12,", ",1.5,")), "row 1"),
            (format!("{HEAD}{}", row.replace(",12,", ",+12,")), "row 1"),
            (format!("{HEAD}{row}{}", row.replace("_T", "HF").replace("KGM", "USD")), "row 2"),
            (format!("{HEAD}{row}x,y\n"), "row 2"),
        ];
        for (text, field) in cases {
            let faults = Received::read(&text).unwrap_err();
            assert_eq!(faults.0[0].field, field, "{text}: {faults}");
        }
    }
}
