//! `brisk sql` on a cluster of processes.

use crate::cluster::{Cluster, brisk, text, wait};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

/// Bids, their prices in another currency (Nexmark's q1), and bids of the hottest auctions per window (in the way of its q5).
const QUERIES: &str = "
CREATE TABLE bid (auction BIGINT, bidder BIGINT, price BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '4' SECOND)
  WITH ('connector' = 'nexmark', 'events' = '6000', 'event-rate' = '100' {rate});
CREATE TABLE priced (auction BIGINT, price DOUBLE, ts TIMESTAMP(3))
  WITH ('connector' = 'filesystem', 'path' = '{folder}/priced', 'format' = 'csv');
CREATE TABLE hot (auction BIGINT, num BIGINT, window_start TIMESTAMP(3))
  WITH ('connector' = 'filesystem', 'path' = '{folder}/hot', 'format' = 'csv');
CREATE VIEW counted AS SELECT auction, COUNT(*) AS num, window_start
  FROM TABLE(HOP(TABLE bid, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '10' SECOND)) GROUP BY auction, window_start, window_end;
EXECUTE STATEMENT SET BEGIN
  INSERT INTO priced SELECT auction, 0.908 * price, ts FROM bid;
  INSERT INTO hot SELECT auction, num, window_start FROM counted WHERE num > 1;
END;
SELECT COUNT(*) AS bids FROM bid WHERE price > 100;
";

fn script(name: &str, folder: &Path, rate: &str, before: &str) -> PathBuf {
    let path = folder.join(format!("{name}.sql"));
    let text = QUERIES.replace("{folder}", &folder.join(name).display().to_string()).replace("{rate}", rate);
    std::fs::write(&path, format!("{before}{text}")).expect("there is room");
    path
}

/// The lines of all files of a table, sorted.
fn table(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for file in std::fs::read_dir(folder).expect("it was written") {
        let path = file.expect("it can be read").path();
        // What is under way begins with a dot.
        if !path.file_name().expect("a name").to_string_lossy().starts_with('.') {
            lines.extend(std::fs::read_to_string(path).expect("it can be read").lines().map(str::to_owned));
        }
    }
    lines.sort_unstable();
    lines
}

fn sql(cluster: &Cluster, words: &[&str]) -> Output {
    brisk(&[&["sql", "-m", &cluster.rest], words].concat())
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn statements_give_on_a_cluster_what_they_give_embedded() {
    let cluster = Cluster::start(2, &[]);
    let folder = cluster.output("tables");
    let run = |name: &str, words: &[&str]| {
        let file = script(name, &folder, "", "").display().to_string();
        let done = brisk(&[&["sql"], words, &["-D", "parallelism.default=2", "-f", &file]].concat());
        assert!(done.status.success(), "{name}: {}", text(&done));
        (stdout(&done), table(&folder.join(name).join("priced")), table(&folder.join(name).join("hot")))
    };
    let embedded = run("embedded", &[]);
    assert!(embedded.1.len() > 5000 && embedded.2.len() > 1000 && embedded.0.starts_with("bids\n"), "{}", embedded.0);
    assert_eq!(run("remote", &["-m", &cluster.rest]), embedded);
    let address = cluster.rest.rsplit_once(':').expect("host and port");
    let target = ["-D", "execution.target=remote", "-D", &format!("rest.address={}", address.0), "-D", &format!("rest.port={}", address.1)];
    assert_eq!(run("configured", &target), embedded);
    // The job of each INSERT, and of the query, ran there.
    let jobs = cluster.get("/jobs/overview")["jobs"].as_array().cloned().expect("jobs");
    assert_eq!(jobs.len(), 4, "{jobs:?}");
    assert!(jobs.iter().all(|job| job["state"] == "FINISHED" && job["tasks"]["total"].as_u64() > Some(2)), "{jobs:?}");
}

#[test]
fn statements_survive_a_killed_task_manager() {
    let cluster = Cluster::start(3, &["heartbeat.interval=500 ms", "heartbeat.timeout=5 s"]);
    let folder = cluster.output("tables");
    let file = script("embedded", &folder, "", "").display().to_string();
    let done = brisk(&["sql", "-f", &file]);
    assert!(done.status.success(), "{}", text(&done));
    let checkpoints = folder.join("checkpoints").display().to_string();
    let before = format!(
        "SET 'execution.checkpointing.interval' = '200 ms'; SET 'execution.checkpointing.dir' = '{checkpoints}';
         SET 'restart-strategy.type' = 'fixed-delay'; SET 'restart-strategy.fixed-delay.attempts' = '100';
         SET 'restart-strategy.fixed-delay.delay' = '50 ms'; SET 'parallelism.default' = '2'; SET 'pipeline.name' = 'hot auctions';"
    );
    let file = script("remote", &folder, ", 'rows-per-second' = '1500'", &before).display().to_string();
    let started = sql(&cluster, &["-d", "-f", &file]);
    let said = text(&started);
    assert!(started.status.success(), "{said}");
    let job = said.split_whitespace().last().expect("it names the job").to_owned();
    let completed = |least: u64| {
        wait("a checkpoint", || {
            let done = cluster.get(&format!("/jobs/{job}/checkpoints"))["counts"]["completed"].as_u64();
            (done >= Some(least)).then_some(())
        });
    };
    completed(2);
    assert_eq!(cluster.get(&format!("/jobs/{job}"))["name"], "hot auctions");
    // The third of the TaskManagers has a free slot.
    let victim = ["taskmanager-1", "taskmanager-2", "taskmanager-3"].into_iter().find(|name| cluster.has_worker(name));
    cluster.kill(victim.expect("two of them have workers"));
    cluster.wait_for(&job, &["FINISHED", "FAILED"]);
    let exceptions = cluster.get(&format!("/jobs/{job}/exceptions"));
    assert_eq!(cluster.get(&format!("/jobs/{job}"))["state"], "FINISHED", "{exceptions}");
    assert!(exceptions["exceptionHistory"]["entries"].as_array().is_some_and(|all| !all.is_empty()), "it was hit: {exceptions}");
    for name in ["priced", "hot"] {
        let [embedded, remote] = ["embedded", "remote"].map(|run| table(&folder.join(run).join(name)));
        assert!(embedded == remote, "{name}: {} lines embedded, {} on the cluster", embedded.len(), remote.len());
    }
}

#[test]
fn jobs_are_listed_stopped_and_gone_on_with_by_statements() {
    let cluster = Cluster::start(1, &["taskmanager.numberOfTaskSlots=2"]);
    let folder = cluster.output("tables");
    let place = folder.display().to_string();
    let insert = format!(
        "SET 'execution.checkpointing.savepoint-dir' = '{place}/savepoints'; SET 'pipeline.name' = 'endless';
         SET 'execution.checkpointing.interval' = '1 s'; SET 'execution.checkpointing.dir' = '{place}/checkpoints';
         CREATE TABLE bid (price BIGINT, ts TIMESTAMP(3)) WITH ('connector' = 'nexmark', 'rows-per-second' = '500');
         CREATE TABLE times (ts TIMESTAMP(3)) WITH ('connector' = 'filesystem', 'path' = '{place}/times', 'format' = 'csv');
         INSERT INTO times SELECT ts FROM bid WHERE price > 0;"
    );
    let started = sql(&cluster, &["-d", "-e", &insert]);
    assert!(started.status.success(), "{}", text(&started));
    let job = text(&started).split_whitespace().last().expect("it names the job").to_owned();
    cluster.wait_for(&job, &["RUNNING"]);
    let listed = sql(&cluster, &["-e", "SHOW JOBS"]);
    let lines = stdout(&listed);
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!((lines[0], lines.len()), ("job id,job name,status,start time", 2), "{}", text(&listed));
    assert!(lines[1].starts_with(&format!("{job},endless,RUNNING,20")), "{}", lines[1]);
    // What is told of jobs is no matter of the workers, which execute the same statements.
    let told = format!(
        "SHOW JOBS; DESCRIBE JOB '{job}'; CREATE TABLE bid (price BIGINT) WITH ('connector' = 'nexmark', 'events' = '1000');
        SELECT COUNT(*) AS bids FROM bid"
    );
    let told = sql(&cluster, &["-D", "slot.request.timeout=30 s", "-e", &told]);
    assert!(told.status.success() && stdout(&told).ends_with("bids\n920\n"), "{}", text(&told));
    let missing = sql(&cluster, &["-e", "STOP JOB '00000000000000000000000000000001'"]);
    assert!(!missing.status.success() && text(&missing).contains("there is no job 0"), "{}", text(&missing));
    wait("some running tasks", || (cluster.get(&format!("/jobs/{job}"))["status-counts"]["RUNNING"].as_u64() >= Some(1)).then_some(()));
    let stopped = sql(&cluster, &["-e", &format!("STOP JOB '{job}' WITH SAVEPOINT; DESCRIBE JOB '{job}'")]);
    let said = stdout(&stopped);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!((lines.len(), lines[0]), (4, "savepoint path"), "{}", text(&stopped));
    let savepoint = lines[1].trim_start_matches("file://");
    assert!(Path::new(savepoint).join("_metadata").exists(), "{savepoint}");
    cluster.wait_for(&job, &["FINISHED"]);
    let again = sql(&cluster, &["-e", &format!("STOP JOB '{job}'")]);
    assert!(!again.status.success() && text(&again).contains("is FINISHED already"), "{}", text(&again));
    // From there on, also by the statement of the same script that stops it again.
    let before = table(&folder.join("times")).len();
    let resume = format!("SET 'execution.state-recovery.path' = '{savepoint}'; {insert}");
    let resumed = sql(&cluster, &["-d", "-e", &resume]);
    assert!(resumed.status.success(), "{}", text(&resumed));
    let job = text(&resumed).split_whitespace().last().expect("it names the job").to_owned();
    wait("some running tasks", || (cluster.get(&format!("/jobs/{job}"))["status-counts"]["RUNNING"].as_u64() >= Some(1)).then_some(()));
    let restored = cluster.get(&format!("/jobs/{job}/checkpoints"))["latest"]["restored"]["external_path"].clone();
    assert!(restored.as_str().is_some_and(|path| path.ends_with(savepoint.rsplit('/').next().expect("a name"))), "{restored}");
    let stopped = sql(&cluster, &["-e", &format!("STOP JOB '{job}' WITH SAVEPOINT WITH DRAIN")]);
    assert!(stopped.status.success(), "{}", text(&stopped));
    cluster.wait_for(&job, &["FINISHED"]);
    let lines = table(&folder.join("times"));
    assert!(lines.len() > before, "{} lines, {before} before", lines.len());
    // Each bid has a time of its own, and is there once.
    let times: BTreeSet<&String> = lines.iter().collect();
    assert_eq!(times.len(), lines.len());
}

#[test]
fn what_is_wrong_is_told_as_it_is_embedded() {
    let cluster = Cluster::start(1, &[]);
    let wrong = "SHOW VIEWS; SELECT\n nothing FROM bid";
    let [embedded, remote] = [brisk(&["sql", "-e", wrong]), sql(&cluster, &["-e", wrong])];
    assert_eq!(embedded.status.code(), Some(1));
    assert_eq!((remote.status.code(), stdout(&remote)), (Some(1), stdout(&embedded)), "{}", text(&remote));
    let [embedded, remote] = [embedded, remote].map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
    assert_eq!(remote, embedded);
    let written = sql(&cluster, &["-e", "SELEKT 1"]);
    assert!(text(&written).contains("-e: line 1, column 1: 'SELEKT' begins no statement; did you mean SELECT?"), "{}", text(&written));
    let nowhere = brisk(&["sql", "-m", "localhost:1", "-e", "SELECT 1"]);
    assert!(!nowhere.status.success() && text(&nowhere).contains("localhost:1 cannot be reached"), "{}", text(&nowhere));
    let target = brisk(&["sql", "-t", "yarn-session", "-e", "SELECT 1"]);
    assert!(!target.status.success() && text(&target).contains("there is no target 'yarn-session'"), "{}", text(&target));
    let detached = brisk(&["sql", "-d", "-e", "SELECT 1"]);
    assert!(!detached.status.success() && text(&detached).contains("-d is for clusters"), "{}", text(&detached));
}
