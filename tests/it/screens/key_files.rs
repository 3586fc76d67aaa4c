//! Every fault of a key file, as any command that reads one shows it.

use super::*;

const A: &str = "0000000000000000000000000000000000000000000000000000000000000001";
const B: &str = "0000000000000000000000000000000000000000000000000000000000000002";

#[test]
fn faults_of_key_files() {
    let documents = [
        "".to_owned(),
        "# nothing\n".to_owned(),
        "- a\n".to_owned(),
        "key: []\n".to_owned(),
        "keys: a\n".to_owned(),
        "keys:\n  - a\n".to_owned(),
        "keys: [\n".to_owned(),
        "keys: []\nkeys: []\n".to_owned(),
        "keys: &k []\n".to_owned(),
        format!(
            "keys:
  - {{}}
  - {{ name: a, sha256: {A} }}
  - {{ name: a, scopes: [x] }}
  - {{ name: a, scopes: [x], grant: full, sha256: {B} }}
  - {{ name: a, grant: all, sha256: {B} }}
  - {{ name: a, grant: full, sha256: sg_pasted }}
  - {{ name: a, grant: full, hmac_sha256: {B} }}
  - {{ name: a, grant: full, sha256: {B}, secret: x }}
"
        ),
        format!(
            "keys:
  - {{ name: a, grant: full, sha256: {A}, id: 'a b' }}
  - {{ name: a, grant: full, sha256: {A}, kind: public }}
  - {{ name: a, grant: full, sha256: {A}, kind: other }}
  - {{ name: a, grant: full, sha256: {A}, disabled: yes }}
  - {{ name: a, grant: full, sha256: {A}, expires: 90d }}
  - {{ name: a, grant: full, sha256: {A}, not_before: 2099-01-01, expires: 2020-01-01 }}
  - {{ name: a, grant: full, sha256: {A}, attrs: [a] }}
  - {{ name: a, grant: full, sha256: {A}, attrs: {{ 'a b': c }} }}
  - {{ name: a, grant: full, sha256: {A}, allow_from: 10.0.0.0/8 }}
  - {{ name: a, grant: full, sha256: {A}, allow_from: [] }}
  - {{ name: a, grant: full, sha256: {A}, allow_from: [lan] }}
  - {{ name: a, grant: full, sha256: {A}, account: 'a b' }}
  - {{ name: a, grant: full, sha256: {A}, note: \"a\\eb\" }}
  - {{ name: a, scopes: a, sha256: {A} }}
  - {{ name: a, scopes: ['a b'], sha256: {A} }}
  - {{ name: ' ', grant: full, sha256: {A} }}
  - {{ name: , grant: full, sha256: {A} }}
"
        ),
        format!(
            "keys:
  - {{ id: a, name: a, grant: full, sha256: {A} }}
  - {{ id: b, name: b, grant: full, sha256: {A} }}
  - {{ id: a, name: c, grant: full, sha256: {B} }}
"
        ),
        format!(
            "keys:
  - {{ name: a, sha256: {A}, scopes: [{}] }}
",
            (0..1025).map(|at| format!("s{at}")).collect::<Vec<_>>().join(", ")
        ),
    ];
    let screens = documents.map(|document| {
        let config = CONFIG.replace("sqlite:keys.db", "file:keys.yaml");
        let folder = Folder::new().with("scopegate.yaml", config).with("keys.yaml", document);
        let long = (0..1025).map(|at| format!("s{at}")).collect::<Vec<_>>().join(", ");
        folder.screen("keys list").replace(&long, "[1025 scopes]")
    });
    insta::assert_snapshot!(screens.join("\n"));
}

#[test]
fn a_file_of_keys_under_a_pepper_and_one_that_is_no_text() {
    let config = CONFIG.replace("sqlite:keys.db\"", "file:keys.yaml\", pepper: a-pepper-of-some-length");
    let folder = Folder::new().with("scopegate.yaml", config).with(
        "keys.yaml",
        format!("keys:\n  - {{ name: a, grant: full, sha256: {A} }}\n  - {{ name: a, grant: full }}\n"),
    );
    let peppered = folder.screen("keys list");
    let folder = folder.with("keys.yaml", b"keys:\n  - { name: \xff }\n");
    let no_text = folder.screen("keys list");
    fs::remove_file(folder.path().join("keys.yaml")).expect("the file goes");
    insta::assert_snapshot!([peppered, no_text, folder.screen("keys list")].join("\n"));
}
