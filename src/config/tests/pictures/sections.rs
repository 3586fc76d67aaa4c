//! The sections of `scopegate.yaml`, but for the upstream.

use super::*;

#[test]
fn listeners_and_the_admin_listener() {
    let documents = [
        "listen: []",
        "listen:
  - 8080
  - ':80'
  - '*:80'
  - http://127.0.0.1:80
  - 127.0.0.1
  - api:80
  - 127.0.0.1:99999
  - '1:2:3'
  - 'unix:'
  - { tls: false }
  - { address: 127.0.0.1:1, tls: true, proxy_protocol: [10.0.0.0/8] }
  - 127.0.0.1:1",
        "listen: { adress: 127.0.0.1:1 }",
        "admin: { listen: nowhere, public_url: https://x }\nmetrics: { listen: everywhere }",
        "tls: { cert: a.pem, key: b.pem }",
    ];
    insta::assert_snapshot!(pictures(documents, of_config));
}

#[test]
fn addresses_that_cannot_go_together() {
    let documents = [
        "listen: 127.0.0.1:9901",
        "listen: 127.0.0.1:80\nadmin: { listen: 127.0.0.1:80 }",
        "listen: [0.0.0.0:80, 127.0.0.1:80]",
        "metrics: { listen: 127.0.0.1:9901 }",
        "listen: 0.0.0.0:80\nmetrics: { listen: 127.0.0.1:80 }",
        "listen: 0.0.0.0:3000",
        "metrics: { listen: 127.0.0.1:3000 }",
        "admin: { listen: 0.0.0.0:9901 }",
    ];
    insta::assert_snapshot!(pictures(documents, of_config));
    let own = "{ url: unix:api.sock }\nlisten: unix:api.sock";
    assert!(of_upstream(own).contains("the upstream is the gateway itself"), "{}", of_upstream(own));
}

#[test]
fn flags_that_cannot_go_together() {
    let over = |listen: &str, admin: &str, upstream: &str| {
        let case = Case::new().file("scopegate.yaml", &with(""));
        told(
            &case
                .variable("SCOPEGATE_LISTEN", listen)
                .variable("SCOPEGATE_ADMIN", admin)
                .variable("SCOPEGATE_UPSTREAM", upstream),
        )
    };
    let pictures = [
        over("127.0.0.1:80", "127.0.0.1:80", ""),
        over("127.0.0.1:9901", "", ""),
        over("127.0.0.1:80", "", "http://localhost:80"),
        over("", "0.0.0.0:9901", ""),
    ];
    insta::assert_snapshot!(pictures.join("\n\n"));
    assert_eq!(over("127.0.0.1:0", "127.0.0.1:0", ""), NOTHING);
}

#[test]
fn what_is_surely_not_meant() {
    let documents = ["trusted_proxies: [10.0.0.0/8, 0.0.0.0/0, '::/0']", "log: { output: no-such-folder/gate.log }"];
    insta::assert_snapshot!(pictures(documents, of_config));
    assert_eq!(of_config("log: { output: gate.log }"), NOTHING);
}

#[test]
fn fields_of_another_section() {
    let documents = [
        "retries: { connect: 1 }",
        "timeouts: { connect: 1s }",
        "store: file:keys.yaml",
        "limits: { timeouts: 1s }",
        "pepper: geheim",
    ];
    let shown = pictures(documents, of_config);
    assert!(!shown.contains("geheim"), "{shown}");
    insta::assert_snapshot!(shown);
}

#[test]
fn a_path_that_no_unix_socket_can_have() {
    let path = "a".repeat(108);
    let told = of_config(&format!("listen: unix:/{path}"));
    assert!(told.contains("the path of a Unix socket has at most 107 bytes"), "{told}");
    assert!(told.contains("choose a shorter path"), "{told}");
}

#[test]
fn places_for_keys() {
    let documents = [
        "keys: { accept: [] }",
        "keys: { accept: bearer }",
        "keys:
  accept:
    - bearer
    - bearer
    - token
    - header: Authorization
    - header: Host
    - header: X-Forwarded-For
    - header: a b
    - scheme: Bearer
    - scheme: two words
    - { header: a, cookie: b }
    - cookie: 'a b'
    - query: 'a=b'
    - public_query: company_id
    - heeder: X-Key
    - [bearer]",
    ];
    insta::assert_snapshot!(pictures(documents, of_config));
}

#[test]
fn stores_of_keys() {
    let documents = [
        "keys: { store: scopegate.db }",
        "keys: { store: 'sqlite:' }",
        "keys: { store: 'file:' }",
        "keys: { store: 'mysql:keys' }",
        "keys: { store: 'postgres://u:geheim@db' }",
        "keys: { prefix: sg- }",
        "keys: { prefix: '' }",
        "keys: { pepper: '' }",
        "keys: { snapshot: '', max_stale: soon }",
        "keys: { snapshot: /var/lib/, max_stale: 4000d }",
        "keys: { store: 'sqlite:a.db', snapshot: a.db }",
        "keys: { rotate_after: { secret: 0d, pair: never, public: 30d } }",
    ];
    insta::assert_snapshot!(pictures(documents, of_config));
}

#[test]
fn limits_and_other_values_with_a_unit() {
    let documents = [
        "limits: { idle: 5, header: 8KiB, body_stall: 4000d, write_stall: 0s }",
        "limits: { header_bytes: 32KB, target_bytes: 1B, body_bytes: never, headers: many, connections: 0 }",
        "limits: { header_bytes: 1B, body_bytes: 99999999999999999999 }",
        "limits: { header_bytes: 4KiB, target_bytes: 8KiB }",
        "limits: { connections_per_address: 0, h2_streams: 0, h2_resets: 1, connection_age: 0s }",
        "drain: { delay: soon, timeout: none }",
        "workers: -1",
    ];
    insta::assert_snapshot!(pictures(documents, of_config));
}

#[test]
fn words_networks_and_hosts() {
    let documents = [
        "mode: shadwo",
        "mode: off",
        "errors: json",
        "log: { level: loud, format: xml, access: yes, output: '' }",
        "log: { output: 'tcp://x' }",
        "headers: { underscores: keep }",
        "identity: { headers: maybe }",
        "trusted_proxies: [10.0.0.1/8, lan, 10.0.0.0/33]",
        "trusted_proxies: 10.0.0.0/8",
        "hosts: ['http://x', 'a b', 'x:0x50', 'x:99999', '[::1', '[x]', '[::1]x', 'a..b']",
        "mode: [enforce]",
        "log: verbose",
    ];
    insta::assert_snapshot!(pictures(documents, of_config));
}

#[test]
fn pages_of_other_origins() {
    let documents = [
        "cors: {}",
        "cors: { origins: [] }",
        "cors: { origins: ['https://App.example/', app], headers: ['a b'], max_age: soon, origin: x }",
        "cors: { origins: '*' }",
    ];
    insta::assert_snapshot!(pictures(documents, of_config));
}
