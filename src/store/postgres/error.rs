//! What is wrong with a key store in a database, and how to mend it.

use crate::store::Gateway;
use crate::store::cause::Cause;

/// What is wrong with a key store in a database.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant means")]
pub enum DatabaseError {
    #[error(
        "the key store {place} {seen}: what it holds is not followed, and the keys in memory stay in force for as long as keys.max_stale says; bring back the one that was followed, or, where every key is in what is there now, restart the gateways to go on with that"
    )]
    AnotherPast { place: String, seen: String },
    #[error("cannot reach the key store {place}: {reason}")]
    Away { place: String, reason: String },
    #[error(
        "the server of the key store {place} is a replica that is behind: it has come to change {found}, and change {followed} was followed; it is waited for"
    )]
    Behind { place: String, found: u64, followed: u64 },
    #[error(
        "cannot reach the key store {place}: no name server knows its host ({reason}); see the host in its address (--store, SCOPEGATE_STORE or keys.store)"
    )]
    HostUnknown { place: String, reason: String },
    #[error(
        "the server of the key store {place} does not let this user in ({reason}): see user and password in its address (--store, SCOPEGATE_STORE or keys.store), and the server's pg_hba.conf, or what a pooler knows of its users"
    )]
    LogIn { place: String, reason: String },
    #[error(
        "the key store {place} is gone (no schema scopegate), and there was one: bring it back, from a backup where need be; make no new one meanwhile (`scopegate keys create` does): it would be empty, and gateways that are restarted then would let no key in and forget those that they know, in keys.snapshot, too"
    )]
    Lost { place: String },
    #[error(
        "there is no key store at {place} (no schema scopegate): `scopegate keys create` as the owner of the database makes one"
    )]
    Missing { place: String },
    #[error(
        "there is no key store at {place}, and this user may not make one ({reason}): run `scopegate keys create` as the owner of the database, then GRANT what README says to this user"
    )]
    MayNotMake { place: String, reason: String },
    #[error(
        "the key store {place} was made by an older scopegate (schema {found}, this program needs {known}), and this user may not bring it up to date ({reason}): run `scopegate keys create` of this version as the owner of the schema scopegate"
    )]
    MayNotBringUp { place: String, found: i64, known: i64, reason: String },
    #[error("the server of the key store {place} has no such database: {reason}")]
    NoDatabase { place: String, reason: String },
    #[error(
        "there is no key store at {place}, and something else has the name of its schema: where nothing is in it, DROP SCHEMA scopegate; it is made by `scopegate keys create`"
    )]
    Occupied { place: String },
    #[error(
        "this user may not do that with the key store {place} ({reason}): as the owner of the schema scopegate, {grant}"
    )]
    Privilege { place: String, reason: String, grant: String },
    #[error(
        "the key store {place} is a replica, or set to be read-only: changes go to the primary; name that in its address (--store, SCOPEGATE_STORE or keys.store), or by ?target_session_attrs=read-write beside several hosts"
    )]
    Replica { place: String },
    #[error("cannot {doing} the key store {place}: {reason}")]
    Sql { place: String, doing: &'static str, reason: String },
    #[error("TLS to the key store {place} cannot be set up: {reason}")]
    Tls { place: String, reason: String },
    #[error(
        "the server of the key store {place} is not talked to, as it does not prove who it is: {reason}; see sslmode and sslrootcert in its address (--store, SCOPEGATE_STORE or keys.store), and the server's certificate"
    )]
    Unproven { place: String, reason: String },
    #[error(
        "whether the change of the key store {place} was made is not known, as no answer came: `scopegate keys list` shows it"
    )]
    Uncertain { place: String },
    #[error(
        "the key store {place} is in the middle of a restore: not all of it is there, so none of it is followed until all is; where no restore is under way, one broke off: begin it anew, with `pg_restore --single-transaction`"
    )]
    Unfinished { place: String },
}

impl DatabaseError {
    /// Whether the store may come back as it was: it is out of reach, this user may not read it, or it is gone. None of this is in
    /// the hands of the gateway.
    pub(in crate::store) const fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::Away { .. }
                | Self::Behind { .. }
                | Self::HostUnknown { .. }
                | Self::LogIn { .. }
                | Self::Lost { .. }
                | Self::MayNotMake { .. }
                | Self::Missing { .. }
                | Self::NoDatabase { .. }
                | Self::Privilege { .. }
                | Self::Sql { .. }
                | Self::Uncertain { .. }
                | Self::Unfinished { .. }
                | Self::Unproven { .. }
        )
    }

    /// Whether it may pass by itself: the server is not there, or not yet, or the store is not. What else there is somebody must mend.
    pub(in crate::store) const fn is_passing(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Behind { .. } | Self::Uncertain { .. } | Self::Unfinished { .. })
    }

    /// Why it cannot be read, in few words.
    pub(in crate::store) const fn cause(&self) -> Cause {
        match self {
            Self::AnotherPast { .. } => Cause::AnotherPast,
            Self::Away { .. } | Self::Uncertain { .. } => Cause::Unreachable,
            Self::Behind { .. } => Cause::Behind,
            Self::HostUnknown { .. } => Cause::UnknownHost,
            Self::LogIn { .. } => Cause::Refused,
            Self::Lost { .. } | Self::MayNotMake { .. } | Self::Missing { .. } | Self::NoDatabase { .. } => {
                Cause::Missing
            }
            Self::Privilege { .. } => Cause::Denied,
            Self::MayNotBringUp { .. }
            | Self::Occupied { .. }
            | Self::Replica { .. }
            | Self::Sql { .. }
            | Self::Tls { .. } => Cause::Faulty,
            Self::Unfinished { .. } => Cause::Unfinished,
            Self::Unproven { .. } => Cause::Unproven,
        }
    }

    /// Why the store is not followed, though it can be reached.
    pub(in crate::store) const fn refusal(&self) -> Option<&'static str> {
        match self {
            Self::AnotherPast { .. } => Some(Gateway::ANOTHER_PAST),
            Self::Privilege { .. } => Some("no right to read it"),
            Self::Sql { .. } => Some("an error of the server"),
            _ => None,
        }
    }

    /// What is told of the way to the store.
    pub(super) fn reason(&mut self) -> Option<&mut String> {
        match self {
            Self::Away { reason, .. }
            | Self::HostUnknown { reason, .. }
            | Self::LogIn { reason, .. }
            | Self::NoDatabase { reason, .. }
            | Self::Privilege { reason, .. }
            | Self::Sql { reason, .. }
            | Self::Tls { reason, .. }
            | Self::Unproven { reason, .. } => Some(reason),
            _ => None,
        }
    }
}
