//! The subset of ODRL that is enforced.
