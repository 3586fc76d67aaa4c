//! Callers that each ask one thing after the other, as fast as they are answered, and the account of what the proxy took for it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::answer::Incoming;
use crate::order::Order;
use crate::streams;
use crate::usage::{Mark, Span, Watched};
use crate::{Outcome, READ, local};

/// How the callers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    H1,
    H1Tls,
    H2Tls,
    H2c,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) port: u16,
    pub(crate) orders: Vec<Order>,
    pub(crate) protocol: Protocol,
    /// Connections.
    pub(crate) callers: usize,
    /// Requests at once on each of them, with HTTP/2.
    pub(crate) streams: usize,
    /// The certificate that a TLS listener shows.
    pub(crate) certificate: PathBuf,
    /// Before anything counts, and while it does.
    pub(crate) warm: Duration,
    pub(crate) span: Duration,
    pub(crate) watched: Watched,
}

fn processes(text: &str) -> Outcome<Vec<u32>> {
    text.split(',').filter(|process| !process.is_empty()).map(|process| Ok(process.parse()?)).collect()
}

impl Plan {
    pub(crate) fn new(port: u16, requests: &Path, options: &[&str]) -> Outcome<Self> {
        let mut plan = Self {
            port,
            orders: Order::read_all(requests)?,
            protocol: Protocol::H1,
            callers: 64,
            streams: 1,
            certificate: PathBuf::new(),
            warm: Duration::from_millis(300),
            span: Duration::from_secs(1),
            watched: Watched::default(),
        };
        for option in options.chunks(2) {
            match option {
                ["--protocol", "h1"] => plan.protocol = Protocol::H1,
                ["--protocol", "h1-tls"] => plan.protocol = Protocol::H1Tls,
                ["--protocol", "h2-tls"] => plan.protocol = Protocol::H2Tls,
                ["--protocol", "h2c"] => plan.protocol = Protocol::H2c,
                ["--callers", count] => plan.callers = count.parse()?,
                ["--streams", count] => plan.streams = count.parse()?,
                ["--certificate", path] => plan.certificate = PathBuf::from(path),
                ["--warm", seconds] => plan.warm = Duration::from_secs_f64(seconds.parse()?),
                ["--seconds", seconds] => plan.span = Duration::from_secs_f64(seconds.parse()?),
                ["--proxy", list] => plan.watched.proxy = processes(list)?,
                ["--beside", list] => plan.watched.beside = processes(list)?,
                _ => return Err(format!("{option:?} is no option of load with its value").into()),
            }
        }
        Ok(plan)
    }
}

/// A span goes on until there are so many answers, or until it has gone on so often: on a machine with other work a proxy may not
/// have had its turn yet.
const LEAST: u64 = 100;
pub(crate) const EXTENSIONS: u32 = 100;

/// What came.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Answers by status.
    statuses: BTreeMap<u16, u64>,
    /// Versions of TLS with their ciphers that were agreed upon: one, where all connections are alike.
    agreed: BTreeSet<String>,
}

impl Tally {
    pub(crate) fn count(&mut self, status: u16) {
        *self.statuses.entry(status).or_default() += 1;
    }

    pub(crate) fn agree(&mut self, what: String) {
        self.agreed.insert(what);
    }

    /// Nothing of what came until now counts.
    pub(crate) fn begin(&mut self) {
        self.statuses.clear();
    }

    /// Whether there are enough answers to say anything.
    pub(crate) fn is_enough(&self) -> bool {
        self.statuses.values().sum::<u64>() >= LEAST
    }

    /// Prints what came of it, as JSON.
    #[expect(clippy::print_stdout, reason = "a bench prints its figures")]
    pub(crate) fn print(&self, Span { seconds, proxy, load }: Span) {
        let statuses: Vec<String> =
            self.statuses.iter().map(|(status, count)| format!("\"{status}\":{count}")).collect();
        let statuses = statuses.join(",");
        // They need no escapes, so that JSON quotes them as Rust does.
        let agreed: Vec<&String> = self.agreed.iter().collect();
        println!(
            "{{\"statuses\":{{{statuses}}},\"agreed\":{agreed:?},\"seconds\":{seconds},\"proxy_ns\":{proxy},\"load_ns\":{load}}}"
        );
    }
}

/// One that asks.
struct Caller {
    stream: TcpStream,
    incoming: Incoming,
    /// Which request is under way, and how much of it has gone out.
    order: usize,
    written: usize,
}

impl Caller {
    fn write(&mut self, requests: &[Vec<u8>]) -> Outcome<()> {
        let request = requests.get(self.order % requests.len()).ok_or("no request")?;
        while let Some(rest) = request.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads what is there, and asks the next thing after each answer.
    fn read(&mut self, requests: &[Vec<u8>], (input, tally): (&mut [u8], &mut Tally)) -> Outcome<()> {
        loop {
            let count = match self.stream.read(input) {
                Ok(0) => return Err("the proxy closed a connection".into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if let Some(status) = self.incoming.take(input.get(..count).unwrap_or_default())? {
                tally.count(status);
                self.order += 1;
                self.written = 0;
                self.write(requests)?;
            }
            if count < input.len() {
                return Ok(());
            }
        }
    }
}

/// Where the measurement stands.
enum Stage {
    Warm,
    Counting(Mark),
}

fn call(plan: &Plan) -> Outcome<()> {
    let requests: Vec<Vec<u8>> = plan.orders.iter().map(Order::bytes).collect();
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
    let mut callers = Vec::new();
    for number in 0..plan.callers {
        let mut stream = TcpStream::from_std({
            let stream = std::net::TcpStream::connect(local(plan.port))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            stream
        });
        poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
        // Each begins elsewhere, so that they never ask the same at once.
        let order = number * requests.len() / plan.callers;
        callers.push(Caller { stream, incoming: Incoming::default(), order, written: 0 });
    }
    for caller in &mut callers {
        caller.write(&requests)?;
    }
    let (mut stage, mut tally, mut input) = (Stage::Warm, Tally::default(), vec![0; READ]);
    let mut extensions = 0;
    let mut until = Instant::now() + plan.warm;
    loop {
        match poll.poll(&mut events, Some(Duration::from_secs(10))) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            Ok(()) if events.is_empty() => return Err("no answer for ten seconds".into()),
            _ => {}
        }
        for event in &events {
            let Some(caller) = callers.get_mut(event.token().0) else { continue };
            if event.is_writable() && caller.written > 0 {
                caller.write(&requests)?;
            }
            if event.is_readable() {
                caller.read(&requests, (&mut input, &mut tally))?;
            }
        }
        if Instant::now() < until {
            continue;
        }
        match stage {
            Stage::Warm => {
                tally.begin();
                stage = Stage::Counting(plan.watched.mark()?);
                until = Instant::now() + plan.span;
            }
            Stage::Counting(_) if !tally.is_enough() && extensions < EXTENSIONS => {
                until += plan.span;
                extensions += 1;
            }
            Stage::Counting(begun) => {
                tally.print(begun.to(plan.watched.mark()?));
                return Ok(());
            }
        }
    }
}

/// Does what is planned, and prints what came of it.
pub(crate) fn run(plan: &Plan) -> Outcome<()> {
    match plan.protocol {
        Protocol::H1 => call(plan),
        _ => streams::call(plan),
    }
}
