//! Format suffixes: Rails, Django REST framework and older Spring take `/things/export.json` for `/things/export`, asked
//! for as JSON. So the end of a path has a second reading.

/// What a segment is without a format suffix: what is before its last dot, where something is on both sides of it.
pub(super) fn stem(segment: &[u8]) -> Option<&[u8]> {
    let dot = segment.iter().rposition(|byte| *byte == b'.')?;
    let (before, suffix) = segment.split_at_checked(dot)?;
    (!before.is_empty() && suffix.len() > 1).then_some(before)
}

/// The same of a literal, whose author means a format by letters alone: `export.json` and not `v1.0`.
pub(super) fn literal_stem(literal: &[u8]) -> Option<&[u8]> {
    let before = stem(literal)?;
    let format = literal.get(before.len() + 1..)?;
    format.first().is_some_and(u8::is_ascii_alphabetic).then_some(before)
}

/// Whether a segment is a literal but for a format suffix that one of them has, or both.
pub(super) fn same_stem(segment: &[u8], literal: &[u8]) -> bool {
    let of_literal = literal_stem(literal);
    let stems = [Some(segment), stem(segment)].into_iter().flatten();
    stems.into_iter().any(|stem| stem == literal || Some(stem) == of_literal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_of_either_or_both_is_taken_away() {
        for (segment, literal) in [
            ("export.json", "export"),
            ("export.7", "export"),
            ("export", "export.json"),
            ("export.xml", "export.json"),
            ("v1.0.json", "v1.0"),
        ] {
            assert!(same_stem(segment.as_bytes(), literal.as_bytes()), "{segment} is {literal}");
        }
    }

    #[test]
    fn a_name_with_a_dot_is_not_another_such_name() {
        for (segment, literal) in [
            ("v1.1", "v1.0"),
            ("v1", "v1.0"),
            (".json", "json"),
            ("export.", "exports"),
            (".well-known", "well-known"),
            ("export.tar.gz", "export"),
        ] {
            assert!(!same_stem(segment.as_bytes(), literal.as_bytes()), "{segment} is not {literal}");
        }
    }
}
