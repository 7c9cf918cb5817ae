//! The messages of the components, as far as they go to other processes.

use super::{wire_enum, wire_struct};
use crate::blob::BlobMessage;
use crate::client::ClientMessage;
use crate::inspect::InspectorMessage;
use crate::job::JobOutcome;
use crate::job_manager::job_master::coordinator::{CoordinatorCall, CoordinatorMessage, CoordinatorRun};
use crate::job_manager::job_master::coordinators::CoordinatorsMessage;
use crate::job_manager::{DispatcherMessage, JobMasterMessage, ResourceManagerMessage};
use crate::task_manager::{TaskHostMessage, TaskManagerMessage};
use brisk_core::job::JobOverview;

wire_struct! {
    CoordinatorRun { source, run }
    JobOutcome { status, error, suppressed, report }
    JobOverview { id, name, status, started }
}

wire_enum! {
    TaskManagerMessage {
        0 = Registered { blobs },
        1 = OpenHost { job, job_master, slots },
        2 = CloseHost { job, job_master },
        3 = HostOpened { job, run, host, endpoint },
        4 = HostFailed { job, run, error },
        5 = HostClosed { job, run },
        6 = KillHost { job, run, why },
    } ! Self::Register | Self::Shutdown,

    ResourceManagerMessage {
        0 = Register { task_manager, address, slots, hardware, inspector },
        1 = Cleared { job, task_manager },
    } ! Self::Lost(..) | Self::TaskManagers(_) | Self::Inspector { .. } | Self::Request { .. } | Self::Overdue(_) | Self::Release(_),

    JobMasterMessage {
        0 = HostReady { task_manager, host, endpoint },
        1 = HostFailed(task_manager, error),
        2 = HostClosed(task_manager),
        3 = Task(report),
        4 = FromReader { attempt, operator, event },
        5 = Acknowledged { attempt, checkpoint, ack },
        6 = Declined { attempt, checkpoint, error },
        7 = StoreFailed { attempt, checkpoint, error },
        8 = EndOfData(attempt),
        9 = Snapshots { request, tasks, metrics },
        10 = FromCoordinator { from, to_subtasks, group_watermark },
        11 = CoordinatorFailed { from, error },
        12 = CoordinatorState { from, checkpoint, state },
        13 = ResultRefused(error),
        14 = ResultRead { operator, subtask, bytes },
    } ! _,

    TaskHostMessage {
        0 = Deploy(tasks, locations),
        1 = Cancel(tasks),
        2 = ToReader { attempt, operator, event },
        3 = Trigger(tasks, barrier),
        4 = SnapshotTo(checkpoint, target),
        5 = CheckpointComplete(checkpoint),
        6 = CheckpointAborted(checkpoint),
        7 = Snapshots { request, metrics },
        8 = Close,
    } ! _,

    CoordinatorsMessage {
        0 = Start { run, operator, parallelism, restored, job_master },
        1 = Tell { run, message },
        2 = Result { operator, subtask, bytes, job_master },
        3 = Close,
    }

    CoordinatorMessage {
        0 = Start,
        1 = Call(call),
        2 = Stop,
    } ! Self::Timer,

    CoordinatorCall {
        0 = AddReader(subtask),
        1 = RemoveReader(subtask),
        2 = Event(subtask, event),
        3 = Snapshot(checkpoint),
        4 = GroupLimit(lowest),
    }

    DispatcherMessage {
        0 = Cancel(job),
        1 = Report { job, reply },
        2 = Savepoint { job, folder, kind, reply },
        3 = Jobs(reply),
        4 = Overview { job, reply },
    } ! _,

    InspectorMessage {
        0 = Logs(reply),
        1 = Read { which, offset, reply },
        2 = Threads(reply),
        3 = Process(reply),
        4 = LogLevel { wanted, reply },
    }

    BlobMessage {
        0 = Read { blob, offset, reply },
    }

    ClientMessage {
        0 = Status(status),
        1 = Ended(outcome, net_runtime),
        2 = Lost(error),
    }
}
