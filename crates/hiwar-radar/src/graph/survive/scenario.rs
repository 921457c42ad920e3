//! Failures one after the other: each node, each site and each owner, by the closed form and by the linear programmes.
//!
//! The index of risk exposure (REI) of a failure is what it costs at least until the failed nodes are back, PI, as a
//! share of the worst of all failures looked at (D. Simchi-Levi et al. 2015, see [`crate::graph::survive`]).

use std::collections::BTreeMap;

use crate::graph::network::GraphError;
use crate::graph::survive::{Bill, lp};

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One node.
    Node,
    /// All nodes at one site; only where there are several.
    Site,
    /// All nodes of one owner; only where there are several.
    Owner,
}

/// One failure and what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What fails.
    pub kind: Kind,
    /// The name of the node, site or owner.
    pub name: String,
    /// The nodes that fail.
    pub failed: Vec<usize>,
    /// Days until all of them are back; unknown when it is unknown of one.
    pub ttr_days: Option<f64>,
    /// The watched node that stops first, by the closed form; `None` when none stops that did not fail itself.
    pub stops: Option<First>,
    /// What the linear programmes say; `None` when no demand is given.
    pub programme: Option<Programme>,
    /// The index of risk exposure, from 0 to 1; `None` when the loss is not known, or none costs anything.
    pub exposure: Option<f64>,
}

/// The watched node that stops first.
#[derive(Clone, Debug, PartialEq)]
pub struct First {
    /// The node.
    pub node: usize,
    /// Days until it stops.
    pub tts_days: f64,
    /// The way of the shortage, from a failed node to it.
    pub way: Vec<usize>,
}

/// What the linear programmes say of a failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Programme {
    /// Days for which all demand can be served; `None` without end.
    pub tts_days: Option<f64>,
    /// The least loss until all is back (PI), units of demand × loss per unit; unknown with the days to recover.
    pub loss: Option<f64>,
}

impl Scenario {
    /// Whether demand ends, or a watched node stops, before the failed nodes are back: TTS < TTR by either way.
    pub fn warns(&self) -> bool {
        let Some(ttr) = self.ttr_days else { return false };
        let served = self.programme.and_then(|p| p.tts_days);
        self.stops.as_ref().is_some_and(|s| s.tts_days < ttr) || served.is_some_and(|tts| tts < ttr - 1e-7)
    }
}

/// Whether the linear programmes have anything to serve.
pub fn has_demand(bill: &Bill) -> bool {
    bill.nodes().iter().any(|n| n.demand_per_day > 0.0)
}

/// The failure of each node, of each site and of each owner with several nodes; the greatest loss first, then the
/// soonest stop. `progress` is called with how many are done.
///
/// # Errors
///
/// When the solver fails.
pub fn scenarios(bill: &Bill, progress: impl Fn(usize)) -> Result<Vec<Scenario>, GraphError> {
    let mut all = Vec::new();
    for (done, (kind, name, failed)) in failures(bill).into_iter().enumerate() {
        all.push(scenario(bill, kind, name, failed)?);
        progress(done + 1);
    }
    let loss = |s: &Scenario| s.programme.and_then(|p| p.loss);
    let most = all.iter().filter_map(loss).fold(0.0, f64::max);
    for scenario in &mut all {
        // What a solver leaves of nothing is nothing.
        scenario.exposure = loss(scenario).filter(|_| most > 1e-9).map(|l| (l / most).clamp(0.0, 1.0));
    }
    let days = |s: &Scenario| s.stops.as_ref().map_or(f64::INFINITY, |s| s.tts_days);
    all.sort_by(|a, b| {
        let by_loss = loss(b).unwrap_or(-1.0).total_cmp(&loss(a).unwrap_or(-1.0));
        by_loss.then(days(a).total_cmp(&days(b))).then(a.kind.cmp(&b.kind)).then(a.name.cmp(&b.name))
    });
    Ok(all)
}

fn failures(bill: &Bill) -> Vec<(Kind, String, Vec<usize>)> {
    let mut all: Vec<_> =
        bill.nodes().iter().enumerate().map(|(at, n)| (Kind::Node, n.name.clone(), vec![at])).collect();
    for kind in [Kind::Site, Kind::Owner] {
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, node) in bill.nodes().iter().enumerate() {
            let name = if kind == Kind::Site { &node.site } else { &node.owner };
            if let Some(name) = name {
                groups.entry(name).or_default().push(at);
            }
        }
        let several = groups.into_iter().filter(|(_, nodes)| nodes.len() > 1);
        all.extend(several.map(|(name, nodes)| (kind, name.to_owned(), nodes)));
    }
    all
}

fn scenario(bill: &Bill, kind: Kind, name: String, failed: Vec<usize>) -> Result<Scenario, GraphError> {
    let known: Option<Vec<f64>> = failed.iter().map(|&at| bill.nodes().get(at)?.ttr_days).collect();
    let ttr_days = known.map(|days| days.into_iter().fold(0.0, f64::max));
    let stops = bill.stops(&failed);
    let watched = bill.nodes().iter().enumerate().filter(|(at, n)| n.watch && !failed.contains(at));
    let first = watched
        .filter_map(|(node, _)| Some((node, stops.get(node)?.as_ref()?.days)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(node, tts_days)| First { node, tts_days, way: bill.way(&stops, node) });
    let programme = if has_demand(bill) {
        Some(Programme {
            tts_days: lp::days_to_stop(bill, &failed)?,
            loss: ttr_days.map(|days| lp::least_loss(bill, &failed, days)).transpose()?.map(|l| l.max(0.0)),
        })
    } else {
        None
    };
    Ok(Scenario { kind, name, failed, ttr_days, stops: first, programme, exposure: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_by_both_ways_and_a_site_that_no_node_alone_gives_away() {
        let path = format!("{}/../../data/trade/examples/etching-gas.json", env!("CARGO_MANIFEST_DIR"));
        let bill = Bill::read("example", &std::fs::read_to_string(path).unwrap()).unwrap();
        let all = scenarios(&bill, |_| {}).unwrap();
        let round = |v: f64| (v * 1e6).round() / 1e6;
        let told: Vec<_> = all
            .iter()
            .map(|s| {
                let programme = s.programme.unwrap();
                (
                    s.name.as_str(),
                    s.stops.as_ref().map(|f| f.tts_days),
                    programme.tts_days.map(round),
                    programme.loss.map(round),
                    s.warns(),
                )
            })
            .collect();
        // One unit a day: the loss is the days between the stop and the recovery.
        assert_eq!(
            told,
            [
                ("resist plant", Some(25.0), Some(25.0), Some(95.0), true),
                ("gas plant", Some(42.0), Some(42.0), Some(48.0), true),
                ("JPNGS", Some(20.0), Some(20.0), Some(40.0), true),
                ("gas purifier", Some(12.0), Some(12.0), Some(33.0), true),
                ("wafer plant 1", None, None, Some(0.0), false),
                ("wafer plant 2", None, None, Some(0.0), false),
                ("memory fab", None, Some(0.0), None, false),
            ]
        );
        assert!((all[1].exposure.unwrap() - 48.0 / 95.0).abs() < 1e-9 && all[6].exposure.is_none());
        assert_eq!(all[2].kind, Kind::Site);
    }

    #[test]
    fn without_demand_the_closed_form_stands_alone() {
        let bill = crate::graph::survive::tests::bill("A:\nC:A 7 A");
        let all = scenarios(&bill, |_| {}).unwrap();
        assert!(all.iter().all(|s| s.programme.is_none() && s.exposure.is_none() && !s.warns()));
        assert_eq!(all[0].stops.as_ref().map(|s| s.tts_days), Some(7.0));
    }

    #[test]
    fn a_capacity_that_binds_warns_where_the_closed_form_does_not() {
        let mut nodes = crate::graph::survive::tests::bill("A1:\nA2:\nC:A 10 A1 A2").nodes().to_vec();
        nodes[0].ttr_days = Some(40.0);
        nodes[1].capacity_per_day = Some(0.5);
        nodes[2].demand_per_day = 1.0;
        let all = scenarios(&Bill::new(nodes).unwrap(), |_| {}).unwrap();
        let first = all.iter().find(|s| s.name == "A1").unwrap();
        assert!(first.stops.is_none() && first.warns(), "{first:?}");
        assert!((first.programme.unwrap().tts_days.unwrap() - 20.0).abs() < 1e-7);
    }
}
