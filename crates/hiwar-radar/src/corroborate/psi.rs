//! Two sides learn which subjects both see, and nothing of the rest (private set intersection by
//! Diffie and Hellman; Meadows 1986, Huberman, Franklin and Hogg 1999), in the Ristretto group.
//!
//! Each side has a secret exponent for this exchange only. The first sends `H(x)·a` for what it
//! sees; the second returns those times `b` in the same order and adds its own `H(y)·b`; the first
//! multiplies these by `a`, sees which of its own are among them, and returns them so that the
//! second sees it too. Who does not know a secret cannot tell one point from another.
//!
//! A subject is an alarm on one's own imports, or, when the peer's economy is known, on one's own
//! exports to it; so a joint alarm and a mirrored one are both found.
//!
//! # What leaks
//!
//! * How many subjects each side has.
//! * To a side that puts in subjects which it does not see itself: whether the other sees them. It
//!   can test up to [`CLAIMS_MAX`] guesses in one exchange. Neither a larger set nor a guess can be
//!   told from an honest one; that the exchange is signed and kept by both makes guessing a risk.
//! * The first side learns the result before the second. It can break off, and the second then knows
//!   only that it did.
//! * A side that sends anything but what the protocol says can make the result wrong, in the worst
//!   case claim to see what the other sees without learning what that is. It never learns more than
//!   by guessing. A result is a hint to ask, not evidence of what the other's record says.
//! * Strength classes are not compared, and nothing is learnt of them.
//!
//! A third party of the same dialogue holds the messages too, and learns the numbers only: that no
//! more can be learnt without a secret is the decisional Diffie-Hellman assumption in Ristretto255,
//! with the hash as a random oracle. A fresh secret makes two exchanges unlinkable; it is deleted
//! when the exchange ends, because whoever finds it can test guesses against the kept messages.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha512};

use super::message::{Digest as MessageDigest, Message as _};
use super::{CLAIMS_MAX, Subject};

/// A point as it travels: 32 bytes in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point([u8; 32]);

/// The first message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// Always `org.hiwar.psi.hello.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `H(x)·a`, in ascending order.
    pub mine: Vec<Point>,
}

/// The second message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// Always `org.hiwar.psi.reply.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The first message.
    pub to: MessageDigest,
    /// `H(x)·a·b`, in the order of the first message.
    pub yours: Vec<Point>,
    /// `H(y)·b`, in ascending order.
    pub mine: Vec<Point>,
}

/// The third message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Close {
    /// Always `org.hiwar.psi.close.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The second message.
    pub to: MessageDigest,
    /// `H(y)·b·a`, in the order of the second message.
    pub yours: Vec<Point>,
}

/// Types of the three messages.
pub const HELLO: &str = "org.hiwar.psi.hello.v1";
/// As above.
pub const REPLY: &str = "org.hiwar.psi.reply.v1";
/// As above.
pub const CLOSE: &str = "org.hiwar.psi.close.v1";

/// Why an exchange cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PsiError {
    /// Too many subjects.
    #[error("{found} subjects; at most {CLAIMS_MAX} can be compared at one time")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// A message of another kind.
    #[error("a message of the type {found:?} came; expected {expected}")]
    OtherType {
        /// The type found.
        found: String,
        /// The type expected.
        expected: &'static str,
    },
    /// It goes on from another message.
    #[error("it goes on from {found}; expected {expected}")]
    OtherExchange {
        /// The message it names.
        found: MessageDigest,
        /// The message expected.
        expected: MessageDigest,
    },
    /// Not a point of the group, or the one that hides nothing.
    #[error("point {index} is none of the Ristretto group")]
    NoPoint {
        /// Its place in the list, from 0.
        index: usize,
    },
    /// The answer does not have one point for each that was sent.
    #[error("{found} points came back for {sent}")]
    Miscounted {
        /// How many came.
        found: usize,
        /// How many were sent.
        sent: usize,
    },
}

/// One side of an exchange. Its secret must be fresh: 64 random bytes for each exchange.
#[derive(Clone)]
pub struct Side {
    secret: Scalar,
    /// What it sees, in the order of its points.
    subjects: Vec<(Point, Subject)>,
}

impl Side {
    /// A side that sees `subjects`.
    ///
    /// # Errors
    /// When there are too many.
    pub fn new(secret: &[u8; 64], subjects: impl IntoIterator<Item = Subject>) -> Result<Self, PsiError> {
        let secret = Scalar::from_bytes_mod_order_wide(secret);
        let mut points: Vec<(Point, Subject)> =
            subjects.into_iter().map(|s| (compress(hash(&s) * secret), s)).collect();
        points.sort();
        points.dedup();
        if points.len() > CLAIMS_MAX {
            return Err(PsiError::TooMany { found: points.len() });
        }
        Ok(Self { secret, subjects: points })
    }

    fn mine(&self) -> Vec<Point> {
        self.subjects.iter().map(|(point, _)| *point).collect()
    }

    /// The first message.
    pub fn hello(&self) -> Hello {
        Hello { kind: HELLO.into(), mine: self.mine() }
    }

    /// The second message, in answer to the first, whose bytes have the digest `to`.
    ///
    /// # Errors
    /// When the first is wrong.
    pub fn reply(&self, hello: &Hello, to: MessageDigest) -> Result<Reply, PsiError> {
        expect(&hello.kind, HELLO)?;
        let yours = self.times_secret(&hello.mine)?;
        Ok(Reply { kind: REPLY.into(), to, yours, mine: self.mine() })
    }

    /// What both see, and the third message. The second one's bytes have the digest `to`.
    ///
    /// # Errors
    /// When the second is wrong.
    pub fn close(&self, reply: &Reply, to: MessageDigest) -> Result<(Vec<Subject>, Close), PsiError> {
        expect(&reply.kind, REPLY)?;
        continues(reply.to, MessageDigest::of(&self.hello().bytes()))?;
        let theirs = self.times_secret(&reply.mine)?;
        let common = self.common(&reply.yours, &theirs)?;
        Ok((common, Close { kind: CLOSE.into(), to, yours: theirs }))
    }

    /// What both see, for the second side; `reply` is what it sent.
    ///
    /// # Errors
    /// When the third message is wrong.
    pub fn learn(&self, reply: &Reply, close: &Close) -> Result<Vec<Subject>, PsiError> {
        expect(&close.kind, CLOSE)?;
        continues(close.to, MessageDigest::of(&reply.bytes()))?;
        self.common(&close.yours, &reply.yours)
    }

    /// Own subjects whose doubly blinded points, in order, are among `theirs`.
    fn common(&self, own: &[Point], theirs: &[Point]) -> Result<Vec<Subject>, PsiError> {
        if own.len() != self.subjects.len() {
            return Err(PsiError::Miscounted { found: own.len(), sent: self.subjects.len() });
        }
        let theirs: std::collections::BTreeSet<&Point> = theirs.iter().collect();
        let both = self.subjects.iter().zip(own).filter(|(_, point)| theirs.contains(point));
        Ok(both.map(|((_, subject), _)| subject.clone()).collect())
    }

    fn times_secret(&self, points: &[Point]) -> Result<Vec<Point>, PsiError> {
        if points.len() > CLAIMS_MAX {
            return Err(PsiError::TooMany { found: points.len() });
        }
        let times = points.iter().enumerate().map(|(index, point)| {
            let point = CompressedRistretto(point.0).decompress();
            // The neutral element would tell the secret's owner nothing, but it is no honest point.
            let point =
                point.filter(|p| *p != RistrettoPoint::default()).ok_or(PsiError::NoPoint { index })?;
            Ok(compress(point * self.secret))
        });
        times.collect()
    }
}

fn expect(found: &str, expected: &'static str) -> Result<(), PsiError> {
    if found == expected {
        return Ok(());
    }
    Err(PsiError::OtherType { found: found.chars().take(80).collect(), expected })
}

fn continues(found: MessageDigest, expected: MessageDigest) -> Result<(), PsiError> {
    if found == expected { Ok(()) } else { Err(PsiError::OtherExchange { found, expected }) }
}

fn compress(point: RistrettoPoint) -> Point {
    Point(point.compress().to_bytes())
}

/// A point that nobody knows the logarithm of, from all that names a subject.
fn hash(subject: &Subject) -> RistrettoPoint {
    let mut digest = Sha512::new();
    digest.update(b"hiwar.org/psi/v1\0");
    let direction = format!("{:?}", subject.direction);
    for part in [&*subject.exporter, &*subject.item, &subject.month.to_string(), &direction] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    RistrettoPoint::from_uniform_bytes(&digest.finalize().into())
}

impl Serialize for Point {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Direction;

    fn subject(item: &str) -> Subject {
        Subject {
            exporter: "JP".into(),
            item: item.into(),
            month: "2019-07".parse().unwrap(),
            direction: Direction::Drop,
        }
    }

    fn digest(message: &impl super::super::Message) -> MessageDigest {
        MessageDigest::of(&message.bytes())
    }

    fn side(seed: u8, items: &[&str]) -> Side {
        Side::new(&[seed; 64], items.iter().map(|i| subject(i))).unwrap()
    }

    #[test]
    fn both_sides_learn_what_both_see_and_nothing_of_the_rest() {
        let (a, b) = (side(1, &["281111", "370790", "381800"]), side(2, &["370790", "854232", "281111"]));
        let hello = a.hello();
        let reply = b.reply(&hello, digest(&hello)).unwrap();
        let (seen_by_a, close) = a.close(&reply, digest(&reply)).unwrap();
        let mut seen_by_b = b.learn(&reply, &close).unwrap();
        let mut seen_by_a = seen_by_a;
        seen_by_a.sort();
        seen_by_b.sort();
        assert_eq!(seen_by_a, [subject("281111"), subject("370790")]);
        assert_eq!(seen_by_b, seen_by_a);
        // Without a secret the points of a guessed subject are of no use.
        let guess = side(3, &["381800", "854232"]);
        let all: Vec<&Point> =
            hello.mine.iter().chain(&reply.mine).chain(&reply.yours).chain(&close.yours).collect();
        assert!(guess.mine().iter().all(|p| !all.contains(&p)));
        assert!(all.iter().all(|p| **p != compress(hash(&subject("381800")))));
    }

    #[test]
    fn two_exchanges_of_the_same_subjects_have_no_point_in_common() {
        let (one, other) = (side(1, &["281111", "370790"]).mine(), side(9, &["281111", "370790"]).mine());
        assert!(one.iter().all(|p| !other.contains(p)));
    }

    #[test]
    fn wrong_messages_are_refused() {
        let (a, b) = (side(1, &["281111"]), side(2, &["281111"]));
        let to = digest(&a.hello());
        let mut reply = b.reply(&a.hello(), to).unwrap();
        reply.yours.clear();
        assert_eq!(a.close(&reply, to).err(), Some(PsiError::Miscounted { found: 0, sent: 1 }));
        reply.to = digest(&b.hello());
        assert!(matches!(a.close(&reply, to), Err(PsiError::OtherExchange { .. })));
        let stale = Close { kind: CLOSE.into(), to, yours: Vec::new() };
        assert!(matches!(b.learn(&reply, &stale), Err(PsiError::OtherExchange { .. })));
        let wrong = Hello { kind: HELLO.into(), mine: vec![Point([255; 32])] };
        assert_eq!(b.reply(&wrong, to).err(), Some(PsiError::NoPoint { index: 0 }));
        let neutral = Hello { kind: HELLO.into(), mine: vec![Point([0; 32])] };
        assert_eq!(b.reply(&neutral, to).err(), Some(PsiError::NoPoint { index: 0 }));
        let other = Hello { kind: "other".into(), mine: Vec::new() };
        assert!(matches!(b.reply(&other, to), Err(PsiError::OtherType { .. })));
        let many = Hello { kind: HELLO.into(), mine: vec![Point([0; 32]); CLAIMS_MAX + 1] };
        assert!(matches!(b.reply(&many, to), Err(PsiError::TooMany { .. })));
    }
}
