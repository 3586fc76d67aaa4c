//! `scopegate demo`: a gateway over the Klaviyo policy, a stub in the place of the API, three keys, and what to try.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{self, Address, Environment, Source};
use crate::key::digest::Hasher;
use crate::key::lifecycle::{self, Imprint, NewKey};
use crate::key::secret::Secret;
use crate::key::{GrantSpec, KeyId, KeyKind, Timestamp};
use crate::policy::Vocabulary;
use crate::server::{App, StartError, log};
use crate::store::index::Index;
use crate::store::{self, Location, OpenMode, Stamp};
use crate::stub::Stub;
use crate::telemetry;

use super::{Console, DemoArgs, Exit, Failure, serve};

/// The route table of `config/`, so that the demo shows what a user can start from.
const POLICY: &str = include_str!("../../config/klaviyo-policy.yaml");
/// The ports that are used where they are free: those of the documentation.
const PORT: u16 = 8080;
const ADMIN_PORT: u16 = 9901;

/// The three keys of the demo.
struct Keys {
    full: Secret,
    profiles: Secret,
    read_only: Secret,
}

pub(super) fn run(args: &DemoArgs, console: &mut Console) -> Result<Exit, Failure> {
    let folder = Folder::make()?;
    // The demo's own credential: it opens nothing but the stub, and differs at each start.
    let credential = mint("demo")?;
    let credential = String::from_utf8_lossy(credential.expose()).into_owned();
    let stub = Stub::start(&credential).map_err(|error| Failure::io("the stub API cannot be started", &error))?;
    let keys = make_keys(&folder.store())?;
    let Built { app, routes, log: _log } = build(&folder, &stub, (&credential, args.port))?;
    let address = app.addresses().first().map(Address::to_string).unwrap_or_default();
    let guide = Guide { address, admin: app.admin_address(), routes, keys: &keys };
    let running = app.spawn().map_err(serve::failure)?;
    console.print(&guide)?;
    running.run_until_signal();
    drop(stub);
    Ok(Exit::Done)
}

/// A gateway that is ready to serve.
struct Built {
    app: App,
    routes: usize,
    log: telemetry::log::Writer,
}

/// Builds the gateway: on the usual ports where they are free, otherwise on ports that the system chooses.
fn build(folder: &Folder, stub: &Stub, (credential, port): (&str, Option<u16>)) -> Result<Built, Failure> {
    let usual = [port.unwrap_or(PORT), ADMIN_PORT];
    let chosen = [port.unwrap_or(0), 0];
    for ports in [usual, chosen] {
        let source = source(folder, stub, (credential, ports))?;
        let index = Arc::new(Index::new(Vocabulary::new()));
        let loaded = config::load(&source, index.vocabulary()).map_err(Failure::Faults)?;
        let (settings, routes) = (log::settings(&loaded.config.log), loaded.config.policy.routes().len());
        match App::build(source, loaded, index) {
            Ok(app) => {
                let log = telemetry::log::start(&settings).map_err(Failure::failed)?;
                return Ok(Built { app, routes, log });
            }
            Err(StartError::Bind { .. }) if ports != chosen => {}
            Err(error @ StartError::Bind { .. }) => {
                return Err(Failure::failed(format_args!("{error}; choose another port with `--port`")));
            }
            Err(error) => return Err(serve::failure(error)),
        }
    }
    Err(Failure::failed("no port is free"))
}

/// The folder that holds the demo's files; removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Self, Failure> {
        let id = KeyId::mint(KeyKind::Secret).map_err(Failure::failed)?;
        let path = std::env::temp_dir().join(format!("scopegate-demo-{}", id.as_str().trim_start_matches("key_")));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| Failure::io(format_args!("{} cannot be made", path.display()), &error))?;
        Ok(Self(path))
    }

    fn store(&self) -> PathBuf {
        self.0.join("scopegate.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It is in the system's folder for temporary files: what cannot be removed now goes there in time.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mint(prefix: &str) -> Result<Secret, Failure> {
    Secret::mint(prefix).map_err(Failure::failed)
}

fn make_keys(path: &Path) -> Result<Keys, Failure> {
    let mut store = store::open(&Location::Sqlite(path.to_path_buf()), OpenMode::Create).map_err(Failure::failed)?;
    let hasher = Hasher::new(None);
    let now = Timestamp::now();
    let mut records = Vec::with_capacity(3);
    let mut make = |name: &str, grant: GrantSpec| {
        let secret = mint("sg")?;
        let id = KeyId::mint(KeyKind::Secret).map_err(Failure::failed)?;
        let imprint = Imprint::of(&secret, "sg", &hasher);
        records.push(lifecycle::create(NewKey::new(name, grant), id, imprint, now).map_err(Failure::failed)?);
        Ok(secret)
    };
    let keys = Keys {
        full: make("demo full", GrantSpec::Full)?,
        profiles: make("demo profiles", GrantSpec::custom(["profiles:read"]))?,
        read_only: make("demo read-only", GrantSpec::ReadOnly)?,
    };
    store.create(&records, Stamp { by: "demo", at: now }).map_err(Failure::failed)?;
    Ok(keys)
}

/// Writes the configuration into the folder. It holds the stub's credential, like everything there for this user alone.
fn source(folder: &Folder, stub: &Stub, (credential, ports): (&str, [u16; 2])) -> Result<Source, Failure> {
    let [listen, admin] = ports;
    let text = format!(
        "listen: 127.0.0.1:{listen}\n\
         upstream:\n  url: http://{upstream}\n  credential: {{ header: Authorization, value: \"Klaviyo-API-Key {credential}\" }}\n\
         policy: {{}}\n\
         keys: {{ store: \"sqlite:{store}\", accept: [{{ scheme: Klaviyo-API-Key }}, bearer] }}\n\
         admin: {{ listen: 127.0.0.1:{admin} }}\n\
         log: {{ format: text, output: stderr }}\n\
         workers: 1\n",
        upstream = stub.address(),
        store = folder.store().display(),
    );
    let file = folder.0.join("scopegate.yaml");
    fs::write(&file, text)
        .map_err(|error| Failure::io(format_args!("{} cannot be written", file.display()), &error))?;
    let policy_text = Some(("klaviyo-policy.yaml".to_owned(), POLICY.to_owned()));
    // Variables that are meant for a real gateway have no say in the demo.
    Ok(Source { file: Some(file), policy_text, environment: Environment::new(|_| None), ..Source::default() })
}

/// What is printed: the keys, and requests to copy.
struct Guide<'a> {
    address: String,
    admin: SocketAddr,
    routes: usize,
    keys: &'a Keys,
}

impl fmt::Display for Guide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |key: &Secret| String::from_utf8_lossy(key.expose()).into_owned();
        let (full, profiles, read_only) =
            (shown(&self.keys.full), shown(&self.keys.profiles), shown(&self.keys.read_only));
        let api = format!("http://{}/api", self.address);
        let Self { address, admin, routes, .. } = self;
        write!(
            f,
            "\
ScopeGate is serving Klaviyo's API ({routes} routes) on http://{address};
a stub answers in Klaviyo's place. Requests are logged here as they come.
Metrics: http://{admin}/metrics
Ctrl-C ends the demo and removes its files.

Three keys, good for this run:
  {read_only}  read-only: every scope that reads
  {profiles}  profiles:read alone
  {full}  full: every scope

Try, in another terminal:

  # 200: the key holds profiles:read
  curl -i {api}/profiles/1 -H 'Authorization: Bearer {profiles}'

  # 403: include=lists asks for lists:read as well, and the answer says so
  curl -i '{api}/profiles/1?include=lists' -H 'Authorization: Bearer {profiles}'

  # 200: a read-only key holds both
  curl -i '{api}/profiles/1?include=lists' -H 'Authorization: Bearer {read_only}'

  # 403: but it may not write
  curl -i -X DELETE {api}/lists/LIST01 -H 'Authorization: Bearer {read_only}'

  # 204: the full key may
  curl -i -X DELETE {api}/lists/LIST01 -H 'Authorization: Bearer {full}'

  # 401: no key
  curl -i {api}/profiles/1

  # 400: a path that two servers could read differently
  curl -i --path-as-is {api}/lists/../profiles -H 'Authorization: Bearer {full}'
"
        )
    }
}
