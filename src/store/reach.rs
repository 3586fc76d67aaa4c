//! A store that is open, or is opened once it can be.

use std::fmt;

use super::{KeyStore, StoreError};

/// Opens a store, as often as it is tried.
type Opener = Box<dyn FnMut() -> Result<Box<dyn KeyStore>, StoreError> + Send>;

/// A way to a store. Whoever has one goes on working while the store cannot be opened yet.
pub struct Reach {
    place: String,
    way: Way,
}

enum Way {
    Open(Box<dyn KeyStore>),
    Shut(Opener),
}

impl Reach {
    /// To a store that is open.
    pub fn of(store: Box<dyn KeyStore>) -> Self {
        Self { place: store.place(), way: Way::Open(store) }
    }

    /// To the store at `place`, which `open` opens once it can be.
    pub fn to(place: String, open: impl FnMut() -> Result<Box<dyn KeyStore>, StoreError> + Send + 'static) -> Self {
        Self { place, way: Way::Shut(Box::new(open)) }
    }

    /// Where it is. Holds no credential.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The store. Where it is not open, an attempt is made to open it.
    ///
    /// # Errors
    /// It cannot be opened at the moment.
    pub fn store(&mut self) -> Result<&mut dyn KeyStore, StoreError> {
        if let Way::Shut(open) = &mut self.way {
            self.way = Way::Open(open()?);
        }
        match &mut self.way {
            Way::Open(store) => Ok(&mut **store),
            // It was opened just above.
            Way::Shut(_) => Err(StoreError::Missing { path: self.place.clone().into() }),
        }
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Reach").field("place", &self.place).finish_non_exhaustive()
    }
}
