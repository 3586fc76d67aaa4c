//! The least that a proxy on this machine can cost: bytes go from one socket to another, and nobody looks at them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::{Outcome, READ};

const LISTENER: Token = Token(usize::MAX);

/// One end of a pair; the end with the number that differs in the last bit is the other.
struct End {
    stream: TcpStream,
    /// What was read here and the other end did not take yet.
    held: Vec<u8>,
}

/// Moves bytes from one end to the other until there are none, or they are not taken; whether both are still open.
fn pump(from: &mut End, to: &mut End, input: &mut [u8]) -> Outcome<bool> {
    loop {
        while !from.held.is_empty() {
            match to.stream.write(&from.held) {
                Ok(count) => drop(from.held.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
        let count = match from.stream.read(input) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        let read = input.get(..count).unwrap_or_default();
        let taken = match to.stream.write(read) {
            Ok(taken) => taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error.into()),
        };
        if taken < count {
            from.held.extend_from_slice(read.get(taken..).unwrap_or_default());
        } else if count < input.len() {
            return Ok(true);
        }
    }
}

/// Both ends of the pair that this one is of, itself first.
fn pair(ends: &mut [Option<End>], number: usize) -> Option<(&mut End, &mut End)> {
    let first = number & !1;
    let [Some(even), Some(odd)] = ends.get_mut(first..first + 2)? else { return None };
    Some(if number == first { (even, odd) } else { (odd, even) })
}

/// Forwards until it is killed.
pub(crate) fn forward(mut listener: TcpListener, upstream: SocketAddr) -> Outcome<()> {
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut ends: Vec<Option<End>> = Vec::new();
    let mut input = vec![0; READ];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((caller, _)) = listener.accept() {
                    for mut stream in [caller, TcpStream::connect(upstream)?] {
                        stream.set_nodelay(true)?;
                        let both = Interest::READABLE | Interest::WRITABLE;
                        poll.registry().register(&mut stream, Token(ends.len()), both)?;
                        ends.push(Some(End { stream, held: Vec::new() }));
                    }
                }
                continue;
            }
            let number = event.token().0;
            let Some((this, other)) = pair(&mut ends, number) else { continue };
            let mut is_open = true;
            if event.is_writable() && !other.held.is_empty() {
                is_open &= pump(other, this, &mut input).unwrap_or(false);
            }
            if event.is_readable() {
                is_open &= pump(this, other, &mut input).unwrap_or(false);
            }
            if !is_open {
                // What an end still holds at the end of the other is lost: nobody here says goodbye before his answer.
                let _ = other.stream.shutdown(Shutdown::Both);
                for end in ends.get_mut(number & !1..).into_iter().flatten().take(2) {
                    *end = None;
                }
            }
        }
    }
}
