use super::*;

const PING: (u8, u8, usize) = (6, 0, 8);

fn frame((kind, flags, length): (u8, u8, usize)) -> Vec<u8> {
    let [_, first, second, third] = u32::try_from(length).unwrap().to_be_bytes();
    let mut bytes = vec![first, second, third, kind, flags, 0, 0, 0, 1];
    bytes.resize(HEAD + length, 7);
    bytes
}

fn traffic() -> Rc<Traffic> {
    Traffic::of_caller(&Watch::new(), PREFACE.len())
}

#[test]
fn heads_are_found_in_whatever_pieces_they_come() {
    let sent = [(0, 1, 300), (4, 0, 0), (3, 0, 4), (6, 0, 8), (3, 0, 5), (1, 4, 1), (3, 0, 4), (9, 0, 0)];
    let bytes: Vec<u8> = sent.iter().flat_map(|sent| frame(*sent)).collect();
    for size in [1, 2, 8, 9, 10, 17, 1000] {
        let (mut frames, mut seen) = (Frames::default(), Vec::new());
        for piece in bytes.chunks(size) {
            frames.feed(piece, |head| seen.push((head.kind, head.flags, head.length as usize)));
        }
        assert_eq!(seen, sent, "in pieces of {size}");
    }
}

#[test]
fn frames_without_use_end_the_credit() {
    for useless in [PING, (6, 1, 8), (4, 0, 0), (2, 0, 5), (8, 0, 4), (3, 0, 4), (0, 0, 0), (0, 8, 256), (77, 0, 3)] {
        let traffic = traffic();
        traffic.came(PREFACE);
        traffic.came(&frame(useless).repeat(CREDIT as usize));
        assert!(!traffic.is_spent(), "{useless:?}");
        traffic.came(&frame(useless));
        assert!(traffic.is_spent(), "{useless:?}");
    }
}

#[test]
fn requests_and_data_earn_it_in_either_direction() {
    for (earns, ours) in [((1, 5, 20), false), ((0, 0, 1), false), ((0, 8, 257), false), ((0, 0, 1), true)] {
        let traffic = traffic();
        traffic.came(PREFACE);
        for _ in 0..3 * CREDIT {
            if ours {
                traffic.went(&frame(earns))
            } else {
                traffic.came(&frame(earns))
            }
            traffic.came(&frame(PING).repeat(EARNED as usize));
        }
        assert!(!traffic.is_spent(), "{earns:?}");
    }
    let traffic = traffic();
    traffic.came(PREFACE);
    traffic.went(&frame(PING).repeat(1000));
    traffic.came(&frame((0, END_STREAM, 0)).repeat(1000));
    traffic.came(&frame(PING).repeat(CREDIT as usize + 1));
    assert!(traffic.is_spent(), "our own PONGs earn nothing");
}

#[test]
fn an_upstream_earns_by_what_it_is_asked_too_and_what_is_given_up_is_ours() {
    let traffic = Traffic::of_upstream(&Watch::new());
    traffic.went(&[PREFACE, &frame((HEADERS, 5, 20)).repeat(10), &frame((RST_STREAM, 0, 4)).repeat(3)].concat());
    traffic.came(&frame((RST_STREAM, 0, 4)).repeat(2));
    assert_eq!((traffic.resets(), traffic.take_refused().count()), (3, 0));
    traffic.came(&frame(PING).repeat(CREDIT as usize + 10 * EARNED as usize - 2));
    assert!(!traffic.is_spent());
    traffic.came(&frame(PING));
    assert!(traffic.is_spent());
}

#[test]
fn streams_that_the_library_refuses_are_counted_and_those_that_the_gateway_serves_are_not() {
    let traffic = traffic();
    let answer = |stream: u8| [0, 0, 0, HEADERS, END_STREAM, 0, 0, 0, stream];
    traffic.serves(1);
    traffic.went(&answer(1));
    // It may be reset as well, where its body is still to come.
    traffic.went(&[&answer(3)[..], &[0, 0, 4, RST_STREAM, 0, 0, 0, 0, 3, 0, 0, 0, 1]].concat());
    assert_eq!(traffic.take_refused().collect::<Vec<_>>(), [(StreamRefusal::HeadTooLarge, 1)]);
    let reset = |code: u8| [&[0, 0, 4, RST_STREAM, 0, 0, 0, 0, 1, 0, 0, 0][..], &[code]].concat();
    let sent: Vec<u8> = [0, 1, 2, 3, 5, 7, 7, 8].into_iter().flat_map(reset).collect();
    traffic.came(&[PREFACE, &sent].concat());
    assert_eq!(traffic.take_refused().count(), 0, "a caller refuses nothing");
    sent.chunks(5).for_each(|piece| traffic.went(piece));
    let refused: Vec<_> = traffic.take_refused().collect();
    assert_eq!(refused, [(StreamRefusal::Malformed, 1), (StreamRefusal::Other, 2), (StreamRefusal::Refused, 2)]);
    assert_eq!(traffic.take_refused().count(), 0);
}

#[test]
fn a_stream_waits_for_a_connection_that_moves_and_not_for_one_that_has_room() {
    let traffic = traffic();
    let (late, stall) = (traffic.moved(), Duration::from_secs(1));
    assert_eq!(traffic.worth_until(late, stall), late);
    traffic.stalled();
    assert_eq!(traffic.worth_until(late, stall), late.after(stall));
    traffic.went(b"");
    assert_eq!(traffic.worth_until(late, stall), late);
}
