use std::collections::BTreeMap;

use hiwar_dialogue::entry::ActKind;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::json;

use super::line::{Writer, read};
use super::*;
use crate::commitment::due::AsOf;
use crate::meeting::form::MeetingStep;
use crate::meeting::{Attendance, Meeting};
use crate::scene::{Scene, code, parties, time};

fn addresses() -> BTreeMap<Code, Address> {
    BTreeMap::from([
        (code("KR"), "mailto:hydrogen@motie.example".parse().unwrap()),
        (code("JP"), "mailto:suiso@meti.example".parse().unwrap()),
    ])
}

fn meeting(status: &str, zone: &str) -> Meeting {
    let mut scene = Scene::at("2024-06-01T00:00:00.000Z");
    let id = scene.say("KR", ActKind::Meeting, None, json!({
        "title": { "en": "Hydrogen; dialogue, first\nround", "ko": "수소협력대화", "ja": "水素等協力対話", "ar": "حوار الهيدروجين" },
        "body": "directors", "status": status, "zone": zone, "place": { "en": "Seoul" }, "link": "https://meet.example/1",
        "starts": "2024-06-14T01:00:00.000Z", "ends": "2024-06-14T03:00:00.000Z",
        "agenda": [{ "id": "a1", "title": { "en": "Carbon intensity", "ko": "탄소집약도와 인증에 관한 작업반의 구성과 운영 방안" }, "submitter": "KR" }] }));
    scene.step("JP", id, json!({ "step": "counter", "sequence": 0, "starts": "2024-06-20T01:00:00.000Z", "ends": "2024-06-20T03:00:00.000Z" }));
    scene.fold(&parties(&["KR", "JP"], &[])).0.meetings.remove(&id).unwrap()
}

fn with_style<T>(language: Language, zoned: bool, write: impl FnOnce(&Style<'_>) -> T) -> T {
    let (parties, addresses) = (parties(&["KR", "JP"], &[]), addresses());
    let stamp = time("2024-06-02T00:00:00.000Z");
    write(&Style { language, parties: &parties, addresses: &addresses, stamp, zoned })
}

fn unfold(text: &str) -> String {
    text.replace("\r\n ", "")
}

#[test]
fn an_invitation_keeps_its_identifier_and_says_its_sequence() {
    let meeting = meeting("Actual", "Asia/Seoul");
    let text = unfold(&with_style(Language::Ko, true, |style| request(&meeting, style)));
    for line in [
        "METHOD:REQUEST",
        &format!("UID:{}", meeting.id),
        "SEQUENCE:0",
        "DTSTART;TZID=Asia/Seoul:20240614T100000",
        "DTEND;TZID=Asia/Seoul:20240614T120000",
        "SUMMARY;LANGUAGE=ko:수소협력대화",
        "COMMENT;LANGUAGE=en:Hydrogen\\; dialogue\\, first\\nround",
        "DESCRIPTION;LANGUAGE=ko:[a1] 탄소집약도와 인증에 관한 작업반의 구성과 운영 방안 (KR)",
        "ORGANIZER;CN=\"KR\":mailto:hydrogen@motie.example",
        "ATTENDEE;CN=\"JP\";CUTYPE=GROUP;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:suiso@meti.example",
        "TZOFFSETTO:+0900",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let utc = with_style(Language::En, false, |style| request(&meeting, style));
    assert!(utc.contains("DTSTART:20240614T010000Z\r\n") && !utc.contains("VTIMEZONE"));
}

#[test]
fn an_exercise_says_so_in_summary_and_category_in_every_language() {
    let meeting = meeting("Exercise", "Asia/Seoul");
    for (language, word) in
        [(Language::En, "EXERCISE"), (Language::Ko, "훈련"), (Language::Ja, "訓練"), (Language::Ar, "تمرين")]
    {
        let text = unfold(&with_style(language, true, |style| request(&meeting, style)));
        assert!(text.contains(&format!("SUMMARY;LANGUAGE={language}:[{word}] ")), "{text}");
        assert!(text.contains("CATEGORIES:EXERCISE\r\n"));
    }
}

/// RFC 5545, section 3.6.5: the change is told by the clock before it. Zurich's clocks went back on 27 October 2024 at
/// 03:00 summer time, and forward on 30 March 2025 at 02:00 (IANA time zone database, rules of the EU).
#[test]
fn a_zone_with_summer_time_names_its_changes() {
    let text = with_style(Language::En, true, |style| request(&meeting("Actual", "Europe/Zurich"), style));
    assert!(text.contains("DTSTART;TZID=Europe/Zurich:20240614T030000\r\n"));
    let standard = "BEGIN:STANDARD\r\nDTSTART:20241027T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nTZNAME:CET\r\nEND:STANDARD";
    let daylight = "BEGIN:DAYLIGHT\r\nDTSTART:20250330T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nTZNAME:CEST\r\nEND:DAYLIGHT";
    assert!(text.contains(standard) && text.contains(daylight), "{text}");
}

#[test]
fn our_own_answers_are_read_back() {
    let meeting = meeting("Actual", "Asia/Seoul");
    let (parties, addresses) = (parties(&["KR", "JP"], &[]), addresses());
    for (attendance, step) in [
        (Attendance::Accepted, MeetingStep::Accept { sequence: 0 }),
        (Attendance::Declined, MeetingStep::Decline { sequence: 0 }),
        (Attendance::Tentative, MeetingStep::Tentative { sequence: 0 }),
    ] {
        let text = with_style(Language::Ja, true, |style| reply(&meeting, &code("JP"), attendance, style));
        let read = read_reply(text.as_bytes(), &parties, &addresses).unwrap();
        assert_eq!(read, Reading { meeting: meeting.id, party: Some(code("JP")), step });
    }
    for zoned in [true, false] {
        let text = with_style(Language::Ja, zoned, |style| counter(&meeting, &meeting.counters[0], style));
        let read = read_reply(text.as_bytes(), &parties, &addresses).unwrap();
        let (starts, ends) = (meeting.counters[0].starts, meeting.counters[0].ends);
        assert_eq!(read.step, MeetingStep::Counter { sequence: 0, starts, ends });
    }
}

/// Shapes that calendar programs write: zones under names of their own, folded lines, quoted parameters, lengths
/// instead of ends, line feeds without carriage returns, a byte order mark.
#[test]
fn answers_of_other_programs_are_read() {
    let (parties, addresses) = (parties(&["KR", "JP"], &[]), addresses());
    let id = meeting("Actual", "Asia/Seoul").id;
    let windows = format!(
        "BEGIN:VCALENDAR\r\nMETHOD:COUNTER\r\nPRODID:Microsoft Exchange Server 2010\r\nVERSION:2.0\r\nBEGIN:VTIMEZONE\r\nTZID:Korea Standard Time\r\nBEGIN:STANDARD\r\nDTSTART:16010101T000000\r\nTZOFFSETFROM:+0900\r\nTZOFFSETTO:+0900\r\nEND:STANDARD\r\nBEGIN:DAYLIGHT\r\nDTSTART:16010101T000000\r\nTZOFFSETFROM:+0900\r\nTZOFFSETTO:+0900\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\nORGANIZER;CN=\"Desk, hydrogen\":mailto:hydrogen@motie.example\r\nATTENDEE;PARTSTAT=TENTATIVE;CN=\"a;b:c\":MAILTO:Suiso@METI.example\r\nUID:{id}\r\nDTSTART;TZID=Korea Standard Time:20240620T100000\r\nDTEND;TZID=\"Korea Standard Time\":20240620T12\r\n 0000\r\nSEQUENCE:0\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    );
    let read = read_reply(windows.as_bytes(), &parties, &addresses).unwrap();
    let (starts, ends) = (time("2024-06-20T01:00:00.000Z"), time("2024-06-20T03:00:00.000Z"));
    assert_eq!(read.step, MeetingStep::Counter { sequence: 0, starts, ends });
    assert_eq!(read.party, Some(code("JP")));
    let plain = format!(
        "\u{feff}begin:vcalendar\nversion:2.0\nmethod:counter\nbegin:vevent\nuid:{id}\ndtstart:20240620T010000Z\nduration:PT2H\nend:vevent\nend:vcalendar\n"
    );
    let read = read_reply(plain.as_bytes(), &parties, &addresses).unwrap();
    assert_eq!((read.party, read.step), (None, MeetingStep::Counter { sequence: 0, starts, ends }));
}

#[test]
fn what_is_no_answer_is_refused_with_the_reason() {
    let (parties, addresses) = (parties(&["KR", "JP"], &[]), addresses());
    let id = meeting("Actual", "Asia/Seoul").id;
    let event = |method: &str, lines: &str| {
        format!(
            "BEGIN:VCALENDAR\r\nMETHOD:{method}\r\nBEGIN:VEVENT\r\n{lines}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        )
    };
    let uid = format!("UID:{id}");
    let at = |start: &str, end: &str| format!("{uid}\r\nDTSTART{start}\r\nDTEND{end}");
    for (text, reason) in [
        ("hello".to_owned(), "line 1"),
        ("BEGIN:VCALENDAR\r\nEND:VEVENT\r\n".to_owned(), "line 2"),
        ("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n".to_owned(), "line 3"),
        (event("REQUEST", &uid), "\"REQUEST\""),
        (event("REPLY", &uid), "ATTENDEE"),
        (event("REPLY", &format!("{uid}\r\nATTENDEE;PARTSTAT=DELEGATED:mailto:a@b.example")), "PARTSTAT"),
        (event("REPLY", "UID:1@other.example\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:a@b.example"), "UID"),
        (event("REPLY", &format!("{uid}\r\n{uid}")), "UID"),
        (event("COUNTER", &format!("{uid}\r\nSEQUENCE:-1")), "SEQUENCE"),
        (event("COUNTER", &at(":20240620T010000", ":20240620T030000")), "DTSTART"),
        (event("COUNTER", &at(";VALUE=DATE:20240620", ";VALUE=DATE:20240621")), "DTSTART"),
        (event("COUNTER", &at(":20240620T010000Z", ":20240620T000000Z")), "DTEND"),
        (event("COUNTER", &at(":20240631T010000Z", ":20240701T000000Z")), "DTSTART"),
        (event("COUNTER", &at(";TZID=Mars:20240620T010000", ":20240620T030000Z")), "TZID"),
        (event("COUNTER", &format!("{uid}\r\nDTSTART:20240620T010000Z\r\nDURATION:-PT2H")), "DURATION"),
        (event("COUNTER", &format!("{uid}\r\nRRULE:FREQ=DAILY")), "RRULE"),
    ] {
        let error = read_reply(text.as_bytes(), &parties, &addresses).unwrap_err();
        assert!(error.to_string().contains(reason), "{error} does not speak of {reason}");
        for language in Language::ALL {
            assert!(!error.say(language).starts_with("calendar-"));
        }
    }
}

#[test]
fn a_commitment_is_completed_when_both_sides_say_so() {
    let parties = parties(&["KR", "JP"], &[]);
    let mut scene = Scene::at("2024-06-14T00:00:00.000Z");
    let id = scene.say(
        "KR",
        ActKind::Commitment,
        None,
        json!({ "owner": "KR", "desk": "hydrogen",
        "texts": { "en": "Share the list" }, "due": { "date": "2024-09-30" } }),
    );
    let zone = TimeZone::get("Asia/Seoul").unwrap();
    let mut lists = Vec::new();
    for step in [
        json!({ "step": "progress", "texts": { "en": "Half" }, "percent": 50 }),
        json!({ "step": "done" }),
        json!({ "step": "accept-done" }),
    ] {
        scene.step(if step["step"] == "accept-done" { "JP" } else { "KR" }, id, step);
        let commitments = scene.fold(&parties).0.commitments;
        let list: Vec<_> = commitments.values().collect();
        let of = AsOf { now: time("2024-10-01T00:00:00.000Z"), zone: &zone, events: &[], meetings: &[] };
        lists.push(unfold(&with_style(Language::En, true, |style| {
            to_do_list(&list, &code("JP"), &of, style)
        })));
    }
    // 30 September ends in Seoul at 15:00 UTC.
    assert!(lists[0].contains("DUE:20240930T145959Z\r\n"));
    for (list, lines) in lists.iter().zip([
        ["STATUS:IN-PROCESS", "PERCENT-COMPLETE:50", "PRIORITY:1"],
        ["STATUS:IN-PROCESS", "PERCENT-COMPLETE:50", "PRIORITY:0"],
        ["STATUS:COMPLETED", "PERCENT-COMPLETE:100", "COMPLETED:20240614T000400Z"],
    ]) {
        for line in lines {
            assert!(list.lines().any(|found| found == line), "{line} is not in\n{list}");
        }
    }
}

proptest! {
    /// Whatever a text is, no line has more than 75 octets, and it is read back without its control characters.
    #[test]
    fn lines_are_folded_and_no_character_is_divided(text in "\\PC{0,300}|[가-힣ء-ي\\\\;,\n\r😀]{0,200}") {
        let mut writer = Writer::default();
        writer.begin("VCALENDAR");
        writer.text("SUMMARY;LANGUAGE=ko", &text);
        writer.end("VCALENDAR");
        let written = writer.finish();
        for line in written.split("\r\n") {
            prop_assert!(line.len() <= 75 && !line.contains(['\r', '\n']), "{:?}", line);
        }
        let calendar = read(written.as_bytes()).unwrap();
        let value = &calendar.required("SUMMARY").unwrap().value;
        let mut plain = String::new();
        let mut chars = value.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => plain.push(match chars.next() { Some('n') => '\n', other => other.unwrap() }),
                c => plain.push(c),
            }
        }
        prop_assert_eq!(plain, text.replace('\r', ""));
    }
}
