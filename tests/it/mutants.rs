//! tests/mutants and tests/survivors.txt: the policy core is built alone with all that it uses, and each change to it that no test
//! notices has a reason, and a place that is there.

use std::fs;
use std::path::Path;

use crate::architecture::table::TABLE;

#[test]
fn every_mutant_that_survives_has_a_reason_and_is_in_a_function_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("tests/survivors.txt")).expect("tests/survivors.txt");
    let mut entries = 0;
    for block in text.split("\n\n").skip(1) {
        let (reason, mutants): (Vec<&str>, Vec<&str>) = block.lines().partition(|line| line.starts_with('#'));
        assert!(block.starts_with("# ") && !reason.is_empty(), "no reason stands above\n{block}");
        assert!(!mutants.is_empty(), "nothing stands below\n{block}");
        for mutant in mutants {
            let (file, change) = mutant.split_once(": ").unwrap_or_else(|| panic!("{mutant}: FILE: CHANGE"));
            let source = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{mutant}: {error}"));
            let function = function(change);
            assert!(source.contains(&format!("fn {function}")), "{mutant}: {file} has no function {function}");
            let flat = |text: &str| text.split_whitespace().collect::<String>();
            let guard = change.strip_prefix("replace match guard ").and_then(|rest| rest.split_once(" with "));
            let is_there = guard.is_none_or(|(guard, _)| flat(&source).contains(&format!("if{}=>", flat(guard))));
            assert!(is_there, "{mutant}: {file} has no such guard");
            entries += 1;
        }
    }
    assert!(entries > 0, "the list is found");
}

#[test]
fn the_core_that_is_broken_is_built_with_the_crates_that_it_may_use() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = fs::read_to_string(root.join("tests/mutants")).expect("tests/mutants");
    let taken = script.lines().find_map(|line| line.trim().strip_prefix("grep -E '^(")?.split_once(") = ' Cargo.toml"));
    let (taken, _) = taken.expect("the line that takes dependencies from Cargo.toml");
    let policy = TABLE.iter().find(|row| row.module == "policy").expect("a row of the policy core");
    assert_eq!(Some(&*taken.split('|').collect::<Vec<_>>()), policy.outside);
}

/// The function of `replace || with && in Type::function` and of `replace Type::function -> bool with true`.
fn function(change: &str) -> &str {
    let path = match change.rsplit_once(" in ") {
        Some((_, path)) => path,
        None => change.trim_start_matches("replace ").split(" -> ").next().unwrap_or(change),
    };
    let path = path.split(" with ").next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}
