//! Bindings: path parameters that must equal an attribute of the key.

use super::principal::Principal;
use super::route::Route;
use super::target::Target;

/// `attribute: parameter` of `bind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) attribute: Box<str>,
    pub(super) parameter: Box<str>,
}

/// How a request is outside what its key is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BindingFault<'p> {
    /// The path has another value than the key.
    Differs(&'p Binding),
    /// The route has the parameter, the key not the attribute.
    Lacks(&'p Binding),
    /// The key has the attribute, the route not the parameter, and does not say `unbound`.
    Unplaced(&'p Binding),
}

/// The first binding that a request does not keep. It holds for every grant, `full` too.
pub(super) fn check<'p>(
    bindings: &'p [Binding],
    principal: &Principal,
    (route, target): (&Route, &Target<'_>),
) -> Option<BindingFault<'p>> {
    bindings.iter().find_map(|binding| {
        let has = principal.values(&binding.attribute).next().is_some();
        let place = route.parameters.iter().find(|(_, name)| *name == binding.parameter);
        let Some((at, _)) = place else {
            let unbound = route.unbound.contains(&binding.attribute);
            return (has && !unbound).then_some(BindingFault::Unplaced(binding));
        };
        if !has {
            return Some(BindingFault::Lacks(binding));
        }
        let segment = target.judged().and_then(|path| path.segment(*at));
        let kept = segment
            .is_some_and(|segment| principal.has_value(&binding.attribute, |value| segment.order_of(value.as_bytes())));
        (!kept).then_some(BindingFault::Differs(binding))
    })
}
