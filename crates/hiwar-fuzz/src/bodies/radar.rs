//! The radar's readers: tables of customs offices, firm networks, bills of materials, item lists,
//! rules, and what peers send about alarms.

use hiwar_radar::corroborate::psi::{Close, Hello, Reply, Side};
use hiwar_radar::corroborate::{
    Answers, Digest, Message, Question, SharedItems, Sight, Subject, answer, check_answers,
};
use hiwar_radar::graph::network::Network;
use hiwar_radar::graph::survive::Bill;
use hiwar_radar::import::{ReadOptions, WrongRows, parse};
use hiwar_radar::items::ItemList;
use hiwar_radar::month::Date;
use hiwar_radar::scan::Rule;

use super::{answered, text};
use crate::{join, parts};

/// A trade table of any format.
pub fn radar_table(data: &[u8]) {
    answered(&parse(data, "table", &ReadOptions::default()));
    let skipping = ReadOptions { wrong_rows: WrongRows::Skip, restore_zeros: true, strict_codes: false };
    if let Ok((report, records)) = parse(data, "table", &skipping) {
        assert!(records.len() as u64 <= report.records, "more records than were counted");
        for record in &records {
            let amounts = [record.observation.value, record.observation.kg, record.observation.quantity];
            assert!(amounts.into_iter().flatten().all(|a| a.is_finite() && a >= 0.0), "{record:?}");
        }
    }
}

/// Valid inputs of [`radar_table`]: one of each format that is text.
pub fn radar_table_seeds() -> Vec<Vec<u8>> {
    [
        "hsk10,country,year,month,exp_usd,exp_kg,imp_usd,imp_kg\n2811111000,Japan,2019,7,0,0.0,100,200.5\n",
        "exp_imp,area,month,goods,value_bn_jpy\n1,R KOREA,2009-01,MOTOR VEHICLES,1.5\n2,EU,2009-02,Grand Total,0\n",
        "Exp or Imp,Year,HS,Country,Unit1,Unit2,Quantity1-Year,Quantity2-Year,Value-Year,Quantity1-Jan,Quantity2-Jan,Value-Jan\n1,2019,'281111000',103,  ,KG,0,10,20,0,10,20\n",
        "t,i,j,k,v,q\n2022,392,410,281111,12.5,NA\n2022,156,410,281111,3.25,10.5\n",
        "period,reporter,partner,item,flow,value,unit,kg\n2019-07,KR,JP,281111,import,100,USD,3\n",
        "<response><header><resultCode>00</resultCode></header><body><items><item><year>2016.01</year><statCd>JP</statCd><hsCd>2811111000</hsCd><expWgt>0</expWgt><expDlr>0</expDlr><impWgt>5</impWgt><impDlr>7</impDlr></item></items></body></response>",
    ]
    .into_iter()
    .map(|s| s.as_bytes().to_vec())
    .collect()
}

/// A trade table as Parquet.
pub fn radar_parquet(data: &[u8]) {
    // The mutations are spent on what is behind the first bytes.
    let mut bytes = b"PAR1".to_vec();
    bytes.extend_from_slice(data.get(4..).unwrap_or_default());
    radar_table(&bytes);
}

/// Valid inputs of [`radar_parquet`]: files of three programs.
pub fn radar_parquet_seeds() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../../../data/trade/parquet/plain-pyarrow.parquet").to_vec(),
        include_bytes!("../../../../data/trade/parquet/baci-polars.parquet").to_vec(),
        include_bytes!("../../../../data/trade/parquet/kcs-duckdb.parquet").to_vec(),
    ]
}

/// A firm network: the table of firms and that of links.
pub fn radar_network(data: &[u8]) {
    let [firms, links] = parts(data);
    let network = Network::read("firms", firms, "links", links);
    answered(&network);
    if let Ok(network) = network {
        assert!(network.links().iter().all(|l| l.weight.is_finite() && l.weight > 0.0));
    }
}

/// Valid inputs of [`radar_network`].
pub fn radar_network_seeds() -> Vec<Vec<u8>> {
    vec![join(&[b"firm,sector\na,1\nb,2\nc,1\n", b"supplier,buyer,weight\na,b,1.5\nc,b,2\n"])]
}

/// A bill of materials; a valid one has an answer for every node that fails.
pub fn radar_bill(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let bill = Bill::read("bill", text);
    answered(&bill);
    if let Ok(bill) = bill
        && bill.nodes().len() <= 50
    {
        for failed in 0..bill.nodes().len() {
            let stops = bill.stops(&[failed]);
            assert!(stops.iter().flatten().all(|s| s.days >= 0.0), "time before the failure");
        }
        bill.warnings();
    }
}

/// Valid inputs of [`radar_bill`].
pub fn radar_bill_seeds() -> Vec<Vec<u8>> {
    vec![include_bytes!("../../../../data/trade/examples/etching-gas.json").to_vec()]
}

/// An item list.
pub fn radar_items(data: &[u8]) {
    if let Some(text) = text(data) {
        answered(&ItemList::parse(text));
    }
}

/// Valid inputs of [`radar_items`].
pub fn radar_items_seeds() -> Vec<Vec<u8>> {
    vec![b"id = \"watch\"\nversion = 1\ndate = 2019-07-01\n".to_vec()]
}

/// A message of an exchange about alarms: what is read is written as the same again.
fn message<M: Message + PartialEq + std::fmt::Debug>(data: &[u8]) -> Option<(M, Digest)> {
    let read = M::read(data);
    answered(&read);
    let read = read.ok()?;
    assert_eq!(M::read(&read.bytes()).as_ref(), Ok(&read), "a message does not survive being written");
    Some((read, Digest::of(data)))
}

/// What a peer asks about alarms, what it answers, and the table of shared names.
pub fn radar_corroboration(data: &[u8]) {
    let [question, answers] = parts(data);
    let asked = message::<Question>(question);
    if let Some((question, digest)) = &asked {
        answered(&question.months());
        let told = answer(question, *digest, "JP", Date::constant(2019, 8, 28), &Sight::default());
        if let Ok(told) = told {
            assert_eq!(check_answers(question, *digest, &told), Ok(()), "own answers are refused");
        }
    }
    if let (Some((question, digest)), Some((told, _))) = (&asked, message::<Answers>(answers)) {
        answered(&check_answers(question, *digest, &told));
    }
    if let Some(table) = text(data) {
        answered(&SharedItems::parse(table));
    }
    answered(&hiwar_node::json::parse::<Rule>(data));
}

const CLAIM: &str = r#""exporter":"JP","item":"281111","month":"2019-07","direction":"drop""#;

/// Valid inputs of [`radar_corroboration`].
pub fn radar_corroboration_seeds() -> Vec<Vec<u8>> {
    let question = format!(
        r#"{{"type":"org.hiwar.corroboration.question.v1","asker":"KR","claims":[{{{CLAIM},"strength":"strong"}}]}}"#
    );
    let answers = format!(
        r#"{{"type":"org.hiwar.corroboration.answers.v1","to":"{}","answerer":"JP","as_of":"2019-08-28","answers":[{{{CLAIM},"finding":"mirror","strength":"clear"}}]}}"#,
        Digest::of(question.as_bytes())
    );
    vec![
        join(&[question.as_bytes(), answers.as_bytes()]),
        b"source,item,shared\nkcs,854232,HS 8542\n".to_vec(),
    ]
}

fn seen() -> Option<Subject> {
    serde_json::from_str(&format!("{{{CLAIM}}}")).ok()
}

/// The three messages of an intersection, each as the other side may get it.
pub fn radar_intersection(data: &[u8]) {
    let [hello, reply, close] = parts(data);
    let (Ok(one), Ok(other)) = (Side::new(&[7; 64], seen()), Side::new(&[9; 64], seen())) else { return };
    if let Some((hello, digest)) = message::<Hello>(hello) {
        let replied = other.reply(&hello, digest);
        answered(&replied);
        assert!(replied.is_err() || replied.is_ok_and(|r| r.yours.len() == hello.mine.len()));
    }
    let own = other.reply(&one.hello(), Digest::of(&one.hello().bytes()));
    if let Some((reply, digest)) = message::<Reply>(reply) {
        answered(&one.close(&reply, digest));
    }
    if let (Some((close, _)), Ok(own)) = (message::<Close>(close), own) {
        answered(&other.learn(&own, &close));
    }
}

/// Valid inputs of [`radar_intersection`].
pub fn radar_intersection_seeds() -> Vec<Vec<u8>> {
    let (Ok(one), Ok(other)) = (Side::new(&[7; 64], seen()), Side::new(&[9; 64], seen())) else {
        return Vec::new();
    };
    let hello = one.hello().bytes();
    let Ok(reply) = other.reply(&one.hello(), Digest::of(&hello)) else { return Vec::new() };
    let Ok((_, close)) = one.close(&reply, Digest::of(&reply.bytes())) else { return Vec::new() };
    vec![join(&[&hello, &reply.bytes(), &close.bytes()])]
}
