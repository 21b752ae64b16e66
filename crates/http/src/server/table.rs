//! The form of a route: one entry that both the router and the `OpenAPI` document are made from, so that they cannot disagree.
//!
//! An entry is made from its handler. The types of the handler are what is read and answered, and what the document says.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawPathParams, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get as on_get, post as on_post};
use hazel_protocol::{ErrorCode, KeysetId, PaymentMethod, QuoteId};
use schemars::{JsonSchema, Schema, json_schema};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::{Refusal, answer, public_answer};
use super::body::Message;
use super::openapi::{Schemas, Shape};
use super::rate::{Cost, Limiter, limit};
use super::{App, ServerConfig};

/// What a handler gives: an answer that becomes JSON, or a refusal.
pub(super) type Reply<T> = Result<T, Refusal>;

/// A route and what is to be known about it.
pub(super) struct Endpoint {
    pub(super) verb: Verb,
    /// As axum and `OpenAPI` both write it: variable parts in braces.
    pub(super) path: &'static str,
    /// The name of the operation, for programs that are generated from the document.
    pub(super) id: &'static str,
    /// What it does, in a line.
    pub(super) summary: &'static str,
    /// What it costs the client who asks, where rates are limited.
    cost: Cost,
    /// What it reads and answers.
    pub(super) shape: fn(&mut Schemas) -> Shape,
    handler: MethodRouter<App>,
}

/// The methods that routes take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
}

/// A route that answers about one client or one moment.
pub(super) fn get<P, A, F, R>(path: &'static str, call: F) -> Endpoint
where
    P: PathParts,
    A: Serialize + JsonSchema,
    F: Fn(App, P) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Reply<A>> + Send,
{
    let handler = async move |State(app): State<App>, raw: PathText| -> Reply<_> {
        let parts = P::read(raw.values())?;
        Ok(answer(&call(app, parts).await?))
    };
    Endpoint::new(Verb::Get, path, shape_of_get::<P, A>, on_get(handler))
}

/// A route that answers the same to everybody, so that caches may keep it for a moment.
pub(super) fn get_public<P, A, F>(path: &'static str, call: F) -> Endpoint
where
    P: PathParts,
    A: Serialize + JsonSchema,
    F: Fn(&App, P) -> Reply<A> + Clone + Send + Sync + 'static,
{
    let handler = async move |State(app): State<App>, raw: PathText| -> Reply<_> {
        let parts = P::read(raw.values())?;
        Ok(public_answer(&call(&app, parts)?, app.gate.config.cache_secs))
    };
    Endpoint::new(Verb::Get, path, shape_of_get::<P, A>, on_get(handler))
}

/// A route that reads a message.
pub(super) fn post<P, Q, A, F, R>(path: &'static str, call: F) -> Endpoint
where
    P: PathParts,
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Serialize + JsonSchema,
    F: Fn(App, P, Q) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Reply<A>> + Send,
{
    let handler = async move |State(app): State<App>, raw: PathText, Message(request): Message<Q>| -> Reply<_> {
        let parts = P::read(raw.values())?;
        Ok(answer(&call(app, parts, request).await?))
    };
    let shape =
        |schemas: &mut Schemas| Shape { request: Some(schemas.of_request::<Q>()), ..shape_of_get::<P, A>(schemas) };
    Endpoint::new(Verb::Post, path, shape, on_post(handler))
}

fn shape_of_get<P: PathParts, A: JsonSchema>(schemas: &mut Schemas) -> Shape {
    Shape { parts: P::schemas(schemas), request: None, answer: Some(schemas.of_answer::<A>()) }
}

impl Endpoint {
    fn new(verb: Verb, path: &'static str, shape: fn(&mut Schemas) -> Shape, handler: MethodRouter<App>) -> Self {
        Self { verb, path, id: "", summary: "", cost: Cost::Look, shape, handler }
    }

    /// A route whose connection becomes something else: its handler is its own.
    pub(super) fn upgrade(path: &'static str, handler: MethodRouter<App>) -> Self {
        let shape = |_: &mut Schemas| Shape { parts: Vec::new(), request: None, answer: None };
        Self::new(Verb::Get, path, shape, handler)
    }

    /// Says that it costs more than a look.
    pub(super) fn costing(self, cost: Cost) -> Self {
        Self { cost, ..self }
    }

    /// The names of the variable parts of the path, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Names the operation and says in a line what it does.
    pub(super) fn named(self, id: &'static str, summary: &'static str) -> Self {
        Self { id, summary, ..self }
    }
}

/// The router of a table, within the rates that `config` allows each client.
pub(super) fn router_of(table: Vec<Endpoint>, config: &ServerConfig) -> Router<App> {
    let limiter = config.rate.clone().map(|rate| Arc::new(Limiter::new(rate)));
    table.into_iter().fold(Router::new(), |router, Endpoint { path, cost, handler, .. }| {
        let handler = match &limiter {
            Some(limiter) => {
                let state = (Arc::clone(limiter), cost, config.max_body_bytes);
                handler.layer(from_fn_with_state(state, limit))
            }
            None => handler,
        };
        router.route(path, handler)
    })
}

/// The variable parts of a path, read in order.
pub(super) trait PathParts: Sized + Send {
    /// Reads them; there are as many as the path has.
    ///
    /// # Errors
    /// What the client is told when one names nothing.
    fn read(values: Vec<&str>) -> Result<Self, Refusal>;

    /// Their schemas, in order.
    fn schemas(schemas: &mut Schemas) -> Vec<Schema>;
}

impl PathParts for () {
    fn read(_: Vec<&str>) -> Result<Self, Refusal> {
        Ok(())
    }

    fn schemas(_: &mut Schemas) -> Vec<Schema> {
        Vec::new()
    }
}

impl PathParts for KeysetId {
    fn read(values: Vec<&str>) -> Result<Self, Refusal> {
        let [id] = one(values)?;
        id.parse().map_err(|_| Refusal::nut(ErrorCode::KeysetUnknown))
    }

    fn schemas(schemas: &mut Schemas) -> Vec<Schema> {
        vec![schemas.of_request::<Self>()]
    }
}

/// The name of a payment method. Whether the mint has it is for the engine to say.
impl PathParts for PaymentMethod {
    fn read(values: Vec<&str>) -> Result<Self, Refusal> {
        let [method] = one(values)?;
        method_of(method)
    }

    fn schemas(schemas: &mut Schemas) -> Vec<Schema> {
        vec![json_schema!({ "type": "string", "enum": schemas.methods })]
    }
}

fn method_of(text: &str) -> Result<PaymentMethod, Refusal> {
    let malformed = |_| {
        let detail = "a payment method is written with a-z, 0-9, '_' and '-'";
        Refusal::malformed(StatusCode::BAD_REQUEST, detail)
    };
    text.parse().map_err(malformed)
}

impl PathParts for (PaymentMethod, QuoteId) {
    fn read(values: Vec<&str>) -> Result<Self, Refusal> {
        let [method, quote] = one(values)?;
        let method = method_of(method)?;
        // A text that cannot be the id of a quote is the id of no quote.
        let unknown = hazel_mint::MintError::invalid(hazel_mint::Group::Quote, "no such quote");
        Ok((method, quote.parse().map_err(|_| Refusal::from(unknown))?))
    }

    fn schemas(schemas: &mut Schemas) -> Vec<Schema> {
        let mut parts = PaymentMethod::schemas(schemas);
        parts.push(schemas.of_request::<QuoteId>());
        parts
    }
}

/// Exactly so many parts. A route whose path has another number is wrong for every request, which its test finds.
fn one<const N: usize>(values: Vec<&str>) -> Result<[&str; N], Refusal> {
    values.try_into().map_err(|_| Refusal::bug())
}

/// The variable parts of a path as text. What is no UTF-8 matches no resource.
pub(super) struct PathText(Option<RawPathParams>);

impl PathText {
    fn values(&self) -> Vec<&str> {
        self.0.iter().flatten().map(|(_, value)| value).collect()
    }
}

impl axum::extract::FromRequestParts<App> for PathText {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, app: &App) -> Result<Self, Refusal> {
        match RawPathParams::from_request_parts(parts, app).await {
            Ok(raw) => Ok(Self(Some(raw))),
            Err(axum::extract::rejection::RawPathParamsRejection::MissingPathParams(_)) => Ok(Self(None)),
            Err(_) => Err(Refusal::malformed(StatusCode::NOT_FOUND, "no such path")),
        }
    }
}
