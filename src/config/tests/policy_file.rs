//! What policy files compile to, their own tests, and what `check` says of them.

use super::*;
use crate::config::{policy, run_tests};

/// The policy of `interface.md`, without what this version refuses.
const CONTRACT: &str = "\
version: 1
base: /api
paths: { case: sensitive }
method_override: refuse
bind: { account: account }
scopes:
  profiles:read: Read profiles
  profiles:write: { description: Create and update profiles, implies: [profiles:read], access: write }
  lists:read: Read lists
  segments:read: Read segments
  analytics:read: Read analytics
  account:admin: Everything of an account
  domains:read: Read domains
  domains:delete: Delete domains
  sms:write: Send messages
  orders:read: Read orders
parameters:
  include:
    { list: comma, nested: dot, members: { lists: lists:read, segments: segments:read } }
  additional-fields[profile]: { list: comma }
routes:
  GET /profiles: profiles:read
  GET /profiles/{id}:
    scopes: [profiles:read]
    query:
      include: [lists, segments]
      additional-fields[profile]: { predictive_analytics: analytics:read, subscriptions: allow }
  POST|PATCH /profiles/{id}: [profiles:read, profiles:write]
  DELETE /domains/{name}:
    any_of: [account:admin, [domains:read, domains:delete]]
  POST /client/events: { auth: public-key }
  POST /v4/sms-send: { scopes: sms:write, credential: sms }
  GET /accounts/{account}/orders: orders:read
  GET /me: { auth: key, unbound: [account] }
  GET /health: { auth: anyone }
  ANY /internal/{*rest}: { auth: deny }
tests:
";

fn loaded(text: &str) -> policy::LoadedPolicy {
    let case = Case::new().file("policy.yaml", text);
    policy::load(&case.path("policy.yaml"), &Vocabulary::new()).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// The failures of the tests `tests` under the policy of the contract, one line each.
fn failures(tests: &str) -> String {
    let loaded = loaded(&format!("{CONTRACT}{tests}"));
    let failures = run_tests(&loaded.policy, &loaded.tests);
    let lines = failures
        .iter()
        .map(|fault| format!("{}: {}\n    {}", fault.line, fault.message, fault.help.as_deref().unwrap_or("")));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_policy_of_the_contract_decides_as_its_tests_say() {
    let tests = "  - { request: GET /api/profiles/1, scopes: [profiles:read], expect: allow }
  - { request: GET /api/profiles/1?include=lists, scopes: [profiles:read], expect: deny, code: insufficient_scope, missing: [lists:read] }
  - { request: GET /api/profiles/1?include=tags, grant: full, expect: deny, code: query_not_allowed, parameter: include, member: tags }
  - { request: PATCH /api/profiles/1, scopes: [profiles:write], expect: allow }
  - { request: DELETE /api/domains/x, scopes: [domains:read], expect: deny, missing: [account:admin] }
  - { request: DELETE /api/domains/x, scopes: [account:admin], expect: allow }
  - { request: POST /api/client/events, grant: full, expect: deny, code: key_kind_not_allowed }
  - { request: GET /api/accounts/acme/orders, grant: read-only, account: acme, expect: allow }
  - { request: GET /api/accounts/acme/orders, grant: read-only, account: other, expect: deny, code: outside_binding }
  - { request: GET /api/accounts/sub/orders, grant: full, account: acme, attributes: { account: [sub, sub2] }, expect: allow }
  - { request: GET /api/me, scopes: [], account: acme, expect: allow }
  - { request: GET /api/health, key: none, expect: allow }
  - { request: GET /api/me, key: none, expect: deny, code: missing_key }
  - { request: GET /api/internal/x, grant: full, expect: deny, code: route_not_allowed }
  - { request: GET /api/../x, grant: full, expect: deny, code: ambiguous_path }
";
    assert_eq!(failures(tests), "");
}

#[test]
fn a_failed_test_says_what_was_expected_and_what_came() {
    insta::assert_snapshot!(failures(
        "  - { request: GET /api/health, key: none, expect: deny }\n  \
         - { request: GET /api/me, key: none, expect: allow }\n  \
         - { request: GET /api/x, grant: full, expect: deny, code: insufficient_scope }\n  \
         - { request: GET /api/me, key: none, expect: deny, parameter: include, missing: [lists:read] }\n"
    ));
}

#[test]
fn a_method_that_a_more_specific_template_hides_is_noted() {
    let text = "version: 1\nroutes:\n  GET /users/me: u:read\n  GET|DELETE /users/{id}: u:write\n  ANY /{*rest}: u:admin\n  GET /other: u:read\n  POST /other: u:read\n  PUT|PATCH|DELETE /other: u:read\n";
    let warnings: Vec<String> = loaded(text).warnings.iter().map(|fault| fault.render(Style::Plain)).collect();
    let case = Case::new();
    let text = warnings.join("\n\n");
    let text = text.lines().map(|line| match line.split_once("--> ") {
        Some((before, path)) => format!("{before}--> {}", path.rsplit('/').next().unwrap_or(path)),
        None => line.to_owned(),
    });
    insta::assert_snapshot!(case.anonymous(&text.collect::<Vec<_>>().join("\n")));
}

#[test]
fn a_wildcard_whose_prefix_goes_elsewhere_is_noted() {
    let loaded = loaded(
        "version: 1\nroutes:\n  ANY /internal/{*rest}: { auth: deny }\n  GET /{page}: { auth: anyone }\n  GET /a/{x}/b/{*rest}: x\n  GET /a/{*rest}: y\n  GET /a: y\n  GET /c/{*rest}: x\n  GET /c: x\n  GET /c/: x\n",
    );
    let told: Vec<(u32, &str, Option<&str>)> =
        loaded.warnings.iter().map(|fault| (fault.line, fault.message.as_str(), fault.help.as_deref())).collect();
    assert_eq!(
        told,
        [
            (
                3,
                "`/internal/{*rest}` does not cover `/internal`, which goes to `/{page}`",
                Some("write a route for `/internal` as well, if it is to be ruled as what is below it")
            ),
            (
                5,
                "`/a/{x}/b/{*rest}` does not cover `/a/{x}/b`, which goes to `/a/{*rest}`",
                Some("write a route for `/a/{x}/b` as well, if it is to be ruled as what is below it")
            ),
        ]
    );
}

#[test]
fn a_segment_in_the_form_of_other_routers_is_noted_as_literal_text() {
    let loaded = loaded(
        "version: 1\nroutes:\n  GET|POST /x/:id: x\n  GET /text:plain/{id}: x\n  GET /y/%3Aid: x\n  GET /z/<id>: x\n  GET /z/$id: x\n  GET /z/[id]: x\n  GET /z/$: x\n",
    );
    let told: Vec<(u32, &str, Option<&str>)> =
        loaded.warnings.iter().map(|fault| (fault.line, fault.message.as_str(), fault.help.as_deref())).collect();
    let help = |escaped: &str| format!("write `{{id}}` for a parameter, or `{escaped}` if these letters are meant");
    let told: Vec<(u32, &str, String)> =
        told.into_iter().map(|(line, message, help)| (line, message, help.unwrap_or_default().to_owned())).collect();
    let expected = [
        (3, "`:id` in `/x/:id` is literal text here", help("%3Aid")),
        (6, "`<id>` in `/z/<id>` is literal text here", help("%3Cid%3E")),
        (7, "`$id` in `/z/$id` is literal text here", help("%24id")),
        (8, "`[id]` in `/z/[id]` is literal text here", help("%5Bid%5D")),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_policy_alone_is_read_without_knowing_the_upstream_credentials() {
    assert_eq!(loaded("version: 1\nroutes:\n  GET /a: { scopes: x, credential: sms }\n").policy.routes().len(), 1);
}

#[test]
fn text_that_looks_like_another_type_stays_text() {
    let loaded = loaded("version: 1\nscopes:\n  no: 012345\n  1e3: yes\nroutes:\n  GET /a: no\n  GET /b: 1e3\n");
    let scopes: Vec<(&str, Option<&str>)> =
        loaded.policy.scopes().map(|(name, info)| (name, info.description.as_deref())).collect();
    assert_eq!(scopes, [("1e3", Some("yes")), ("no", Some("012345"))]);
}

#[test]
fn any_number_of_warnings_leaves_a_policy_valid() {
    let scopes: String = (0..150).map(|number| format!("  s{number}: unused\n")).collect();
    let loaded = loaded(&format!("version: 1\nscopes:\n  a: used\n{scopes}routes:\n  GET /a: a\n"));
    assert_eq!(loaded.warnings.len(), 101);
    assert!(loaded.warnings[100].message.contains("50 more warnings are not shown"), "{:?}", loaded.warnings[100]);
}
