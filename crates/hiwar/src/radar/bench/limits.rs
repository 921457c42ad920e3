//! What the machine can do at best: reading memory, reading a file that is in memory.

use std::fmt;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use serde::Serialize;

/// The machine's limits, with all threads.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Limits {
    /// Memory read in order and summed, GB (10⁹ bytes) a second.
    pub(super) memory_gb_s: f64,
    /// A file that the system has in memory, read in blocks of 1 MiB, GB a second.
    pub(super) read_gb_s: f64,
}

/// Words of 8 bytes that are summed: 512 MiB, far more than any cache.
const WORDS: usize = 64 << 20;

impl Limits {
    /// The best of three runs of each; `file` is read.
    pub(super) fn measure(threads: NonZeroUsize, file: &Path) -> anyhow::Result<Self> {
        let words: Vec<u64> = (0..WORDS as u64).collect();
        let bytes = std::fs::metadata(file).with_context(|| file.display().to_string())?.len();
        let (mut memory_gb_s, mut read_gb_s) = (0.0_f64, 0.0_f64);
        for _ in 0..3 {
            let start = Instant::now();
            std::hint::black_box(sum(&words, threads));
            memory_gb_s = memory_gb_s.max(WORDS as f64 * 8.0 / 1e9 / start.elapsed().as_secs_f64());
            let start = Instant::now();
            let read = std::thread::scope(|scope| -> anyhow::Result<u64> {
                let parts: Vec<_> = (0..threads.get()).map(|_| scope.spawn(|| read(file))).collect();
                let mut all = 0;
                for part in parts {
                    all += part.join().unwrap_or_else(|_| read(file))?;
                }
                Ok(all)
            })?;
            anyhow::ensure!(read == bytes * threads.get() as u64, "{} changed meanwhile", file.display());
            read_gb_s = read_gb_s.max(read as f64 / 1e9 / start.elapsed().as_secs_f64());
        }
        Ok(Self { memory_gb_s, read_gb_s })
    }
}

fn sum(words: &[u64], threads: NonZeroUsize) -> u64 {
    let add = |words: &[u64]| words.iter().fold(0_u64, |sum, word| sum.wrapping_add(*word));
    std::thread::scope(|scope| {
        let parts: Vec<_> = words
            .chunks(words.len().div_ceil(threads.get()))
            .map(|part| scope.spawn(move || add(part)))
            .collect();
        parts.into_iter().fold(0_u64, |sum, part| sum.wrapping_add(part.join().unwrap_or_default()))
    })
}

fn read(file: &Path) -> anyhow::Result<u64> {
    let mut file = std::fs::File::open(file).with_context(|| file.display().to_string())?;
    let mut block = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        match file.read(&mut block)? {
            0 => return Ok(bytes),
            some => bytes += some as u64,
        }
    }
}

/// The most memory this process has had resident, from the kernel's own account.
pub(crate) fn peak_memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().map_or(0.0, |kib| kib / 1024.0)
}

/// From here on the most memory is counted anew, where the kernel lets a process say so.
pub(super) fn forget_peak_memory() {
    drop(std::fs::write("/proc/self/clear_refs", "5"));
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "This machine's own limits: memory read at {:.1} GB/s, files that are in memory at {:.1} GB/s.",
            self.memory_gb_s, self.read_gb_s
        )
    }
}
