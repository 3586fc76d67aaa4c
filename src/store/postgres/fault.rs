//! What goes wrong with a database, and what to do about it.

use std::error::Error as _;
use std::mem;
use std::time::Duration;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use super::error::DatabaseError;
use super::pooler::{self, Complaint};
use super::rights::remedy;
use crate::database::Database;
use crate::key::account::AccountError;
use crate::key::lifecycle::TransitionError;
use crate::store::StoreError;

/// What is done by those who wait for another writer.
pub(super) const WRITING: &str = "write to";

/// What libraries of C say of a host that no name server knows (EAI_NONAME): glibc, musl, and those of macOS. One that cannot be asked
/// says otherwise.
const UNKNOWN_HOST: [&str; 3] =
    ["Name or service not known", "Name does not resolve", "nodename nor servname provided, or not known"];

/// What went wrong, before it is said of which store.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no connection to be had.
    Away(String),
    /// A row that is no record.
    Bad(String),
    /// None of several hosts would do, and why not.
    Hosts(Vec<(String, Self)>),
    /// What kept a connection from being made.
    OnTheWay(String),
    /// What the server said.
    Postgres(Error),
    /// A refusal of ours.
    Refusal(StoreError),
    /// No answer came.
    Silent(Duration),
    /// TLS cannot be set up.
    Tls(String),
    /// No answer came to a commit.
    Uncertain,
    /// The store is in the middle of a restore.
    Unfinished,
    /// Another fault, after which the connection cannot be used.
    WithTheLine(Box<Self>),
}

impl Fault {
    /// The connection is gone.
    pub(super) fn closed() -> Self {
        Self::Away("the connection was closed".to_owned())
    }

    /// What keeps a database from being reached that has these hosts, by name.
    pub(super) fn of_hosts(mut faults: Vec<(String, Self)>) -> Self {
        match faults.pop() {
            None => Self::closed(),
            Some((_, fault)) if faults.is_empty() => fault,
            Some(last) => {
                faults.push(last);
                Self::Hosts(faults)
            }
        }
    }

    /// Whether no answer came, so that the server may be at work still.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Self::Silent(_) | Self::Uncertain => true,
            Self::WithTheLine(fault) => fault.is_silence(),
            _ => false,
        }
    }

    /// Whether the connection cannot be used after it.
    pub(super) fn is_of_the_line(&self) -> bool {
        match self {
            Self::Away(_)
            | Self::Hosts(_)
            | Self::OnTheWay(_)
            | Self::Silent(_)
            | Self::Uncertain
            | Self::WithTheLine(_) => true,
            Self::Postgres(error) => error.as_db_error().is_none_or(is_last_word),
            Self::Bad(_) | Self::Refusal(_) | Self::Tls(_) | Self::Unfinished => false,
        }
    }

    /// The same, of a connection that cannot be used either.
    pub(super) fn and_the_line(self) -> Self {
        Self::WithTheLine(Box::new(self))
    }

    /// The same, where the server ended the connection with a word: it says more than that nothing comes any more.
    pub(super) fn after(self, last_words: Option<Error>) -> Self {
        let is_mute = matches!(&self, Self::Postgres(error) if error.as_db_error().is_none());
        match last_words {
            Some(said) if is_mute && said.code().is_some_and(is_of_being_away) => Self::Postgres(said),
            _ => self,
        }
    }

    /// The same, where it came of a commit: the server may have made the change or not.
    pub(super) fn at_commit(self) -> Self {
        if self.is_of_the_line() { Self::Uncertain } else { self }
    }

    /// Whether the server said this.
    pub(super) fn is(&self, states: &[SqlState]) -> bool {
        self.database_error().is_some_and(|error| states.contains(error.code()))
    }

    /// What the server said, where it did.
    pub(super) fn database_error(&self) -> Option<&DbError> {
        match self {
            Self::Postgres(error) => error.as_db_error(),
            Self::WithTheLine(fault) => fault.database_error(),
            _ => None,
        }
    }

    /// The same, as a fault of a store.
    pub(super) fn of(self, database: &Database, doing: &'static str) -> StoreError {
        let place = database.to_string();
        match self {
            Self::Refusal(error) => error,
            Self::Bad(what) => StoreError::Damaged { path: place.into(), what },
            Self::Away(reason) => DatabaseError::Away { place, reason }.into(),
            Self::Hosts(faults) => all_of(faults, database, doing),
            Self::Silent(time) => {
                DatabaseError::Away { place, reason: format!("no answer within {} s", time.as_secs()) }.into()
            }
            Self::Tls(reason) => DatabaseError::Tls { place, reason }.into(),
            Self::Uncertain => DatabaseError::Uncertain { place }.into(),
            Self::Unfinished => DatabaseError::Unfinished { place }.into(),
            Self::WithTheLine(fault) => fault.of(database, doing),
            Self::Postgres(error) => match error.as_db_error() {
                Some(said) => of_the_server(said, database, doing),
                None => of_the_way(reason(&error), place).into(),
            },
            Self::OnTheWay(reason) => of_the_way(reason, place).into(),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refusal(error)
    }
}

impl From<AccountError> for Fault {
    fn from(error: AccountError) -> Self {
        Self::Refusal(error.into())
    }
}

impl From<TransitionError> for Fault {
    fn from(error: TransitionError) -> Self {
        Self::Refusal(error.into())
    }
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        Self::Refusal(error.into())
    }
}

/// Whether the server says no more on this connection: it ends, or is taken away.
fn is_last_word(error: &DbError) -> bool {
    matches!(error.severity(), "FATAL" | "PANIC")
        || matches!(
            error.parsed_severity(),
            Some(tokio_postgres::error::Severity::Fatal | tokio_postgres::error::Severity::Panic)
        )
}

fn of_the_server(said: &DbError, database: &Database, doing: &'static str) -> StoreError {
    let (place, reason) = (database.to_string(), said.message().to_owned());
    match pooler::complaint(said.code().code(), &reason) {
        Some(Complaint::Database) => return DatabaseError::NoDatabase { place, reason }.into(),
        Some(Complaint::LogIn) => return DatabaseError::LogIn { place, reason }.into(),
        None => {}
    }
    let error = match said.code() {
        code if *code == SqlState::INVALID_PASSWORD || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            DatabaseError::LogIn { place, reason }
        }
        code if *code == SqlState::DUPLICATE_SCHEMA => DatabaseError::Occupied { place },
        code if *code == SqlState::INVALID_CATALOG_NAME => DatabaseError::NoDatabase { place, reason },
        code if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::INVALID_SCHEMA_NAME => {
            DatabaseError::Missing { place }
        }
        code if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            let grant = remedy(&reason, &database.user, doing);
            DatabaseError::Privilege { place, reason, grant }
        }
        code if *code == SqlState::READ_ONLY_SQL_TRANSACTION => DatabaseError::Replica { place },
        code if *code == SqlState::LOCK_NOT_AVAILABLE && doing == WRITING => {
            return StoreError::Locked { path: place.into() };
        }
        code if *code == SqlState::DISK_FULL => return StoreError::Full { path: place.into() },
        code if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED => {
            return StoreError::Damaged { path: place.into(), what: reason };
        }
        code if *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => {
            let what = "the server undid what was begun, as this process stood still in the middle of it";
            DatabaseError::Away { place, reason: format!("{what}: {reason}") }
        }
        code if is_of_being_away(code) => DatabaseError::Away { place, reason },
        code => DatabaseError::Sql { place, doing, reason: format!("{reason} (SQLSTATE {})", code.code()) },
    };
    error.into()
}

/// Whether the server is there, and cannot serve now: it starts, ends, has too many connections, takes too long (57014), waits for
/// somebody else (40001, 40P01, 55P03), or ended a transaction that took too long (25P02 and after).
fn is_of_being_away(code: &SqlState) -> bool {
    ["57P", "57014", "53", "08", "40", "55P03", "25P"].iter().any(|class| code.code().starts_with(class))
}

/// Why none of several hosts would do. What waiting cannot mend is said only where it is so of every one: another host may
/// come back while one of them is wrong.
fn all_of(faults: Vec<(String, Fault)>, database: &Database, doing: &'static str) -> StoreError {
    let (mut errors, mut reasons) = (Vec::new(), Vec::new());
    for (host, fault) in faults {
        let mut error = match fault.of(database, doing) {
            StoreError::Database(error) => error,
            other => DatabaseError::Away { place: database.to_string(), reason: other.to_string() },
        };
        let reason = error.reason().map(mem::take).unwrap_or_default();
        reasons.push(format!("{host}: {reason}"));
        errors.push(error);
    }
    let reason = reasons.join("; ");
    let kinds = errors.iter().map(mem::discriminant);
    let is_same = kinds.clone().zip(kinds.skip(1)).all(|(one, next)| one == next);
    let mut shared = errors.pop().filter(|_| is_same);
    if let Some(told) = shared.as_mut().and_then(DatabaseError::reason) {
        *told = reason.clone();
    }
    shared.unwrap_or_else(|| DatabaseError::Away { place: database.to_string(), reason }).into()
}

/// What kept an answer from coming.
fn of_the_way(reason: String, place: String) -> DatabaseError {
    if reason.contains("invalid peer certificate") || reason.contains("server does not support TLS") {
        DatabaseError::Unproven { place, reason }
    } else if UNKNOWN_HOST.iter().any(|said| reason.ends_with(said)) {
        DatabaseError::HostUnknown { place, reason }
    } else if reason.contains("password missing") {
        let reason = "it asks for a password, and its address has none".to_owned();
        DatabaseError::LogIn { place, reason }
    } else if reason.contains("channel binding") {
        DatabaseError::LogIn { place, reason }
    } else {
        DatabaseError::Away { place, reason }
    }
}

/// An error with what it came of.
fn reason(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}
