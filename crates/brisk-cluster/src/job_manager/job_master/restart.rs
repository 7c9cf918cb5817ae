//! Restart strategies: whether a job that has failed is restarted, and when (Flink's `RestartBackoffTimeStrategy`).

use brisk_base::options::Configuration;
use brisk_base::options::checkpoint_options::{
    CHECKPOINT_INTERVAL, EXPONENTIAL_ATTEMPTS, EXPONENTIAL_INITIAL, EXPONENTIAL_JITTER, EXPONENTIAL_MAX, EXPONENTIAL_MULTIPLIER,
    EXPONENTIAL_RESET, FAILURE_RATE_DELAY, FAILURE_RATE_INTERVAL, FAILURE_RATE_MAX, FIXED_DELAY, FIXED_DELAY_ATTEMPTS, RESTART_STRATEGY,
};
use brisk_base::world::Rng;
use brisk_base::{Error, Result, Timestamp};
use std::collections::VecDeque;
use std::time::Duration;

/// What is known of the failures so far, and what follows from it.
#[derive(Debug)]
pub enum RestartStrategy {
    /// The first failure ends the job.
    None,
    /// A number of restarts, each after the same time.
    FixedDelay {
        /// How many are left.
        left: u32,
        /// The time.
        delay: Duration,
    },
    /// Not more than so many failures within an interval.
    FailureRate {
        /// How many.
        max: u32,
        /// Within this time.
        interval: Duration,
        /// Restart after.
        delay: Duration,
        /// When the last ones happened.
        failures: VecDeque<Timestamp>,
    },
    /// Longer and longer.
    ExponentialDelay {
        /// The first delay.
        initial: Duration,
        /// The longest.
        max: Duration,
        /// Growth per failure.
        multiplier: f64,
        /// After so long without a failure it begins anew.
        reset: Duration,
        /// Random part.
        jitter: f64,
        /// Failures in a row that are survived.
        attempts: Option<u32>,
        /// The delay of the last restart.
        current: Duration,
        /// Failures since the last reset.
        failures: u32,
        /// When the last restart was due.
        due: Option<Timestamp>,
        /// For the random part.
        rng: Rng,
    },
}

impl RestartStrategy {
    /// The strategy that a job asks for.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub fn of(config: &Configuration, seed: u64) -> Result<Self> {
        let checkpointing = config.get(&CHECKPOINT_INTERVAL)?.is_some_and(|interval| !interval.is_zero());
        let name = config.get(&RESTART_STRATEGY)?;
        let name = name.as_deref().unwrap_or(if checkpointing { "exponential-delay" } else { "none" });
        Ok(match name {
            "none" | "off" | "disable" => Self::None,
            "fixed-delay" | "fixeddelay" => Self::FixedDelay { left: config.get(&FIXED_DELAY_ATTEMPTS)?, delay: config.get(&FIXED_DELAY)? },
            "failure-rate" | "failurerate" => Self::FailureRate {
                max: config.get(&FAILURE_RATE_MAX)?,
                interval: config.get(&FAILURE_RATE_INTERVAL)?,
                delay: config.get(&FAILURE_RATE_DELAY)?,
                failures: VecDeque::new(),
            },
            "exponential-delay" | "exponentialdelay" => Self::exponential(config, seed)?,
            other => {
                return Err(Error::user(format!(
                    "'{}' is '{other}': expected none, fixed-delay, failure-rate or exponential-delay",
                    RESTART_STRATEGY.key()
                )));
            }
        })
    }

    fn exponential(config: &Configuration, seed: u64) -> Result<Self> {
        let multiplier = config.get(&EXPONENTIAL_MULTIPLIER)?;
        if !multiplier.is_finite() || multiplier < 1.0 {
            return Err(Error::user(format!("'{}' is {multiplier}: expected 1 or more", EXPONENTIAL_MULTIPLIER.key())));
        }
        let jitter = config.get(&EXPONENTIAL_JITTER)?;
        if !(0.0..=1.0).contains(&jitter) {
            return Err(Error::user(format!("'{}' is {jitter}: expected 0 to 1", EXPONENTIAL_JITTER.key())));
        }
        let initial = config.get(&EXPONENTIAL_INITIAL)?;
        Ok(Self::ExponentialDelay {
            initial,
            max: config.get(&EXPONENTIAL_MAX)?,
            multiplier,
            reset: config.get(&EXPONENTIAL_RESET)?,
            jitter,
            attempts: config.get(&EXPONENTIAL_ATTEMPTS)?,
            current: initial,
            failures: 0,
            due: None,
            rng: Rng::seeded(seed),
        })
    }

    /// A failure has happened: after how long the job is restarted; `None` when it is not.
    pub fn on_failure(&mut self, now: Timestamp) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::FixedDelay { left, delay } => {
                *left = left.checked_sub(1)?;
                Some(*delay)
            }
            Self::FailureRate { max, interval, delay, failures } => {
                failures.push_back(now);
                while failures.len() > *max as usize + 1 {
                    failures.pop_front();
                }
                let too_many =
                    failures.len() > *max as usize && failures.front().is_some_and(|first| (now - *first).to_duration() < *interval);
                (!too_many).then_some(*delay)
            }
            Self::ExponentialDelay { initial, max, multiplier, reset, jitter, attempts, current, failures, due, rng } => {
                if due.is_some_and(|due| (now - due).to_duration() >= *reset) {
                    (*current, *failures) = (*initial, 0);
                } else if due.is_some() {
                    *current = current.mul_f64(*multiplier).min(*max);
                }
                *failures += 1;
                if attempts.is_some_and(|attempts| *failures > attempts) {
                    return None;
                }
                let spread = (rng.below(2001) as f64 / 1000.0 - 1.0) * *jitter;
                let delay = current.mul_f64(1.0 + spread).min(*max);
                *due = Some(now + delay.into());
                Some(delay)
            }
        }
    }

    /// What is said of the end of a job that is not restarted.
    pub const fn why_not(&self) -> &'static str {
        match self {
            Self::None => "",
            Self::FixedDelay { .. } => "no restart is left ('restart-strategy.fixed-delay.attempts')",
            Self::FailureRate { .. } => "it has failed too often ('restart-strategy.failure-rate.max-failures-per-interval')",
            Self::ExponentialDelay { .. } => "it has failed too often ('restart-strategy.exponential-delay.attempts-before-reset-backoff')",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(settings: &[(&str, &str)]) -> RestartStrategy {
        RestartStrategy::of(&settings.iter().copied().collect(), 7).expect("right settings")
    }

    fn seconds(n: i64) -> Timestamp {
        Timestamp(n * 1000)
    }

    #[test]
    fn without_checkpoints_nothing_is_restarted_unless_asked() {
        assert_eq!(strategy(&[]).on_failure(seconds(0)), None);
        assert!(strategy(&[("execution.checkpointing.interval", "1s")]).on_failure(seconds(0)).is_some());
        let wrong = RestartStrategy::of(&[("restart-strategy.type", "sometimes")].into_iter().collect(), 0);
        assert!(wrong.expect_err("no such strategy").to_string().contains("expected none, fixed-delay"));
    }

    #[test]
    fn a_fixed_number_of_restarts() {
        let settings = [("restart-strategy", "fixed-delay"), ("restart-strategy.fixed-delay.attempts", "2")];
        let mut strategy = strategy(&settings);
        let delays: Vec<_> = (0..3).map(|at| strategy.on_failure(seconds(at))).collect();
        assert_eq!(delays, [Some(Duration::from_secs(1)), Some(Duration::from_secs(1)), None]);
    }

    #[test]
    fn so_many_failures_in_an_interval() {
        let rate = "restart-strategy.failure-rate.max-failures-per-interval";
        let mut strategy = strategy(&[("restart-strategy.type", "failure-rate"), (rate, "2")]);
        assert!(strategy.on_failure(seconds(0)).is_some());
        assert!(strategy.on_failure(seconds(10)).is_some());
        assert!(strategy.on_failure(seconds(61)).is_some(), "the first was more than a minute ago");
        assert_eq!(strategy.on_failure(seconds(62)), None);
    }

    #[test]
    fn delays_grow_and_begin_anew() {
        let mut strategy =
            strategy(&[("restart-strategy.type", "exponential-delay"), ("restart-strategy.exponential-delay.jitter-factor", "0")]);
        let mut delay = |at| strategy.on_failure(seconds(at)).expect("any number").as_millis();
        assert_eq!((delay(0), delay(2), delay(4)), (1000, 1500, 2250));
        for at in 10..30 {
            delay(at);
        }
        assert_eq!(delay(100), 60_000);
        assert_eq!(delay(100_000), 1000, "quiet for long");
    }
}
