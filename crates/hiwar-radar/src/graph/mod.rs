//! Cascades in firm networks, days to stop, single points of failure.
//!
//! * [`network`] — firms, sectors, links and essentiality, and their readers,
//! * [`esri`] — the economic systemic risk index of every firm,
//! * [`naive`] — the same by its definition, to compare with,
//! * [`trace`] — one cascade round by round: whom it reaches when, and by whom,
//! * [`whatif`] — the index before and after links are edited,
//! * [`generate`] — synthetic networks with a fixed seed,
//! * [`months`] — synthetic networks month by month, links coming and going,
//! * [`ario`] — output day by day after a shock, with inventories,
//! * [`survive`] — days to stop and days to recover over a bill of materials,
//! * [`points`] — single points of failure, disjoint ways, common causes,
//! * [`leontief`] — output multipliers of an input-output table.

pub mod ario;
pub mod esri;
pub mod generate;
mod kernel;
pub mod leontief;
pub mod months;
pub mod naive;
pub mod network;
pub mod points;
pub mod survive;
pub mod trace;
pub mod whatif;

pub use esri::{Essentiality, Options, esri_all, esri_of};
pub use network::{GraphError, Network};
