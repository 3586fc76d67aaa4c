//! The bytes of a copy, for fuzz targets, which see this crate from outside. No other build has it.

use sha2::{Digest as _, Sha256};

use super::{Past, SpareFault, format};
use crate::key::Timestamp;
use crate::store::Change;
use crate::store::index::Index;

/// A copy with that body, whose checksums hold whatever it says.
pub fn sealed(body: &[u8], contact: Timestamp) -> Vec<u8> {
    let prelude = format::prelude(&Sha256::digest(body).into(), contact);
    [&prelude[..], body].concat()
}

/// Reads a copy and tells every value of a key in it.
///
/// # Errors
/// It cannot be used.
pub fn read(bytes: &[u8], tell: &mut dyn FnMut(Change)) -> Result<(String, Past), SpareFault> {
    format::read(bytes, tell)
}

/// The copy of an index that is filled from the store at `place`.
///
/// # Errors
/// A record is longer than any copy holds.
pub fn write(place: &str, past: &Past, index: &Index) -> std::io::Result<Vec<u8>> {
    let mut body = format::Body::new(Vec::new(), place, past)?;
    let mut written = Ok(());
    index.tell(&mut |change| {
        if written.is_ok() {
            written = body.add(&change);
        }
    });
    written?;
    let (body, _) = body.finish()?;
    Ok(sealed(&body, past.contact))
}
