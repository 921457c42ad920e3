//! The radar's readers: tables of customs offices, firm networks, bills of materials, item lists,
//! rules, and what peers send about alarms.

use hiwar_radar::corroborate::psi::{Hello, Side};
use hiwar_radar::corroborate::{Question, Sight, answer};
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

/// What a peer sends about alarms: a question, or the offer of an intersection.
pub fn radar_corroboration(data: &[u8]) {
    let question = hiwar_node::json::parse::<Question>(data);
    answered(&question);
    if let Ok(question) = question {
        let answers = answer(&question, "JP", Date::constant(2019, 8, 28), &Sight::default());
        answered(&answers);
        assert!(answers.is_err() || answers.is_ok_and(|a| a.answers.len() == question.claims.len()));
    }
    if let (Ok(hello), Ok(side)) = (hiwar_node::json::parse::<Hello>(data), Side::new(&[7; 64], [])) {
        answered(&side.reply(&hello));
    }
    answered(&hiwar_node::json::parse::<Rule>(data));
}

/// Valid inputs of [`radar_corroboration`].
pub fn radar_corroboration_seeds() -> Vec<Vec<u8>> {
    vec![
        br#"{"type":"org.hiwar.corroboration.question.v1","asker":"KR","claims":[{"exporter":"JP","item":"281111","month":"2019-07","direction":"drop","strength":"strong"}]}"#.to_vec(),
        br#"{"type":"org.hiwar.psi.hello.v1","mine":["e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"]}"#.to_vec(),
    ]
}
