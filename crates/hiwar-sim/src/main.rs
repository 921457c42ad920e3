//! `hiwar-sim`: runs many seeds, or replays one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hiwar_sim::{Summary, run};

const USAGE: &str = "hiwar-sim --seeds N [--from N]   run seeds\nhiwar-sim --seed N [--trace]     replay one";

fn number(arguments: &[String], name: &str) -> Option<u64> {
    let position = arguments.iter().position(|a| a == name)?;
    arguments.get(position + 1)?.parse().ok()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(seed) = number(&arguments, "--seed") {
        let trace = arguments.iter().any(|a| a == "--trace");
        let (faults, summary) = run(seed, trace);
        println!("seed {seed} holds\n{faults:#?}\n{summary:#?}");
        return ExitCode::SUCCESS;
    }
    let Some(seeds) = number(&arguments, "--seeds") else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let first = number(&arguments, "--from").unwrap_or(1);
    run_many(first, seeds)
}

fn run_many(first: u64, seeds: u64) -> ExitCode {
    let start = Instant::now();
    let next = AtomicU64::new(first);
    let totals = Mutex::new((Summary::default(), 0_u64, 0_i64));
    let failures = Mutex::new(Vec::new());
    // The message of a seed that fails is printed once, below; not as a panic of this program.
    std::panic::set_hook(Box::new(|_| {}));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    match catch_unwind(AssertUnwindSafe(|| run(seed, false))) {
                        Ok((_, summary)) => {
                            let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
                            add(&mut totals, &summary);
                        }
                        Err(panic) => {
                            let why = panic
                                .downcast_ref::<String>()
                                .cloned()
                                .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                                .unwrap_or_default();
                            failures.lock().unwrap_or_else(PoisonError::into_inner).push((seed, why));
                        }
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.sort();
    let (total, runs, longest) = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{runs} seeds hold, {} fail; {seconds:.1} s, {:.0} seeds/s\n{} events, {} messages, {} entries acknowledged, {} crashes, {} commits refused by full disks,\n{} replays refused, {} forks caught, {} silent restores noticed; settled after at most {:.0} s of virtual time",
        failures.len(),
        seeds as f64 / seconds,
        total.events,
        total.messages,
        total.acknowledged,
        total.crashes,
        total.full,
        total.replays_refused,
        total.forks_caught,
        total.restores_noticed,
        longest as f64 / 1000.0,
    );
    for (seed, why) in failures.iter().take(20) {
        println!("SEED={seed} {why}\n  replay: cargo run --release -p hiwar-sim -- --seed {seed} --trace");
    }
    println!("{runs} passed, {} failed", failures.len());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn add(totals: &mut (Summary, u64, i64), summary: &Summary) {
    let (total, runs, longest) = totals;
    *runs += 1;
    *longest = (*longest).max(summary.settled_ms);
    total.events += summary.events;
    total.messages += summary.messages;
    total.acknowledged += summary.acknowledged;
    total.crashes += summary.crashes;
    total.full += summary.full;
    total.replays_refused += summary.replays_refused;
    total.forks_caught += summary.forks_caught;
    total.restores_noticed += summary.restores_noticed;
}
