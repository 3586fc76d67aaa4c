//! `--help` of every command, completions, schemas.

use super::*;

const COMMANDS: [&str; 30] = [
    "",
    "demo",
    "serve",
    "check",
    "explain",
    "whocan",
    "cando",
    "diff",
    "import",
    "import openapi",
    "keys",
    "keys create",
    "keys list",
    "keys show",
    "keys clone",
    "keys rotate",
    "keys reset-secret",
    "keys disable",
    "keys enable",
    "keys revoke",
    "keys delete",
    "keys import",
    "keys export",
    "audit",
    "audit list",
    "audit verify",
    "audit export",
    "scan",
    "healthcheck",
    "schema",
];

#[test]
fn the_help_of_every_command() {
    let folder = Folder::empty();
    let screens = COMMANDS.iter().chain(&["completions"]).map(|command| folder.screen(&format!("{command} --help")));
    insta::assert_snapshot!(screens.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_command_line_that_makes_no_sense() {
    let folder = Folder::new();
    insta::assert_snapshot!(folder.screens([
        "frobnicate",
        "serve --no-such-flag",
        "explain",
        "explain GET",
        "explain GET /a --scopes a --full",
        "explain GET /a --from nowhere",
        "keys create",
        "keys create --name a",
        "keys create --name a --full --read-only",
        "keys show",
        "diff old.yaml",
        "import openapi api.yaml --force",
        "import openapi api.yaml --scopes-from x-scopes --scheme oauth",
        "check --policy policy.yaml -c scopegate.yaml",
        "schema server",
        "completions tcsh",
    ]));
}

#[test]
fn every_completion_script_names_every_command() {
    let folder = Folder::empty();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = folder.run(&format!("completions {shell}")).exits(0).stdout;
        for word in COMMANDS.iter().flat_map(|command| command.split(' ')).filter(|word| !word.is_empty()) {
            assert!(script.contains(word), "{word} in the script for {shell}");
        }
        for flag in ["fail-on-loosened", "no-scopes", "include-public", "mutate"] {
            assert!(script.contains(flag), "{flag} in the script for {shell}");
        }
    }
}

#[test]
fn a_schema_is_printed_as_it_stands_in_the_repository() {
    let folder = Folder::empty();
    let files = [
        ("config", "src/config/compile/schema.json"),
        ("policy", "src/config/policy/schema.json"),
        ("keys", "src/store/file/schema.json"),
    ];
    for (of, file) in files {
        let written = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("the schema");
        let output = folder.run(&format!("schema {of}")).exits(0);
        assert_eq!((output.stdout, output.stderr.as_str()), (written, ""), "{of}");
    }
}
