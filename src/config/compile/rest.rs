//! The sections that only the file can give.

use std::path::Path;

use crate::config::read::{Fields, Reader};
use crate::config::unit::{self, Complaint};
use crate::config::{Cors, Drain, ErrorFormat, Limits, Log, Mode, TrustedProxies, Underscores, section};

/// The parts of a configuration that only the file can give.
pub(super) struct Rest {
    pub(super) mode: Mode,
    pub(super) hosts: Vec<Box<str>>,
    pub(super) identity_headers: bool,
    pub(super) underscores: Underscores,
    pub(super) trusted_proxies: TrustedProxies,
    pub(super) cors: Option<Cors>,
    pub(super) errors: ErrorFormat,
    pub(super) limits: Limits,
    pub(super) log: Log,
    pub(super) drain: Drain,
    pub(super) workers: Option<usize>,
}

impl Rest {
    pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, folder: &Path) -> Self {
        const MODES: [(&str, Mode); 2] = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
        const UNDERSCORES: [(&str, Underscores); 2] = [("drop", Underscores::Drop), ("allow", Underscores::Allow)];
        const ERRORS: [(&str, ErrorFormat); 3] =
            [("problem", ErrorFormat::Problem), ("json-api", ErrorFormat::JsonApi), ("mailjet", ErrorFormat::Mailjet)];
        let inner = |reader: &mut Reader<'_>, section: &str, name: &str| {
            let field = fields.find(section)?;
            reader.fields(&field, &[name])?.find(name)
        };
        let identity = inner(reader, "identity", "headers");
        let underscores = inner(reader, "headers", "underscores");
        Self {
            mode: fields.find("mode").and_then(|f| reader.choice(&f, &MODES)).unwrap_or(Mode::Enforce),
            hosts: fields.find("hosts").map_or_else(Vec::new, |f| section::hosts(reader, &f)),
            identity_headers: identity.and_then(|f| reader.boolean(&f)).unwrap_or(true),
            underscores: underscores.and_then(|f| reader.choice(&f, &UNDERSCORES)).unwrap_or(Underscores::Drop),
            trusted_proxies: fields
                .find("trusted_proxies")
                .map_or_else(TrustedProxies::default, |f| TrustedProxies::read(reader, &f)),
            cors: fields.find("cors").filter(|f| !Reader::is_none(f)).and_then(|f| Cors::read(reader, &f)),
            errors: fields.find("errors").and_then(|f| reader.choice(&f, &ERRORS)).unwrap_or(ErrorFormat::Problem),
            limits: fields.find("limits").map_or_else(Limits::default, |f| Limits::read(reader, &f)),
            log: fields.find("log").map_or_else(Log::default, |f| Log::read(reader, &f, folder)),
            drain: fields.find("drain").map_or_else(Drain::default, |f| Drain::read(reader, &f)),
            workers: fields.find("workers").and_then(|f| reader.parse(&f, workers)).flatten(),
        }
    }
}

fn workers(text: &str) -> Result<Option<usize>, Complaint> {
    if text == "auto" {
        return Ok(None);
    }
    unit::number(1, 1024)(text)
        .map(|number| usize::try_from(number).ok())
        .map_err(|complaint| Complaint::new(complaint.message, "write `auto`, or a number from 1 to 1024"))
}
