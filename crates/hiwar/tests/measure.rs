//! The register of measures as a person uses it, without a node.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use newcomer::Newcomer;

#[test]
fn what_governed_hydrogen_fluoride_is_asked_by_day() {
    let person = Newcomer::new();
    for (day, standing, state) in [
        ("2019-07-03", "announced", "bulk-licence"),
        ("2019-07-04", "in-force", "individual-licence"),
        ("2023-03-23", "ended", "special-general-bulk-licence"),
    ] {
        let args =
            ["measure", "governing", "2811.11-000", "--edition", "HS2017", "--from", "JP", "--to", "KR"];
        let args = [&args[..], &["--on", day, "--format", "json"]].concat();
        let answer = person.hiwar(&args).ok().json();
        let all = answer["governing"].as_array().unwrap();
        let found = all.iter().find(|found| found["measure"] == "jp-kr-three-materials").unwrap();
        assert_eq!(
            (found["ruling"]["standing"].as_str(), found["ruling"]["state"]["kind"].as_str()),
            (Some(standing), Some(state)),
            "{day}"
        );
    }
    let args =
        ["measure", "governing", "hydrogen-fluoride", "--from", "JP", "--to", "KR", "--on", "2019-08-10"];
    let said = person.hiwar(&args).ok();
    assert!(
        said.out.contains("OTHERWISE BY") && said.out.contains("CISTEC: in-force 2019-08-07"),
        "{}",
        said.out
    );
    assert!(said.err.contains("Not a single export approval"), "{}", said.err);
    let args = ["measure", "governing", "281111", "--from", "JP", "--to", "KR"];
    assert!(person.hiwar(&args).ends_with(1).err.contains("--edition HS2017"));
}

#[test]
fn the_register_is_listed_shown_and_told_as_a_timeline() {
    let person = Newcomer::new();
    let list = person.hiwar(&["measure", "list", "--format", "csv", "--language", "ko"]).ok();
    assert!(list.out.starts_with("measure,by,flow,kind,from,ended,title\n"), "{}", list.out);
    assert!(list.out.contains("중국의 흑연 수출통제"), "{}", list.out);
    let shown = person.hiwar(&["measure", "show", "jp-kr-group-a"]).ok();
    assert!(shown.out.contains("conflicts"), "{}", shown.out);
    let touched = person.hiwar(&["measure", "touches", "jp-kr-three-materials"]).ok();
    assert!(touched.out.contains("370790") && touched.out.contains("basket"), "{}", touched.out);
    let args = ["measure", "timeline", "--measure", "wto-ds590", "--known-on", "2019-10-01"];
    let told = person.hiwar(&args).ok();
    assert!(told.out.contains("2019-09-16") && !told.out.contains("2020-07-29"), "{}", told.out);
}

#[test]
fn documents_are_checked_and_tables_imported_with_every_fault_named() {
    let person = Newcomer::new();
    let path = person.path("m.json");
    std::fs::write(&path, "{\n  \"id\": \"a\",\n  \"jurisdiction\": \"UK\"\n}\n").unwrap();
    let said = person.hiwar(&["measure", "check", path.to_str().unwrap()]).ends_with(1);
    assert!(said.out.contains("\"UK\" is no country"), "{}", said.out);

    let path = person.path("gta.csv");
    let table = "intervention_id,state_act_title,implementing_jurisdictions,intervention_type,affected_products,date_implemented\n\
                 1,Made up,392,35,281111,2019-07-04\n2,Made up,842,35,281111,2019-07-04\n";
    std::fs::write(&path, table).unwrap();
    let said =
        person.hiwar(&["measure", "import-gta", path.to_str().unwrap(), "--edition", "HS2012"]).ends_with(1);
    assert!(said.out.contains("gta-1-jp"), "{}", said.out);
    assert!(said.err.contains("Global Trade Alert writes 840"), "{}", said.err);
}

#[test]
fn a_notification_to_the_wto_is_written() {
    let person = Newcomer::new();
    let args = ["measure", "qr", "jp-kr-three-materials", "--biennium", "2018-2020", "--date", "2020-02-01"];
    let said = person.hiwar(&args).ok();
    assert!(said.out.contains("NAL X") && said.out.starts_with("A,Notifying Member,JP"), "{}", said.out);
    assert!(said.err.contains("2020-01-04, which is past"), "{}", said.err);
    assert!(
        person
            .hiwar(&["measure", "qr", "jp-kr-group-a", "--biennium", "2018-2020"])
            .ends_with(1)
            .err
            .contains("no quantitative restriction")
    );
}
