//! `routes`: a method and a path template each, and who may call it.

use super::declare::member_rules;
use super::{Surroundings, is_blank, place, words};
use crate::config::read::{Field, Fields, Reader, list_of};
use crate::config::text::quoted;
use crate::config::unit::{self, Complaint};
use crate::policy::{AccessSpec, Builder, RouteSpec, RouteTimeouts, RuleSpec, Upgrade, nearest};
use crate::yaml::{Entry, Value};

const WHO: &str = "write a scope, a list of scopes, or `auth: key`, `auth: anyone` or `auth: deny` in a map";

/// The fields of a route.
const KNOWN: [&str; 9] =
    ["scopes", "any_of", "auth", "query", "credential", "encoded_slash", "upgrade", "unbound", "timeouts"];

/// Reads all routes.
pub(super) fn routes(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    builder: &mut Builder,
    surroundings: Surroundings<'_>,
) {
    let Some(routes) = reader.map(field) else { return };
    if routes.entries().is_empty() {
        reader.complain(field, Complaint::new("opens nothing", "write `GET /path: scope`, one a line"));
    }
    for entry in routes.entries() {
        let Some(spec) = route(reader, entry, &routes.field(entry)) else { continue };
        check_credential(reader, &routes.field(entry), &spec, surroundings.credentials);
        if matches!(spec.access, AccessSpec::PublicKey) && surroundings.public_keys == Some(false) {
            warn_of_closed(reader, entry, &routes.field(entry));
        }
        for error in builder.route(spec).err().into_iter().flatten() {
            place::note_in_route(reader, entry, error);
        }
    }
}

fn route(reader: &mut Reader<'_>, entry: &Entry, field: &Field<'_>) -> Option<RouteSpec> {
    let named = match entry.key.split(' ').collect::<Vec<_>>().as_slice() {
        [methods, template] if template.starts_with('/') => {
            Some((methods.split('|').map(str::to_owned).collect(), (*template).to_owned()))
        }
        _ => {
            let message = format!("{} is not a route", quoted(&entry.key));
            let help = match entry.key.as_ref() {
                path if path.starts_with('/') && !path.contains(' ') => format!("write `GET {path}`"),
                _ => "write `GET /path`, or `GET|POST /path` for more methods".to_owned(),
            };
            reader.fault(entry.key_span, message, help);
            None
        }
    };
    let mut spec = RouteSpec::new(Vec::new(), "", AccessSpec::Deny);
    spec.line = reader.line(entry.key_span);
    // The value is read in any case, for its own faults.
    let access = read_value(reader, entry, field, &mut spec);
    let (methods, template) = named?;
    Some(RouteSpec { methods, template, access: access?, ..spec })
}

/// Reads what a route says; gives who may call it.
fn read_value(reader: &mut Reader<'_>, entry: &Entry, field: &Field<'_>, spec: &mut RouteSpec) -> Option<AccessSpec> {
    if is_blank(field.node) {
        reader.fault(entry.key_span, format!("{} says nothing about who may call it", quoted(&entry.key)), WHO);
        return None;
    }
    if !matches!(field.node.value, Value::Map(_)) {
        let all_of = words(reader, field, "the scopes that the route needs")?;
        return Some(AccessSpec::Scopes { all_of, any_of: Vec::new() });
    }
    let fields = reader.fields(field, &KNOWN)?;
    if let Some(upgrade) = fields.find("upgrade") {
        spec.upgrade = reader.choice(&upgrade, &[("websocket", Upgrade::WebSocket)]);
    }
    if let Some(credential) = fields.find("credential") {
        spec.credential = reader.string(&credential).map(|name| name.value);
    }
    if let Some(slash) = fields.find("encoded_slash") {
        let choice = reader.choice(&slash, &[("allow", true), ("refuse", false)]);
        spec.encoded_slash = choice.unwrap_or(false);
    }
    if let Some(unbound) = fields.find("unbound") {
        spec.unbound = words(reader, &unbound, "the attributes that do not bind here").unwrap_or_default();
    }
    if let Some(field) = fields.find("timeouts") {
        spec.timeouts = timeouts(reader, &field);
    }
    if let Some(query) = fields.find("query") {
        spec.query = rules(reader, &query).unwrap_or_default();
    }
    access(reader, entry, &fields)
}

/// Who may call the route: scopes, or `auth`, and never neither or both.
fn access(reader: &mut Reader<'_>, entry: &Entry, fields: &Fields<'_>) -> Option<AccessSpec> {
    const AUTH: [&str; 4] = ["key", "public-key", "anyone", "deny"];
    let (scopes, any_of) = (fields.find("scopes"), fields.find("any_of"));
    let Some(auth) = fields.find("auth") else {
        if scopes.is_none() && any_of.is_none() {
            // An unknown field may be one of these, misspelt, and has been told so.
            if fields.entries().iter().any(|entry| !KNOWN.contains(&&*entry.key)) {
                return None;
            }
            reader.fault(entry.key_span, format!("{} does not say who may call it", quoted(&entry.key)), WHO);
            return None;
        }
        let all_of = match scopes {
            Some(scopes) => words(reader, &scopes, "the scopes that the route needs"),
            None => Some(Vec::new()),
        };
        let any_of = match any_of {
            Some(any_of) => alternatives(reader, &any_of),
            None => Some(Vec::new()),
        };
        return Some(AccessSpec::Scopes { all_of: all_of?, any_of: any_of? });
    };
    let word = reader.parse(&auth, |text| auth_word(&AUTH, text))?;
    if scopes.is_some() || any_of.is_some() {
        let message = format!("`auth: {word}` stands beside scopes, and they cannot both hold");
        reader.fault(auth.node.span, message, "keep the scopes, or `auth`");
        return None;
    }
    Some(match word {
        "anyone" => AccessSpec::Anyone,
        "deny" => AccessSpec::Deny,
        "key" => AccessSpec::Key,
        _ => AccessSpec::PublicKey,
    })
}

/// Warns of a route for public keys where none can be presented.
fn warn_of_closed(reader: &mut Reader<'_>, entry: &Entry, field: &Field<'_>) {
    let span = field.node.entry("auth").map_or(field.node.span, |entry| entry.value.span);
    reader.warning(
        span,
        format!("{} is closed to everybody: `keys.accept` names no place for public keys", quoted(&entry.key)),
        "write `public_query: NAME` there, with the query parameter that they stand in",
    );
}

fn auth_word(known: &[&'static str], text: &str) -> Result<&'static str, Complaint> {
    let found = known.iter().find(|word| **word == text);
    found.copied().ok_or_else(|| {
        let help = match nearest(text, known.iter().copied()).filter(|_| text != "public") {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`anyone`: no key needed; `key`: any valid key; `deny`: nobody".to_owned(),
        };
        Complaint::new(format!("{} is not one of {}", quoted(text), list_of(known)), help)
    })
}

/// `any_of`: a scope or an all-of list each.
fn alternatives(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<Vec<String>>> {
    let items = reader.items(field);
    if items.is_empty() {
        // What is no list has been told so.
        if !matches!(field.node.value, Value::List(_)) {
            return None;
        }
        let complaint =
            Complaint::new("names no alternative", "write `any_of: [one:scope, [two:scopes, three:scopes]]`");
        reader.complain(field, complaint);
        return None;
    }
    let read: Vec<Vec<String>> =
        items.iter().filter_map(|item| words(reader, item, "a scope, or a list of scopes")).collect();
    (read.len() == items.len()).then_some(read)
}

/// `timeouts`: what of `upstream.timeouts` is another time for this route. `idle` is of connections, which routes share.
fn timeouts(reader: &mut Reader<'_>, field: &Field<'_>) -> RouteTimeouts {
    let Some(fields) = reader.fields(field, &["connect", "response", "request"]) else {
        return RouteTimeouts::default();
    };
    let mut time = |name| fields.find(name).and_then(|field| reader.parse(&field, unit::positive_duration));
    let (connect, response) = (time("connect"), time("response"));
    let whole = fields.find("request");
    let request = whole.and_then(|field| reader.parse(&field, unit::or_none(unit::positive_duration)));
    RouteTimeouts { connect, response, request }
}

/// `query`: rules for ruled parameters.
fn rules(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<(String, RuleSpec)>> {
    let parameters = reader.map(field)?;
    let mut rules = Vec::with_capacity(parameters.entries().len());
    for entry in parameters.entries() {
        let parameter = parameters.field(entry);
        let rule = match &parameter.node.value {
            Value::Map(_) => member_rules(reader, &parameter).map(RuleSpec::Own),
            _ => words(reader, &parameter, "members of the declaration").map(RuleSpec::Declared),
        };
        rules.extend(rule.map(|rule| (entry.key.to_string(), rule)));
    }
    Some(rules)
}

/// Notes a credential that the upstream section does not have.
fn check_credential(reader: &mut Reader<'_>, field: &Field<'_>, spec: &RouteSpec, known: Option<&[&str]>) {
    let (Some(name), Some(known)) = (&spec.credential, known) else { return };
    // That it has no name is told elsewhere.
    if name.is_empty() || known.contains(&name.as_str()) {
        return;
    }
    let span = field.node.entry("credential").map_or(field.node.span, |entry| entry.value.span);
    let help = match reader.nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write it under `upstream.credentials` in scopegate.yaml, as `{name}: …`"),
    };
    reader.fault(span, format!("there is no upstream credential {}", quoted(name)), help);
}
