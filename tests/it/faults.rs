//! What breaks, and what it costs: the status that a caller sees, the time that takes, what is left behind.
//!
//! | fault | what holds | test |
//! |---|---|---|
//! | the upstream refuses | 503 at once, nothing left | `upstream::a_server_that_refuses_costs_no_permit_and_no_time` |
//! | … resets, closes or half-closes before the head | 502 at once | `upstream::each_fault_of_the_upstream_has_its_answer_in_time_and_leaves_nothing_behind` |
//! | … dies, resets or half-closes within the body | a broken answer, never a whole one | the same; `upstreams::an_answer_that_breaks_off_never_ends_cleanly` |
//! | … stalls before the head, within it, within the body | 504 in its time, or a broken answer by `timeouts.response`, by `timeouts.request` where its length is not known | the same; `timeouts` |
//! | … sends garbage, switches protocols unasked | 502 | the same; `upstreams::an_upstream_that_breaks_the_protocol_has_failed` |
//! | … sends too much: behind its answer, in its head | the answer alone; 502 | the same; `upstreams::reuse::bytes_after_an_answer_are_nobodys_answer` |
//! | … sends 10,000 interim heads | eight at most, then 502 | the same; `upstreams::interim_heads_without_end_are_a_failure` |
//! | … closes a connection that rests | nobody sees it | `upstreams::reuse::a_connection_that_went_stale_is_never_seen_by_a_caller` |
//! | … is several servers, of which some fail | nobody sees it | `servers` |
//! | either host goes away without a word | the kernel finds out | `silence` |
//! | the caller is gone, mid-upload, mid-download or while it waits | the upstream sees its connection end | `callers` |
//! | no descriptors are left | accepting pauses, and goes on | `load::a_gateway_that_has_no_descriptors_left_serves_again_when_it_has` |
//! | the store's file is deleted | known keys pass, unknown ones are 503 | `store::a_store_that_is_deleted_takes_no_key_with_it` |
//! | … is locked | the command says so, the gateway does not notice | `store::a_store_that_somebody_holds_is_told_to_the_command_and_noticed_by_no_caller` |
//! | … is overwritten | the command says so, known keys pass | `store::a_store_that_is_overwritten_takes_no_key_with_it` |
//! | … is on a full disk | the command says so, nothing is changed | `store::a_full_disk_is_told_and_changes_nothing`, `disk::a_small_disk_that_is_full_is_told_and_changes_nothing` |
//! | … is mounted read-only, or its folder is | the same | `disk::a_store_that_is_mounted_read_only_is_told_and_changes_nothing` |
//! | … is on a disk that fails (EIO) | the command says so, known keys pass, the gateway catches up | `store::a_disk_that_fails_is_told_and_takes_no_key_with_it`, `store::a_gateway_that_cannot_read_its_store_goes_on_with_what_it_knows_and_catches_up` |
//! | … is worked on by many at once | they wait for each other, nothing is lost | `store::two_command_lines_an_import_and_a_gateway_on_one_store_lose_nothing` |
//! | … is a key file that is bad, empty or gone | what was known stays | `store::file::tests`, `store::follow::tests` |
//! | … is away for longer than `keys.max_stale` | no key is let in, what is open ends | `away::known_keys_go_on_for_max_stale_and_then_none_is_let_in_until_the_store_is_back`, `tunnels::a_store_that_is_away_ends_no_tunnel_until_max_stale` |
//! | … is away when the gateway starts | it starts from `keys.snapshot` | `away` |
//! | a command that changes keys, or the gateway, is killed | what was acknowledged holds, the rest is whole or not at all | `keys::keys_and_revokes_survive_a_crash_of_the_gateway`, `keys::a_revoke_survives_the_death_of_the_command_right_after_its_word`; at random moments, benches/crash.rs |
//! | a certificate is replaced by rubbish | the one before stays, once told | `tls::certificates::a_bad_certificate_changes_nothing_and_is_told` |
//! | a credential's file is missing or empty | the one before stays, once told | `reload::secrets` |
//! | the wall clock jumps | keys expire by it, and nothing else | `clock` |
//! | a request panics | 500, its connection, nothing else | `proxy::downstream::tests::a_panic_in_a_request_is_answered_counted_and_costs_its_connection_alone`, `proxy::caught`, `snapshot::reload` |
//! | whoever reads the log stops | requests and drain go on, lines are dropped and counted | `log::a_log_that_nobody_reads_costs_lines_and_no_request`, `regression::a_log_that_nobody_reads_stops_no_request_and_no_drain` |
//! | the log's disk is full | the same | `log::a_log_on_a_full_disk_costs_lines_and_no_request` |
//! | a reload, a restart | no request fails | `load` |
//!
//! The times asserted here are generous: they tell a hang from an answer on a machine that is busy. How fast it is on one that is
//! not is for `benches/`.

mod callers; // Callers that go away in the middle.
mod clock; // A wall clock that jumps by days.
mod disk; // Real disks that are full, or mounted read-only.
mod load; // Reloads, restarts and shortages under load.
mod log; // A log that nobody reads, or that has no room.
mod silence; // Hosts that go away without a word.
pub mod store; // A key store that is gone, held, overwritten, on a full disk or a bad one, or worked on by many.
mod system; // A clock and a disk that do what a test says, for a process that is started so.
mod upstream; // What an upstream can do wrong, one after the other to one gateway.
