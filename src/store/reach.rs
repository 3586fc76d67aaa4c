//! A store that is open, or is opened once it can be.

use std::fmt;
use std::time::Duration;

use super::{KeyStore, StoreError, follow};

/// Opens a store, as often as it is tried.
type Opener = Box<dyn FnMut() -> Result<Box<dyn KeyStore>, StoreError> + Send>;

/// A way to a store. Whoever has one goes on working while the store cannot be opened yet.
pub struct Reach {
    place: String,
    /// The longest rest while it is not open.
    rest: Duration,
    way: Way,
}

enum Way {
    Open(Box<dyn KeyStore>),
    Shut(Opener),
}

impl Reach {
    /// To a store that is open.
    pub fn of(store: Box<dyn KeyStore>) -> Self {
        Self { place: store.place(), rest: store.rest(), way: Way::Open(store) }
    }

    /// To the store at `place`, which `open` opens once it can be.
    pub fn to(place: String, open: impl FnMut() -> Result<Box<dyn KeyStore>, StoreError> + Send + 'static) -> Self {
        Self { place, rest: follow::REST, way: Way::Shut(Box::new(open)) }
    }

    /// The same, with another longest rest between two attempts to open it.
    #[must_use]
    pub fn resting(self, rest: Duration) -> Self {
        Self { rest, ..self }
    }

    /// How long whoever is refused by it rests at most before the next attempt.
    pub fn rest(&self) -> Duration {
        match &self.way {
            Way::Open(store) => store.rest(),
            Way::Shut(_) => self.rest,
        }
    }

    /// Where it is. Holds no credential.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The store, where it is open.
    pub fn opened(&mut self) -> Option<&mut dyn KeyStore> {
        match &mut self.way {
            Way::Open(store) => Some(&mut **store),
            Way::Shut(_) => None,
        }
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
