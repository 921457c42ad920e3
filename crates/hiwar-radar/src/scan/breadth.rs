//! Breadth: how many series are out of line at once, against how many usually are. A disaster shows
//! in it more clearly than in any single series.

use serde::{Deserialize, Serialize};

/// The months before that say what is usual: our own cut.
pub const USUAL_MONTHS: usize = 36;

/// A share of series, against its own usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Share of the judged series beyond the rule's cuts in this month, before any correction for
    /// many tests.
    pub now: f64,
    /// The median of that share over the months before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<f64>,
    /// How many months before could be judged, at most [`USUAL_MONTHS`]: with few, the usual is
    /// uncertain.
    pub months: usize,
    /// How many times the usual it is; absent when none is usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<f64>,
}

/// Both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Breadth {
    /// Series that drop.
    pub drop: Share,
    /// Series that surge.
    pub surge: Share,
}

/// Series judged in a month, and how many of them were out of line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Judged.
    pub judged: usize,
    /// Below.
    pub drops: usize,
    /// Above.
    pub surges: usize,
}

impl Breadth {
    /// Of this month and the months before it.
    pub fn of(now: Counted, before: &[Counted]) -> Self {
        Self { drop: share(now, before, |c| c.drops), surge: share(now, before, |c| c.surges) }
    }
}

fn share(now: Counted, before: &[Counted], part: impl Fn(&Counted) -> usize) -> Share {
    let of = |c: &Counted| (c.judged > 0).then(|| part(c) as f64 / c.judged as f64);
    let mut shares: Vec<f64> = before.iter().filter_map(of).collect();
    shares.sort_by(f64::total_cmp);
    let now = of(&now).unwrap_or(0.0);
    let usual = crate::detect::robust::median(&shares);
    let times = usual.filter(|u| *u > 0.0).map(|u| now / u);
    Share { now, usual, months: shares.len(), times }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} %", self.now * 100.0)?;
        match (self.usual, self.times) {
            (Some(usual), Some(times)) => write!(
                f,
                " ({times:.1} times the usual {:.2} % of the {} months before)",
                usual * 100.0,
                self.months
            ),
            (Some(_), None) => write!(f, " (usually none in the {} months before)", self.months),
            _ => f.write_str(" (nothing before to compare with)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breadth_is_told_against_the_median_of_the_months_before() {
        let month = |drops| Counted { judged: 1000, drops, surges: 0 };
        let before = [month(9), month(12), month(80), month(11), Counted::default()];
        let breadth = Breadth::of(month(105), &before);
        assert_eq!((breadth.drop.usual, breadth.drop.months), (Some(0.0115), 4));
        assert!((breadth.drop.times.unwrap() - 105.0 / 11.5).abs() < 1e-12);
        assert_eq!(breadth.drop.to_string(), "10.50 % (9.1 times the usual 1.15 % of the 4 months before)");
        assert_eq!((breadth.surge.usual, breadth.surge.times), (Some(0.0), None));
        assert_eq!(Breadth::of(month(5), &[]).drop.to_string(), "0.50 % (nothing before to compare with)");
    }
}
