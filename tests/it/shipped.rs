//! The files in config/ and what the importer writes are what the gateway accepts.

use std::path::{Path, PathBuf};

use scopegate::config::{Environment, Fault, Source, load, policy, run_tests};
use scopegate::import::{Options, openapi};
use scopegate::policy::Access;
use scopegate::policy::scope::Vocabulary;

fn config(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

fn told(faults: &[Fault]) -> String {
    faults
        .iter()
        .map(|fault| format!("{}:{}: {} ({:?})\n", fault.file, fault.line, fault.message, fault.help))
        .collect()
}

#[test]
fn klaviyos_policy_compiles_without_a_warning_and_holds_its_own_tests() {
    let loaded = policy::load(&config("klaviyo-policy.yaml"), &Vocabulary::default())
        .unwrap_or_else(|faults| panic!("{}", told(&faults)));
    assert_eq!(loaded.policy.routes().len(), 333);
    assert!(loaded.warnings.is_empty(), "{}", told(&loaded.warnings));
    assert!(loaded.tests.len() > 30);
    let failures = run_tests(&loaded.policy, &loaded.tests);
    assert!(failures.is_empty(), "{}", told(&failures));
}

#[test]
fn klaviyos_configuration_needs_nothing_but_the_real_key() {
    let source = |key: Option<&'static str>| Source {
        file: Some(config("klaviyo.yaml")),
        environment: Environment::new(move |name| if name == "KLAVIYO_KEY" { key.map(str::to_owned) } else { None }),
        ..Source::default()
    };
    let loaded =
        load(&source(Some("pk_real")), &Vocabulary::default()).unwrap_or_else(|faults| panic!("{}", told(&faults)));
    assert!(loaded.warnings.is_empty(), "{}", told(&loaded.warnings));
    assert_eq!(loaded.config.keys.accept.schemes, [Box::from("Klaviyo-API-Key")]);
    assert!(loaded.config.keys.accept.bearer);
    let faults = load(&source(None), &Vocabulary::default()).unwrap_err();
    assert!(faults.iter().any(|fault| fault.message.contains("KLAVIYO_KEY")), "{}", told(&faults));
}

#[test]
fn mailjets_policy_compiles_without_a_warning_and_holds_its_own_tests() {
    let loaded = policy::load(&config("mailjet-policy.yaml"), &Vocabulary::default())
        .unwrap_or_else(|faults| panic!("{}", told(&faults)));
    assert!(loaded.warnings.is_empty(), "{}", told(&loaded.warnings));
    assert!(loaded.tests.len() > 25);
    let failures = run_tests(&loaded.policy, &loaded.tests);
    assert!(failures.is_empty(), "{}", told(&failures));
}

#[test]
fn mailjets_configuration_takes_two_credentials_and_both_forms_of_a_key() {
    let source = Source {
        file: Some(config("mailjet.yaml")),
        environment: Environment::new(|name| name.starts_with("MAILJET_").then(|| name.to_lowercase())),
        ..Source::default()
    };
    let loaded = load(&source, &Vocabulary::default()).unwrap_or_else(|faults| panic!("{}", told(&faults)));
    assert!(loaded.warnings.is_empty(), "{}", told(&loaded.warnings));
    assert!(loaded.config.keys.accept.bearer && loaded.config.keys.accept.basic);
    assert!(loaded.config.upstream.credentials.contains_key("sms"));
}

/// The facts that the policy was made of, where this machine has them: SCOPEGATE_DATA, which must then have them, or a folder
/// beside the package.
fn mailjets_facts() -> Option<String> {
    const FACTS: &str = "mailjet/routes.csv";
    if let Some(folder) = std::env::var_os("SCOPEGATE_DATA") {
        let path = PathBuf::from(folder).join(FACTS);
        return Some(std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let facts = std::fs::read_to_string(beside.join(FACTS)).ok();
    if facts.is_none() {
        eprintln!("skipped: {FACTS} is not here; SCOPEGATE_DATA names the folder that has it");
    }
    facts
}

#[test]
fn every_operation_of_mailjet_is_a_route_with_its_scope_and_its_credential() {
    let Some(facts) = mailjets_facts() else {
        return;
    };
    let loaded = policy::load(&config("mailjet-policy.yaml"), &Vocabulary::default())
        .unwrap_or_else(|faults| panic!("{}", told(&faults)));
    let mut rows = 0;
    for row in facts.lines().skip(1) {
        let [method, template, _, scope, credential, ..] = row.splitn(7, ',').collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let label = format!("{method} {template}");
        let route =
            loaded.policy.routes().iter().find(|route| route.label() == label).unwrap_or_else(|| panic!("{row}"));
        assert_eq!(loaded.policy.names(&route.requirement().all_of), [scope], "{row}");
        assert_eq!(route.credential(), (credential == "bearer").then_some("sms"), "{row}");
        rows += 1;
    }
    let denied = loaded.policy.routes().iter().filter(|route| route.access() == Access::Deny).count();
    assert_eq!((rows, loaded.policy.routes().len() - denied), (246, 246));
}

/// Every form that the importer writes: any_of, all-of, auth, a declared member, a map of a route's own, signs that need quotes.
const ORCHARD: &str = r##"
openapi: 3.0.3
info: { title: "Orchard: apples #1", version: "2" }
servers: [{ url: https://orchard.example/v2/ }]
components:
  securitySchemes:
    oauth: { flows: { code: { scopes: { "apples:read": "Read: apples, all # of them", "yes": "A word that YAML reads otherwise" } } } }
paths:
  /:
    get: { security: [{ oauth: [apples:read] }] }
  /apples:
    get:
      security: [{ oauth: [apples:read] }]
      parameters: [{ name: include, in: query, schema: { items: { enum: [owner, trees, "a, b: c"] } } }]
      responses: { 200: { content: { a/b: { schema: { $ref: "#/components/schemas/Apple" } } } } }
    post: { security: [{ oauth: [apples:write, trees:read] }, { oauth: [admin] }] }
  /apples/{apple-id}:cancel:
    post: { security: [{ oauth: [admin] }] }
  /apples/{apple.id}/a:b: { get: { security: [{ oauth: ["yes"] }] } }
  /dogs:
    get:
      security: [{ oauth: [dogs:read] }]
      parameters: [{ name: include, in: query, schema: { items: { enum: [owner] } } }]
  /login: { post: { security: [] } }
  /status/: { get: {} }
"##;

#[test]
fn what_the_importer_writes_is_a_policy() {
    for include_public in [false, true] {
        let imported =
            openapi(ORCHARD, &Options { include_public, ..Options::default() }, &|_| Err(String::new())).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.yaml");
        std::fs::write(&path, &imported.policy).unwrap();
        let loaded = policy::load(&path, &Vocabulary::default())
            .unwrap_or_else(|faults| panic!("{}\n{}", told(&faults), imported.policy));
        let labels: Vec<&str> = loaded.policy.routes().iter().map(|route| route.label()).collect();
        assert_eq!(labels.len(), imported.report.routes, "{labels:?}");
        assert_eq!(labels.contains(&"POST /v2/login"), include_public);
        assert!(loaded.policy.knows("yes") && loaded.policy.knows("trees:read"));
    }
}
