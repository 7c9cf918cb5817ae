//! What can be looked at.

use crate::client::{Served, running_job};
use crate::shape::assert_like_flink;
use brisk_core::checkpoint_statistics::CheckpointOutcome;
use serde_json::Value;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// A cluster whose jobs take checkpoints all the time.
fn served(folder: &std::path::Path) -> Served {
    let folder = folder.to_string_lossy();
    Served::new(&[
        ("execution.checkpointing.interval", "20 ms"),
        ("execution.checkpointing.num-retained", "2"),
        ("execution.checkpointing.dir", &folder),
        ("web.checkpoints.history", "5"),
    ])
}

/// The vertex that reads from another.
fn reading_vertex(job: &Value) -> String {
    job["vertices"][1]["id"].as_str().expect("a job has two vertices").to_owned()
}

#[test]
fn everything_looks_as_in_flink() {
    let dir = tempfile::tempdir().expect("a folder");
    let served = served(dir.path());
    let (job, path) = running_job(&served);
    served.until(&format!("{path}/checkpoints"), |body| body["counts"]["completed"].as_u64() > Some(2));
    let vertex = reading_vertex(&served.ok(&path));
    let task_manager = served.ok("/taskmanagers")["taskmanagers"][0]["id"].as_str().expect("it has an id").to_owned();
    let of_vertex = format!("{path}/vertices/{vertex}");
    let paths = [
        ("get_overview", "/overview".to_owned()),
        ("get_config", "/config".to_owned()),
        ("get_jobmanager_metrics", "/jobmanager/metrics".to_owned()),
        ("get_jobs", "/jobs".to_owned()),
        ("get_jobs_overview", "/v1/jobs/overview".to_owned()),
        ("get_jobs_metrics", "/jobs/metrics".to_owned()),
        ("get_jobs_jobid", path.clone()),
        ("get_jobs_jobid_status", format!("{path}/status")),
        ("get_jobs_jobid_plan", format!("{path}/plan")),
        ("get_jobs_jobid_config", format!("{path}/config")),
        ("get_jobs_jobid_exceptions", format!("{path}/exceptions")),
        ("get_jobs_jobid_accumulators", format!("{path}/accumulators")),
        ("get_jobs_jobid_execution_result", format!("{path}/execution-result")),
        ("get_jobs_jobid_metrics", format!("{path}/metrics")),
        (
            "get_jobs_jobid_metrics_get_numRestarts_uptime_lastCheckpointDuration",
            format!("{path}/metrics?get=numRestarts,uptime,lastCheckpointDuration"),
        ),
        ("get_jobs_jobid_checkpoints_config", format!("{path}/checkpoints/config")),
        ("get_jobs_jobid_vertices_vertexid", of_vertex.clone()),
        ("get_jobs_jobid_vertices_vertexid_accumulators", format!("{of_vertex}/accumulators")),
        ("get_jobs_jobid_vertices_vertexid_metrics", format!("{of_vertex}/metrics")),
        ("get_jobs_jobid_vertices_vertexid_subtasks_0", format!("{of_vertex}/subtasks/0")),
        ("get_jobs_jobid_vertices_vertexid_subtasks_0_attempts_0", format!("{of_vertex}/subtasks/0/attempts/0")),
        ("get_jobs_jobid_vertices_vertexid_subtasks_0_attempts_0_accumulators", format!("{of_vertex}/subtasks/0/attempts/0/accumulators")),
        ("get_jobs_jobid_vertices_vertexid_jm_operator_metrics", format!("{of_vertex}/jm-operator-metrics")),
        ("get_jobs_jobid_vertices_vertexid_subtasks_0_metrics", format!("{of_vertex}/subtasks/0/metrics")),
        ("get_jobs_jobid_vertices_vertexid_subtasks_accumulators", format!("{of_vertex}/subtasks/accumulators")),
        (
            "get_jobs_jobid_vertices_vertexid_subtasks_metrics_get_numRecordsIn_numRecordsOut_agg_min_max_sum",
            format!("{of_vertex}/subtasks/metrics?get=numRecordsIn,numRecordsOut&agg=min,max,sum"),
        ),
        ("get_jobs_jobid_vertices_vertexid_subtasktimes", format!("{of_vertex}/subtasktimes")),
        ("get_jobs_jobid_vertices_vertexid_taskmanagers", format!("{of_vertex}/taskmanagers")),
        ("get_jobs_jobid_vertices_vertexid_watermarks", format!("{of_vertex}/watermarks")),
        ("get_jobs_jobid_vertices_vertexid_backpressure", format!("{of_vertex}/backpressure")),
        ("get_jobs_jobid_vertices_vertexid_subtasks_metrics", format!("{of_vertex}/subtasks/metrics")),
        ("get_jobs_jobid_resource_requirements", format!("{path}/resource-requirements")),
        ("get_jobmanager_logs", "/jobmanager/logs".to_owned()),
        ("get_jobmanager_thread_dump", "/jobmanager/thread-dump".to_owned()),
        ("get_taskmanagers_metrics", "/taskmanagers/metrics".to_owned()),
        ("get_taskmanagers_taskmanagerid_metrics", format!("/taskmanagers/{task_manager}/metrics")),
        ("get_taskmanagers_taskmanagerid_logs", format!("/taskmanagers/{task_manager}/logs")),
        ("get_taskmanagers_taskmanagerid_thread_dump", format!("/taskmanagers/{task_manager}/thread-dump")),
        ("get_taskmanagers", "/taskmanagers".to_owned()),
        ("get_taskmanagers_taskmanagerid", format!("/taskmanagers/{task_manager}")),
        ("get_jobs_xyz", "/jobs/xyz".to_owned()),
        ("get_jobs_00000000000000000000000000000000", "/jobs/00000000000000000000000000000000".to_owned()),
        ("get_nothing_here", "/nothing-here".to_owned()),
    ];
    for (name, path) in &paths {
        let (status, body) = served.get(path);
        assert_like_flink(name, status, &body);
    }
    // The newest may be under way, and then has not all that the captured one has.
    let checkpoints = served.until(&format!("{path}/checkpoints"), |body| body["history"][0]["status"] == "COMPLETED");
    assert_like_flink("get_jobs_jobid_checkpoints", 200, &checkpoints);
    job.cancel();
    served.until(&format!("{path}/status"), |body| body["status"] == "CANCELED");
    for (name, path) in [("get_jobs_jobid_canceled", path.clone()), ("get_jobs_jobid_exceptions_canceled", format!("{path}/exceptions"))] {
        assert_like_flink(name, 200, &served.ok(&path));
    }
    assert_eq!(served.ok(&path)["vertices"][1]["tasks"]["CANCELED"], 2);
}

#[test]
fn times_tell_who_waits_for_whom() {
    let served = Served::new(&[("execution.buffer-timeout.interval", "1 ms")]);
    let (job, _held) = served.start_stuck_job("stuck");
    let path = format!("/jobs/{}", job.job_id());
    let vertices = served.until(&path, |body| body["status-counts"]["RUNNING"] == 2)["vertices"].clone();
    let of_vertex = |at: usize| format!("{path}/vertices/{}", vertices[at]["id"].as_str().expect("an id"));
    let blocked = served.until(&format!("{}/backpressure", of_vertex(0)), |body| body["backpressureLevel"] == "high");
    let ratios = |subtask: &Value| ["ratio", "idleRatio", "busyRatio"].map(|name| subtask[name].as_f64().expect("a number"));
    let [back_pressured, idle, busy] = ratios(&blocked["subtasks"][0]);
    assert!(back_pressured > 0.5 && (back_pressured + idle + busy - 1.0).abs() < 0.01, "{blocked}");
    // What it waits for is busy all the time, in one call.
    let slow = served.until(&format!("{}/backpressure", of_vertex(1)), |body| ratios(&body["subtasks"][0])[2] > 0.5);
    assert_eq!(slow["backpressureLevel"], "ok");
    let value = |at: usize, name: &str| -> f64 {
        let metrics = served.ok(&format!("{}/metrics?get=0.{name}", of_vertex(at)));
        metrics[0]["value"].as_str().and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name}: {metrics}"))
    };
    assert!(value(0, "backPressuredTimeMsPerSecond") > 500.0 && value(1, "busyTimeMsPerSecond") > 500.0);
    assert!(value(0, "accumulateBackPressuredTimeMs") > 0.0 && value(0, "numRecordsOutPerSecond") > 0.0);
    assert!(value(0, "numBytesOutPerSecond") > 0.0 && value(0, "numBytesIn") == 0.0);
    let metrics = &served.ok(&of_vertex(0))["subtasks"][0]["metrics"];
    assert_eq!((metrics["read-bytes"].as_u64(), metrics["write-bytes-complete"].as_bool()), (Some(0), Some(true)), "{metrics}");
    assert!(metrics["write-bytes"].as_u64() > Some(100), "{metrics}");
    assert!(metrics["accumulated-backpressured-time"].as_u64() > Some(0), "{metrics}");
    let all: Value = served.ok(&format!("{}/subtasks/metrics?get=idleTimeMsPerSecond&agg=max&subtasks=0,1-7", of_vertex(0)));
    assert_eq!(all[0]["id"], "idleTimeMsPerSecond");
    assert_eq!(served.get(&format!("{}/subtasks/metrics?get=x&subtasks=a-b", of_vertex(0))).0, 400);
    assert_eq!(served.ok(&format!("{}/flamegraph", of_vertex(0))), serde_json::json!({ "endTimestamp": -2, "data": null }));
    assert_eq!(served.request("PATCH", &format!("{path}/rescaling?parallelism=2"), "").0, 503);
}

#[test]
fn what_there_is_is_described_and_what_is_ended_ends() {
    let served = Served::new(&[]);
    let (job, path) = running_job(&served);
    let described = served.ok("/v1/openapi.json");
    assert_eq!(described["openapi"], "3.0.3");
    assert!(described["paths"]["/jobs/{jobid}/vertices/{vertexid}/backpressure"]["get"].is_object());
    // None of them is the file that is not there.
    let vertex = reading_vertex(&served.ok(&path));
    for (template, operations) in described["paths"].as_object().expect("paths") {
        let told = template.replace("{jobid}", path.rsplit('/').next().expect("an id")).replace("{vertexid}", &vertex);
        let told = told.replace("{subtaskindex}", "0").replace("{attempt}", "0").replace(['{', '}'], "");
        if operations["get"].is_object() && template != "/metrics" && !told.contains("/log") && !told.contains("stdout") {
            let (_, body) = served.get(&told);
            assert!(!body.to_string().contains("Unable to load requested file"), "{told}: {body}");
        }
    }
    assert_eq!(served.get("/jobmanager/logs/none").0, 404);
    assert_eq!(served.get("/taskmanagers/00000000000000000000000000000001/logs").0, 404);
    assert_eq!(served.request("DELETE", "/cluster", "").0, 200);
    job.wait_for(LONG).expect("it ends").expect_err("it was cancelled");
}

#[test]
fn a_reporter_has_a_port_that_serves_nothing_but_metrics() {
    let class = "org.apache.flink.metrics.prometheus.PrometheusReporterFactory";
    let served = Served::new(&[("metrics.reporter.prom.factory.class", class), ("metrics.reporter.prom.port", "0")]);
    let (_job, _) = running_job(&served);
    let get = |path: &str| -> String {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(served.reported[0]).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    };
    for path in ["/", "/metrics"] {
        let answer = get(path);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("flink_jobmanager_numRunningJobs 1"), "{answer}");
    }
    assert!(get("/jobs").starts_with("HTTP/1.1 404"));
}

#[test]
fn figures_are_those_of_the_job() {
    let served = Served::new(&[("taskmanager.numberOfTaskSlots", "3")]);
    let (job, path) = running_job(&served);
    let vertex = reading_vertex(&served.ok(&path));
    let read = |body: &Value| {
        body["subtasks"].as_array().map_or(0, |subtasks| subtasks.iter().filter_map(|one| one["metrics"]["read-records"].as_u64()).sum())
    };
    let body = served.until(&format!("{path}/vertices/{vertex}"), |body| read(body) > 100);
    assert_eq!(body["parallelism"], 2);
    // Each record has two numbers.
    let bytes = |body: &Value| {
        body["subtasks"].as_array().map_or(0, |all| all.iter().filter_map(|one| one["metrics"]["read-bytes"].as_u64()).sum())
    };
    assert!(bytes(&body) >= 16 * read(&body), "{body}");
    let aggregated = &served.ok(&format!("{path}/vertices/{vertex}/subtasks/metrics?get=numRecordsIn&agg=sum"))[0];
    assert!(aggregated["sum"].as_f64() >= Some(read(&body) as f64), "records only become more: {aggregated}");
    let overview = served.ok("/overview");
    assert_eq!([&overview["slots-total"], &overview["slots-available"], &overview["jobs-running"]], [3, 1, 1]);
    let plan = served.ok(&format!("{path}/plan"));
    let nodes = plan["plan"]["nodes"].as_array().expect("a list");
    assert_eq!(nodes.iter().filter_map(|node| node["inputs"][0]["ship_strategy"].as_str()).collect::<Vec<_>>(), ["HASH"]);
    let task_manager = &served.ok("/taskmanagers")["taskmanagers"][0];
    assert_eq!([&task_manager["slotsNumber"], &task_manager["freeSlots"], &task_manager["assignedTasks"]], [3, 1, 4]);
    let details = served.ok(&format!("/taskmanagers/{}", task_manager["id"].as_str().expect("an id")));
    assert_eq!([&details["allocatedSlots"][0]["assignedTasks"], &details["allocatedSlots"][1]["assignedTasks"]], [2, 2]);
    assert_eq!(served.request("PATCH", &path, "").0, 202);
    job.wait_for(LONG).expect("it ends").expect_err("it was cancelled");
    let overview = served.until("/overview", |body| body["slots-available"] == 3);
    assert_eq!([&overview["jobs-running"], &overview["jobs-cancelled"]], [0, 1]);
    let result = served.ok(&format!("{path}/execution-result"));
    assert_eq!(result["job-execution-result"]["application-status"], "CANCELED");
}

#[test]
fn checkpoints_are_told_with_what_they_took() {
    let dir = tempfile::tempdir().expect("a folder");
    let served = served(dir.path());
    let (job, path) = running_job(&served);
    let statistics = served.until(&format!("{path}/checkpoints"), |body| body["counts"]["completed"].as_u64() > Some(7));
    let history = statistics["history"].as_array().expect("a list");
    assert_eq!(history.len(), 5, "as many as 'web.checkpoints.history' says");
    let completed: Vec<&Value> = history.iter().filter(|checkpoint| checkpoint["status"] == "COMPLETED").collect();
    let discarded: Vec<bool> = completed.iter().filter_map(|checkpoint| checkpoint["discarded"].as_bool()).collect();
    assert!(!discarded[0] && discarded[discarded.len() - 1], "the newest are kept, older ones deleted: {discarded:?}");
    let newest = completed[0];
    assert_eq!([&newest["num_subtasks"], &newest["num_acknowledged_subtasks"]], [4, 4]);
    assert!(newest["state_size"].as_u64() > Some(0), "{newest}");
    assert!(newest["external_path"].as_str().is_some_and(|path| path.contains("chk-")), "{newest}");
    let summary = &statistics["summary"]["state_size"];
    assert!(summary["min"].as_u64() <= summary["avg"].as_u64() && summary["avg"].as_u64() <= summary["max"].as_u64(), "{summary}");
    job.cancel();
    job.wait_for(LONG).expect("it ends").expect_err("it was cancelled");
    // The job being over, its checkpoints stay as they were.
    let statistics = served.ok(&format!("{path}/checkpoints"));
    let latest = &statistics["latest"]["completed"];
    let details = served.ok(&format!("{path}/checkpoints/details/{}", latest["id"]));
    assert_like_flink("get_jobs_jobid_checkpoints_details_checkpointid", 200, &details);
    assert_eq!(details["state_size"], latest["state_size"]);
    let tasks = details["tasks"].as_object().expect("tasks by vertex");
    let sum: u64 = tasks.values().filter_map(|task| task["state_size"].as_u64()).sum();
    assert_eq!((Some(sum), tasks.len()), (latest["state_size"].as_u64(), 2));
    let vertex = reading_vertex(&served.ok(&path));
    let subtasks = served.ok(&format!("{path}/checkpoints/details/{}/subtasks/{vertex}", latest["id"]));
    assert_like_flink("get_jobs_jobid_checkpoints_details_checkpointid_subtasks_vertexid", 200, &subtasks);
    let client = job.checkpoints();
    assert_eq!(Some(client.counts.completed), statistics["counts"]["completed"].as_u64(), "the client is told the same");
    let record = client.latest_completed.expect("there was one");
    assert!(matches!(&record.outcome, CheckpointOutcome::Completed { path, .. } if *path == latest["external_path"]));
    for missing in ["checkpoints/details/999999".to_owned(), format!("checkpoints/details/{}/subtasks/{}", latest["id"], "0".repeat(32))] {
        let (status, body) = served.get(&format!("{path}/{missing}"));
        assert_eq!(status, 404, "{body}");
    }
}

#[test]
fn a_failure_from_which_a_job_recovered_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().to_string_lossy();
    let served = Served::new(&[
        ("execution.checkpointing.interval", "10 ms"),
        ("execution.checkpointing.dir", &folder),
        ("restart-strategy.type", "fixed-delay"),
        ("restart-strategy.fixed-delay.attempts", "1"),
        ("restart-strategy.fixed-delay.delay", "1 ms"),
    ]);
    let failing = served.start_failing_job("survivor");
    let path = format!("/jobs/{}", failing.job.job_id());
    served.until(&format!("{path}/checkpoints"), |body| body["counts"]["completed"].as_u64() > Some(0));
    failing.fail();
    let restored = served.until(&format!("{path}/checkpoints"), |body| body["counts"]["restored"] == 1);
    assert!(restored["latest"]["restored"]["external_path"].as_str().is_some_and(|path| path.contains("chk-")), "{restored}");
    assert_eq!(served.ok(&format!("{path}/metrics?get=numRestarts"))[0]["value"], "1");
    let vertex = reading_vertex(&served.ok(&path));
    assert_eq!(served.ok(&format!("{path}/vertices/{vertex}"))["subtasks"][0]["attempt"], 1);
    assert_eq!(served.get(&format!("{path}/vertices/{vertex}/subtasks/0/attempts/0")).0, 404);
    let history = served.ok(&format!("{path}/exceptions"))["exceptionHistory"].clone();
    let failure = &history["entries"][0];
    assert!(failure["stacktrace"].as_str().is_some_and(|text| text.contains("made to fail")), "{history}");
    assert!(failure["taskName"].as_str().is_some_and(|name| name.contains("(1/1)")), "{history}");
    assert_eq!([&history["truncated"], &served.ok(&format!("{path}/status"))["status"]], [&Value::from(false), &Value::from("RUNNING")]);
    failing.fail();
    failing.job.wait_for(LONG).expect("it ends").expect_err("it may fail once");
    let result = served.until(&format!("{path}/execution-result"), |body| body["status"]["id"] == "COMPLETED");
    let cause = &result["job-execution-result"]["failure-cause"]["stack-trace"];
    assert!(cause.as_str().is_some_and(|text| text.contains("made to fail")), "{result}");
    let entries = &served.ok(&format!("{path}/exceptions?maxExceptions=1"))["exceptionHistory"];
    assert_eq!([&entries["entries"].as_array().map(Vec::len).into(), &entries["truncated"]], [&Value::from(1), &Value::from(true)]);
}

#[test]
fn prometheus_gets_metrics_of_jobs_tasks_and_users() {
    let served = Served::new(&[]);
    let counting = served.start_failing_job("counting");
    let path = format!("/jobs/{}", counting.job.job_id());
    let value = |text: &str, name: &str| -> Option<f64> {
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(r#"job_name="counting""#))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    let counted =
        (0..100_000).map(|_| served.text("/metrics")).find(|text| value(text, "flink_taskmanager_job_task_operator_counted") > Some(0.0));
    let text = counted.expect("the function counts");
    assert!(value(&text, "flink_taskmanager_job_task_numRecordsIn").is_some(), "{text}");
    assert_eq!(value(&text, "flink_jobmanager_job_numRestarts"), Some(0.0), "{text}");
    assert!(text.contains("\nflink_jobmanager_numRunningJobs 1\n"), "{text}");
    let types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let mut unique = types.clone();
    unique.dedup();
    assert_eq!(types, unique, "each metric once");
    counting.job.cancel();
    served.until(&format!("{path}/status"), |body| body["status"] == "CANCELED");
    let text = served.text("/metrics");
    assert!(!text.contains("counting"), "nothing is left of a job that is over: {text}");
}
