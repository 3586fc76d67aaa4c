//! Words that mean something else than a scope. Where one stands in the place of a scope, the policy would open to whoever
//! holds every scope what it was meant to close or to open to all: so it is a fault, unless `scopes` declares it.

use super::scopes::Asker;

/// How to write what `word` seems to mean; `None` where it may be the name of a scope.
pub(super) fn mend(word: &str, asker: Asker<'_>) -> Option<&'static str> {
    let on_a_route = match word.to_ascii_lowercase().as_str() {
        "deny" | "false" | "nobody" => "write `{ auth: deny }` to close the route to everybody",
        "anyone" => "write `{ auth: anyone }` to open the route to callers without a key",
        "key" => "write `{ auth: key }` to open the route to any valid key",
        "public-key" => "write `{ auth: public-key }` to open the route to public keys",
        "full" | "read-only" => "keys are granted that level, and routes name scopes",
        "allow" | "any" | "none" | "public" | "true" => {
            "write `{ auth: anyone }` (no key needed), `{ auth: key }` (any valid key) or `{ auth: deny }` (nobody)"
        }
        _ => return None,
    };
    Some(match asker {
        Asker::Route => on_a_route,
        Asker::Member(..) => "the rule of a member is a scope, a list of scopes, or alone `allow` or `deny`",
    })
}
