//! What a key may call, without a request: every route that its grant opens, and what of the query it may use there.

use super::Policy;
use super::binding::Binding;
use super::parameter::MemberRule;
use super::principal::{Kind, Principal};
use super::route::{Access, Route};

/// A route that a key may call.
#[derive(Debug)]
pub struct Reach<'p> {
    /// The route.
    pub route: &'p Route,
    /// The path parameters that must have one of these values of the key.
    pub bound: Vec<(String, Vec<String>)>,
    /// The members of ruled parameters that the key may use, by parameter; `*` stands for members that are not listed.
    pub members: Vec<(String, Vec<String>)>,
}

impl Policy {
    /// The routes that a key in force may call, in the order of the policy. Those open to anyone are among them.
    #[must_use]
    pub fn reach(&self, principal: &Principal) -> Vec<Reach<'_>> {
        self.routes.iter().filter_map(|route| self.reach_of(route, principal)).collect()
    }

    fn reach_of<'p>(&'p self, route: &'p Route, principal: &Principal) -> Option<Reach<'p>> {
        let (bound, members) = match route.access {
            Access::Anyone => (Vec::new(), Vec::new()),
            Access::Deny => return None,
            Access::PublicKey if principal.kind() != Kind::Public => return None,
            Access::Key | Access::Scopes if principal.kind() == Kind::Public => return None,
            Access::Key | Access::PublicKey | Access::Scopes => {
                let held = self.known.held_by(Some(principal));
                let requirement = &route.requirement;
                let mut alternatives = requirement.any_of.iter();
                let one = requirement.any_of.is_empty() || alternatives.any(|alternative| held.has_all(alternative));
                if !one || !held.has_all(&requirement.all_of) {
                    return None;
                }
                (self.bound(route, principal)?, self.members(route, principal))
            }
        };
        Some(Reach { route, bound, members })
    }

    /// The path parameters that are bound; `None` where no path could be what the key is bound to.
    fn bound(&self, route: &Route, principal: &Principal) -> Option<Vec<(String, Vec<String>)>> {
        let mut bound = Vec::new();
        for Binding { attribute, parameter } in &self.bindings {
            let values: Vec<String> = principal.values(attribute).map(str::to_owned).collect();
            match route.parameters.iter().any(|(_, name)| name == parameter) {
                true if values.is_empty() => return None,
                true => bound.push((parameter.to_string(), values)),
                false if values.is_empty() || route.unbound.contains(attribute) => {}
                false => return None,
            }
        }
        Some(bound)
    }

    fn members(&self, route: &Route, principal: &Principal) -> Vec<(String, Vec<String>)> {
        let held = self.known.held_by(Some(principal));
        let may = |rule: &MemberRule| match rule {
            MemberRule::Allow => true,
            MemberRule::Deny => false,
            MemberRule::Scopes(scopes) => held.has_all(scopes),
        };
        let of_rule = |rule: &super::parameter::RouteRule| {
            let members = rule.members().filter(|(_, rule)| may(rule));
            let members: Vec<String> =
                members.map(|(member, _)| String::from_utf8_lossy(member).into_owned()).collect();
            let name = self.parameters.at(rule.parameter)?.name.to_string();
            (!members.is_empty()).then_some((name, members))
        };
        route.rules.iter().filter_map(of_rule).collect()
    }
}
