//! Tables in, records out: every format, every encoding, every fault.
#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::io::Write;
use std::path::{Path, PathBuf};

use hiwar_radar::calendar::Period;
use hiwar_radar::import::{
    EstatLevel, FileReport, ImportError, Missing, Problem, ReadOptions, Record, WrongRows, estat_level,
    parse, read_file,
};
use hiwar_radar::series::{Flow, Unit};

const KCS: &str = "hsk10,country,year,month,exp_usd,exp_kg,imp_usd,imp_kg\n\
                   2811111000,Japan,2019,6,0,0.0,5000,3026000.0\n\
                   2811111000,China,2019,7,1,2.5,,7\n";
const PLAIN: &str = "period;reporter;partner;item;flow;value;unit;kg;released\n\
                     2019-07;KR;JPN;2811111000;import;12.5;USD;3;2019-08-15\n\
                     2018;KR;the moon;own-item;export;1e3;EUR;;\n";

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/trade").join(path)
}

fn get(bytes: impl AsRef<[u8]>) -> (FileReport, Vec<Record>) {
    parse(bytes.as_ref(), "test.csv", &ReadOptions::default()).unwrap()
}

fn fail(bytes: impl AsRef<[u8]>) -> String {
    parse(bytes.as_ref(), "test.csv", &ReadOptions::default()).unwrap_err().to_string()
}

fn month(text: &str) -> Period {
    Period::Month(text.parse().unwrap())
}

/// The amounts of a record: value, kilograms, quantity.
fn amounts(record: &Record) -> (Option<f64>, Option<f64>, Option<f64>) {
    (record.observation.value, record.observation.kg, record.observation.quantity)
}

#[test]
fn the_file_of_korea_customs_is_read_whole() {
    let mut records = 0;
    let path = data("kcs-korea/korea_trade_hsk10_monthly_2000_2021.csv");
    let report = read_file(&path, &ReadOptions::default(), &mut |_| {
        records += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!((report.rows, report.records, records), (35_054, 70_108, 70_108));
    let known = report.recognised;
    assert_eq!(
        (known.format.as_str(), known.encoding.as_str(), known.delimiter),
        ("kcs-csv", "ASCII", Some(','))
    );
    assert_eq!((known.first, known.last), (Some(month("2000-01")), Some(month("2021-12"))));
    assert_eq!(known.reporters.first().map(AsRef::as_ref), Some("KR"));
}

#[test]
fn the_files_of_estat_are_read_whole() {
    let mut monthly = 0;
    let path = data("japan-estat/japan_trade_area_goods_monthly_2009_01_2019_05.csv.gz");
    let report = read_file(&path, &ReadOptions::default(), &mut |record| {
        monthly += 1;
        assert_eq!((record.unit, record.missing), (Unit::Jpy, Missing::Unknown));
        Ok(())
    })
    .unwrap();
    assert_eq!((report.rows, monthly), (659_277, 659_277));
    assert_eq!(
        (report.recognised.format.as_str(), report.recognised.compression.as_str()),
        ("estat-monthly", "gzip")
    );
    let path = data("japan-estat/japan_trade_area_goods_annual_2009_on.csv.gz");
    let report = read_file(&path, &ReadOptions::default(), &mut |_| Ok(())).unwrap();
    assert_eq!((report.rows, report.recognised.last), (95_829, Some(Period::Year(2026))));

    let (_, records) =
        get("exp_imp,area,month,goods,value_bn_jpy\n1,R KOREA,2009-01,Grand Total,277.956319\n");
    let record = &records[0];
    assert_eq!((record.key.partner.as_ref(), record.key.flow), ("KR", Flow::Export));
    assert_eq!(record.observation.value, Some(277_956_319_000.0), "exact, billion yen to yen");
    for (item, level) in [
        ("Grand Total", EstatLevel::Total),
        ("MACHINERY", EstatLevel::Section),
        ("SEMICONDUCTORS ETC", EstatLevel::Goods),
        ("(IC)", EstatLevel::Part),
    ] {
        assert_eq!(estat_level(item), level, "{item}");
    }
}

#[test]
fn korea_customs_as_table_and_as_answer_of_its_interface() {
    let (_, records) = get(KCS);
    assert_eq!(records.len(), 4);
    assert_eq!(records[1].key.to_string(), "2811111000 JP → KR (kcs, KR)");
    assert_eq!(
        (records[1].period, amounts(&records[1])),
        (month("2019-06"), (Some(5000.0), Some(3_026_000.0), None))
    );
    assert_eq!(amounts(&records[3]), (None, Some(7.0), None), "not stated is not zero");

    let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><response><header><resultCode>00</resultCode>\
        <resultMsg>정상서비스.</resultMsg></header><body><items>\
        <item><balPayments>-1</balPayments><expDlr>9</expDlr><expWgt>9</expWgt><hsCd>-</hsCd><impDlr>9</impDlr>\
        <impWgt>9</impWgt><statCd>-</statCd><statCdCntnKor1>-</statCdCntnKor1><year>총계</year></item>\
        <item><balPayments>-7</balPayments><expDlr>0</expDlr><expWgt>0</expWgt><hsCd>2811111000</hsCd>\
        <impDlr>7</impDlr><impWgt>8</impWgt><statCd>JP</statCd><statCdCntnKor1>일본</statCdCntnKor1>\
        <statKor>불화수소</statKor><year>2016.01</year></item></items></body></response>";
    let (report, records) = get(xml);
    assert_eq!((report.rows, report.recognised.format.as_str()), (2, "kcs-xml"));
    assert_eq!(report.skipped["total row of the answer"], 1);
    let record = &records[1];
    assert_eq!(
        (record.key.partner.as_ref(), record.period, amounts(record)),
        ("JP", month("2016-01"), (Some(7.0), Some(8.0), None))
    );
    assert_eq!(record.missing, Missing::ZeroWithinItem);
    assert!(
        fail(xml.replace(">00<", ">30<").replace("정상서비스.", "SERVICE KEY IS NOT REGISTERED"))
            .contains("30: SERVICE KEY IS NOT REGISTERED")
    );
    assert!(
        fail(xml.replace("<impDlr>7", "<impDlr>-7")).contains("line 2, field impDlr: \"-7\" is negative")
    );
    assert!(fail(&xml.as_bytes()[..xml.len() - 40]).contains("not well-formed XML"));
    assert!(fail("<html><body>down</body></html>").contains("not a table this reader knows"));
}

#[test]
fn japan_customs_wide_tables_end_where_trade_does() {
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut header =
        "Exp or Imp,Year,HS,Country,Unit1,Unit2,Quantity1-Year,Quantity2-Year,Value-Year".to_owned();
    for name in names {
        header += &format!(",Quantity1-{name},Quantity2-{name},Value-{name}");
    }
    let row = |country: &str, months: [u32; 12]| {
        let cells: String = months.iter().map(|m| format!(",{m},{},{m}", m * 1000)).collect();
        format!("1,2019,'281111000,{country},NO,KG,0,0,0{cells}\n")
    };
    let table = format!(
        "{header}\n{}{}",
        row("103", [5, 5, 5, 5, 5, 5, 1, 0, 0, 0, 0, 0]),
        row("105", [1, 1, 1, 1, 1, 1, 1, 2, 0, 0, 0, 0])
    );
    let (report, records) = get(&table);
    assert_eq!((report.rows, records.len()), (2, 16), "September to December are no zeros");
    assert_eq!(report.skipped.values().sum::<u64>(), 8);
    let korea: Vec<&Record> = records.iter().filter(|r| r.key.partner.as_ref() == "KR").collect();
    assert_eq!(
        amounts(korea[0]),
        (Some(5000.0), Some(5000.0), Some(5.0)),
        "thousand yen, second quantity in kg"
    );
    assert_eq!((korea[7].period, amounts(korea[7])), (month("2019-08"), (Some(0.0), Some(0.0), Some(0.0))));
    assert_eq!((korea[0].key.item.as_ref(), korea[0].key.flow), ("281111000", Flow::Export));
    assert!(fail(table.replace(",103,", ",999,")).contains("line 2, field country: \"999\" is no economy"));
    assert!(fail(table.replace("'281111000,103", "81111000,103")).contains("leading zeros were lost"));
}

#[test]
fn tables_of_many_reporters() {
    let comext = "DECLARANT,DECLARANT_ISO,PARTNER,PARTNER_ISO,TRADE_TYPE,PRODUCT_NC,FLOW,STAT_PROCEDURE,PERIOD,VALUE_IN_EUROS,QUANTITY_IN_KG,SUP_QUANTITY\n\
        004,DE,0732,JP,E,28111100,1,1,201907,10,2,0\n\
        004,DE,0732,JP,E,28111100,1,5,201952,11,2,0\n\
        009,GR,0732,JP,E,99RRR100,2,1,201907,10,2,0\n\
        004,DE,0732,JP,E,TOTAL,1,1,201907,99,2,0\n";
    let (report, records) = get(comext);
    assert_eq!((report.recognised.format.as_str(), records.len()), ("comext", 3));
    assert_eq!(
        (records[0].period, records[0].key.flow, records[0].add),
        (month("2019-07"), Flow::Import, true)
    );
    assert_eq!(records[1].period, Period::Year(2019));
    assert_eq!((records[2].key.flow, records[2].key.item.as_ref()), (Flow::Export, "99RRR100"));
    assert_eq!(report.skipped["total of all products"], 1);

    let comtrade = "typeCode,freqCode,period,reporterCode,flowCode,partnerCode,partner2Code,cmdCode,customsCode,motCode,qty,netWgt,primaryValue\n\
        C,M,201907,410,M,392,0,281111,C00,0,NA,7,8.5\n\
        C,A,2019,490,X,842,0,010121,C00,0,1,,8\n\
        C,M,201907,410,M,392,0,281111,C01,0,,7,8\n\
        C,M,201907,410,RX,0,0,281111,C00,0,,7,8\n\
        C,M,201907,410,M,0,0,TOTAL,C00,0,,7,8\n";
    let (report, records) = get(comtrade);
    assert_eq!((report.recognised.format.as_str(), records.len()), ("comtrade", 2));
    assert_eq!(
        (records[0].key.to_string().as_str(), amounts(&records[0])),
        ("281111 JP → KR (comtrade, KR)", (Some(8.5), Some(7.0), None))
    );
    assert_eq!((records[1].key.reporter.as_ref(), records[1].period), ("TW", Period::Year(2019)));
    assert_eq!(report.skipped.len(), 3);
    assert!(
        fail(comtrade.replace("010121", "10121"))
            .contains("line 3, field cmdcode: \"10121\" has 5 digits where 6")
    );

    let baci = "t,i,j,k,v,q\n2022,392,410,281111,   8.123,NA\n2022,4,516,010121,1,0.5\n";
    let (_, records) = get(baci);
    assert_eq!(
        (records[0].key.to_string().as_str(), amounts(&records[0])),
        ("281111 JP → KR (baci, KR)", (Some(8123.0), None, None))
    );
    assert_eq!(
        (records[1].key.reporter.as_ref(), amounts(&records[1])),
        ("NA", (Some(1000.0), Some(500.0), None))
    );
    let lost = baci.replace("010121", "10121");
    assert!(fail(&lost).contains("leading zeros were lost"));
    let options = ReadOptions { restore_zeros: true, ..ReadOptions::default() };
    let (_, records) = parse(lost.as_bytes(), "baci.csv", &options).unwrap();
    assert_eq!(records[1].key.item.as_ref(), "010121");
}

#[test]
fn a_plain_table_says_everything_itself() {
    let (report, records) = get(PLAIN);
    assert_eq!((report.recognised.format.as_str(), report.recognised.delimiter), ("plain", Some(';')));
    assert_eq!(records[0].released.unwrap().to_string(), "2019-08-15");
    assert_eq!(
        (records[0].key.partner.as_ref(), amounts(&records[0])),
        ("JP", (Some(12.5), Some(3.0), None))
    );
    assert_eq!(
        (records[1].key.partner.as_ref(), records[1].period, records[1].unit),
        ("the moon", Period::Year(2018), Unit::Eur)
    );
    for (from, to, expected) in [
        ("2019-07;", "2019-7;", "line 2, field period"),
        (";12.5;", ";1.234,5;", "line 2, field value: \"1.234,5\" is not a number"),
        (";12.5;", ";inf;", "is not a number"),
        (";12.5;", ";-12.5;", "is negative"),
        (";12.5;", ";1e999;", "is not a number"),
        (";USD;", ";KRW;", "field unit"),
        (";import;", ";in;", "field flow"),
        ("2019-08-15", "15.08.2019", "field released"),
        (";JPN;", ";XYZ;", "is no economy"),
        (";2811111000;", ";28111;", "leading zeros were lost"),
        (";KR;JPN", ";;JPN", "line 2, field reporter: empty"),
        (";3;", ";", "8 fields where the header has 9; the delimiter is taken to be ';'"),
    ] {
        let error = fail(PLAIN.replacen(from, to, 1));
        assert!(error.contains(expected) && error.starts_with("test.csv"), "{to}: {error}");
    }
}

#[test]
fn encodings_are_detected_and_never_mixed() {
    let text = "period,reporter,partner,item,flow,value,unit\n2019-07,KR,일본 기타,2811,import,1,USD\n";
    let kana = text.replace("일본 기타", "その他の国");
    let euc = encoding_rs::EUC_KR.encode(text).0;
    let sjis = encoding_rs::SHIFT_JIS.encode(&kana).0;
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    for (bytes, encoding, partner) in [
        (text.as_bytes(), "UTF-8", "일본 기타"),
        (format!("\u{feff}{text}").as_bytes(), "UTF-8", "일본 기타"),
        (&*euc, "EUC-KR", "일본 기타"),
        (&*sjis, "Shift_JIS", "その他の国"),
        (&*utf16, "UTF-16LE", "일본 기타"),
    ] {
        let (report, records) = get(bytes);
        assert_eq!(
            (report.recognised.encoding.as_str(), records[0].key.partner.as_ref()),
            (encoding, partner)
        );
    }
    // ASCII for longer than the first look, then Korean.
    let row = "2019-07,KR,JP,2811,import,1,USD\n";
    let head = "period,reporter,partner,item,flow,value,unit\n";
    let long = [head.as_bytes(), row.repeat(9000).as_bytes(), &euc[head.len()..]].concat();
    let (report, records) = get(&long);
    assert_eq!((report.recognised.encoding.as_str(), records.len()), ("EUC-KR", 9001));
    // UTF-8, and further on something else.
    let mixed = [text.as_bytes(), row.as_bytes(), &euc[head.len()..]].concat();
    let error = fail(&mixed);
    assert!(error.contains("line 4: not UTF-8"), "{error}");
}

#[test]
fn compressed_files_are_read_and_cut_ones_refused() {
    let long = format!("{KCS}{}", "2811111000,China,2019,8,1,2,3,4\n".repeat(20_000));
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(long.as_bytes()).unwrap();
    let gz = gz.finish().unwrap();
    let zst = ruzstd::encoding::compress_to_vec(long.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    for (bytes, name) in [(&gz, "gzip"), (&zst, "zstd")] {
        let (report, _) = get(bytes);
        assert_eq!((report.recognised.compression.as_str(), report.rows), (name, 20_002));
        // Two in one file.
        let second = match name {
            "gzip" => gz.clone(),
            _ => zst.clone(),
        };
        let both = [bytes.as_slice(), &second].concat();
        assert!(fail(both).contains("line 20004, field"), "the second header is a row like others");
        for cut in [bytes.len() / 2, bytes.len() - 3] {
            let error = parse(&bytes[..cut], "t", &ReadOptions::default()).unwrap_err();
            assert!(matches!(error, ImportError::Truncated { .. }), "{name}: {error}");
        }
    }
}

#[test]
fn what_is_not_known_is_refused_with_what_was_seen() {
    for (bytes, expected) in [
        ("", "The file is empty"),
        ("a;b;c\n1;2;3\n", "With the delimiter ';' its first line is: a, b, c. Known are Korea Customs"),
        ("hsk10,item,country,month,exp_usd\n", "add the one that is missing"),
        ("Classification,Year,Commodity Code,Trade Value (US$)\n", "the old layout of UN Comtrade"),
        ("\0\0\0\0", "first line"),
        ("PK\u{3}\u{4}\u{14}", "ZIP archive or a spreadsheet"),
    ] {
        let error = fail(bytes);
        assert!(error.contains(expected), "{error}");
    }
    let zip = b"PK\x03\x04\xff\xfe\x80\x81\x00\x91";
    let error = parse(zip, "t", &ReadOptions::default()).unwrap_err();
    assert!(matches!(error, ImportError::Unrecognised { .. }), "{error}");
    // Semicolons in the header, commas below.
    let error = fail(KCS.replacen(',', ";", 7));
    assert!(error.contains("1 fields where the header has 8"), "{error}");
    let endless = format!("{KCS}2811111000,\"{}", "x".repeat(3 << 20));
    assert!(fail(endless).contains("never closed"));
}

#[test]
fn wrong_rows_can_be_left_out_and_are_counted() {
    let table = format!("{KCS}2811111000,Atlantis,2019,7,0,0,0,0\n2811111000,China,2019,13,0,0,0,0\n1,2\n");
    let error = parse(table.as_bytes(), "t", &ReadOptions::default()).unwrap_err();
    assert!(
        matches!(&error, ImportError::Row { line: 4, problem: Problem::UnknownEconomy { .. }, .. }),
        "{error}"
    );
    let options = ReadOptions { wrong_rows: WrongRows::Skip, ..ReadOptions::default() };
    let (report, records) = parse(table.as_bytes(), "t", &options).unwrap();
    assert_eq!((report.rows, records.len(), report.examples.len()), (5, 4, 3));
    assert_eq!(
        report.skipped.iter().map(|(why, n)| format!("{why}: {n}")).collect::<Vec<_>>(),
        ["wrong (all): 1", "wrong country: 1", "wrong month: 1"]
    );
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, format in 0_usize..3, at: proptest::sample::Index, more: Vec<u8>) {
        let _ = parse(&bytes, "t", &ReadOptions::default());
        let mut valid = [KCS, PLAIN, "t,i,j,k,v,q\n2022,392,410,281111,8.123,NA\n"][format].as_bytes().to_vec();
        let at = at.index(valid.len());
        valid.splice(at..(at + more.len()).min(valid.len()), more);
        let _ = parse(&valid, "t", &ReadOptions::default());
    }
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_parquet_says_so_and_what_to_do() {
    assert!(
        fail(b"PAR1\x15\x04")
            .contains("this build cannot read; write it out as CSV, or build with the feature")
    );
    let written = hiwar_radar::report::records::Records::default().text("a", ["b"].iter()).parquet();
    assert!(written.unwrap_err().to_string().contains("this build cannot write Parquet; ask for csv"));
}
