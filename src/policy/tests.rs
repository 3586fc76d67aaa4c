//! What the policy core promises, a sentence a test.

/// What a policy asks for, and the policy without it.
mod asks;
/// What a key is bound to.
mod bindings;
/// What a policy may not say.
mod build_faults;
/// 400, 401, 403, and which comes first.
mod callers;
/// How two policies differ.
mod differences;
/// Decisions in words.
mod explanations;
/// How evenly literals and names are spread.
mod hashes;
/// Decisions against the reference model, and what no change of a request may gain.
mod model;
/// Names of ruled parameters in every spelling, and the members behind them.
mod names;
/// What a path nearly is, and where that does not matter.
mod near;
/// Ruled query parameters.
mod parameters;
/// Paths: why each is refused, and what they may be taken for.
mod paths;
/// What a key may call, without a request.
mod reach;
/// The reference model, written from the contract alone: slow, and plain to see.
mod reference;
/// What an answer says of a denial.
mod refusals;
/// Which route a request belongs to.
mod routes;
/// Random policies and requests that overlap, nearly match and hide what they are.
mod scenarios;
/// What may not stand where a scope is expected.
mod scope_faults;
/// Scopes, alternatives, levels, implication.
mod scopes;
/// Every sentence that callers may be told.
mod sentences;
/// Sets of scopes, and the names behind them.
mod sets;
/// Templates that take paths from others without having all of their methods.
mod shadows;
/// Encoded slashes, and where they would lead once they are decoded.
mod slashes;
/// Policies and requests in few words.
mod support;
/// Paths that are refused, and paths that are not.
mod targets;
