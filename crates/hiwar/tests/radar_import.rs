//! Tables in and out of the store with the real binary: files larger than memory, and the way out.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use std::path::PathBuf;

use newcomer::Newcomer;

fn korea() -> String {
    let file = "../../data/trade/kcs-korea/korea_trade_hsk10_monthly_2000_2021.csv";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// A person whose store has three releases of Korea's file: numbers, revisions, withdrawals.
fn with_revisions() -> Newcomer {
    let person = Newcomer::new();
    let text = std::fs::read_to_string(korea()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let revised = lines.iter().enumerate().map(|(n, line)| match n % 7 {
        3 if n > 0 => format!("{}9\n", line.trim_end_matches(".0")),
        _ => format!("{line}\n"),
    });
    std::fs::write(person.path("revised.csv"), revised.collect::<String>()).unwrap();
    let shorter: String = lines.iter().take(30_000).map(|line| format!("{line}\n")).collect();
    std::fs::write(person.path("shorter.csv"), shorter).unwrap();
    person.hiwar(&["radar", "import", &korea(), "--received", "2022-02-01"]).ok();
    person.hiwar(&["radar", "import", "revised.csv", "--received", "2022-03-01"]).ok();
    let said =
        person.hiwar(&["radar", "import", "shorter.csv", "--received", "2022-04-01", "--complete"]).ok();
    assert!(said.out.contains("numbers withdrawn"), "{}", said.out);
    person
}

#[test]
fn what_was_imported_can_be_taken_out_and_imported_again_in_every_form() {
    let person = with_revisions();
    person.hiwar(&["radar", "export", "-o", "all.csv", "--format", "csv"]).ok();
    person.hiwar(&["radar", "export", "-o", "all.json", "--format", "json"]).ok();
    let all = std::fs::read_to_string(person.path("all.csv")).unwrap();
    let json: Vec<serde_json::Value> =
        serde_json::from_slice(&std::fs::read(person.path("all.json")).unwrap()).unwrap();
    assert_eq!(json.len(), all.lines().count() - 1);
    assert!(json.len() > 70_108, "{} numbers and revisions", json.len());
    let mut forms = vec!["all.csv"];
    if cfg!(feature = "parquet") {
        person.hiwar(&["radar", "export", "-o", "all.parquet", "--format", "parquet"]).ok();
        forms.push("all.parquet");
        let scan = ["radar", "scan", "--as-of", "2022-03-31", "--format", "parquet", "-o", "scan.parquet"];
        person.hiwar(&scan);
        assert!(std::fs::read(person.path("scan.parquet")).unwrap().starts_with(b"PAR1"));
    }
    for form in forms {
        let store = format!("again-{form}");
        person.hiwar(&["radar", "import", form, "--store", &store, "--received", "2022-05-01"]).ok();
        let back = person.hiwar(&["radar", "export", "--store", &store, "--format", "csv"]).ok();
        assert!(back.out.trim_end() == all.trim_end(), "{form}: the same rows, releases and revisions");
        let scan = ["radar", "scan", "--as-of", "2022-03-31", "--rule", "robust-36", "--format", "csv"];
        let there = person.hiwar(&[&scan[..], &["--store", &store]].concat());
        assert_eq!(person.hiwar(&scan).out, there.out, "{form}: and the same judgement");
    }
    let one = ["radar", "export", "--item", "2811111000", "--partner", "JP", "--flow", "import"];
    let rows = person.hiwar(&one).ok();
    assert!(
        rows.out.lines().skip(1).all(|row| row.starts_with("kcs,KR,JP,2811111000,import,")),
        "{}",
        rows.out
    );
    person.hiwar(&["radar", "export", "--format", "html"]).refused(&["csv, parquet or json"]);
    person.hiwar(&["radar", "export", "--store", "nowhere"]).refused(&["nowhere", "radar import"]);
}

#[test]
fn unknown_codes_are_told_and_refused_when_asked() {
    let person = Newcomer::new();
    let table = "period,reporter,partner,item,flow,value,unit\n2019-07,KR,JP,289999,import,1,USD\n";
    std::fs::write(person.path("t.csv"), table).unwrap();
    person
        .hiwar(&["radar", "import", "t.csv", "--strict-codes"])
        .refused(&["t.csv", "line 2", "289999", "no list"]);
    let said = person.hiwar(&["radar", "import", "t.csv"]).ok();
    assert!(said.out.contains("unknown codes: 1, e.g. 289999, kept"), "{}", said.out);
}

/// Rows that are all different go through a pipe, and the command has far less memory than they take. The
/// environment variable `HIWAR_IMPORT_MB` makes it more than the usual 300 megabytes.
#[cfg(target_os = "linux")]
#[test]
fn memory_stays_flat_while_a_file_larger_than_it_is_read() {
    let megabytes = std::env::var("HIWAR_IMPORT_MB").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let small = import_through_pipe(30);
    let large = import_through_pipe(megabytes);
    println!("peak of memory: {small} MiB for 30 MB, {large} MiB for {megabytes} MB");
    assert!(large < small + 64, "{small} MiB for 30 MB, {large} MiB for {megabytes} MB");
}

/// Imports so many megabytes with 400 MB of address space; the peak of memory in MiB.
#[cfg(target_os = "linux")]
fn import_through_pipe(megabytes: usize) -> u64 {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let person = Newcomer::new();
    let pipe = person.path("pipe.csv");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -v 400000 && exec \"$0\" \"$@\"", newcomer::HIWAR])
        .args([
            "radar",
            "import",
            "pipe.csv",
            "--received",
            "2025-01-01",
            "--format",
            "json",
            "-o",
            "report.json",
        ])
        .current_dir(person.dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let feed = std::thread::spawn(move || {
        let file = std::fs::File::options().write(true).open(pipe).unwrap();
        let mut out = std::io::BufWriter::with_capacity(1 << 20, file);
        let header = "hsk10,country,year,month,exp_usd,exp_kg,imp_usd,imp_kg\n";
        out.write_all(header.as_bytes()).unwrap();
        let countries = ["JP", "CN", "US", "DE", "TW", "VN", "FR", "IT", "GB", "AU"];
        let (mut written, mut rows) = (header.len(), 0_usize);
        while written < megabytes * 1_000_000 {
            let (country, month, item) = (countries[rows % 10], rows / 10 % 288, rows / 2880);
            let (year, month) = (2000 + month / 12, month % 12 + 1);
            let amount = rows.wrapping_mul(7919) % 1_000_003;
            let row = format!("28111{item:05},{country},{year},{month},0,0.0,{amount},{}.5\n", amount * 3);
            out.write_all(row.as_bytes()).unwrap();
            written += row.len();
            rows += 1;
        }
        out.flush().unwrap();
        rows
    });
    // What the process has used at most, as long as it is there to be asked.
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok());
        peak_kib = peak_kib.max(now.unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(person.path("report.json")).unwrap()).unwrap();
    assert_eq!(report["rows"].as_u64(), Some(feed.join().unwrap() as u64));
    peak_kib / 1024
}
