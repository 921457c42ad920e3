//! `hiwar serve`

use std::path::PathBuf;
use std::process::ExitCode;

use hiwar_node::config::Config;
use hiwar_node::node::Node;
use tracing_subscriber::EnvFilter;

use super::PassphraseArgs;

/// Run a node until it is told to stop
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// The node's folder
    dir: PathBuf,
    /// Log as JSON lines
    #[arg(long)]
    log_json: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = Config::read(&self.dir)?;
        let filter = EnvFilter::try_from_env("HIWAR_LOG").or_else(|_| EnvFilter::try_new(&config.log))?;
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        if self.log_json {
            log.json().init();
        } else {
            log.with_target(false).init();
        }
        hiwar_node::tls::install_provider();
        let passphrase = self.passphrase.read(false)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(8)
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let node = Node::start(&self.dir, passphrase.as_ref().map(|p| p.as_slice())).await?;
            tracing::info!(did = %node.did(), peers = ?node.peers_at(), desks = %node.api_at(), "ready");
            stop_signal().await?;
            tracing::info!("stopping");
            node.stop().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Waits until this process is told to stop.
pub(crate) async fn stop_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
