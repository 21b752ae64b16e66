//! The line to the mint, which misbehaves when told to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hazel_protocol::{
    CheckStateRequest, CheckStateResponse, ErrorCode, ErrorResponse, KeysResponse, KeysetId, KeysetsResponse,
    MeltQuoteBolt11Request, MeltQuoteBolt11Response, MeltRequest, MintInfo, MintQuoteBolt11Request,
    MintQuoteBolt11Response, MintRequest, MintResponse, QuoteId, RestoreRequest, RestoreResponse, SwapRequest,
    SwapResponse,
};
use hazel_wallet::ports::{ConnectorError, MintConnector, Notices, Subject};

use super::mint::Answer;
use super::{Bank, Crash};

/// What happens to one request.
pub enum Fault {
    None,
    /// Never arrives; nobody knows.
    LoseRequest,
    /// Arrives; the answer never does.
    LoseAnswer,
    /// The connection is refused.
    NotSent,
    /// Arrives twice; the second answer counts.
    Twice,
    /// Kept by a proxy until [`Link::deliver`].
    Hold,
    /// Refused with this code by something on the way, which changes its mind later.
    Refuse(ErrorCode),
}

type Held = Box<dyn FnOnce(&Bank) + Send>;
/// Changes an answer, as JSON, on its way to the wallet.
pub type Forge = Box<dyn Fn(&mut serde_json::Value) + Send>;

/// The connector of one wallet.
pub struct Link {
    pub bank: Arc<Bank>,
    crash: Arc<Crash>,
    faults: Mutex<BTreeMap<&'static str, VecDeque<Fault>>>,
    forges: Mutex<BTreeMap<&'static str, Forge>>,
    held: Mutex<Vec<Held>>,
    /// What the mint says unasked to each that listens, in turn: for each, whether it goes on. When that is used up it is silent.
    pub notices: Mutex<VecDeque<Vec<bool>>>,
    /// Every request that was sent, by route, as the JSON that it is on the wire.
    pub sent: Mutex<Vec<(&'static str, String)>>,
}

impl Link {
    pub fn new(bank: Arc<Bank>, crash: Arc<Crash>) -> Self {
        Self {
            bank,
            crash,
            faults: Mutex::default(),
            forges: Mutex::default(),
            held: Mutex::default(),
            notices: Mutex::default(),
            sent: Mutex::default(),
        }
    }

    /// Queues faults for the next requests of a route.
    pub fn fail(&self, route: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().entry(route).or_default().extend(faults);
    }

    pub fn forget_faults(&self, route: &'static str) {
        self.faults.lock().unwrap().remove(route);
    }

    /// Changes every answer of a route from now on.
    pub fn forge(&self, route: &'static str, forge: impl Fn(&mut serde_json::Value) + Send + 'static) {
        self.forges.lock().unwrap().insert(route, Box::new(forge));
    }

    pub fn stop_forging(&self) {
        self.forges.lock().unwrap().clear();
    }

    /// Delivers what was held back.
    pub fn deliver(&self) {
        for request in self.held.lock().unwrap().drain(..) {
            request(&self.bank);
        }
    }

    pub fn copies(&self, route: &str) -> Vec<String> {
        self.sent.lock().unwrap().iter().filter(|(of, _)| *of == route).map(|(_, json)| json.clone()).collect()
    }

    async fn carry<Q, A>(
        &self,
        route: &'static str,
        request: &Q,
        apply: impl Fn(&Bank, &Q) -> Answer<A> + Send + Sync + 'static,
    ) -> Result<A, ConnectorError>
    where
        Q: serde::Serialize + Clone + Send + Sync + 'static,
        A: serde::Serialize + serde::de::DeserializeOwned + Send,
    {
        self.crash.point().await;
        let fault = self.faults.lock().unwrap().get_mut(route).and_then(VecDeque::pop_front).unwrap_or(Fault::None);
        if !matches!(fault, Fault::NotSent) {
            self.sent.lock().unwrap().push((route, serde_json::to_string(request).unwrap()));
        }
        let lost = || ConnectorError::Ambiguous("the connection was cut".to_owned());
        let answer = match fault {
            Fault::Refuse(code) => return Err(ConnectorError::Refused(ErrorResponse::new(code))),
            Fault::NotSent => return Err(ConnectorError::NotSent("connection refused".to_owned())),
            Fault::LoseRequest => return Err(lost()),
            Fault::Hold => {
                let request = request.clone();
                self.held.lock().unwrap().push(Box::new(move |bank| drop(apply(bank, &request))));
                return Err(lost());
            }
            Fault::LoseAnswer => {
                drop(apply(&self.bank, request));
                return Err(lost());
            }
            Fault::Twice => {
                drop(apply(&self.bank, request));
                apply(&self.bank, request)
            }
            Fault::None => apply(&self.bank, request),
        };
        self.crash.point().await;
        self.forged(route, answer.map_err(ConnectorError::Refused)?)
    }

    fn forged<A: serde::Serialize + serde::de::DeserializeOwned>(
        &self,
        route: &'static str,
        answer: A,
    ) -> Result<A, ConnectorError> {
        let forges = self.forges.lock().unwrap();
        let Some(forge) = forges.get(route) else { return Ok(answer) };
        let mut json = serde_json::to_value(answer).unwrap();
        forge(&mut json);
        serde_json::from_value(json).map_err(|error| ConnectorError::Ambiguous(error.to_string()))
    }
}

/// A mint that speaks up as it was told to, and is silent then.
struct Script(VecDeque<bool>);

#[async_trait]
impl Notices for Script {
    async fn next(&mut self) -> bool {
        match self.0.pop_front() {
            Some(word) => word,
            None => std::future::pending().await,
        }
    }
}

#[async_trait]
impl MintConnector for Link {
    async fn info(&self) -> Result<MintInfo, ConnectorError> {
        self.carry("info", &(), |bank, ()| Ok(bank.info())).await
    }

    async fn keys(&self) -> Result<KeysResponse, ConnectorError> {
        self.carry("keys", &(), |bank, ()| Ok(bank.keys())).await
    }

    async fn keys_of(&self, id: &KeysetId) -> Result<KeysResponse, ConnectorError> {
        self.carry("keys_of", id, Bank::keys_of).await
    }

    async fn keysets(&self) -> Result<KeysetsResponse, ConnectorError> {
        self.carry("keysets", &(), |bank, ()| Ok(bank.keysets())).await
    }

    async fn swap(&self, request: &SwapRequest) -> Result<SwapResponse, ConnectorError> {
        self.carry("swap", request, Bank::swap).await
    }

    async fn mint_quote_bolt11(
        &self,
        request: &MintQuoteBolt11Request,
    ) -> Result<MintQuoteBolt11Response, ConnectorError> {
        self.carry("mint_quote", request, |bank, request| Ok(bank.mint_quote(request))).await
    }

    async fn mint_quote_status(&self, quote: &QuoteId) -> Result<MintQuoteBolt11Response, ConnectorError> {
        self.carry("mint_quote_status", quote, Bank::mint_quote_status).await
    }

    async fn mint(&self, request: &MintRequest) -> Result<MintResponse, ConnectorError> {
        self.carry("mint", request, Bank::mint).await
    }

    async fn melt_quote_bolt11(
        &self,
        request: &MeltQuoteBolt11Request,
    ) -> Result<MeltQuoteBolt11Response, ConnectorError> {
        self.carry("melt_quote", request, |bank, request| Ok(bank.melt_quote(request))).await
    }

    async fn melt_quote_status(&self, quote: &QuoteId) -> Result<MeltQuoteBolt11Response, ConnectorError> {
        self.carry("melt_quote_status", quote, Bank::melt_quote_status).await
    }

    async fn melt(&self, request: &MeltRequest) -> Result<MeltQuoteBolt11Response, ConnectorError> {
        self.carry("melt", request, Bank::melt).await
    }

    async fn notices(&self, _: Subject<'_>) -> Option<Box<dyn Notices>> {
        self.sent.lock().unwrap().push(("notices", String::new()));
        let script = self.notices.lock().unwrap().pop_front()?;
        Some(Box::new(Script(script.into())))
    }

    async fn check_state(&self, request: &CheckStateRequest) -> Result<CheckStateResponse, ConnectorError> {
        self.carry("check_state", request, |bank, request| Ok(bank.check_state(request))).await
    }

    async fn restore(&self, request: &RestoreRequest) -> Result<RestoreResponse, ConnectorError> {
        self.carry("restore", request, |bank, request| Ok(bank.restore(request))).await
    }
}
