//! Which tokens were seen before (DCP 1.0, section 4.3.3: a verifier must refuse a `jti` again).
//!
//! A name is kept until its token has expired, so the memory is bounded by the rate at which tokens
//! come and by their longest life; a bound on the number holds besides. When it is full, a token is
//! refused rather than an unexpired name forgotten: whoever floods a verifier must not thereby
//! open it for replays.

use std::collections::{BTreeMap, BTreeSet};

/// The most names kept, where nothing else is configured.
pub const NAMES_MAX: usize = 100_000;
/// The most names kept of one issuer, so that one cannot shut out all others.
pub const NAMES_OF_ISSUER_MAX: usize = 10_000;

/// Why a token's name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It was used before.
    #[error("the token's jti was used before; each token is good for one request")]
    Used,
    /// Too many names of this issuer are unexpired.
    #[error("{0} unexpired tokens of this issuer were seen; wait, or make tokens that last shorter")]
    IssuerFull(usize),
    /// Too many names are unexpired.
    #[error("{0} unexpired tokens were seen, more cannot be remembered; try again later")]
    Full(usize),
}

/// The names of tokens that were seen and have not expired.
#[derive(Debug)]
pub struct Seen {
    names_max: usize,
    of_issuer_max: usize,
    by_issuer: BTreeMap<String, BTreeMap<String, i64>>,
    by_end: BTreeSet<(i64, String, String)>,
}

impl Default for Seen {
    fn default() -> Self {
        Self::bounded(NAMES_MAX, NAMES_OF_ISSUER_MAX)
    }
}

impl Seen {
    /// Keeps at most `names_max` names, and `of_issuer_max` of one issuer.
    pub fn bounded(names_max: usize, of_issuer_max: usize) -> Self {
        Self { names_max, of_issuer_max, by_issuer: BTreeMap::new(), by_end: BTreeSet::new() }
    }

    /// How many names are kept.
    pub fn len(&self) -> usize {
        self.by_end.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.by_end.is_empty()
    }

    /// Takes note of a token that was verified. `keep_until` is its end and the leeway granted,
    /// `now` the time, both in seconds since 1970.
    ///
    /// # Errors
    /// When it was seen before, or no more can be kept.
    pub fn admit(&mut self, issuer: &str, jti: &str, keep_until: i64, now: i64) -> Result<(), ReplayError> {
        self.forget_until(now);
        if let Some(names) = self.by_issuer.get(issuer) {
            if names.contains_key(jti) {
                return Err(ReplayError::Used);
            }
            if names.len() >= self.of_issuer_max {
                return Err(ReplayError::IssuerFull(names.len()));
            }
        }
        if self.by_end.len() >= self.names_max {
            return Err(ReplayError::Full(self.by_end.len()));
        }
        self.by_issuer.entry(issuer.to_owned()).or_default().insert(jti.to_owned(), keep_until);
        self.by_end.insert((keep_until, issuer.to_owned(), jti.to_owned()));
        Ok(())
    }

    fn forget_until(&mut self, now: i64) {
        while let Some((end, ..)) = self.by_end.first() {
            if *end >= now {
                return;
            }
            let Some((_, issuer, jti)) = self.by_end.pop_first() else { return };
            if let Some(names) = self.by_issuer.get_mut(&issuer) {
                names.remove(&jti);
                if names.is_empty() {
                    self.by_issuer.remove(&issuer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_good_once_until_its_token_has_expired() {
        let mut seen = Seen::default();
        assert_eq!(seen.admit("did:web:a.example", "1", 100, 10), Ok(()));
        assert_eq!(seen.admit("did:web:a.example", "1", 100, 100), Err(ReplayError::Used));
        assert_eq!(seen.admit("did:web:b.example", "1", 100, 100), Ok(()), "names are each issuer's own");
        // At 101 the token itself is refused as expired, so its name need not be kept.
        assert_eq!(seen.admit("did:web:a.example", "2", 200, 101), Ok(()));
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn a_flood_fills_the_flooder_s_share_and_never_pushes_out_an_unexpired_name() {
        let mut seen = Seen::bounded(3, 2);
        assert_eq!(seen.admit("flooder", "1", 100, 0), Ok(()));
        assert_eq!(seen.admit("flooder", "2", 100, 0), Ok(()));
        assert_eq!(seen.admit("flooder", "3", 100, 0), Err(ReplayError::IssuerFull(2)));
        assert_eq!(seen.admit("other", "1", 100, 0), Ok(()));
        assert_eq!(seen.admit("third", "1", 100, 0), Err(ReplayError::Full(3)));
        assert_eq!(seen.admit("flooder", "1", 100, 50), Err(ReplayError::Used));
        assert_eq!(seen.admit("third", "1", 200, 101), Ok(()));
    }
}
