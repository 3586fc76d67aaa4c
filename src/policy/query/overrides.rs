//! Queries that ask to be taken for a request with another method.
//!
//! `_method` is that of Rails, Laravel, Symfony and Spring, `_HttpMethod` that of Salesforce, `X-HTTP-Method-Override` is
//! looked for in the query by ASP.NET MVC and Play: these are refused whatever they say. Restlet and Facebook take `method`,
//! and Google `$httpMethod`. That is the name of many an innocent parameter, too, so it counts where it says a method that
//! the request does not have, in a POST, which is what Restlet takes it of: a GET with it asks for a list of methods far more
//! often. Where the policy declares such a parameter it is what that says.

use super::super::lenient::{self, Bytes};
use super::super::octets::decoded_form;
use super::super::parameter::{Parameters, Reading, begins_with_ornament};
use super::{has_hidden_pair, name_and_value, pairs};

/// Names that ask for another method, as PHP would spell them.
const OVERRIDES: [&[u8]; 6] =
    [b"_method", b"_httpmethod", b"_http_method", b"x_http_method", b"x_http_method_override", b"x_method_override"];

/// Names that do so where their value is a method.
const METHOD_NAMES: [&[u8]; 3] = [b"method", b"httpmethod", b"http_method"];

/// Methods that a request may be taken for.
const METHODS: [&[u8]; 10] =
    [b"CONNECT", b"DELETE", b"GET", b"HEAD", b"MERGE", b"OPTIONS", b"PATCH", b"POST", b"PUT", b"TRACE"];

/// Whether the query of a request with this method asks for another one, in any spelling that a lenient parser would take
/// for it.
pub(in super::super) fn has_override(parameters: &Parameters, (method, query): (&[u8], &[u8])) -> bool {
    let is_override = |pair: &[u8]| is_override(parameters, (method, pair));
    pairs(query).any(|pair| is_override(pair) || has_hidden_pair(pair, is_override))
}

fn is_override(parameters: &Parameters, (method, pair): (&[u8], &[u8])) -> bool {
    let (name, value) = name_and_value(pair);
    if !could_be_override(name) {
        return false;
    }
    let reads_so = |key: &[u8]| {
        let first = lenient::beginnings(key).next().unwrap_or_default();
        let is =
            |known: &&[u8]| first.iter().map(|byte| if *byte == b'-' { b'_' } else { *byte }).eq(known.iter().copied());
        let may_ask = || {
            method == b"POST" && is_other_method(method, value) && !matches!(parameters.read(name), Reading::Ruled(_))
        };
        (OVERRIDES.iter().any(is) || (METHOD_NAMES.iter().any(is) && may_ask())).then_some(())
    };
    lenient::read(decoded_form(name).collect(), reads_so).is_some()
}

/// A quick look at how a name begins: nearly all end here.
fn could_be_override(name: &[u8]) -> bool {
    let begins = |word: &&[u8]| name.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    match name.first() {
        None => false,
        Some(b'h' | b'H' | b'm' | b'M' | b'x' | b'X') => {
            let words: [&[u8]; 6] = [b"method", b"http", b"x-", b"x_", b"x.", b"x["];
            words.iter().any(begins) || name.iter().any(|byte| matches!(byte, b'%' | b'+'))
        }
        Some(first) => matches!(first, b'_' | b'-') || begins_with_ornament(*first),
    }
}

/// Whether a value is the name of a method that the request does not have, after up to three decodings.
fn is_other_method(own: &[u8], value: &[u8]) -> bool {
    let mut value = Bytes::from_slice(value);
    (0..3).any(|_| {
        value = decoded_form(&value).collect();
        let word = value.trim_ascii();
        !word.eq_ignore_ascii_case(own) && METHODS.iter().any(|method| word.eq_ignore_ascii_case(method))
    })
}
