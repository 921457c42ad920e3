//! Runs the fuzz targets on the stable toolchain.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use hiwar_fuzz::Target;
use hiwar_fuzz::runner::{self, Budget, Crash};
use hiwar_trust::hash::Hash;

const USAGE: &str = "\
Runs the fuzz targets. A finding is written to fuzz/crashes/ and ends the run with exit code 1.

usage: hiwar-fuzz [--target NAME] [--seconds-per-target N | --executions N] [--seed N]
       hiwar-fuzz --target NAME --replay FILE
       hiwar-fuzz --export FOLDER   (the valid inputs, for libFuzzer to start from)
       hiwar-fuzz --list";

/// What the command line asks for.
struct Options {
    target: Option<String>,
    budget: Budget,
    seed: u64,
    replay: Option<String>,
    export: Option<String>,
    list: bool,
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let clock = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos();
    let mut options = Options {
        target: None,
        budget: Budget::Time(Duration::from_secs(3)),
        seed: u64::from(clock),
        replay: None,
        export: None,
        list: false,
    };
    while let Some(flag) = arguments.next() {
        if flag == "--list" {
            options.list = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{flag} takes a number, not {value:?}"));
        match flag.as_str() {
            "--target" => options.target = Some(value),
            "--replay" => options.replay = Some(value),
            "--export" => options.export = Some(value),
            "--seed" => options.seed = number()?,
            "--executions" => options.budget = Budget::Executions(number()?),
            "--seconds-per-target" => options.budget = Budget::Time(Duration::from_secs(number()?)),
            _ => return Err(format!("there is no option {flag}")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|options| execute(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Does what is asked for; says whether nothing was found.
fn execute(options: &Options) -> Result<bool, String> {
    let targets = runner::select(options.target.as_deref());
    if targets.is_empty() {
        return Err("there is no such target; --list shows all".to_owned());
    }
    if options.list {
        targets.iter().for_each(|(name, ..)| println!("{name}"));
        return Ok(true);
    }
    if let Some(folder) = &options.export {
        let written = targets.iter().try_for_each(|target| export(target, &Path::new(folder).join(target.0)));
        return written.map(|()| true).map_err(|error| format!("{folder}: {error}"));
    }
    if let Some(file) = &options.replay {
        let [target] = targets.as_slice() else { return Err("--replay needs --target".to_owned()) };
        let input = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        // Without the hook the panic prints itself, with a backtrace when asked for.
        let survived = runner::run_one(target, &input);
        println!("{}", if survived.is_ok() { "it passes" } else { "it fails" });
        return Ok(survived.is_ok());
    }
    runner::catch_messages();
    println!("seed {} (repeat with --seed {0})", options.seed);
    println!(
        "{:<20} {:>12} {:>12} {:>9} {:>12}",
        "target", "executions", "per second", "outcomes", "slowest"
    );
    let mut clean = true;
    for target in targets {
        let (name, ..) = *target;
        let kept = runner::corpus(name).map_err(|error| format!("the corpus of {name}: {error}"))?;
        match runner::run(target, kept, options.seed, options.budget) {
            Ok(summary) => println!(
                "{name:<20} {:>12} {:>12.0} {:>9} {:>12}",
                summary.executions,
                summary.executions_per_s(),
                summary.outcomes,
                format!("{:.1?}", summary.slowest),
            ),
            Err(crash) => {
                clean = false;
                report(&crash);
            }
        }
    }
    Ok(clean)
}

/// Writes the kept and the valid inputs of a target into `folder`, one a file.
fn export(target: &Target, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut inputs = runner::corpus(target.0)?;
    inputs.extend(target.2());
    inputs.iter().try_for_each(|input| std::fs::write(folder.join(Hash::of(input).short()), input))
}

fn report(crash: &Crash) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/crashes");
    println!("{:<20} FAILED: {}", crash.target, crash.message);
    match crash.save(&folder) {
        Ok(path) => println!(
            "  replay: cargo run --release -p hiwar-fuzz -- --target {} --replay {}\n  once it is mended, keep the \
             input: mkdir -p crates/hiwar-fuzz/corpus/{0} && mv {1} crates/hiwar-fuzz/corpus/{0}/",
            crash.target,
            path.display()
        ),
        Err(error) => println!("  the input could not be written: {error}; it was {:?}", crash.input),
    }
}
