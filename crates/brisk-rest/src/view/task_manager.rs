//! TaskManagers.

use brisk_base::ids::JobId;
use brisk_cluster::details::{JobDetails, TaskManagerDetails};
use brisk_cluster::job::SlotId;
use serde_json::{Value, json};
use std::sync::Arc;

/// `/taskmanagers`.
pub(crate) fn list(task_managers: &[TaskManagerDetails], jobs: &[Arc<JobDetails>]) -> Value {
    json!({ "taskmanagers": task_managers.iter().map(|task_manager| summary(task_manager, jobs)).collect::<Vec<_>>() })
}

/// `/taskmanagers/:taskmanagerid`.
pub(crate) fn details(task_manager: &TaskManagerDetails, jobs: &[Arc<JobDetails>]) -> Value {
    let slot = |(index, job): (&u32, &JobId)| {
        let here = SlotId { task_manager: task_manager.id, index: *index };
        json!({ "jobId": job.to_string(), "resource": resource(1.0), "assignedTasks": tasks(jobs, |slot| slot == here) })
    };
    let mut json = summary(task_manager, jobs);
    json["allocatedSlots"] = task_manager.held.iter().map(slot).collect();
    json["metrics"] = METRICS.iter().map(|name| ((*name).to_owned(), json!(0))).collect::<serde_json::Map<_, _>>().into();
    json["metrics"]["garbageCollectors"] = json!([]);
    json
}

/// What Flink tells of the memory of its JVM, which does not exist here.
const METRICS: [&str; 18] = [
    "heapUsed",
    "heapCommitted",
    "heapMax",
    "nonHeapUsed",
    "nonHeapCommitted",
    "nonHeapMax",
    "directCount",
    "directUsed",
    "directMax",
    "mappedCount",
    "mappedUsed",
    "mappedMax",
    "nettyShuffleMemorySegmentsAvailable",
    "nettyShuffleMemorySegmentsUsed",
    "nettyShuffleMemorySegmentsTotal",
    "nettyShuffleMemoryAvailable",
    "nettyShuffleMemoryUsed",
    "nettyShuffleMemoryTotal",
];

fn summary(task_manager: &TaskManagerDetails, jobs: &[Arc<JobDetails>]) -> Value {
    let TaskManagerDetails { id, last_heard, slots, free, hardware, .. } = task_manager;
    let cores = f64::from(hardware.cpu_cores);
    let share = |part: u32| if *slots == 0 { 0.0 } else { cores * f64::from(part) / f64::from(*slots) };
    json!({
        "id": id.to_string(),
        "path": format!("brisk://local/{id}"),
        "dataPort": -1,
        "jmxPort": -1,
        "timeSinceLastHeartbeat": last_heard.millis(),
        "slotsNumber": slots,
        "freeSlots": free,
        "assignedTasks": tasks(jobs, |slot| slot.task_manager == *id),
        "totalResource": resource(cores),
        "freeResource": resource(share(*free)),
        "hardware": {
            "cpuCores": hardware.cpu_cores,
            "physicalMemory": hardware.physical_memory,
            "freeMemory": 0,
            "managedMemory": 0,
        },
        "memoryConfiguration": {
            "frameworkHeap": 0,
            "taskHeap": 0,
            "frameworkOffHeap": 0,
            "taskOffHeap": 0,
            "networkMemory": 0,
            "managedMemory": 0,
            "jvmMetaspace": 0,
            "jvmOverhead": 0,
            "totalFlinkMemory": 0,
            "totalProcessMemory": 0,
        },
    })
}

/// Tasks that are not over and run in such slots.
fn tasks(jobs: &[Arc<JobDetails>], there: impl Fn(SlotId) -> bool) -> usize {
    let subtasks = jobs.iter().flat_map(|job| job.subtasks.iter().flatten());
    subtasks.filter(|subtask| subtask.slot.is_some_and(&there) && !subtask.state.is_terminal()).count()
}

fn resource(cores: f64) -> Value {
    json!({
        "cpuCores": cores,
        "taskHeapMemory": 0,
        "taskOffHeapMemory": 0,
        "managedMemory": 0,
        "networkMemory": 0,
        "extendedResources": {},
    })
}
