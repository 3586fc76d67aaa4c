//! One parameter of queries that a front looks for, read as strictly as a ruled one.

use std::sync::Arc;

use super::super::octets::decoded_form;
use super::super::parameter::{List, Parameter, Parameters, Reading};
use super::{has_hidden_pair, name_and_value, pairs};

/// A parameter whose value decides something, and which the upstream reads for itself: whatever any parser may take for it
/// counts.
#[derive(Clone, Debug)]
pub struct Sought {
    name: Box<str>,
    parameters: Arc<Parameters>,
}

/// What a query has of a parameter that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Different values, or one beside what some parsers would read as another.
    Ambiguous,
    /// Nothing that every parser would read as it.
    Nothing,
    /// This value, decoded, however often it stands there.
    Value(Vec<u8>),
}

impl Sought {
    /// Looks for a parameter of this name, decoded; letter case counts.
    pub fn new(name: &str) -> Self {
        let mut parameters = Parameters::default();
        // The first one collides with no other.
        let _ = parameters.insert(Parameter { name: name.into(), list: List::None, dotted: false });
        Self { name: name.into(), parameters: Arc::new(parameters) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Looks for it in a query.
    pub fn find(&self, query: &[u8]) -> Found {
        let mut found: Option<Vec<u8>> = None;
        let mut is_ambiguous = false;
        for pair in pairs(query) {
            let (name, value) = name_and_value(pair);
            match self.parameters.read(name) {
                Reading::Ruled(_) => {
                    let value: Vec<u8> = decoded_form(value).collect();
                    is_ambiguous |= found.as_ref().is_some_and(|known| *known != value);
                    found = Some(value);
                }
                Reading::Lookalike(_) => is_ambiguous = true,
                Reading::Unruled => is_ambiguous |= self.parameters.merged(name, value).is_some(),
            }
            let is_it = |pair: &[u8]| self.parameters.read(name_and_value(pair).0) != Reading::Unruled;
            is_ambiguous |= has_hidden_pair(pair, is_it);
        }
        match found {
            // A lookalike alone is another parameter of the upstream's: nobody was named.
            None => Found::Nothing,
            Some(_) if is_ambiguous => Found::Ambiguous,
            Some(value) => Found::Value(value),
        }
    }
}

impl PartialEq for Sought {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Sought {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_by_its_name_and_what_may_pass_for_it_spoils_it() {
        let sought = Sought::new("company_id");
        let value = |text: &str| Found::Value(text.as_bytes().to_vec());
        for (query, expected) in [
            ("company_id=Ab12Cd", value("Ab12Cd")),
            ("a=1&company_id=Ab12Cd&b=2", value("Ab12Cd")),
            ("company%5Fid=%41b12Cd", value("Ab12Cd")),
            ("company_id=Ab12Cd&company_id=Ab12Cd", value("Ab12Cd")),
            ("company_id=", value("")),
            ("company_id", value("")),
            ("", Found::Nothing),
            ("company=Ab12Cd", Found::Nothing),
            ("company_ids=Ab12Cd", Found::Nothing),
            ("Company_Id=Ab12Cd", Found::Nothing),
            ("company_id=Ab12Cd&company_id=Other1", Found::Ambiguous),
            ("company_id=Ab12Cd&Company_ID=Other1", Found::Ambiguous),
            ("company_id=Ab12Cd&company_id[]=Other1", Found::Ambiguous),
            ("company_id=Ab12Cd&company.id=Other1", Found::Ambiguous),
            ("company_id=Ab12Cd&company%255Fid=Other1", Found::Ambiguous),
            ("company_id=Ab12Cd&x=1;company_id=Other1", Found::Ambiguous),
            ("company_id=Ab12Cd;company_id=Other1", Found::Ambiguous),
            ("company_id=Ab12Cd&x=1%26company_id=Other1", Found::Ambiguous),
            ("company_id=Ab12Cd%26company_id=Other1", Found::Ambiguous),
        ] {
            assert_eq!(sought.find(query.as_bytes()), expected, "{query}");
        }
    }
}
