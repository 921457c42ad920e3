//! Days to stop (TTS) and days to recover (TTR) over a bill of materials of several tiers.
//!
//! A node is a place that makes one product. It needs all of its inputs (AND), and each input from
//! any one of its suppliers (OR); of each it holds a stock. When a node fails,
//!
//! ```text
//! stop(n) = finished days of n + min over inputs of (stock days + max over suppliers of stop)
//! ```
//!
//! with 0 in place of the minimum for the failed node and infinity where there is no input. Where
//! suppliers form cycles, the least such times that begin at the failure are meant.
//! A warning is due where a watched node stops before the failed one is back: TTS < TTR.
//! (D. Simchi-Levi et al., *Identifying Risks and Mitigating Disruptions in the Automotive Supply
//! Chain*, Interfaces 45 (2015) 375–390; the linear programmes are in [`lp`],
//! all failures one after the other in [`scenario`].)
//!
//! # Format
//!
//! One JSON object; `data/trade/examples/etching-gas.json` is an example. Unknown members are
//! refused. All times are days, all amounts are in the unit of the product they are of.
//!
//! ```json
//! {"nodes": [
//!   {"name": "gas plant", "product": "hydrogen fluoride", "site": "JPOSA", "owner": "A", "ttr_days": 60},
//!   {"name": "fab", "product": "memory", "watch": true, "demand_per_day": 1,
//!    "inputs": [{"product": "hydrogen fluoride", "from": ["gas plant"], "stock_days": 30, "per_unit": 1}]}
//! ]}
//! ```
//!
//! | member | of | meaning | otherwise |
//! |---|---|---|---|
//! | `name` | node | unique | required |
//! | `product` | node | what it makes | required |
//! | `site`, `owner` | node | where it is (a UN/LOCODE) and whose; common causes | unknown |
//! | `ttr_days` | node | days until it is back after a failure | unknown |
//! | `watch` | node | whether its stopping is what matters | false |
//! | `finished_days` | node | days that its stock of finished products lasts | 0 |
//! | `per_day` | node | what it makes on a normal day | 1 |
//! | `capacity_per_day` | node | the most it can make; for the linear programmes | no limit |
//! | `demand_per_day` | node | what leaves the network from it each day; likewise | 0 |
//! | `loss_per_unit` | node | what a unit of that is worth when it is not served; likewise | 1 |
//! | `product` | input | what is needed | required |
//! | `from` | input | names of nodes that make that product | required |
//! | `stock_days` | input | days of normal need in stock at the node | 0 |
//! | `per_unit` | input | how much a unit of output needs | 1 |

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use serde::{Deserialize, Serialize};

use crate::brief::brief;
use crate::graph::network::GraphError;

pub mod lp;
pub mod scenario;

/// A place that makes one product. The members are those of the format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of the module documents every member")]
pub struct Node {
    pub name: String,
    pub product: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttr_days: Option<f64>,
    #[serde(default)]
    pub watch: bool,
    #[serde(default)]
    pub finished_days: f64,
    #[serde(default = "one")]
    pub per_day: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_per_day: Option<f64>,
    #[serde(default)]
    pub demand_per_day: f64,
    #[serde(default = "one")]
    pub loss_per_unit: f64,
    #[serde(default)]
    pub inputs: Vec<Input>,
}

/// One thing that a node needs. The members are those of the format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of the module documents every member")]
pub struct Input {
    pub product: String,
    pub from: Vec<String>,
    #[serde(default)]
    pub stock_days: f64,
    #[serde(default = "one")]
    pub per_unit: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    nodes: Vec<Node>,
}

fn one() -> f64 {
    1.0
}

/// A checked bill of materials. Nodes are known by their place in [`Bill::nodes`].
#[derive(Clone, Debug, PartialEq)]
pub struct Bill {
    nodes: Vec<Node>,
    index: HashMap<String, usize>,
    /// Suppliers, by node and input.
    from: Vec<Vec<Vec<usize>>>,
    /// (consumer, place of its input), by supplier.
    to: Vec<Vec<(usize, usize)>>,
}

/// When a node stops delivering.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// Days after the failure.
    pub days: f64,
    /// The input that ended and the last of its suppliers that stopped; `None` for a failed node.
    pub cause: Option<(usize, usize)>,
}

/// A watched node stops before a failed one is back.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    /// The node that fails.
    pub failed: usize,
    /// The watched node.
    pub stops: usize,
    /// Days until it stops.
    pub tts_days: f64,
    /// Days until the failed node is back.
    pub ttr_days: f64,
    /// The way of the shortage, from the failed node to the watched one.
    pub way: Vec<usize>,
}

struct Event {
    days: f64,
    node: usize,
    cause: Option<(usize, usize)>,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    /// The earliest is the greatest; of two at once, the one of the first node.
    fn cmp(&self, other: &Self) -> Ordering {
        other.days.total_cmp(&self.days).then(other.node.cmp(&self.node)).then(other.cause.cmp(&self.cause))
    }
}

/// What is wrong with a node.
struct Wrong {
    node: usize,
    name: String,
    problem: String,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node {:?}: {}", self.name, self.problem)
    }
}

/// The line, from 1, on which a node begins: the objects of the third level of a text that has been parsed.
fn line_of_node(text: &str, node: usize) -> usize {
    let (mut line, mut depth, mut seen, mut quoted, mut escaped) = (1, 0, 0, false, false);
    for c in text.chars() {
        match c {
            '\n' => line += 1,
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' | '[' if !quoted => {
                depth += 1;
                if depth == 3 && c == '{' {
                    if seen == node {
                        return line;
                    }
                    seen += 1;
                }
            }
            '}' | ']' if !quoted => depth -= 1,
            _ => {}
        }
    }
    line
}

impl Bill {
    /// Reads the format; `file` names it in errors.
    ///
    /// # Errors
    ///
    /// When the text is not of the format, or as [`Bill::new`]; with the line.
    pub fn read(file: &str, text: &str) -> Result<Self, GraphError> {
        let parsed: File = serde_json::from_str(text)
            .map_err(|error| GraphError::Invalid(brief(format!("{file}: {error}"))))?;
        Self::checked(parsed.nodes).map_err(|wrong| {
            let line = line_of_node(text, wrong.node);
            GraphError::Invalid(brief(format!("{file}, line {line}: {wrong}")))
        })
    }

    /// From nodes.
    ///
    /// # Errors
    ///
    /// When a name comes twice, an input has no supplier, an unknown one, one twice, itself, or one
    /// that makes another product, or when a number is negative or not finite.
    pub fn new(nodes: Vec<Node>) -> Result<Self, GraphError> {
        Self::checked(nodes).map_err(|wrong| GraphError::Invalid(brief(wrong)))
    }

    fn checked(nodes: Vec<Node>) -> Result<Self, Wrong> {
        let invalid = |at: usize, problem: String| {
            let name = nodes.get(at).map_or_else(String::new, |n| n.name.clone());
            Err(Wrong { node: at, name, problem })
        };
        let mut index = HashMap::new();
        for (at, node) in nodes.iter().enumerate() {
            if index.insert(node.name.clone(), at).is_some() {
                return invalid(at, "this name comes twice".into());
            }
            let numbers = [
                ("ttr_days", node.ttr_days.unwrap_or(0.0)),
                ("finished_days", node.finished_days),
                ("per_day", node.per_day),
                ("capacity_per_day", node.capacity_per_day.unwrap_or(0.0)),
                ("demand_per_day", node.demand_per_day),
                ("loss_per_unit", node.loss_per_unit),
            ];
            let inputs =
                node.inputs.iter().flat_map(|i| [("stock_days", i.stock_days), ("per_unit", i.per_unit)]);
            for (name, number) in numbers.into_iter().chain(inputs) {
                if !(number.is_finite() && number >= 0.0) {
                    return invalid(at, format!("{name} is {number}; it must be finite and not negative"));
                }
            }
        }
        let (mut from, mut to) = (Vec::new(), vec![Vec::new(); nodes.len()]);
        for (at, node) in nodes.iter().enumerate() {
            let mut of_node = Vec::new();
            for (place, input) in node.inputs.iter().enumerate() {
                let mut suppliers = Vec::new();
                for name in &input.from {
                    let Some(&supplier) = index.get(name) else {
                        return invalid(
                            at,
                            format!("{:?} is from {name:?}, which is no node", input.product),
                        );
                    };
                    let makes = &nodes[supplier].product;
                    if *makes != input.product {
                        return invalid(
                            at,
                            format!("{:?} is from {name:?}, which makes {makes:?}", input.product),
                        );
                    }
                    if supplier == at || suppliers.contains(&supplier) {
                        return invalid(at, format!("{:?} is from {name:?}, itself or twice", input.product));
                    }
                    suppliers.push(supplier);
                    to[supplier].push((at, place));
                }
                if suppliers.is_empty() {
                    return invalid(at, format!("{:?} is from nobody", input.product));
                }
                of_node.push(suppliers);
            }
            from.push(of_node);
        }
        Ok(Self { nodes, index, from, to })
    }

    /// The nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The place of a node.
    pub fn node(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The suppliers of an input of a node, both by place.
    pub fn suppliers(&self, node: usize, input: usize) -> &[usize] {
        self.from.get(node).and_then(|inputs| inputs.get(input)).map_or(&[], Vec::as_slice)
    }

    /// When each node stops after some fail at once and for good; `None` where it never does.
    pub fn stops(&self, failed: &[usize]) -> Vec<Option<Stop>> {
        let mut stops: Vec<Option<Stop>> = vec![None; self.nodes.len()];
        let mut waiting: Vec<Vec<usize>> =
            self.from.iter().map(|inputs| inputs.iter().map(Vec::len).collect()).collect();
        let mut events = BinaryHeap::new();
        for &node in failed {
            if let Some(n) = self.nodes.get(node) {
                events.push(Event { days: n.finished_days, node, cause: None });
            }
        }
        while let Some(Event { days, node, cause }) = events.pop() {
            if stops[node].is_some() {
                continue;
            }
            stops[node] = Some(Stop { days, cause });
            for &(consumer, input) in &self.to[node] {
                let left = &mut waiting[consumer][input];
                *left -= 1;
                if *left == 0 && stops[consumer].is_none() {
                    let of = &self.nodes[consumer];
                    let days = days + of.inputs[input].stock_days + of.finished_days;
                    events.push(Event { days, node: consumer, cause: Some((input, node)) });
                }
            }
        }
        stops
    }

    /// The way of the shortage to a node, from a failed one.
    pub fn way(&self, stops: &[Option<Stop>], to: usize) -> Vec<usize> {
        let mut way = vec![to];
        let mut at = to;
        while let Some((_, supplier)) = stops.get(at).and_then(Option::as_ref).and_then(|s| s.cause) {
            way.push(supplier);
            at = supplier;
        }
        way.reverse();
        way
    }

    /// Every watched node that stops before a failed one is back, for each node whose `ttr_days` are
    /// known; the least days of slack (TTS − TTR) first. A node that fails and is watched itself is
    /// left out: that it stops is no news.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for (failed, node) in self.nodes.iter().enumerate() {
            let Some(ttr_days) = node.ttr_days else { continue };
            let stops = self.stops(&[failed]);
            for (at, stop) in
                stops.iter().enumerate().filter(|(at, _)| *at != failed && self.nodes[*at].watch)
            {
                if let Some(stop) = stop.as_ref().filter(|s| s.days < ttr_days) {
                    let way = self.way(&stops, at);
                    warnings.push(Warning { failed, stops: at, tts_days: stop.days, ttr_days, way });
                }
            }
        }
        warnings.sort_by(|a, b| (a.tts_days - a.ttr_days).total_cmp(&(b.tts_days - b.ttr_days)));
        warnings
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Nodes from lines "name: input days source source, input days source".
    pub(crate) fn bill(lines: &str) -> Bill {
        let node = |line: &str| {
            let (name, inputs) = line.split_once(':').unwrap();
            let inputs = inputs.split(',').filter(|i| !i.trim().is_empty()).map(|input| {
                let words: Vec<&str> = input.split_whitespace().collect();
                let from = words[2..].iter().map(|w| (*w).to_owned()).collect();
                Input { product: words[0].into(), from, stock_days: words[1].parse().unwrap(), per_unit: 1.0 }
            });
            // The product of A1, A2 is A.
            let product = name.trim_end_matches(|c: char| c.is_ascii_digit());
            let json =
                format!(r#"{{"name":{name:?},"product":{product:?},"watch":{}}}"#, name.starts_with('C'));
            let node: Node = serde_json::from_str(&json).unwrap();
            Node { inputs: inputs.collect(), ..node }
        };
        Bill::new(lines.lines().map(node).collect()).unwrap()
    }

    pub(crate) const CASES: [(&str, &str, Option<f64>); 6] = [
        ("A:\nB:A 30 A\nC:B 12 B", "A", Some(42.0)),
        ("A:\nB:A 30 A\nD:A 0 A\nC:B 12 B,D 5 D", "A", Some(5.0)),
        ("A:\nB:A 30 A\nD1:A 0 A\nD2:\nC:B 12 B,D 5 D1 D2", "A", Some(42.0)),
        ("A1:\nA2:\nB:A 30 A1 A2\nC:B 12 B", "A1", None),
        // Both sources hang on A, the one with more stock lasts longer.
        ("A:\nB1:A 30 A\nB2:A 7 A\nC:B 1 B1 B2", "A", Some(31.0)),
        ("A:\nC:A 0 A", "A", Some(0.0)),
    ];

    #[test]
    fn worked_examples() {
        for (lines, failed, expected) in CASES {
            let bill = bill(lines);
            let (failed, consumer) = (bill.node(failed).unwrap(), bill.node("C").unwrap());
            let stops = bill.stops(&[failed]);
            assert_eq!(stops[consumer].as_ref().map(|s| s.days), expected, "{lines}");
            if expected.is_some() {
                let way = bill.way(&stops, consumer);
                assert_eq!((way.first(), way.last()), (Some(&failed), Some(&consumer)), "{lines}");
            }
        }
    }

    #[test]
    fn a_cycle_ends_and_a_way_around_it_counts() {
        // A and B need each other, and A something from X as well.
        let bill = bill("X:\nA:B 10 B,X 3 X\nB:A 4 A\nC:B 2 B");
        let days: Vec<_> = bill.stops(&[0]).into_iter().map(|s| s.map(|s| s.days)).collect();
        assert_eq!(days, [Some(0.0), Some(3.0), Some(7.0), Some(9.0)]);
    }

    #[test]
    fn the_example_warns_where_the_stock_is_shorter_than_the_recovery() {
        let path = format!("{}/../../data/trade/examples/etching-gas.json", env!("CARGO_MANIFEST_DIR"));
        let bill = Bill::read("example", &std::fs::read_to_string(path).unwrap()).unwrap();
        let warnings = bill.warnings();
        let name = |i: usize| bill.nodes()[i].name.as_str();
        let told: Vec<String> = warnings
            .iter()
            .map(|w| {
                let way: Vec<&str> = w.way.iter().map(|&i| name(i)).collect();
                format!("{} < {}: {}", w.tts_days, w.ttr_days, way.join(" > "))
            })
            .collect();
        assert_eq!(
            told,
            [
                "25 < 120: resist plant > memory fab",
                "42 < 90: gas plant > gas purifier > memory fab",
                "12 < 45: gas purifier > memory fab",
            ]
        );
    }

    #[test]
    fn what_is_not_a_bill_is_refused() {
        for (text, expected) in [
            (r#"{"nodes":[{"name":"a"}]}"#, "missing field `product`"),
            (r#"{"nodes":[{"name":"a","product":"p","colour":1}]}"#, "unknown field `colour`"),
            (r#"{"nodes":[{"name":"a","product":"p"},{"name":"a","product":"p"}]}"#, "comes twice"),
            (r#"{"nodes":[{"name":"a","product":"p","ttr_days":-1}]}"#, "ttr_days is -1"),
            (r#"{"nodes":[{"name":"a","product":"p","inputs":[{"product":"q","from":["b"]}]}]}"#, "no node"),
            (r#"{"nodes":[{"name":"a","product":"p","inputs":[{"product":"q","from":[]}]}]}"#, "from nobody"),
            (r#"{"nodes":[{"name":"a","product":"p","inputs":[{"product":"p","from":["a"]}]}]}"#, "itself"),
            (
                r#"{"nodes":[{"name":"a","product":"p","inputs":[{"product":"q","from":["a"]}]}]}"#,
                "makes \"p\"",
            ),
        ] {
            let error = Bill::read("bill.json", text).unwrap_err().to_string();
            assert!(error.starts_with("bill.json") && error.contains("line 1"), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_node_is_said_with_its_line() {
        let text = "{\"nodes\": [\n {\"name\": \"{\\\"a\", \"product\": \"p\"},\n\n {\"name\": \"b\", \"product\": \"q\",\n  \"inputs\": [{\"product\": \"p\", \"from\": [\"x\"]}]}]}";
        let error = Bill::read("bill.json", text).unwrap_err().to_string();
        assert_eq!(error, "bill.json, line 4: node \"b\": \"p\" is from \"x\", which is no node");
        let twice = text.replace("\"x\"", "\"b\"").replace("\"name\": \"b\"", "\"colour\": 1");
        assert!(Bill::read("bill.json", &twice).unwrap_err().to_string().contains("line 4"));
    }
}
