//! A cascade as layers: the firm that fails, and round by round whom it reaches, downstream and upstream apart.

use std::collections::HashMap;

use super::html::escape;
use super::ink::{self, BLUE, GRID, ORANGE, QUIET, RED, fitting};
use crate::graph::network::Network;
use crate::graph::trace::{Hit, Round, Trace};

/// The most rounds and the most firms of a round that are drawn; more cannot be read.
const ROUNDS_MAX: usize = 5;
const FIRMS_MAX: usize = 6;

const WIDTH: f64 = 720.0;
/// Where the rounds begin.
const LEFT: f64 = 118.0;
const COLUMN: f64 = (WIDTH - LEFT) / ROUNDS_MAX as f64;
const ROW: f64 = 34.0;
/// The room above the firms of a direction: its heading and those of the rounds.
const HEAD: f64 = 62.0;

struct Layer<'a> {
    heading: &'a str,
    colour: &'a str,
    hits: &'a [Hit],
    added: fn(&Round) -> f64,
    top: f64,
    rows: usize,
}

impl<'a> Layer<'a> {
    fn new(heading: &'a str, colour: &'a str, hits: &'a [Hit], added: fn(&Round) -> f64, top: f64) -> Self {
        let of = |round: usize| in_round(hits, round).count();
        // One more for the line that says how many are not drawn.
        let rows = (1..=ROUNDS_MAX).map(|r| of(r).min(FIRMS_MAX + 1)).max().unwrap_or(0).max(1);
        Self { heading, colour, hits, added, top, rows }
    }

    fn low(&self) -> f64 {
        self.top + HEAD + ROW * self.rows as f64
    }
}

fn in_round(hits: &[Hit], round: usize) -> impl Iterator<Item = &Hit> {
    hits.iter().filter(move |h| h.round as usize == round)
}

/// The cascade of the failure of `firm`, as SVG. Bars are the share of its own output that a firm loses in the end; a
/// curve leads from the neighbour whose loss weighs most with it. Of each round the six firms are drawn
/// whose loss is the largest part of all output; how many are left out is said.
pub fn cascade_plot(network: &Network, firm: u32, trace: &Trace) -> String {
    let name = |at: u32| network.firms().get(at as usize).map_or("?", |f| &*f.name);
    let down = Layer::new("Downstream: buyers that lack inputs", BLUE, &trace.down, |r| r.down, 30.0);
    let up =
        Layer::new("Upstream: suppliers that lose orders", ORANGE, &trace.up, |r| r.up, down.low() + 14.0);
    let title = format!("When {} fails", name(firm));
    let told = format!(
        "{:.2} % of all output is lost. Downstream {} firms are reached, upstream {}, in {} rounds.",
        trace.cascade.esri * 100.0,
        trace.down.len(),
        trace.up.len(),
        trace.cascade.rounds
    );
    let mut out = ink::open(WIDTH, up.low() + 6.0, &title, &told);
    out.push_str(&format!(
        "<text x=\"0\" y=\"18\" font-weight=\"600\">{}</text>\
         <text x=\"{WIDTH}\" y=\"18\" text-anchor=\"end\" fill=\"{QUIET}\">bars: share of its own output a firm loses</text>",
        escape(&fitting(&title, 44.0))
    ));
    for layer in [&down, &up] {
        draw(&mut out, layer, trace, firm, &name);
    }
    out.push_str("</svg>");
    out
}

fn draw<'n>(out: &mut String, layer: &Layer<'_>, trace: &Trace, firm: u32, name: &impl Fn(u32) -> &'n str) {
    let later = layer.hits.iter().filter(|h| h.round as usize > ROUNDS_MAX).count();
    let later = if later > 0 { format!(", {later} of them in later rounds") } else { String::new() };
    out.push_str(&format!(
        "<text x=\"0\" y=\"{:.0}\" fill=\"{}\" font-weight=\"600\">{}</text>\
         <text x=\"{WIDTH}\" y=\"{0:.0}\" text-anchor=\"end\" fill=\"{QUIET}\">{4}{later}</text>\
         <line x1=\"0\" x2=\"{WIDTH}\" y1=\"{3:.0}\" y2=\"{3:.0}\" stroke=\"{GRID}\"/>",
        layer.top + 16.0,
        layer.colour,
        layer.heading,
        layer.top + 23.0,
        if layer.hits.len() == 1 { "1 firm".to_owned() } else { format!("{} firms", layer.hits.len()) }
    ));
    // Where a firm stands: where its curves begin.
    let mut place: HashMap<u32, (f64, f64)> = HashMap::new();
    let middle = layer.top + HEAD + ROW / 2.0;
    place.insert(firm, (LEFT - 24.0, middle));
    cell(out, (0.0, layer.top + HEAD), (name(firm), 1.0), RED, &format!("{} fails", name(firm)));
    for round in 1..=ROUNDS_MAX {
        let x = LEFT + COLUMN * (round - 1) as f64;
        let count = in_round(layer.hits, round).count();
        let added = trace.rounds.get(round - 1).map_or(0.0, layer.added);
        if count == 0 && added <= 0.0 {
            continue;
        }
        out.push_str(&format!(
            "<text x=\"{x:.0}\" y=\"{:.0}\" fill=\"{QUIET}\" font-size=\"12\">round {round}: {:.2} %</text>",
            layer.top + 42.0,
            added * 100.0
        ));
        for (row, hit) in in_round(layer.hits, round).take(FIRMS_MAX).enumerate() {
            let y = layer.top + HEAD + ROW * row as f64;
            if let Some(from) = hit.by.and_then(|by| place.get(&by)) {
                let (x1, y1, x2, y2) = (from.0, from.1, x - 3.0, y + ROW / 2.0);
                out.push_str(&format!(
                    "<path d=\"M{x1:.0} {y1:.0}C{0:.0} {y1:.0} {0:.0} {y2:.0} {x2:.0} {y2:.0}\" fill=\"none\" \
                     stroke=\"{QUIET}\" opacity=\"0.45\"/>",
                    (x1 + x2) / 2.0
                ));
            }
            let told = format!(
                "{}: loses {:.1} % of its output, {:.3} % of all output",
                name(hit.firm),
                hit.lost * 100.0,
                hit.of_all * 100.0
            );
            cell(out, (x, y), (name(hit.firm), hit.lost), layer.colour, &told);
            place.insert(hit.firm, (x + COLUMN - 24.0, y + ROW / 2.0));
        }
        if count > FIRMS_MAX {
            out.push_str(&format!(
                "<text x=\"{x:.0}\" y=\"{:.0}\" fill=\"{QUIET}\" font-size=\"12\">and {} more</text>",
                layer.top + HEAD + ROW * FIRMS_MAX as f64 + 14.0,
                count - FIRMS_MAX
            ));
        }
    }
}

/// A firm: its name over a bar of what it loses.
fn cell(out: &mut String, (x, y): (f64, f64), (name, lost): (&str, f64), colour: &str, told: &str) {
    let whole = COLUMN - 26.0;
    out.push_str(&format!(
        "<g><title>{}</title><text x=\"{x:.0}\" y=\"{:.0}\">{}</text>\
         <rect x=\"{x:.0}\" y=\"{:.0}\" width=\"{whole:.0}\" height=\"6\" fill=\"{GRID}\"/>\
         <rect x=\"{x:.0}\" y=\"{3:.0}\" width=\"{:.1}\" height=\"6\" fill=\"{colour}\"/></g>",
        escape(told),
        y + 12.0,
        escape(&fitting(name, 13.0)),
        y + 17.0,
        whole * lost.clamp(0.0, 1.0)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::esri::{Essentiality, Options};
    use crate::graph::trace::trace;

    fn network(buyers: usize) -> Network {
        let mut firms = String::from("firm,sector\nroot,1\nmaker <x>,2\n");
        let mut links = String::from("supplier,buyer,weight\nmaker <x>,root,1\n");
        for n in 0..buyers {
            firms.push_str(&format!("b{n},3\nend{n},4\n"));
            links.push_str(&format!("root,b{n},{}\nb{n},end{n},1\n", n + 1));
        }
        Network::read("f", firms.as_bytes(), "l", links.as_bytes()).unwrap()
    }

    #[test]
    fn firms_stand_in_the_round_that_reaches_them_and_more_than_can_be_read_are_counted() {
        let network = network(9);
        let options = Options { essentiality: Essentiality::AllEssential, ..Options::default() };
        let found = trace(&network, &options, &[(0, 1.0)], 0.01).unwrap();
        let svg = cascade_plot(&network, 0, &found);
        assert!(svg.contains("When root fails") && svg.contains("maker &lt;x&gt;: loses 100.0 %"));
        assert!(svg.contains("and 3 more") && svg.contains("18 firms") && svg.contains(">1 firm<"));
        // A curve to each drawn firm: 6 and 6 downstream (of which some come from firms that are not drawn), 1 up.
        assert!((8..=13).contains(&svg.matches("<path").count()), "{}", svg.matches("<path").count());
    }
}
