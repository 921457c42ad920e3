//! Plots as SVG, with a title and a description for those who cannot see them.

use super::html::escape;
use super::ink::{self, BLUE, GRID, ORANGE, QUIET, RED};
use crate::month::Month;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 30.0;

/// The normal range of a month.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// Below it is an alarm.
    pub low: f64,
    /// The middle.
    pub middle: f64,
    /// Above it is an alarm.
    pub high: f64,
}

/// A month to be marked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// The month.
    pub month: Month,
    /// Whether it is out of line below; else above.
    pub below: bool,
}

/// A series over months.
#[derive(Clone, Copy, Debug)]
pub struct TimeSeries<'a> {
    /// Its title.
    pub title: &'a str,
    /// The unit of its values.
    pub unit: &'a str,
    /// The first month.
    pub first: Month,
    /// One place per month.
    pub values: &'a [Option<f64>],
    /// The normal range, from the first month on; may be empty.
    pub bands: &'a [Option<Band>],
    /// Months to be marked.
    pub marks: &'a [Mark],
}

impl TimeSeries<'_> {
    /// The plot.
    pub fn svg(&self) -> String {
        let tops = self.bands.iter().flatten().map(|b| b.middle * 1.3);
        let most = self.values.iter().flatten().copied().chain(tops).fold(0.0_f64, f64::max);
        let step = round_step(most.max(1e-9) / 4.0);
        let top = (most / step).ceil().max(1.0) * step;
        let count = self.values.len().max(2);
        let x = |t: usize| LEFT + (WIDTH - LEFT - RIGHT) * t as f64 / (count - 1) as f64;
        let y = |v: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - v.clamp(0.0, top) / top);
        let mut out = ink::open(WIDTH, HEIGHT, self.title, &self.description());
        out.push_str(&format!("<text x=\"{LEFT}\" y=\"18\" font-weight=\"600\">{}</text><text x=\"{}\" y=\"18\" text-anchor=\"end\" fill=\"{QUIET}\">{}</text>",
            escape(self.title),
            WIDTH - RIGHT,
            escape(self.unit)
        ));
        let mut at = 0.0;
        while at <= top * 1.0001 {
            out.push_str(&format!("<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{2:.1}\" y2=\"{2:.1}\" stroke=\"{GRID}\"/><text x=\"{3}\" y=\"{4:.1}\" text-anchor=\"end\" fill=\"{QUIET}\">{1}</text>",
                WIDTH - RIGHT,
                short(at),
                y(at),
                LEFT - 6.0,
                y(at) + 4.0
            ));
            at += step;
        }
        self.years(&mut out, &x);
        self.band(&mut out, &x, &y);
        let mut line = String::new();
        let mut pen_up = true;
        for (t, value) in self.values.iter().enumerate() {
            match value {
                Some(v) => {
                    line.push_str(&format!("{}{:.1} {:.1}", if pen_up { "M" } else { "L" }, x(t), y(*v)));
                    pen_up = false;
                }
                None => pen_up = true,
            }
        }
        out.push_str(&format!("<path d=\"{line}\" fill=\"none\" stroke=\"{BLUE}\" stroke-width=\"1.8\"/>"));
        for mark in self.marks {
            let Ok(t) = usize::try_from(mark.month.since(self.first)) else { continue };
            let Some(Some(value)) = self.values.get(t) else { continue };
            let colour = if mark.below { RED } else { ORANGE };
            out.push_str(&format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"><title>{}</title></circle>",
                x(t),
                y(*value),
                mark.month
            ));
        }
        out.push_str("</svg>");
        out
    }

    fn description(&self) -> String {
        let last = self.values.iter().flatten().last();
        let marked: Vec<String> = self.marks.iter().map(|m| m.month.to_string()).collect();
        let last = last.map_or(String::new(), |v| format!(" The last value is {}.", short(*v)));
        let alarms =
            if marked.is_empty() { String::new() } else { format!(" Alarms in {}.", marked.join(", ")) };
        format!("{} months from {}, {}.{last}{alarms}", self.values.len(), self.first, self.unit)
    }

    fn years(&self, out: &mut String, x: &impl Fn(usize) -> f64) {
        let years = self.values.len() / 12 + 1;
        let every = years.div_ceil(12).max(1);
        for t in 0..self.values.len() {
            let month = self.first.plus(i32::try_from(t).unwrap_or(0));
            if month.month() == 1 && usize::from(month.year()) % every == 0 {
                out.push_str(&format!(
                    "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"{QUIET}\">{}</text>",
                    x(t),
                    HEIGHT - 10.0,
                    month.year()
                ));
            }
        }
    }

    fn band(&self, out: &mut String, x: &impl Fn(usize) -> f64, y: &impl Fn(f64) -> f64) {
        let known: Vec<(usize, &Band)> =
            self.bands.iter().enumerate().filter_map(|(t, b)| Some((t, b.as_ref()?))).collect();
        if known.len() < 2 {
            return;
        }
        let points = |f: &dyn Fn(&Band) -> f64| -> Vec<String> {
            known.iter().map(|(t, b)| format!("{:.1},{:.1}", x(*t), y(f(b)))).collect()
        };
        let (high, mut low) = (points(&|b| b.high), points(&|b| b.low));
        low.reverse();
        out.push_str(&format!("<polygon points=\"{} {}\" fill=\"{BLUE}\" opacity=\"0.12\"/><polyline points=\"{}\" fill=\"none\" stroke=\"{BLUE}\" stroke-dasharray=\"4 4\" opacity=\"0.6\"/>",
            high.join(" "),
            low.join(" "),
            points(&|b| b.middle).join(" ")
        ));
    }
}

/// Bars, each with its label and value; a share of the largest is drawn.
pub fn bars(title: &str, unit: &str, items: &[(String, f64)]) -> String {
    let most = items.iter().map(|(_, v)| *v).fold(1e-12_f64, f64::max);
    let height = 40.0 + 22.0 * items.len() as f64;
    let told: Vec<String> =
        items.iter().map(|(label, value)| format!("{label}: {}", short(*value))).collect();
    let mut out = ink::open(WIDTH, height, title, &format!("{unit}. {}", told.join("; ")));
    out.push_str(&format!("<text x=\"0\" y=\"18\" font-weight=\"600\">{0}</text><text x=\"{WIDTH}\" y=\"18\" text-anchor=\"end\" fill=\"{QUIET}\">{1}</text>",
        escape(title),
        escape(unit)
    ));
    for (n, (label, value)) in items.iter().enumerate() {
        let y = 32.0 + 22.0 * n as f64;
        let width = 560.0 * (value / most).clamp(0.0, 1.0);
        out.push_str(&format!("<text x=\"230\" y=\"{0:.0}\" text-anchor=\"end\">{1}</text><rect x=\"240\" y=\"{2:.0}\" width=\"{width:.1}\" height=\"14\" fill=\"{BLUE}\"/><text x=\"{3:.0}\" y=\"{0:.0}\" fill=\"{QUIET}\">{4}</text>",
            y + 11.0,
            escape(label),
            y,
            248.0 + width,
            short(*value)
        ));
    }
    out.push_str("</svg>");
    out
}

/// A step of 1, 2 or 5 times a power of ten, at least as large.
pub(crate) fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= least).unwrap_or(10.0 * power)
}

/// A number in few characters.
pub fn short(value: f64) -> String {
    let trimmed = |v: f64, unit: &str| {
        let text = format!("{v:.2}");
        format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match value.abs() {
        v if v >= 1e9 => trimmed(value / 1e9, " bn"),
        v if v >= 1e6 => trimmed(value / 1e6, " M"),
        v if v >= 1e4 => trimmed(value / 1e3, " k"),
        v if v >= 1.0 || v == 0.0 => trimmed(value, ""),
        v if v >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_a_line_a_band_marks_and_a_description_and_gaps_stay_gaps() {
        let values = [Some(2.0), Some(3.0), None, Some(1.0)];
        let bands = [
            None,
            Some(Band { low: 1.0, middle: 2.0, high: 4.0 }),
            None,
            Some(Band { low: 1.5, middle: 2.0, high: 4.0 }),
        ];
        let first: Month = "2019-05".parse().unwrap();
        let marks = [Mark { month: first.plus(3), below: true }];
        let svg =
            TimeSeries { title: "HF <1>", unit: "kg", first, values: &values, bands: &bands, marks: &marks }
                .svg();
        assert!(svg.contains("<title>HF &lt;1&gt;</title>") && svg.contains("Alarms in 2019-08"));
        assert_eq!(
            svg.matches('M').count() - svg.matches(" M").count(),
            2,
            "two strokes around the gap: {svg}"
        );
        assert!(svg.contains("<circle") && svg.contains("<polygon"));
    }

    #[test]
    fn numbers_are_short() {
        for (v, text) in [
            (0.0, "0"),
            (12.5, "12.5"),
            (3_026_010.0, "3.03 M"),
            (52_000.0, "52 k"),
            (1.5e9, "1.5 bn"),
            (0.0123, "1.23e-2"),
            (0.4499, "0.450"),
        ] {
            assert_eq!(short(v), text);
        }
        assert_eq!((round_step(0.7), round_step(3.0), round_step(1.0)), (1.0, 5.0, 1.0));
    }
}
