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

use crate::config::QuoteLimits;
use crate::error::MintError;
use crate::mint::Mint;
use crate::mint_quote::BOLT11;
use crate::msat::msat_per_unit;
use crate::ports::{InputState, KeysetRecord, KnownInput};
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
        let can = self.ports.payments.capabilities();
        let minting = json!({ "description": can.description });
        let melting = json!({ "amountless": can.amountless });
        Nuts {
            nut04: Some(PaymentSettings {
                methods: self.methods(self.sold_units(), |quotes| (quotes.mint_min, quotes.mint_max), &minting),
                disabled: !doors.minting,
            }),
            nut05: Some(PaymentSettings {
                methods: self.methods(self.spent_units(), |quotes| (quotes.melt_min, quotes.melt_max), &melting),
                disabled: !doors.melting,
            }),
            nut07: Some(Supported::YES),
            nut08: Some(Supported::YES),
            nut09: Some(Supported::YES),
            nut10: Some(Supported::YES),
            nut11: Some(Supported::YES),
            nut12: Some(Supported::YES),
            nut14: Some(Supported::YES),
            nut19: Some(replayed()),
            nut20: Some(Supported::YES),
            nut29: Some(BatchSettings {
                max_batch_size: u64::try_from(limits.max_batch).ok(),
                methods: Some(vec![BOLT11.to_owned()]),
            }),
            nut15: can.mpp.then(|| self.partial_payments()),
            other: [("17".to_owned(), self.subscriptions())].into(),
        }
    }

    /// NUT-15, for each unit that pays.
    fn partial_payments(&self) -> MultipathSettings {
        let setting = |unit: CurrencyUnit| MultipathMethod { method: BOLT11.to_owned(), unit };
        MultipathSettings { methods: self.spent_units().into_iter().map(setting).collect() }
    }

    /// NUT-17, for each unit that pays: those that are sold are among them.
    fn subscriptions(&self) -> serde_json::Value {
        let commands = ["bolt11_mint_quote", "bolt11_melt_quote", "proof_state"];
        let setting = |unit: CurrencyUnit| json!({ "method": BOLT11, "unit": unit, "commands": commands });
        let supported: Vec<_> = self.spent_units().into_iter().map(setting).collect();
        json!({ "supported": supported })
    }

    fn methods(
        &self,
        units: Vec<CurrencyUnit>,
        range: fn(QuoteLimits) -> (Amount, Amount),
        options: &serde_json::Value,
    ) -> Vec<MethodSettings> {
        let setting = |unit: CurrencyUnit| {
            let (min, max) = range(self.config.quote_limits(&unit));
            MethodSettings {
                method: BOLT11.to_owned(),
                unit,
                method_name: None,
                min_amount: Some(min),
                max_amount: Some(max),
                options: Some(options.clone()),
            }
        };
        units.into_iter().map(setting).collect()
    }

    /// The units that a keyset signs now: mint quotes can be made in them.
    fn sold_units(&self) -> Vec<CurrencyUnit> {
        let now = self.now();
        self.units_with(|keyset| keyset.signs(now))
    }

    /// The units of which something can be spent now, though nothing may sign them any more: melt quotes can be made in them.
    fn spent_units(&self) -> Vec<CurrencyUnit> {
        let now = self.now();
        self.units_with(|keyset| !keyset.latched && !keyset.has_expired(now))
    }

    /// The units, each once, that have a rate to Lightning and a keyset that `serves`.
    fn units_with(&self, serves: impl Fn(&KeysetRecord) -> bool) -> Vec<CurrencyUnit> {
        let mut units = Vec::new();
        for keyset in self.keyring().iter().filter(|keyset| serves(keyset)) {
            if msat_per_unit(&keyset.unit).is_ok() && !units.contains(&keyset.unit) {
                units.push(keyset.unit.clone());
            }
        }
        units
    }
}

/// NUT-19: these answers come from the ledger, so they have no time limit.
fn replayed() -> CachedResponses {
    let endpoint = |path: &str| CachedEndpoint { method: "POST".to_owned(), path: path.to_owned() };
    let cached_endpoints =
        ["/v1/mint/bolt11", "/v1/mint/bolt11/batch", "/v1/swap", "/v1/melt/bolt11"].map(endpoint).to_vec();
    CachedResponses { ttl: None, cached_endpoints }
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
