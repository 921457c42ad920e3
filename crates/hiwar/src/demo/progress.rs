//! What is shown while the demo runs: lines on standard error, and below them a bar on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The lines and the bar.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar for so many steps; it hides itself where standard error is no terminal.
    pub(super) fn new(steps: usize) -> Self {
        let bar = ProgressBar::new(u64::try_from(steps).unwrap_or(u64::MAX));
        if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:28}] {pos}/{len}  {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar }
    }

    /// Tells what happened.
    pub(super) fn line(&self, text: &str) {
        if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.println(text);
        }
    }

    /// Tells what is going on now.
    pub(super) fn now(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    /// One step more is done.
    pub(super) fn advance(&self) {
        self.bar.inc(1);
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
