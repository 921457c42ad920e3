//! `hiwar bench …`: figures measured on the machine at hand, beside that machine's own limits.

pub(crate) mod dataspace;
pub(crate) mod exchange;
mod machine;

use std::process::ExitCode;

/// Measure
#[derive(Debug, clap::Subcommand)]
pub(crate) enum BenchCommand {
    /// Two nodes on this machine exchange entries over loopback, durably, signed and receipted
    Exchange(exchange::Exchange),
    /// Two nodes on this machine negotiate, look into catalogs and pull over loopback, durably
    Dataspace(dataspace::Dataspace),
}

impl BenchCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Exchange(bench) => bench.run(),
            Self::Dataspace(bench) => bench.run(),
        }
    }
}
