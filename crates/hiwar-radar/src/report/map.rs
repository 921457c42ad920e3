//! A map of dependency: items at one side, the countries they come from at the other, bands as wide as the shares
//! (after the flow diagrams of H. R. Sankey 1898).

use std::collections::HashMap;

use super::html::escape;
use super::ink::{self, QUIET, fitting};

/// How much of an item comes from a source.
#[derive(Clone, Debug, PartialEq)]
pub struct MapFlow {
    /// The item, as it is to be read, such as "281111 hydrogen fluoride".
    pub item: String,
    /// The source, such as a country's code.
    pub source: String,
    /// The share of the item that comes from there, from 0 to 1.
    pub share: f64,
}

/// The most items that one map shows; more cannot be read.
pub const ITEMS_MAX: usize = 24;
/// The most sources that are shown by name; the rest stand together.
const SOURCES_MAX: usize = 14;

const WIDTH: f64 = 496.0;
/// Where the bands begin and end.
const ITEM_EDGE: f64 = 196.0;
const SOURCE_EDGE: f64 = 392.0;
const EDGE: f64 = 7.0;
const TOP: f64 = 62.0;
/// The height of an item whose shares are complete, and what lies between two.
const WHOLE: f64 = 24.0;
const GAP: f64 = 9.0;
/// A line of text needs as much.
const LINE: f64 = 16.0;
/// Other sources than those named.
const OTHERS: &str = "other";

/// A source and where it stands.
struct Source {
    name: String,
    /// The sum of the shares that come from it, over all items.
    sum: f64,
    /// Where its bands begin.
    top: f64,
    /// Where the next source may begin.
    low: f64,
}

/// The map, as SVG. Items stand in the order in which they first come, sources by the sum of their shares. Shares that
/// are not above 0 are left out; those of an item that make more than 1 together are scaled to 1. Of more than
/// [`ITEMS_MAX`] items the rest is left out, and the map says so.
///
/// ```
/// use hiwar_radar::report::map::{MapFlow, dependency_map};
///
/// let flow = |item: &str, source: &str, share| MapFlow { item: item.into(), source: source.into(), share };
/// let svg = dependency_map("Korea, 2018", &[
///     flow("281111", "CN", 0.52), flow("281111", "JP", 0.42), flow("370790", "JP", 0.93),
/// ]);
/// assert!(svg.starts_with("<svg") && svg.contains("<title>281111 from JP: 42.0 %</title>"));
/// ```
pub fn dependency_map(title: &str, flows: &[MapFlow]) -> String {
    let (items, all_items) = items(flows);
    let sources = sources(&items);
    let low = TOP + (WHOLE + GAP) * items.len() as f64;
    let height = sources.last().map_or(low, |s| low.max(s.low)) + 4.0;
    let told = format!(
        "{} items and the shares of their sources. {}",
        items.len(),
        items.iter().filter_map(|(item, shares)| largest(item, shares)).collect::<Vec<_>>().join("; ")
    );
    let mut out = ink::open(WIDTH, height, title, &told);
    out.push_str(&format!(
        "<text x=\"0\" y=\"18\" font-weight=\"600\">{}</text>\
         <text x=\"0\" y=\"42\" fill=\"{QUIET}\">{}</text>\
         <text x=\"{WIDTH}\" y=\"42\" text-anchor=\"end\" fill=\"{QUIET}\">source, mean share</text>",
        escape(&fitting(title, 62.0)),
        if items.len() < all_items {
            format!("item ({} of {all_items} shown)", items.len())
        } else {
            "item".to_owned()
        }
    ));
    bands(&mut out, &items, &sources);
    for (n, (item, _)) in items.iter().enumerate() {
        let y = TOP + (WHOLE + GAP) * n as f64;
        out.push_str(&format!(
            "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{EDGE}\" height=\"{WHOLE}\" fill=\"{QUIET}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\"><title>{}</title>{}</text>",
            ITEM_EDGE - EDGE,
            ITEM_EDGE - EDGE - 6.0,
            y + WHOLE / 2.0 + 4.5,
            escape(item),
            escape(&fitting(item, 23.0))
        ));
    }
    for (rank, source) in sources.iter().enumerate() {
        let mean = source.sum / items.len().max(1) as f64 * 100.0;
        let mean = if mean < 0.5 { "< 1 %".to_owned() } else { format!("{mean:.0} %") };
        out.push_str(&format!(
            "<rect x=\"{SOURCE_EDGE}\" y=\"{:.1}\" width=\"{EDGE}\" height=\"{:.1}\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{} <tspan fill=\"{QUIET}\">{}</tspan></text>",
            source.top,
            (source.sum * WHOLE).max(0.5),
            colour(rank, source),
            SOURCE_EDGE + EDGE + 6.0,
            source.top + source.sum * WHOLE / 2.0 + 4.5,
            escape(&fitting(&source.name, 6.0)),
            escape(&mean)
        ));
    }
    out.push_str("</svg>");
    out
}

type Shares = Vec<(String, f64)>;

/// The items to be shown with their shares, and how many there are.
fn items(flows: &[MapFlow]) -> (Vec<(String, Shares)>, usize) {
    let mut place: HashMap<&str, usize> = HashMap::new();
    let mut items: Vec<(String, Shares)> = Vec::new();
    for flow in flows.iter().filter(|f| f.share.is_finite() && f.share > 0.0) {
        let at = *place.entry(&flow.item).or_insert(items.len());
        if at == items.len() {
            items.push((flow.item.clone(), Vec::new()));
        }
        if let Some((_, shares)) = items.get_mut(at) {
            shares.push((flow.source.clone(), flow.share));
        }
    }
    let all = items.len();
    items.truncate(ITEMS_MAX);
    for (_, shares) in &mut items {
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        if sum > 1.0 {
            shares.iter_mut().for_each(|(_, share)| *share /= sum);
        }
    }
    (items, all)
}

/// The sources by the sum of their shares, placed one below the other; the smaller ones together at the end.
fn sources(items: &[(String, Shares)]) -> Vec<Source> {
    let mut sums: HashMap<&str, f64> = HashMap::new();
    for (source, share) in items.iter().flat_map(|(_, shares)| shares) {
        *sums.entry(source).or_default() += share;
    }
    let mut sums: Vec<(&str, f64)> = sums.into_iter().collect();
    sums.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let kept = if sums.len() > SOURCES_MAX { SOURCES_MAX - 1 } else { sums.len() };
    let rest: f64 = sums.iter().skip(kept).map(|(_, sum)| sum).sum();
    sums.truncate(kept);
    if rest > 0.0 {
        sums.push((OTHERS, rest));
    }
    let mut top = TOP;
    let place = |(name, sum): (&str, f64)| {
        let height = (sum * WHOLE).max(LINE);
        let begin = top + (height - sum * WHOLE) / 2.0;
        top += height + GAP / 2.0;
        Source { name: name.to_owned(), sum, top: begin, low: top }
    };
    sums.into_iter().map(place).collect()
}

fn colour(rank: usize, source: &Source) -> &'static str {
    if source.name == OTHERS { QUIET } else { ink::of_rank(rank) }
}

fn largest(item: &str, shares: &Shares) -> Option<String> {
    let (source, share) = shares.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(format!("{item}: {source} {:.0} %", share * 100.0))
}

fn bands(out: &mut String, items: &[(String, Shares)], sources: &[Source]) {
    let rank: HashMap<&str, usize> = sources.iter().map(|s| &*s.name).zip(0..).collect();
    let mut filled = vec![0.0; sources.len()];
    for (n, (item, shares)) in items.iter().enumerate() {
        let mut placed: Vec<(usize, &str, f64)> = shares
            .iter()
            .map(|(source, share)| {
                let at = rank.get(&**source).copied().unwrap_or(sources.len().saturating_sub(1));
                (at, &**source, *share)
            })
            .collect();
        // In the order of the other side, so that an item's bands do not cross one another.
        placed.sort_by_key(|(at, ..)| *at);
        let mut left = TOP + (WHOLE + GAP) * n as f64;
        for (at, name, share) in placed {
            let (Some(source), Some(filled)) = (sources.get(at), filled.get_mut(at)) else { continue };
            let (thick, right) = (share * WHOLE, source.top + *filled);
            *filled += thick;
            out.push_str(&format!(
                "<path d=\"{}\" fill=\"{}\" fill-opacity=\"0.5\"><title>{} from {}: {:.1} %</title></path>",
                ink::ribbon((ITEM_EDGE, left), (SOURCE_EDGE, right), thick),
                colour(at, source),
                escape(item),
                escape(name),
                share * 100.0
            ));
            left += thick;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(item: &str, source: &str, share: f64) -> MapFlow {
        MapFlow { item: item.into(), source: source.into(), share }
    }

    /// The heights of the bands at their left edge, by title.
    fn thickness(svg: &str, title: &str) -> f64 {
        let path = svg.split("<path d=\"").find(|p| p.contains(&format!("<title>{title}"))).unwrap();
        // "M x y C … x y L x y C … x y Z": it begins at the upper left and ends at the lower left.
        let numbers: Vec<f64> = path
            .split('"')
            .next()
            .unwrap()
            .split(|c: char| !(c.is_ascii_digit() || c == '.'))
            .filter_map(|n| n.parse().ok())
            .collect();
        numbers[numbers.len() - 1] - numbers[1]
    }

    #[test]
    fn a_band_is_as_wide_as_the_share_and_the_rest_stays_open() {
        let flows = [flow("gas", "CN", 0.5), flow("gas", "JP", 0.25), flow("resist", "JP", 1.0)];
        let svg = dependency_map("Korea", &flows);
        assert!((thickness(&svg, "gas from CN") - WHOLE * 0.5).abs() < 0.11);
        assert!((thickness(&svg, "gas from JP") - WHOLE * 0.25).abs() < 0.11);
        assert!((thickness(&svg, "resist from JP") - WHOLE).abs() < 0.11);
        // 1.25 of two items.
        assert!(svg.contains("JP <tspan") && svg.contains(">62 %<"), "{svg}");
    }

    #[test]
    fn what_is_no_share_is_left_out_and_too_much_is_scaled() {
        let flows =
            [flow("a", "CN", f64::NAN), flow("a", "JP", -1.0), flow("b", "CN", 3.0), flow("b", "JP", 1.0)];
        let svg = dependency_map("<x>", &flows);
        assert!(!svg.contains("a from") && svg.contains("b from CN: 75.0 %") && svg.contains("&lt;x&gt;"));
        assert!(dependency_map("nothing", &[]).ends_with("</svg>"));
    }

    #[test]
    fn more_than_can_be_read_is_left_out_and_said() {
        let flows: Vec<MapFlow> = (0..40)
            .map(|n| flow(&format!("item {n}"), &format!("S{n}"), 1.0 - 0.01 * f64::from(n)))
            .collect();
        let svg = dependency_map("many", &flows);
        assert!(
            svg.contains("24 of 40 shown") && svg.contains("item 23 from S23") && !svg.contains("item 24")
        );
        assert!(svg.contains(">other <") && svg.matches("<path").count() == 24);
    }
}
