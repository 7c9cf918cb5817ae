//! Talks to the REST server of a cluster.

use super::Common;
use anyhow::{Context, Result, anyhow, bail};
use brisk::options::rest_options::{REST_ADDRESS, REST_PORT};
use brisk::options::{Configuration, all};
use serde_json::Value;
use std::fs::File;
use std::io::{Cursor, Read};
use std::time::Duration;

/// The port when none is configured: Flink's.
const DEFAULT_PORT: u16 = 8081;

/// What the parts of an upload are cut with.
const BOUNDARY: &str = "brisk-7f3a9c51e0b24d86";

/// How long a connection or an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait before asking again how an operation stands: at first, and at most.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));

/// What a program consists of.
pub(crate) struct Content(Box<dyn Read>);

impl From<File> for Content {
    fn from(file: File) -> Self {
        Self(Box::new(file))
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Box::new(Cursor::new(bytes)))
    }
}

/// A cluster.
pub(crate) struct Rest {
    /// `host:port`.
    address: String,
    agent: ureq::Agent,
}

impl Rest {
    /// The cluster that the options name.
    pub(super) fn of(common: &Common) -> Result<Self> {
        if let Some(target) = common.target.as_ref().filter(|target| *target != "remote") {
            bail!("there is no target '{target}': clusters are reached over REST, which is called 'remote'");
        }
        Self::at(common.jobmanager.as_deref(), &common.define)
    }

    /// The cluster at an address, or the one that is configured.
    pub(crate) fn at(jobmanager: Option<&str>, define: &[String]) -> Result<Self> {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into();
        Ok(Self { address: address(jobmanager, define)?, agent })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/v1{path}", self.address)
    }

    /// Reads a path.
    pub(super) fn get(&self, path: &str) -> Result<Value> {
        self.answer(self.agent.get(self.url(path)).call())
    }

    /// Changes a path, without a body.
    pub(super) fn patch(&self, path: &str) -> Result<Value> {
        self.answer(self.agent.patch(self.url(path)).send_empty())
    }

    /// Deletes what is below a path.
    pub(super) fn delete(&self, path: &str) -> Result<Value> {
        self.answer(self.agent.delete(self.url(path)).call())
    }

    /// Uploads a program as a form: what the cluster calls it.
    pub(crate) fn upload(&self, path: &str, name: &str, content: impl Into<Content>) -> Result<String> {
        let name: String = name.chars().filter(|c| !c.is_control() && *c != '"').collect();
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"{name}\"\r\nContent-Type: \
             application/octet-stream\r\n\r\n"
        );
        let tail = format!("\r\n--{BOUNDARY}--\r\n");
        let form = Cursor::new(head.into_bytes()).chain(content.into().0).chain(Cursor::new(tail.into_bytes()));
        let request = self.agent.post(self.url(path)).content_type(format!("multipart/form-data; boundary={BOUNDARY}"));
        let answer = self.answer(request.send(ureq::SendBody::from_owned_reader(form)))?;
        let id = answer["filename"].as_str().with_context(|| format!("the cluster does not say what it calls the program: {answer}"))?;
        Ok(id.rsplit('/').next().unwrap_or(id).to_owned())
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.answer(self.agent.post(self.url(path)).content_type("application/json").send(body.to_string()))
    }

    /// As [`post`](Self::post), for what is answered when the cluster has done it.
    pub(super) fn post_patiently(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.agent.post(self.url(path)).config().timeout_global(None).build();
        self.answer(request.content_type("application/json").send(body.to_string()))
    }

    /// Asks for something that takes a while, and looks below `status` until it is done.
    pub(super) fn operation(&self, path: &str, body: &Value, status: &str) -> Result<Value> {
        let answer = self.post(path, body)?;
        let request = answer["request-id"].as_str().with_context(|| format!("{} does not give a request id: {answer}", self.address))?;
        let (mut pause, longest) = LOOK_AGAIN;
        loop {
            let mut answer = self.get(&format!("{status}/{request}"))?;
            if answer["status"]["id"] == "COMPLETED" {
                if let Some(why) = answer["operation"]["failure-cause"]["stack-trace"].as_str() {
                    bail!("{why}");
                }
                return Ok(answer["operation"].take());
            }
            // Nobody wakes this thread: it looks again when the time is over.
            std::thread::park_timeout(pause);
            pause = (pause * 2).min(longest);
        }
    }

    /// The body of an answer; an error, if that is what it is.
    fn answer(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value> {
        let hint = "is a cluster running there, with 'rest.port' set?";
        let mut response = answer.map_err(|error| anyhow!("{} cannot be reached: {error}; {hint}", self.address))?;
        let status = response.status();
        let text = response.body_mut().read_to_string().with_context(|| format!("reading the answer of {}", self.address))?;
        let body: Value = serde_json::from_str(&text).with_context(|| format!("{} does not answer in JSON; {hint}", self.address))?;
        if status.is_success() {
            return Ok(body);
        }
        let errors: Vec<&str> = body["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        bail!("{}", if errors.is_empty() { format!("{} answers with {status}: {body}", self.address) } else { errors.join("\n") })
    }
}

/// Where the cluster is: what the command line says, else what is configured.
fn address(jobmanager: Option<&str>, define: &[String]) -> Result<String> {
    let config = configuration(define)?;
    let host = config.get(&REST_ADDRESS).map_err(plain)?;
    let port = config.get(&REST_PORT).map_err(plain)?.unwrap_or(DEFAULT_PORT);
    match jobmanager.map(|address| address.trim_start_matches("http://").trim_end_matches('/')) {
        None => Ok(format!("{host}:{port}")),
        Some(address) => match address.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(address.to_owned()),
            _ => bail!("'{address}' is not the address of a cluster: expected host:port"),
        },
    }
}

/// The options of the file that the environment names, and those of the command line.
pub(crate) fn configuration(define: &[String]) -> Result<Configuration> {
    let mut config = match std::env::var_os("BRISK_CONF") {
        None => Configuration::new(),
        Some(file) => {
            let place = || format!("file '{}' (named by BRISK_CONF)", file.display());
            let text = std::fs::read_to_string(&file).with_context(place)?;
            Configuration::from_yaml(&text).map_err(plain).with_context(place)?
        }
    };
    define.iter().try_for_each(|argument| config.set_argument(argument)).map_err(plain)?;
    // What is not obeyed yet matters to the cluster, not here.
    config.check(&all()).map_err(plain)?;
    Ok(config)
}

pub(super) fn plain(error: brisk::Error) -> anyhow::Error {
    anyhow!("{error}")
}
