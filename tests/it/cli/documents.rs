//! Policies that come from documents: of an API, and our own.

use super::*;
use crate::support::certificate::Authority;

#[test]
fn an_import_becomes_a_policy_that_the_check_accepts() {
    let document = r#"{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{
        "/api/profiles":{"get":{"x-klaviyo-scopes":["profiles:read"],"responses":{}},"post":{"x-klaviyo-scopes":["profiles:write"],"responses":{}}},
        "/client/events":{"post":{"security":[],"x-klaviyo-scopes":["events:write"],"responses":{}}},
        "/api/odd":{"get":{"responses":{}}}}}"#;
    let folder = folder(CONFIG, POLICY);
    let write = |name: &str| fs::write(folder.path().join(name), document).expect("the document");
    write("spec.json");
    let output = scopegate(folder.path(), ["import", "openapi", "spec.json", "-o", "imported.yaml"]).exits(0);
    output.says(&["/client/events", "/api/odd"]);
    let policy = fs::read_to_string(folder.path().join("imported.yaml")).expect("the policy");
    assert!(policy.contains("GET /api/profiles") && !routes(&policy).contains("/client/events"), "{policy}");
    scopegate(folder.path(), ["check", "--policy", "imported.yaml"]).exits(0);
    scopegate(folder.path(), ["import", "openapi", "no-such.json"]).exits(1).says(&["no-such.json"]);
    assert_unchanged_by_a_bad_document(folder.path());
}

/// The lines of a policy that are not comments.
fn routes(policy: &str) -> String {
    policy.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n")
}

fn assert_unchanged_by_a_bad_document(folder: &Path) {
    fs::write(folder.join("bad.json"), "{\"openapi\": ").expect("the document");
    let before = contents(folder);
    let output = scopegate(folder, ["import", "openapi", "bad.json", "-o", "bad.yaml"]).says(&["bad.json"]);
    assert_ne!(output.code, 0);
    assert_eq!(contents(folder), before);
}

/// The fenced YAML blocks of a document.
fn yaml_blocks(text: &str) -> Vec<&str> {
    text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn every_configuration_in_the_reference_passes_its_check_without_a_warning() {
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/config/README.md");
    let text = fs::read_to_string(reference).expect("the reference");
    let files: Vec<_> = yaml_blocks(&text).into_iter().filter(|block| block.contains("upstream:")).collect();
    assert!(files.len() >= 2, "{}", files.len());
    let (certificate, key) = Authority::new().issue("localhost", 2100);
    for file in files {
        let folder = folder(file, POLICY);
        fs::write(folder.path().join("cert.pem"), &certificate).expect("the certificate");
        fs::write(folder.path().join("key.pem"), &key).expect("its key");
        let json = scopegate(folder.path(), ["check", "--json"]).exits(0).json();
        assert_eq!(json["warnings"].as_array().map(Vec::len), Some(0), "{json}\n{file}");
    }
}

#[test]
fn every_policy_in_the_readme_passes_its_check_without_a_warning() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = fs::read_to_string(readme).expect("the README");
    let policies: Vec<_> = yaml_blocks(&text).into_iter().filter(|block| block.contains("version: 1\n")).collect();
    assert!(policies.len() >= 2, "{}", policies.len());
    for policy in policies {
        let folder = folder(CONFIG, policy);
        let json = scopegate(folder.path(), ["check", "--json"]).exits(0).json();
        assert_eq!(json["warnings"].as_array().map(Vec::len), Some(0), "{json}\n{policy}");
    }
}
