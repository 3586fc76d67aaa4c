//! Reads certificates, keys and authorities, and the `tls` section.

use std::path::{Path, PathBuf};

use super::judge::{self, Misfit};
use super::{Certificate, EXPIRY_NOTICE, MinVersion, Roots, ServerTls};
use crate::config::file::Files;
use crate::config::read::{Field, Reader};
use crate::config::unit::Complaint;
use crate::key::Timestamp;
use crate::key::secret::Secret;

/// The most that a file of certificates may hold, in bytes.
const PEM_LIMIT: u64 = 4 << 20;

/// Where files are, and what reads them.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Place<'p> {
    /// What relative paths are relative to.
    pub(in crate::config) folder: &'p Path,
    /// Reads files, and remembers them.
    pub(in crate::config) files: &'p Files,
}

/// A file as it was read. It may be a key: there is no way to print it.
struct Pem {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl ServerTls {
    /// Reads the section; `None` where it has a fault.
    pub(in crate::config) fn read(reader: &mut Reader<'_>, field: &Field<'_>, place: Place<'_>) -> Option<Self> {
        const VERSIONS: [(&str, MinVersion); 2] = [("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)];
        let fields = reader.fields(field, &["cert", "key", "client_ca", "min_version"])?;
        let min_version = match fields.find("min_version") {
            Some(field) => reader.choice(&field, &VERSIONS),
            None => Some(MinVersion::Tls12),
        };
        let client_ca = match fields.find("client_ca").filter(|field| !Reader::is_null(field)) {
            Some(field) => roots(reader, &field, place).map(Some),
            None => Some(None),
        };
        let certificate = match (fields.find("cert"), fields.find("key")) {
            (Some(cert), Some(key)) => certificate(reader, (&cert, &key), place),
            (cert, _) => {
                let missing = if cert.is_some() { "key" } else { "cert" };
                let help = "write `tls: { cert: cert.pem, key: key.pem }`";
                reader.complain(field, Complaint::new(format!("has no `{missing}`"), help));
                None
            }
        };
        Some(Self { certificate: certificate?, client_ca: client_ca?, min_version: min_version? })
    }
}

/// A certificate with its key; a fault is noted for whichever of the two files it is about.
pub(in crate::config) fn certificate(
    reader: &mut Reader<'_>,
    (cert, key): (&Field<'_>, &Field<'_>),
    place: Place<'_>,
) -> Option<Certificate> {
    let chain = file(reader, cert, place).and_then(|file| {
        let judged = judge::certificates(&file.bytes);
        taken(reader, (cert, &file), judged).map(|chain| (file, chain))
    });
    let secret = file(reader, key, place).and_then(|file| {
        let judged = judge::key(&file.bytes);
        taken(reader, (key, &file), judged).map(|key| (file, key))
    });
    let ((file, chain), (key_file, secret)) = (chain?, secret?);
    let now = Timestamp::now();
    let expires = match judge::pair(&chain, secret, now) {
        Ok(expires) => expires,
        Err(Misfit::Chain(complaint)) => return taken(reader, (cert, &file), Err(complaint)),
        Err(Misfit::Key(complaint)) => return taken(reader, (key, &key_file), Err(complaint)),
    };
    if expires <= now.after(EXPIRY_NOTICE) {
        let message = format!("`{}`: {} expires on {expires}", cert.path, file.path.display());
        reader.warning(cert.node.span, message, "renew it; a new file is taken over without a restart");
    }
    Some(Certificate { path: file.path, chain_pem: file.bytes, key_pem: Secret::new(key_file.bytes), expires })
}

/// Certificates of authorities.
pub(in crate::config) fn roots(reader: &mut Reader<'_>, field: &Field<'_>, place: Place<'_>) -> Option<Roots> {
    let file = file(reader, field, place)?;
    let judged = judge::roots(&file.bytes);
    taken(reader, (field, &file), judged).map(|()| Roots { path: file.path, pem: file.bytes })
}

/// What was made of a file, or the complaint about it under its name.
fn taken<T>(reader: &mut Reader<'_>, (field, file): (&Field<'_>, &Pem), judged: Result<T, Complaint>) -> Option<T> {
    judged
        .map_err(|complaint| {
            let message = format!("`{}` {}", file.path.display(), complaint.message);
            reader.complain(field, Complaint::new(message, complaint.help));
        })
        .ok()
}

/// The file that a field names, whatever it holds.
fn file(reader: &mut Reader<'_>, field: &Field<'_>, place: Place<'_>) -> Option<Pem> {
    if !reader.has_value(field, "name a PEM file") {
        return None;
    }
    let path = place.folder.join(reader.string(field)?.value);
    match place.files.read_bytes(&path, PEM_LIMIT) {
        Ok(bytes) => Some(Pem { path, bytes }),
        Err(why) => {
            let message = format!("`{}` cannot be read: {why}", path.display());
            reader.complain(field, Complaint::new(message, "a relative path is relative to this file"));
            None
        }
    }
}
