//! Files that cannot be read or are no YAML, and values of flags and variables in their place.

use super::*;

#[test]
fn files_that_cannot_be_read() {
    let missing = told(&Case::new());
    let no_policy = told(&Case::new().file("scopegate.yaml", &with("").replace("policy.yaml", "none.yaml")));
    let empty_name = told(&Case::new().file("scopegate.yaml", &with("").replace("policy.yaml", "''")));
    let no_name = told(&Case::new().file("scopegate.yaml", &with("").replace("policy.yaml", "")));
    let case = Case::new().file("scopegate.yaml", &with(""));
    std::fs::write(case.path("policy.yaml"), b"version: 1\n\xff\n").unwrap();
    insta::assert_snapshot!([missing, no_policy, empty_name, no_name, told(&case)].join("\n\n"));
}

#[test]
fn a_file_that_is_too_large() {
    let case = Case::new().file("scopegate.yaml", &"#".repeat(crate::yaml::CONFIG_LIMIT + 1));
    insta::assert_snapshot!(told(&case));
}

#[test]
fn no_file_at_all() {
    let case = Case::new();
    let without = |overrides: Overrides, otherwise| {
        let source = Source { overrides, otherwise, ..case.source(None) };
        let faults = load(&source, &Vocabulary::new()).unwrap_err();
        faults.iter().map(|fault| case.anonymous(&fault.render(Style::Plain))).collect::<Vec<_>>().join("\n\n")
    };
    let some = |text: &str| Some(text.to_owned());
    let told = [
        without(Overrides::default(), None),
        without(Overrides { upstream: some("http://a"), ..Overrides::default() }, None),
        without(Overrides::default(), Some("run this in its folder")),
        without(Overrides { upstream: some("http://a"), policy: some("none.yaml"), ..Overrides::default() }, None),
    ];
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn values_of_flags_and_variables() {
    let some = |text: &str| Some(text.to_owned());
    let mut case = Case::new().file("scopegate.yaml", &with(""));
    case.overrides = Overrides {
        listen: some("nowhere,127.0.0.1:1"),
        upstream: some("http://u:geheim@a"),
        policy: some(""),
        store: some("keys"),
        admin: some(":9901"),
    };
    let flags = told(&case);
    let case = Case::new().file("scopegate.yaml", &with(""));
    let case = case
        .variable("SCOPEGATE_LISTEN", "8080")
        .variable("SCOPEGATE_UPSTREAM", "api")
        .variable("SCOPEGATE_POLICY", "none.yaml")
        .variable("SCOPEGATE_STORE", "mysql:x")
        .variable("SCOPEGATE_ADMIN", "api:9901");
    insta::assert_snapshot!([flags, told(&case)].join("\n\n"));
}

#[test]
fn text_that_is_no_yaml_or_means_more_than_it_shows() {
    let deep = format!("mode: {}{}\n", "[".repeat(70), "]".repeat(70));
    let documents = [
        "# nothing\n",
        "- a\n",
        "mode: [a\npolicy: b\n",
        "mode: \"enforce\n",
        "mode: enforce\n\tpolicy: b\n",
        "mode: enforce\nmode: shadow\n",
        "hosts: &h [a]\ntrusted_proxies: *h\n",
        "limits: { <<: { idle: 1s } }\n",
        "mode: !!str enforce\n",
        "mode: enforce\n---\nmode: shadow\n",
        "%YAML 1.1\n---\nmode: enforce\n",
        "? [a, b]\n: c\n",
        "mode: ~\nhosts: null\nlimits:\n",
        "listne: 127.0.0.1:80\nzzz: 1\n",
        &deep,
    ];
    let picture = |text: &str| told(&Case::new().file("scopegate.yaml", text));
    insta::assert_snapshot!(pictures(documents, picture));
}

#[test]
fn more_faults_than_anybody_reads() {
    let many: String = (0..200).map(|at| format!("  GET {at}: x\n")).collect();
    let told = of_policy(&format!("routes:\n{many}"));
    let last = told.rsplit("\n\n").next().unwrap();
    insta::assert_snapshot!(last);
}
