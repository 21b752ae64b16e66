//! Answers of the operator's surface as tables.

use std::fmt::Write;

use serde_json::Value;

/// Text without characters that could steer a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// One line a keyset.
pub(super) fn keysets(list: &[Value]) -> String {
    let mut rows = vec![
        ["keyset", "unit", "state", "fee ppk", "expires", "issued", "redeemed", "reserved", "fees", "carried"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(list.iter().map(|keyset| {
        let number = |key: &str| text(&keyset[key], "never");
        vec![
            text(&keyset["id"], "?"),
            text(&keyset["unit"], "?"),
            state(keyset).to_owned(),
            number("input_fee_ppk"),
            number("final_expiry"),
            number("issued"),
            number("redeemed"),
            number("reserved"),
            number("fees"),
            text(&keyset["carried"], "unmetered"),
        ]
    }));
    table(&rows)
}

fn state(keyset: &Value) -> &'static str {
    match (keyset["stopped"].as_bool(), keyset["active"].as_bool()) {
        (Some(true), _) => "stopped",
        (_, Some(true)) => "active",
        _ => "inactive",
    }
}

/// One line an act.
pub(super) fn audit(list: &[Value]) -> String {
    let mut rows = vec![["sequence", "time", "actor", "action", "keyset", "detail"].map(str::to_owned).to_vec()];
    rows.extend(list.iter().map(|line| {
        ["sequence", "at", "actor", "action", "keyset", "detail"].map(|key| text(&line[key], "")).to_vec()
    }));
    table(&rows)
}

/// A value as text; `none` for null.
fn text(value: &Value, none: &str) -> String {
    match value {
        Value::Null => none.to_owned(),
        Value::String(text) => plain(text),
        other => plain(&other.to_string()),
    }
}

/// Columns as wide as their widest cell.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            write!(line, "{cell:width$}  ").expect("writing to a string cannot fail");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_keyset_is_a_line_and_nothing_steers_the_terminal() {
        let keyset = json!({
            "id": "00ab", "unit": "s\u{1b}[2J", "stopped": true, "active": false, "input_fee_ppk": 100,
            "final_expiry": null, "issued": 5, "redeemed": 3, "reserved": 0, "fees": 1, "carried": null,
        });
        let text = keysets(&[keyset]);
        let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(lines[1], ["00ab", "s?[2J", "stopped", "100", "never", "5", "3", "0", "1", "unmetered"]);
    }
}
