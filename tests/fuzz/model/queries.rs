//! Query strings as the parsers of widespread servers read them, each in a few lines.

use super::paths::decode;

/// Every name and value that some server would find in a query: names lower-cased, without brackets and what they hold.
pub fn lenient(query: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for pair in query.split(|byte| matches!(byte, b'&' | b';')) {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let (name, value) = (form(parts.next().unwrap_or_default()), form(parts.next().unwrap_or_default()));
        for name in [go(&name), php(&name), rack(&name), asp(&name), spring(&name), fhir(&name)] {
            found.push((name.trim().to_lowercase(), value.clone()));
        }
    }
    found
}

/// Percent-decoded once, `+` as a space.
fn form(bytes: &[u8]) -> String {
    let spaced: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    String::from_utf8_lossy(&decode(&spaced)).into_owned()
}

/// Go, Java, Python: as it is.
fn go(name: &str) -> String {
    name.to_owned()
}

/// PHP: cut at NUL, without leading spaces; a space, a dot and a bracket without its partner become `_`; an index goes away.
fn php(name: &str) -> String {
    let name = name.split('\0').next().unwrap_or_default().trim_start_matches(' ');
    if name.starts_with('[') {
        return String::new();
    }
    let is_array = name.find('[').is_some_and(|open| name[open..].contains(']'));
    let kept = if is_array { name.split('[').next().unwrap_or_default() } else { name };
    kept.replace([' ', '.', '['], "_")
}

/// Rack 2 and qs: brackets in front are skipped, what follows the first name is an index.
fn rack(name: &str) -> String {
    name.trim_start_matches(['[', ']']).split(['[', ']']).next().unwrap_or_default().to_owned()
}

/// ASP.NET: behind the name of the argument that it is a field of; Web API 2 takes a pair of brackets for a dot, and
/// leaves a bracket that nothing opened where it is.
fn asp(name: &str) -> String {
    let mut dotted = String::new();
    let mut rest = name;
    while let Some((before, (field, behind))) =
        rest.split_once('[').and_then(|(before, behind)| Some((before, behind.split_once(']')?)))
    {
        dotted.push_str(before);
        if !field.is_empty() {
            dotted.push('.');
            dotted.push_str(field);
        }
        rest = behind;
    }
    dotted.push_str(rest);
    dotted.rsplit('.').next().unwrap_or_default().to_owned()
}

/// Spring's binder: a mark in front says that a field was on the form, or what it is without a value.
fn spring(name: &str) -> String {
    name.strip_prefix(['_', '!']).unwrap_or(name).to_owned()
}

/// FHIR: a modifier stands behind a colon.
fn fhir(name: &str) -> String {
    name.split(':').next().unwrap_or_default().to_owned()
}
