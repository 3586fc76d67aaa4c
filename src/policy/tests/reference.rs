use std::collections::BTreeSet;

use super::super::*;
use super::scenarios::{Asked, Level, SCOPES, Who, Written};

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
    let route = choose(policy, &segments, asked);
    let has_slash = segments.iter().any(|segment| segment.contains(&b'/'));
    if has_slash && !route.is_some_and(|route| route.encoded_slash) {
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
    let collapses = |part: &str| {
        let head = part.split(['?', '#']).next().unwrap();
        head.trim_matches(['.', ' ']).is_empty() && (part.is_empty() || !head.is_empty())
    };
    let collapses = !piece.is_empty() && text.split('/').any(collapses);
    let odd = text.chars().any(|letter| letter.is_ascii_control() || "\\;".contains(letter));
    (!malformed && !twice && !collapses && !odd).then_some(bytes)
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

/// Whether two names are one but for a format suffix.
fn same_stem(segment: &str, literal: &str) -> bool {
    let stem = |name: &str| match name.rsplit_once('.') {
        Some((before, suffix)) if !before.is_empty() && !suffix.is_empty() => before.to_lowercase(),
        _ => name.to_lowercase(),
    };
    let of_literal = match literal.rsplit_once('.') {
        Some((_, suffix)) if !suffix.starts_with(|first: char| first.is_ascii_alphabetic()) => literal.to_lowercase(),
        _ => stem(literal),
    };
    let literal = literal.to_lowercase();
    [segment.to_lowercase(), stem(segment)].iter().any(|name| *name == literal || *name == of_literal)
}

/// What careless servers leave of a segment.
fn worn(segment: &[u8]) -> String {
    let text = String::from_utf8(segment.to_vec()).unwrap();
    let head = text.split(['?', '#']).next().filter(|head| !head.is_empty()).unwrap_or(&text);
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
    if best.1 {
        return None;
    }
    let with = |method: &str| {
        let mut routes = matching.iter().filter(|(fits, _)| fits == best).map(|(_, route)| *route);
        routes.find(|route| route.methods.iter().any(|written| written == method))
    };
    match asked.method {
        "GET" | "POST" | "PUT" => with(asked.method).or_else(|| with("ANY")),
        "HEAD" => with("HEAD").or_else(|| with("GET")).or_else(|| with("ANY")),
        "OPTIONS" => with("OPTIONS"),
        _ => None,
    }
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

/// The name of a pair, and the names that a parser which splits at `;` would find in it.
fn every_name(pair: &str) -> Vec<&str> {
    let name = |text| str::split(text, '=').next().unwrap_or_default();
    let mut names = vec![name(pair)];
    if pair.contains(';') {
        names.extend(pair.split(';').map(name));
    }
    names
}

/// Whether some parser would read a name as the ruled one, or as something in it, after one, two or three decodings.
fn reads_like(name: &str, ruled: &str) -> bool {
    let mut bytes = name.as_bytes().to_vec();
    (0..3).any(|_| {
        bytes = decode(&bytes, true);
        let text = String::from_utf8_lossy(&bytes).to_lowercase().replace("%u0069", "i");
        let text = text.replace('\u{17f}', "s").replace('\u{131}', "i").replace("i\u{307}", "i");
        let cut = text.split('\0').next().unwrap().to_owned();
        let bare = |text: &str| text.replace([' ', '\0'], "").trim_start_matches('?').to_owned();
        let unclosed = |text: &str| match text.rsplit_once(']') {
            Some((before, after)) => format!("{before}]{}", after.replace('[', "_")),
            None => text.replace('[', "_"),
        };
        let php = |text: &str| unclosed(text).replace(['.', ' ', '-'], "_");
        let first = |text: &str, between: &[char]| text.split(between).find(|part| !part.is_empty()) == Some(ruled);
        first(&bare(&text), &['[', ']', '.'])
            || first(&bare(&cut), &['[', ']', '.'])
            || first(&php(&cut), &['[', ']'])
            || first(&php(cut.trim_start()), &['[', ']'])
    })
}

/// Notes the scopes that the members ask for; the code of the first fault otherwise.
fn query(policy: &Written, route: &RouteSpec, (pairs, demanded): (&[&str], &mut Names)) -> Result<(), &'static str> {
    let rules = route.query.first().map(|(_, rules)| match rules {
        RuleSpec::Own(rules) => rules.as_slice(),
        RuleSpec::Declared(_) => unreachable!("scenarios write rules of their own"),
    });
    let is_open = rules.is_some_and(|rules| rules.iter().any(|(member, _)| member == "*"));
    let mut values = Vec::new();
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = String::from_utf8_lossy(&decode(name.as_bytes(), true)).into_owned();
        let brackets = decoded.strip_prefix("include[").and_then(|rest| rest.strip_suffix(']'));
        let takes_brackets = policy.shape.0 == List::Brackets;
        let is_indexed = brackets.is_some_and(|inner| inner.bytes().all(|byte| byte.is_ascii_digit()));
        let is_ruled = decoded == "include" || (takes_brackets && is_indexed);
        let names = every_name(pair);
        let hidden = if is_ruled { names.get(2..).unwrap_or_default() } else { &names[..] };
        if hidden.iter().any(|name| reads_like(name, "include")) {
            return Err("ambiguous_query");
        }
        let once = decode(value.as_bytes(), true);
        if is_ruled && (decode(&once, false) != once || (is_open && value.contains(';'))) {
            return Err("ambiguous_query");
        }
        if is_ruled {
            values.push(String::from_utf8_lossy(&once).into_owned());
        }
    }
    for value in &values {
        let members: Vec<&str> = if policy.shape.0 == List::None { vec![value] } else { value.split(',').collect() };
        for member in members.into_iter().filter(|member| !member.is_empty()) {
            demanded.extend(member_scopes(rules, member, policy.shape.1).ok_or("query_not_allowed")?);
        }
    }
    Ok(())
}

/// The scopes of a member; `None` where it is denied. What reads like a listed member is not opened by `*`.
fn member_scopes(rules: Option<&[(String, MemberSpec)]>, member: &str, dotted: bool) -> Option<Vec<String>> {
    let rules = rules?;
    let rule_of = |name: &str| rules.iter().find(|(listed, _)| listed == name).map(|(_, rule)| rule);
    let scopes = |rule: &MemberSpec| match rule {
        MemberSpec::Allow => Some(Vec::new()),
        MemberSpec::Deny => None,
        MemberSpec::Scopes(names) => Some(names.clone()),
    };
    let plain = |name: &str| name.to_lowercase().replace([' ', '\0'], "");
    let near = rules.iter().any(|(listed, _)| listed != "*" && plain(listed) == plain(member));
    if member != "*"
        && let Some(rule) = rule_of(member)
    {
        return scopes(rule);
    }
    if rule_of("*").is_some() && near {
        return None;
    }
    match member.rsplit_once('.').filter(|_| dotted) {
        None => scopes(rule_of("*")?),
        Some((before, last)) => {
            let mut all = member_scopes(Some(rules), before, true)?;
            all.extend(member_scopes(Some(rules), last, false)?);
            Some(all)
        }
    }
}
