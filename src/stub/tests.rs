use std::io::{BufRead, BufReader, Read, Write};

use serde_json::Value;

use super::*;

/// Sends requests over one connection and reads an answer to each: status, head, body.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn to(stub: &Stub) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(stub.address()).unwrap()) }
    }

    fn call(&mut self, request: &str) -> (u16, String, Value) {
        let with_key = request.replacen("\r\n", "\r\nHost: stub\r\nAuthorization: Klaviyo-API-Key pk_real\r\n", 1);
        self.send(&with_key)
    }

    fn send(&mut self, request: &str) -> (u16, String, Value) {
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.stream.read_line(&mut head).unwrap() > 0, "closed after {head:?}");
        }
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length = if request.starts_with("HEAD") { 0 } else { length.map_or(0, |length| length.parse().unwrap()) };
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

#[test]
fn without_the_upstream_credential_everything_is_401() {
    let stub = Stub::start("pk_real").unwrap();
    let mut client = Client::to(&stub);
    for authorization in ["", "Authorization: Klaviyo-API-Key pk_other\r\n", "Authorization: Bearer pk_real\r\n"] {
        let (status, head, body) =
            client.send(&format!("GET /api/profiles HTTP/1.1\r\nHost: stub\r\n{authorization}\r\n"));
        assert_eq!(status, 401);
        assert!(head.contains("Content-Type: application/vnd.api+json\r\n"));
        assert_eq!(body["errors"][0]["code"], "not_authenticated");
    }
    assert_eq!(client.call("GET /api/profiles HTTP/1.1\r\n\r\n").0, 200);
}

#[test]
fn a_resource_comes_with_what_is_included_and_nothing_else() {
    let stub = Stub::start("pk_real").unwrap();
    let mut client = Client::to(&stub);
    let (status, head, body) = client.call("GET /api/profiles/1?include=lists%2Csegments HTTP/1.1\r\n\r\n");
    assert_eq!((status, &body["data"]["type"], &body["data"]["id"]), (200, &Value::from("profile"), &Value::from("1")));
    let types: Vec<&str> =
        body["included"].as_array().unwrap().iter().filter_map(|item| item["type"].as_str()).collect();
    assert_eq!(types, ["list", "list", "segment"]);
    assert!(head.contains("RateLimit-Remaining: "));
    let (_, _, plain) = client.call("GET /api/profiles/1 HTTP/1.1\r\n\r\n");
    assert_eq!(plain["included"], Value::Null);
    let (status, _, wrong) = client.call("GET /api/profiles/1?include=friends HTTP/1.1\r\n\r\n");
    assert_eq!((status, &wrong["errors"][0]["code"]), (400, &Value::from("invalid")));
}

#[test]
fn one_connection_carries_bodies_of_every_framing() {
    let stub = Stub::start("pk_real").unwrap();
    let mut client = Client::to(&stub);
    let json = r#"{"data":{"type":"list","attributes":{"name":"Pears"}}}"#;
    let (status, _, body) =
        client.call(&format!("POST /api/lists HTTP/1.1\r\nContent-Length: {}\r\n\r\n{json}", json.len()));
    assert_eq!((status, &body["data"]["attributes"]["name"]), (201, &Value::from("Pears")));
    let chunked = format!(
        "PATCH /api/lists/LIST01 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{json}\r\n0\r\n\r\n",
        json.len()
    );
    let (status, _, body) = client.call(&chunked);
    assert_eq!((status, &body["data"]["attributes"]["name"]), (200, &Value::from("Pears")));
    assert_eq!(client.call("HEAD /api/lists HTTP/1.1\r\n\r\n").0, 200);
    assert_eq!(client.call("DELETE /api/lists/LIST01 HTTP/1.1\r\n\r\n").0, 204);
    assert_eq!(client.call("POST /api/events HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}").0, 202);
    assert_eq!(client.call("POST /api/lists HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}").0, 400);
    assert_eq!(client.call("GET /api/lists/LIST01/profiles HTTP/1.1\r\n\r\n").2["data"][0]["type"], "profile");
    assert_eq!(client.call("GET /api/events/EVNT01/relationships/metric HTTP/1.1\r\n\r\n").2["data"]["id"], "METR01");
    assert_eq!(
        client.call("GET /api/catalog-items/%24custom%3A%3A%3A%24default%3A%3A%3AAPPLE-1 HTTP/1.1\r\n\r\n").0,
        200
    );
    assert_eq!(client.call("GET /api/lists/NONE HTTP/1.1\r\n\r\n").0, 404);
    assert_eq!(client.call("GET /elsewhere HTTP/1.1\r\n\r\n").0, 404);
}

#[test]
fn a_caller_that_waits_for_100_gets_it_before_it_sends_the_body() {
    let stub = Stub::start("pk_real").unwrap();
    let mut client = Client::to(&stub);
    let head = "POST /api/events HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(client.call(head).0, 100);
    assert_eq!(client.send("{}").0, 202);
}

#[test]
fn what_is_no_http_is_400_and_ends_the_connection() {
    let stub = Stub::start("pk_real").unwrap();
    let mut client = Client::to(&stub);
    let (status, head, _) = client.send("GET  /api/lists HTTP/1.1\r\nHost: stub\r\n\r\n");
    assert_eq!(status, 400);
    assert!(head.contains("Connection: close\r\n"));
    assert_eq!(client.stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn dropping_the_stub_closes_its_connections_and_its_listener() {
    let stub = Stub::start("pk_real").unwrap();
    let mut client = Client::to(&stub);
    client.call("GET /api/lists HTTP/1.1\r\n\r\n");
    let address = stub.address();
    drop(stub);
    assert_eq!(client.stream.read(&mut [0]).unwrap_or(0), 0);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn every_relationship_that_has_targets_leads_to_resources_of_their_type() {
    let resources = Resources::made_up().unwrap();
    let mut checked = 0;
    for collection in
        ["profiles", "lists", "segments", "tags", "tag-groups", "campaigns", "campaign-messages", "events", "flows"]
    {
        for resource in resources.collection(collection) {
            for (kind, id) in resource.relations.values().flat_map(|relation| relation.targets()) {
                assert!(resources.find(kind, id).is_some(), "{} {} leads to {kind} {id}", resource.kind, resource.id);
                checked += 1;
            }
        }
    }
    assert!(checked > 20);
}
