//! What anyone may ask: states of proofs (NUT-07), signatures given out (NUT-09), and what this mint is (NUT-06).

use std::sync::Arc;

use hazel_protocol::check::{CheckStateRequest, CheckStateResponse, ProofState, ProofStateEntry};
use hazel_protocol::info::{
    BatchSettings, CachedEndpoint, CachedResponses, ContactInfo, MethodSettings, MintInfo, MultipathMethod,
    MultipathSettings, Nuts, PaymentSettings, Supported,
};
use hazel_protocol::restore::{RestoreRequest, RestoreResponse};
use hazel_protocol::{Amount, BlindedMessage, CurrencyUnit, PointBytes};
use serde_json::json;

use crate::config::{MethodConfig, QuoteLimits};
use crate::error::MintError;
use crate::mint::Mint;
use crate::ports::{Capabilities, InputState, KeysetRecord, KnownInput};
use crate::signing::stored_signature;

/// Shown in NUT-06 as the version.
const VERSION: &str = concat!("Hazel/", env!("CARGO_PKG_VERSION"));

impl Mint {
    /// `POST /v1/checkstate` (NUT-07): one entry a Y, in the order of the request.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn check_state(self: &Arc<Self>, request: CheckStateRequest) -> Result<CheckStateResponse, MintError> {
        let known = self.ports.store.inputs(&request.ys).await?;
        let states: Vec<_> = request.ys.iter().zip(known).map(|(y, known)| entry(*y, known)).collect();
        let states = states.try_into().map_err(|_| MintError::Bug("more states than Ys".to_owned()))?;
        Ok(CheckStateResponse { states })
    }

    /// `POST /v1/restore` (NUT-09): the signatures of those outputs that were signed, in the order of the request.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn restore(self: &Arc<Self>, request: RestoreRequest) -> Result<RestoreResponse, MintError> {
        let bs: Vec<PointBytes> = request.outputs.iter().map(|output| output.b).collect();
        let known = self.ports.store.outputs(&bs).await?;
        let mut outputs = Vec::new();
        let mut signatures = Vec::new();
        for known in known.iter().flatten() {
            if let Some(signature) = stored_signature(known)? {
                outputs.push(BlindedMessage { amount: signature.amount, id: signature.id, b: known.output.b });
                signatures.push(signature);
            }
        }
        let too_many = |_| MintError::Bug("more signatures than outputs".to_owned());
        Ok(RestoreResponse {
            outputs: outputs.try_into().map_err(too_many)?,
            signatures: signatures.try_into().map_err(too_many)?,
        })
    }

    /// `GET /v1/info` (NUT-06). Every setting shown is the one enforced.
    pub fn info(&self) -> MintInfo {
        let info = self.config.info.clone();
        let contact = info.contact.into_iter().map(|(method, info)| ContactInfo { method, info }).collect();
        MintInfo {
            name: info.name,
            pubkey: Some(self.ports.signer.identity()),
            version: Some(VERSION.to_owned()),
            description: info.description,
            description_long: info.description_long,
            contact,
            motd: info.motd,
            icon_url: info.icon_url,
            urls: info.urls,
            time: Some(self.now().to_unix()),
            tos_url: info.tos_url,
            nuts: self.nuts(),
        }
    }

    fn nuts(&self) -> Nuts {
        let (limits, doors) = (&self.config.limits, self.config.doors);
        let pairs = self.pairs();
        let parts: Vec<_> = pairs.iter().filter(|pair| pair.can.mpp).map(Pair::in_parts).collect();
        Nuts {
            nut04: Some(PaymentSettings {
                methods: pairs.iter().filter(|pair| pair.sold).map(Pair::minting).collect(),
                disabled: !doors.minting,
            }),
            nut05: Some(PaymentSettings {
                methods: pairs.iter().map(Pair::melting).collect(),
                disabled: !doors.melting,
            }),
            nut07: Some(Supported::YES),
            nut08: Some(Supported::YES),
            nut09: Some(Supported::YES),
            nut10: Some(Supported::YES),
            nut11: Some(Supported::YES),
            nut12: Some(Supported::YES),
            nut14: Some(Supported::YES),
            nut19: Some(self.replayed()),
            nut20: Some(Supported::YES),
            nut29: Some(BatchSettings {
                max_batch_size: u64::try_from(limits.max_batch).ok(),
                methods: Some(self.config.methods.iter().map(|config| config.method.to_string()).collect()),
            }),
            nut15: (!parts.is_empty()).then_some(MultipathSettings { methods: parts }),
            other: [("17".to_owned(), json!({ "supported": pairs.iter().map(Pair::subscribed).collect::<Vec<_>>() }))]
                .into(),
        }
    }

    /// The pairs of method and unit that can be paid with now, those that are sold among them.
    fn pairs(&self) -> Vec<Pair<'_>> {
        let now = self.now();
        let sold = self.units_with(|keyset| keyset.signs(now));
        let units = self.units_with(|keyset| !keyset.latched && !keyset.has_expired(now));
        let mut pairs = Vec::new();
        for config in &self.config.methods {
            let Ok(payments) = self.ports.payments.of(config.method.as_str()) else { continue };
            for unit in units.iter().filter(|unit| config.serves(unit)) {
                let limits = self.config.quote_limits(config.method.as_str(), unit);
                let (can, sold) = (payments.capabilities(), sold.contains(unit));
                pairs.push(Pair { config, unit: unit.clone(), limits, can, sold });
            }
        }
        pairs
    }

    /// The units, each once, that have a rate and a keyset that `serves`.
    fn units_with(&self, serves: impl Fn(&KeysetRecord) -> bool) -> Vec<CurrencyUnit> {
        let mut units = Vec::new();
        for keyset in self.keyring().iter().filter(|keyset| serves(keyset)) {
            if self.has_rate(&keyset.unit) && !units.contains(&keyset.unit) {
                units.push(keyset.unit.clone());
            }
        }
        units
    }

    /// NUT-19: these answers come from the ledger, so they have no time limit.
    fn replayed(&self) -> CachedResponses {
        let of_method = |config: &MethodConfig| {
            let method = &config.method;
            [format!("/v1/mint/{method}"), format!("/v1/mint/{method}/batch"), format!("/v1/melt/{method}")]
        };
        let paths = ["/v1/swap".to_owned()].into_iter().chain(self.config.methods.iter().flat_map(of_method));
        let endpoint = |path| CachedEndpoint { method: "POST".to_owned(), path };
        CachedResponses { ttl: None, cached_endpoints: paths.map(endpoint).collect() }
    }
}

/// A payment method and a unit, and what NUT-06 shows of them.
struct Pair<'a> {
    config: &'a MethodConfig,
    unit: CurrencyUnit,
    limits: QuoteLimits,
    can: Capabilities,
    /// Mint quotes are given: a keyset signs. Else what there is of the unit is only spent.
    sold: bool,
}

impl Pair<'_> {
    /// NUT-04.
    fn minting(&self) -> MethodSettings {
        let options = json!({ "description": self.can.description });
        self.settings((self.limits.mint_min, self.limits.mint_max), options)
    }

    /// NUT-05.
    fn melting(&self) -> MethodSettings {
        let options = json!({ "amountless": self.can.amountless });
        self.settings((self.limits.melt_min, self.limits.melt_max), options)
    }

    fn settings(&self, (min, max): (Amount, Amount), options: serde_json::Value) -> MethodSettings {
        MethodSettings {
            method: self.config.method.to_string(),
            unit: self.unit.clone(),
            method_name: self.config.name.clone(),
            min_amount: Some(min),
            max_amount: Some(max),
            options: Some(options),
        }
    }

    /// NUT-15.
    fn in_parts(&self) -> MultipathMethod {
        MultipathMethod { method: self.config.method.to_string(), unit: self.unit.clone() }
    }

    /// NUT-17.
    fn subscribed(&self) -> serde_json::Value {
        let method = &self.config.method;
        let commands = [format!("{method}_mint_quote"), format!("{method}_melt_quote"), "proof_state".to_owned()];
        json!({ "method": method, "unit": self.unit, "commands": commands })
    }
}

pub(crate) fn entry(y: PointBytes, known: Option<KnownInput>) -> ProofStateEntry {
    match known {
        None => ProofStateEntry { y, state: ProofState::Unspent, witness: None },
        Some(known) => {
            let state = match known.state {
                InputState::Pending => ProofState::Pending,
                InputState::Spent => ProofState::Spent,
            };
            ProofStateEntry { y, state, witness: known.row.witness }
        }
    }
}
