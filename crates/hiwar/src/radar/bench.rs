//! `hiwar radar bench`

use std::process::ExitCode;

use super::{Format, OutputArgs, screening};

/// Measure the radar on this machine
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: usize,
    #[command(flatten)]
    output: OutputArgs,
}

impl Bench {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        eprintln!("B3: screening of 480,000 series …");
        let b3 = screening::run(self.threads)?;
        if self.output.format == Format::Json {
            self.output.json(&serde_json::json!({ "b3": b3 }))?;
            return Ok(ExitCode::SUCCESS);
        }
        self.output.write(&b3.to_string())?;
        Ok(ExitCode::SUCCESS)
    }
}
