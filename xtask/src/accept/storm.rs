//! What a cluster of real processes goes through while a job runs on it: killed and stopped processes, cut, throttled and disturbed links, a
//! full disk and a slow one.

use super::local_cluster::LocalCluster;
use super::namespaces::Namespaces;
use super::proof::Proof;
use crate::process::{Output, Program, now, pause, signal};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Options under which a failure is noticed soon and recovered from at once.
const QUICK: [&str; 6] = [
    "high-availability.storageDir={folder}/ha",
    "restart-strategy.type=fixed-delay",
    "restart-strategy.fixed-delay.attempts=1000000",
    "restart-strategy.fixed-delay.delay=50 ms",
    "heartbeat.interval=500 ms",
    "heartbeat.timeout=10 s",
];

/// Events per second that the job is given.
const RATE: u64 = 20_000;

/// TaskManagers: one more than the job needs.
const TASK_MANAGERS: usize = 3;

/// Megabytes of the disk for checkpoints that becomes full.
const DISK_MB: usize = 48;

/// How many more open files a daemon may have after the job than before it.
const MORE_FILES: usize = 12;

/// How many more megabytes all daemons together may have resident after the job than before it: what they know of it, and what allocators keep.
const MORE_MB: f64 = 100.0;

/// What is done, and for how long.
pub(super) struct Storm {
    /// The state backend of the job.
    pub(super) backend: &'static str,
    /// Options besides.
    pub(super) options: &'static [&'static str],
    /// Each daemon has a network namespace, and checkpoints have a small disk; as far as that is permitted.
    pub(super) apart: bool,
    /// How long the events take in a full run, and in a short one.
    pub(super) seconds: (u64, u64),
}

/// Runs the example `survivor` through it, and checks its output.
pub(super) fn survives(proof: &mut Proof, storm: &Storm) -> Result<String> {
    let survivor = proof.example("survivor")?;
    let seconds = if proof.short() { storm.seconds.1 } else { storm.seconds.0 };
    let options = [&QUICK, storm.options].concat();
    let (mut remarks, mut disk, mut network) = (Vec::new(), None, None);
    if storm.apart {
        match Namespaces::lay(TASK_MANAGERS) {
            Ok(laid) => network = Some(laid),
            Err(error) => remarks.push(format!("in one network: {error:#}")),
        }
        if let Err(error) = SlowDisk::is_possible() {
            remarks.push(format!("no slow disk: {error:#}"));
        }
    }
    let mut mount = |folder: &Path| {
        if storm.apart {
            match SmallDisk::mount(&folder.join("data/checkpoints")) {
                Ok(mounted) => disk = Some(mounted),
                Err(error) => remarks.push(format!("no disk of its own for checkpoints: {error:#}")),
            }
        }
    };
    let mut cluster = LocalCluster::start_apart(proof, TASK_MANAGERS, &options, network, &mut mount)?;
    let folder = cluster.folder().join("data");
    let (files, daemons) = (cluster.open_files()?, cluster.daemons());
    let resident = cluster.resident_mb(&daemons.iter().map(String::as_str).collect::<Vec<_>>())?;
    let (data, events) = (folder.display().to_string(), (seconds * RATE).to_string());
    let program = survivor.display().to_string();
    let words = [program.as_str(), "--folder", &data, "--events", &events, "--rate", &RATE.to_string(), "--backend", storm.backend];
    let job = cluster.run_detached(proof, &words)?;
    let begun = now();
    let strikes = strike_until_finished(&mut cluster, disk.as_ref(), &job, seconds)?;
    let took = begun.elapsed().as_secs_f64();
    let words = ["--folder", &data, "--events", &events, "--check"];
    let checked = proof.run(&Program::new(survivor.as_os_str(), words.map(std::ffi::OsStr::new)))?;
    let kinds = strikes.iter().map(|(kind, count)| format!("{count} x {kind}")).collect::<Vec<_>>().join(", ");
    ensure!(strikes.values().sum::<u32>() >= 5, "the job was through after {kinds}");
    let counts: Vec<&str> = checked.stdout.lines().collect();
    let grown = lets_go(&cluster, files, resident)?;
    drop(disk);
    cluster.stop()?;
    remarks.insert(0, format!("{kinds} in {took:.0} s; {}; the daemons have {grown:.0} MB more resident", counts.join("; ")));
    Ok(remarks.join("; "))
}

/// Nothing keeps files, connections, folders, processes or memory of a job that is over. Megabytes that the daemons have more than before.
fn lets_go(cluster: &LocalCluster, before: usize, resident_before: f64) -> Result<f64> {
    let begun = now();
    loop {
        let (files, folders, processes) = (cluster.open_files()?, cluster.temporary_files()?, cluster.processes(""));
        let daemons = cluster.daemons();
        let resident = cluster.resident_mb(&daemons.iter().map(String::as_str).collect::<Vec<_>>())?;
        let clean = files <= before + MORE_FILES && folders.is_empty() && processes.is_empty();
        if clean && resident <= resident_before + MORE_MB {
            return Ok(resident - resident_before);
        }
        ensure!(
            begun.elapsed() < Duration::from_secs(20),
            "after the job the daemons have {files} files and connections open ({before} before) and {resident:.0} MB resident \
             ({resident_before:.0} before); processes {processes:?} and folders {folders:?} are left"
        );
        pause(Duration::from_millis(200));
    }
}

fn strike_until_finished(
    cluster: &mut LocalCluster,
    disk: Option<&SmallDisk>,
    job: &str,
    seconds: u64,
) -> Result<BTreeMap<&'static str, u32>> {
    let (mut strikes, begun, limit) = (BTreeMap::<&str, u32>::new(), now(), Duration::from_secs(seconds * 4 + 120));
    let (mut random, mut last) = (u64::from(std::process::id()), now());
    loop {
        match cluster.job_state(job).as_deref() {
            Some("FINISHED") => return Ok(strikes),
            Some(over @ ("FAILED" | "CANCELED")) => {
                bail!("the job is {over}: {}", cluster.get(&format!("/jobs/{job}/exceptions"))?);
            }
            _ => {}
        }
        ensure!(begun.elapsed() < limit, "the job has not finished after {limit:?} and {strikes:?}");
        if last.elapsed() > Duration::from_millis(1500) && begun.elapsed() < Duration::from_secs(seconds * 3) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if let Some(kind) = strike(cluster, disk, random >> 33)? {
                *strikes.entry(kind).or_default() += 1;
            }
            last = now();
        }
        pause(Duration::from_millis(20));
    }
}

/// Does something bad; `None` if there was nothing to do it to.
fn strike(cluster: &mut LocalCluster, disk: Option<&SmallDisk>, random: u64) -> Result<Option<&'static str>> {
    let kinds = if cluster.network().is_some() || disk.is_some() { 14 } else { 8 };
    let (kind, random) = (random % kinds, random / kinds);
    let one_of = |processes: Vec<i32>| processes.get(random as usize % processes.len().max(1)).copied();
    let number = random as usize % TASK_MANAGERS;
    Ok(Some(match kind {
        0..3 => {
            let Some(worker) = one_of(cluster.processes("taskmanager/programs")) else { return Ok(None) };
            signal(worker, libc::SIGKILL);
            "worker killed"
        }
        3 => {
            let Some(worker) = one_of(cluster.processes("taskmanager/programs")) else { return Ok(None) };
            signal(worker, libc::SIGSTOP);
            pause(Duration::from_millis(300));
            signal(worker, libc::SIGCONT);
            "worker stopped"
        }
        4 => {
            let Some(driver) = one_of(cluster.processes("ha/blobs")) else { return Ok(None) };
            signal(driver, libc::SIGKILL);
            "driver killed"
        }
        5 | 6 => {
            cluster.kill_and_restart(&format!("taskmanager-{number}"))?;
            "TaskManager killed"
        }
        7 => {
            cluster.kill_and_restart("jobmanager")?;
            "JobManager killed"
        }
        8 => match disk {
            Some(disk) => {
                disk.fill_for(Duration::from_secs(2))?;
                "disk full"
            }
            None => return Ok(None),
        },
        9 => {
            let Some(worker) = one_of(cluster.processes("taskmanager/programs")) else { return Ok(None) };
            if !SlowDisk::hold_up(worker, Duration::from_secs(3))? {
                return Ok(None);
            }
            "disk slow"
        }
        kind => return disturb(cluster, kind, number),
    }))
}

/// Does something bad to the link of a TaskManager.
fn disturb(cluster: &LocalCluster, kind: u64, number: usize) -> Result<Option<&'static str>> {
    let Some(network) = cluster.network() else { return Ok(None) };
    let cut = |span| -> Result<()> {
        network.set_link(number, false)?;
        pause(span);
        network.set_link(number, true)
    };
    Ok(Some(match kind {
        10 => {
            cut(Duration::from_secs(2))?;
            "link cut"
        }
        11 => {
            // Longer than `heartbeat.timeout`.
            cut(Duration::from_secs(12))?;
            "link cut for long"
        }
        12 => {
            network.disturb(number, Duration::from_secs(3))?;
            "packets delayed and reordered"
        }
        _ => {
            network.throttle(number)?;
            pause(Duration::from_secs(2));
            network.calm(number)?;
            "link throttled"
        }
    }))
}

/// A small disk in memory, mounted on a folder.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let (size, path) = (format!("size={DISK_MB}m"), folder.display().to_string());
        let mount = Program::new("mount", ["-t", "tmpfs", "-o", &size, "brisk", &path]);
        let done = mount.limit_s(20).measure(Output::Both).context("mount")?;
        ensure!(done.ok, "mount: {} {}", done.ending, done.stderr.trim());
        Ok(Self(folder.to_owned()))
    }

    /// Leaves no room on it for so long.
    fn fill_for(&self, span: Duration) -> Result<()> {
        let path = self.0.join("filler");
        let mut filler = File::create(&path)?;
        let block = vec![0; 1 << 16];
        // It ends with the error that is wanted.
        while filler.write_all(&block).is_ok() {}
        pause(span);
        drop(filler);
        Ok(fs::remove_file(&path)?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let path = self.0.display().to_string();
        // Processes that are just ending may still have it open.
        let _ = Program::new("umount", ["-l", &path]).limit_s(20).measure(Output::Both);
    }
}

/// A disk that answers late: each call of a process that waits for one is held up by a tracer.
struct SlowDisk;

impl SlowDisk {
    /// What waits for a disk.
    const CALLS: &str = "openat,fsync,fdatasync,rename,unlink,mkdir,link,pwrite64,ftruncate";

    fn is_possible() -> Result<()> {
        let done = Program::new("strace", ["-f", "-o", "/dev/null", "true"]).limit_s(20).measure(Output::Both).context("strace")?;
        ensure!(done.ok, "strace: {} {}", done.ending, done.stderr.trim());
        Ok(())
    }

    /// Holds up each of these calls of a process by 50 ms, for so long. False if that is not possible, or the process has ended before.
    fn hold_up(process: i32, span: Duration) -> Result<bool> {
        let (process, delay) = (process.to_string(), format!("inject={}:delay_enter=50000", Self::CALLS));
        let mut command = Command::new("strace");
        command.args(["-f", "-q", "-p", &process, "-o", "/dev/null", "-e", &delay]).stderr(Stdio::null());
        let Ok(mut tracer) = command.spawn() else { return Ok(false) };
        pause(span);
        let held = tracer.try_wait()?.is_none();
        // It lets go of the process, and ends.
        signal(tracer.id() as i32, libc::SIGTERM);
        tracer.wait()?;
        Ok(held)
    }
}
