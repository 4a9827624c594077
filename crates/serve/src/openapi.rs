//! The OpenAPI 3.1 document. Its schemas are JSON Schema 2020-12, as 3.1 has it, straight from the types.

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::built::Built;
use crate::routes::{Route, extra_schemas, routes};

include!(concat!(env!("OUT_DIR"), "/document.rs"));

/// The document as the daemon serves it: the one that is checked in.
pub(crate) async fn document(asked: HeaderMap) -> Response<Body> {
    DOCUMENT[0].answer(&asked)
}

/// Builds the document from the table of routes, for the test that holds it beside the one that is checked in.
///
/// # Panics
/// In a release: what makes schemas is not built into that, since it would be a part in twenty of the program.
#[must_use]
pub fn build() -> Value {
    if !cfg!(debug_assertions) {
        panic!("a release has no schemas");
    }
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    extra_schemas(&mut generator);
    let mut paths = Map::new();
    for route in routes() {
        let operation = operation(&route, &mut generator);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation;
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Trunkline",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Sessions of AI agents as durable logs: run them, attach to them, answer them. \
                Times are milliseconds since 1970-01-01 UTC.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{ "token": [] }],
    })
}

fn operation(route: &Route, generator: &mut schemars::SchemaGenerator) -> Value {
    let mut operation = json!({ "summary": route.summary, "operationId": operation_id(route) });
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some((content_type, schema)) = route.takes {
        let schema = schema.map_or_else(|| json!({ "type": "string" }), |make| json!(make(generator)));
        operation["requestBody"] =
            json!({ "required": true, "content": { content_type: { "schema": schema } } });
    }
    let (status, gives) = &route.gives;
    let mut content = Map::new();
    if let Some(gives) = gives {
        content.insert("application/json".to_owned(), json!({ "schema": gives(generator) }));
    }
    if route.streams {
        content.insert("text/event-stream".to_owned(), json!({ "schema": { "type": "string" } }));
    }
    let mut success = json!({ "description": route.summary });
    if !content.is_empty() {
        success["content"] = Value::Object(content);
    }
    operation["responses"] = json!({
        status.to_string(): success,
        "default": {
            "description": "A problem (RFC 9457) with a stable `code`.",
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        },
    });
    if route.open {
        operation["security"] = json!([]);
    }
    operation
}

fn parameters(route: &Route) -> Vec<Value> {
    let mut all = Vec::new();
    for part in route.path.split('/') {
        if let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            all.push(json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
        }
    }
    for (name, what) in route.query {
        all.push(json!({ "name": name, "in": "query", "description": what, "schema": { "type": "string" } }));
    }
    if route.keyed {
        let what = "A retry with the same key gets the first outcome.";
        all.push(json!({
            "name": "Idempotency-Key", "in": "header", "description": what, "schema": { "type": "string" },
        }));
    }
    all
}

/// `get /v1/sessions/{session}/events` → `get_sessions_events`.
fn operation_id(route: &Route) -> String {
    let mut id = route.method.to_owned();
    for part in route.path.split('/').filter(|part| !part.is_empty() && *part != "v1") {
        let name = part.trim_matches(['{', '}']).split('.').next().unwrap_or_default();
        id.push_str(if part.starts_with('{') { "_by_" } else { "_" });
        id.push_str(name);
    }
    id
}
