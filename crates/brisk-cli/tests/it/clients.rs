//! What is between a client and a cluster: results that come as they are made, paths that mean what they mean here, and programs that end
//! with their client. The programs are tests of this binary, as in `cluster`.

use crate::cluster::{Cluster, brisk, progress, text, wait};
use brisk::prelude::*;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Records that are too many to be under way at once.
const MANY: u64 = 4_000_000;

#[test]
fn program_that_reads_slowly() -> Result<()> {
    if std::env::var_os("BRISK_PROCESS_ROLE").is_none() {
        return Ok(());
    }
    let env = StreamEnvironment::get()?;
    let numbers = env.from_source(DataGeneratorSource::new(|n| n).count(MANY), WatermarkStrategy::no_watermarks(), "Numbers");
    let mut results = numbers.execute_and_collect("collected")?;
    assert_eq!(results.next().transpose()?, Some(0));
    let client = results.client().expect("it was started").clone();
    // The job comes to a halt by itself, long before its end.
    let mut before = u64::MAX;
    loop {
        let now = client.progress().records_in;
        if now > 0 && now == before {
            break;
        }
        before = now;
        std::thread::park_timeout(Duration::from_secs(1));
    }
    assert!(before < MANY / 2, "the source was not held back: it has given {before}");
    assert_eq!(client.status(), JobStatus::Running);
    let rest = results.collect::<Result<Vec<u64>>>()?;
    assert!(rest.iter().copied().eq(1..MANY), "all of them, in order");
    println!("halted after some, and all have come");
    Ok(())
}

fn own_program(name: &str) -> [String; 4] {
    let own = std::env::current_exe().expect("it runs").display().to_string();
    [own, "--exact".to_owned(), name.to_owned(), "--nocapture".to_owned()]
}

#[test]
fn what_a_program_does_not_read_is_not_sent() {
    let cluster = Cluster::start(1, &[]);
    let program = own_program("clients::program_that_reads_slowly");
    let words = ["run", "-m", &cluster.rest, "-p", "1"].into_iter().chain(program.iter().map(String::as_str)).collect::<Vec<_>>();
    let done = brisk(&words);
    assert!(done.status.success() && text(&done).contains("halted after some, and all have come"), "{}", text(&done));
}

#[test]
fn relative_paths_of_statements_lead_to_the_folder_of_the_client() {
    let cluster = Cluster::start(1, &[]);
    let folder = cluster.output("client");
    std::fs::write(folder.join("in.csv"), "1\n2\n3\n").expect("there is room");
    let script = "SET 'execution.checkpointing.interval' = '50 ms'; SET 'execution.checkpointing.dir' = 'checkpoints';
        CREATE TABLE numbers (n INT) WITH ('connector' = 'filesystem', 'path' = './in.csv', 'format' = 'csv');
        CREATE TABLE doubled (n INT) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'csv');
        INSERT INTO doubled SELECT 2 * n FROM numbers; SELECT SUM(n) AS total FROM doubled;";
    let here = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brisk"));
        command.args(words).current_dir(&folder).env_remove("BRISK_CONF").output().expect("it can be run")
    };
    let remote = here(&["sql", "-m", &cluster.rest, "-e", script]);
    assert!(remote.status.success(), "{}", text(&remote));
    assert_eq!(String::from_utf8_lossy(&remote.stdout), "total\n12\n");
    assert!(folder.join("out").is_dir() && folder.join("checkpoints").is_dir(), "both are here");
}

/// An endless query on a cluster, after its first rows.
fn endless_query(rest: &str, options: &[&str]) -> (Child, BufReader<std::process::ChildStdout>) {
    let query = "CREATE TABLE bid (price BIGINT, ts TIMESTAMP(3)) WITH ('connector' = 'nexmark', 'rows-per-second' = '2000');
        SELECT price FROM bid";
    let mut command = Command::new(env!("CARGO_BIN_EXE_brisk"));
    command.args(["sql"]).args(options).args(["-e", query]).env_remove("BRISK_CONF");
    if !rest.is_empty() {
        command.args(["-m", rest]);
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be run");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut first = String::new();
    for _ in 0..300 {
        lines.read_line(&mut first).expect("it is text");
    }
    let mut shown = first.lines();
    assert_eq!(shown.next(), Some("op,price"));
    assert!(shown.all(|line| line.strip_prefix("+I,").is_some_and(|price| price.parse::<u64>().is_ok())), "{first}");
    (child, lines)
}

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("there is a kill");
    assert!(sent.success());
}

/// The only job that runs.
fn running_job(cluster: &Cluster) -> String {
    let jobs = cluster.get("/jobs")["jobs"].as_array().cloned().expect("jobs");
    let mut running = jobs.iter().filter(|job| job["status"] == "RUNNING");
    let job = running.next().expect("one runs")["id"].as_str().expect("an id").to_owned();
    assert!(running.next().is_none(), "{jobs:?}");
    job
}

#[test]
fn queries_without_end_are_shown_as_they_run_until_their_client_ends() {
    let (mut embedded, lines) = endless_query("", &[]);
    drop(lines);
    // Nobody reads any more.
    let ended = embedded.wait().expect("it ends");
    assert!(!ended.success());
    let cluster = Cluster::start(1, &["client.heartbeat.timeout=2 s"]);
    let (child, lines) = endless_query(&cluster.rest, &[]);
    let job = running_job(&cluster);
    signal(&child, "-INT");
    // It may wait for whoever reads.
    drop(std::thread::Builder::new().spawn(move || lines.lines().count()));
    let ended = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && said.contains("interrupted; the program is ended"), "{said}");
    assert_eq!(cluster.wait_for(&job, &["CANCELED", "FAILED", "FINISHED"]), "CANCELED");
    // One that cannot say so.
    let (mut child, _lines) = endless_query(&cluster.rest, &[]);
    let job = running_job(&cluster);
    signal(&child, "-KILL");
    child.wait().expect("it is dead");
    assert_eq!(cluster.wait_for(&job, &["CANCELED", "FAILED", "FINISHED"]), "CANCELED");
    wait("the end of drivers and workers", || (!cluster.has_worker("jobmanager") && !cluster.has_worker("taskmanager-1")).then_some(()));
}

#[test]
fn programs_end_with_their_client_where_that_is_wanted() {
    let cluster = Cluster::start(1, &["client.heartbeat.timeout=2 s"]);
    let program = own_program("cluster::program_without_end");
    let cases = [(vec!["-sae"], "-INT", false), (vec!["-sae"], "-KILL", false), (vec![], "-INT", true)];
    for (case, (options, how, lives)) in cases.into_iter().enumerate() {
        let output = cluster.output(&format!("endless-{case}"));
        let folder = format!("execution.checkpointing.savepoint-dir={}", output.display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_brisk"));
        command.args(["run", "-m", &cluster.rest, "-D", &folder]).args(&options).args(&program).env_remove("BRISK_CONF");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it can be run");
        wait("a result", || (progress(&output) > 0).then_some(()));
        let job = running_job(&cluster);
        signal(&child, how);
        child.wait().expect("it ends");
        if lives {
            let before = progress(&output);
            wait("more results", || (progress(&output) > before).then_some(()));
            assert!(brisk(&["cancel", "-m", &cluster.rest, &job]).status.success());
        }
        assert_eq!(cluster.wait_for(&job, &["CANCELED", "FAILED", "FINISHED"]), "CANCELED", "{options:?} {how}");
    }
}
