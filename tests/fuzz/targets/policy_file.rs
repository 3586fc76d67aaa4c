//! Any text is a policy or a list of faults, each with its place; a policy that loads can judge and decide.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use scopegate::config::{policy, run_tests};
use scopegate::policy::{Caller, Grant, Request, Vocabulary};
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
    let _ = fs::remove_file(&*FILE);
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a word");
            assert!(faults.iter().all(|fault| !fault.to_string().is_empty()));
            return;
        }
    };
    run_tests(&loaded.policy, &loaded.tests);
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
