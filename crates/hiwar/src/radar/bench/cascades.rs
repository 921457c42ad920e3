//! B2: the ESRI of every firm of a network.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Instant;

use anyhow::Context as _;
use hiwar_radar::graph::esri::{Essentiality, Options, esri_all};
use hiwar_radar::graph::generate::{Shape, generate};
use hiwar_radar::graph::naive::esri_naive;
use serde::Serialize;

use super::limits::{forget_peak_memory, peak_memory_mib};
use super::{Figure, Report};
use crate::radar::progress;

/// Firms for which the definition is computed without any shortcut.
const BY_DEFINITION: usize = 20;

/// What is said beside the times.
#[derive(Debug, Serialize)]
pub(super) struct Cascades {
    firms: usize,
    links: usize,
    ms_per_firm: f64,
    /// The largest ESRI, a share of all output.
    largest: f64,
    /// Largest difference from the definition, over some firms.
    largest_difference: f64,
    peak_memory_mib: f64,
}

impl fmt::Display for Cascades {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "B2: {} firms at {:.3} ms each; the largest ESRI is {:.4}; {BY_DEFINITION} of them differ by {:.1e} from the \
             definition at most; peak memory {:.0} MiB. The published R package (GLcascade, not run here) is reported \
             at 3.4 s for one of 91,595 firms.",
            self.firms, self.ms_per_firm, self.largest, self.largest_difference, self.peak_memory_mib
        )
    }
}

pub(super) fn measure(shape: &str, threads: NonZeroUsize, report: &mut Report) -> anyhow::Result<()> {
    let (firms, links) = shape.split_once(':').context("a network is FIRMS:LINKS")?;
    let shape = Shape { firms: firms.parse()?, links: links.parse()?, sectors: 600, seed: 1 };
    eprintln!("B2: cascades of every firm of {} …", shape.firms);
    forget_peak_memory();
    let (network, table) = generate(&shape)?;
    let options =
        Options { essentiality: Essentiality::Table(table), threads: threads.get(), ..Options::default() };
    let bar = progress(shape.firms as u64, "firms");
    let start = Instant::now();
    let found = esri_all(&network, &options, |done| bar.set_position(done as u64))?;
    let radar = start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let task = format!("ESRI of every firm, {} firms, {} links", shape.firms, shape.links);
    report.add("b2", &task, "radar", radar, radar);
    eprintln!("B2: {BY_DEFINITION} of them by the definition …");
    let (mut largest_difference, mut tried) = (0.0_f64, 0_u32);
    let start = Instant::now();
    for (firm, esri) in found.iter().enumerate().step_by(found.len().div_ceil(BY_DEFINITION).max(1)) {
        let naive = esri_naive(&network, &options, &[(u32::try_from(firm)?, 1.0)])?;
        largest_difference = largest_difference.max((naive.esri - esri).abs());
        tried += 1;
    }
    let each = start.elapsed().as_secs_f64() / f64::from(tried.max(1));
    let seconds = each * shape.firms as f64 / threads.get() as f64;
    report.figures.push(Figure {
        bench: "b2",
        task,
        engine: "by definition, every link in every round".into(),
        seconds,
        extrapolated: true,
        ratio: seconds / radar,
        note: format!("from {tried} firms on one thread, divided by {threads} threads"),
    });
    report.b2.push(Cascades {
        firms: shape.firms,
        links: shape.links,
        ms_per_firm: radar * 1e3 / shape.firms as f64,
        largest: found.iter().copied().fold(0.0, f64::max),
        largest_difference,
        peak_memory_mib: peak_memory_mib(),
    });
    Ok(())
}
