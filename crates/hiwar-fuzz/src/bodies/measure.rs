//! The register of measures: documents that others write, tables of Global Trade Alert.

use hiwar_form::{Document, Faults, Language};
use hiwar_measure::query::{Asked, Filter, Question, governing, timeline, touches};
use hiwar_measure::{Places, Register, TariffCode, document, gta, messages, qr, shipped};
use jiff::civil::date;

use super::{answered, text};

/// What is told first, since a refusal names every fault.
fn first(faults: Faults) -> String {
    assert!(!faults.0.is_empty(), "refused without a fault");
    faults.0.first().map(|fault| fault.say(messages(), Language::En)).unwrap_or_default()
}

/// A document of a measure: what is read is written the same, and every question about it has an answer.
pub fn measure_document(data: &[u8]) {
    let Some(json) = text(data) else { return };
    let read = Document::json(Some("fuzz.json"), json).and_then(|document| document::read(&document));
    let read = read.map_err(first);
    answered(&read);
    let Ok(measure) = read else { return };
    let written = document::write(&measure);
    let again = Document::json(None, &written).and_then(|document| document::read(&document)).map_err(first);
    assert_eq!(again.as_ref(), Ok(&measure), "written and read differently");

    for field in measure.fields() {
        let claimed = measure.claimed(field);
        let told = claimed.map_or(0, |claimed| 1 + claimed.agreeing.len() + claimed.conflicting.len());
        assert_eq!(
            told,
            measure.claims.iter().filter(|claim| claim.field == *field).count(),
            "a claim is lost"
        );
    }
    let codes: Vec<TariffCode> =
        touches(&measure).map(|touched| touched.listed.code.clone()).take(4).collect();
    let _ = qr::Row::of(&measure, 1, "", date(2019, 12, 1));
    let jurisdiction = measure.jurisdiction;
    let of = |places: &Places| match places {
        Places::All => jurisdiction,
        Places::Of(countries) => countries.first().copied().unwrap_or(jurisdiction),
    };
    let (from, to, day) = (of(&measure.origins), of(&measure.destinations), date(2019, 7, 4));
    let Ok(register) = Register::new([measure]) else { return };
    for code in codes {
        let _ = governing(&register, &Question { item: Asked::Tariff(code), from, to, day });
    }
    let rows = timeline(&register, &Filter::default());
    assert!(rows.windows(2).all(|pair| matches!(pair, [one, two] if one.when <= two.when)), "not sorted");
    let _ = timeline(&register.known_on(day).register, &Filter::default());
}

/// The documents that are shipped.
pub fn measure_document_seeds() -> Vec<Vec<u8>> {
    shipped::FILES.iter().map(|(_, text)| text.as_bytes().to_vec()).collect()
}

/// A table of Global Trade Alert: no row is lost, and what is read becomes measures that can be written.
pub fn measure_gta(data: &[u8]) {
    let read = gta::read("fuzz.csv", data).map_err(first);
    answered(&read);
    let Ok(import) = read else { return };
    for fault in import.bad.iter().flat_map(|row| &row.faults) {
        let said = fault.say(messages(), Language::En);
        crate::outcome::report_text(&fault.code);
        assert!(said.len() <= super::REFUSAL_BYTES_MAX, "a refusal of {} bytes", said.len());
    }
    assert!(import.bad.iter().all(|row| !row.faults.is_empty()), "refused without a fault");
    let rows = csv_rows(data);
    assert_eq!(import.interventions.len() + import.bad.len(), rows, "a row is lost");
    let Ok(edition) = "HS2012".parse() else { return };
    for measure in import.interventions.iter().take(20).flat_map(|row| row.measures(edition)) {
        let written = document::write(&measure);
        let read = Document::json(None, &written).and_then(|document| document::read(&document));
        if let Ok(again) = read {
            assert_eq!(again, measure, "written and read differently");
        }
    }
}

/// Records behind the first, counted by the library alone.
fn csv_rows(data: &[u8]) -> usize {
    let data = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(data);
    reader.byte_records().count().saturating_sub(1)
}

/// Rows made up in both layouts, good and bad ones.
pub fn measure_gta_seeds() -> Vec<Vec<u8>> {
    let interface = "intervention_id,state_act_id,state_act_title,gta_evaluation,implementing_jurisdictions,affected_jurisdictions,intervention_type,mast_chapter,affected_products,date_announced,date_published,date_implemented,date_removed,is_in_force,is_official_source\n\
        900001,800001,\"Licences, made up\",Red,392,\"410,699\",35,P,\"281111,370790\",2019-07-01,2019-07-03,2019-07-04,,1,true\n\
        x,2,Bad,Purple,842,410,99,,28111,1.7.2019,,2019-07-04,2019-07-03,,maybe\n";
    let data_centre = "State Act ID,State Act Title,Intervention ID,GTA Evaluation,Implementing Jurisdictions,Affected Jurisdictions,Intervention Type,Affected Products,Date Announced,Date Implemented,Date Removed,Is In Force\n\
        800003,Made-up ban,900003,Amber,Republic of Korea,\"Japan; Chinese Taipei\",Export ban,310210|310280,2021-10-11,2021-10-15,,1\n\
        800004,Short\n";
    [interface, data_centre].map(|table| table.as_bytes().to_vec()).to_vec()
}
