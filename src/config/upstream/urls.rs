//! Reads where the upstream is: `url`, or `urls` where several servers answer alike.

use super::read::Inputs;
use super::{UpstreamAddress, UpstreamUrl};
use crate::config::address;
use crate::config::read::{Field, Fields, Reader};
use crate::config::unit::Complaint;

/// The most servers that one upstream may have.
const MOST: usize = 64;

impl UpstreamUrl {
    /// True for `https`.
    pub fn has_tls(&self) -> bool {
        matches!(self.address, UpstreamAddress::Tcp { tls: true, .. })
    }
}

/// What overrides the file, or else its `url` or `urls`; `None` where that is at fault.
pub(super) fn read(
    reader: &mut Reader<'_>,
    section: &Field<'_>,
    fields: &Fields<'_>,
    inputs: &mut Inputs<'_>,
) -> Option<Vec<UpstreamUrl>> {
    let (one, several) = (fields.find("url"), fields.find("urls"));
    for url in one.iter().cloned().chain(several.iter().flat_map(in_list)) {
        if url.node.scalar().is_some_and(|scalar| scalar.text.contains('@')) {
            reader.mask(url.node);
        }
    }
    if let Some(url) = inputs.address.take() {
        return Some(vec![url]);
    }
    match (one, several) {
        (Some(_), Some(several)) => {
            reader.complain(&several, Complaint::new("stands beside `url`", "write one of the two"));
            None
        }
        (Some(url), None) if !reader.has_value(&url, "write `url: http://127.0.0.1:3000`") => None,
        (Some(url), None) => {
            reader.parse(&url, |text| address::upstream(text, inputs.place.folder)).map(|url| vec![url])
        }
        (None, Some(several)) => list(reader, &several, inputs),
        (None, None) => {
            if !fields.means("url") && !fields.means("urls") {
                let complaint = Complaint::new("has no `url`", "write `url: http://127.0.0.1:3000`");
                reader.complain(section, complaint);
            }
            None
        }
    }
}

/// The items of a list, where it is one.
fn in_list<'n>(field: &Field<'n>) -> Vec<Field<'n>> {
    match &field.node.value {
        crate::yaml::Value::List(items) => items.iter().map(|node| Field { path: field.path.clone(), node }).collect(),
        _ => Vec::new(),
    }
}

fn list(reader: &mut Reader<'_>, field: &Field<'_>, inputs: &Inputs<'_>) -> Option<Vec<UpstreamUrl>> {
    let items = reader.items(field);
    if items.is_empty() || items.len() > MOST {
        let is_list = matches!(field.node.value, crate::yaml::Value::List(_));
        if is_list {
            let message = format!("has {} URLs", items.len());
            reader.complain(field, Complaint::new(message, format!("write 1 to {MOST} of them")));
        }
        return None;
    }
    let mut urls: Vec<UpstreamUrl> = Vec::with_capacity(items.len());
    let mut sound = true;
    for item in &items {
        if let crate::yaml::Value::Map(_) = item.node.value {
            let help = "write each URL alone, as in `http://10.0.0.1:3000`: none has a weight, requests are shared out by load";
            reader.complain(item, Complaint::new("holds a map, and must hold URLs", help));
            sound = false;
            continue;
        }
        let Some(url) = reader.parse(item, |text| address::upstream(text, inputs.place.folder)) else {
            sound = false;
            continue;
        };
        let complaint = match urls.first() {
            Some(first) if first.has_tls() != url.has_tls() => Some(Complaint::new(
                "has `https` beside servers in cleartext",
                "write all with TLS or none: they are spoken to in one way",
            )),
            _ if urls.contains(&url) => {
                Some(Complaint::new("names a server twice", "write each once: requests are shared out by load"))
            }
            _ => None,
        };
        match complaint {
            Some(complaint) => {
                reader.complain(item, complaint);
                sound = false;
            }
            None => urls.push(url),
        }
    }
    sound.then_some(urls)
}
