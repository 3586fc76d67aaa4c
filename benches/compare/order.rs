//! What callers ask for: a line for each request, of method, target, key and bytes of body, parted by tabs.

use std::fs;
use std::path::Path;

use crate::Outcome;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Empty where none is presented.
    pub(crate) key: String,
    pub(crate) body: usize,
}

/// Fields beside the key, as a client of an SDK has them.
pub(crate) const FIELDS: [(&str, &str); 4] = [
    ("user-agent", "parcel-sdk/3.2 (python 3.12)"),
    ("accept", "application/json"),
    ("accept-encoding", "identity"),
    ("x-api-revision", "2026-11-01"),
];

impl Order {
    /// All requests of a file.
    pub(crate) fn read_all(path: &Path) -> Outcome<Vec<Self>> {
        let text = fs::read_to_string(path)?;
        let orders: Outcome<Vec<Self>> = text.lines().map(Self::read).collect();
        orders.and_then(|orders| if orders.is_empty() { Err("no requests".into()) } else { Ok(orders) })
    }

    fn read(line: &str) -> Outcome<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [method, target, key, body] = fields.as_slice() else {
            return Err(format!("not method, target, key and body: {line}").into());
        };
        Ok(Self {
            method: (*method).to_owned(),
            target: (*target).to_owned(),
            key: (*key).to_owned(),
            body: body.parse()?,
        })
    }

    /// The bytes of HTTP/1.1.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: api.example.test\r\n", self.method, self.target);
        let mut field = |name: &str, value: &str| head.extend([name, ": ", value, "\r\n"]);
        for (name, value) in FIELDS {
            field(name, value);
        }
        if !self.key.is_empty() {
            field("authorization", &format!("Bearer {}", self.key));
        }
        if self.body > 0 {
            field("content-type", "application/json");
            field("content-length", &self.body.to_string());
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.resize(bytes.len() + self.body, b'7');
        bytes
    }
}
