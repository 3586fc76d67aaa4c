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
    let attributes = attributes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Principal { account: account.map(Into::into), attributes, ..key_with(Grant::Full) }
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
