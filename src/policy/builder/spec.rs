//! What a policy says, before it is checked.

use super::super::parameter::List;
use super::super::route::Upgrade;
use super::super::timeouts::RouteTimeouts;

/// A ruled parameter, as declared.
#[derive(Clone, Debug, Default)]
pub struct ParameterSpec {
    /// How its value is made of members.
    pub list: List,
    /// `nested: dot`: members are dotted paths.
    pub dotted: bool,
    /// Rules that routes may take over by name; they rule nothing of themselves.
    pub members: Vec<(String, MemberSpec)>,
}

/// What a member asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberSpec {
    /// Nothing.
    Allow,
    /// It is refused.
    Deny,
    /// All of these scopes.
    Scopes(Vec<String>),
}

/// What a route says about one ruled parameter.
#[derive(Clone, Debug)]
pub enum RuleSpec {
    /// Members of the declaration, with the rules that stand there.
    Declared(Vec<String>),
    /// Members with rules of their own.
    Own(Vec<(String, MemberSpec)>),
}

/// Who may call a route, as written.
#[derive(Clone, Debug)]
pub enum AccessSpec {
    /// `auth: anyone`.
    Anyone,
    /// `auth: deny`.
    Deny,
    /// `auth: key`.
    Key,
    /// `auth: public-key`.
    PublicKey,
    /// `scopes` and `any_of`; at least one of the lists has something in it.
    Scopes {
        /// Each of these must be held.
        all_of: Vec<String>,
        /// One of these lists must be held whole.
        any_of: Vec<Vec<String>>,
    },
}

/// A route, as written.
#[derive(Clone, Debug)]
pub struct RouteSpec {
    /// One or more methods: `POST|PATCH` are two.
    pub methods: Vec<String>,
    /// The path template, without the base.
    pub template: String,
    /// Who may call it.
    pub access: AccessSpec,
    /// Rules for ruled parameters, by name.
    pub query: Vec<(String, RuleSpec)>,
    /// The upstream credential to swap in.
    pub credential: Option<String>,
    /// Whether `%2F` may stand in path parameters.
    pub encoded_slash: bool,
    /// The protocol that a connection may switch to.
    pub upgrade: Option<Upgrade>,
    /// How long the upstream may take.
    pub timeouts: RouteTimeouts,
    /// Attributes that keys may be bound by although the path has no such parameter.
    pub unbound: Vec<String>,
    /// Where it stands.
    pub line: u32,
}

impl RouteSpec {
    /// A route with nothing to it but who may call it, on line 1.
    pub fn new(methods: Vec<String>, template: impl Into<String>, access: AccessSpec) -> Self {
        Self {
            methods,
            template: template.into(),
            access,
            query: Vec::new(),
            credential: None,
            encoded_slash: false,
            upgrade: None,
            timeouts: RouteTimeouts::default(),
            unbound: Vec::new(),
            line: 1,
        }
    }
}
