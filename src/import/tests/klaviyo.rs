//! Klaviyo's document, where this machine has it. It is not part of the repository.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;

/// The vendors' documents, where this machine has them: SCOPEGATE_DATA, which must then have them, or a folder beside the package.
fn data(name: &str) -> Option<String> {
    if let Some(folder) = std::env::var_os("SCOPEGATE_DATA") {
        let path = PathBuf::from(folder).join(name);
        return Some(std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    }
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let found = std::fs::read_to_string(beside.join(name)).ok();
    if found.is_none() {
        eprintln!("skipped: {name} is not here; SCOPEGATE_DATA names the folder that has it");
    }
    found
}

#[test]
fn klaviyos_document_gives_333_routes_and_reports_12_public_ones() {
    let Some(document) = data("klaviyo/stable.json") else {
        return;
    };
    let options = Options { source: Some("stable.json".to_owned()), ..Options::default() };
    let Imported { policy, report, .. } = openapi(&document, &options, &no_files).unwrap();
    assert_eq!((report.operations, report.routes), (345, 333));
    assert_eq!(report.left_out.len(), 12);
    assert!(report.left_out.iter().all(|item| item.reason == Reason::Public));

    let committed = include_str!("../../../config/klaviyo-policy.yaml");
    let (generated, _) = committed.split_once("\n\n# Tests of the policy").unwrap();
    assert!(
        generated == policy.trim_end(),
        "config/klaviyo-policy.yaml is not what the importer makes of the document"
    );
}

#[test]
fn klaviyos_include_scopes_are_those_of_the_reference_map() {
    let (Some(document), Some(map)) = (data("klaviyo/stable.json"), data("klaviyo/include-map.csv")) else {
        return;
    };
    let report = &mut Report::default();
    let document = Document::parse(("stable.json", &document), &no_files, report).unwrap();
    let scoping = Scoping::choose(&document, &Options::default()).unwrap();
    let drafts = draft::make(&document, &scoping, &Options::default(), report);
    let included = include::derive(&document, &drafts, "include", &mut Report::default());
    let mut derived: BTreeMap<(String, String), &include::Member> = BTreeMap::new();
    for (draft, taken) in drafts.iter().zip(&included.routes) {
        let include::Taken::Declared(names) = taken else {
            continue;
        };
        derived.extend(names.iter().map(|name| ((draft.label(), name.clone()), &included.members[name])));
    }
    let (mut pairs, mut undecided) = (0, 0);
    for row in map.lines().skip(1) {
        let [method, path, name, _, scopes, _, _, _, note] = row.splitn(9, ',').collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        // The map takes the route's own scopes there, which no operation says.
        if note.contains("has no operation; base scope") {
            assert!(included.undecided[name].contains(&format!("{method} {path}")), "{row}");
            undecided += 1;
            continue;
        }
        let member = derived.get(&(format!("{method} {path}"), name.to_owned())).unwrap_or_else(|| panic!("{row}"));
        assert_eq!(member.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" "), scopes, "{row}");
        assert!(note.is_empty() || !member.doubts.is_empty(), "doubtful in the map, certain here: {row}");
        pairs += 1;
    }
    assert_eq!((pairs, derived.len(), undecided), (79, 79, 2));
}
