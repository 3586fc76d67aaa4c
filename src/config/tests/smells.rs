//! What `check` warns of since its writer can hardly have meant it.

use super::*;
use crate::config::policy;

/// The warnings about a policy, one line each.
fn warnings(text: &str) -> String {
    let case = Case::new().file("policy.yaml", text);
    let loaded =
        policy::load(&case.path("policy.yaml"), &Vocabulary::new()).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let line = |fault: &Fault| {
        format!("{}:{}: {}\n    {}", fault.line, fault.column, fault.message, fault.help.as_deref().unwrap_or(""))
    };
    loaded.warnings.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn scopes_that_loosen_what_read_only_keys_hold_are_told() {
    insta::assert_snapshot!(warnings(
        "version: 1\nscopes:\n  a:read: { implies: [b:write, b:read] }\n  b:read: { access: write }\n  b:write: { access: read }\n  \
         c: { implies: d }\n  d: { implies: c }\n  e: { implies: e }\n  f:read: { access: read, implies: [b:read] }\n  \
         g:write: { access: write, implies: [f:read] }\n  h:read: { implies: [f:read, i] }\n  i: { implies: [g:write] }\n\
         routes:\n  GET /a: [a:read, b:read]\n  POST /a: b:write\n  GET /c: [c, d, e]\n  GET /f: { any_of: [f:read, g:write] }\n  GET /h: [h:read, i]\n"
    ));
}

#[test]
fn what_is_written_for_nothing_on_a_route_is_told() {
    insta::assert_snapshot!(warnings(
        "version: 1\nbase: /v1\nbind: { tenant: tenant }\nscopes: { r: R, w: { implies: r }, x: X }\nparameters: { include: { list: comma, members: { m: r } } }\n\
         routes:\n  GET /a: [r, x, r]\n  GET /b: { any_of: [r, [r, x]] }\n  GET /c: { any_of: [w, r] }\n  GET /d: { any_of: [[r, w], [w, r]] }\n  \
         GET /e: { any_of: [r, x, [w, w]] }\n  GET /f: { scopes: [x, x], query: { include: m } }\n  GET /g: { any_of: [w, x] }\n  \
         GET|POST /v1/h: r\n  GET /v12: r\n  GET|POST /{tenant}/open: { auth: anyone }\n  GET /{tenant}/i: r\n"
    ));
}

#[test]
fn a_sign_that_no_scope_has_is_told_where_scopes_are_not_declared() {
    let routes = "routes:\n  POST /orders: orders:write]\n  GET /orders: [orders:read, 'orders:(read)']\n  \
         GET /a: { any_of: [a;b, [https://example.com/auth/a.readonly, a+b@c]], query: { include: [m] } }\n";
    let parameters = "parameters: { include: { list: comma, members: { m: 'm:read}' } } }\n";
    assert_eq!(
        warnings(&format!("version: 1\n{parameters}{routes}")),
        "2:53: the scope `m:read}` has a `}`\n    mend it, or declare it under `scopes` if that is its name\n\
         4:17: the scope `orders:write]` has a `]`\n    mend it, or declare it under `scopes` if that is its name\n\
         5:30: the scope `orders:(read)` has a `(`\n    mend it, or declare it under `scopes` if that is its name\n\
         6:22: the scope `a;b` has a `;`\n    mend it, or declare it under `scopes` if that is its name"
    );
    assert_eq!(warnings("version: 1\nscopes: { 'orders:write]': Odd }\nroutes:\n  POST /orders: orders:write]\n"), "");
}

#[test]
fn tests_that_test_nothing_are_told() {
    insta::assert_snapshot!(warnings(
        "version: 1\nbase: /v1\nbind: { tenant: id }\nroutes:\n  GET /a/{id}: a\n  GET /b: a\ntests:\n  \
         - { request: GET /v1/c, scopes: [a], expect: deny }\n  - { request: GET /b, scopes: [a], expect: deny }\n  \
         - { request: GET /v1/c, scopes: [a], expect: deny, code: route_not_allowed }\n  \
         - { request: POST /v1/b, scopes: [a], expect: deny }\n  - { request: GET /v1/b/, scopes: [a], expect: deny }\n  \
         - { request: GET /v1/b, scopes: [], expect: deny }\n  - { request: GET /v1/b, scopes: [], expect: deny }\n  \
         - { request: GET /v1/b, scopes: [], key: none, expect: deny }\n"
            .replace("scopes: [], key: none", "key: none")
            .as_str()
    ));
    let told = warnings(
        "version: 1\nbind: { tenant: id }\nroutes:\n  GET /a/{id}: a\ntests:\n  \
         - { request: GET /a/1, scopes: [a], attributes: { tennant: [1, 2], x: y, tenant: 1 }, expect: allow }\n",
    );
    assert_eq!(
        told,
        "6:16: the policy binds no attribute `tennant`\n    did you mean `tenant`?\n\
         6:16: the policy binds no attribute `x`\n    it confines nothing: name an attribute of `bind`, or leave it out"
    );
}

#[test]
fn a_failed_test_without_the_base_is_told_what_was_meant() {
    let case = Case::new().file("policy.yaml", "version: 1\nbase: /v1\nroutes:\n  GET /a: a\ntests:\n  - { request: GET /a?x=1, scopes: [a], expect: allow }\n");
    let loaded = policy::load(&case.path("policy.yaml"), &Vocabulary::new()).unwrap();
    let failures = crate::config::run_tests(&loaded.policy, &loaded.tests);
    let help = failures.first().and_then(|fault| fault.help.as_deref());
    assert_eq!(help, Some("did you mean `GET /v1/a?x=1`? (the base is `/v1`)"));
}
