//! The measures that the project itself has collected and cited, see `data/measures/SOURCE.md`.

use hiwar_form::{Document, Faults};

use crate::{Measure, document};

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../data/measures/", $name)))),+]
    };
}

/// The documents, by file name.
pub const FILES: &[(&str, &str)] = files![
    "cn-foreign-rare-earths-2025.json",
    "cn-gallium-germanium-2023.json",
    "cn-graphite-2023.json",
    "cn-rare-earths-2025-04.json",
    "cn-rare-earths-2025-10.json",
    "cn-urea-2021.json",
    "jp-kr-group-a.json",
    "jp-kr-three-materials.json",
    "kr-jp-group-ga.json",
    "wto-ds590.json",
];

/// Reads them.
///
/// # Errors
///
/// All faults of the first document that has any; a test sees to it that none has.
pub fn measures() -> Result<Vec<Measure>, Faults> {
    let read = |(name, text): &(&str, &str)| document::read(&Document::json(Some(name), text)?);
    FILES.iter().map(read).collect()
}
