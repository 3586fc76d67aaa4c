//! The statement that gives a user the right that it lacks, and no more than README gives to any.

use super::fault::WRITING;

/// What makes and ends keys may write, by table, and reading it, as README says.
const OF_A_WRITER: [(&str, &str); 5] = [
    ("accounts", "SELECT, INSERT, UPDATE"),
    ("changes", "SELECT, INSERT"),
    ("former_values", "SELECT, INSERT, UPDATE"),
    ("head", "SELECT, UPDATE (revision)"),
    ("keys", "SELECT, INSERT, UPDATE"),
];

/// What to do for a user that was refused something, by what the server said of it, and what was being done.
pub(super) fn remedy(reason: &str, user: &str, doing: &str) -> String {
    let user = user.replace('"', "\"\"");
    let table = reason.strip_prefix("permission denied for table ");
    match table {
        Some("gateways") if doing == WRITING => {
            format!("GRANT SELECT, INSERT, UPDATE, DELETE ON scopegate.gateways TO \"{user}\"")
        }
        Some("uses" | "value_uses") if doing == WRITING => {
            format!("GRANT SELECT, INSERT, UPDATE ON scopegate.uses, scopegate.value_uses TO \"{user}\"")
        }
        Some(table) if doing == WRITING => {
            let rights = OF_A_WRITER.iter().find(|(name, _)| *name == table);
            match rights {
                Some((_, rights)) => format!(
                    "GRANT {rights} ON scopegate.{table} TO \"{user}\", where it is to make and end keys; a gateway needs no such right: where this is its user, name another one in --store"
                ),
                None => "see README for what it needs".to_owned(),
            }
        }
        Some(_) => format!("GRANT SELECT ON ALL TABLES IN SCHEMA scopegate TO \"{user}\""),
        None if reason.contains("for database") => format!("GRANT CONNECT ON DATABASE … TO \"{user}\""),
        None if reason.contains("schema") => format!("GRANT USAGE ON SCHEMA scopegate TO \"{user}\""),
        None => "see README for what it needs".to_owned(),
    }
}
