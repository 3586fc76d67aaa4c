//! Attributes of keys as the command line takes them.

use crate::cli::{Console, Failure};
use crate::policy::{Policy, nearest};

/// Reads `NAME=VALUE`.
pub(in crate::cli) fn parse<T: for<'t> From<&'t str>>(text: &str) -> Result<(T, T), Failure> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.into(), value.into())),
        None => Err(Failure::usage(format_args!("`--attr {text}` has no value: write NAME=VALUE"))),
    }
}

/// Warns of an attribute that the policy does not bind: it does not confine the key that has it.
pub(in crate::cli) fn warn_of_unbound(policy: &Policy, name: &str, console: &mut Console) {
    if let Some(mend) = unbound(policy, name) {
        console.warn(format_args!("the policy binds no attribute `{name}`, so it confines nothing{mend}"));
    }
}

/// What to say of an attribute that the policy does not bind; `None` where it does.
pub(in crate::cli) fn unbound(policy: &Policy, name: &str) -> Option<String> {
    if policy.bound_attributes().any(|bound| bound == name) {
        return None;
    }
    let near = nearest(name, policy.bound_attributes());
    Some(near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())
}
