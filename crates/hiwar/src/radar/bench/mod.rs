//! `hiwar radar bench`: B1 dependency books, B2 cascades, B3 screening, each beside other engines on the same machine in
//! the same run.

mod books;
mod cascades;
mod limits;
mod peers;
mod screening;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use hiwar_radar::report::html::{Page, escape};
use hiwar_radar::report::records::Records;
use serde::Serialize;

use super::{OutputArgs, Shown};
use limits::Limits;

use peers::Peers;

/// Measure the radar on this machine, beside DuckDB, Polars and numpy/statsmodels
#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// Which: b1 (dependency books), b2 (cascades of every firm), b3 (screening) [default: all]
    #[arg(value_parser = ["b1", "b2", "b3"])]
    which: Vec<String>,
    /// Threads, of every engine
    #[arg(long, default_value = "2")]
    threads: NonZeroUsize,
    /// Measured runs of each engine in B1, after one to warm up; the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// B1: rows of each of three years
    #[arg(long, default_value_t = 11_000_000)]
    rows: u64,
    /// B1: where the sample files go, about 1.2 GB [default: a temporary folder]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// B2: firms and links, separated by a colon (repeatable)
    #[arg(long, default_values_t = ["91595:241477".to_owned()])]
    network: Vec<String>,
    /// The folder of the scripts of the other engines, in this project's repository
    #[arg(long, default_value = "interop/bench")]
    peers: PathBuf,
    /// A Python environment for the other engines; made when it is missing
    #[arg(long, default_value = "target/peers")]
    peers_env: PathBuf,
    /// Measure the radar alone
    #[arg(long)]
    no_peers: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// One figure of one engine.
#[derive(Clone, Debug, Serialize)]
struct Figure {
    /// b1, b2 or b3.
    bench: &'static str,
    /// What was done.
    task: String,
    /// By whom.
    engine: String,
    /// Median time, s.
    seconds: f64,
    /// Whether `seconds` was worked out from a smaller part, which `note` names.
    extrapolated: bool,
    /// How many times as long as the radar.
    ratio: f64,
    /// What else is to be said.
    note: String,
}

/// All that was measured.
#[derive(Debug, Default, Serialize)]
struct Report {
    threads: usize,
    limits: Option<Limits>,
    figures: Vec<Figure>,
    /// Why other engines were not measured, where they were not.
    skipped: Vec<String>,
    b1: Option<books::Books>,
    b2: Vec<cascades::Cascades>,
    b3: Option<screening::Screening>,
}

impl Bench {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let wanted = |name: &str| self.which.is_empty() || self.which.iter().any(|w| w == name);
        let mut report = Report { threads: self.threads.get(), ..Report::default() };
        let peers = match self.no_peers {
            true => Err("--no-peers".to_owned()),
            false => Peers::ready(&self.peers, &self.peers_env),
        };
        if let Err(why) = &peers {
            eprintln!("SKIPPED the other engines: {why}");
            report.skipped.push(why.clone());
        }
        let peers = peers.ok();
        if wanted("b1") {
            books::measure(&self, peers.as_ref(), &mut report)?;
        }
        if wanted("b2") {
            for shape in &self.network {
                cascades::measure(shape, self.threads, &mut report)?;
            }
        }
        if wanted("b3") {
            screen(self.threads, peers.as_ref(), &mut report)?;
        }
        self.output.show(&Shown {
            json: &report,
            records: &|| records(&report),
            table: &|| table(&report),
            page: &|| page(&report),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn screen(threads: NonZeroUsize, peers: Option<&Peers>, report: &mut Report) -> anyhow::Result<()> {
    eprintln!("B3: screening of 480,000 series …");
    limits::forget_peak_memory();
    let found = screening::run(threads.get())?;
    let radar = found.rebuild_s;
    report.add("b3", "480,000 series of 180 months, all anew", "radar", radar, radar);
    if let Some(peers) = peers {
        eprintln!("B3: the same tests by numpy, statsmodels and Polars on some series …");
        match peers.run("b3.py", &[]) {
            Ok(lines) => {
                for line in &lines {
                    let seconds = line["seconds_per_series"].as_f64().unwrap_or(f64::NAN)
                        * found.series as f64
                        / threads.get() as f64;
                    report.figures.push(Figure {
                        bench: "b3",
                        task: "480,000 series of 180 months, all anew".into(),
                        engine: text(&line["engine"]),
                        seconds,
                        extrapolated: true,
                        ratio: seconds / radar,
                        note: format!(
                            "{}; from {} series on one thread, divided by {threads} threads",
                            text(&line["does"]),
                            line["series"]
                        ),
                    });
                }
            }
            Err(why) => report.skip("b3.py", &why),
        }
    }
    report.add("b3", "one new month of all", "radar", found.new_month_s, found.new_month_s);
    report.b3 = Some(found);
    Ok(())
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Report {
    fn add(&mut self, bench: &'static str, task: &str, engine: &str, seconds: f64, radar: f64) {
        self.figures.push(Figure {
            bench,
            task: task.to_owned(),
            engine: engine.to_owned(),
            seconds,
            extrapolated: false,
            ratio: seconds / radar,
            note: String::new(),
        });
    }

    fn skip(&mut self, what: &str, why: &str) {
        eprintln!("SKIPPED {what}: {why}");
        self.skipped.push(format!("{what}: {why}"));
    }

    /// Measures the machine's own limits once.
    fn limits(&mut self, threads: NonZeroUsize, file: &std::path::Path) -> anyhow::Result<Limits> {
        let limits = Limits::measure(threads, file)?;
        self.limits = Some(limits);
        Ok(limits)
    }
}

fn records(report: &Report) -> Records {
    let figures = || report.figures.iter();
    Records::default()
        .note("threads", report.threads.to_string())
        .text("bench", figures().map(|f| f.bench))
        .text("task", figures().map(|f| &f.task))
        .text("engine", figures().map(|f| &f.engine))
        .number("seconds", figures().map(|f| f.seconds))
        .flag("extrapolated", figures().map(|f| f.extrapolated))
        .number("ratio_to_radar", figures().map(|f| f.ratio))
        .text("note", figures().map(|f| &f.note))
}

fn remarks(report: &Report) -> Vec<String> {
    let mut remarks: Vec<String> = report.limits.iter().map(ToString::to_string).collect();
    remarks.extend(report.b1.iter().map(ToString::to_string));
    remarks.extend(report.b2.iter().map(ToString::to_string));
    remarks.extend(report.b3.iter().map(screening::Screening::remark));
    remarks.extend(report.skipped.iter().map(|why| format!("SKIPPED other engines: {why}")));
    remarks
}

fn table(report: &Report) -> String {
    let mut out =
        format!("{} threads for every engine; ratio: how many times as long as the radar\n", report.threads);
    let mut last = "";
    for f in &report.figures {
        if f.task != last {
            out.push_str(&format!("\n{} {}\n", f.bench.to_uppercase(), f.task));
            last = &f.task;
        }
        let about = if f.extrapolated { "about " } else { "" };
        out.push_str(&format!(
            "  {:<46} {about:>6}{:>10.2} s {:>9.1} x  {}\n",
            f.engine, f.seconds, f.ratio, f.note
        ));
    }
    out.push('\n');
    for remark in remarks(report) {
        out.push_str(&format!("{remark}\n"));
    }
    out
}

fn page(report: &Report) -> String {
    let mut page = Page::new("The radar and other engines");
    page.paragraph(&format!("{} threads for every engine; median times.", report.threads));
    let mut rows = String::from(
        "<table><tr><th>task</th><th>engine</th><th>seconds</th><th>times as long</th><th>note</th></tr>",
    );
    for f in &report.figures {
        rows.push_str(&format!(
            "<tr><td>{}</td><td>{}</td><td>{}{:.2}</td><td>{:.1}</td><td>{}</td></tr>",
            escape(&f.task),
            escape(&f.engine),
            if f.extrapolated { "about " } else { "" },
            f.seconds,
            f.ratio,
            escape(&f.note)
        ));
    }
    rows.push_str("</table>");
    page.raw(&rows);
    for remark in remarks(report) {
        page.paragraph(&remark);
    }
    page.finish()
}
