//! `scopegate serve`: runs the gateway until it is told to stop.

use std::net::SocketAddr;

use crate::config;
use crate::policy::Vocabulary;
use crate::server::{App, StartError, log};
use crate::telemetry;

use super::{Console, Exit, Failure, ServeArgs};

pub(super) fn run(args: &ServeArgs, console: &mut Console) -> Result<Exit, Failure> {
    let source = args.source();
    let vocabulary = Vocabulary::new();
    let loaded = config::load(&source, &vocabulary).map_err(Failure::Faults)?;
    console.show_faults(&loaded.warnings);
    let _log = telemetry::log::start(&log::settings(&loaded.config.log)).map_err(Failure::failed)?;
    let routes = loaded.config.policy.routes().len();
    let app = App::build(source, loaded, vocabulary).map_err(failure)?;
    let listen: Vec<String> = app.addresses().iter().map(ToString::to_string).collect();
    let (listen, admin, keys) = (listen.join(" "), app.admin_address(), app.keys());
    let running = app.spawn().map_err(failure)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), listen, %admin, routes, keys, "serving");
    running.run_until_signal();
    Ok(Exit::Done)
}

/// What keeps a gateway from starting, as the command line says it.
pub(super) fn failure(error: StartError) -> Failure {
    match error {
        StartError::Bind { field, ref address, .. } => {
            Failure::failed(format_args!("{error}; {}", elsewhere(field, address)))
        }
        other => Failure::failed(other),
    }
}

/// How to have the gateway listen elsewhere.
fn elsewhere(field: &str, address: &str) -> String {
    let next = address.parse::<SocketAddr>().ok().and_then(|taken| {
        let port = taken.port().checked_add(1)?;
        Some(SocketAddr::new(taken.ip(), port).to_string())
    });
    let next = next.unwrap_or_else(|| "ADDRESS".to_owned());
    match field {
        "listen" => format!("give `--listen {next}`, or stop what is there"),
        "admin.listen" => format!("give `--admin {next}`, or stop what is there"),
        field => format!("write another address as `{field}`, or stop what is there"),
    }
}
