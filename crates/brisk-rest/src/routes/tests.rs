//! The table of paths, its description, and what a real Flink has.

use super::table::open_api;
use super::{OPEN_API, table};
use std::collections::BTreeSet;

#[test]
fn every_path_is_described() {
    let (_, routes) = table().into_parts();
    let description = open_api(&routes);
    let mut names = BTreeSet::new();
    for route in &routes {
        let operation = &description["paths"][route.path][route.method];
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{} {}", route.method, route.path);
        assert!(names.insert(operation["operationId"].to_string()), "two operations are called {}", operation["operationId"]);
        let parameters = operation["parameters"].as_array().expect("a list");
        let of_path = parameters.iter().filter(|parameter| parameter["in"] == "path").count();
        assert_eq!(of_path, route.path.matches('{').count(), "{}", route.path);
    }
    assert!(!routes.iter().any(|route| route.path == OPEN_API), "it describes the others");
    let described: usize =
        description["paths"].as_object().expect("paths").values().filter_map(|path| path.as_object()).map(|path| path.len()).sum();
    assert_eq!(described, routes.len(), "no path stands twice in the table");
    let body = &description["paths"]["/jars/{jarid}/run"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"];
    assert_eq!(body["programArgsList"]["items"]["type"], "string");
    assert_eq!(body["flinkConfiguration"]["additionalProperties"]["type"], "string");
}

/// What a real Flink has answered, path by path.
#[test]
fn every_captured_path_is_in_the_table() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/flink-2.3");
    let (_, routes) = table().into_parts();
    let parts =
        |path: &str| path.split('/').map(|part| if part.starts_with(['{', ':']) { "*" } else { part }.to_owned()).collect::<Vec<_>>();
    let known: BTreeSet<_> = routes.iter().map(|route| (route.method.to_uppercase(), parts(route.path))).collect();
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("it is there") {
        let text = std::fs::read_to_string(entry.expect("it can be read").path()).expect("it is text");
        let capture: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let request = capture["request"].as_str().expect("each has its request");
        let request = request.split(" (").next().unwrap_or(request);
        let (method, path) = request.split_once(' ').expect("method and path");
        let path = path.split('?').next().unwrap_or(path).replace("/0", "/*").replace("/xyz", "/*");
        let path = if path == "/jobs/*0000000000000000000000000000000" { "/jobs/*".to_owned() } else { path };
        if capture["status"] != 404 || path == "/jobs/*" {
            assert!(known.contains(&(method.to_owned(), parts(&path))), "{request}");
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}
