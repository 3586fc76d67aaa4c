//! How thorough the tests of a policy are: `--coverage` and `--mutate`.

use serde_json::{Value, json};

use super::counted;
use crate::cli::{Console, Failure};
use crate::config::policy::PolicyTest;
use crate::config::policy::test::coverage::{self, Coverage};
use crate::config::policy::test::mutate::{self, Mutation};
use crate::policy::{Ask, AskPart, Policy, Route};

/// What was asked for about the tests.
#[derive(Debug, Default)]
pub(super) struct Thorough {
    coverage: Option<Coverage>,
    mutation: Option<Mutation>,
}

impl Thorough {
    pub(super) fn measure(&mut self, policy: &Policy, tests: &[PolicyTest]) {
        self.coverage = Some(coverage::measure(policy, tests));
    }

    pub(super) fn mutate(&mut self, policy: &mut Policy, tests: &[PolicyTest]) {
        let mut mutation = mutate::mutate(policy, tests);
        // As the file has them: whoever mends them goes through it from the top.
        mutation.survivors.sort_by_key(|ask| first(ask, policy).map(Route::line));
        self.mutation = Some(mutation);
    }

    /// Whether something could be taken out of the policy without a test noticing.
    pub(super) fn has_survivors(&self) -> bool {
        self.mutation.as_ref().is_some_and(|mutation| !mutation.survivors.is_empty())
    }

    /// Puts `coverage` and `mutation` to what `--json` prints, where they were asked for.
    pub(super) fn add_to(&self, object: &mut Value, policy: &Policy) {
        let Value::Object(fields) = object else { return };
        if let Some(coverage) = &self.coverage {
            let routes: Vec<Value> = coverage.routes.iter().filter_map(|id| policy.route(*id)).map(place).collect();
            let scopes: Vec<Value> =
                coverage.scopes.iter().map(|(scope, line)| json!({ "scope": scope, "line": line })).collect();
            fields.insert(
                "coverage".to_owned(),
                json!({ "routes": policy.routes().len(), "scopes": coverage.asked, "untested_routes": routes, "untested_scopes": scopes }),
            );
        }
        if let Some(mutation) = &self.mutation {
            let survivors: Vec<Value> = mutation.survivors.iter().map(|ask| survivor(ask, policy)).collect();
            fields.insert("mutation".to_owned(), json!({ "tried": mutation.tried, "survivors": survivors }));
        }
    }

    /// Prints both, with the lines of the file.
    pub(super) fn print(&self, (policy, file): (&Policy, &str), console: &mut Console) -> Result<(), Failure> {
        if let Some(coverage) = &self.coverage {
            let (routes, scopes) = (policy.routes().len(), coverage.asked);
            let tested = (routes.saturating_sub(coverage.routes.len()), scopes.saturating_sub(coverage.scopes.len()));
            console.print(format_args!(
                "Tested: {} of {}, {} of {}",
                tested.0,
                counted(routes, "route"),
                tested.1,
                counted(scopes, "scope")
            ))?;
            for route in coverage.routes.iter().filter_map(|id| policy.route(*id)) {
                console.print(format_args!("  {file}:{}  no test of {}", route.line(), route.label()))?;
            }
            for (scope, line) in &coverage.scopes {
                console.print(format_args!("  {file}:{line}  no test needs {scope}"))?;
            }
            console.print("")?;
        }
        if let Some(mutation) = &self.mutation {
            let noticed = mutation.tried.saturating_sub(mutation.survivors.len());
            console.print(format_args!(
                "Taken out in turn: {} scopes and alternatives, of which the tests noticed {noticed}",
                mutation.tried
            ))?;
            let (on_tested, elsewhere): (Vec<&Ask>, Vec<&Ask>) =
                mutation.survivors.iter().partition(|ask| ask.routes.iter().any(|id| mutation.tested.contains(id)));
            for ask in &on_tested {
                let line = first(ask, policy).map_or(0, Route::line);
                console.print(format_args!("  {file}:{line}  unnoticed: {}", in_words(ask, policy)))?;
            }
            if !elsewhere.is_empty() {
                let and = if on_tested.is_empty() { "" } else { "and " };
                console.print(format_args!(
                    "  … {and}{} on routes that no test exercises; --coverage lists these",
                    elsewhere.len()
                ))?;
            }
            if let Some(ask) = on_tested.first().or(elsewhere.first()) {
                suggest(ask, policy, console)?;
            }
            console.print("")?;
        }
        Ok(())
    }
}

/// A test that would notice that `ask` is gone, to be copied, where one can be told.
fn suggest(ask: &Ask, policy: &Policy, console: &mut Console) -> Result<(), Failure> {
    let AskPart::AllOf = ask.part else { return Ok(()) };
    let route = first(ask, policy).filter(|route| route.requirement().any_of.is_empty());
    // A test of a route that compares its path with the key needs an attribute, too.
    let Some(route) = route.filter(|_| policy.bound_attributes().next().is_none()) else { return Ok(()) };
    let method = if route.method().as_str() == "ANY" { "GET" } else { route.method().as_str() };
    let segments = route.template().split('/').map(|segment| if segment.starts_with('{') { "1" } else { segment });
    let path = segments.collect::<Vec<_>>().join("/");
    let others = policy.names(&route.requirement().all_of);
    let held: Vec<&str> = others.iter().filter(|scope| !ask.scopes.contains(scope)).map(String::as_str).collect();
    let (held, missing) = (held.join(", "), ask.scopes.join(", "));
    console.print("  a test that notices the first:")?;
    console.print(format_args!(
        "    - {{ request: {method} {path}, scopes: [{held}], expect: deny, missing: [{missing}] }}"
    ))
}

fn first<'p>(ask: &Ask, policy: &'p Policy) -> Option<&'p Route> {
    ask.routes.first().and_then(|id| policy.route(*id))
}

fn place(route: &Route) -> Value {
    json!({ "route": route.label(), "line": route.line() })
}

/// What was taken out, from where.
fn in_words(ask: &Ask, policy: &Policy) -> String {
    let scopes = ask.scopes.join(" and ");
    let route = first(ask, policy).map_or("", Route::label);
    match &ask.part {
        AskPart::AllOf => format!("{scopes} on {route}"),
        AskPart::Alternative(_) => format!("the alternative {scopes} of {route}"),
        AskPart::InAlternative(at) => format!("{scopes} in alternative {} of {route}", at + 1),
        AskPart::Member { parameter, member } => match ask.routes.len().saturating_sub(1) {
            0 => format!("{scopes} of {parameter}={member} on {route}"),
            more => format!("{scopes} of {parameter}={member} on {route} and {}", counted(more, "other route")),
        },
    }
}

fn survivor(ask: &Ask, policy: &Policy) -> Value {
    let (part, alternative, from) = match &ask.part {
        AskPart::AllOf => ("scopes", None, None),
        AskPart::Alternative(at) => ("any_of", Some(at + 1), None),
        AskPart::InAlternative(at) => ("alternative", Some(at + 1), None),
        AskPart::Member { parameter, member } => ("member", None, Some(format!("{parameter}={member}"))),
    };
    let routes: Vec<Value> = ask.routes.iter().filter_map(|id| policy.route(*id)).map(place).collect();
    json!({ "scopes": ask.scopes, "part": part, "alternative": alternative, "member": from, "routes": routes })
}
