//! Arrangements: forms in JSON and TOML that people write, and contents of strangers' acts.

use hiwar_form::{Document, Faults, Language};
use hiwar_procedure::MESSAGES;
use hiwar_procedure::arrangement::{Arrangement, Template, read};
use hiwar_procedure::clock::{rule, zone};
use hiwar_trust::time::Timestamp;
use serde_json::Value;

use super::{answered, text};

/// Most faults that a form may have told.
const FAULTS_MAX: usize = 100;

fn from_text(text: &str) -> Result<Arrangement, Faults> {
    let document = if text.trim_start().starts_with('{') {
        Document::json(None, text)
    } else {
        Document::toml(None, text)
    };
    document.and_then(|document| read(&document))
}

/// What was read is written as content and as TOML, and read again it is the same; every clock has a due time for
/// every start; faults are few and short.
pub fn arrangement(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let found = from_text(text);
    let said = found.as_ref().map_err(|faults| {
        assert!((1..=FAULTS_MAX).contains(&faults.0.len()), "{} faults", faults.0.len());
        let longest = faults.0.iter().map(|fault| fault.say(&MESSAGES, Language::En)).max_by_key(String::len);
        longest.unwrap_or_default()
    });
    answered(&said);
    let Ok(found) = found else { return };
    let content = Value::Object(found.to_content());
    assert_eq!(read(&Document::of(content)).as_ref(), Ok(&found), "the content is read differently");
    assert_eq!(from_text(&found.to_toml()).as_ref(), Ok(&found), "the TOML is read differently");
    let zone = zone(&found.time.zone);
    assert!(zone.is_some(), "an unknown zone was accepted");
    let Some(zone) = zone else { return };
    for clock in &found.clocks {
        let body = clock.escalate.iter().filter_map(|step| step.to.as_deref()).chain(clock.body.as_deref());
        assert!(body.into_iter().all(|body| found.body(body).is_some()), "an unknown body was accepted");
        assert_eq!(clock.ladder(&found).len(), clock.escalate.len(), "an escalation goes nowhere");
        for start in [Timestamp::MIN, Timestamp::from_millis(0), Timestamp::MAX] {
            let due = rule::due(&clock.due, start, &zone, |_| false);
            // The last moment that can be written is the latest due time.
            assert!(
                due >= start.min(Timestamp::MAX.plus_millis(-1)),
                "{} is due {due} after {start}",
                clock.id
            );
        }
    }
}

/// The templates with parties, in both spellings.
pub fn arrangement_seeds() -> Vec<Vec<u8>> {
    let party = |code: &'static str, did: &str| {
        let name = ["en", "ko", "ja"].map(|tag| (tag.to_owned(), code.to_owned())).into();
        Some((code, did.parse().ok()?, name))
    };
    let parties: Vec<_> = [("KR", "did:web:kr.example"), ("COM", "did:web:com.example")]
        .into_iter()
        .filter_map(|(code, did)| party(code, did))
        .collect();
    let filled = Template::ALL.into_iter().filter_map(|template| template.fill(&parties).ok());
    let mut seeds: Vec<Vec<u8>> = filled
        .flat_map(|found| {
            let content = Value::Object(found.to_content());
            [content.to_string().into_bytes(), found.to_toml().into_bytes()]
        })
        .collect();
    seeds.push(SMALL.as_bytes().to_vec());
    seeds
}

/// A small one, in which a changed byte matters more.
const SMALL: &str = r#"{"id":"a","version":1,"title":{"en":"A"},"parties":[{"did":"did:web:a.example","code":"A",
"name":{"en":"A"},"holidays":["2024-10-09"],"desks":[{"name":"d","may":["*","notice:offer"]}]},{"did":"did:web:b.example",
"code":"B","name":{"en":"B"}}],"bodies":[{"id":"m","name":{"en":"M"},"level":"ministers"},{"id":"w","name":{"en":"W"},
"level":"working-group","above":"m"}],"time":{"zone":"Asia/Seoul"},"clocks":[{"id":"c","title":{"en":"C"},"starts":
"in-force","ends":"delivered:x","owner":"A","body":"w","due":{"within":"6 months","to-end-of-day":true,"working-days":true},
"remind":["5 d"],"escalate":[{"after":"0 h"}]}],"marking":{"cap":"TLP:RED","community":{"en":"A"}},"languages":{"required":
["en"],"prevailing":"en"},"exercise":{"allowed":true}}"#;
