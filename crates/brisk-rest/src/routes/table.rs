//! The table of paths: what is dispatched and what is described are the same entries, so that they cannot differ.

use crate::cluster::Cluster;
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use serde_json::{Map, Value, json};

/// Paths with what answers them.
pub(crate) struct Table {
    router: Router<Cluster>,
    routes: Vec<Route>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    /// `get`, `post`, ...
    pub(crate) method: &'static str,
    /// With `{name}` for parameters.
    pub(crate) path: &'static str,
    /// What it is good for.
    pub(crate) summary: &'static str,
    /// Parameters behind the `?`.
    pub(crate) query: &'static [&'static str],
    /// Fields of the body with their types; without any, there is none.
    pub(crate) body: &'static [(&'static str, &'static str)],
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), routes: Vec::new() }
    }

    fn add<H, T>(self, method: MethodFilter, route: Route, handler: H) -> Self
    where
        H: Handler<T, Cluster>,
        T: 'static,
    {
        let Self { router, mut routes } = self;
        routes.push(route);
        Self { router: router.route(route.path, on(method, handler)), routes }
    }

    /// Something to be looked at.
    pub(crate) fn get<H: Handler<T, Cluster>, T: 'static>(self, path: &'static str, summary: &'static str, handler: H) -> Self {
        self.get_with(path, summary, &[], handler)
    }

    /// The same, with parameters.
    pub(crate) fn get_with<H: Handler<T, Cluster>, T: 'static>(
        self,
        path: &'static str,
        summary: &'static str,
        query: &'static [&'static str],
        handler: H,
    ) -> Self {
        self.add(MethodFilter::GET, Route { method: "get", path, summary, query, body: &[] }, handler)
    }

    /// Something to be begun.
    pub(crate) fn post<H: Handler<T, Cluster>, T: 'static>(
        self,
        path: &'static str,
        summary: &'static str,
        body: &'static [(&'static str, &'static str)],
        handler: H,
    ) -> Self {
        self.add(MethodFilter::POST, Route { method: "post", path, summary, query: &[], body }, handler)
    }

    /// Something to be put in another's place.
    pub(crate) fn put<H: Handler<T, Cluster>, T: 'static>(self, path: &'static str, summary: &'static str, handler: H) -> Self {
        self.add(MethodFilter::PUT, Route { method: "put", path, summary, query: &[], body: &[] }, handler)
    }

    /// Something to be changed.
    pub(crate) fn patch<H: Handler<T, Cluster>, T: 'static>(
        self,
        path: &'static str,
        summary: &'static str,
        query: &'static [&'static str],
        handler: H,
    ) -> Self {
        self.add(MethodFilter::PATCH, Route { method: "patch", path, summary, query, body: &[] }, handler)
    }

    /// Something to be deleted.
    pub(crate) fn delete<H: Handler<T, Cluster>, T: 'static>(self, path: &'static str, summary: &'static str, handler: H) -> Self {
        self.add(MethodFilter::DELETE, Route { method: "delete", path, summary, query: &[], body: &[] }, handler)
    }

    /// What dispatches, and what there is.
    pub(crate) fn into_parts(self) -> (Router<Cluster>, Vec<Route>) {
        (self.router, self.routes)
    }
}

/// The description of all paths, as OpenAPI has it.
pub(crate) fn open_api(routes: &[Route]) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation(route);
    }
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Brisk",
            "description": "What Flink's REST interface answers. Each path is also served below /v1.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{ "url": "/v1" }],
        "paths": paths,
        "components": { "schemas": { "Errors": {
            "type": "object",
            "properties": { "errors": { "type": "array", "items": { "type": "string" } } },
            "required": ["errors"],
        } } },
    })
}

fn operation(route: &Route) -> Value {
    let parts = route.path.split('/').filter(|part| !part.is_empty());
    let name: Vec<String> = parts.clone().map(|part| part.trim_matches(['{', '}']).replace(['.', '-'], "_")).collect();
    let in_path = parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter =
        |name: &str, place: &str| json!({ "name": name, "in": place, "required": place == "path", "schema": { "type": "string" } });
    let parameters = in_path.map(|name| parameter(name, "path")).chain(route.query.iter().map(|name| parameter(name, "query")));
    let mut operation = json!({
        "summary": route.summary,
        "operationId": format!("{}_{}", route.method, name.join("_")),
        "parameters": parameters.collect::<Vec<_>>(),
        "responses": {
            "2XX": { "description": "It is answered.", "content": { "application/json": { "schema": { "type": "object" } } } },
            "default": {
                "description": "Why it is not.",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Errors" } } },
            },
        },
    });
    if let [(field, "file")] = route.body {
        let properties = Map::from_iter([((*field).to_owned(), json!({ "type": "string", "format": "binary" }))]);
        operation["requestBody"] =
            json!({ "content": { "multipart/form-data": { "schema": { "type": "object", "properties": properties } } } });
    } else if !route.body.is_empty() {
        let properties = route.body.iter().map(|(name, kind)| ((*name).to_owned(), field(kind))).collect::<Map<_, _>>();
        operation["requestBody"] =
            json!({ "content": { "application/json": { "schema": { "type": "object", "properties": properties } } } });
    }
    operation
}

fn field(kind: &str) -> Value {
    match kind {
        "texts" => json!({ "type": "array", "items": { "type": "string" } }),
        "texts by name" => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        kind => json!({ "type": kind }),
    }
}
