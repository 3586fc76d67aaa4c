//! Limits on callers, logs, and the end of the process.

use std::path::PathBuf;
use std::time::Duration;

mod read;

/// What a caller may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request head.
    pub header_bytes: usize,
    /// Header fields of a request.
    pub headers: usize,
    /// Bytes of a request target.
    pub target_bytes: usize,
    /// Bytes of a request body; `None`: unbounded.
    pub body_bytes: Option<u64>,
    /// From the first byte of a request to the end of its head.
    pub header_timeout: Duration,
    /// How long the caller may send nothing in the middle of a body.
    pub body_stall: Duration,
    /// How long the caller may take nothing of a response.
    pub write_stall: Duration,
    /// How long a connection may wait for its next request.
    pub idle: Duration,
    /// Connections of callers at once, over all workers.
    pub connections: usize,
    /// The same, of one address; `None`: unbounded.
    pub connections_per_address: Option<usize>,
    /// Requests before a connection is closed; `None`: unbounded.
    pub requests_per_connection: Option<u64>,
    /// How old a connection may be and still take another request; `None`: of any age.
    pub connection_age: Option<Duration>,
    /// Streams of one HTTP/2 connection at once.
    pub h2_streams: u32,
    /// Streams of one HTTP/2 connection that its caller may give up.
    pub h2_resets: H2Resets,
}

/// How many streams may be given up on one connection before it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct H2Resets {
    /// This many,
    pub count: usize,
    /// in this time.
    pub within: Duration,
}

/// What is logged, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least severe level that is logged.
    pub level: LogLevel,
    /// The form of a line.
    pub format: LogFormat,
    /// How many of the requests that went well are logged, in percent; denials and failures always are. `None`: no request
    /// is.
    pub access: Option<u8>,
    /// Where lines go.
    pub output: LogOutput,
}

/// Severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What failed.
    Error,
    /// What an operator wants to know.
    Info,
    /// The finest detail.
    Trace,
    /// What may need attention.
    Warn,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// logfmt.
    Text,
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogOutput {
    /// Appended to this file.
    File(PathBuf),
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
}

/// The end of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// How long new connections are still accepted after SIGTERM, while not ready.
    pub delay: Duration,
    /// How long requests in flight may take to finish after that.
    pub timeout: Duration,
}
