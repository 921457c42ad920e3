//! The Lunar New Year moves between 21 January and 20 February; factories and customs houses of
//! East Asia rest around it. A rule that compares months must know how much of it fell into each.
//!
//! The regressor is the share of the fifteen days around the holiday (seven before, seven after)
//! that lie in the month; its effect on `ln v` is estimated per series from the months before, by
//! least squares through the deviations from the middle of the year around them, and taken out.

use crate::month::{Date, Month};

/// First days of lunar years, from the year 2000 on.
const FIRST_DAYS: [(i8, i8); 31] = [
    (2, 5),
    (1, 24),
    (2, 12),
    (2, 1),
    (1, 22),
    (2, 9),
    (1, 29),
    (2, 18),
    (2, 7),
    (1, 26), // 2000-2009
    (2, 14),
    (2, 3),
    (1, 23),
    (2, 10),
    (1, 31),
    (2, 19),
    (2, 8),
    (1, 28),
    (2, 16),
    (2, 5), // 2010-2019
    (1, 25),
    (2, 12),
    (2, 1),
    (1, 22),
    (2, 10),
    (1, 29),
    (2, 17),
    (2, 6),
    (1, 26),
    (2, 13), // 2020-2029
    (2, 3),
];
/// Days before and after the holiday that count.
const AROUND: i64 = 7;

/// The first day of the lunar year that begins in a year of 2000 to 2030.
pub fn lunar_new_year(year: u16) -> Option<Date> {
    let (month, day) = *FIRST_DAYS.get(usize::from(year.checked_sub(2000)?))?;
    Date::new(i16::try_from(year).ok()?, month, day).ok()
}

/// The share, 0 to 1, of the days around the Lunar New Year that lie in a month.
pub fn exposure(month: Month) -> f64 {
    let Some(day) = lunar_new_year(month.year()) else { return 0.0 };
    let (first, last) = (month.first_day(), month.last_day());
    let days = (-AROUND..=AROUND)
        .filter_map(|n| day.checked_add(jiff::Span::new().days(n)).ok())
        .filter(|d| (first..=last).contains(d));
    days.count() as f64 / (2 * AROUND + 1) as f64
}

/// The effect of full exposure on `ln v`, from months in order; absent with less than three years.
/// Deviations are taken from the median of the twelve months around each month.
pub fn effect(first: Month, logs: &[f64]) -> Option<f64> {
    if logs.len() < 36 {
        return None;
    }
    let (mut xx, mut xy) = (0.0, 0.0);
    for (t, y) in logs.iter().enumerate() {
        let month = first.plus(i32::try_from(t).ok()?);
        if !(1..=3).contains(&month.month()) {
            continue;
        }
        // Centred on the mean exposure of that calendar month, so that the season stays a season.
        let years = (0..31).map(|n| exposure(Month::new(2000 + n, month.month()).unwrap_or(month)));
        let x = exposure(month) - years.sum::<f64>() / 31.0;
        let start = t.saturating_sub(6);
        let around = logs.get(start..(start + 12).min(logs.len()))?;
        let mut sorted = around.to_vec();
        sorted.sort_by(f64::total_cmp);
        let deviation = y - super::robust::median(&sorted)?;
        xx += x * x;
        xy += x * deviation;
    }
    (xx > 0.0).then_some(xy / xx)
}

/// Amounts with the effect of the holiday taken out.
pub fn without(first: Month, amounts: &[Option<f64>], offset: f64) -> Vec<Option<f64>> {
    // The months to judge by are those before; the effect is estimated without the last one.
    let before = amounts.split_last().map_or(&[][..], |(_, before)| before);
    let logs: Vec<f64> = before.iter().rev().map_while(|a| Some(((*a)? + offset).ln())).collect();
    let logs: Vec<f64> = logs.into_iter().rev().collect();
    let start = first.plus(i32::try_from(before.len() - logs.len()).unwrap_or(0));
    let Some(effect) = effect(start, &logs) else { return amounts.to_vec() };
    amounts
        .iter()
        .enumerate()
        .map(|(t, amount)| {
            let month = first.plus(i32::try_from(t).unwrap_or(i32::MAX));
            amount.map(|a| ((a + offset) * (-effect * exposure(month)).exp() - offset).max(0.0))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_around_the_holiday_are_shared_out_among_the_months() {
        // 5 February 2019: 29 January to 12 February.
        assert!((exposure("2019-01".parse().unwrap()) - 3.0 / 15.0).abs() < 1e-12);
        assert!((exposure("2019-02".parse().unwrap()) - 12.0 / 15.0).abs() < 1e-12);
        assert_eq!(exposure("2019-07".parse().unwrap()), 0.0);
        for year in 2000..=2030 {
            let day = lunar_new_year(year).unwrap();
            assert!((21..=51).contains(&day.day_of_year()), "{day}");
        }
    }

    #[test]
    fn a_dip_that_moves_with_the_holiday_is_taken_out_and_one_that_does_not_stays() {
        let first: Month = "2001-01".parse().unwrap();
        let dip = |m: Month| 1e6 * (-0.8 * exposure(m)).exp();
        let mut amounts: Vec<Option<f64>> = (0..120).map(|t| Some(dip(first.plus(t)))).collect();
        let cleaned = without(first, &amounts, 1.0);
        let spread = |a: &[Option<f64>]| {
            let logs: Vec<f64> = a.iter().flatten().map(|v| v.ln()).collect();
            logs.iter().copied().fold(f64::MIN, f64::max) - logs.iter().copied().fold(f64::MAX, f64::min)
        };
        assert!(spread(&cleaned) < 0.5 * spread(&amounts), "{} {}", spread(&cleaned), spread(&amounts));
        if let Some(last) = amounts.last_mut() {
            *last = Some(1e5);
        }
        let kept = without(first, &amounts, 1.0).last().copied().flatten().unwrap();
        assert!(kept < 2e5, "{kept}");
    }
}
