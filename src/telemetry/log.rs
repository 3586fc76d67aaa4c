//! Events: what happens to the gateway itself, as opposed to one request. Lines look like those of the access log.

mod file;
mod outlet;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::line::{Form, Line};

use file::LogFile;
use outlet::Outlet;

/// Where log lines go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// Appended to this file, which is made where it is missing.
    File(PathBuf),
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
}

/// The form that was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// logfmt on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// logfmt.
    Text,
}

/// Events that may wait for the writer; further ones are lost while it is stuck.
const WAITING: usize = 4096;

/// How events are logged.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The least severe level that is logged.
    pub level: Level,
    /// The form of lines.
    pub format: Format,
    /// Where lines go.
    pub output: Output,
}

/// Why the log cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogFault {
    /// The file cannot be opened for appending.
    #[error("the log file {} cannot be opened: {source}; see that its folder exists and may be written to", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Logging was started before.
    #[error("logging has been started twice in one process")]
    Started,
    /// A thread cannot be started.
    #[error("a thread that the log needs cannot be started: {0}")]
    Thread(io::Error),
}

impl Output {
    fn is_terminal(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Stderr => io::stderr().is_terminal(),
            Self::Stdout => io::stdout().is_terminal(),
        }
    }

    pub(super) fn open(&self) -> Result<Box<dyn Write + Send>, LogFault> {
        Ok(match self {
            Self::File(path) => Box::new(Outlet { name: path.display().to_string(), output: LogFile::open(path)? }),
            Self::Stderr => Box::new(io::stderr()),
            Self::Stdout => Box::new(Outlet { name: "standard output".to_owned(), output: io::stdout() }),
        })
    }
}

impl Format {
    pub(super) fn form(self, output: &Output) -> Form {
        match self {
            Self::Auto if output.is_terminal() => Form::Logfmt,
            Self::Auto | Self::Json => Form::Json,
            Self::Text => Form::Logfmt,
        }
    }
}

/// Makes the subscriber of the process. For `main` to call, once.
///
/// Events are lost, and requests go on, while whoever reads the log has stopped.
///
/// # Errors
/// The file cannot be opened, or a subscriber is there already.
pub fn start(settings: &Settings) -> Result<Writer, LogFault> {
    let form = settings.format.form(&settings.output);
    // A thread of its own writes: whoever stops reading the log stops no request and no drain.
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(WAITING).lossy(true).finish(settings.output.open()?);
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = form == Form::Logfmt && settings.output.is_terminal() && !no_color;
    tracing_subscriber::fmt()
        // A log that cannot be written must not take the gateway down by way of a closed standard error.
        .log_internal_errors(false)
        .with_max_level(settings.level)
        .event_format(Events { form, colour })
        .with_writer(writer)
        .finish()
        .with(filter_fn(|metadata| !tells_secrets(metadata)))
        .try_init()
        .map_err(|_| LogFault::Started)?;
    Ok(Writer(guard))
}

/// True for events of the `h2` crate, which show what callers sent: a path that is malformed with the key in its query.
fn tells_secrets(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target == "h2" || target.starts_with("h2::")
}

/// The thread that writes events. Dropping it writes what is left, for a second at most.
#[must_use = "events are written for as long as this lives"]
pub struct Writer(#[expect(dead_code, reason = "held for its drop")] WorkerGuard);

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

/// Writes events as [`Line`]s.
struct Events {
    form: Form,
    colour: bool,
}

impl<S, N> FormatEvent<S, N> for Events
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: format::Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let mut time = String::new();
        SystemTime.format_time(&mut format::Writer::new(&mut time))?;
        let mut fields = Fields::default();
        event.record(&mut fields);

        let mut out = Vec::with_capacity(256);
        let mut line = Line::begin(&mut out, self.form);
        // Milliseconds, as in the access log: `2026-11-21T22:04:14.123` and the zone.
        line.text("time", format!("{}Z", time.get(..23).unwrap_or(time.trim_end_matches('Z'))).as_bytes());
        line.text("level", metadata.level().as_str().to_ascii_lowercase().as_bytes());
        line.text("message", fields.message.as_bytes());
        // Whose code speaks matters only where it is not ours.
        if !metadata.target().starts_with("scopegate") {
            line.text("target", metadata.target().as_bytes());
        }
        for (name, value) in &fields.others {
            match value {
                Value::Number(number) => line.number(name, *number),
                Value::Text(text) => line.text(name, text.as_bytes()),
            }
        }
        line.end();
        let text = String::from_utf8_lossy(&out);
        if self.colour {
            return writer.write_str(&paint(&text, *metadata.level()));
        }
        writer.write_str(&text)
    }
}

/// Colours the level of a logfmt line.
fn paint(text: &str, level: Level) -> String {
    let colour = match level {
        Level::ERROR => "31",
        Level::WARN => "33",
        Level::INFO => "32",
        _ => "34",
    };
    let name = level.as_str().to_ascii_lowercase();
    text.replacen(&format!("level={name}"), &format!("level=\x1b[{colour}m{name}\x1b[0m"), 1)
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

/// The value of a field.
enum Value {
    Number(u64),
    Text(String),
}

impl Fields {
    fn push(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => self.others.push((name, Value::Text(value))),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, format!("{value:?}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.push((field.name(), Value::Number(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.push(field, value.to_string());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(form: Form, colour: bool, log: impl FnOnce()) -> String {
        let output = Shared::default();
        let writer = output.clone();
        let subscriber =
            tracing_subscriber::fmt().event_format(Events { form, colour }).with_writer(Mutex::new(writer)).finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = output.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_event_is_one_json_object_with_its_fields() {
        let text = logged(Form::Json, false, || tracing::info!(routes = 3_u64, file = "a\nb", "policy \"loaded\""));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["level"], "info");
        assert_eq!(json["message"], "policy \"loaded\"");
        assert_eq!(json["routes"], 3);
        assert_eq!(json["file"], "a\nb");
        let time = json["time"].as_str().unwrap();
        assert_eq!(time.len(), "2026-11-21T22:04:14.123Z".len());
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    }

    #[test]
    fn colour_is_in_the_level_alone_and_only_where_asked() {
        let plain = logged(Form::Logfmt, false, || tracing::warn!("level=warn twice"));
        assert!(plain.contains(" level=warn message=\"level=warn twice\"\n"), "{plain}");
        let coloured = logged(Form::Logfmt, true, || tracing::warn!("careful"));
        assert!(coloured.contains(" level=\x1b[33mwarn\x1b[0m message=careful\n"), "{coloured}");
    }

    #[test]
    fn a_log_file_that_cannot_be_opened_is_named() {
        let path = PathBuf::from("/no/such/folder/gateway.log");
        let fault = Output::File(path).open().err().unwrap().to_string();
        assert!(fault.contains("/no/such/folder/gateway.log"), "{fault}");
    }
}
