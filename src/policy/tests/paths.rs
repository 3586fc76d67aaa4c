use super::super::suffix::same_stem;
use super::super::*;
use super::support::*;

fn fault(gate: &Gate, target: &str) -> Option<PathFault> {
    match gate.policy.judge(&parsed(&format!("GET {target}"))) {
        Err(Denial::AmbiguousPath(fault)) => Some(fault),
        _ => None,
    }
}

#[test]
fn each_path_is_refused_for_what_is_wrong_with_it() {
    let gate = Draft::new().open("ANY /{*rest}", AccessSpec::Anyone).finish();
    let table: [(PathFault, &[&str]); 11] = [
        (
            PathFault::BadForm,
            &["", "a", "?", "*", "host:80", "http:///a", "http://u@host/a", "ftp://host/a", "http:/a"],
        ),
        (PathFault::Fragment, &["/a#b", "/#", "/a?b#c", "/a?#\n"]),
        (PathFault::ForbiddenByte, &["/a\\b", "/a\tb", "/a\x7f", "/\u{e9}", "/a?b\n", "/a?\n\n", "/a?\x7f\u{e9}"]),
        (PathFault::DotSegment, &["/a/..", "/.", "/%2e/b", "/a/%20../b", "/..%3fx", "/%20", "/..%2Fb", "/a%2F.."]),
        (PathFault::EmptySegment, &["//", "/a//b", "/a//", "/%2Fa", "/%2F", "/%2f%2Fb"]),
        (PathFault::EncodedByte, &["/a%5Cb", "/%3Fx", "/a/%23", "/%00", "/a%1F", "/a%7f", "/a%3F/b", "/%23/"]),
        (PathFault::EncodedSlash, &["/a%2Fb", "/x/a%2fb/c", "/a%2F", "/a%2f%2Fb"]),
        (PathFault::EncodedTwice, &["/a%2541", "/a%25%34%31", "/%25u0061", "/%C3%A9%2541"]),
        (PathFault::MalformedEncoding, &["/a%", "/a%4", "/%zz/b", "/a%4/b"]),
        (PathFault::NotUtf8, &["/%FF", "/a%C3", "/%c0%ae", "/%C3/%A9", "/%FF%2Fb"]),
        (PathFault::Semicolon, &["/a;b", "/a%3Bb", "/;", "/%3b/c"]),
    ];
    for (expected, targets) in table {
        for target in targets {
            assert_eq!(fault(&gate, target), Some(expected), "{target:?}");
        }
    }
}

#[test]
fn a_percent_sign_that_no_escape_follows_after_decoding_is_one() {
    let gate = Draft::new().open("ANY /{*rest}", AccessSpec::Anyone).finish();
    for target in
        ["/a%25", "/a%25zz", "/a%254z", "/a%25z4", "/a%25u00zz", "/a%25u006", "/%25u00g61", "/%25%25", "/a%254%25"]
    {
        assert_eq!(fault(&gate, target), None, "{target}");
    }
}

#[test]
fn connect_and_a_question_about_the_whole_server_have_no_path_and_no_route() {
    let gate = Draft::new().open("ANY|OPTIONS /{*rest}", AccessSpec::Anyone).route("GET /{x}", &[]).finish();
    for (request, code) in [
        ("CONNECT host:80", "route_not_allowed"),
        ("CONNECT /a/b", "route_not_allowed"),
        ("OPTIONS *", "route_not_allowed"),
        ("OPTIONS /a/b", "allow"),
        ("OPTIONS host:80", "ambiguous_path"),
        ("GET *", "ambiguous_path"),
        ("PUT host:80", "ambiguous_path"),
    ] {
        assert_eq!(gate.ask(request, &[]), code, "{request}");
    }
    assert_eq!(gate.ask_as("OPTIONS *", &Caller::Anonymous), "missing_key");
    let target = gate.policy.judge(&parsed("CONNECT host:80")).unwrap();
    assert_eq!((target.path(), target.query(), target.authority()), (&b"host:80"[..], None, None));
    assert!(target.segments().is_empty());
}

#[test]
fn a_literal_is_meant_by_what_careless_servers_would_take_for_it_whichever_of_the_two_is_odd() {
    for (literal, segment) in [
        ("admin", "admin."),
        ("admin", "admin%20"),
        ("admin", "%20admin"),
        ("admin", "admin%3Fx"),
        ("admin", "ADMIN"),
        ("admin", "%41dmin"),
        ("admin.", "admin"),
        ("admin%20", "admin"),
        ("Admin.", "admin%20"),
        ("%C4%B1d", "id"),
        ("id", "%C4%B1d"),
        ("%C3%89t%C3%A9", "%C3%A9t%C3%A9"),
        ("caf%C3%A9", "CAF%C3%89."),
    ] {
        let gate = Draft::new().route(&format!("GET /{literal}"), &["l"]).route("GET /{x}", &["x"]).finish();
        let request = format!("GET /{segment}");
        assert_eq!(gate.ask(&format!("GET /{literal}"), &["l"]), "allow", "{literal}");
        assert_eq!(gate.ask(&request, &["l", "x"]), "route_not_allowed", "{segment} for {literal}");
        assert_eq!(gate.explain(&request, &[]).near_miss, Some(NearMiss::Spelling), "{segment} for {literal}");
        assert_eq!(gate.ask("GET /other", &["x"]), "allow");
    }
}

#[test]
fn a_format_suffix_has_a_name_before_it_and_a_format_behind_it() {
    for (segment, literal) in [(".xml", ".json"), ("rel", "rel.0"), ("rel.1", "rel.0"), ("export.", "export.json")] {
        assert!(!same_stem(segment.as_bytes(), literal.as_bytes()), "{segment} is not {literal}");
    }
    for (literal, segment) in [(".json", ".xml"), ("rel.0", "rel"), ("rel.0", "rel.1")] {
        let gate = Draft::new().route(&format!("GET /{literal}"), &["l"]).route("GET /{x}", &["x"]).finish();
        assert_eq!(gate.ask(&format!("GET /{segment}"), &["x"]), "allow", "{segment} is not {literal}");
    }
    let gate = Draft::new().route("GET /a/export", &["l"]).route("GET /a/{x}", &["x"]).finish();
    for path in ["/a/export.json", "/a/EXPORT.json", "/a/export%2Ejson", "/a/export"] {
        let explanation = gate.explain(&format!("GET {path}"), &[]);
        let templates: Vec<&str> = explanation.candidates.iter().map(|one| &*one.template).collect();
        assert_eq!(templates, ["/a/export", "/a/{x}"], "{path}");
    }
}

#[test]
fn letters_at_the_ends_of_the_alphabet_are_letters_and_their_neighbours_are_not() {
    let options = Options { case: PathCase::Insensitive, ..Options::default() };
    for (literal, same, other) in [
        ("AZaz@[`^", "azAZ@[`^", "azAZ`[@^"),
        ("@[`^_]AZ", "@[`^_]az", "@[`~_]az"),
        ("12345678Mm", "12345678mM", "12345678m-"),
        ("Zz]^_~.!A@", "zZ]^_~.!a@", "zZ]^_~.!a`"),
    ] {
        let sensitive = Draft::new().route(&format!("GET /{literal}"), &["l"]).route("GET /{x}", &["x"]).finish();
        let alone = Draft::with(options.clone()).route(&format!("GET /{literal}"), &["l"]).finish();
        let insensitive = Draft::with(options.clone());
        let insensitive = insensitive.route(&format!("GET /{literal}"), &["l"]).route("GET /{x}", &["x"]).finish();
        let encoded: String = same.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for spelt in [same, &encoded] {
            let request = format!("GET /{spelt}");
            assert_eq!(sensitive.ask(&request, &["l", "x"]), "route_not_allowed", "{spelt} for {literal}");
            assert_eq!(alone.explain(&request, &["l"]).candidates.len(), 1, "{spelt} for {literal}");
        }
        assert_eq!(alone.ask(&format!("GET /{same}"), &["l"]), "allow", "{same} for {literal}");
        for gate in [sensitive, insensitive] {
            assert_eq!(gate.ask(&format!("GET /{other}"), &["x"]), "allow", "{other} is not {literal}");
        }
    }
}

#[test]
fn what_is_shown_of_a_segment_is_sixty_four_printable_bytes_at_most() {
    let gate = Draft::new().open("ANY /{*rest}", AccessSpec::Anyone).finish();
    let shown = |segment: &str| gate.policy.judge(&parsed(&format!("GET /{segment}"))).unwrap().segments().remove(0);
    let (whole, longer) = ("x".repeat(64), "x".repeat(65));
    assert_eq!(shown(&whole), whole);
    assert_eq!(shown(&longer), format!("{whole}..."));
    assert_eq!(shown("a%20~!%C2%85"), "a ~!\\xc2\\x85");
}
