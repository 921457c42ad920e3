//! Receipts: the signed note and, after a separator, the item lines.

use hiwar_trust::key::KeyHolder as _;
use hiwar_trust::note::Note;
use hiwar_trust::receipt::{RECEIPT_ITEMS_MAX, ReceiptItem, SignedReceipt};

use super::{answered, text};
use crate::{join, parts, sample};

/// A receipt. What is read must be all that was signed: signing it again gives the same text.
pub fn receipt(data: &[u8]) {
    let [note, lines] = parts(data);
    let (Some(note), Some(lines)) = (text(note), text(lines)) else { return };
    let mut items = Vec::new();
    for line in lines.lines().take(RECEIPT_ITEMS_MAX + 1) {
        let read = line.parse::<ReceiptItem>();
        answered(&read);
        let Ok(item) = read else { return };
        assert_eq!(item.to_string(), line, "read and printed differently");
        items.push(item);
    }
    let note = format!("{note}\n");
    let read = SignedReceipt::parse(&note, items);
    answered(&read);
    let Ok(signed) = read else { return };
    assert!(signed.receipt.items.iter().all(|item| item.leaf < signed.receipt.log.size()));
    let again = signed.receipt.clone().sign(&sample::node_key(0));
    let text_of = |note: &str| Note::parse(note.as_bytes()).map(|note| note.text().to_owned());
    match again {
        Ok(again) => assert_eq!(text_of(&again.note), text_of(&note), "something signed was not read"),
        Err(error) => assert!(note.len() > 60_000, "it cannot be signed again: {error}"),
    }
    let verified = sample::DIRECTORY.get(&signed.receipt.issuer).map(|issuer| signed.verify(issuer).cloned());
    if let Some(verified) = &verified {
        answered(verified);
    }
    if let Some(Ok(key)) = verified {
        assert_eq!(&key, sample::node_key(0).public_key(), "verified under another key");
    }
}

/// Valid receipts.
pub fn receipt_seeds() -> Vec<Vec<u8>> {
    [0, 1, 2, 7]
        .map(|count| {
            let signed = sample::receipt(count);
            let items: Vec<String> = signed.receipt.items.iter().map(ToString::to_string).collect();
            join(&[signed.note.trim_end().as_bytes(), items.join("\n").as_bytes()])
        })
        .into()
}
