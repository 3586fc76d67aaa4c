//! `trusted_proxies`: whose word is taken for where a request comes from.

use std::net::IpAddr;

use ipnet::IpNet;

use super::read::{Field, Reader};
use super::section::network;

/// The word for whoever connects to a Unix socket of the gateway: there is no address to tell them apart, but its file has
/// permissions.
const UNIX: &str = "unix";

/// Those whose `X-Forwarded-*` and `Forwarded` are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Networks; a single address is one, too.
    pub networks: Vec<IpNet>,
    /// Whoever connects to a Unix socket.
    pub unix: bool,
}

impl TrustedProxies {
    /// Whether the other end of a connection is one; `None` is the other end of a Unix socket.
    pub fn has(&self, peer: Option<IpAddr>) -> bool {
        peer.map_or(self.unix, |address| self.has_address(address))
    }

    /// Whether an address is one.
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    pub(super) fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Self {
        let mut trusted = Self::default();
        for item in &reader.items_as(field, "`[10.0.0.0/8]`") {
            match reader.parse(item, |text| if text == UNIX { Ok(None) } else { network(text).map(Some) }) {
                Some(Some(network)) => {
                    if network.prefix_len() == 0 {
                        let message =
                            format!("`{}`: `{network}` is everybody, and whoever calls says who calls", item.path);
                        let help = "name the networks of your proxies: `allow_from` of keys and the log go by this";
                        reader.warning(item.node.span, message, help);
                    }
                    trusted.networks.push(network);
                }
                Some(None) => trusted.unix = true,
                None => {}
            }
        }
        trusted
    }
}
