use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::keys::id_of;
use crate::support::command::{Output, finish};
use crate::support::postgres::{ESCAPED, Server};
use crate::support::wire::find;
use crate::support::{Gateway, Setup, Upstream, until};

/// What a gateway says of a load alone, and how a load ends.
const OF_A_LOAD: [&[u8]; 2] = [b"scopegate.former_values", b"COMMIT"];

/// A way to a server that is cut when a load of keys is to end: its COMMIT never arrives.
struct Wire {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// How much of a load is still to be seen before the way is cut; nothing where it is not to be cut.
    awaited: &'static [&'static [u8]],
    is_cut: bool,
    ends: Vec<TcpStream>,
}

impl State {
    /// Looks at what a gateway says, and tells whether it goes through.
    fn passes(&mut self, said: &[u8]) -> bool {
        while let [next, rest @ ..] = self.awaited {
            if find(said, next).is_none() {
                break;
            }
            (self.awaited, self.is_cut) = (rest, rest.is_empty());
        }
        if self.is_cut {
            self.ends.drain(..).for_each(|end| drop(end.shutdown(Shutdown::Both)));
        }
        !self.is_cut
    }
}

impl Wire {
    fn to(server: &Server) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let (here, there) = (listener.local_addr().expect("its address").port(), server.port);
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if !shared.lock().expect("the state").is_cut
                    && let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, there))
                {
                    Self::join([near, far], &shared);
                }
            }
        });
        Self { port: here, state }
    }

    fn join(ends: [TcpStream; 2], state: &Arc<Mutex<State>>) {
        let [near, far] = ends.each_ref().map(|end| end.try_clone().expect("another handle"));
        state.lock().expect("the state").ends.extend(ends);
        let [near_too, far_too] = [&near, &far].map(|end| end.try_clone().expect("another handle"));
        for (mut from, mut to, is_asked) in [(near, far, true), (far_too, near_too, false)] {
            let state = Arc::clone(state);
            thread::spawn(move || {
                let mut bytes = [0; 1 << 16];
                while let Ok(count @ 1..) = from.read(&mut bytes) {
                    let passes = !is_asked || state.lock().expect("the state").passes(&bytes[..count]);
                    if !passes || to.write_all(&bytes[..count]).is_err() {
                        break;
                    }
                }
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    }

    fn url(&self) -> String {
        format!("postgres://owner:{ESCAPED}@127.0.0.1:{}/keys?sslmode=disable", self.port)
    }

    /// Cuts the way when the next load is to end.
    fn break_off_a_load(&self) {
        self.state.lock().expect("the state").awaited = &OF_A_LOAD;
    }

    fn wait_until_cut(&self) {
        until("a load is broken off", || self.state.lock().expect("the state").is_cut.then_some(()));
    }

    fn cut(&self) {
        let mut state = self.state.lock().expect("the state");
        state.is_cut = true;
        state.passes(b"");
    }

    fn mend(&self) {
        self.state.lock().expect("the state").is_cut = false;
    }
}

/// Takes a copy of the database, which nobody may have open.
fn copy(server: &Server) {
    let copy = || server.try_to_run("postgres", "CREATE DATABASE other TEMPLATE keys OWNER owner").ok();
    until("nobody has it open", copy);
}

/// Puts the copy in the place of the database: a server that lacks the last changes takes over.
fn put_copy_in_place(server: &Server) {
    until("nobody has it open", || server.try_to_run("postgres", "ALTER DATABASE keys RENAME TO lost").ok());
    server.run("postgres", "ALTER DATABASE other RENAME TO keys");
}

/// Keys that are made and changed past the wire.
struct Desk(Setup);

impl Desk {
    fn run(&self, arguments: &[&str]) -> Output {
        finish(self.0.command().args(arguments)).exits(0)
    }

    fn key(&self) -> String {
        self.run(&["keys", "create", "--name", "key", "--full"]).stdout.trim().to_owned()
    }
}

fn begin() -> Option<(Server, Wire, Desk, Upstream)> {
    let server = Server::private()?;
    server.run("postgres", "CREATE DATABASE keys OWNER owner");
    let (wire, upstream) = (Wire::to(&server), Upstream::ok());
    let desk = Desk(Setup::new(&upstream).with_store(&server.url_of("owner", "keys")).written());
    Some((server, wire, desk, upstream))
}

fn status(gateway: &Gateway, key: &str) -> u16 {
    gateway.get("/api/whoami", key).status()
}

fn wait_for(wanted: u16, gateway: &Gateway, key: &str) {
    until("the change arrives", || (status(gateway, key) == wanted).then_some(()));
}

#[test]
fn a_change_that_is_lost_with_its_server_while_it_is_loaded_outranks_none_of_the_one_that_takes_over() {
    let Some((server, wire, desk, upstream)) = begin() else { return };
    let gateway = Setup::new(&upstream).with_store(&wire.url()).start();
    let (key, kept) = (gateway.key(&["--full"]), gateway.key(&["--full"]));
    let id = id_of(&gateway, &key);
    desk.run(&["keys", "disable", &id]);
    wait_for(401, &gateway, &key);
    wire.cut();
    copy(&server);
    wire.mend();
    until("it is followed", || (gateway.metric("scopegate_store_up", &[]) == 1.0).then_some(()));
    wire.break_off_a_load();
    desk.run(&["keys", "enable", &id]);
    wire.wait_until_cut();
    put_copy_in_place(&server);
    // The number of the change that was lost is given to this one.
    desk.run(&["keys", "revoke", &id]);
    assert_eq!(status(&gateway, &kept), 200, "the others go on");
    wire.mend();
    desk.run(&["keys", "revoke", &id, "--wait=30s"]).says(&["1 gateway has confirmed"]);
    assert_eq!((status(&gateway, &key), status(&gateway, &kept)), (401, 200));
}

#[test]
fn a_first_load_that_breaks_off_lets_no_key_in_and_leaves_none_behind() {
    let Some((server, wire, desk, upstream)) = begin() else { return };
    let key = desk.key();
    copy(&server);
    let stray = desk.key();
    wire.break_off_a_load();
    let gateway = Setup::new(&upstream).with_store(&wire.url()).keys("  max_stale: none").start_unready();
    wire.wait_until_cut();
    gateway.process.wait_for("the start", |said| said.contains("\"serving\"").then_some(()));
    for key in [&key, &stray] {
        assert_eq!(status(&gateway, key), 503);
    }
    // And once more, of the store that it waits for.
    wire.break_off_a_load();
    wire.mend();
    wire.wait_until_cut();
    for key in [&key, &stray] {
        assert_eq!(status(&gateway, key), 503);
    }
    let ready = gateway.admin("/readyz");
    assert_eq!(ready.status(), 503);
    assert!(ready.body_text().contains("no key is let in until it is"), "{}", ready.body_text());
    put_copy_in_place(&server);
    wire.mend();
    until("it is ready", || gateway.is_ready().then_some(()));
    assert_eq!((status(&gateway, &key), status(&gateway, &stray)), (200, 401));
}
