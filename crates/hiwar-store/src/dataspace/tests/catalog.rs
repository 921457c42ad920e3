use serde_json::json;

use super::*;

#[test]
fn a_page_shows_what_was_put() {
    let root = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(root.path()).unwrap();
    put(&mut store, 0..100);
    let page = store.view().page(&filter(json!(["hydrogen"])), Policies::All, None, 5).unwrap();
    assert_eq!(page.rendered.len(), 5);
    assert!(page.next.is_some());
}
