mod queries;

use std::collections::BTreeSet;

use super::super::*;
use super::scenarios::{Asked, Level, SCOPES, Who, Written};

use queries::{every_name, query, reads_like};

type Answer = (&'static str, Vec<String>, Vec<String>);
type Names = BTreeSet<String>;

/// The answer to a request: code, required, missing.
pub(super) fn answer(policy: &Written, asked: &Asked) -> Answer {
    let refused = |code| (code, Vec::new(), Vec::new());
    let pairs: Vec<&str> = asked.query.strip_prefix('?').map_or(vec![], |query| query.split('&').collect());
    if pairs.iter().any(|pair| every_name(pair).iter().any(|name| reads_like(name, "_method"))) {
        return refused("method_override");
    }
    let Some(segments) = segments(&asked.path) else {
        return refused("ambiguous_path");
    };
    if segments.iter().any(|segment| hides_a_query(segment)) {
        return refused("ambiguous_path");
    }
    let mut route = choose(policy, &segments, asked);
    if route.is_some_and(|route| differs_when_compared_raw(policy, route, asked)) {
        route = None;
    }
    let has_slash = segments.iter().any(|segment| segment.contains(&b'/'));
    let one_segment = !has_slash || is_one_segment(policy, asked);
    if has_slash && !(one_segment && route.is_some_and(|route| route.encoded_slash)) {
        let late = policy.routes.iter().any(|route| route.encoded_slash) && !asked.who.has_key;
        return refused(if late { "missing_key" } else { "ambiguous_path" });
    }
    if let Some(route) = route.filter(|route| matches!(route.access, AccessSpec::Anyone)) {
        return decided("allow", policy, (route, &Names::new()), &asked.who);
    }
    if !asked.who.has_key {
        return refused("missing_key");
    }
    let Some(route) = route else {
        return refused("route_not_allowed");
    };
    match route.access {
        AccessSpec::Deny => return refused("route_not_allowed"),
        AccessSpec::PublicKey if asked.who.kind != Kind::Public => {
            return refused("key_kind_not_allowed");
        }
        AccessSpec::PublicKey => {}
        _ if asked.who.kind == Kind::Public => {
            return decided("key_kind_not_allowed", policy, (route, &Names::new()), &asked.who);
        }
        _ => {}
    }
    let mut demanded = Names::new();
    if let Err(code) = query(policy, route, (&pairs, &mut demanded)) {
        return decided(code, policy, (route, &demanded), &asked.who);
    }
    let code = match outside_binding(policy, route, (&segments, &asked.who)) {
        true => "outside_binding",
        false => "allow",
    };
    decided(code, policy, (route, &demanded), &asked.who)
}

/// What is required and missing, and the code if nothing came before it.
fn decided(code: &'static str, policy: &Written, (route, demanded): (&RouteSpec, &Names), who: &Who) -> Answer {
    let held = held(policy, &who.level);
    let mut required = demanded.clone();
    if let AccessSpec::Scopes { all_of, any_of } = &route.access {
        required.extend(all_of.iter().cloned());
        let lacks = |names: &&Vec<String>| names.iter().filter(|name| !held.contains(*name)).count();
        required.extend(any_of.iter().min_by_key(lacks).into_iter().flatten().cloned());
    }
    let missing: Vec<String> = required.difference(&held).cloned().collect();
    let code = if code == "allow" && !missing.is_empty() { "insufficient_scope" } else { code };
    (code, required.into_iter().collect(), missing)
}

fn held(policy: &Written, level: &Level) -> Names {
    let infos = policy.vocabulary.iter().flatten();
    let reads: Names = infos.filter(|(_, info)| info.access_read).map(|(name, _)| name.clone()).collect();
    let mut held: Names = match level {
        Level::Custom(names) => names.iter().map(|name| (*name).to_owned()).collect(),
        Level::Full => SCOPES.iter().map(|name| (*name).to_owned()).collect(),
        Level::ReadOnly => {
            SCOPES.iter().filter(|name| name.ends_with(":read")).map(|name| (*name).to_owned()).chain(reads).collect()
        }
    };
    for _ in SCOPES {
        let known = policy.vocabulary.iter().flatten();
        let implied: Vec<String> =
            known.filter(|(name, _)| held.contains(name)).flat_map(|(_, info)| info.implies.clone()).collect();
        held.extend(implied);
    }
    held
}

/// Whether a server that compares literals before it decodes would find another template for a path that is encoded
/// without need.
fn differs_when_compared_raw(policy: &Written, route: &RouteSpec, asked: &Asked) -> bool {
    let needless = |piece: &str| {
        let escapes = piece.match_indices('%').filter_map(|(at, _)| piece.get(at..at + 3));
        let mut values = escapes.flat_map(|escape| decode(escape.as_bytes(), false));
        values.any(|value| value.is_ascii_alphanumeric() || b"-._".contains(&value))
    };
    if !asked.path.split('/').any(needless) {
        return false;
    }
    // What is encoded without need equals no literal: a byte that no literal of the scenarios has.
    let raw = |piece: &str| if needless(piece) { "%01".to_owned() } else { piece.to_owned() };
    let raw: Vec<String> = asked.path.split('/').map(raw).collect();
    let segments: Vec<Vec<u8>> = raw.iter().skip(1).map(|piece| decode(piece.as_bytes(), false)).collect();
    let shape = |template: &str| template.replace("{q}", "{p}");
    let matching = policy.routes.iter().filter_map(|route| Some((fits(policy, &route.template, &segments)?, route)));
    let best = matching.min_by(|left, right| left.0.cmp(&right.0));
    best.is_some_and(|(_, other)| shape(&other.template) != shape(&route.template))
}

/// Whether no server that decodes a slash before it parts the path would find a template without a wildcard.
fn is_one_segment(policy: &Written, asked: &Asked) -> bool {
    let parted = asked.path.replace("%2F", "/").replace("%2f", "/");
    let Some(segments) = segments(&parted) else { return false };
    let matching = policy.routes.iter().filter_map(|route| Some((fits(policy, &route.template, &segments)?, route)));
    let best = matching.min_by(|left, right| left.0.cmp(&right.0));
    let before = asked.path.split('/').skip(1).take_while(|piece| !piece.to_lowercase().contains("%2f")).count();
    best.is_none_or(|(_, route)| {
        route.template.split_once("/{*").is_some_and(|(front, _)| front.matches('/').count() <= before)
    })
}

/// The decoded segments; the last is empty where the path ends in `/`. `None`: it is ambiguous.
fn segments(path: &str) -> Option<Vec<Vec<u8>>> {
    let pieces: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let (last, inner) = pieces.split_last()?;
    if inner.iter().any(|piece| piece.is_empty()) || path.contains(';') {
        return None;
    }
    // What some servers take for the end of the path may stand in the last segment alone.
    let ends = |piece: &&str| decode(piece.as_bytes(), false).iter().any(|byte| b"?#".contains(byte));
    if inner.iter().any(ends) {
        return None;
    }
    inner.iter().chain([last]).map(|piece| segment(piece)).collect()
}

fn segment(piece: &str) -> Option<Vec<u8>> {
    let malformed = piece.match_indices('%').any(|(at, _)| !is_escape(piece.as_bytes().get(at..at + 3)));
    let bytes = decode(piece.as_bytes(), false);
    let text = String::from_utf8(bytes.clone()).ok()?;
    let twice = decode(&bytes, false) != bytes;
    let collapses = |part: &str| part.split(['?', '#']).next().unwrap().trim_matches(['.', ' ']).is_empty();
    let collapses = !piece.is_empty() && text.split('/').any(collapses);
    let odd = text.chars().any(|letter| letter.is_ascii_control() || "\\;".contains(letter));
    (!malformed && !twice && !collapses && !odd).then_some(bytes)
}

/// Whether a server that decodes a path before it looks for its end would find a query there that says something.
fn hides_a_query(segment: &[u8]) -> bool {
    let text = String::from_utf8(segment.to_vec()).unwrap();
    let names = |query: &str| query.split('&').flat_map(every_name).collect::<Vec<_>>();
    let hidden = text.split_once(['?', '&']).map(|(_, query)| names(query)).unwrap_or_default();
    hidden.iter().any(|name| reads_like(name, "include") || reads_like(name, "_method"))
}

fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || letter == '\u{feff}'
}

fn is_escape(bytes: Option<&[u8]>) -> bool {
    matches!(bytes, Some([b'%', high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

fn decode(bytes: &[u8], form: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if is_escape(bytes.get(at..at + 3)) {
            let digits = String::from_utf8(bytes[at + 1..at + 3].to_vec()).unwrap();
            out.push(u8::from_str_radix(&digits, 16).unwrap());
            at += 3;
        } else {
            out.push(if form && bytes[at] == b'+' { b' ' } else { bytes[at] });
            at += 1;
        }
    }
    out
}

/// How a template stands to a path: segment by segment, and whether a parameter or the wildcard would have to take a
/// segment that equals a sibling literal but for letter case.
type Match = (Vec<Fit>, bool);

/// How one segment of a template stands to one of a path, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fit {
    Literal,
    /// Equal but for letter case.
    NearLiteral,
    Parameter,
    Wildcard,
}

fn pieces(template: &str) -> Vec<&str> {
    template.split('/').skip(1).collect()
}

/// How a whole template stands to a path; `None` where it does not match at all.
fn fits(policy: &Written, template: &str, segments: &[Vec<u8>]) -> Option<Match> {
    let pieces = pieces(template);
    let without_slash = |length: usize, is_empty: bool| if is_empty { length - 1 } else { length };
    let length = without_slash(segments.len(), segments.last()?.is_empty());
    let (mut fits, mut near) = (Vec::new(), false);
    for (at, piece) in pieces.iter().enumerate().filter(|(_, piece)| !piece.is_empty()) {
        let segment = segments[..length].get(at)?;
        let is_wildcard = piece.starts_with("{*");
        if piece.starts_with('{') {
            let has_slash = segments[at..].iter().any(|segment| segment.contains(&b'/'));
            if is_wildcard && has_slash {
                return None;
            }
            near |= near_sibling(policy, &pieces[..at], segment);
            fits.push(if is_wildcard { Fit::Wildcard } else { Fit::Parameter });
        } else {
            let ends = at + 1 == length && pieces.iter().filter(|piece| !piece.is_empty()).count() == length;
            let suffixed = || (ends && same_stem(&worn(segment), piece)).then_some(Fit::NearLiteral);
            let fit = literal_fit(policy, piece, segment).or_else(suffixed)?;
            near |= fit == Fit::NearLiteral;
            fits.push(fit);
        }
        if is_wildcard {
            return Some((fits, near));
        }
    }
    // A format alone stands for the path before it.
    let is_format = |name: &str| {
        name.strip_prefix('.')
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    if template.ends_with('/') && fits.len() + 1 == length && is_format(&worn(&segments[length - 1])) {
        fits.push(Fit::NearLiteral);
        return Some((fits, true));
    }
    // The final slash is all that may still differ.
    near |= pieces.len() != segments.len();
    (fits.len() == length).then_some((fits, near))
}

fn literal_fit(policy: &Written, literal: &str, segment: &[u8]) -> Option<Fit> {
    let folded = literal.as_bytes().eq_ignore_ascii_case(segment);
    match literal.as_bytes() == segment || (folded && policy.case == PathCase::Insensitive) {
        true => Some(Fit::Literal),
        false => worn(segment).eq_ignore_ascii_case(literal).then_some(Fit::NearLiteral),
    }
}

/// Whether two names are one but for a format suffix: what is before any dot of the segment.
fn same_stem(segment: &str, literal: &str) -> bool {
    let (segment, literal) = (segment.to_lowercase(), literal.to_lowercase());
    let dots = segment.match_indices('.').map(|(at, _)| at).filter(|at| *at > 0 && at + 1 < segment.len());
    let mut stems: Vec<&str> = dots.filter_map(|at| segment.get(..at)).collect();
    stems.push(&segment);
    let of_literal = match literal.rsplit_once('.') {
        Some((stem, suffix)) if !stem.is_empty() && suffix.starts_with(|first: char| first.is_ascii_alphabetic()) => {
            stem
        }
        _ => &literal,
    };
    stems.iter().any(|stem| *stem == literal || *stem == of_literal)
}

/// What careless servers leave of a segment.
fn worn(segment: &[u8]) -> String {
    let text = String::from_utf8(segment.to_vec()).unwrap();
    let head = text.split(['?', '#']).next().unwrap();
    head.trim_start_matches(' ').trim_end_matches(['.', ' ']).to_owned()
}

/// Whether a literal that stands behind the same pieces equals the segment but for letter case.
fn near_sibling(policy: &Written, before: &[&str], segment: &[u8]) -> bool {
    let same = |left: &str, right: &str| match (left.starts_with('{'), right.starts_with('{')) {
        (false, false) => literal_fit(policy, left, right.as_bytes()) == Some(Fit::Literal),
        (left_is, right_is) => left_is && right_is,
    };
    policy.routes.iter().any(|route| {
        let pieces = pieces(&route.template);
        let follows = pieces.len() > before.len() && before.iter().zip(&pieces).all(|(left, right)| same(left, right));
        let sibling = pieces.get(before.len()).filter(|piece| !piece.starts_with('{') && !piece.is_empty());
        follows && sibling.is_some_and(|literal| literal_fit(policy, literal, segment) == Some(Fit::NearLiteral))
    })
}

/// The path chooses the template, then the method the route. Where the best template is one but for letter case, no
/// other takes its place.
fn choose<'p>(policy: &'p Written, segments: &[Vec<u8>], asked: &Asked) -> Option<&'p RouteSpec> {
    let matching = policy.routes.iter().filter_map(|route| Some((fits(policy, &route.template, segments)?, route)));
    let matching: Vec<(Match, &RouteSpec)> = matching.collect();
    let best = matching.iter().map(|(fits, _)| fits).min()?;
    let of_best = |among: &[(&[Fit], &'p RouteSpec)], best: &[Fit]| {
        let with = |method: &str| {
            let mut routes = among.iter().filter(|(fits, _)| *fits == best).map(|(_, route)| *route);
            routes.find(|route| route.methods.iter().any(|written| written == method))
        };
        match asked.method {
            "GET" | "POST" | "PUT" => with(asked.method).or_else(|| with("ANY")),
            "HEAD" => with("HEAD").or_else(|| with("GET")).or_else(|| with("ANY")),
            "OPTIONS" => with("OPTIONS"),
            _ => None,
        }
    };
    let of = |near: bool| matching.iter().filter(move |(fits, _)| fits.1 == near);
    if !best.1 {
        let among: Vec<(&[Fit], &RouteSpec)> = of(false).map(|(fits, route)| (&*fits.0, *route)).collect();
        return of_best(&among, &best.0);
    }
    // Where anyone may call what is meant and what the path is, letter by letter, it does not matter which it is.
    let nearly: Vec<(&[Fit], &RouteSpec)> = of(true).map(|(fits, route)| (&*fits.0, *route)).collect();
    let is_exact = |fits: &Match, route: &RouteSpec| {
        !fits.0.contains(&Fit::NearLiteral)
            && (route.template.contains("{*") || pieces(&route.template).len() == segments.len())
    };
    let exact = matching.iter().filter(|(fits, route)| is_exact(fits, route));
    let exact: Vec<(&[Fit], &RouteSpec)> = exact.map(|(fits, route)| (&*fits.0, *route)).collect();
    let is_open = |route: &&RouteSpec| matches!(route.access, AccessSpec::Anyone) && route.credential.is_none();
    of_best(&nearly, &best.0).filter(is_open)?;
    of_best(&exact, exact.iter().map(|(fits, _)| *fits).min()?).filter(is_open)
}

fn outside_binding(policy: &Written, route: &RouteSpec, (segments, who): (&[Vec<u8>], &Who)) -> bool {
    if !policy.bound {
        return false;
    }
    match pieces(&route.template).iter().position(|piece| *piece == "{p}") {
        Some(at) => !who.accounts.iter().any(|account| account.as_bytes() == segments[at]),
        None => !who.accounts.is_empty(),
    }
}
