//! `[[unit]]` and `[[method]]`: what the mint's money is, what it is worth, and how it comes in and goes out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hazel_mint::ports::{FixedRates, Timestamp};
use hazel_mint::{MAX_INPUT_FEE_PPK, MethodConfig, QuoteLimits, Rate, UnitConfig};
use hazel_protocol::{Amount, CurrencyUnit, MAX_INFO_ITEMS, MAX_KEYS_PER_KEYSET, PaymentMethod};

use super::Fake;
use super::file::{MethodSection, UnitSection};

/// A method of this name would have the paths of another route: `/v1/mint/quote/batch`.
const RESERVED: &str = "quote";

pub(super) fn units(sections: Vec<UnitSection>, limits: QuoteLimits) -> Result<Vec<UnitConfig>, String> {
    let mut seen = BTreeSet::new();
    let mut units = Vec::with_capacity(sections.len());
    for section in sections {
        if !seen.insert(section.unit.clone()) {
            return Err(format!("there are two [[unit]] sections for '{}'", section.unit));
        }
        units.push(unit(section, limits)?);
    }
    Ok(units)
}

fn unit(section: UnitSection, limits: QuoteLimits) -> Result<UnitConfig, String> {
    let name = section.unit.clone();
    if section.input_fee_ppk > MAX_INPUT_FEE_PPK {
        return Err(format!("unit '{name}': input_fee_ppk must be at most {MAX_INPUT_FEE_PPK}"));
    }
    let set = [section.mint_min, section.mint_max, section.melt_min, section.melt_max];
    let quotes = quotes(&format!("unit '{name}': "), set, limits)?;
    let mut unit = UnitConfig::new(section.unit);
    unit.quotes = Some(quotes);
    if let Some(values) = section.denominations {
        unit.denominations = denominations(&name, &values)?;
    }
    unit.input_fee_ppk = section.input_fee_ppk;
    unit.final_expiry = section.final_expiry.map(Timestamp::from_unix);
    Ok(unit)
}

/// What each unit is worth that is not bitcoin's own.
pub(super) fn rates(sections: &[UnitSection]) -> Result<FixedRates, String> {
    let priced = |section: &UnitSection| {
        let rate = section.rate.as_deref();
        Ok(rate_of(&section.unit, rate)?.map(|rate| (section.unit.clone(), rate)))
    };
    let rates: Result<Vec<_>, String> = sections.iter().map(priced).collect();
    Ok(rates?.into_iter().flatten().collect())
}

/// The rate that was given for a unit; `None` for a unit that has one by what it is.
pub(crate) fn rate_of(unit: &CurrencyUnit, text: Option<&str>) -> Result<Option<Rate>, String> {
    if *unit == CurrencyUnit::Auth {
        return Err("the unit 'auth' is no money".to_owned());
    }
    match (Rate::fixed(unit), text) {
        (Some(_), None) => Ok(None),
        (Some(rate), Some(_)) => Err(format!("unit '{unit}': one is {rate} msat, which nobody can set")),
        (None, None) => Err(format!(
            "unit '{unit}': its rate is missing, the msat that its smallest unit is worth: rate = \"10526.315\", \
             or the msat of a bitcoin over its price in that unit: rate = \"100000000000/9500000\""
        )),
        (None, Some(text)) => text.parse().map(Some).map_err(|error| format!("unit '{unit}': {error}")),
    }
}

/// From the least and most of mint quotes, then of melt quotes. What is not set is as in `otherwise`; `place` is where the settings stand.
fn quotes(place: &str, set: [Option<u64>; 4], otherwise: QuoteLimits) -> Result<QuoteLimits, String> {
    let amount = |value: Option<u64>, otherwise: Amount| value.map_or(otherwise, Amount::from_u64);
    let [mint_min, mint_max, melt_min, melt_max] = set;
    let quotes = QuoteLimits {
        mint_min: amount(mint_min, otherwise.mint_min),
        mint_max: amount(mint_max, otherwise.mint_max),
        melt_min: amount(melt_min, otherwise.melt_min),
        melt_max: amount(melt_max, otherwise.melt_max),
    };
    in_order(quotes, place).map(|()| quotes)
}

/// That the least is something and not above the most; `place` is where the settings stand.
pub(super) fn in_order(quotes: QuoteLimits, place: &str) -> Result<(), String> {
    for (name, min, max) in [("mint", quotes.mint_min, quotes.mint_max), ("melt", quotes.melt_min, quotes.melt_max)] {
        if min.is_zero() || min > max {
            return Err(format!("{place}{name}_min must be at least 1 and at most {place}{name}_max"));
        }
    }
    Ok(())
}

/// A keyset needs a key of value 1, or most amounts could not be paid out.
fn denominations(name: &CurrencyUnit, values: &[u64]) -> Result<Vec<Amount>, String> {
    let distinct: BTreeSet<u64> = values.iter().copied().collect();
    if distinct.len() != values.len() {
        return Err(format!("unit '{name}': a denomination is given twice"));
    }
    if !distinct.contains(&1) || distinct.contains(&0) || distinct.len() > MAX_KEYS_PER_KEYSET {
        return Err(format!("unit '{name}': denominations are at most {MAX_KEYS_PER_KEYSET}, with 1 and without 0"));
    }
    Ok(distinct.into_iter().map(Amount::from_u64).collect())
}

/// The methods, for these units. `limits` are those of the whole mint.
pub(super) fn methods(
    sections: &[MethodSection],
    units: &[UnitConfig],
    limits: QuoteLimits,
) -> Result<Vec<MethodConfig>, String> {
    let bolt11 = || vec![MethodConfig::new(PaymentMethod::bolt11())];
    let methods = match sections {
        [] => bolt11(),
        _ => sections.iter().map(|section| method(section, units, limits)).collect::<Result<_, _>>()?,
    };
    distinct(&methods)?;
    // NUT-06 lists each pair.
    if methods.len().saturating_mul(units.len()) > MAX_INFO_ITEMS {
        return Err(format!("there are more than {MAX_INFO_ITEMS} pairs of a unit and a method"));
    }
    Ok(methods)
}

/// That no method is there twice, and none has the name of something else.
pub(crate) fn distinct(methods: &[MethodConfig]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for MethodConfig { method, .. } in methods {
        if method.as_str() == RESERVED {
            return Err(format!("a method cannot have the name '{RESERVED}'"));
        }
        if !seen.insert(method) {
            return Err(format!("the method '{method}' is there twice"));
        }
    }
    Ok(())
}

fn method(section: &MethodSection, units: &[UnitConfig], limits: QuoteLimits) -> Result<MethodConfig, String> {
    let mut config = MethodConfig::new(section.method.clone());
    let find = |name: &CurrencyUnit| {
        let unit = units.iter().find(|unit| unit.unit == *name);
        unit.ok_or_else(|| format!("method '{}': there is no [[unit]] section for '{name}'", section.method))
    };
    if let Some(served) = &section.units {
        if served.is_empty() {
            return Err(format!("method '{}': units is empty; without it the method has all", section.method));
        }
        served.iter().try_for_each(|unit| find(unit).map(drop))?;
    }
    config.name.clone_from(&section.name);
    config.units.clone_from(&section.units);
    for pair in &section.limits {
        let (unit, set) = (find(&pair.unit)?, [pair.mint_min, pair.mint_max, pair.melt_min, pair.melt_max]);
        if !config.serves(&pair.unit) {
            return Err(format!("method '{}': it has limits for '{}', and not the unit", section.method, pair.unit));
        }
        let place = format!("method '{}', unit '{}': ", section.method, pair.unit);
        let quotes = quotes(&place, set, unit.quotes.unwrap_or(limits))?;
        if config.quotes.insert(pair.unit.clone(), quotes).is_some() {
            return Err(format!("{place}there are two [[method.limits]] sections"));
        }
    }
    Ok(config)
}

/// The fake nodes that serve methods other than bolt11: each behaves as that one and has a ledger of its own.
pub(super) fn other_fakes(
    sections: Vec<MethodSection>,
    like: &Fake,
    folder: &Path,
) -> Result<BTreeMap<PaymentMethod, Fake>, String> {
    let mut fakes = BTreeMap::new();
    for MethodSection { method, ledger, .. } in sections {
        if method != PaymentMethod::bolt11() {
            let ledger = folder.join(ledger.unwrap_or_else(|| ledger_of(&method)));
            fakes.insert(method, Fake { ledger, ..like.clone() });
        } else if ledger.is_some() {
            return Err("method 'bolt11': its ledger is set by lightning.ledger".to_owned());
        }
    }
    let ledgers: BTreeSet<_> = fakes.values().map(|fake| &fake.ledger).chain([&like.ledger]).collect();
    if ledgers.len() <= fakes.len() {
        return Err("two methods have the same ledger".to_owned());
    }
    Ok(fakes)
}

/// The file of the fake node that serves `method`, where none is given.
pub(crate) fn ledger_of(method: &PaymentMethod) -> PathBuf {
    PathBuf::from(format!("method-{method}.sqlite"))
}
