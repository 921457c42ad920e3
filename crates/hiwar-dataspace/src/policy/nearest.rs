//! What was probably meant by a misspelt word.

/// The nearest of `known` to `word`: at most a third of its letters differ, case aside.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 64 {
        return None;
    }
    let last = word.rsplit([':', '/', '#']).next().unwrap_or(word).to_ascii_lowercase();
    let near = known.map(|other| (edits(&last, &other.to_ascii_lowercase()), other)).min_by_key(|(n, _)| *n);
    near.filter(|(edits, _)| edits * 3 <= last.chars().count().max(3)).map(|(_, other)| other)
}

/// The number of letters to insert, drop, replace or swap with their neighbour.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], k: usize| row.get(k).copied().unwrap_or(usize::MAX - 1);
            let mut best =
                (at(&row, j + 1) + 1).min(at(&next, j) + 1).min(at(&row, j) + usize::from(x != *y));
            let swapped = j > 0 && previous == Some(*y) && b.get(j - 1) == Some(&x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
        previous = Some(x);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_is_understood_and_another_word_is_not() {
        let known = ["eq", "gteq", "lteq", "isAnyOf", "isNoneOf", "dateTime"];
        for (word, meant) in [
            ("isAnyof", Some("isAnyOf")),
            ("isAnOyf", Some("isAnyOf")),
            ("gteg", Some("gteq")),
            ("datetime", Some("dateTime")),
            ("https://example.org/ns#isNonOf", Some("isNoneOf")),
            ("membership", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known.into_iter()), meant, "{word}");
        }
    }

    #[test]
    fn edits_are_counted() {
        for (a, b, count) in [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 1)] {
            assert_eq!(edits(a, b), count, "{a} {b}");
        }
    }
}
