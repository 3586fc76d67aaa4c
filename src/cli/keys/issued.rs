//! A value that was just made, shown the one time that it is seen.

use serde_json::Value;

use super::view;
use crate::cli::{Console, Failure};
use crate::config::{Keys, RotateAfter};
use crate::key::digest::Hasher;
use crate::key::lifecycle::Imprint;
use crate::key::secret::Secret;
use crate::key::{KeyKind, KeyRecord, Timestamp};

/// Draws a new value, and takes the imprint that is kept of it.
pub(super) fn mint(keys: &Keys) -> Result<(Secret, Imprint), Failure> {
    let secret = Secret::mint(&keys.prefix).map_err(Failure::failed)?;
    let imprint = Imprint::of(&secret, &keys.prefix, &Hasher::new(keys.pepper.as_ref()));
    Ok((secret, imprint))
}

/// Prints a new value: alone on standard output, or in the record as JSON.
pub(super) fn print(
    secret: &Secret,
    record: &KeyRecord,
    json: Option<RotateAfter>,
    console: &mut Console,
) -> Result<(), Failure> {
    let is_pair = record.kind == KeyKind::Pair;
    let what = if is_pair { "secret" } else { "key" };
    match record.kind {
        KeyKind::Public => console.note("It is no secret: `scopegate keys show` shows it again."),
        KeyKind::Pair | KeyKind::Secret => {
            console.note(format_args!("The {what} is shown this once; only its digest is stored."));
        }
    }
    let Some(rotate_after) = json else {
        if is_pair {
            console.print_bytes(record.id.as_str().as_bytes())?;
            console.print_bytes(b":")?;
        }
        console.print_bytes(secret.expose())?;
        return console.print_bytes(b"\n");
    };
    let mut object = view::to_json_with_age(record, (Timestamp::now(), rotate_after));
    if let Value::Object(fields) = &mut object {
        let shown = String::from_utf8_lossy(secret.expose()).into_owned();
        // Right behind `id` and `name`, where a reader looks.
        if record.kind != KeyKind::Public {
            fields.shift_insert(2, what.to_owned(), Value::String(shown));
        }
    }
    console.print_json(&object)
}
