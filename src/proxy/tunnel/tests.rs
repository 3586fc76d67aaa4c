//! Tunnels between streams that stall and take a byte at a time: both sides get what was sent, to the last byte.

use proptest::prelude::*;

use super::*;
use crate::http1::head::Framing;
use crate::proxy::Plan;
use crate::proxy::exchange::tests::{HEAD, Seen, plan, run_plan, script, stage};
use crate::proxy::stream::scripted::Script;

const AGREED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

fn offered() -> Plan {
    Plan { upgrade: true, ..plan(Framing::None) }
}

/// What the caller was written behind the head of the 101.
fn behind_head(seen: &Seen) -> &[u8] {
    let end = seen.down.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    assert!(seen.down.starts_with(b"HTTP/1.1 101 "), "{}", seen.down.escape_ascii());
    &seen.down[end + 4..]
}

#[test]
fn streams_that_stall_and_trickle_lose_nothing() {
    let stage = stage();
    let cases = (
        prop::collection::vec(any::<u8>(), 1..300),
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(1_usize..90, 1..6),
        (1_usize..200, 0_usize..4),
    );
    proptest!(ProptestConfig::with_cases(1000), |((said, answered, lengths, pace) in cases)| {
        // The first piece comes with the handshake, the others once the caller has seen the 101.
        let down = Script { ends: true, after: b"\r\n\r\n".to_vec(), ..script(&said, &lengths, pace) };
        let up = Script { ends: true, after: HEAD.to_vec(), ..script(&[AGREED, &answered].concat(), &lengths, pace) };
        let seen = run_plan(&stage, &offered(), (down, up));
        prop_assert_eq!(seen.end, End::Complete { close: true });
        prop_assert_eq!(&seen.up, &[HEAD, &said].concat());
        prop_assert_eq!(behind_head(&seen), &answered);
        prop_assert_eq!(seen.counted, (said.len() as u64, answered.len() as u64));
        prop_assert_eq!(seen.kept, 0, "its connection carries nothing else");
    });
}

#[test]
fn an_upstream_that_agrees_before_it_had_the_request_is_not_believed() {
    let stage = stage();
    let up = script(AGREED, &[1000], (5, 3));
    let seen = run_plan(&stage, &offered(), (script(b"early", &[5], (1000, 0)), up));
    assert!(matches!(seen.end, End::Failed(ProxyError::UpstreamFailed(_))), "{:?}", seen.end);
    assert!(!seen.up.ends_with(b"early"));
}
