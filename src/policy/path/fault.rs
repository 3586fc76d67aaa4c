//! What is wrong with a path.

/// Why a path is refused: each has more than one plausible reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// The target is neither a path nor an absolute `http` URL with a plain host.
    BadForm,
    /// `#`: a fragment is never sent.
    Fragment,
    /// A control byte, a space, a byte above 126, or a backslash.
    ForbiddenByte,
    /// A segment of dots and spaces alone, such as `..`, raw or encoded, whatever follows behind an encoded `?` or `#`.
    DotSegment,
    /// `//` before the end, or an encoded slash at the start of a segment.
    EmptySegment,
    /// `%5C`, an encoded control byte, `%3F` or `%23` before the last segment or at its start, or `%3F` before what would
    /// be a ruled parameter.
    EncodedByte,
    /// `%2F` where the route does not allow it.
    EncodedSlash,
    /// `%25` followed by two hex digits.
    EncodedTwice,
    /// A `%` that two hex digits do not follow.
    MalformedEncoding,
    /// Bytes that are not UTF-8 after decoding.
    NotUtf8,
    /// `;` in a segment, raw or encoded.
    Semicolon,
}

impl PathFault {
    /// What is wrong and what to do, in one sentence.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::BadForm => {
                "The request target is neither a path nor an absolute http URL; send a path that begins with /."
            }
            Self::Fragment => "The request target has a #; leave the fragment out, or encode the character as %23.",
            Self::ForbiddenByte => {
                "The request target has a control byte, a space, a backslash or a byte that is not ASCII; percent-encode what is part of a name."
            }
            Self::DotSegment => {
                "The path has a segment like . or .., which servers take away; send the path that is meant, without it."
            }
            Self::EmptySegment => {
                "The path has an empty segment (//), or an encoded slash at the start of one; send it with single slashes."
            }
            Self::EncodedByte => {
                "The path has an encoded backslash or control byte, or an encoded question or number sign where servers read it differently; leave it out."
            }
            Self::EncodedSlash => {
                "The path has an encoded slash (%2F), which this route does not allow, or which leads to another route once it is decoded; leave it out."
            }
            Self::EncodedTwice => "The path is percent-encoded twice; encode it once.",
            Self::MalformedEncoding => {
                "The path has a % that two hex digits do not follow; encode the character itself as %25."
            }
            Self::NotUtf8 => {
                "The path is not UTF-8 after decoding, which servers read differently; encode it as UTF-8."
            }
            Self::Semicolon => "The path has a ; in a segment, which servers read differently; leave it out.",
        }
    }
}
