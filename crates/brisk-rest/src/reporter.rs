//! `metrics.reporter.*`: Flink's Prometheus reporters, each with a port of its own beside REST.
//!
//! The JobManager has the metrics of all processes, so it alone serves them; what TaskManagers are configured with does nothing there.

use brisk_base::options::Configuration;
use brisk_base::{Error, Result, ResultExt};
use std::net::TcpListener;
use std::ops::RangeInclusive;

/// Flink's port, where none is named.
const DEFAULT_PORT: u16 = 9249;

/// A reporter that waits to be scraped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reporter {
    name: String,
    /// The first of these that is free is its port.
    ports: RangeInclusive<u16>,
}

impl Reporter {
    /// The reporters that a configuration names.
    ///
    /// # Errors
    /// When one has ports that are none.
    pub(crate) fn all(config: &Configuration) -> Result<Vec<Self>> {
        let chosen = config.text("metrics.reporters").map(|names| names.split(',').map(str::trim).collect::<Vec<_>>());
        let mut found = Vec::new();
        for (key, class) in config.iter() {
            let Some(rest) = key.strip_prefix("metrics.reporter.") else { continue };
            let Some(name) = rest.strip_suffix(".factory.class") else { continue };
            if chosen.as_ref().is_some_and(|chosen| !chosen.contains(&name)) {
                continue;
            }
            if class.rsplit('.').next() != Some("PrometheusReporterFactory") {
                tracing::warn!(reporter = name, class, "only Flink's PrometheusReporterFactory is known; this reporter is ignored");
                continue;
            }
            let key = format!("metrics.reporter.{name}.port");
            let ports = config.text(&key).map_or(Some(DEFAULT_PORT..=DEFAULT_PORT), ports);
            let ports = ports.ok_or_else(|| Error::user(format!("option '{key}' is no port, nor a range of ports such as 9250-9260")))?;
            found.push(Self { name: name.to_owned(), ports });
        }
        Ok(found)
    }

    /// Binds the first free port.
    ///
    /// # Errors
    /// When none is free.
    pub(crate) fn bind(&self, host: &str) -> Result<TcpListener> {
        let mut last = Error::user("there is no port");
        for port in self.ports.clone() {
            match TcpListener::bind((host, port)) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error.into(),
            }
        }
        let Self { name, ports } = self;
        Err(last).context(|| format!("binding '{host}:{}-{}' ('metrics.reporter.{name}.port')", ports.start(), ports.end()))
    }
}

/// `9249`, or `9250-9260`.
fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reporters(pairs: &[(&str, &str)]) -> Result<Vec<Reporter>> {
        Reporter::all(&pairs.iter().copied().collect())
    }

    #[test]
    fn flinks_keys_name_reporters() {
        let class = ("metrics.reporter.prom.factory.class", "org.apache.flink.metrics.prometheus.PrometheusReporterFactory");
        let expected = |ports| vec![Reporter { name: "prom".to_owned(), ports }];
        assert_eq!(reporters(&[class]).expect("it is right"), expected(9249..=9249));
        let ranged = [class, ("metrics.reporter.prom.port", "9250-9260")];
        assert_eq!(reporters(&ranged).expect("it is right"), expected(9250..=9260));
        assert_eq!(reporters(&[class, ("metrics.reporters", "jmx, prom")]).expect("it is right").len(), 1);
        assert_eq!(reporters(&[class, ("metrics.reporters", "jmx")]).expect("it is right"), []);
        assert_eq!(reporters(&[("metrics.reporter.x.factory.class", "org.example.Other")]).expect("it is ignored"), []);
        for wrong in ["x", "9260-9250", "70000", ""] {
            let error = reporters(&[class, ("metrics.reporter.prom.port", wrong)]).expect_err(wrong).to_string();
            assert!(error.contains("'metrics.reporter.prom.port'"), "{error}");
        }
    }

    #[test]
    fn the_first_free_port_is_taken() {
        let taken = TcpListener::bind("localhost:0").expect("there is a port");
        let port = taken.local_addr().expect("it is bound").port();
        let error = Reporter { name: "prom".to_owned(), ports: port..=port }.bind("localhost").expect_err("it is taken").to_string();
        assert!(error.contains("'metrics.reporter.prom.port'"), "{error}");
        let near = Reporter { name: "prom".to_owned(), ports: port..=port.saturating_add(20) };
        assert_ne!(near.bind("localhost").expect("one of them is free").local_addr().expect("it is bound").port(), port);
    }
}
