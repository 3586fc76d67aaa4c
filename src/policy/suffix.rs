//! What servers read out of a dot in a segment.
//!
//! Format suffixes: Rails, Django REST framework and older Spring take `/things/export.json` for `/things/export`, asked
//! for as JSON, and some of them `export.tar.gz`, too. So the end of a path has a second reading. No list of formats would
//! do: Rails takes anything without a dot for one (`(.:format)` is a part of every route), Spring before 5.3 anything at
//! all, Django REST framework letters and digits. So `/users/john.doe` is `/users/john` to each of these, and
//! `/versions/v1.2.3` is `/versions/v1` to Spring. Beside such a literal they are denied, unless both routes ask for the
//! same; what else is meant can be written as a route of its own, which beats both.
//!
//! Scripts: PHP, CGI and ASP run `/admin.php` for `/admin.php/x`, and tell it the rest. Servers that choose the script by
//! a name which the path does not have (`/admin/x` for `admin.php`) are beyond what a policy can know.

/// What is before each dot of a segment, where something is on both sides of it, the longest first.
fn stems(segment: &[u8]) -> impl Iterator<Item = &[u8]> {
    let dots = (1..segment.len().saturating_sub(1)).rev().filter(|at| segment.get(*at) == Some(&b'.'));
    dots.filter_map(|at| segment.get(..at))
}

/// What a literal is without a format, which its author means by letters alone: `export.json` and not `v1.0`.
pub(super) fn literal_stem(literal: &[u8]) -> Option<&[u8]> {
    let stem = stems(literal).next()?;
    let format = literal.get(stem.len() + 1..)?;
    format.first().is_some_and(u8::is_ascii_alphabetic).then_some(stem)
}

/// Whether a segment is a literal but for a format suffix that one of them has, or both.
pub(super) fn same_stem(segment: &[u8], literal: &[u8]) -> bool {
    let of_literal = literal_stem(literal);
    stems(segment).chain([segment]).any(|stem| stem == literal || Some(stem) == of_literal)
}

/// Whether a segment is a format and nothing before it, as in `/things/.json`: the path before it to some servers.
pub(super) fn is_format(segment: &[u8]) -> bool {
    matches!(segment, [b'.', format @ ..] if !format.is_empty() && format.iter().all(u8::is_ascii_alphanumeric))
}

/// Whether a literal is named like a script that gets what stands behind it in the path.
pub(super) fn is_script(literal: &[u8]) -> bool {
    const SCRIPTS: [&str; 19] = [
        "asmx", "asp", "ashx", "aspx", "axd", "cfc", "cfm", "cfml", "cgi", "exe", "fcgi", "lua", "phar", "php",
        "phtml", "pl", "py", "rb", "svc",
    ];
    let Some(dot) = literal.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0) else { return false };
    let end = literal.get(dot + 1..).unwrap_or_default().to_ascii_lowercase();
    let is_php = || end.strip_prefix(b"php").is_some_and(|version| version.iter().all(u8::is_ascii_digit));
    SCRIPTS.iter().any(|script| script.as_bytes() == end) || is_php()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_of_either_or_both_is_taken_away() {
        for (segment, literal) in [
            ("export.json", "export"),
            ("export.7", "export"),
            ("export.tar.gz", "export"),
            ("export.tar.gz", "export.tar"),
            ("export", "export.json"),
            ("export.xml", "export.json"),
            ("v1.0.json", "v1.0"),
        ] {
            assert!(same_stem(segment.as_bytes(), literal.as_bytes()), "{segment} is {literal}");
        }
    }

    #[test]
    fn a_name_with_a_dot_is_not_another_such_name() {
        for (segment, literal) in
            [("v1.1", "v1.0"), ("v1", "v1.0"), (".json", "json"), ("export.", "exports"), (".well-known", "well-known")]
        {
            assert!(!same_stem(segment.as_bytes(), literal.as_bytes()), "{segment} is not {literal}");
        }
    }

    #[test]
    fn a_format_alone_is_a_dot_and_letters_or_digits() {
        assert!(is_format(b".json") && is_format(b".7z"));
        assert!(!is_format(b".") && !is_format(b".well-known") && !is_format(b"json"));
    }
}
