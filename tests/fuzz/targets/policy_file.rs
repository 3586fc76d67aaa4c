//! Any text is a policy or a list of faults, each with its place; a policy that loads can judge and decide.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use scopegate::config::fault::{Fault, Severity};
use scopegate::config::{policy, run_tests};
use scopegate::key::visible::escaped;
use scopegate::policy::{Caller, Grant, Policy, Request, Vocabulary};
use scopegate_fuzz::{REQUESTS, principal};

/// Rewritten for each text; in memory where the machine has such a folder.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    folder.join(format!("scopegate-fuzz-{}.yaml", std::process::id()))
});

fuzz_target!(|bytes: &[u8]| {
    let vocabulary = Vocabulary::new();
    fs::write(&*FILE, bytes).expect("the file can be written");
    let loaded = policy::load(&FILE, &vocabulary);
    let again = policy::load(&FILE, &vocabulary);
    let _ = fs::remove_file(&*FILE);
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(faults) => {
            assert!(faults.iter().any(|fault| fault.severity == Severity::Error), "refused without a word");
            faults.iter().for_each(|fault| assert_placed(fault, bytes));
            assert_eq!(again.err(), Some(faults), "the same text has the same faults");
            return;
        }
    };
    let again = again.expect("the same text loads again");
    let failures = run_tests(&loaded.policy, &loaded.tests);
    for fault in loaded.warnings.iter().chain(&failures) {
        assert_placed(fault, bytes);
    }
    assert_eq!((&again.warnings, &run_tests(&again.policy, &again.tests)), (&loaded.warnings, &failures));
    let labels = |policy: &Policy| -> Vec<_> {
        policy.routes().iter().map(|route| (route.label().to_owned(), route.line(), route.access())).collect()
    };
    assert_eq!(labels(&again.policy), labels(&loaded.policy));
    assert!(again.policy.differences(&loaded.policy).is_empty(), "the same text opens the same");
    let _ = loaded.policy.shadows();
    let key = principal(Grant::Full);
    let templates = loaded.policy.routes().iter().map(|route| route.template());
    for target in templates.chain(REQUESTS.iter().copied()) {
        for method in ["GET", "POST", "OPTIONS", "TRACE"] {
            let request = Request { method: method.as_bytes(), target: target.as_bytes(), override_header: false };
            let Ok(judged) = loaded.policy.judge(&request) else { continue };
            for caller in [Caller::Anonymous, Caller::Known(&key)] {
                let decision = loaded.policy.decide(&caller, &judged);
                let trace = decision.explain().trace;
                assert_eq!(decision.is_allow(), trace.code.is_none());
                assert!(!decision.is_allow() || judged.route().is_some(), "allowed without a route");
            }
        }
    }
});

/// The fault says what is wrong, and where in the text that is.
fn assert_placed(fault: &Fault, bytes: &[u8]) {
    assert!(!fault.message.is_empty() && !fault.to_string().is_empty(), "{fault:?}");
    assert_eq!(fault.file, FILE.display().to_string());
    if (fault.line, fault.column) == (0, 0) {
        // Of the file as a whole: it is no text, too large, or has more faults than are shown.
        return;
    }
    let text = std::str::from_utf8(bytes).expect("what has a place is text");
    let line = text.split('\n').nth(fault.line as usize - 1).unwrap_or_else(|| panic!("no line has {fault:?}"));
    let width = line.chars().count();
    let (first, length) = (fault.column as usize - 1, fault.length as usize);
    // What acts on a terminal is shown, and marked, by its number.
    let rest: String = line.chars().skip(first).collect();
    assert!(first <= width && length <= escaped(&rest).chars().count(), "{fault:?} is not within {line:?}");
}
