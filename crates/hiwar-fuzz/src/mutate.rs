//! Turns valid inputs into almost valid ones.

use crate::random::Random;

/// The longest input made, in bytes, unless the input it is made of is longer already.
pub const INPUT_BYTES_MAX: usize = 16 * 1024;

/// Pieces that mean something to one parser or another.
const DICTIONARY: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"{}",
    b"[]",
    b",",
    b":",
    b"\"",
    b"\"\"",
    b"null",
    b"true",
    b"false",
    b"0",
    b"-0",
    b"-1",
    b"1e309",
    b"1e21",
    b"1.0",
    b"0.1",
    b"5e-324",
    b"9007199254740991",
    b"9007199254740993",
    b"18446744073709551615",
    b"18446744073709551616",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"4294967296",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00",
    b"\\ud83d\\ude00",
    b"\\u2028",
    b"\\/",
    b"\\\"",
    b"\\\\",
    b"\xf0\x9f\x98\x80",
    b"\xc3\xa9",
    b"\xe2\x80\x94 ",
    b"\xe2\x80\xae",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\0",
    b"\x7f",
    b"\x1b",
    b"\xc2\x85",
    b"\n",
    b"\n\n",
    b"\r\n",
    b"\t",
    b" ",
    b"  ",
    b"+",
    b"-",
    b"=",
    b"==",
    b"/",
    b"%3A",
    b"%2F",
    b"..",
    b".p/",
    b"x000/",
    b"tile/",
    b"did:web:",
    b"did:web:motie.example",
    b"ed25519:",
    b"sha-256=:",
    b":",
    b"hiwar=(",
    b"hiwar=:",
    b";created=",
    b";keyid=\"",
    b";alg=\"ed25519\"",
    b"\"@method\"",
    b"cosignature/v1\n",
    b"hiwar.org/receipt/v1\n",
    b"items 0 ",
    b"state 0 ",
    b"entry ",
    b"attachment ",
    b"TLP:RED",
    b"TLP:AMBER+STRICT",
    b"2019-07-01T01:00:00.000Z",
    b"0000-01-01T00:00:00.000Z",
    b"9999-12-31T23:59:59.999Z",
    b"2016-12-31T23:59:60.000Z",
    b"-----BEGIN PRIVATE KEY-----\n",
    b"-----END PRIVATE KEY-----\n",
    b"\n----\n",
    b"\"$serde_json::private::RawValue\":",
    b"\"$serde_json::private::RawValue\":\"[1]\",",
    b"\"$serde_json::private::Number\":",
    b"\"type\":\"",
    b"\"data\":{",
    b"\"of\":\"",
    b"\"texts\":{",
    b"\"prevailing\":\"",
    b"\"attachments\":[",
    b"\"dialogue\":null,",
    b"\"prev\":[",
    b"\"revoked\":[",
    b"\"signatures\":[",
    b"\"heads\":{",
    b"\"cards\":[",
    b"\"receipts\":[",
    b"\"entry\":{",
    b"0000000000000000000000000000000000000000000000000000000000000000",
    b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
];

/// Makes an input out of `base` by one to six changes; `others` lend pieces.
pub fn mutate(base: &[u8], others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut data = base.to_vec();
    let bytes_max = INPUT_BYTES_MAX.max(base.len());
    let changes = if random.once_in(3) { 2 + random.below(5) } else { 1 };
    for _ in 0..changes {
        change(&mut data, others, random);
        data.truncate(bytes_max);
    }
    data
}

fn change(data: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    match random.below(14) {
        0 | 1 => flip_bit(data, random),
        2 => set_byte(data, random),
        3 => insert(data, &[random.byte()], random),
        4 | 5 => remove_some(data, random),
        6 => {
            let length = random.below(data.len() + 1);
            data.truncate(length);
        }
        7 | 8 => {
            let piece = random.pick(DICTIONARY).copied().unwrap_or_default();
            insert(data, piece, random);
        }
        9 => overwrite(data, random),
        10 => tweak_number(data, random),
        11 => change_lines(data, random),
        12 => splice(data, others, random),
        _ => repeat(data, random),
    }
}

/// A place in `data` where something may be inserted.
fn place(data: &[u8], random: &mut Random) -> usize {
    random.below(data.len() + 1)
}

/// A range within `data`, mostly short.
fn range(data: &[u8], random: &mut Random) -> std::ops::Range<usize> {
    let start = place(data, random);
    let longest = if random.once_in(4) { data.len() } else { 16 };
    let length = random.below(longest + 1).min(data.len() - start);
    start..start + length
}

fn flip_bit(data: &mut [u8], random: &mut Random) {
    let at = random.below(data.len());
    if let Some(byte) = data.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

/// Mostly keeps to printable text, where the interesting borders lie.
fn set_byte(data: &mut [u8], random: &mut Random) {
    let at = random.below(data.len());
    if let Some(byte) = data.get_mut(at) {
        *byte = if random.once_in(4) { random.byte() } else { b' ' + random.byte() % 95 };
    }
}

fn insert(data: &mut Vec<u8>, piece: &[u8], random: &mut Random) {
    let at = place(data, random);
    data.splice(at..at, piece.iter().copied());
}

fn remove_some(data: &mut Vec<u8>, random: &mut Random) {
    let range = range(data, random);
    data.drain(range);
}

fn overwrite(data: &mut Vec<u8>, random: &mut Random) {
    let piece = random.pick(DICTIONARY).copied().unwrap_or_default();
    let start = place(data, random);
    let end = data.len().min(start + piece.len());
    data.splice(start..end, piece.iter().copied());
}

/// Replaces one run of digits by a number that is near to it or near to a limit.
fn tweak_number(data: &mut Vec<u8>, random: &mut Random) {
    let from = place(data, random);
    let digit = |byte: &u8| byte.is_ascii_digit();
    let Some(start) = data.iter().skip(from).position(digit).map(|at| at + from) else { return };
    let length = data.iter().skip(start).take_while(|byte| digit(byte)).count();
    let old: u64 = data
        .get(start..start + length)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0);
    let power = 1_u64.wrapping_shl(u32::try_from(random.below(64)).unwrap_or(0));
    let new = match random.below(6) {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        2 => power,
        3 => power.wrapping_sub(1),
        4 => old ^ power,
        _ => old.wrapping_mul(10),
    };
    let mut text = new.to_string();
    if random.once_in(6) {
        text.insert(0, '0');
    }
    data.splice(start..start + length, text.bytes());
}

/// Repeats, removes or swaps whole lines.
fn change_lines(data: &mut Vec<u8>, random: &mut Random) {
    let mut lines: Vec<&[u8]> = data.split_inclusive(|byte| *byte == b'\n').collect();
    let (from, to) = (random.below(lines.len()), random.below(lines.len()));
    match (random.below(3), lines.get(from).copied()) {
        (0, Some(line)) => lines.insert(to, line),
        (1, Some(_)) => {
            lines.remove(from);
        }
        (2, Some(_)) => lines.swap(from, to),
        _ => return,
    }
    *data = lines.concat();
}

/// Puts the end or the middle of another input into this one.
fn splice(data: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    let Some(other) = random.pick(others) else { return };
    let from = range(other, random);
    let piece = other.get(from).unwrap_or_default();
    if random.once_in(2) {
        insert(data, piece, random);
    } else {
        let to = range(data, random);
        data.splice(to, piece.iter().copied());
    }
}

/// Repeats a piece, seldom very often: depth and counts grow that way.
fn repeat(data: &mut Vec<u8>, random: &mut Random) {
    let range = range(data, random);
    let piece = data.get(range.clone()).unwrap_or_default();
    let times = if random.once_in(8) { 1 + random.below(600) } else { 1 };
    let times = times.min(INPUT_BYTES_MAX / piece.len().max(1));
    let pieces = piece.repeat(times);
    data.splice(range.end..range.end, pieces);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_every_input() {
        let others = vec![b"{\"a\":[1,2]}".to_vec(), b"line\nline\n".to_vec()];
        let run = |seed| {
            let mut random = Random::new(seed);
            (0..2000)
                .map(|_| mutate(b"{\"size\":17,\"texts\":{}}\n", &others, &mut random))
                .collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn inputs_stay_small_and_the_empty_input_is_no_obstacle() {
        let mut random = Random::new(1);
        let mut data = Vec::new();
        for _ in 0..20_000 {
            data = mutate(&data, std::slice::from_ref(&data.clone()), &mut random);
            assert!(data.len() <= INPUT_BYTES_MAX);
        }
    }
}
