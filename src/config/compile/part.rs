//! Parts of a configuration, for commands that need no more of it: they work whatever is wrong with the rest, and no secret of
//! the rest is looked for.

use super::{Compile, Fields, Files, Reader, Source, Vocabulary};
use crate::config::fault::{Fault, Severity};
use crate::config::policy::{LoadedPolicy, Surroundings};
use crate::config::{Keys, RotateAfter, StoreLocation};
use crate::yaml::{Entry, Span, Value};

/// Where keys are, and what is known of them without any secret.
#[derive(Debug)]
pub struct StorePart {
    /// Where the key records are.
    pub store: StoreLocation,
    /// Whether there is a pepper, so that digests have the form that it gives them. It is not read.
    pub is_peppered: bool,
    /// When keys ought to be given new values.
    pub rotate_after: RotateAfter,
    /// The names of the upstream credentials; `None` where the file does not say any in a way that can be read.
    pub credentials: Option<Vec<Box<str>>>,
}

/// All that says how keys are made.
#[derive(Debug)]
pub struct KeysPart {
    /// The `keys` section.
    pub keys: Keys,
    /// The names of the upstream credentials; `None` where the file does not say any in a way that can be read.
    pub credentials: Option<Vec<Box<str>>>,
}

/// Reads where keys are. No secret is looked for, not even the pepper.
///
/// # Errors
/// The file cannot be read, is no YAML, or its `keys` section has faults: all of them.
pub fn load_store(source: &Source) -> Result<StorePart, Vec<Fault>> {
    load(source, (&Vocabulary::new(), "keys"), |compile, reader, fields| {
        let overridden = compile.overridden_store();
        let (keys, is_peppered) = match fields.find("keys") {
            Some(field) => {
                let (keys, pepper) = Keys::read_sealed(reader, &field, (&compile.folder, overridden));
                (keys, pepper.is_some())
            }
            None => (Keys::at(&compile.folder, overridden), false),
        };
        Some(StorePart {
            store: keys.store,
            is_peppered,
            rotate_after: keys.rotate_after,
            credentials: credentials(fields),
        })
    })
}

/// Reads all that says how keys are made, the pepper too.
///
/// # Errors
/// As [`load_store`]; and a pepper that is not where it is said to be.
pub fn load_keys(source: &Source) -> Result<KeysPart, Vec<Fault>> {
    load(source, (&Vocabulary::new(), "keys"), |compile, reader, fields| {
        let overridden = compile.overridden_store();
        let keys = match fields.find("keys") {
            Some(field) => Keys::read(reader, &field, (&compile.folder, overridden)),
            None => Keys::at(&compile.folder, overridden),
        };
        Some(KeysPart { keys, credentials: credentials(fields) })
    })
}

/// Reads the policy. What it says of upstream credentials and of public keys is not held against the rest.
///
/// # Errors
/// All faults of the policy; a file that cannot be read, or is no YAML.
pub fn load_policy(source: &Source, vocabulary: &Vocabulary) -> Result<LoadedPolicy, Vec<Fault>> {
    load(source, (vocabulary, "policy"), |compile, reader, fields| {
        let surroundings = Surroundings { vocabulary, credentials: None, public_keys: None };
        let overridden = compile.overridden_policy();
        compile.policy(reader, fields, (overridden, surroundings))
    })
}

/// What `read` makes of the file, as far as the section `name` goes.
fn load<T>(
    source: &Source,
    (vocabulary, name): (&Vocabulary, &str),
    read: impl FnOnce(&mut Compile<'_>, &mut Reader<'_>, &Fields<'_>) -> Option<T>,
) -> Result<T, Vec<Fault>> {
    let (mut compile, text) = Compile::begin(source, vocabulary, &Files::default())?;
    let (mut reader, root) = compile.reader(text.as_ref());
    let fields = Compile::fields(&mut reader, root.as_ref());
    let part = fields.as_ref().and_then(|fields| read(&mut compile, &mut reader, fields));
    if let Some(fields) = &fields {
        confine(&mut reader, fields, name);
    }
    let mut faults = reader.finish();
    faults.append(&mut compile.faults);
    faults.retain(|fault| fault.severity == Severity::Error);
    match part {
        Some(part) if faults.is_empty() => Ok(part),
        _ if faults.is_empty() => Err(vec![Fault::of(super::USUAL_FILE, "the configuration is incomplete", "")]),
        _ => Err(faults),
    }
}

/// Forgets what is wrong elsewhere, unless the section itself may stand there, misspelt. What stands elsewhere is not shown: it
/// may be a secret, and no reader that knows it has seen it.
fn confine(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str) {
    for entry in fields.entries().iter().filter(|entry| &*entry.key != name) {
        reader.mask(&entry.value);
    }
    if fields.means(name) {
        return;
    }
    let of_section = |entry: &Entry| Span { start: entry.key_span.start, end: entry.value.span.end };
    let mut spans: Vec<Span> = fields.entries().iter().filter(|entry| &*entry.key == name).map(of_section).collect();
    // Where a field that must be there is missing, the fault has no place.
    spans.push(Span::default());
    reader.confine(&spans);
}

/// The names of the upstream credentials. What they are is not looked at.
fn credentials(fields: &Fields<'_>) -> Option<Vec<Box<str>>> {
    let Some(upstream) = fields.find("upstream") else {
        return (!fields.means("upstream")).then(Vec::new);
    };
    let Value::Map(entries) = &upstream.node.value else { return None };
    let Some(named) = entries.iter().find(|entry| &*entry.key == "credentials") else { return Some(Vec::new()) };
    match &named.value.value {
        Value::Map(entries) => Some(entries.iter().map(|entry| entry.key.clone()).collect()),
        _ => None,
    }
}
