use proptest::prelude::*;
use serde_json::json;

use super::*;

const LIMITS: JsonLimits = JsonLimits { bytes_max: 64 * 1024, depth_max: 64, members_max: 10_000 };

fn canonical(text: &str) -> String {
    let value: Value = serde_json::from_str(text).expect("the test document is JSON");
    String::from_utf8(to_vec(&value).expect("it has a canonical form")).expect("JSON is UTF-8")
}

fn refusal(text: &str) -> JcsError {
    parse_canonical(text.as_bytes(), LIMITS).expect_err(text)
}

/// Source: RFC 8785 appendix B, table 1, without the rows for NaN and infinity.
#[test]
fn doubles_are_written_as_in_rfc_8785_appendix_b() {
    for (bits, text) in [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ] {
        let mut out = Vec::new();
        write_double(f64::from_bits(bits), &mut out).expect(text);
        assert_eq!(String::from_utf8_lossy(&out), text, "{bits:016x}");
        parse_canonical(&out, LIMITS).expect(text);
    }
}

/// Source: RFC 8785 appendix B, the rows for NaN and infinity.
#[test]
fn not_a_number_and_infinities_are_refused() {
    for double in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(matches!(write_double(double, &mut Vec::new()), Err(JcsError::NotFinite { .. })));
    }
    assert!(matches!(refusal("1e400"), JcsError::NotJson { .. }));
}

/// Source: RFC 8785 section 3.2.2 (input) and sections 3.2.3 and 3.2.4 (output as text and bytes).
#[test]
fn the_sample_object_of_rfc_8785_section_3_2_2_is_canonicalised() {
    let input = r#"{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"#;
    let expected = "7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e\
                    756d62657273223a5b3333333333333333332e333333333333332c31652b3330\
                    2c342e352c302e3030322c31652d32375d2c22737472696e67223a22e282ac24\
                    5c75303030665c6e4127425c225c5c5c5c5c222f227d";
    assert_eq!(hex::encode(canonical(input)), expected);
}

/// Source: RFC 8785 section 3.2.3, the sorting example.
#[test]
fn names_are_sorted_by_utf_16_code_units() {
    let input = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh",
        "1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control",
        "\u00f6":"Latin Small Letter O With Diaeresis"}"#;
    let expected = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\
        \"\u{f6}\":\"Latin Small Letter O With Diaeresis\",\"\u{20ac}\":\"Euro Sign\",\
        \"\u{1f600}\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}";
    assert_eq!(canonical(input), expected);
    parse_canonical(expected.as_bytes(), LIMITS).expect("the sorted form is canonical");
}

/// Source: RFC 8785 section 3.2.2.2: the two-character escapes, lower-case `\u00xx` for the other
/// control characters, and everything else, U+007F included, as it is.
#[test]
fn strings_have_the_escapes_of_rfc_8785_and_no_others() {
    let text: String = (0_u8..0x80).map(char::from).chain(['\u{80}', '\u{2028}', '\u{1f600}']).collect();
    let expected = "\"\\u0000\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e\\u000f\
        \\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001a\\u001b\\u001c\\u001d\\u001e\\u001f \
        !\\\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\\\]^_`abcdefghijklmnopqrstuvwxyz{|}~\u{7f}\
        \u{80}\u{2028}\u{1f600}\"";
    let out = to_vec(&Value::String(text)).expect("text has a canonical form");
    assert_eq!(String::from_utf8(out).expect("JSON is UTF-8"), expected);
}

#[test]
fn every_other_spelling_is_refused_at_its_first_differing_byte() {
    for (text, offset) in [
        (r#"{"a":1,"a":2}"#, 5),
        (r#"{"b":1,"a":2}"#, 2),
        (r#"{ "a":1}"#, 1),
        ("{\"a\":1}\n", 7),
        (r#"["\u0041"]"#, 2),
        (r#"["\/"]"#, 2),
        (r#"["\u000A"]"#, 3),
        (r#"["\u001F"]"#, 7),
        ("[-0]", 1),
        ("[1.0]", 2),
        ("[1e2]", 2),
        ("[1E+30]", 2),
        ("[0.10]", 4),
        ("[333333333.33333329]", 17),
    ] {
        assert!(
            matches!(refusal(text), JcsError::NotCanonical { offset: found, .. } if found == offset),
            "{text}: {:?}",
            refusal(text)
        );
    }
    let message = refusal(r#"{"b":1,"a":2}"#).to_string();
    assert!(message.contains(r#"at byte 2: expected "a\":2,\"b\":1}", found "b\":1,\"a\":2}""#), "{message}");
}

#[test]
fn text_that_is_not_json_is_refused_where_it_stops_being_json() {
    for (text, offset) in
        [("", 0), (r#"{"a":tru}"#, 8), ("[1,]", 3), (r#"["\ud800"]"#, 8), ("[1]\n\n]", 5), ("\u{feff}[]", 0)]
    {
        assert!(
            matches!(refusal(text), JcsError::NotJson { offset: found, .. } if found == offset),
            "{text:?}: {:?}",
            refusal(text)
        );
    }
    assert!(matches!(parse_canonical(b"[\"\xff\"]", LIMITS), Err(JcsError::NotJson { .. })));
}

/// 2^53 is exact and so is its spelling; 2^53 + 1 is no double; 2^63 is a double, but ECMAScript
/// spells it 9223372036854776000.
#[test]
fn integers_that_a_reader_could_mistake_are_refused() {
    for number in [0_i64, -1, 9_007_199_254_740_991, -9_007_199_254_740_991, 9_007_199_254_740_992] {
        assert_eq!(to_vec(&json!(number)), Ok(number.to_string().into_bytes()));
    }
    for number in [json!(9_007_199_254_740_993_i64), json!(i64::MIN), json!(u64::MAX), json!(2_f64.powi(63))]
    {
        assert!(matches!(to_vec(&number), Err(JcsError::InexactInteger { .. })), "{number}");
    }
    for text in ["9007199254740993", "9223372036854775808", "9223372036854776000", "-9223372036854776000"] {
        assert!(matches!(refusal(text), JcsError::InexactInteger { .. }), "{text}");
    }
    parse_canonical(b"18446744073709552000", LIMITS).expect("2^64 can only be read as a double");
}

#[test]
fn size_depth_and_member_limits_hold_exactly() {
    let limits = JsonLimits { bytes_max: 20, depth_max: 3, members_max: 4 };
    for text in ["[[[]]]", "[1,2,3,4]", r#"{"a":[1,2,"],["]}"#, "[{},[],{}]", r#""234567890123456789""#] {
        parse_canonical(text.as_bytes(), limits).expect(text);
    }
    let refuse = |text: &str| parse_canonical(text.as_bytes(), limits).expect_err(text);
    assert_eq!(refuse("[[[[]]]]"), JcsError::TooDeep { depth_max: 3 });
    assert_eq!(refuse("[1,2,3,[5]]"), JcsError::TooManyMembers { members: 5, members_max: 4 });
    assert_eq!(refuse(r#""2345678901234567890""#), JcsError::TooLong { bytes: 21, bytes_max: 20 });
}

#[test]
fn hostile_nesting_is_refused_without_recursion() {
    let limits = JsonLimits { bytes_max: usize::MAX, depth_max: usize::MAX, members_max: usize::MAX };
    let refused = parse_canonical("[".repeat(1_000_000).as_bytes(), limits);
    assert_eq!(refused, Err(JcsError::TooDeep { depth_max: DEPTH_MAX }));

    let deepest = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    let value = parse_canonical(deepest.as_bytes(), limits).expect("the deepest document is read");
    let mut out = b"kept".to_vec();
    assert_eq!(write(&json!([value]), &mut out), Err(JcsError::TooDeep { depth_max: DEPTH_MAX }));
    assert_eq!(out, b"kept");
}

/// Names that `serde_json` gives a meaning of its own, the first one when its feature `raw_value` is
/// on: the JSON text in the member would stand for the object.
#[test]
fn names_that_a_reader_could_mistake_are_refused() {
    let limits = JsonLimits { bytes_max: 64 * 1024, depth_max: 16, members_max: 100 };
    for text in [
        r#"{"$serde_json::private::RawValue":"[1]"}"#,
        r#"{"":0,"$serde_json::private::RawValue":"1","a":2}"#,
        r#"[{"$serde_json::private::Number":"1"}]"#,
    ] {
        let refused = parse_canonical(text.as_bytes(), limits);
        assert!(matches!(refused, Err(JcsError::ReservedName { .. })), "{refused:?}");
        let value = parse_any(text.as_bytes(), limits).expect("it is JSON all the same");
        assert_eq!(value.to_string(), text, "and means what it says");
    }
}

/// Texts in texts: with the reader of the JSON library itself, 13 levels of 250 arrays each would
/// exhaust the stack.
#[test]
fn no_name_leads_past_the_limits() {
    let limits = JsonLimits { bytes_max: 64 * 1024, depth_max: 16, members_max: 100 };
    let mut nested = "1".to_owned();
    for _ in 0..12 {
        let inner = Value::String(nested).to_string();
        nested =
            format!(r#"{}{{"$serde_json::private::RawValue":{inner}}}{}"#, "[".repeat(15), "]".repeat(15));
    }
    let value = parse_any(nested.as_bytes(), limits).expect("it is an ordinary document");
    assert_eq!(value.to_string(), nested);
}

/// Numbers as the parser itself would hold them, so that values can be compared after a round trip.
fn numbers() -> impl Strategy<Value = Value> {
    let safe = SAFE_INTEGER_MAX as i64;
    prop_oneof![
        (-safe..=safe).prop_map(Value::from),
        any::<f64>()
            .prop_filter("has a fraction", |x| x.is_finite() && x.fract() != 0.0)
            .prop_map(Value::from),
    ]
}

fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        numbers(),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_as_the_same_document(value in documents()) {
        let bytes = to_vec(&value).expect("it has a canonical form");
        let read = parse_canonical(&bytes, LIMITS).expect("it is canonical");
        prop_assert_eq!(&read, &value);
        prop_assert_eq!(to_vec(&read), Ok(bytes));
    }

    #[test]
    fn every_double_that_is_written_reads_back_to_the_same_bits(bits in any::<u64>()) {
        let double = f64::from_bits(bits);
        let mut out = Vec::new();
        if write_double(double, &mut out).is_ok() {
            let read = parse_canonical(&out, LIMITS).expect("it is canonical").as_f64();
            prop_assert_eq!(read, Some(double));
        }
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        if let Ok(value) = parse_canonical(&bytes, LIMITS) {
            prop_assert_eq!(to_vec(&value), Ok(bytes));
        }
    }

    #[test]
    fn text_close_to_json_is_read_or_refused(text in r#"[\[\]{},:"\\u0-9eE+.\-a \n]{0,64}"#) {
        if let Ok(value) = parse_canonical(text.as_bytes(), LIMITS) {
            prop_assert_eq!(to_vec(&value), Ok(text.into_bytes()));
        }
    }
}
