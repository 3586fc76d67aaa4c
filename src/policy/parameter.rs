//! Ruled query parameters: what a policy declares about them, and what a route rules about their members.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use super::lenient::{self, Bytes, is_dropped};
use smallvec::SmallVec;

use super::octets::{Hashed, decoded_form, escape, folded_with_spaces};
use super::scope::ScopeSet;

/// How the value of a parameter is made of members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum List {
    /// `list: brackets`: split at commas; `name[]` and `name[0]` are the parameter too.
    Brackets,
    /// `list: comma`: split at commas.
    Comma,
    /// The whole value is one member.
    #[default]
    None,
}

/// A parameter that is ruled, compiled.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: Box<str>,
    pub(super) list: List,
    pub(super) dotted: bool,
}

/// All ruled parameters of a policy.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    list: Vec<Parameter>,
    by_name: Places,
    /// By what lenient parsers make of the names.
    by_key: Places,
    /// How many parts the longest key has.
    depth: usize,
    nested: Vec<Nested>,
    /// The first bytes of names that could be read as ruled ones, as bits: most names of a request are told apart by these.
    first_bytes: [u64; 4],
}

/// A key of several parts.
#[derive(Debug)]
struct Nested {
    before: Box<[u8]>,
    last: Box<[u8]>,
    /// The index of the parameter.
    parameter: usize,
}

type Places = HashMap<Box<[u8]>, usize, BuildHasherDefault<Hashed>>;

/// What a parameter of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Only some parsers would read it as the ruled one with this index.
    Lookalike(usize),
    /// The ruled one with this index.
    Ruled(usize),
    /// None that is ruled.
    Unruled,
}

impl Parameters {
    /// Puts a parameter in; the one that some parsers would take it for comes back instead.
    pub(super) fn insert(&mut self, parameter: Parameter) -> Result<(), &Parameter> {
        let keys = keys_of(parameter.name.as_bytes());
        if let Some(taken) = keys.iter().find_map(|key| self.by_key.get(key)) {
            return self.list.get(*taken).map_or(Ok(()), Err);
        }
        for key in keys {
            self.depth = self.depth.max(lenient::beginnings(&key).count());
            self.nested.extend(lenient::last_part(&key).map(|(last, before)| Nested {
                before: before.into(),
                last: last.into(),
                parameter: self.list.len(),
            }));
            for byte in first_bytes(&key) {
                if let Some(word) = self.first_bytes.get_mut(usize::from(byte / 64)) {
                    *word |= 1 << (byte % 64);
                }
            }
            self.by_key.insert(key, self.list.len());
        }
        self.by_name.insert(parameter.name.as_bytes().into(), self.list.len());
        self.list.push(parameter);
        Ok(())
    }

    /// Whether a parameter with this name, as sent, could be declared beside those that are.
    pub(super) fn could_hold(&self, raw: &[u8]) -> bool {
        let name: Bytes = decoded_form(raw).collect();
        !keys_of(&name).iter().any(|key| self.by_key.contains_key(key))
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn at(&self, index: usize) -> Option<&Parameter> {
        self.list.get(index)
    }

    pub(super) fn find(&self, name: &str) -> Option<(usize, &Parameter)> {
        self.list.iter().enumerate().find(|(_, parameter)| &*parameter.name == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|parameter| &*parameter.name)
    }

    /// Whether a name, or what follows a mark or a separator in it, begins like a ruled one, or with what decodings and
    /// lenient parsers take away.
    fn could_be_ruled(&self, raw: &[u8]) -> bool {
        let (mut rest, mut begins) = (raw, true);
        while let Some((&byte, after)) = rest.split_first() {
            if begins && self.begins_with(byte) {
                return true;
            }
            let (value, after) = match byte {
                b'%' => match escape(after) {
                    Some((b'%', _)) | None => return true,
                    Some(decoded) => decoded,
                },
                _ => (byte, after),
            };
            begins = matches!(value, b'.' | b'[' | b']') || (begins && value == b'_');
            rest = after;
        }
        raw.is_empty()
    }

    fn begins_with(&self, byte: u8) -> bool {
        let word = self.first_bytes.get(usize::from(byte / 64));
        begins_with_ornament(byte) || word.is_some_and(|word| word & 1 << (byte % 64) != 0)
    }

    /// What a name, as sent, is read as by strict and by lenient parsers.
    pub(super) fn read(&self, raw: &[u8]) -> Reading {
        if !self.could_be_ruled(raw) {
            return Reading::Unruled;
        }
        let once: Bytes = decoded_form(raw).collect();
        if let Some(at) = self.named(&once) {
            return Reading::Ruled(at);
        }
        let begins = |key: &[u8]| {
            let mut beginnings = lenient::beginnings(key).take(self.depth);
            beginnings.find_map(|beginning| self.by_key.get(beginning)).copied()
        };
        let within =
            |key: &[u8]| lenient::ends(key).find_map(|end| begins(end).or_else(|| begins(end.strip_prefix(b"_")?)));
        lenient::read(once, within).map_or(Reading::Unruled, Reading::Lookalike)
    }

    /// The parameter that qs, the parser of Express, makes of a pair beside another: `expand[a]=1&expand=secret` sets
    /// `expand[secret]`.
    pub(super) fn merged(&self, raw: &[u8], value: &[u8]) -> Option<usize> {
        if self.nested.is_empty() || value.is_empty() || !self.could_be_ruled(raw) {
            return None;
        }
        let is_last = |last: &[u8]| {
            let value: Bytes = decoded_form(value).collect();
            *folded_with_spaces(&value).trim_ascii() == *last
        };
        lenient::read(decoded_form(raw).collect(), |key| {
            let mut nested = self.nested.iter();
            nested.find(|nested| *nested.before == *key && is_last(&nested.last)).map(|nested| nested.parameter)
        })
    }

    /// The parameter whose name this is, decoded once, to every parser that the policy has in mind.
    fn named(&self, name: &[u8]) -> Option<usize> {
        if let Some(at) = self.by_name.get(name) {
            return Some(*at);
        }
        let at = *self.by_name.get(strip_brackets(name)?)?;
        self.at(at).filter(|parameter| parameter.list == List::Brackets).map(|_| at)
    }
}

/// What lenient parsers make of the name of a parameter, decoded.
fn keys_of(name: &[u8]) -> Vec<Box<[u8]>> {
    let mut keys: Vec<Box<[u8]>> = Vec::new();
    let _: Option<()> = lenient::keys(name, |key| {
        keys.push(lenient::without_indices(key).into());
        None
    });
    keys
}

/// How many signs a member may have that `*` opens; what has more is denied, since each costs look-ups.
const MOST_SIGNS: usize = 16;

/// How deep a dotted member may be; deeper ones are denied, since each dot costs a look-up of all that is before it.
const MOST_DOTS: usize = 32;

/// The bytes that a name with this key may begin with, unless it begins with an ornament.
fn first_bytes(key: &[u8]) -> [u8; 3] {
    let first = key.first().copied().unwrap_or(b'[');
    [first, first.to_ascii_uppercase(), if first == b'_' { b'-' } else { first }]
}

/// Whether a name that begins with this byte may be read as one that begins otherwise.
pub(super) fn begins_with_ornament(first: u8) -> bool {
    matches!(first, b'%' | b'+' | b'[' | b']' | b'.' | b'?' | b'!' | b'$') || is_dropped(first)
}

/// The name before one `[]` or `[digits]` at its end.
fn strip_brackets(name: &[u8]) -> Option<&[u8]> {
    let inner = name.strip_suffix(b"]")?;
    let open = inner.iter().rposition(|byte| !byte.is_ascii_digit())?;
    let (before, bracket) = inner.split_at_checked(open)?;
    (bracket.first() == Some(&b'[')).then_some(before)
}

/// What a route says about the members of one ruled parameter.
#[derive(Clone, Debug)]
pub(super) struct RouteRule {
    /// The index of the parameter.
    pub(super) parameter: usize,
    listed: HashMap<Box<[u8]>, MemberRule, BuildHasherDefault<Hashed>>,
    /// `*`: the rule for members that are not listed.
    rest: Option<MemberRule>,
    /// The plain forms of the listed members, where there is a `*`.
    plain: HashSet<Box<[u8]>, BuildHasherDefault<Hashed>>,
    /// The length of the longest of them, in bytes.
    longest: usize,
    /// Whether the members are those of the parameter's declaration, which other routes may share.
    pub(super) declared: bool,
}

/// What a member asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MemberRule {
    Allow,
    Deny,
    Scopes(ScopeSet),
}

/// Two rules are one where every member asks for the same.
impl PartialEq for RouteRule {
    fn eq(&self, other: &Self) -> bool {
        self.parameter == other.parameter && self.listed == other.listed && self.rest == other.rest
    }
}

impl RouteRule {
    pub(super) fn new(parameter: usize, rules: impl IntoIterator<Item = (String, MemberRule)>) -> Self {
        let (mut listed, mut rest) = (HashMap::default(), None);
        for (member, rule) in rules {
            match member.as_str() {
                "*" => rest = Some(rule),
                _ => drop(listed.insert(member.into_bytes().into_boxed_slice(), rule)),
            }
        }
        let plain: HashSet<Box<[u8]>, BuildHasherDefault<Hashed>> = match rest {
            Some(_) => listed.keys().map(|member| without_spaces(&plain_member(member))).collect(),
            None => HashSet::default(),
        };
        let longest = plain.iter().map(|name| name.len()).max().unwrap_or(0);
        Self { parameter, listed, rest, plain, longest, declared: false }
    }

    /// Each member with its rule, in order; `*` is the rest.
    pub(super) fn members(&self) -> impl Iterator<Item = (&[u8], &MemberRule)> {
        let mut listed: Vec<(&[u8], &MemberRule)> =
            self.listed.iter().map(|(member, rule)| (&**member, rule)).collect();
        listed.sort_by_key(|(member, _)| *member);
        listed.into_iter().chain(self.rest.as_ref().map(|rule| (&b"*"[..], rule)))
    }

    /// Takes scopes out of what a member asks for.
    pub(super) fn relax(&mut self, member: &str, scopes: &ScopeSet) {
        let rule = if member == "*" { self.rest.as_mut() } else { self.listed.get_mut(member.as_bytes()) };
        if let Some(MemberRule::Scopes(asked)) = rule {
            *asked = asked.difference(scopes);
        }
    }

    /// Whether members that are not listed are open.
    pub(super) const fn has_rest(&self) -> bool {
        self.rest.is_some()
    }

    /// The scopes that a member which is not listed asks for; `None` where it is denied.
    pub(super) fn rest_scopes(&self) -> Option<ScopeSet> {
        self.rest.as_ref()?.scopes()
    }

    /// The scopes that a member asks for; `None` where it is denied.
    ///
    /// A dotted path has its own rule, or needs those of the path before its last dot and of the name behind it.
    /// `*` does not cover what a lenient server would read as a listed member, such as one in other letters.
    pub(super) fn scopes(&self, member: &[u8], dotted: bool) -> Option<ScopeSet> {
        let dots = member.iter().filter(|byte| **byte == b'.').count();
        if dotted && dots > MOST_DOTS {
            return None;
        }
        self.scopes_below(member, dotted)
    }

    /// Whether a lenient server would find a listed member in one: in other letters, with `-` and `_` as it likes, between
    /// signs (`lists:limit(5)`, `a,lists`, `x/lists`), or as one of all there are (`*`). What is not UTF-8, or has more
    /// signs than a name ever has, may be read as anything. Where members are dotted, a dot is part of a name.
    fn reads_like_listed(&self, member: &[u8], dotted: bool) -> bool {
        if std::str::from_utf8(member).is_err() || *member == *b"*" {
            return true;
        }
        let plain = plain_member(member);
        let is_sign =
            |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, 0x80..) || (dotted && *byte == b'.'));
        let signs: SmallVec<[usize; MOST_SIGNS]> =
            plain.iter().enumerate().filter(|(_, byte)| is_sign(byte)).map(|(at, _)| at).take(MOST_SIGNS + 1).collect();
        if signs.len() > MOST_SIGNS {
            return true;
        }
        let starts = || [0].into_iter().chain(signs.iter().map(|at| at + 1));
        let ends = || signs.iter().copied().chain([plain.len()]);
        starts().any(|start| {
            ends().filter(|end| start < *end && end - start <= self.longest + MOST_SIGNS).any(|end| {
                let piece = plain.get(start..end).unwrap_or_default();
                let joined: Bytes = piece.iter().copied().filter(|byte| *byte != b' ').collect();
                self.plain.contains(&*joined)
            })
        })
    }

    fn scopes_below(&self, member: &[u8], dotted: bool) -> Option<ScopeSet> {
        if let Some(rule) = self.listed.get(member) {
            return rule.scopes();
        }
        if self.rest.is_some() && self.reads_like_listed(member, dotted) {
            return None;
        }
        let dot = member.iter().rposition(|byte| *byte == b'.').filter(|_| dotted);
        let Some((before, behind)) = dot.and_then(|dot| member.split_at_checked(dot)) else {
            return self.rest.as_ref()?.scopes();
        };
        let last = behind.get(1..)?;
        Some(self.scopes_below(before, true)?.union(&self.scopes_below(last, false)?))
    }
}

impl MemberRule {
    /// The scopes that it asks for; `None` where it denies.
    pub(super) fn scopes(&self) -> Option<ScopeSet> {
        match self {
            Self::Allow => Some(ScopeSet::new()),
            Self::Deny => None,
            Self::Scopes(scopes) => Some(scopes.clone()),
        }
    }
}

fn without_spaces(plain: &[u8]) -> Box<[u8]> {
    plain.iter().copied().filter(|byte| *byte != b' ').collect()
}

/// What the most lenient server would make of a member: without letter case, `-` and `_`, and with blanks and `__` as
/// spaces.
fn plain_member(member: &[u8]) -> Box<[u8]> {
    let folded = folded_with_spaces(member);
    let mut plain = Vec::with_capacity(folded.len());
    let mut rest = folded.as_slice();
    while let Some((byte, after)) = rest.split_first() {
        let parts = rest.starts_with(b"__");
        match byte {
            b'_' if parts => plain.push(b' '),
            b'-' | b'_' => {}
            byte => plain.push(*byte),
        }
        rest = if parts { after.get(1..).unwrap_or_default() } else { after };
    }
    plain.into()
}
