//! A marked key and a marked credential go through all that there is, and are found in nothing that comes out: no answer, no
//! log, no metric, no output of a command, no file. Nor is an image of the process ever written to a disk, and the key is not
//! even in its memory when its request is over.

mod memory; // The memory of another process, searched.

use std::fs;

use crate::support::command::contents;
use crate::support::http2::{Caller, run};
use crate::support::upstream::Connection;
use crate::support::{Call, Client, Gateway, OK, Setup, Upstream, base64, until};

/// What the upstream asks for, and never the caller: in a header, in the query, as Basic, and in a file.
const CREDENTIALS: [&str; 4] =
    ["canary-header-4f1d9a", "canary-query-77aa02", "canary-basic-9c0e51", "canary-file-2b6d83"];

/// What digests are made with.
const PEPPER: &str = "canary-pepper-c3e8f0";

const ROUTES: &str = "  GET /profiles: profiles:read
  GET /profiles/{id}: { scopes: [profiles:read], query: { include: [lists] } }
  POST /profiles: profiles:write
  GET /query: { scopes: profiles:read, credential: query }
  GET /basic: { scopes: profiles:read, credential: basic }
  GET /file: { scopes: profiles:read, credential: file }
  GET /fault/{how}: { scopes: profiles:read, timeouts: { response: 300ms } }
  GET /live: { scopes: profiles:read, upgrade: websocket }
  GET /health: { auth: anyone }
  ANY /internal/{*rest}: { auth: deny }
";

const UPSTREAM: &str = "  credential: { header: Authorization, value: \"Bearer ${env:HEADER}\" }
  credentials:
    query: { query: token, value: \"${env:QUERY}\" }
    basic: { basic: { username: user, password: \"${env:BASIC}\" } }
    file: { header: X-Real, value: \"${file:secret.token}\" }";

const ACCEPT: &str = "  pepper: ${env:PEPPER}
  accept: [bearer, {scheme: Token}, {header: X-Api-Key}, basic, {query: api_key}, {cookie: sg_key}]";

const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// An upstream that fails as its path says.
fn act(connection: &mut Connection) {
    while let Some(request) = connection.request_head() {
        match request.target() {
            "/api/fault/reset" => return connection.reset(),
            "/api/fault/slow" => return connection.wait_for_close(),
            "/api/fault/garbage" => connection.send("garbage\r\n\r\n"),
            "/api/fault/half" => connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
            "/api/live" => connection.send(AGREED),
            _ => connection.send(OK),
        };
        if request.target().starts_with("/api/fault/") {
            return;
        }
    }
}

fn start(upstream: &Upstream) -> Gateway {
    let [header, query, basic, file] = CREDENTIALS;
    let setup = Setup::new(upstream).upstream(UPSTREAM).keys(ACCEPT).keys("  snapshot: keys.snapshot").routes(ROUTES);
    fs::write(setup.folder().join("secret.token"), file).expect("a credential");
    let setup = setup.config("log: { level: trace, format: json }\nlimits: { header_bytes: 8KiB, target_bytes: 4KiB }");
    let setup = setup.environment("HEADER", header).environment("QUERY", query).environment("BASIC", basic);
    setup.environment("PEPPER", PEPPER).start()
}

/// Texts that came out, and what must not be in any of them.
struct Out {
    marks: Vec<String>,
    looked: usize,
}

impl Out {
    /// The marks, and what they look like encoded.
    fn without(key: &str) -> Out {
        // What is shown of a key must not lead to the rest of it.
        let mut marks = vec![key.get(..key.len() - 2).expect("a key").to_owned(), base64(format!("{key}:").as_bytes())];
        marks.push(key.bytes().map(|byte| format!("%{byte:02X}")).collect());
        marks.extend(CREDENTIALS.iter().map(|&credential| credential.to_owned()));
        marks.extend([base64(format!("user:{}", CREDENTIALS[2]).as_bytes()), PEPPER.to_owned()]);
        Out { marks, looked: 0 }
    }

    #[track_caller]
    fn look(&mut self, what: &str, text: &[u8]) {
        self.looked += 1;
        for mark in &self.marks {
            let found = text.windows(mark.len()).any(|window| window == mark.as_bytes());
            assert!(!found, "{mark} in {what}: {}", String::from_utf8_lossy(text));
        }
    }
}

/// Requests of all sorts over HTTP/1.1, with `key` in every place.
fn calls(key: &str) -> Vec<Call> {
    let basic = format!("Basic {}", base64(format!("{key}:").as_bytes()));
    let mut calls = vec![
        Call::get("/api/profiles").key(key),
        Call::get("/api/profiles").field("Authorization", &format!("Token {key}")),
        Call::get("/api/profiles").field("X-Api-Key", key),
        Call::get("/api/profiles").field("Authorization", &basic),
        Call::get("/api/profiles").field("Cookie", &format!("a=1; sg_key={key}")),
        Call::get(&format!("/api/profiles?api_key={key}&a=1")),
        Call::get(&format!("http://api.test/api/profiles?api_key={key}")),
        Call::get("/api/profiles").key(key).field("X-Api-Key", "another"),
        Call::get(&format!("/api/%2e%2e/profiles?api_key={key}")),
        Call::get(&format!("/api/profiles?api_key={key}&{}", "x".repeat(5_000))),
        Call::get("/api/profiles").key(key).field("X-Long", &"x".repeat(9_000)),
        Call::get("/api/profiles").key(&format!("{key}x")),
        Call::get("/api/profiles/1?include=lists").key(key),
        Call::get("/api/profiles/1?include=segments").key(key),
        Call::get(&format!("/api/profiles/{key}")).key(key),
        Call::get("/api/internal/x").key(key),
        Call::get("/api/nowhere").key(key),
        Call::new("TRACE", "/api/profiles").key(key),
        Call::post("/api/profiles").key(key).body("{}"),
        Call::post("/api/profiles").key(key).field("Content-Type", "application/grpc").body("{}"),
        Call::get("/api/profiles").key(key).field("X-HTTP-Method-Override", "DELETE"),
        Call::get("/api/profiles").key(key).field("X-Request-Id", key),
        Call::get("/api/profiles").key(key).field("Expect", "another"),
    ];
    for target in ["query", "basic", "file", "fault/reset", "fault/garbage", "fault/slow", "fault/half"] {
        calls.push(Call::get(&format!("/api/{target}")).key(key));
    }
    calls
}

/// Bytes that are no request, with the key in them.
fn malformed(key: &str) -> [String; 3] {
    [
        format!("GET /api/profiles HTTP/1.1\r\nHost: a\r\nAuthorization : Bearer {key}\r\n\r\n"),
        format!("GET /api/profiles?api_key={key}\r\n\r\n"),
        format!(
            "POST /api/profiles HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\nTransfer-Encoding: chunked\r\n\r\n{key}\r\n"
        ),
    ]
}

/// The same over HTTP/2, as far as it can be said there.
fn call_over_http_2(gateway: &Gateway, key: &str) -> Vec<Vec<u8>> {
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let mut told = Vec::new();
        for target in ["/api/profiles", "/api/nowhere", "/api/profiles/1?include=lists", "/api/fault/reset"] {
            let answer = caller.get(target, key).await;
            told.push([format!("{:?}", answer.fields).into_bytes(), answer.body].concat());
        }
        told
    })
}

/// Every command that prints something of a configuration, a policy or a key.
fn commands<'k>(key: &'k str, id: &'k str) -> Vec<Vec<&'k str>> {
    vec![
        vec!["check"],
        vec!["check", "--json"],
        vec!["check", "--keys"],
        vec!["explain", "GET", "/api/profiles", "--key", key],
        vec!["explain", "GET", "/api/profiles", "--key", key, "--json"],
        vec!["explain", "GET", "/api/nowhere", "--key-id", id],
        vec!["keys", "list"],
        vec!["keys", "list", "--json"],
        vec!["keys", "show", id],
        vec!["keys", "show", id, "--json"],
        vec!["whocan", "GET", "/api/profiles"],
        vec!["cando", id],
        vec!["keys", "disable", id],
        vec!["keys", "enable", id],
        vec!["keys", "revoke", id],
        vec!["healthcheck"],
        vec!["no-such-command", key],
        vec!["serve", "--no-such-flag"],
    ]
}

/// A bad policy, a bad credential and a good one again, each put in force or refused.
fn reload(gateway: &Gateway) {
    let refused = |count: f64| {
        let failed = || gateway.metric("scopegate_reloads_total", &["result=\"failed\""]);
        until("the refusal", || (failed() >= count).then_some(()));
    };
    let policy = fs::read_to_string(gateway.file("policy.yaml")).expect("the policy");
    gateway.write_policy("nonsense");
    refused(1.0);
    gateway.write_policy(&policy.replace("GET /health", "GET /healthy"));
    until("the policy", || (gateway.metric("scopegate_policy_generation", &[]) >= 2.0).then_some(()));
    let config = fs::read_to_string(gateway.file("scopegate.yaml")).expect("the configuration");
    // What was put in stands in the place of the fault.
    fs::write(gateway.file("scopegate.yaml"), config.replace("basic: { username", "basic: { usrname"))
        .expect("a fault");
    refused(2.0);
    fs::write(gateway.file("scopegate.yaml"), config).expect("the mend");
    gateway.process.signal("HUP");
}

#[test]
fn a_marked_key_and_a_marked_credential_are_in_nothing_that_comes_out() {
    let upstream = Upstream::start(act);
    let gateway = start(&upstream);
    let key = gateway.create_key(&["--scopes", "profiles:read"]);
    until("the key", || (gateway.get("/api/nowhere", &key).status() == 403).then_some(()));
    let mut out = Out::without(&key);
    for call in calls(&key) {
        out.look("an answer", gateway.answer(&call).text().as_bytes());
    }
    for bytes in malformed(&key) {
        out.look("an answer to what is no request", gateway.connect().send(bytes).read().text().as_bytes());
    }
    for answer in call_over_http_2(&gateway, &key) {
        out.look("an answer over HTTP/2", &answer);
    }
    let tunnel = open_tunnel(&gateway, &key);
    reload(&gateway);
    let list = gateway.run(&["keys", "list", "--json"]).exits(0).json();
    let id = list["keys"][0]["id"].as_str().expect("an id").to_owned();
    for arguments in commands(&key, &id) {
        let output = gateway.run(&arguments);
        out.look(&arguments.join(" "), format!("{}{}", output.stdout, output.stderr).as_bytes());
    }
    for target in ["/metrics", "/livez", "/readyz", "/v1/keys", "/", &format!("/v1/{key}")] {
        out.look(target, gateway.admin(target).text().as_bytes());
    }
    drop(tunnel);
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
    let said = gateway.process.last_words();
    out.look("the log", said.as_bytes());
    for event in
        ["\"decision\":\"allow\"", "\"decision\":\"deny\"", "reload refused", "\"status\":101", "\"level\":\"debug\""]
    {
        assert!(said.contains(event), "{event} is not in the log: there was less to look at than there should be");
    }
    // The file that a credential is read from is the one place where it stands.
    for (name, bytes) in contents(gateway.folder()) {
        if !name.ends_with("secret.token") {
            out.look(&name, &bytes);
        }
    }
    assert!(out.looked > 60, "{}", out.looked);
    for credential in CREDENTIALS.iter().filter(|credential| **credential != CREDENTIALS[2]) {
        assert!(upstream.everything().contains(credential), "{credential} went where it belongs");
    }
    for place in ["Bearer ", "Token ", "api_key=", "sg_key="] {
        assert!(!upstream.everything().contains(&format!("{place}{key}")), "the key went upstream: {place}");
    }
}

fn open_tunnel(gateway: &Gateway, key: &str) -> Client {
    let mut client = gateway.connect();
    let call = Call::get("/api/live").key(key).field("Connection", "Upgrade").field("Upgrade", "websocket");
    let call = call.field("Sec-WebSocket-Version", "13").field("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(client.send(call.bytes()).read_head().status(), 101);
    client
}

#[test]
fn a_key_is_not_in_the_memory_of_the_gateway_when_its_request_is_over() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).keys("  accept: [bearer, {header: X-Api-Key}, basic]");
    let gateway = setup.config("workers: 1").start();
    let (marked, other) = (gateway.key(&["--scopes", "profiles:read"]), gateway.key(&["--scopes", "profiles:read"]));
    // Another key: what is decoded of it may stay until that memory is used again.
    let encoded = base64(format!("{}:", gateway.key(&["--scopes", "profiles:read"])).as_bytes());
    // So far behind in the head that no other request here is written over it.
    let far = "x".repeat(500);
    // In every way that a head can end: forwarded, refused, malformed, given up.
    for call in [Call::get("/api/profiles"), Call::get("/api/nowhere"), Call::post("/api/profiles").body("{}")] {
        let call = call.field("X-Far", &far);
        gateway.answer(&call.clone().key(&marked));
        gateway.answer(&call.clone().field("Authorization", &format!("Basic {encoded}")));
        gateway.answer(&call.field("X-Api-Key", &marked));
    }
    for credential in [format!("Bearer {marked}"), format!("Basic {encoded}")] {
        for (colon, end) in [(" :", "\r\n\r\n"), (":", "")] {
            let mut client = gateway.connect();
            client
                .send(format!("GET /a HTTP/1.1\r\nHost{colon} a\r\nX-Far: {far}\r\nAuthorization: {credential}{end}"));
            if !end.is_empty() {
                assert_eq!(client.read().status(), 400);
            }
        }
    }
    gateway.wait_for_rest();
    // What a function left on the stack is gone when the next request has used it.
    let find = |mark: &str| {
        assert_eq!(gateway.get("/api/profiles", &other).status(), 200);
        memory::count(gateway.process.id(), mark.as_bytes())
    };
    let Some(there) = find("profiles:read") else {
        assert!(std::env::var_os("CI").is_none(), "the memory of a child cannot be read here, and CI must look at it");
        return println!("not looked at: this system lets nobody read the memory of a child");
    };
    assert!(there > 0, "the memory is the gateway's");
    for mark in [&marked, &encoded] {
        until("the key to be gone", || (find(mark) == Some(0)).then_some(()));
    }
}

#[test]
fn no_image_of_the_process_is_left_when_it_crashes() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let process = format!("/proc/{}", gateway.process.id());
    let limits = fs::read_to_string(format!("{process}/limits")).expect("its limits");
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("the limit");
    assert_eq!(core.split_whitespace().take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    // An image that is piped to a program knows no limit: it has no memory in it.
    let filter = fs::read_to_string(format!("{process}/coredump_filter")).expect("what an image holds");
    assert_eq!(u64::from_str_radix(filter.trim(), 16), Ok(0), "{filter}");
}
