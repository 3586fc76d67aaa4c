//! Templates and paths, compared one by one.

use std::collections::BTreeSet;

use super::super::super::*;
use super::super::scenarios::{Asked, Written};
use super::{decode, is_blank, segments};

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

pub(super) fn pieces(template: &str) -> Vec<&str> {
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
    // A script gets what stands behind it.
    let is_script = pieces.iter().rfind(|piece| !piece.is_empty()).is_some_and(|piece| piece.ends_with(".php"));
    if is_script && !fits.is_empty() && fits.len() < length {
        fits.pop();
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
    head.trim_start_matches(is_blank).trim_end_matches(|letter| letter == '.' || is_blank(letter)).to_owned()
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

/// Every route whose template the segments may be taken for, the best first.
fn ranked<'p>(policy: &'p Written, segments: &[Vec<u8>]) -> Vec<(Match, &'p RouteSpec)> {
    let matching = policy.routes.iter().filter_map(|route| Some((fits(policy, &route.template, segments)?, route)));
    let mut matching: Vec<(Match, &RouteSpec)> = matching.collect();
    matching.sort_by(|left, right| left.0.cmp(&right.0));
    matching
}

/// The route of a method among those of one template.
fn with_method<'p>(among: &[&'p RouteSpec], method: &str) -> Option<&'p RouteSpec> {
    let with = |method: &str| among.iter().copied().find(|route| route.methods.iter().any(|written| written == method));
    match method {
        "GET" | "POST" | "PUT" => with(method).or_else(|| with("ANY")),
        "HEAD" => with("HEAD").or_else(|| with("GET")).or_else(|| with("ANY")),
        "OPTIONS" => with("OPTIONS"),
        _ => None,
    }
}

/// The templates in a ranking, each with its routes and whether the path is one of it letter by letter.
fn templates<'p>(ranked: &[(Match, &'p RouteSpec)], segments: &[Vec<u8>]) -> Vec<(bool, Vec<&'p RouteSpec>)> {
    let mut groups: Vec<(&Match, Vec<&RouteSpec>)> = Vec::new();
    for (fits, route) in ranked {
        match groups.iter_mut().find(|(_, routes)| shape(&routes[0].template) == shape(&route.template)) {
            Some((_, routes)) => routes.push(*route),
            None => groups.push((fits, vec![*route])),
        }
    }
    let is_exact = |fits: &Match, route: &RouteSpec| {
        !fits.0.contains(&Fit::NearLiteral)
            && (route.template.contains("{*") || pieces(&route.template).len() == segments.len())
    };
    let has_own_end = |route: &RouteSpec| route.template.ends_with('/') == segments.last().unwrap().is_empty();
    let plain = |route: &RouteSpec| shape(route.template.trim_end_matches('/'));
    let own_ends: Vec<String> =
        ranked.iter().filter(|(_, route)| has_own_end(route)).map(|(_, route)| plain(route)).collect();
    // Where both are written, each has its own end; behind a script there is none.
    groups.retain(|(fits, routes)| {
        let ends_before = fits.0.len() < segments.len() - usize::from(segments.last().unwrap().is_empty());
        let wild = routes[0].template.contains("{*");
        wild || ends_before || has_own_end(routes[0]) || !own_ends.contains(&plain(routes[0]))
    });
    groups.into_iter().map(|(fits, routes)| (is_exact(fits, routes[0]), routes)).collect()
}

fn shape(template: &str) -> String {
    template.replace("{q}", "{p}")
}

/// The path chooses the template, then the method the route. Where the path could be taken for another template, each of
/// them must ask for the same.
pub(super) fn choose<'p>(policy: &'p Written, segments: &[Vec<u8>], asked: &Asked) -> Option<&'p RouteSpec> {
    let ranked = ranked(policy, segments);
    let (best, first) = ranked.first()?;
    let routes = templates(&ranked, segments);
    let raw = compared_raw(policy, asked);
    let is_same_raw = raw
        .as_ref()
        .is_none_or(|raw| raw.as_ref().is_some_and(|(_, routes)| shape(&routes[0].template) == shape(&first.template)));
    if !best.1 && is_same_raw {
        return with_method(&routes[0].1, asked.method);
    }
    let meant = routes.iter().position(|(is_exact, _)| *is_exact)?;
    let all: Option<Vec<&RouteSpec>> =
        routes[..=meant].iter().map(|(_, routes)| with_method(routes, asked.method)).collect();
    let mut all = all?;
    let own = all[meant];
    if let Some(raw) = raw {
        let (near, routes) = raw?;
        all.push(with_method(&routes, asked.method).filter(|_| !near)?);
    }
    all.iter().all(|route| asks_the_same(policy, own, route)).then_some(own)
}

/// What servers find that compare literals before they decode: `None` where that is no question; within it, the best
/// template, and whether the path is one of it but for a difference.
fn compared_raw<'p>(policy: &'p Written, asked: &Asked) -> Option<Option<(bool, Vec<&'p RouteSpec>)>> {
    let needless = |piece: &str| {
        let escapes = piece.match_indices('%').filter_map(|(at, _)| piece.get(at..at + 3));
        let mut values = escapes.flat_map(|escape| decode(escape.as_bytes(), false));
        values.any(|value| value.is_ascii_alphanumeric() || b"-._".contains(&value))
    };
    if !asked.path.split('/').any(needless) {
        return None;
    }
    // What is encoded without need equals no literal: a byte that no literal of the scenarios has.
    let raw = |piece: &str| {
        let slash = if piece.to_lowercase().contains("%2f") { "%2Fx" } else { "" };
        if needless(piece) { format!("%01{slash}") } else { piece.to_owned() }
    };
    let raw: Vec<String> = asked.path.split('/').map(raw).collect();
    let segments: Vec<Vec<u8>> = raw.iter().skip(1).map(|piece| decode(piece.as_bytes(), false)).collect();
    let ranked = ranked(policy, &segments);
    let near = ranked.first().map(|(fits, _)| fits.1);
    Some(near.map(|near| (near, templates(&ranked, &segments).remove(0).1)))
}

/// Whether no server that decodes a slash before it parts the path would find a route that asks for something else.
pub(super) fn is_one_segment(policy: &Written, route: &RouteSpec, asked: &Asked) -> bool {
    let mut parted = asked.path.replace("%2F", "/").replace("%2f", "/");
    while parted.contains("//") {
        parted = parted.replace("//", "/");
    }
    let Some(segments) = segments(&parted) else { return false };
    let ranked = ranked(policy, &segments);
    let templates = templates(&ranked, &segments);
    let meant = templates.iter().position(|(is_exact, _)| *is_exact).map_or(templates.len(), |at| at + 1);
    templates[..meant].iter().all(|(_, routes)| {
        let own = with_method(routes, asked.method);
        routes[0].template == "/{*rest}" || own.is_some_and(|other| asks_the_same(policy, route, other))
    })
}

/// Whether whoever may call one route may call the other, to the same effect.
fn asks_the_same(policy: &Written, one: &RouteSpec, other: &RouteSpec) -> bool {
    let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<String>>();
    let sets = |lists: &[Vec<String>]| lists.iter().map(|names| set(names)).collect::<Vec<_>>();
    let is_same_access = match (&one.access, &other.access) {
        (AccessSpec::Anyone, AccessSpec::Anyone)
        | (AccessSpec::Key, AccessSpec::Key)
        | (AccessSpec::PublicKey, AccessSpec::PublicKey) => true,
        (AccessSpec::Scopes { all_of, any_of }, AccessSpec::Scopes { all_of: others_all, any_of: others_any }) => {
            set(all_of) == set(others_all) && sets(any_of) == sets(others_any)
        }
        _ => false,
    };
    let rules = |route: &RouteSpec| {
        let rules = route.query.first().map(|(_, rules)| match rules {
            RuleSpec::Own(rules) => rules.clone(),
            RuleSpec::Declared(_) => unreachable!("scenarios write rules of their own"),
        });
        rules.map(|rules| {
            let sorted = |(member, rule): (String, MemberSpec)| match rule {
                MemberSpec::Allow => (member, "allow".to_owned(), BTreeSet::new()),
                MemberSpec::Deny => (member, "deny".to_owned(), BTreeSet::new()),
                MemberSpec::Scopes(names) => (member, String::new(), set(&names)),
            };
            rules.into_iter().map(sorted).collect::<BTreeSet<_>>()
        })
    };
    let place = |route: &RouteSpec| pieces(&route.template).iter().position(|piece| *piece == "{p}");
    std::ptr::eq(one, other)
        || (is_same_access
            && one.encoded_slash == other.encoded_slash
            && rules(one) == rules(other)
            && (!policy.bound || place(one) == place(other)))
}
