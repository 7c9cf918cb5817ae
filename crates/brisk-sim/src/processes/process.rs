//! A simulated process: actors of its own, tasks if it runs any, and the links that lead to others.

use super::network::Network;
use brisk_base::world::{MonoTime, Rng};
use brisk_cluster::link::{KeepLink, Link, LinkKeeper};
use brisk_cluster::transport::ControlPlane;
use brisk_runtime::executor::StepExecutor;
use std::sync::Arc;

/// See the module.
pub(crate) struct Process {
    pub(crate) plane: ControlPlane,
    /// Runs its tasks.
    pub(crate) executor: Option<Arc<StepExecutor>>,
    /// Its links, with the numbers of their connections.
    links: Vec<(u64, Arc<Link>)>,
    /// It is stopped until then.
    pub(crate) stopped_until: MonoTime,
}

impl Process {
    pub(crate) const fn new(plane: ControlPlane, executor: Option<Arc<StepExecutor>>) -> Self {
        Self { plane, executor, links: Vec::new(), stopped_until: MonoTime(0) }
    }

    /// Keeps a link.
    pub(crate) fn keep(&mut self, connection: u64, link: &Arc<Link>) {
        self.links.retain(|(_, link)| !link.is_over());
        self.links.push((connection, Arc::clone(link)));
        self.plane.spawn(LinkKeeper(Arc::clone(link))).send(KeepLink);
    }

    /// Connections that are not over.
    pub(crate) fn connections(&self) -> Vec<u64> {
        self.links.iter().filter(|(_, link)| !link.is_over()).map(|(connection, _)| *connection).collect()
    }

    /// Does one thing, if there is one to do.
    pub(crate) fn step(&mut self, rng: &mut Rng, checks: u32) -> bool {
        if let Some(executor) = &self.executor {
            executor.fire_due();
            if rng.one_in(2) && executor.run_one(rng, checks).is_some() {
                return true;
            }
        }
        self.plane.step(rng) || self.executor.as_ref().is_some_and(|executor| executor.run_one(rng, checks).is_some())
    }

    /// When there is something to do next, if not now.
    pub(crate) fn next_time(&mut self) -> MonoTime {
        let tasks = self.executor.as_ref().map_or(MonoTime::NEVER, |executor| executor.next_deadline());
        tasks.min(self.plane.next_timer().unwrap_or(MonoTime::NEVER)).max(self.stopped_until)
    }

    /// It is gone, without a word to anybody: what others notice is that its connections are broken, or nothing but silence.
    pub(crate) fn crash(self, network: &Network, silently: bool) {
        for (connection, _) in &self.links {
            if !silently {
                network.break_off(*connection);
            }
            network.silence(*connection);
        }
        self.bury("it has crashed");
    }

    /// Ends it. Its links say so if they can.
    pub(crate) fn bury(self, why: &str) {
        if let Some(executor) = &self.executor {
            executor.shutdown();
        }
        self.links.iter().for_each(|(_, link)| link.close(why));
        self.plane.end();
    }
}
