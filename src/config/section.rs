//! The smaller sections of `scopegate.yaml`, and what this version does not have yet.

use std::net::SocketAddr;

use ipnet::IpNet;

use super::address;
use super::read::{Field, Fields, Reader};
use super::text::quoted;
use super::unit::{self, Complaint};

/// Where the gateway listens unless told otherwise.
pub(super) const LISTEN: SocketAddr = local(8080);
/// Where the admin listener is unless told otherwise.
pub(super) const ADMIN: SocketAddr = local(9901);

const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
}

/// Refuses a field that this version does not have; `help` says what to do instead.
pub(super) fn refuse(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str, help: &str) {
    if let Some(field) = fields.find(name).filter(|field| !Reader::is_null(field)) {
        reader.mask_field(name, field.node);
        let message = format!("`{}` is not available in this version", field.path);
        reader.fault(field.node.span, message, help);
    }
}

/// Networks, or single addresses.
pub(super) fn networks(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<IpNet> {
    let items = reader.items_as(field, "`[10.0.0.0/8]`");
    items.iter().filter_map(|item| reader.parse(item, network)).collect()
}

/// `10.0.0.0/8`, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, Complaint> {
    let network: Option<IpNet> = text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from));
    let Some(network) = network else {
        return Err(Complaint::new(
            format!("{} is not a network", quoted(text)),
            "write one as in `10.0.0.0/8`, or an address as in `10.1.2.3`",
        ));
    };
    if network.trunc() != network {
        return Err(Complaint::new(
            format!("{} has bits behind its prefix", quoted(text)),
            format!("write `{}`", network.trunc()),
        ));
    }
    Ok(network)
}

/// The value of a field of `fields`, or `default` where it is not there or at fault.
pub(super) fn value<T>(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    (name, default): (&str, T),
    read: impl Fn(&str) -> Result<T, Complaint>,
) -> T {
    match fields.find(name) {
        Some(field) => reader.parse(&field, read).unwrap_or(default),
        None => default,
    }
}

/// `hosts`: the only authorities served.
pub(super) fn hosts(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<Box<str>> {
    let items = reader.items(field);
    items.iter().filter_map(|item| reader.parse(item, address::authority)).collect()
}

/// `admin.listen`, unless it is overridden.
pub(super) fn admin(reader: &mut Reader<'_>, fields: &Fields<'_>, overridden: Option<SocketAddr>) -> SocketAddr {
    let Some(section) = fields.find("admin") else {
        return overridden.unwrap_or(ADMIN);
    };
    let Some(fields) = reader.fields(&section, &["listen", "public_url"]) else {
        return ADMIN;
    };
    refuse(reader, &fields, "public_url", "leave it out: this version has no web page");
    overridden.unwrap_or_else(|| value(reader, &fields, ("listen", ADMIN), address::socket))
}

/// `metrics.listen`.
pub(super) fn metrics(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<SocketAddr> {
    let section = fields.find("metrics")?;
    let fields = reader.fields(&section, &["listen"])?;
    value(reader, &fields, ("listen", None), unit::or_none(address::socket))
}

/// A whole number from `least` to `most`.
pub(super) fn count(least: u64, most: u64) -> impl Fn(&str) -> Result<usize, Complaint> {
    let read = unit::number(least, most);
    move |text| read(text).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}
