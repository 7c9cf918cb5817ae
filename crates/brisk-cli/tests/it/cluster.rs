//! Whole clusters of processes. The programs that they run are tests of this binary, which do nothing unless a cluster has started them.

use brisk::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);

/// Whether a cluster has started this process.
fn is_program() -> bool {
    std::env::var_os("BRISK_PROCESS_ROLE").is_some()
}

/// A folder that the program was told of by an option.
fn folder_of(env: &StreamEnvironment) -> PathBuf {
    PathBuf::from(env.config().text("execution.checkpointing.savepoint-dir").expect("the test names one"))
}

#[test]
fn program_of_two_jobs() -> Result<()> {
    if !is_program() {
        return Ok(());
    }
    let env = StreamEnvironment::get()?;
    env.set_parallelism(3);
    let seed = env.once("seed", || u64::from(std::process::id()));
    let words = env.from_parallel_collection((0..3000u64).collect::<Vec<_>>());
    // All ways of an exchange: hashed, rebalanced, broadcast, to one.
    let counts = words.rebalance().map(|n| (n % 7, 1u64)).key_by(|pair| pair.0).sum(|pair| &mut pair.1).collect()?;
    let totals = counts.into_iter().fold(BTreeMap::new(), |mut totals: BTreeMap<u64, u64>, (key, count)| {
        let last = totals.entry(key).or_default();
        *last = count.max(*last);
        totals
    });
    assert_eq!(totals.values().sum::<u64>(), 3000);
    // The second job is built from what the first has given: a worker comes here only with that.
    let most = totals.values().copied().max().unwrap_or_default();
    let process = u64::from(std::process::id());
    let mut all = env
        .from_elements([most])
        .broadcast()
        .map(move |n| (n, seed, seed == process))
        .global()
        .map(|row: (u64, u64, bool)| row)
        .collect()?;
    all.sort_unstable();
    assert_eq!(all, vec![(429, seed, false); 3], "what was recorded is the same everywhere, and this is another process");
    println!("the program is content");
    Ok(())
}

#[test]
fn program_that_differs() -> Result<()> {
    if !is_program() {
        return Ok(());
    }
    let env = StreamEnvironment::get()?;
    let name = if std::env::var("BRISK_PROCESS_ROLE").as_deref() == Ok("driver") { "one" } else { "another" };
    env.from_sequence(1, 10).map(|n| n).name(name).print();
    env.execute("fickle").map(drop)
}

#[test]
fn program_without_a_job() {
    assert!(!is_program(), "it has no mind to run");
}

#[test]
fn program_that_dawdles() {
    while is_program() {
        println!("thinking");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

#[test]
fn program_that_counts() -> Result<()> {
    let Some(file) =
        std::env::args().find_map(|word| word.strip_prefix("--skip=").map(str::to_owned)).filter(|_| is_program() || is_local())
    else {
        return Ok(());
    };
    let env = StreamEnvironment::get()?;
    let lines = env.read_text_file(&file).map_with(Counted::default()).collect()?;
    println!("{} lines, parallelism {}", lines.len(), env.config().text("parallelism.default").unwrap_or("none"));
    Ok(())
}

/// Whether `brisk run -t local` has started this process.
fn is_local() -> bool {
    std::env::var_os("BRISK_CONF").is_some()
}

/// Counts what it maps in a metric.
#[derive(Clone, Default)]
struct Counted(Option<brisk::metrics::Counter>);

impl MapFunction for Counted {
    type In = String;
    type Out = u64;

    fn open(&mut self, cx: &RuntimeContext) -> Result<()> {
        cx.metrics.computed_gauge("half", || 0.5);
        self.0 = Some(cx.metrics.add_group("mine").counter("mapped"));
        Ok(())
    }

    fn map(&mut self, line: String) -> Result<u64> {
        self.0.iter().for_each(brisk::metrics::Counter::inc);
        Ok(line.len() as u64)
    }
}

#[test]
fn program_with_metrics() -> Result<()> {
    if !is_program() {
        return Ok(());
    }
    let env = StreamEnvironment::get()?;
    let numbers = DataGeneratorSource::new(|n| n.to_string()).per_second(500.0);
    let source = env.from_source(numbers, WatermarkStrategy::no_watermarks(), "Numbers");
    source.map_with(Counted::default()).name("Counting").rebalance().add_sink(|_| {});
    env.execute("metered").map(drop)
}

/// Numbers for ever, counted by key; a file tells how far the first subtask is.
fn endless(mut what: impl FnMut(i64, &Path) -> i64 + Clone + Send + 'static) -> Result<()> {
    let env = StreamEnvironment::get()?;
    let folder = folder_of(&env);
    let place = folder.clone();
    let numbers = DataGeneratorSource::new(|n| n as i64).per_second(500.0);
    env.from_source(numbers, WatermarkStrategy::no_watermarks(), "Numbers")
        .map(move |n| what(n, &place))
        .key_by(|n| n % 5)
        .reduce(|a, b| a.max(b))
        .add_sink(move |n| drop(std::fs::write(folder.join("progress"), n.to_string())));
    env.execute("endless").map(drop)
}

#[test]
fn program_without_end() -> Result<()> {
    if is_program() { endless(|n, _| n) } else { Ok(()) }
}

#[test]
fn program_that_aborts() -> Result<()> {
    if !is_program() {
        return Ok(());
    }
    endless(|n, _| if n > 100 { std::process::abort() } else { n })
}

#[test]
fn program_that_spins() -> Result<()> {
    if !is_program() {
        return Ok(());
    }
    endless(|n, folder| {
        if n > 100 {
            drop(std::fs::write(folder.join("spins"), "now"));
        }
        while std::hint::black_box(n) > 100 {
            std::hint::spin_loop();
        }
        n
    })
}

#[test]
fn program_that_leaks() -> Result<()> {
    if !is_program() {
        return Ok(());
    }
    endless(|n, _| {
        std::mem::forget(vec![1u8; 64 << 20]);
        n
    })
}

/// A cluster that ends with the test.
pub(crate) struct Cluster {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) rest: String,
}

impl Cluster {
    pub(crate) fn start(task_managers: u32, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let directory = folder.path().join("cluster").display().to_string();
        let count = task_managers.to_string();
        let mut words = vec!["start-cluster", "--directory", &directory, "-n", &count, "-D", "rest.port=0", "-D", "jobmanager.rpc.port=0"];
        options.iter().for_each(|option| words.extend(["-D", option]));
        let started = brisk(&words);
        assert!(started.status.success(), "{}", text(&started));
        let addresses = std::fs::read_to_string(folder.path().join("cluster/jobmanager.json")).expect("it was written");
        let addresses: Value = serde_json::from_str(&addresses).expect("it is JSON");
        let rest = addresses["rest"].as_str().expect("it is told").to_owned();
        Self { folder, rest }
    }

    /// A folder for what a program leaves.
    pub(crate) fn output(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).expect("there is room");
        path
    }

    /// Runs one of the programs above.
    fn run(&self, program: &str, options: &[&str]) -> Output {
        let own = std::env::current_exe().expect("it runs").display().to_string();
        let mut words = vec!["run", "-m", &self.rest];
        words.extend(options);
        let program = format!("cluster::{program}");
        words.extend([own.as_str(), "--exact", &program, "--nocapture"]);
        brisk(&words)
    }

    fn run_detached(&self, program: &str, output: &Path, options: &[&str]) -> String {
        let folder = format!("execution.checkpointing.savepoint-dir={}", output.display());
        let started = self.run(program, &[&["-d", "-D", &folder], options].concat());
        assert!(started.status.success(), "{}", text(&started));
        String::from_utf8_lossy(&started.stdout).split_whitespace().last().expect("it names the job").to_owned()
    }

    /// Whether a daemon has started a process that runs.
    pub(crate) fn has_worker(&self, daemon: &str) -> bool {
        let number = std::fs::read_to_string(self.folder.path().join(format!("cluster/{daemon}.pid"))).expect("it was started");
        let is_child = |entry: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            Some(stat.rsplit_once(')')?.1.split_whitespace().nth(1)? == number.trim())
        };
        std::fs::read_dir("/proc").expect("it is there").flatten().any(|entry| is_child(entry) == Some(true))
    }

    /// Kills one of its daemons.
    pub(crate) fn kill(&self, daemon: &str) {
        let number = std::fs::read_to_string(self.folder.path().join(format!("cluster/{daemon}.pid"))).expect("it was started");
        let killed = Command::new("kill").args(["-9", number.trim()]).status().expect("there is a kill");
        assert!(killed.success(), "{daemon} {number}");
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let mut answer = ureq::get(format!("http://{}/v1{path}", self.rest)).call().expect("it answers");
        serde_json::from_str(&answer.body_mut().read_to_string().expect("it is text")).expect("it is JSON")
    }

    /// A path whose answer is no JSON.
    fn text(&self, path: &str) -> String {
        let mut answer = ureq::get(format!("http://{}{path}", self.rest)).call().unwrap_or_else(|error| panic!("{path}: {error}"));
        answer.body_mut().read_to_string().expect("it is text")
    }

    /// Waits until a job has one of these states.
    pub(crate) fn wait_for(&self, job: &str, states: &[&str]) -> String {
        wait("the job's state", || {
            let state = self.get(&format!("/jobs/{job}"))["state"].as_str().expect("a state").to_owned();
            states.contains(&state.as_str()).then_some(state)
        })
    }

    fn root_cause(&self, job: &str) -> String {
        self.get(&format!("/jobs/{job}/exceptions"))["exceptionHistory"]["entries"][0]["stacktrace"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let directory = self.folder.path().join("cluster").display().to_string();
        let stopped = brisk(&["stop-cluster", "--directory", &directory]);
        if !std::thread::panicking() {
            assert!(stopped.status.success(), "{}", text(&stopped));
        }
    }
}

pub(crate) fn brisk(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_brisk")).args(words).env_remove("BRISK_CONF").env_remove("BRISK_HOME").output().expect("it can be run")
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Looks again and again: what happens in other processes wakes nobody here.
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..PATIENCE.as_millis() / 20 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    panic!("{what} did not come within {PATIENCE:?}");
}

/// How far an endless program is.
pub(crate) fn progress(folder: &Path) -> i64 {
    std::fs::read_to_string(folder.join("progress")).ok().and_then(|text| text.parse().ok()).unwrap_or(-1)
}

#[test]
fn programs_run_on_three_task_managers_and_mistakes_are_explained() {
    let cluster = Cluster::start(3, &[]);
    let done = cluster.run("program_of_two_jobs", &["-p", "3"]);
    let said = text(&done);
    assert!(done.status.success() && said.contains("the program is content"), "{said}");
    assert_eq!(said.matches("has finished.").count(), 2, "{said}");
    let known = cluster.get("/jars")["files"].as_array().map(Vec::len);
    let differs = cluster.run("program_that_differs", &[]);
    let said = text(&differs);
    assert!(
        !differs.status.success() && said.contains("another job here") && said.contains("'one'") && said.contains("'another'"),
        "{said}"
    );
    assert_eq!(cluster.get("/jars")["files"].as_array().map(Vec::len), known, "the same program is uploaded once");
    let without = cluster.run("program_without_a_job", &[]);
    let said = text(&without);
    assert!(!without.status.success() && said.contains("executed no job") && said.contains("it has no mind to run"), "{said}");
    // Stopped with a savepoint, and gone on with from there.
    let output = cluster.output("endless");
    let job = cluster.run_detached("program_without_end", &output, &[]);
    wait("a result", || (progress(&output) > 100).then_some(()));
    let stopped = brisk(&["stop", "-m", &cluster.rest, &job]);
    let said = text(&stopped);
    assert!(stopped.status.success(), "{said}");
    let savepoint = said.lines().find_map(|line| line.strip_prefix("Savepoint completed. Path: ")).expect("it says where").to_owned();
    assert_eq!(cluster.wait_for(&job, &["FINISHED", "FAILED"]), "FINISHED");
    let before = progress(&output);
    std::fs::remove_file(output.join("progress")).expect("it is there");
    let job = cluster.run_detached("program_without_end", &output, &["-s", &savepoint]);
    let first = wait("a result", || (progress(&output) >= 0).then(|| progress(&output)));
    assert!(first >= before - 5, "it went on at {first}, having been at {before}");
    let cancelled = brisk(&["cancel", "-m", &cluster.rest, &job]);
    assert!(cancelled.status.success(), "{}", text(&cancelled));
    assert_eq!(cluster.wait_for(&job, &["CANCELED", "FAILED"]), "CANCELED");
    let slots = wait("free slots", || {
        let overview = cluster.get("/overview");
        (overview["slots-available"] == overview["slots-total"]).then_some(overview["slots-total"].clone())
    });
    assert_eq!(slots, 3);
}

#[test]
fn what_one_job_does_to_itself_does_not_disturb_another() {
    let options = ["taskmanager.numberOfTaskSlots=4", "taskmanager.memory.process.size=1 gb", "task.cancellation.timeout=1 s"];
    let cluster = Cluster::start(1, &options);
    let calm = cluster.output("calm");
    let job = cluster.run_detached("program_without_end", &calm, &["-p", "1"]);
    wait("a result", || (progress(&calm) > 0).then_some(()));
    let output = cluster.output("wild");
    for (program, why) in [("program_that_aborts", "signal 6"), ("program_that_leaks", "memory")] {
        let wild = cluster.run_detached(program, &output, &["-p", "1"]);
        assert_eq!(cluster.wait_for(&wild, &["FAILED", "FINISHED", "CANCELED"]), "FAILED");
        let cause = cluster.root_cause(&wild);
        assert!(cause.contains(why) || cause.contains("worker"), "{cause}");
    }
    let wild = cluster.run_detached("program_that_spins", &output, &["-p", "1"]);
    cluster.wait_for(&wild, &["RUNNING"]);
    wait("a function that spins", || output.join("spins").exists().then_some(()));
    wait("the stack of what spins", || {
        let managers = cluster.get("/taskmanagers")["taskmanagers"].as_array().cloned().expect("a list");
        let dump = |manager: &Value| {
            let id = manager["id"].as_str().expect("an id").to_owned();
            cluster.get(&format!("/taskmanagers/{id}/thread-dump"))["threadInfos"].to_string()
        };
        managers.iter().any(|manager| dump(manager).contains("program_that_spins")).then_some(())
    });
    let cancelled = brisk(&["cancel", "-m", &cluster.rest, &wild]);
    assert!(cancelled.status.success(), "{}", text(&cancelled));
    assert_eq!(cluster.wait_for(&wild, &["CANCELED", "FAILED"]), "CANCELED", "its process was killed");
    let seen = progress(&calm);
    wait("another result", || (progress(&calm) > seen).then_some(()));
    assert_eq!(cluster.get(&format!("/jobs/{job}"))["state"], "RUNNING");
    assert_eq!(cluster.root_cause(&job), "", "nothing has ever failed there");
}

#[test]
fn a_second_cluster_in_a_folder_is_refused_and_a_broken_one_says_why() {
    let folder = tempfile::tempdir().expect("there is room");
    let directory = folder.path().display().to_string();
    let start = ["start-cluster", "--directory", &directory, "-n", "0", "-D", "rest.port=0", "-D", "jobmanager.rpc.port=0"];
    let started = brisk(&start);
    assert!(started.status.success(), "{}", text(&started));
    let again = brisk(&start);
    assert!(!again.status.success() && text(&again).contains("runs already"), "{}", text(&again));
    assert!(brisk(&["stop-cluster", "--directory", &directory]).status.success());
    let nothing = brisk(&["stop-cluster", "--directory", &directory]);
    assert!(!nothing.status.success() && text(&nothing).contains("no cluster"), "{}", text(&nothing));
    let broken = brisk(&["start-cluster", "--directory", &directory, "-D", "heartbeat.intervall=1 s"]);
    assert!(!broken.status.success() && text(&broken).contains("'heartbeat.interval'"), "{}", text(&broken));
}

#[test]
fn processes_and_what_users_measure_can_be_looked_at() {
    let cluster = Cluster::start(2, &["brisk.log.format=json"]);
    let output = cluster.output("metered");
    let job = cluster.run_detached("program_with_metrics", &output, &["-p", "2"]);
    let details =
        wait("all tasks", || Some(cluster.get(&format!("/jobs/{job}"))).filter(|details| details["status-counts"]["RUNNING"] == 2));
    let vertex = details["vertices"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|one| one["name"].as_str().is_some_and(|name| name.contains("Counting")));
    let vertex = vertex.expect("it maps")["id"].as_str().expect("an id").to_owned();
    let metrics = format!("/jobs/{job}/vertices/{vertex}/subtasks/metrics?get=Counting.mine.mapped,Counting.half&agg=min,sum");
    wait("counts of both workers", || {
        let told = cluster.get(&metrics);
        let by_name = |name: &str| told.as_array()?.iter().find(|one| one["id"] == name).cloned();
        let (mapped, half) = (by_name("Counting.mine.mapped")?, by_name("Counting.half")?);
        (mapped["min"].as_f64() > Some(0.0) && half["sum"] == 1.0).then_some(())
    });
    // What operators of one chain have done, each by itself.
    let rows = cluster.get(&format!("/jobs/{job}/vertices/{vertex}/metrics?get=0.Counting.numRecordsIn,0.Source__Numbers.numRecordsOut"));
    let counts: Vec<u64> = rows.as_array().expect("a list").iter().filter_map(|one| one["value"].as_str()?.parse().ok()).collect();
    assert!(counts.len() == 2 && counts.iter().all(|count| *count > 0), "{rows}");
    let prometheus = cluster.text("/metrics");
    assert!(prometheus.contains("flink_taskmanager_job_task_operator_numRecordsIn{"), "{prometheus}");
    let counted =
        prometheus.lines().filter(|line| line.starts_with("flink_taskmanager_job_task_operator_mine_mapped{")).collect::<Vec<_>>();
    let managers = cluster.get("/taskmanagers")["taskmanagers"].as_array().cloned().expect("a list");
    for manager in &managers {
        let id = manager["id"].as_str().expect("an id");
        assert!(counted.iter().any(|line| line.contains(&format!("tm_id=\"{id}\""))), "{counted:?}");
        let logs = cluster.get(&format!("/taskmanagers/{id}/logs"));
        let names: Vec<&str> = logs["logs"].as_array().expect("a list").iter().filter_map(|log| log["name"].as_str()).collect();
        let worker = names.iter().find(|name| name.starts_with(&format!("job-{job}"))).expect("its worker has a log");
        assert!(names.contains(&"taskmanager-1.log"), "{names:?}");
        cluster.text(&format!("/taskmanagers/{id}/logs/{worker}"));
        assert!(cluster.text(&format!("/taskmanagers/{id}/log")).contains("registered at the JobManager"));
        let threads = cluster.get(&format!("/taskmanagers/{id}/thread-dump"))["threadInfos"].to_string();
        assert!(threads.contains("brisk-inspect") && threads.contains('['), "its own threads, and those of its worker: {threads}");
        assert!(threads.contains("TaskHost") || threads.contains("brisk_runtime"), "with their stacks: {threads}");
        let figures = cluster.get(&format!("/taskmanagers/{id}/metrics?get=Status.JVM.Memory.Heap.Used,Status.JVM.Threads.Count"));
        assert!(figures.as_array().is_some_and(|figures| figures.len() == 2), "{figures}");
    }
    assert!(cluster.text("/jobmanager/log").contains("JobManager started"));
    // How much is logged can be changed while everything runs; how, with the start.
    let level = format!("http://{}/taskmanagers/{}/log-level", cluster.rest, managers[0]["id"].as_str().expect("an id"));
    let put = |level: &str, to: &str| ureq::put(level).send(format!("{{\"level\": \"{to}\"}}"));
    let mut changed = put(&level, "debug").expect("it is answered");
    assert_eq!(changed.body_mut().read_to_string().expect("it is text"), r#"{"level":"debug"}"#);
    assert!(put(&level, "loud").is_err(), "there is no such level");
    for line in cluster.text("/jobmanager/log").lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(event["level"].is_string() && event["message"].is_string(), "{line}");
    }
    // Its end, asked for.
    let ended = ureq::delete(format!("http://{}/cluster", cluster.rest)).call().expect("it is answered");
    assert_eq!(ended.status().as_u16(), 200);
    wait("the end of the JobManager", || ureq::get(format!("http://{}/overview", cluster.rest)).call().is_err().then_some(()));
}

#[test]
fn programs_are_planned_run_here_and_given_up() {
    let cluster = Cluster::start(1, &["brisk.driver.timeout=2 s"]);
    let lines = cluster.folder.path().join("lines.txt");
    std::fs::write(&lines, "a\nb\nc\n").expect("there is room");
    let own = std::env::current_exe().expect("it runs").display().to_string();
    // A relative path is one of this folder, wherever the program runs.
    let run = |words: &[&str], program: &str| {
        let test = format!("cluster::{program}");
        let rest = [own.as_str(), "--exact", &test, "--nocapture", "--skip=./lines.txt"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_brisk"));
        command.args(words).args(rest).current_dir(cluster.folder.path()).env_remove("BRISK_CONF").output().expect("it can be run")
    };
    let remote = run(&["run", "-m", &cluster.rest, "-p", "1"], "program_that_counts");
    assert!(remote.status.success() && text(&remote).contains("3 lines, parallelism 1"), "{}", text(&remote));
    let here = run(&["run", "-t", "local", "-p", "2"], "program_that_counts");
    assert!(here.status.success() && text(&here).contains("3 lines, parallelism 2"), "{}", text(&here));
    let jobs = cluster.get("/jobs")["jobs"].as_array().map(Vec::len);
    let planned = run(&["info", "-m", &cluster.rest, "-p", "1"], "program_that_counts");
    let plan: Value = serde_json::from_slice(&planned.stdout).unwrap_or_else(|_| panic!("{}", text(&planned)));
    assert!(plan["nodes"].to_string().contains("Text File"), "{plan}");
    assert_eq!(cluster.get("/jobs")["jobs"].as_array().map(Vec::len), jobs, "nothing was run");
    let nothing = brisk(&["info", "-m", &cluster.rest, "nothing"]);
    assert!(!nothing.status.success() && text(&nothing).contains("neither the id of a job"), "{}", text(&nothing));
    let slow = run(&["run", "-m", &cluster.rest], "program_that_dawdles");
    let said = text(&slow);
    assert!(!slow.status.success() && said.contains("no job within 2s") && said.contains("brisk.driver.timeout"), "{said}");
    assert!(said.contains("thinking"), "{said}");
    let target = run(&["run", "-t", "yarn-session"], "program_that_counts");
    assert!(!target.status.success() && text(&target).contains("there is no target 'yarn-session'"), "{}", text(&target));
}

#[test]
fn an_application_has_a_cluster_that_ends_with_it() {
    let folder = tempfile::tempdir().expect("there is room");
    let directory = folder.path().join("cluster").display().to_string();
    let own = std::env::current_exe().expect("it runs").display().to_string();
    let run = |program: &str, words: &[&str]| {
        let program = format!("cluster::{program}");
        let rest = [own.as_str(), "--exact", &program, "--nocapture"];
        brisk(&[&["run-application", "--directory", &directory, "--taskmanagers", "3"], words, &rest].concat())
    };
    let done = run("program_of_two_jobs", &["-p", "3"]);
    let said = text(&done);
    assert!(done.status.success() && said.contains("the program is content"), "{said}");
    let left: Vec<_> = std::fs::read_dir(&directory).expect("it is there").flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".pid")), "nothing runs any more: {left:?}");
    let failed = run("program_without_a_job", &[]);
    let said = text(&failed);
    assert!(!failed.status.success() && said.contains("executed no job") && said.contains("it has no mind to run"), "{said}");
}

#[test]
fn nothing_is_uploaded_where_that_is_switched_off() {
    let cluster = Cluster::start(0, &["web.submit.enable=false"]);
    let refused = cluster.run("program_without_end", &[]);
    let said = text(&refused);
    assert!(!refused.status.success() && said.contains("'web.submit.enable' is false"), "{said}");
    assert_eq!(cluster.get("/config")["features"]["web-submit"], false);
    let cluster = Cluster::start(0, &[]);
    assert_eq!(cluster.get("/config")["features"]["web-submit"], true);
}
