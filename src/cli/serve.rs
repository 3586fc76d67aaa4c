//! `scopegate serve`: runs the gateway until it is told to stop.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tracing::field::display;

use crate::config;
use crate::policy::Vocabulary;
use crate::server::{App, BindFault, StartError, log};
use crate::store::index::Index;
use crate::telemetry;

use super::{Console, Exit, Failure, ServeArgs};

pub(super) fn run(args: &ServeArgs, console: &mut Console) -> Result<Exit, Failure> {
    let source = args.source();
    // Before the first thread, which the log starts.
    let index = Arc::new(Index::new(Vocabulary::new()));
    let loaded = config::load(&source, index.vocabulary()).map_err(Failure::Faults)?;
    console.show_faults(&loaded.warnings);
    let _log = telemetry::log::start(&log::settings(&loaded.config.log)).map_err(Failure::failed)?;
    let routes = loaded.config.policy.routes().len();
    let upstream: Vec<String> = loaded.config.upstream.urls.iter().map(ToString::to_string).collect();
    let (upstream, metrics) = (upstream.join(" "), loaded.config.metrics.map(display));
    let app = match App::build(source, loaded, index) {
        Err(StartError::Stopped) => {
            tracing::info!("stopped before it served");
            return Ok(Exit::Done);
        }
        built => built.map_err(failure)?,
    };
    let listen: Vec<String> = app.addresses().iter().map(ToString::to_string).collect();
    let (listen, admin, keys) = (listen.join(" "), app.admin_address(), app.keys());
    let running = app.spawn().map_err(failure)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), listen, upstream, %admin, metrics, routes, keys, "serving");
    running.run_until_signal();
    Ok(Exit::Done)
}

/// What keeps a gateway from starting, as the command line says it.
pub(super) fn failure(error: StartError) -> Failure {
    match error {
        StartError::Bind { field, ref address, ref reason } => {
            Failure::failed(format_args!("{error}; {}", remedy((field, address), reason)))
        }
        other => Failure::failed(other),
    }
}

/// How to have the gateway listen at this address, or elsewhere.
fn remedy((field, address): (&str, &str), reason: &BindFault) -> String {
    let taken = address.parse::<SocketAddr>().ok();
    let with = |address: Option<SocketAddr>| {
        let address = address.map_or_else(|| "ADDRESS".to_owned(), |address| address.to_string());
        match field {
            "listen" => format!("give `--listen {address}`"),
            "admin.listen" => format!("give `--admin {address}`"),
            field => format!("write another address as `{field}`"),
        }
    };
    match reason {
        BindFault::Taken => {
            let next = taken.and_then(|taken| Some(SocketAddr::new(taken.ip(), taken.port().checked_add(1)?)));
            format!("{}, or stop what is there", with(next))
        }
        BindFault::Passed(passed) => {
            format!("write `{passed}` as `{field}`, or have the service manager pass a socket on {address}")
        }
        BindFault::NotHere => {
            let own = taken.map(|taken| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), taken.port()));
            format!("{}, or another address that it has", with(own))
        }
        BindFault::NoDirectory(_) => format!("make it, or {}", with(None)),
        BindFault::NoSocket => format!("move it away, or {}", with(None)),
        BindFault::Forbidden | BindFault::Other(_) => with(None),
    }
}
