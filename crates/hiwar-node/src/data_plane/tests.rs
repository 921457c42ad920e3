//! Stories over real sockets on the loopback interface.

mod pulls;
mod refusals;
mod rig;
