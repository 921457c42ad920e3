//! `hiwar bench …`: figures measured on the machine at hand, beside that machine's own limits.

pub(crate) mod exchange;
mod machine;

use std::process::ExitCode;

/// Measure
#[derive(Debug, clap::Subcommand)]
pub(crate) enum BenchCommand {
    /// Two nodes on this machine exchange entries over loopback, durably, signed and receipted
    Exchange(exchange::Exchange),
}

impl BenchCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Exchange(bench) => bench.run(),
        }
    }
}
