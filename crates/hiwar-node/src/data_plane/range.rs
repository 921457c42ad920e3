//! Range requests (RFC 9110 section 14) and the conditions of a request (section 13).

use std::ops::Range;

use http::header::{self, HeaderMap, HeaderName};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Everything.
    Whole,
    /// A part of it.
    Part(Range<u64>),
    /// A part that does not exist: 416.
    Nothing,
    /// Nothing, for the asker has it already: 304.
    Held,
    /// Another version: 412.
    OtherVersion,
}

/// What a request asks for of content with this size and strong entity tag.
///
/// One range is answered. Several, or what cannot be read, are ignored as the standard allows, and
/// everything is sent. A date in `If-Range` is never a strong validator here, so everything is sent.
pub(super) fn asked(headers: &HeaderMap, size: u64, etag: &str) -> Asked {
    if text(headers, &header::IF_MATCH).is_some_and(|tags| !lists(tags, etag, false)) {
        return Asked::OtherVersion;
    }
    if text(headers, &header::IF_NONE_MATCH).is_some_and(|tags| lists(tags, etag, true)) {
        return Asked::Held;
    }
    if text(headers, &header::IF_RANGE).is_some_and(|tag| tag.trim() != etag) {
        return Asked::Whole;
    }
    text(headers, &header::RANGE).and_then(|range| part(range, size)).unwrap_or(Asked::Whole)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

fn lists(tags: &str, etag: &str, weak: bool) -> bool {
    tags.split(',').map(str::trim).any(|tag| {
        let tag = if weak { tag.strip_prefix("W/").unwrap_or(tag) } else { tag };
        tag == "*" || tag == etag
    })
}

fn part(range: &str, size: u64) -> Option<Asked> {
    let (unit, set) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    let number = |text: &str| {
        // A number too large for 64 bits is beyond every end.
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let asked = match (first.is_empty(), last.is_empty()) {
        (true, true) => return None,
        (true, false) => size.saturating_sub(number(last)?)..size,
        (false, true) => number(first)?..size,
        (false, false) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(size)
        }
    };
    Some(if asked.start < asked.end { Asked::Part(asked) } else { Asked::Nothing })
}

/// Reads `bytes FIRST-LAST/SIZE`, a `Content-Range`; the size is absent for `*`.
pub(super) fn content_range(value: &str) -> Option<(Range<u64>, Option<u64>)> {
    let (range, size) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let size = match size.trim() {
        "*" => None,
        size => Some(size.parse().ok()?),
    };
    let end = last.checked_add(1)?;
    (first < end && size.is_none_or(|size| end <= size)).then_some((first..end, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(pairs: &[(&'static str, &str)]) -> Asked {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        asked(&headers, 100, "\"e\"")
    }

    /// Cases of RFC 9110 section 14.1.2, for a representation of 100 bytes.
    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (range, expected) in [
            ("bytes=0-49", Asked::Part(0..50)),
            ("bytes=50-", Asked::Part(50..100)),
            ("bytes=-30", Asked::Part(70..100)),
            ("bytes=-300", Asked::Part(0..100)),
            ("bytes=99-99", Asked::Part(99..100)),
            ("bytes=90-1000", Asked::Part(90..100)),
            ("bytes=0-99999999999999999999999", Asked::Part(0..100)),
            ("Bytes=0-0", Asked::Part(0..1)),
            ("bytes=100-", Asked::Nothing),
            ("bytes=99999999999999999999999-", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=5-4", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
            ("bytes=0-1,5-6", Asked::Whole),
            ("lines=0-1", Asked::Whole),
            ("", Asked::Whole),
        ] {
            assert_eq!(ask(&[("range", range)]), expected, "{range}");
        }
        let nothing = asked(&HeaderMap::new(), 0, "\"e\"");
        assert_eq!(nothing, Asked::Whole);
    }

    #[test]
    fn a_range_of_another_version_brings_everything() {
        let range = ("range", "bytes=10-");
        assert_eq!(ask(&[range, ("if-range", "\"e\"")]), Asked::Part(10..100));
        for tag in ["\"other\"", "W/\"e\"", "Tue, 15 Nov 1994 08:12:31 GMT", "*"] {
            assert_eq!(ask(&[range, ("if-range", tag)]), Asked::Whole, "{tag}");
        }
        assert_eq!(ask(&[("if-match", "\"a\", \"b\"")]), Asked::OtherVersion);
        assert_eq!(ask(&[("if-match", "\"a\", \"e\"")]), Asked::Whole);
        assert_eq!(ask(&[("if-none-match", "W/\"e\"")]), Asked::Held);
    }

    #[test]
    fn a_content_range_reads_back() {
        assert_eq!(content_range("bytes 0-9/10"), Some((0..10, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5..10, None)));
        for bad in ["bytes */10", "bytes 9-5/10", "bytes 0-10/10", "bytes 0-18446744073709551615/*", "0-9/10"]
        {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
