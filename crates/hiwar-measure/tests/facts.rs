//! Every dated fact of the cited record of Japan's export control towards Korea, 2019 to 2023, and of
//! the items, codes and thresholds beside it, against the data that the project ships.
#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on fails")]

use hiwar_measure::claim::{Checked, Claimed};
use hiwar_measure::code::Listed;
use hiwar_measure::{ControlCode, Decimal, Field, Item, Measure, Register, TariffCode, document, shipped};

fn register() -> Register {
    Register::new(shipped::measures().unwrap()).unwrap()
}

fn measure<'r>(register: &'r Register, id: &str) -> &'r Measure {
    register.measure(&id.parse().unwrap()).unwrap()
}

fn claimed<'m>(measure: &'m Measure, field: &str) -> Claimed<'m> {
    measure.claimed(&field.parse::<Field>().unwrap()).unwrap()
}

/// Measure, field, what is shown, who published it.
const DATED: &[(&str, &str, &str, &str)] = &[
    ("jp-kr-three-materials", "announced", "2019-07-01", "Baker McKenzie"),
    ("jp-kr-three-materials", "in-force", "2019-07-04", "METI, Japan"),
    ("jp-kr-three-materials", "state.bulk.from", "2004", "BusinessLIVE"),
    ("jp-kr-three-materials", "state.individual.from", "2019-07-04", "METI, Japan"),
    ("jp-kr-three-materials", "event.first-resist-permit", "2019-08-07", "The Dong-A Ilbo"),
    ("jp-kr-three-materials", "event.first-resist-permit-announced", "2019-08-08", "NNA, Kyodo"),
    ("jp-kr-three-materials", "event.first-gas-permit", "2019-08-29", "The Korea Post, Yonhap"),
    ("jp-kr-three-materials", "event.first-liquid-permit-reported", "2019-11-16", "Arirang"),
    ("jp-kr-three-materials", "state.resist-special-bulk.from", "2019-12-20", "Yonhap"),
    ("jp-kr-three-materials", "event.ninth-dialogue", "2023-03-14", "METI, Japan"),
    ("jp-kr-three-materials", "event.return-decided", "2023-03-16", "METI, Japan"),
    ("jp-kr-three-materials", "state.special-general-bulk.from", "2023-03-23", "Sankei Shimbun"),
    ("jp-kr-three-materials", "ended", "2023-03-23", "Sankei Shimbun"),
    ("jp-kr-group-a", "announced", "2019-07-01", "Baker McKenzie"),
    ("jp-kr-group-a", "event.comments-open", "2019-07-01", "Baker McKenzie"),
    ("jp-kr-group-a", "event.comments-close", "2019-07-24", "Mynavi News"),
    ("jp-kr-group-a", "event.cabinet", "2019-08-02", "NHK, by Teller Report"),
    ("jp-kr-group-a", "promulgated", "2019-08-07", "KBS"),
    ("jp-kr-group-a", "in-force", "2019-08-28", "KBS"),
    ("jp-kr-group-a", "state.group-b.from", "2019-08-28", "NHK, by Teller Report"),
    ("jp-kr-group-a", "event.reversal-opened", "2023-04-28", "News Directory 3"),
    ("jp-kr-group-a", "event.reversal-comments-close", "2023-05-31", "News Directory 3"),
    ("jp-kr-group-a", "event.reversal-cabinet", "2023-06-27", "The Korea Herald"),
    ("jp-kr-group-a", "event.reversal-promulgated", "2023-06-30", "Baker McKenzie"),
    ("jp-kr-group-a", "state.group-a-again.from", "2023-07-21", "The Korea Herald"),
    ("jp-kr-group-a", "ended", "2023-07-21", "The Korea Herald"),
    ("kr-jp-group-ga", "announced", "2019-08-12", "METI, Japan"),
    ("kr-jp-group-ga", "in-force", "2019-09-18", "The Dong-A Ilbo"),
    ("kr-jp-group-ga", "state.ga-2.from", "2019-09-18", "News Rebeat"),
    ("kr-jp-group-ga", "state.ga.from", "2023-04-24", "Kim & Chang"),
    ("kr-jp-group-ga", "ended", "2023-04-24", "Kim & Chang"),
    ("wto-ds590", "event.consultations-requested", "2019-09-11", "METI, Japan"),
    ("wto-ds590", "event.request-circulated", "2019-09-16", "WTO"),
    ("wto-ds590", "event.eu-asks-to-join", "2019-09-26", "WTO"),
    ("wto-ds590", "event.eu-request-circulated", "2019-09-30", "WTO"),
    ("wto-ds590", "event.first-consultation", "2019-10-11", "METI, Japan"),
    ("wto-ds590", "event.second-consultation", "2019-11-19", "METI, Japan"),
    ("wto-ds590", "event.suspended", "2019-11-22", "Jiji Press"),
    ("wto-ds590", "event.seventh-dialogue", "2019-12", "Jiji Press"),
    ("wto-ds590", "event.eighth-dialogue", "2020-03-10", "Jiji Press"),
    ("wto-ds590", "event.panel-established", "2020-07-29", "The Associated Press"),
    ("wto-ds590", "event.withdrawal-promised", "2023-03-16", "METI, Japan"),
    ("cn-urea-2021", "promulgated", "2021-10-11", "Beijing Yiweihe Customs Clearance"),
    ("cn-urea-2021", "in-force", "2021-10-15", "Beijing Yiweihe Customs Clearance"),
    ("cn-gallium-germanium-2023", "promulgated", "2023-07-03", "SZFM Metal"),
    ("cn-gallium-germanium-2023", "in-force", "2023-08-01", "Deloitte"),
    ("cn-graphite-2023", "announced", "2023-10-20", "Xinhua"),
    ("cn-graphite-2023", "in-force", "2023-12-01", "Xinhua"),
    ("cn-graphite-2023", "state.temporary.from", "2006", "IEA"),
    ("cn-rare-earths-2025-04", "promulgated", "2025-04-04", "Websnapshot"),
    ("cn-rare-earths-2025-04", "in-force", "2025-04-04", "CKHQ"),
    ("cn-rare-earths-2025-10", "announced", "2025-10-09", "ChemRadar"),
    ("cn-rare-earths-2025-10", "state.suspended.from", "2025-11-07", "ChemRadar"),
    ("cn-rare-earths-2025-10", "state.suspended.until", "2026-11-10", "ChemRadar"),
    ("cn-foreign-rare-earths-2025", "announced", "2025-10-09", "SS College"),
    ("cn-foreign-rare-earths-2025", "event.value-rule-planned", "2025-12-01", "ChemRadar"),
];

#[test]
fn every_dated_fact_is_shown_with_its_source() {
    let register = register();
    for (id, field, value, publisher) in DATED {
        let shown = claimed(measure(&register, id), field).shown;
        assert_eq!(shown.value.to_string(), *value, "{id} {field}");
        assert_eq!(shown.source.publisher, *publisher, "{id} {field}");
        assert_ne!(shown.source.checked, Checked::Unverified, "{id} {field}: nothing unchecked is asserted");
    }
}

/// Facts that are no dates: measure, field, value, publisher.
const OTHER: &[(&str, &str, &str, &str)] = &[
    ("jp-kr-three-materials", "fact.filing", "At the head office of METI only", "Baker McKenzie"),
    ("jp-kr-three-materials", "fact.review", "90 days at most", "NNA, Kyodo"),
    ("jp-kr-three-materials", "fact.approvals-by-2019-09-30", "5 approvals", "Yonhap"),
    ("jp-kr-three-materials", "fact.hydrogen-fluoride-exports-2019-07", "479 t", "BusinessKorea"),
    (
        "jp-kr-three-materials",
        "fact.hydrogen-fluoride-exports-2019-07-change",
        "-83.7 % against the month before",
        "BusinessKorea",
    ),
    ("jp-kr-three-materials", "fact.hydrogen-fluoride-value-2019-07", "400.97 million yen", "BusinessKorea"),
    ("jp-kr-three-materials", "fact.hydrogen-fluoride-value-2019-07-change", "-32.6 %", "BusinessKorea"),
    ("jp-kr-group-a", "fact.goods", "1120 goods, about", "Taiwan News"),
    ("jp-kr-group-a", "fact.states-on-the-list-before", "27 states", "Taiwan News"),
    ("jp-kr-group-a", "fact.states-on-the-list-after", "26 states", "Taiwan News"),
    ("kr-jp-group-ga", "fact.states-in-a1", "28 states", "The Dong-A Ilbo"),
    ("kr-jp-group-ga", "fact.states-in-ga-after", "29 states", "News Rebeat"),
    ("kr-jp-group-ga", "fact.review-in-ga-2", "15 days", "News Rebeat"),
    ("kr-jp-group-ga", "fact.review-in-ga", "5 days", "News Rebeat"),
    ("kr-jp-group-ga", "fact.papers-in-ga-2", "5 documents", "News Rebeat"),
    ("kr-jp-group-ga", "fact.papers-in-ga", "3 documents", "News Rebeat"),
    ("cn-urea-2021", "fact.codes", "29 ten-digit codes", "Beijing Yiweihe Customs Clearance"),
    ("cn-gallium-germanium-2023", "fact.items", "14 items", "Deloitte"),
    ("cn-gallium-germanium-2023", "fact.documents", "5 documents", "Deloitte"),
    ("cn-graphite-2023", "fact.instrument", "Announcement No. 39 of 2023", "Juxing Carbon"),
    ("cn-rare-earths-2025-04", "fact.elements", "7 elements", "Websnapshot"),
    ("cn-rare-earths-2025-10", "fact.announcements-of-the-day", "6 announcements", "Pillsbury"),
    ("cn-foreign-rare-earths-2025", "fact.value-share", "0.1 % of value", "SS College"),
];

#[test]
fn every_other_fact_is_shown_with_its_source() {
    let register = register();
    for (id, field, value, publisher) in OTHER {
        let shown = claimed(measure(&register, id), field).shown;
        assert_eq!(shown.value.to_string(), *value, "{id} {field}");
        assert_eq!(shown.source.publisher, *publisher, "{id} {field}");
    }
}

/// Measure, field, what is shown, what contradicts it and who says so.
const CONFLICTING: &[(&str, &str, &str, &str, &str)] = &[
    ("jp-kr-group-a", "in-force", "2019-08-28", "2019-08-07", "CISTEC"),
    ("jp-kr-group-a", "state.group-b.from", "2019-08-28", "2019-08-07", "CISTEC"),
    ("cn-graphite-2023", "in-force", "2023-12-01", "2024-12-12", "Not named"),
];

#[test]
fn contradicting_dates_stand_side_by_side() {
    let register = register();
    for (id, field, shown, other, publisher) in CONFLICTING {
        let claimed = claimed(measure(&register, id), field);
        assert_eq!(claimed.shown.value.to_string(), *shown, "{id} {field}");
        let found = claimed.conflicting.iter().map(|c| (c.value.to_string(), c.source.publisher.as_str()));
        assert_eq!(found.collect::<Vec<_>>(), [((*other).to_owned(), *publisher)], "{id} {field}");
    }
}

#[test]
fn both_governments_versions_of_the_hydrogen_fluoride_approvals_stand_side_by_side() {
    // METI's release of 2019-09-27 and Korea's statement of 2019-10-01, both as Trade Law Daily reports them.
    let register = register();
    let claimed = claimed(measure(&register, "jp-kr-three-materials"), "fact.hydrogen-fluoride-approvals");
    let parties = |claim: &hiwar_measure::Claim| claim.party.unwrap().to_string();
    assert_eq!(parties(claimed.shown), "JP");
    assert_eq!(claimed.conflicting.len(), 1);
    assert_eq!(parties(claimed.conflicting[0]), "KR");
    assert!(claimed.conflicting[0].value.to_string().contains("Not a single export approval"));
}

#[test]
fn a_primary_source_is_shown_although_another_one_was_published_before_it() {
    let register = register();
    let claimed = claimed(measure(&register, "jp-kr-three-materials"), "fact.licence-before-2019-07");
    assert_eq!(claimed.shown.source.publisher, "METI, Japan");
    assert_eq!(claimed.conflicting[0].source.publisher, "CISTEC", "published 2019, METI's in 2023");
}

fn item<'m>(measure: &'m Measure, id: &str) -> &'m Item {
    measure.item(&id.parse().unwrap()).unwrap()
}

fn tariff(item: &Item) -> Vec<String> {
    item.tariff_codes.iter().map(|listed: &Listed<TariffCode>| listed.code.digits().to_owned()).collect()
}

fn control(item: &Item) -> Vec<(String, Checked)> {
    item.control_codes.iter().map(|l: &Listed<ControlCode>| (l.code.code.clone(), l.checked)).collect()
}

#[test]
fn the_three_items_of_2019_have_their_codes_and_thresholds() {
    let register = register();
    let measure = measure(&register, "jp-kr-three-materials");
    // Item, customs codes, Japan's list, thresholds, separable in statistics.
    for (id, codes, list, bounds, separable) in [
        ("hydrogen-fluoride", vec!["281111000"], "3(1)", "concentration > 30 % by weight", true),
        (
            "fluorinated-polyimide",
            vec!["391190", "392099"],
            "5(17)",
            "combined-fluorine >= 10 % by weight",
            false,
        ),
        ("resist", vec!["370790"], "7(19)", "wavelength >= 15 < 245 nm", false),
    ] {
        let item = item(measure, id);
        assert_eq!(tariff(item), codes, "{id}");
        assert_eq!(control(item)[0], (list.to_owned(), Checked::Secondary), "{id}");
        assert_eq!(item.thresholds[0].to_string(), bounds, "{id}");
        assert_eq!(item.separable_in_statistics, separable, "{id}");
    }
    let resist = item(measure, "resist");
    assert_eq!(control(resist)[2], ("3C002.a.1".to_owned(), Checked::Secondary));
    // controllistsearchtool.com, 3C002: a.2 less than 15 nm but greater than 1 nm; b, d and e without wavelengths.
    let short = item(measure, "resist-euv");
    assert_eq!(short.thresholds[0].to_string(), "wavelength > 1 < 15 nm");
    let other: Vec<_> = control(item(measure, "resist-other")).into_iter().map(|(code, _)| code).collect();
    assert_eq!(other, ["7(19)", "3C002.b", "3C002.d", "3C002.e"]);
    assert_eq!(item(measure, "hydrogen-fluoride").cas.as_ref().unwrap().as_str(), "7664-39-3");
}

#[test]
fn what_nobody_checked_is_marked_so() {
    let register = register();
    let measure = measure(&register, "jp-kr-three-materials");
    for (id, code) in [("hydrogen-fluoride", "1C350"), ("fluorinated-polyimide", "1C009.b")] {
        assert!(control(item(measure, id)).contains(&(code.to_owned(), Checked::Unverified)), "{id}");
    }
    let codes = &item(measure, "fluorinated-polyimide").tariff_codes;
    assert!(codes.iter().all(|listed| listed.checked == Checked::Unverified));
}

#[test]
fn the_chinese_items_have_their_codes_and_thresholds() {
    let register = register();
    let gallium = measure(&register, "cn-gallium-germanium-2023");
    assert_eq!(gallium.items.len(), 14, "Deloitte: 14 items");
    let named = |start: &str| gallium.items.iter().filter(|item| item.id.as_str().contains(start)).count();
    assert_eq!((named("gallium"), named("germanium")), (8, 6), "Deloitte: 8 and 6");
    // Announcement No. 23 of 2023.
    assert_eq!(tariff(item(gallium, "gallium")), ["8112929010", "8112929090", "8112999000"]);
    assert_eq!(tariff(item(gallium, "gallium-nitride")), ["2850001901", "3818009001", "3825690001"]);
    assert!(tariff(item(gallium, "germanium-tetrachloride")).is_empty(), "not known, not invented");

    // Announcement No. 39 of 2023.
    let graphite = measure(&register, "cn-graphite-2023");
    assert_eq!(tariff(item(graphite, "artificial-graphite")), ["3801100030", "3801909010", "6815190020"]);
    let flake = ["2504101000", "2504109100", "3801901000", "3801909010", "3824999940", "6815190020"];
    assert_eq!(tariff(item(graphite, "flake-graphite")), flake);
    let bounds = &item(graphite, "artificial-graphite").thresholds;
    for (index, inside, outside) in [(0, "99.95", "99.9"), (1, "30.1", "30"), (2, "1.74", "1.73")] {
        assert!(bounds[index].holds(inside.parse::<Decimal>().unwrap()), "{}", bounds[index]);
        assert!(!bounds[index].holds(outside.parse::<Decimal>().unwrap()), "{}", bounds[index]);
    }

    // Announcement No. 18 of 2025: one code for several entries of the control list.
    let rare = measure(&register, "cn-rare-earths-2025-04");
    assert_eq!(tariff(item(rare, "samarium-metal")), ["2805301910"]);
    assert_eq!(tariff(item(rare, "samarium-targets")), ["3824999922", "8486909110"]);
    assert_eq!(tariff(item(rare, "samarium-oxide")), ["2846901940", "2846901993", "3824999922"]);
    assert_eq!(control(item(rare, "samarium-oxide"))[0].0, "1C902.b");

    // Announcement No. 61 of 2025: 0.1 % or more of the value.
    let abroad = measure(&register, "cn-foreign-rare-earths-2025");
    let share = &item(abroad, "foreign-made-with-content").thresholds[0];
    assert!(share.holds("0.1".parse().unwrap()) && !share.holds("0.09".parse().unwrap()));

    // Announcement No. 81 of 2021: 29 codes, of which only that of urea is known.
    let urea = measure(&register, "cn-urea-2021");
    assert_eq!(urea.kind.as_str(), "slow-down", "an inspection, no ban");
    assert_eq!(tariff(item(urea, "urea")), ["310210"]);
    assert!(tariff(item(urea, "other-fertilisers")).is_empty());
}

#[test]
fn shipped_documents_are_written_as_they_stand_in_the_files() {
    let measures = shipped::measures().unwrap();
    for ((name, text), measure) in shipped::FILES.iter().zip(&measures) {
        assert_eq!(document::write(measure), *text, "{name}");
        assert_eq!(format!("{}.json", measure.id), *name);
    }
}

#[test]
fn every_claim_of_a_shipped_document_can_be_traced() {
    for measure in shipped::measures().unwrap() {
        for claim in &measure.claims {
            let source = &claim.source;
            assert!(
                !source.title.is_empty() && !source.publisher.is_empty(),
                "{} {}",
                measure.id,
                claim.field
            );
        }
    }
}
