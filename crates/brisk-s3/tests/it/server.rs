//! The server: `moto_server`, a Python package.

use brisk_s3::open_with;
use brisk_state::checkpoint_storage::CheckpointStorage;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// A running server; it ends with this.
pub(crate) struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Starts one, with a bucket `flights`.
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
        let process = Command::new(program())
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto_server is missing; install it with: pip install 'moto[server]' (cargo xtask test does)");
        let mut server = Self { process, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(server.process.try_wait().expect("its state").is_none(), "moto_server ended at once");
            std::thread::yield_now();
        }
        let answer = server.request("PUT /flights HTTP/1.1");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        server
    }

    /// Sends a request without a body.
    fn request(&self, line: &str) -> String {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        let headers = format!("Host: 127.0.0.1:{}\r\nContent-Length: 0\r\nConnection: close", self.port);
        write!(connection, "{line}\r\n{headers}\r\n\r\n").expect("the request is sent");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// The settings that lead to it.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        let settings = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "me"),
            ("AWS_SECRET_ACCESS_KEY", "mine"),
        ];
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// A folder of the bucket.
    pub(crate) fn folder(&self, name: &str) -> Arc<dyn CheckpointStorage> {
        open_with(&format!("s3://flights/{name}"), self.settings()).expect("the settings fit")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where `cargo xtask test` installs it, or else wherever it is found.
fn program() -> String {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().map(|target| target.join("tools/s3-server/bin/moto_server"));
    tools.filter(|path| path.exists()).map_or_else(|| "moto_server".to_owned(), |path| path.display().to_string())
}
