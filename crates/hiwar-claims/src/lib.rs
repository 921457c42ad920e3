//! The Decentralized Claims Protocol 1.0 without I/O.
