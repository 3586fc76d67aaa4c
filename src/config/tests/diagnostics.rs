//! What a user reads when something is wrong. The snapshots are the review: `line:column: what`, and the mend under it.

use super::*;

/// A policy text in the place of the good one; all faults, one line each.
fn policy_faults(text: &str) -> String {
    listed(&Case::new().file("scopegate.yaml", &with("")).file("policy.yaml", text))
}

/// The fields of every section that this version has, given `more`.
macro_rules! diagnose {
    ($name:ident, $text:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(faults_of(&$text));
        }
    };
}

diagnose!(an_unknown_field_suggests_the_nearest, with("listne: 1\nlimits: { headres: 3 }\nbackend: x\n"));
diagnose!(a_missing_section_is_named, "mode: enforce\n");
diagnose!(an_empty_file_says_what_to_write, "# nothing\n");
diagnose!(a_file_that_is_no_map_says_what_to_write, "- a\n");
diagnose!(text_that_is_no_yaml_is_pointed_at, "upstream: [a\npolicy: b\n");
diagnose!(
    anchors_aliases_tags_and_merge_keys_are_refused,
    with("hosts: &h [a]\nlimits: { <<: 1 }\ntrusted_proxies: *h\nmode: !!str enforce\n")
);
diagnose!(a_second_document_is_refused, format!("{}---\na: b\n", with("")));
diagnose!(null_is_never_a_default, with("mode:\nlimits: { idle: null }\nhosts: ~\n"));
diagnose!(
    null_switches_nothing_off,
    "policy: policy.yaml\nupstream:\n  url: http://127.0.0.1:3000\n  credential: null\n  tls: { ca: null }\nkeys: { pepper: null, snapshot: ~ }\n\
     cors: null\ntls: ~\nmetrics: { listen: null }\n"
);
diagnose!(
    an_empty_value_switches_nothing_off,
    "policy: policy.yaml\nupstream:\n  url: http://127.0.0.1:3000\n  credential:\n  tls:\n    ca:\n    server_name:\nkeys:\n  pepper:\ncors:\n\
     tls:\nadmin:\n  public_url:\n"
);
diagnose!(
    a_listener_that_cannot_be_is_told_why,
    with("listen: [8080, ':80', 'http://x', 'api:80', '1.2.3.4:99999', '127.0.0.1:1', '127.0.0.1:1', {tls: false}]\n")
);
diagnose!(
    a_listener_is_told_what_it_cannot_have,
    with(
        "listen:\n  - { address: '127.0.0.1:1', tls: true }\n  - { address: 'unix:a', tls: true, proxy_protocol: [10.0.0.0/8] }\n  \
         - { address: '127.0.0.1:2', mode: 0660 }\n  - { address: 'unix:b', mode: rw-rw---- }\n  - { address: 'unix:c', mode: 0998 }\n  \
         - { address: '127.0.0.1:3', tls: maybe, proxy_protocol: [10.0.0.1/8, lan] }\n"
    )
);
diagnose!(
    tls_is_told_what_it_lacks,
    with("tls: { key: none.pem, min_version: 1.1, client_ca: none.pem, ciphers: all }\n")
);
diagnose!(
    limits_of_a_connection_are_checked,
    with("limits: { connections_per_address: 0, requests_per_connection: many, connection_age: 0s }\n")
);
diagnose!(no_listener_at_all_is_a_fault, with("listen: []\n"));
diagnose!(
    units_show_an_example,
    with(
        "limits: { idle: 5, header_bytes: 32KB, body_bytes: never, headers: many, connections: 0 }\n\
         drain: { delay: soon, timeout: none }\nworkers: 0\n"
    )
);
diagnose!(a_target_larger_than_a_head_is_a_contradiction, with("limits: { header_bytes: 4KiB, target_bytes: 8KiB }\n"));
diagnose!(
    words_that_are_no_choice_list_the_choices,
    with("mode: shadwo\nerrors: json\nlog: { level: verbose, access: yes }\nheaders: { underscores: keep }\n")
);
diagnose!(
    places_for_keys_are_checked,
    with(
        "keys:\n  accept:\n    - bearer\n    - bearer\n    - token\n    - header: Authorization\n    - header: Host\n    \
         - scheme: Bearer\n    - {header: a, cookie: b}\n    - cookie: 'a b'\n    - query: 'a=b'\n    - 'headr: X'\n"
    )
);
diagnose!(stores_and_prefixes_are_checked, with("keys: { store: scopegate.db, prefix: sg-, accept: [] }\n"));
diagnose!(networks_are_checked, with("trusted_proxies: [10.0.0.1/8, lan]\n"));
diagnose!(
    origins_of_other_pages_are_checked,
    with("cors: { origins: ['https://App.example/', app], headers: ['a b'], max_age: soon, origin: x }\n")
);
diagnose!(hosts_are_checked, with("hosts: ['http://x', 'a b', 'x:0x50']\n"));
diagnose!(
    what_this_version_lacks_is_refused_and_never_ignored,
    with(
        "admin: { public_url: 'http://x' }\n\
         keys: { store: 'postgres://u:geheim@db/x' }\n\
         log: { output: 'tcp://x' }\n"
    )
);
diagnose!(
    http_2_needs_what_its_kind_needs,
    "policy: policy.yaml\nupstream: { url: 'http://x', protocol: h2 }\nlimits: { h2_streams: 0, h2_resets: 100 }\n"
);
diagnose!(
    http_2_over_cleartext_is_not_for_an_upstream_with_tls,
    "policy: policy.yaml\nupstream: { url: 'https://x', protocol: h2c }\nlimits: { h2_resets: 0/30s }\n"
);
diagnose!(
    a_protocol_that_is_none_is_told_the_nearest,
    "policy: policy.yaml\nupstream: { url: 'https://x', protocol: http2 }\nlimits: { h2_resets: +1/30s }\n"
);
diagnose!(
    an_upstream_that_cannot_be_is_told_why,
    "policy: policy.yaml\nupstream:\n  url: http://user:geheim@x/v1\n  host: 'a b'\n  max_pending: 0\n  \
     retries: { budget: 20 }\n  tls: { ca: none.pem, client_cert: c.pem }\n  timeouts: { connect: 0s }\n"
);
diagnose!(
    credentials_are_checked_and_never_shown,
    "policy: policy.yaml\nupstream:\n  url: http://x\n  credential: geheim\n  credentials:\n    \
     a: { header: X-A }\n    b: { header: X-B, query: b, value: geheim }\n    c: { header: Host, value: geheim }\n    \
     d: { basic: { username: 'u:v', password: geheim } }\n    e: { header: X-E, value: \"geheim\\r\\nX: y\" }\n    \
     f: { basic: { username: u, pasword: geheim } }\n    g: { header: X-G, valu: geheim }\n"
);

#[test]
fn a_secret_in_a_text_that_is_no_yaml_is_not_shown() {
    let text = "upstream:\n  credential: { header: A, value: geheim }}\n  x: [\n  geheim\n";
    let case = Case::new().file("scopegate.yaml", text);
    assert!(!case.rendered().contains("geheim"), "{}", case.rendered());
}

#[test]
fn a_fault_is_rendered_with_its_line_and_a_mark() {
    let text = "listne: 127.0.0.1:80\nupstream: { url: http://x, url: http://y }\npolicy: policy.yaml\n";
    insta::assert_snapshot!(Case::new().file("scopegate.yaml", text).rendered());
}

#[test]
fn a_secret_beside_a_fault_is_masked_in_the_excerpt() {
    let text =
        "policy: policy.yaml\nupstream: { url: http://x, max_pendin: 1, credential: { header: A, value: geheim } }\n";
    insta::assert_snapshot!(Case::new().file("scopegate.yaml", text).rendered());
}

#[test]
fn what_a_file_holds_cannot_steer_a_terminal_or_break_a_line() {
    let listed = faults_of(&with("\"a\\eb\\nc\": 1\nmode: \"x\\ny\\e[31m\"\n"));
    assert!(!listed.contains('\u{1b}') && listed.lines().count() == 3, "{listed:?}");
}

#[test]
fn colour_is_given_only_where_it_is_asked_for() {
    let faults = Case::new().file("scopegate.yaml", "a: b").load().unwrap_err();
    let fault = faults.first().unwrap();
    assert!(fault.render(Style::Coloured).contains('\u{1b}'));
    assert!(!fault.render(Style::Plain).contains('\u{1b}'));
}

#[test]
fn a_fault_as_json_has_place_message_and_help() {
    let case = Case::new().file("scopegate.yaml", &with("mode: shadwo\n"));
    let faults = case.load().unwrap_err();
    let json = serde_json::to_string_pretty(&faults).unwrap();
    insta::assert_snapshot!(case.anonymous(&json));
}

#[test]
fn a_policy_is_told_what_it_lacks() {
    insta::assert_snapshot!(policy_faults("scopes: {}\n"));
}

#[test]
fn a_policy_that_is_no_map_is_refused() {
    let both = format!("{}\n{}", policy_faults("- a\n"), policy_faults("# nothing\n"));
    insta::assert_snapshot!(both);
}

#[test]
fn a_policy_of_another_version_is_refused() {
    insta::assert_snapshot!(policy_faults("version: 2\nroutes:\n  GET /a: a\n"));
}

#[test]
fn a_duplicate_route_names_both_lines() {
    insta::assert_snapshot!(policy_faults(
        "version: 1\nroutes:\n  GET /a: a:read\n  GET /a: a:write\n  GET /b/{id}: b:read\n  POST|GET /b/{other}: b:write\n"
    ));
}

#[test]
fn a_route_that_does_not_say_who_is_refused() {
    insta::assert_snapshot!(policy_faults(
        "version: 1\nroutes:\n  GET /a:\n  GET /b: {}\n  GET /c: []\n  GET /d: { any_of: [] }\n  GET /e: { any_of: [[]] }\n  \
         GET /f: { auth: key, scopes: x }\n  GET /g: { auth: nobody }\n  GET /h: { scopes: x, unbound: [] }\n  \
         GET /i: { scopes: x, query: { y: [] } }\n  GET /j: null\n"
    ));
}

#[test]
fn a_route_that_is_none_is_refused() {
    insta::assert_snapshot!(policy_faults(
        "version: 1\nroutes:\n  /a: a:read\n  GET a: a:read\n  GET  /b: a:read\n  get /c: a:read\n  GET|GET /d: a:read\n  \
         GET /{x}.json: a:read\n  TRACE /e: a:read\n  GET /{*rest}/f: a:read\n"
    ));
}

#[test]
fn an_unknown_scope_suggests_the_nearest_at_its_place() {
    insta::assert_snapshot!(policy_faults(
        "version: 1\nscopes:\n  profiles:read: Read profiles\n  lists:read:\n  x:write: { implies: [profiles:raed], access: all }\n\
         routes:\n  GET /a: profiles:raed\n  GET /b: { any_of: [profiles:read, [profiles:read, list:read]] }\n  \
         GET /c: { scopes: 'bad scope' }\n"
    ));
}

#[test]
fn a_word_that_is_no_scope_is_refused_in_the_place_of_one_with_what_to_write() {
    insta::assert_snapshot!(policy_faults(
        "version: 1\nparameters:\n  include: { members: { a: none, b: allow, c: [x, deny], d: Full } }\nroutes:\n  \
         GET /deny: deny\n  GET /a: anyone\n  GET /b: [key]\n  GET /c: { scopes: [x, public-key] }\n  \
         GET /d: { any_of: [full, [x, read-only]] }\n  GET /e: true\n  GET /f: allow\n  GET /g: none\n  GET /h: Public\n  \
         GET /i: { auth: key, query: { include: { a: public } } }\n"
    ));
    let with_a_vocabulary = policy_faults("version: 1\nscopes: { x: X }\nroutes:\n  GET /a: x\n  GET /b: deny\n");
    assert!(with_a_vocabulary.contains("write `{ auth: deny }` to close the route"), "{with_a_vocabulary}");
}

#[test]
fn a_scope_that_is_declared_may_have_any_name() {
    let case = Case::new()
        .file("scopegate.yaml", &with(""))
        .file("policy.yaml", "version: 1\nscopes: { public: Read photos }\nroutes:\n  GET /photos: public\n");
    assert_eq!(listed(&case), "no fault");
}

#[test]
fn ruled_parameters_are_checked_at_their_place() {
    insta::assert_snapshot!(policy_faults(
        "version: 1\nparameters:\n  include: { list: comma, members: { lists: lists:read } }\n  Include: { list: semicolon }\n  \
         page: { nested: slash, members: {} }\nroutes:\n  GET /a: { scopes: x, query: { include: [list], inclde: [lists] } }\n"
    ));
}

#[test]
fn an_upstream_credential_that_is_not_there_is_a_fault() {
    let case = Case::new()
        .file(
            "scopegate.yaml",
            "policy: policy.yaml\nupstream: { url: http://x, credentials: { sms: { header: A, value: b } } }\n",
        )
        .file("policy.yaml", "version: 1\nroutes:\n  GET /a: { scopes: x, credential: smss }\n  GET /b: { scopes: x, upgrade: websocket }\n  GET /c: { scopes: x, upgrade: h2c }\n  POST /d: { scopes: x, upgrade: websocket }\n");
    insta::assert_snapshot!(listed(&case));
}

#[test]
fn a_variable_in_a_policy_file_is_refused() {
    insta::assert_snapshot!(policy_faults("version: 1\nbase: ${env:BASE}\nroutes:\n  GET /a: x\n"));
}

#[test]
fn the_tests_of_a_policy_are_checked() {
    insta::assert_snapshot!(policy_faults(
        "version: 1\nroutes:\n  GET /a: a:read\ntests:\n  - { request: GET, scopes: [a:raed], expect: deny }\n  \
         - { scopes: [], expect: maybe }\n  - { request: GET /a, expect: deny }\n  \
         - { request: GET /a, grant: full, key: none, expect: allow }\n  \
         - { request: GET /a, grant: full, expect: allow, missing: [a:read] }\n  \
         - { request: GET /a, key: none, expect: deny, code: missing-key }\n  - { request: GET /a, grant: all }\n"
    ));
}

#[test]
fn a_file_of_the_other_kind_is_told_in_one_sentence() {
    let as_configuration = faults_of("version: 1\nscopes: { a: A }\nroutes:\n  GET /a: a\n");
    assert_eq!(
        as_configuration,
        "scopegate.yaml:3:1: this is a policy file, not scopegate.yaml\n    \
         give it as `--policy scopegate.yaml`, or name it in scopegate.yaml as `policy`"
    );
    let as_policy = policy_faults("listen: 127.0.0.1:1\nupstream: { url: http://x }\npolicy: policy.yaml\n");
    assert_eq!(
        as_policy,
        "policy.yaml:2:1: this is a configuration, not a policy file\n    \
         give it with `-c FILE`; the policy is the file that its field `policy` names"
    );
}

#[test]
fn everything_that_cannot_be_put_into_one_value_is_told() {
    let faults = faults_of(
        "policy: policy.yaml\nupstream: { url: http://x, credential: { header: A, value: \"${env:NOPE} ${file:/no/file} ${what}\" } }\n",
    );
    for told in ["`NOPE` is not set", "`/no/file` cannot be read: there is no such file", "`${what}` is not known"] {
        assert!(faults.contains(told), "{told} in {faults}");
    }
}

#[test]
fn the_tests_of_a_policy_with_faults_are_checked_too_but_not_against_its_scopes() {
    let faults = policy_faults(
        "version: 1\nscopes: { a: A }\nbind: { account: account }\nroutes:\n  GET /a: b\n  GET /a: a\n  GET /c: []\ntests:\n  \
         - { request: GET, scopes: [c], expect: deny }\n  - { request: GET /a, scopes: [c] }\n",
    );
    assert!(faults.contains("`GET` is not a method and a target"), "{faults}");
    assert!(faults.contains("a test has no `expect`"), "{faults}");
    assert!(!faults.contains("does not know the scope"), "{faults}");
}

#[test]
fn a_member_with_a_scope_that_is_not_declared_is_told_where_it_is_declared_and_once() {
    let policy = "version: 1\nscopes: { lists:read: Read lists }\nparameters:\n  include: { members: { lists: list:read, tags: tags:read } }\n\
         routes:\n  GET /a: { scopes: lists:read, query: { include: [lists] } }\n";
    let faults = policy_faults(policy);
    assert_eq!(faults.matches("does not declare").count(), 2, "{faults}");
    assert!(faults.contains("policy.yaml:4:32: ") && faults.contains("policy.yaml:4:49: "), "{faults}");
}

#[test]
fn one_mistake_is_told_once() {
    for route in ["{ any_of: a:read }", "{ scope: a:read }", "*a"] {
        let faults = policy_faults(&format!("version: 1\nroutes:\n  GET /a: {route}\n"));
        assert_eq!(faults.matches("policy.yaml:").count(), 1, "{faults}");
    }
    let faults = faults_of(&with("keys: { accept: bearer }\n"));
    assert_eq!(faults.matches("scopegate.yaml:").count(), 1, "{faults}");
}

#[test]
fn a_route_for_public_keys_is_warned_of_where_none_can_be_presented() {
    let case = Case::new()
        .file("scopegate.yaml", &with(""))
        .file("policy.yaml", "version: 1\nroutes:\n  GET /a: { auth: public-key }\n");
    let warnings = case.load().unwrap().warnings;
    let text = warnings.iter().map(|warning| warning.to_string()).collect::<String>();
    assert!(text.contains("`keys.accept` names no place for public keys"), "{text}");
}

#[test]
fn a_required_field_without_a_value_is_never_advised_to_be_left_out() {
    for text in ["upstream: { url: http://x }\npolicy:\n", "upstream: { url: }\npolicy: policy.yaml\n"] {
        let faults = faults_of(text);
        assert!(faults.contains("has no value") && !faults.contains("leave the field out"), "{faults}");
    }
}

#[test]
fn an_unknown_field_is_shown_with_its_value_unless_that_may_be_a_secret() {
    let shown = |more: &str| Case::new().file("scopegate.yaml", &with(more)).rendered();
    assert!(shown("lisen: 127.0.0.1:8080\n").contains("lisen: 127.0.0.1:8080"));
    assert!(shown("limits: { idel: 5s }\n").contains("idel: 5s"));
    for secret in [
        "password: geheim\n",
        "api_token: geheim\n",
        "keys: { peper: geheim }\n",
        "keys: { salt: geheim }\n",
        "upstrem: { url: http://x, credential: { header: A, value: geheim } }\n",
        "upstreams: ['http://u:geheim@x']\n",
        "tls: { client: { key: geheim } }\n",
    ] {
        assert!(!shown(secret).contains("geheim"), "{}", shown(secret));
    }
}

#[test]
fn what_is_no_yaml_is_told_how_to_be_mended() {
    let broken = [
        "GET /a: a\n   GET /b: b",
        "GET /a: a\n GET /b: b",
        "GET /a: a\n\tGET /b: b",
        "* /a/{*rest}: a",
        "GET /a: *",
        "GET /a: { scopes: a\n  GET /b: b",
        "GET /a: { scopes: [a\n  GET /b: b\n  GET /c: c",
        "GET /a:a\n  GET /b: b",
        "GET /a: a\n  - GET /b: b",
        "GET /a: { scopes: a, query: { fields[x]: [q] } }",
    ];
    let told: Vec<String> =
        broken.iter().map(|routes| policy_faults(&format!("version: 1\nroutes:\n  {routes}\n"))).collect();
    insta::assert_snapshot!(told.join("\n"));
    let cut = policy_faults(
        "version: 1\nroutes:\n  GET /a: a\ntests:\n  - { request: GET /a?include=a,b, scopes: [a], expect: allow }\n",
    );
    assert!(cut.contains("a value with `,` needs quotes within `{ … }`"), "{cut}");
}
