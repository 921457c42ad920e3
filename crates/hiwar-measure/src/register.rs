//! All measures together, now or as they were known on a day.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::{Measure, MeasureId};

/// Two measures have one name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two measures are called {0}; give one of them another id")]
pub struct MeasureTwice(pub MeasureId);

/// Measures by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register {
    measures: BTreeMap<MeasureId, Measure>,
}

impl Register {
    /// A register of these measures.
    ///
    /// # Errors
    ///
    /// When two have one name.
    pub fn new(measures: impl IntoIterator<Item = Measure>) -> Result<Self, MeasureTwice> {
        let mut register = Self::default();
        for measure in measures {
            let id = measure.id.clone();
            if register.measures.insert(id.clone(), measure).is_some() {
                return Err(MeasureTwice(id));
            }
        }
        Ok(register)
    }

    /// The measures, by name.
    pub fn measures(&self) -> impl Iterator<Item = &Measure> {
        self.measures.values()
    }

    /// The measure of this name.
    pub fn measure(&self, id: &MeasureId) -> Option<&Measure> {
        self.measures.get(id)
    }

    /// What was published by the end of a day. Claims whose source has no date are left out, since
    /// nobody can say that they were known; a measure without any claim left is left out too.
    pub fn known_on(&self, day: Date) -> Known {
        let mut known = Known::default();
        for measure in self.measures.values() {
            let mut then = measure.clone();
            then.claims.retain(|claim| claim.source.date.is_some_and(|published| published <= day));
            known.undated += measure.claims.iter().filter(|claim| claim.source.date.is_none()).count();
            if !then.claims.is_empty() {
                known.register.measures.insert(then.id.clone(), then);
            }
        }
        known
    }
}

/// A register as it was known on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What was published by then.
    pub register: Register,
    /// Claims that were left out because their source has no date.
    pub undated: usize,
}
