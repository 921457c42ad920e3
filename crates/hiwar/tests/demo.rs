//! The demo, as people run it: the real binary, three real nodes, a crash and a cut.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

fn run(arguments: &[&str]) -> anyhow::Result<(bool, Value, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_hiwar"))
        .arg("demo")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("the demo cannot be started")?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let summary = serde_json::from_slice(&output.stdout).with_context(|| errors.clone())?;
    Ok((output.status.success(), summary, errors))
}

fn strings<'a>(value: &'a Value, member: &str) -> Vec<&'a str> {
    value[member].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn the_demo_replays_the_dispute_and_proves_it() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let place = dir.path().join("demo");
    let (success, summary, errors) =
        run(&["--exit", "--json", "--dir", place.to_str().context("no UTF-8 path")?])?;
    let checks = summary["checks"].as_array().context("no checks")?;
    for check in checks {
        ensure!(check["holds"] == Value::Bool(true), "{}\n{errors}", check["says"]);
    }
    ensure!(success && summary["ok"] == Value::Bool(true), "{errors}");
    let ids: Vec<&str> = checks.iter().filter_map(|c| c["id"].as_str()).collect();
    assert_eq!(
        ids,
        [
            "kill-lost-nothing",
            "cut-healed",
            "same-entries",
            "all-receipted",
            "files-everywhere",
            "two-versions",
            "table-under-contract",
            "ministers-meeting",
            "log-check",
            "witnessed",
            "no-alarms",
            "dossier-verifies",
            "changed-byte-found",
        ]
    );
    let seconds = summary["seconds"].as_f64().context("no seconds")?;
    assert!(seconds < 60.0, "it took {seconds} s");

    let steps = summary["steps"].as_array().context("no steps")?;
    let step = |id: &str| steps.iter().find(|s| s["id"] == id).with_context(|| format!("no step {id}"));
    for step in steps {
        assert_eq!(step["known"].as_array().map(Vec::len), Some(2), "both others know of {}", step["id"]);
        assert_eq!(step["texts"].as_object().map(serde_json::Map::len), Some(4), "{}", step["id"]);
        assert!(step["sources"].as_array().is_some_and(|s| !s.is_empty()), "{}", step["id"]);
    }
    assert_eq!(strings(step("hydrogen-fluoride-meti")?, "disputed_by"), ["hydrogen-fluoride-motie"]);
    assert_eq!(strings(step("slide-date")?, "corrected_by"), ["slide-date-corrected"]);
    assert_eq!(step("wto-request")?["withdrawn_by"], "wto-withdrawn");

    let late = |id: &str| -> anyhow::Result<bool> {
        let known = step(id)?["known"].as_array().context("nobody knows")?;
        Ok(known.iter().any(|k| k["because"].is_string() && k["delay_ms"].as_i64() > Some(0)))
    };
    assert!(late("july-figures")?, "METI was down");
    assert!(late("wto-suspended")?, "the association was cut off");
    assert!(late("resist-eased")?, "the association was cut off");
    assert!(!late("announcement")?);

    assert_eq!(summary["dossier"]["failed"], 0);
    let figures = step("july-figures")?["entry"].as_str().context("no entry")?;
    assert_eq!(strings(&summary["changed"], "entries"), [figures]);
    assert_eq!((&summary["changed"]["before"], &summary["changed"]["after"]), (&"479".into(), &"579".into()));
    for file in ["motie.dossier", "motie.changed.dossier", "meti.invitation"] {
        assert!(place.join(file).is_file(), "{file} is kept with --dir");
    }

    let again =
        Command::new(env!("CARGO_BIN_EXE_hiwar")).args(["demo", "--exit", "--dir"]).arg(&place).output()?;
    assert!(!again.status.success(), "a folder with an earlier demo is refused");
    assert!(String::from_utf8_lossy(&again.stderr).contains("choose another folder"));
    Ok(())
}
