//! Rules for ruled parameters, checked and compiled.

use std::collections::HashSet;

use super::super::build_error::{BuildError, FaultKind, Part};
use super::super::parameter::{List, MemberRule, RouteRule};
use super::scopes::Asker;
use super::words::duplicate;
use super::{AccessSpec, Builder, MemberSpec, RouteSpec, RuleSpec};

impl Builder {
    /// Checks members with rules, of a declaration or of a route, without compiling them.
    pub(super) fn check_members(&self, members: &[(String, MemberSpec)], list: List) -> Result<(), BuildError> {
        let mut before = HashSet::with_capacity(members.len());
        for (member, _) in members {
            check_member(member, list)?;
            if !before.insert(member.as_str()) {
                return Err(duplicate(Part::Member, member, format!("the member `{member}` is written twice")));
            }
        }
        Ok(())
    }

    pub(super) fn compile_rules(&mut self, spec: &RouteSpec, faults: &mut Vec<BuildError>) -> Box<[RouteRule]> {
        if !spec.query.is_empty() && matches!(spec.access, AccessSpec::Anyone | AccessSpec::Deny) {
            let message = format!("`query` on `{}`, where no query is looked at", spec.template);
            faults.push(BuildError::new(FaultKind::Contradiction, Part::Parameter, "query", message).help(
                "`auth: anyone` passes before the query is looked at and `auth: deny` never passes: leave `query` out",
            ));
            return Box::default();
        }
        let mut rules = Vec::new();
        for (name, rule) in &spec.query {
            match self.compile_rule(name, rule, faults) {
                Ok(rule) if rules.iter().any(|other: &RouteRule| other.parameter == rule.parameter) => {
                    faults.push(duplicate(
                        Part::Parameter,
                        name,
                        format!("the query parameter `{name}` is ruled twice"),
                    ));
                }
                Ok(rule) => rules.push(rule),
                Err(fault) => faults.push(fault),
            }
        }
        rules.into_boxed_slice()
    }

    fn compile_rule(
        &mut self,
        name: &str,
        rule: &RuleSpec,
        faults: &mut Vec<BuildError>,
    ) -> Result<RouteRule, BuildError> {
        let Some((parameter, list)) = self.parameters.find(name).map(|(at, parameter)| (at, parameter.list)) else {
            let message = format!("the query parameter `{name}` is not declared under `parameters`");
            return Err(BuildError::new(FaultKind::Unknown, Part::Parameter, name, message)
                .help("declare it there: what is declared is ruled on every route")
                .suggest(self.guesses.nearest(name, self.parameters.names())));
        };
        let members = match rule {
            RuleSpec::Declared(members) => {
                self.declared_members(parameter, members).map_err(|fault| fault.within([name]))?
            }
            RuleSpec::Own(members) => members.clone(),
        };
        if members.is_empty() {
            let message = format!("the list of members of `{name}` is empty");
            return Err(BuildError::new(FaultKind::Empty, Part::Member, name, message)
                .help("leave the parameter out of `query` to allow no member, or name members"));
        }
        self.check_members(&members, list).map_err(|fault| fault.within([name]))?;
        let mut compile = |member: &str, spec: &MemberSpec| match spec {
            MemberSpec::Allow => MemberRule::Allow,
            MemberSpec::Deny => MemberRule::Deny,
            MemberSpec::Scopes(names) => {
                MemberRule::Scopes(self.compile_scopes(Asker::Member(name, member), names, faults))
            }
        };
        let compiled: Vec<(String, MemberRule)> = members
            .into_iter()
            .map(|(member, spec)| {
                let rule = compile(&member, &spec);
                (member, rule)
            })
            .collect();
        let declared = matches!(rule, RuleSpec::Declared(_));
        let mut rule = RouteRule::new(parameter, compiled);
        rule.declared = declared;
        Ok(rule)
    }

    fn declared_members(&self, parameter: usize, names: &[String]) -> Result<Vec<(String, MemberSpec)>, BuildError> {
        let declared = self.members.get(parameter).map_or(&[][..], Vec::as_slice);
        let take_over = |name: &String| {
            declared.iter().find(|(member, _)| member == name).cloned().ok_or_else(|| {
                let message = format!("the declaration of the parameter has no member `{name}`");
                BuildError::new(FaultKind::Unknown, Part::Member, name, message)
                    .help("declare it under `members`, or give this route a map with rules of its own")
                    .suggest(self.guesses.nearest(name, declared.iter().map(|(member, _)| member.as_str())))
            })
        };
        names.iter().map(take_over).collect()
    }
}

fn check_member(member: &str, list: List) -> Result<(), BuildError> {
    if member.is_empty() {
        return Err(BuildError::new(FaultKind::Empty, Part::Member, member, "a member has no name".to_owned())
            .help("empty members add nothing and need no rule: take it out"));
    }
    if list != List::None && member.contains(',') {
        let message = format!("the member `{member}` has a comma, which parts members");
        return Err(
            BuildError::new(FaultKind::Malformed, Part::Member, member, message).help("write a rule for each member")
        );
    }
    Ok(())
}
