//! Notifications of quantitative restrictions.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on fails")]

use hiwar_measure::qr::{Nature, NotNotifiable, Notification, Restriction, Row, Symbol, due};
use hiwar_measure::{Flow, Kind, Licence, Register, shipped};
use jiff::civil::date;

fn register() -> Register {
    Register::new(shipped::measures().unwrap()).unwrap()
}

fn notification(rows: Vec<Row>) -> Notification {
    Notification {
        member: "JP".parse().unwrap(),
        date: date(2019, 12, 1),
        last: Some("G/MA/QR/N/JPN/4".to_owned()),
        nature: Nature::Changes {
            to: "G/MA/QR/N/JPN/4".to_owned(),
            new: true,
            eliminated: false,
            modified: false,
        },
        biennium: "2018-2020".to_owned(),
        as_of: date(2019, 12, 1),
        comments: "N/A".to_owned(),
        rows,
        references: Vec::new(),
    }
}

#[test]
fn a_change_is_due_six_months_after_it_entered_into_force() {
    // Paragraph 1 of G/L/59/Rev.1; of months without that day, the last day.
    for (in_force, last_day) in [
        (date(2019, 7, 4), date(2020, 1, 4)),
        (date(2019, 8, 28), date(2020, 2, 28)),
        (date(2019, 8, 31), date(2020, 2, 29)),
        (date(2023, 8, 31), date(2024, 2, 29)),
        (date(2024, 8, 31), date(2025, 2, 28)),
    ] {
        assert_eq!(due(in_force), Some(last_day), "{in_force}");
    }
}

#[test]
fn kinds_of_measures_have_symbols_with_suffixes() {
    // qr.wto.org/en/how-to-notify: "NAL X" for a non-automatic export licence, "P S" for a seasonal import ban.
    let written = |kind, flow| Symbol::of(kind, flow).map(|symbol| symbol.to_string());
    assert_eq!(written(Kind::Licence(Licence::Individual), Flow::Export).as_deref(), Some("NAL X"));
    assert_eq!(written(Kind::Ban, Flow::Import).as_deref(), Some("P"));
    assert_eq!(written(Kind::Quota, Flow::Export).as_deref(), Some("GQ X"));
    for none in [Kind::ExportTax, Kind::TariffQuota, Kind::Listing, Kind::SlowDown, Kind::DisputeStep] {
        assert_eq!(written(none, Flow::Export), None, "{none}");
    }
    let seasonal = Symbol { restriction: Restriction::Prohibition, export: false, seasonal: true };
    assert_eq!(seasonal.to_string(), "P S");
    assert_eq!(Restriction::ALL.len(), 10, "Annex 2 lists ten measures");
}

#[test]
fn a_measure_becomes_a_row_and_a_list_change_does_not() {
    let register = register();
    let of = |id: &str| register.measure(&id.parse().unwrap()).unwrap();
    let row = Row::of(of("jp-kr-three-materials"), 1, "GATT 1994 Article XXI", date(2019, 12, 1)).unwrap();
    assert_eq!(row.symbols[0].to_string(), "NAL X");
    assert!(row.legal_basis.contains("Export Trade Control Order, appended table 1"), "{}", row.legal_basis);
    assert!(row.legal_basis.ends_with("Entry into force: 2019-07-04"), "{}", row.legal_basis);
    assert!(row.products.contains("Resist (wavelength >= 15 < 245 nm)"), "{}", row.products);
    assert_eq!(row.tariff_lines.len(), 4);
    // Two dates of the graphite control stand side by side.
    let graphite = Row::of(of("cn-graphite-2023"), 2, "", date(2024, 1, 1)).unwrap();
    assert_eq!(graphite.administration, "Not named says 2024-12-12");
    for day in [date(2019, 7, 3), date(2023, 3, 23)] {
        let error = Row::of(of("jp-kr-three-materials"), 1, "", day).unwrap_err();
        assert!(matches!(error, NotNotifiable::NotInForce { .. }), "{error}");
    }
    let error = Row::of(of("jp-kr-group-a"), 3, "", date(2019, 12, 1)).unwrap_err();
    assert!(matches!(error, NotNotifiable::NoRestriction { .. }), "{error}");
}

#[test]
fn the_form_is_written_as_csv_and_as_a_page() {
    let register = register();
    let measure = register.measure(&"jp-kr-three-materials".parse().unwrap()).unwrap();
    let mut row = Row::of(measure, 1, "=HYPERLINK(\"x\"), <script>", date(2019, 12, 1)).unwrap();
    row.administration = "a \"quoted\" text".to_owned();
    let form = notification(vec![row]);
    let csv = form.section_1_csv();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(reader.headers().unwrap().get(0), Some("QR No."));
    assert_eq!(reader.headers().unwrap().get(2), Some("Type of restriction"));
    let record = reader.records().next().unwrap().unwrap();
    assert_eq!(record.get(2), Some("NAL X"));
    assert_eq!(record.get(5), Some("'=HYPERLINK(\"x\"), <script>"), "no formula for spreadsheets");
    assert_eq!(record.get(7), Some("a \"quoted\" text"));
    let whole = form.csv();
    assert!(whole.starts_with("A,Notifying Member,JP\nB,Date of notification,2019-12-01\n"), "{whole}");
    assert!(whole.contains("2.1 Introduction of new restrictions"), "{whole}");
    let page = form.html();
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    let letters: Vec<_> = form.header().iter().map(|(letter, ..)| *letter).collect();
    assert_eq!(letters, ["A", "B", "C", "D", "E", "F", "G"]);
}
