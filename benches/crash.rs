//! Three command lines and a gateway on one store, each killed at any moment: nothing that was acknowledged may be lost, nothing
//! half-made may work, nothing that ended may come back.
//!
//! `cargo bench --bench crash -- KILLS [SEED]` (5,000 kills of commands unless given, and a seed by the clock). It prints the
//! seed, and what was done and killed; it exits with 1 at the first thing that is not as it must be, and says which. Keys are made,
//! cloned, rotated, switched off and on, ended and imported, secret ones, pairs and tripwires; accounts and sub-accounts are made,
//! switched off and on and deleted. After each round the hash chain of the audit has to hold.
//!
//! A round is a few commands of each command line at once, while the gateway may be killed and started again, and is asked all the
//! time for values that have ended. Then all stand still, and the store and the gateway are compared with what was acknowledged.
//!
//! A change whose author is killed while SQLite waits for the disk is in the log of the file and not in the index of that log:
//! nobody sees it, until the next change is written over it, or until the file is opened by a first process, which takes it in.
//! So every round ends with a change that nobody kills, and what is in doubt is settled for good before anybody looks.

#[path = "crash/account.rs"]
mod account;
#[path = "crash/doubt.rs"]
mod doubt;
#[path = "crash/draw.rs"]
mod draw;
#[path = "crash/lane.rs"]
mod lane;
#[path = "crash/model.rs"]
mod model;
#[path = "crash/sound.rs"]
mod sound;
#[expect(dead_code, reason = "how large a gateway is, and how fast, is for other benches")]
mod support;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use scopegate::key::Timestamp;
use serde_json::Value;

use self::account::Account;
use self::draw::Draw;
use self::lane::Lane;
use self::sound::sound;
use self::support::{Gateway, Outcome, command, in_folder};

/// Command lines at once.
const LANES: usize = 3;
/// Commands of each in a round.
const EACH: u64 = 6;
/// So many values the gateway is asked for after a round, more or less.
const AT_ONCE: usize = 500;
/// Kills after which it is told how far it is.
const MILESTONE: u64 = 500;
/// How long anything may take that is not announced, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

const CONFIG: &str = "\
policy: policy.yaml
keys: { store: sqlite:keys.db, accept: [bearer, basic] }
log: { level: info, access: false, output: log/crash.log }
";
const POLICY: &str = "version: 1\nroutes:\n  GET /things: things:read\n";

/// What was done so far.
#[derive(Debug, Default)]
struct Tally {
    /// Kills of the gateway.
    gateways: u64,
    /// Changes that nobody was told of and that were made, and that were not.
    made: u64,
    unmade: u64,
    /// Requests with a value that had ended, while there were changes.
    haunted: u64,
}

/// Which values the gateway is asked for.
#[derive(Clone, Copy, Debug)]
enum Part {
    Whole,
    /// The share of the round with this number.
    Share(usize),
}

/// The store, and who works on it.
struct Scene {
    folder: PathBuf,
    gateway: Gateway,
    lanes: Vec<Lane>,
    seal: Seal,
    draw: Draw,
    tally: Tally,
}

/// The key whose change ends a round.
struct Seal {
    id: String,
    is_disabled: bool,
}

impl Seal {
    const NAME: &str = "seal";

    fn new(folder: &Path) -> Outcome<Self> {
        let create = ["keys", "create", "--name", Self::NAME, "--no-scopes", "--json"];
        let made: Value = serde_json::from_slice(&done(folder, &create)?)?;
        let id = made.get("id").and_then(Value::as_str).ok_or("a record lacks its id")?;
        Ok(Self { id: id.to_owned(), is_disabled: false })
    }

    /// Changes the key.
    fn press(&mut self, folder: &Path) -> Outcome<()> {
        self.is_disabled = !self.is_disabled;
        let act = if self.is_disabled { "disable" } else { "enable" };
        done(folder, &["keys", act, &self.id]).map(drop)
    }
}

/// What a command prints that nobody kills.
fn done(folder: &Path, arguments: &[&str]) -> Outcome<Vec<u8>> {
    let output = command(folder).args(arguments).output()?;
    if !output.status.success() {
        return Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(output.stdout)
}

impl Scene {
    fn new(folder: &Path, seed: u64) -> Outcome<Self> {
        fs::create_dir_all(folder.join("log"))?;
        fs::write(folder.join("policy.yaml"), POLICY)?;
        let gateway = Gateway::start(folder, CONFIG)?;
        let begun = Instant::now();
        if !command(folder).args(["keys", "list"]).stderr(Stdio::null()).status()?.success() {
            return Err("the keys cannot be listed".into());
        }
        // A change waits for gateways behind what a list takes, too.
        let usual = begun.elapsed() + Duration::from_millis(120);
        let mut draw = Draw::new(seed);
        let lanes = (0..LANES).map(|number| Lane::new(number, folder.to_owned(), draw.next(), usual)).collect();
        let seal = Seal::new(folder)?;
        Ok(Self { folder: folder.to_owned(), gateway, lanes, seal, draw, tally: Tally::default() })
    }

    fn kills(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.kills).sum()
    }

    /// Lets every command line work, and kills the gateway at a moment that is drawn, in every second round.
    fn round(&mut self) -> Outcome<()> {
        let ended: Vec<String> =
            self.lanes.iter().flat_map(|lane| &lane.keys).flat_map(|key| key.ended()).map(str::to_owned).collect();
        let mut crash = (self.draw.below(2) == 0).then(|| self.draw.span(Duration::from_millis(600)));
        let Self { folder, gateway, lanes, tally, .. } = self;
        let begun = Instant::now();
        thread::scope(|scope| {
            let work = |lane| scope.spawn(move || Lane::work(lane, EACH).map_err(|error| error.to_string()));
            let working: Vec<_> = lanes.iter_mut().map(work).collect();
            let mut ghosts = ended.iter().cycle();
            while working.iter().any(|lane| !lane.is_finished()) {
                if crash.is_some_and(|moment| begun.elapsed() >= moment) {
                    crash = None;
                    tally.gateways += 1;
                    restart(gateway, folder)?;
                }
                match ghosts.next() {
                    Some(ghost) if status(gateway.address, ghost)? == 200 => {
                        return Err(format!("the value {ghost} has ended and works").into());
                    }
                    Some(_) => tally.haunted += 1,
                    None => {}
                }
                thread::sleep(Duration::from_millis(2));
            }
            for lane in working {
                lane.join().map_err(|_| "a command line panicked")??;
            }
            Ok(())
        })
    }

    /// Compares the store with what was acknowledged, and then the gateway with the store.
    fn judge(&mut self, part: Part) -> Outcome<()> {
        sound(&self.folder.join("keys.db"))?;
        done(&self.folder, &["audit", "verify"])?;
        let mut keys: HashMap<String, Vec<Value>> = HashMap::new();
        for record in self.list("keys", "name")? {
            keys.entry(record.0).or_default().push(record.1);
        }
        let mut accounts: HashMap<String, Value> = self.list("accounts", "id")?.into_iter().collect();
        let mut batches: HashMap<String, bool> = HashMap::new();
        let mut is_whole = |batch: &Option<String>, is_there: bool| match batch {
            Some(batch) if *batches.entry(batch.clone()).or_insert(is_there) != is_there => {
                Err(format!("{batch} was imported in part"))
            }
            _ => Ok(()),
        };
        let mut settled = Vec::new();
        for account in self.lanes.iter_mut().flat_map(|lane| &mut lane.accounts) {
            let record = accounts.remove(&account.id);
            settled.push(account.settle(record.as_ref())?);
            is_whole(&account.batch, record.is_some())?;
        }
        // Those whose id is known take their records first: what is left of a name is of the one clone in doubt.
        let all = self.lanes.iter_mut().flat_map(|lane| &mut lane.keys);
        let (known, unknown): (Vec<_>, Vec<_>) = all.partition(|key| key.id.is_some());
        for key in known.into_iter().chain(unknown) {
            let of_name = keys.entry(key.name.clone()).or_default();
            let place = of_name.iter().position(|record| match &key.id {
                Some(id) => record.get("id").and_then(Value::as_str) == Some(id),
                None => key.may_be_any(),
            });
            let record = place.map(|place| of_name.swap_remove(place));
            settled.push(key.settle(record.as_ref())?);
            is_whole(&key.batch, record.is_some())?;
        }
        self.tally.made += settled.iter().filter(|settled| **settled == Some(true)).count() as u64;
        self.tally.unmade += settled.iter().filter(|settled| **settled == Some(false)).count() as u64;
        let mut left = keys.iter().filter(|(name, records)| *name != Seal::NAME && !records.is_empty());
        match left.next().map(|(name, _)| name).or(accounts.keys().next()) {
            Some(name) => Err(format!("nobody asked for {name}").into()),
            None => self.answers(part),
        }
    }

    /// What the command line lists, deleted things too, each with what it is called by.
    fn list(&self, what: &str, called: &str) -> Outcome<Vec<(String, Value)>> {
        let mut list: Value = serde_json::from_slice(&done(&self.folder, &[what, "list", "--deleted", "--json"])?)?;
        let Some(Value::Array(records)) = list.get_mut(what).map(Value::take) else { return Err("no list".into()) };
        let name = |record: &Value| record.get(called).and_then(Value::as_str).map(str::to_owned);
        let named = |record: Value| Ok((name(&record).ok_or("a record lacks its name")?, record));
        records.into_iter().map(named).collect()
    }

    /// Asks the gateway for every value that was ever printed; where these are many, for another part of them each time. It may be
    /// behind the store at first.
    fn answers(&self, part: Part) -> Outcome<()> {
        let begun = Instant::now();
        let accounts = self.lanes.iter().flat_map(|lane| &lane.accounts);
        let accounts: HashMap<&str, &Account> = accounts.map(|account| (&*account.id, account)).collect();
        let is_active = |id: &str| accounts.get(id).is_some_and(|account| account.state() == Some("active"));
        let parent = |id: &str| accounts.get(id).and_then(|account| account.parent.as_deref());
        let may_work = |id: &str| is_active(id) && parent(id).is_none_or(is_active);
        let values = self.lanes.iter().flat_map(|lane| &lane.keys).flat_map(|key| key.values(&may_work));
        let values: Vec<(&str, u16)> = values.collect();
        let (first, step) = match part {
            Part::Whole => (0, 1),
            Part::Share(round) => (round, 1 + values.len() / AT_ONCE),
        };
        for (value, wanted) in values.into_iter().skip(first % step).step_by(step) {
            loop {
                match status(self.gateway.address, value)? {
                    found if found == wanted => break,
                    found if begun.elapsed() > PATIENCE => {
                        return Err(format!("{value} gets {found} and must get {wanted}").into());
                    }
                    _ => thread::sleep(Duration::from_millis(5)),
                }
            }
        }
        Ok(())
    }
}

/// Kills the gateway and starts it again.
fn restart(gateway: &mut Gateway, folder: &Path) -> Outcome<()> {
    gateway.process.kill()?;
    gateway.process.wait()?;
    let said = folder.join("log/start.txt");
    let begun = Instant::now();
    loop {
        let mut serve = command(folder);
        gateway.process = serve.arg("serve").stdout(Stdio::null()).stderr(File::create(&said)?).spawn()?;
        while gateway.process.try_wait()?.is_none() {
            if gateway.admin("/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err("the gateway does not become ready again".into());
            }
            thread::sleep(Duration::from_millis(2));
        }
        let reason = fs::read_to_string(&said)?;
        // A connection that went out from the port meanwhile is no fault of the gateway.
        if !reason.contains("in use") || begun.elapsed() > PATIENCE {
            return Err(format!("the gateway does not start again: {reason}").into());
        }
    }
}

/// The status that a key gets.
fn status(address: SocketAddr, key: &str) -> Outcome<u16> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let credential = match key.contains(':') {
        true => format!("Basic {}", STANDARD.encode(key)),
        false => format!("Bearer {key}"),
    };
    write!(stream, "GET /things HTTP/1.1\r\nHost: bench\r\nAuthorization: {credential}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let code = answer.split(' ').nth(1).ok_or("no status")?;
    Ok(code.parse()?)
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn run(folder: &Path, kills: u64, seed: u64) -> Outcome<()> {
    println!("seed {seed}");
    let mut scene = Scene::new(folder, seed)?;
    let begun = Instant::now();
    let mut told = 0;
    for round in 0.. {
        scene.round()?;
        scene.seal.press(folder)?;
        scene.judge(Part::Share(round))?;
        let done = scene.kills();
        if done >= kills {
            break;
        }
        if done / MILESTONE > told {
            told = done / MILESTONE;
            println!("{done} killed in {:.0?}: all is there", begun.elapsed());
        }
    }
    // What the gateway knows from the store alone.
    restart(&mut scene.gateway, folder)?;
    scene.judge(Part::Whole)?;
    let Tally { gateways, made, unmade, haunted } = scene.tally;
    let commands: u64 = scene.lanes.iter().map(|lane| lane.commands).sum();
    let keys: usize = scene.lanes.iter().map(|lane| lane.keys.len()).sum();
    let accounts: usize = scene.lanes.iter().map(|lane| lane.accounts.len()).sum();
    println!(
        "{commands} commands, {} killed, in {:.0?}; the gateway killed {gateways} times",
        scene.kills(),
        begun.elapsed()
    );
    println!(
        "of what a killed command left in doubt {made} were changed, {unmade} were not; {keys} keys, {accounts} accounts"
    );
    println!("{haunted} requests with values that had ended, while there were changes");
    println!("nothing is lost");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a bench prints what it found")]
fn main() -> Outcome<ExitCode> {
    // Cargo passes flags of its own.
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let kills = numbers.next().unwrap_or(5_000);
    let clock = Timestamp::now().as_millis().cast_unsigned();
    let seed = numbers.next().unwrap_or(clock);
    match in_folder("crash", |folder| run(folder, kills, seed)) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            println!("NOT as it must be: {error}");
            Ok(ExitCode::FAILURE)
        }
    }
}
