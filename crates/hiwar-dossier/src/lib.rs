//! Dossiers.
