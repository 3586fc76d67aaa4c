//! Which module may use which: the floors of the house. A module that is new needs a row here before it can be used.

/// What a module may use. A path such as `policy::scope` allows what lies under it and nothing beside it.
pub struct Row {
    pub module: &'static str,
    /// Paths of this crate.
    pub inside: &'static [&'static str],
    /// Paths under those that it may not use all the same.
    pub hidden: &'static [&'static str],
    /// Crates of Cargo.toml. `None`: any but those in `never`.
    pub outside: Option<&'static [&'static str]>,
    pub never: &'static [&'static str],
}

/// How configuration is read, as opposed to what it says.
const CONFIG_READING: &[&str] = &[
    "config::Environment",
    "config::Fault",
    "config::Overrides",
    "config::PolicyTest",
    "config::Source",
    "config::fault",
    "config::load",
    "config::policy",
    "config::run_tests",
    "config::source",
];

pub const IO: &[&str] = &["tokio", "h2", "hyper", "hyper_util", "axum", "notify"];

/// `main` and `lib` stand outside: they only put the rest together.
pub const TABLE: &[Row] = &[
    // Floor 0: pure. Bytes and values in, values out; no clock, no IO.
    Row {
        module: "policy",
        inside: &[],
        hidden: &[],
        outside: Some(&["foldhash", "memchr", "smallvec", "thiserror"]),
        never: &[],
    },
    Row {
        module: "http1",
        inside: &[],
        hidden: &[],
        outside: Some(&["bytes", "httparse", "memchr", "smallvec", "thiserror"]),
        never: &[],
    },
    Row {
        module: "key",
        // `Principal` lives in policy and is built from a key record.
        inside: &["policy"],
        hidden: &[],
        outside: Some(&[
            "crc32fast",
            "getrandom",
            "hmac",
            "ipnet",
            "jiff",
            "memchr",
            "sha2",
            "subtle",
            "thiserror",
            "zeroize",
        ]),
        never: &[],
    },
    Row {
        module: "yaml",
        // One table tells which characters a reader does not see.
        inside: &["key::visible"],
        hidden: &[],
        outside: Some(&["memchr", "serde", "serde_saphyr", "thiserror"]),
        never: &[],
    },
    // An address alone: nothing here connects to it.
    Row { module: "database", inside: &[], hidden: &[], outside: Some(&["thiserror", "zeroize"]), never: &[] },
    // Floor 1: what is read and kept.
    Row {
        module: "store",
        // A key file is YAML.
        inside: &["database", "key", "policy", "yaml"],
        hidden: &[],
        outside: None,
        never: &["h2", "hyper", "hyper_util", "axum", "clap"],
    },
    Row {
        module: "config",
        inside: &["database", "key", "policy", "yaml"],
        hidden: &[],
        outside: None,
        never: &["tokio", "h2", "hyper", "hyper_util", "axum", "clap", "rusqlite", "tokio_postgres"],
    },
    Row {
        module: "import",
        // What a document says is shown as far as it can be seen.
        inside: &["key::visible", "policy", "yaml"],
        hidden: &[],
        outside: None,
        never: &["tokio", "h2", "hyper", "hyper_util", "axum", "clap", "rusqlite"],
    },
    // Floor 2: what is in force.
    Row {
        module: "snapshot",
        inside: &["config", "key", "policy", "telemetry"],
        hidden: &[],
        outside: None,
        never: &["h2", "hyper", "hyper_util", "axum", "clap", "rusqlite"],
    },
    // The side floor: it records decisions, and can hold no secret because it cannot name one. What callers wrote it takes
    // from behind a mask alone.
    Row {
        module: "telemetry",
        inside: &["key::KeyId", "key::Timestamp", "key::mask", "key::visible", "policy"],
        hidden: &[],
        outside: None,
        never: &["h2", "hyper", "hyper_util", "axum", "clap", "rusqlite", "rustls"],
    },
    // Floor 3: the request path and the operator's door, which do not know each other.
    Row {
        module: "proxy",
        // What config compiled it may read; how a file becomes that is not its business.
        inside: &["config", "http1", "key", "policy", "snapshot", "store", "telemetry"],
        hidden: CONFIG_READING,
        outside: None,
        never: &["axum", "clap", "notify", "rusqlite", "serde_saphyr"],
    },
    Row {
        module: "admin",
        inside: &["key", "policy", "snapshot", "store", "telemetry"],
        hidden: &[],
        outside: None,
        never: &["clap", "rusqlite", "serde_saphyr"],
    },
    // Floor 4: binds, wires, drains.
    Row {
        module: "server",
        inside: &["admin", "config", "http1", "key", "policy", "proxy", "snapshot", "store", "telemetry"],
        hidden: &[],
        outside: None,
        never: &["clap", "rusqlite", "serde_saphyr"],
    },
    // The demo's upstream: it stands where a vendor would, and knows nothing of the gateway.
    Row {
        module: "stub",
        inside: &["http1"],
        hidden: &[],
        outside: None,
        never: &["axum", "clap", "rusqlite", "serde_saphyr"],
    },
    // Floor 5: what a user types.
    Row {
        module: "cli",
        inside: &[
            "config",
            "database",
            "import",
            "key",
            "policy",
            "server",
            "snapshot",
            "store",
            "stub",
            "telemetry",
            "yaml",
        ],
        hidden: &[],
        outside: None,
        never: &["h2", "hyper", "hyper_util", "rusqlite", "serde_saphyr"],
    },
];
