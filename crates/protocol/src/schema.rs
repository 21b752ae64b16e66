//! JSON Schemas of the types that write themselves, for the messages whose schemas are derived.
//!
//! A schema says what is on the wire and how much of it there may be. What it cannot say (that a point is on the curve, that a text is
//! short in bytes, that sums fit) the types still check.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::limits::{MAX_KEYS_PER_KEYSET, MAX_QUOTE_ID_BYTES, MAX_SECRET_BYTES, MAX_UNIT_BYTES, MAX_WITNESS_BYTES};
use crate::{
    Amount, BlindingFactor, BoundedVec, CurrencyUnit, KeysetId, KeysetKeys, MeltQuoteState, MintQuoteState, PointBytes,
    ProofState, PublicKey, QuoteId, Scalar32, Secret, Witness,
};

macro_rules! schema {
    ($($type:ident $schema:tt)*) => {
        $(impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        })*
    };
}

const POINT: &str = "^0[23][0-9a-f]{64}$";
const SCALAR: &str = "^[0-9a-f]{64}$";

schema! {
    Amount { "type": "integer", "minimum": 0, "maximum": u64::MAX, "description": "in the minor unit" }
    PublicKey { "type": "string", "pattern": POINT, "description": "a compressed point" }
    PointBytes { "type": "string", "pattern": POINT, "description": "a compressed point" }
    Scalar32 { "type": "string", "pattern": SCALAR }
    BlindingFactor { "type": "string", "pattern": SCALAR }
    KeysetId { "type": "string", "pattern": "^(00[0-9a-f]{14}|01[0-9a-f]{64})$" }
    CurrencyUnit { "type": "string", "pattern": "^[a-z0-9_-]+$", "maxLength": MAX_UNIT_BYTES }
    QuoteId { "type": "string", "minLength": 1, "maxLength": MAX_QUOTE_ID_BYTES, "pattern": "^[A-Za-z0-9_-]+$" }
    Secret { "type": "string", "minLength": 1, "maxLength": MAX_SECRET_BYTES }
    Witness { "type": ["string", "object"], "maxLength": MAX_WITNESS_BYTES }
    MintQuoteState { "enum": ["UNPAID", "PAID", "ISSUED"] }
    MeltQuoteState { "enum": ["UNPAID", "PENDING", "PAID"] }
    ProofState { "enum": ["UNSPENT", "PENDING", "SPENT"] }
}

impl JsonSchema for KeysetKeys {
    fn schema_name() -> Cow<'static, str> {
        "KeysetKeys".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "the public key for each amount",
            "propertyNames": { "pattern": "^[1-9][0-9]{0,19}$" },
            "additionalProperties": generator.subschema_for::<PublicKey>(),
            "maxProperties": MAX_KEYS_PER_KEYSET,
        })
    }
}

impl<T: JsonSchema, const N: usize> JsonSchema for BoundedVec<T, N> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("UpTo{N}{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": generator.subschema_for::<T>(), "maxItems": N })
    }
}
