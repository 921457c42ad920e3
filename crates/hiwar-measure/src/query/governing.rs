//! What governed an item between two countries on a day.

use jiff::civil::Date;

use super::{Lookup, sequence};
use crate::claim::{Claim, Claimed, Field, Source, shown};
use crate::code::Overlap;
use crate::measure::{Flow, Item, Kind, Measure, State};
use crate::{Country, ItemId, Register, TariffCode, When};

/// The item that is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Goods under a customs code.
    Tariff(TariffCode),
    /// Goods under an entry of a control list.
    Control {
        /// The list; any, when none is given.
        list: Option<String>,
        /// The entry.
        code: String,
    },
    /// The item of this name.
    Item(ItemId),
}

/// A question: which measures govern this item, going from one country to another, on this day?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The item.
    pub item: Asked,
    /// The country that the goods leave.
    pub from: Country,
    /// The country that they go to.
    pub to: Country,
    /// The day, in the place of the jurisdiction that acts.
    pub day: Date,
}

/// How a measure stands on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// No date says.
    Undated,
    /// Not announced yet.
    Before,
    /// Announced, not in force yet.
    Announced,
    /// In force.
    InForce,
    /// No longer in force.
    Ended,
}

/// What holds for an item under a measure on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling<'m> {
    /// How the measure stands.
    pub standing: Standing,
    /// The state, when one has begun and not ended. Before the measure is in force it is what held before.
    pub state: Option<&'m State>,
    /// Since when that state holds.
    pub since: Option<When>,
}

/// Why an item is among those asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched<'m> {
    /// By a customs code of the same edition.
    Tariff {
        /// The measure's code.
        code: &'m TariffCode,
        /// How the goods asked about lie to it.
        overlap: Overlap,
    },
    /// By an entry of a control list.
    Control,
    /// By its name.
    Name,
    /// The measure is on all goods, such as one that moves a country to another list.
    AllGoods,
}

/// What would hold as another source tells it: all its claims taken together, the others as they are shown.
#[derive(Clone, Debug)]
pub struct Alternative<'m> {
    /// The source.
    pub source: &'m Source,
    /// Its claims that contradict those that are shown.
    pub claims: Vec<&'m Claim>,
    /// What would hold then.
    pub ruling: Ruling<'m>,
}

/// A field about which claims contradict each other.
#[derive(Clone, Debug)]
pub struct Disputed<'m> {
    /// The field.
    pub field: &'m Field,
    /// The claims.
    pub claims: Claimed<'m>,
}

/// A measure that governs the item, or did, or will.
#[derive(Clone, Debug)]
pub struct Governing<'m> {
    /// The measure.
    pub measure: &'m Measure,
    /// Its item; none when the measure is on all goods.
    pub item: Option<&'m Item>,
    /// Why.
    pub matched: Matched<'m>,
    /// What holds by the claims that are shown.
    pub ruling: Ruling<'m>,
    /// What would hold as other sources tell it, where that differs.
    pub otherwise: Vec<Alternative<'m>>,
    /// All fields of the measure about which claims contradict each other, whatever the day.
    pub disputed: Vec<Disputed<'m>>,
}

/// A code of a measure with digits that fit and an edition that does not: whether the goods are the same
/// is not known without a table between the editions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherEdition<'m> {
    /// The measure.
    pub measure: &'m Measure,
    /// Its item.
    pub item: &'m Item,
    /// Its code.
    pub code: &'m TariffCode,
}

/// What the register says.
#[derive(Clone, Debug, Default)]
pub struct Answer<'m> {
    /// Measures on the item, whether in force or not: each says how it stands.
    pub governing: Vec<Governing<'m>>,
    /// Codes that do not count because their edition is another one.
    pub other_editions: Vec<OtherEdition<'m>>,
}

impl<'m> Answer<'m> {
    /// Those that are in force on the day.
    pub fn in_force(&self) -> impl Iterator<Item = &Governing<'m>> {
        self.governing.iter().filter(|found| found.ruling.standing == Standing::InForce)
    }
}

/// Answers a question. Steps of disputes govern no goods and are left out.
pub fn governing<'m>(register: &'m Register, question: &Question) -> Answer<'m> {
    let mut answer = Answer::default();
    for measure in register.measures().filter(|measure| concerns(measure, question)) {
        if measure.items.is_empty() {
            answer.governing.push(of_item(measure, None, Matched::AllGoods, question.day));
        }
        for item in &measure.items {
            match matched(item, &question.item) {
                Found::Matched(why) => {
                    answer.governing.push(of_item(measure, Some(item), why, question.day));
                }
                Found::OtherEdition(code) => {
                    answer.other_editions.push(OtherEdition { measure, item, code });
                }
                Found::No => {}
            }
        }
    }
    answer
}

fn concerns(measure: &Measure, question: &Question) -> bool {
    // Whose border it is: an export measure is of the country that the goods leave, unless it reaches
    // beyond its own border (foreign-made goods), which its origins say.
    let by_side = match measure.flow {
        Flow::Export | Flow::Transit => measure.destinations.contain(question.to),
        Flow::Import => measure.jurisdiction == question.to,
    };
    measure.kind != Kind::DisputeStep && by_side && measure.origins.contain(question.from)
}

enum Found<'m> {
    Matched(Matched<'m>),
    OtherEdition(&'m TariffCode),
    No,
}

fn matched<'m>(item: &'m Item, asked: &Asked) -> Found<'m> {
    match asked {
        Asked::Item(id) if item.id == *id => Found::Matched(Matched::Name),
        Asked::Control { list, code } => {
            let listed = item.control_codes.iter().any(|own| own.code.contains(list.as_deref(), code));
            if listed { Found::Matched(Matched::Control) } else { Found::No }
        }
        Asked::Item(_) => Found::No,
        Asked::Tariff(asked) => {
            let fitting = item.tariff_codes.iter().filter_map(|own| {
                let overlap = own.code.covers(asked)?;
                Some((own.code.edition() != asked.edition(), overlap, &own.code))
            });
            // The same edition first, then the closest overlap.
            match fitting.min_by_key(|(other_edition, overlap, _)| (*other_edition, *overlap)) {
                Some((false, overlap, code)) => Found::Matched(Matched::Tariff { code, overlap }),
                Some((true, _, code)) => Found::OtherEdition(code),
                None => Found::No,
            }
        }
    }
}

fn of_item<'m>(
    measure: &'m Measure,
    item: Option<&'m Item>,
    matched: Matched<'m>,
    day: Date,
) -> Governing<'m> {
    let default = |field: &Field| shown(&measure.claims, field).map(|claimed| claimed.shown);
    let id = item.map(|item| &item.id);
    let ruling = rule(measure, id, day, &default);
    let mut disputed = Vec::new();
    for field in measure.fields() {
        if let Some(claims) = shown(&measure.claims, field).filter(|claims| !claims.conflicting.is_empty()) {
            disputed.push(Disputed { field, claims });
        }
    }
    let otherwise = alternatives(measure, id, day, &ruling, &disputed);
    Governing { measure, item, matched, ruling, otherwise, disputed }
}

fn alternatives<'m>(
    measure: &'m Measure,
    item: Option<&ItemId>,
    day: Date,
    ruling: &Ruling<'m>,
    disputed: &[Disputed<'m>],
) -> Vec<Alternative<'m>> {
    let mut otherwise: Vec<Alternative<'m>> = Vec::new();
    for claim in disputed.iter().flat_map(|disputed| &disputed.claims.conflicting) {
        if let Some(known) = otherwise.iter_mut().find(|known| *known.source == claim.source) {
            known.claims.push(claim);
            continue;
        }
        let instead = |field: &Field| {
            let told = measure.claims.iter().find(|told| told.field == *field && told.source == claim.source);
            told.or_else(|| shown(&measure.claims, field).map(|claimed| claimed.shown))
        };
        let ruling = rule(measure, item, day, &instead);
        otherwise.push(Alternative { source: &claim.source, claims: vec![claim], ruling });
    }
    otherwise.retain(|other| {
        let state = |ruling: &Ruling<'m>| ruling.state.map(|state| state.id.clone());
        other.ruling.standing != ruling.standing || state(&other.ruling) != state(ruling)
    });
    otherwise
}

fn rule<'m>(measure: &'m Measure, item: Option<&ItemId>, day: Date, lookup: Lookup<'_, 'm>) -> Ruling<'m> {
    let begun = |field: Field| {
        lookup(&field).and_then(|claim| claim.value.date()).map(|when| when.first_day() <= day)
    };
    let standing = match (begun(Field::Ended), begun(Field::InForce), begun(Field::Announced)) {
        (Some(true), ..) => Standing::Ended,
        (_, Some(true), _) => Standing::InForce,
        (_, _, Some(true)) => Standing::Announced,
        (_, Some(false), _) | (_, _, Some(false)) => Standing::Before,
        (_, None, None) => Standing::Undated,
    };
    let spans = sequence(measure, item, lookup);
    let current = spans.iter().rev().find(|span| span.from <= day);
    let current = current.filter(|span| span.until.is_none_or(|until| day <= until));
    Ruling { standing, state: current.map(|span| span.state), since: current.map(|span| span.since) }
}
