//! Behaviour of the configuration as a whole: files in a folder of their own, an environment of their own.

mod certificates;
mod diagnostics;
mod hidden;
mod overrides;
mod pictures;
mod placing;
mod policy_file;
mod robustness;
mod smells;
mod values;
mod versions;

use std::path::{Path, PathBuf};

use super::fault::Style;
use super::{Ca, Config, Environment, Fault, Loaded, Overrides, Roots, Source, load};
use crate::policy::scope::Vocabulary;

/// A policy that any configuration may name.
const POLICY: &str = "version: 1\nroutes:\n  GET /a: a:read\n";

/// A folder with files, and what a configuration is read with.
struct Case {
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
    overrides: Overrides,
}

impl Case {
    /// A folder with a good `policy.yaml`.
    fn new() -> Self {
        let case =
            Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new(), overrides: Overrides::default() };
        case.file("policy.yaml", POLICY)
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.path(name), text).unwrap();
        self
    }

    fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn source(&self, file: Option<PathBuf>) -> Source {
        let variables = self.variables.clone();
        Source {
            file,
            overrides: self.overrides.clone(),
            environment: Environment::new(move |name| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| value.clone())
            }),
            policy_text: None,
            otherwise: None,
        }
    }

    /// Loads the folder's `scopegate.yaml`.
    fn load(&self) -> Result<Loaded, Vec<Fault>> {
        load(&self.source(Some(self.path("scopegate.yaml"))), &Vocabulary::new())
    }

    /// All faults, rendered, without the folder's own name.
    fn rendered(&self) -> String {
        match self.load() {
            Ok(_) => "no fault".to_owned(),
            Err(faults) => {
                let rendered: Vec<String> = faults.iter().map(|fault| fault.render(Style::Plain)).collect();
                self.anonymous(&rendered.join("\n\n"))
            }
        }
    }

    /// `text` without the name of the folder.
    fn anonymous(&self, text: &str) -> String {
        let folder = format!("{}/", self.folder.path().display());
        text.replace(&folder, "")
    }
}

/// The smallest configuration, and `more`.
fn with(more: &str) -> String {
    format!("upstream: {{ url: http://127.0.0.1:3000 }}\npolicy: policy.yaml\n{more}")
}

/// What the smallest configuration and `more` compile to.
fn compiled(more: &str) -> Config {
    let case = Case::new().file("scopegate.yaml", &with(more));
    match case.load() {
        Ok(loaded) => loaded.config,
        Err(faults) => panic!("{}", case.anonymous(&format!("{faults:#?}"))),
    }
}

/// Every fault in one line each, with its mend, for a configuration text.
fn faults_of(text: &str) -> String {
    listed(&Case::new().file("scopegate.yaml", text))
}

fn listed(case: &Case) -> String {
    let Err(faults) = case.load() else { return "no fault".to_owned() };
    let lines: Vec<String> = faults
        .iter()
        .map(|fault| match &fault.help {
            Some(help) => format!("{fault}\n    {help}"),
            None => fault.to_string(),
        })
        .collect();
    case.anonymous(&lines.join("\n"))
}

#[test]
fn every_file_in_config_is_valid_and_its_policy_passes_its_own_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".yaml") || name.ends_with("policy.yaml") {
            continue;
        }
        let source = Source {
            file: Some(path),
            environment: Environment::new(|name| (!name.starts_with("SCOPEGATE_")).then(|| format!("value-of-{name}"))),
            ..Source::default()
        };
        let loaded = load(&source, &Vocabulary::new()).unwrap_or_else(|faults| panic!("{name}: {faults:#?}"));
        let failures = super::run_tests(&loaded.config.policy, &loaded.tests);
        assert!(failures.is_empty(), "{name}: {failures:#?}");
        checked += 1;
    }
    assert!(checked > 0);
}
