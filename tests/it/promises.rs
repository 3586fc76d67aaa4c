//! SECURITY.md names the test that holds against each attack: every one of them is there.

use std::fs;
use std::path::Path;

#[test]
fn every_test_that_the_security_policy_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("SECURITY.md")).expect("SECURITY.md");
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let names: Vec<&str> = rows.filter_map(|row| row.rsplit('|').nth(1)).flat_map(quoted).collect();
    assert!(names.len() > 40, "the table is found: {names:?}");
    let missing: Vec<_> = names.into_iter().filter(|name| !exists(root, name)).collect();
    assert!(missing.is_empty(), "SECURITY.md names what is not there: {missing:#?}");
}

/// What stands in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether the file of the module has a function of that name; of a fuzz target, whether there is its file.
fn exists(root: &Path, name: &str) -> bool {
    if let Some(target) = name.strip_prefix("fuzz ") {
        return root.join(format!("tests/fuzz/targets/{target}.rs")).is_file();
    }
    let Some((module, test)) = name.rsplit_once("::") else { return false };
    let file = module.replace("::", "/");
    // Tests that stand below the code that they are about.
    let inline = module.strip_suffix("::tests").map_or(file.clone(), |module| module.replace("::", "/"));
    [
        format!("tests/it/{file}.rs"),
        format!("src/{file}.rs"),
        format!("src/{file}/properties.rs"),
        format!("src/{inline}.rs"),
    ]
    .iter()
    .filter_map(|file| fs::read_to_string(root.join(file)).ok())
    .any(|text| text.contains(&format!("fn {test}(")))
}
