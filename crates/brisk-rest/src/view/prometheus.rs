//! All metrics in the text format of Prometheus (version 0.0.4), with the names and labels of Flink's `PrometheusReporter`.

use super::metrics;
use super::vertex::VertexView;
use brisk_cluster::details::{JobDetails, TaskManagerDetails};
use brisk_cluster::inspect::ProcessFigures;
use brisk_cluster::user_metrics::{QUANTILES, UserMetric, UserValue};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Quantiles of a histogram that Flink's reporter does not have.
const NOT_FLINKS: [f64; 1] = [0.9];

/// Labels and their values.
type Labels = BTreeMap<String, String>;

/// Samples by metric: all of one name have to stand together.
#[derive(Default)]
struct Exposition(BTreeMap<String, (&'static str, String)>);

/// Metrics of the JobManager, of jobs and tasks that run, and those that users' functions have registered.
pub(crate) fn exposition(jobs: &[Arc<JobDetails>], task_managers: &[(TaskManagerDetails, ProcessFigures)], own: &ProcessFigures) -> String {
    let mut out = Exposition::default();
    let details: Vec<TaskManagerDetails> = task_managers.iter().map(|(details, _)| details.clone()).collect();
    for (name, value) in metrics::of_job_manager(jobs, &details, own) {
        out.gauge(&["jobmanager", &name], &Labels::new(), &value);
    }
    for (details, process) in task_managers {
        let labels = Labels::from([("host".to_owned(), "localhost".to_owned()), ("tm_id".to_owned(), details.id.to_string())]);
        for (name, value) in metrics::of_task_manager(details, process) {
            out.gauge(&["taskmanager", &name], &labels, &value);
        }
    }
    for job in jobs.iter().filter(|job| !job.status.is_globally_terminal()) {
        let labels: Labels =
            [("job_id", job.id.to_string()), ("job_name", job.name.clone())].map(|(key, value)| (key.to_owned(), value)).into();
        for (name, value) in metrics::of_job(job) {
            out.gauge(&["jobmanager", "job", &name], &labels, &value);
        }
        for (vertex, subtasks) in job.plan.vertices.iter().zip(&job.subtasks) {
            out.tasks(&VertexView { job, vertex, subtasks }, &labels);
        }
        job.metrics.iter().for_each(|metric| out.registered(metric));
    }
    out.text()
}

impl Exposition {
    fn text(self) -> String {
        self.0.into_iter().fold(String::new(), |mut text, (name, (kind, samples))| {
            let _ = write!(text, "# TYPE {name} {kind}\n{samples}");
            text
        })
    }

    /// A value as a text; what is no number is left out, as Prometheus knows nothing else.
    fn gauge(&mut self, name: &[&str], labels: &Labels, value: &str) {
        if let Ok(value) = value.parse::<f64>() {
            self.sample("gauge", &metric_name(name), "", labels, value);
        }
    }

    fn tasks(&mut self, vertex: &VertexView<'_>, of_job: &Labels) {
        for (index, subtask) in vertex.subtasks.iter().enumerate() {
            let own = [
                ("host", "localhost".to_owned()),
                ("tm_id", subtask.task_manager().map_or_else(String::new, |id| id.to_string())),
                ("task_id", vertex.vertex.id.to_string()),
                ("task_name", vertex.vertex.name.clone()),
                ("subtask_index", index.to_string()),
                ("task_attempt_num", subtask.attempt.to_string()),
            ];
            let mut labels = of_job.clone();
            labels.extend(own.map(|(key, value)| (key.to_owned(), value)));
            for (name, value) in metrics::of_task(vertex, subtask) {
                self.gauge(&["taskmanager", "job", "task", &name], &labels, &value);
            }
        }
    }

    fn registered(&mut self, metric: &UserMetric) {
        let name = metric_name(&metric.kinds.iter().chain([&metric.name]).map(String::as_str).collect::<Vec<_>>());
        let labels = &metric.variables;
        match &metric.value {
            // Flink shows counters as gauges, since they begin anew with a task.
            UserValue::Counter(count) => self.sample("gauge", &name, "", labels, *count as f64),
            UserValue::Int(value) => self.sample("gauge", &name, "", labels, *value as f64),
            UserValue::Float(value) => self.sample("gauge", &name, "", labels, *value),
            UserValue::Meter { rate, .. } => self.sample("gauge", &name, "", labels, *rate),
            UserValue::Text(_) => {}
            UserValue::Histogram(histogram) => {
                self.sample("summary", &name, "_count", labels, histogram.count as f64);
                let told = QUANTILES.iter().zip(&histogram.quantiles).filter(|(quantile, _)| !NOT_FLINKS.contains(quantile));
                for (quantile, value) in told {
                    let mut labels = labels.clone();
                    labels.insert("quantile".to_owned(), quantile.to_string());
                    self.sample("summary", &name, "", &labels, *value as f64);
                }
            }
        }
    }

    /// One line. A metric whose name another kind has taken is left out.
    fn sample(&mut self, kind: &'static str, name: &str, suffix: &str, labels: &Labels, value: f64) {
        let (known, samples) = self.0.entry(name.to_owned()).or_insert((kind, String::new()));
        if *known == kind {
            let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{}=\"{}\"", cleaned(key), escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(samples, "{name}{suffix}{labels} {value}");
        }
    }
}

fn metric_name(parts: &[&str]) -> String {
    format!("flink_{}", parts.iter().map(|part| cleaned(part)).collect::<Vec<_>>().join("_"))
}

/// Names have letters, digits and `_` only.
fn cleaned(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_base::ids::{JobId, TaskManagerId};
    use brisk_base::metrics::MetricRegistry;
    use brisk_base::world::World;

    #[test]
    fn registered_metrics_have_flinks_names_and_labels() {
        let registry = MetricRegistry::new(&World::real());
        let group = registry.root().task_manager("host-1", TaskManagerId(1)).job(JobId(2), "my \"job\"\n");
        group.counter("my.count").inc_by(3);
        let latency = group.add_group("my group").histogram("latency");
        (1..=4).for_each(|value| latency.update(value));
        group.computed_gauge("text", || "no number".to_owned());
        let labels = format!(r#"host="host-1",job_id="{:032x}",job_name="my \"job\"\n",tm_id="{:032x}""#, 2, 1);
        let mut out = Exposition::default();
        registry.list().into_iter().for_each(|metric| out.registered(&metric.into()));
        let text = out.text();
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("taskmanager_job")).collect();
        assert_eq!(lines[0], "# TYPE flink_taskmanager_job_my_count gauge");
        assert_eq!(lines[1], format!("flink_taskmanager_job_my_count{{{labels}}} 3"));
        assert_eq!(lines[2], "# TYPE flink_taskmanager_job_my_group_latency summary");
        assert_eq!(lines[3], format!("flink_taskmanager_job_my_group_latency_count{{{labels}}} 4"));
        assert!(lines[4].contains(r#"quantile="0.5""#), "{}", lines[4]);
        assert_eq!(lines.len(), 4 + QUANTILES.len() - NOT_FLINKS.len());
    }
}
