//! What stood before a rule did: it may stay or shrink, and nothing may join it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::Finding;

/// The exceptions, by rule and place, each with the amount it may not exceed.
#[derive(Debug, Default)]
pub(crate) struct Ratchet {
    limits: BTreeMap<(String, String), usize>,
}

impl Ratchet {
    /// Reads `[[allow]]` entries of `rule` (one of `rules`), `at`, `limit` (1 when absent) and `reason`.
    ///
    /// # Errors
    /// When an entry has another key, lacks one, names no rule, gives no reason, or comes twice.
    pub(crate) fn parse(text: &str, rules: &[&str]) -> Result<Self> {
        let table: toml::Table = text.parse().context("not TOML")?;
        let mut ratchet = Self::default();
        for (key, value) in &table {
            let entries = value.as_array().filter(|_| key == "allow");
            for entry in entries.with_context(|| format!("`{key}` is not a list of [[allow]]"))? {
                let (place, limit) = parse_entry(entry).with_context(|| format!("in {entry}"))?;
                ensure!(rules.contains(&place.0.as_str()), "there is no rule {}", place.0);
                ensure!(ratchet.limits.insert(place.clone(), limit).is_none(), "{place:?} comes twice");
            }
        }
        Ok(ratchet)
    }

    /// Leaves out what is allowed, and adds a finding for every entry that allows more than there is.
    pub(crate) fn filter(&self, findings: Vec<Finding>) -> Vec<Finding> {
        let mut amounts: BTreeMap<(String, String), usize> = BTreeMap::new();
        for finding in &findings {
            *amounts.entry(place_of(finding)).or_default() += finding.amount;
        }
        let is_allowed =
            |place: &(String, String)| self.limits.get(place).is_some_and(|limit| amounts[place] <= *limit);
        let mut left: Vec<Finding> = findings.into_iter().filter(|finding| !is_allowed(&place_of(finding))).collect();
        left.extend(self.limits.iter().filter_map(|(place, limit)| {
            let amount = amounts.get(place).copied().unwrap_or(0);
            (amount < *limit).then(|| slack(place, *limit, amount))
        }));
        left
    }
}

fn place_of(finding: &Finding) -> (String, String) {
    (finding.rule.to_owned(), finding.at.clone())
}

fn slack((rule, at): &(String, String), limit: usize, amount: usize) -> Finding {
    let advice = if amount == 0 { "remove the entry".to_owned() } else { format!("set its limit to {amount}") };
    Finding {
        rule: "ratchet",
        at: at.clone(),
        line: 0,
        amount: 1,
        message: format!("the exception from {rule} allows {limit} where there is {amount}: {advice}"),
    }
}

fn parse_entry(entry: &toml::Value) -> Result<((String, String), usize)> {
    let table = entry.as_table().context("not a table")?;
    let mut limit = 1;
    let mut words = BTreeMap::new();
    for (key, value) in table {
        match key.as_str() {
            "limit" => limit = usize::try_from(value.as_integer().context("limit is no number")?)?,
            "rule" | "at" | "reason" => {
                words.insert(key.as_str(), value.as_str().with_context(|| format!("{key} is no text"))?);
            }
            other => bail!("unknown key {other}"),
        }
    }
    let take = |key: &str| words.get(key).filter(|word| !word.is_empty()).with_context(|| format!("no {key}"));
    take("reason")?;
    Ok((((*take("rule")?).to_owned(), (*take("at")?).to_owned()), limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "[[allow]]\nrule = \"length\"\nat = \"a.rs::f\"\nlimit = 80\nreason = \"a table\"\n";

    fn parse(text: &str) -> Result<Ratchet> {
        Ratchet::parse(text, &["length"])
    }

    fn finding(amount: usize) -> Finding {
        Finding { rule: "length", at: "a.rs::f".into(), line: 1, amount, message: String::new() }
    }

    #[test]
    fn what_is_allowed_stays_and_nothing_more() {
        let ratchet = parse(ONE).expect("a valid ratchet");
        assert!(ratchet.filter(vec![finding(80)]).is_empty());
        assert_eq!(ratchet.filter(vec![finding(81)]), [finding(81)]);
    }

    #[test]
    fn an_entry_that_is_too_wide_must_be_tightened() {
        let ratchet = parse(ONE).expect("a valid ratchet");
        assert!(ratchet.filter(vec![finding(75)])[0].message.contains("set its limit to 75"));
        assert!(ratchet.filter(Vec::new())[0].message.contains("remove the entry"));
    }

    #[test]
    fn an_entry_without_reason_is_refused() {
        assert!(parse(&ONE.replace("a table", "")).is_err());
        assert!(parse("[[allow]]\nrule = \"x\"\nat = \"y\"\n").is_err());
        assert!(parse(&format!("{ONE}{ONE}")).is_err());
        assert!(parse("other = 1").is_err());
        assert!(parse(&ONE.replace("length", "width")).is_err());
    }
}
