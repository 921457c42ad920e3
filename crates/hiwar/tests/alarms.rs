//! Alarms stay for ever; an acknowledgement says who has seen to one, and outlives the process.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use std::os::unix::fs::PermissionsExt as _;

use newcomer::{Ministries, api, get, until};
use serde_json::{Value, json};

/// Two ministries of which one is away, and the other has an alarm about it.
fn one_is_away() -> Ministries {
    let (mut both, dialogue) = Ministries::talking();
    both.settle(&dialogue);
    both.kill("motie");
    both.person.configure("motie", "unreachable_alarm_ms", "1");
    both.start("motie");
    both.kill("meti");
    both.say("motie", &dialogue, "is anybody there?");
    until("the alarm", || both.alarms("motie") == ["unreachable"]);
    both
}

fn unacknowledged(both: &Ministries) -> Value {
    let metrics = get(both.motie.as_ref().unwrap().api, "/metrics").unwrap();
    let shown = both.status("motie", "alarms_unacknowledged");
    assert!(metrics.contains(&format!("hiwar_alarms_unacknowledged {shown}\n")), "{metrics}");
    shown
}

fn listed(both: &Ministries, args: &[&str]) -> Vec<Value> {
    let mut all = vec!["alarm", "list", "--format", "json"];
    all.extend(args);
    both.motie(&all).ok().json()["alarms"].as_array().unwrap().clone()
}

#[test]
fn an_acknowledged_alarm_says_who_and_when_for_ever_and_is_counted_no_more() {
    let mut both = one_is_away();
    assert_eq!(unacknowledged(&both), 1);
    assert_eq!(listed(&both, &["--unacknowledged"]).len(), 1);
    let leaves = both.status("motie", "log")["size"].clone();
    both.motie(&["alarm", "acknowledge", "1"]).ends_with(2);
    both.motie(&["alarm", "acknowledge", "1", "--note", " "]).refused(&["note", "what was found and done"]);
    both.motie(&["alarm", "acknowledge", "2", "--note", "x"])
        .refused(&["there is no alarm 2", "hiwar alarm list"]);
    let done = both.motie(&["alarm", "acknowledge", "1", "--note", "called them: a power cut"]).ok();
    assert!(done.err.contains("Alarm 1 is acknowledged by operator"), "{}", done.err);
    both.motie(&["alarm", "acknowledge", "1", "--note", "again"]).refused(&[
        "the operator acknowledged alarm 1 at",
        "a power cut",
        "(acknowledged-already)",
    ]);
    for restarted in [false, true] {
        if restarted {
            both.kill("motie");
            both.start("motie");
        }
        let all = listed(&both, &[]);
        assert_eq!(all[0]["number"], 1);
        assert_eq!(all[0]["alarm"]["code"], "unreachable");
        let acknowledged = &all[0]["acknowledged"];
        assert_eq!(acknowledged["note"], "called them: a power cut");
        assert_eq!((&acknowledged["by"], &acknowledged["desk"]), (&json!("operator"), &Value::Null));
        assert!(acknowledged["time"].as_str().unwrap() > all[0]["alarm"]["time"].as_str().unwrap());
        assert_eq!(listed(&both, &["--unacknowledged"]), Vec::<Value>::new());
        assert_eq!(unacknowledged(&both), 0);
        both.motie(&["alarm", "list"]).ok().shows(&["ACKNOWLEDGED", "operator", "unreachable"]);
    }
    assert_eq!(both.status("motie", "log")["size"], leaves, "an acknowledgement is no leaf of the log");
    both.person.hiwar(&["log", "check", "motie"]).ok();
}

#[test]
fn a_desk_acknowledges_under_its_own_name_and_of_two_at_once_one_is_kept() {
    let both = one_is_away();
    let token = both.motie(&["desk", "token", "desk"]).ok().word();
    let file = both.person.path("duty.token");
    std::fs::write(&file, token).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let dir = both.person.path("motie");
    let by_desk = ["alarm", "acknowledge", "1", "--note", "seen by the desk", "--token-file", "duty.token"];
    let (desk, operator) = std::thread::scope(|scope| {
        let desk = scope.spawn(|| both.motie(&by_desk));
        let body = br#"{"note":"seen by the operator"}"#;
        let operator = scope.spawn(|| api(&dir, "POST", "/api/v1/alarms/1/acknowledge", body));
        (desk.join().unwrap(), operator.join().unwrap())
    });
    let kept = listed(&both, &[])[0]["acknowledged"].clone();
    let by_desk = kept["desk"] == "desk";
    assert_eq!(kept["note"], if by_desk { "seen by the desk" } else { "seen by the operator" });
    // Who came second is refused, or told who was first.
    match operator {
        (200, answer) => assert_eq!(answer["acknowledged"], kept),
        (status, answer) => assert!(status == 409 && by_desk, "{status} {answer}"),
    }
    assert!(desk.code == 0 || !by_desk, "{desk:?}");
    both.motie(&["alarms"]).ok().shows(&[if by_desk { "desk desk" } else { "operator" }]);
}
