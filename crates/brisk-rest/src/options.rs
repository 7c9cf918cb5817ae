//! Options of the REST server, with Flink's keys. Its defaults are Flink's, except that nothing is served unless a port is named.

use brisk_base::options::MemorySize;
use std::time::Duration;

brisk_base::options! {
    /// The port on which jobs can be looked at and controlled over HTTP; 0 stands for any free one. Nothing is served when it is not set.
    pub REST_PORT: Option<u16> = "rest.port", None, aliases ["rest.bind-port", "web.port"];

    /// The host on which clients reach the server.
    pub REST_ADDRESS: String = "rest.address", "localhost";

    /// The address that the server binds to. The default can be reached from this machine only.
    pub REST_BIND_ADDRESS: String = "rest.bind-address", "localhost";

    /// The largest body that a request may have.
    pub REST_MAX_CONTENT_LENGTH: MemorySize = "rest.server.max-content-length", MemorySize(104_857_600);

    /// How long the cluster may take to answer a request.
    pub WEB_TIMEOUT: Duration = "web.timeout", Duration::from_secs(600);

    /// How often a dashboard asks.
    pub WEB_REFRESH_INTERVAL: Duration = "web.refresh-interval", Duration::from_secs(3);

    /// Whether programs can be uploaded and run over HTTP.
    pub WEB_SUBMIT_ENABLED: bool = "web.submit.enable", true;

    /// How large an uploaded program may be.
    pub REST_MAX_UPLOAD: MemorySize = "brisk.rest.max-upload", MemorySize(2 << 30);

    /// Whether jobs can be cancelled over HTTP.
    pub WEB_CANCEL_ENABLED: bool = "web.cancel.enable", true;
}
