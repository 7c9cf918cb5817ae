//! Asks the cluster, and waits for its answers no longer than `web.timeout`.

use crate::error::{Answer, RestError};
use crate::options::WEB_TIMEOUT;
use brisk_base::ids::JobId;
use brisk_cluster::Gateway;
use brisk_cluster::details::{JobDetails, TaskManagerDetails};
use brisk_cluster::transport::Reply;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// What all requests share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) gateway: Gateway,
    /// How long an answer may take.
    timeout: Duration,
}

impl Cluster {
    pub(crate) fn new(gateway: Gateway) -> brisk_base::Result<Self> {
        let timeout = gateway.config().get(&WEB_TIMEOUT)?;
        Ok(Self { gateway, timeout })
    }

    /// Asks something and waits for the answer.
    pub(crate) async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&Gateway, Reply<T>)) -> Answer<T> {
        let answer = self.begin(question);
        self.wait(answer).await
    }

    fn begin<T: Send + 'static>(&self, question: impl FnOnce(&Gateway, Reply<T>)) -> oneshot::Receiver<T> {
        let (sender, receiver) = oneshot::channel();
        let reply = Reply::new(move |answer: Option<T>| {
            if let Some(answer) = answer {
                // The client may be gone.
                let _ = sender.send(answer);
            }
        });
        question(&self.gateway, reply);
        receiver
    }

    async fn wait<T>(&self, answer: oneshot::Receiver<T>) -> Answer<T> {
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(RestError::unavailable("the cluster is shutting down")),
            Err(_) => Err(RestError::unavailable(format!("the cluster did not answer within {:?} ('web.timeout')", self.timeout))),
        }
    }

    /// A job.
    pub(crate) async fn job(&self, job: JobId) -> Answer<Arc<JobDetails>> {
        self.ask(|gateway, reply| gateway.job(job, reply)).await?.ok_or_else(|| RestError::no_job(job))
    }

    /// All jobs that are known. What ends and is forgotten while they are asked is left out.
    pub(crate) async fn jobs(&self) -> Answer<Vec<Arc<JobDetails>>> {
        let ids: Vec<JobId> = self.ask(Gateway::jobs).await?;
        let answers: Vec<_> = ids.into_iter().map(|job| self.begin(|gateway, reply| gateway.job(job, reply))).collect();
        let mut jobs = Vec::with_capacity(answers.len());
        for answer in answers {
            jobs.extend(self.wait(answer).await?);
        }
        Ok(jobs)
    }

    /// The TaskManagers.
    pub(crate) async fn task_managers(&self) -> Answer<Vec<TaskManagerDetails>> {
        self.ask(Gateway::task_managers).await
    }
}
