//! Writes calendar files of a made-up meeting and its commitments for `interop/calendar/run`, or reads an answer.
//!
//! `calendar_samples DIR` writes the files; `calendar_samples --read FILE` prints what an answer says as JSON.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use hiwar_dialogue::entry::{ActKind, EntryId, Words};
use hiwar_dialogue::marking::Marking;
use hiwar_form::Language;
use hiwar_procedure::act::Said;
use hiwar_procedure::calendar::{
    Address, Style, cancellation, counter, read_reply, reply, request, to_do_list,
};
use hiwar_procedure::commitment::due::AsOf;
use hiwar_procedure::follow_up::FollowUp;
use hiwar_procedure::meeting::parties::{Code, Parties};
use hiwar_procedure::meeting::{Attendance, Meeting};
use hiwar_trust::did::Did;
use hiwar_trust::hash::Hash;
use hiwar_trust::time::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

const KOREA: &str = "did:web:motie.example";
const JAPAN: &str = "did:web:meti.example";

/// The state, and the time of the next act.
struct World {
    state: FollowUp,
    parties: Parties,
    acts: i64,
}

impl World {
    fn say(
        &mut self,
        by: &str,
        kind: ActKind,
        of: Option<EntryId>,
        content: Value,
    ) -> Result<EntryId, Box<dyn Error>> {
        self.acts += 1;
        let id = EntryId(Hash::of(self.acts.to_string().as_bytes()));
        let (author, words): (Did, Words) = (by.parse()?, Words::default());
        let content = content.as_object().cloned().unwrap_or_default();
        let time = "2024-06-01T00:00:00.000Z".parse::<Timestamp>()?.plus_millis(self.acts * 60_000);
        let said = Said {
            id,
            author: &author,
            desk: "desk",
            time,
            marking: Marking::Amber,
            kind,
            of,
            words: &words,
            content: &content,
            attachments: &[],
            membership: None,
        };
        match self.state.apply(&said, &self.parties) {
            Some(Ok(_)) => Ok(id),
            Some(Err(void)) => Err(void.say(Language::En).into()),
            None => Err("nobody takes this act".into()),
        }
    }

    fn meeting(&self, id: EntryId) -> Result<&Meeting, Box<dyn Error>> {
        self.state.meetings.get(&id).ok_or_else(|| "the meeting is not there".into())
    }
}

fn convening(status: &str, zone: &str) -> Value {
    json!({
        "title": { "en": "Hydrogen Cooperation Dialogue; first round, \"Seoul\"", "ko": "제1차 한일 국장급 수소협력대화 – 탄소집약도와 인증, 규격과 표준, 안전에 관한 작업반",
            "ja": "第１回日韓水素等協力対話 – 炭素強度および認証、規格・標準連携、水素などの安全に関する作業部会", "ar": "حوار التعاون في مجال الهيدروجين: كثافة الكربون والشهادات والمعايير والسلامة" },
        "body": "directors", "status": status, "zone": zone, "starts": "2024-06-14T01:00:00.000Z", "ends": "2024-06-14T03:00:00.000Z",
        "place": { "en": "Seoul, Room 1\\2", "ko": "서울" }, "link": "https://meet.example/1?a=b",
        "agenda": [{ "id": "a1", "title": { "en": "Carbon intensity 🌍" }, "submitter": KOREA },
            { "id": "a2", "title": { "en": "Standards" }, "submitter": JAPAN }] })
}

fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    let (parties, addresses) = invited()?;
    let mut world = World { state: FollowUp::default(), parties: parties.clone(), acts: 0 };
    let stamp: Timestamp = "2024-06-02T00:00:00.000Z".parse()?;
    let style = |language, zoned| Style { language, parties: &parties, addresses: &addresses, stamp, zoned };
    let save = |name: &str, text: String| std::fs::write(folder.join(name), text);
    let korea: Code = KOREA.parse()?;
    let japan: Code = JAPAN.parse()?;

    let id = world.say(KOREA, ActKind::Meeting, None, convening("Actual", "Asia/Seoul"))?;
    for language in Language::ALL {
        save(&format!("request-{language}.ics"), request(world.meeting(id)?, &style(language, true)))?;
    }
    save("request-utc.ics", request(world.meeting(id)?, &style(Language::En, false)))?;
    save("reply.ics", reply(world.meeting(id)?, &japan, Attendance::Declined, &style(Language::Ja, true)))?;
    let other = json!({ "step": "counter", "sequence": 0, "starts": "2024-06-20T05:30:00.000Z", "ends": "2024-06-20T06:30:00.000Z" });
    world.say(JAPAN, ActKind::Step, Some(id), other)?;
    let meeting = world.meeting(id)?;
    let proposal = meeting.counters.last().ok_or("the proposal is not there")?;
    save("counter.ics", counter(meeting, proposal, &style(Language::Ja, true)))?;
    let mut moved = convening("Actual", "Asia/Seoul");
    if let Some(members) = moved.as_object_mut() {
        members.insert("sequence".to_owned(), json!(1));
        members.insert("starts".to_owned(), json!("2024-06-20T05:30:00.000Z"));
        members.insert("ends".to_owned(), json!("2024-06-20T06:30:00.000Z"));
    }
    world.say(KOREA, ActKind::Meeting, Some(id), moved)?;
    world.say(JAPAN, ActKind::Step, Some(id), json!({ "step": "accept", "sequence": 1 }))?;
    save("moved.ics", request(world.meeting(id)?, &style(Language::Ko, true)))?;
    world.say(KOREA, ActKind::Step, Some(id), json!({ "step": "cancel", "sequence": 1 }))?;
    save("cancel.ics", cancellation(world.meeting(id)?, &style(Language::Ko, true)))?;
    let drill = world.say(KOREA, ActKind::Meeting, None, convening("Exercise", "Europe/Zurich"))?;
    save("exercise.ics", request(world.meeting(drill)?, &style(Language::Ar, true)))?;

    let promised = world.say(KOREA, ActKind::Commitment, None, json!({ "owner": KOREA, "desk": "hydrogen",
        "texts": { "en": "Share the list of standards", "ko": "표준 목록 공유" }, "due": { "date": "2024-09-30" } }))?;
    world.say(
        KOREA,
        ActKind::Step,
        Some(promised),
        json!({ "step": "progress", "texts": { "en": "Half" }, "percent": 50 }),
    )?;
    let done = world.say(
        JAPAN,
        ActKind::Commitment,
        None,
        json!({ "owner": JAPAN, "texts": { "en": "Host the group" }, "due": { "date": "2024-07-31" } }),
    )?;
    world.say(JAPAN, ActKind::Step, Some(done), json!({ "step": "done" }))?;
    world.say(KOREA, ActKind::Step, Some(done), json!({ "step": "accept-done" }))?;
    let zone = TimeZone::get("Asia/Seoul")?;
    let of = AsOf { now: "2024-10-01T00:00:00.000Z".parse()?, zone: &zone, events: &[], meetings: &[] };
    let list: Vec<_> = world.state.commitments.values().collect();
    save("commitments.ics", to_do_list(&list, &korea, &of, &style(Language::Ko, true)))?;
    let expected = json!({ "meeting": id, "exercise": drill, "promised": promised, "done": done,
        "title": convening("Actual", "Asia/Seoul")["title"] });
    Ok(save("expected.json", expected.to_string())?)
}

fn invited() -> Result<(Parties, BTreeMap<Code, Address>), Box<dyn Error>> {
    let parties = Parties::of_members(&[KOREA.parse()?, JAPAN.parse()?]);
    let addresses = [(KOREA, "mailto:hydrogen@motie.example"), (JAPAN, "mailto:suiso@meti.example")];
    let read = addresses.iter().map(|(party, address)| Ok((party.parse()?, address.parse()?)));
    Ok((parties, read.collect::<Result<_, Box<dyn Error>>>()?))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [folder] => write(Path::new(folder)),
        [flag, file] if flag == "--read" => {
            let (parties, addresses) = invited()?;
            let said = match read_reply(&std::fs::read(file)?, &parties, &addresses) {
                Ok(read) => json!({ "meeting": read.meeting, "party": read.party, "step": read.step }),
                Err(error) => json!({ "refused": error.to_string() }),
            };
            println!("{said}");
            Ok(())
        }
        _ => Err("usage: calendar_samples DIR | calendar_samples --read FILE".into()),
    }
}
