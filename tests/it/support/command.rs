//! The command line as a user has it: arguments in, exit code and text out.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a finished command left.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code; -1 where a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Asserts on the exit code, showing what was said.
    #[track_caller]
    pub fn exits(self, code: i32) -> Output {
        assert_eq!(self.code, code, "the exit code; stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that stderr has every one of `words`.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Output {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is missing in stderr:\n{}", self.stderr);
        }
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}) in {:?}", self.stdout))
    }
}

/// The binary with an environment that holds nothing of the tester's.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scopegate"));
    command.current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin").env("TMPDIR", folder).env("HOME", folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Coverage tools tell instrumented binaries through this variable where to write.
    if let Some(profile) = std::env::var_os("LLVM_PROFILE_FILE") {
        command.env("LLVM_PROFILE_FILE", profile);
    }
    command
}

/// Runs `scopegate` in `folder` to its end.
pub fn scopegate(folder: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    finish(command(folder).args(arguments))
}

/// As `scopegate`, with text on standard input.
pub fn scopegate_with_input(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = command(folder).args(arguments).stdin(Stdio::piped()).spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("its standard input");
    stdin.write_all(input.as_bytes()).expect("it takes its input");
    drop(stdin);
    output(&child.wait_with_output().expect("it ends"))
}

/// Runs a prepared command to its end.
pub fn finish(command: &mut Command) -> Output {
    output(&command.output().expect("the binary starts"))
}

fn output(output: &std::process::Output) -> Output {
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Every file under `folder` with its bytes, to show that a command changed nothing.
pub fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default()));
        }
    }
    found.sort();
    found
}
