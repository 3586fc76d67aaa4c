mod queries;
mod templates;

use std::collections::BTreeSet;

use super::super::*;
use super::scenarios::{Asked, Level, SCOPES, Who, Written};

use queries::{asks_for_another_method, every_pair, name_of, query, reads_like};
use templates::{choose, is_one_segment, pieces};

type Answer = (&'static str, Vec<String>, Vec<String>);
type Names = BTreeSet<String>;

/// The answer to a request: code, required, missing.
pub(super) fn answer(policy: &Written, asked: &Asked) -> Answer {
    let refused = |code| (code, Vec::new(), Vec::new());
    let pairs: Vec<&str> = asked.query.strip_prefix('?').map_or(vec![], |query| query.split('&').collect());
    if pairs.iter().any(|pair| every_pair(pair).iter().any(|pair| asks_for_another_method(pair, asked.method))) {
        return refused("method_override");
    }
    let Some(segments) = segments(&asked.path) else {
        return refused("ambiguous_path");
    };
    if segments.iter().any(|segment| hides_a_query(segment)) {
        return refused("ambiguous_path");
    }
    let route = choose(policy, &segments, asked);
    let has_slash = segments.iter().any(|segment| segment.contains(&b'/'));
    let may_have_one = |route: &RouteSpec| route.encoded_slash && is_one_segment(policy, route, asked);
    if has_slash && !route.is_some_and(may_have_one) {
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
    let wears = |letter: char| letter == '.' || is_blank(letter);
    let collapses = |part: &str| part.split(['?', '#']).next().unwrap().trim_matches(wears).is_empty();
    // Behind a first part a segment may have empty ones, as a URL has.
    let mut parts = text.split('/').enumerate().filter(|(at, part)| *at == 0 || !part.is_empty());
    let collapses = !piece.is_empty() && parts.any(|(_, part)| collapses(part));
    let odd = text.chars().any(|letter| letter.is_ascii_control() || "\\;".contains(letter));
    (!malformed && !twice && !collapses && !odd).then_some(bytes)
}

/// Whether a server that decodes a path before it looks for its end would find a query there that says something.
fn hides_a_query(segment: &[u8]) -> bool {
    let text = String::from_utf8(segment.to_vec()).unwrap();
    let pairs = |query: &str| query.split('&').flat_map(every_pair).collect::<Vec<_>>();
    let hidden = text.split_once(['?', '&']).map(|(_, query)| pairs(query)).unwrap_or_default();
    hidden.iter().any(|pair| reads_like(&name_of(pair), "include") || asks_for_another_method(pair, "POST"))
}

fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || "\u{feff}\u{200b}\u{2060}\u{ad}".contains(letter)
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

fn outside_binding(policy: &Written, route: &RouteSpec, (segments, who): (&[Vec<u8>], &Who)) -> bool {
    if !policy.bound {
        return false;
    }
    match pieces(&route.template).iter().position(|piece| *piece == "{p}") {
        Some(at) => !who.accounts.iter().any(|account| account.as_bytes() == segments[at]),
        None => !who.accounts.is_empty(),
    }
}
