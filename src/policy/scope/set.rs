//! A set of scope ids as bits.

use super::ScopeId;

/// Ids below this are bits of one word; a policy rarely knows more scopes than that.
const LOW_BITS: u32 = u128::BITS;

/// A set of scopes. The first 128 ids of a process take no allocation; the others grow a slice of words.
#[derive(Clone, Debug, Default)]
pub struct ScopeSet {
    low: u128,
    rest: Box<[u64]>,
}

impl ScopeSet {
    /// The set that holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `id` in; false when it was in already.
    pub fn insert(&mut self, id: ScopeId) -> bool {
        let fresh = !self.contains(id);
        match id.0.checked_sub(LOW_BITS) {
            None => self.low |= 1 << id.0,
            Some(bit) => self.insert_high(bit),
        }
        fresh
    }

    fn insert_high(&mut self, bit: u32) {
        let (word, mask) = place(bit);
        if word >= self.rest.len() {
            let mut grown = std::mem::take(&mut self.rest).into_vec();
            grown.resize(word + 1, 0);
            self.rest = grown.into_boxed_slice();
        }
        if let Some(word) = self.rest.get_mut(word) {
            *word |= mask;
        }
    }

    /// Whether `id` is in.
    #[must_use]
    pub fn contains(&self, id: ScopeId) -> bool {
        match id.0.checked_sub(LOW_BITS) {
            None => self.low & (1 << id.0) != 0,
            Some(bit) => {
                let (word, mask) = place(bit);
                self.rest.get(word).is_some_and(|word| word & mask != 0)
            }
        }
    }

    /// Whether every scope of this set is in `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.low & !other.low == 0 && self.rest.iter().enumerate().all(|(at, word)| word & !other.word(at) == 0)
    }

    /// Whether the two sets share a scope.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.low & other.low != 0 || self.rest.iter().enumerate().any(|(at, word)| word & other.word(at) != 0)
    }

    /// The scopes of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let words = self.rest.len().max(other.rest.len());
        Self { low: self.low | other.low, rest: (0..words).map(|at| self.word(at) | other.word(at)).collect() }
    }

    /// The scopes of this set that `other` lacks.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self {
            low: self.low & !other.low,
            rest: self.rest.iter().enumerate().map(|(at, word)| word & !other.word(at)).collect(),
        }
    }

    /// The ids in rising order.
    pub fn iter(&self) -> impl Iterator<Item = ScopeId> + '_ {
        let low = bits(self.low);
        let rest = self
            .rest
            .iter()
            .zip(0u32..)
            .flat_map(|(word, at)| bits(u128::from(*word)).map(move |bit| LOW_BITS + at * u64::BITS + bit));
        low.chain(rest).map(ScopeId)
    }

    /// Shows each id to `look`, in rising order: [`ScopeSet::iter`] for where a request waits.
    pub fn visit(&self, look: &mut impl FnMut(ScopeId)) {
        let mut low = self.low;
        while low != 0 {
            look(ScopeId(low.trailing_zeros()));
            low &= low - 1;
        }
        for (word, at) in self.rest.iter().zip(0u32..) {
            bits(u128::from(*word)).for_each(|bit| look(ScopeId(LOW_BITS + at * u64::BITS + bit)));
        }
    }

    /// How many scopes are in.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether nothing is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.low == 0 && self.rest.iter().all(|word| *word == 0)
    }

    fn word(&self, at: usize) -> u64 {
        self.rest.get(at).copied().unwrap_or(0)
    }
}

/// Two sets are equal when they hold the same scopes, however far their words reach.
impl PartialEq for ScopeSet {
    fn eq(&self, other: &Self) -> bool {
        self.is_subset(other) && other.is_subset(self)
    }
}

impl Eq for ScopeSet {}

impl FromIterator<ScopeId> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = ScopeId>>(ids: I) -> Self {
        let mut set = Self::new();
        for id in ids {
            set.insert(id);
        }
        set
    }
}

/// The word and the mask of a bit above the low ones.
fn place(bit: u32) -> (usize, u64) {
    ((bit / u64::BITS) as usize, 1 << (bit % u64::BITS))
}

fn bits(mut word: u128) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(bit)
    })
}
