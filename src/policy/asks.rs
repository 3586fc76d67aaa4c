//! Each scope that a policy asks for, and the policy without it: what `check --mutate` tests the tests of a policy with.

use std::collections::BTreeMap;

use super::Policy;
use super::known::Held;
use super::parameter::{MemberRule, RouteRule};
use super::route::{Requirement, Route, RouteId};
use super::scope::{ScopeId, ScopeSet};

/// Something that a policy asks for in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The route that it stands on; of a declared member, every route that takes it over.
    pub routes: Vec<RouteId>,
    /// Where on the route.
    pub part: AskPart,
    /// The scopes: one, or those of a whole alternative.
    pub scopes: Vec<String>,
    ids: ScopeSet,
}

/// Which part of a route asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AskPart {
    /// `scopes`.
    AllOf,
    /// The alternative of `any_of` with this index: that it is there at all.
    Alternative(usize),
    /// A scope of the alternative of `any_of` with this index.
    InAlternative(usize),
    /// A scope of a member of a ruled parameter.
    Member {
        /// The parameter as the policy writes it.
        parameter: String,
        /// The member; `*` stands for the rest.
        member: String,
    },
}

/// A scope of a member where it is written: on a route, or in a declaration that is no route's.
type Written = (Option<RouteId>, AskPart, ScopeId);

impl Policy {
    /// Every scope that the policy asks for, and every alternative of several. What could be taken out without any
    /// request noticing, since something else implies it, is left out.
    #[must_use]
    pub fn asks(&self) -> Vec<Ask> {
        let mut asks = Vec::new();
        let mut members: BTreeMap<Written, (Vec<RouteId>, bool)> = BTreeMap::new();
        for route in &self.routes {
            asks.extend(self.asks_of_route(route));
            for (rule, member, scopes) in self.member_scopes(route) {
                let owner = (!rule.declared).then_some(route.id);
                for scope in scopes.iter() {
                    let rest = without(scopes, scope);
                    let superfluous = self.is_entailed(&route.requirement, &rest, scope);
                    let (routes, needed) = members.entry((owner, member.clone(), scope)).or_default();
                    routes.push(route.id);
                    *needed |= !superfluous;
                }
            }
        }
        let needed = members.into_iter().filter(|(_, (_, needed))| *needed);
        asks.extend(needed.map(|((_, part, scope), (routes, _))| self.ask(routes, part, ScopeSet::from_iter([scope]))));
        asks.sort_by(|one, other| {
            (&one.routes, &one.part, &one.scopes).cmp(&(&other.routes, &other.part, &other.scopes))
        });
        asks
    }

    /// The names of all scopes that a route or a member on a route asks for.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        let mut all = ScopeSet::new();
        for route in &self.routes {
            let requirement = &route.requirement;
            let members = self.member_scopes(route).map(|(_, _, scopes)| scopes);
            for scopes in requirement.any_of.iter().chain([&requirement.all_of]).chain(members) {
                all = all.union(scopes);
            }
        }
        self.names(&all)
    }

    /// What `look` sees in the policy without `ask`, which is one of its own.
    pub fn without<T>(&mut self, ask: &Ask, look: impl FnOnce(&Self) -> T) -> T {
        let parameter = match &ask.part {
            AskPart::Member { parameter, .. } => self.parameters.find(parameter).map(|(at, _)| at),
            _ => None,
        };
        let mut saved = Vec::with_capacity(ask.routes.len());
        for id in &ask.routes {
            if let Some(route) = self.routes.get_mut(id.index()) {
                saved.push(route.clone());
                ask.take_out_of(route, parameter);
            }
        }
        let seen = look(self);
        for route in saved {
            if let Some(place) = self.routes.get_mut(route.id.index()) {
                *place = route;
            }
        }
        seen
    }

    fn ask(&self, routes: Vec<RouteId>, part: AskPart, ids: ScopeSet) -> Ask {
        Ask { routes, part, scopes: self.names(&ids), ids }
    }

    /// What `scopes` and `any_of` of a route ask for.
    fn asks_of_route(&self, route: &Route) -> Vec<Ask> {
        let requirement = &route.requirement;
        let mut asks = Vec::new();
        let mut add = |part, ids| asks.push(self.ask(vec![route.id], part, ids));
        for scope in requirement.all_of.iter() {
            let rest = Requirement { all_of: without(&requirement.all_of, scope), any_of: requirement.any_of.clone() };
            if !self.is_entailed(&rest, &ScopeSet::new(), scope) {
                add(AskPart::AllOf, ScopeSet::from_iter([scope]));
            }
        }
        for (at, alternative) in requirement.any_of.iter().enumerate() {
            for scope in alternative.iter() {
                let rest = requirement.all_of.union(&without(alternative, scope));
                if !self.held(&rest).has(scope) && !self.another_holds(requirement, at, &rest) {
                    add(AskPart::InAlternative(at), ScopeSet::from_iter([scope]));
                }
            }
            let whole = requirement.all_of.union(alternative);
            if requirement.any_of.len() > 1 && !self.another_holds(requirement, at, &whole) {
                add(AskPart::Alternative(at), alternative.clone());
            }
        }
        asks
    }

    /// The members of a route's rules that ask for scopes.
    fn member_scopes<'p>(&'p self, route: &'p Route) -> impl Iterator<Item = (&'p RouteRule, AskPart, &'p ScopeSet)> {
        route.rules.iter().flat_map(|rule| {
            let parameter = self.parameters.at(rule.parameter).map_or("", |parameter| &*parameter.name);
            rule.members().filter_map(move |(member, asked)| match asked {
                MemberRule::Scopes(scopes) => {
                    let member = String::from_utf8_lossy(member).into_owned();
                    Some((rule, AskPart::Member { parameter: parameter.to_owned(), member }, scopes))
                }
                MemberRule::Allow | MemberRule::Deny => None,
            })
        })
    }

    /// Whether whoever meets `requirement` and holds `beside` holds `scope`, too.
    fn is_entailed(&self, requirement: &Requirement, beside: &ScopeSet, scope: ScopeId) -> bool {
        let base = requirement.all_of.union(beside);
        let of_every_alternative = || {
            let mut alternatives = requirement.any_of.iter();
            !requirement.any_of.is_empty() && alternatives.all(|one| self.held(&base.union(one)).has(scope))
        };
        self.held(&base).has(scope) || of_every_alternative()
    }

    /// Whether `scopes` open an alternative other than that with index `at`.
    fn another_holds(&self, requirement: &Requirement, at: usize, scopes: &ScopeSet) -> bool {
        let mut others = requirement.any_of.iter().enumerate().filter(|(other, _)| *other != at);
        others.any(|(_, other)| self.held(scopes).has_all(other))
    }

    fn held<'a>(&'a self, scopes: &'a ScopeSet) -> Held<'a> {
        self.known.holding(scopes)
    }
}

impl Ask {
    fn take_out_of(&self, route: &mut Route, parameter: Option<usize>) {
        let Requirement { all_of, any_of } = &mut route.requirement;
        match &self.part {
            AskPart::AllOf => *all_of = all_of.difference(&self.ids),
            AskPart::InAlternative(at) => {
                if let Some(alternative) = any_of.get_mut(*at) {
                    *alternative = alternative.difference(&self.ids);
                }
            }
            AskPart::Alternative(at) => {
                let kept = any_of.iter().enumerate().filter(|(place, _)| place != at);
                *any_of = kept.map(|(_, alternative)| alternative.clone()).collect();
            }
            AskPart::Member { member, .. } => {
                for rule in route.rules.iter_mut().filter(|rule| Some(rule.parameter) == parameter) {
                    rule.relax(member, &self.ids);
                }
            }
        }
    }
}

fn without(scopes: &ScopeSet, scope: ScopeId) -> ScopeSet {
    scopes.difference(&ScopeSet::from_iter([scope]))
}
