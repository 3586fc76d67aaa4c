//! The servers of the upstream as one worker sees them, and which of them a request goes to.
//!
//! Of two servers drawn at random the one with fewer requests under way is asked: nearly as even as asking the least
//! loaded of all, and no herd runs to one that has just come back (Mitzenmacher, "The Power of Two Choices", 2001).

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use crate::proxy::watch::Watch;
use crate::proxy::worker::View;
use crate::snapshot::{self, HostRule, Protocol, Snapshot};
use crate::telemetry::metrics::WorkerCells;

use super::{Origin, Pool, Sockets};

/// The servers of one generation of the configuration; at least one.
pub(crate) struct Fleet {
    servers: Vec<Rc<Server>>,
    /// Failures in a row after which a server is left out.
    eject_after: u32,
    /// The state of the dice.
    dice: Cell<u64>,
}

/// One server, with this worker's connections to it.
pub(crate) struct Server {
    pub(crate) origin: Origin,
    pub(crate) pool: Rc<Pool>,
    /// Requests of this worker that are under way there.
    active: Rc<Cell<usize>>,
}

/// Counts a request as under way until it is dropped.
pub(crate) struct Active<'s>(&'s Server);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get().saturating_sub(1));
    }
}

impl Server {
    /// Enters a request.
    pub(crate) fn begin(&self) -> Active<'_> {
        self.active.set(self.active.get() + 1);
        Active(self)
    }

    /// True where `Host` is to be the name of whichever server is asked, and this is not the one it was written for.
    pub(crate) fn is_named_in_host(&self, view: &View) -> bool {
        let upstream = &view.snapshot.config.upstream;
        self.origin.server.standing.is_some()
            && upstream.host == HostRule::Url
            && upstream.urls.first().is_some_and(|first| first.authority != self.origin.server.authority)
    }

    fn is_out(&self) -> bool {
        self.origin.server.standing.as_ref().is_some_and(|standing| standing.is_out())
    }
}

/// What a worker gives its pools.
pub(crate) struct Means<'w> {
    pub(crate) watch: &'w Rc<Watch>,
    pub(crate) cells: &'w Arc<WorkerCells>,
    pub(crate) sockets: &'w Arc<Sockets>,
    /// Starts the dice.
    pub(crate) seed: u64,
}

impl Fleet {
    /// The servers of `snapshot`. Connections to those that `before` had are kept.
    pub(crate) fn of(snapshot: &Snapshot, before: Option<&Self>, means: &Means<'_>) -> Self {
        let limits = &snapshot.config.limits;
        let stall = limits.body_stall.max(limits.write_stall);
        let (protocol, patience) = (snapshot.config.upstream.protocol, snapshot.config.upstream.timeouts.connect);
        // Over HTTP/1.1 each caller may need one, whichever worker has it.
        means.sockets.allow(limits.connections);
        let servers: Vec<_> = snapshot
            .servers
            .iter()
            .map(|server| {
                let known = before.and_then(|before| before.known(server, protocol));
                let new = || Pool::new(Rc::clone(means.watch), means.cells, means.sockets);
                let pool = known.map_or_else(new, |known| Rc::clone(&known.pool));
                // What is under way stays under way across a reload.
                let active = known.map_or_else(Rc::default, |known| Rc::clone(&known.active));
                Rc::new(Server { origin: Origin { server: server.clone(), protocol, patience, stall }, pool, active })
            })
            .collect();
        for gone in before.iter().flat_map(|before| &before.servers) {
            if !servers.iter().any(|server| Rc::ptr_eq(&server.pool, &gone.pool)) {
                gone.pool.retire();
            }
        }
        Self {
            servers,
            eject_after: snapshot.config.upstream.health.eject_after,
            // Xorshift never leaves 0.
            dice: Cell::new(means.seed | 1),
        }
    }

    fn known(&self, server: &snapshot::Server, protocol: Protocol) -> Option<&Rc<Server>> {
        self.servers.iter().find(|known| known.origin.protocol == protocol && known.origin.server.is(server))
    }

    pub(crate) fn servers(&self) -> &[Rc<Server>] {
        &self.servers
    }

    /// The server to ask; `None` only where there is none at all.
    pub(crate) fn choose(&self) -> Option<&Rc<Server>> {
        match self.servers.as_slice() {
            [only] => Some(only),
            _ => {
                let all = self.are_all_asked();
                self.draw(|server| all || !server.is_out())
            }
        }
    }

    /// The place of `server` among the others, where there are any.
    pub(crate) fn place(&self, server: &Rc<Server>) -> Option<usize> {
        server.origin.server.standing.as_ref()?;
        self.servers.iter().position(|known| Rc::ptr_eq(known, server))
    }

    /// True where so many servers are out that all are asked: see [`snapshot::are_all_asked`].
    fn are_all_asked(&self) -> bool {
        snapshot::are_all_asked(self.servers.iter().map(|server| &server.origin.server))
    }

    /// A server that was not tried for a request yet; one that is out only where no other is left.
    pub(crate) fn other(&self, tried: &[&Rc<Server>]) -> Option<&Rc<Server>> {
        let is_new = |server: &Rc<Server>| !tried.iter().any(|tried| Rc::ptr_eq(tried, server));
        self.draw(|server| is_new(server) && !server.is_out()).or_else(|| self.draw(is_new))
    }

    /// Of two of those that `may` be asked, the one that is less busy.
    fn draw(&self, may: impl Fn(&Rc<Server>) -> bool) -> Option<&Rc<Server>> {
        let may = |server: &&Rc<Server>| may(server);
        let among = self.servers.iter().filter(may).count();
        let first = self.servers.iter().filter(may).nth(self.roll(among))?;
        // Drawn from those beside the first, so that it is another one.
        let others = || self.servers.iter().filter(may).filter(|other| !Rc::ptr_eq(other, first));
        let second = others().nth(self.roll(among.saturating_sub(1)));
        Some(second.filter(|second| second.active.get() < first.active.get()).unwrap_or(first))
    }

    /// A number below `sides`.
    fn roll(&self, sides: usize) -> usize {
        let mut state = self.dice.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.dice.set(state);
        usize::try_from(state >> 33).unwrap_or(0).checked_rem(sides).unwrap_or(0)
    }

    /// Notes that `server` answered so.
    pub(crate) fn note_answer(&self, server: &Server, status: u16) {
        match (&server.origin.server.standing, status) {
            // What a server says whose own upstream is gone, or that is overloaded.
            (_, 502..=504) => self.note_failure(server, || format!("it answered {status}")),
            (Some(standing), _) => standing.succeed(),
            (None, _) => server.origin.server.alone.iter().for_each(|alone| alone.recover()),
        }
    }

    /// Notes that `server` did not answer as it should; `why` says how, should it be the last of several times.
    pub(crate) fn note_failure(&self, server: &Server, why: impl FnOnce() -> String) {
        if let Some(alone) = &server.origin.server.alone {
            alone.fail(self.eject_after);
        }
        let Some(standing) = &server.origin.server.standing else { return };
        if standing.fail(self.eject_after) {
            let (name, failures, why) = (&*server.origin.server.name(), self.eject_after, &*why());
            if self.are_all_asked() {
                tracing::warn!(
                    server = name,
                    failures,
                    why,
                    "a server of the upstream failed several times in a row; more than half have, so that all are asked"
                );
            } else {
                tracing::warn!(
                    server = name,
                    failures,
                    why,
                    "a server of the upstream failed several times in a row; requests go to the others"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::exchange::tests::stage;

    #[test]
    fn what_is_under_way_counts_across_a_reload() {
        let stage = stage();
        let (view, cells) = (stage.worker.view(), stage.metrics.worker(0).unwrap());
        let means = Means { watch: &stage.worker.watch, cells: &cells, sockets: &Sockets::new(1), seed: 1 };
        let under_way = view.fleet.servers[0].begin();
        let after = Fleet::of(&view.snapshot, Some(&view.fleet), &means);
        assert_eq!(after.servers[0].active.get(), 1);
        drop(under_way);
        assert_eq!(after.servers[0].active.get(), 0);
    }
}
