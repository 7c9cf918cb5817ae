//! A cluster of real processes on this machine, for proofs: its daemons are started, killed and started again, and none is left.

use super::namespaces::Namespaces;
use super::proof::Proof;
use crate::process::{Finished, Program, pause};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long the daemons may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct LocalCluster {
    brisk: PathBuf,
    folder: PathBuf,
    /// Options of all daemons, `-D` in front of each.
    options: Vec<String>,
    rest: String,
    daemons: BTreeMap<String, Child>,
    /// TaskManagers that there should be.
    task_managers: usize,
    /// The network of the daemons, if it is not this machine's.
    network: Option<Namespaces>,
}

impl LocalCluster {
    /// A JobManager and so many TaskManagers of one slot each, with these options; they are ready.
    pub(super) fn start(proof: &mut Proof, task_managers: usize, options: &[&str]) -> Result<Self> {
        Self::start_apart(proof, task_managers, options, None, &mut |_| {})
    }

    /// The same, each daemon in a namespace of its own if there is a network of such. `prepare` is given the cluster's folder before they start:
    /// what is mounted later would not be seen from there.
    pub(super) fn start_apart(
        proof: &mut Proof,
        task_managers: usize,
        options: &[&str],
        network: Option<Namespaces>,
        prepare: &mut dyn FnMut(&Path),
    ) -> Result<Self> {
        let brisk = proof.binary("brisk-cli", "brisk")?;
        let folder = std::env::temp_dir().join(format!("brisk-accept-cluster-{}-{task_managers}", std::process::id()));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(folder.join("log"))?;
        prepare(&folder);
        let [rpc, rest] = free_ports()?;
        let path = |name: &str| folder.join(name).display().to_string();
        let mut all = vec![
            format!("jobmanager.rpc.port={rpc}"),
            format!("rest.port={rest}"),
            format!("env.log.dir={}", path("log")),
            format!("process.jobmanager.working-dir={}", path("jobmanager")),
            format!("process.taskmanager.working-dir={}", path("taskmanager")),
        ];
        all.extend(options.iter().map(|option| option.replace("{folder}", &folder.display().to_string())));
        let host = network.as_ref().map_or_else(|| "localhost".to_owned(), |network| network.address("jobmanager"));
        if network.is_some() {
            all.extend(["jobmanager.rpc.address", "rest.address"].map(|key| format!("{key}={host}")));
            all.extend(["jobmanager.bind-host", "rest.bind-address", "taskmanager.bind-host"].map(|key| format!("{key}=0.0.0.0")));
        }
        let options = all.into_iter().flat_map(|option| ["-D".to_owned(), option]).collect();
        let mut cluster = Self { brisk, folder, options, rest: format!("{host}:{rest}"), daemons: BTreeMap::new(), task_managers, network };
        cluster.spawn("jobmanager")?;
        for number in 0..task_managers {
            cluster.spawn(&format!("taskmanager-{number}"))?;
        }
        cluster.wait_until_ready()?;
        Ok(cluster)
    }

    /// The names of its daemons.
    pub(super) fn daemons(&self) -> Vec<String> {
        self.daemons.keys().cloned().collect()
    }

    /// Its folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The network of the daemons, if it is not this machine's.
    pub(super) const fn network(&self) -> Option<&Namespaces> {
        self.network.as_ref()
    }

    /// Files and connections that the daemons have open.
    pub(super) fn open_files(&self) -> Result<usize> {
        let files = |child: &Child| fs::read_dir(format!("/proc/{}/fd", child.id())).map(Iterator::count);
        Ok(self.daemons.values().map(files).sum::<std::io::Result<usize>>()?)
    }

    /// Where its REST server is: host and port.
    pub(super) fn rest(&self) -> &str {
        &self.rest
    }

    fn spawn(&mut self, name: &str) -> Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.join("log").join(format!("{name}.log")))?;
        let kind = name.split('-').next().unwrap_or(name);
        let mut words = self.network.as_ref().map(|network| network.words(name)).unwrap_or_default();
        words.push(self.brisk.display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(kind).args(&self.options).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        if let Some(network) = self.network.as_ref().filter(|_| kind == "taskmanager") {
            command.args(["-D".to_owned(), format!("taskmanager.host={}", network.address(name))]);
        }
        let child = command.spawn().with_context(|| format!("starting the {name}"))?;
        self.daemons.insert(name.to_owned(), child);
        Ok(())
    }

    /// Kills a daemon and starts it again.
    pub(super) fn kill_and_restart(&mut self, name: &str) -> Result<()> {
        let mut child = self.daemons.remove(name).with_context(|| format!("there is no {name}"))?;
        child.kill()?;
        child.wait()?;
        self.spawn(name)
    }

    /// Kills a daemon, which is not started again.
    pub(super) fn kill(&mut self, name: &str) -> Result<()> {
        let mut child = self.daemons.remove(name).with_context(|| format!("there is no {name}"))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// A TaskManager that runs a worker of a job.
    pub(super) fn task_manager_of(&self, job: &str) -> Result<String> {
        let parents: Vec<u32> = self.processes("taskmanager/programs").into_iter().filter_map(parent).collect();
        let found = self.daemons.iter().find(|(_, child)| parents.contains(&child.id()));
        found.map(|(name, _)| name.clone()).with_context(|| format!("no TaskManager runs a worker of job {job}"))
    }

    /// Cancels a job, and waits until it is over.
    pub(super) fn cancel(&self, job: &str) -> Result<()> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(&self.rest)?;
        write!(stream, "PATCH /v1/jobs/{job}?mode=cancel HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.rest)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.contains(" 202 "), "{answer}");
        let begun = crate::process::now();
        while self.job_state(job).as_deref() != Some("CANCELED") {
            ensure!(begun.elapsed() < PATIENCE, "job {job} is {:?}", self.job_state(job));
            pause(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Folders that processes of jobs have worked in and that are still there.
    pub(super) fn temporary_files(&self) -> Result<Vec<PathBuf>> {
        let mut left = Vec::new();
        for folder in ["taskmanager", "jobmanager", "jobmanager/programs"] {
            for entry in fs::read_dir(self.folder.join(folder)).into_iter().flatten() {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if ["job-", "program-"].iter().any(|kind| name.starts_with(kind)) {
                    left.push(path);
                }
            }
        }
        Ok(left)
    }

    /// Waits until all TaskManagers have reported.
    fn wait_until_ready(&self) -> Result<()> {
        let begun = crate::process::now();
        loop {
            let known = self.get("/taskmanagers").ok().and_then(|answer| answer["taskmanagers"].as_array().map(Vec::len));
            if known == Some(self.task_managers) {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "of {} TaskManagers {known:?} have reported", self.task_managers);
            pause(Duration::from_millis(5));
        }
    }

    /// Reads a path of its REST server.
    pub(super) fn get(&self, path: &str) -> Result<Value> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(&self.rest)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET /v1{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.rest)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("the answer is cut")?;
        ensure!(head.contains(" 200 "), "{head}");
        Ok(serde_json::from_str(body)?)
    }

    /// How a job stands; `None` while nobody answers.
    pub(super) fn job_state(&self, job: &str) -> Option<String> {
        Some(self.get(&format!("/jobs/{job}")).ok()?["state"].as_str()?.to_owned())
    }

    /// `brisk run` with these words; fails with what it said if it does.
    pub(super) fn run(&self, proof: &mut Proof, words: &[&str]) -> Result<Finished> {
        let words = ["run", "-m", &self.rest].into_iter().chain(words.iter().copied());
        let program = Program::new(self.brisk.as_os_str(), words.map(std::ffi::OsStr::new)).limit_s(600);
        proof.run(&program)
    }

    /// Runs a program without waiting for its end; its job.
    pub(super) fn run_detached(&self, proof: &mut Proof, words: &[&str]) -> Result<String> {
        let words: Vec<&str> = ["-d"].into_iter().chain(words.iter().copied()).collect();
        let done = self.run(proof, &words)?;
        let job = done.stdout.split_whitespace().last().map(str::to_owned);
        job.with_context(|| format!("it does not say which job: {}", done.stdout))
    }

    /// Processes whose executable lies below this part of the cluster's folder.
    pub(super) fn processes(&self, below: &str) -> Vec<i32> {
        let below = self.folder.join(below);
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        let number = |entry: fs::DirEntry| {
            let number: i32 = entry.file_name().to_str()?.parse().ok()?;
            fs::read_link(entry.path().join("exe")).ok()?.starts_with(&below).then_some(number)
        };
        all.filter_map(number).collect()
    }

    /// Megabytes (10^6 bytes) that the daemons have resident.
    pub(super) fn resident_mb(&self, names: &[&str]) -> Result<f64> {
        let mut sum = 0.0;
        for name in names {
            let child = self.daemons.get(*name).with_context(|| format!("there is no {name}"))?;
            let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the system does not tell")?;
            let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
            sum += kilobytes * 1024.0 / 1e6;
        }
        Ok(sum)
    }

    /// Ends everything. Fails if a process of a job is left.
    pub(super) fn stop(mut self) -> Result<()> {
        self.end();
        let begun = crate::process::now();
        loop {
            let left = self.processes("");
            if left.is_empty() {
                return Ok(fs::remove_dir_all(&self.folder)?);
            }
            if begun.elapsed() > Duration::from_secs(20) {
                bail!("processes of jobs are left: {left:?}");
            }
            pause(Duration::from_millis(20));
        }
    }

    fn end(&mut self) {
        for (_, mut child) in std::mem::take(&mut self.daemons) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        self.end();
    }
}

/// The process that has started another.
fn parent(process: i32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn free_ports() -> Result<[u16; 2]> {
    let listeners = [TcpListener::bind("localhost:0")?, TcpListener::bind("localhost:0")?];
    Ok([listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()])
}
