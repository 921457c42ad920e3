//! The bench of the dataspace runs from beginning to end and says everything it promises.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn a_quick_run_tells_every_figure() {
    let interop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop");
    let out = Command::new(env!("CARGO_BIN_EXE_hiwar"))
        .args(["bench", "dataspace", "--quick", "--no-edc", "--format", "json", "--interop"])
        .arg(&interop)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{told}");
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    let number =
        |at: &str| report.pointer(at).and_then(Value::as_f64).unwrap_or_else(|| panic!("{at}: {report}"));
    assert_eq!(number("/offering/datasets"), 300.0);
    assert_eq!(number("/negotiations/made"), 3.0 + 16.0 * 2.0);
    for at in ["/negotiations/alone/p50_ms", "/negotiations/together/1/per_second", "/catalog/0/p99_ms"] {
        assert!(number(at) > 0.0, "{at}");
    }
    // A page has 50 datasets; in gzip the same page has fewer bytes.
    assert_eq!(number("/catalog/0/datasets"), 50.0);
    assert!(number("/catalog/1/bytes") < number("/catalog/0/bytes") / 2.0);
    assert_eq!(number("/pull/bytes"), f64::from(1 << 20));
    for at in ["/rest", "/negotiations/memory", "/offering/memory", "/catalog_memory", "/pull/memory"] {
        assert!(number(&format!("{at}/before/0")) > 0.0 && number(&format!("{at}/peak/1")) > 0.0, "{at}");
    }
    // What is not measured says why.
    let pull = &report["pull"];
    assert_ne!(pull["read_nginx"].is_null(), pull["nginx_missing"].is_null(), "{pull}");
    assert_eq!(report["edc"]["Err"], "left out, as asked");
}
