//! Runs targets: kept inputs first, then valid ones, then mutations of both until the budget ends.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hiwar_trust::hash::Hash;

use crate::mutate::mutate;
use crate::outcome;
use crate::random::Random;
use crate::{TARGETS, Target};

/// An input that takes longer than this is a finding too: it would be a way to occupy a node.
pub const SLOWEST_ALLOWED: Duration = Duration::from_secs(10);

/// The most inputs kept for a new outcome.
const KEPT_MAX: usize = 512;

/// When a run of one target ends.
#[derive(Clone, Copy, Debug)]
pub enum Budget {
    /// After this time.
    Time(Duration),
    /// After this many mutated inputs; makes a run repeatable to the last input.
    Executions(u64),
}

/// What a run of one target came to.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// How many inputs were run.
    pub executions: u64,
    /// How long that took.
    pub elapsed: Duration,
    /// How long the slowest input took.
    pub slowest: Duration,
    /// How many different outcomes were seen.
    pub outcomes: usize,
}

/// An input that a body does not survive.
#[derive(Clone, Debug)]
pub struct Crash {
    /// The target.
    pub target: &'static str,
    /// The input.
    pub input: Vec<u8>,
    /// What the panic said, and where.
    pub message: String,
}

impl Summary {
    /// Inputs per second.
    pub fn executions_per_s(&self) -> f64 {
        self.executions as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

impl Crash {
    /// Writes the input below `folder` and returns where.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, folder: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}-{}", self.target, Hash::of(&self.input).short()));
        fs::write(&path, &self.input)?;
        Ok(path)
    }
}

/// The inputs kept for a target, in the order of their file names.
///
/// # Errors
/// When the folder or a file in it cannot be read; an absent folder has no inputs.
pub fn corpus(target: &str) -> io::Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths =
        fs::read_dir(folder)?.map(|file| file.map(|f| f.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    paths.into_iter().map(fs::read).collect()
}

/// Runs one input. The message of a panic is returned, not printed. A slow input gets a second
/// chance, because a machine that slept or was busy is no finding.
///
/// # Errors
/// The [`Crash`].
pub fn run_one(target: &Target, input: &[u8]) -> Result<Duration, Crash> {
    let (name, body, _) = *target;
    let timed = || {
        let started = Instant::now();
        let survived = panic::catch_unwind(AssertUnwindSafe(|| body(input)));
        (survived, started.elapsed())
    };
    let (mut survived, mut elapsed) = timed();
    if survived.is_ok() && elapsed > SLOWEST_ALLOWED {
        (survived, elapsed) = timed();
    }
    let crash = |message| Crash { target: name, input: input.to_vec(), message };
    match survived {
        Err(_) => Err(crash(last_panic())),
        Ok(()) if elapsed > SLOWEST_ALLOWED => Err(crash(format!("it took {elapsed:.1?}"))),
        Ok(()) => Ok(elapsed),
    }
}

/// Runs one target until its budget ends or something is found.
///
/// # Errors
/// The first [`Crash`].
pub fn run(target: &Target, kept: Vec<Vec<u8>>, seed: u64, budget: Budget) -> Result<Summary, Crash> {
    let (name, _, seeds) = *target;
    let mut random = Random::for_target(seed, name);
    let mut inputs = kept;
    inputs.extend(seeds());
    inputs.push(Vec::new());
    let mut tried = Tried::new(target);
    for input in &inputs {
        tried.run(input)?;
    }
    let kept_max = inputs.len() + KEPT_MAX;
    let mut mutations = 0_u64;
    while !tried.over(budget, mutations) {
        mutations += 1;
        let base = random.pick(&inputs).map_or(&[][..], Vec::as_slice);
        let input = mutate(base, &inputs, &mut random);
        if tried.run(&input)? && inputs.len() < kept_max {
            inputs.push(input);
        }
    }
    Ok(Summary { elapsed: tried.started.elapsed(), outcomes: tried.outcomes.len(), ..tried.summary })
}

/// The state of a run.
struct Tried<'t> {
    target: &'t Target,
    started: Instant,
    outcomes: HashSet<u64>,
    summary: Summary,
}

impl<'t> Tried<'t> {
    fn new(target: &'t Target) -> Self {
        let zero = Duration::ZERO;
        let summary = Summary { executions: 0, elapsed: zero, slowest: zero, outcomes: 0 };
        Self { target, started: Instant::now(), outcomes: HashSet::new(), summary }
    }

    /// Runs an input; says whether its outcome is new.
    fn run(&mut self, input: &[u8]) -> Result<bool, Crash> {
        outcome::take();
        let elapsed = run_one(self.target, input)?;
        self.summary.executions += 1;
        self.summary.slowest = self.summary.slowest.max(elapsed);
        Ok(self.outcomes.insert(outcome::take()))
    }

    fn over(&self, budget: Budget, mutations: u64) -> bool {
        match budget {
            Budget::Executions(count) => mutations >= count,
            Budget::Time(time) => self.started.elapsed() >= time,
        }
    }
}

static LAST_PANIC: Mutex<String> = Mutex::new(String::new());
static HOOK: OnceLock<()> = OnceLock::new();

/// Keeps the messages of panics in this process for [`run_one`] instead of printing them.
pub fn catch_messages() {
    HOOK.get_or_init(|| {
        panic::set_hook(Box::new(|info| {
            let text = info.payload_as_str().unwrap_or("a panic without a text");
            let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
            *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = format!("{text}{place}");
        }));
    });
}

fn last_panic() -> String {
    let mut message = LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner);
    let message = std::mem::take(&mut *message);
    if message.is_empty() { "a panic; its message stands above".to_owned() } else { message }
}

/// The targets called `only`, or all of them.
pub fn select(only: Option<&str>) -> Vec<&'static Target> {
    TARGETS.iter().filter(|(name, ..)| only.is_none_or(|only| only == *name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kept inputs, valid inputs and a short run that is the same every time.
    #[test]
    fn every_target_survives_its_corpus_and_a_short_run() {
        for target in TARGETS {
            let (name, _, seeds) = *target;
            assert!(!seeds().is_empty(), "{name} has no valid input");
            let kept = corpus(name).expect("the corpus is readable");
            let executions = if name == "keyfile_encrypted" { 200 } else { 1500 };
            if let Err(crash) = run(target, kept, 1, Budget::Executions(executions)) {
                let text = String::from_utf8_lossy(&crash.input);
                panic!("{name}: {}\non the input\n{text}", crash.message);
            }
        }
    }

    #[test]
    fn a_crash_is_found_and_reported_with_its_input() {
        fn fragile(data: &[u8]) {
            assert!(!data.contains(&b'!'), "an exclamation mark");
        }
        let target: Target = ("fragile", fragile, || vec![b"a#b".to_vec()]);
        let crash = run(&target, Vec::new(), 1, Budget::Executions(100_000)).expect_err("it is found");
        assert!(crash.input.contains(&b'!'));
        assert_eq!(crash.target, "fragile");
    }
}
