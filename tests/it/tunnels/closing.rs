//! What the API is told when the gateway ends a tunnel: why, where a frame may begin, and nothing in the middle of one.

use super::*;

/// Agrees, takes a word, and notes every byte that comes after it up to the end.
fn listening(connection: &mut Connection) {
    connection.request_head();
    connection.send(AGREED);
    let word = connection.until("hello ");
    connection.send(word);
    let rest = connection.until("what nobody sends");
    connection.note(&format!("then {}", unmasked(&rest).escape_ascii()));
}

/// A masked frame of a few bytes as it would be without its mask; anything else as it is.
fn unmasked(bytes: &[u8]) -> Vec<u8> {
    let [first, length, mask @ ..] = bytes else { return bytes.to_vec() };
    let Some((mask, payload)) = mask.split_at_checked(4).filter(|_| length & 0x80 != 0) else { return bytes.to_vec() };
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [*first, length & 0x7F].into_iter().chain(payload).collect()
}

fn then(close: &[u8]) -> String {
    format!("then {}", close.escape_ascii())
}

#[test]
fn the_api_is_told_why_a_tunnel_ends() {
    let (upstream, gateway, other) = start_with("drain: { timeout: 500ms }", listening);
    let ended = key(&gateway, &["--full"]);
    let mut client = open(&gateway, &ended);
    gateway.run(&["keys", "revoke", &id_of(&gateway, &ended)]).exits(0);
    assert_eq!(client.read_to_end().0, INVALID_KEY);
    upstream.wait_for(&then(INVALID_KEY));
    let mut client = open(&gateway, &other);
    gateway.process.signal("TERM");
    assert_eq!(client.read_to_end().0, DRAINING);
    upstream.wait_for(&then(DRAINING));
    assert_eq!(gateway.process.exit_code(), 0);

    let (upstream, gateway, key) = start_with("limits: { idle: 2s }", listening);
    assert_eq!(open(&gateway, &key).read_to_end().0, IDLE);
    upstream.wait_for(&then(IDLE));
}

#[test]
fn the_api_is_told_nothing_within_a_frame_of_the_caller_nor_behind_its_last_one() {
    // Two bytes of five under a mask; a frame that closes.
    for last in [&b"\x82\x85\x01\x02\x03\x04he"[..], b"\x88\x80\x01\x02\x03\x04"] {
        let (upstream, gateway, _) = start(|connection| {
            connection.request_head();
            connection.send(AGREED);
            let word = connection.until("hello ");
            connection.send(word);
            let last = connection.until("\x04");
            connection.send("\u{1}\u{2}hi");
            let rest = connection.until("what nobody sends");
            connection.note(&then(&[last, rest].concat()));
        });
        let key = key(&gateway, &["--full"]);
        let mut client = open(&gateway, &key);
        client.send_more(last).read_until("hi");
        gateway.run(&["keys", "revoke", &id_of(&gateway, &key)]).exits(0);
        client.read_to_end();
        upstream.wait_for(&then(last));
    }
}
