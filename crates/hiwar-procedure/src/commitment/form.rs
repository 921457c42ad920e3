//! The forms of commitments and of what is said about them.

use hiwar_dialogue::entry::EntryId;
use hiwar_form::{Document, Faults, Form};
use hiwar_trust::hash::Hash;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::CommitmentId;
use super::due::DueRule;
use crate::act::Void;
use crate::arrangement::{Span, Texts};
use crate::event::EventKind;
use crate::meeting::form::entries;
use crate::meeting::parties::{Code, Parties, code};
use crate::status::Status;

/// What is promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The party that will do it.
    pub owner: Code,
    /// Its desk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desk: Option<String>,
    /// The body that follows it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Code>,
    /// What it will do.
    pub texts: Texts,
    /// By when.
    pub due: DueRule,
    /// What must be shown when it is done. When this is there, a claim without files or entries is void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Texts>,
    /// Who must accept that it is done; empty means every other party.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirm: Vec<Code>,
}

impl Terms {
    /// Checks the terms against the parties.
    ///
    /// # Errors
    /// A party or body that there is not, or a language that is missing.
    pub(crate) fn must_suit(&self, parties: &Parties) -> Result<(), Void> {
        parties.must_be_in_all_languages(&self.texts)?;
        let next = match &self.due {
            DueRule::NextMeeting { next_meeting } => Some(next_meeting),
            _ => None,
        };
        self.body.iter().chain(next).try_for_each(|body| parties.must_have_body(body))?;
        let named = [&self.owner].into_iter().chain(&self.confirm);
        match named.into_iter().find(|code| !parties.has(code)) {
            Some(stranger) => Err(Void::with("agreed-no-such-party", &[("party", stranger.as_str())])),
            None => Ok(()),
        }
    }

    /// The parties that must accept that it is done.
    pub fn confirmers<'t>(&'t self, parties: &'t Parties) -> Vec<&'t Code> {
        if self.confirm.is_empty() {
            parties.others(&self.owner).collect()
        } else {
            self.confirm.iter().collect()
        }
    }
}

/// What an act of kind `commitment` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Whether it is meant.
    #[serde(default)]
    pub status: Status,
    /// What is promised.
    #[serde(flatten)]
    pub terms: Terms,
}

/// A step about a commitment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CommitmentStep {
    /// Which one of the minutes, when it comes from minutes: the decision's name, a slash, and the place in its list
    /// from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commitment: Option<String>,
    /// What is done.
    #[serde(flatten)]
    pub deed: Deed,
}

/// What a step does about a commitment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Deed {
    /// The owner takes it on.
    Accept,
    /// The owner does not.
    Refuse,
    /// The owner tells how far it is.
    Progress {
        /// How far.
        texts: Texts,
        /// In per cent, when it can be said.
        #[serde(skip_serializing_if = "Option::is_none")]
        percent: Option<u32>,
    },
    /// The owner reports it done. The evidence is the files of the step, or these entries.
    Done {
        /// Entries that show it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        evidence: Vec<EntryId>,
    },
    /// Another party accepts that it is done.
    AcceptDone,
    /// Another party does not.
    RejectDone {
        /// Why.
        texts: Texts,
    },
    /// The owner asks to be released, or another party releases it.
    Withdraw,
    /// A party wants another commitment in its place.
    Supersede {
        /// The other one.
        by: CommitmentId,
    },
}

impl Deed {
    /// Its name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Refuse => "refuse",
            Self::Progress { .. } => "progress",
            Self::Done { .. } => "done",
            Self::AcceptDone => "accept-done",
            Self::RejectDone { .. } => "reject-done",
            Self::Withdraw => "withdraw",
            Self::Supersede { .. } => "supersede",
        }
    }
}

/// Reads a commitment that is proposed by itself.
///
/// # Errors
/// All its faults.
pub fn read_proposal(document: &Document) -> Result<Proposal, Faults> {
    document.read(|form| {
        let status = form.choice_optional("status", &Status::CHOICES).unwrap_or_default();
        Some(Proposal { status, terms: terms(form)? })
    })
}

/// The fields of a commitment.
pub(crate) fn terms(form: &mut Form<'_>) -> Option<Terms> {
    let (owner, texts) = (code(form, "owner"), form.required("texts"));
    let (desk, body) = (form.optional("desk"), form.parsed_optional("body", "agreed-not-code"));
    if !form.has("due") {
        form.fault("due", "missing", &[]);
    }
    let due = form.object("due", due_rule);
    let evidence = form.optional("evidence");
    let confirm: Vec<Code> = form.parsed_values("confirm", "agreed-not-code");
    if owner.as_ref().is_some_and(|owner| confirm.contains(owner)) {
        form.fault("confirm", "commitment-confirms-itself", &[]);
    }
    Some(Terms { owner: owner?, desk, body, texts: texts?, due: due?, evidence, confirm })
}

fn due_rule(form: &mut Form<'_>) -> Option<DueRule> {
    let date: Option<Date> = form.optional("date");
    let days: Option<u32> = form.optional("days");
    let months: Option<u32> = form.optional("months");
    let after: Option<EventKind> = form.parsed_optional("after", "commitment-not-event");
    let next_meeting: Option<Code> = form.parsed_optional("next-meeting", "agreed-not-code");
    let span = match (days, months) {
        (Some(days), None) => Some(Span::Days(days)),
        (None, Some(months)) => Some(Span::Months(months)),
        _ => None,
    };
    let both = days.is_some() && months.is_some();
    match (date, span, after, next_meeting) {
        (Some(date), None, None, None) if !both => Some(DueRule::Date { date }),
        (None, Some(Span::Days(days)), Some(after), None) => Some(DueRule::Days { days, after }),
        (None, Some(Span::Months(months)), Some(after), None) => Some(DueRule::Months { months, after }),
        (None, None, None, Some(next_meeting)) if !both => Some(DueRule::NextMeeting { next_meeting }),
        _ => {
            form.fault("", "commitment-due-unclear", &[]);
            None
        }
    }
}

#[derive(Clone, Copy)]
enum Name {
    Accept,
    Refuse,
    Progress,
    Done,
    AcceptDone,
    RejectDone,
    Withdraw,
    Supersede,
}

const NAMES: [(&str, Name); 8] = [
    ("accept", Name::Accept),
    ("refuse", Name::Refuse),
    ("progress", Name::Progress),
    ("done", Name::Done),
    ("accept-done", Name::AcceptDone),
    ("reject-done", Name::RejectDone),
    ("withdraw", Name::Withdraw),
    ("supersede", Name::Supersede),
];

/// Reads a step about a commitment.
///
/// # Errors
/// All its faults.
pub fn read_commitment_step(document: &Document) -> Result<CommitmentStep, Faults> {
    document.read(|form| {
        let commitment: Option<String> = form.optional("commitment");
        if let Some(text) = &commitment
            && CommitmentId::of(EntryId(Hash::of(b"")), Some(text)).is_none()
        {
            form.fault("commitment", "commitment-not-name", &[("found", text)]);
        }
        let deed = match form.choice("step", &NAMES)? {
            Name::Accept => Deed::Accept,
            Name::Refuse => Deed::Refuse,
            Name::Progress => {
                let (texts, percent) = (form.required("texts"), form.optional::<u32>("percent"));
                if percent.is_some_and(|percent| percent > 100) {
                    form.fault("percent", "commitment-not-percent", &[]);
                }
                Deed::Progress { texts: texts?, percent }
            }
            Name::Done => Deed::Done { evidence: entries(form, "evidence") },
            Name::AcceptDone => Deed::AcceptDone,
            Name::RejectDone => Deed::RejectDone { texts: form.required("texts")? },
            Name::Withdraw => Deed::Withdraw,
            Name::Supersede => Deed::Supersede { by: form.parsed("by", "commitment-not-id")? },
        };
        Some(CommitmentStep { commitment, deed })
    })
}
