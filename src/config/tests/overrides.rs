//! Flags, variables, and what `${…}` puts in.

use super::*;
use crate::config::{StoreLocation, load_keys, load_store};

impl Case {
    fn flags(mut self, set: impl FnOnce(&mut Overrides)) -> Self {
        set(&mut self.overrides);
        self
    }
}

fn listen(case: &Case) -> String {
    case.load().unwrap().config.listen.iter().map(|listen| listen.address.to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_flag_is_stronger_than_the_environment_and_that_than_the_file() {
    let file = || Case::new().file("scopegate.yaml", &with("listen: 127.0.0.1:1\n"));
    assert_eq!(listen(&file()), "127.0.0.1:1");
    let both = || file().variable("SCOPEGATE_LISTEN", "127.0.0.1:2");
    assert_eq!(listen(&both()), "127.0.0.1:2");
    let all = both().flags(|flags| flags.listen = Some("127.0.0.1:3, unix:/run/x.sock".to_owned()));
    assert_eq!(listen(&all), "127.0.0.1:3 unix:/run/x.sock");
}

#[test]
fn an_empty_variable_overrides_nothing() {
    let case = Case::new().file("scopegate.yaml", &with("listen: 127.0.0.1:1\n")).variable("SCOPEGATE_LISTEN", "");
    assert_eq!(listen(&case), "127.0.0.1:1");
}

#[test]
fn an_overridden_upstream_keeps_the_rest_of_its_section() {
    let text = "policy: policy.yaml\nupstream: { credential: { header: A, value: b }, max_pending: 7 }\n";
    let case = Case::new().file("scopegate.yaml", text).variable("SCOPEGATE_UPSTREAM", "https://api.example.com");
    let upstream = case.load().unwrap().config.upstream;
    assert_eq!(&*upstream.urls[0].authority, "api.example.com");
    assert!(upstream.credential.is_some());
    assert_eq!(upstream.max_pending, 7);
}

#[test]
fn what_is_overridden_may_be_missing_or_unset_in_the_file() {
    let text = "upstream: { url: '${env:NOT_SET}' }\npolicy: not-there.yaml\nkeys: { prefix: acme }\n";
    let case = Case::new().file("scopegate.yaml", text);
    let policy = case.path("policy.yaml").display().to_string();
    let case = case.variable("SCOPEGATE_UPSTREAM", "http://x").variable("SCOPEGATE_POLICY", &policy);
    let case = case.variable("SCOPEGATE_STORE", "file:other.yaml").variable("SCOPEGATE_ADMIN", "127.0.0.1:7");
    let config = case.load().unwrap().config;
    assert_eq!(config.keys.store, StoreLocation::File("other.yaml".into()));
    assert_eq!((&*config.keys.prefix, config.admin.port()), ("acme", 7));
}

#[test]
fn a_store_that_is_overridden_is_not_looked_at_in_the_file_and_one_that_is_not_is() {
    for of_file in ["'postgres://gateway:${env:DB_PASSWORD}@db/keys'", "'sqlite:${file:nowhere}'", "nonsense", "[]"] {
        let text = with(&format!("keys: {{ store: {of_file}, prefix: acme }}\n"));
        let case = Case::new().file("scopegate.yaml", &text);
        let faults = listed(&case);
        assert!(faults.contains("`keys.store`: "), "{of_file}: {faults}");
        let by_variable = Case::new().file("scopegate.yaml", &text).variable("SCOPEGATE_STORE", "file:other.yaml");
        let by_flag = case.flags(|flags| flags.store = Some("file:other.yaml".to_owned()));
        for case in [by_variable, by_flag] {
            let source = || case.source(Some(case.path("scopegate.yaml")));
            let keys = case.load().unwrap().config.keys;
            assert_eq!((&*keys.prefix, keys.store), ("acme", StoreLocation::File("other.yaml".into())));
            assert_eq!(load_keys(&source()).unwrap().keys.store, StoreLocation::File("other.yaml".into()));
            assert_eq!(load_store(&source()).unwrap().store, StoreLocation::File("other.yaml".into()));
        }
    }
}

#[test]
fn where_what_overrides_the_store_has_a_fault_that_is_the_one_that_is_told() {
    let text = with("keys: { store: 'postgres://gateway:${env:DB_PASSWORD}@db/keys' }\n");
    let case = Case::new().file("scopegate.yaml", &text).variable("SCOPEGATE_STORE", "postgres://owner@db");
    let told = listed(&case);
    assert!(told.starts_with("SCOPEGATE_STORE: the address of the database cannot be used: it names no database"));
    assert!(!told.contains("keys.store"), "{told}");
}

#[test]
fn a_copy_is_held_against_the_store_that_overrides() {
    let text = with("keys: { store: 'sqlite:a.db', snapshot: /b }\n");
    let case = Case::new().file("scopegate.yaml", &text).variable("SCOPEGATE_STORE", "file:/b");
    assert!(listed(&case).contains("`keys.snapshot` is the key store itself"), "{}", listed(&case));
}

#[test]
fn a_gateway_needs_no_file_where_upstream_and_policy_are_given() {
    let case = Case::new();
    let policy = case.path("policy.yaml").display().to_string();
    let case = case.flags(|flags| flags.upstream = Some("http://x".to_owned())).variable("SCOPEGATE_POLICY", &policy);
    let loaded = load(&case.source(None), &Vocabulary::new()).unwrap();
    assert_eq!(loaded.config.policy.routes().len(), 1);
    assert_eq!(loaded.files.paths().collect::<Vec<_>>(), [case.path("policy.yaml")]);
}

#[test]
fn a_policy_that_is_built_in_needs_no_file() {
    let case = Case::new().flags(|flags| flags.upstream = Some("http://x".to_owned()));
    let source = Source { policy_text: Some(("demo".to_owned(), POLICY.to_owned())), ..case.source(None) };
    assert_eq!(load(&source, &Vocabulary::new()).unwrap().policy_file, "demo");
}

#[test]
fn without_a_file_the_flags_that_are_missing_are_named() {
    let case = Case::new().variable("SCOPEGATE_UPSTREAM", "http://x");
    let faults = load(&case.source(None), &Vocabulary::new()).unwrap_err();
    let fault = faults.first().unwrap();
    assert_eq!(fault.to_string(), "scopegate.yaml: there is no such file here, and none was named");
    assert_eq!(fault.help.as_deref(), Some("name one with `-c FILE`, or do without and give --policy"));
}

#[test]
fn a_bad_override_says_where_it_came_from() {
    let case = Case::new()
        .file("scopegate.yaml", &with(""))
        .flags(|flags| flags.listen = Some("8080".to_owned()))
        .variable("SCOPEGATE_UPSTREAM", "http://user:geheim@x")
        .variable("SCOPEGATE_STORE", "redis:x")
        .variable("SCOPEGATE_ADMIN", "admin:1");
    insta::assert_snapshot!(listed(&case), @r"
    --listen: `8080` has no address before the port
        write `127.0.0.1:8080`, or `0.0.0.0:8080` for every address
    SCOPEGATE_UPSTREAM: the URL holds a user name or a password
        write the host alone, and give the upstream its credential in `upstream.credential`
    SCOPEGATE_STORE: `redis` is not a kind of store
        write `sqlite:scopegate.db`, `file:keys.yaml` or `postgres://USER:PASSWORD@HOST/NAME`
    SCOPEGATE_ADMIN: `admin:1` has a name where an IP address must stand
        write an IP address and a port, as in `127.0.0.1:8080` or `[::1]:8080`
    ");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let case = Case::new();
    assert_eq!(
        listed(&case),
        "scopegate.yaml: the configuration cannot be read: there is no such file\n    name it with `-c FILE`"
    );
    let case = case.file("scopegate.yaml", "upstream: { url: http://x }\npolicy: nowhere.yaml\n");
    insta::assert_snapshot!(listed(&case), @r"
    scopegate.yaml:2:9: `policy`: `nowhere.yaml` cannot be read: there is no such file
        a relative path is relative to this file
    ");
    let case = case.flags(|flags| flags.policy = Some("/nowhere/policy.yaml".to_owned()));
    assert!(listed(&case).starts_with("/nowhere/policy.yaml: the policy cannot be read: there is no such file"));
}

#[test]
fn variables_and_files_are_put_in_wherever_a_string_stands() {
    let case = Case::new()
        .file(
            "scopegate.yaml",
            &with("workers: ${env:WORKERS}\nkeys: { pepper: '${file:pepper}', prefix: 'a${env:P}' }\n"),
        )
        .file("pepper", "salt\n")
        .variable("WORKERS", "2")
        .variable("P", "b");
    let loaded = case.load().unwrap();
    assert_eq!(loaded.config.workers, Some(2));
    assert_eq!(&*loaded.config.keys.prefix, "ab");
    assert_eq!(loaded.config.keys.pepper.unwrap().expose(), b"salt");
    assert!(loaded.files.paths().any(|path| path == case.path("pepper")));
}

#[test]
fn a_password_of_a_database_may_have_any_letters() {
    let text = "policy: policy.yaml\nupstream: { url: http://x }\nkeys: { store: 'postgres://${env:U}:${env:P}@${env:H}/keys' }\n";
    for password in ["p@ss/w#r:d?%20 &é", "100%", "a%41"] {
        let case = Case::new().file("scopegate.yaml", text).variable("U", "a@b").variable("P", password);
        let keys = case.variable("H", "db.example:5433").load().unwrap().config.keys;
        let StoreLocation::Postgres(database) = keys.store else { panic!("no database") };
        let found = database.password.as_ref().map(|password| password.expose().to_vec());
        assert_eq!((&*database.user, found), ("a@b", Some(password.as_bytes().to_vec())));
        assert_eq!(database.to_string(), "postgres://a@b@db.example:5433/keys");
    }
}

/// What is told of a store in the file, where `${env:P}` is `geheim` and `${env:W}` is `whole`.
fn told_of_store(store: &str, whole: &str) -> String {
    let text = with(&format!("keys: {{ store: '{store}' }}\n"));
    let case = Case::new().file("scopegate.yaml", &text).variable("P", "geheim").variable("W", whole);
    let told = listed(&case);
    assert!(!told.contains("heim"), "{store}: {told}");
    told
}

#[test]
fn what_is_wrong_with_an_address_is_told_exactly_though_its_password_is_put_in() {
    for (rest, said) in [
        ("@db/keys?sslrotcert=ca.pem", "`sslrotcert` is no parameter that is known here: sslmode, "),
        ("@db/keys?sslmode=prefer", "sslmode=prefer may go on in cleartext without a word"),
        ("@db/keys?sslmode=verify", "`verify` cannot be the value of sslmode: write disable, "),
        ("@db/keys?connect_timeout=301", "`301` cannot be the value of connect_timeout"),
        ("@db", "it names no database"),
        ("@/keys", "it names no host"),
        ("@db:port/keys", "it has a port that is none"),
        ("@db/keys?options=-c", "`options` is no parameter that is known here"),
        ("@db/keys?password=${env:P}", "password is given twice"),
        ("@db/keys?sslmode=${env:P}", "`***` cannot be the value of sslmode"),
        ("@db/keys?${env:P}=1", "`***` is no parameter that is known here"),
        ("@db/keys?connect_timeout=${env:P}&options=-c", "`options` is no parameter"),
    ] {
        let told = told_of_store(&format!("postgres://u:${{env:P}}{rest}"), "");
        assert!(told.contains(&format!("`keys.store`: the address of the database cannot be used: {said}")), "{told}");
    }
}

#[test]
fn an_address_that_is_put_in_as_a_whole_is_told_its_fault_without_a_word_of_it() {
    for (whole, said) in [
        ("postgres://u:geheim@db", "it names no database"),
        ("postgres://u:geheim@db/k?sslmode=prefer", "sslmode=prefer may go on in cleartext"),
        ("postgres://u:geheim@db/k?sslmode=geheim", "`***` cannot be the value of sslmode: write disable, "),
        ("postgres://u:p?geheim=x/k", "`***` is no parameter that is known here: sslmode, "),
        ("geheim:x", "what `${env:W}` stands for does not fit here"),
        ("geheim", "what `${env:W}` stands for does not fit here"),
    ] {
        let told = told_of_store("${env:W}", whole);
        assert!(told.contains(said), "{whole}: {told}");
    }
}

#[test]
fn two_dollars_stand_for_one() {
    let text =
        "policy: policy.yaml\nupstream: { url: http://x, credential: { header: A, value: '$${env:X} $5 ${env:Y}' } }\n";
    let case = Case::new().file("scopegate.yaml", text).variable("Y", "y");
    let config = case.load().unwrap().config;
    let Some(super::super::UpstreamCredential::Header { value, .. }) = config.upstream.credential else {
        panic!("no header")
    };
    assert_eq!(value.expose(), b"${env:X} $5 y");
}

#[test]
fn what_cannot_be_put_in_is_a_fault_and_no_value_is_ever_shown() {
    let text = with(
        "workers: ${env:SECRET}\nmode: ${env:NOT_SET}\nerrors: ${env:EMPTY}\nhosts: ['${file:nowhere}', '${file:void}', '${vault:x}', '${env:']\n",
    );
    let case = Case::new().file("scopegate.yaml", &text).file("void", "\n");
    let case = case.variable("SECRET", "geheim").variable("EMPTY", "");
    insta::assert_snapshot!(listed(&case), @r"
    scopegate.yaml:3:10: `workers`: what `${env:SECRET}` stands for does not fit here
        write `auto`, or a number from 1 to 1024
    scopegate.yaml:4:7: `mode`: the environment variable `NOT_SET` is not set
        set `NOT_SET`, or keep the value in a file and write `${file:PATH}`
    scopegate.yaml:5:9: `errors`: the environment variable `EMPTY` is empty
        give it a value
    scopegate.yaml:6:9: `hosts`: `nowhere` cannot be read: there is no such file
        a relative path is relative to this file
    scopegate.yaml:6:28: `hosts`: `void` is empty
        write the value into it
    scopegate.yaml:6:44: `hosts`: `${vault:x}` is not known
        write `${env:NAME}` or `${file:PATH}`; `$${` stands for `${` itself
    scopegate.yaml:6:58: `hosts`: `${` has no `}`
        write `${env:NAME}` or `${file:PATH}`; `$${` stands for `${` itself
    ");
}
