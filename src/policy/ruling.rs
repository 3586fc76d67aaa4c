//! What a policy rules about a query parameter, route by route.

use super::Policy;
use super::route::RouteId;

impl Policy {
    /// Whether the query parameter `name` is ruled. One that is not passes untouched.
    #[must_use]
    pub fn rules(&self, name: &str) -> bool {
        self.parameters.find(name).is_some()
    }

    /// The members of the ruled parameter `name` that a route lets pass, sorted; `*` stands for members that it does not list.
    #[must_use]
    pub fn open_members(&self, route: RouteId, name: &str) -> Vec<String> {
        let rule = self.parameters.find(name).and_then(|(at, _)| self.route(route)?.rule(at));
        let members = rule.into_iter().flat_map(|rule| rule.members());
        let open = members.filter(|(_, asked)| asked.scopes().is_some());
        open.map(|(member, _)| String::from_utf8_lossy(member).into_owned()).collect()
    }

    /// The names of the scopes that a member of the ruled parameter `name` asks for on a route, beside what the route itself
    /// asks for, sorted; `None` where it is denied.
    #[must_use]
    pub fn scopes_of_member(&self, route: RouteId, name: &str, member: &str) -> Option<Vec<String>> {
        let (at, parameter) = self.parameters.find(name)?;
        let scopes = self.route(route)?.rule(at)?.scopes(member.as_bytes(), parameter.dotted)?;
        Some(self.names(&scopes))
    }
}
