//! One file per group of subcommands.

pub(crate) mod alarm;
pub(crate) mod backup;
pub(crate) mod card;
pub(crate) mod dialogue;
pub(crate) mod dossier;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod peer;
pub(crate) mod serve;
pub(crate) mod status;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;
use zeroize::Zeroizing;

/// Where the passphrase of locked key files comes from. Never from the command line itself, which
/// other users of the machine can read.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PassphraseArgs {
    /// File with the passphrase of the key files (its first line)
    #[arg(long, env = "HIWAR_PASSPHRASE_FILE")]
    passphrase_file: Option<PathBuf>,
    /// Ask for the passphrase on the terminal
    #[arg(long)]
    ask_passphrase: bool,
}

impl PassphraseArgs {
    /// The first line of a file.
    pub(crate) fn from_file(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        let text = hiwar_node::folder::read_secret(path)?;
        let line = text.lines().next().unwrap_or_default();
        Ok(Zeroizing::new(line.as_bytes().to_vec()))
    }

    pub(crate) fn read(&self, twice: bool) -> anyhow::Result<Option<Zeroizing<Vec<u8>>>> {
        if let Some(path) = &self.passphrase_file {
            return Ok(Some(Self::from_file(path)?));
        }
        if !self.ask_passphrase {
            return Ok(None);
        }
        let first = Zeroizing::new(rpassword::prompt_password("Passphrase of the key files: ")?);
        if twice {
            let second = Zeroizing::new(rpassword::prompt_password("The same once more: ")?);
            anyhow::ensure!(*first == *second, "the two passphrases differ");
        }
        Ok(Some(Zeroizing::new(first.as_bytes().to_vec())))
    }
}

/// Prints to standard output; a closed pipe ends the command quietly.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.context("standard output cannot be written"),
    }
}

/// Prints bytes that are no text, as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.context("standard output cannot be written"),
    }
}

pub(crate) fn print_json(value: &Value) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

/// A text member of a JSON value, or nothing.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Elements of an array member.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Lines up columns; the last one may be as long as it likes.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = Vec::with_capacity(rows.len());
    for row in rows {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if index + 1 < row.len() {
                let pad = widths.get(index).copied().unwrap_or(0).saturating_sub(cell.chars().count());
                line.push_str(&" ".repeat(pad + 2));
            }
        }
        out.push(line.trim_end().to_owned());
    }
    out.join("\n")
}
