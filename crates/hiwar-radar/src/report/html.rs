//! Pages that stand alone: no script, no font, no image from elsewhere.

/// A page being written.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    body: String,
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#1b1f24;background:#fff}h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.5rem}\
table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}\
th,td{border-bottom:1px solid #d8dee4;padding:.3rem .8rem;text-align:start;vertical-align:top}\
svg{width:100%;min-width:40rem;height:auto;margin:.5rem 0}.plot{overflow-x:auto}\
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,td{border-color:#30363d}}";

impl Page {
    /// A page with a title.
    pub fn new(title: &str) -> Self {
        Self { title: escape(title), body: String::new() }
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) {
        self.body.push_str(&format!("<h2>{}</h2>\n", escape(text)));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.body.push_str(&format!("<p>{}</p>\n", escape(text)));
    }

    /// A plot; on a narrow screen it is scrolled, not shrunk.
    pub fn plot(&mut self, svg: &str) {
        self.raw(&format!("<div class=\"plot\">{svg}</div>"));
    }

    /// Markup made here.
    pub fn raw(&mut self, markup: &str) {
        self.body.push_str(markup);
        self.body.push('\n');
    }

    /// The whole page.
    pub fn finish(self) -> String {
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{0}</title><style>{STYLE}{2}</style></head>\n<body><h1>{0}</h1>\n{1}</body></html>\n",
            self.title,
            self.body,
            super::ink::STYLE
        )
    }
}

/// Text as it stands in markup.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_cannot_become_markup() {
        let mut page = Page::new("<script>");
        page.paragraph("a & b <img src=x onerror=\"y\">");
        let text = page.finish();
        assert!(!text.contains("<script>") && !text.contains("<img"));
    }
}
