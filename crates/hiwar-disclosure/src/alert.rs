//! An alert instead of a cell: "the stock of item X covers fewer than N days at M or more firms".
//!
//! The statement is one bit, so it is judged by counts alone. It is made only when
//! * M is at least the minimum frequency, and at least M groups are below the limit; the true count is not told;
//! * as many as the minimum frequency are *not* below it: else the alert says of each reporting group that
//!   it is below, or lets one that is not say it of all the others.
//!
//! Contributions of one group are one: it is below when any of its reports is.
//!
//! That no alert was made says a little too: fewer than M are below, or nearly all are. So a ministry does
//! not announce what it would have alerted on. Alerts on one set of reports with several limits
//! or codes can be subtracted; make one for each item and period.
//!
//! **There is no proof of derivation for alerts.** A Pedersen sum shows a total, not that single values are
//! below a limit; that takes a range proof for each (B. Bünz et al., *Bulletproofs*, 2018), for which there is no
//! implementation in this workspace. The ministry's signature alone stands for an alert.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::code::{Code, Id, Party, Period};
use crate::design::Design;
use crate::report::Report;

/// The type of an alert.
pub const ALERT: &str = "org.hiwar.disclosure.alert.v1";

/// That values are below a limit at many firms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    dataset: Id,
    period: Period,
    within: Vec<Code>,
    below: i64,
    unit: Code,
    at_least: u32,
}

/// Why there is no alert. It is confidential: it says what an alert would not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoAlert {
    /// M is below the minimum frequency.
    #[error("an alert speaks of {least} firms or more; ask for at least so many")]
    TooFewAsked {
        /// The minimum frequency.
        least: u32,
    },
    /// Fewer are below the limit.
    #[error("fewer firms than that are below the limit")]
    NotReached,
    /// Nearly all are below the limit.
    #[error("too few firms are not below the limit: the alert would say of each one that it is")]
    NearlyAll,
    /// The codes are none of the design.
    #[error("the codes name no cell of the design: give one code for each dimension")]
    NoCell,
}

impl Alert {
    /// Makes an alert: the value is below `below` in one of the cells of `within` at `at_least` groups or more.
    ///
    /// # Errors
    /// Why it is not made. Reports that do not fit the design and period are not counted.
    pub fn derive(
        design: &Design,
        period: Period,
        reports: &[Report],
        groups: &BTreeMap<Party, Party>,
        within: &[Code],
        below: i64,
        at_least: u32,
    ) -> Result<Self, NoAlert> {
        let least = design.rules.minimum_frequency;
        if at_least < least {
            return Err(NoAlert::TooFewAsked { least });
        }
        let places = design.dimensions.iter().zip(within).map(|(dimension, code)| dimension.find(code));
        let places: Vec<usize> = places.collect::<Option<_>>().ok_or(NoAlert::NoCell)?;
        if places.len() != design.dimensions.len() || within.len() != places.len() {
            return Err(NoAlert::NoCell);
        }
        let (mut all, mut low) = (BTreeSet::new(), BTreeSet::new());
        for report in reports {
            let Ok(place) = report.place(design, period) else { continue };
            let mut parts = design.dimensions.iter().zip(place).zip(&places);
            if !parts.all(|((dimension, at), within)| dimension.ancestors(at).contains(within)) {
                continue;
            }
            let group = groups.get(&report.firm).unwrap_or(&report.firm);
            all.insert(group);
            if report.value < below {
                low.insert(group);
            }
        }
        let counts = |set: &BTreeSet<&Party>| u32::try_from(set.len()).unwrap_or(u32::MAX);
        if counts(&low) < at_least {
            return Err(NoAlert::NotReached);
        }
        if counts(&all) - counts(&low) < least {
            return Err(NoAlert::NearlyAll);
        }
        Ok(Self {
            dataset: design.dataset.clone(),
            period,
            within: within.to_vec(),
            below,
            unit: design.unit.clone(),
            at_least,
        })
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "type": ALERT,
            "dataset": self.dataset.as_str(),
            "period": self.period.to_string(),
            "cell": self.within.iter().map(Code::as_str).collect::<Vec<_>>(),
            "below": self.below,
            "unit": self.unit.as_str(),
            "atLeast": self.at_least,
        })
    }
}
