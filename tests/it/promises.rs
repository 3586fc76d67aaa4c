//! SECURITY.md names the tests that hold each promise and each attack, README.md the codes of all answers: all of them
//! are there, and none is missing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::civil::Date;
use scopegate::policy::Denial;
use scopegate::proxy::error::ProxyError;

/// How many promises there are.
const PROMISES: usize = 15;

fn read(file: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).ok()
}

/// What stands under a heading, up to the next one.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("a section {heading}"));
    rest.split("\n## ").next().unwrap_or_default()
}

/// The rows of the table in a section, without its head, cell by cell.
fn rows(section: &str) -> Vec<Vec<&str>> {
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The tests of this binary, as it lists them itself.
fn tests_of_this_binary() -> BTreeSet<String> {
    let this = std::env::current_exe().expect("the test binary");
    let listed = Command::new(this).args(["--list", "--format", "terse"]).output().expect("its list");
    let text = String::from_utf8(listed.stdout).expect("text");
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

/// Whether a test stands below the code, in the file that its path says: `a::b::tests::name` in `src/a/b/tests.rs`, or at the
/// end of `src/a/b.rs`.
fn stands_below_the_code(name: &str) -> bool {
    let Some((module, test)) = name.rsplit_once("::") else { return false };
    let of_its_own = read(&format!("src/{}.rs", module.replace("::", "/")));
    let inline = module.strip_suffix("::tests").and_then(|above| read(&format!("src/{}.rs", above.replace("::", "/"))));
    let inline = inline.and_then(|text| text.split_once("\nmod tests {\n").map(|(_, tests)| tests.to_owned()));
    of_its_own.iter().chain(&inline).any(|text| is_a_test(text, test))
}

/// Whether the function of that name carries the attribute of a test.
fn is_a_test(text: &str, name: &str) -> bool {
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else { return false };
    let above = before.rsplit_once('\n').map_or("", |(above, _)| above).lines().rev();
    let mut above = above.take_while(|line| ["#[", "//"].iter().any(|start| line.trim_start().starts_with(start)));
    above.any(|line| ["#[test]", "#[tokio::test"].iter().any(|start| line.trim_start().starts_with(start)))
}

#[test]
fn every_promise_and_every_attack_is_held_by_tests_that_are_there() {
    let text = read("SECURITY.md").expect("SECURITY.md");
    let (promised, tried) = (section(&text, "What is promised"), section(&text, "What is tried, and what holds"));
    for number in 1..=PROMISES {
        assert!(promised.contains(&format!("\n- **P{number}** ")), "P{number} is promised");
    }
    let held: Vec<&str> = rows(promised).iter().map(|row| row[0]).collect();
    assert_eq!(held, (1..=PROMISES).map(|number| format!("P{number}")).collect::<Vec<_>>());
    let known = tests_of_this_binary();
    let exists = |name: &str| match name.strip_prefix("fuzz ") {
        Some(target) => read(&format!("tests/fuzz/targets/{target}.rs")).is_some(),
        None => known.contains(name) || stands_below_the_code(name),
    };
    let (promises, attacks) = (rows(promised), rows(tried));
    assert!(attacks.len() > 40, "the attacks are found: {}", attacks.len());
    for row in promises.iter().chain(&attacks) {
        let names: Vec<&str> = quoted(row.last().expect("a cell")).collect();
        assert!(!names.is_empty(), "nothing holds {:?}", row[0]);
        let missing: Vec<_> = names.into_iter().filter(|name| !exists(name)).collect();
        assert!(missing.is_empty(), "{:?} names what is not there: {missing:#?}", row[0]);
    }
}

/// Whether there is a module of that name with tests in it: of this binary, or of the code.
fn is_a_module_with_tests(known: &BTreeSet<String>, name: &str) -> bool {
    let path = name.trim_end_matches("::tests").replace("::", "/");
    let below = [format!("src/{path}.rs"), format!("src/{path}/tests.rs")];
    known.iter().any(|test| test.starts_with(&format!("{name}::")))
        || below
            .iter()
            .filter_map(|file| read(file))
            .any(|text| ["#[test]", "#[tokio::test"].iter().any(|mark| text.contains(mark)))
}

#[test]
fn every_row_of_the_table_of_faults_names_a_test_that_is_there() {
    let text = read("tests/it/faults.rs").expect("the table");
    let table: String =
        text.lines().filter_map(|line| line.strip_prefix("//! ")).map(|line| format!("{line}\n")).collect();
    let known = tests_of_this_binary();
    let exists = |name: &str| {
        let nearby = format!("faults::{name}");
        let is_test = [name, &nearby].iter().any(|name| known.contains(*name)) || stands_below_the_code(name);
        is_test || [name, &nearby].iter().any(|name| is_a_module_with_tests(&known, name))
    };
    let rows = rows(&table);
    assert!(rows.len() > 20, "the faults are found: {}", rows.len());
    for row in rows {
        let names: Vec<&str> = quoted(row.last().expect("a cell")).collect();
        assert!(!names.is_empty(), "nothing holds {:?}", row[0]);
        let missing: Vec<_> = names.into_iter().filter(|name| !exists(name)).collect();
        assert!(missing.is_empty(), "{:?} names what is not there: {missing:#?}", row[0]);
    }
    assert!(!exists("no_such_module") && !exists("upstream::no_such_test"));
}

#[test]
fn a_name_that_is_no_test_is_noticed() {
    assert!(tests_of_this_binary().contains("promises::a_name_that_is_no_test_is_noticed"));
    assert!(stands_below_the_code("key::secret::tests::a_secret_is_not_shown"));
    for name in
        ["a_secret_is_not_shown", "key::tests::a_secret_is_not_shown", "key::secret::tests::check", "key::secret::mint"]
    {
        assert!(!stands_below_the_code(name), "{name}");
    }
}

/// What is wrong with a line of the advisories: reported, mended, what, open, held by.
fn fault_in(row: &[&str], exists: impl Fn(&str) -> bool) -> Option<&'static str> {
    let [reported, mended, _, open, held] = row else { return Some("it has not five cells") };
    let (Ok(reported), Ok(mended)) = (reported.parse::<Date>(), mended.parse::<Date>()) else {
        return Some("a date is none");
    };
    let most = match *open {
        "yes" => 7,
        "no" => 30,
        _ => return Some("it does not say whether it opened a route"),
    };
    let days = (mended - reported).get_days();
    match quoted(held).next().is_some_and(exists) {
        _ if !(0..=most).contains(&days) => Some("it was not mended in time"),
        true => None,
        false => Some("no test holds it"),
    }
}

#[test]
fn every_advisory_was_mended_in_time_and_names_its_test() {
    let known = tests_of_this_binary();
    let exists = |name: &str| known.contains(name) || stands_below_the_code(name);
    let text = read("SECURITY.md").expect("SECURITY.md");
    for row in rows(section(&text, "Advisories")) {
        assert_eq!(fault_in(&row, exists), None, "{row:?}");
    }
    let test = "`key::secret::tests::a_secret_is_not_shown`";
    assert_eq!(fault_in(&["2027-01-30", "2027-02-06", "", "yes", test], exists), None);
    assert_eq!(fault_in(&["2027-01-30", "2027-02-28", "", "no", test], exists), None);
    for late in [["2027-01-30", "2027-02-07", "", "yes", test], ["2027-01-01", "2027-02-01", "", "no", test]] {
        assert_eq!(fault_in(&late, exists), Some("it was not mended in time"), "{late:?}");
    }
    assert_eq!(fault_in(&["2027-01-30", "2027-01-30", "", "yes", "`none::such`"], exists), Some("no test holds it"));
}

#[test]
fn the_readme_has_every_code_once_beside_its_status() {
    let text = read("README.md").expect("README.md");
    let mut told = Vec::new();
    for row in rows(section(&text, "Answers of the gateway")) {
        let statuses: Vec<u16> = row[0].split(", ").map(|status| status.parse().expect("a status")).collect();
        told.extend(quoted(row[1]).map(|code| (code.to_owned(), statuses.clone())));
    }
    let denials = Denial::ALL.iter().map(|denial| (denial.code(), denial.status()));
    let errors = ProxyError::ALL.iter().map(|error| (error.code(), error.status()));
    let mut sent = 0;
    for (code, status) in denials.chain(errors) {
        let rows: Vec<_> = told.iter().filter(|(known, _)| known == code).collect();
        assert!(matches!(rows[..], [(_, statuses)] if statuses.contains(&status)), "{status} {code}: {rows:?}");
        sent += 1;
    }
    assert_eq!(told.len(), sent, "and no code that is never sent: {told:?}");
}
