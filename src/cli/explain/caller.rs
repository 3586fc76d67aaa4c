//! Who is said to call, and what the policy decides about it.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Grounds;
use crate::cli::{Failure, source};
use crate::key::digest::{Digest, Hasher};
use crate::key::secret::{self, Checked, Secret};
use crate::key::{GrantSpec, KeyId, Timestamp};
use crate::policy::scope::Vocabulary;
use crate::policy::{Caller, Denial, Explanation, Grant, Invalid, Kind, Principal, Request, Trace};
use crate::store::index::Index;
use crate::store::{self, OpenMode, Revision, StoreError};

/// Who is said to call.
#[derive(Debug)]
pub(super) enum Claim {
    /// Nobody with a key.
    Anonymous,
    /// A key in force with this grant.
    Grant(GrantSpec),
    /// The key with this id.
    Id(KeyId),
    /// This key.
    Key(Secret),
}

impl Claim {
    /// The scopes that are named in it.
    pub(super) fn scopes(&self) -> impl Iterator<Item = &str> {
        let scopes: &[String] = match self {
            Self::Grant(GrantSpec::Custom(scopes)) => scopes,
            _ => &[],
        };
        scopes.iter().map(String::as_str)
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
    digests: HashMap<KeyId, Digest>,
}

impl<'g> Callers<'g> {
    pub(super) fn new(grounds: &'g Grounds, vocabulary: Vocabulary, from: Option<IpAddr>) -> Self {
        Self { grounds, vocabulary, from, keys: None }
    }

    /// Decides as the gateway would: the target first, whoever calls.
    pub(super) fn explain(&mut self, request: &Request<'_>, claim: &Claim) -> Result<Explained, Failure> {
        match claim {
            Claim::Anonymous => Ok(self.decide(request, &Caller::Anonymous)),
            Claim::Grant(grant) => {
                let principal = self.principal(grant);
                let explained = self.decide(request, &Caller::Known(&principal));
                Ok(Explained { caller: supposed(grant), ..explained })
            }
            Claim::Id(id) => {
                let digest = self.keys()?.digests.get(id).copied();
                let digest = digest.ok_or_else(|| Failure::failed(StoreError::Unknown(id.clone())))?;
                self.decide_for(request, &digest)
            }
            Claim::Key(key) => self.explain_key(request, key),
        }
    }

    fn explain_key(&mut self, request: &Request<'_>, key: &Secret) -> Result<Explained, Failure> {
        let keys = self.grounds.keys()?;
        if matches!(secret::check(&keys.prefix, key.expose()), Checked::BadChecksum | Checked::Malformed) {
            return Ok(self.decide(request, &Caller::Invalid(Invalid::Malformed)));
        }
        let digest = Hasher::new(keys.pepper.as_ref()).digest(key.expose());
        self.decide_for(request, &digest)
    }

    fn decide_for(&mut self, request: &Request<'_>, digest: &Digest) -> Result<Explained, Failure> {
        let from = self.from;
        self.keys()?;
        let caller = |entry: Option<&store::index::Entry>| match entry {
            None => self.decide(request, &Caller::Invalid(Invalid::Unknown)),
            Some(entry) => self.decide(request, &entry.caller(Timestamp::now(), from)),
        };
        let keys = self.keys.as_ref();
        Ok(keys.map_or_else(|| caller(None), |keys| keys.index.look_up(digest, caller)))
    }

    fn decide(&self, request: &Request<'_>, caller: &Caller<'_>) -> Explained {
        let caller_in_words = in_words(caller, self.from);
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

    fn principal(&self, grant: &GrantSpec) -> Principal {
        Principal {
            key_id: "key_explain".into(),
            name: "explain".into(),
            account: None,
            kind: Kind::Secret,
            grant: match grant {
                GrantSpec::Custom(scopes) => {
                    Grant::Custom(self.vocabulary.intern_all(scopes.iter().map(String::as_str)))
                }
                GrantSpec::Full => Grant::Full,
                GrantSpec::ReadOnly => Grant::ReadOnly,
            },
            attributes: Box::default(),
        }
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
        let mut digests = HashMap::new();
        store
            .load(Revision::START, &mut |change| {
                digests.insert(change.record.id.clone(), change.record.digest);
                index.apply(&change);
            })
            .map_err(Failure::failed)?;
        Ok(Keys { index, digests })
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

/// A key that is only supposed, in words.
fn supposed(grant: &GrantSpec) -> String {
    match grant {
        GrantSpec::Custom(scopes) if scopes.is_empty() => "a key without scopes".to_owned(),
        GrantSpec::Custom(scopes) if scopes.len() == 1 => {
            format!("a key with the scope {}", scopes.join(""))
        }
        GrantSpec::Custom(scopes) => format!("a key with the scopes {}", scopes.join(", ")),
        GrantSpec::Full => "a key with the grant full".to_owned(),
        GrantSpec::ReadOnly => "a key with the grant read-only".to_owned(),
    }
}

fn in_words(caller: &Caller<'_>, from: Option<IpAddr>) -> String {
    let key = |principal: &Principal| format!("{} ({})", principal.key_id, principal.name);
    match caller {
        Caller::Ambiguous => "different keys in more than one place".to_owned(),
        Caller::Anonymous => "without a key".to_owned(),
        Caller::Expired(principal) => format!("{}, which has expired", key(principal)),
        Caller::Invalid(Invalid::Disabled) => "a key that is disabled".to_owned(),
        Caller::Invalid(Invalid::Malformed) => "something that is no key: its form or its checksum is wrong".to_owned(),
        Caller::Invalid(Invalid::NotYetValid) => "a key whose time has not begun".to_owned(),
        Caller::Invalid(Invalid::Revoked) => "a key that is revoked".to_owned(),
        Caller::Invalid(Invalid::Unknown) => "a key that the store does not know".to_owned(),
        Caller::Known(principal) => key(principal),
        Caller::Misplaced(principal) if from.is_none() => {
            format!("{}, which is bound to networks: say with --from where the request comes from", key(principal))
        }
        Caller::Misplaced(principal) => {
            format!("{}, from an address that it does not allow", key(principal))
        }
        Caller::StoreUnavailable => "a key, while the store is away".to_owned(),
    }
}
