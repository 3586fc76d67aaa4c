//! `import openapi`: the report, the comparison with `--check`, and documents that give no policy.

use super::*;

/// A document in which something is wrong with most operations.
const ORCHARD: &str = r##"
openapi: 3.1.0
info: { title: Orchard, version: '2' }
servers: [{ url: https://a.example/v2 }, { url: https://b.example/v3 }]
security: [{ oauth: [] }]
components: { securitySchemes: { oauth: { flows: { x: { scopes: { apples:read: Read all apples } } } } } }
paths:
  /apples:
    get:
      security: [{ oauth: ['apples:read'] }]
      parameters:
        - { name: include, in: query, schema: { items: { enum: [trees, 'a,b'] } } }
        - { name: 'additional-fields[apple]', in: query, schema: { items: { enum: [weight, colour] } } }
    post: { security: [{ oauth: ['apples:write'] }, { oauth: ['trees:write', 'admin'] }] }
    put: { security: [{ oauth: ['a b'] }] }
    patch: { security: [{ oauth: [{ name: x }] }] }
    delete: { security: [{ token: [] }] }
    trace: {}
  /apples/{id}: { get: { security: [{ oauth: ['apples:read'] }] } }
  /apples/{name}: { get: { security: [{ oauth: ['trees:read'] }] } }
  /pears: { get: {} }
  /login: { post: { security: [] } }
  /own: { get: { servers: [{ url: https://c.example }] } }
  /beside: { $ref: beside.yaml }
  /abroad: { $ref: 'https://a.example/b.yaml' }
  plums: { get: {} }
  /plums?ripe=true: { get: {} }
  /plums|cherries: { get: {} }
  /plums//: { get: {} }
  /a//b: { get: {} }
  /a/../b: { get: {} }
  /plums/{id}.json: { get: {} }
  /text: { get: none }
"##;

#[test]
fn a_policy_and_a_report() {
    let folder = Folder::empty().with("orchard.yaml", ORCHARD);
    insta::assert_snapshot!(folder.run("import openapi orchard.yaml").exits(0).stdout);
    insta::assert_snapshot!(folder.screens([
        "import openapi orchard.yaml -o policy.yaml",
        "import openapi orchard.yaml -o policy.yaml",
        "import openapi orchard.yaml -o policy.yaml --force --include-public --json",
        "check --policy policy.yaml",
        "import openapi orchard.yaml -o none/policy.yaml",
    ]));
}

#[test]
fn a_policy_and_its_document_compared() {
    let folder = Folder::empty().with("orchard.yaml", ORCHARD);
    folder.run("import openapi orchard.yaml -o policy.yaml").exits(0);
    let same = folder.screens([
        "import openapi orchard.yaml --check policy.yaml",
        "import openapi orchard.yaml --check policy.yaml --json",
    ]);
    let written = fs::read_to_string(folder.path().join("policy.yaml")).expect("the policy");
    let changed = written
        .replace("  GET /v2/pears: { auth: key }\n", "  GET /v2/pears: { auth: anyone }\n")
        .replace("POST /v2/apples:", "DELETE /v2/apples:");
    assert_ne!(changed, written);
    let folder = folder.with("policy.yaml", changed);
    let other = folder.screens([
        "import openapi orchard.yaml --check policy.yaml",
        "import openapi orchard.yaml --check policy.yaml --json",
        "import openapi orchard.yaml --check none.yaml",
    ]);
    insta::assert_snapshot!(format!("{same}\n{other}"));
}

#[test]
fn documents_that_give_no_policy() {
    let head = "openapi: 3.0.0\npaths:\n";
    let documents = [
        ("", "{}"),
        ("", "openapi: 4.0.0"),
        ("", "swagger: '1.2'"),
        ("", "openapi: 3.0.0"),
        ("", "openapi: [3.0.0"),
        ("", "{\"openapi\": \"3.0.0\""),
        ("", "openapi: 3.0.0\npaths: { /a: { post: { security: [] } } }"),
        ("", "openapi: 3.0.0\npaths: { /a: { get: { x-a-scopes: [a], x-b-scopes: [b] } } }"),
        ("", "openapi: 3.0.0\npaths: { /a: { get: { security: [{ x: [a] }, { y: [b] }] } } }"),
        ("--scopes-from x-scopes", &format!("{head}  /a: {{ get: {{}} }}")),
        ("--scheme oauth", &format!("{head}  /a: {{ get: {{}} }}")),
        ("--no-scope none", &format!("{head}  /a: {{ get: {{}} }}")),
        ("--json", "openapi: 3.0.0\npaths: { /a: { post: { security: [] } } }"),
    ];
    let screens: Vec<String> = documents
        .iter()
        .map(|(more, text)| {
            let folder = Folder::empty().with("api.yaml", text);
            folder.screen(format!("import openapi api.yaml {more}").trim_end())
        })
        .collect();
    let folder = Folder::empty().with("api.yaml", b"openapi: \xff");
    let files = folder.screens(["import openapi api.yaml", "import openapi none.yaml", "import openapi ."]);
    insta::assert_snapshot!(format!("{}\n{files}", screens.join("\n")));
}

#[test]
fn a_document_without_scopes_and_one_request_of_many_alternatives() {
    let many: Vec<String> = (0..9).map(|at| format!("{{ oauth: [s{at}] }}")).collect();
    let other: Vec<String> = (0..9).map(|at| format!("{{ oauth: [t{at}] }}")).collect();
    let twins = format!(
        "openapi: 3.0.0\npaths:\n  /a/{{x}}: {{ get: {{ security: [{}] }} }}\n  /a/{{y}}: {{ get: {{ security: [{}] }} }}\n  /b: {{ get: {{ security: [{{ oauth: [none] }}] }} }}\n",
        many.join(", "),
        other.join(", ")
    );
    let folder = Folder::empty()
        .with(
            "plain.yaml",
            "swagger: '2.0'\ninfo: { title: Plain }\nbasePath: /v1\npaths: { /a: { get: {}, post: {} } }\n",
        )
        .with("twins.yaml", twins);
    insta::assert_snapshot!(folder.screens(["import openapi plain.yaml", "import openapi twins.yaml"]));
}

#[test]
fn a_file_outside_the_folder_is_not_read_unless_that_is_said() {
    let folder = Folder::empty().with("shared.yaml", "get: { security: [{ oauth: ['a:read'] }] }\n");
    fs::create_dir(folder.path().join("api")).expect("a folder");
    let folder =
        folder.with("api/api.yaml", "openapi: 3.0.0\npaths: { /a: { $ref: ../shared.yaml }, /b: { get: {} } }\n");
    insta::assert_snapshot!(folder.screens(["import openapi api/api.yaml", "import openapi api/api.yaml --root ."]));
}
