//! The index of the text: how texts and words are cut for it.

use hiwar_dataspace::catalog::Dataset;
use rusqlite::{Connection, TransactionBehavior, params};

/// Whether a character is of a script whose words no spaces part, or that hangs endings on its words
/// (Japanese, Chinese, Korean).
fn stands_alone(c: char) -> bool {
    matches!(u32::from(c),
        0x3041..=0x3096 | 0x30a1..=0x30fa | 0x30fc..=0x30ff | 0x31f0..=0x31ff // kana
        | 0x3005..=0x3007 | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff
        | 0xac00..=0xd7a3) // Hangul syllables
}

/// The article that Arabic writes onto its words.
const ARABIC_ARTICLE: &str = "\u{627}\u{644}";

/// A text as it goes into the index, and a word as it is looked for there. Each character of
/// Chinese, Japanese and Korean is a word of the index, so that a part of a text is found as a phrase;
/// Arabic words lose their article.
pub(super) fn segmented(text: &str) -> String {
    let mut parted = String::with_capacity(text.len() + text.len() / 2);
    let mut before: Option<char> = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let starts = before.is_none_or(|b| !b.is_alphanumeric());
        if starts
            && let Some(bare) = rest.strip_prefix(ARABIC_ARTICLE)
            && bare.chars().take_while(|c| c.is_alphanumeric()).count() >= 2
        {
            rest = bare;
            before = Some('\u{644}');
            continue;
        }
        if stands_alone(c) || before.is_some_and(stands_alone) {
            parted.push(' ');
        }
        parted.push(c);
        before = Some(c);
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    parted
}

/// What of a dataset goes into the index.
pub(super) fn words_of(dataset: &Dataset) -> String {
    let parts = [dataset.title.as_str(), dataset.description.as_deref().unwrap_or_default()];
    let words: Vec<&str> = parts.into_iter().chain(dataset.keywords.iter().map(String::as_str)).collect();
    segmented(&words.join("\n"))
}

/// Makes the index anew when it was made as an earlier version cut texts.
pub(super) fn reindex(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    let current: bool = connection.query_row("SELECT EXISTS (SELECT 1 FROM text_index)", [], |r| r.get(0))?;
    if current {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("INSERT INTO dataset_text (dataset_text) VALUES ('delete-all')", [])?;
    {
        let mut kept = transaction.prepare("SELECT number, body FROM dataset_content")?;
        let mut put = transaction.prepare("INSERT INTO dataset_text (rowid, words) VALUES (?1, ?2)")?;
        let mut rows = kept.query([])?;
        while let Some(row) = rows.next()? {
            let (number, body): (i64, String) = (row.get(0)?, row.get(1)?);
            // A damaged record is told of where it is used.
            if let Ok(dataset) = serde_json::from_str::<Dataset>(&body) {
                put.execute(params![number, words_of(&dataset)])?;
            }
        }
    }
    transaction.execute("INSERT INTO text_index (cut) VALUES (1)", [])?;
    transaction.commit()
}
