//! `GET /v1/info` (NUT-06).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::null_as_default;
use crate::amount::Amount;
use crate::bounded::list;
use crate::limits::{MAX_INFO_ITEMS, MAX_INFO_TEXT_BYTES};
use crate::point::PublicKey;
use crate::text::bounded_option;
use crate::unit::CurrencyUnit;

/// What a mint says about itself. Everything is optional. The texts are as the mint sent them: show them through
/// [`neutralise`](crate::neutralise).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MintInfo {
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub name: Option<String>,
    /// A key that identifies the mint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pubkey: Option<PublicKey>,
    /// Implementation and version, with a slash between them.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub version: Option<String>,
    /// A short description.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub description: Option<String>,
    /// A long description.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub description_long: Option<String>,
    /// How to reach the operator.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list::<_, _, MAX_INFO_ITEMS>")]
    pub contact: Vec<ContactInfo>,
    /// The message of the day, which a wallet must show.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub motd: Option<String>,
    /// Where to find an icon.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub icon_url: Option<String>,
    /// Where the mint is reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list::<_, _, MAX_INFO_ITEMS>")]
    pub urls: Vec<String>,
    /// The time at the mint, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<u64>,
    /// Where to find the terms of service.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub tos_url: Option<String>,
    /// What the mint supports.
    #[serde(default, deserialize_with = "null_as_default")]
    pub nuts: Nuts,
}

/// A way to reach the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ContactInfo {
    /// The way, such as `email`.
    pub method: String,
    /// The address.
    pub info: String,
}

/// The NUTs that a mint supports, by number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Nuts {
    /// Minting.
    #[serde(rename = "4", default, skip_serializing_if = "Option::is_none")]
    pub nut04: Option<PaymentSettings>,
    /// Melting.
    #[serde(rename = "5", default, skip_serializing_if = "Option::is_none")]
    pub nut05: Option<PaymentSettings>,
    /// State check.
    #[serde(rename = "7", default, skip_serializing_if = "Option::is_none")]
    pub nut07: Option<Supported>,
    /// Return of fees.
    #[serde(rename = "8", default, skip_serializing_if = "Option::is_none")]
    pub nut08: Option<Supported>,
    /// Restore.
    #[serde(rename = "9", default, skip_serializing_if = "Option::is_none")]
    pub nut09: Option<Supported>,
    /// Spending conditions.
    #[serde(rename = "10", default, skip_serializing_if = "Option::is_none")]
    pub nut10: Option<Supported>,
    /// Pay to public key.
    #[serde(rename = "11", default, skip_serializing_if = "Option::is_none")]
    pub nut11: Option<Supported>,
    /// DLEQ proofs.
    #[serde(rename = "12", default, skip_serializing_if = "Option::is_none")]
    pub nut12: Option<Supported>,
    /// Hash locks.
    #[serde(rename = "14", default, skip_serializing_if = "Option::is_none")]
    pub nut14: Option<Supported>,
    /// Payments of parts of an invoice.
    #[serde(rename = "15", default, skip_serializing_if = "Option::is_none")]
    pub nut15: Option<MultipathSettings>,
    /// Replayed answers.
    #[serde(rename = "19", default, skip_serializing_if = "Option::is_none")]
    pub nut19: Option<CachedResponses>,
    /// Signed mint quotes.
    #[serde(rename = "20", default, skip_serializing_if = "Option::is_none")]
    pub nut20: Option<Supported>,
    /// Batches of quotes.
    #[serde(rename = "29", default, skip_serializing_if = "Option::is_none")]
    pub nut29: Option<BatchSettings>,
    /// All others, as the mint wrote them.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// Whether a NUT is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Supported {
    /// Whether it is.
    pub supported: bool,
}

impl Supported {
    /// It is.
    pub const YES: Self = Self { supported: true };
}

/// Methods for minting or melting (NUT-04, NUT-05).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PaymentSettings {
    /// One entry for each pair of method and unit.
    #[serde(deserialize_with = "list::<_, _, MAX_INFO_ITEMS>")]
    pub methods: Vec<MethodSettings>,
    /// Whether the operation is switched off.
    #[serde(default, deserialize_with = "null_as_default")]
    pub disabled: bool,
}

/// A payment method for one unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MethodSettings {
    /// The method, such as `bolt11`.
    pub method: String,
    /// The unit.
    pub unit: CurrencyUnit,
    /// The name of the method for people.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub method_name: Option<String>,
    /// The least amount of one operation, in the minor unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_amount: Option<Amount>,
    /// The largest amount of one operation, in the minor unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_amount: Option<Amount>,
    /// What the method adds, such as `{"description": true}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Value>,
}

/// Where a mint pays parts of an invoice (NUT-15).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MultipathSettings {
    /// One entry for each pair of method and unit.
    #[serde(deserialize_with = "list::<_, _, MAX_INFO_ITEMS>")]
    pub methods: Vec<MultipathMethod>,
}

/// A method and unit whose invoices can be paid in parts (NUT-15).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MultipathMethod {
    /// The method, such as `bolt11`.
    pub method: String,
    /// The unit.
    pub unit: CurrencyUnit,
}

/// Which answers a mint gives again to the same request (NUT-19).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CachedResponses {
    /// For how many seconds; `null` is for ever.
    #[serde(default)]
    pub ttl: Option<u64>,
    /// The routes that do so.
    #[serde(deserialize_with = "list::<_, _, MAX_INFO_ITEMS>")]
    pub cached_endpoints: Vec<CachedEndpoint>,
}

/// A route whose answers are given again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CachedEndpoint {
    /// The HTTP method.
    pub method: String,
    /// The path.
    pub path: String,
}

/// How many quotes may be checked or minted at once (NUT-29).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BatchSettings {
    /// Most quotes in a request. A count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_batch_size: Option<u64>,
    /// The methods that allow it; all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
}

fn text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    bounded_option::<D, MAX_INFO_TEXT_BYTES>(d)
}
