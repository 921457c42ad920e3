//! `hiwar claims …`: credentials that say who a participant is (DCP 1.0).

mod holder;
mod issuer;

use std::process::ExitCode;

/// Credentials that say who a participant is (Decentralized Claims Protocol 1.0)
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ClaimsCommand {
    #[command(flatten)]
    Holder(holder::HolderCommand),
    #[command(flatten)]
    Issuer(issuer::IssuerCommand),
}

impl ClaimsCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Holder(command) => command.run(),
            Self::Issuer(command) => command.run(),
        }
    }
}
