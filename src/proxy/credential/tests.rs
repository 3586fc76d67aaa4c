use super::*;

fn accept() -> Accept {
    Accept {
        bearer: true,
        schemes: vec!["Klaviyo-API-Key".into()],
        headers: vec!["X-Api-Key".into()],
        basic: true,
        query: vec!["api_key".into()],
        cookies: vec!["sg_key".into()],
        public_query: Some(Sought::new("company_id")),
    }
}

fn field<'b>(name: &'b str, value: &'b str) -> Field<'b> {
    let kind = match name {
        "Authorization" => Kind::Authorization,
        "Cookie" => Kind::Cookie,
        _ => Kind::Other,
    };
    Field { name: name.as_bytes(), value: value.as_bytes(), kind }
}

fn said(fields: &[(&str, &str)], query: &str) -> String {
    let fields: Vec<Field<'_>> = fields.iter().map(|(name, value)| field(name, value)).collect();
    match take(&accept(), &fields, Some(query.as_bytes())) {
        Presented::Ambiguous => "ambiguous".into(),
        Presented::Malformed => "malformed".into(),
        Presented::None => "none".into(),
        Presented::Public(id) => format!("public {}", String::from_utf8_lossy(&id)),
        Presented::One(key) => {
            let id = key.id().map(|id| format!("{} with ", String::from_utf8_lossy(id)));
            format!("{}{}", id.unwrap_or_default(), String::from_utf8_lossy(key.secret()))
        }
    }
}

#[test]
fn a_public_key_is_looked_for_where_no_other_key_is() {
    assert_eq!(said(&[], "company_id=Ab12Cd"), "public Ab12Cd");
    assert_eq!(said(&[("Authorization", "Digest abc")], "a=1&company%5fid=%41b12Cd"), "public Ab12Cd");
    assert_eq!(said(&[("X-Api-Key", "abc")], "company_id=Ab12Cd"), "abc");
    assert_eq!(said(&[], "company_id=Ab12Cd&api_key=abc"), "abc");
    assert_eq!(said(&[("X-Api-Key", "a b")], "company_id=Ab12Cd"), "malformed");
    assert_eq!(said(&[], "company_id=Ab12Cd&company_id=Other1"), "ambiguous");
    assert_eq!(said(&[], "company_id[]=Ab12Cd"), "none");
    for query in ["company_id=", "company_id=Ab12C", "company_id=sg_0123456789", "company_id=Ab%2012Cd"] {
        assert_eq!(said(&[], query), "malformed", "{query}");
    }
    let mut out = Vec::new();
    write_target(&accept(), b"/a?company_id=Ab12Cd&api_key=abc", &mut out);
    assert_eq!(out, b"/a?company_id=Ab12Cd", "it stays there");
}

#[test]
fn a_key_is_found_in_each_place_where_keys_are_accepted() {
    assert_eq!(said(&[("Authorization", "Bearer abc")], ""), "abc");
    assert_eq!(said(&[("Authorization", "bEARER   abc")], ""), "abc");
    assert_eq!(said(&[("Authorization", "klaviyo-api-key abc")], ""), "abc");
    assert_eq!(said(&[("Authorization", "Bearer\tabc")], ""), "abc");
    assert_eq!(said(&[("Authorization", "Basic YWJjOg==")], ""), "abc");
    assert_eq!(said(&[("x-api-key", "abc")], ""), "abc");
    assert_eq!(said(&[("Cookie", "a=b; sg_key=abc; c=d")], ""), "abc");
    assert_eq!(said(&[], "x=1&api%5Fkey=ab%63"), "abc");
    assert_eq!(said(&[("Authorization", "Digest abc")], "x=1"), "none");
}

#[test]
fn a_pair_is_its_id_and_its_secret_and_comes_by_basic_alone() {
    assert_eq!(said(&[("Authorization", "Basic YWJjOmRlZg==")], ""), "abc with def");
    assert_eq!(said(&[("Authorization", "bAsIc  YTpiOmM=")], ""), "a with b:c");
    assert_eq!(said(&[("Authorization", "Bearer abc:def")], ""), "abc:def");
    assert_eq!(said(&[("X-Api-Key", "abc:def")], ""), "abc:def");
    for other in ["abc:def", "def", "abc"] {
        assert_eq!(said(&[("Authorization", "Basic YWJjOmRlZg=="), ("X-Api-Key", other)], ""), "ambiguous");
    }
}

#[test]
fn the_same_key_in_two_places_is_one_key_and_two_keys_are_ambiguous() {
    assert_eq!(said(&[("Authorization", "Bearer abc"), ("X-Api-Key", "abc")], ""), "abc");
    assert_eq!(said(&[("Authorization", "Bearer abc"), ("X-Api-Key", "abd")], ""), "ambiguous");
    assert_eq!(said(&[("Authorization", "Bearer abc"), ("Cookie", "sg_key=")], ""), "ambiguous");
}

#[test]
fn a_key_header_given_twice_is_ambiguous_even_with_equal_values() {
    assert_eq!(said(&[("X-Api-Key", "abc"), ("x-api-key", "abc")], ""), "ambiguous");
    assert_eq!(said(&[("Authorization", "Bearer abc"), ("Authorization", "Bearer abc")], ""), "ambiguous");
    assert_eq!(said(&[("Authorization", "Bearer abc"), ("Authorization", "Digest x")], ""), "ambiguous");
}

#[test]
fn a_header_that_some_servers_read_as_the_keys_goes_no_further() {
    for name in ["X-Api-Key", "x_api_key", "X.Api~Key"] {
        assert!(is_whole_field(&accept(), &field(name, "k")), "{name}");
    }
    assert!(!is_whole_field(&accept(), &field("X-Api-Keys", "k")));
    assert_eq!(said(&[("X_Api_Key", "abc")], ""), "none", "and is no key");
}

#[test]
fn what_cannot_be_a_key_is_malformed() {
    assert_eq!(said(&[("Authorization", "Bearer")], ""), "malformed");
    assert_eq!(said(&[("Authorization", "Bearer a b")], ""), "malformed");
    assert_eq!(said(&[("X-Api-Key", "")], ""), "malformed");
    assert_eq!(said(&[("Authorization", "Basic !!")], ""), "malformed");
    // A colon alone, a secret without its id, no colon, a blank in the id.
    for text in ["Og==", "OmFiYw==", "YWJj", "YSBiOmM="] {
        assert_eq!(said(&[("Authorization", &format!("Basic {text}"))], ""), "malformed", "{text}");
    }
    assert_eq!(said(&[("X-Api-Key", &"k".repeat(LONGEST + 1))], ""), "malformed");
}

fn target(text: &str) -> String {
    let mut out = Vec::new();
    write_target(&accept(), text.as_bytes(), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_key_leaves_the_query_with_one_ampersand_and_nothing_else_changes() {
    assert_eq!(target("/a?api_key=k"), "/a");
    assert_eq!(target("/a?api_key=k&b=%24&&c"), "/a?b=%24&&c");
    assert_eq!(target("/a?b=1&api_key=k"), "/a?b=1");
    assert_eq!(target("/a?b=1&api_key=k&c=2"), "/a?b=1&c=2");
    assert_eq!(target("/a?b=1&api%5fkey=k&c=2&api_key=k"), "/a?b=1&c=2");
    assert_eq!(target("/a?b=api_key=k"), "/a?b=api_key=k");
    assert_eq!(target("/a?"), "/a?");
    assert_eq!(target("/a"), "/a");
}

fn cookie(text: &str) -> String {
    let mut out = Vec::new();
    write_cookie(&accept(), &field("Cookie", text), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_key_leaves_the_cookies_with_one_separator() {
    assert_eq!(cookie("sg_key=k"), "");
    assert_eq!(cookie("a=1; sg_key=k"), "Cookie: a=1\r\n");
    assert_eq!(cookie("sg_key=k; a=1"), "Cookie: a=1\r\n");
    assert_eq!(cookie("a=1; sg_key=k; b=2"), "Cookie: a=1; b=2\r\n");
    assert_eq!(cookie("a=1;b=2"), "Cookie: a=1;b=2\r\n");
    assert_eq!(cookie("a=sg_key=k"), "Cookie: a=sg_key=k\r\n");
}
