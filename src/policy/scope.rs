//! Scopes: their names, the ids that stand for them within a process, sets of them, and what a key was granted.
//!
//! A [`ScopeId`] is given out by a [`Vocabulary`] that only grows, so that a set made under one policy means the same
//! under the next. Levels are not sets: what `full` and `read-only` mean is asked of the policy in force.

mod set;
mod vocabulary;

pub use set::ScopeSet;
pub use vocabulary::Vocabulary;

/// A scope within this process. Ids have no meaning outside it and are never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeId(u32);

/// What a key was given when it was made. It never changes; what a level means is decided by the policy in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A list of scopes, as the key's maker wrote it. Names that no policy knows are kept and grant nothing.
    Custom(ScopeSet),
    /// Every scope that the policy knows.
    Full,
    /// Every scope that ends in `:read` or is declared `access: read`, and what those imply.
    ReadOnly,
}

/// Whether `name` is a scope-token of RFC 6749 (section 3.3) without `,` and `*`, which lists and levels need.
#[must_use]
pub fn is_scope_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_scope_byte)
}

const fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E) && byte != b',' && byte != b'*'
}
