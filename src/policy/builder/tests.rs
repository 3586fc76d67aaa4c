//! What a caller of the builder can say and a file cannot: the reader of the file, or its YAML, refuses it before. The builder
//! checks it all the same, since what it builds is a policy whoever asks.

use super::*;
use crate::policy::PathCase;

fn builder() -> Builder {
    Policy::builder(Options { case: PathCase::Sensitive, ..Options::default() }, &Vocabulary::new())
}

fn route(methods: &[&str], access: AccessSpec) -> RouteSpec {
    RouteSpec::new(methods.iter().map(|method| (*method).to_owned()).collect(), "/a", access)
}

#[test]
fn what_only_a_caller_of_the_builder_can_say_wrong() {
    let mut told: Vec<BuildError> = Vec::new();
    let mut twice = builder();
    twice.declare_scope("a", ScopeInfo::default()).unwrap();
    told.extend(twice.declare_scope("a", ScopeInfo::default()).err());
    twice.declare_parameter("include", ParameterSpec::default()).unwrap();
    told.extend(twice.declare_parameter("include", ParameterSpec::default()).err());
    twice.bind("account", "account").unwrap();
    told.extend(twice.bind("account", "other").err());
    let rule = || ("include".to_owned(), RuleSpec::Own(vec![("a".to_owned(), MemberSpec::Allow)]));
    let ruled = RouteSpec { query: vec![rule(), rule()], ..route(&["GET"], AccessSpec::Key) };
    told.extend(twice.route(ruled).err().into_iter().flatten());
    let empty = RouteSpec {
        query: vec![("include".to_owned(), RuleSpec::Own(Vec::new()))],
        ..route(&["GET"], AccessSpec::Scopes { all_of: Vec::new(), any_of: Vec::new() })
    };
    told.extend(twice.route(empty).err().into_iter().flatten());
    told.extend(builder().route(route(&[], AccessSpec::Key)).err().into_iter().flatten());
    let told: Vec<String> =
        told.iter().map(|error| format!("{error}\n    {}", error.help.as_deref().unwrap_or("-"))).collect();
    insta::assert_snapshot!(told.join("\n"));
}
