//! Every time limit of the public texts that the templates are built from, with the date that its source names.

use crate::arrangement::sample::at;
use crate::arrangement::{Due, Span};
use crate::clock::rule::{due, zone};
use hiwar_trust::time::Timestamp;
use jiff::civil::{Date, date};

const PLAIN: (bool, bool) = (false, false);
const WHOLE: (bool, bool) = (true, false);
const WORKING: (bool, bool) = (true, true);

/// Start, span, how it is counted, zone, holidays, last moment in local time, what the row is about.
type Row<'a> = (&'a str, &'a str, (bool, bool), &'a str, &'a [Date], String, &'a str);

/// The last moment that is in time, in local time of the zone.
fn last(
    start: &str,
    within: &str,
    (to_end_of_day, working_days): (bool, bool),
    name: &str,
    off: &[Date],
) -> String {
    let zone = zone(name).unwrap();
    let within: Span = within.parse().unwrap();
    let rule = Due { within, to_end_of_day, working_days };
    let start = if start.ends_with('Z') {
        at(start)
    } else {
        let local: jiff::civil::DateTime = start.parse().unwrap();
        Timestamp::from_millis(zone.to_timestamp(local).unwrap().as_millisecond())
    };
    let due = due(&rule, start, &zone, |day| off.contains(&day));
    zone.to_datetime(jiff::Timestamp::from_millisecond(due.as_millis()).unwrap()).to_string()
}

#[test]
fn time_limits_end_when_their_sources_say() {
    // Holidays of Japan in May 2024 and of Korea in September 2024 (Chuseok).
    let spring = [date(2024, 5, 3), date(2024, 5, 4), date(2024, 5, 5), date(2024, 5, 6)];
    let chuseok = [date(2024, 9, 16), date(2024, 9, 17), date(2024, 9, 18)];
    let end = "23:59:59.999";
    #[rustfmt::skip]
    let table: &[Row<'_>] = &[
        // IPEF Supply Chain Agreement, in force 2024-02-24: members by 03-25, chairs by 04-24, terms of reference and
        // critical goods by 06-23, guidelines by 08-22. Source: US Department of Commerce, by Export Compliance Daily
        // 2024-02-01.
        ("2024-02-24T00:00:00", "30 d", WHOLE, "Etc/UTC", &[], format!("2024-03-25T{end}"), "IPEF members"),
        ("2024-02-24T00:00:00", "60 d", WHOLE, "Etc/UTC", &[], format!("2024-04-24T{end}"), "IPEF chairs"),
        ("2024-02-24T00:00:00", "120 d", WHOLE, "Etc/UTC", &[], format!("2024-06-23T{end}"), "IPEF terms"),
        ("2024-02-24T00:00:00", "180 d", WHOLE, "Etc/UTC", &[], format!("2024-08-22T{end}"), "IPEF guidelines"),
        ("2024-02-24T15:30:00", "120 d", WHOLE, "Asia/Seoul", &[], format!("2024-06-23T{end}"), "IPEF critical goods"),
        // IPEF, Article 12(1): no later than 15 days after the date of the request. The last day is a holiday here
        // and stays. Dates: the 15th day after 2024-04-20 is 2024-05-05, after 2024-09-02 it is 2024-09-17.
        ("2024-04-20T10:00:00", "15 d", WHOLE, "Asia/Tokyo", &spring, format!("2024-05-05T{end}"), "IPEF meeting JST"),
        ("2024-09-02T23:59:00", "15 d", WHOLE, "Asia/Seoul", &chuseok, format!("2024-09-17T{end}"), "IPEF meeting KST"),
        // The same moment of a request is another date west of Seoul, and so may be the last day.
        ("2024-09-02T14:59:00.000Z", "15 d", WHOLE, "Asia/Seoul", &[], format!("2024-09-17T{end}"), "23:59 KST"),
        ("2024-09-02T15:01:00.000Z", "15 d", WHOLE, "Asia/Seoul", &[], format!("2024-09-18T{end}"), "00:01 KST"),
        ("2024-09-02T15:01:00.000Z", "15 d", WHOLE, "Etc/UTC", &[], format!("2024-09-17T{end}"), "the same in UTC"),
        // Implementing Regulation (EU) 2019/1715, Article 17(1) and (3): 48 and 24 hours. Counted by Regulation
        // 1182/71, Article 3(1): the hour of the event is not counted.
        ("2024-03-04T10:20:00", "48 h", WHOLE, "Europe/Brussels", &[], "2024-03-06T10:59:59.999".into(), "RASFF alert"),
        ("2024-03-06T09:00:00", "24 h", WHOLE, "Europe/Brussels", &[], "2024-03-07T09:59:59.999".into(), "RASFF forward"),
        ("2024-03-04T10:20:00", "48 h", PLAIN, "Europe/Brussels", &[], "2024-03-06T10:20:00".into(), "plain hours"),
        // Hours pass over a weekend and over the change of clocks (2024-03-31 02:00 to 03:00).
        ("2024-03-30T10:20:00", "48 h", PLAIN, "Europe/Brussels", &[], "2024-04-01T11:20:00".into(), "48 h over the change"),
        // WTO, G/L/59/Rev.1, paragraph 1: changes not later than six months from entry into force; complete
        // notifications by 30 September 2012 and at two-yearly intervals.
        ("2019-08-28T00:00:00", "6 months", WHOLE, "Europe/Zurich", &[], format!("2020-02-28T{end}"), "WTO QR change"),
        ("2023-08-31T00:00:00", "6 months", WHOLE, "Europe/Zurich", &[], format!("2024-02-29T{end}"), "WTO QR, month end"),
        ("2012-09-30T12:00:00", "24 months", WHOLE, "Europe/Zurich", &[], format!("2014-09-30T{end}"), "WTO QR complete"),
        ("2012-09-30T12:00:00", "48 months", WHOLE, "Asia/Seoul", &[], format!("2016-09-30T{end}"), "Korea's second"),
        // METI, 2019: announced 07-01, comments until 07-24; promulgated 08-07, in force 21 days later, 08-28 (Baker
        // McKenzie, NHK, KBS).
        ("2019-07-01T10:00:00", "23 d", WHOLE, "Asia/Tokyo", &[], format!("2019-07-24T{end}"), "METI comments"),
        ("2019-08-07T00:00:00", "21 d", WHOLE, "Asia/Tokyo", &[], format!("2019-08-28T{end}"), "METI promulgation"),
        // The same in 2023: comments 04-28 to 05-31; promulgated 06-30, in force 07-21 (Baker McKenzie).
        ("2023-04-28T00:00:00", "33 d", WHOLE, "Asia/Tokyo", &[], format!("2023-05-31T{end}"), "METI comments 2023"),
        ("2023-06-30T00:00:00", "21 d", WHOLE, "Asia/Tokyo", &[], format!("2023-07-21T{end}"), "METI promulgation 2023"),
        // Individual licences for three items, 2019-07-04: up to about 90 days (Yomiuri).
        ("2019-07-04T00:00:00", "90 d", WHOLE, "Asia/Tokyo", &[], format!("2019-10-02T{end}"), "METI review"),
        // Regulation 1182/71, Article 3(4): a last day that is a Saturday, Sunday or holiday moves. 2024-05-04 was a
        // Saturday, 2024-05-01 a holiday in Belgium.
        ("2024-04-19T10:00:00", "15 d", WORKING, "Europe/Brussels", &[], format!("2024-05-06T{end}"), "over a weekend"),
        ("2024-04-16T10:00:00", "15 d", WORKING, "Europe/Brussels", &[date(2024, 5, 1)], format!("2024-05-02T{end}"), "holiday"),
        ("2024-04-15T10:00:00", "15 d", WORKING, "Europe/Brussels", &[date(2024, 5, 1)], format!("2024-04-30T{end}"), "no move"),
    ];
    for (start, within, how, zone, off, expected, source) in table {
        assert_eq!(last(start, within, *how, zone, off), *expected, "{source}");
    }
}

/// Source: Regulation 1182/71, Article 3(2)(c), and the same rule in the Draft Common Frame of Reference, I.-1:110.
#[test]
fn months_end_on_the_same_date_or_the_last_one() {
    #[rustfmt::skip]
    let table = [
        ("2023-01-31T09:00:00", "1 month", "2023-02-28T09:00:00"),
        ("2024-01-31T09:00:00", "1 month", "2024-02-29T09:00:00"),
        ("2024-02-29T09:00:00", "12 months", "2025-02-28T09:00:00"),
        ("2024-02-29T09:00:00", "48 months", "2028-02-29T09:00:00"),
        ("2024-02-29T09:00:00", "1 month", "2024-03-29T09:00:00"),
        ("2024-12-31T09:00:00", "2 months", "2025-02-28T09:00:00"),
        ("2024-02-28T09:00:00", "1 d", "2024-02-29T09:00:00"),
        ("2023-02-28T09:00:00", "1 d", "2023-03-01T09:00:00"),
    ];
    for (start, within, expected) in table {
        assert_eq!(last(start, within, PLAIN, "Asia/Seoul", &[]), expected, "{start} {within}");
    }
}

/// Source: IANA time zone database: Europe/Brussels skips 2024-03-31 02:00 to 03:00 and repeats 2024-10-27 02:00 to
/// 03:00; Asia/Beirut skipped 2022-03-27 00:00 to 01:00.
#[test]
fn a_change_of_clocks_moves_no_date() {
    let brussels = "Europe/Brussels";
    // A local time that is skipped becomes the change itself; the end of the day is the end of the day.
    assert_eq!(last("2024-03-30T02:30:00", "1 d", PLAIN, brussels, &[]), "2024-03-31T03:00:00");
    assert_eq!(last("2024-03-30T01:59:00", "1 d", PLAIN, brussels, &[]), "2024-03-31T01:59:00");
    assert_eq!(last("2024-03-30T03:10:00", "1 d", PLAIN, brussels, &[]), "2024-03-31T03:10:00");
    assert_eq!(last("2024-03-30T02:30:00", "1 d", WHOLE, brussels, &[]), "2024-03-31T23:59:59.999");
    assert_eq!(last("2022-03-26T12:00:00", "1 d", WHOLE, "Asia/Beirut", &[]), "2022-03-27T23:59:59.999");
    assert_eq!(last("2022-03-25T12:00:00", "1 d", WHOLE, "Asia/Beirut", &[]), "2022-03-26T23:59:59.999");
    // Of a repeated hour the first pass is meant; a start in its second pass counts as its end.
    assert_eq!(last("2024-10-26T02:30:00", "1 d", PLAIN, brussels, &[]), "2024-10-27T02:30:00");
    assert_eq!(last("2024-10-27T00:30:00.000Z", "1 d", PLAIN, brussels, &[]), "2024-10-28T02:30:00");
    assert_eq!(last("2024-10-27T01:30:00.000Z", "1 d", PLAIN, brussels, &[]), "2024-10-28T03:00:00");
    assert_eq!(last("2024-10-27T02:00:00.000Z", "1 d", PLAIN, brussels, &[]), "2024-10-28T03:00:00");
}

#[test]
fn what_lies_beyond_the_last_time_is_due_then() {
    let zone = zone("Asia/Seoul").unwrap();
    for within in [Span::Hours(10_000), Span::Days(10_000), Span::Months(10_000)] {
        for to_end_of_day in [false, true] {
            let rule = Due { within, to_end_of_day, working_days: to_end_of_day };
            let found = due(&rule, Timestamp::MAX, &zone, |_| true);
            assert!(found.as_millis() >= Timestamp::MAX.as_millis() - 1, "{within} {to_end_of_day} {found}");
            assert!(due(&rule, Timestamp::MIN, &zone, |_| true) > Timestamp::MIN, "{within}");
        }
    }
}
