//! HTTP/1.1 without IO: bytes in, judged heads and bodies out. Both sides of the gateway read and write through it.
//!
//! One strict grammar, RFC 9112 without its tolerances. What has more than one plausible reading is refused, nothing is repaired:
//!
//! | part | accepted |
//! |---|---|
//! | line end | CR LF alone; at most one empty line before a request line (RFC 9112, 2.2) |
//! | request line | token, one space, a target of visible or UTF-8 bytes, one space, `HTTP/1.0` or `HTTP/1.1` |
//! | field line | token, colon at once, a value without control bytes but tab; no folded lines |
//! | `Host` | exactly one: a name of letters, digits, `-._~`, or an address, and an optional port |
//! | `Content-Length` | at most one, digits alone, below 2^63, never beside `Transfer-Encoding` |
//! | `Transfer-Encoding` | at most one, exactly `chunked`, never in HTTP/1.0 |
//! | `Expect` | `100-continue` once |
//! | `Connection` | a list of at most 32 tokens and 1024 bytes; in a request it may not name framing, `Host`, `Expect`, `Authorization` or `Cookie` |
//! | chunk | 1 to 15 hex digits, extensions skipped under a cap, CR LF |
//!
//! The framing of what goes out is always written anew from the judged value, see [`write::framing`].
//!
//! Answers do not depend on how the bytes were split over reads: a verdict is the one of the shortest prefix that has one.
pub mod body;
pub mod head;
pub mod write;

pub use body::{Body, BodyFault};
pub use head::{HeadFault, Limits, RequestHead, ResponseHead, request, response};
