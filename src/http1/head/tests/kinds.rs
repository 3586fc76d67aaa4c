use super::*;

#[test]
fn a_field_name_has_its_kind_in_any_letter_case() {
    let table: [(&str, Kind); 34] = [
        ("Authorization", Kind::Authorization),
        ("Connection", Kind::Connection),
        ("Content-Length", Kind::ContentLength),
        ("Content-Type", Kind::ContentType),
        ("Cookie", Kind::Cookie),
        ("Date", Kind::Date),
        ("Expect", Kind::Expect),
        ("Forwarded", Kind::Forwarded),
        ("Keep-Alive", Kind::HopByHop),
        ("Proxy", Kind::HopByHop),
        ("Proxy-Connection", Kind::HopByHop),
        ("Proxy-Authenticate", Kind::HopByHop),
        ("Proxy-Authentication-Info", Kind::HopByHop),
        ("Proxy-Authorization", Kind::HopByHop),
        ("HTTP2-Settings", Kind::HopByHop),
        ("Host", Kind::Host),
        ("X-HTTP-Method-Override", Kind::MethodOverride),
        ("X-HTTP-Method", Kind::MethodOverride),
        ("X-Method-Override", Kind::MethodOverride),
        ("X-Request-Id", Kind::RequestId),
        ("TE", Kind::Te),
        ("Trailer", Kind::Trailer),
        ("Transfer-Encoding", Kind::TransferEncoding),
        ("Upgrade", Kind::Upgrade),
        ("X-Original-URL", Kind::UrlOverride),
        ("X-Rewrite-URL", Kind::UrlOverride),
        ("X-Script-Name", Kind::UrlOverride),
        ("Script-Name", Kind::UrlOverride),
        ("Path-Info", Kind::UrlOverride),
        ("Via", Kind::Via),
        ("X-Forwarded-For", Kind::XForwardedFor),
        ("X-Forwarded-Host", Kind::XForwardedHost),
        ("X-Forwarded-Proto", Kind::XForwardedProto),
        ("X-Real-IP", Kind::XRealIp),
    ];
    for (name, kind) in table {
        for spelling in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
            assert_eq!(Kind::of(spelling.as_bytes()), kind, "{spelling}");
        }
        for other in [format!("{name}s"), format!("x{name}"), name.chars().skip(1).collect()] {
            assert!(
                matches!(Kind::of(other.as_bytes()), Kind::Other | Kind::UrlOverride | Kind::XForwarded),
                "{other}"
            );
        }
    }
}

#[test]
fn identity_names_are_known_in_every_spelling() {
    for name in [
        "X-ScopeGate-Key-Id",
        "x-scopegate-",
        "X_SCOPEGATE_KEY_ID",
        "X-ScopeGate_Scopes",
        "x_scopegate-account",
        "X-ScopeGate-A-Name-That-Is-Longer-Than-Any-Other_Of_Them",
    ] {
        assert_eq!(Kind::of(name.as_bytes()), Kind::Identity, "{name}");
    }
    assert_eq!(Kind::of(b"X-ScopeGater"), Kind::Other);
}

#[test]
fn forwarded_and_override_families_are_known_by_their_prefix() {
    for name in ["X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Prefix", "x-forwarded-"] {
        assert_eq!(Kind::of(name.as_bytes()), Kind::XForwarded, "{name}");
    }
    for name in ["X-Original-Host", "X-Original-URI", "X-Rewrite-Target"] {
        assert_eq!(Kind::of(name.as_bytes()), Kind::UrlOverride, "{name}");
    }
}

#[test]
fn an_underscore_makes_a_lookalike_of_a_known_name_and_nothing_else() {
    for name in [
        "Content_Length",
        "Transfer_Encoding",
        "X_Forwarded_For",
        "X_Forwarded-Anything_That_Is_Longer_Than_The_Buffer_For_It",
        "X_Original_URL",
        "X_Real_IP",
        "Proxy_Authorization",
        "X_Request_Id",
        "HTTP2_Settings",
    ] {
        assert_eq!(Kind::of(name.as_bytes()), Kind::Lookalike, "{name}");
    }
    assert_eq!(Kind::of(b"X_HTTP_Method_Override"), Kind::MethodOverride);
    for name in ["_", "X_Api_Key", "a_name_that_is_longer_than_any_name_that_is_known_here"] {
        assert_eq!(Kind::of(name.as_bytes()), Kind::Underscore, "{name}");
    }
}

#[test]
fn any_punctuation_is_read_as_the_hyphen_that_a_server_may_take_it_for() {
    let kinds = [
        ("X-ScopeGate-Scopes", Kind::Identity),
        ("X-ScopeGate-Key-Id", Kind::Identity),
        ("X-HTTP-Method-Override", Kind::MethodOverride),
        ("X-Forwarded-For", Kind::Lookalike),
        ("Content-Length", Kind::Lookalike),
        ("Transfer-Encoding", Kind::Lookalike),
        ("X-Original-URL", Kind::Lookalike),
    ];
    for odd in "!#$%&'*+.^_`|~".chars() {
        for (name, kind) in kinds {
            let all = name.replace('-', &odd.to_string());
            let first = name.replacen('-', &odd.to_string(), 1);
            let mixed = first.replacen('-', "_", 1);
            for name in [all, first, mixed] {
                assert_eq!(Kind::of(name.as_bytes()), kind, "{name}");
            }
        }
        let other = format!("X{odd}Custom");
        let kind = if odd == '_' { Kind::Underscore } else { Kind::Other };
        assert_eq!(Kind::of(other.as_bytes()), kind, "{other}");
    }
}

#[test]
fn fields_that_end_at_this_hop_are_told() {
    for name in ["Connection", "Keep-Alive", "TE", "Transfer-Encoding", "Upgrade", "Proxy-Authorization"] {
        assert!(Kind::of(name.as_bytes()).is_hop_by_hop(), "{name}");
    }
    for name in ["Host", "Trailer", "Via", "Content-Length", "Authorization", "X-Api-Key"] {
        assert!(!Kind::of(name.as_bytes()).is_hop_by_hop(), "{name}");
    }
}
