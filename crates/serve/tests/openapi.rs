//! The document that is checked in is the one the daemon serves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

#[test]
fn the_checked_in_document_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let built = trunkline_serve::openapi::build();
    if option_env!("TRUNKLINE_ACCEPT").is_some() {
        fs::write(&path, format!("{:#}\n", sorted(&built))).unwrap();
    }
    let kept: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(
        kept == built,
        "the API changed: run `make openapi` and look at the difference in docs/openapi.json"
    );
}

/// The same with the members of every object in the order of their names, whatever order this build keeps.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let by_name: BTreeMap<_, _> =
                members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            Value::Object(by_name.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let document = trunkline_serve::openapi::build();
    let mut names = std::collections::BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{method} {path} shares the name {name}");
        }
    }
    assert!(names.len() > 30);
}

#[test]
fn every_schema_has_a_name_of_its_own() {
    let document = trunkline_serve::openapi::build();
    let names = document["components"]["schemas"].as_object().unwrap().keys();
    let numbered: Vec<_> = names.filter(|name| name.ends_with(|c: char| c.is_ascii_digit())).collect();
    assert!(numbered.is_empty(), "two types share a name: {numbered:?}");
}
