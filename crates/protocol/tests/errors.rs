//! The error codes against the table of the NUTs, and the answer that carries them.

use hazel_protocol::{ErrorCode, ErrorResponse, MAX_ERROR_DETAIL_BYTES, from_json};

/// The rows of the table of the NUTs, as the NUT repository has them.
const TABLE: &str = include_str!("vectors/error_codes.txt");

#[test]
fn every_row_of_the_table_has_its_code() {
    let rows: Vec<(u16, &str, Vec<u8>)> = TABLE.lines().map(parse_row).collect();
    let codes: Vec<(u16, &str, Vec<u8>)> =
        ErrorCode::ALL.iter().map(|code| (code.code(), code.description(), code.nuts().to_vec())).collect();
    assert_eq!(codes, rows);
    assert_eq!(rows.len(), 36);
}

fn parse_row(row: &str) -> (u16, &str, Vec<u8>) {
    let mut cells = row.split('|');
    let mut cell = || cells.next().expect("three cells");
    let code = cell().parse().expect("a code");
    let description = cell();
    (code, description, cell().split(' ').map(|nut| nut.parse().expect("a NUT")).collect())
}

#[test]
fn codes_are_found_by_their_number_only() {
    for code in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_code(code.code()), Some(*code));
    }
    let known = (0..=u16::MAX).filter(|code| ErrorCode::from_code(*code).is_some()).count();
    assert_eq!(known, ErrorCode::ALL.len());
    assert_eq!(ErrorCode::ProofsAlreadySpent.to_string(), "Proofs already spent (11001)");
}

#[test]
fn an_answer_has_detail_and_code() {
    let answer = ErrorResponse::new(ErrorCode::QuoteNotPaid);
    let json = r#"{"detail":"Quote request is not paid","code":20001}"#;
    assert_eq!(serde_json::to_string(&answer).expect("json"), json);
    assert_eq!(from_json(json.as_bytes()), Ok(answer));
}

#[test]
fn answers_of_other_mints_are_read_leniently_and_made_harmless() {
    let cases = [
        (r#"{"detail":"no"}"#, "no", 0),
        (r#"{"code":11001}"#, "", 11001),
        (r#"{"detail":null,"code":null,"more":[1]}"#, "", 0),
        (r#"{"detail":[{"msg":"x"}],"code":70000}"#, "", 0),
        (r#"{"detail":{"a":{}},"code":-1}"#, "", 0),
        (r#"{"detail":true,"code":1.5}"#, "", 0),
        (r#"{"detail":"a\u001b[2Jb","code":"11001"}"#, "a?[2Jb", 0),
    ];
    for (json, detail, code) in cases {
        let answer: ErrorResponse = from_json(json.as_bytes()).expect(json);
        assert_eq!((answer.detail.as_str(), answer.code), (detail, code), "{json}");
    }
    let long = format!(r#"{{"detail":"{}"}}"#, "\u{e9}".repeat(5000));
    let answer: ErrorResponse = from_json(long.as_bytes()).expect("json");
    assert_eq!(answer.detail.len(), MAX_ERROR_DETAIL_BYTES);
}
