//! Why a store cannot be read, in few words.

use super::StoreError;

/// Why a store cannot be read, as whoever looks at a probe wants to know it: is it to be waited for, or is somebody to act?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// What stands there is not what was followed.
    AnotherPast,
    /// It is a replica that is to come as far as was followed.
    Behind,
    /// This user lacks a right.
    Denied,
    /// What stands there cannot be used: it is damaged, has a fault, or is of another version.
    Faulty,
    /// There is none where one was.
    Missing,
    /// This user is not let in.
    Refused,
    /// It is in the middle of a restore.
    Unfinished,
    /// No name server knows its host.
    UnknownHost,
    /// It does not prove who it is.
    Unproven,
    /// It is not there, or does not answer.
    Unreachable,
}

impl Cause {
    /// Says it, behind "the key store". No address, no name, no credential.
    pub const fn words(self) -> &'static str {
        match self {
            Self::AnotherPast => "is not the one that was followed (another past)",
            Self::Behind => "is a replica that is behind",
            Self::Denied => "denies this user a right",
            Self::Faulty => "cannot be used",
            Self::Missing => "is missing",
            Self::Refused => "refuses this user",
            Self::Unfinished => "is in the middle of a restore",
            Self::UnknownHost => "has a host that no name server knows",
            Self::Unproven => "does not prove who it is",
            Self::Unreachable => "cannot be reached",
        }
    }
}

impl StoreError {
    /// Why it cannot be read, in few words.
    pub(super) const fn cause(&self) -> Cause {
        match self {
            Self::Database(error) => error.cause(),
            Self::Disk { .. } | Self::Io { .. } | Self::Locked { .. } => Cause::Unreachable,
            Self::Lost { .. } | Self::Missing { .. } => Cause::Missing,
            Self::Replaced { .. } => Cause::AnotherPast,
            _ => Cause::Faulty,
        }
    }
}
