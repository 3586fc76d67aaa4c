use super::*;

/// A GET of a JSON:API resource, its members of `include` leading to these types.
fn resource(scope: &str, kind: &str, relations: &[(&str, &str)]) -> Value {
    let one = |kind: &str| json!({ "type": { "enum": [kind] } });
    let relationships: serde_json::Map<String, Value> = relations
        .iter()
        .map(|(name, kind)| {
            let data = json!({ "properties": { "data": { "items": { "properties": one(kind) } } } });
            ((*name).to_owned(), data)
        })
        .collect();
    let mut properties = one(kind);
    properties["relationships"] = json!({ "properties": relationships });
    let names: Vec<&str> = relations.iter().map(|(name, _)| *name).collect();
    json!({
        "security": [{ "oauth": [scope] }],
        "parameters": [{ "name": "include", "in": "query", "schema": { "items": { "enum": names } } }],
        "responses": { "200": { "content": { "application/vnd.api+json": { "schema": {
            "properties": { "data": { "items": { "properties": properties } } }
        } } } } },
    })
}

#[test]
fn an_included_resource_needs_the_scopes_of_the_operation_that_serves_it() {
    let imported = import(&json!({
        "/trees/{id}": { "get": resource("trees:read", "tree", &[("crop", "apple")]) },
        "/apples": { "get": resource("apples:read", "apple", &[]) },
    }));
    assert!(lines(&imported.policy).contains(&"crop: apples:read"), "{}", imported.policy);
    let route = "GET /v2/trees/{id}: { scopes: trees:read, query: { include: [crop] } }";
    assert!(lines(&imported.policy).contains(&route), "{}", imported.policy);
    assert!(!imported.policy.contains("doubtful:"), "{}", imported.policy);
}

#[test]
fn a_resource_served_only_below_the_route_needs_the_scopes_of_that_operation() {
    let imported = import(&json!({
        "/trees/{id}": { "get": resource("trees:read", "tree", &[("apples", "apple")]) },
        "/trees/{id}/apples": { "get": resource("apples:read", "apple", &[]) },
    }));
    assert!(lines(&imported.policy).contains(&"apples: apples:read"), "{}", imported.policy);
    assert!(
        lines(&imported.policy).contains(&"# doubtful: only GET /v2/trees/{id}/apples serves it"),
        "{}",
        imported.policy
    );
}

#[test]
fn a_resource_that_nothing_serves_needs_the_routes_own_scopes() {
    let imported = import(&json!({ "/trees": { "get": resource("trees:read", "tree", &[("roots", "root")]) } }));
    assert!(lines(&imported.policy).contains(&"roots: trees:read"), "{}", imported.policy);
    assert!(lines(&imported.policy).contains(&"# doubtful: no operation serves root"), "{}", imported.policy);
}

#[test]
fn a_member_that_means_two_things_is_mapped_on_each_route() {
    let imported = import(&json!({
        "/apples": { "get": resource("apples:read", "apple", &[("owner", "person"), ("trees", "tree")]) },
        "/farms": { "get": resource("farms:read", "farm", &[("trees", "tree")]) },
        "/dogs": { "get": resource("dogs:read", "dog", &[("owner", "farm")]) },
        "/people": { "get": resource("people:read", "person", &[]) },
        "/trees": { "get": resource("trees:read", "tree", &[]) },
    }));
    let lines = lines(&imported.policy);
    let apples =
        "GET /v2/apples: { scopes: apples:read, query: { include: { owner: people:read, trees: trees:read } } }";
    assert!(lines.contains(&apples), "{}", imported.policy);
    assert!(
        lines.contains(&"GET /v2/dogs: { scopes: dogs:read, query: { include: { owner: farms:read } } }"),
        "{}",
        imported.policy
    );
    assert!(
        lines.contains(&"GET /v2/farms: { scopes: farms:read, query: { include: [trees] } }"),
        "{}",
        imported.policy
    );
    assert!(
        lines.contains(&"trees: trees:read") && !lines.iter().any(|line| line.starts_with("owner:")),
        "{}",
        imported.policy
    );
}

#[test]
fn a_reference_that_leads_in_a_circle_ends() {
    let mut document = document(&json!({ "/apples": { "get": {
        "x-orchard-scopes": ["a"],
        "parameters": [{ "name": "include", "in": "query", "schema": { "items": { "enum": ["x"] } } }],
        "responses": { "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Loop" } } } } },
    } } }));
    let part = json!({ "$ref": "#/components/schemas/Loop" });
    document["components"] = json!({ "schemas": { "Loop": { "allOf": [part, part, part] } } });
    let imported = import_with(&document, &Options::default());
    assert!(lines(&imported.policy).contains(&"# doubtful: no operation serves x"), "{}", imported.policy);
}

#[test]
fn a_member_that_no_list_can_hold_is_left_out_and_reported() {
    let relations = [("*", "apple"), ("a,b", "apple"), ("crop", "apple")];
    let imported = import(&json!({ "/apples": { "get": resource("apples:read", "apple", &relations) } }));
    assert!(imported.policy.contains("query: { include: [crop] }"), "{}", imported.policy);
    let notes = imported.report.notes.iter().filter(|note| note.about == "GET /v2/apples");
    assert_eq!(notes.count(), 2);
}
