//! A process of the built binary: what it says is kept, and it does not outlive its test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use super::{PATIENCE, until};

/// What a process said so far.
#[derive(Default)]
struct Said {
    text: Mutex<String>,
    /// How many of its two streams have come to their end.
    ended: AtomicUsize,
    changed: Condvar,
}

/// A process that is killed when it is dropped, and whose output is kept.
pub struct Process {
    child: Mutex<Child>,
    id: u32,
    said: Arc<Said>,
}

impl Process {
    pub fn start(command: &mut Command) -> Process {
        let mut child = command.spawn().expect("the binary starts");
        let said = Arc::new(Said::default());
        keep(child.stdout.take().expect("its standard output"), &said);
        keep(child.stderr.take().expect("its standard error"), &said);
        Process { id: child.id(), child: Mutex::new(child), said }
    }

    /// What it wrote to standard output and standard error so far.
    pub fn said(&self) -> String {
        self.said.text.lock().expect("what it said").clone()
    }

    /// All that it said, once it has ended.
    pub fn last_words(&self) -> String {
        until("the end of what it says", || (self.said.ended.load(Ordering::SeqCst) == 2).then(|| self.said()))
    }

    /// Waits until `found` gives something from what it said; panics when patience or the process comes to its end.
    pub fn wait_for<T>(&self, what: &str, mut found: impl FnMut(&str) -> Option<T>) -> T {
        let mut result = None;
        let text = self.said.text.lock().expect("what it said");
        let (text, _) = self
            .said
            .changed
            .wait_timeout_while(text, PATIENCE, |text| {
                result = found(text);
                result.is_none() && self.said.ended.load(Ordering::SeqCst) < 2
            })
            .expect("what it said");
        result.unwrap_or_else(|| panic!("waited for {what} in:\n{text}"))
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its exit status, if it has ended.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.child.lock().expect("the process").try_wait().expect("its status")
    }

    /// Waits for its end; the exit code, or -1 where a signal ended it.
    pub fn exit_code(&self) -> i32 {
        until("the process to end", || self.exited()).code().unwrap_or(-1)
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("sh").args(["-c", &format!("kill -s {name} {}", self.id)]).status().expect("a shell");
        assert!(status.success(), "SIG{name} could not be sent");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = child.kill();
        let _ = child.wait();
        if thread::panicking() {
            eprintln!(
                "--- what the process said ---\n{}",
                self.said.text.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
            );
        }
    }
}

fn keep(stream: impl Read + Send + 'static, said: &Arc<Said>) {
    let said = Arc::clone(said);
    thread::spawn(move || {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(lines.read_until(b'\n', &mut line), Ok(count) if count > 0) {
            said.text.lock().expect("what it said").push_str(&String::from_utf8_lossy(&line));
            said.changed.notify_all();
            line.clear();
        }
        // Under the lock, so that nobody who looks at the text misses it.
        let text = said.text.lock().expect("what it said");
        said.ended.fetch_add(1, Ordering::SeqCst);
        drop(text);
        said.changed.notify_all();
    });
}
