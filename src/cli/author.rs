//! Who makes a change by command, as the audit says it.

use crate::store::{Outside, User};

/// What tells who became the superuser for this command.
const BECAME_ROOT: [(&str, &str); 2] = [("SUDO_USER", "sudo"), ("DOAS_USER", "doas")];

/// The user of the system that this command runs as, as in `cli:alice`; behind sudo or doas the one who asked for it, as in
/// `cli:alice (sudo)`. In a user namespace anybody may be called the superuser: there the user outside of it is named, too, as in
/// `cli:root (uid 1000 outside)`.
pub(super) fn name() -> String {
    let variable = |name: &str| std::env::var(name).ok();
    let Some(user) = User::current() else { return "cli".to_owned() };
    match user.outside() {
        Outside::Same => author(Some((user.is_root(), user.name())), variable),
        Outside::Other(id) => format!("cli:{} (uid {id} outside)", user.name()),
        Outside::Unknown => format!("cli:{}", user.name()),
    }
}

/// Only the superuser is asked whom they are instead: others would be believed what they like.
fn author(user: Option<(bool, String)>, variable: impl Fn(&str) -> Option<String>) -> String {
    let Some((is_root, name)) = user else { return "cli".to_owned() };
    let became =
        BECAME_ROOT.into_iter().find_map(|(name, how)| Some((variable(name).filter(|who| is_user(who))?, how)));
    match became.filter(|_| is_root) {
        Some((who, how)) => format!("cli:{who} ({how})"),
        None => format!("cli:{name}"),
    }
}

fn is_user(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@$\\".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(allowed) && name != "root"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(user: Option<(bool, &str)>, variables: &[(&str, &str)]) -> String {
        let variable = |name: &str| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
        author(user.map(|(is_root, name)| (is_root, name.to_owned())), variable)
    }

    #[test]
    fn the_author_is_the_user_of_the_system_or_who_became_root() {
        let root = Some((true, "root"));
        assert_eq!(told(Some((false, "alice")), &[]), "cli:alice");
        assert_eq!(told(root, &[]), "cli:root");
        assert_eq!(told(root, &[("SUDO_USER", "alice")]), "cli:alice (sudo)");
        assert_eq!(told(root, &[("DOAS_USER", "alice")]), "cli:alice (doas)");
        assert_eq!(told(root, &[("SUDO_USER", "root")]), "cli:root");
        assert_eq!(told(root, &[("SUDO_USER", "a\nb")]), "cli:root");
        assert_eq!(told(None, &[]), "cli");
    }

    #[test]
    fn nobody_but_root_is_believed_to_be_somebody_else() {
        assert_eq!(told(Some((false, "alice")), &[("SUDO_USER", "bob")]), "cli:alice");
    }
}
