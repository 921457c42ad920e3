//! Tables of Global Trade Alert: rows made up for these tests, in its two layouts.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on fails")]

use hiwar_form::Language;
use hiwar_measure::gta::{BadRow, Evaluation, country_of_id, country_of_name, read};
use hiwar_measure::{Kind, Licence, Register, messages};

/// The names of GTA's programming interface.
const INTERFACE: &str = "intervention_id,state_act_id,state_act_title,gta_evaluation,implementing_jurisdictions,affected_jurisdictions,intervention_type,mast_chapter,affected_products,date_announced,date_published,date_implemented,date_removed,is_in_force,is_official_source
900001,800001,\"Freedonia: Licences for exports of a made-up acid\",Red,392,\"410,699\",35,P: Export-related measures (incl. subsidies),\"281111,370790\",2019-07-01,2019-07-03,2019-07-04,,1,true
900002,800002,\"A tax, made up\",Amber,251;381,,Export tax,,10110,2021-01-02,2021-01-05,2021-02-01,2021-03-01,0,false
";

/// The names of the CSV of its data centre.
const DATA_CENTRE: &str = "State Act ID,State Act Title,Intervention ID,GTA Evaluation,Implementing Jurisdictions,Affected Jurisdictions,Intervention Type,Affected Products,Date Announced,Date Implemented,Date Removed,Is In Force,Is Horizontal
800003,Made-up ban,900003,Red,Republic of Korea,\"Japan, United States of America, Chinese Taipei\",Export ban,\"310210, 310280\",2021-10-11,2021-10-15,,1,0
";

#[test]
fn both_layouts_are_read() {
    let import = read("a.csv", INTERFACE.as_bytes()).unwrap();
    assert_eq!(import.bad, []);
    let [licence, tax] = import.interventions.as_slice() else { panic!("two rows") };
    assert_eq!(
        (licence.intervention_id, licence.line, licence.evaluation),
        (900_001, 2, Some(Evaluation::Red))
    );
    let codes =
        |countries: &[hiwar_measure::Country]| countries.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(codes(&licence.implementing), ["JP"]);
    assert_eq!(codes(&licence.affected), ["IN", "KR"]);
    assert_eq!(licence.kind.means.unwrap().1, Kind::Licence(Licence::Unspecified));
    assert_eq!(licence.official_source, Some(true));
    assert_eq!(codes(&tax.implementing), ["FR", "IT"]);
    assert_eq!(tax.products, ["010110"], "a leading zero that a spreadsheet took");

    let import = read("b.csv", DATA_CENTRE.as_bytes()).unwrap();
    assert_eq!(import.ignored_columns, ["Is Horizontal"]);
    assert_eq!(codes(&import.interventions[0].affected), ["JP", "TW", "US"]);
    assert_eq!(codes(&import.interventions[0].implementing), ["KR"]);
}

#[test]
fn three_numbers_of_countries_are_not_those_of_iso() {
    // github.com/global-trade-alert/docs, .api/gta-value-mappings.md, table "Jurisdictions".
    for (id, code) in [
        (251, "FR"),
        (381, "IT"),
        (699, "IN"),
        (840, "US"),
        (578, "NO"),
        (756, "CH"),
        (158, "TW"),
        (392, "JP"),
        (410, "KR"),
        (156, "CN"),
        (275, "PS"),
        (729, "SD"),
        (999, "XK"),
    ] {
        assert_eq!(country_of_id(id).unwrap().as_str(), code, "{id}");
    }
    // ISO 3166-1 writes 250, 380 and 356; UN Comtrade writes 842, 579, 757 and 490.
    for (id, meant) in
        [(250, "251"), (380, "381"), (356, "699"), (842, "840"), (579, "578"), (757, "756"), (490, "158")]
    {
        let error = country_of_id(id).unwrap_err();
        assert_eq!(error.code, "gta-other-numbering", "{id}");
        assert!(error.to_string().ends_with(&format!("writes {meant}")), "{error}");
    }
    assert_eq!(country_of_id(7).unwrap_err().code, "gta-unknown-jurisdiction");
}

#[test]
fn gta_names_of_countries_are_known() {
    // The same table; those that differ from the project's English names, and some that do not.
    for (name, code) in [
        ("Republic of Korea", "KR"),
        ("DPR Korea", "KP"),
        ("Chinese Taipei", "TW"),
        ("United States of America", "US"),
        ("Turkiye", "TR"),
        ("Ivory Coast", "CI"),
        ("Lao", "LA"),
        ("Antigua & Barbuda", "AG"),
        ("Vietnam", "VN"),
        ("Czechia", "CZ"),
        ("Myanmar", "MM"),
        ("Cape Verde", "CV"),
        ("Bosnia & Herzegovina", "BA"),
        ("Eswatini", "SZ"),
        ("Réunion", "RE"),
        ("Saint Vincent & the Grenadines", "VC"),
        ("Sao Tome & Principe", "ST"),
        ("Svalbard & Jan Mayen Islands", "SJ"),
        ("Wallis & Futuna Islands", "WF"),
        ("Turks & Caicos Islands", "TC"),
        ("Trinidad & Tobago", "TT"),
        ("British Virgin Islands", "VG"),
        ("Saint-Martin", "MF"),
        ("Saint-Barthélemy", "BL"),
        ("Pitcairn", "PN"),
        ("Saint Helena", "SH"),
        ("Saint Pierre & Miquelon", "PM"),
        ("European Union", "EU"),
    ] {
        assert_eq!(country_of_name(name).map(|c| c.to_string()), Ok(code.to_owned()), "{name}");
    }
}

#[test]
fn a_bad_row_is_returned_with_file_line_column_and_how_to_mend_it_beside_the_good_ones() {
    let head = INTERFACE.lines().next().unwrap();
    let table = format!(
        "{head}\n\
         1,2,Good,Red,392,410,35,,281111,2019-07-01,,,,,\n\
         x,2,Bad number,Red,392,410,35,,281111,2019-07-01,,,,,\n\
         3,2,Comtrade's number,Red,842,410,35,,281111,2019-07-01,,,,,\n\
         4,2,Bad date,Purple,392,410,99,,28111,1.7.2019,,,,,maybe\n\
         5,2,Too short,Red\n\
         6,2,Ends first,Red,392,410,35,,281111,2019-07-01,,2019-07-04,2019-07-03,,\n\
         7,2,,Red,,410,35,,281111,,,,,,\n\
         8,2,\"Good, after them\",Red,392,410,35,,281111,2019-07-01,,,,,\n"
    );
    let import = read("t.csv", table.as_bytes()).unwrap();
    let good: Vec<_> = import.interventions.iter().map(|row| row.intervention_id).collect();
    assert_eq!(good, [1, 8]);
    let said: Vec<String> = import
        .bad
        .iter()
        .flat_map(|row: &BadRow| &row.faults)
        .map(|fault| fault.say(messages(), Language::En))
        .collect();
    assert_eq!(
        said,
        [
            "t.csv:3: intervention_id: \"x\" is no number of Global Trade Alert; write digits only",
            "t.csv:4: implementing_jurisdictions: 842 is a number of UN Comtrade; Global Trade Alert writes 840",
            "t.csv:5: gta_evaluation: \"Purple\" is no evaluation; write Red, Amber or Green (1 to 3)",
            "t.csv:5: intervention_type: \"99\" is no type of intervention; write a number of 1 to 83 or its name",
            "t.csv:5: date_announced: \"1.7.2019\" is no date; write it as 2019-07-04 or leave the cell empty",
            "t.csv:5: is_official_source: \"maybe\" is neither yes nor no; write 1 or 0",
            "t.csv:6: this row has 4 cells and not 15; look for a comma in a text without quotation marks",
            "t.csv:7: date_removed: the end 2019-07-03 lies before the start 2019-07-04; mend one of them",
            "t.csv:8: state_act_title: this cell is empty; every row needs it",
        ]
    );
    assert_eq!(import.bad[1].cells[2], "Comtrade's number", "the row is there as it came");
    assert_eq!(import.interventions.len() + import.bad.len(), 8, "nothing is lost");
}

#[test]
fn a_table_without_a_needed_column_is_refused_with_its_names() {
    let faults = read("t.csv", b"intervention_id,title\n1,x\n").unwrap_err();
    let said = faults.say(messages(), Language::En);
    assert!(said.contains("t.csv:1: intervention_type: this column is missing"), "{said}");
    assert!(said.contains("implementing_jurisdictions"), "{said}");
    assert_eq!(read("t.csv", b"").unwrap_err().0[0].code, "gta-empty");
    let korean = faults.say(messages(), Language::Ko);
    assert!(korean.contains("이 열이 없습니다"), "{korean}");
}

#[test]
fn interventions_on_goods_become_measures_with_gta_as_a_secondary_source() {
    let import = read("a.csv", INTERFACE.as_bytes()).unwrap();
    let edition = "HS2012".parse().unwrap();
    let measures: Vec<_> = import.interventions.iter().flat_map(|row| row.measures(edition)).collect();
    let ids: Vec<_> = measures.iter().map(|m| m.id.to_string()).collect();
    assert_eq!(ids, ["gta-900001-jp", "gta-900002-fr", "gta-900002-it"]);
    let licence = &measures[0];
    assert_eq!(licence.destinations.to_string(), "IN KR");
    assert_eq!(licence.date(&"in-force".parse().unwrap()).unwrap().to_string(), "2019-07-04");
    assert_eq!(licence.claims[0].source.checked.as_str(), "secondary");
    assert_eq!(measures[1].destinations.to_string(), "all");
    assert!(Register::new(measures).is_ok());
}
