use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::structure::rules::{Limits, RulePack};
use crate::structure::sample::{COUNTRIES, Sample, country_code, product_code};

type Key = (u16, u16, u16, u32);
type Bought = Vec<(f64, Option<f64>)>;
type Rows = BTreeMap<Key, (u64, Option<u64>)>;

fn csv(rows: &[(&Key, &(u64, Option<u64>))], end: &str) -> String {
    let mut text = format!("t,i,j,k,v,q{end}");
    for ((t, i, j, k), (value, tonnes)) in rows {
        let tonnes = tonnes.map_or("NA".to_owned(), |q| format!("{}.{:03}", q / 1000, q % 1000));
        text += &format!("{t},{i},{j},{k:06},{}.{:03},{tonnes}{end}", value / 1000, value % 1000);
    }
    text
}

fn file(text: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("BACI.csv");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

/// The same question, asked with maps and without any haste.
fn naive(rows: &Rows, limits: &Limits) -> (Vec<YearTotals>, BTreeMap<(u32, u32), u16>) {
    let years: BTreeSet<u16> = rows.keys().map(|key| key.0).collect();
    let mut held: BTreeMap<(u32, u32), u16> = BTreeMap::new();
    let mut totals = Vec::new();
    for year in years {
        let mut imports: BTreeMap<(u16, u32), Bought> = BTreeMap::new();
        let mut exports: BTreeMap<(u32, u16), f64> = BTreeMap::new();
        let mut total = YearTotals { year, ..YearTotals::default() };
        for ((_, i, j, k), (value, tonnes)) in rows.iter().filter(|(key, _)| key.0 == year) {
            total.rows += 1;
            let value = *value as f64 / 1000.0;
            imports.entry((*j, *k)).or_default().push((value, tonnes.map(|q| q as f64 / 1000.0)));
            *exports.entry((*k, *i)).or_default() += value;
        }
        let hhi = |amounts: &[f64]| {
            let sum: f64 = amounts.iter().sum();
            (sum > 0.0).then(|| amounts.iter().map(|amount| (amount / sum).powi(2)).sum::<f64>())
        };
        for ((j, k), bought) in imports {
            let values: Vec<f64> = bought.iter().map(|one| one.0).collect();
            let weights: Vec<f64> = bought.iter().filter_map(|one| one.1).collect();
            let Some(import_hhi) = hhi(&values) else { continue };
            total.groups += 1;
            total.hhi_sum += import_hhi;
            if let Some(hhi) = hhi(&weights) {
                total.weight_groups += 1;
                total.hhi_weight_sum += hhi;
                total.c1_weight += u64::from(hhi > limits.geodep_import_hhi);
            }
            let world: Vec<f64> = exports.range((k, 0)..=(k, u16::MAX)).map(|(_, value)| *value).collect();
            let sold = exports.get(&(k, j)).copied().unwrap_or(0.0);
            let ratio = if sold > 0.0 { values.iter().sum::<f64>() / sold } else { 9999.0 };
            let c = [import_hhi > 0.4, hhi(&world).unwrap() > 0.4, ratio > 1.0];
            total.c1 += u64::from(c[0]);
            total.c2 += u64::from(c[1]);
            total.c3 += u64::from(c[2]);
            if c.iter().all(|holds| *holds) {
                total.all += 1;
                *held.entry((u32::from(j), k)).or_default() += 1;
            }
        }
        totals.push(total);
    }
    held.retain(|_, years| *years >= 2);
    (totals, held)
}

fn same(world: &World, rows: &Rows) {
    let (totals, held) = naive(rows, &RulePack::built_in().unwrap().limits);
    assert_eq!(world.years.len(), totals.len());
    for (ours, theirs) in world.years.iter().zip(&totals) {
        assert!(near(ours.hhi_sum, theirs.hhi_sum) && near(ours.hhi_weight_sum, theirs.hhi_weight_sum));
        let counts = |t: &YearTotals| {
            (t.year, t.rows, t.groups, t.weight_groups, t.c1, t.c1_weight, t.c2, t.c3, t.all)
        };
        assert_eq!(counts(ours), counts(theirs));
    }
    let ours: BTreeMap<(u32, u32), u16> =
        world.dependent.iter().map(|entry| ((entry.importer, entry.product), entry.years)).collect();
    assert_eq!(ours, held);
    assert!(world.dependent.is_sorted_by_key(|entry| (entry.importer, entry.product)));
}

fn rows() -> impl Strategy<Value = Rows> {
    let code = prop::sample::select(vec![4u16, 8, 36, 156, 410, 842]);
    let product = prop::sample::select(vec![10_121u32, 20_110, 281_111, 370_790, 999_999]);
    let key = (2020u16..2023, code.clone(), code, product);
    // Odd thousandths keep HHIs and ratios off the thresholds, where rounding would decide.
    let amount = prop_oneof![3 => 1u64..5_000_000_000, 1 => 1u64..2_000, 1 => Just(0)];
    prop::collection::btree_map(key, (amount.clone(), prop::option::weighted(0.9, amount)), 1..160)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_dense_table_says_what_maps_say(rows in rows(), order in any::<u64>(), workers in 1usize..4, dos in any::<bool>()) {
        let mut shuffled: Vec<_> = rows.iter().collect();
        if order % 2 == 0 {
            shuffled.sort_by_key(|(key, _)| (u64::from(key.1) * 31 + u64::from(key.3) * 17).wrapping_mul(order | 1));
        }
        let (_folder, path) = file(csv(&shuffled, if dos { "\r\n" } else { "\n" }).as_bytes());
        let trade = read(&[path], threads(workers)).unwrap();
        let pack = RulePack::built_in().unwrap();
        same(&dependencies(&trade, &pack, threads(workers)).unwrap(), &rows);
        for (t, _, j, k) in rows.keys() {
            let trade = trade.iter().find(|trade| trade.year() == *t).unwrap();
            let whole = rows.iter().filter(|(key, _)| (key.0, key.2, key.3) == (*t, *j, *k));
            let all_weighed = whole.clone().all(|(_, row)| row.1.is_some());
            let value: f64 = whole.map(|(_, row)| row.0 as f64 / 1000.0).sum();
            match trade.imports(u32::from(*j), *k) {
                Some(imports) => {
                    prop_assert!(near(imports.value, value));
                    prop_assert_eq!(imports.weight_is_whole, all_weighed);
                }
                None => prop_assert_eq!(value, 0.0),
            }
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_rows(bytes in prop::collection::vec(prop::sample::select(b"0123456789.,\nNA-\r\xff ".to_vec()), 0..300)) {
        let mut text = b"t,i,j,k,v,q\n".to_vec();
        text.extend(bytes);
        let (_folder, path) = file(&text);
        let _ = read(&[path], threads(2));
    }
}

/// Enough rows for several pieces, so that lines lie across their ends.
#[test]
fn threads_pieces_and_gzip_change_nothing() {
    let sample = Sample { products: 250, ..Sample::new(7, 600_000) };
    let mut text = Vec::new();
    let count = sample.write_csv(2021, &mut text).unwrap();
    assert!(text.len() > 2 << 23);
    let (folder, path) = file(&text);
    let packed = folder.path().join("packed");
    let mut gzip =
        flate2::write::GzEncoder::new(std::fs::File::create(&packed).unwrap(), flate2::Compression::fast());
    gzip.write_all(&text).unwrap();
    gzip.finish().unwrap();
    let one = read(std::slice::from_ref(&path), threads(1)).unwrap();
    assert_eq!(one[0].rows(), count);
    let share = one[0].rows_without_weight() as f64 / count as f64;
    assert!((0.018..0.022).contains(&share), "{share}");
    assert_eq!(read(std::slice::from_ref(&packed), threads(2)).unwrap(), one);
    let pack = RulePack::built_in().unwrap();
    let first = dependencies(&one, &pack, threads(1)).unwrap();
    let three = read(std::slice::from_ref(&path), threads(3)).unwrap();
    let second = dependencies(&three, &pack, threads(2)).unwrap();
    assert_eq!(first.years[0].all, second.years[0].all);
    assert!(near(first.years[0].hhi_sum, second.years[0].hhi_sum));
    let twice = read(&[path, packed], threads(1)).unwrap_err().to_string();
    assert!(twice.ends_with("the year 2021 is in another file too; give every year once"), "{twice}");
}

#[test]
fn columns_say_what_their_file_says() {
    let sample = Sample { products: 300, countries: 40, ..Sample::new(3, 40_000) };
    let (mut i, mut j, mut k, mut v, mut q) = (vec![], vec![], vec![], vec![], vec![]);
    let mut rows = Rows::new();
    let mut text = b"t,i,j,k,v,q\n".to_vec();
    sample
        .rows(2022, |row| {
            // Values that a float holds exactly, so that both ways see the same.
            let exact = |thousandths: u64| (thousandths / 1000) % (1 << 20) + 1;
            let value = exact(row.value_thousandths);
            let tonnes = row.tonnes_thousandths.map(exact);
            i.push(u8::try_from(row.exporter).unwrap());
            j.push(u8::try_from(row.importer).unwrap());
            k.push(row.product);
            v.push(value as f32);
            q.push(tonnes.map_or(f32::NAN, |tonnes| tonnes as f32));
            let key =
                (2022, country_code(row.exporter), country_code(row.importer), product_code(row.product));
            let tonnes_text = tonnes.map_or("NA".to_owned(), |tonnes| tonnes.to_string());
            text.extend(format!("2022,{},{},{},{value},{tonnes_text}\n", key.1, key.2, key.3).bytes());
            rows.insert(key, (value * 1000, tonnes.map(|tonnes| tonnes * 1000)));
            Ok::<(), ()>(())
        })
        .unwrap();
    let countries: Vec<u16> = (0..COUNTRIES).map(country_code).collect();
    let products: Vec<u32> = (0..5018).map(product_code).collect();
    let columns = Columns {
        year: 2022,
        countries: &countries,
        products: &products,
        exporter: &i,
        importer: &j,
        product: &k,
        value: &v,
        tonnes: &q,
    };
    let pack = RulePack::built_in().unwrap();
    let (_folder, path) = file(&text);
    let from_file = dependencies(&read(&[path], threads(2)).unwrap(), &pack, threads(2)).unwrap();
    let from_columns = dependencies(&[columns.sum(threads(2)).unwrap()], &pack, threads(1)).unwrap();
    same(&from_file, &rows);
    same(&from_columns, &rows);
    for count in [1, 3, 64] {
        assert_eq!(columns.sum(threads(count)).unwrap(), columns.sum(threads(2)).unwrap(), "{count} threads");
    }
    // In another order there are no runs of one importer.
    let mut order: Vec<usize> = (0..v.len()).collect();
    order.sort_by_key(|at| (at * 7919) % v.len());
    let (i2, j2): (Vec<u8>, Vec<u8>) = order.iter().map(|at| (i[*at], j[*at])).unzip();
    let k2: Vec<u16> = order.iter().map(|at| k[*at]).collect();
    let (v2, q2): (Vec<f32>, Vec<f32>) = order.iter().map(|at| (v[*at], q[*at])).unzip();
    let mixed = Columns { exporter: &i2, importer: &j2, product: &k2, value: &v2, tonnes: &q2, ..columns };
    assert!(Runs::of(columns.importer).is_some() && Runs::of(mixed.importer).is_none());
    same(&dependencies(&[mixed.sum(threads(2)).unwrap()], &pack, threads(2)).unwrap(), &rows);
    let short = Columns { tonnes: &q[1..], ..columns };
    assert!(short.sum(threads(1)).unwrap_err().to_string().contains("one length"));
    let few = Columns { products: &products[..10], ..columns };
    assert!(few.sum(threads(1)).unwrap_err().to_string().contains("beyond the codes"));
}

#[test]
fn errors_say_file_line_and_field() {
    let line = "2020,4,8,281111,1.5,2\n";
    for (text, said) in [
        (
            format!("t,i,j,k,v,q\n{line}2020,4,8,28111x,1,2\n{line}"),
            "line 3, field k: not a code of 1 to 6 digits: \"28111x\"",
        ),
        (
            format!("t,i,j,k,v,q\n{}2020,4,8,281111,NA,2", line.repeat(500)),
            "line 502, field v: not a decimal such as 12.345: \"NA\"",
        ),
        (format!("t,i,j,k,v,q\n{line}2020,4,8,281111\n"), "line 3, field v: the line ends before this field"),
        (format!("i,j,k,t,v,q\n{line}"), "the first line must be \"t,i,j,k,v,q\", not \"i,j,k,t,v,q\""),
        (String::new(), "the first line must be"),
        (
            format!("t,i,j,k,v,q\n{line}{}", "1".repeat(1 << 20)),
            "line 3, field q: the line does not end within 4,096 bytes",
        ),
        (
            (0..9)
                .map(|t| format!("{},4,8,1,1,1\n", 2000 + t))
                .fold("t,i,j,k,v,q\n".to_owned(), |a, b| a + &b),
            "line 10: more than 8 years in one file",
        ),
    ] {
        let (_folder, path) = file(text.as_bytes());
        let error = read(std::slice::from_ref(&path), threads(2)).unwrap_err().to_string();
        assert!(error.starts_with(&path.display().to_string()) && error.contains(said), "{error}");
    }
    let missing = read(&["no/such/file".into()], threads(1)).unwrap_err().to_string();
    assert!(missing.starts_with("no/such/file: "), "{missing}");
    assert!(dependencies(&[], &RulePack::built_in().unwrap(), threads(1)).is_err());
    let (_folder, path) = file(format!("t,i,j,k,v,q\r\n\n{line}\n").as_bytes());
    assert_eq!(read(&[path], threads(2)).unwrap()[0].rows(), 1);
}
