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
        lines(&imported.policy).contains(&"# doubtful: served only by GET /v2/trees/{id}/apples"),
        "{}",
        imported.policy
    );
}

#[test]
fn a_resource_that_nothing_serves_is_denied_until_somebody_decides() {
    let imported = import(&json!({ "/trees": { "get": resource("trees:read", "tree", &[("roots", "root")]) } }));
    assert!(lines(&imported.policy).contains(&"GET /v2/trees: trees:read"), "{}", imported.policy);
    assert!(imported.policy.contains("denied until you decide: no operation found that serves \"roots\""));
    assert!(imported.policy.contains("\n    #   roots: SCOPE\n"), "{}", imported.policy);
    let about = imported.report.notes.iter().filter(|note| note.about == "include=roots");
    assert!(about.clone().count() == 1 && about.clone().all(|note| note.text.contains("GET /v2/trees")));
}

#[test]
fn a_resource_that_links_to_what_nothing_serves_is_denied_too() {
    let mut trees = resource("trees:read", "tree", &[("roots", "root")]);
    let one = |kind: &str| json!({ "properties": { "data": { "properties": { "type": { "enum": [kind] } } } } });
    trees["responses"]["200"]["content"]["application/vnd.api+json"]["schema"]["properties"]["included"] = json!({ "items": {
        "properties": { "type": { "enum": ["root"] }, "relationships": { "properties": { "a": one("apple"), "m": one("mole") } } }
    } });
    let mut paths = json!({ "/trees": { "get": trees }, "/apples": { "get": resource("apples:read", "apple", &[]) } });
    assert!(import(&paths).policy.contains("denied until you decide"));
    paths["/moles"] = json!({ "get": resource("moles:read", "mole", &[]) });
    assert!(lines(&import(&paths).policy).contains(&"roots: [apples:read, moles:read, trees:read]"));
}

/// Operations without schemas, one with these members of `include`.
fn plain(members: &[&str], others: &Value) -> Imported {
    let include = json!([{ "name": "include", "in": "query", "schema": { "enum": members } }]);
    let mut paths = others.clone();
    paths["/orders"] = json!({
        "get": { "x-o-scopes": ["orders:read"], "parameters": include },
        "post": { "x-o-scopes": ["orders:write"], "parameters": include },
    });
    import(&paths)
}

#[test]
fn without_types_the_operation_of_that_name_says_what_a_member_needs() {
    let get = |scope: &str| json!({ "get": { "x-o-scopes": [scope] } });
    for path in ["/customers", "/customers/{id}", "/Customer", "/crm/customers"] {
        let imported = plain(&["customer", "customers"], &json!({ path: get("customers:read") }));
        let lines = lines(&imported.policy);
        assert!(lines.contains(&"customer: customers:read"), "{path} {}", imported.policy);
        assert!(lines.contains(&"customers: customers:read"), "{path} {}", imported.policy);
        let doubt = format!("# doubtful: by the name alone, from GET /v2{path}");
        assert!(lines.contains(&doubt.as_str()), "{path} {}", imported.policy);
    }
    let names = ["payment-methods", "paymentMethod", "payment_method"];
    let imported = plain(&names, &json!({ "/payment-methods": get("pay:read") }));
    for name in names {
        assert!(lines(&imported.policy).contains(&format!("{name}: pay:read").as_str()), "{}", imported.policy);
    }
}

#[test]
fn a_member_never_gets_the_callers_own_scopes_for_want_of_better() {
    let others = json!({ "/clients": { "get": { "x-o-scopes": ["clients:read"] } } });
    let imported = plain(&["client.address", "customer"], &others);
    let lines = lines(&imported.policy);
    assert!(lines.contains(&"GET /v2/orders: orders:read"), "{}", imported.policy);
    assert!(lines.contains(&"POST /v2/orders: orders:write"), "{}", imported.policy);
    assert!(imported.policy.contains("serves \"customer\"") && imported.policy.contains("serves \"client.address\""));
}

#[test]
fn what_several_operations_ask_for_is_asked_together() {
    let others = json!({
        "/customers": { "get": { "x-o-scopes": ["customers:list"] } },
        "/customers/{id}": { "get": { "x-o-scopes": ["customers:read"] } },
        "/orders/{id}/customer": { "get": { "x-o-scopes": ["orders:read", "private"] } },
        "/addresses": { "get": { "x-o-scopes": ["addresses:read"] } },
    });
    let imported = plain(&["customer", "customer.address"], &others);
    assert!(imported.policy.contains("customer: [customers:list, customers:read, private]"), "{}", imported.policy);
    assert!(imported.policy.contains("customer.address: [addresses:read, customers:list, customers:read, private]"));
}

#[test]
fn a_member_is_not_open_where_what_has_its_name_asks_for_nothing() {
    let imported = plain(&["customer"], &json!({ "/customers": { "get": {} } }));
    assert!(!imported.policy.contains("customer: allow"), "{}", imported.policy);
    assert!(imported.policy.contains("serves \"customer\""), "{}", imported.policy);
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
    assert!(imported.policy.contains("no operation found that serves \"x\""), "{}", imported.policy);
}

#[test]
fn a_member_that_no_list_can_hold_is_left_out_and_reported() {
    let relations = [("*", "apple"), ("a,b", "apple"), ("crop", "apple")];
    let imported = import(&json!({ "/apples": { "get": resource("apples:read", "apple", &relations) } }));
    assert!(imported.policy.contains("query: { include: [crop] }"), "{}", imported.policy);
    let notes = imported.report.notes.iter().filter(|note| note.about == "GET /v2/apples");
    assert_eq!(notes.count(), 2);
}
