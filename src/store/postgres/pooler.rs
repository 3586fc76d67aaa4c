//! What PgBouncer says of itself. It has one code for nearly everything, a violation of the protocol (08P01), so that it is known by its words
//! alone; those that may mean a server that is away mean nothing here.

/// What somebody is to mend, of what a pooler says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// Of the name of the database.
    Database,
    /// Of the user, its password, or the lack of TLS.
    LogIn,
}

/// The code that it gives.
const CODE: &str = "08P01";
/// Before what the server said when the pooler logged in to it.
const OF_THE_SERVER: &str = "server login failed: ";
/// With these it tells of a user that it does not let in.
const LOG_IN: [&str; 12] = [
    "\"trust\" authentication failed",
    "PAM authentication failed",
    "SASL authentication failed",
    "SSL required",
    "TLS certificate name mismatch",
    "TLS client certificate required",
    "TLS connection required",
    "certificate authentication failed",
    "no such user",
    "password authentication failed",
    "unix socket login rejected",
    "wrong password type",
];

/// What is to be mended, where that is clear.
pub(super) fn complaint(code: &str, message: &str) -> Option<Complaint> {
    if code != CODE {
        return None;
    }
    let said = message.strip_prefix(OF_THE_SERVER).map_or(message, |said| said.trim_start_matches("FATAL "));
    let is_database = said.starts_with("no such database: ")
        || said.starts_with("database \"") && (said.ends_with("\" does not exist") || said.ends_with("\" is disabled"));
    let is_log_in = LOG_IN.iter().any(|known| said.starts_with(known));
    match (is_database, is_log_in) {
        (true, _) => Some(Complaint::Database),
        (_, true) => Some(Complaint::LogIn),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_clear_is_taken_for_a_fault_of_the_address() {
        for (message, expected) in [
            ("SASL authentication failed", Some(Complaint::LogIn)),
            ("no such user: kez", Some(Complaint::LogIn)),
            ("password authentication failed for user \"kez\"", Some(Complaint::LogIn)),
            ("server login failed: FATAL password authentication failed for user \"kez\"", Some(Complaint::LogIn)),
            ("server login failed: wrong password type", Some(Complaint::LogIn)),
            ("no such database: kez", Some(Complaint::Database)),
            ("database \"kez\" is disabled", Some(Complaint::Database)),
            ("server login failed: FATAL database \"kez\" does not exist", Some(Complaint::Database)),
            ("server login failed: FATAL the database system is starting up", None),
            ("server login has been failing, try again later (server_login_retry)", None),
            ("pgbouncer cannot connect to server", None),
            ("client_login_timeout (server down)", None),
            ("bouncer config error", None),
            ("no more connections allowed (max_client_conn)", None),
        ] {
            assert_eq!(complaint(CODE, message), expected, "{message}");
        }
        assert_eq!(complaint("08006", "SASL authentication failed"), None, "another code");
    }
}
