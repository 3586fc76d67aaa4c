use std::net::{Ipv4Addr, TcpListener};

use tokio::runtime::Builder;

use super::super::tests::server::{ESCAPED, scratch};
use super::*;
use crate::store::postgres::{OpenMode, Postgres};

const MUTE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const NOBODY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

#[test]
fn an_address_that_answers_nothing_keeps_nobody_from_the_next_one_of_its_host() {
    let Some(place) = scratch() else { return };
    let port = place.server().port;
    let _mute = TcpListener::bind((MUTE, port)).unwrap();
    let url = format!("postgres://owner:{ESCAPED}@localhost:{port}/{}?connect_timeout=1", place.name);
    let dialler = Dialler::new(&Database::parse(&url).unwrap());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (host, config) = &dialler.hosts[0];
    let dial = |addresses: [Ipv4Addr; 2]| dialler.dial_each(&runtime, (host, config, None), &addresses.map(IpAddr::V4));
    let line = dial([MUTE, Ipv4Addr::LOCALHOST]).map_err(|faults| format!("{faults:?}")).unwrap();
    dialler.hang_up(&runtime, line, false);
    let names: Vec<String> = dial([MUTE, NOBODY]).err().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [MUTE, NOBODY].map(|address| format!("localhost:{port} ({address})")));
}

#[test]
fn every_address_of_a_host_is_found_once_and_a_socket_has_none() {
    let dialler = |hosts: &str| Dialler::new(&Database::parse(&format!("postgres://u@{hosts}")).unwrap());
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    for (hosts, found) in [("127.0.0.2/k", vec![IpAddr::V4(MUTE)]), ("/k?host=/run/postgresql", vec![])] {
        let dialler = dialler(hosts);
        assert_eq!(dialler.addresses(&dialler.hosts[0].0, &runtime).unwrap(), found, "{hosts}");
    }
    let dialler = dialler("localhost/k");
    let found = dialler.addresses(&dialler.hosts[0].0, &runtime).unwrap();
    assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty(), "{found:?}");
    let of_v4 = found.iter().filter(|address| **address == IpAddr::V4(Ipv4Addr::LOCALHOST)).count();
    assert!(of_v4 <= 1, "{found:?}");
}

#[test]
fn a_name_that_nobody_knows_is_said_to_be_one() {
    let url = "postgres://u@no-such-host.invalid/k?sslmode=disable";
    let said = Postgres::open(&Database::parse(url).unwrap(), OpenMode::Existing).unwrap_err().to_string();
    assert!(said.contains("no-such-host.invalid") && said.contains("failed to lookup address information"), "{said}");
}

#[test]
fn those_whose_connections_ended_at_one_moment_come_back_at_different_ones() {
    let pauses: Vec<Duration> = (0..100).map(|_| scatter()).collect();
    assert!(pauses.iter().all(|pause| *pause < SCATTER), "{pauses:?}");
    for part in 0..5 {
        let within = SCATTER * part / 5..SCATTER * (part + 1) / 5;
        let count = pauses.iter().filter(|pause| within.contains(*pause)).count();
        assert!((1..60).contains(&count), "{count} of 100 within {within:?}");
    }
}
