//! Stories over real sockets on the loopback interface.

mod pulls;
mod pushes;
mod refusals;
mod rig;
mod signals;
