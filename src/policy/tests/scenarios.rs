use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::super::*;
use super::support::*;

pub(super) const SCOPES: [&str; 5] = ["a:read", "a:write", "b:read", "b:write", "EXPORT"];

/// A policy as it is written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// Each scope with what it implies; none: no vocabulary is declared.
    pub(super) vocabulary: Option<Vec<(String, ScopeInfo)>>,
    pub(super) case: PathCase,
    pub(super) shape: (List, bool),
    pub(super) bound: bool,
    pub(super) routes: Vec<RouteSpec>,
}

/// A request and who sends it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) who: Who,
    /// A route to follow, and what to put into its parameters.
    pub(super) along: Option<(Index, Vec<&'static str>)>,
}

#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) has_key: bool,
    pub(super) kind: Kind,
    pub(super) level: Level,
    pub(super) accounts: Vec<&'static str>,
}

#[derive(Clone, Debug)]
pub(super) enum Level {
    Custom(Vec<&'static str>),
    Full,
    ReadOnly,
}

impl Written {
    /// The compiled policy; what the builder refuses is taken out of what is written.
    pub(super) fn build(&mut self) -> Gate {
        let mut trial = self.draft();
        self.routes.retain(|route| trial.try_spec(route.clone()).is_ok());
        self.bound = self.bound && self.routes.iter().any(|route| route.template.contains("{p}"));
        let draft = if self.bound { self.draft().bind("account", "p") } else { self.draft() };
        self.routes.iter().cloned().fold(draft, Draft::spec).finish()
    }

    fn draft(&self) -> Draft {
        let mut draft = Draft::with(Options { case: self.case, ..Options::default() });
        for (name, info) in self.vocabulary.iter().flatten() {
            draft.builder.declare_scope(name, info.clone()).unwrap();
        }
        draft.parameter("include", self.shape)
    }
}

impl Asked {
    /// The same request, with method and path of one of the policy's routes where it is to follow one.
    pub(super) fn along(mut self, policy: &Written) -> Self {
        let Some((at, fills)) = self.along.take().filter(|_| !policy.routes.is_empty()) else {
            return self;
        };
        let route = &policy.routes[at.index(policy.routes.len())];
        let mut fills = fills.iter().cycle();
        let fill = |piece| match piece {
            "{*rest}" => [*fills.next().unwrap(), *fills.next().unwrap()].join("/"),
            _ if str::starts_with(piece, '{') => (*fills.next().unwrap()).to_owned(),
            _ => piece.to_owned(),
        };
        self.path = route.template.split('/').map(fill).collect::<Vec<String>>().join("/");
        self.method = match route.methods[0].as_str() {
            "ANY" => "PUT",
            "POST" => "POST",
            _ => self.method,
        };
        self
    }

    pub(super) fn target(&self) -> String {
        format!("{}{}", self.path, self.query)
    }

    pub(super) fn decide(&self, gate: &Gate) -> (&'static str, Vec<String>, Vec<String>) {
        let decided = self.decided(gate, |decision| {
            let trace = decision.trace();
            (decision.denial().map_or("allow", Denial::code), trace.required, trace.missing)
        });
        decided.unwrap_or_else(|denial| (denial.code(), Vec::new(), Vec::new()))
    }

    /// What `look` sees in the decision, where the target is sound.
    pub(super) fn decided<T>(&self, gate: &Gate, look: impl FnOnce(&Decision<'_>) -> T) -> Result<T, Denial> {
        let target = self.target();
        let request = Request { method: self.method.as_bytes(), target: target.as_bytes(), override_header: false };
        let judged = gate.policy.judge(&request)?;
        let key = self.who.principal(gate);
        let caller = if self.who.has_key { Caller::Known(&key) } else { Caller::Anonymous };
        Ok(look(&gate.policy.decide(&caller, &judged)))
    }
}

impl Who {
    fn principal(&self, gate: &Gate) -> Principal {
        let grant = match &self.level {
            Level::Custom(scopes) => Grant::Custom(gate.vocabulary.intern_all(scopes.iter().copied())),
            Level::Full => Grant::Full,
            Level::ReadOnly => Grant::ReadOnly,
        };
        let attributes: Vec<_> = self.accounts.iter().skip(1).map(|account| ("account", *account)).collect();
        key_bound_to(grant, self.accounts.first().copied(), &attributes).of_kind(self.kind)
    }
}

pub(super) fn policies() -> impl Strategy<Value = Written> {
    let case = prop_oneof![4 => Just(PathCase::Sensitive), 1 => Just(PathCase::Insensitive)];
    let list = select(vec![List::Comma, List::Brackets, List::None]);
    let vocabulary = option::of(vocabulary());
    (vocabulary, case, (list, any::<bool>()), prop::bool::weighted(0.2), vec(route(), 1..9))
        .prop_map(|(vocabulary, case, shape, bound, routes)| Written { vocabulary, case, shape, bound, routes })
}

fn vocabulary() -> impl Strategy<Value = Vec<(String, ScopeInfo)>> {
    let info = (prop::bool::weighted(0.2), prop_oneof![3 => Just(vec![]), 1 => subsequence(&SCOPES[..], 1..3)])
        .prop_map(|(access_read, implies)| ScopeInfo { access_read, implies: owned(&implies), ..ScopeInfo::default() });
    vec(info, SCOPES.len()).prop_map(|infos| SCOPES.iter().map(|name| (*name).to_owned()).zip(infos).collect())
}

fn scopes() -> impl Strategy<Value = Vec<String>> {
    subsequence(&SCOPES[..], 1..3).prop_map(|names| owned(&names))
}

fn route() -> impl Strategy<Value = RouteSpec> {
    let piece = select(vec!["a", "b", "admin", "{p}", "{q}", "a", "{p}", "b.csv", "v1.0", "c.php"]);
    let end = select(vec!["", "", "", "/", "/{*rest}"]);
    let template = (vec(piece, 0..4), end).prop_map(|(pieces, end)| match (pieces.is_empty(), end) {
        (true, "") => "/".to_owned(),
        _ => format!("{}{}{end}", if pieces.is_empty() { "" } else { "/" }, pieces.join("/")),
    });
    let access = prop_oneof![
        1 => Just(AccessSpec::Anyone),
        1 => Just(AccessSpec::Deny),
        1 => Just(AccessSpec::Key),
        1 => Just(AccessSpec::PublicKey),
        6 => (scopes(), prop_oneof![3 => Just(vec![]), 2 => vec(scopes(), 1..4)])
            .prop_map(|(all_of, any_of)| AccessSpec::Scopes { all_of, any_of }),
        2 => vec(scopes(), 1..4).prop_map(|any_of| AccessSpec::Scopes { all_of: vec![], any_of }),
    ];
    let methods = prop_oneof![
        4 => select(vec!["GET", "ANY", "POST"]).prop_map(|method| vec![method.to_owned()]),
        1 => select(vec![["GET", "HEAD"], ["POST", "OPTIONS"]]).prop_map(|pair| owned(&pair)),
    ];
    let rules = option::of(subsequence(&["x", "y", "x.y", "zed", "*"][..], 1..5).prop_flat_map(rules));
    (methods, template, access, rules, prop::bool::weighted(0.3)).prop_map(
        |(methods, template, access, rules, unbound)| {
            let takes_rules = !matches!(access, AccessSpec::Anyone | AccessSpec::Deny);
            let query = rules.filter(|_| takes_rules).map(|rules| ("include".to_owned(), RuleSpec::Own(rules)));
            RouteSpec {
                methods,
                access,
                query: query.into_iter().collect(),
                encoded_slash: unbound && template.contains("{q}"),
                template,
                ..written("GET /")
            }
        },
    )
}

fn rules(members: Vec<&'static str>) -> impl Strategy<Value = Vec<(String, MemberSpec)>> {
    let rule = prop_oneof![
        2 => Just(MemberSpec::Allow),
        1 => Just(MemberSpec::Deny),
        3 => scopes().prop_map(MemberSpec::Scopes),
    ];
    vec(rule, members.len()).prop_map(move |rules| owned(&members).into_iter().zip(rules).collect())
}

pub(super) fn requests() -> impl Strategy<Value = Asked> {
    let method = select(vec!["GET", "GET", "GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "get"]);
    let along = option::weighted(0.8, (any::<Index>(), vec(segment(), 6)));
    (method, path(), query(), who(), along).prop_map(|(method, path, query, who, along)| Asked {
        method,
        path,
        query,
        who,
        along,
    })
}

fn segment() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        30 => select(vec!["a", "b", "admin", "one", "two", "one"]),
        12 => select(vec!["A", "Admin", "B", "%61", "a%64min", "%41dmin", "ADMIN", "%25", "a%2Fb", "a%2fone", "admin%3Fa%2Fb", "a%23%2Fb", "admin.", "a%20",
                         "%20b", "admin%3Fx", "a%23", "%23a", "admin%2e%20", "B.", "a.json", "b.7", "b.csv",
                         "B%2ecsv", "admin.xml%20", "v1", "v1.0", "v1.1", "v1.0.json", "b.json.csv", "one%3Finclude=x", "a%3Fc%26_method%3DPUT", "one%3Fc=d", "one&include=x", "a%26c", "b.tar.gz", ".json",
                         "c.php", "C.php", "c.php", "a%C2%A0", "%E2%80%8Badmin", "%E3%80%80a.", "one&method=PUT", "one%2F%2Fb%2F", "a%2F", "one%2Fa"]),
        1 => select(vec!["..", "%2e", "..%2F", "", "a;b", "a%3bb", "%2541", "%00", "a%5C", "a%", "%zz", ".",
                         "...", "..%3f", "%20..", "%20", "%c0%ae", "%2F", "%2Fa", "..%C2%A0", "%E2%80%8B", "a%2F%C2%A0", "%7f", "%0a"]),
    ]
}

fn path() -> impl Strategy<Value = String> {
    (vec(segment(), 0..5), select(vec!["", "", "", "/"]))
        .prop_map(|(segments, end)| format!("/{}{}", segments.join("/"), if segments.is_empty() { "" } else { end }))
}

fn query() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        8 => Just("include"),
        4 => select(vec!["other", "inc%6Cude", "%69nclude", "included", "a;b"]),
        1 => select(vec!["include[]", "include[0]", "Include", "include+", "+include", "include%C2%A0", "%EF%BB%BFinclude", "include%1C", "_method%1F", "c=d%26include", "include%3Dx%26c", "c=d%2526_method", "$include", "incl%75de%5B%5D", "include%00",
                         "inc%256Cude", "inc%25256cude", "inc%2525256cude", "x;include", "include;x", "include[x]", "INCLUDE[1][]", "_method", "%5Fmethod", "[include]",
                         "]include", "include[x", "include.x", "include%00x", "incl%2575de%00", ".include", "x[include]", "include]",
                         "%u0069nclude", "%C4%B0nclude", "inc[lude", "inc-lude", ".method", "[_method]", "+method", "_method%00x", "?include",
                         "options.include", "x[y].include", "include:iterate", "_include", "_include:x", "x.include:y", "include.x:y", ":include", "include%E2%80%8B",
                         "_HttpMethod", "x-http-method-override", "method", "$httpMethod", "m%65thod"]),
    ];
    let member = prop_oneof![
        10 => select(vec!["x", "y", "x.y", "zed", "other", "y.x", "x.y.zed", ""]),
        3 => select(vec!["X", "x+", "x%C2%A0", "%1Cx", "%01x", "x%A0", "x=y", "x:y", "-x", "x[y]", "*", "%78", "zed%20", "x%2Cy", "x%252Cy", "y;x", "x.Y", "Zed", ".", "x.", "*", "%", "%2", "x%E2%80%8B", "%C2%ADx", "PUT", "GET", "de%6Cete"]),
    ];
    let value = option::weighted(0.9, vec(member, 1..4).prop_map(|members| members.join(",")));
    let pair = (name, value).prop_map(|(name, value)| match value {
        Some(value) => format!("{name}={value}"),
        None => name.to_owned(),
    });
    prop_oneof![2 => Just(String::new()), 3 => vec(pair, 1..4).prop_map(|pairs| format!("?{}", pairs.join("&")))]
}

fn who() -> impl Strategy<Value = Who> {
    let kind = prop_oneof![8 => Just(Kind::Secret), 1 => Just(Kind::Pair), 1 => Just(Kind::Public)];
    let level = prop_oneof![
        6 => subsequence(&SCOPES[..], 0..=SCOPES.len()).prop_map(Level::Custom),
        1 => Just(Level::Full),
        1 => Just(Level::ReadOnly),
    ];
    let accounts = prop_oneof![3 => Just(vec![]), 2 => subsequence(&["one", "admin", "a"][..], 1..3)];
    (prop::bool::weighted(0.95), kind, level, accounts).prop_map(|(has_key, kind, level, accounts)| Who {
        has_key,
        kind,
        level,
        accounts,
    })
}
