//! Kills a real process again and again, and looks at what it left.

use super::proof::Proof;
use crate::process::{Program, now};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Events per second that the job is given.
const RATE: u64 = 100_000;

/// Events per kill: what the job gets through between two of them, and a little more.
const EVENTS_PER_KILL: u64 = 20_000;

/// The longest life of a process that is to be killed.
const LONGEST_LIFE_MS: u64 = 400;

/// How long the job may take after the last kill, besides the time that its events take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the example `survivor`, kills it at random moments, starts it again, and checks its output once it has finished.
pub(super) fn survives_being_killed(proof: &mut Proof, backend: &str, kills: u64) -> Result<String> {
    let survivor = proof.example("survivor")?;
    let folder = std::env::temp_dir().join(format!("brisk-accept-survivor-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let events = (kills + 5) * EVENTS_PER_KILL;
    let arguments = |folder: &Path| {
        let folder = folder.display().to_string();
        ["--folder", &folder, "--events", &events.to_string(), "--rate", &RATE.to_string(), "--backend", backend].map(str::to_owned)
    };
    let killed = kill_and_restart(&survivor, &arguments(&folder), kills, events)?;
    ensure!(killed >= kills * 3 / 4, "the job was through after {killed} kills of {kills}");
    let words = arguments(&folder).into_iter().chain(["--check".to_owned()]);
    let check = Program::new(survivor.into_os_string(), words.map(Into::into));
    let checked = proof.run(&check)?;
    fs::remove_dir_all(&folder)?;
    let counts: Vec<&str> = checked.stdout.lines().collect();
    Ok(format!("{killed} kills; {}", counts.join("; ")))
}

/// Kills the process after random times; the last one may finish. Gives how often it was killed.
fn kill_and_restart(program: &Path, arguments: &[String], kills: u64, events: u64) -> Result<u64> {
    let mut killed = 0;
    let mut random = u64::from(std::process::id());
    loop {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let life = match killed < kills {
            true => Duration::from_millis(20 + (random >> 33) % LONGEST_LIFE_MS),
            false => PATIENCE + Duration::from_secs(events / RATE),
        };
        let mut child =
            Command::new(program).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("starting the job")?;
        if !ends_within(&mut child, life)? {
            child.kill()?;
            child.wait()?;
            ensure!(killed < kills, "the job did not finish within {life:?} after the last kill");
            killed += 1;
            continue;
        }
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "the job failed after {killed} kills: {}", String::from_utf8_lossy(&output.stderr));
        return Ok(killed);
    }
}

fn ends_within(child: &mut Child, life: Duration) -> Result<bool> {
    let begun = now();
    while begun.elapsed() < life {
        if child.try_wait()?.is_some() {
            return Ok(true);
        }
        crate::process::pause(Duration::from_millis(2));
    }
    Ok(false)
}
