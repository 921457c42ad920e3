//! Fuzz bodies for every parser of a stranger's bytes, with a stable-toolchain runner
