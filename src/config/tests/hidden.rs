//! Characters that make a file look other than it reads (Trojan source).

use super::*;
use crate::config::fault::Severity;

/// What a policy with this text is told.
fn of_text(policy: &str) -> Vec<Fault> {
    match Case::new().file("scopegate.yaml", &with("")).file("policy.yaml", policy).load() {
        Ok(loaded) => loaded.warnings,
        Err(faults) => faults,
    }
}

/// Place, severity and first word of each, for a policy with these lines behind its version.
fn told(lines: &str) -> Vec<String> {
    let said = |fault: &Fault| {
        let word = if fault.severity == Severity::Error { "fault" } else { "warning" };
        let first = fault.message.split(' ').next().unwrap();
        format!("{}:{} {word} {first}", fault.line, fault.column)
    };
    of_text(&format!("version: 1\n{lines}")).iter().map(said).collect()
}

const ROUTES: &str = "routes:\n  GET /a: a:read\n";

#[test]
fn what_turns_or_breaks_a_line_is_a_fault_wherever_it_stands() {
    let turning = "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{200e}\u{200f}\u{61c}";
    for character in turning.chars().chain("\u{2028}\u{2029}\u{85}".chars()) {
        let expected = |place: &str| vec![format!("{place} fault U+{:04X}", u32::from(character))];
        assert_eq!(told(&format!("{ROUTES}# a{character}b\n")), expected("4:4"));
        assert_eq!(told(&format!("routes:\n  GET /a{character}: a:read\n")), expected("3:9"));
        assert_eq!(told(&format!("routes:\n  GET /a: a:read{character}\n")), expected("3:17"));
        assert_eq!(told(&format!("scopes:\n  a:read: Read{character}.\n{ROUTES}")), expected("3:15"));
    }
}

#[test]
fn a_comment_cannot_end_where_nobody_sees_it() {
    // YAML ends the comment at the carriage return: the route behind it would be in force.
    assert_eq!(told("routes:\n  GET /a: a:read # plain\r  GET /b: { auth: anyone }\n"), ["3:25 fault U+000D"]);
    assert_eq!(told("routes:\r\n  GET /a: a:read\r\n"), [""; 0], "lines that end in CR LF are lines");
}

#[test]
fn what_shows_nothing_is_a_fault_in_a_word_and_a_warning_in_prose() {
    for character in "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}".chars() {
        let code = format!("U+{:04X}", u32::from(character));
        for (lines, place) in [
            (format!("routes:\n  GET /a{character}: a:read\n"), "3:9"),
            (format!("routes:\n  GET /a: a:{character}read\n"), "3:13"),
            (format!("routes:\n  GET /{{i{character}d}}: a:read\n"), "3:10"),
            (format!("{ROUTES}parameters:\n  inc{character}lude: {{ list: comma }}\n"), "5:6"),
            (
                format!(
                    "routes:\n  GET /a: {{ scopes: a, query: {{ e: {{ \"a{character}\": a }} }} }}\nparameters: {{ e: {{}} }}\n"
                ),
                "3:40",
            ),
            (format!("bind: {{ account: acc{character} }}\n{ROUTES}"), "2:21"),
            (format!("{ROUTES}tests:\n- {{ request: GET /a{character}, scopes: [a:read], expect: allow }}\n"), "5:20"),
        ] {
            assert_eq!(told(&lines), [format!("{place} fault {code}")], "{lines}");
        }
        for (lines, place) in [
            (format!("{ROUTES}# a{character}\n"), "4:4"),
            (format!("scopes:\n  a:read: Read{character}.\n{ROUTES}"), "3:15"),
            (format!("scopes:\n  a:read: {{ description: 'a{character}' }}\n{ROUTES}"), "3:28"),
        ] {
            assert_eq!(told(&lines), [format!("{place} warning {code}")], "{lines}");
        }
    }
}

#[test]
fn a_byte_order_mark_at_the_very_beginning_and_the_colour_of_an_emoji_are_nothing_to_tell() {
    let policy = format!("\u{feff}version: 1 # \u{26a0}\u{fe0f}\n{ROUTES}");
    assert_eq!(of_text(&policy), []);
    let twice = of_text(&format!("\u{feff}{policy}"));
    assert!(twice.iter().any(|fault| fault.line == 1 && fault.message.starts_with("U+FEFF")), "{twice:?}");
    assert_eq!(told("routes:\n  GET /\u{26a0}\u{fe0f}: a:read\n"), ["3:9 fault U+FE0F"]);
}

#[test]
fn a_character_is_told_once_however_much_else_follows_from_it() {
    // None of these is YAML, or a scope, a template or a known field, for the character alone.
    for lines in [
        "routes:\n  GET /a: a:read\u{1b}[31m\n",
        "routes:\n  GET /a: a\u{2028}b: c\n",
        "routes:\n  GET /a: { scopes: [a:read], que\u{200b}ry: {} }\n",
        "scopes:\n  a:read: x\nroutes:\n  GET /a: a:re\u{200b}ad\n",
    ] {
        let told = told(lines);
        assert!(told.len() == 1 && told[0].contains("fault U+"), "{told:?}");
    }
}

#[test]
fn characters_that_do_not_show_as_what_they_are() {
    let config = Case::new().file("scopegate.yaml", &with("hosts: [api\u{200b}.example] # only \u{2066}this\n"));
    let policies = [
        "routes:\n  GET /a: a:read # plain\r  GET /b: { auth: anyone }\n",
        "routes:\n  GET /admin: { scopes: admin } # \u{202e}} enoyna :htua { :nimda/ TEG\n",
        "routes:\n  GET /a\u{200b}dmin: a:read\n  # zero\u{200d}width\n",
        "routes:\n  # next\u{85}  GET /b: { auth: anyone }\u{2028}\u{2029}\n  GET /a: a:read\n",
        "routes:\n  GET /a: \"a\u{1b}[2J\"\n",
        "routes:\n  \"GET /a\\u202e\": a:read\n  GET /b: \"b\\ec\"\n",
    ];
    let pictures = policies.iter().map(|lines| {
        let case = Case::new().file("scopegate.yaml", &with(""));
        let faults = case.file("policy.yaml", &format!("version: 1\n{lines}"));
        faults.rendered()
    });
    let warned = of_text("version: 1 # a\u{200b}b\nroutes:\n  GET /a: a:read\n");
    let warned = warned.iter().map(|fault| {
        let name = Path::new(&fault.file).file_name().unwrap().to_string_lossy();
        fault.render(Style::Plain).replace(&fault.file, &name)
    });
    let pictures: Vec<String> = [config.rendered()].into_iter().chain(pictures).chain(warned).collect();
    let text = pictures.join("\n\n");
    let raw = text.chars().find(|character| *character != '\n' && crate::key::visible::is_invisible(*character));
    assert_eq!(raw, None, "{text:?}");
    insta::assert_snapshot!(text);
}
