//! A bill of materials as tiers, the deepest at the left, what is watched at the right.

use std::collections::{BTreeSet, VecDeque};

use super::html::escape;
use super::ink::{self, BLUE, GRID, ORANGE, PAPER, QUIET, RED, fitting};
use super::plot::short;
use crate::graph::survive::Bill;

/// The most nodes that are drawn; more cannot be read.
pub const NODES_MAX: usize = 80;

const BOX: f64 = 128.0;
/// From one tier to the next.
const COLUMN: f64 = 216.0;
const TOP: f64 = 74.0;
const PORT: f64 = 24.0;
const GAP: f64 = 20.0;
/// The least height of a box: three lines of text.
const LEAST: f64 = 60.0;

/// What is marked in a drawing of a bill; nodes by place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Marked {
    /// Single points of failure.
    pub points: BTreeSet<usize>,
    /// Nodes that only together, by site or owner, stop what is watched.
    pub common: BTreeSet<usize>,
}

struct Placed {
    tier: usize,
    top: f64,
    height: f64,
}

impl Placed {
    /// The height of the middle of an input's port, of some.
    fn port(&self, input: usize, of: usize) -> f64 {
        self.top + self.height * (input as f64 + 0.5) / of.max(1) as f64
    }
}

/// The drawing, as SVG; `None` of more than [`NODES_MAX`] nodes. A node needs every one of the ports at its left (AND);
/// lines that meet in a port are sources that replace one another (OR), and are dashed. At a port stands how many days
/// the stock of that input lasts.
pub fn bill_drawing(title: &str, bill: &Bill, marked: &Marked) -> Option<String> {
    if bill.nodes().is_empty() || bill.nodes().len() > NODES_MAX {
        return None;
    }
    let placed = place(bill);
    let deepest = placed.iter().map(|p| p.tier).max().unwrap_or(0);
    let width = (COLUMN * deepest as f64 + BOX + 60.0).max(720.0);
    let height = placed.iter().map(|p| p.top + p.height).fold(TOP, f64::max) + 14.0;
    let x = |tier: usize| width - BOX - 4.0 - COLUMN * tier as f64;
    let names: Vec<&str> =
        marked.points.iter().filter_map(|at| bill.nodes().get(*at)).map(|n| &*n.name).collect();
    let told = format!(
        "{} nodes in {} tiers. Single points of failure: {}.",
        placed.len(),
        deepest + 1,
        names.join(", ")
    );
    let mut out = ink::open(width, height, title, &told);
    legend(&mut out, title);
    for tier in 0..=deepest {
        let name = if tier == 0 { "watched or last".to_owned() } else { format!("tier {tier}") };
        out.push_str(&format!(
            "<text x=\"{:.0}\" y=\"{:.0}\" fill=\"{QUIET}\" font-size=\"12\">{name}</text>",
            x(tier),
            TOP - 10.0
        ));
    }
    for (at, node) in bill.nodes().iter().enumerate() {
        let Some(here) = placed.get(at) else { continue };
        for (k, input) in node.inputs.iter().enumerate() {
            let suppliers = bill.suppliers(at, k);
            let y = here.port(k, node.inputs.len());
            for supplier in suppliers {
                let Some(from) = placed.get(*supplier) else { continue };
                line(
                    &mut out,
                    (x(from.tier) + BOX, from.top + from.height / 2.0),
                    (x(here.tier) - 8.0, y),
                    suppliers.len() > 1,
                );
            }
            let told = format!(
                "{} of {}: {} days in stock, from {}",
                input.product,
                node.name,
                input.stock_days,
                if suppliers.len() > 1 {
                    format!("any of {}", suppliers.len())
                } else {
                    "one source".to_owned()
                }
            );
            out.push_str(&format!(
                "<g><title>{}</title><circle cx=\"{:.0}\" cy=\"{y:.0}\" r=\"4.5\" fill=\"{}\"/>\
                 <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\" font-size=\"12\" \
                 paint-order=\"stroke\" stroke=\"{PAPER}\" stroke-width=\"4\">{} d</text></g>",
                escape(&told),
                x(here.tier) - 6.0,
                if suppliers.len() > 1 { BLUE } else { QUIET },
                x(here.tier) - 14.0,
                y - 5.0,
                short(input.stock_days)
            ));
        }
    }
    for (at, here) in placed.iter().enumerate() {
        card(&mut out, bill, at, marked, (x(here.tier), here));
    }
    out.push_str("</svg>");
    Some(out)
}

fn legend(out: &mut String, title: &str) {
    out.push_str(&format!(
        "<text x=\"0\" y=\"16\" font-weight=\"600\">{}</text>\
         <text x=\"718\" y=\"16\" text-anchor=\"end\" font-size=\"12\" fill=\"{QUIET}\">d: days; at a port, those in stock</text><g font-size=\"12\" fill=\"{QUIET}\">\
         <rect x=\"1\" y=\"29\" width=\"14\" height=\"11\" fill=\"none\" stroke=\"{RED}\" stroke-width=\"2.5\"/>\
         <text x=\"21\" y=\"39\">single point of failure</text>\
         <rect x=\"166\" y=\"29\" width=\"14\" height=\"11\" fill=\"none\" stroke=\"{ORANGE}\" stroke-width=\"2\" stroke-dasharray=\"4 3\"/>\
         <text x=\"186\" y=\"39\">only with its site or owner</text>\
         <circle cx=\"366\" cy=\"35\" r=\"4.5\" fill=\"{QUIET}\"/><text x=\"376\" y=\"39\">needed, from one source</text>\
         <circle cx=\"546\" cy=\"35\" r=\"4.5\" fill=\"{BLUE}\"/><text x=\"556\" y=\"39\">needed, any of several</text></g>",
        escape(&fitting(title, 60.0))
    ));
}

fn line(out: &mut String, from: (f64, f64), to: (f64, f64), any: bool) {
    let middle = (from.0 + to.0) / 2.0;
    out.push_str(&format!(
        "<path d=\"M{:.0} {:.0}C{middle:.0} {1:.0} {middle:.0} {:.0} {:.0} {2:.0}\" fill=\"none\" stroke=\"{}\"{}/>",
        from.0,
        from.1,
        to.1,
        to.0,
        if any { BLUE } else { QUIET },
        if any { " stroke-dasharray=\"6 4\"" } else { "" }
    ));
}

fn card(out: &mut String, bill: &Bill, at: usize, marked: &Marked, (x, here): (f64, &Placed)) {
    let Some(node) = bill.nodes().get(at) else { return };
    let (colour, thick, dashes) = match (marked.points.contains(&at), marked.common.contains(&at)) {
        (true, _) => (RED, 2.5, ""),
        (_, true) => (ORANGE, 2.0, " stroke-dasharray=\"4 3\""),
        _ => (QUIET, 1.0, ""),
    };
    let known = |text: &Option<String>| text.clone().unwrap_or_default();
    let ttr = node.ttr_days.map_or(String::new(), |d| format!("TTR {} d", short(d)));
    let site = known(&node.site);
    let third =
        [site.as_str(), ttr.as_str()].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(" · ");
    let told = format!("{}, makes {}; {} {}; {third}", node.name, node.product, site, known(&node.owner));
    let middle = here.top + here.height / 2.0;
    out.push_str(&format!(
        "<g><title>{}</title><rect x=\"{x:.0}\" y=\"{:.0}\" width=\"{BOX}\" height=\"{:.0}\" rx=\"5\" \
         fill=\"{GRID}\" fill-opacity=\"0.35\" stroke=\"{colour}\" stroke-width=\"{thick}\"{dashes}/>\
         <text x=\"{3:.0}\" y=\"{4:.0}\" font-weight=\"{5}\">{6}</text>\
         <text x=\"{3:.0}\" y=\"{7:.0}\" font-size=\"12\" fill=\"{QUIET}\">{8}</text>\
         <text x=\"{3:.0}\" y=\"{9:.0}\" font-size=\"12\" fill=\"{QUIET}\">{10}</text></g>",
        escape(&told),
        here.top,
        here.height,
        x + 8.0,
        middle - 12.0,
        if node.watch { 700 } else { 400 },
        escape(&fitting(&node.name, 16.0)),
        middle + 5.0,
        escape(&fitting(&node.product, 18.0)),
        middle + 21.0,
        escape(&fitting(&third, 18.0))
    ));
}

/// The tier of each node: 0 for what is watched or delivers to nobody, else one more than the deepest of its consumers;
/// with cycles, than the nearest.
fn tiers(bill: &Bill) -> Vec<usize> {
    let n = bill.nodes().len();
    let mut edges = Vec::new();
    let mut last = vec![true; n];
    for (at, node) in bill.nodes().iter().enumerate() {
        for supplier in (0..node.inputs.len()).flat_map(|k| bill.suppliers(at, k)) {
            edges.push((at, *supplier));
            if let Some(last) = last.get_mut(*supplier) {
                *last = false;
            }
        }
    }
    let tier = |tiers: &[usize], at: usize| tiers.get(at).copied().unwrap_or(0);
    let mut tiers = vec![0; n];
    for _ in 0..=n {
        let mut settled = true;
        for &(consumer, supplier) in &edges {
            let deep = tier(&tiers, consumer) + 1;
            if tier(&tiers, supplier) < deep {
                if let Some(tier) = tiers.get_mut(supplier) {
                    *tier = deep;
                }
                settled = false;
            }
        }
        if settled {
            return tiers;
        }
    }
    let begin: Vec<usize> = (0..n)
        .filter(|at| bill.nodes().get(*at).is_some_and(|n| n.watch) || last.get(*at) == Some(&true))
        .collect();
    let mut near: Vec<Option<usize>> = vec![None; n];
    let mut queue: VecDeque<(usize, usize)> = begin.into_iter().map(|at| (at, 0)).collect();
    while let Some((at, deep)) = queue.pop_front() {
        if let Some(near) = near.get_mut(at).filter(|n| n.is_none()) {
            *near = Some(deep);
            queue.extend(edges.iter().filter(|(consumer, _)| *consumer == at).map(|(_, s)| (*s, deep + 1)));
        }
    }
    near.into_iter().map(|tier| tier.unwrap_or(0)).collect()
}

fn place(bill: &Bill) -> Vec<Placed> {
    let height =
        |at: usize| bill.nodes().get(at).map_or(LEAST, |n| (PORT * n.inputs.len() as f64).max(LEAST));
    let mut placed: Vec<Placed> = tiers(bill)
        .into_iter()
        .enumerate()
        .map(|(at, tier)| Placed { tier, top: 0.0, height: height(at) })
        .collect();
    let deepest = placed.iter().map(|p| p.tier).max().unwrap_or(0);
    let tall = |tier: usize, placed: &[Placed]| -> f64 {
        placed.iter().filter(|p| p.tier == tier).map(|p| p.height + GAP).sum()
    };
    let whole = (0..=deepest).map(|tier| tall(tier, &placed)).fold(0.0, f64::max);
    // Where the consumers of each node are, on average: lines cross less so.
    let mut wanted = vec![(0.0_f64, 0.0_f64); placed.len()];
    for tier in 0..=deepest {
        let mean = |at: &usize| {
            wanted.get(*at).map_or(0.0, |(sum, count)| if *count > 0.0 { sum / count } else { 0.0 })
        };
        let mut here: Vec<usize> =
            (0..placed.len()).filter(|at| placed.get(*at).is_some_and(|p| p.tier == tier)).collect();
        here.sort_by(|a, b| mean(a).total_cmp(&mean(b)).then(a.cmp(b)));
        let mut top = TOP + (whole - tall(tier, &placed)) / 2.0;
        for at in here {
            let Some(node) = placed.get_mut(at) else { continue };
            node.top = top;
            top += node.height + GAP;
            let inputs = bill.nodes().get(at).map_or(0, |n| n.inputs.len());
            for k in 0..inputs {
                for supplier in bill.suppliers(at, k) {
                    if let Some((sum, count)) = wanted.get_mut(*supplier) {
                        *sum += node.port(k, inputs);
                        *count += 1.0;
                    }
                }
            }
        }
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::survive::tests::bill;

    #[test]
    fn a_node_stands_behind_all_that_it_delivers_to_and_a_cycle_ends() {
        assert_eq!(tiers(&bill("A:\nB:A 30 A\nC:B 12 B,A 5 A")), [2, 1, 0]);
        assert_eq!(tiers(&bill("X:\nA:B 10 B,X 3 X\nB:A 4 A\nC:B 2 B")), [3, 2, 1, 0]);
    }

    #[test]
    fn single_points_stocks_and_alternatives_are_told() {
        let bill = bill("A1:\nA2:\nB:A 30 A1 A2\nC:B 12.5 B");
        let marked = Marked { points: BTreeSet::from([2]), common: BTreeSet::from([0, 1]) };
        let svg = bill_drawing("C <1>", &bill, &marked).unwrap();
        assert!(svg.contains("B of C: 12.5 days in stock, from one source") && svg.contains("C &lt;1&gt;"));
        assert!(svg.contains("A of B: 30 days in stock, from any of 2"));
        // The legend has one of each, too.
        assert_eq!(svg.matches("stroke-width=\"2.5\"").count(), 2);
        assert_eq!(svg.matches("stroke-dasharray=\"4 3\"").count(), 3);
        assert_eq!(svg.matches("stroke-dasharray=\"6 4\"").count(), 2);
        let many: String = (0..=NODES_MAX).map(|n| format!("A{n}:\n")).collect();
        assert!(bill_drawing("t", &crate::graph::survive::tests::bill(&many), &marked).is_none());
    }

    #[test]
    fn boxes_of_a_tier_do_not_cover_one_another() {
        let bill = bill("A1:\nA2:\nA3:\nB1:A 1 A1 A2\nB2:A 1 A2 A3\nC:A 1 A1,B 2 B1 B2");
        let placed = place(&bill);
        for (i, a) in placed.iter().enumerate() {
            for b in placed.iter().skip(i + 1).filter(|b| b.tier == a.tier) {
                assert!(a.top + a.height < b.top || b.top + b.height < a.top);
            }
        }
    }
}
