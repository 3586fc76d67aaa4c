//! Ruled parameters, read in the plainest way.

use super::super::super::*;
use super::super::scenarios::Written;
use super::{Names, decode, is_blank};

/// A pair, those that a parser which splits at `;` would find in it, and those that one finds which decodes it before.
pub(super) fn every_pair(pair: &str) -> Vec<String> {
    let mut pairs = vec![pair.to_owned()];
    if pair.contains(';') {
        pairs.extend(pair.split(';').map(str::to_owned));
    }
    let again = |text: &str| String::from_utf8_lossy(&decode(text.as_bytes(), true)).into_owned();
    let (mut own, mut whole) = (name_of(pair), pair.to_owned());
    for _ in 0..3 {
        (own, whole) = (again(&own), again(&whole));
        pairs.extend(own.contains('=').then(|| own.clone()));
        pairs.extend(whole.split(['&', ';']).skip(1).map(str::to_owned));
    }
    pairs
}

pub(super) fn name_of(pair: &str) -> String {
    pair.split('=').next().unwrap_or_default().to_owned()
}

/// Whether some parser would read a name as the ruled one, or as something in it, after one, two or three decodings:
/// behind the name of what holds it, with a mark in front or a modifier behind.
pub(super) fn reads_like(name: &str, ruled: &str) -> bool {
    let is = |part: &str| part == ruled || part.strip_prefix('_') == Some(ruled);
    parts(name).iter().flatten().any(|part| is(part) || is(without_modifier(part)))
}

/// Whether some server would take a pair for the name of another method than the request has.
pub(super) fn asks_for_another_method(pair: &str, own: &str) -> bool {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let first = |parts: &Vec<String>| parts.first().map(|part| without_modifier(part).replace('-', "_"));
    let names: Vec<String> = parts(name).iter().filter_map(first).collect();
    let mut value = value.to_owned();
    let is_other = (0..3).any(|_| {
        value = String::from_utf8_lossy(&decode(value.as_bytes(), true)).into_owned();
        let word = value.trim().to_uppercase();
        word != own.to_uppercase() && ["GET", "PUT", "POST", "HEAD", "DELETE"].contains(&&*word)
    });
    let always = ["_method", "_httpmethod", "x_http_method_override"];
    names.iter().any(|name| {
        always.contains(&&**name) || (["method", "httpmethod"].contains(&&**name) && own == "POST" && is_other)
    })
}

fn without_modifier(part: &str) -> &str {
    let colon = part.char_indices().skip(1).find(|(_, letter)| *letter == ':');
    colon.and_then(|(at, _)| part.get(..at)).unwrap_or(part)
}

/// The parts of a name, in lower case, as parsers of each kind read it after one, two and three decodings.
fn parts(name: &str) -> Vec<Vec<String>> {
    let mut bytes = name.as_bytes().to_vec();
    let mut all = Vec::new();
    for _ in 0..3 {
        bytes = decode(&bytes, true);
        let text = String::from_utf8_lossy(&bytes).to_lowercase().replace("%u0069", "i");
        let text = text.replace('\u{17f}', "s").replace('\u{131}', "i").replace("i\u{307}", "i");
        let spaced = |letter| if is_blank(letter) && letter != '\0' { ' ' } else { letter };
        let text: String = text.chars().map(spaced).collect();
        let cut = text.split('\0').next().unwrap().to_owned();
        let bare = |text: &str| text.replace([' ', '\0'], "").trim_start_matches(['?', '!', '$']).to_owned();
        let unclosed = |text: &str| match text.rsplit_once(']') {
            Some((before, after)) => format!("{before}]{}", after.replace('[', "_")),
            None => text.replace('[', "_"),
        };
        let php = |text: &str| unclosed(text).replace(['.', ' ', '-'], "_");
        let mut add = |text: &str, between: &[char]| {
            all.push(text.split(between).filter(|part| !part.is_empty()).map(str::to_owned).collect());
        };
        add(&bare(&text), &['[', ']', '.']);
        add(&bare(&cut), &['[', ']', '.']);
        add(&php(&cut), &['[', ']']);
        add(&php(cut.trim_start()), &['[', ']']);
        add(&bare(&web_api(&text)), &['[', ']', '.']);
    }
    all
}

/// A dot in the place of each pair of brackets, and nothing in that of an empty one.
fn web_api(name: &str) -> String {
    let pair = name.split_once('[').and_then(|(before, behind)| Some((before, behind.split_once(']')?)));
    match pair {
        Some((before, ("", rest))) => format!("{before}{}", web_api(rest)),
        Some((before, (field, rest))) => format!("{before}.{field}{}", web_api(rest)),
        None => name.to_owned(),
    }
}

/// Notes the scopes that the members ask for; the code of the first fault otherwise.
pub(super) fn query(
    policy: &Written,
    route: &RouteSpec,
    (pairs, demanded): (&[&str], &mut Names),
) -> Result<(), &'static str> {
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
        let split = if pair.contains(';') { pair.split(';').count() } else { 0 };
        let names: Vec<String> = every_pair(pair).iter().map(|pair| name_of(pair)).collect();
        // Its own name stands in front once, and once more where the pair is split.
        let own = if is_ruled { 1 + split.min(1) } else { 0 };
        let hidden = names.get(own..).unwrap_or_default();
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
    let near = member == "*"
        || member.contains('\u{fffd}')
        || rules.iter().any(|(listed, _)| listed != "*" && stands_in(member, listed, dotted));
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

/// Whether a server may find a listed member in another one: between any two signs, without `-`, `_` and letter case.
fn stands_in(member: &str, listed: &str, dotted: bool) -> bool {
    let plain = |name: &str| {
        let spaced: String =
            name.to_lowercase().chars().map(|letter| if is_blank(letter) { ' ' } else { letter }).collect();
        spaced.replace("__", " ").replace(['-', '_'], "")
    };
    let is_sign = |letter: char| letter.is_ascii() && !letter.is_ascii_alphanumeric() && !(dotted && letter == '.');
    let (member, listed) = (plain(member), plain(listed).replace(' ', ""));
    let signs: Vec<usize> = member.match_indices(is_sign).map(|(at, _)| at).collect();
    let starts = [0].into_iter().chain(signs.iter().map(|at| at + 1));
    let mut spans = starts.flat_map(|start| signs.iter().copied().chain([member.len()]).map(move |end| (start, end)));
    signs.len() > 16
        || spans.any(|(start, end)| {
            member.get(start..end).is_some_and(|part| part.replace(' ', "") == listed && !part.is_empty())
        })
}
