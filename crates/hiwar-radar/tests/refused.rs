//! Bad files: refused with a word that helps, and the store is to the byte what it was.
#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use hiwar_radar::import::{ReadOptions, parse};
use hiwar_radar::store::{Options, Store};
use tempfile::TempDir;

const KCS: &str = "hsk10,country,year,month,exp_usd,exp_kg,imp_usd,imp_kg\n\
                   2811111000,Japan,2019,6,0,0,5000,3026000\n";
const PLAIN: &str = "period,reporter,partner,item,flow,value,unit\n2019-07,KR,JP,2811,import,1,USD\n";

fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(text).unwrap();
    gz.finish().unwrap()
}

/// Rows that do not compress to nothing.
fn long() -> Vec<u8> {
    let row =
        |n: u32| format!("2811111000,Japan,{},{},{n},{},7,8\n", 2001 + n / 12, n % 12 + 1, n * 7919 % 1000);
    (KCS.to_owned() + &(0..200).map(row).collect::<String>()).into_bytes()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

fn cut(bytes: Vec<u8>) -> Vec<u8> {
    let length = bytes.len() * 2 / 3;
    bytes.into_iter().take(length).collect()
}

#[test]
fn a_refused_import_leaves_the_store_as_it_was() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let options = Options::received("2022-02-01".parse().unwrap());
    let good = dir.path().join("good.csv");
    fs::write(&good, KCS).unwrap();
    store.import(std::slice::from_ref(&good), &options).unwrap();
    let before = contents(&dir.path().join("store"));

    let euc = encoding_rs::EUC_KR.encode("2811111000,일본국,2019,7,0,0,1,1\n").0.into_owned();
    let utf8 = "2811111000,日本国日本国,2019,7,0,0,1,1\n";
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(KCS.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let again = KCS.lines().last().unwrap();
    let text = |text: String| text.into_bytes();
    let bad: Vec<(&str, Vec<u8>, &str)> = vec![
        ("cut.csv.gz", cut(gzip(&long())), "the compressed data ends early"),
        ("cut.csv.zst", cut(zstd(&long())), "the compressed data ends early"),
        ("zip.csv.gz", b"PK\x03\x04\x14\x00\x00\x00".to_vec(), "unpack it"),
        ("semicolons.csv", text(KCS.replacen(',', ";", 7)), "the delimiter is taken to be"),
        ("points.csv", text(KCS.replace(',', ".")), "not a table this reader knows"),
        ("mixed.csv", [KCS.as_bytes(), utf8.as_bytes(), &euc].concat(), "line 4: not UTF-8"),
        ("half.csv", utf16[..utf16.len() - 1].to_vec(), "not UTF-16LE"),
        ("twice.csv", text(format!("{KCS}\u{feff}{KCS}")), "line 3"),
        ("negative.csv", text(KCS.replace("3026000", "-3026000")), "field imp_kg: \"-3026000\" is negative"),
        (
            "twin.csv",
            text(format!("{KCS}{}\n", again.replace("5000", "5001"))),
            "but other numbers; keep one",
        ),
        ("zeros.csv", text(KCS.replace("2811111000", "281111100")), "leading zeros were lost"),
        ("country.csv", text(KCS.replace("Japan", "Nippon")), "\"Nippon\" is no economy"),
        ("empty.csv", Vec::new(), "The file is empty"),
        ("cut.parquet", b"PAR1\x15\x04\x15\x20".to_vec(), "Parquet"),
    ];
    let mut cases: Vec<(PathBuf, &str)> = Vec::new();
    for (name, bytes, expected) in bad {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        cases.push((path, expected));
    }
    cases.push((dir.path().to_owned(), "It is a folder"));
    cases.push((dir.path().join("gone.csv"), "No such file"));
    // What a good file before it had is taken back too.
    let fresh = dir.path().join("fresh.csv");
    fs::write(&fresh, KCS.replace("2019,6", "2019,5")).unwrap();
    for (path, expected) in cases {
        let error = store.import(&[fresh.clone(), path.clone()], &options).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(&path.display().to_string()), "{path:?}: {error}");
        assert_eq!(contents(&dir.path().join("store")), before, "after {path:?}");
    }
}

#[test]
fn a_file_with_a_header_only_and_rows_that_repeat_are_no_fault() {
    let (report, records) =
        parse(KCS.lines().next().unwrap().as_bytes(), "t", &ReadOptions::default()).unwrap();
    assert_eq!((report.rows, records.len()), (0, 0));
    let dir = TempDir::new().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let twice = dir.path().join("twice.csv");
    fs::write(&twice, format!("{KCS}{}\n", KCS.lines().last().unwrap())).unwrap();
    let report = store.import(&[twice], &Options::received("2022-02-01".parse().unwrap())).unwrap();
    assert_eq!((report.rows, report.new, report.repeated), (2, 2, 2));
}

#[test]
fn codes_that_no_list_has_are_counted_and_kept_or_refused() {
    let table = format!(
        "{PLAIN}2019-07,KR,the moon,281111,import,1,USD\n2019-08,KR,the moon,289999,import,1,USD\n\
         2019-08,KR,JP,own-item,import,1,USD\n"
    );
    let (report, records) = parse(table.as_bytes(), "t", &ReadOptions::default()).unwrap();
    assert_eq!(records.len(), 4);
    assert_eq!(report.unlisted_codes().unwrap(), "unknown codes: 2, e.g. 289999, the moon, kept");
    assert_eq!(parse(PLAIN.as_bytes(), "t", &ReadOptions::default()).unwrap().0.unlisted_codes(), None);
    let strict = ReadOptions { strict_codes: true, ..ReadOptions::default() };
    let error = parse(table.as_bytes(), "t", &strict).unwrap_err().to_string();
    assert!(error.starts_with("t, line 3, field partner: \"the moon\" is in no list"), "{error}");
    assert!(parse(PLAIN.as_bytes(), "t", &strict).is_ok());
}

#[test]
fn text_in_two_encodings_is_refused_or_shown() {
    // Every byte of Korean text may be half a Japanese one: what cannot be refused is named.
    let japanese = PLAIN.replace(",JP,", ",その他の国,");
    let korean = "2019-08,KR,일본 기타,2811,import,1,USD\n";
    let sjis = encoding_rs::SHIFT_JIS.encode(&japanese).0;
    let euc = encoding_rs::EUC_KR.encode(korean).0;
    match parse(&[&*sjis, &*euc].concat(), "t", &ReadOptions::default()) {
        Err(error) => assert!(error.to_string().contains("line 3: not Shift_JIS"), "{error}"),
        Ok((report, _)) => assert!(report.unlisted.len() >= 2, "{:?}", report.unlisted),
    }
}

#[test]
fn the_old_layout_of_comtrade_is_read_and_its_zeros_put_back_when_asked() {
    let table = "Classification,Year,Period,Period Desc.,Aggregate Level,Is Leaf Code,Trade Flow Code,Trade Flow,\
        Reporter Code,Reporter,Reporter ISO,Partner Code,Partner,Partner ISO,2nd Partner Code,2nd Partner,\
        2nd Partner ISO,Customs Proc. Code,Customs,Mode of Transport Code,Mode of Transport,Commodity Code,Commodity,\
        Qty Unit Code,Qty Unit,Qty,Alt Qty Unit Code,Alt Qty Unit,Alt Qty,Netweight (kg),Gross weight (kg),\
        Trade Value (US$),CIF Trade Value (US$),FOB Trade Value (US$),Flag\n\
        HS,2018,2018,2018,6,1,1,Import,410,Rep. of Korea,KOR,392,Japan,JPN,,,,,,,,281111,Hydrogen fluoride,8,kg,5,,,,7,,9,,,0\n\
        HS,2019,201907,July 2019,6,1,2,Export,410,Rep. of Korea,KOR,392,Japan,JPN,,,,,,,,10121,Horses,5,items,2,,,,3,,4,,,0\n\
        HS,2019,201907,July 2019,0,0,3,Re-Export,410,Rep. of Korea,KOR,392,Japan,JPN,,,,,,,,10121,Horses,5,items,2,,,,3,,4,,,0\n";
    let error = parse(table.as_bytes(), "t", &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("line 3, field commodity code: \"10121\" has 5 digits where 6"), "{error}");
    let restoring = ReadOptions { restore_zeros: true, ..ReadOptions::default() };
    let (report, records) = parse(table.as_bytes(), "t", &restoring).unwrap();
    assert_eq!(
        (report.recognised.format.as_str(), records.len(), report.skipped.len()),
        ("comtrade-old", 2, 1)
    );
    let shown: Vec<String> =
        records.iter().map(|r| format!("{} {} {:?}", r.key, r.period, r.observation)).collect();
    assert_eq!(
        shown,
        [
            "281111 JP → KR (comtrade, KR) 2018 Observation { value: Some(9.0), kg: Some(7.0), quantity: Some(5.0) }",
            "010121 KR → JP (comtrade, KR) 2019-07 Observation { value: Some(4.0), kg: Some(3.0), quantity: Some(2.0) }",
        ]
    );
}
