//! The figures as a table.

use super::edc::Edc;
use super::memory::Memory;
use super::pull::Pulls;
use super::{Report, Spread};
use crate::commands::table;

type Row = Vec<String>;

fn row(name: &str, value: String, note: impl Into<String>) -> Row {
    vec![name.to_owned(), value, note.into()]
}

fn spread(s: &Spread) -> String {
    format!("{:.1} / {:.1} / {:.1} ms", s.p50_ms, s.p99_ms, s.max_ms)
}

fn memory(name: &str, m: &Memory) -> Row {
    let [p, c] = [0, 1].map(|n| {
        let of = |all: &[f64; 2]| all.get(n).copied().unwrap_or(0.0);
        format!("{:.0} / {:.0} / {:.0}", of(&m.before), of(&m.peak), of(&m.after))
    });
    row(name, format!("{p} MiB"), format!("provider, before / most / after; consumer {c} MiB"))
}

pub(super) fn show(r: &Report) -> String {
    let m = &r.machine;
    let mut rows = vec![
        row(
            "machine",
            format!("{} × {}", m.cores, m.cpu),
            format!(
                "{} MiB, Linux {}; load {:.1} before, {:.1} after",
                m.memory_mib, m.kernel, r.load_before, r.load_after
            ),
        ),
        row("fdatasync of 4 KiB", format!("{:.0} µs", m.fsync_us_p50), "median"),
        row(
            "SQLite commits",
            format!("{:.0} per s", m.sqlite_commits_per_second),
            "one row each, WAL, synchronous=FULL",
        ),
        row("", String::new(), ""),
    ];
    negotiations(r, &mut rows);
    catalog(r, &mut rows);
    pulls(&r.pull, &mut rows);
    rows.push(row(
        "start to ready",
        format!("{:.0} ms", r.start_empty_ms),
        "nothing stored, the slower node",
    ));
    let [provider, consumer] = r.start_full_ms;
    rows.push(row(
        "  after all this",
        format!("{provider:.0} / {consumer:.0} ms"),
        format!("provider / consumer; {} datasets, {} negotiations", r.size.datasets, r.negotiations.made),
    ));
    rows.push(memory("memory at rest", &r.rest));
    rows.push(memory("  after all this and a start", &r.rest_full));
    edc(r, &mut rows);
    table(&rows)
}

fn negotiations(r: &Report, rows: &mut Vec<Row>) {
    let n = &r.negotiations;
    rows.push(row(
        "negotiation p50 / p99 / max",
        spread(&n.alone),
        format!("one at a time, {} of them, from the desk's request to FINALIZED", r.size.negotiations),
    ));
    for t in &n.together {
        let [p, c] = t.cpu_us;
        rows.push(row(
            &format!("  {} in flight", t.in_flight),
            format!("{:.0} per s", t.per_second),
            format!("{}; processor {p:.0} + {c:.0} µs each, provider + consumer", spread(&t.spread)),
        ));
    }
    rows.push(memory("  memory", &n.memory));
}

fn catalog(r: &Report, rows: &mut Vec<Row>) {
    rows.push(row(
        "offering",
        format!("{:.0} per s", r.offering.per_second),
        format!("{} datasets through the local API, in bulk", r.offering.datasets),
    ));
    rows.push(memory("  memory", &r.offering.memory));
    rows.push(row("catalog p50 / p99 / max", String::new(), "page of 50, over HTTPS as another node asks"));
    for page in &r.catalog {
        let coding = if page.gzip { "gzip" } else { "plain" };
        rows.push(row(
            &format!("  {}", page.what),
            spread(&page.spread),
            match page.bytes {
                Some(bytes) => format!("{coding}, {bytes} bytes"),
                None => format!("{coding} between the nodes, JSON to the desk"),
            },
        ));
    }
    rows.push(memory("  memory", &r.catalog_memory));
}

fn pulls(p: &Pulls, rows: &mut Vec<Row>) {
    let against = |ours: f64, theirs: Option<f64>| match theirs {
        Some(theirs) => format!("nginx {theirs:.0} MB/s; ratio {:.2}", ours / theirs),
        None => format!("NGINX NOT MEASURED: {}", p.nginx_missing.clone().unwrap_or_default()),
    };
    let speed = |mb: f64| format!("{mb:.0} MB/s");
    rows.push(row(
        "pull, only read",
        speed(p.read_node),
        format!("{} bytes, no TLS; {}", p.bytes, against(p.read_node, p.read_nginx)),
    ));
    rows.push(row(
        "  hashed, kept, durable",
        speed(p.pull_node),
        format!("no TLS; {}", against(p.pull_node, p.pull_nginx)),
    ));
    rows.push(row(
        "  TLS: only read / kept",
        format!("{:.0} / {:.0} MB/s", p.read_node_tls, p.pull_node_tls),
        "TLS 1.3",
    ));
    rows.push(row(
        "  between two nodes",
        speed(p.between_nodes),
        "TLS, with the beginning and the end of the transfer",
    ));
    rows.push(memory("  memory", &p.memory));
}

fn edc(r: &Report, rows: &mut Vec<Row>) {
    match &r.edc {
        Err(reason) => rows.push(row("Eclipse EDC", "NOT MEASURED".into(), reason.clone())),
        Ok(all) => all.iter().for_each(|one| beside(r, one, rows)),
    }
}

fn beside(r: &Report, e: &Edc, rows: &mut Vec<Row>) {
    rows.push(row(
        "Eclipse EDC 0.15.1",
        format!("every {} ms", e.iteration_ms),
        "pause of its state machines; state in memory, no signatures",
    ));
    rows.push(row(
        "  start to ready",
        format!("{:.0} ms", e.startup_ms),
        format!("ratio {:.0}", e.startup_ms / r.start_empty_ms),
    ));
    let rest = r.rest.before.into_iter().fold(0.0, f64::max);
    rows.push(row(
        "  memory at rest / after",
        format!("{:.0} / {:.0} MiB", e.rss_at_rest_mib, e.rss_after_mib),
        format!("ratio at rest {:.0}", e.rss_at_rest_mib / rest),
    ));
    rows.push(row(
        "  negotiation p50",
        format!("{:.0} ms", e.negotiation_p50_ms),
        format!("one at a time; ratio {:.0}", e.negotiation_p50_ms / r.negotiations.alone.p50_ms),
    ));
    let ours =
        r.negotiations.together.iter().find(|t| t.in_flight == e.in_flight).map_or(0.0, |t| t.per_second);
    rows.push(row(
        &format!("  {} in flight", e.in_flight),
        format!("{:.2} per s", e.per_second),
        format!("ratio {:.0}", ours / e.per_second),
    ));
}
