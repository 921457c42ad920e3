//! The radar: sees supply-chain trouble in trade tables and firm networks.
//!
//! * [`month`] — months and dates, the time axis of everything here,
//! * [`series`] — what is known of one flow of one item, month by month,
//! * [`import`], [`calendar`] and [`store`] — from the tables of customs offices to series, as of any date,
//! * [`items`] — codes of items and how they turn into each other,
//! * `structure` — who depends on whom: concentration, dependency books,
//! * `detect` and `scan` — what is abnormal in a month, how abnormal, and why,
//! * `replay` — what a rule would have said, month by month, and how often it would have been wrong,
//! * `corroborate` — what two nodes may tell each other without telling volumes,
//! * `graph` — cascades in firm networks, days to stop, single points of failure,
//! * `report` — tables, JSON, CSV and pages with plots.
//!
//! Nothing here opens a socket or asks for the time: the date to judge as of is an argument, and a
//! judgement uses nothing that was released later.

mod brief;
pub mod calendar;
pub mod corroborate;
pub mod detect;
pub mod graph;
pub mod import;
pub mod items;
pub mod month;
pub mod replay;
pub mod report;
pub mod scan;
pub mod series;
pub mod store;
pub mod structure;
