//! What good configurations compile to.

use std::time::Duration;

use super::*;
use crate::config::{
    Accept, Address, Ca, Drain, ErrorFormat, HostRule, Limits, Log, LogFormat, LogLevel, LogOutput, Mode, Retries,
    StoreLocation, Timeouts, TrustedProxies, Underscores, UpstreamAddress, UpstreamCredential,
};
use crate::policy::Sought;

fn listens(config: &Config) -> Vec<String> {
    config.listen.iter().map(|listen| listen.address.to_string()).collect()
}

fn secret_of(credential: &UpstreamCredential) -> (&str, &str) {
    let (UpstreamCredential::Header { name, value } | UpstreamCredential::Query { name, value }) = credential;
    (name, std::str::from_utf8(value.expose()).unwrap())
}

#[test]
fn the_smallest_configuration_has_the_defaults_of_the_contract() {
    let config = compiled("");
    assert_eq!(listens(&config), ["127.0.0.1:8080"]);
    assert_eq!(config.upstream.host, HostRule::Preserve);
    assert_eq!(&*config.upstream.urls[0].authority, "127.0.0.1:3000");
    assert!(config.upstream.credential.is_none() && config.upstream.credentials.is_empty());
    assert_eq!(config.upstream.tls.ca, Ca::System);
    assert_eq!(
        config.upstream.timeouts,
        Timeouts {
            connect: Duration::from_secs(1),
            response: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            request: None
        }
    );
    assert_eq!(config.upstream.retries, Retries { connect: 2, idempotent: 1, budget_percent: 20 });
    assert_eq!(config.upstream.max_pending, 1024);
    assert_eq!(config.mode, Mode::Enforce);
    assert!(config.hosts.is_empty() && config.trusted_proxies == TrustedProxies::default());
    assert!(matches!(&config.keys.store, StoreLocation::Sqlite(path) if path.ends_with("scopegate.db")));
    assert_eq!((&*config.keys.prefix, config.keys.pepper.is_none()), ("sg", true));
    let usual = Accept { bearer: true, headers: vec!["X-Api-Key".into()], ..Accept::default() };
    assert_eq!(config.keys.accept, usual);
    assert!(config.identity_headers);
    assert_eq!(config.underscores, Underscores::Drop);
    assert_eq!(config.errors, ErrorFormat::Problem);
    assert_eq!(config.admin.to_string(), "127.0.0.1:9901");
    assert_eq!((config.metrics, config.workers), (None, None));
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.log, Log::default());
    assert_eq!(config.drain, Drain::default());
}

#[test]
fn how_long_keys_work_without_their_store_and_where_a_copy_of_them_is() {
    let read = |keys: &str| {
        let keys = compiled(&format!("keys: {{ {keys} }}\n")).keys;
        (keys.max_stale, keys.snapshot.and_then(|path| Some(path.file_name()?.to_owned())))
    };
    let minutes = |minutes: u64| Some(Duration::from_secs(minutes * 60));
    assert_eq!(read("prefix: sg"), (minutes(15), None));
    assert_eq!(read("max_stale: 1h, snapshot: none"), (minutes(60), None));
    assert_eq!(read("max_stale: 0s, snapshot: copy.bin"), (minutes(0), Some("copy.bin".into())));
    assert_eq!(read("max_stale: none"), (None, None));
}

/// `interface.md` shows every field with its default; what this version lacks is accepted at that.
#[test]
fn every_default_may_be_written_out() {
    let config = compiled(
        "listen: 127.0.0.1:8080\nmode: enforce\nhosts: []\ntls: none\n\
         keys: { store: 'sqlite:scopegate.db', prefix: sg, pepper: none, accept: [bearer, {header: X-Api-Key}],\n  \
         record_use: 10s, max_stale: 15m, snapshot: none, rotate_after: { pair: 90d } }\n\
         identity: { headers: true }\nheaders: { underscores: drop }\ntrusted_proxies: []\ncors: none\nerrors: problem\n\
         admin: { listen: '127.0.0.1:9901', public_url: null }\nmetrics: { listen: none }\n\
         limits: { header_bytes: 32KiB, headers: 100, target_bytes: 8KiB, body_bytes: none, header_timeout: 10s,\n  \
         body_stall: 30s, write_stall: 30s, idle: 60s, connections: 10000, connections_per_address: none,\n  \
         requests_per_connection: none, connection_age: none, h2_streams: 128, h2_resets: 100/30s }\n\
         log: { level: info, format: auto, access: true, output: stdout }\ndrain: { delay: 0s, timeout: 30s }\nworkers: auto\n",
    );
    assert_eq!(config.limits, Limits::default());
    let upstream = "policy: policy.yaml\nupstream:\n  url: http://127.0.0.1:3000\n  protocol: h1\n  host: preserve\n  \
        tls: { ca: system, client_cert: null, client_key: null, server_name: null }\n  \
        timeouts: { connect: 1s, response: 30s, idle: 60s, request: none }\n  \
        retries: { connect: 2, idempotent: 1, budget: 20% }\n  health: { path: null, interval: 5s, eject_after: 5 }\n  \
        max_pending: 1024\n";
    assert_eq!(faults_of(upstream), "no fault");
}

#[test]
fn every_field_may_be_changed() {
    let config = compiled(
        "listen: ['0.0.0.0:80', {address: 'unix:/run/gate.sock', tls: false, proxy_protocol: []}]\nmode: shadow\n\
         hosts: [API.example.com, 'x:8443']\nidentity: { headers: false }\nheaders: { underscores: allow }\n\
         trusted_proxies: [10.0.0.0/8, unix, '::1']\nerrors: json-api\nadmin: { listen: '0.0.0.0:1' }\n\
         metrics: { listen: '0.0.0.0:2' }\nlog: { level: debug, format: text, access: false, output: gate.log }\n\
         drain: { delay: 5s, timeout: 1m }\nworkers: 3\n\
         keys: { store: 'file:keys.yaml', prefix: acme, pepper: salt }\n",
    );
    assert_eq!(listens(&config), ["0.0.0.0:80", "unix:/run/gate.sock"]);
    assert_eq!(config.mode, Mode::Shadow);
    assert_eq!(config.hosts, ["api.example.com".into(), "x:8443".into()]);
    assert!(!config.identity_headers);
    assert_eq!(config.underscores, Underscores::Allow);
    assert_eq!(
        config.trusted_proxies.networks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.0.0.0/8", "::1/128"]
    );
    assert!(config.trusted_proxies.unix);
    assert_eq!(config.errors, ErrorFormat::JsonApi);
    assert_eq!(config.admin.port(), 1);
    assert_eq!(config.metrics.map(|address| address.port()), Some(2));
    assert_eq!((config.log.level, config.log.format, config.log.access), (LogLevel::Debug, LogFormat::Text, None));
    assert!(matches!(&config.log.output, LogOutput::File(path) if path.is_absolute() && path.ends_with("gate.log")));
    assert_eq!(config.drain, Drain { delay: Duration::from_secs(5), timeout: Duration::from_secs(60) });
    assert_eq!(config.workers, Some(3));
    assert!(matches!(&config.keys.store, StoreLocation::File(path) if path.ends_with("keys.yaml")));
    assert_eq!(config.keys.pepper.unwrap().expose(), b"salt");
}

#[test]
fn a_key_may_be_accepted_in_every_place_that_there_is() {
    let config = compiled(
        "keys: { accept: [bearer, basic, {scheme: Klaviyo-API-Key}, {header: X-Key}, {query: api_key}, {cookie: sg_key}, {public_query: company_id}] }\n",
    );
    let accept = Accept {
        bearer: true,
        basic: true,
        schemes: vec!["Klaviyo-API-Key".into()],
        headers: vec!["X-Key".into()],
        query: vec!["api_key".into()],
        cookies: vec!["sg_key".into()],
        public_query: Some(Sought::new("company_id")),
    };
    assert_eq!(config.keys.accept, accept);
}

#[test]
fn where_a_key_may_stand_is_told_as_it_is_configured() {
    let advice = |accept: &str| compiled(&format!("keys: {{ accept: {accept} }}\n")).keys.accept.advice();
    assert_eq!(
        advice("[basic]"),
        "The request has no key; send one as Authorization: Basic base64(KEY:) or base64(ID:SECRET)."
    );
    assert_eq!(
        advice("[{cookie: sg_key}, {query: api_key}, {scheme: Klaviyo-API-Key}]"),
        "The request has no key; send one as Authorization: Klaviyo-API-Key KEY, in the query as api_key=KEY or in the cookie sg_key."
    );
    assert_eq!(
        compiled("").keys.accept.advice(),
        "The request has no key; send one as Authorization: Bearer KEY or as X-Api-Key: KEY."
    );
}

#[test]
fn an_https_upstream_gets_its_own_host_unless_told_otherwise() {
    let upstream = |host: &str| {
        let text = format!("upstream: {{ url: 'https://a.klaviyo.com'{host} }}\npolicy: policy.yaml\n");
        Case::new().file("scopegate.yaml", &text).load().unwrap().config.upstream
    };
    assert_eq!(upstream("").host, HostRule::Url);
    assert_eq!(upstream(", host: preserve").host, HostRule::Preserve);
    assert_eq!(upstream(", host: API.example.com").host, HostRule::Name("api.example.com".into()));
    assert_eq!(
        upstream("").urls[0].address,
        UpstreamAddress::Tcp { host: "a.klaviyo.com".into(), port: 443, tls: true }
    );
}

#[test]
fn credentials_are_compiled_to_what_is_sent() {
    let text = "policy: policy.yaml\nupstream:\n  url: http://x\n  \
        credential: { basic: { username: Aladdin, password: 'open sesame' } }\n  credentials:\n    \
        sms: { header: Authorization, value: 'Bearer ${env:SMS}' }\n    q: { query: 'api key', value: 'a&b' }\n";
    let case = Case::new().file("scopegate.yaml", text).variable("SMS", "s3cret");
    let upstream = case.load().unwrap().config.upstream;
    assert_eq!(
        secret_of(upstream.credential.as_ref().unwrap()),
        ("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
    );
    assert_eq!(secret_of(&upstream.credentials["sms"]), ("Authorization", "Bearer s3cret"));
    assert_eq!(secret_of(&upstream.credentials["q"]), ("api%20key", "a%26b"));
    assert!(!format!("{upstream:?}").contains("s3cret"));
}

#[test]
fn paths_of_a_file_are_relative_to_it() {
    let config = compiled("listen: unix:gate.sock\n");
    let Some(Address::Unix(path)) = config.listen.first().map(|listen| &listen.address) else { panic!("no socket") };
    assert!(path.is_absolute() && path.ends_with("gate.sock"));
}

#[test]
fn a_policy_may_stand_inline() {
    let text =
        "upstream: { url: http://x }\npolicy:\n  version: 1\n  routes:\n    GET /a: a:read\n    GET /b: b:read\n";
    let loaded = Case::new().file("scopegate.yaml", text).load().unwrap();
    let routes: Vec<(&str, u32)> =
        loaded.config.policy.routes().iter().map(|route| (route.label(), route.line())).collect();
    assert_eq!(routes, [("GET /a", 5), ("GET /b", 6)]);
}
