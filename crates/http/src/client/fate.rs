//! What became of a request that has no answer.

use std::error::Error;

use hazel_protocol::{ErrorResponse, from_json, neutralise};
use hazel_wallet::ports::ConnectorError;
use reqwest::StatusCode;
use serde::Deserialize;

/// The class of a request during which the connection failed or the time ran out.
pub(super) fn of_failure(error: reqwest::Error) -> ConnectorError {
    let not_sent = error.is_connect() || error.is_builder();
    let text = text(error);
    if not_sent { ConnectorError::NotSent(text) } else { ConnectorError::Ambiguous(text) }
}

/// The class of a request that was answered with `status`, which is no success.
///
/// Only the mint itself writes the error of NUT-00; what else says 4xx stands in front of it, and may do so after it has
/// passed the request on. A status that means "not now" is no refusal either.
pub(super) fn of_status(status: StatusCode, body: &[u8]) -> ConnectorError {
    let not_now = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    match nut_error(body) {
        Some(error) if status.is_client_error() && !not_now => ConnectorError::Refused(error),
        Some(error) => ConnectorError::Ambiguous(format!("{status}: {} (code {})", error.detail, error.code)),
        None if status.is_redirection() => {
            ConnectorError::Ambiguous(format!("{status}: redirects are not followed; is the url of the mint right?"))
        }
        None => ConnectorError::Ambiguous(status.to_string()),
    }
}

/// The error of NUT-00 in `body`, if it is one: an object with a code and a detail of the right types.
fn nut_error(body: &[u8]) -> Option<ErrorResponse> {
    #[derive(Deserialize)]
    struct Form {
        #[serde(rename = "detail")]
        _detail: String,
        #[serde(rename = "code")]
        _code: u16,
    }
    from_json::<Form>(body).ok()?;
    from_json(body).ok()
}

/// What went wrong, for people: the last cause, without the URL, since that may hold the id of a quote.
pub(super) fn text(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took too long".to_owned();
    }
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    neutralise(&cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> bool {
        let status = StatusCode::from_u16(status).expect("a status");
        matches!(of_status(status, body.as_bytes()), ConnectorError::Refused(_))
    }

    #[test]
    fn only_a_4xx_with_the_error_of_nut_00_is_a_refusal() {
        let error = r#"{"detail":"oops","code":11001}"#;
        for status in [400, 401, 403, 404, 405, 409, 413, 415, 422] {
            assert!(refused(status, error), "{status}");
            assert!(!refused(status, "<html>nginx</html>"), "{status}");
        }
        for status in [300, 302, 307, 408, 425, 429, 500, 502, 503, 504] {
            assert!(!refused(status, error), "{status}");
        }
        for body in
            ["", "{}", "[]", "null", r#"{"detail":"Not Found"}"#, r#"{"code":1}"#, r#"{"detail":["x"],"code":1}"#]
        {
            assert!(!refused(400, body), "{body}");
        }
    }

    #[test]
    fn what_the_mint_says_is_made_harmless() {
        let body = br#"{"detail":"pay \u001b[31mhere\r\nnow\u202e","code":11001}"#;
        for status in [StatusCode::BAD_REQUEST, StatusCode::BAD_GATEWAY] {
            let text = of_status(status, body).to_string();
            assert!(text.contains("here"), "{text}");
            assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
        }
    }
}
