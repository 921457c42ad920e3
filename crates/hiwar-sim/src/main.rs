//! Runs seeds: `hiwar-sim --seeds 2000`, `hiwar-sim --seed 7 --trace`; `hiwar-sim dataspace --seeds 2000`
//! runs two connectors of the Dataspace Protocol.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks to its caller")]

use std::fmt::Display;
use std::ops::AddAssign;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use hiwar_sim::{DataspaceStats, Stats, Violation};

/// How many threads run seeds; each seed runs in one of them.
const THREADS: usize = 2;

struct Options {
    first: u64,
    last: u64,
    trace: bool,
    keep_going: bool,
    dataspace: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options { first: 1, last: 2000, trace: false, keep_going: false, dataspace: false };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || {
            let text = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
            text.parse::<u64>().map_err(|e| format!("{arg} {text}: {e}"))
        };
        match arg.as_str() {
            "--seeds" => options.last = number()?,
            "--from" => options.first = number()?,
            "--seed" => {
                options.first = number()?;
                options.last = options.first;
            }
            "--trace" => options.trace = true,
            "dataspace" => options.dataspace = true,
            "--keep-going" => options.keep_going = true,
            _ => {
                return Err(
                    "usage: hiwar-sim [dataspace] [--from N] [--seeds N] [--seed N] [--trace] [--keep-going]"
                        .into(),
                );
            }
        }
    }
    Ok(options)
}

/// A simulation: takes a seed and whether to print what happens.
type Simulation<S> = fn(u64, bool) -> Result<S, Violation>;

/// Runs one seed; a panic counts as a failure of that seed.
fn run<S>(simulation: Simulation<S>, seed: u64, trace: bool) -> Result<S, String> {
    match catch_unwind(AssertUnwindSafe(|| simulation(seed, trace))) {
        Ok(Ok(stats)) => Ok(stats),
        Ok(Err(violation)) => Err(format!("at {} ms: {}", violation.at_ms, violation.what)),
        Err(_) => Err("panicked".into()),
    }
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    if options.dataspace {
        run_all(&options, hiwar_sim::run_dataspace, |s: &DataspaceStats| s.seeds)
    } else {
        run_all(&options, hiwar_sim::run, |s: &Stats| s.seeds)
    }
}

fn run_all<S>(options: &Options, simulation: Simulation<S>, seeds: fn(&S) -> u64) -> ExitCode
where
    S: Default + Display + AddAssign + Send,
{
    let start = Instant::now();
    let next = AtomicU64::new(options.first);
    let stop = AtomicBool::new(false);
    let total = Mutex::new(S::default());
    let failures = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > options.last || stop.load(Ordering::Relaxed) {
                        break;
                    }
                    match run(simulation, seed, options.trace) {
                        Ok(stats) => {
                            if let Ok(mut total) = total.lock() {
                                *total += stats;
                                if seeds(&total).is_multiple_of(200) {
                                    println!(
                                        "{} seeds, {:.0} s",
                                        seeds(&total),
                                        start.elapsed().as_secs_f64()
                                    );
                                }
                            }
                        }
                        Err(what) => {
                            failures.fetch_add(1, Ordering::Relaxed);
                            println!("SEED={seed} {what}");
                            let mode = if options.dataspace { "dataspace " } else { "" };
                            println!(
                                "replay: cargo run --release -p hiwar-sim -- {mode}--seed {seed} --trace"
                            );
                            stop.store(!options.keep_going, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    if let Ok(total) = total.lock() {
        print!("{total}");
        println!("  {:<22}{:.1}", "seeds/s", seeds(&total) as f64 / seconds);
    }
    let failed = failures.load(Ordering::Relaxed);
    if failed > 0 {
        println!("{failed} seeds failed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
