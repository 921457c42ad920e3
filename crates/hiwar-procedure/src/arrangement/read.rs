//! Reading an arrangement from a form, with all its faults at once.

use std::collections::{BTreeMap, BTreeSet};

use hiwar_dialogue::limits::{LANGUAGES_MAX, PARTIES_MAX};
use hiwar_form::{Document, Faults, Form};

use super::scope::is_name;
use super::{
    Arrangement, Body, Clock, Desk, Due, Escalation, ExerciseRule, LanguageRule, Level, MarkingRule, Owner,
    Party, Source, Span, Texts, TimeRule, is_code,
};

/// Fewest parties: an arrangement is agreed between some.
const PARTIES_MIN: usize = 2;

/// Most bodies, and most clocks.
const LIST_MAX: usize = 256;
/// Most reminders, and most escalations, of a clock.
const STAGES_MAX: usize = 16;

/// The levels as a form takes them.
const LEVELS: [(&str, Level); 5] = [
    ("leaders", Level::Leaders),
    ("ministers", Level::Ministers),
    ("directors", Level::Directors),
    ("working-group", Level::WorkingGroup),
    ("business-forum", Level::BusinessForum),
];

/// An item of a list with its path, so that a fault that only the whole shows can name it.
type Placed<T> = (String, T);

/// What parts of the form name and other parts refer to. It is gathered also from items that have faults, so
/// that one fault does not bring others.
#[derive(Default)]
struct Names {
    codes: Vec<Placed<String>>,
    dids: Vec<Placed<String>>,
    bodies: Vec<Placed<String>>,
    above: Vec<(String, String, String)>,
    clocks: Vec<Placed<String>>,
    /// References to bodies and to parties.
    to_bodies: Vec<Placed<String>>,
    to_parties: Vec<Placed<String>>,
    /// All texts, which must be there in the required languages.
    texts: Vec<Placed<Texts>>,
}

/// Reads an arrangement.
///
/// # Errors
/// Everything that is wrong with it; the messages are [`crate::MESSAGES`].
pub fn read(document: &Document) -> Result<Arrangement, Faults> {
    document.read(arrangement)
}

fn arrangement(form: &mut Form<'_>) -> Option<Arrangement> {
    let mut names = Names::default();
    let id = name(form, "id");
    let version = form.required::<u32>("version");
    if version == Some(0) {
        form.fault("version", "arrangement-version", &[]);
    }
    let title = texts(form, "title", &mut names);
    let sources = form.list("sources", source);
    let parties = form.list("parties", |form| party(form, &mut names));
    let bodies = form.list("bodies", |form| body(form, &mut names));
    let allows = scopes(form, "allows");
    let time = sub(form, "time", time_rule);
    let clocks = form.list("clocks", |form| clock(form, &mut names));
    let marking = sub(form, "marking", |form| marking_rule(form, &mut names));
    let languages = sub(form, "languages", language_rule);
    let exercise = sub(form, "exercise", |form| exercise_rule(form, &mut names));
    let four_eyes = scopes(form, "four-eyes");
    must_not_be_empty(form, "sources");
    let mut fits = true;
    for list in ["bodies", "clocks"] {
        must_not_be_empty(form, list);
        fits &= must_be_at_most(form, list, LIST_MAX);
    }
    if !fits {
        return None;
    }
    must_agree(form, &names, languages.as_ref());
    must_have_somebody_above(form, &clocks, &names);
    Some(Arrangement {
        id: id?,
        version: version?,
        title: title?,
        sources,
        parties,
        bodies,
        allows,
        time: time?,
        clocks: clocks.into_iter().map(|(_, clock)| clock).collect(),
        marking: marking?,
        languages: languages?,
        exercise: exercise?,
        four_eyes,
    })
}

/// The path of the object that a form reads.
fn here(form: &Form<'_>) -> String {
    form.path_of("").trim_end_matches('.').to_owned()
}

/// An object that must be there.
fn sub<'d, T>(
    form: &mut Form<'d>,
    field: &'static str,
    read: impl FnOnce(&mut Form<'d>) -> Option<T>,
) -> Option<T> {
    if !form.has(field) {
        form.fault(field, "missing", &[]);
    }
    form.object(field, read)
}

/// A list that is there but empty says nothing; whoever wrote it meant something.
fn must_not_be_empty(form: &mut Form<'_>, field: &'static str) {
    if form.raw(field).and_then(serde_json::Value::as_array).is_some_and(Vec::is_empty) {
        form.fault(field, "arrangement-empty", &[]);
    }
}

/// Tells whether a list is short enough, and notes a fault when it is not.
fn must_be_at_most(form: &mut Form<'_>, field: &'static str, most: usize) -> bool {
    let fits = form.raw(field).and_then(serde_json::Value::as_array).is_none_or(|items| items.len() <= most);
    if !fits {
        form.fault(field, "too-many", &[("most", &most.to_string())]);
    }
    fits
}

fn scopes(form: &mut Form<'_>, field: &'static str) -> Vec<super::Scope> {
    must_not_be_empty(form, field);
    form.parsed_values(field, "arrangement-scope")
}

fn name(form: &mut Form<'_>, field: &'static str) -> Option<String> {
    let text: String = form.required(field)?;
    if !is_name(&text) {
        form.fault(field, "arrangement-name", &[("found", &text)]);
        return None;
    }
    Some(text)
}

fn texts(form: &mut Form<'_>, field: &'static str, names: &mut Names) -> Option<Texts> {
    let texts: Texts = form.required(field)?;
    names.texts.push((form.path_of(field), texts.clone()));
    Some(texts)
}

fn source(form: &mut Form<'_>) -> Option<Source> {
    let title = form.required("title");
    let clause = form.optional("clause");
    let url: Option<String> = form.optional("url");
    if let Some(url) = url.as_deref().filter(|url| !url.starts_with("https://")) {
        form.fault("url", "arrangement-url", &[("found", url)]);
    }
    Some(Source { title: title?, clause, url })
}

fn party(form: &mut Form<'_>, names: &mut Names) -> Option<Party> {
    let did = form.parsed("did", "arrangement-did");
    let code: Option<String> = form.required("code");
    let name = texts(form, "name", names);
    let mut desks_seen = BTreeSet::new();
    let desks = form.list("desks", |form| {
        let name: Option<String> = form.required("name");
        if let Some(name) = name.as_ref().filter(|name| !desks_seen.insert((*name).clone())) {
            form.fault("name", "arrangement-twice", &[("found", name)]);
        }
        let may = scopes(form, "may");
        if !form.has("may") {
            form.fault("may", "missing", &[]);
        }
        Some(Desk { name: name?, may })
    });
    let mut holidays: Vec<jiff::civil::Date> = form.values("holidays");
    for list in ["desks", "holidays"] {
        must_not_be_empty(form, list);
    }
    holidays.sort_unstable();
    holidays.dedup();
    if let Some(code) = &code {
        names.codes.push((form.path_of("code"), code.clone()));
        if !is_code(code) {
            form.fault("code", "arrangement-code", &[("found", code)]);
        }
    }
    let did: Option<hiwar_trust::did::Did> = did;
    if let Some(did) = &did {
        names.dids.push((form.path_of("did"), did.as_str().to_owned()));
    }
    Some(Party { did: did?, code: code?, name: name?, desks, holidays })
}

fn body(form: &mut Form<'_>, names: &mut Names) -> Option<Body> {
    let id = name(form, "id");
    let title = texts(form, "name", names);
    let level = form.choice("level", &LEVELS);
    let above: Option<String> = form.optional("above");
    if let Some(above) = &above {
        names.to_bodies.push((form.path_of("above"), above.clone()));
    }
    if let Some(id) = &id {
        names.bodies.push((form.path_of("id"), id.clone()));
        names.above.extend(above.iter().map(|above| (form.path_of("above"), id.clone(), above.clone())));
    }
    Some(Body { id: id?, name: title?, level: level?, above })
}

fn time_rule(form: &mut Form<'_>) -> Option<TimeRule> {
    let zone: String = form.required("zone")?;
    // An identifier has one spelling: `asia/seoul` would be found too.
    let known = crate::clock::zone(&zone).and_then(|found| found.iana_name().map(str::to_owned));
    if known.as_ref() != Some(&zone) {
        form.fault("zone", "arrangement-zone", &[("found", &zone)]);
        return None;
    }
    Some(TimeRule { zone })
}

fn clock(form: &mut Form<'_>, names: &mut Names) -> Option<Placed<Clock>> {
    let id = name(form, "id");
    if let Some(id) = &id {
        names.clocks.push((form.path_of("id"), id.clone()));
    }
    let title = texts(form, "title", names);
    let starts = form.parsed("starts", "arrangement-event");
    let ends = form.parsed("ends", "arrangement-event");
    let owner = form.parsed("owner", "arrangement-owner");
    if let Some(Owner::Party(code)) = &owner {
        names.to_parties.push((form.path_of("owner"), code.clone()));
    }
    let body: Option<String> = form.optional("body");
    names.to_bodies.extend(body.iter().map(|body| (form.path_of("body"), body.clone())));
    let due = sub(form, "due", due);
    let remind: Vec<Span> = form.parsed_values("remind", "arrangement-span");
    let escalate = form.list("escalate", |form| {
        let after = form.parsed("after", "arrangement-span");
        let to: Option<String> = form.optional("to");
        names.to_bodies.extend(to.iter().map(|to| (form.path_of("to"), to.clone())));
        Some(Escalation { after: after?, to })
    });
    for list in ["remind", "escalate"] {
        must_not_be_empty(form, list);
        must_be_at_most(form, list, STAGES_MAX);
    }
    let source = form.object("source", source);
    let path = here(form);
    let clock = Clock {
        id: id?,
        title: title?,
        starts: starts?,
        ends: ends?,
        owner: owner?,
        body,
        due: due?,
        remind,
        escalate,
        source,
    };
    Some((path, clock))
}

fn due(form: &mut Form<'_>) -> Option<Due> {
    let within = form.parsed("within", "arrangement-span");
    let to_end_of_day: bool = form.optional("to-end-of-day").unwrap_or_default();
    let working_days: bool = form.optional("working-days").unwrap_or_default();
    if working_days && matches!(within, Some(Span::Hours(_))) {
        form.fault("working-days", "arrangement-working-hours", &[]);
    } else if working_days && !to_end_of_day {
        form.fault("working-days", "arrangement-working-days", &[]);
    }
    Some(Due { within: within?, to_end_of_day, working_days })
}

fn marking_rule(form: &mut Form<'_>, names: &mut Names) -> Option<MarkingRule> {
    let cap = form.parsed("cap", "arrangement-marking");
    let community = texts(form, "community", names);
    Some(MarkingRule { cap: cap?, community: community? })
}

fn language_rule(form: &mut Form<'_>) -> Option<LanguageRule> {
    must_not_be_empty(form, "required");
    let required: Vec<String> = form.values("required");
    let prevailing: Option<String> = form.optional("prevailing");
    if !must_be_at_most(form, "required", LANGUAGES_MAX) {
        return None;
    }
    let mut seen = BTreeSet::new();
    for (index, tag) in required.iter().enumerate() {
        let is_tag = (2..=35).contains(&tag.len())
            && tag.starts_with(|c: char| c.is_ascii_lowercase())
            && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let field = format!("required[{index}]");
        if !is_tag {
            form.fault(&field, "not-language-tag", &[("found", tag)]);
        }
        if !seen.insert(tag) {
            form.fault(&field, "arrangement-twice", &[("found", tag)]);
        }
    }
    if let Some(prevailing) = prevailing.as_ref().filter(|prevailing| !required.contains(prevailing)) {
        form.fault("prevailing", "arrangement-prevailing", &[("found", prevailing)]);
    }
    Some(LanguageRule { required, prevailing })
}

fn exercise_rule(form: &mut Form<'_>, names: &mut Names) -> Option<ExerciseRule> {
    let allowed = form.required("allowed");
    let banner: Option<Texts> = form.optional("banner");
    names.texts.extend(banner.iter().map(|banner| (form.path_of("banner"), banner.clone())));
    Some(ExerciseRule { allowed: allowed?, banner: banner.unwrap_or_default() })
}

/// What only the whole shows: names given twice, references to what there is not, circles, missing languages.
fn must_agree(form: &Form<'_>, names: &Names, languages: Option<&LanguageRule>) {
    if form.has("parties") && !(PARTIES_MIN..=PARTIES_MAX).contains(&names.codes.len()) {
        form.fault("parties", "arrangement-parties", &[("most", &PARTIES_MAX.to_string())]);
    } else if !form.has("parties") {
        form.fault("parties", "missing", &[]);
    }
    for list in [&names.codes, &names.dids, &names.bodies, &names.clocks] {
        let mut seen = BTreeSet::new();
        for (path, name) in list.iter().filter(|(_, name)| !seen.insert(name)) {
            form.fault(path, "arrangement-twice", &[("found", name)]);
        }
    }
    for (references, named, code) in [
        (&names.to_bodies, &names.bodies, "arrangement-no-body"),
        (&names.to_parties, &names.codes, "arrangement-no-party"),
    ] {
        let known: Vec<&str> = named.iter().map(|(_, name)| name.as_str()).collect();
        let all = known.join(", ");
        for (path, name) in references.iter().filter(|(_, name)| !known.contains(&name.as_str())) {
            form.fault(path, code, &[("found", name), ("known", &all)]);
        }
    }
    let above: BTreeMap<&str, &str> =
        names.above.iter().map(|(_, id, above)| (id.as_str(), above.as_str())).collect();
    for (path, id, _) in &names.above {
        let mut at = id.as_str();
        // A circle that this body only leads to is told where it closes.
        let closes = (0..=above.len()).any(|_| match above.get(at) {
            Some(next) => {
                at = next;
                at == id
            }
            None => false,
        });
        if closes {
            form.fault(path, "arrangement-circle", &[("found", id)]);
        }
    }
    for language in languages.iter().flat_map(|languages| &languages.required) {
        for (path, _) in names.texts.iter().filter(|(_, texts)| !texts.contains_key(language)) {
            form.fault(path, "arrangement-language", &[("language", language)]);
        }
    }
}

/// An escalation that names no body needs one above the body that had the duty before. What follows a body that
/// there is not is not judged: that is a fault already.
fn must_have_somebody_above(form: &Form<'_>, clocks: &[Placed<Clock>], names: &Names) {
    for (path, clock) in clocks {
        let mut responsible = clock.body.as_deref();
        for (index, step) in clock.escalate.iter().enumerate() {
            if responsible.is_some_and(|body| names.bodies.iter().all(|(_, known)| known != body)) {
                break;
            }
            let above = names.above.iter().find(|(_, id, _)| Some(id.as_str()) == responsible);
            let next = step.to.as_deref().or(above.map(|(_, _, above)| above.as_str()));
            if next.is_none() {
                form.fault(&format!("{path}.escalate[{index}]"), "arrangement-nobody-above", &[]);
            }
            responsible = next.or(responsible);
        }
    }
}
