//! What stands after the question mark of a list: where to go on, and how much.

use std::str::FromStr;

use axum::http::StatusCode;

use super::super::answer::Refusal;

/// Lines a page when nothing is said.
const PAGE: u32 = 100;
/// Most lines a page.
const MAX_PAGE: u32 = 1_000;

/// A place in a list, and how many entries from there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<T> {
    pub(super) from: Option<T>,
    pub(super) limit: u32,
}

impl<T: FromStr> Page<T> {
    /// Reads `from_name` and `limit`; there is nothing else, and neither twice.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn read(query: Option<&str>, from_name: &str) -> Result<Self, Refusal> {
        let refuse = || {
            let detail = format!("the query of this list takes {from_name} and limit, which is 1 to {MAX_PAGE}");
            Refusal::malformed(StatusCode::BAD_REQUEST, detail)
        };
        let (mut from, mut limit) = (None, None);
        for part in query.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(refuse)?;
            if name == from_name && from.is_none() {
                from = Some(value.parse().map_err(|_| refuse())?);
            } else if name == "limit" && limit.is_none() {
                let value = value.parse().map_err(|_| refuse())?;
                limit = Some(value).filter(|limit| (1..=MAX_PAGE).contains(limit));
                limit.ok_or_else(refuse)?;
            } else {
                return Err(refuse());
            }
        }
        Ok(Self { from, limit: limit.unwrap_or(PAGE) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_whole_or_refused() {
        let read = |query| Page::<u64>::read(query, "before");
        assert_eq!(read(None), Ok(Page { from: None, limit: 100 }));
        assert_eq!(read(Some("limit=7&before=9")), Ok(Page { from: Some(9), limit: 7 }));
        for wrong in [
            "limit=0",
            "limit=1001",
            "limit=x",
            "limit",
            "before=-1",
            "after=1",
            "before=1&before=2",
            "limit=1&limit=1",
        ] {
            assert!(read(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
