//! `GET /openapi.json`: the API as an `OpenAPI` 3.1 document, made from the table of routes and the types of their handlers.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;
use hazel_protocol::{ErrorResponse, PaymentMethod};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::App;
use super::table::{Endpoint, Verb};

/// Where the document is.
const PATH: &str = "/openapi.json";

/// Where its schemas are, as a path in it.
const SCHEMAS: &str = "/components/schemas";

/// The refusals that any request may meet, and that only one with variable parts in its path or with a body may meet. What each means stands
/// at [`answer`](super::answer).
const REFUSALS: &[(u16, &str)] = &[
    (400, "The mint refuses, with a code of the NUTs; not to be sent again unchanged"),
    (429, "This client asks too fast; try again after `Retry-After`"),
    (500, "A bug; send the same again to learn the outcome"),
    (503, "Busy, or the node or database is away; try again after `Retry-After`"),
    (504, "The time limit ran out; send the same again to learn the outcome"),
];
const PATH_REFUSALS: &[(u16, &str)] = &[(404, "A part of the path is no text")];
const BODY_REFUSALS: &[(u16, &str)] = &[
    (408, "The body did not arrive in time; the mint did not look at it"),
    (413, "The body is too large"),
    (415, "The body is not JSON, or is compressed"),
];

/// The route that serves the document of `table` for a mint with these payment methods.
pub(super) fn route(table: &[Endpoint], methods: Vec<PaymentMethod>) -> Router<App> {
    let text = Bytes::from(document(table, methods).to_string());
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
    Router::new().route(PATH, get(async move || (headers, text)))
}

/// The types of a route: schemas of the variable parts of its path in order, of its body, and of its answer.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) parts: Vec<Schema>,
    pub(super) request: Option<Schema>,
    /// None for a connection that becomes something else.
    pub(super) answer: Option<Schema>,
}

/// Makes schemas. What is read may leave out what has a default; what is answered is told as it is written.
pub(super) struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
    /// The payment methods that there are.
    pub(super) methods: Vec<PaymentMethod>,
}

impl Schemas {
    fn new(methods: Vec<PaymentMethod>) -> Self {
        let settings = || SchemaSettings::draft2020_12().with(|s| s.definitions_path = SCHEMAS.into());
        Self {
            read: settings().for_deserialize().into_generator(),
            written: settings().for_serialize().into_generator(),
            methods,
        }
    }

    pub(super) fn of_request<T: JsonSchema>(&mut self) -> Schema {
        self.read.subschema_for::<T>()
    }

    pub(super) fn of_answer<T: JsonSchema>(&mut self) -> Schema {
        self.written.subschema_for::<T>()
    }

    /// All that have a name.
    fn named(mut self) -> Map<String, Value> {
        let mut all = self.read.take_definitions(true);
        all.extend(self.written.take_definitions(true));
        all
    }
}

/// The document of `table` for a mint with these payment methods.
fn document(table: &[Endpoint], methods: Vec<PaymentMethod>) -> Value {
    let mut schemas = Schemas::new(methods);
    let refusal = schemas.of_answer::<ErrorResponse>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for endpoint in table {
        let operation = operation(endpoint, &(endpoint.shape)(&mut schemas), &refusal);
        paths.entry(endpoint.path).or_default().insert(endpoint.verb.name().to_owned(), operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hazel",
            "summary": "A Cashu mint: the NUTs over HTTP",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "paths": paths,
        "components": { "schemas": schemas.named() },
    })
}

fn operation(endpoint: &Endpoint, shape: &Shape, refusal: &Schema) -> Value {
    let mut operation = json!({
        "operationId": endpoint.id,
        "summary": endpoint.summary,
        "responses": responses(shape, refusal),
    });
    let parameters: Vec<Value> = endpoint.names().zip(&shape.parts).map(parameter).collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(request) = &shape.request {
        operation["requestBody"] = json!({ "required": true, "content": content(request) });
    }
    operation
}

fn parameter((name, schema): (&str, &Schema)) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

fn responses(shape: &Shape, refusal: &Schema) -> Value {
    let mut responses = Map::new();
    let success = match &shape.answer {
        Some(answer) => ("200", json!({ "description": "Done", "content": content(answer) })),
        None => ("101", json!({ "description": "The connection goes on in another protocol" })),
    };
    responses.insert(success.0.to_owned(), success.1);
    let of_path = PATH_REFUSALS.iter().filter(|_| !shape.parts.is_empty());
    let of_body = BODY_REFUSALS.iter().filter(|_| shape.request.is_some());
    for (status, description) in REFUSALS.iter().chain(of_path).chain(of_body) {
        let mut response = json!({ "description": description, "content": content(refusal) });
        if matches!(status, 429 | 503) {
            response["headers"] = json!({ "Retry-After": { "schema": { "type": "integer", "minimum": 0 } } });
        }
        responses.insert(status.to_string(), response);
    }
    responses.into()
}

fn content(schema: &Schema) -> Value {
    json!({ "application/json": { "schema": schema } })
}

impl Verb {
    /// As the document writes it.
    const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
        }
    }
}
