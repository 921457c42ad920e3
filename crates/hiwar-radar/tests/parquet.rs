//! Parquet in and out: files of other programs, every encoding, every fault.
#![cfg(feature = "parquet")]
#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hiwar_radar::import::{FileReport, ImportError, ReadOptions, Record, WrongRows, parse, read_file};
use hiwar_radar::month::Month;
use hiwar_radar::report::records::Records;
use parquet::basic::{Compression, Encoding};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

const MADE: [&str; 3] = ["plain-pyarrow.parquet", "baci-polars.parquet", "kcs-duckdb.parquet"];

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/trade").join(path)
}

fn made(name: &str) -> Vec<u8> {
    std::fs::read(data("parquet").join(name)).unwrap()
}

fn get(bytes: &[u8]) -> (FileReport, Vec<Record>) {
    parse(bytes, "t.parquet", &ReadOptions::default()).unwrap()
}

fn fail(bytes: &[u8]) -> String {
    parse(bytes, "t.parquet", &ReadOptions::default()).unwrap_err().to_string()
}

/// Rows of the plain form, with prices that no float has exactly.
fn plain(rows: usize) -> Records {
    let all = || 0..rows;
    let month = |n: usize| Month::from_index(u16::try_from(2000 * 12 + n / 7 % 240).unwrap());
    let partners = ["JP", "CN", "US", "DE", "기타", "TW", "VN"];
    Records::default()
        .note("unit", "USD and kilograms")
        .text("period", all().map(month))
        .text("reporter", all().map(|_| "KR"))
        .text("partner", all().map(|n| partners[n % 7]))
        .text("item", all().map(|n| format!("28111{:05}", n / 1680)))
        .text("flow", all().map(|_| "import"))
        .number("value", all().map(|n| n as f64 * 0.1))
        .text("unit", all().map(|_| "USD"))
        .number("kg", all().map(|n| (n % 5 != 0).then_some(n as f64)))
        .text_if_any("released", all().map(|n| (n % 3 == 0).then_some("2023-01-15")))
        .flag("checked", all().map(|n| (n % 2 == 0).then_some(n % 4 == 0)))
        .count("rows", all().map(|n| (n > 3).then_some(u64::MAX - n as u64)))
}

#[test]
fn what_is_written_is_read_by_the_official_crate_with_types_nulls_and_notes() {
    let bytes = plain(5).parquet().unwrap();
    let file = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
    let about = file.metadata().file_metadata();
    let notes = about.key_value_metadata().unwrap();
    assert!(notes.iter().any(|n| n.key == "unit" && n.value.as_deref() == Some("USD and kilograms")));
    let rows: Vec<String> = file.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
    assert_eq!(
        rows[4],
        "{period: \"2000-01\", reporter: \"KR\", partner: \"기타\", item: \"2811100000\", flow: \"import\", \
         value: 0.4, unit: \"USD\", kg: 4.0, released: null, checked: true, rows: 18446744073709551611}"
    );
    assert!(rows[3].contains("checked: null, rows: null") && rows[0].contains("kg: null"), "{rows:?}");
}

#[test]
fn rows_come_back_as_from_a_csv_file() {
    let records = plain(5000);
    let (report, back) = get(&records.parquet().unwrap());
    let (from_text, expected) = get(records.csv().as_bytes());
    assert_eq!(back.len(), 5000);
    // Lines of a CSV file count its header.
    let same = |a: &Record, b: &Record| Record { line: b.line, ..a.clone() } == *b;
    assert!(back.iter().zip(&expected).all(|(a, b)| same(a, b)));
    assert_eq!((report.rows, &report.recognised.reporters), (5000, &from_text.recognised.reporters));
    let known = &report.recognised;
    assert_eq!(
        (known.format.as_str(), known.encoding.as_str(), known.compression.as_str()),
        ("plain", "Parquet", "snappy")
    );
    // None at all.
    let (report, none) = get(&plain(0).parquet().unwrap());
    assert_eq!((report.rows, none.len()), (0, 0));
}

#[test]
fn files_of_other_programs_are_read() {
    // pyarrow: dates for months, decimals, pages of version 2, zstd, two row groups, a column of lists.
    let (report, records) = get(&made("plain-pyarrow.parquet"));
    assert_eq!((report.rows, report.recognised.compression.as_str()), (24, "zstd"));
    let last = &records[23];
    assert_eq!(
        (last.period.to_string().as_str(), last.observation.value, last.observation.kg),
        ("2019-12", Some(23_000.25), Some(241.5))
    );
    assert_eq!(
        (records[3].observation.kg, last.released.unwrap().to_string().as_str()),
        (None, "2020-02-01")
    );
    assert_eq!((records[0].key.partner.as_ref(), last.key.partner.as_ref()), ("기타", "JP"));
    // polars: BACI with numbers for codes, gzip.
    let (report, records) = get(&made("baci-polars.parquet"));
    assert_eq!((report.recognised.format.as_str(), records.len()), ("baci", 6));
    assert_eq!(report.recognised.compression, "gzip");
    assert_eq!(records[0].key.to_string(), "281111 JP → KR (baci, KR)");
    assert_eq!((records[0].observation.value, records[0].observation.kg), (Some(8123.0), None));
    // DuckDB: the first 300 rows of Korea's file.
    let (report, records) = get(&made("kcs-duckdb.parquet"));
    assert_eq!((report.recognised.format.as_str(), report.rows), ("kcs-csv", 300));
    let mut rest = 600;
    let mut same = 0;
    let korea = data("kcs-korea/korea_trade_hsk10_monthly_2000_2021.csv");
    read_file(&korea, &ReadOptions::default(), &mut |record| {
        if let Some(read) = records.get(600 - rest).filter(|_| rest > 0) {
            same += usize::from(Record { line: record.line, ..read.clone() } == record);
            rest -= 1;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(same, 600);
}

/// A BACI table with every encoding and codec that the official crate writes.
fn baci(
    text: Encoding,
    number: Encoding,
    version: WriterVersion,
    codec: Compression,
    rows: usize,
) -> Vec<u8> {
    let schema = "message rows { required int32 t; optional int64 i; required binary j (UTF8); \
                  required binary k (UTF8); optional double v; optional float q; }";
    let mut properties = WriterProperties::builder()
        .set_writer_version(version)
        .set_compression(codec)
        .set_data_page_row_count_limit(1000)
        .set_write_batch_size(100)
        .set_dictionary_enabled(text == Encoding::RLE_DICTIONARY);
    if text != Encoding::RLE_DICTIONARY {
        for (column, encoding) in [("t", number), ("i", number), ("j", text), ("k", text)] {
            properties = properties.set_column_encoding(column.into(), encoding);
        }
        let split = if number == Encoding::PLAIN { Encoding::PLAIN } else { Encoding::BYTE_STREAM_SPLIT };
        properties = properties.set_column_encoding("v".into(), split).set_column_encoding("q".into(), split);
    }
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut out = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build())).unwrap();
    let mut group = out.next_row_group().unwrap();
    let present = |n: usize| i16::from(!n.is_multiple_of(7));
    let levels: Vec<i16> = (0..rows).map(present).collect();
    let there = || (0..rows).filter(|n| n % 7 != 0);
    let words = |word: &dyn Fn(usize) -> String| -> Vec<ByteArray> {
        (0..rows).map(|n| ByteArray::from(word(n).as_str())).collect()
    };
    let mut column = 0;
    while let Some(mut writer) = group.next_column().unwrap() {
        match (writer.untyped(), column) {
            (ColumnWriter::Int32ColumnWriter(w), _) => {
                let years: Vec<i32> = (0..rows).map(|n| 1995 + i32::try_from(n % 28).unwrap()).collect();
                w.write_batch(&years, None, None).unwrap();
            }
            (ColumnWriter::Int64ColumnWriter(w), _) => {
                let codes = [392, 156, 842, 490, 36];
                w.write_batch(
                    &(0..rows).map(|n| codes[n % 5]).collect::<Vec<_>>(),
                    Some(&vec![1; rows]),
                    None,
                )
                .unwrap();
            }
            (ColumnWriter::ByteArrayColumnWriter(w), 2) => {
                w.write_batch(&words(&|_| "410".to_owned()), None, None).unwrap();
            }
            (ColumnWriter::ByteArrayColumnWriter(w), _) => {
                w.write_batch(&words(&|n| format!("{:06}", 281_000 + n)), None, None).unwrap();
            }
            (ColumnWriter::DoubleColumnWriter(w), _) => {
                w.write_batch(&there().map(|n| n as f64 / 8.0).collect::<Vec<_>>(), Some(&levels), None)
                    .unwrap();
            }
            (ColumnWriter::FloatColumnWriter(w), _) => {
                w.write_batch(&there().map(|n| n as f32 / 4.0).collect::<Vec<_>>(), Some(&levels), None)
                    .unwrap();
            }
            _ => unreachable!(),
        }
        writer.close().unwrap();
        column += 1;
    }
    group.close().unwrap();
    out.into_inner().unwrap()
}

#[test]
fn every_encoding_and_codec_says_the_same() {
    let pairs = [
        (Encoding::PLAIN, Encoding::PLAIN),
        (Encoding::RLE_DICTIONARY, Encoding::RLE_DICTIONARY),
        (Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BINARY_PACKED),
        (Encoding::DELTA_BYTE_ARRAY, Encoding::BYTE_STREAM_SPLIT),
    ];
    for rows in [1, 33, 4321] {
        let expected = |n: usize, r: &Record| {
            let (value, kg) = (n as f64 / 8.0 * 1000.0, n as f64 / 4.0 * 1000.0);
            assert_eq!(r.key.item.as_ref(), format!("{:06}", 281_000 + n));
            assert_eq!(r.period.to_string(), (1995 + n % 28).to_string());
            assert_eq!(r.key.partner.as_ref(), ["JP", "CN", "US", "TW", "AU"][n % 5]);
            assert_eq!(r.observation.value, (!n.is_multiple_of(7)).then_some(value));
            assert_eq!(r.observation.kg, (!n.is_multiple_of(7)).then_some(kg));
        };
        for (text, number) in pairs {
            for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
                for codec in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
                    let (_, records) = get(&baci(text, number, version, codec, rows));
                    assert_eq!(records.len(), rows, "{text} {number} {version:?} {codec}");
                    records.iter().enumerate().for_each(|(n, r)| expected(n, r));
                }
            }
        }
    }
}

#[test]
fn a_wrong_cell_is_named_by_row_row_group_and_column() {
    let bad = |value: f64| plain(2).number("quantity", [1.0, value].into_iter()).parquet().unwrap();
    assert_eq!(
        fail(&bad(-2.0)),
        "t.parquet, row 2 (row group 1), column quantity: \"-2\" is negative; trade is not, so correct the row \
         or leave it out"
    );
    assert!(fail(&bad(f64::INFINITY)).contains("\"inf\" is not a number"));
    assert_eq!(get(&bad(f64::NAN)).1[1].observation.quantity, None);
    let skip = ReadOptions { wrong_rows: WrongRows::Skip, ..ReadOptions::default() };
    let (report, records) = parse(&bad(-2.0), "t.parquet", &skip).unwrap();
    assert_eq!((records.len(), report.skipped["wrong quantity"]), (1, 1));
    let other = Records::default().text("a", ["1"].iter()).parquet().unwrap();
    assert!(fail(&other).contains("It is Parquet, and its columns are: a. Known are Korea Customs"));
}

#[test]
fn cut_encrypted_and_foreign_files_are_refused() {
    for name in MADE {
        let whole = made(name);
        for length in 4..whole.len() {
            let error = parse(&whole[..length], name, &ReadOptions::default()).unwrap_err();
            assert!(matches!(error, ImportError::Parquet { .. }), "{name} cut to {length}: {error}");
        }
        let mut secret = whole.clone();
        secret.splice(whole.len() - 4.., *b"PARE");
        assert!(fail(&secret).contains("encrypted Parquet"), "{name}");
    }
    assert!(fail(b"PARE\x01\x02PARE").contains("encrypted Parquet"));
    assert!(fail(b"PAR1").contains("cut off"));
    // Within gzip its end cannot be looked at first.
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gz, &made(MADE[0])).unwrap();
    assert!(fail(&gz.finish().unwrap()).contains("name the Parquet file itself"));
}

#[test]
fn no_changed_byte_makes_it_panic_or_reserve_what_is_not_there() {
    let skip = ReadOptions { wrong_rows: WrongRows::Skip, ..ReadOptions::default() };
    let mut files: Vec<Vec<u8>> = MADE.iter().map(|name| made(name)).collect();
    for (text, number) in [
        (Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BINARY_PACKED),
        (Encoding::DELTA_BYTE_ARRAY, Encoding::BYTE_STREAM_SPLIT),
    ] {
        files.push(baci(text, number, WriterVersion::PARQUET_2_0, Compression::UNCOMPRESSED, 40));
    }
    for mut bytes in files {
        for at in 4..bytes.len() - 4 {
            let was = bytes[at];
            for new in [0xff, was ^ 1, was ^ 0x80] {
                bytes[at] = new;
                let _ = parse(&bytes, "t", &skip);
            }
            bytes[at] = was;
        }
    }
}
