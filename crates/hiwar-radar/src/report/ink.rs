//! What all drawings share: colours that follow the page from light to dark, and text that fits its place.

use super::html::escape;

/// Text and thin lines that are not the matter. On a page its style says how these look, alone the second value holds.
pub(crate) const QUIET: &str = "var(--quiet,#57606a)";
/// Lines of a grid.
pub(crate) const GRID: &str = "var(--grid,#d8dee4)";
/// What lies behind a drawing.
pub(crate) const PAPER: &str = "var(--paper,#fff)";
/// The matter itself.
pub(crate) const BLUE: &str = "var(--blue,#0969da)";
/// A loss, an alarm below.
pub(crate) const RED: &str = "var(--red,#cf222e)";
/// An alarm above, a loss in the other direction.
pub(crate) const ORANGE: &str = "var(--orange,#bc4c00)";

/// How these look on a page, in light and in dark.
pub(crate) const STYLE: &str = "svg{--ink:#1b1f24;--quiet:#57606a;--grid:#d8dee4;--paper:#fff;--blue:#0969da;\
--red:#cf222e;--orange:#bc4c00;--green:#1a7f37}\
@media(prefers-color-scheme:dark){svg{--ink:#e6edf3;--quiet:#9198a1;--grid:#30363d;--paper:#0d1117;--blue:#4493f8;\
--red:#f85149;--orange:#f0883e;--green:#3fb950}}";

/// Colours that people with any of the usual colour blindnesses tell apart (M. Okabe, K. Ito 2008), without black,
/// which is lost in the dark, and yellow, which is lost in the light.
const RANKS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];

/// The colour of one of several things, by rank from 0; they come again after six.
pub(crate) fn of_rank(rank: usize) -> &'static str {
    RANKS.get(rank % RANKS.len()).copied().unwrap_or(QUIET)
}

/// The beginning of a drawing, with a title and a description for those who cannot see it.
pub(crate) fn open(width: f64, height: f64, title: &str, description: &str) -> String {
    // A drawing that is meant for narrow screens does not have to be scrolled there, nor blown up on wide ones; a very
    // wide one is scrolled rather than shrunk.
    let style = match width {
        w if w < 600.0 => format!(" style=\"min-width:0;max-width:{}px\"", w * 1.4),
        w if w > 960.0 => format!(" style=\"min-width:{}px\"", w * 0.9),
        _ => String::new(),
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height:.0}\" role=\"img\"{style} \
         font-family=\"system-ui,sans-serif\" font-size=\"13\" fill=\"var(--ink,#1b1f24)\">\
         <title>{}</title><desc>{}</desc>",
        escape(title),
        escape(description)
    )
}

/// The width of a character in a text of average ones; those of East Asia are twice as wide.
fn width(c: char) -> f64 {
    match u32::from(c) {
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60 => 1.9,
        _ => 1.0,
    }
}

/// A text cut to as many average characters, with an ellipsis where something is missing.
pub(crate) fn fitting(text: &str, widest: f64) -> String {
    if text.chars().map(width).sum::<f64>() <= widest {
        return text.to_owned();
    }
    let mut used = 1.0;
    let fits = |c: &char| {
        used += width(*c);
        used <= widest
    };
    let cut: String = text.chars().take_while(fits).collect();
    format!("{}…", cut.trim_end())
}

/// A band from the left to the right: the path around it, beginning at the upper left and ending at the lower left.
pub(crate) fn ribbon(left: (f64, f64), right: (f64, f64), thick: f64) -> String {
    let middle = (left.0 + right.0) / 2.0;
    format!(
        "M{:.1} {:.1}C{middle:.1} {:.1} {middle:.1} {:.1} {:.1} {:.1}L{:.1} {:.1}C{middle:.1} {:.1} {middle:.1} {:.1} {:.1} {:.1}Z",
        left.0,
        left.1,
        left.1,
        right.1,
        right.0,
        right.1,
        right.0,
        right.1 + thick,
        right.1 + thick,
        left.1 + thick,
        left.0,
        left.1 + thick
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_to_its_place_and_wide_characters_count_twice() {
        assert_eq!(fitting("wafers", 6.0), "wafers");
        assert_eq!(fitting("silicon wafers", 8.0), "silicon…");
        assert_eq!(fitting("불화수소 플루오르화 수소", 8.0), "불화수…");
    }
}
