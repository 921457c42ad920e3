//! Proof of derivation without the source: Pedersen commitments over Ristretto255.
//!
//! A firm commits to each value v that it reports: C = v·B + r·H, with a fresh random r (T. P. Pedersen,
//! *Non-interactive and information-theoretic secure verifiable secret sharing*, CRYPTO '91).
//! B is the group's base point; H is hashed from a stated text with the dataset, period and unit, so that
//! nobody knows its logarithm and a commitment of one table says nothing in another. The firm keeps C and
//! r; the confidential report carries both. The [`Proof`] of a released cell is the sorted list of the
//! commitments in it, the total V and the sum R of the blinding factors; who has it checks ΣC = V·B + R·H.
//!
//! # What it proves
//! * The total is the sum of the committed values (modulo the group's order, about 2²⁵²; values are at
//!   most 10¹⁵ and the commitments at most 10⁵, so it is the sum over the integers if each value is in range).
//! * A firm that finds its C in the list knows that its value went in as reported, once. An auditor to whom
//!   a firm shows (v, r) can check that the same C opens to v.
//!
//! # What it does not prove
//! * That a commitment comes from a real firm, or that a value is true, or in range. A ministry can add
//!   commitments of its own; its signature on the release stands for the list.
//! * That no firm was left out: only that firm can say so.
//! * That firms are independent: the list counts *reports*; which belong to one group it does not say.
//!
//! # What it adds to the released totals: nothing about values
//! Let x be the logarithm of H to the base B. Take any other values v′ that agree with v on the total of
//! every *released* cell. Put r′ = r + (v − v′)/x for each report. Then each commitment is the same, and so
//! is each released sum of blinding factors, because Σ(v − v′) is 0 over every released cell. For every r
//! there is exactly one such r′, and r is uniform: so what is published has the same distribution in both
//! worlds. An attacker with unlimited means therefore learns nothing from proofs that the released totals,
//! together with *who takes part where*, do not say. This holds jointly over all cells, overlapping or not,
//! and over all releases in time, as long as v′ agrees with all that was ever released.
//!
//! Subtracting lists does open sums: the list of a total minus the lists of its released parts is the list
//! of the suppressed parts together, and the difference of the R opens *their sum*. That sum is the
//! difference of the released totals, which the audit judges like a released cell. It opens nothing else.
//!
//! The lists do show how many reports each suppressed cell has, and under which pseudonyms a report occurs
//! in several cells. The audit already supposes that every attacker knows who takes part where.
//!
//! Two conditions: a blinding factor is never used twice (the difference of two commitments of one firm
//! would be (v − v′)·B, which can be searched), which [`crate::Release::prove`] checks within a table; and a
//! proof exists for released cells only, which it cannot be asked otherwise.

use std::fmt;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use crate::code::{Code, Id, Period};
use crate::design::{DIMENSIONS_MAX, VALUE_MAX};
use crate::fault::{Collected, Faults, Members};

/// The type of a proof.
pub const PROOF: &str = "org.hiwar.disclosure.proof.v1";
/// Most commitments of one proof.
pub const COMMITMENTS_MAX: usize = 100_000;
/// Most that a total may be, in either direction.
pub const TOTAL_MAX: i64 = 9_000_000_000_000_000_000;
const DOMAIN: &[u8] = b"hiwar.org/disclosure/commitment/v1\0";

/// What commitments of one table share: its dataset, period and unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The dataset.
    pub dataset: Id,
    /// The time.
    pub period: Period,
    /// The unit of the values.
    pub unit: Code,
}

impl Context {
    /// A point of which nobody knows the logarithm.
    fn generator(&self) -> RistrettoPoint {
        let mut digest = Sha512::new();
        digest.update(DOMAIN);
        for part in [self.dataset.as_str(), &self.period.to_string(), self.unit.as_str()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        RistrettoPoint::from_uniform_bytes(&digest.finalize().into())
    }

    /// A firm's commitment to its value.
    pub fn commit(&self, value: i64, blinding: &Blinding) -> Commitment {
        commit(&self.generator(), value, blinding)
    }

    /// Whether a commitment is to this value.
    pub fn opens(&self, commitment: &Commitment, value: i64, blinding: &Blinding) -> bool {
        self.commit(value, blinding) == *commitment
    }
}

fn commit(generator: &RistrettoPoint, value: i64, blinding: &Blinding) -> Commitment {
    let point = RistrettoPoint::mul_base(&scalar(value)) + generator * blinding.0;
    Commitment { bytes: point.compress().to_bytes(), point }
}

fn scalar(value: i64) -> Scalar {
    let size = Scalar::from(value.unsigned_abs());
    if value < 0 { -size } else { size }
}

/// A commitment to a value: a point of the group.
#[derive(Clone, Copy)]
pub struct Commitment {
    bytes: [u8; 32],
    point: RistrettoPoint,
}

impl PartialEq for Commitment {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Commitment {}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl Commitment {
    /// From its 32 bytes in lower-case hexadecimal, when they are the one encoding of a point.
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = bytes(text)?;
        let point = CompressedRistretto(bytes).decompress()?;
        Some(Self { bytes, point })
    }

    /// Its 32 bytes in hexadecimal.
    pub fn to_hex(&self) -> String {
        hex::encode(self.bytes)
    }
}

/// What hides a value in its commitment. It is secret; use each once.
#[derive(Clone, PartialEq, Eq)]
pub struct Blinding(Scalar);

impl fmt::Debug for Blinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blinding")
    }
}

impl Blinding {
    /// From 64 fresh random bytes.
    pub fn new(random: &[u8; 64]) -> Self {
        Self(Scalar::from_bytes_mod_order_wide(random))
    }

    /// From its 32 bytes in lower-case hexadecimal, when they are the one encoding of a scalar.
    pub fn from_hex(text: &str) -> Option<Self> {
        Option::from(Scalar::from_canonical_bytes(bytes(text)?)).map(Self)
    }

    /// Its 32 bytes in hexadecimal, for the confidential report.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0.to_bytes())
    }

    pub(crate) fn bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }
}

fn bytes(text: &str) -> Option<[u8; 32]> {
    let canonical = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut bytes = [0; 32];
    (canonical && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

/// That a released total is the sum of committed values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The table.
    pub context: Context,
    /// The cell: a code for each dimension, in the order of the design.
    pub cell: Vec<Code>,
    /// The total.
    pub total: i64,
    /// The sum of the blinding factors.
    pub blinding: Blinding,
    /// The commitments, ascending.
    pub commitments: Vec<Commitment>,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The commitments are not in ascending order, or one is there twice.
    #[error("commitment {index} is not above the one before it; a list is ascending and has none twice")]
    Order {
        /// Its place, from 0.
        index: usize,
    },
    /// The sum is another one.
    #[error(
        "the commitments do not add up to the total; ask the ministry for the proof of this very release"
    )]
    Sum,
}

impl Proof {
    pub(crate) fn make(
        context: Context,
        cell: Vec<Code>,
        total: i64,
        openings: &[&(Commitment, Blinding)],
    ) -> Self {
        let blinding = Blinding(openings.iter().map(|(_, blinding)| blinding.0).sum());
        let mut commitments: Vec<Commitment> = openings.iter().map(|(commitment, _)| *commitment).collect();
        commitments.sort_unstable_by_key(|commitment| commitment.bytes);
        Self { context, cell, total, blinding, commitments }
    }

    /// Whether the commitments add up to the total.
    ///
    /// # Errors
    /// Why they do not.
    pub fn verify(&self) -> Result<(), ProofError> {
        let pairs = self.commitments.iter().zip(self.commitments.iter().skip(1));
        for (index, (one, next)) in pairs.enumerate() {
            if one.bytes >= next.bytes {
                return Err(ProofError::Order { index: index + 1 });
            }
        }
        let sum = self.commitments.iter().fold(RistrettoPoint::identity(), |sum, c| sum + c.point);
        let expected = commit(&self.context.generator(), self.total, &self.blinding);
        if sum == expected.point { Ok(()) } else { Err(ProofError::Sum) }
    }

    /// Whether a firm's commitment is in it.
    pub fn contains(&self, commitment: &Commitment) -> bool {
        self.commitments.binary_search_by_key(&commitment.bytes, |c| c.bytes).is_ok()
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "type": PROOF,
            "dataset": self.context.dataset.as_str(),
            "period": self.context.period.to_string(),
            "unit": self.context.unit.as_str(),
            "cell": self.cell.iter().map(Code::as_str).collect::<Vec<_>>(),
            "total": self.total,
            "blinding": self.blinding.to_hex(),
            "commitments": self.commitments.iter().map(Commitment::to_hex).collect::<Vec<_>>(),
        })
    }

    /// Reads a proof; whether it holds, [`Self::verify`] says.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(value: &Value) -> Result<Self, Faults> {
        let mut faults = Collected::default();
        let read = Self::members(value, &mut faults);
        faults.result(read)
    }

    fn members(value: &Value, faults: &mut Collected) -> Option<Self> {
        let mut members = Members::of(value, "", faults);
        let code = |text: &str| text.parse::<Code>().ok();
        members.text("type", "disclosure-type", |text| (text == PROOF).then_some(()));
        let dataset = members.text("dataset", "disclosure-id", |text| text.parse::<Id>().ok());
        let period = members.text("period", "disclosure-period", |text| text.parse::<Period>().ok());
        let unit = members.text("unit", "disclosure-code", code);
        let total = members.whole("total", -TOTAL_MAX..=TOTAL_MAX);
        let blinding = members.text("blinding", "disclosure-blinding", Blinding::from_hex);
        let mut texts = |name: &'static str, most: usize, fault: &'static str| {
            let items = members.list(name, most)?;
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            if texts.is_none() {
                members.fault(name, fault, "?");
            }
            texts
        };
        let cell = texts("cell", DIMENSIONS_MAX, "disclosure-code");
        let commitments = texts("commitments", COMMITMENTS_MAX, "disclosure-commitment");
        let codes: Option<Vec<Code>> = cell.and_then(|cell| cell.into_iter().map(code).collect());
        if codes.is_none() {
            members.fault("cell", "disclosure-code", "?");
        }
        let points: Option<Vec<Commitment>> =
            commitments.and_then(|texts| texts.into_iter().map(Commitment::from_hex).collect());
        if points.is_none() {
            members.fault("commitments", "disclosure-commitment", "?");
        }
        members.finish();
        Some(Self {
            context: Context { dataset: dataset?, period: period?, unit: unit? },
            cell: codes?,
            total: total?,
            blinding: blinding?,
            commitments: points?,
        })
    }
}

// A total that VALUE_MAX and the number of reports allow is within TOTAL_MAX.
const _: () = assert!(VALUE_MAX as i128 * 9_000 <= TOTAL_MAX as i128);

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context {
            dataset: "STOCK".parse().unwrap(),
            period: "2026-03".parse().unwrap(),
            unit: "KGM".parse().unwrap(),
        }
    }

    fn blinding(seed: u8) -> Blinding {
        Blinding::new(&Sha512::digest([seed]).into())
    }

    fn proof(values: &[i64]) -> Proof {
        let context = context();
        let openings: Vec<(Commitment, Blinding)> = values
            .iter()
            .zip(0..)
            .map(|(&value, seed)| (context.commit(value, &blinding(seed)), blinding(seed)))
            .collect();
        let openings: Vec<_> = openings.iter().collect();
        Proof::make(context, vec!["_T".parse().unwrap()], values.iter().sum(), &openings)
    }

    #[test]
    fn a_total_of_any_sign_is_proved_and_another_is_not() {
        for values in [&[5, 7, 11][..], &[-5, 7, -11], &[0, 0, 0], &[VALUE_MAX, -VALUE_MAX, 1]] {
            let mut proof = proof(values);
            assert_eq!(proof.verify(), Ok(()));
            assert_eq!(Proof::read(&proof.to_json()), Ok(proof.clone()));
            proof.total += 1;
            assert_eq!(proof.verify(), Err(ProofError::Sum));
        }
    }

    #[test]
    fn a_firm_finds_its_own_and_an_auditor_opens_it() {
        let proof = proof(&[5, 7, 11]);
        let own = context().commit(7, &blinding(1));
        assert!(proof.contains(&own));
        assert!(context().opens(&own, 7, &blinding(1)));
        assert!(!context().opens(&own, 8, &blinding(1)));
        assert!(!proof.contains(&context().commit(8, &blinding(1))));
        let other = Context { period: "2026-04".parse().unwrap(), ..context() };
        assert!(!other.opens(&own, 7, &blinding(1)), "a commitment holds for its own table only");
    }

    #[test]
    fn a_commitment_twice_or_out_of_order_is_refused() {
        let mut proof = proof(&[5, 7, 11]);
        proof.commitments.swap(0, 1);
        assert_eq!(proof.verify(), Err(ProofError::Order { index: 1 }));
        let one = proof.commitments[0];
        proof.commitments = vec![one, one];
        assert_eq!(proof.verify(), Err(ProofError::Order { index: 1 }));
    }

    #[test]
    fn only_canonical_encodings_are_read() {
        // The group's order, and the field's prime: one above the largest canonical encodings (RFC 9496, 4.3.1; RFC 8032, 5.1).
        let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
        let prime = "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
        assert_eq!(Blinding::from_hex(order), None);
        assert_eq!(Commitment::from_hex(prime), None);
        let good = proof(&[1]).commitments[0].to_hex();
        assert!(Commitment::from_hex(&good).is_some());
        assert!(Commitment::from_hex(&good.to_uppercase()).is_none());
        assert!(Commitment::from_hex(good.trim_end_matches(|_| true)).is_none());
    }

    /// With a trapdoor (H = x·B, which nobody has for the real H) the module's argument is carried out:
    /// two tables that agree on every released total have the same commitments and the same sums.
    #[test]
    fn proofs_are_the_same_for_every_table_that_agrees_with_the_released_totals() {
        let x = Scalar::from(987_654_321u64);
        let generator = RistrettoPoint::mul_base(&x);
        // Rows {0,1} and {2,3}, columns {0,2} and {1,3}, all of it; the four inner cells are suppressed.
        let released: &[&[usize]] = &[&[0, 1], &[2, 3], &[0, 2], &[1, 3], &[0, 1, 2, 3]];
        let (one, other) = ([10i64, 20, 30, 40], [17i64, 13, 23, 47]);
        let r: Vec<Blinding> = (0..4).map(blinding).collect();
        let moved = r.iter().zip(one).zip(other);
        let r_other: Vec<Blinding> =
            moved.map(|((r, v), w)| Blinding(r.0 + scalar(v - w) * x.invert())).collect();
        for report in 0..4 {
            assert_eq!(
                commit(&generator, one[report], &r[report]),
                commit(&generator, other[report], &r_other[report])
            );
            assert_ne!(r[report], r_other[report], "a suppressed cell's opening is not determined");
        }
        for cell in released {
            let total = |values: &[i64; 4]| cell.iter().map(|&i| values[i]).sum::<i64>();
            let sum = |r: &[Blinding]| cell.iter().map(|&i| r[i].0).sum::<Scalar>();
            assert_eq!(total(&one), total(&other));
            assert_eq!(sum(&r), sum(&r_other));
        }
    }
}
