//! A network of its own for a cluster: a namespace for each daemon, joined by a bridge, so that links can be cut, throttled and disturbed
//! without anybody else noticing. Takes `ip`, `tc`, Python 3 and the right to make namespaces.
//!
//! Packets are delayed and reordered by a program that a link is led through for a while: not every kernel has netem.
//!
//! All that is made here is taken away again when it is dropped.

use crate::process::{Output, Program, pause};
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The addresses: the bridge's own namespace (the JobManager's) is `.1`, TaskManagers follow, this machine is `.254`.
const SUBNET: &str = "10.213.77";

/// Joins two interfaces, and lets packets overtake one another in between.
const DISTURBED_LINK: &str = include_str!("disturbed_link.py");

/// See the module.
pub(super) struct Namespaces {
    /// Begins all names.
    prefix: String,
    task_managers: usize,
}

impl Namespaces {
    /// A network for a JobManager and so many TaskManagers.
    pub(super) fn lay(task_managers: usize) -> Result<Self> {
        let prefix = format!("bk{}", std::process::id() % 1_000_000);
        let network = Self { prefix, task_managers };
        network.build().context("network namespaces cannot be made here")?;
        Ok(network)
    }

    fn build(&self) -> Result<()> {
        let hub = self.name("jobmanager");
        self.add_namespace(&hub)?;
        ip(&["-n", &hub, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", &hub, "addr", "add", &format!("{}/24", self.address("jobmanager")), "dev", "br0"])?;
        ip(&["-n", &hub, "link", "set", "br0", "up"])?;
        for number in 0..self.task_managers {
            let (daemon, port) = (format!("taskmanager-{number}"), format!("v{number}"));
            let name = self.name(&daemon);
            self.add_namespace(&name)?;
            ip(&["link", "add", &port, "netns", &hub, "type", "veth", "peer", "name", "eth0", "netns", &name])?;
            ip(&["-n", &hub, "link", "set", &port, "master", "br0", "up"])?;
            let (detour, back) = (format!("w{number}"), format!("x{number}"));
            ip(&["-n", &hub, "link", "add", &detour, "type", "veth", "peer", "name", &back])?;
            ip(&["-n", &hub, "link", "set", &back, "master", "br0", "up"])?;
            ip(&["-n", &hub, "link", "set", &detour, "up"])?;
            ip(&["-n", &name, "addr", "add", &format!("{}/24", self.address(&daemon)), "dev", "eth0"])?;
            ip(&["-n", &name, "link", "set", "eth0", "up"])?;
        }
        let here = format!("{}h", self.prefix);
        ip(&["link", "add", &here, "type", "veth", "peer", "name", "vh", "netns", &hub])?;
        ip(&["-n", &hub, "link", "set", "vh", "master", "br0", "up"])?;
        ip(&["addr", "add", &format!("{SUBNET}.254/24"), "dev", &here])?;
        ip(&["link", "set", &here, "up"])
    }

    fn add_namespace(&self, name: &str) -> Result<()> {
        ip(&["netns", "add", name])?;
        ip(&["-n", name, "link", "set", "lo", "up"])
    }

    /// The namespace of a daemon.
    fn name(&self, daemon: &str) -> String {
        format!("{}-{daemon}", self.prefix)
    }

    /// What stands in front of a command that is to run where a daemon is.
    pub(super) fn words(&self, daemon: &str) -> Vec<String> {
        ["ip", "netns", "exec", &self.name(daemon)].map(str::to_owned).to_vec()
    }

    /// The address of a daemon.
    pub(super) fn address(&self, daemon: &str) -> String {
        let number = daemon.strip_prefix("taskmanager-").and_then(|number| number.parse::<usize>().ok());
        format!("{SUBNET}.{}", number.map_or(1, |number| number + 10))
    }

    /// Cuts the link of a TaskManager, or heals it.
    pub(super) fn set_link(&self, number: usize, up: bool) -> Result<()> {
        ip(&["-n", &self.name("jobmanager"), "link", "set", &format!("v{number}"), if up { "up" } else { "down" }])
    }

    /// Delays and reorders the packets of a TaskManager, in both directions, for so long.
    pub(super) fn disturb(&self, number: usize, span: Duration) -> Result<()> {
        let (hub, port, detour) = (self.name("jobmanager"), format!("v{number}"), format!("w{number}"));
        ip(&["-n", &hub, "link", "set", &port, "nomaster"])?;
        let words = ["netns", "exec", &hub, "python3", "-c", DISTURBED_LINK, &port, &detour, "30", "20"];
        let mut child = Command::new("ip").args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("ip netns exec")?;
        let joined = child.stdout.take().map(|said| BufReader::new(said).lines().next());
        ensure!(matches!(joined, Some(Some(Ok(line))) if line == "joined"), "the program that disturbs a link did not start");
        pause(span);
        // With the end of its input it ends.
        drop(child.stdin.take());
        let ending = child.wait()?;
        ensure!(ending.success(), "the program that disturbs a link: {ending}");
        ip(&["-n", &hub, "link", "set", &port, "master", "br0"])
    }

    /// Lets little through of what a TaskManager sends.
    pub(super) fn throttle(&self, number: usize) -> Result<()> {
        self.shape(number, &["replace", "dev", "eth0", "root", "tbf", "rate", "256kbit", "burst", "10kb", "latency", "200ms"])
    }

    /// Ends that.
    pub(super) fn calm(&self, number: usize) -> Result<()> {
        // That there is nothing to be ended is no error.
        let _ = self.shape(number, &["del", "dev", "eth0", "root"]);
        Ok(())
    }

    fn shape(&self, number: usize, words: &[&str]) -> Result<()> {
        let name = self.name(&format!("taskmanager-{number}"));
        ip(&[&["netns", "exec", &name, "tc", "qdisc"], words].concat())
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let daemons = (0..self.task_managers).map(|number| format!("taskmanager-{number}")).chain(["jobmanager".to_owned()]);
        for daemon in daemons {
            // One that was never made cannot be deleted. Its links go with it.
            let _ = ip(&["netns", "del", &self.name(&daemon)]);
        }
    }
}

fn ip(words: &[&str]) -> Result<()> {
    let done = Program::new("ip", words.iter().copied()).limit_s(20).measure(Output::Both)?;
    ensure!(done.ok, "ip {}: {} {}", words.join(" "), done.ending, done.stderr.trim());
    Ok(())
}
