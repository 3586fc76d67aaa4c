//! Reads the `upstream` section.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Ca, ClientCertificate, HostRule, Protocol, Retries, Timeouts, Upstream, UpstreamAddress, UpstreamTls};
use crate::config::file::Files;
use crate::config::read::{Field, Fields, Reader};
use crate::config::section::{count, fix, refuse, value};
use crate::config::unit::{self, Complaint};
use crate::config::{address, credential};
use crate::key::secret::Secret;

/// The most that a file of certificates may hold, in bytes.
const PEM_LIMIT: u64 = 4 << 20;

/// The address of an upstream and its authority.
type Located = (UpstreamAddress, Box<str>);

/// What the section is read with.
#[derive(Debug)]
pub(in crate::config) struct Inputs<'i> {
    /// An address that overrides the URL of the file.
    pub(in crate::config) address: Option<Located>,
    /// What relative paths are relative to.
    pub(in crate::config) folder: &'i Path,
    /// Reads files, and remembers them.
    pub(in crate::config) files: &'i Files,
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
            upstream.tls = UpstreamTls::read(reader, &field, &mut inputs);
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
        (None, Some(url)) => reader.parse(&url, |text| address::upstream(text, inputs.folder)),
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
    fn read(reader: &mut Reader<'_>, field: &Field<'_>, inputs: &mut Inputs<'_>) -> Self {
        let mut tls = Self::default();
        let known = ["ca", "client_cert", "client_key", "server_name"];
        let Some(fields) = reader.fields(field, &known) else { return tls };
        let some = |name: &str| fields.find(name).filter(|field| !Reader::is_none(field));
        if let Some(field) = some("server_name") {
            tls.server_name = reader.parse(&field, address::authority);
        }
        if let Some(field) = some("ca")
            && let Some((path, pem)) = ca(reader, &field, inputs)
        {
            tls.ca = Ca::File { path, pem };
        }
        match (some("client_cert"), some("client_key")) {
            (Some(cert), Some(key)) => {
                let cert = pem(reader, &cert, "CERTIFICATE", inputs);
                let key = pem(reader, &key, "PRIVATE KEY", inputs);
                if let (Some((_, chain_pem)), Some((_, key))) = (cert, key) {
                    tls.client = Some(ClientCertificate { chain_pem, key_pem: Secret::new(key) });
                }
            }
            (Some(alone), None) | (None, Some(alone)) => {
                let complaint =
                    Complaint::new("`client_cert` and `client_key` belong together", "write both, or neither");
                reader.complain(&alone, complaint);
            }
            (None, None) => {}
        }
        tls
    }
}

/// The certificates of `ca`; `None` for `system`.
fn ca(reader: &mut Reader<'_>, field: &Field<'_>, inputs: &mut Inputs<'_>) -> Option<(PathBuf, Vec<u8>)> {
    if field.node.scalar().is_some_and(|scalar| &*scalar.text == "system") {
        return None;
    }
    pem(reader, field, "CERTIFICATE", inputs)
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

/// The file that a field names, which must hold PEM of the `label`. The bytes are not judged further here.
fn pem(reader: &mut Reader<'_>, field: &Field<'_>, label: &str, inputs: &mut Inputs<'_>) -> Option<(PathBuf, Vec<u8>)> {
    let path = inputs.folder.join(reader.string(field)?.value);
    let help = "a relative path is relative to this file";
    let bytes = match inputs.files.read_bytes(&path, PEM_LIMIT) {
        Ok(bytes) => bytes,
        Err(why) => {
            let message = format!("`{}` cannot be read: {why}", path.display());
            reader.complain(field, Complaint::new(message, help));
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let found =
        text.lines().any(|line| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(&format!("{label}-----")));
    if !found {
        let message = format!("`{}` holds no PEM of a {label}", path.display());
        let help = format!("name a file that has a line `-----BEGIN {label}-----`");
        reader.complain(field, Complaint::new(message, help));
        return None;
    }
    drop(text);
    Some((path, bytes))
}
