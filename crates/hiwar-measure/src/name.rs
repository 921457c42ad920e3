//! Names of measures, items and states: short, lower case, with hyphens.

use std::fmt;
use std::str::FromStr;

use crate::NotRead;

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

fn is_name(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    text.len() <= NAME_BYTES_MAX
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && edge(text.as_bytes().first())
        && edge(text.as_bytes().last())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NotRead;

            fn from_str(text: &str) -> Result<Self, NotRead> {
                if is_name(text) { Ok(Self(text.to_owned())) } else { Err(NotRead::new("not-a-name", text)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }
    };
}

name! {
    /// A measure within a register, such as `jp-kr-three-materials`.
    MeasureId
}
name! {
    /// An item within a measure, such as `hydrogen-fluoride`.
    ItemId
}
name! {
    /// A state of a measure, such as `individual-licence`; also an event or fact that a claim is about.
    StateId
}
