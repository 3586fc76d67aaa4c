//! What a policy declares before its routes: scopes, ruled parameters, bindings.

use super::{is_blank, place, words};
use crate::config::read::{Field, Fields, Reader};
use crate::config::unit::Complaint;
use crate::policy::{Builder, List, MemberSpec, ParameterSpec, ScopeInfo};
use crate::yaml::Value;

/// `scopes`: the vocabulary.
pub(super) fn scopes(reader: &mut Reader<'_>, fields: &Fields<'_>, builder: &mut Builder) {
    let Some(field) = fields.find("scopes") else { return };
    let Some(scopes) = reader.map(&field) else { return };
    if scopes.entries().is_empty() {
        reader.complain(&field, Complaint::new("declares nothing", "name at least one scope, or leave `scopes` out"));
    }
    for entry in scopes.entries() {
        let Some(mut info) = scope(reader, &scopes.field(entry)) else { continue };
        info.line = reader.line(entry.key_span);
        if let Err(error) = builder.declare_scope(&entry.key, info) {
            place::note_in_declaration(reader, entry, error);
        }
    }
}

fn scope(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<ScopeInfo> {
    let mut info = ScopeInfo::default();
    if !matches!(field.node.value, Value::Map(_)) {
        if is_blank(field.node) {
            reader.complain(field, Complaint::new("has no description", "write what the scope is for"));
            return None;
        }
        reader.prose(field.node);
        info.description = Some(reader.string(field)?.value);
        return Some(info);
    }
    let fields = reader.fields(field, &["description", "implies", "access"])?;
    if let Some(description) = fields.find("description") {
        reader.prose(description.node);
        info.description = Some(reader.string(&description)?.value);
    }
    if let Some(implies) = fields.find("implies") {
        info.implies = words(reader, &implies, "the scopes that this one brings with it")?;
    }
    if let Some(access) = fields.find("access") {
        info.access_read = reader.choice(&access, &[("read", true), ("write", false)])?;
    }
    Some(info)
}

/// `parameters`: the query parameters that are ruled.
pub(super) fn parameters(reader: &mut Reader<'_>, fields: &Fields<'_>, builder: &mut Builder) {
    let Some(field) = fields.find("parameters") else { return };
    let Some(parameters) = reader.map(&field) else { return };
    for entry in parameters.entries() {
        let Some(mut spec) = parameter(reader, &parameters.field(entry)) else { continue };
        for (member, rule) in &mut spec.members {
            let MemberSpec::Scopes(names) = rule else { continue };
            let faults = builder.check_declared_member(&entry.key, member, names);
            if !faults.is_empty() {
                // Noted here, once; the routes that take the member over need not say it again.
                *rule = MemberSpec::Deny;
            }
            faults.into_iter().for_each(|error| place::note_in_declaration(reader, entry, error));
        }
        if let Err(error) = builder.declare_parameter(&entry.key, spec) {
            place::note_in_declaration(reader, entry, error);
        }
    }
}

fn parameter(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<ParameterSpec> {
    let mut spec = ParameterSpec::default();
    let fields = reader.fields(field, &["list", "nested", "members"])?;
    if let Some(list) = fields.find("list") {
        spec.list = reader.choice(&list, &[("comma", List::Comma), ("brackets", List::Brackets)])?;
    }
    if let Some(nested) = fields.find("nested") {
        spec.dotted = reader.choice(&nested, &[("dot", true)])?;
    }
    if let Some(members) = fields.find("members") {
        spec.members = member_rules(reader, &members)?;
    }
    Some(spec)
}

/// A map of members, each with its rule: a scope, an all-of list, `allow` or `deny`.
pub(super) fn member_rules(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<(String, MemberSpec)>> {
    let members = reader.map(field)?;
    if members.entries().is_empty() {
        reader.complain(field, Complaint::new("names no member", "write `member: scope`, or leave it out"));
        return None;
    }
    let mut rules = Vec::with_capacity(members.entries().len());
    for entry in members.entries() {
        let rule = words(reader, &members.field(entry), "a scope, a list of scopes, `allow` or `deny`");
        rules.extend(rule.map(|words| (entry.key.to_string(), member_rule(words))));
    }
    (rules.len() == members.entries().len()).then_some(rules)
}

fn member_rule(words: Vec<String>) -> MemberSpec {
    match words.as_slice() {
        [word] if word == "allow" => MemberSpec::Allow,
        [word] if word == "deny" => MemberSpec::Deny,
        _ => MemberSpec::Scopes(words),
    }
}

/// `bind`: path parameters that must equal an attribute of the key.
pub(super) fn bindings(reader: &mut Reader<'_>, fields: &Fields<'_>, builder: &mut Builder) {
    let Some(field) = fields.find("bind") else { return };
    let Some(bindings) = reader.map(&field) else { return };
    for entry in bindings.entries() {
        let Some(parameter) = reader.string(&bindings.field(entry)) else { continue };
        if let Err(error) = builder.bind(&entry.key, &parameter.value) {
            place::note_in_declaration(reader, entry, error);
        }
    }
}
