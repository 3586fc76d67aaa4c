//! A panic costs one request: it is caught at the edge of that request, and the process and its other connections go on.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// A future that panicked. The message went to standard error when it happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Panicked;

/// Runs `future` to its end, or to its panic. It is not polled again after that.
///
/// What it borrowed is in an unknown state then; the caller may do no more with it than to end it.
pub(crate) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_outcome_and_not_the_end() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        let panics = caught(async {
            tokio::task::yield_now().await;
            panic!("as this test wants it");
        });
        assert_eq!(panics.await, Err(Panicked));
    }
}
