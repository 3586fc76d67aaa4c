use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::proxy::room::STEP;

fn pair() -> (Pipe, Pipe) {
    Pipe::pair(&Room::of_worker())
}

fn take(pipe: &Pipe) -> Poll<Option<Bytes>> {
    pipe.poll_take(&Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn what_one_end_writes_the_other_reads_and_the_end_comes_after_it() {
    let (mut one, mut other) = pair();
    one.write_all(b"hello").await.unwrap();
    other.write_all(b"answer").await.unwrap();
    let mut text = [0; 6];
    one.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"answer");
    drop(one);
    assert_eq!(take(&other), Poll::Ready(Some(Bytes::from_static(b"hello"))));
    assert_eq!(take(&other), Poll::Ready(None));
    let error = other.write_all(b"late").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_shutdown_ends_one_direction() {
    let (mut one, mut other) = pair();
    one.shutdown().await.unwrap();
    assert_eq!(take(&other), Poll::Ready(None));
    other.write_all(b"still here").await.unwrap();
    assert_eq!(take(&one), Poll::Ready(Some(Bytes::from_static(b"still here"))));
}

#[tokio::test]
async fn an_end_that_was_said_is_told_from_one_that_was_not() {
    let (one, other) = pair();
    one.put(b"all of it").await.unwrap();
    one.end();
    assert!(!other.is_cut());
    drop(one);
    assert!(!other.is_cut(), "it was said before");
    let (mut one, other) = pair();
    one.write_all(b"not all").await.unwrap();
    tokio::join!(biased; poll_fn(|cx| other.poll_cut(cx)), async {
        tokio::task::yield_now().await;
        drop(one);
    });
    assert_eq!(take(&other), Poll::Ready(Some(Bytes::from_static(b"not all"))));
    assert!(other.is_cut());
}

#[tokio::test]
async fn an_end_is_abandoned_when_the_other_is_dropped_whatever_is_left_to_read() {
    let (mut one, other) = pair();
    one.write_all(b"unread").await.unwrap();
    one.shutdown().await.unwrap();
    assert!(!other.is_abandoned(), "it still reads");
    tokio::join!(biased; poll_fn(|cx| other.poll_abandoned(cx)), async {
        tokio::task::yield_now().await;
        drop(one);
    });
    assert!(other.is_abandoned());
}

#[tokio::test]
async fn what_is_severed_is_over_whatever_is_left_to_read() {
    let (mut one, other) = pair();
    one.write_all(b"unread").await.unwrap();
    tokio::join!(biased; poll_fn(|cx| other.poll_severed(cx)), async {
        tokio::task::yield_now().await;
        one.sever();
    });
    assert!(other.is_severed() && !one.is_severed());
    assert_eq!(take(&other), Poll::Ready(None));
    assert!(!other.is_abandoned(), "the way back is as it was");
}

#[tokio::test]
async fn a_pipe_holds_so_much_and_its_writer_waits_for_the_rest() {
    let (mut one, other) = pair();
    let (sent, read) = tokio::join!(
        async {
            one.write_all(&vec![7; 3 * ROOM]).await.unwrap();
            drop(one);
        },
        async {
            let mut sizes = Vec::new();
            while let Some(bytes) = poll_fn(|cx| other.poll_take(cx)).await {
                sizes.push(bytes.len());
            }
            sizes
        }
    );
    assert_eq!((sent, read), ((), vec![ROOM; 3]));
}

#[tokio::test]
async fn a_pipe_is_held_short_while_others_hold_too_much_and_what_it_held_is_given_back() {
    let room = Room::of_connection(&Room::of_worker());
    let full: Vec<_> = (0..32).map(|_| Pipe::pair(&room)).collect();
    let cx = &Context::from_waker(Waker::noop());
    for (one, _) in &full {
        assert!(matches!(one.poll_put(&[7; ROOM], cx), Poll::Ready(Ok(ROOM))));
    }
    let (one, other) = Pipe::pair(&room);
    for _ in 0..3 {
        assert!(matches!(one.poll_put(&[7; ROOM], cx), Poll::Ready(Ok(STEP))), "as much as always");
        assert!(one.poll_put(&[7; ROOM], cx).is_pending());
        assert!(matches!(take(&other), Poll::Ready(Some(bytes)) if bytes.len() == STEP));
    }
    drop(full);
    assert!(matches!(one.poll_put(&[7; ROOM], cx), Poll::Ready(Ok(ROOM))));
    one.sever();
    drop((one, other));
    assert!(room.step().is_none() && room.is_empty());
}
