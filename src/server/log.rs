//! The configuration's words for logs, as telemetry takes them.

use tracing::Level;

use crate::config::{Log, LogFormat, LogLevel, LogOutput};
use crate::telemetry::log::{Format, Output, Settings};

/// What the event log is started with.
pub(crate) fn settings(log: &Log) -> Settings {
    Settings { level: level(log.level), format: format(log.format), output: output(&log.output) }
}

/// Where lines go.
pub(crate) fn output(output: &LogOutput) -> Output {
    match output {
        LogOutput::File(path) => Output::File(path.clone()),
        LogOutput::Stderr => Output::Stderr,
        LogOutput::Stdout => Output::Stdout,
    }
}

/// The form of a line.
pub(crate) fn format(format: LogFormat) -> Format {
    match format {
        LogFormat::Auto => Format::Auto,
        LogFormat::Json => Format::Json,
        LogFormat::Text => Format::Text,
    }
}

fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Error => Level::ERROR,
        LogLevel::Info => Level::INFO,
        LogLevel::Trace => Level::TRACE,
        LogLevel::Warn => Level::WARN,
    }
}
