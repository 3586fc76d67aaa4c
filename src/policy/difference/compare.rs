//! Two routes for the same requests: who may pass under the one and not under the other, and what of them says so.

use std::collections::BTreeSet;

use super::super::route::{Access, Requirement};
use super::super::scope::ScopeSet;
use super::shift::{Shift, shift};
use super::side::{Bound, Side};
use super::words;

/// What changed, and which way.
#[derive(Default)]
pub(super) struct Change {
    pub(super) shift: Shift,
    pub(super) what: Vec<String>,
}

impl Change {
    fn add(&mut self, shift: Shift, what: impl FnOnce() -> String) {
        if shift != Shift::default() {
            self.shift = self.shift.or(shift);
            self.what.push(what());
        }
    }
}

/// Holds two routes against each other.
pub(super) fn compare(old: &Side<'_>, new: &Side<'_>) -> Change {
    let mut change = Change::default();
    let (before, after) = (old.access(), new.access());
    let open_to = |accesses: &[Access]| Shift::of(accesses.contains(&before), accesses.contains(&after));
    let auth = open_to(&[Access::Anyone]).or(open_to(&[Access::Anyone, Access::PublicKey]));
    let needs = (old.needs(), new.needs());
    let scopes = shift((old.policy, needs.0), (new.policy, needs.1));
    if before == after {
        change.add(scopes, || words::requirements((old, needs.0), (new, needs.1)));
    } else {
        change.add(auth.or(scopes), || {
            let credential = new.deciding().filter(|_| old.deciding().is_none()).and_then(|route| route.credential);
            let with = credential.map(|name| format!(", with the credential {name}")).unwrap_or_default();
            format!("{} → {}{with}", words::access(old), words::access(new))
        });
    }
    // Where anyone may call on one side, the query and bindings are not looked at there, and it went the way that `auth` went.
    if ![before, after].contains(&Access::Anyone) {
        members(old, new, &mut change);
        bindings(old, new, &mut change);
    }
    what_becomes_of_it(old, new, &mut change);
    change
}

/// Parts of a route that do not choose its callers: which paths it takes besides, and what is sent on in their name.
fn what_becomes_of_it(old: &Side<'_>, new: &Side<'_>, change: &mut Change) {
    let (Some(before), Some(after)) = (old.deciding(), new.deciding()) else { return };
    change.add(Shift::of(before.encoded_slash, after.encoded_slash), || {
        let word = |allowed| if allowed { "allow" } else { "refused" };
        format!("encoded_slash: {} → {}", word(before.encoded_slash), word(after.encoded_slash))
    });
    change.add(Shift::of(before.upgrade.is_some(), after.upgrade.is_some()), || {
        format!("upgrade: {} → {}", words::upgrade(before.upgrade), words::upgrade(after.upgrade))
    });
    if before.credential == after.credential {
        return;
    }
    // Without one of its own, a route for anyone or for public keys is forwarded with no credential at all. Of two
    // credentials nobody can say which opens more.
    let has_none = |side: &Side<'_>| matches!(side.access(), Access::Anyone | Access::PublicKey);
    let shift = match (before.credential, after.credential) {
        (None, Some(_)) if has_none(old) || has_none(new) => Shift::of(false, true),
        (Some(_), None) if has_none(new) => Shift::of(true, false),
        _ => Shift::BOTH,
    };
    change.add(shift, || {
        let word = |side, credential: Option<&str>| {
            let none = if has_none(side) { "none" } else { "the upstream's" };
            credential.unwrap_or(none).to_owned()
        };
        format!("credential: {} → {}", word(old, before.credential), word(new, after.credential))
    });
}

/// Members of ruled parameters, with the needs of the routes themselves.
fn members(old: &Side<'_>, new: &Side<'_>, change: &mut Change) {
    let (Some(before), Some(after)) = (old.deciding(), new.deciding()) else { return };
    let names: BTreeSet<&str> = old.policy.parameters.names().chain(new.policy.parameters.names()).collect();
    for name in names {
        let sides = [old.ruled(name), new.ruled(name)];
        if let [Some((one, Some(_))), Some((other, Some(_)))] = &sides
            && (one.list, one.dotted) != (other.list, other.dotted)
        {
            change.add(Shift::BOTH, || format!("{name}: {} → {}", words::reading(one), words::reading(other)));
        }
        let rules = sides.iter().flatten().filter_map(|(_, rule)| *rule);
        let mut all: BTreeSet<String> = rules
            .flat_map(|rule| rule.members())
            .map(|(member, _)| String::from_utf8_lossy(member).into_owned())
            .collect();
        all.insert("*".to_owned());
        for member in all {
            let asked = (old.asks(name, &member), new.asks(name, &member));
            let alone = shift(
                (old.policy, asked.0.clone().map(only).as_ref()),
                (new.policy, asked.1.clone().map(only).as_ref()),
            );
            // What the route asks for anyway changes nothing.
            let beside = |scopes: &Option<ScopeSet>, needs: &Requirement| {
                let with = |scopes: &ScopeSet| Requirement { all_of: needs.all_of.union(scopes), ..needs.clone() };
                scopes.as_ref().map(with)
            };
            let (before, after) = (beside(&asked.0, before.requirement), beside(&asked.1, after.requirement));
            let together = shift((old.policy, before.as_ref()), (new.policy, after.as_ref()));
            change.add(alone.and(together), || words::members((name, &member), (old, &asked.0), (new, &asked.1)));
        }
    }
}

fn only(scopes: ScopeSet) -> Requirement {
    Requirement { all_of: scopes, any_of: Box::default() }
}

fn bindings(old: &Side<'_>, new: &Side<'_>, change: &mut Change) {
    if old.deciding().is_none() || new.deciding().is_none() {
        return;
    }
    let attributes = |side: &Side<'_>| -> Vec<String> {
        side.policy.bindings.iter().map(|binding| binding.attribute.to_string()).collect()
    };
    let all: BTreeSet<String> = attributes(old).into_iter().chain(attributes(new)).collect();
    for attribute in all {
        let (before, after) = (old.bound(&attribute), new.bound(&attribute));
        let shift = match (before, after) {
            (Bound::At(one, _), Bound::At(other, _)) if one == other => continue,
            (before, after) if before == after => continue,
            (Bound::Free, _) => Shift::of(true, false),
            (_, Bound::Free) => Shift::of(false, true),
            _ => Shift::BOTH,
        };
        change.add(shift, || format!("bind {attribute}: {} → {}", words::bound(before), words::bound(after)));
    }
}
