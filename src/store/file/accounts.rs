//! The accounts of a key file.

use std::collections::HashMap;
use std::sync::Arc;

use super::read::{Fields, Reader};
use super::value;
use crate::key::account::{self, AccountError, AccountRecord, AccountState, Affiliation, NewAccount};
use crate::policy::nearest;
use crate::yaml::{self, Node, Span, Value};

/// The fields of an account.
const FIELDS: [&str; 5] = ["credential", "disabled", "id", "name", "parent"];

/// The accounts that a file lists, with their places.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    list: Vec<AccountRecord>,
    places: HashMap<Box<str>, usize>,
}

impl Accounts {
    /// Reads the list.
    pub(super) fn read(reader: &mut Reader, list: &Node, text: &str) -> Self {
        let Value::List(items) = &list.value else {
            let message = format!("`accounts` is {}, not a list", list.kind());
            reader.note(list.span, message, "begin each account with `- id: …`");
            return Self::default();
        };
        let mut wanted: Vec<(NewAccount, AccountState, Places)> = Vec::with_capacity(items.len());
        let mut seen: HashMap<Box<str>, (Span, Box<str>)> = HashMap::new();
        for item in items {
            let Some((new, state, at)) = read_one(reader, item) else { continue };
            if let Some((first, known)) = seen.insert(new.id.to_ascii_lowercase().into(), (at.id, new.id.clone())) {
                let line = yaml::line_and_column(text, first.start).0;
                let case = if known == new.id { "" } else { ", but for the case of letters" };
                let message = format!("the account on line {line} has the same id{case}");
                reader.note(at.id, message, "each account is listed once");
                continue;
            }
            wanted.push((new, state, at));
        }
        let mut accounts = Self::default();
        // Those above come first, in whatever order they are written.
        let (above, below): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(new, ..)| new.parent.is_none());
        let mut ids: Vec<Box<str>> = above.iter().chain(&below).map(|(new, ..)| new.id.clone()).collect();
        ids.sort_unstable();
        accounts.add(reader, above, &HashMap::new());
        let parents = accounts.list.iter().map(|account| (account.id.clone(), account.clone())).collect();
        accounts.refuse_grandchildren(reader, &below, &ids);
        accounts.add(reader, below, &parents);
        accounts
    }

    fn add(
        &mut self,
        reader: &mut Reader,
        wanted: Vec<(NewAccount, AccountState, Places)>,
        parents: &HashMap<Box<str>, AccountRecord>,
    ) {
        for (new, state, at) in wanted {
            let parent = new.parent.as_ref().and_then(|parent| parents.get(parent));
            if new.parent.is_some() && parent.is_none() {
                continue;
            }
            match account::create(new, parent, reader.written()) {
                Ok(account) => {
                    let place = self.list.len();
                    self.places.insert(account.id.clone(), place);
                    self.list.push(AccountRecord { state, ..account });
                }
                Err(error) => {
                    let span = match error {
                        AccountError::Name(_) => at.name,
                        AccountError::Credential(_) => at.credential,
                        AccountError::Id(_) => at.id,
                        _ => at.parent,
                    };
                    reader.note(span, error.to_string(), "");
                }
            }
        }
    }

    /// Notes the parents that are not listed, and those that have one themselves.
    fn refuse_grandchildren(
        &self,
        reader: &mut Reader,
        below: &[(NewAccount, AccountState, Places)],
        ids: &[Box<str>],
    ) {
        for (new, _, at) in below {
            let Some(parent) = new.parent.as_ref().filter(|parent| !self.places.contains_key(*parent)) else {
                continue;
            };
            if ids.binary_search(parent).is_ok() {
                let error = AccountError::Nested { id: new.id.clone(), parent: parent.clone() };
                reader.note(at.parent, error.to_string(), "");
            } else {
                let (message, help) = stranger(parent, ids.iter().map(AsRef::as_ref));
                reader.note(at.parent, message, help);
            }
        }
    }

    /// What is wrong with a key that names an account, and how to mend it.
    pub(super) fn objection(&self, account: &str) -> Option<(String, String)> {
        let is_listed = self.places.contains_key(account);
        (!is_listed).then(|| stranger(account, self.list.iter().map(|account| &*account.id)))
    }

    /// What keys have of each account; `None` where that is no more than the name.
    pub(super) fn affiliations(&self) -> HashMap<&str, Option<Arc<Affiliation>>> {
        let shared = |affiliation: Affiliation| (!affiliation.is_plain()).then(|| Arc::new(affiliation));
        Affiliation::of_each(&self.list).into_iter().map(|(id, affiliation)| (id, shared(affiliation))).collect()
    }

    /// Every account, by id.
    pub(super) fn into_list(mut self) -> Vec<AccountRecord> {
        self.list.sort_by(|one, other| one.id.cmp(&other.id));
        self.list
    }
}

/// Where the fields of an account stand.
#[derive(Clone, Copy)]
struct Places {
    id: Span,
    name: Span,
    parent: Span,
    credential: Span,
}

fn read_one(reader: &mut Reader, item: &Node) -> Option<(NewAccount, AccountState, Places)> {
    let Value::Map(entries) = &item.value else {
        reader.note(
            item.span,
            format!("an account is {}, not a map", item.kind()),
            "begin each account with `- id: …`",
        );
        return None;
    };
    for entry in entries.iter().filter(|entry| !FIELDS.contains(&&*entry.key)) {
        let help = format!("the fields of an account are {}", FIELDS.join(", "));
        reader.note(entry.key_span, format!("unknown field `{}`", entry.key), help);
    }
    let fields = Fields { item, entries, scopes: None };
    reader.demand(&fields, "id", "say what keys name this account by");
    let id = reader.optional(&fields, "id", value::string);
    let new = NewAccount {
        name: reader.optional(&fields, "name", value::string),
        parent: reader.optional(&fields, "parent", value::string),
        credential: reader.optional(&fields, "credential", value::string),
        id: id?,
    };
    let is_disabled = reader.optional(&fields, "disabled", value::boolean) == Some(true);
    let state = if is_disabled { AccountState::Disabled } else { AccountState::Active };
    let at = |name: &str| fields.find(name).map_or(item.span, |entry| entry.value.span);
    let places = Places { id: at("id"), name: at("name"), parent: at("parent"), credential: at("credential") };
    Some((new, state, places))
}

/// What is to be said of an account that the file does not list.
fn stranger<'a>(account: &str, listed: impl Iterator<Item = &'a str>) -> (String, String) {
    let shown = crate::key::visible::escaped(account);
    let near = nearest(account, listed).map(|near| format!("did you mean `{near}`? Otherwise "));
    let help = format!("{}list it under `accounts`", near.unwrap_or_default());
    (format!("`{shown}` is none of the accounts of the file"), help)
}
