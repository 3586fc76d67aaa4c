//! Reads the `limits`, `log` and `drain` sections.

use std::path::Path;
use std::time::Duration;

use super::{Drain, H2Resets, Limits, Log, LogFormat, LogLevel, LogOutput};
use crate::config::read::{Field, Reader};
use crate::config::section::{count, value};
use crate::config::text::quoted;
use crate::config::unit::{self, Complaint};

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 32 << 10,
            headers: 100,
            target_bytes: 8 << 10,
            body_bytes: None,
            header_timeout: Duration::from_secs(10),
            body_stall: Duration::from_secs(30),
            write_stall: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            connections: 10_000,
            connections_per_address: None,
            requests_per_connection: None,
            connection_age: None,
            h2_streams: 128,
            h2_resets: H2Resets { count: 100, within: Duration::from_secs(30) },
        }
    }
}

impl Limits {
    pub(in crate::config) fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Self {
        const KNOWN: [&str; 14] = [
            "header_bytes",
            "headers",
            "target_bytes",
            "body_bytes",
            "header_timeout",
            "body_stall",
            "write_stall",
            "idle",
            "connections",
            "connections_per_address",
            "requests_per_connection",
            "connection_age",
            "h2_streams",
            "h2_resets",
        ];
        let d = Self::default();
        let Some(fields) = reader.fields(field, &KNOWN) else { return d };
        let limits = Self {
            header_bytes: value(reader, &fields, ("header_bytes", d.header_bytes), bounded_size(1 << 10, 128 << 10)),
            headers: value(reader, &fields, ("headers", d.headers), count(1, 256)),
            target_bytes: value(reader, &fields, ("target_bytes", d.target_bytes), bounded_size(256, 128 << 10)),
            body_bytes: value(reader, &fields, ("body_bytes", d.body_bytes), unit::or_none(unit::size)),
            header_timeout: value(reader, &fields, ("header_timeout", d.header_timeout), unit::positive_duration),
            body_stall: value(reader, &fields, ("body_stall", d.body_stall), unit::positive_duration),
            write_stall: value(reader, &fields, ("write_stall", d.write_stall), unit::positive_duration),
            idle: value(reader, &fields, ("idle", d.idle), unit::positive_duration),
            connections: value(reader, &fields, ("connections", d.connections), count(1, 1_000_000)),
            connections_per_address: value(
                reader,
                &fields,
                ("connections_per_address", d.connections_per_address),
                unit::or_none(count(1, 1_000_000)),
            ),
            requests_per_connection: value(
                reader,
                &fields,
                ("requests_per_connection", d.requests_per_connection),
                unit::or_none(unit::number(1, 1_000_000_000)),
            ),
            connection_age: value(
                reader,
                &fields,
                ("connection_age", d.connection_age),
                unit::or_none(unit::positive_duration),
            ),
            h2_streams: value(reader, &fields, ("h2_streams", d.h2_streams), streams),
            h2_resets: value(reader, &fields, ("h2_resets", d.h2_resets), resets),
        };
        if limits.target_bytes > limits.header_bytes {
            let at = fields.find("target_bytes").or_else(|| fields.find("header_bytes"));
            let complaint = Complaint::new(
                "a target is part of the head, and may not be larger",
                "raise `header_bytes`, or lower `target_bytes`",
            );
            reader.complain(&at.unwrap_or_else(|| field.clone()), complaint);
        }
        limits
    }
}

/// Streams of one connection at once.
fn streams(text: &str) -> Result<u32, Complaint> {
    unit::number(1, 10_000)(text).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// `100/30s`: so many in so long a time.
fn resets(text: &str) -> Result<H2Resets, Complaint> {
    let parts = text.split_once('/').and_then(|(count, within)| {
        let count = count.bytes().all(|digit| digit.is_ascii_digit()).then(|| count.parse().ok())??;
        Some(H2Resets { count, within: unit::positive_duration(within).ok()? })
    });
    parts.filter(|resets| (1..=1_000_000).contains(&resets.count)).ok_or_else(|| {
        Complaint::new(
            format!("{} is not a number in a time", quoted(text)),
            "write how many streams may be given up, a `/`, and in what time, as in `100/30s`",
        )
    })
}

/// Notes that the folder of a file that the gateway makes is not there: no gateway would start here.
fn warn_of_missing_folder(reader: &mut Reader<'_>, field: &Field<'_>, file: &Path) {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) else {
        return;
    };
    let message = format!("`{}`: there is no folder {} here", field.path, quoted(&folder.display().to_string()));
    reader.warning(field.node.span, message, "make it, with write permission for the user of the gateway");
}

/// A size from `least` to `most` bytes.
fn bounded_size(least: u64, most: u64) -> impl Fn(&str) -> Result<usize, Complaint> {
    move |text| {
        let size = unit::size(text)?;
        usize::try_from(size).ok().filter(|_| (least..=most).contains(&size)).ok_or_else(|| {
            Complaint::new(
                format!("{} is not from {least} to {most} bytes", quoted(text)),
                "write a size as in `32KiB`",
            )
        })
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Auto, access: Some(100), output: LogOutput::Stdout }
    }
}

impl Log {
    pub(in crate::config) fn read(reader: &mut Reader<'_>, field: &Field<'_>, folder: &Path) -> Self {
        const LEVELS: [(&str, LogLevel); 5] = [
            ("trace", LogLevel::Trace),
            ("debug", LogLevel::Debug),
            ("info", LogLevel::Info),
            ("warn", LogLevel::Warn),
            ("error", LogLevel::Error),
        ];
        const FORMATS: [(&str, LogFormat); 4] = [
            ("auto", LogFormat::Auto),
            ("json", LogFormat::Json),
            ("logfmt", LogFormat::Text),
            ("text", LogFormat::Text),
        ];
        let mut log = Self::default();
        let Some(fields) = reader.fields(field, &["level", "format", "access", "output"]) else {
            return log;
        };
        if let Some(level) = fields.find("level").and_then(|field| reader.choice(&field, &LEVELS)) {
            log.level = level;
        }
        if let Some(format) = fields.find("format").and_then(|field| reader.choice(&field, &FORMATS)) {
            log.format = format;
        }
        log.access = value(reader, &fields, ("access", log.access), |text| match text {
            "true" => Ok(Some(100)),
            "false" => Ok(None),
            share => unit::percent(share).map(Some).map_err(|complaint| {
                Complaint::new(complaint.message, "write `true`, `false`, or the share of what went well, as in `10%`")
            }),
        });
        log.output = value(reader, &fields, ("output", log.output), |text| match text {
            "stdout" => Ok(LogOutput::Stdout),
            "stderr" => Ok(LogOutput::Stderr),
            "" => Err(Complaint::new("is empty", "write `stdout`, `stderr` or a path")),
            _ if text.contains("://") => Err(Complaint::new(
                format!("{} is not available in this version", quoted(text)),
                "write `stdout`, `stderr` or a path",
            )),
            path => Ok(LogOutput::File(folder.join(path))),
        });
        if let (Some(field), LogOutput::File(path)) = (fields.find("output"), &log.output) {
            warn_of_missing_folder(reader, &field, path);
        }
        log
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay: Duration::ZERO, timeout: Duration::from_secs(30) }
    }
}

impl Drain {
    pub(in crate::config) fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Self {
        let drain = Self::default();
        let Some(fields) = reader.fields(field, &["delay", "timeout"]) else { return drain };
        Self {
            delay: value(reader, &fields, ("delay", drain.delay), unit::duration),
            timeout: value(reader, &fields, ("timeout", drain.timeout), unit::duration),
        }
    }
}
