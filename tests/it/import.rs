//! `scopegate import openapi` with files: what stands beside the document, and whether a policy still fits it.

use std::fs;
use std::path::Path;

use crate::support::command::scopegate;

const DOCUMENT: &str = "
openapi: 3.1.0
info: { title: Orchard, version: '1' }
servers: [{ url: https://orchard.example/v1 }]
paths:
  /apples: { $ref: paths/apples.yaml }
  /pears: { get: { security: [{ oauth: ['pears:read'] }] } }
  /login: { post: { security: [] } }
";

const APPLES: &str = "
get: { security: [{ oauth: ['apples:read'] }] }
post: { $ref: '../../shared/post.json#/apple' }
";

const SHARED: &str = r#"{"apple": {"security": [{"oauth": ["apples:write"]}]}}"#;

fn orchard() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        fs::write(path, text).expect("the file");
    };
    write("api/openapi.yaml", DOCUMENT);
    write("api/paths/apples.yaml", APPLES);
    write("shared/post.json", SHARED);
    folder
}

/// Imports the document to policy.yaml, with files of the whole folder.
fn import(folder: &Path) {
    let arguments = ["import", "openapi", "api/openapi.yaml", "--root", ".", "-o", "policy.yaml", "--force"];
    scopegate(folder, arguments).exits(0);
}

#[test]
fn files_beside_the_document_are_read_and_others_only_when_allowed() {
    let folder = orchard();
    let output = scopegate(folder.path(), ["import", "openapi", "api/openapi.yaml"]).exits(0);
    assert!(output.stdout.contains("GET /v1/apples: apples:read"), "{}", output.stdout);
    assert!(!output.stdout.contains("\n  POST /v1/apples: "), "{}", output.stdout);
    let output = output.says(&["../shared/post.json", "--root DIR"]);

    import(folder.path());
    let policy = fs::read_to_string(folder.path().join("policy.yaml")).expect("the policy");
    assert!(policy.contains("POST /v1/apples: apples:write"), "{policy}");
    import(folder.path());
    assert_eq!(fs::read_to_string(folder.path().join("policy.yaml")).expect("the policy"), policy);
    scopegate(folder.path(), ["check", "--policy", "policy.yaml"]).exits(0);
    let again = "#     scopegate import openapi api/openapi.yaml --root . -o policy.yaml --force\n";
    assert!(policy.contains(again), "{policy}");
    let dash = scopegate(folder.path(), ["import", "openapi", "api/openapi.yaml", "-o", "-"]).exits(0);
    assert_eq!(dash.stdout, output.stdout);
    assert!(!folder.path().join("-").exists(), "- is standard output, not a file");
}

#[test]
fn a_policy_that_no_longer_fits_its_document_is_told_and_exits_3() {
    let folder = orchard();
    let check = |more: &[&str]| {
        let arguments = ["import", "openapi", "api/openapi.yaml", "--root", ".", "--check", "policy.yaml"];
        scopegate(folder.path(), arguments.iter().chain(more))
    };
    import(folder.path());
    assert_eq!(
        check(&[]).exits(0).says(&["policy.yaml agrees with the document", "Not compared: letter case"]).stdout,
        ""
    );

    let policy = folder.path().join("policy.yaml");
    let text = fs::read_to_string(&policy).expect("the policy");
    let drifted = text
        .replace("GET /v1/pears: pears:read", "GET /v1/plums: pears:read")
        .replace("POST /v1/apples: apples:write", "POST /v1/apples: apples:read");
    fs::write(&policy, &drifted).expect("the policy");
    assert_eq!(
        check(&[]).exits(3).stdout,
        "\
added    GET /v1/pears: only in the document (pears:read)
removed  GET /v1/plums: only in the policy
changed  POST /v1/apples: apples:write in the document, apples:read in the policy
"
    );
    let json = check(&["--json"]).exits(3).json();
    assert_eq!(json["drift"]["added"][0]["route"], "GET /v1/pears");
    assert_eq!(json["drift"]["removed"][0], "GET /v1/plums");
    assert_eq!(json["drift"]["changed"][0]["policy"], "apples:read");
    assert_eq!(json["report"]["left_out"][0]["reason"], "public");
    assert_eq!(fs::read_to_string(&policy).expect("the policy"), drifted, "a check writes nothing");

    fs::write(&policy, "version: 1\nroutes: {}\nrutes: 1\n").expect("the policy");
    check(&[]).exits(4).says(&["policy.yaml"]);
    fs::remove_file(&policy).expect("gone");
    check(&[]).exits(1).says(&["policy.yaml"]);
}

#[test]
fn a_document_of_which_nothing_can_be_a_route_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let document = r#"{"openapi":"3.0.0","info":{},"paths":{"/a/{b}.json":{"get":{}}}}"#;
    fs::write(folder.path().join("spec.json"), document).expect("the document");
    let output = scopegate(folder.path(), ["import", "openapi", "spec.json"]).exits(1);
    output.says(&["/a/{b}.json", "mixes a parameter with literal text", "no operation of the document"]);
    let output = scopegate(folder.path(), ["import", "openapi", "spec.json", "--json"]).exits(1);
    assert_eq!(output.json()["report"]["left_out"][0]["reason"], "template");
    scopegate(folder.path(), ["import", "openapi", "spec.json", "--no-scope", "none"]).exits(2).says(&["--no-scope"]);
}
