//! Reads `listen`: an address, a map, or a list of both.

use std::path::Path;

use super::{Address, Carrier, Listen};
use crate::config::address;
use crate::config::read::{Field, Fields, Reader};
use crate::config::section::networks;
use crate::config::text::quoted;
use crate::config::unit::Complaint;
use crate::yaml::{Span, Value};

/// Where callers connect. `default` carries HTTP where an item does not say what does.
pub(in crate::config) fn read(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    (folder, default): (&Path, Carrier),
) -> Vec<Listen> {
    let items = match &field.node.value {
        Value::List(_) => reader.items(field),
        Value::Map(_) | Value::Scalar(_) => vec![field.clone()],
    };
    if items.is_empty() {
        reader.complain(field, Complaint::new("is empty", "write at least one address, as in `127.0.0.1:8080`"));
    }
    let mut listen: Vec<(Listen, Span)> = Vec::new();
    for item in items {
        let Some(next) = listener(reader, &item, (folder, default)) else { continue };
        if let Some((_, first)) = listen.iter().find(|(other, _)| is_same(&other.address, &next.address)) {
            let complaint = Complaint::new(format!("`{}` is given twice", next.address), "remove one of the two");
            reader.collision(item.node.span, *first, complaint);
        }
        listen.push((next, item.node.span));
    }
    listen.into_iter().map(|(listen, _)| listen).collect()
}

/// Notes that a certificate is given, and that no listener shows it.
pub(in crate::config) fn warn_of_unused(reader: &mut Reader<'_>, tls: &Field<'_>, listen: &[Listen]) {
    if !listen.is_empty() && listen.iter().all(|listen| listen.carrier == Carrier::Cleartext) {
        reader.warning(
            tls.node.span,
            "`tls` is given, and no listener ends TLS",
            "remove it, or a `tls: false` in `listen`",
        );
    }
}

/// Whether two listeners would collide. Port 0 is another port each time.
fn is_same(one: &Address, other: &Address) -> bool {
    one == other && !matches!(one, Address::Tcp(address) if address.port() == 0)
}

fn listener(reader: &mut Reader<'_>, item: &Field<'_>, (folder, default): (&Path, Carrier)) -> Option<Listen> {
    let read = |text: &str| address::listen(text, folder);
    if !matches!(item.node.value, Value::Map(_)) {
        return reader.parse(item, read).map(|address| Listen::at(address, default));
    }
    let fields = reader.fields(item, &["address", "tls", "proxy_protocol", "mode"])?;
    let Some(field) = fields.find("address") else {
        if !fields.means("address") {
            reader.complain(item, Complaint::new("has no `address`", "write `{ address: 127.0.0.1:8080 }`"));
        }
        return None;
    };
    let mut listen = Listen::at(reader.parse(&field, read)?, default);
    let is_unix = matches!(listen.address, Address::Unix(_));
    carrier(reader, &fields, (&mut listen, default));
    if let Some(field) = fields.find("proxy_protocol") {
        listen.proxy_protocol = networks(reader, &field);
        if is_unix && !listen.proxy_protocol.is_empty() {
            let complaint =
                Complaint::new("means nothing on a Unix socket, where nobody has an address", "leave it out");
            reader.complain(&field, complaint);
        }
    }
    if let Some(field) = fields.find("mode") {
        listen.mode = reader.parse(&field, mode);
        if !is_unix {
            reader.complain(&field, Complaint::new("is for Unix sockets alone", "leave it out"));
        }
    }
    Some(listen)
}

/// `tls` of an item. `default` is TLS exactly where there is a certificate.
fn carrier(reader: &mut Reader<'_>, fields: &Fields<'_>, (listen, default): (&mut Listen, Carrier)) {
    let Some(field) = fields.find("tls") else { return };
    match reader.boolean(&field) {
        Some(true) if matches!(listen.address, Address::Unix(_)) => {
            let help = "leave it out: a Unix socket does not leave this machine";
            reader.complain(&field, Complaint::new("cannot be `true` on a Unix socket", help));
        }
        Some(true) if default == Carrier::Cleartext => {
            let help = "write `tls: { cert: cert.pem, key: key.pem }` at the top level of the file";
            reader.complain(&field, Complaint::new("there is no certificate to show", help));
        }
        Some(true) => listen.carrier = Carrier::Tls,
        Some(false) => listen.carrier = Carrier::Cleartext,
        None => {}
    }
}

/// Permissions as `chmod` takes them: three octal digits, perhaps after a nought.
fn mode(text: &str) -> Result<u32, Complaint> {
    let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3).unwrap_or(text);
    let octal = digits.len() == 3 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    let complaint = || Complaint::new(format!("{} is no file mode", quoted(text)), "write one as in `0660`");
    if !octal {
        return Err(complaint());
    }
    u32::from_str_radix(digits, 8).map_err(|_| complaint())
}
