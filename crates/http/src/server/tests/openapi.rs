//! The document against the server: what it names is there, what is there it names, and what is answered is what it says.

use std::collections::BTreeSet;

use serde_json::json;

use super::api::{fund, messages, paid_quote};
use super::world::Served;
use super::*;

/// The document, as a client gets it.
async fn document(served: &Served) -> Value {
    let reply = get(served.address, "/openapi.json").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// Asserts that a reply is one that the document allows for the operation.
fn assert_allowed(document: &Value, id: &str, reply: &Reply) {
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.values().flat_map(|path| path.as_object().expect("operations").values());
    let operation = operations.into_iter().find(|operation| operation["operationId"] == id).expect("it is described");
    let response = &operation["responses"][reply.status.to_string()];
    assert!(response.is_object(), "{id} does not say that it answers {}: {reply:?}", reply.status);
    let mut schema = response["content"]["application/json"]["schema"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    let errors: Vec<String> = validator.iter_errors(&reply.json()).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{id}: {errors:?}: {reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn the_document_is_whole() {
    let document = document(&Served::new().await).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    let paths = document["paths"].as_object().expect("paths");
    for (path, operations) in paths {
        let holes = path.matches('{').count();
        for operation in operations.as_object().expect("operations").values() {
            let id = operation["operationId"].as_str().expect("a name");
            assert!(!id.is_empty() && ids.insert(id), "{path}: each has a name of its own");
            assert!(operation["summary"].as_str().is_some_and(|text| text.contains("NUT-")), "{id}");
            let parameters = operation["parameters"].as_array().map_or(0, Vec::len);
            assert_eq!(parameters, holes, "{path} names its parts");
        }
    }
    assert_eq!(ids.len(), super::super::routes::table().len());
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().expect("an end");
        assert!(document["components"]["schemas"][name].is_object(), "{name} is not there");
    }
}

#[tokio::test]
async fn a_name_in_the_document_has_one_meaning() {
    let document = document(&Served::new().await).await;
    // Read and written alike, these are the types of both sides.
    let both = ["BlindedMessage", "CurrencyUnit", "KeysetId", "PointBytes", "QuoteId", "Witness", "Amount"];
    for name in both {
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
    let request = &document["components"]["schemas"]["MeltRequest"];
    assert_eq!(request["required"], json!(["quote", "inputs"]), "what has a default may be left out");
}

#[tokio::test]
async fn answers_are_what_the_document_says() {
    let served = Served::new().await;
    let document = document(&served).await;
    let keyset = format!("/v1/keys/{}", served.keyset());
    let paid = paid_quote(&served, 8).await;
    let coins = fund(&served, &[2, 8, 32]).await;
    let quote = post(served.address, "/v1/melt/quote/bolt11", r#"{"request": "inv:200:2000", "unit": "sat"}"#).await;
    let melt = quote.json()["quote"].as_str().expect("an id").to_owned();
    for (id, path) in [
        ("info", "/v1/info".to_owned()),
        ("keys", "/v1/keys".to_owned()),
        ("keysOf", keyset),
        ("keysets", "/v1/keysets".to_owned()),
        ("mintQuote", format!("/v1/mint/quote/bolt11/{paid}")),
        ("meltQuote", format!("/v1/melt/quote/bolt11/{melt}")),
    ] {
        let reply = get(served.address, &path).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_allowed(&document, id, &reply);
    }
    let outputs = served.outputs(&[2, 8]);
    let signed = json!({ "outputs": messages(&outputs) });
    let (ys, blanks) = (vec![coins[0].y(), coins[2].y()], messages(&served.outputs(&[1, 1])));
    for (id, path, body) in [
        ("openMintQuote", "/v1/mint/quote/bolt11", json!({ "amount": 5, "unit": "sat" })),
        ("mintQuotes", "/v1/mint/quote/bolt11/check", json!({ "quotes": [paid] })),
        ("mint", "/v1/mint/bolt11", json!({ "quote": paid, "outputs": messages(&served.outputs(&[8])) })),
        ("swap", "/v1/swap", json!({ "inputs": &coins[..2], "outputs": messages(&outputs) })),
        ("openMeltQuote", "/v1/melt/quote/bolt11", json!({ "request": "inv:200:2000", "unit": "sat" })),
        ("melt", "/v1/melt/bolt11", json!({ "quote": melt, "inputs": &coins[2..], "outputs": blanks })),
        ("checkState", "/v1/checkstate", json!({ "Ys": ys })),
        ("restore", "/v1/restore", signed),
    ] {
        let reply = post(served.address, path, &body.to_string()).await;
        assert_eq!(reply.status, 200, "{id}: {reply:?}");
        assert_allowed(&document, id, &reply);
    }
    let batch = paid_quote(&served, 4).await;
    let body = json!({ "quotes": [batch], "outputs": messages(&served.outputs(&[4])) }).to_string();
    let reply = post(served.address, "/v1/mint/bolt11/batch", &body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_allowed(&document, "mintBatch", &reply);
}

#[tokio::test]
async fn refusals_are_what_the_document_says() {
    let served = Served::new().await;
    let document = document(&served).await;
    for (id, path, body) in [
        ("swap", "/v1/swap", "{}"),
        ("swap", "/v1/swap", r#"{"inputs": [], "outputs": []}"#),
        ("mint", "/v1/mint/bolt11", r#"{"quote": "none", "outputs": []}"#),
        ("mint", "/v1/mint/else", r#"{"quote": "none", "outputs": []}"#),
        ("openMintQuote", "/v1/mint/quote/BOLT11", r#"{"amount": 1, "unit": "sat"}"#),
        ("openMintQuote", "/v1/mint/quote/bolt11", r#"{"amount": 1, "unit": "eur"}"#),
        ("checkState", "/v1/checkstate", r#"{"Ys": ["02"]}"#),
    ] {
        let reply = post(served.address, path, body).await;
        assert_eq!(reply.status, 400, "{reply:?}");
        assert_allowed(&document, id, &reply);
    }
    for (id, path) in [("keysOf", "/v1/keys/x"), ("mintQuote", "/v1/mint/quote/bolt11/none"), ("subscribe", "/v1/ws")] {
        let reply = get(served.address, path).await;
        assert_eq!(reply.status, 400, "{reply:?}");
        assert_allowed(&document, id, &reply);
    }
    for (id, path) in [("keysOf", "/v1/keys/%ff"), ("meltQuote", "/v1/melt/quote/bolt11/%ff")] {
        let reply = get(served.address, path).await;
        assert_eq!(reply.status, 404, "{reply:?}");
        assert_allowed(&document, id, &reply);
    }
    let reply = post(served.address, "/v1/mint/%ff", r#"{"quote": "none", "outputs": []}"#).await;
    assert_eq!(reply.status, 404, "{reply:?}");
    assert_allowed(&document, "mint", &reply);
    assert!(document["paths"]["/v1/swap"]["post"]["responses"]["404"].is_null(), "a path without parts is there");
}
