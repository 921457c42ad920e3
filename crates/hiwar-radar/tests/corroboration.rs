//! Two nodes compare what they see: what each learns, and what cannot be read from the exchange.

#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

use hiwar_radar::corroborate::{
    Answers, CLAIMS_MAX, CorroborationError, Digest, Finding, Message as _, Question, SharedItems, Sight,
    answer, check_answers,
};
use hiwar_radar::month::{Date, Month};
use hiwar_radar::scan::Rule;
use hiwar_radar::series::{Flow, Observation, Series, SeriesKey, Unit};

const DAY: Date = Date::constant(2019, 8, 15);

fn at() -> Month {
    "2019-07".parse().unwrap()
}

/// Four quiet years of a flow of about `usual` kg, then `last` in July 2019.
fn flow(reporter: &str, partner: &str, item: &str, flow: Flow, usual: f64, last: f64) -> Series {
    let first = at().plus(-48);
    let kg = |n: i32| usual * (1.0 + 0.1 * f64::from(n % 5 - 2));
    let months =
        (0..48).map(kg).chain([last]).map(|kg| Some(Observation { kg: Some(kg), ..Default::default() }));
    let key = SeriesKey {
        source: "test".into(),
        reporter: reporter.into(),
        partner: partner.into(),
        item: item.into(),
        flow,
    };
    Series { key, unit: Unit::Usd, first, months: months.collect(), released: Vec::new() }
}

fn screened(series: &[Series]) -> Sight {
    let mut sight = Sight::new(&SharedItems::default());
    sight.screen(series, at(), DAY, &Rule::named("robust-36").unwrap());
    sight
}

fn told(asked: &Question, answerer: &str, sight: &Sight) -> Answers {
    answer(asked, Digest::of(&asked.bytes()), answerer, DAY, sight).unwrap()
}

#[test]
fn joint_mirror_and_contrast_are_told_apart() {
    let korea = screened(&[
        flow("KR", "JP", "2811111000", Flow::Import, 3e6, 5e5),
        flow("KR", "JP", "3818001000", Flow::Import, 3e5, 1e4),
        flow("KR", "CN", "2504101000", Flow::Import, 3e6, 1e7),
        flow("KR", "BE", "3707901010", Flow::Import, 1e4, 9e4),
    ]);
    let asked = korea.question("KR");
    assert_eq!(asked.claims.len(), 4);
    // Japan exports the first two, imports the third as well, and does not import the fourth.
    let japan = screened(&[
        flow("JP", "KR", "281111000", Flow::Export, 3e6, 5e5),
        flow("JP", "KR", "381800100", Flow::Export, 3e5, 3e5),
        flow("JP", "CN", "250410000", Flow::Import, 2e6, 9e6),
    ]);
    let told = told(&asked, "JP", &japan);
    let of = |item: &str| told.answers.iter().find(|a| *a.subject.item == *item).unwrap().finding;
    assert_eq!(of("281111"), Finding::Mirror);
    assert_eq!(of("381800"), Finding::Unknown, "an exporter that sees nothing says nothing");
    assert_eq!(of("250410"), Finding::Joint);
    assert_eq!(of("370790"), Finding::Unknown);
    // Taiwan buys hydrogen fluoride from Japan too, as always.
    let taiwan = screened(&[flow("TW", "JP", "28111100", Flow::Import, 4e6, 4e6)]);
    let from_taiwan = answer(&asked, Digest::of(&asked.bytes()), "TW", DAY, &taiwan).unwrap();
    let fluoride = from_taiwan.answers.iter().find(|a| *a.subject.item == *"281111").unwrap();
    assert_eq!((fluoride.finding, fluoride.strength), (Finding::Contrast, None));
}

#[test]
fn volumes_cannot_be_read_from_the_exchange() {
    // Flows whose volumes differ a million times, and whose course is the same, say the same.
    let exchange = |scale: f64| {
        let korea = [
            flow("KR", "JP", "2811111000", Flow::Import, 3.0 * scale, 0.5 * scale),
            flow("KR", "CN", "2504101000", Flow::Import, 3.0 * scale, 12.0 * scale),
        ];
        let korea = screened(&korea);
        let japan = screened(&[flow("JP", "KR", "281111000", Flow::Export, 7.0 * scale, scale)]);
        let asked = korea.question("KR");
        let told = told(&asked, "JP", &japan);
        (String::from_utf8(asked.bytes()).unwrap(), String::from_utf8(told.bytes()).unwrap())
    };
    let (asked, told) = exchange(1e6);
    assert_eq!((asked.clone(), told.clone()), exchange(1e12));
    // Nor by how far exactly: within a class of strength the bytes are the same.
    let claim = |last: f64| {
        let found = screened(&[flow("KR", "JP", "2811111000", Flow::Import, 3e6, last)]);
        found.question("KR").bytes()
    };
    assert_eq!(claim(1e5), claim(2e4), "both are extreme");
    // What is left of an answer without the digest that names its question.
    let told = told.lines().filter(|l| !l.contains("\"to\"")).collect::<String>();
    for text in [&asked, &told] {
        let digits: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|d| !d.is_empty()).collect();
        let known = ["281111", "250410", "2019", "07", "08", "15", "1"];
        assert!(digits.iter().all(|d| known.contains(d)), "{text}");
    }
}

fn hydrogen_fluoride() -> Sight {
    screened(&[flow("KR", "JP", "2811111000", Flow::Import, 3e6, 5e5)])
}

#[test]
fn a_series_too_short_to_be_judged_is_no_contrast() {
    let asked = hydrogen_fluoride().question("KR");
    let mut young = flow("TW", "JP", "28111100", Flow::Import, 4e6, 4e6);
    young.months = young.months.split_off(20);
    young.first = at().plus(-28);
    let told = told(&asked, "TW", &screened(&[young]));
    assert_eq!(told.answers[0].finding, Finding::Unknown, "28 months are too few for a rule of 36");
}

#[test]
fn goods_classes_of_two_nomenclatures_meet_under_a_shared_name() {
    let table = "source,item,shared\ntest,854232,HS 8542\ntest,(IC),HS 8542\n";
    let shared = SharedItems::parse(table).unwrap();
    let rule = Rule::named("robust-36").unwrap();
    let (mut korea, mut japan) = (Sight::new(&shared), Sight::new(&shared));
    // One of two codes drops: that is an alarm of the whole that both can name.
    let codes = [
        flow("KR", "JP", "8542321010", Flow::Import, 3e6, 5e5),
        flow("KR", "JP", "8542321030", Flow::Import, 3e6, 3e6),
    ];
    korea.screen(&codes, at(), DAY, &rule);
    japan.screen(&[flow("JP", "KR", "(IC)", Flow::Export, 3e6, 5e5)], at(), DAY, &rule);
    let asked = korea.question("KR");
    assert_eq!(asked.claims.len(), 1);
    let answer = &told(&asked, "JP", &japan).answers[0];
    assert_eq!((&*answer.subject.item, answer.finding), ("HS 8542", Finding::Mirror));
}

#[test]
fn the_set_of_fields_is_closed() {
    let asked = hydrogen_fluoride().question("KR");
    let text = String::from_utf8(asked.bytes()).unwrap();
    assert_eq!(Question::read(text.as_bytes()).unwrap(), asked);
    for (place, also) in [("\"asker\"", "\"as_of\": \"2019-08-15\", "), ("\"strength\"", "\"kg\": 529850, ")]
    {
        let more = text.replace(place, &format!("{also}{place}"));
        let error = Question::read(more.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("unknown field"), "{error}");
    }
    let answers = told(&asked, "JP", &screened(&[flow("JP", "KR", "281111000", Flow::Export, 3e6, 5e5)]));
    let text = String::from_utf8(answers.bytes()).unwrap();
    for (place, also) in [("\"answerer\"", "\"note\": \"3 t\", "), ("\"finding\"", "\"ratio\": 0.18, ")] {
        let more = text.replace(place, &format!("{also}{place}"));
        let error = Answers::read(more.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("unknown field"), "{error}");
    }
}

#[test]
fn wrong_answers_are_refused() {
    let asked = hydrogen_fluoride().question("KR");
    let digest = Digest::of(&asked.bytes());
    let right = told(&asked, "JP", &screened(&[flow("JP", "KR", "281111000", Flow::Export, 3e6, 5e5)]));
    assert_eq!(check_answers(&asked, digest, &right), Ok(()));
    let changed = |change: &dyn Fn(&mut Answers)| {
        let mut answers = right.clone();
        change(&mut answers);
        check_answers(&asked, digest, &answers).unwrap_err().to_string()
    };
    for (error, part) in [
        (changed(&|a| a.to = Digest::of(b"other")), "no question of this side"),
        (
            changed(&|a| a.kind = "org.hiwar.psi.close.v1".into()),
            "expected org.hiwar.corroboration.answers.v1",
        ),
        (changed(&|a| a.answers.clear()), "0 answers to 1 claims"),
        (changed(&|a| a.answers = vec![a.answers[0].clone(); CLAIMS_MAX + 1]), "at most 4096"),
        (changed(&|a| a.answers[0].subject.item = "370790".into()), "another subject"),
        (changed(&|a| a.answers[0].finding = Finding::Joint), "only another importer"),
        (changed(&|a| a.answerer = "TW".into()), "only the exporter"),
        (changed(&|a| a.answers[0].strength = None), "no class of strength"),
        (changed(&|a| a.answers[0].finding = Finding::Unknown), "a class of strength and no alarm"),
        (changed(&|a| a.answerer = "\u{1b}[2J".into()), "is no name"),
    ] {
        assert!(error.contains(part), "{error}");
    }
    let mut long = asked.clone();
    let first = long.claims[0].clone();
    long.claims = (0..25)
        .map(|n| {
            let mut claim = first.clone();
            claim.subject.month = at().plus(-n);
            claim
        })
        .collect();
    assert_eq!(long.months(), Err(CorroborationError::TooManyMonths { found: 25 }));
}
