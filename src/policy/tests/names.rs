use super::super::*;
use super::support::*;

/// A policy with one ruled parameter, of which `GET /p` allows the member `a` alone.
fn ruling(name: &str, list: List) -> Gate {
    let rules = vec![("a".to_owned(), MemberSpec::Allow)];
    Draft::new()
        .parameter(name, (list, false))
        .spec(RouteSpec { query: vec![(name.to_owned(), RuleSpec::Own(rules))], ..written("GET /p") })
        .finish()
}

fn ask(gate: &Gate, query: &str) -> &'static str {
    gate.ask(&format!("GET /p?{query}"), &[])
}

#[test]
fn a_name_may_begin_with_any_byte() {
    for name in ["2fa", "view", "View", "_view", "~x", "@type", "$filter", "zed", "A", "\u{e9}t\u{e9}", "-x", ":id"] {
        let gate = ruling(name, List::None);
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let raw = if name.is_ascii() { name } else { &encoded };
        for spelt in [raw, &encoded] {
            assert_eq!(ask(&gate, &format!("{spelt}=a")), "allow", "{spelt}");
            assert_eq!(ask(&gate, &format!("x=1&{spelt}=b")), "query_not_allowed", "{spelt}");
        }
        assert_eq!(ask(&gate, &format!("{raw}[x]=a")), "ambiguous_query", "{name}");
        assert_eq!(ask(&gate, "other=b"), "allow");
    }
}

#[test]
fn a_hyphen_in_front_is_an_underscore_to_some() {
    let gate = ruling("_view", List::None);
    for name in ["-view", "_View", ".view", "+view", "%5fview", "%2dview"] {
        let expected = if name == "%5fview" { "allow" } else { "ambiguous_query" };
        assert_eq!(ask(&gate, &format!("{name}=a")), expected, "{name}");
    }
    assert_eq!(ask(&gate, "view=b"), "allow");
}

#[test]
fn what_one_parser_reads_as_the_name_counts_whatever_others_make_of_it() {
    let gate = ruling("include", List::None);
    for name in [
        "inc%00lude",
        "include[%2525]",
        "include%255b%2525%255d",
        "include%2500",
        "%252569nclude",
        "include%00.x",
        "%u0049nclude",
        "%U0069nclude",
        "inc%u006Cude",
        "inc%25u006cude",
        "include%u005bx%u005d",
        "[include",
        "include[",
        "!include",
        "?!?include",
        "%3finclude",
        "%0binclude",
        "include%0c",
    ] {
        assert_eq!(ask(&gate, &format!("{name}=a")), "ambiguous_query", "{name}");
    }
    for name in ["%25u006nclude", "%u00zznclude", "%u0070include", "include%25", "inc%25lude", "include%u", "include!"]
    {
        assert_eq!(ask(&gate, &format!("{name}=b")), "allow", "{name} is no name of it");
    }
}

#[test]
fn brackets_with_digits_or_nothing_stand_for_a_place_in_a_list() {
    let gate = ruling("ids", List::Brackets);
    for name in ["ids", "ids[]", "ids[0]", "ids[1234567890]", "ids%5b%5d"] {
        assert_eq!(ask(&gate, &format!("{name}=a,a")), "allow", "{name}");
        assert_eq!(ask(&gate, &format!("{name}=a,b")), "query_not_allowed", "{name}");
    }
    for name in ["ids[x]", "ids[0", "ids0]", "ids[-1]", "ids[0]]", "ids[%200]", "ids[0][1]", "ids]", "ids[]0"] {
        let expected = if name == "ids0]" { "allow" } else { "ambiguous_query" };
        assert_eq!(ask(&gate, &format!("{name}=b")), expected, "{name}");
    }
    // Written with an index, a name is that index alone to strict parsers, and the list to lenient ones.
    let indexed = ruling("ids[0]", List::Comma);
    assert_eq!(ask(&indexed, "ids[0]=a"), "allow");
    assert_eq!(ask(&indexed, "ids[0]=b"), "query_not_allowed");
    assert_eq!(ask(&indexed, "ids[1]=b"), "ambiguous_query");
    assert_eq!(ask(&indexed, "ids=b"), "ambiguous_query");
}

#[test]
fn a_semicolon_shows_the_names_behind_it_and_cuts_no_value_that_is_listed() {
    let gate = ruling("include", List::None);
    assert_eq!(ask(&gate, "include=a;x"), "query_not_allowed", "strict parsers see another member");
    assert_eq!(ask(&gate, "include=a;x=1;y"), "query_not_allowed");
    assert_eq!(ask(&gate, "x=1;include"), "ambiguous_query");
    assert_eq!(ask(&gate, "x;y=1;include=a"), "ambiguous_query");
    assert_eq!(ask(&gate, "x=1;y=include"), "allow");
}

#[test]
fn a_query_with_several_ruled_parameters_is_held_against_each() {
    let rule = |member: &str| RuleSpec::Own(vec![(member.to_owned(), MemberSpec::Allow)]);
    let gate = Draft::new()
        .parameter("include", (List::Comma, false))
        .parameter("fields", (List::None, false))
        .spec(RouteSpec {
            query: vec![("include".to_owned(), rule("i")), ("fields".to_owned(), rule("f"))],
            ..written("GET /p")
        })
        .spec(RouteSpec { query: vec![("fields".to_owned(), rule("f"))], ..written("GET /q") })
        .finish();
    assert_eq!(ask(&gate, "include=i&fields=f"), "allow");
    assert_eq!(ask(&gate, "include=i&fields=i"), "query_not_allowed");
    assert_eq!(ask(&gate, "include=f&fields=f"), "query_not_allowed");
    assert_eq!(ask(&gate, "include=i,i&fields=f,f"), "query_not_allowed");
    assert_eq!(gate.ask("GET /q?fields=f", &[]), "allow");
    assert_eq!(gate.ask("GET /q?fields=f&include=i", &[]), "query_not_allowed");
    let trace = gate.explain("GET /q?fields=f&include=i", &[]).trace;
    assert_eq!((trace.parameter.as_deref(), trace.member.as_deref()), (Some("include"), Some("i")));
    assert_eq!(trace.reason, "GET /q does not take include; leave the parameter out.");
    let trace = gate.explain("GET /p?fields=%5C", &[]).trace;
    assert_eq!(trace.reason, "GET /p does not allow fields=\\x5c; leave \\x5c out.");
}

#[test]
fn members_of_one_name_ask_for_what_their_own_parameter_says() {
    let rule = |scope: &str| RuleSpec::Own(vec![("lists".to_owned(), MemberSpec::Scopes(owned(&[scope])))]);
    let query = vec![("include".to_owned(), rule("i")), ("fields".to_owned(), rule("f"))];
    let gate = Draft::new()
        .parameter("include", (List::Comma, false))
        .parameter("fields", (List::None, false))
        .spec(RouteSpec { query, ..written("GET /p") })
        .finish();
    for asked in ["GET /p?include=lists&fields=lists", "GET /p?fields=lists&include=lists"] {
        assert_eq!(gate.ask(asked, &["i"]), "insufficient_scope");
        assert_eq!(gate.ask(asked, &["f"]), "insufficient_scope");
        assert_eq!(gate.ask(asked, &["i", "f"]), "allow");
    }
}

#[test]
fn every_one_of_many_members_counts() {
    let names: Vec<String> = (0..40).map(|number| format!("m{number}")).collect();
    let rules = names.iter().map(|name| (name.clone(), MemberSpec::Scopes(vec![name.clone()]))).collect();
    let gate = Draft::new()
        .parameter("include", (List::Comma, false))
        .spec(RouteSpec { query: vec![("include".to_owned(), RuleSpec::Own(rules))], ..written("GET /p") })
        .finish();
    let asked = format!("GET /p?include={},m0,m39", names.join(","));
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(gate.ask(&asked, &all), "allow");
    for lacking in [0, 15, 16, 17, 39] {
        let held: Vec<&str> = all.iter().enumerate().filter(|(at, _)| *at != lacking).map(|(_, name)| *name).collect();
        assert_eq!(gate.ask(&asked, &held), "insufficient_scope", "without m{lacking}");
    }
}

#[test]
fn a_star_opens_what_only_has_a_listed_member_in_its_letters() {
    let gate = dotted(&[("*", MemberSpec::Allow), ("secret", MemberSpec::Deny), ("-", MemberSpec::Deny)]);
    let long = "x".repeat(60);
    for member in ["secrets", "nosecret", "s\u{e9}cret", ":a", "a:b", &long, "a_b_c_d_e_f_g_h_i_j_k_l_m_n_o_p_q_r_s_t"]
    {
        let encoded: String = member.bytes().map(|byte| format!("%{byte:02x}")).collect();
        assert_eq!(ask(&gate, &format!("include={encoded}")), "allow", "{member}");
    }
    for member in [format!("{long}:secret"), format!("secret:{long}"), format!("{long}:secret:{long}")] {
        assert_eq!(ask(&gate, &format!("include={member}")), "query_not_allowed", "{member}");
    }
    for (signs, code) in [(15, "allow"), (16, "allow"), (17, "query_not_allowed"), (18, "query_not_allowed")] {
        assert_eq!(ask(&gate, &format!("include=x{}", ":x".repeat(signs))), code, "{signs} signs");
    }
}

/// A policy where the dotted members of `include` are those of `rules`.
fn dotted(rules: &[(&str, MemberSpec)]) -> Gate {
    let rules = rules.iter().map(|(member, rule)| ((*member).to_owned(), rule.clone())).collect();
    Draft::new()
        .parameter("include", (List::Comma, true))
        .spec(RouteSpec { query: vec![("include".to_owned(), RuleSpec::Own(rules))], ..written("GET /p") })
        .finish()
}

#[test]
fn a_member_may_be_long_and_have_thirty_two_dots() {
    let long = "m".repeat(80);
    let gate = dotted(&[("a", MemberSpec::Allow), (&long, MemberSpec::Allow)]);
    assert_eq!(ask(&gate, &format!("include={long}")), "allow");
    assert_eq!(ask(&gate, &format!("include=a{}", ".a".repeat(32))), "allow");
    assert_eq!(ask(&gate, &format!("include=a{}", ".a".repeat(33))), "query_not_allowed");
    let points = ".".repeat(40);
    let rules = vec![(points.clone(), MemberSpec::Allow)];
    let gate = Draft::new()
        .parameter("include", (List::Comma, false))
        .spec(RouteSpec { query: vec![("include".to_owned(), RuleSpec::Own(rules))], ..written("GET /p") })
        .finish();
    assert_eq!(ask(&gate, &format!("include={points}")), "allow", "where members are not nested, a dot is a letter");
}

#[test]
fn what_the_rest_asks_for_counts_in_each_part_of_a_dotted_member() {
    let asks = |scope: &str| MemberSpec::Scopes(owned(&[scope]));
    let gate = dotted(&[("*", asks("rest:read")), ("a", asks("a:read")), ("b", MemberSpec::Deny)]);
    let ask = |member: &str, scopes: &[&str]| gate.ask(&format!("GET /p?include={member}"), scopes);
    assert_eq!(ask("x.y", &["rest:read"]), "allow");
    assert_eq!(ask("x.y", &[]), "insufficient_scope");
    assert_eq!(ask("a.y", &["a:read"]), "insufficient_scope");
    assert_eq!(ask("y.a", &["rest:read"]), "insufficient_scope");
    assert_eq!(ask("y.a", &["rest:read", "a:read"]), "allow");
    assert_eq!(ask("y.a.x", &["rest:read", "a:read"]), "allow");
    for member in ["x.b", "b.x", "x.b.x", "x.B", "B.x"] {
        assert_eq!(ask(member, &["rest:read", "a:read"]), "query_not_allowed", "{member}");
    }
}

#[test]
fn a_pair_that_qs_merges_into_a_ruled_parameter_is_ambiguous() {
    let gate = ruling("expand[secret]", List::None);
    for query in [
        "expand[a]=1&expand=secret",
        "expand=secret&expand[a]=1",
        "expand=%73ecret",
        "e%78pand=secret",
        "Expand=Secret",
        "expand=+secret",
        "expand[]=secret",
        "a=1%26expand=secret",
        "a;expand=secret",
        "expand%3Dsecret",
    ] {
        assert_eq!(ask(&gate, query), "ambiguous_query", "{query}");
    }
    for query in
        ["expand=other", "expand[a]=secret", "expand=", "expand", "expand=secrets", "other=secret", "a.expand=secret"]
    {
        assert_eq!(ask(&gate, query), "allow", "{query}");
    }
    let nested = ruling("a[b][c]", List::None);
    assert_eq!(ask(&nested, "a[b]=c"), "ambiguous_query");
    assert_eq!(ask(&nested, "a=b&a[x]=c&b=c"), "allow");
    let both = Draft::new().parameter("expand", (List::Comma, false)).parameter("expand[secret]", (List::None, false));
    let rule = vec![("expand".to_owned(), RuleSpec::Own(vec![("secret".to_owned(), MemberSpec::Allow)]))];
    let both = both.spec(RouteSpec { query: rule, ..written("GET /p") }).finish();
    assert_eq!(ask(&both, "expand=secret"), "allow", "it is ruled by its own name");
}
