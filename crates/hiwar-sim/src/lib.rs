//! Deterministic simulation of several nodes with seeded faults
