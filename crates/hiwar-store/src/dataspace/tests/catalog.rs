use std::collections::{BTreeMap, BTreeSet};

use hiwar_dataspace::catalog::{Condition, Field, Test};
use serde_json::{Value, json};

use super::*;
use crate::dataspace::catalog::{Breadth, Search, Span};

const DATASETS: u64 = 2000;

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

/// The filter as its documentation describes it, without a database.
fn holds(dataset: &Dataset, condition: &Condition) -> bool {
    let texts: Vec<&str> = match condition.field {
        Field::Id => vec![&dataset.id],
        Field::Title => vec![&dataset.title],
        Field::Keyword => dataset.keywords.iter().map(String::as_str).collect(),
        Field::Format => dataset.formats.iter().map(String::as_str).collect(),
        Field::Text => {
            let keywords = dataset.keywords.iter().map(String::as_str);
            [dataset.title.as_str(), dataset.description.as_deref().unwrap_or("")]
                .into_iter()
                .chain(keywords)
                .collect()
        }
    };
    match &condition.test {
        Test::In(values) => texts.iter().any(|t| values.iter().any(|v| v == t)),
        Test::StartsWith(start) => texts.iter().any(|t| t.starts_with(start.as_str())),
        Test::Words(wanted) => {
            let found: BTreeSet<String> = texts.into_iter().flat_map(words).collect();
            wanted.iter().all(|w| found.contains(w))
        }
    }
}

fn conditions() -> Vec<Value> {
    let many: Vec<String> = (0..200).map(|n| dataset(n * 9).id).collect();
    vec![
        json!({"field": "id", "value": dataset(17).id}),
        json!({"field": "id", "operator": "in", "value": many}),
        json!({"field": "id", "operator": "in", "value": []}),
        json!({"field": "id", "operator": "startsWith", "value": "urn:data:1"}),
        json!({"field": "id", "operator": "startsWith", "value": ""}),
        json!({"field": "title", "value": dataset(8).title}),
        json!({"field": "title", "operator": "in", "value": [dataset(8).title, dataset(9).title, "%"]}),
        json!({"field": "title", "operator": "startsWith", "value": "Gr"}),
        json!({"field": "title", "operator": "startsWith", "value": "半導"}),
        json!({"field": "title", "operator": "startsWith", "value": "h%"}),
        json!({"field": "keyword", "value": "hs:0042"}),
        json!({"field": "keyword", "value": "hs:0042' OR 1=1 --"}),
        json!({"field": "keyword", "operator": "in", "value": ["hs:0001", "hs:0042", "hs:0100"]}),
        json!({"field": "keyword", "operator": "startsWith", "value": "hs:01"}),
        json!({"field": "format", "value": PUSH}),
        json!({"field": "format", "operator": "in", "value": [PULL, PUSH]}),
        json!({"field": "format", "operator": "startsWith", "value": "HttpData"}),
        json!("hydrogen"),
        json!("HYDROGEN report"),
        json!("größe"),
        json!("半導体"),
        json!("NOT near"),
        json!("near \"wafer\" OR fluoride* AND -"),
        json!("hydro"),
        json!("..."),
    ]
}

fn id(rendered: &str) -> String {
    let value: Value = serde_json::from_str(rendered).unwrap();
    value["@id"].as_str().unwrap().to_owned()
}

fn ids(page: &Page) -> Vec<String> {
    page.rendered.iter().map(|text| id(text)).collect()
}

fn all_pages(reader: &DataspaceReader, filter: &Filter, policies: Policies<'_>, limit: usize) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = reader.page(filter, policies, after, limit).unwrap();
        assert!(page.rendered.len() <= limit);
        found.extend(ids(&page));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

/// What a filter finds when all of its conditions are taken to find many datasets, or few.
fn ids_as_if(reader: &DataspaceReader, filter: &Filter, policies: Policies<'_>, broad: bool) -> Vec<String> {
    let breadth = Breadth { words: broad, conditions: vec![broad; filter.conditions.len()] };
    let ids = |span| {
        let (sql, values) = Search::new(filter, policies, Some(span), &breadth).page(5000);
        let sql = format!("SELECT f.rendered FROM ({sql}) f");
        let rows: Vec<String> =
            reader.rows(&sql, rusqlite::params_from_iter(values), |row| row.get(0)).unwrap();
        rows.iter().map(|rendered| id(rendered)).collect::<Vec<_>>()
    };
    let all = ids(Span::After(0));
    let (mut parts, later) = (ids(Span::UpTo(700)), ids(Span::After(700)));
    parts.extend(later);
    assert_eq!(parts, all);
    all
}

#[test]
fn text_without_spaces_is_found_by_its_parts() {
    let root = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(root.path()).unwrap();
    let titles = [
        "半導体製造装置の輸出統計2019年",
        "반도체 수출은 2019년에 줄었다",
        "البيانات الجمركية",
        "フッ化水素",
        "hydrogen fluoride",
    ];
    for (number, title) in (0..).zip(titles) {
        let made = Dataset { title: title.into(), description: None, keywords: vec![], ..dataset(number) };
        let rendered = made.to_json("service").to_string();
        store.job(|tx| tx.put_dataset(&made, &rendered, &key(1), "{}")).unwrap();
    }
    store.commit().unwrap();
    let found = |store: &DataspaceStore, words: &str| {
        let page = store.view().page(&filter(json!([words])), Policies::All, None, 9).unwrap();
        let all = page.rendered.iter().map(|r| serde_json::from_str::<Value>(r).unwrap());
        all.map(|d| titles.iter().position(|t| d["title"] == *t).unwrap()).collect::<Vec<_>>()
    };
    let check = |store: &DataspaceStore| {
        for (words, expected) in [
            ("輸出", vec![0]),
            ("輸出統計", vec![0]),
            ("統計 半導体", vec![0]),
            ("統計輸出", vec![]),
            ("2019", vec![0, 1]),
            ("수출", vec![1]),
            ("بيانات", vec![2]),
            ("البيانات", vec![2]),
            ("水素", vec![3]),
            ("水", vec![3]),
            ("hydro", vec![]),
            ("hydrogen", vec![4]),
        ] {
            assert_eq!(found(store, words), expected, "{words}");
        }
    };
    check(&store);
    // A file of the version before is read anew.
    store
        .view()
        .connection
        .execute_batch(
            "DELETE FROM text_index; INSERT INTO dataset_text (dataset_text) VALUES ('delete-all')",
        )
        .unwrap();
    assert_eq!(found(&store, "hydrogen"), [0_usize; 0]);
    drop(store);
    check(&DataspaceStore::open(root.path()).unwrap());
}

#[test]
fn a_filter_finds_what_a_plain_search_through_all_datasets_finds() {
    let root = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(root.path()).unwrap();
    put(&mut store, 0..DATASETS);
    let reader = DataspaceReader::open(root.path()).unwrap();
    let everything: Vec<Dataset> = (0..DATASETS).map(dataset).collect();
    let one: Vec<Value> = conditions();
    let mut filters: Vec<Vec<Value>> = vec![vec![]];
    for (at, first) in one.iter().enumerate() {
        filters.push(vec![first.clone()]);
        filters.extend(one.iter().skip(at).map(|second| vec![first.clone(), second.clone()]));
    }
    filters.push(one.iter().skip(15).take(4).cloned().collect());
    let allowed = [key(1), key(2), "no such key".to_owned()];
    let mut found_something = 0;
    for conditions in filters {
        let filter = Filter::read(&conditions).unwrap();
        for policies in [Policies::All, Policies::These(&allowed), Policies::These(&[])] {
            let permitted = |number: usize| match policies {
                Policies::All => true,
                Policies::These(keys) => keys.contains(&key(u64::try_from(number).unwrap())),
            };
            let expected: Vec<String> = everything
                .iter()
                .enumerate()
                .filter(|(number, d)| permitted(*number) && filter.conditions.iter().all(|c| holds(d, c)))
                .map(|(_, d)| d.id.clone())
                .collect();
            found_something += usize::from(!expected.is_empty());
            assert_eq!(all_pages(&reader, &filter, policies, 700), expected, "{conditions:?} {policies:?}");
            let count = usize::try_from(reader.count(&filter, policies).unwrap()).unwrap();
            assert_eq!(count, expected.len(), "{conditions:?}");
            for broad in [false, true] {
                let ids = ids_as_if(&reader, &filter, policies, broad);
                assert_eq!(ids, expected, "{conditions:?} {policies:?}, broad: {broad}");
            }
        }
    }
    assert!(found_something > 200, "{found_something}");
}

#[test]
fn pages_lead_forward_and_back_over_the_same_datasets() {
    let root = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(root.path()).unwrap();
    put(&mut store, 0..200);
    let keys = [key(0), key(1)];
    for text in [
        json!([]),
        json!(["hydrogen"]),
        json!([{"field": "keyword", "operator": "startsWith", "value": "hs:00"}]),
        json!([{"field": "id", "operator": "startsWith", "value": "urn"}]),
    ] {
        let (filter, policies) = (filter(text), Policies::These(&keys));
        let page = |after| store.view().page(&filter, policies, after, 7).unwrap();
        let mut pages = vec![page(None)];
        while let Some(after) = pages.last().unwrap().next {
            pages.push(page(Some(after)));
        }
        assert!(pages.len() > 2 && pages[0].previous.is_none());
        let mut back = vec![pages.last().unwrap().clone()];
        while let Some(after) = back.last().unwrap().previous {
            back.push(page(Some(after)));
        }
        back.reverse();
        let texts = |pages: &[Page]| pages.iter().map(ids).collect::<Vec<_>>();
        assert_eq!(texts(&pages), texts(&back));
    }
}

#[test]
fn paging_shows_each_dataset_once_while_others_come_and_go() {
    let root = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(root.path()).unwrap();
    put(&mut store, 0..300);
    let reader = DataspaceReader::open(root.path()).unwrap();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut removed = BTreeSet::new();
    let (mut after, mut round) = (None, 0_u64);
    loop {
        let page = reader.page(&Filter::default(), Policies::All, after, 7).unwrap();
        for id in ids(&page) {
            *seen.entry(id).or_default() += 1;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
        // One goes that was shown or will be, the newest goes, one comes, and one is put anew.
        let gone = [dataset(round * 11 % 300).id, dataset(1000 + round - round.min(1)).id];
        for id in gone {
            store.job(|tx| tx.remove_dataset(&id)).unwrap();
            removed.insert(id);
        }
        if round < 50 {
            put(&mut store, [1000 + round]);
        }
        let again = dataset(round * 11 % 300 + 1);
        if !removed.contains(&again.id) {
            put(&mut store, [round * 11 % 300 + 1]);
        }
        store.commit().unwrap();
        round += 1;
    }
    assert!(round > 30 && seen.values().all(|times| *times == 1), "{round} {seen:?}");
    for number in 0..300 {
        let id = dataset(number).id;
        assert!(removed.contains(&id) || seen.contains_key(&id), "{id}");
    }
}

#[test]
fn terms_that_no_dataset_has_any_more_leave() {
    let root = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(root.path()).unwrap();
    put(&mut store, 0..6);
    let keys = |store: &DataspaceStore| -> Vec<String> {
        store.view().policies().unwrap().into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys(&store), [key(0), key(1), key(2)]);
    let (_, offer) = store.view().policies().unwrap().remove(1);
    assert_eq!(serde_json::from_str::<Offer>(&offer).unwrap(), dataset(1).offer);
    for number in [0, 3] {
        assert!(store.job(|tx| tx.remove_dataset(&dataset(number).id)).unwrap());
        assert!(!store.job(|tx| tx.remove_dataset(&dataset(number).id)).unwrap());
    }
    assert_eq!(keys(&store), [key(1), key(2)]);
    // Put anew under other terms, in words that were not there before.
    let changed = Dataset { title: "Entirely new".into(), keywords: vec![], ..dataset(1) };
    store.job(|tx| tx.put_dataset(&changed, "{\"@id\": \"new\"}", "other", "{\"path\":\"y\"}")).unwrap();
    let find = |text| ids(&store.view().page(&filter(json!([text])), Policies::All, None, 9).unwrap());
    assert_eq!(find("entirely"), ["new"]);
    assert!(!find("fluoride").contains(&"new".to_owned()));
    assert_eq!(store.view().source(&changed.id).unwrap().as_deref(), Some("{\"path\":\"y\"}"));
    assert_eq!(store.view().source(&dataset(0).id).unwrap(), None);
}

/// How SQLite will find a page.
fn plan(reader: &DataspaceReader, filter: &Filter, policies: Policies<'_>, span: Span) -> String {
    let (sql, values) = Search::new(filter, policies, Some(span), &Breadth::default()).page(50);
    let steps: Vec<String> = reader
        .rows(&format!("EXPLAIN QUERY PLAN {sql}"), rusqlite::params_from_iter(values), |row| row.get(3))
        .unwrap();
    steps.join("\n")
}

#[test]
fn every_page_is_found_through_an_index() {
    let root = tempfile::tempdir().unwrap();
    let store = DataspaceStore::open(root.path()).unwrap();
    let allowed = [key(1)];
    let first = conditions();
    let scans = |plan: &str| {
        plan.lines().any(|l| {
            l.starts_with("SCAN") && !l.contains("VIRTUAL") && !l.contains("SCAN k") && !l.contains("SCAN p")
        })
    };
    for condition in first {
        let filter = filter(json!([condition]));
        for span in [Span::After(7), Span::UpTo(7)] {
            for policies in [Policies::All, Policies::These(&allowed)] {
                let plan = plan(store.view(), &filter, policies, span);
                assert!(!scans(&plan), "{condition}:\n{plan}");
            }
        }
    }
    for (condition, index) in [
        (json!({"field": "id", "value": "a"}), "SEARCH d USING INDEX sqlite_autoindex_dataset_1 (id=?)"),
        (json!({"field": "id", "operator": "in", "value": ["a", "b"]}), "sqlite_autoindex_dataset_1 (id=?)"),
        (
            json!({"field": "id", "operator": "startsWith", "value": "a"}),
            "sqlite_autoindex_dataset_1 (id>? AND id<?)",
        ),
        (json!({"field": "title", "value": "a"}), "dataset_title (title=?)"),
        (
            json!({"field": "title", "operator": "startsWith", "value": "a"}),
            "dataset_title (title>? AND title<?)",
        ),
        (json!({"field": "keyword", "value": "a"}), "SEARCH k USING PRIMARY KEY (keyword=? AND dataset>?)"),
        (
            json!({"field": "keyword", "operator": "in", "value": ["a", "b"]}),
            "SEARCH dataset_keyword USING PRIMARY KEY (keyword=?",
        ),
        (
            json!({"field": "keyword", "operator": "startsWith", "value": "a"}),
            "SEARCH dataset_keyword USING PRIMARY KEY (keyword>? AND keyword<?)",
        ),
        (json!("word"), "SCAN dataset_text VIRTUAL TABLE INDEX"),
        (json!({"field": "format", "value": "a"}), "SEARCH d USING INTEGER PRIMARY KEY (rowid>?)"),
    ] {
        let plan = plan(store.view(), &filter(json!([condition])), Policies::These(&allowed), Span::After(7));
        assert!(plan.contains(index), "{condition}:\n{plan}");
    }
}

#[test]
fn a_page_of_many_datasets_is_read_in_their_order_and_not_sorted() {
    let root = tempfile::tempdir().unwrap();
    let store = DataspaceStore::open(root.path()).unwrap();
    for condition in [
        json!({"field": "keyword", "operator": "startsWith", "value": "a"}),
        json!({"field": "keyword", "operator": "in", "value": ["a", "b"]}),
        json!({"field": "title", "operator": "startsWith", "value": "a"}),
    ] {
        let filter = filter(json!([condition]));
        let breadth = Breadth { words: true, conditions: vec![true] };
        for span in [Span::After(7), Span::UpTo(7)] {
            let (sql, values) = Search::new(&filter, Policies::All, Some(span), &breadth).numbers(50);
            let sql = format!("EXPLAIN QUERY PLAN {sql}");
            let steps: Vec<String> =
                store.view().rows(&sql, rusqlite::params_from_iter(values), |row| row.get(3)).unwrap();
            assert!(!steps.iter().any(|s| s.contains("TEMP B-TREE")), "{condition}: {steps:?}");
        }
    }
}

#[test]
fn a_statement_is_kept_for_each_shape_of_filter_and_not_for_each_value() {
    let sql = |values: Value| {
        let filter = filter(json!([{"field": "keyword", "operator": "in", "value": values}, "two words"]));
        Search::new(&filter, Policies::All, Some(Span::After(0)), &Breadth::default()).page(9).0
    };
    assert_eq!(sql(json!(["a", "b"])), sql(json!(["c", "d", "e"])));
}

/// Measures pages of a large catalog: `cargo test --release -p hiwar-store large_catalog -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, for people to read"]
fn pages_of_a_large_catalog() {
    let root = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(root.path()).unwrap();
    let begun = std::time::Instant::now();
    put(&mut store, 0..100_000);
    println!("100,000 datasets put in {:.1?}", begun.elapsed());
    let reader = DataspaceReader::open(root.path()).unwrap();
    let allowed = [key(1), key(2)];
    let mut all: Vec<Vec<Value>> = conditions().into_iter().map(|c| vec![c]).collect();
    all.push(vec![]);
    all.push(vec![json!({"field": "keyword", "value": "hs:0043"})]);
    all.push(vec![json!("hydrogen"), json!({"field": "keyword", "value": "hs:0043"})]);
    for conditions in all {
        let filter = Filter::read(&conditions).unwrap();
        for after in [None, Some(50_000)] {
            let mut times: Vec<std::time::Duration> = Vec::new();
            let mut shown = 0;
            for _ in 0..21 {
                let begun = std::time::Instant::now();
                shown = reader.page(&filter, Policies::These(&allowed), after, 50).unwrap().rendered.len();
                times.push(begun.elapsed());
            }
            times.sort();
            let name: String = json!(conditions).to_string().chars().take(70).collect();
            println!(
                "{:>9.2?} median {:>9.2?} worst, {shown:>2} shown, after {after:?}: {name}",
                times[10], times[20]
            );
        }
    }
}
