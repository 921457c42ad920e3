//! Two ministries with real nodes: an arrangement, an alert that a second desk releases, a meeting, minutes,
//! commitments, the next agenda, and the papers made from them.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test that cannot go on should stop here")]

mod newcomer;

use std::path::PathBuf;

use newcomer::{Done, Ministries, until};
use serde_json::{Value, json};

/// An arrangement of two directors' offices. The clocks are those of a crisis: an emergency meeting within 15 days
/// (IPEF Supply Chain Agreement, Article 12), an acknowledgement within 24 hours (Regulation (EU) 2019/1715,
/// Article 17).
fn arrangement(both: &Ministries, four_eyes: &[&str]) -> Value {
    let texts = |en: &str| json!({ "en": en, "ko": en, "ja": en, "ar": en });
    let mut content = json!({
        "id": "directors", "version": 1, "title": texts("Directors"),
        "parties": [
            { "code": "KR", "did": both.motie_did, "name": texts("Ministry A") },
            { "code": "JP", "did": both.meti_did, "name": texts("Ministry B") },
        ],
        "bodies": [
            { "id": "ministers", "name": texts("Ministers"), "level": "ministers" },
            { "id": "directors", "name": texts("Directors"), "level": "directors", "above": "ministers" },
        ],
        "time": { "zone": "Asia/Seoul" },
        "clocks": [
            {
                "id": "note", "title": texts("Take note"), "starts": "notice:disruption-alert", "ends": "acknowledged",
                "owner": "others", "body": "directors", "due": { "within": "24 h" }, "remind": ["23 h"],
                "escalate": [{ "after": "24 h", "to": "ministers" }],
            },
            {
                "id": "emergency", "title": texts("Meet"), "starts": "notice:emergency-meeting-request",
                "ends": "meeting-held", "owner": "any", "body": "directors", "due": { "within": "15 d" },
                "remind": ["3 d"],
            },
        ],
        "marking": { "cap": "TLP:AMBER", "community": texts("The two ministries") },
        "languages": { "required": ["en"], "prevailing": "en" },
        "exercise": { "allowed": true, "banner": texts("Exercise") },
    });
    if !four_eyes.is_empty() {
        content["four-eyes"] = json!(four_eyes);
    }
    content
}

struct Story {
    both: Ministries,
    dialogue: String,
}

impl Story {
    fn file(&self, name: &str, content: &Value) -> String {
        let path: PathBuf = self.both.person.path(name);
        std::fs::write(&path, content.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A dialogue with an arrangement in force.
    fn arranged(four_eyes: &[&str]) -> Self {
        let (both, dialogue) = Ministries::talking();
        let story = Self { both, dialogue };
        let file = story.file("arrangement.json", &arrangement(&story.both, four_eyes));
        story.motie(&["arrangement", "check", &file]).ok().shows(&["no fault"]);
        let proposal = story.motie(&["arrangement", "propose", &story.dialogue, &file]).ok().word();
        story.both.arrived("meti", &story.dialogue, &proposal);
        let assent = story.meti(&["arrangement", "assent", &proposal]).ok().word();
        story.both.arrived("motie", &story.dialogue, &assent);
        story
    }

    fn motie(&self, args: &[&str]) -> Done {
        self.both.motie(args)
    }

    fn meti(&self, args: &[&str]) -> Done {
        self.both.meti(args)
    }

    /// The state of the procedures at a node, without what depends on the time of asking.
    fn state(&self, node: &str) -> Value {
        let path = format!("/api/v1/dialogues/{}/procedures", self.dialogue);
        let (status, state) = newcomer::api(&self.both.person.path(node), "GET", &path, b"");
        assert_eq!(status, 200, "{state}");
        state
    }

    /// Both see the same.
    fn agree(&self) {
        until("both nodes read the same procedures", || self.state("motie") == self.state("meti"));
    }
}

fn alert() -> Value {
    json!({
        "notice": "disruption-alert", "urgency": "Immediate", "severity": "Severe", "certainty": "Observed",
        "headline": { "en": "Licences delayed", "ko": "허가 지연" },
        "items": ["HS2017:2811.11"],
        "impact": { "en": "Weeks of stock" }, "pending": ["cause", "expected-duration", "sectors", "measures", "assistance"],
    })
}

#[test]
fn an_alert_is_released_by_a_second_desk_acknowledged_answered_and_written_as_cap() {
    let story = Story::arranged(&["notice"]);
    let file = story.file("alert.json", &alert());
    // The first desk drafts; the same desk cannot release.
    let drafted = story.motie(&["notice", "send", &story.dialogue, &file, "--yes"]).ok();
    assert!(drafted.err.contains("a second desk must release it"), "{}", drafted.err);
    assert!(drafted.err.contains(&story.both.meti_did), "the audience is shown: {}", drafted.err);
    drafted.shows(&["draft 1 waits for a second desk"]);
    story.motie(&["draft", "release", "1"]).refused(&["another desk", "same-eyes"]);
    story.motie(&["draft", "list"]).ok().shows(&["waiting", "disruption-alert"]);
    story.motie(&["draft", "refuse", "1", "--note", "wrong figures"]).ok().shows(&["draft 1 was refused"]);
    story.motie(&["draft", "release", "1"]).refused(&["refused before"]);
    assert_eq!(story.state("meti")["notices"]["notices"], json!({}), "nothing left the node");
}

#[test]
fn a_notice_without_four_eyes_goes_from_alert_to_answer_and_duties_follow() {
    let story = Story::arranged(&[]);
    let file = story.file("alert.json", &alert());
    let shown = story.motie(&["notice", "send", &story.dialogue, &file, "--dry-run"]).ok();
    assert!(shown.err.contains(&format!("TLP:AMBER to {}", story.both.meti_did)), "{}", shown.err);
    let notice = story.motie(&["notice", "send", &story.dialogue, &file]).ok().word();
    story.both.arrived("meti", &story.dialogue, &notice);
    story.meti(&["duty", "list"]).ok().shows(&["running", &story.both.meti_did, "Take note"]);
    let noted = story.meti(&["dialogue", "ack", &notice]).ok().word();
    let answer =
        story.file("answer.json", &json!({ "notice": "answer", "headline": { "en": "20 to 40 days" } }));
    let answered = story.meti(&["notice", "reply", &notice, &answer]).ok().word();
    for entry in [&noted, &answered] {
        story.both.arrived("motie", &story.dialogue, entry);
    }
    story.agree();
    story.motie(&["duty", "list", "--all"]).ok().shows(&["met"]);
    story.motie(&["notice", "list", &story.dialogue]).ok().shows(&["answered", "Severe", "Licences delayed"]);
    story.motie(&["notice", "show", &notice, "--language", "ko"]).ok().shows(&[
        "허가 지연",
        "noted by",
        "20 to 40 days",
    ]);
    story
        .motie(&["notice", "cap", &notice])
        .ok()
        .shows(&["urn:oasis:names:tc:emergency:cap:1.2", "<severity>Severe</severity>"]);
    // What would have no effect does not leave, and says why in the reader's language.
    story
        .motie(&["notice", "reply", &notice, &answer, "--language", "ko"])
        .refused(&["자신의 통지", "no-effect"]);
    let wrong = story.file("wrong.json", &json!({ "notice": "answer", "headline": {}, "kind": 1 }));
    let said = story.meti(&["notice", "reply", &notice, &wrong, "--language", "ja"]);
    said.refused(&["wrong.json:1: headline: ", "wrong.json:1: kind: この名前の項目は"]);
    // An exercise is not taken for the real thing.
    let drill = story.file(
        "drill.json",
        &json!({ "notice": "answer", "status": "Exercise", "headline": { "en": "Drill" } }),
    );
    story.meti(&["notice", "reply", &notice, &drill]).refused(&["Exercise", "Actual"]);
}

#[test]
fn ministers_meet_agree_and_the_next_agenda_writes_itself() {
    let story = Story::arranged(&[]);
    let convening = story.file(
        "meeting.json",
        &json!({
            "title": { "en": "Ministers, Tokyo" }, "body": "ministers", "starts": "2024-04-22T05:00:00.000Z",
            "ends": "2024-04-22T07:00:00.000Z", "zone": "Asia/Tokyo",
            "agenda": [{ "id": "supply", "title": { "en": "Supply chains" }, "submitter": "KR" }],
        }),
    );
    let meeting = story.motie(&["meeting", "convene", &story.dialogue, &convening]).ok().word();
    story.both.arrived("meti", &story.dialogue, &meeting);
    let accepted = story.meti(&["meeting", "step", &meeting, "accept"]).ok().word();
    story.both.arrived("motie", &story.dialogue, &accepted);
    let held = ["--attendance", "KR=5", "--attendance", "JP=6", "--starts", "2024-04-22T05:00:00.000Z"];
    let held = [&["meeting", "held", &meeting][..], &held, &["--ends", "2024-04-22T06:40:00.000Z"]].concat();
    story.motie(&held).ok();
    let commitment = |owner: &str, en: &str, due: &str| json!({ "owner": owner, "texts": { "en": en }, "due": { "date": due }, "evidence": { "en": "a paper" } });
    let minutes = story.file(
        "minutes.json",
        &json!({
            "revision": 1,
            "items": [{ "id": "supply", "texts": { "en": "Supply-chain stability is a shared task." } }],
            "decisions": [{
                "id": "d1", "texts": { "en": "A dialogue for exchanging information." },
                "commitments": [
                    commitment("KR", "Hold the first hydrogen dialogue", "2024-06-14"),
                    commitment("JP", "Name a contact for supply chains", "2024-05-31"),
                ],
            }],
        }),
    );
    let draft = story.motie(&["minutes", "draft", &meeting, &minutes]).ok().word();
    story.both.arrived("meti", &story.dialogue, &draft);
    let agreed = story.meti(&["minutes", "agree", &draft]).ok().word();
    story.both.arrived("motie", &story.dialogue, &agreed);
    story.motie(&["minutes", "agree", &draft]).ok();
    let evidence = story.file("paper.json", &json!({ "held": "2024-06-14" }));
    let done = story
        .motie(&["commitment", "step", &format!("{draft}/d1/0"), "done", "--attach", &evidence])
        .ok()
        .word();
    story.both.arrived("meti", &story.dialogue, &done);
    story.agree();
    let listed = story.meti(&["commitment", "list", &story.dialogue]).ok();
    listed.shows(&["done-claimed", "open OVERDUE", "2024-05-31", "Name a contact"]);
    let agenda = story.meti(&["meeting", "agenda", &story.dialogue, "--body", "ministers"]).ok();
    let lines: Vec<&str> = agenda.out.lines().collect();
    assert!(
        lines[0].starts_with("1. ") && lines[0].contains("Name a contact"),
        "overdue first: {}",
        agenda.out
    );
    assert!(lines[1].contains("hydrogen dialogue"), "then what waits for confirmation: {}", agenda.out);
    story.meti(&["commitment", "step", &format!("{draft}/d1/0"), "accept-done"]).ok();
    for (form, shown) in [("text", "Name a contact"), ("csv", "Name a contact"), ("html", "<table")] {
        story.meti(&["commitment", "follow-up", &story.dialogue, "--as", form]).ok().shows(&[shown]);
    }
    story.meti(&["commitment", "calendar", &story.dialogue]).ok().shows(&["BEGIN:VTODO", "DUE"]);
    story.meti(&["meeting", "calendar", &meeting]).ok().shows(&["METHOD:REQUEST", "PARTSTAT=ACCEPTED"]);
    story.motie(&["arrangement", "show", &story.dialogue]).ok().shows(&[
        "directors version 1",
        "emergency",
        "15 d",
    ]);
}

/// The alert was told by telephone three days ago and is entered now, so its duty is overdue by two days, and one
/// day ago it went to the ministers.
#[test]
fn what_became_due_is_told_once_also_across_restarts() {
    let mut story = Story::arranged(&[]);
    let day_ms = 86_400_000;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let then =
        jiff::Timestamp::from_millisecond(i64::try_from(now.as_millis()).unwrap() - 3 * day_ms).unwrap();
    let mut content = alert();
    content["re-entry"] =
        json!({ "happened-at": format!("{then:.3}"), "channel": "phone", "note": "officer on duty" });
    let file = story.file("alert.json", &content);
    let notice = story.motie(&["notice", "send", &story.dialogue, &file]).ok().word();
    story.both.arrived("meti", &story.dialogue, &notice);
    let told = |story: &Story| story.meti(&["duty", "told", "--format", "json"]).ok().json();
    until("the stages are told", || {
        told(&story)["stages"].as_array().is_some_and(|stages| stages.len() == 3)
    });
    let first = told(&story);
    let kinds: Vec<&Value> =
        first["stages"].as_array().unwrap().iter().map(|stage| &stage["duty"]["stage"]["kind"]).collect();
    assert!(kinds.contains(&&json!("reminder")) && kinds.contains(&&json!("overdue")), "{first}");
    assert!(kinds.contains(&&json!("escalated")), "{first}");
    story.meti(&["duty", "list"]).ok().shows(&["overdue", "ministers"]);
    story.both.kill("meti");
    story.both.start("meti");
    let proof = format!("/api/v1/dialogues/{}/proof/{notice}", story.dialogue);
    let (status, proof) = newcomer::api(&story.both.person.path("meti"), "GET", &proof, b"");
    assert_eq!(status, 200, "{proof}");
    assert_eq!(proof["flags"][0]["flag"], "re-entered", "{proof}");
    assert!(proof["flags"][0]["texts"]["ar"].as_str().is_some_and(|text| !text.is_empty()));
    // Whoever takes note after the term was late, and nothing is told again.
    let noted = story.meti(&["dialogue", "ack", &notice]).ok().word();
    story.both.arrived("motie", &story.dialogue, &noted);
    story.meti(&["duty", "list", "--all"]).ok().shows(&["met-late"]);
    assert_eq!(told(&story), first);
}
