use super::super::*;
use super::support::*;

fn gate() -> Gate {
    Draft::new()
        .parameter("include", (List::Comma, false))
        .bind("account", "account")
        .open("GET /open", AccessSpec::Anyone)
        .open("GET /closed", AccessSpec::Deny)
        .open("GET /any", AccessSpec::Key)
        .open("POST /client", AccessSpec::PublicKey)
        .route("GET /a/{account}", &["a:read"])
        .finish()
}

#[test]
fn without_a_valid_key_every_target_answers_the_same_but_open_ones() {
    let gate = gate();
    let key = gate.key(&[]);
    let callers = [
        (Caller::Anonymous, "missing_key"),
        (Caller::Ambiguous, "ambiguous_key"),
        (Caller::Expired(&key), "expired_key"),
        (Caller::Invalid(Invalid::Unknown), "invalid_key"),
        (Caller::Invalid(Invalid::Revoked), "invalid_key"),
        (Caller::Misplaced(&key), "address_not_allowed"),
        (Caller::StoreUnavailable, "key_store_unavailable"),
    ];
    for (caller, code) in callers {
        for request in [
            "GET /closed",
            "GET /any",
            "POST /client",
            "GET /a/1?include=x",
            "GET /none",
            "TRACE /any",
            "GET /any?Include=x",
        ] {
            assert_eq!(gate.ask_as(request, &caller), code, "{request}");
        }
        assert_eq!(gate.ask_as("GET /open", &caller), "allow");
        assert_eq!(gate.ask_as("GET /open?include=x&Include=y", &caller), "allow");
        assert_eq!(gate.ask_as("GET /open/../any", &caller), "ambiguous_path");
    }
}

#[test]
fn answers_before_the_key_is_known_say_nothing_of_routes() {
    let gate = gate();
    let target = gate.policy.judge(&parsed("GET /a/1")).unwrap();
    let decision = gate.policy.decide(&Caller::Anonymous, &target);
    let told = decision.trace();
    assert_eq!((told.route, told.required, told.missing), (None, vec![], vec![]));
    let explained = decision.explain().trace;
    assert_eq!(explained.route.as_deref(), Some("GET /a/{account}"));
    assert_eq!(explained.missing, ["a:read"]);
    assert_eq!(decision.route().map(Route::label), Some("GET /a/{account}"));
}

#[test]
fn kinds_of_keys_open_their_own_routes() {
    let gate = gate();
    let kind = |kind| gate.key(&[]).of_kind(kind);
    let (secret, pair, public) = (kind(Kind::Secret), kind(Kind::Pair), kind(Kind::Public));
    for key in [&secret, &pair] {
        assert_eq!(gate.ask_as("GET /any", &Caller::Known(key)), "allow");
        assert_eq!(gate.ask_as("POST /client", &Caller::Known(key)), "key_kind_not_allowed");
    }
    assert_eq!(gate.ask_as("POST /client", &Caller::Known(&public)), "allow");
    assert_eq!(gate.ask_as("GET /any", &Caller::Known(&public)), "key_kind_not_allowed");
    assert_eq!(gate.ask_as("GET /closed", &Caller::Known(&public)), "route_not_allowed");
}

#[test]
fn the_first_fault_wins_in_the_order_of_the_contract() {
    let gate = gate();
    let public = gate.key(&[]).of_kind(Kind::Public);
    let secret = gate.key(&[]);
    let of_account = gate.key(&[]).of_account("1");
    let ladder = [
        ("GET /none?Include=x", &public, "route_not_allowed"),
        ("GET /a/1?Include=x", &public, "key_kind_not_allowed"),
        ("GET /a/1?include=x&Include=x", &secret, "ambiguous_query"),
        ("GET /a/1?include=x", &secret, "query_not_allowed"),
        ("GET /a/1", &secret, "outside_binding"),
        ("GET /a/1", &of_account, "insufficient_scope"),
    ];
    for (request, key, code) in ladder {
        assert_eq!(gate.ask_as(request, &Caller::Known(key)), code, "{request}");
    }
}

#[test]
fn each_denial_has_the_status_of_the_contract() {
    let table = [
        (Denial::AddressNotAllowed, 403, "address_not_allowed"),
        (Denial::AmbiguousKey, 400, "ambiguous_key"),
        (Denial::AmbiguousPath(PathFault::Fragment), 400, "ambiguous_path"),
        (Denial::AmbiguousQuery, 400, "ambiguous_query"),
        (Denial::ExpiredKey, 401, "expired_key"),
        (Denial::InsufficientScope, 403, "insufficient_scope"),
        (Denial::InvalidKey(Invalid::Disabled), 401, "invalid_key"),
        (Denial::KeyKindNotAllowed, 403, "key_kind_not_allowed"),
        (Denial::KeyStoreUnavailable, 503, "key_store_unavailable"),
        (Denial::MethodOverride, 400, "method_override"),
        (Denial::MissingKey, 401, "missing_key"),
        (Denial::OutsideBinding, 403, "outside_binding"),
        (Denial::QueryNotAllowed, 403, "query_not_allowed"),
        (Denial::RouteNotAllowed, 403, "route_not_allowed"),
    ];
    for (denial, status, code) in table {
        assert_eq!((denial.status(), denial.code()), (status, code));
        let of_the_route = ["ambiguous_query", "insufficient_scope", "key_kind_not_allowed", "outside_binding"];
        let says_nothing = ![&of_the_route[..], &["query_not_allowed", "route_not_allowed"]].concat().contains(&code);
        assert_eq!(denial.precedes_route(), says_nothing, "{code}");
        let of_the_key =
            ["address_not_allowed", "ambiguous_key", "expired_key", "invalid_key", "key_store_unavailable"];
        assert_eq!(denial.is_of_policy(), !of_the_key.contains(&code), "{code}");
        assert_eq!(denial.title().to_lowercase().replace(' ', "_"), code, "the title is the code in words");
        assert!(denial.detail().ends_with('.') && denial.detail().contains(';'), "{code} says what to do");
    }
}
