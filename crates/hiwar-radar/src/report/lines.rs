//! Several quantities day by day.

use super::html::escape;
use super::ink::{self, GRID, QUIET, RED, fitting};
use super::plot::{round_step, short};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 302.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 56.0;

/// What is drawn, one value a day.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its name.
    pub label: String,
    /// From day 0 on.
    pub values: Vec<f64>,
}

/// Lines over days; the first is the main one.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines<'a> {
    /// The title.
    pub title: &'a str,
    /// The unit of all values.
    pub unit: &'a str,
    /// What the days count from.
    pub days: &'a str,
    /// The lines.
    pub lines: &'a [Line],
    /// Days to be marked along the axis: the first, the first one after, and why.
    pub marked: &'a [(usize, usize, String)],
}

impl Lines<'_> {
    /// The plot.
    pub fn svg(&self) -> String {
        let count = self.lines.iter().map(|l| l.values.len()).max().unwrap_or(0).max(2);
        let most = self.lines.iter().flat_map(|l| l.values.iter().copied()).fold(1e-9, f64::max);
        let step = round_step(most / 6.0);
        let top = (most / step).ceil() * step;
        let x = |t: usize| LEFT + (WIDTH - LEFT - RIGHT) * t as f64 / (count - 1) as f64;
        let y = |v: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - v.clamp(0.0, top) / top);
        let height = HEIGHT + 20.0 * self.lines.len().div_ceil(2) as f64;
        let mut out = ink::open(WIDTH, height, self.title, &self.description());
        out.push_str(&format!(
            "<text x=\"0\" y=\"18\" font-weight=\"600\">{}</text><text x=\"0\" y=\"40\" fill=\"{QUIET}\">{}</text>",
            escape(self.title),
            escape(self.unit)
        ));
        self.axes(&mut out, count, (step, top), (&x, &y));
        // The main line last, over the others.
        for (n, line) in self.lines.iter().enumerate().rev() {
            let points: Vec<String> =
                line.values.iter().enumerate().map(|(t, v)| format!("{:.1},{:.1}", x(t), y(*v))).collect();
            let (colour, thick) = stroke(n);
            out.push_str(&format!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{thick}\" \
                 stroke-linejoin=\"round\"><title>{}</title></polyline>",
                points.join(" "),
                escape(&line.label)
            ));
            let (at, low) = ((n % 2) as f64 * WIDTH / 2.0, HEIGHT + 20.0 * (n / 2) as f64);
            out.push_str(&format!(
                "<line x1=\"{:.0}\" x2=\"{:.0}\" y1=\"{low:.0}\" y2=\"{low:.0}\" stroke=\"{colour}\" \
                 stroke-width=\"{thick}\"/><text x=\"{:.0}\" y=\"{:.0}\">{}</text>",
                LEFT + at,
                LEFT + at + 22.0,
                LEFT + at + 28.0,
                low + 4.5,
                escape(&fitting(&line.label, 36.0))
            ));
        }
        out.push_str("</svg>");
        out
    }

    fn axes(
        &self,
        out: &mut String,
        count: usize,
        (step, top): (f64, f64),
        (x, y): (&dyn Fn(usize) -> f64, &dyn Fn(f64) -> f64),
    ) {
        let base = HEIGHT - BOTTOM;
        for (from, until, why) in self.marked {
            let (from, until) = (x((*from).min(count - 1)), x((*until).min(count - 1)));
            out.push_str(&format!(
                "<rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{RED}\" opacity=\"0.12\">\
                 <title>{}</title></rect>",
                (until - from).max(1.0),
                base - TOP,
                escape(why)
            ));
        }
        let mut at = 0.0;
        while at <= top * 1.0001 {
            out.push_str(&format!(
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{2:.1}\" y2=\"{2:.1}\" stroke=\"{GRID}\"/>\
                 <text x=\"{3}\" y=\"{4:.1}\" text-anchor=\"end\" fill=\"{QUIET}\">{1}</text>",
                WIDTH - RIGHT,
                short(at),
                y(at),
                LEFT - 6.0,
                y(at) + 4.5
            ));
            at += step;
        }
        let every = round_step((count - 1) as f64 / 8.0).max(1.0);
        for tick in (0..).map(|n| n as f64 * every).take_while(|t| *t <= (count - 1) as f64) {
            out.push_str(&format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"{QUIET}\">{tick:.0}</text>",
                LEFT + (WIDTH - LEFT - RIGHT) * tick / (count - 1) as f64,
                base + 17.0
            ));
        }
        out.push_str(&format!(
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"{QUIET}\">{}</text>",
            WIDTH - RIGHT,
            base + 34.0,
            escape(self.days)
        ));
    }

    fn description(&self) -> String {
        let told = self.lines.iter().map(|line| {
            let least = line.values.iter().copied().fold(f64::INFINITY, f64::min);
            let last = line.values.last().copied().unwrap_or(0.0);
            format!("{}: least {}, at the end {}", line.label, short(least), short(last))
        });
        format!("{}. {}", self.unit, told.collect::<Vec<_>>().join("; "))
    }
}

/// The colour and the thickness of a line.
fn stroke(n: usize) -> (&'static str, f64) {
    match n.checked_sub(1) {
        None => ("var(--ink,#1b1f24)", 3.0),
        Some(rank) => (ink::of_rank(rank), 1.8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_place_in_the_legend_and_the_outage_is_marked() {
        let line = |label: &str, values: &[f64]| Line { label: label.into(), values: values.to_vec() };
        let lines = [line("all", &[100.0, 50.0, 100.0]), line("<b>", &[100.0, 0.0, 120.0])];
        let marked = [(0, 2, "outage".to_owned())];
        let svg = Lines { title: "t", unit: "%", days: "days", lines: &lines, marked: &marked }.svg();
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("&lt;b&gt;: least 0, at the end 120") && svg.contains("<title>outage</title>"));
        // The axis reaches beyond the largest value, so that nothing is cut off.
        assert!(svg.contains(">150<") || svg.contains(">120<"), "{svg}");
    }
}
