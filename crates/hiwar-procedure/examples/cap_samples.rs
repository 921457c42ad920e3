//! Writes notices as Common Alerting Protocol messages into a folder, for `interop/cap/run`.

use std::collections::BTreeMap;

use hiwar_dialogue::entry::EntryId;
use hiwar_dialogue::marking::Marking;
use hiwar_form::Document;
use hiwar_procedure::MESSAGES;
use hiwar_procedure::notice::cap::{Envelope, write};
use hiwar_procedure::notice::{NoticeState, Stage, blank, read};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let dir = std::env::args().nth(1).ok_or("name the folder to write to")?;
    let did = |host: &str| format!("did:web:{host}.example").parse::<Did>();
    let audience = [did("motie")?, did("meti")?];
    let at = |text: &str| text.parse::<Timestamp>();
    for (name, kind) in [
        ("alert", "disruption-alert"),
        ("meeting", "emergency-meeting-request"),
        ("request", "information-request"),
    ] {
        let form = blank(kind).ok_or("there is no such form")?;
        let text =
            form.replace("Hydrogen fluoride: licences delayed", "\\\"R&D\\\" <delayed> \u{2014} 불화수소");
        let document = Document::toml(None, &text).map_err(|f| f.say(&MESSAGES, hiwar_form::Language::En))?;
        let notice = read(&document).map_err(|f| f.say(&MESSAGES, hiwar_form::Language::En))?;
        let id = EntryId(Hash::of(name.as_bytes()));
        let mut state = NoticeState {
            id,
            author: did("motie")?,
            desk: "trade-security".to_owned(),
            at: at("2019-07-01T01:00:00.000Z")?,
            versions: vec![(id, notice.clone())],
            notice,
            stage: Stage::Sent,
            risen_to: None,
            acknowledged: BTreeMap::new(),
            replies: Vec::new(),
            meetings: Vec::new(),
        };
        let put = |suffix: &str, state: &NoticeState, marking: Marking| -> Outcome {
            let envelope = Envelope {
                marking,
                audience: &audience,
                sent: at("2019-07-02T01:00:00.123Z")?,
                dialogue: "Hydrogen fluoride",
            };
            let file = std::path::Path::new(&dir).join(format!("{name}{suffix}.xml"));
            Ok(std::fs::write(file, write(state, &envelope)?)?)
        };
        put("", &state, Marking::Amber)?;
        state.versions.push((EntryId(Hash::of(b"corrected")), state.notice.clone()));
        put("-update", &state, Marking::Green)?;
        state.stage = Stage::Withdrawn;
        put("-cancel", &state, Marking::Clear)?;
    }
    Ok(())
}
