//! Eclipse EDC beside it, as `interop/edc` builds and measures it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::Value;

use super::Size;

/// Two EDC connectors with one setting.
#[derive(Debug, Serialize)]
pub(super) struct Edc {
    /// Pause between the rounds of its state machines; 1000 is its default.
    pub(super) iteration_ms: u64,
    pub(super) startup_ms: f64,
    pub(super) rss_at_rest_mib: f64,
    pub(super) rss_after_mib: f64,
    pub(super) negotiation_p50_ms: f64,
    pub(super) in_flight: usize,
    pub(super) per_second: f64,
}

fn largest(value: &Value) -> f64 {
    let flat = |v: &Value| v.as_f64().or_else(|| v.as_array()?.first()?.as_f64());
    value.as_array().into_iter().flatten().filter_map(flat).fold(0.0, f64::max)
}

fn line(line: &str, in_flight: usize) -> anyhow::Result<Edc> {
    let found: Value = serde_json::from_str(line).context("what EDC's script printed is no JSON")?;
    let number = |at: &str| {
        found.pointer(at).and_then(Value::as_f64).with_context(|| format!("EDC's script did not say {at}"))
    };
    Ok(Edc {
        iteration_ms: number("/iteration_ms")? as u64,
        startup_ms: largest(&found["startup_ms"]),
        rss_at_rest_mib: largest(&found["rss_at_rest_mib"]),
        rss_after_mib: largest(&found["rss_after_mib"]),
        negotiation_p50_ms: number("/negotiation/median_ms")?,
        in_flight,
        per_second: number("/negotiations_together/per_second")?,
    })
}

/// Runs EDC with its defaults, then tuned.
pub(super) fn measure(interop: &Path, size: &Size, quick: bool) -> anyhow::Result<Vec<Edc>> {
    let script = interop.join("edc/run");
    if !script.exists() {
        bail!("{} is not there; name the folder `interop` of the sources with --interop", script.display());
    }
    let in_flight = size.in_flight.first().copied().unwrap_or(8);
    let (alone, together) = if quick { (2, 2) } else { (20, 4 * in_flight) };
    let out = Command::new(&script)
        .args(["--json", "--sequential", &alone.to_string(), "--parallel", &together.to_string()])
        .args(["--in-flight", &in_flight.to_string(), "--no-transfers"])
        .output()
        .with_context(|| format!("{} cannot be run", script.display()))?;
    if !out.status.success() {
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        bail!("{} failed; a JDK 17, Maven and Python 3 are needed: {}", script.display(), told.trim());
    }
    String::from_utf8_lossy(&out.stdout).lines().map(|l| line(l, in_flight)).collect()
}
