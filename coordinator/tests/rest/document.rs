//! `/api/openapi.json`.

use std::collections::HashSet;

use serde_json::Value;

use crate::caller::get;
use crate::setup::Factory;

/// Every schema below `value` that has fields, with its path in the document.
fn objects<'d>(value: &'d Value, path: String, found: &mut Vec<(String, &'d Value)>) {
    if value.get("properties").is_some() {
        found.push((path.clone(), value));
    }
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| objects(field, format!("{path}/{name}"), found));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| objects(item, format!("{path}/{index}"), found));
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_document_says_what_each_route_takes_and_answers() {
    let factory = Factory::start().await;
    let document = get(&factory, "/api/openapi.json").await.assert_ok();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{document}");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.contains_key("/api/tasks/{task}/logs"), "{:?}", paths.keys());
    let mut ids = HashSet::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("methods") {
            let place = format!("{method} {path}");
            assert!(
                operation["summary"].is_string() && operation["tags"][0].is_string(),
                "{place} says little"
            );
            assert!(ids.insert(operation["operationId"].as_str()), "{place} has another's id");
            let responses = operation["responses"].as_object().expect("responses");
            for status in responses.keys() {
                assert!(status.parse::<u16>().is_ok(), "{place} answers with {status}");
                assert_ne!(responses[status]["description"], "", "{place}: {status}");
                let is_problem = responses[status]["content"].get("application/problem+json").is_some();
                assert_eq!(is_problem, status.as_str() >= "400", "{place}: {status}");
            }
            assert!(["401", "500", "503"].iter().all(|status| responses.contains_key(*status)), "{place}");
            if path.contains('{') {
                assert!(responses.contains_key("404"), "{place} names something that may not be there");
            }
            if operation.get("requestBody").is_some() {
                let all = ["400", "413", "415", "422"];
                assert!(all.iter().all(|status| responses.contains_key(*status)), "{place} takes a body");
            }
        }
    }
    factory.coordinator.shutdown().await;
}

/// What is answered has every field, `null` or not; what is sent may lack some, and has no others.
#[tokio::test]
async fn a_schema_tells_what_is_always_there() {
    let factory = Factory::start().await;
    let document = get(&factory, "/api/openapi.json").await.assert_ok();
    let mut found = Vec::new();
    objects(&document["components"]["schemas"], String::new(), &mut found);
    assert!(found.len() > 10, "{found:#?}");
    for (path, schema) in found {
        if schema["additionalProperties"] == Value::Bool(false) {
            continue;
        }
        let fields = schema["properties"].as_object().expect("fields");
        let required = schema["required"].as_array().expect("required fields");
        for field in fields.keys() {
            assert!(required.iter().any(|name| name == field), "{path} may lack {field}");
        }
    }
    factory.coordinator.shutdown().await;
}
