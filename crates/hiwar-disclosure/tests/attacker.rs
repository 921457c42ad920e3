//! An attacker of our own, which shares no code with what it attacks: it sees the rows of a release, who
//! takes part where, and its own reports. In small tables it goes through all whole-number tables that
//! agree with the release; in larger ones it solves a linear programme over each firm's value.
#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use hiwar_disclosure::{Design, Party, Period, Report, Table, protect};
use microlp::{ComparisonOp, LinearExpr, OptimizationDirection, Problem};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::{Value, json};

/// One dimension: codes with what they are within; leaves are those that nothing is within.
type Codes = Vec<(&'static str, Option<&'static str>)>;

fn flat(names: &[&'static str]) -> Codes {
    [("_T", None)].into_iter().chain(names.iter().map(|&name| (name, Some("_T")))).collect()
}

fn leaves(codes: &Codes) -> Vec<&'static str> {
    let inner: BTreeSet<_> = codes.iter().filter_map(|(_, within)| *within).collect();
    codes.iter().map(|(code, _)| *code).filter(|code| !inner.contains(code)).collect()
}

/// Whether a code is another one or within it.
fn within(codes: &Codes, code: &str, other: &str) -> bool {
    let parent = |code: &str| codes.iter().find(|(name, _)| *name == code).and_then(|(_, within)| *within);
    code == other || parent(code).is_some_and(|parent| within(codes, parent, other))
}

/// Margin m in percent, minimum frequency 3.
#[derive(Debug, Clone)]
struct Case {
    dimensions: Vec<Codes>,
    /// Group, leaf codes, value.
    reports: Vec<(usize, Vec<&'static str>, i64)>,
    margin: i64,
    /// Largest magnitude of signed contributions.
    signed: Option<i64>,
    rules: Value,
}

const NAMES: [&str; 4] = ["A", "B", "C", "D"];

impl Case {
    fn design(&self) -> Design {
        let dimensions = self.dimensions.iter().zip(NAMES).map(|(codes, name)| {
            let codes: Vec<Value> =
                codes.iter().map(|(code, within)| json!({ "code": code, "within": within })).collect();
            json!({ "id": name, "codes": codes })
        });
        let sign = self.signed.map_or(json!("non-negative"), |magnitude| json!({ "magnitude": magnitude }));
        Design::read(
            &json!({ "agency": "KR", "dataset": "STOCK", "version": "1.0", "unit": "KGM", "sign": sign,
            "dimensions": dimensions.collect::<Vec<_>>(), "rules": self.rules }),
        )
        .unwrap()
    }

    fn period() -> Period {
        "2026-03".parse().unwrap()
    }

    /// Every group reports through one firm for each leaf.
    fn table(&self) -> Table {
        let (mut reports, mut groups) = (Vec::new(), BTreeMap::<Party, Party>::new());
        for (index, (group, codes, value)) in self.reports.iter().enumerate() {
            let dimensions: BTreeMap<&str, &str> = NAMES.into_iter().zip(codes.iter().copied()).collect();
            let report = json!({ "firm": format!("firm-{index}"), "dataset": "STOCK", "period": "2026-03", "unit": "KGM",
                "value": value, "dimensions": dimensions });
            reports.push(Report::read(&report).unwrap());
            groups
                .insert(format!("firm-{index}").parse().unwrap(), format!("group-{group}").parse().unwrap());
        }
        Table::build(&self.design(), Self::period(), &reports, &groups).unwrap()
    }

    fn contributions(&self) -> BTreeMap<Vec<&'static str>, BTreeMap<usize, i64>> {
        let mut leaves: BTreeMap<Vec<&'static str>, BTreeMap<usize, i64>> = BTreeMap::new();
        for (group, codes, value) in &self.reports {
            *leaves.entry(codes.clone()).or_default().entry(*group).or_default() += value;
        }
        for contributions in leaves.values_mut() {
            contributions.retain(|_, value| *value != 0);
        }
        leaves.retain(|_, contributions| !contributions.is_empty());
        leaves
    }

    fn inside(&self, leaf: &[&'static str], cell: &[String]) -> bool {
        self.dimensions.iter().zip(leaf).zip(cell).all(|((codes, leaf), code)| within(codes, leaf, code))
    }
}

type Rows = Vec<(Vec<String>, Option<i64>)>;

fn released(table: &Table) -> Rows {
    let release = protect(table).unwrap();
    let rows = release.rows().into_iter();
    rows.map(|row| (row.codes.iter().map(ToString::to_string).collect(), row.value.ok())).collect()
}

/// What secondary suppression is there to prevent: only the unsafe cells are left out.
fn primary_only(table: &Table) -> Rows {
    let cells = table.cells().map(|(id, value)| {
        let codes = table.codes(id).iter().map(ToString::to_string).collect();
        (codes, table.unsafe_by(id).is_none().then_some(value))
    });
    cells.collect()
}

/// What must be left open: an estimate of the value of `target` over `up` (where it is, less the attacker's
/// own) at least `most`, and over `down` (where nobody else is) at most `least`.
struct Aim {
    told: String,
    up: Vec<usize>,
    most: i64,
    down: Vec<usize>,
    least: i64,
}

/// Goes through all tables in whole numbers. `None`: too many to finish.
fn search(case: &Case, rows: &Rows, attacker: Option<usize>) -> Option<Vec<String>> {
    let leaves: Vec<_> = case.contributions().into_iter().collect();
    let own: Vec<i64> =
        leaves.iter().map(|(_, of)| attacker.and_then(|a| of.get(&a)).copied().unwrap_or(0)).collect();
    let sums: Vec<(Vec<usize>, i64)> = rows
        .iter()
        .filter_map(|(cell, value)| {
            let inside: Vec<usize> = (0..leaves.len()).filter(|&i| case.inside(&leaves[i].0, cell)).collect();
            value.map(|value| (inside, value))
        })
        .collect();
    let mut aims = Vec::new();
    for (cell, _) in rows {
        let inside: Vec<usize> = (0..leaves.len()).filter(|&i| case.inside(&leaves[i].0, cell)).collect();
        let groups: BTreeSet<usize> = inside.iter().flat_map(|&i| leaves[i].1.keys().copied()).collect();
        for group in groups.into_iter().filter(|group| Some(*group) != attacker) {
            let up: Vec<usize> =
                inside.iter().copied().filter(|&i| leaves[i].1.contains_key(&group)).collect();
            let alone = |i: &usize| leaves[*i].1.keys().all(|&g| g == group || Some(g) == attacker);
            let down: Vec<usize> = up.iter().copied().filter(alone).collect();
            let value: i64 = up.iter().map(|&i| leaves[i].1[&group]).sum();
            let margin = (value * case.margin + 99) / 100;
            let told = format!("{attacker:?} on {group} in {cell:?}, value {value}");
            aims.push(Aim { told, up, most: value + margin, down, least: (value - margin).max(0) });
        }
    }
    let truth: Vec<i64> = leaves.iter().map(|(_, of)| of.values().sum()).collect();
    let alone: Vec<bool> = leaves.iter().map(|(_, of)| of.keys().all(|&g| Some(g) == attacker)).collect();
    let (alone, y) = (&alone, vec![None; leaves.len()]);
    let order = (0..leaves.len()).collect();
    let mut walk = Walk { own: &own, sums: &sums, truth: &truth, alone, aims, steps: 0, order, y };
    // The leaves that come last are varied most: each in turn.
    for turn in 0..leaves.len() * 2 {
        if turn == leaves.len() {
            walk.order.reverse();
        }
        walk.order.rotate_left(1);
        walk.steps = 0;
        if walk.run(0) {
            return Some(walk.aims.into_iter().map(|aim| aim.told).collect());
        }
        walk.y.fill(None);
    }
    None
}

struct Walk<'a> {
    own: &'a [i64],
    sums: &'a [(Vec<usize>, i64)],
    truth: &'a [i64],
    /// Where nobody is but the attacker.
    alone: &'a [bool],
    aims: Vec<Aim>,
    steps: u32,
    order: Vec<usize>,
    y: Vec<Option<i64>>,
}

const STEPS_MAX: u32 = 20_000;

impl Walk<'_> {
    /// Sets the leaves from a place in the order on in every way there is, the true value first; false
    /// when that takes too long.
    fn run(&mut self, place: usize) -> bool {
        self.steps += 1;
        if self.aims.is_empty() {
            return true;
        }
        if self.steps > STEPS_MAX {
            return false;
        }
        let Some(&at) = self.order.get(place) else {
            let y: Vec<i64> = self.y.iter().map(|y| y.unwrap()).collect();
            let own = self.own;
            let sum = |leaves: &[usize]| leaves.iter().map(|&i| y[i] - own[i]).sum::<i64>();
            self.aims.retain_mut(|aim| {
                if sum(&aim.up) >= aim.most {
                    aim.most = i64::MIN;
                }
                if sum(&aim.down) <= aim.least {
                    aim.least = i64::MAX;
                }
                aim.most != i64::MIN || aim.least != i64::MAX
            });
            return true;
        };
        // Beyond this no estimate is needed.
        let (mut low, mut high) = (self.own[at], self.truth.iter().sum::<i64>() * 2 + 20);
        if self.alone[at] {
            high = low;
        }
        for (inside, total) in self.sums.iter().filter(|(inside, _)| inside.contains(&at)) {
            let others: i64 =
                inside.iter().filter(|&&i| i != at).map(|&i| self.y[i].unwrap_or(self.own[i])).sum();
            high = high.min(total - others);
            if inside.iter().all(|&i| i == at || self.y[i].is_some()) {
                low = low.max(total - others);
            }
        }
        let truth = self.truth[at];
        let mut values: Vec<i64> = (low..=high).collect();
        values.sort_by_key(|value| (value - truth).abs());
        for value in values {
            self.y[at] = Some(value);
            if !self.run(place + 1) {
                return false;
            }
        }
        self.y[at] = None;
        true
    }
}

/// What the attackers find out: none when nothing; and how many could not finish.
fn findings(case: &Case, rows: &Rows) -> (Vec<String>, u32) {
    let groups: BTreeSet<usize> = case.reports.iter().map(|(group, ..)| *group).collect();
    let (mut found, mut unfinished) = (Vec::new(), 0);
    for attacker in groups.into_iter().map(Some).chain([None]) {
        match search(case, rows, attacker) {
            Some(told) => found.extend(told),
            None => unfinished += 1,
        }
    }
    (found, unfinished)
}

/// As [`findings`], by linear programmes: a variable for the value of the target in each leaf, and one for
/// all others that the attacker does not know.
fn estimates(case: &Case, rows: &Rows, attacker: Option<usize>) -> Vec<String> {
    let leaves: Vec<_> = case.contributions().into_iter().collect();
    let groups: BTreeSet<usize> = leaves.iter().flat_map(|(_, of)| of.keys().copied()).collect();
    let (low, high) = case.signed.map_or((0.0, f64::INFINITY), |bound| (-bound as f64, bound as f64));
    let mut found = Vec::new();
    for target in groups.into_iter().filter(|group| Some(*group) != attacker) {
        let cells: BTreeSet<Vec<usize>> = rows
            .iter()
            .map(|(cell, _)| {
                let has = |i: &usize| case.inside(&leaves[*i].0, cell) && leaves[*i].1.contains_key(&target);
                (0..leaves.len()).filter(has).collect()
            })
            .filter(|inside: &Vec<usize>| !inside.is_empty())
            .collect();
        for cell in cells {
            let value: i64 = cell.iter().map(|&i| leaves[i].1[&target]).sum();
            let margin = (value.abs() * case.margin) as f64 / 100.0;
            for direction in [OptimizationDirection::Maximize, OptimizationDirection::Minimize] {
                let mut problem = Problem::new(direction);
                let mut parts = Vec::new();
                for (i, (_, of)) in leaves.iter().enumerate() {
                    let known = attacker.and_then(|a| of.get(&a)).copied().unwrap_or(0);
                    let aim = if cell.contains(&i) { 1.0 } else { 0.0 };
                    let own = of.contains_key(&target).then(|| problem.add_var(aim, (low, high)));
                    let others = of.keys().filter(|&&g| g != target && Some(g) != attacker).count() as f64;
                    let rest = (others > 0.0).then(|| problem.add_var(0.0, (low * others, high * others)));
                    parts.push((known, own, rest));
                }
                for (sum, total) in rows.iter().filter_map(|(sum, total)| total.map(|total| (sum, total))) {
                    let mut row = LinearExpr::empty();
                    let mut right = total as f64;
                    for (i, (known, own, rest)) in parts.iter().enumerate() {
                        if case.inside(&leaves[i].0, sum) {
                            right -= *known as f64;
                            own.iter().chain(rest).for_each(|variable| row.add(*variable, 1.0));
                        }
                    }
                    problem.add_constraint(row, ComparisonOp::Eq, right);
                }
                let estimate = match problem.solve() {
                    Ok(outcome) => outcome.into_solution().unwrap().objective(),
                    Err(microlp::Error::Unbounded) => continue,
                    Err(error) => panic!("{error}"),
                };
                // Nobody's estimate need be beyond what the design says of everybody.
                let most = (value as f64 + margin).min(high * cell.len() as f64);
                let least = (value as f64 - margin).max(low * cell.len() as f64);
                let close = match direction {
                    OptimizationDirection::Maximize => estimate < most - 1e-6,
                    OptimizationDirection::Minimize => estimate > least + 1e-6,
                };
                if close {
                    found.push(format!("{attacker:?} on {target}, value {value}: {direction:?} {estimate}"));
                }
            }
        }
    }
    found
}

fn all_estimates(case: &Case, rows: &Rows) -> Vec<String> {
    let groups: BTreeSet<usize> = case.reports.iter().map(|(group, ..)| *group).collect();
    groups.into_iter().map(Some).chain([None]).flat_map(|a| estimates(case, rows, a)).collect()
}

fn rules(p: i64, extra: &str) -> Value {
    let mut rules =
        json!({ "version": "1", "minimum_frequency": 3, "frequency_range": "0", "p_percent": p.to_string() });
    match extra {
        "dominance" => rules["dominance"] = json!([{ "n": 2, "k": "85" }]),
        "posterior" => {
            rules["p_percent"] = Value::Null;
            // p* = 100 p/q: the margin is p again.
            rules["prior_posterior"] = json!({ "p": (p / 2).to_string(), "q": "50" });
        }
        "range" => rules["frequency_range"] = json!("15"),
        _ => {}
    }
    rules
}

/// Two dimensions of which one has a level between.
fn small() -> Vec<Codes> {
    vec![
        flat(&["a1", "a2", "a3"]),
        vec![("_T", None), ("g", Some("_T")), ("b1", Some("g")), ("b2", Some("g")), ("b3", Some("_T"))],
    ]
}

fn cubes() -> Vec<Codes> {
    vec![flat(&["a1", "a2", "a3"]), flat(&["b1", "b2"]), flat(&["c1", "c2", "c3"])]
}

fn case(dimensions: Vec<Codes>, most: usize, signed: Option<i64>) -> impl Strategy<Value = Case> {
    let places: Vec<Vec<&'static str>> = dimensions.iter().map(leaves).fold(vec![vec![]], |places, codes| {
        let longer = places.iter().flat_map(|place| {
            codes.iter().map(move |code| place.iter().copied().chain([*code]).collect::<Vec<_>>())
        });
        longer.collect()
    });
    // Few large values among many small ones, as in trade.
    let value = prop_oneof![3 => 0i64..6, 2 => 5i64..30, 1 => 30i64..60];
    let report = (0usize..7, 0..places.len(), value, any::<bool>());
    let extra = prop_oneof![Just(""), Just("dominance"), Just("posterior"), Just("range")];
    let half = prop_oneof![Just(2i64), Just(5), Just(10), Just(20)];
    (prop::collection::vec(report, 3..most), half, extra).prop_map(move |(reports, half, extra)| {
        let margin = half * 2;
        let reports = reports.into_iter().map(|(group, place, value, negative)| {
            let negative = negative && signed.is_some();
            (group, places[place].clone(), if negative { -value } else { value })
        });
        let dimensions = dimensions.clone();
        Case { dimensions, reports: reports.collect(), margin, signed, rules: rules(margin, extra) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_whole_number_table_search_finds_a_firm(case in case(small(), 28, None)) {
        let table = case.table();
        let (found, _) = findings(&case, &released(&table));
        prop_assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn no_linear_programme_finds_a_firm_in_two_dimensions(case in case(small(), 60, None)) {
        let table = case.table();
        let found = all_estimates(&case, &released(&table));
        prop_assert!(found.is_empty(), "{found:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_linear_programme_finds_a_firm_in_three_dimensions(case in case(cubes(), 90, None)) {
        let table = case.table();
        let found = all_estimates(&case, &released(&table));
        prop_assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn no_linear_programme_finds_a_firm_whose_values_have_either_sign(case in case(small(), 60, Some(100))) {
        let table = case.table();
        let found = all_estimates(&case, &released(&table));
        prop_assert!(found.is_empty(), "{found:?}");
    }
}

/// Counts over many tables, so that the properties above are known not to hold for want of anything to find.
#[test]
fn without_secondary_suppression_the_attackers_do_find_firms() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut tables, mut by_search, mut by_programme, mut unfinished, mut attackers) = (0, 0, 0, 0, 0);
    let (mut cells, mut values) = (0, 0);
    for _ in 0..150 {
        let case = case(small(), 28, None).new_tree(&mut runner).unwrap().current();
        let table = case.table();
        tables += 1;
        by_search += u32::from(!findings(&case, &primary_only(&table)).0.is_empty());
        by_programme += u32::from(!all_estimates(&case, &primary_only(&table)).is_empty());
        unfinished += findings(&case, &released(&table)).1;
        attackers += case.reports.iter().map(|(group, ..)| *group).collect::<BTreeSet<_>>().len() + 1;
        cells += released(&table).len();
        values += released(&table).iter().filter(|(_, value)| value.is_some()).count();
    }
    println!(
        "{tables} tables: {by_search} broken by search, {by_programme} by programme, when only unsafe cells are left out; \
        {unfinished} of {attackers} searches of the protected ones did not end; {values} of {cells} cells released"
    );
    assert!(by_search > 30 && by_programme > 30);
    assert!(u32::try_from(attackers).unwrap() > unfinished * 4, "most searches end");
    assert!(values * 10 > cells, "something is released");
}

/// The mutation by hand: one sensitive cell, and its value by subtraction.
#[test]
fn a_single_gap_is_worked_out_to_the_last_kilogram() {
    let mut reports = Vec::new();
    for (a, b, values) in [
        ("a1", "b1", &[500, 3, 2][..]),
        ("a1", "b3", &[40, 40, 40]),
        ("a2", "b1", &[70, 60, 50]),
        ("a2", "b3", &[30, 30, 40]),
    ] {
        reports.extend(values.iter().enumerate().map(|(group, &value)| (group, vec![a, b], value)));
    }
    let case = Case { dimensions: small(), reports, margin: 10, signed: None, rules: rules(10, "") };
    let table = case.table();
    let open = primary_only(&table);
    let gap = |rows: &Rows| rows.iter().filter(|(_, value)| value.is_none()).count();
    assert!(gap(&open) >= 1);
    assert!(!findings(&case, &open).0.is_empty());
    let closed = released(&table);
    assert!(gap(&closed) > gap(&open));
    assert!(findings(&case, &closed).0.is_empty());
}
