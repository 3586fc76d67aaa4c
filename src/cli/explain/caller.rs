//! Who is said to call, and what the policy decides about it.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::Grounds;
use crate::cli::keys::not_found;
use crate::cli::{Failure, source};
use crate::key::digest::{Digest, Hasher};
use crate::key::secret::{self, Checked, Secret};
use crate::key::{GrantSpec, KeyId, SiteId, Timestamp};
use crate::policy::scope::Vocabulary;
use crate::policy::{Account, Caller, Denial, Explanation, Grant, Invalid, Kind, Principal, Request, Rights, Trace};
use crate::store::index::Index;
use crate::store::{self, OpenMode, Revision};

/// Who is said to call.
#[derive(Debug)]
pub(super) enum Claim {
    /// Nobody with a key.
    Anonymous,
    /// A key in force that need not exist.
    Supposed(Supposed),
    /// The key with this id.
    Id(KeyId),
    /// This key.
    Key(Secret),
}

/// A key that need not exist: what it was granted, and what it is bound to.
#[derive(Debug)]
pub(super) struct Supposed {
    pub(super) grant: GrantSpec,
    pub(super) account: Option<String>,
    /// Name and value; a name may stand more than once.
    pub(super) attributes: Vec<(String, String)>,
}

impl Claim {
    /// The scopes that are named in it.
    pub(super) fn scopes(&self) -> impl Iterator<Item = &str> {
        let scopes: &[Arc<str>] = match self {
            Self::Supposed(Supposed { grant: GrantSpec::Custom(scopes), .. }) => scopes,
            _ => &[],
        };
        scopes.iter().map(|scope| &**scope)
    }

    /// The names of the attributes in it.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &str> {
        let attributes: &[(String, String)] = match self {
            Self::Supposed(supposed) => &supposed.attributes,
            _ => &[],
        };
        attributes.iter().map(|(name, _)| name.as_str())
    }
}

/// A decision with its reasons, and the caller in words.
#[derive(Debug)]
pub(super) struct Explained {
    pub(super) trace: Trace,
    /// The steps; `None` where the target was refused before there were any.
    pub(super) steps: Option<Explanation>,
    /// Who called, never the key.
    pub(super) caller: String,
    /// The file of the policy.
    pub(super) file: String,
}

/// Makes callers of claims, and asks the policy about them.
pub(super) struct Callers<'g> {
    grounds: &'g Grounds,
    vocabulary: Vocabulary,
    from: Option<IpAddr>,
    /// The keys of the store, once one was asked for.
    keys: Option<Keys>,
}

/// The keys of a store in memory.
struct Keys {
    index: Index,
    /// The digest of each, and its place among the names.
    digests: HashMap<KeyId, (Digest, usize)>,
    /// What each key is called.
    names: Vec<(KeyId, Box<str>)>,
}

impl<'g> Callers<'g> {
    pub(super) fn new(grounds: &'g Grounds, vocabulary: Vocabulary, from: Option<IpAddr>) -> Self {
        Self { grounds, vocabulary, from, keys: None }
    }

    /// Decides as the gateway would: the target first, whoever calls.
    pub(super) fn explain(&mut self, request: &Request<'_>, claim: &Claim) -> Result<Explained, Failure> {
        match claim {
            Claim::Anonymous => Ok(self.decide(request, &Caller::Anonymous, "")),
            Claim::Supposed(supposed) => {
                let principal = self.principal(supposed);
                let explained = self.decide(request, &Caller::Known(&principal), "");
                Ok(Explained { caller: supposed.to_string(), ..explained })
            }
            Claim::Id(id) => {
                let keys = self.keys()?;
                let named = || not_found(id, keys.names.iter().map(|(id, name)| (id.as_str(), &**name)));
                let digest = keys.digests.get(id).map(|(digest, _)| *digest).ok_or_else(named)?;
                self.decide_for(request, &digest, |_| true)
            }
            Claim::Key(key) => self.explain_key(request, key),
        }
    }

    fn explain_key(&mut self, request: &Request<'_>, key: &Secret) -> Result<Explained, Failure> {
        let keys = self.grounds.keys()?;
        if let Some(site) = SiteId::parse(key.expose()) {
            let digest = site.imprint().digest;
            let is_public =
                self.keys()?.index.look_up(&digest, |entry| entry.is_some_and(store::index::Entry::is_public));
            if is_public {
                return self.decide_for(request, &digest, store::index::Entry::is_public);
            }
        }
        if matches!(secret::check(&keys.prefix, key.expose()), Checked::BadChecksum | Checked::Malformed) {
            return Ok(self.decide(request, &Caller::Invalid(Invalid::Malformed), ""));
        }
        let hasher = Hasher::new(keys.pepper.as_ref());
        let whole = hasher.digest(key.expose());
        // A pair is written as `ID:SECRET`. A key that came from elsewhere may have a colon, too.
        let mut parts = key.expose().splitn(2, |byte| *byte == b':');
        let pair = parts.next().zip(parts.next()).filter(|(id, _)| !id.is_empty());
        let is_whole = self.keys()?.index.look_up(&whole, |entry| entry.is_some());
        match pair.filter(|_| !is_whole) {
            Some((id, secret)) => self.decide_for(request, &hasher.digest(secret), |entry| entry.is_named(Some(id))),
            None => self.decide_for(request, &whole, |entry| entry.is_named(None)),
        }
    }

    /// The decision about a key of the store, where it is presented as it has to be.
    fn decide_for(
        &mut self,
        request: &Request<'_>,
        digest: &Digest,
        is_right: impl Fn(&store::index::Entry) -> bool,
    ) -> Result<Explained, Failure> {
        let from = self.from;
        self.keys()?;
        let caller = |entry: Option<&store::index::Entry>| match entry {
            None => self.decide(request, &Caller::Invalid(Invalid::Unknown), ""),
            Some(entry) if !is_right(entry) => self.decide_for_unusable(request, entry, Invalid::Mismatched),
            Some(entry) => match entry.caller(Timestamp::now(), from) {
                Caller::Invalid(why) => self.decide_for_unusable(request, entry, why),
                caller => self.decide(request, &caller, &self.who(entry)),
            },
        };
        let keys = self.keys.as_ref();
        Ok(keys.map_or_else(|| caller(None), |keys| keys.index.look_up(digest, caller)))
    }

    /// The decision about a key that is not in force, with the steps that it would have led to if it were: what it holds
    /// is known.
    fn decide_for_unusable(&self, request: &Request<'_>, entry: &store::index::Entry, why: Invalid) -> Explained {
        let decided = self.decide(request, &Caller::Invalid(why), "");
        let (state, mend) = unusable(why, entry.id().as_str());
        let caller = format!("{}, {state}", self.who(entry));
        // What a tripwire would open if it were another key is no question.
        if decided.trace.code != Some(Denial::InvalidKey(why).code()) || why == Invalid::Tripwire {
            return Explained { caller, ..decided };
        }
        let supposed = self.decide(request, &Caller::Known(&entry.principal), "");
        let Trace { decision, status, code, .. } = decided.trace;
        let reason = format!("The key is {state}; {mend}");
        let trace = Trace { decision, status, code, reason, parameter: None, member: None, ..supposed.trace };
        Explained { trace, caller, ..supposed }
    }

    /// The id and the name of a key.
    fn who(&self, entry: &store::index::Entry) -> String {
        let id = entry.id();
        let place = |keys: &Keys| keys.digests.get(&KeyId::parse(id.as_str())?).map(|(_, place)| *place);
        let named = self.keys.as_ref().and_then(|keys| keys.names.get(place(keys)?));
        format!("{} ({})", id.as_str(), named.map_or("", |(_, name)| name))
    }

    /// The decision, and the caller in words; `who` is the key, where there is one.
    fn decide(&self, request: &Request<'_>, caller: &Caller<'_>, who: &str) -> Explained {
        let caller_in_words = in_words(caller, who, self.from);
        let file = self.grounds.policy_file.clone();
        let target = match self.grounds.policy.judge(request) {
            Ok(target) => target,
            Err(denial) => {
                return Explained { trace: refusal(denial), steps: None, caller: caller_in_words, file };
            }
        };
        let steps = self.grounds.policy.decide(caller, &target).explain();
        Explained { trace: steps.trace.clone(), steps: Some(steps), caller: caller_in_words, file }
    }

    fn principal(&self, supposed: &Supposed) -> Principal {
        let attributes = supposed.attributes.iter();
        let attributes = attributes.map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
        let grant = match &supposed.grant {
            GrantSpec::Custom(scopes) => Grant::Custom(self.vocabulary.intern_all(scopes.iter().map(|scope| &**scope))),
            GrantSpec::Full => Grant::Full,
            GrantSpec::ReadOnly => Grant::ReadOnly,
        };
        let rights = Rights::new(Kind::Secret, (grant, supposed.grant.to_header()), attributes);
        let account = supposed.account.as_deref().map(|account| Arc::new(Account::new(account)));
        Principal::new(account, Arc::new(rights))
    }

    fn keys(&mut self) -> Result<&Keys, Failure> {
        let keys = match self.keys.take() {
            Some(keys) => keys,
            None => self.load_keys()?,
        };
        Ok(self.keys.insert(keys))
    }

    fn load_keys(&self) -> Result<Keys, Failure> {
        let location = source::location(self.grounds.keys()?);
        let mut store = store::open(&location, OpenMode::Existing).map_err(Failure::failed)?;
        let index = Index::new(self.vocabulary.clone());
        let (mut digests, mut names) = (HashMap::new(), Vec::new());
        store
            .load(Revision::START, &mut |change| {
                digests.insert(change.record.id.clone(), (change.record.value.digest, names.len()));
                names.push((change.record.id.clone(), change.record.name.clone()));
                index.apply(&change);
            })
            .map_err(Failure::failed)?;
        Ok(Keys { index, digests, names })
    }
}

/// The trace of a target that is refused whoever calls.
fn refusal(denial: Denial) -> Trace {
    Trace {
        decision: "deny",
        status: denial.status(),
        code: Some(denial.code()),
        reason: denial.detail().to_owned(),
        route: None,
        required: Vec::new(),
        granted: Vec::new(),
        missing: Vec::new(),
        because: Vec::new(),
        any_of: Vec::new(),
        parameter: None,
        member: None,
    }
}

/// In words.
impl fmt::Display for Supposed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.grant {
            GrantSpec::Custom(scopes) if scopes.is_empty() => out.write_str("a key without scopes")?,
            GrantSpec::Custom(scopes) if scopes.len() == 1 => write!(out, "a key with the scope {}", scopes.join(""))?,
            GrantSpec::Custom(scopes) => write!(out, "a key with the scopes {}", scopes.join(", "))?,
            GrantSpec::Full => out.write_str("a key with the grant full")?,
            GrantSpec::ReadOnly => out.write_str("a key with the grant read-only")?,
        }
        let account = self.account.iter().map(|account| format!("account={account}"));
        let attributes = self.attributes.iter().map(|(name, value)| format!("{name}={value}"));
        let bound: Vec<String> = account.chain(attributes).collect();
        if bound.is_empty() { Ok(()) } else { write!(out, ", of {}", bound.join(", ")) }
    }
}

/// What a key that is not in force is, and how to mend that.
fn unusable(why: Invalid, id: &str) -> (&'static str, String) {
    match why {
        Invalid::AccountDisabled => (
            "of an account that is disabled",
            "scopegate accounts enable switches it on again, or the one above it.".to_owned(),
        ),
        Invalid::Deleted => ("deleted", "that is final: make another.".to_owned()),
        Invalid::Disabled => ("disabled", format!("scopegate keys enable {id} switches it on again.")),
        Invalid::Malformed => ("malformed", "check that it is whole.".to_owned()),
        Invalid::Mismatched => (
            "not presented as it has to be",
            "a pair is its id with its secret (ID:SECRET), any other key comes alone.".to_owned(),
        ),
        Invalid::NotYetValid => ("not yet valid", format!("scopegate keys show {id} tells when it begins.")),
        Invalid::Revoked => ("revoked", "that is final: make another.".to_owned()),
        Invalid::Tripwire => ("a tripwire", "it opens nothing, and each use of it is an alarm.".to_owned()),
        Invalid::Unknown => ("unknown", "no record of the store is its.".to_owned()),
    }
}

fn in_words(caller: &Caller<'_>, who: &str, from: Option<IpAddr>) -> String {
    match caller {
        Caller::Ambiguous => "different keys in more than one place".to_owned(),
        Caller::Anonymous => "without a key".to_owned(),
        Caller::Expired(_) => format!("{who}, which has expired"),
        Caller::Invalid(Invalid::Malformed) => "something that is no key: its form or its checksum is wrong".to_owned(),
        Caller::Invalid(Invalid::Unknown) => "a key that the store does not know".to_owned(),
        Caller::Invalid(why) => format!("a key that is {}", unusable(*why, "").0),
        Caller::Known(_) => who.to_owned(),
        Caller::Misplaced(_) if from.is_none() => {
            format!("{who}, which is bound to networks: say with --from where the request comes from")
        }
        Caller::Misplaced(_) => format!("{who}, from an address that it does not allow"),
        Caller::StoreUnavailable => "a key, while the store is away".to_owned(),
    }
}
