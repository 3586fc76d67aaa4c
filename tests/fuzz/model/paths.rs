//! Paths and templates, read in the plainest way.

/// The bytes with each `%` and two hex digits replaced by what they stand for.
pub fn decode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let value = escape.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match value.filter(|_| bytes[at] == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

/// The path with every byte escaped that could mean anything.
pub fn encoded_again(path: &[u8]) -> Vec<u8> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let encode = |byte: u8| if plain(byte) { vec![byte] } else { format!("%{byte:02x}").into_bytes() };
    // A segment that is dots alone would be two readings when encoded as well.
    let segments = path.split(|byte| *byte == b'/');
    segments.map(|segment| decode(segment).into_iter().flat_map(encode).collect()).collect::<Vec<Vec<u8>>>().join(&b'/')
}

/// The path as a server reads it that decodes first and then resolves dots and merges slashes, as nginx does.
pub fn resolved(path: &[u8]) -> Vec<Vec<u8>> {
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for segment in decode(path).split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            _ => segments.push(segment.to_vec()),
        }
    }
    segments
}

/// A segment of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    Literal(&'static str),
    Parameter,
}

/// A template of the matcher's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub pieces: Vec<Piece>,
    pub end: End,
}

/// How a template ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Plain,
    Slash,
    Wildcard,
}

impl Template {
    /// As a policy writes it, and as matchit does.
    pub fn text(&self) -> String {
        let piece = |(at, piece): (usize, &Piece)| match piece {
            Piece::Literal(literal) => format!("/{literal}"),
            Piece::Parameter => format!("/{{p{at}}}"),
        };
        let pieces: String = self.pieces.iter().enumerate().map(piece).collect();
        match self.end {
            End::Plain if pieces.is_empty() => "/".to_owned(),
            End::Plain => pieces,
            End::Slash => format!("{pieces}/"),
            End::Wildcard => format!("{pieces}/{{*rest}}"),
        }
    }
}

/// How a segment of a template stands to one of a path, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Literal,
    NearLiteral,
    Parameter,
    Wildcard,
}

/// The template that a path belongs to. `Err`: the best differs in letter case, a final slash or a suffix alone.
pub fn choose(templates: &[Template], segments: &[&str], slash: bool) -> Result<Option<usize>, ()> {
    let fits = templates.iter().enumerate();
    let matching = fits.filter_map(|(at, template)| Some((fit(template, (segments, slash))?, at)));
    match matching.min() {
        Some(((_, true), _)) => Err(()),
        Some(((_, false), at)) => Ok(Some(at)),
        None => Ok(None),
    }
}

/// How a whole template stands to a path, and whether a difference that lenient servers overlook is in it.
fn fit(template: &Template, (segments, slash): (&[&str], bool)) -> Option<(Vec<Fit>, bool)> {
    let (mut fits, mut near) = (Vec::new(), false);
    for (at, piece) in template.pieces.iter().enumerate() {
        let segment = *segments.get(at)?;
        match piece {
            Piece::Literal(literal) if *literal == segment => fits.push(Fit::Literal),
            Piece::Literal(literal) if literal.eq_ignore_ascii_case(segment) => {
                fits.push(Fit::NearLiteral);
                near = true;
            }
            Piece::Literal(literal) if ends_in(template, at, segments) && same_stem(segment, literal) => {
                fits.push(Fit::NearLiteral);
                near = true;
            }
            Piece::Literal(_) => return None,
            Piece::Parameter => fits.push(Fit::Parameter),
        }
    }
    let depth = template.pieces.len();
    match template.end {
        End::Wildcard => {
            segments.get(depth)?;
            fits.push(Fit::Wildcard);
            Some((fits, near))
        }
        _ if segments.len() != depth => None,
        // `/` alone is a path with a final slash, and the only one of its depth.
        end => Some((fits, near || (depth > 0 && (end == End::Slash) != slash))),
    }
}

/// Whether the piece at `at` is the last of the template and takes the last segment.
fn ends_in(template: &Template, at: usize, segments: &[&str]) -> bool {
    template.end != End::Wildcard && template.pieces.len() == at + 1 && segments.len() == at + 1
}

/// Whether two names are one but for a format suffix; the literals have none.
fn same_stem(segment: &str, literal: &str) -> bool {
    let dots = segment.match_indices('.').map(|(at, _)| at).filter(|at| at + 1 < segment.len());
    dots.filter_map(|at| segment.get(..at)).any(|stem| stem.eq_ignore_ascii_case(literal))
}
