//! Other engines, run as programs of their own from `interop/bench`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A Python environment with the other engines, and the folder of the scripts that ask them.
#[derive(Debug)]
pub(super) struct Peers {
    python: PathBuf,
    scripts: PathBuf,
}

impl Peers {
    /// Makes the environment when it is missing, which needs the package index; or says why there is none.
    pub(super) fn ready(scripts: &Path, env: &Path) -> Result<Self, String> {
        let wanted = scripts.join("requirements.txt");
        if !wanted.is_file() {
            return Err(format!(
                "there is no {}; run this in the project's repository, or name the folder with --peers",
                wanted.display()
            ));
        }
        let python = env.join("bin/python");
        let peers = Self { python, scripts: scripts.to_owned() };
        if peers.imports() {
            return Ok(peers);
        }
        eprintln!("Installing the other engines into {} …", env.display());
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(env))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        run(Command::new(&peers.python).args(pip).arg(&wanted))?;
        match peers.imports() {
            true => Ok(peers),
            false => Err(format!("the packages of {} do not start", wanted.display())),
        }
    }

    fn imports(&self) -> bool {
        let packages = "import duckdb, polars, numpy, scipy, statsmodels";
        let told = Command::new(&self.python).args(["-c", packages]).stderr(Stdio::null()).status();
        told.is_ok_and(|status| status.success())
    }

    /// Runs a script; it prints one JSON object a line.
    pub(super) fn run(&self, script: &str, args: &[String]) -> Result<Vec<Value>, String> {
        let out = run(Command::new(&self.python).arg(self.scripts.join(script)).args(args))?;
        out.lines()
            .map(|line| serde_json::from_str(line).map_err(|e| format!("{script} printed {line:?}: {e}")))
            .collect()
    }
}

/// Runs a command to its end; returns what it printed.
fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output().map_err(|e| format!("{name} cannot be run: {e}"))?;
    if !done.status.success() {
        let told = String::from_utf8_lossy(&done.stderr);
        let last = told.trim().lines().last().unwrap_or("nothing said").to_owned();
        return Err(format!("{name} ended with {}: {last}", done.status));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
