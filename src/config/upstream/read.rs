//! Reads the `upstream` section.

use std::time::Duration;

use super::{Ca, Health, HostRule, Protocol, Retries, Timeouts, Upstream, UpstreamTls, UpstreamUrl, urls};
use crate::config::read::{Field, Reader};
use crate::config::section::{count, value};
use crate::config::text::quoted;
use crate::config::tls::read::{self as tls, Place};
use crate::config::unit::{self, Complaint};
use crate::config::{address, credential};

/// What the section is read with.
#[derive(Debug)]
pub(in crate::config) struct Inputs<'i> {
    /// An address that overrides those of the file.
    pub(in crate::config) address: Option<UpstreamUrl>,
    /// Where files are, and what reads them.
    pub(in crate::config) place: Place<'i>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            response: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            request: None,
        }
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self { connect: 2, idempotent: 1, budget_percent: 20 }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self { path: None, interval: Duration::from_secs(5), eject_after: 5 }
    }
}

impl Default for UpstreamTls {
    fn default() -> Self {
        Self { ca: Ca::System, client: None, server_name: None }
    }
}

impl Upstream {
    /// An upstream of which nothing but the addresses is known.
    pub(in crate::config) fn at(urls: Vec<UpstreamUrl>) -> Self {
        let tls = urls.first().is_some_and(UpstreamUrl::has_tls);
        Self {
            urls,
            protocol: Protocol::H1,
            host: if tls { HostRule::Url } else { HostRule::Preserve },
            credential: None,
            credentials: std::collections::BTreeMap::new(),
            tls: UpstreamTls::default(),
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            health: Health::default(),
            max_pending: 1024,
        }
    }

    /// Reads the section; `None` where it does not say where the upstream is.
    pub(in crate::config) fn read(reader: &mut Reader<'_>, field: &Field<'_>, mut inputs: Inputs<'_>) -> Option<Self> {
        const KNOWN: [&str; 11] = [
            "url",
            "urls",
            "protocol",
            "host",
            "credential",
            "credentials",
            "tls",
            "timeouts",
            "retries",
            "health",
            "max_pending",
        ];
        let fields = reader.fields(field, &KNOWN)?;
        let located = urls::read(reader, field, &fields, &mut inputs);
        // Where the address is at fault, the rest is still read for its own faults.
        let missing = located.is_none();
        let mut upstream = Self::at(located.unwrap_or_default());
        if let Some(field) = fields.find("protocol") {
            upstream.protocol = protocol(reader, &field, upstream.urls.first());
        }
        if let Some(field) = fields.find("health") {
            upstream.health = Health::read(reader, &field);
            if upstream.health.path.is_some() && upstream.urls.len() == 1 {
                let help = "leave it out, or name several servers in `upstream.urls`";
                reader.warning(field.node.span, "`upstream.health.path` is asked of nobody: there is one server", help);
            }
        }
        if let Some(field) = fields.find("host")
            && let Some(rule) = reader.parse(&field, host)
        {
            upstream.host = rule;
        }
        if let Some(field) = fields.find("credential").filter(|field| !Reader::is_none(field)) {
            upstream.credential = credential::credential(reader, &field);
        }
        if let Some(field) = fields.find("credentials") {
            upstream.credentials = credential::named(reader, &field);
        }
        if let Some(field) = fields.find("tls") {
            upstream.tls = UpstreamTls::read(reader, &field, inputs.place);
            let is_cleartext = !upstream.urls.is_empty() && !upstream.urls.iter().any(UpstreamUrl::has_tls);
            if is_cleartext && upstream.tls.says_something() {
                let help = "write an `https` URL, or remove it: no certificate is asked for or shown";
                reader.warning(field.node.span, "`upstream.tls` is given, and the upstream is cleartext", help);
            }
        }
        if let Some(field) = fields.find("timeouts") {
            upstream.timeouts = Timeouts::read(reader, &field);
        }
        if let Some(field) = fields.find("retries") {
            upstream.retries = Retries::read(reader, &field);
        }
        upstream.max_pending = value(reader, &fields, ("max_pending", upstream.max_pending), count(1, 1_000_000));
        (!missing).then_some(upstream)
    }
}

fn host(text: &str) -> Result<HostRule, Complaint> {
    match text {
        "preserve" => Ok(HostRule::Preserve),
        "url" => Ok(HostRule::Url),
        name => match address::authority(name) {
            Ok(name) => Ok(HostRule::Name(name)),
            Err(complaint) => {
                Err(Complaint::new(complaint.message, "write `preserve`, `url` or a name as in `api.example.com`"))
            }
        },
    }
}

impl Health {
    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Self {
        let usual = Self::default();
        let Some(fields) = reader.fields(field, &["path", "interval", "eject_after"]) else {
            return usual;
        };
        let path = fields.find("path").filter(|field| !Reader::is_null(field));
        Self {
            path: path.and_then(|field| reader.parse(&field, probed)),
            interval: value(reader, &fields, ("interval", usual.interval), unit::positive_duration),
            eject_after: value(reader, &fields, ("eject_after", usual.eject_after), |text| {
                unit::number(1, 1000)(text).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
            }),
        }
    }
}

/// A path, perhaps with a query, that is asked for as it is written.
fn probed(text: &str) -> Result<Box<str>, Complaint> {
    if text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Ok(text.into());
    }
    Err(Complaint::new(
        format!("{} is not a path", quoted(text)),
        "write it as in `/healthz`; what is no visible ASCII character is percent-encoded",
    ))
}

impl Timeouts {
    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Self {
        let usual = Self::default();
        let known = ["connect", "response", "idle", "request"];
        let Some(fields) = reader.fields(field, &known) else { return usual };
        let positive = unit::positive_duration;
        Self {
            connect: value(reader, &fields, ("connect", usual.connect), positive),
            response: value(reader, &fields, ("response", usual.response), positive),
            idle: value(reader, &fields, ("idle", usual.idle), positive),
            request: value(reader, &fields, ("request", usual.request), unit::or_none(positive)),
        }
    }
}

impl Retries {
    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Self {
        let usual = Self::default();
        let Some(fields) = reader.fields(field, &["connect", "idempotent", "budget"]) else {
            return usual;
        };
        let few = |text: &str| unit::number(0, 10)(text).map(|n| u32::try_from(n).unwrap_or(0));
        Self {
            connect: value(reader, &fields, ("connect", usual.connect), few),
            idempotent: value(reader, &fields, ("idempotent", usual.idempotent), few),
            budget_percent: value(reader, &fields, ("budget", usual.budget_percent), unit::percent),
        }
    }
}

impl UpstreamTls {
    /// True where it is not what it is when left out.
    fn says_something(&self) -> bool {
        self.ca != Ca::System || self.client.is_some() || self.server_name.is_some()
    }

    fn read(reader: &mut Reader<'_>, field: &Field<'_>, place: Place<'_>) -> Self {
        let mut settings = Self::default();
        let known = ["ca", "client_cert", "client_key", "server_name"];
        let Some(fields) = reader.fields(field, &known) else { return settings };
        let some = |name: &str| fields.find(name).filter(|field| !Reader::is_null(field));
        if let Some(field) = some("server_name") {
            settings.server_name = reader.parse(&field, address::authority);
        }
        let is_system = |field: &Field<'_>| field.node.scalar().is_some_and(|scalar| &*scalar.text == "system");
        if let Some(field) = fields.find("ca").filter(|field| !is_system(field))
            && let Some(roots) = tls::roots(reader, &field, place)
        {
            settings.ca = Ca::File(roots);
        }
        match (some("client_cert"), some("client_key")) {
            (Some(cert), Some(key)) => settings.client = tls::certificate(reader, (&cert, &key), place),
            (Some(alone), None) | (None, Some(alone)) => {
                let complaint =
                    Complaint::new("`client_cert` and `client_key` belong together", "write both, or neither");
                reader.complain(&alone, complaint);
            }
            (None, None) => {}
        }
        settings
    }
}

/// What is spoken with the upstream: `h2` needs TLS, in whose handshake it is agreed upon, and `h2c` is without.
fn protocol(reader: &mut Reader<'_>, field: &Field<'_>, url: Option<&UpstreamUrl>) -> Protocol {
    const KNOWN: [(&str, Protocol); 3] = [("h1", Protocol::H1), ("h2", Protocol::H2), ("h2c", Protocol::H2c)];
    let Some(protocol) = reader.choice(field, &KNOWN) else { return Protocol::H1 };
    let Some(tls) = url.map(UpstreamUrl::has_tls) else { return protocol };
    let complaint = match protocol {
        Protocol::H2 if !tls => Complaint::new(
            "`h2` is agreed upon in a TLS handshake, and the upstream is cleartext",
            "write `h2c`, or an `https` URL",
        ),
        Protocol::H2c if tls => {
            Complaint::new("`h2c` is HTTP/2 over cleartext, and the upstream has TLS", "write `h2`, or an `http` URL")
        }
        Protocol::H1 | Protocol::H2 | Protocol::H2c => return protocol,
    };
    reader.complain(field, complaint);
    protocol
}
