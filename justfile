# `just` lists these.
_default:
    @just --list

# The gateway over a stub of Klaviyo, with three keys and lines to copy.
demo:
    cargo run --release -- demo

# Everything that must pass.
test:
    tests/run

# One module of the tests against the built binary, such as `just it framing`.
it module:
    cargo test --test it {{module}}::

# What a commit must not fail: format and lints.
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
