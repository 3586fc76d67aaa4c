use std::sync::Arc;

use super::super::*;
use super::support::*;

fn gate() -> Gate {
    Draft::new()
        .bind("account", "account")
        .bind("owner", "owner")
        .route("GET /accounts/{account}/orders", &[])
        .route("GET /owners/{owner}", &[])
        .route("GET /orders", &[])
        .spec(RouteSpec { unbound: owned(&["account"]), ..written("GET /ping") })
        .finish()
}

fn bound(account: Option<&str>, attributes: &[(&str, &str)]) -> Principal {
    key_bound_to(Grant::Full, account, attributes)
}

#[test]
fn a_bound_parameter_must_equal_the_attribute_even_for_full() {
    let (gate, key) = (gate(), bound(Some("acme"), &[]));
    let ask = |request| gate.ask_as(request, &Caller::Known(&key));
    assert_eq!(ask("GET /accounts/acme/orders"), "allow");
    assert_eq!(ask("GET /accounts/%61cme/orders"), "allow");
    assert_eq!(ask("GET /accounts/Acme/orders"), "outside_binding");
    assert_eq!(ask("GET /accounts/other/orders"), "outside_binding");
}

#[test]
fn children_of_the_account_are_its_values_too() {
    let (gate, key) = (gate(), bound(Some("acme"), &[("account", "acme-eu"), ("account", "acme-us")]));
    for account in ["acme", "acme-eu", "acme-us"] {
        assert_eq!(gate.ask_as(&format!("GET /accounts/{account}/orders"), &Caller::Known(&key)), "allow", "{account}");
    }
    assert_eq!(gate.ask_as("GET /accounts/acme-asia/orders", &Caller::Known(&key)), "outside_binding");
}

#[test]
fn a_key_without_the_attribute_is_denied_where_the_path_has_the_parameter() {
    let (gate, key) = (gate(), bound(None, &[]));
    assert_eq!(gate.ask_as("GET /accounts/acme/orders", &Caller::Known(&key)), "outside_binding");
    assert_eq!(gate.ask_as("GET /orders", &Caller::Known(&key)), "allow");
}

#[test]
fn a_key_with_the_attribute_is_denied_elsewhere_unless_the_route_says_unbound() {
    let gate = gate();
    let key = bound(Some("acme"), &[]);
    assert_eq!(gate.ask_as("GET /orders", &Caller::Known(&key)), "outside_binding");
    assert_eq!(gate.ask_as("GET /ping", &Caller::Known(&key)), "allow");
    let owner = bound(Some("acme"), &[("owner", "ann")]);
    assert_eq!(gate.ask_as("GET /ping", &Caller::Known(&owner)), "outside_binding");
    let other = bound(None, &[("owner", "ann")]);
    assert_eq!(gate.ask_as("GET /owners/ann", &Caller::Known(&other)), "allow");
}

#[test]
fn the_reason_names_the_attribute_and_never_its_value() {
    let (gate, key) = (gate(), bound(Some("hidden"), &[]));
    for request in ["GET /accounts/other/orders", "GET /orders"] {
        let target = gate.policy.judge(&parsed(request)).unwrap();
        let reason = gate.policy.decide(&Caller::Known(&key), &target).trace().reason;
        assert!(reason.contains("account") && !reason.contains("hidden"), "{reason}");
    }
}

#[test]
fn an_account_is_bound_to_each_of_those_below_it_however_many_there_are() {
    let (gate, plain) = (gate(), bound(None, &[]));
    let children = (0..500).rev().map(|number| format!("shop-{}", number * 7 % 500).into()).collect();
    let account = Account::with_children("acme", children);
    let key = Principal::new(Some(Arc::new(account)), Arc::new(plain.rights().clone()));
    let ask = |account: &str| gate.ask_as(&format!("GET /accounts/{account}/orders"), &Caller::Known(&key));
    for number in 0..500 {
        assert_eq!(ask(&format!("shop-{number}")), "allow");
        assert_eq!(ask(&format!("s%68op%2D{number}")), "allow");
        assert_eq!(ask(&format!("shop-{number}x")), "outside_binding");
    }
    assert_eq!(ask("acme"), "allow");
    for other in ["shop-", "shop-500", "Shop-1", "a", "zzz"] {
        assert_eq!(ask(other), "outside_binding", "{other}");
    }
}

/// The bindings that an explanation of `request` shows, each as `account=VALUE {parameter}: kept`.
fn told(gate: &Gate, request: &str, caller: &Caller<'_>) -> Vec<String> {
    let target = gate.policy.judge(&parsed(request)).unwrap();
    let one = |bound: Bound| {
        let kept = if bound.kept { "kept" } else { "not kept" };
        let value = bound.value.unwrap_or_else(|| "nothing".to_owned());
        format!("{}={} against {value} in {}: {kept}", bound.attribute, bound.values.join("|"), bound.parameter)
    };
    gate.policy.decide(caller, &target).explain().bound.into_iter().map(one).collect()
}

#[test]
fn an_explanation_holds_what_a_key_is_bound_to_against_the_path() {
    let gate = gate();
    let key = bound(Some("acme"), &[("account", "acme-eu")]);
    let told = |request| told(&gate, request, &Caller::Known(&key));
    assert_eq!(told("GET /accounts/acme/orders"), ["account=acme|acme-eu against acme in account: kept"]);
    assert_eq!(told("GET /accounts/acme%2Deu/orders"), ["account=acme|acme-eu against acme-eu in account: kept"]);
    assert_eq!(told("GET /accounts/other/orders"), ["account=acme|acme-eu against other in account: not kept"]);
    assert_eq!(told("GET /orders"), ["account=acme|acme-eu against nothing in account: not kept"]);
    assert_eq!(told("GET /ping"), ["account=acme|acme-eu against nothing in account: kept"]);
    assert_eq!(
        told("GET /owners/ann"),
        ["account=acme|acme-eu against nothing in account: not kept", "owner= against ann in owner: not kept"]
    );
    assert_eq!(told("GET /nowhere"), Vec::<String>::new());
}

#[test]
fn an_explanation_tells_a_caller_without_a_key_what_its_key_would_be_bound_to() {
    let gate = gate();
    let told = |request| told(&gate, request, &Caller::Anonymous);
    assert_eq!(told("GET /accounts/acme/orders"), ["account= against acme in account: not kept"]);
    assert_eq!(told("GET /orders"), Vec::<String>::new());
    let target = gate.policy.judge(&parsed("GET /accounts/acme/orders")).unwrap();
    let sufficient = gate.policy.decide(&Caller::Anonymous, &target).explain().sufficient.unwrap();
    assert_eq!(sufficient.attributes, [("account".to_owned(), "acme".to_owned())]);
}

/// A policy that binds two attributes, with a route of each access.
fn of_each_access() -> Gate {
    Draft::new()
        .bind("account", "account")
        .bind("owner", "owner")
        .route("GET /accounts/{account}", &[])
        .open("GET /clients/{account}", AccessSpec::PublicKey)
        .route("GET /both/{account}/{owner}", &[])
        .route("GET /owners/{owner}", &[])
        .route("GET /orders", &[])
        .open("GET /open/{account}", AccessSpec::Anyone)
        .open("GET /closed/{account}", AccessSpec::Deny)
        .spec(RouteSpec { unbound: owned(&["account"]), ..written("GET /ping") })
        .finish()
}

#[test]
fn routes_that_look_at_no_key_are_explained_without_bindings() {
    let (gate, key) = (of_each_access(), bound(Some("acme"), &[]));
    for request in ["GET /open/acme", "GET /closed/acme"] {
        assert_eq!(told(&gate, request, &Caller::Known(&key)), Vec::<String>::new(), "{request}");
    }
    assert_eq!(told(&gate, "GET /clients/acme", &Caller::Known(&key)).len(), 1);
}

#[test]
fn the_routes_that_a_bound_key_may_call_are_counted() {
    let policy = of_each_access().policy;
    assert_eq!(policy.bound_attributes().collect::<Vec<_>>(), ["account", "owner"]);
    assert_eq!(policy.routes_for_bound("account"), 4, "accounts, clients, open, ping");
    assert_eq!(policy.routes_for_bound("owner"), 2, "owners, open");
}

#[test]
fn a_parameter_that_is_bound_is_told_where_nobody_compares_it() {
    let policy = of_each_access().policy;
    let told: Vec<(&str, &str)> = policy.uncompared().map(|(route, name)| (route.label(), name)).collect();
    assert_eq!(told, [("GET /open/{account}", "account")]);
}
