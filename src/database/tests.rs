use super::*;

fn read(text: &str) -> Database {
    Database::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

#[test]
fn an_address_is_read_as_libpq_reads_it() {
    let database = read("postgres://gate%40way:p%2Fw%25@db.example:6432/keys?application_name=pod&connect_timeout=2");
    assert_eq!(database.hosts, [Host::Tcp("db.example".into(), 6432)]);
    assert_eq!((&*database.user, &*database.name, &*database.application_name), ("gate@way", "keys", "pod"));
    assert_eq!(database.password.unwrap().expose(), b"p/w%");
    assert_eq!(database.connect_timeout, Duration::from_secs(2));
    let many = read("postgresql://u@a,b:7,[::1]/keys?port=1,2,3");
    assert_eq!(many.hosts, [Host::Tcp("a".into(), 1), Host::Tcp("b".into(), 7), Host::Tcp("::1".into(), 3)]);
    for text in ["postgres:///keys?host=/run/postgresql&user=u", "postgres://u@%2Frun%2Fpostgresql/keys"] {
        assert_eq!(read(text).hosts, [Host::Unix("/run/postgresql".into(), 5432)]);
    }
}

#[test]
fn a_database_elsewhere_must_prove_who_it_is_unless_told_otherwise() {
    let system = || Roots::System;
    let file = || Roots::File("ca.pem".into());
    for (text, tls) in [
        ("postgres://u@db/k", Tls::Full(system())),
        ("postgres://u@localhost,db/k", Tls::Full(system())),
        ("postgres://u@localhost/k", Tls::Off),
        ("postgres://u@127.0.0.1/k", Tls::Off),
        ("postgres://u@%2Frun/k", Tls::Off),
        ("postgres://u@localhost/k?sslrootcert=ca.pem", Tls::Full(file())),
        ("postgres://u@db/k?sslmode=disable", Tls::Off),
        ("postgres://u@db/k?sslmode=require", Tls::Unproven),
        ("postgres://u@db/k?sslmode=require&sslrootcert=ca.pem", Tls::Authority(file())),
        ("postgres://u@db/k?sslmode=verify-ca&sslrootcert=ca.pem", Tls::Authority(file())),
        ("postgres://u@db/k?sslmode=verify-full&sslrootcert=system", Tls::Full(system())),
    ] {
        assert_eq!(read(text).tls, tls, "{text}");
    }
}

#[test]
fn what_is_wrong_is_told_with_how_to_mend_it_and_without_the_password() {
    for (text, said) in [
        ("postgres://u:geheim@db:x/k", "it has a port that is none"),
        ("postgres://u:ge/heim@db/k", "are written %2F, %3F, %23 and %40"),
        ("postgres://u:p@ge/heim#w@127.0.0.1:5432/k", "are written %2F, %3F, %23 and %40"),
        ("postgres://u:ge?heim@db/k", "are written %2F, %3F and %40"),
        ("postgres://u:geheim%2@db/k", "a `%` in a password is written %25"),
        ("postgres://u:geheim@/k", "it names no host"),
        ("postgres://u:geheim@db", "it names no database"),
        ("postgres://db/k", "it names no user"),
        ("postgres://u:geheim@db/k?sslmode=prefer", "sslmode=prefer may go on in cleartext without a word"),
        ("postgres://u:geheim@db/k?sslmode=no", "`no` cannot be the value of sslmode"),
        ("postgres://u:geheim@db/k?sslmode=disable&sslrootcert=x", "looks at no certificate"),
        ("postgres://u:geheim@db/k?sslmode=verify-ca", "sslmode=verify-ca asks no more than that somebody"),
        ("postgres://u:geheim@db/k?sslmode=require&sslrootcert=system", "name the authority of the database"),
        ("postgres://u:geheim@db/k?options=-c", "`options` is no parameter that is known here: sslmode, "),
        ("postgres://u:geheim@db/k?and=1", "`and` is no parameter"),
        ("postgres://u:geheim@db/k?password=geheim", "password is given twice"),
        ("postgres://u@a,b,c/k?port=1,2", "several hosts and 2 ports"),
        ("postgres://u@db/k?connect_timeout=0", "seconds from 1 to 300"),
        ("mysql://u:geheim@db/k", "it does not begin with postgres://"),
    ] {
        let fault = Database::parse(text).unwrap_err().to_string();
        assert!(fault.contains(said) && !fault.contains("heim"), "{text}: {fault}");
    }
}

#[test]
fn the_password_is_shown_by_nothing() {
    let database = read("postgres://u:geheim@db,[::1]:1/k?sslmode=require");
    assert_eq!(database.to_string(), "postgres://u@db:5432,[::1]:1/k");
    assert!(!format!("{database:?}").contains("geheim"));
}

#[test]
fn a_database_is_told_by_its_name_and_one_of_its_hosts() {
    let ours = read("postgres://gateway@one,[::1]:6/keys");
    for (shown, is_shared) in [
        ("postgres://gateway@one:5432,[::1]:6/keys", true),
        ("postgres://a@b@new:1,[::1]:6/keys", true),
        ("postgres://gateway@one:5432/other", false),
        ("postgres://gateway@one:5432/a/keys", false),
        ("postgres://gateway@one:5433/keys", false),
        ("postgres://one:5432@new:1/keys", false),
        ("postgres://one:5432/keys", false),
        ("sqlite:one:5432/keys", false),
        ("", false),
    ] {
        assert_eq!(ours.shares_a_host_with(shown), is_shared, "{shown}");
    }
    let local = read("postgres://u@/keys?host=/run/pg");
    assert!(local.shares_a_host_with(&local.to_string()));
    assert!(!local.shares_a_host_with("postgres://u@/run/other:5432/keys"));
}
