//! Instructions of the whole process, as callgrind counts them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::{Work, gateway_below, is_able, put_before, skip};
use crate::support::Gateway;

/// For a request of each kind: some 4 % above what was found, by the name of the work. The same build differs by 0.2 % from run to
/// run. The rest is for machines with other instructions for copying and searching, which the C library and `memchr` choose among.
///
/// They are those of one compiler, which rust-toolchain.toml names, and of one profile, that of the tests, without flags of anybody's
/// own: see [`is_the_build`].
const CEILINGS: [(&str, u64); 3] = [("GET", 321_800), ("401", 144_200), ("403", 341_700)];

/// valgrind and its means to speak with it.
struct Callgrind<'g> {
    gateway: &'g Gateway,
    folder: &'g Path,
    dumps: u32,
}

impl Callgrind<'_> {
    /// Says what went wrong, where something did.
    fn try_to_tell(&self, what: &[&str]) -> Result<(), String> {
        let prefix = format!("--vgdb-prefix={}/vgdb", self.folder.display());
        let id = format!("--pid={}", self.gateway.process.id());
        let output = Command::new("vgdb").args([&prefix, &id]).args(what).output();
        let output = output.map_err(|error| format!("vgdb: {error}"))?;
        let said = || format!("vgdb {what:?}: {}", String::from_utf8_lossy(&output.stderr));
        if output.status.success() { Ok(()) } else { Err(said()) }
    }

    fn tell(&self, what: &[&str]) {
        self.try_to_tell(what).unwrap_or_else(|said| panic!("{said}"));
    }

    /// The instructions since the last count, or since `zero`.
    fn count(&mut self) -> u64 {
        self.tell(&["dump"]);
        self.dumps += 1;
        let text = fs::read_to_string(self.folder.join(format!("counts.{}", self.dumps))).expect("the dump");
        let total =
            text.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
        total.expect("a total").trim().parse().expect("a number")
    }
}

/// Whether the ceilings are for this build; where they are not, it says so.
fn is_the_build() -> bool {
    let wanted = include_str!("../../../rust-toolchain.toml");
    let wanted = wanted.lines().find_map(|line| line.strip_prefix("channel = ")).expect("a channel").trim_matches('"');
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(compiler).arg("--version").current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if version.split(' ').nth(1) != Some(wanted) {
        return skip(&format!("the instructions are those of Rust {wanted}, and this is {version:?}"));
    }
    if ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|flags| !flags.is_empty()))
    {
        return skip("the instructions are those of a build without RUSTFLAGS");
    }
    cfg!(debug_assertions) || skip("the instructions are those of the profile of tests")
}

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the ceilings are those of another processor")]
fn a_request_takes_no_more_instructions_than_it_did() {
    const TIMES: usize = 500;
    // What a coverage tool adds to the binary is no part of it.
    if std::env::var_os("LLVM_PROFILE_FILE").is_some() || !is_the_build() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().display();
    let options = [
        "-q".to_owned(),
        "--tool=callgrind".to_owned(),
        // The start counts for nothing, and is faster this way.
        "--instr-atstart=no".to_owned(),
        format!("--vgdb-prefix={place}/vgdb"),
        format!("--callgrind-out-file={place}/counts"),
    ];
    if !is_able("valgrind", &options, |_| true) {
        return;
    }
    let (gateway, _upstream) = gateway_below(|command| put_before(command, "valgrind", &options));
    let mut callgrind = Callgrind { gateway: &gateway, folder: folder.path(), dumps: 0 };
    let mut caller = [gateway.connect()];
    // vgdb must look at the process to wake it up, which not everybody may.
    if let Err(said) = callgrind.try_to_tell(&["instrumentation", "on"]) {
        skip(&said);
        return;
    }
    // What the clock asks for, whether there are requests or not: on a slow machine more of it falls on each.
    callgrind.tell(&["zero"]);
    let begun = Instant::now();
    thread::park_timeout(Duration::from_secs(2));
    let at_rest = callgrind.count() as f64 / begun.elapsed().as_secs_f64();
    let mut faults = Vec::new();
    for (work, (name, most)) in Work::all().into_iter().zip(CEILINGS) {
        assert_eq!(work.name, name);
        work.ask(&mut caller, 100);
        callgrind.tell(&["zero"]);
        let begun = Instant::now();
        work.ask(&mut caller, TIMES);
        let counted = callgrind.count() as f64 - at_rest * begun.elapsed().as_secs_f64();
        let found = (counted / TIMES as f64) as u64;
        println!("{name}: {found} instructions of at most {most}");
        if found > most {
            faults.push(format!("{name}: {found} instructions, and at most {most} may be"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
