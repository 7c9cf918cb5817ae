//! The whole control plane in one thread: whatever order messages arrive in, every job ends and nothing is left of it.

use crate::fake::{Fakes, Trouble, virtual_world};
use crate::jobs::{Enumerator, Numbers, source_to_sink};
use brisk_base::options::Configuration;
use brisk_base::world::Rng;
use brisk_cluster::Gateway;
use brisk_cluster::services::Services;
use brisk_cluster::transport::ControlPlane;
use brisk_core::job::{JobClient, JobExecutor, JobStatus};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// Actors of a cluster without jobs: dispatcher, resource manager, TaskManager.
const IDLE_ACTORS: usize = 3;

/// A random run of some jobs.
#[derive(Clone, Debug)]
struct Run {
    seed: u64,
    jobs: usize,
    parallelism: u32,
    /// Slots of the cluster, if they are limited.
    slots: Option<u32>,
    trouble: Trouble,
    enumerator: Enumerator,
    /// A job is cancelled about once in so many steps; 0 for never.
    cancel_every: u64,
}

impl Run {
    /// The statuses in which the jobs end.
    fn play(&self) -> Vec<(JobStatus, String)> {
        let (world, hand) = virtual_world(self.seed);
        let mut rng = Rng::seeded(self.seed ^ 1);
        let fakes = Fakes::new(self.seed ^ 2, self.trouble);
        let mut config: Configuration = [("task.cancellation.timeout", "3 s")].into_iter().collect();
        if let Some(slots) = self.slots {
            config.set_text("taskmanager.numberOfTaskSlots", slots.to_string());
        }
        let mut plane = ControlPlane::stepped(&world);
        let gateway = Gateway::assemble(&mut plane, &world, &config, Arc::new(fakes.clone()), &Services::default()).expect("good config");
        let numbers = Numbers { enumerator: self.enumerator, rows: Some(1) };
        let submit = || {
            let graph = source_to_sink((numbers, self.parallelism), self.parallelism, |_| Ok(()));
            gateway.submit(graph, &Configuration::new()).expect("a good job")
        };
        let clients: Vec<Arc<dyn JobClient>> = (0..self.jobs).map(|_| submit()).collect();
        let over = || clients.iter().all(|client| client.wait_for(Duration::ZERO).is_some());
        for steps in 0.. {
            assert!(steps < 200_000, "does not end: {:?}", clients.iter().map(|client| client.status()).collect::<Vec<_>>());
            if self.cancel_every > 0 && rng.one_in(self.cancel_every) {
                clients[rng.below(self.jobs as u64) as usize].cancel();
            }
            let moved = if rng.one_in(3) { fakes.step() } else { plane.step(&mut rng) };
            if !moved && !plane.step(&mut rng) {
                if over() && fakes.live() == 0 && plane.actor_count() == IDLE_ACTORS {
                    break;
                }
                // Tasks that are stuck make no progress: time has to pass.
                if (fakes.live() == 0 || self.trouble.stuck && rng.one_in(50))
                    && let Some(next) = plane.next_timer()
                {
                    hand.set(next);
                }
            }
        }
        let result = |client: &Arc<dyn JobClient>| client.wait_for(Duration::ZERO).expect("over");
        clients.iter().map(|client| (client.status(), result(client).err().map_or(String::new(), |error| error.to_string()))).collect()
    }
}

fn runs() -> impl Strategy<Value = Run> {
    let enumerators = prop_oneof![
        6 => (0u32..3).prop_map(Enumerator::Gives),
        1 => Just(Enumerator::FailsAtStart),
        1 => Just(Enumerator::PanicsAtRequest),
        1 => Just(Enumerator::PanicsWhenMade),
        1 => Just(Enumerator::PanicsWhenDropped),
    ];
    let trouble = (any::<bool>(), any::<bool>()).prop_map(|(failures, stuck)| Trouble { failures, stuck });
    let cancels = prop_oneof![Just(0u64), Just(30), Just(300)];
    (any::<u64>(), 1usize..5, 1u32..5, any::<bool>(), trouble, enumerators, cancels).prop_map(
        |(seed, jobs, parallelism, limited, trouble, enumerator, cancel_every)| {
            let slots = limited.then_some(parallelism + (seed % 3) as u32);
            Run { seed, jobs, parallelism, slots, trouble, enumerator, cancel_every }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn every_job_ends_and_leaves_nothing(run in runs()) {
        let ends = run.play();
        let gives = matches!(run.enumerator, Enumerator::Gives(_) | Enumerator::PanicsWhenDropped);
        for (status, error) in &ends {
            prop_assert!(status.is_globally_terminal());
            prop_assert_eq!(*status == JobStatus::Finished, error.is_empty());
            // Where tasks may be stuck, time passes, and a job may wait for slots in vain.
            if gives && !run.trouble.failures && !run.trouble.stuck && run.cancel_every == 0 {
                prop_assert_eq!(*status, JobStatus::Finished, "{}", error);
            }
            if run.cancel_every == 0 {
                prop_assert!(*status != JobStatus::Canceled, "nobody cancelled it");
            }
            if !gives && !run.trouble.failures && !run.trouble.stuck && run.cancel_every == 0 {
                prop_assert!(error.contains("coordinator of operator 'source'"), "{}", error);
            }
        }
        prop_assert_eq!(ends, run.play(), "the same seed gives the same end");
    }
}

#[test]
fn a_job_that_is_cancelled_at_once_never_runs_to_its_end() {
    for seed in 0..200 {
        let (world, _) = virtual_world(seed);
        let (mut plane, mut rng) = (ControlPlane::stepped(&world), Rng::seeded(seed));
        let fakes = Fakes::new(seed, Trouble { failures: false, stuck: false });
        let gateway = Gateway::assemble(&mut plane, &world, &Configuration::new(), Arc::new(fakes.clone()), &Services::default())
            .expect("good config");
        let numbers = Numbers { enumerator: Enumerator::Gives(1), rows: Some(1) };
        let client = gateway.submit(source_to_sink((numbers, 2), 2, |_| Ok(())), &Configuration::new()).expect("a good job");
        client.cancel();
        while plane.step(&mut rng) || fakes.step() {}
        assert_eq!((client.status(), plane.actor_count()), (JobStatus::Canceled, IDLE_ACTORS), "seed {seed}");
    }
}
