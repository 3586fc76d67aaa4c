//! When two names of a document are one: a member of a parameter and a segment of a path.

/// Whether two names are one but for letter case, what stands between words, and the plural: `paymentMethod` and `payment-methods`.
pub(super) fn are_one(one: &str, other: &str) -> bool {
    let (one, other) = (plain(one), plain(other));
    !one.is_empty() && singulars(&one).any(|form| singulars(&other).any(|other| other == form))
}

/// Letters and digits alone, in small letters.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// The word, and what it may be the plural of.
fn singulars(word: &str) -> impl Iterator<Item = String> {
    let s = word.strip_suffix('s').map(str::to_owned);
    let es = word.strip_suffix("es").map(str::to_owned);
    let ies = word.strip_suffix("ies").map(|stem| format!("{stem}y"));
    [Some(word.to_owned()), s, es, ies].into_iter().flatten().filter(|form| !form.is_empty())
}

#[cfg(test)]
mod tests {
    use super::are_one;

    #[test]
    fn case_hyphens_and_the_plural_do_not_tell_names_apart() {
        for (one, other) in [
            ("customer", "customers"),
            ("payment_method", "payment-methods"),
            ("paymentMethod", "PaymentMethods"),
            ("categories", "category"),
            ("address", "addresses"),
            ("statuses", "status"),
        ] {
            assert!(are_one(one, other) && are_one(other, one), "{one} {other}");
        }
        for (one, other) in [("customer", "clients"), ("customer", "customer-notes"), ("", "s"), ("-", "_")] {
            assert!(!are_one(one, other) && !are_one(other, one), "{one} {other}");
        }
    }
}
