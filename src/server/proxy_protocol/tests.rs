use super::*;

fn binary(command: u8, family: u8, values: &[u8]) -> Vec<u8> {
    let length = u16::try_from(values.len()).unwrap().to_be_bytes();
    [SIGNATURE.as_slice(), &[command, family], &length, values].concat()
}

/// Both addresses and both ports of version 2.
fn addresses(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

fn source(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// Every beginning of a header asks for more, and what follows it changes nothing.
fn holds(header: &[u8], source: Option<IpAddr>) {
    for end in 0..header.len() {
        assert_eq!(parse(&header[..end]), Ok(None), "{end} bytes of {header:?}");
    }
    let expected = Ok(Some(Header { size: header.len(), source }));
    assert_eq!(parse(header), expected, "{}", String::from_utf8_lossy(header));
    for more in [b"GET / HTTP/1.1\r\n".as_slice(), b"\r\n", &SIGNATURE, b"\x16\x03\x01"] {
        assert_eq!(parse(&[header, more].concat()), expected);
    }
}

#[test]
fn a_line_names_who_connected() {
    holds(b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", source("192.0.2.1"));
    holds(b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", source("0.0.0.0"));
    holds(b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", source("2001:db8::1"));
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    holds(format!("PROXY TCP6 {longest} {longest} 65535 65535\r\n").as_bytes(), source(longest));
}

#[test]
fn a_line_may_know_nobody() {
    holds(b"PROXY UNKNOWN\r\n", None);
    holds(b"PROXY UNKNOWN whatever it says 1 2 3\r\n", None);
    let longest = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 91], b"\r\n"].concat();
    assert_eq!(longest.len(), LONGEST_LINE);
    holds(&longest, None);
}

#[test]
fn a_line_that_deviates_is_none() {
    for line in [
        "GET / HTTP/1.1\r\n",
        "PROXX TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "Proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2  2\r\n",
        "PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 ::1 ::2 1 2\r\n",
        "PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n",
        "PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY \r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rX",
        "\r\nPROXY UNKNOWN\r\n",
    ] {
        assert!(parse(line.as_bytes()).is_err(), "{line:?}");
    }
    let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 93]].concat();
    assert_eq!(parse(&endless[..LONGEST_LINE - 1]), Ok(None));
    assert!(parse(&endless).is_err());
    assert!(parse(&[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 92], b"\r\n"].concat()).is_err(), "one byte too long");
}

#[test]
fn a_binary_header_names_who_connected() {
    holds(&binary(0x21, 0x11, &addresses(12)), source("0.1.2.3"));
    holds(&binary(0x21, 0x21, &addresses(36)), source("1:203:405:607:809:a0b:c0d:e0f"));
}

#[test]
fn further_values_of_a_binary_header_are_skipped() {
    let mut values = addresses(12);
    values.extend_from_slice(&[0x03, 0x00, 0x04, 1, 2, 3, 4, 0xEA, 0x00, 0x01, 0xFF]);
    holds(&binary(0x21, 0x11, &values), source("0.1.2.3"));
}

#[test]
fn a_binary_header_may_name_nobody() {
    holds(&binary(0x20, 0x00, b""), None);
    holds(&binary(0x20, 0x11, &addresses(12)), None);
    holds(&binary(0x21, 0x00, &addresses(5)), None);
    holds(&binary(0x21, 0x31, &addresses(216)), None);
}

#[test]
fn a_binary_header_that_deviates_is_none() {
    for bytes in [
        binary(0x11, 0x11, &addresses(12)),
        binary(0x22, 0x11, &addresses(12)),
        binary(0x21, 0x12, &addresses(12)),
        binary(0x21, 0x41, &addresses(12)),
        binary(0x21, 0x11, &addresses(11)),
        binary(0x21, 0x21, &addresses(35)),
        binary(0x21, 0x31, &addresses(215)),
        b"\r\n\r\n\0\r\nQUIX\n".to_vec(),
        b"\x16\x03\x01".to_vec(),
    ] {
        assert!(parse(&bytes).is_err(), "{bytes:?}");
    }
}
