use super::rules::RulePack;
use super::*;

fn limits() -> Limits {
    RulePack::built_in().unwrap().limits
}

#[test]
fn concentration_is_the_sum_of_squared_shares() {
    let two = concentration(Basis::Weight, [1.0, 3.0]).unwrap();
    assert_eq!((two.basis, two.hhi, two.total, two.top_share, two.top), (Basis::Weight, 0.625, 4.0, 0.75, 1));
    assert_eq!(concentration(Basis::Value, [0.0, 5.0, 0.0]).unwrap().hhi, 1.0);
    assert_eq!(concentration(Basis::Value, [2.0; 4]).unwrap().hhi, 0.25);
    assert_eq!(concentration(Basis::Value, [2.0; 4]).unwrap().top, 0);
    assert_eq!(concentration(Basis::Value, []), None);
    assert_eq!(concentration(Basis::Value, [0.0, -1.0, f64::NAN]), None);
}

#[test]
fn a_ratio_without_exports_is_9999() {
    assert_eq!(import_export_ratio(5.0, 0.0, &limits()), 9999.0);
    assert_eq!(import_export_ratio(5.0, 2.0, &limits()), 2.5);
}

#[test]
fn unknown_is_not_false() {
    use Verdict::{No, Unknown, Yes};
    let world = Unknown(Needs::WorldTrade);
    assert_eq!((Yes.and(world), No.and(world), world.and(No), Yes.and(Yes)), (world, No, No, Yes));
    for (all, expected) in [
        ([Yes, Yes, world], Yes),
        ([Yes, world, No], world),
        ([world, No, No], No),
        ([Yes, No, No], No),
        ([world, world, No], world),
        ([No, Yes, Yes], Yes),
    ] {
        assert_eq!(Verdict::at_least(2, &all), expected, "{all:?}");
    }
}

#[test]
fn geodep_needs_two_of_three_years() {
    let year = |hhi, world, ratio| Some(GeoDepYear { import_hhi: hhi, world_hhi: world, ratio });
    let bad = year(Some(0.41), Some(0.41), Some(1.01));
    // The thresholds themselves do not count: "above".
    let edge = year(Some(0.4), Some(0.4), Some(1.0));
    let all = geodep(&[edge, bad, bad], &limits());
    assert_eq!((all.c1, all.c2, all.c3, all.c4), (Verdict::No, Verdict::No, Verdict::No, Verdict::Yes));
    assert_eq!(geodep(&[bad, edge, edge], &limits()).c4, Verdict::No);
    let blind = year(Some(0.5), None, Some(2.0));
    let world = Verdict::Unknown(Needs::WorldTrade);
    let unknown = geodep(&[blind, blind, blind], &limits());
    assert_eq!((unknown.c1, unknown.c2, unknown.c4), (Verdict::Yes, world, world));
    assert_eq!(geodep(&[bad], &limits()).c4, Verdict::Unknown(Needs::MoreYears));
    assert_eq!(geodep(&[bad, bad, None], &limits()).c4, Verdict::Yes);
    // Not imported: no dependency, however concentrated the world is.
    let none = year(None, Some(1.0), None);
    assert_eq!(geodep(&[none, none, none], &limits()).c4, Verdict::No);
}

#[test]
fn core_dependency_indicators() {
    let unknown = Verdict::Unknown(Needs::BlocPartners);
    let all = cdi(&[9.0, 1.0], Some(4.0), Some(5.0), &limits());
    assert_eq!(
        (all.cdi1, all.cdi2, all.cdi3, all.dependent),
        (Verdict::Yes, Verdict::Yes, Verdict::Yes, Verdict::Yes)
    );
    let edge = cdi(&[9.0, 1.0], Some(10.0), Some(10.0), &limits());
    assert_eq!((edge.cdi2, edge.cdi3, edge.dependent), (Verdict::No, Verdict::No, Verdict::No));
    let blind = cdi(&[9.0, 1.0], None, Some(5.0), &limits());
    assert_eq!((blind.cdi2, blind.dependent), (unknown, unknown));
    assert_eq!(cdi(&[1.0, 1.0, 1.0], None, None, &limits()).dependent, Verdict::No);
    assert_eq!(cdi(&[], None, None, &limits()).cdi1, Verdict::No);
}

#[test]
fn a_single_point_of_failure_reaches_many_and_dominates_them() {
    let imports = vec![vec![8.0, 2.0, 0.0], vec![6.0, 0.0, 4.0], vec![0.0, 1.0, 1.0], vec![0.0; 3]];
    let all = centrality(&imports, 3, &limits());
    let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert!(near(all[0].reach, 2.0 / 3.0) && near(all[0].mean_share, 1.4 / 3.0));
    assert!(near(all[0].dominance, 2.0 / 3.0) && near(all[1].dominance, 1.0 / 3.0));
    assert!(!all[0].single_point);
    assert!(centrality(&imports[..2], 3, &limits())[0].single_point);
    assert!(near(all.iter().map(|one| one.mean_share).sum(), 1.0));
}

#[test]
fn substitutes() {
    assert_eq!(substitutability(1.5, &limits()), Substitutability::Hard);
    assert_eq!(substitutability(2.71, &limits()), Substitutability::Medium);
    assert_eq!(substitutability(25.0, &limits()), Substitutability::Easy);
    assert_eq!(price_factor_without(0.75, 3.0), Some(2.0));
    assert_eq!(price_factor_without(0.0, 3.0), Some(1.0));
    assert_eq!((price_factor_without(1.0, 3.0), price_factor_without(0.5, 1.0)), (None, None));
}

#[test]
fn supply_risk_mixes_world_and_own_sourcing() {
    let s = |share, governance, trade| Supplier { share, governance, trade };
    let global = hhi_governance(&[s(0.5, 6.0, 1.2), s(0.5, 4.0, 1.0)]);
    assert!((global - 2.8).abs() < 1e-12);
    let input = SupplyRisk {
        hhi_global: global,
        hhi_sourcing: 1.0,
        import_reliance: 1.0,
        recycling: 0.25,
        substitution: 0.8,
    };
    // (2.8 / 2 + 1 / 2) · 0.75 · 0.8
    assert!((supply_risk(&input) - 1.14).abs() < 1e-12);
    let home = SupplyRisk { import_reliance: -1.0, ..input };
    assert!((supply_risk(&home) - 0.6).abs() < 1e-12);
    assert!(is_critical(1.0, 2.8, &limits()) && !is_critical(0.99, 5.0, &limits()));
}
