//! Any text at all gives a configuration or faults, and never a panic.

use proptest::prelude::*;

use super::*;

/// Pieces of which configurations are made, so that random texts get far into the readers.
fn pieces() -> impl Strategy<Value = String> {
    let words = [
        "listen",
        "upstream",
        "url",
        "policy",
        "keys",
        "accept",
        "credential",
        "header",
        "value",
        "limits",
        "routes",
        "scopes",
        "version",
        "tests",
        "query",
        "any_of",
        "GET /a",
        "{id}",
        ": ",
        ":\n  ",
        "\n",
        "\n- ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "- ",
        "&a",
        "*a",
        "!t",
        "<<",
        "null",
        "~",
        "1",
        "1s",
        "none",
        "\"",
        "'",
        "|",
        ">",
        "#",
        "---",
        "${env:X}",
        "${",
        "é",
        "\t",
        "\r",
        "\u{feff}",
        "\u{0}",
        "%YAML 1.2",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..60).prop_map(|pieces| pieces.concat())
}

/// Loads and renders. The answer is the same each time, and every fault is within its file.
fn survive(config: &str, policy: &str) {
    let case = Case::new().file("scopegate.yaml", config).file("policy.yaml", policy);
    if let Err(faults) = case.load() {
        assert!(!faults.is_empty());
        for fault in &faults {
            assert!(!fault.render(Style::Plain).is_empty());
            match fault.file.as_str() {
                "scopegate.yaml" => assert_placed(fault, config),
                "policy.yaml" => assert_placed(fault, policy),
                _ => {}
            }
        }
        assert_eq!(case.load().unwrap_err(), faults, "the same text has the same faults");
    }
}

/// Line, column and length are those of something in the text; 0 and 0 are the whole of it.
fn assert_placed(fault: &Fault, text: &str) {
    if (fault.line, fault.column) == (0, 0) {
        return;
    }
    let line = text.split('\n').nth(fault.line as usize - 1).unwrap_or_else(|| panic!("no line has {fault:?}"));
    let (first, width) = (fault.column as usize - 1, line.chars().count());
    assert!(first <= width && first + fault.length as usize <= width, "{fault:?} is not within {line:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_a_configuration_or_has_faults(text in any::<String>()) {
        survive(&text, &text);
    }

    #[test]
    fn any_heap_of_pieces_is_a_configuration_or_has_faults(config in pieces(), policy in pieces()) {
        survive(&config, &policy);
        survive(&with(&config), &format!("version: 1\nroutes:\n  GET /a: a\n{policy}"));
    }

    #[test]
    fn a_good_configuration_with_a_byte_changed_is_one_or_has_faults(at in 0_usize..400, byte in 0_u8..128) {
        let mut text = with("listen: ['127.0.0.1:0']\nlimits: { idle: 5s }\nkeys: { pepper: \"${env:P}\" }\n").into_bytes();
        let at = at % text.len();
        text[at] = byte;
        survive(&String::from_utf8(text).unwrap(), POLICY);
    }
}

#[test]
fn a_text_with_endless_faults_tells_the_first_hundred() {
    let text: String = (0..5000).map(|n| format!("x{n}: 1\n")).collect();
    let faults = Case::new().file("scopegate.yaml", &text).load().unwrap_err();
    assert_eq!(faults.len(), 101);
    assert_eq!(faults.last().unwrap().to_string().split(": ").last(), Some("4902 more faults are not shown"));
}

#[test]
fn a_nest_without_bottom_is_refused() {
    survive(&"[".repeat(100_000), &"{a: ".repeat(100_000));
    survive(&"- ".repeat(100_000), &"? ".repeat(100_000));
}

#[test]
fn a_file_beyond_the_limit_is_refused() {
    let case = Case::new().file("scopegate.yaml", &"#".repeat((4 << 20) + 1));
    assert_eq!(
        listed(&case),
        "scopegate.yaml: the configuration cannot be read: it has more than 4194304 bytes\n    name it with `-c FILE`"
    );
}

#[test]
fn a_file_that_is_not_utf_8_is_refused() {
    let case = Case::new();
    std::fs::write(case.path("scopegate.yaml"), b"listen: \xff\n").unwrap();
    assert!(listed(&case).contains("it is not UTF-8 (byte 9)"));
}

/// Far more than any of these takes, and far less than what each took while everything was compared with everything.
const CEILING: std::time::Duration = std::time::Duration::from_secs(60);

#[test]
fn large_policies_are_read_in_a_time_that_grows_with_their_size() {
    let begun = std::time::Instant::now();
    let scopes = |count: usize| (0..count).map(|at| format!("  res{at}:read: Read {at}\n")).collect::<String>();
    let routes = |count: usize, template: &dyn Fn(usize) -> String| -> String {
        (0..count).map(|at| format!("  GET {}: res{}:read\n", template(at), at % 1_000)).collect()
    };
    let told = |declared: &str, routes: &str| {
        let policy = format!("version: 1\nscopes:\n{declared}routes:\n{routes}");
        match Case::new().file("scopegate.yaml", &with("")).file("policy.yaml", &policy).load() {
            Ok(loaded) => (loaded.config.policy.routes().len(), loaded.warnings.len()),
            Err(faults) => (0, faults.len()),
        }
    };
    // Templates that have all but their ends in common.
    let shared = routes(10_000, &|at| format!("/{{tenant}}/v1/r{}{}", at / 2, ["", "/{id}"][at % 2]));
    assert_eq!(told(&scopes(1_000), &shared), (10_000, 0));
    // Each of them near to many that are declared.
    let misspelt = routes(10_000, &|at| format!("/r{at}")).replace(":read", ":raed");
    assert_eq!(told(&scopes(1_000), &misspelt), (0, 101));
    // Each scope implies all that follow it.
    let chain: String =
        (0..1_000).map(|at| format!("  res{at}:read: {{ implies: [res{}:read] }}\n", (at + 1) % 1_000)).collect();
    assert_eq!(told(&chain, &routes(1_000, &|at| format!("/r{at}"))), (1_000, 101));
    assert!(begun.elapsed() < CEILING, "{:?}", begun.elapsed());
}
