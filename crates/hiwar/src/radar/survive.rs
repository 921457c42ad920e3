//! `hiwar radar survive`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use hiwar_radar::graph::points::{Common, common_causes, single_points};
use hiwar_radar::graph::survive::Bill;
use serde_json::json;

use super::{Format, OutputArgs};

/// Days to stop against days to recover, over a bill of materials of several tiers
#[derive(Debug, clap::Args)]
pub(crate) struct Survive {
    /// The bill of materials (JSON)
    file: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

impl Survive {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let text = std::fs::read_to_string(&self.file).with_context(|| self.file.display().to_string())?;
        let bill = Bill::read(&self.file.display().to_string(), &text)?;
        let name = |at: usize| bill.nodes().get(at).map_or("?", |n| &*n.name);
        let way = |way: &[usize]| way.iter().map(|n| name(*n)).collect::<Vec<_>>().join(" → ");
        let warnings = bill.warnings();
        let watched: Vec<usize> =
            bill.nodes().iter().enumerate().filter(|(_, n)| n.watch).map(|(at, _)| at).collect();
        if self.output.format == Format::Json {
            let points = |at: usize| -> Vec<_> {
                let points = single_points(&bill, at);
                points.iter().map(|p| json!({ "node": name(p.node), "days": p.days })).collect()
            };
            self.output.json(&json!({
                "warnings": warnings.iter().map(|w| json!({
                    "failed": name(w.failed), "stops": name(w.stops),
                    "tts_days": w.tts_days, "ttr_days": w.ttr_days,
                    "way": w.way.iter().map(|n| name(*n)).collect::<Vec<_>>(),
                })).collect::<Vec<_>>(),
                "single_points": watched.iter().map(|at| json!({
                    "of": name(*at), "points": points(*at),
                })).collect::<Vec<_>>(),
            }))?;
        } else {
            let mut out = String::new();
            for w in &warnings {
                out.push_str(&format!(
                    "{} stops {:.1} days after {} fails, which takes {:.1} days to recover\n  {}\n",
                    name(w.stops),
                    w.tts_days,
                    name(w.failed),
                    w.ttr_days,
                    way(&w.way)
                ));
            }
            if warnings.is_empty() {
                out.push_str("No watched node stops before a failed one is back.\n");
            }
            for at in watched {
                out.push_str(&format!("\nSingle points of failure of {}:\n", name(at)));
                for p in single_points(&bill, at) {
                    out.push_str(&format!("  {:<30} stops it after {:.1} days\n", name(p.node), p.days));
                }
                for (what, common) in [("site", Common::Site), ("owner", Common::Owner)] {
                    for c in common_causes(&bill, at, common).iter().filter(|c| c.hidden) {
                        out.push_str(&format!(
                            "  all at {what} {}: {} nodes, stops it after {:.1} days; none of them alone does\n",
                            c.name,
                            c.nodes.len(),
                            c.days
                        ));
                    }
                }
            }
            self.output.write(&out)?;
        }
        Ok(if warnings.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
