//! What the register answers.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on fails")]

use hiwar_measure::code::Overlap;
use hiwar_measure::query::{
    Answer, Asked, Filter, Matched, Notice, Question, Standing, Version, governing, timeline, touches,
};
use hiwar_measure::{Country, Register, TariffCode, shipped};
use jiff::civil::Date;

fn register() -> Register {
    Register::new(shipped::measures().unwrap()).unwrap()
}

fn country(code: &str) -> Country {
    code.parse().unwrap()
}

fn code(jurisdiction: &str, edition: &str, digits: &str) -> Asked {
    let jurisdiction = (!jurisdiction.is_empty()).then(|| country(jurisdiction));
    Asked::Tariff(TariffCode::new(jurisdiction, edition.parse().unwrap(), digits).unwrap())
}

fn ask<'r>(register: &'r Register, item: Asked, route: (&str, &str), day: &str) -> Answer<'r> {
    let day: Date = day.parse().unwrap();
    governing(register, &Question { item, from: country(route.0), to: country(route.1), day })
}

/// Standing and kind of the state under one measure.
fn ruling(answer: &Answer<'_>, id: &str) -> (Standing, Option<&'static str>) {
    let found = answer.governing.iter().find(|found| found.measure.id.as_str() == id).unwrap();
    (found.ruling.standing, found.ruling.state.map(|state| state.kind.as_str()))
}

const THREE: &str = "jp-kr-three-materials";

#[test]
fn the_licence_of_each_material_follows_its_own_dates() {
    let register = register();
    let fluoride = || code("JP", "HS2017", "2811.11-000");
    let resist = || Asked::Item("resist".parse().unwrap());
    // Dates: METI 2019-11-08 and 2023-03-16, Yonhap 2019-12-20, Sankei 2023-03-23.
    for (item, day, standing, state) in [
        (fluoride(), "2003-12-31", Standing::Before, None),
        (fluoride(), "2019-06-30", Standing::Before, Some("bulk-licence")),
        (fluoride(), "2019-07-01", Standing::Announced, Some("bulk-licence")),
        (fluoride(), "2019-07-03", Standing::Announced, Some("bulk-licence")),
        (fluoride(), "2019-07-04", Standing::InForce, Some("individual-licence")),
        (fluoride(), "2019-12-20", Standing::InForce, Some("individual-licence")),
        (fluoride(), "2023-03-22", Standing::InForce, Some("individual-licence")),
        (fluoride(), "2023-03-23", Standing::Ended, Some("special-general-bulk-licence")),
        (resist(), "2019-12-19", Standing::InForce, Some("individual-licence")),
        (resist(), "2019-12-20", Standing::InForce, Some("special-bulk-licence")),
        (resist(), "2023-03-22", Standing::InForce, Some("special-bulk-licence")),
        (resist(), "2023-03-23", Standing::Ended, Some("special-general-bulk-licence")),
    ] {
        let answer = ask(&register, item.clone(), ("JP", "KR"), day);
        assert_eq!(ruling(&answer, THREE), (standing, state), "{item:?} on {day}");
    }
}

#[test]
fn the_list_change_governs_all_goods_on_the_same_way_and_no_others() {
    let register = register();
    let fluoride = || code("JP", "HS2017", "281111000");
    let answer = ask(&register, fluoride(), ("JP", "KR"), "2019-09-01");
    let ids: Vec<_> = answer.in_force().map(|found| found.measure.id.as_str()).collect();
    assert_eq!(ids, ["jp-kr-group-a", THREE]);
    assert_eq!(answer.governing[0].matched, Matched::AllGoods);
    assert!(ask(&register, fluoride(), ("JP", "US"), "2019-09-01").governing.is_empty());
    let back = ask(&register, fluoride(), ("KR", "JP"), "2019-09-18");
    assert_eq!(ruling(&back, "kr-jp-group-ga"), (Standing::InForce, Some("listing")));
    let dispute = |answer: &Answer<'_>| answer.governing.iter().any(|f| f.measure.id.as_str() == "wto-ds590");
    assert!(!dispute(&answer) && !dispute(&back), "a dispute governs no goods");
}

#[test]
fn where_claims_contradict_each_other_the_answer_says_what_would_hold_by_the_other_one() {
    let register = register();
    let fluoride = code("JP", "HS2017", "281111000");
    // CISTEC dates the list change 2019-08-07, the others 2019-08-28.
    let answer = ask(&register, fluoride.clone(), ("JP", "KR"), "2019-08-10");
    let list = answer.governing.iter().find(|found| found.measure.id.as_str() == "jp-kr-group-a").unwrap();
    assert_eq!(list.ruling.standing, Standing::Announced);
    assert_eq!(list.ruling.state.unwrap().id.as_str(), "group-a");
    let [other] = list.otherwise.as_slice() else { panic!("{:?}", list.otherwise) };
    assert_eq!(other.source.publisher, "CISTEC");
    assert_eq!(other.claims.len(), 2, "its claims are taken together");
    assert_eq!(
        (other.ruling.standing, other.ruling.state.unwrap().id.as_str()),
        (Standing::InForce, "group-b")
    );
    // After both days the versions agree about the present, and the contradiction is still told.
    let answer = ask(&register, fluoride, ("JP", "KR"), "2019-09-01");
    let list = answer.governing.iter().find(|found| found.measure.id.as_str() == "jp-kr-group-a").unwrap();
    assert!(list.otherwise.is_empty());
    assert_eq!(list.disputed.len(), 2);
    let three = answer.governing.iter().find(|found| found.measure.id.as_str() == THREE).unwrap();
    let disputed: Vec<_> = three.disputed.iter().map(|d| d.field.to_string()).collect();
    assert_eq!(disputed, ["fact.hydrogen-fluoride-approvals", "fact.licence-before-2019-07"]);
}

#[test]
fn codes_match_by_their_beginning_within_one_edition_only() {
    let register = register();
    for (asked, overlap) in [
        (code("JP", "HS2017", "281111000"), Overlap::Same),
        (code("", "HS2017", "281111"), Overlap::Part),
        (code("KR", "HS2017", "2811111000"), Overlap::SameSubheading),
    ] {
        let answer = ask(&register, asked.clone(), ("JP", "KR"), "2019-07-04");
        let found = answer.governing.iter().find(|found| found.measure.id.as_str() == THREE).unwrap();
        assert!(matches!(found.matched, Matched::Tariff { overlap: o, .. } if o == overlap), "{asked:?}");
    }
    // A nine-digit code of Japan lies within the six digits of resist.
    let answer = ask(&register, code("JP", "HS2017", "370790000"), ("JP", "KR"), "2019-07-04");
    let found = answer.governing.iter().find(|found| found.measure.id.as_str() == THREE).unwrap();
    assert!(matches!(found.matched, Matched::Tariff { overlap: Overlap::Within, .. }));

    let other = ask(&register, code("JP", "HS2022", "281111000"), ("JP", "KR"), "2023-01-04");
    assert!(other.governing.iter().all(|found| found.measure.id.as_str() != THREE));
    assert_eq!(other.other_editions.len(), 1);
    assert_eq!(other.other_editions[0].code.edition().to_string(), "HS2017");
}

#[test]
fn an_entry_of_a_control_list_finds_the_item() {
    let register = register();
    for (list, entry, found) in [
        (Some("Wassenaar"), "3C002.a.1", true),
        (None, "3c002.a.1", true),
        (Some("Wassenaar"), "3C002.b", false),
        (Some("Australia Group"), "3C002.a.1", false),
    ] {
        let asked = Asked::Control { list: list.map(str::to_owned), code: entry.to_owned() };
        let answer = ask(&register, asked, ("JP", "KR"), "2019-07-04");
        let is = answer.governing.iter().any(|f| f.item.is_some_and(|item| item.id.as_str() == "resist"));
        assert_eq!(is, found, "{list:?} {entry}");
    }
}

#[test]
fn a_suspended_measure_says_so_and_after_its_last_day_nothing_is_asserted() {
    let register = register();
    let ask = |day| ask(&register, Asked::Item("further-rare-earths".parse().unwrap()), ("CN", "KR"), day);
    let id = "cn-rare-earths-2025-10";
    assert_eq!(ruling(&ask("2025-11-07"), id), (Standing::Announced, Some("suspended")));
    assert_eq!(ruling(&ask("2026-11-10"), id).1, Some("suspended"));
    assert_eq!(ruling(&ask("2026-11-11"), id).1, None);
}

#[test]
fn a_measure_on_goods_made_abroad_reaches_other_countries_borders() {
    let register = register();
    let item = Asked::Item("chinese-origin-abroad".parse().unwrap());
    let answer = ask(&register, item, ("VN", "KR"), "2025-10-20");
    assert_eq!(ruling(&answer, "cn-foreign-rare-earths-2025"), (Standing::InForce, Some("licence")));
}

#[test]
fn codes_of_a_measure_come_with_what_to_mind() {
    let register = register();
    let of = |id: &str| register.measure(&id.parse().unwrap()).unwrap();
    let resist = touches(of(THREE)).find(|t| t.item.id.as_str() == "resist").unwrap();
    let ids = ["resist-euv", "resist-other"].map(|id| id.parse().unwrap());
    let shared = Notice::SharedWith(ids.iter().collect());
    assert_eq!(resist.notices, [Notice::Basket, shared, Notice::PartByThreshold]);
    let polyimide = touches(of(THREE)).find(|t| t.item.id.as_str() == "fluorinated-polyimide").unwrap();
    assert!(polyimide.notices.contains(&Notice::Unverified));
    let fluoride = touches(of(THREE)).find(|t| t.item.id.as_str() == "hydrogen-fluoride").unwrap();
    assert_eq!(fluoride.notices, [Notice::PartByThreshold]);
    // Announcement No. 18 of 2025: 3824999922 stands under targets, oxide and compounds.
    let rare: Vec<_> = touches(of("cn-rare-earths-2025-04")).collect();
    let shared = rare.iter().find(|t| t.listed.code.digits() == "3824999922").unwrap();
    let others = shared.notices.iter().find_map(|notice| match notice {
        Notice::SharedWith(others) => Some(others.iter().map(|id| id.as_str()).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(others.unwrap(), ["samarium-oxide", "samarium-compounds"]);
}

#[test]
fn a_timeline_is_sorted_and_tells_the_versions_apart() {
    let register = register();
    let all = timeline(&register, &Filter::default());
    assert!(all.windows(2).all(|pair| pair[0].when <= pair[1].when));
    let of_measures = register.measures().flat_map(|m| &m.claims).filter(|c| c.value.date().is_some());
    assert_eq!(all.len(), of_measures.count(), "no dated claim is lost");
    let filter = Filter {
        jurisdiction: Some(country("JP")),
        from: Some("2019-08-01".parse().unwrap()),
        to: Some("2019-08-31".parse().unwrap()),
        ..Filter::default()
    };
    let rows = timeline(&register, &filter);
    let in_force: Vec<_> = rows
        .iter()
        .filter(|row| row.claim.field.to_string() == "in-force")
        .map(|row| (row.when.to_string(), row.version, row.conflicting))
        .collect();
    let expected = [
        ("2019-08-07", Version::Conflicts),
        ("2019-08-28", Version::Shown),
        ("2019-08-28", Version::Agrees),
        ("2019-08-28", Version::Agrees),
    ];
    assert_eq!(in_force, expected.map(|(day, version)| (day.to_owned(), version, 1)));
    let resist = Filter { item: Some("hydrogen-fluoride".parse().unwrap()), ..Filter::default() };
    let fields: Vec<_> = timeline(&register, &resist).iter().map(|row| row.claim.field.to_string()).collect();
    assert!(!fields.contains(&"state.resist-special-bulk.from".to_owned()), "that state is of resist only");
}

#[test]
fn what_was_published_later_is_not_known_on_a_day() {
    let register = register();
    let known = register.known_on("2019-08-10".parse().unwrap());
    assert!(known.undated > 0);
    let list = known.register.measure(&"jp-kr-group-a".parse().unwrap()).unwrap();
    // KBS and NHK of 2019-08-07 announced the 28th; CISTEC's slide is of November.
    let claimed = list.claimed(&"in-force".parse().unwrap()).unwrap();
    assert_eq!(claimed.shown.value.to_string(), "2019-08-28");
    assert!(claimed.conflicting.is_empty());
    assert!(list.claimed(&"ended".parse().unwrap()).is_none());
    assert!(known.register.measure(&"cn-graphite-2023".parse().unwrap()).is_none());
    // Nobody had dated the individual licence in a primary text before METI did in November 2019.
    let three = known.register.measure(&THREE.parse().unwrap()).unwrap();
    assert!(three.claimed(&"in-force".parse().unwrap()).is_none());
}
