//! What the bindings of a policy came to for one request, for `explain`.

use crate::policy::Policy;
use crate::policy::binding::Binding;
use crate::policy::decision::Decision;
use crate::policy::octets::shown;
use crate::policy::route::{Access, Route};

/// A binding that concerns a request: by its route, or by its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The attribute of keys.
    pub attribute: String,
    /// The path parameter that must equal it.
    pub parameter: String,
    /// What the path has there; `None` where the route has no such parameter.
    pub value: Option<String>,
    /// The values of the key.
    pub values: Vec<String>,
    /// Whether the request keeps to it.
    pub kept: bool,
}

/// The bindings that concern a request, in the order of the policy. None where the route looks at no key, or at no request.
pub(super) fn bound(decision: &Decision<'_>) -> Vec<Bound> {
    let route = decision.route().filter(|route| !matches!(route.access, Access::Anyone | Access::Deny));
    let Some(route) = route else { return Vec::new() };
    decision.policy.bindings.iter().filter_map(|binding| one(binding, route, decision)).collect()
}

fn one(binding: &Binding, route: &Route, decision: &Decision<'_>) -> Option<Bound> {
    let principal = decision.caller.principal();
    let values: Vec<&str> = principal.into_iter().flat_map(|principal| principal.values(&binding.attribute)).collect();
    let place = route.parameters.iter().find(|(_, name)| *name == binding.parameter);
    let segment = place.and_then(|(at, _)| decision.target.judged()?.segment(*at));
    let kept = match &segment {
        Some(segment) => values.iter().any(|value| segment.equals(value.as_bytes())),
        None => route.unbound.contains(&binding.attribute),
    };
    let concerns = place.is_some() || !values.is_empty();
    concerns.then(|| Bound {
        attribute: binding.attribute.to_string(),
        parameter: binding.parameter.to_string(),
        value: segment.map(|segment| shown(&segment.decoded())),
        values: values.into_iter().map(|value| shown(value.as_bytes())).collect(),
        kept,
    })
}

impl Policy {
    /// The attributes that `bind` names, in the order of the policy.
    pub fn bound_attributes(&self) -> impl Iterator<Item = &str> {
        self.bindings.iter().map(|binding| &*binding.attribute)
    }

    /// How many routes a key that is bound by `attribute` alone may call, if it has every scope.
    #[must_use]
    pub fn routes_for_bound(&self, attribute: &str) -> usize {
        let places = |route: &Route, binding: &Binding| {
            let has = route.parameters.iter().any(|(_, name)| *name == binding.parameter);
            match &*binding.attribute == attribute {
                true => has || route.unbound.contains(&binding.attribute),
                false => !has,
            }
        };
        let may = |route: &&Route| match route.access {
            Access::Anyone => true,
            Access::Deny => false,
            Access::Key | Access::PublicKey | Access::Scopes => {
                self.bindings.iter().all(|binding| places(route, binding))
            }
        };
        self.routes.iter().filter(may).count()
    }

    /// The routes for anyone whose path has a parameter that is bound, each with the parameter: nobody compares it there.
    pub fn uncompared(&self) -> impl Iterator<Item = (&Route, &str)> {
        let open = self.routes.iter().filter(|route| route.access == Access::Anyone);
        open.flat_map(|route| {
            let has = move |binding: &&Binding| route.parameters.iter().any(|(_, name)| *name == binding.parameter);
            self.bindings.iter().filter(has).map(move |binding| (route, &*binding.parameter))
        })
    }
}
