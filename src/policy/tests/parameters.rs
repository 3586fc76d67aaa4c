use super::super::*;
use super::support::*;

type Rule<'r> = (&'r str, MemberSpec);

fn asks(scope: &str) -> MemberSpec {
    MemberSpec::Scopes(owned(&[scope]))
}

fn ruled(parameter: &str, shape: (List, bool), rules: &[Rule<'_>]) -> Gate {
    let rules = rules.iter().map(|(member, rule)| ((*member).to_owned(), rule.clone())).collect();
    Draft::new()
        .parameter(parameter, shape)
        .spec(RouteSpec { query: vec![(parameter.to_owned(), RuleSpec::Own(rules))], ..written("GET /p") })
        .route("GET /bare", &[])
        .finish()
}

fn include() -> Gate {
    let rules = [
        ("lists", asks("lists:read")),
        ("segments", MemberSpec::Allow),
        ("closed", MemberSpec::Deny),
        ("tags", asks("tags:read")),
    ];
    ruled("include", (List::Comma, true), &rules)
}

#[test]
fn a_member_asks_for_its_scopes() {
    let gate = include();
    assert_eq!(gate.ask("GET /p?include=lists", &[]), "insufficient_scope");
    assert_eq!(gate.ask("GET /p?include=lists", &["lists:read"]), "allow");
    assert_eq!(gate.ask("GET /p?include=segments", &[]), "allow");
    assert_eq!(gate.ask("GET /p?include=segments,lists", &[]), "insufficient_scope");
    assert_eq!(gate.ask("GET /p?include=segments%2Clists", &[]), "insufficient_scope");
    assert_eq!(gate.ask("GET /p?x=1&include=segments&include=lists", &[]), "insufficient_scope");
    assert_eq!(gate.ask("GET /p?%69nclude=%6cists", &["lists:read"]), "allow");
}

#[test]
fn members_that_are_not_listed_or_denied_are_denied_even_to_full() {
    let gate = include();
    for query in [
        "include=closed",
        "include=other",
        "include=segments,other",
        "include=Segments",
        "include=segments+",
        "include=%20segments",
    ] {
        assert_eq!(gate.ask_full(&format!("GET /p?{query}")), "query_not_allowed", "{query}");
    }
    assert_eq!(gate.ask_full("GET /bare?include=segments"), "query_not_allowed");
}

#[test]
fn empty_members_add_nothing() {
    let gate = include();
    for query in ["include", "include=", "include=,", "include=segments,,", "include=&include=", "", "&&"] {
        assert_eq!(gate.ask(&format!("GET /p?{query}"), &[]), "allow", "{query}");
    }
    assert_eq!(gate.ask("GET /bare?include=", &[]), "allow");
}

#[test]
fn a_parameter_that_only_some_parsers_would_read_as_ruled_is_ambiguous() {
    let gate = include();
    let lookalikes = [
        "include[]=x",
        "include[0]=x",
        "include[12]",
        "Include=x",
        "INCLUDE=",
        "include+=x",
        "+include=x",
        "include%20=x",
        "include%00=x",
        "incl%20ude=x",
        "in%2563lude=x",
        "in%252563lude=x",
        "%2569nclude=x",
        "include%5B%5D=x",
        "include%255B%255D=x",
        "a=1;include=x",
        "a;include=x",
        "include;a=x",
        "include=segments;include=x",
        "a=1;Include%20=x",
        "include[0][]=x",
        "[include]=x",
        "include]=x",
        "]include=x",
        "[[include=x",
        "%5Binclude%5D=x",
        "include%00x=x",
        "include[]x=x",
        "include[0]x=x",
        "include[x]=1",
        "include[x=1",
        "include[0][x]=x",
        "include.x=1",
        ".include=x",
        "include.=x",
        "%c4%b0nclude=x",
        "%C4%B1nclude=x",
        "%u0069nclude=x",
        "%25u0069nclude=x",
        "?include=x",
        "x;[include]=x",
        "include=%u0073egments",
        "include=%2573egments",
        "include=segments%2525%32%35",
        "include=%252C",
    ];
    for query in lookalikes {
        assert_eq!(gate.ask_full(&format!("GET /p?{query}")), "ambiguous_query", "{query}");
        assert_eq!(gate.ask_full(&format!("GET /bare?{query}")), "ambiguous_query", "{query}");
    }
}

#[test]
fn parameters_that_are_not_declared_pass_untouched() {
    let gate = include();
    for query in [
        "includes=x",
        "xinclude=1",
        "x[includes]=1",
        "options.includes=1",
        "include-all:x=1",
        "__include=1",
        "x[0:1:0]=1",
        "fields[list]=a",
        "inclu-de=1",
        "include_x=1",
        "a=include",
        "filter=a%252Cb;c",
        "page[size]=1",
        "%252525252569nclude=x",
    ] {
        assert_eq!(gate.ask(&format!("GET /p?{query}"), &[]), "allow", "{query}");
    }
}

#[test]
fn a_ruled_name_behind_what_is_no_part_of_it_is_ambiguous() {
    let gate = include();
    for query in [
        "options.include=lists",
        "options[include]=lists",
        "a.b.include=lists",
        "a[b][include][0]=lists",
        "options.include.x=lists",
        "Options.Include=lists",
        "options%2Einclude=lists",
        "options%5Binclude%5D=lists",
        "options%255Binclude%255D=lists",
        "options%u002einclude=lists",
        "options[inclu]de=lists",
        "[inclu]de=lists",
        "options[include]:x=lists",
        "inclu[]de=lists",
        "include%00%C3%A9=lists",
        "include%00x%u3045=lists",
        "inclu[][]de[x]=lists",
        "options.+include=lists",
        "_include=on",
        "_Include=on",
        "%5Finclude=on",
        "_options.include=on",
        "options._include=on",
        "include:iterate=lists",
        "include%3Aiterate=lists",
        "_include:recurse=lists",
        "options.include:x=lists",
        "a=1;options.include=lists",
        "a=1%26options.include=lists",
    ] {
        assert_eq!(gate.ask_full(&format!("GET /p?{query}")), "ambiguous_query", "{query}");
        assert_eq!(gate.ask_full(&format!("GET /bare?{query}")), "ambiguous_query", "{query}");
    }
    assert_eq!(gate.ask("GET /p/1&options.include=x", &[]), "ambiguous_path");
}

#[test]
fn a_name_that_another_is_read_as_passes_where_it_is_declared_itself() {
    let rule = |name: &str| (name.to_owned(), RuleSpec::Own(vec![("*".to_owned(), MemberSpec::Allow)]));
    let names = ["include", "options.include", "_include", "include:iterate", "_include:iterate", "filter[include]"];
    let draft = names.iter().fold(Draft::new(), |draft, name| draft.parameter(name, (List::Comma, false)));
    let query = names.iter().map(|name| rule(name)).collect();
    let gate = draft.spec(RouteSpec { query, ..written("GET /p") }).finish();
    for name in names {
        assert_eq!(gate.ask(&format!("GET /p?{name}=x"), &[]), "allow", "{name}");
        let capital = name.to_uppercase();
        assert_eq!(gate.ask(&format!("GET /p?{capital}=x"), &[]), "ambiguous_query", "{capital}");
    }
    for name in ["other.include", "include:x", "_include:x", "_include:iterate:x", "filter[x][include]"] {
        assert_eq!(gate.ask(&format!("GET /p?{name}=x"), &[]), "ambiguous_query", "{name}");
    }
}

#[test]
fn a_url_as_a_value_is_refused_where_a_pair_in_it_names_a_ruled_parameter() {
    let gate = ruled("include", (List::Comma, false), &[("lists", MemberSpec::Allow)]);
    let asked = "GET /p?next=https%3A%2F%2Fx%2F%3Fa%3D1%26include%3Dlists";
    assert_eq!(gate.ask(asked, &[]), "ambiguous_query");
    assert!(gate.explain(asked, &[]).trace.reason.contains("behind a ; or an encoded &"));
    for query in ["next=https%3A%2F%2Fx%2F%3Finclude%3Dlists%26a%3D1", "next=aHR0cHM6Ly94Lz9hPTEmaW5jbHVkZT1saXN0cw"] {
        assert_eq!(gate.ask(&format!("GET /p?{query}"), &[]), "allow", "{query}");
    }
}

#[test]
fn a_dotted_member_needs_each_part_or_has_a_rule_of_its_own() {
    let rules = [("a", asks("a:read")), ("b", asks("b:read")), ("a.c", asks("ac:read")), ("a.d", MemberSpec::Deny)];
    let gate = ruled("include", (List::Comma, true), &rules);
    assert_eq!(gate.ask("GET /p?include=a.b", &["a:read"]), "insufficient_scope");
    assert_eq!(gate.ask("GET /p?include=a.b", &["a:read", "b:read"]), "allow");
    assert_eq!(gate.ask("GET /p?include=a.c", &["ac:read"]), "allow");
    assert_eq!(gate.ask("GET /p?include=a.c.b", &["ac:read", "b:read"]), "allow");
    assert_eq!(gate.ask_full("GET /p?include=a.d"), "query_not_allowed");
    assert_eq!(gate.ask_full("GET /p?include=a.d.b"), "query_not_allowed");
    assert_eq!(gate.ask_full("GET /p?include=b.x"), "query_not_allowed");
    assert_eq!(gate.ask_full("GET /p?include=a."), "query_not_allowed");
    let flat = ruled("include", (List::Comma, false), &rules[..2]);
    assert_eq!(flat.ask_full("GET /p?include=a.b"), "query_not_allowed");
}

#[test]
fn a_star_opens_the_rest_but_nothing_that_reads_like_a_listed_member() {
    let rules = [("*", MemberSpec::Allow), ("secret", asks("secret:read")), ("a.b", MemberSpec::Deny)];
    let gate = ruled("include", (List::Comma, true), &rules);
    assert_eq!(gate.ask("GET /p?include=anything,x.y", &[]), "allow");
    assert_eq!(gate.ask("GET /p?include=x.secret", &[]), "insufficient_scope");
    for member in [
        "Secret",
        "+secret",
        "secret%00",
        "secret%00x",
        "%C5%BFecret",
        "sec%20ret",
        "x.SECRET",
        "A.b",
        "a.b",
        "a.b.c",
        "%C2%A0secret",
        "secret%E2%80%83",
        "secret%E2%80%8B",
        "%E2%81%A0secret",
        "sec%C2%ADret",
        "%E3%80%80secret",
        "x.secret%EF%B8%8F",
        "%EF%BB%BFsecret",
        "%01secret",
        "secret%1F",
        "secret%A0",
        "secret=x",
        "secret:limit(5)",
        "secret[x]",
        "-secret",
        "a%7Csecret",
        "x/secret",
        "sec_ret",
        "sec-ret",
        "_secret",
        "secret__x",
        "*",
    ] {
        assert_eq!(gate.ask_full(&format!("GET /p?include={member}")), "query_not_allowed", "{member}");
    }
    assert_eq!(gate.ask_full("GET /p?include=secret;x"), "ambiguous_query");
}

#[test]
fn what_only_a_server_that_decodes_first_would_see_is_ambiguous() {
    let gate = ruled("include", (List::Comma, false), &[("lists", asks("lists:read"))]);
    for query in [
        "a=1%26include=lists",
        "a=1%26include%3Dlists",
        "include%3Dlists",
        "a=1%2526include=lists",
        "a=1%3Binclude=lists",
        "include%C2%A0=lists",
        "%EF%BB%BFinclude=lists",
        "include%1F=lists",
        "$include=lists",
    ] {
        assert_eq!(gate.ask_full(&format!("GET /p?{query}")), "ambiguous_query", "{query}");
    }
    for query in ["a=1%26_method=DELETE", "_method%3DDELETE", "_method%C2%A0=PUT"] {
        assert_eq!(gate.ask_full(&format!("GET /p?{query}")), "method_override", "{query}");
    }
    for query in ["next=%2Fp%3Fpage%3D2%26size%3D5", "a%3Db=include", "a=include%3Dlists"] {
        assert_eq!(gate.ask(&format!("GET /p?{query}"), &[]), "allow", "{query}");
    }
}

#[test]
fn a_member_counts_once_however_often_it_stands_there() {
    let names: Vec<String> = (0..101).map(|number| format!("s{number}")).collect();
    let gate = ruled("include", (List::Comma, false), &[("b", MemberSpec::Scopes(names.clone()))]);
    let asked = format!("GET /p?include={}", vec!["b"; 4000].join(","));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(gate.ask(&asked, &names), "allow");
    assert_eq!(gate.explain(&asked, &[]).trace.because.len(), 101);
}

#[test]
fn brackets_are_read_where_they_are_declared() {
    let gate = ruled("expand", (List::Brackets, false), &[("customer", asks("c:read")), ("x", MemberSpec::Allow)]);
    for name in ["expand", "expand[]", "expand[0]", "expand%5B17%5D"] {
        assert_eq!(gate.ask(&format!("GET /p?{name}=x"), &[]), "allow", "{name}");
        assert_eq!(gate.ask(&format!("GET /p?{name}=customer"), &[]), "insufficient_scope", "{name}");
        assert_eq!(gate.ask(&format!("GET /p?{name}=x,customer"), &[]), "insufficient_scope", "{name}");
    }
    for name in ["Expand[]", "expand[][]", "expand[0]+"] {
        assert_eq!(gate.ask(&format!("GET /p?{name}=x"), &[]), "ambiguous_query", "{name}");
    }
}

#[test]
fn without_a_list_the_whole_value_is_one_member() {
    let gate = ruled("view", (List::None, false), &[("a,b", MemberSpec::Allow), ("a", asks("a:read"))]);
    assert_eq!(gate.ask("GET /p?view=a,b", &[]), "allow");
    assert_eq!(gate.ask("GET /p?view=a", &[]), "insufficient_scope");
    assert_eq!(gate.ask("GET /p?view=b", &[]), "query_not_allowed");
}

#[test]
fn a_name_with_a_bracketed_word_is_a_name_of_its_own() {
    let gate = ruled("additional-fields[profile]", (List::Comma, false), &[("subscriptions", MemberSpec::Allow)]);
    assert_eq!(gate.ask("GET /p?additional-fields[profile]=subscriptions", &[]), "allow");
    assert_eq!(gate.ask("GET /p?additional-fields%5Bprofile%5D=subscriptions", &[]), "allow");
    assert_eq!(gate.ask("GET /p?additional-fields[profile]=other", &[]), "query_not_allowed");
    assert_eq!(gate.ask("GET /p?additional-fields[Profile]=other", &[]), "ambiguous_query");
    for name in
        ["additional-fields[list]", "additional-fields", "additional-fields[]", "additional-fields[list][profile]"]
    {
        assert_eq!(gate.ask(&format!("GET /p?{name}=other"), &[]), "allow", "{name}");
    }
    for end in [
        "[profile]]",
        "[[profile]",
        "[profile]x",
        "[profile]%00x",
        "[profile][]",
        "[profile",
        ".profile",
        "[][profile]",
    ] {
        let asked = format!("GET /p?additional-fields{end}=subscriptions");
        assert_eq!(gate.ask(&asked, &[]), "ambiguous_query", "{end}");
    }
}

#[test]
fn a_name_that_a_server_folds_to_underscores_is_ambiguous() {
    let gate = ruled("my_view", (List::None, false), &[("a", MemberSpec::Allow)]);
    assert_eq!(gate.ask("GET /p?my_view=a", &[]), "allow");
    for name in ["my.view", "my+view", "my[view", "my-view", "my%20view[x]", "+my.view%00", "my_view%00.x"] {
        assert_eq!(gate.ask(&format!("GET /p?{name}=a"), &[]), "ambiguous_query", "{name}");
    }
    assert_eq!(gate.ask("GET /p?my[view]=b", &[]), "allow");
}

#[test]
fn a_letter_that_folds_into_ascii_does_not_hide_a_name() {
    let gate = ruled("sink", (List::None, false), &[("a", MemberSpec::Allow)]);
    for name in ["%C5%BFink", "sin%E2%84%AA", "s%C4%B1nk", "s%c4%b0nk", "s%C4%B0n%E2%84%AA"] {
        assert_eq!(gate.ask(&format!("GET /p?{name}=a"), &[]), "ambiguous_query", "{name}");
    }
}

#[test]
fn a_ruled_name_within_another_is_itself() {
    let mut draft =
        Draft::new().parameter("fields", (List::Comma, false)).parameter("fields[list]", (List::Comma, false));
    let rule = |name: &str| (name.to_owned(), RuleSpec::Own(vec![("a".to_owned(), MemberSpec::Allow)]));
    draft.try_spec(RouteSpec { query: vec![rule("fields"), rule("fields[list]")], ..written("GET /p") }).unwrap();
    let gate = draft.finish();
    assert_eq!(gate.ask("GET /p?fields[list]=a&fields=a", &[]), "allow");
    assert_eq!(gate.ask("GET /p?fields[list]=b", &[]), "query_not_allowed");
    assert_eq!(gate.ask("GET /p?fields[tag]=a", &[]), "ambiguous_query");
}

#[test]
fn a_route_takes_over_members_of_the_declaration_by_name() {
    let mut draft = Draft::new();
    let members = vec![("lists".to_owned(), asks("lists:read")), ("segments".to_owned(), MemberSpec::Allow)];
    draft.builder.declare_parameter("include", ParameterSpec { list: List::Comma, dotted: false, members }).unwrap();
    let rule = |names: &[&str]| vec![("include".to_owned(), RuleSpec::Declared(owned(names)))];
    let fault = draft.try_spec(RouteSpec { query: rule(&["segment"]), ..written("GET /x") }).unwrap_err();
    assert_eq!(fault[0].help.as_deref(), Some("did you mean `segments`?"));
    let gate = draft.spec(RouteSpec { query: rule(&["lists"]), ..written("GET /p") }).finish();
    assert_eq!(gate.ask("GET /p?include=lists", &[]), "insufficient_scope");
    assert_eq!(gate.ask("GET /p?include=segments", &[]), "query_not_allowed");
}

#[test]
fn a_very_deep_member_is_denied_without_a_deep_search() {
    let gate = ruled("include", (List::Comma, true), &[("*", MemberSpec::Allow), ("a", MemberSpec::Allow)]);
    assert_eq!(gate.ask_full(&format!("GET /p?include=a{}", ".b".repeat(4000))), "query_not_allowed");
    assert_eq!(gate.ask_full(&format!("GET /p?include=a{}", ".b".repeat(8))), "allow");
}
