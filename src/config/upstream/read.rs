//! Reads the `upstream` section.

use std::path::PathBuf;
use std::time::Duration;

use super::{Ca, HostRule, Protocol, Retries, Timeouts, Upstream, UpstreamAddress, UpstreamTls};
use crate::config::read::{Field, Fields, Reader};
use crate::config::section::{count, fix, refuse, value};
use crate::config::tls::read::{self as tls, Place};
use crate::config::unit::{self, Complaint};
use crate::config::{address, credential};

/// The address of an upstream and its authority.
type Located = (UpstreamAddress, Box<str>);

/// What the section is read with.
#[derive(Debug)]
pub(in crate::config) struct Inputs<'i> {
    /// An address that overrides the URL of the file.
    pub(in crate::config) address: Option<Located>,
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

impl Default for UpstreamTls {
    fn default() -> Self {
        Self { ca: Ca::System, client: None, server_name: None }
    }
}

impl Upstream {
    /// An upstream at `address`, of which nothing else is known.
    pub(in crate::config) fn at((address, authority): Located) -> Self {
        let tls = matches!(address, UpstreamAddress::Tcp { tls: true, .. });
        Self {
            address,
            authority,
            protocol: Protocol::H1,
            host: if tls { HostRule::Url } else { HostRule::Preserve },
            credential: None,
            credentials: std::collections::BTreeMap::new(),
            tls: UpstreamTls::default(),
            timeouts: Timeouts::default(),
            retries: Retries::default(),
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
        refuse(reader, &fields, "urls", "write one `url`, and let a load balancer stand behind it");
        if let Some(field) = fields.find("health") {
            health(reader, &field);
        }
        let located = url(reader, field, &fields, &mut inputs);
        // Where the address is at fault, the rest is still read for its own faults.
        let missing = located.is_none();
        let nowhere = || (UpstreamAddress::Unix(PathBuf::new()), "localhost".into());
        let mut upstream = Self::at(located.unwrap_or_else(nowhere));
        if let Some(field) = fields.find("protocol") {
            upstream.protocol = protocol(reader, &field, Some(&upstream.address).filter(|_| !missing));
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

/// The address: what overrides the file, or else the file's `url`.
fn url(reader: &mut Reader<'_>, section: &Field<'_>, fields: &Fields<'_>, inputs: &mut Inputs<'_>) -> Option<Located> {
    let written = fields.find("url");
    if let Some(url) = &written
        && url.node.scalar().is_some_and(|scalar| scalar.text.contains('@'))
    {
        reader.mask(url.node);
    }
    match (inputs.address.take(), written) {
        (Some(address), _) => Some(address),
        (None, Some(url)) if !reader.has_value(&url, "write `url: http://127.0.0.1:3000`") => None,
        (None, Some(url)) => reader.parse(&url, |text| address::upstream(text, inputs.place.folder)),
        (None, None) => {
            if fields.find("urls").is_none() && !fields.means("url") {
                let complaint = Complaint::new("has no `url`", "write `url: http://127.0.0.1:3000`");
                reader.complain(section, complaint);
            }
            None
        }
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

/// Health checks are not there yet; what the reference shows as default is accepted.
fn health(reader: &mut Reader<'_>, field: &Field<'_>) {
    let Some(fields) = reader.fields(field, &["path", "interval", "eject_after"]) else {
        return;
    };
    refuse(reader, &fields, "path", "leave it out: with one upstream nothing could be chosen instead");
    fix(reader, &fields, "interval", "5s");
    fix(reader, &fields, "eject_after", "5");
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
    fn read(reader: &mut Reader<'_>, field: &Field<'_>, place: Place<'_>) -> Self {
        let mut settings = Self::default();
        let known = ["ca", "client_cert", "client_key", "server_name"];
        let Some(fields) = reader.fields(field, &known) else { return settings };
        let some = |name: &str| fields.find(name).filter(|field| !Reader::is_none(field));
        if let Some(field) = some("server_name") {
            settings.server_name = reader.parse(&field, address::authority);
        }
        let is_system = |field: &Field<'_>| field.node.scalar().is_some_and(|scalar| &*scalar.text == "system");
        if let Some(field) = some("ca").filter(|field| !is_system(field))
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
fn protocol(reader: &mut Reader<'_>, field: &Field<'_>, address: Option<&UpstreamAddress>) -> Protocol {
    const KNOWN: [(&str, Protocol); 3] = [("h1", Protocol::H1), ("h2", Protocol::H2), ("h2c", Protocol::H2c)];
    let Some(protocol) = reader.choice(field, &KNOWN) else { return Protocol::H1 };
    let Some(address) = address else { return protocol };
    let tls = matches!(address, UpstreamAddress::Tcp { tls: true, .. });
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
