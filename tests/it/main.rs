//! The built binary over real sockets. One module for each thing that a user of ScopeGate relies on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "a test that cannot go on stops where it stands, and nothing here is an API"
)]

mod support;

mod accounts; // What becomes of an account becomes of its keys, on every gateway that runs.
mod adversarial; // Hundreds of raw requests that servers read differently, judged by what the upstream got.
mod architecture; // Who imports whom, how long a file may be, what a module may not be called.
mod audit; // Every change of a key with who, when and what, and whether the log of them is whole.
mod away; // The key store is away: for how long keys work, what starts without it, what comes back.
mod bodies; // Content streamed both ways: chunked, Expect, early answers, a gigabyte in constant memory.
mod canary; // A marked key and a marked credential go through all that there is, and are found in nothing that comes out.
mod cli; // Exit codes, and what bad input is told.
mod cors; // Preflights, and answers that pages of other origins can read.
mod cost; // What a request costs: its system calls and its instructions, which do not depend on the neighbours.
mod credentials; // Where a key is taken from and removed by exact bytes; the upstream's own credential.
mod demo; // `scopegate demo`: no file, no set-up, lines to copy.
mod dialling; // While a connection to the upstream is dialled: who waits how long, who leaves, what comes meanwhile.
mod differences; // `scopegate diff`: what a new policy loosens and tightens.
mod early; // What comes before its time: 100 and 103, answers and refusals while the caller is still sending.
mod faults; // What breaks, and what it costs: the status, the time, what is left behind. Its table names the test of each.
mod fleet; // Several gateways on one PostgreSQL: a change for all, and the proof that each holds it.
mod forwarded; // Whose X-Forwarded-* and PROXY headers are believed, and what follows from them.
mod framing; // Messages whose end two readers could see at different places: refused, nothing passes.
mod harness; // The harness itself: the raw client against the raw upstream, without a gateway between them.
mod headers; // What is dropped, kept, added: hop-by-hop, identity, forwarded, Via, request ids.
mod http2; // HTTP/2 on either side or both: the same verdicts, streams that end as they should, limits.
mod import; // A policy from a document and the files beside it, and whether the two still agree.
mod include; // Ruled query parameters: every member needs its own scope, however it is written.
mod keys; // The life of a key across processes: made, disabled, revoked, never shown.
mod listeners; // Several at once: IPv4, IPv6, Unix sockets; limits of connections.
mod logs; // The access log, and that no secret is in any log.
mod metrics; // The admin listener: liveness, readiness, figures.
mod mutants; // tests/survivors.txt: what no test of the policy core notices has a reason.
mod pairs; // A visible id and a secret: good together by HTTP Basic and in no other way.
mod promises; // SECURITY.md and the codes of README.md: what they name is there, and nothing is missing.
mod public_keys; // Site ids: whose a request is, the routes for them and nothing else.
mod reasons; // What explain, whocan and cando say of keys that are bound, switched off or elsewhere.
mod regression; // One test for each fault that a user or a reviewer met.
mod reload; // SIGHUP and file changes; a bad change keeps what is in force.
mod requests; // One request and its answer: who gets through, and what exactly a refusal says.
mod rotation; // New values for keys, clones, deletions, and stores of other versions.
mod round_trip; // What is written as a policy loads as the policy that was meant.
mod scan; // Our keys in files: where, whether they work, what ends them, and never themselves.
mod schemas; // `scopegate schema`: what an editor is told of a file is what its reader knows.
mod scopes; // Which scopes open which routes: lists, alternatives, levels, implication, precedence.
mod screens; // What each command shows, whole: one picture a group, as a terminal of 80 columns has it.
mod servers; // Several servers of one upstream: who is asked, who is left out, and when it comes back.
mod shipped; // The files of config/ and what the importer writes: they load, and their own tests hold.
mod start; // What keeps a gateway from starting: whatever it cannot read, it does not guess.
mod stop; // SIGTERM: answers in flight are finished, then the process ends well.
mod streams; // Answers that go on and on: each event at once, no timeout, an end with the key that opened them.
mod supervisor; // A service manager: sockets that it passes, and what it is told.
mod targets; // The path that is checked is the path that is sent; what could be read in two ways is refused.
mod timeouts; // How long the upstream may take: over all requests, and over those of a route that says otherwise.
mod tls; // TLS towards callers: versions, client certificates, renewal, what does not speak it.
mod tools; // What helps to write a policy: coverage and mutation of its tests, explanations, who can do what, differences.
mod transfer; // Keys from elsewhere and to it: all of them or none, each bad line named.
mod tripwires; // Keys that are there to be found: what the log, the figures and the caller are told.
mod tunnels; // WebSocket: what is a handshake, what is not, and when a tunnel ends.
mod upstreams; // Upstreams that refuse, reset, stall, break off, lie; pools; TLS; Unix sockets.
mod uses; // How often and when keys are used, by value and by scope: what is written down, merged, kept, lost.
mod withdrawn; // What is open when its key ends: closed within a second, whatever it is and however the key ends.
