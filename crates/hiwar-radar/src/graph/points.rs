//! Single points of failure, disjoint ways and common causes in a bill of materials.

use std::collections::{BTreeMap, VecDeque};

use crate::graph::survive::{Bill, Node};

/// A node without which another stops.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The node that fails.
    pub node: usize,
    /// Days until the other stops.
    pub days: f64,
    /// The way of the shortage.
    pub way: Vec<usize>,
}

/// Nodes that fail together.
#[derive(Clone, Debug, PartialEq)]
pub struct CommonCause {
    /// The site or owner.
    pub name: String,
    /// The nodes there.
    pub nodes: Vec<usize>,
    /// Days until the target stops.
    pub days: f64,
    /// Whether no node of them alone stops the target: what a list of single points would miss.
    pub hidden: bool,
}

/// What nodes may have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Common {
    /// The site.
    Site,
    /// The owner.
    Owner,
}

/// Every node other than the target without which the target stops, the soonest first. In a graph
/// where nodes need all of their inputs and any supplier of each, those are the dominators of the
/// target: n stops with x exactly when n is x or some input of n has no supplier that goes on.
pub fn single_points(bill: &Bill, target: usize) -> Vec<Point> {
    let point = |node: usize| {
        let stops = bill.stops(&[node]);
        let days = stops.get(target)?.as_ref()?.days;
        Some(Point { node, days, way: bill.way(&stops, target) })
    };
    let mut points: Vec<Point> = (0..bill.nodes().len()).filter(|&n| n != target).filter_map(point).collect();
    points.sort_by(|a, b| a.days.total_cmp(&b.days).then(a.node.cmp(&b.node)));
    points
}

/// Sites or owners with which the target stops, the soonest first. Groups of which the target itself
/// is a member are left out.
pub fn common_causes(bill: &Bill, target: usize, common: Common) -> Vec<CommonCause> {
    let of = |node: &Node| match common {
        Common::Site => node.site.clone(),
        Common::Owner => node.owner.clone(),
    };
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, node) in bill.nodes().iter().enumerate() {
        if let Some(name) = of(node) {
            groups.entry(name).or_default().push(at);
        }
    }
    let stops_with = |failed: &[usize]| bill.stops(failed).get(target)?.as_ref().map(|s| s.days);
    let mut causes: Vec<CommonCause> = groups
        .into_iter()
        .filter(|(_, nodes)| !nodes.contains(&target))
        .filter_map(|(name, nodes)| {
            let days = stops_with(&nodes)?;
            let hidden = nodes.iter().all(|&n| stops_with(&[n]).is_none());
            Some(CommonCause { name, nodes, days, hidden })
        })
        .collect();
    causes.sort_by(|a, b| a.days.total_cmp(&b.days).then(a.name.cmp(&b.name)));
    causes
}

/// How many ways without a common node lead from nodes without inputs to each input of a node: the
/// most that any one of them can fail without all being cut (Menger; by the largest flow, L. Ford,
/// D. Fulkerson 1956, with capacity 1 on every node). That suppliers need all of their inputs is not
/// looked at here; [`single_points`] does that. Input by input.
pub fn disjoint_ways(bill: &Bill, node: usize) -> Vec<usize> {
    let inputs = bill.nodes().get(node).map_or(0, |n| n.inputs.len());
    (0..inputs).map(|input| ways(bill, node, input)).collect()
}

fn ways(bill: &Bill, target: usize, input: usize) -> usize {
    let n = bill.nodes().len();
    // 2i enters node i and 2i + 1 leaves it; 2n is before the nodes without inputs.
    let (source, sink) = (2 * n, 2 * target);
    let mut edges: Vec<(usize, bool)> = Vec::new();
    let mut from: Vec<Vec<usize>> = vec![Vec::new(); 2 * n + 1];
    // An edge and its reverse are 2k and 2k + 1; true: may be used.
    let mut add = |a: usize, b: usize| {
        from[a].push(edges.len());
        edges.push((b, true));
        from[b].push(edges.len());
        edges.push((a, false));
    };
    for (i, node) in bill.nodes().iter().enumerate() {
        if i != target {
            add(2 * i, 2 * i + 1);
            if node.inputs.is_empty() {
                add(source, 2 * i);
            }
        }
        for k in 0..node.inputs.len() {
            if i != target || k == input {
                for &s in bill.suppliers(i, k) {
                    add(2 * s + 1, 2 * i);
                }
            }
        }
    }
    let mut count = 0;
    loop {
        let mut by: Vec<Option<usize>> = vec![None; 2 * n + 1];
        let mut queue = VecDeque::from([source]);
        while let Some(a) = queue.pop_front().filter(|_| by[sink].is_none()) {
            for &e in &from[a] {
                let (b, free) = edges[e];
                if free && b != source && by[b].is_none() {
                    by[b] = Some(e);
                    queue.push_back(b);
                }
            }
        }
        let mut at = sink;
        if by[sink].is_none() {
            return count;
        }
        while let Some(e) = by[at].filter(|_| at != source) {
            edges[e].1 = false;
            edges[e ^ 1].1 = true;
            at = edges[e ^ 1].0;
        }
        count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::generate::Random;
    use crate::graph::survive::tests::bill;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn points_and_ways_of_a_diamond() {
        // C takes B from two makers, who both take A from one.
        let one = bill("A:\nB1:A 30 A\nB2:A 7 A\nC:B 1 B1 B2");
        let points: Vec<(usize, f64)> = single_points(&one, 3).iter().map(|p| (p.node, p.days)).collect();
        assert_eq!(points, [(0, 31.0)]);
        assert_eq!(disjoint_ways(&one, 3), [1]);
        let two = bill("A1:\nA2:\nB1:A 30 A1 A2\nB2:A 7 A2\nE:\nC:B 1 B1 B2,E 9 E");
        assert_eq!(disjoint_ways(&two, 5), [2, 1]);
        let points: Vec<usize> = single_points(&two, 5).iter().map(|p| p.node).collect();
        assert_eq!(points, [4]);
    }

    #[test]
    fn two_plants_on_one_site_are_one_cause() {
        let path = format!("{}/../../data/trade/examples/etching-gas.json", env!("CARGO_MANIFEST_DIR"));
        let bill = Bill::read("example", &std::fs::read_to_string(path).unwrap()).unwrap();
        let fab = bill.node("memory fab").unwrap();
        let causes = common_causes(&bill, fab, Common::Site);
        let told: Vec<(&str, f64, bool)> =
            causes.iter().map(|c| (c.name.as_str(), c.days, c.hidden)).collect();
        assert_eq!(
            told,
            [("KRUSN", 12.0, false), ("JPNGS", 20.0, true), ("JPCHB", 25.0, false), ("JPOSA", 42.0, false)]
        );
        assert_eq!(common_causes(&bill, fab, Common::Owner).len(), 3);
        assert_eq!(disjoint_ways(&bill, fab), [1, 1, 2]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        /// The dominators by their definition: must(n) = {n} ∪ ⋃ inputs ⋂ suppliers must.
        #[test]
        fn single_points_are_the_dominators(seed: u64) {
            let mut random = Random::new(seed);
            let n = 3 + random.below(9);
            let mut lines = Vec::new();
            for i in 0..n {
                // Products by tier of three; suppliers of one input are of one product.
                let letter = |i: usize| char::from(b'D' + u8::try_from(i / 3).unwrap());
                let name = |i: usize| format!("{}{i}", letter(i));
                let mut inputs = Vec::new();
                for tier in 0..i / 3 {
                    let some: Vec<usize> = (3 * tier..3 * tier + 3).filter(|_| random.unit() < 0.5).collect();
                    if !some.is_empty() {
                        let from: Vec<String> = some.iter().map(|&s| name(s)).collect();
                        inputs.push(format!("{} {} {}", letter(3 * tier), random.below(20), from.join(" ")));
                    }
                }
                lines.push(format!("{}:{}", name(i), inputs.join(",")));
            }
            let bill = bill(&lines.join("\n"));
            let mut must: Vec<BTreeSet<usize>> = Vec::new();
            for i in 0..n {
                let mut set = BTreeSet::from([i]);
                for k in 0..bill.nodes()[i].inputs.len() {
                    let common = bill.suppliers(i, k).iter().map(|&s| must[s].clone());
                    set.extend(common.reduce(|a, b| &a & &b).unwrap());
                }
                must.push(set);
            }
            for (target, must) in must.iter().enumerate() {
                let points: BTreeSet<usize> = single_points(&bill, target).iter().map(|p| p.node).collect();
                let expected: BTreeSet<usize> = must.iter().copied().filter(|&i| i != target).collect();
                prop_assert_eq!(points, expected);
            }
        }
    }
}
