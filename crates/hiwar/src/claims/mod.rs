//! `hiwar claims …`: credentials that say who a participant is (DCP 1.0).

mod holder;

use std::process::ExitCode;

/// Credentials that say who a participant is (Decentralized Claims Protocol 1.0)
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ClaimsCommand {
    #[command(flatten)]
    Holder(holder::HolderCommand),
}

impl ClaimsCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Holder(command) => command.run(),
        }
    }
}
