//! Listing, stopping, cancelling jobs, and their savepoints.

use brisk::options::rest_options::REST_PORT;
use brisk::prelude::*;
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A program that serves its one job.
struct Program {
    port: u16,
    client: Arc<dyn JobClient>,
    _env: StreamEnvironment,
}

/// What the command line gave: whether it succeeded, what it printed, and what it complained about.
struct Printed {
    success: bool,
    code: Option<i32>,
    out: String,
    err: String,
}

impl Program {
    fn start() -> Result<Self> {
        let port = TcpListener::bind("localhost:0")?.local_addr()?.port();
        let mut config = Configuration::new();
        config.set(&REST_PORT, Some(port));
        let env = StreamEnvironment::get_with(config)?;
        let (sent, received) = std::sync::mpsc::channel();
        env.from_source(DataGeneratorSource::new(|n| n).per_second(1000.0), WatermarkStrategy::no_watermarks(), "Numbers").add_sink(
            move |n| {
                // The test may have heard enough.
                let _ = sent.send(n);
            },
        );
        let client = env.execute_async("numbers")?;
        received.recv_timeout(PATIENCE)?;
        Ok(Self { port, client, _env: env })
    }

    fn job(&self) -> String {
        self.client.job_id().to_string()
    }

    /// Runs the command line with this program's address.
    fn brisk(&self, arguments: &[&str]) -> Printed {
        let address = format!("localhost:{}", self.port);
        brisk(&[arguments, &["-m", &address]].concat())
    }
}

fn brisk(arguments: &[&str]) -> Printed {
    let output = Command::new(env!("CARGO_BIN_EXE_brisk")).args(arguments).env_remove("BRISK_CONF").output().expect("it can be run");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
    Printed { success: output.status.success(), code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn a_job_is_listed_and_cancelled() -> Result<()> {
    let program = Program::start()?;
    let job = program.job();
    let listed = program.brisk(&["list"]);
    assert!(listed.success && listed.out.contains(&format!(" : {job} : numbers (RUNNING)")), "{}{}", listed.out, listed.err);
    assert!(listed.out.contains("No scheduled jobs."), "{}", listed.out);
    let json: Value = serde_json::from_str(&program.brisk(&["list", "--running", "--output", "json"]).out)?;
    assert_eq!([&json["jobs"][0]["id"], &json["jobs"][0]["state"]], [&Value::from(job.as_str()), &Value::from("RUNNING")]);
    let plan: Value = serde_json::from_str(&program.brisk(&["info", &job]).out)?;
    assert_eq!(plan["nodes"].as_array().map(Vec::len), Some(1), "{plan}");
    let cancelled = program.brisk(&["cancel", &job]);
    assert_eq!(cancelled.out, format!("Cancelling job {job}.\nCancelled job {job}.\n"), "{}", cancelled.err);
    program.client.wait_for(PATIENCE).expect("it ends").expect_err("it was cancelled");
    let listed = program.brisk(&["list", "-a"]);
    assert!(listed.out.contains("No running jobs.") && listed.out.contains("numbers (CANCELED)"), "{}", listed.out);
    Ok(())
}

#[test]
fn savepoints_are_made_and_disposed_and_a_job_is_stopped() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let folder = dir.path().to_str().expect("a name in UTF-8");
    let program = Program::start()?;
    let job = program.job();
    let made: Value = serde_json::from_str(&program.brisk(&["savepoint", &job, folder, "--output", "json"]).out)?;
    let savepoint = made["savepoint"].as_str().expect("a path");
    assert!(Path::new(savepoint).join("_metadata").exists(), "{savepoint}");
    let checkpoint: Value = serde_json::from_str(&program.brisk(&["checkpoint", &job, "--output", "json"]).out)?;
    assert_eq!(checkpoint["checkpoint"], 2, "the savepoint was the first");
    let disposed = program.brisk(&["savepoint", "-d", savepoint]);
    assert!(
        disposed.success && disposed.out.ends_with(&format!("Savepoint '{savepoint}' disposed.\n")),
        "{}{}",
        disposed.out,
        disposed.err
    );
    assert!(!Path::new(savepoint).exists());
    let again = program.brisk(&["savepoint", "-d", savepoint]);
    assert!(!again.success && again.err.contains("could not dispose savepoint"), "{}", again.err);
    let stopped = program.brisk(&["stop", "-p", folder, &job]);
    assert!(stopped.out.contains(&format!("Suspending job \"{job}\"")), "{}{}", stopped.out, stopped.err);
    let savepoint = stopped.out.lines().find_map(|line| line.strip_prefix("Savepoint completed. Path: ")).expect("it says where");
    assert!(Path::new(savepoint).join("_metadata").exists(), "{savepoint}");
    program.client.wait_for(PATIENCE).expect("it ends")?;
    assert_eq!(program.client.status(), JobStatus::Finished);
    let again = program.brisk(&["stop", "-p", folder, &job]);
    assert!(!again.success && again.err.contains("does not run"), "{}", again.err);
    Ok(())
}

#[test]
fn cancelling_with_a_savepoint_still_works() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program = Program::start()?;
    let job = program.job();
    let refused = program.brisk(&["cancel", "-s", &job]);
    assert!(!refused.success && refused.err.contains("execution.checkpointing.savepoint-dir"), "{}", refused.err);
    let cancelled = program.brisk(&["cancel", "-s", dir.path().to_str().expect("a name in UTF-8"), &job]);
    assert!(cancelled.success && cancelled.out.contains("Savepoint stored in"), "{}{}", cancelled.out, cancelled.err);
    program.client.wait_for(PATIENCE).expect("it ends").expect_err("it was cancelled");
    Ok(())
}

#[test]
fn mistakes_are_named_with_what_was_meant() -> Result<()> {
    let nobody = TcpListener::bind("localhost:0")?.local_addr()?.to_string();
    let job = "0".repeat(32);
    let mistakes: [(&[&str], &str); 9] = [
        (&["lst"], "'list'"),
        (&["list", "--runing"], "'--running'"),
        (&["cancel", "xyz"], "32 hexadecimal digits"),
        (&["cancel"], "missing job id"),
        (&["list", "-m", "nowhere"], "expected host:port"),
        (&["list", "-m", &nobody], "cannot be reached"),
        (&["list", "-t", "yarn-session"], "'remote'"),
        (&["list", "-D", "rest.prot=1"], "'rest.port'"),
        (&["savepoint", &job, "folder", "-d", "path"], "cannot be used with"),
    ];
    for (arguments, part) in mistakes {
        let printed = brisk(arguments);
        assert!(printed.code == Some(1) && printed.err.contains(part), "{arguments:?}: {:?} {}", printed.code, printed.err);
    }
    let json: Value = serde_json::from_str(&brisk(&["list", "-m", &nobody, "--output", "json"]).out)?;
    assert!(json["errors"][0].as_str().is_some_and(|text| text.contains("cannot be reached")), "{json}");
    assert_eq!(brisk(&["--help"]).code, Some(0));
    let program = Program::start()?;
    let unknown = program.brisk(&["cancel", &job]);
    assert!(!unknown.success && unknown.err.contains("not found"), "{}", unknown.err);
    let configured = brisk(&["list", "-D", &format!("rest.port={}", program.port)]);
    assert!(configured.success && configured.out.contains("numbers"), "{}{}", configured.out, configured.err);
    Ok(())
}
