//! Sees to it that there is a server that speaks S3's protocol, which checkpoints in such stores are tested against: `moto_server`, a Python
//! package, in an environment of its own below the target folder.

use crate::process::{Output, Program};
use crate::test::{metadata, target_dir};
use anyhow::{Context, Result};

/// The package, and what of it is needed.
const PACKAGE: &str = "moto[server]==5.*";

/// Installs the server where it is missing.
pub(crate) fn ensure() -> Result<()> {
    let folder = target_dir(&metadata()?)?.join("tools").join("s3-server");
    let answers =
        |program: &std::path::Path| Program::new(program, [std::path::Path::new("--help")]).measure(Output::Both).is_ok_and(|done| done.ok);
    if answers(&folder.join("bin/moto_server")) || answers(std::path::Path::new("moto_server")) {
        return Ok(());
    }
    eprintln!("   moto_server is missing: pip install '{PACKAGE}' into {}", folder.display());
    let install = || -> Result<()> {
        Program::new("python3", ["-m", "venv", &folder.to_string_lossy()]).run()?;
        Program::new(folder.join("bin/pip").to_string_lossy().into_owned(), ["install", "--quiet", PACKAGE].map(String::from)).run()
    };
    install().with_context(|| {
        format!(
            "the tests of checkpoints in S3 need moto_server: install Python 3 with venv, or moto_server itself: pip install '{PACKAGE}'"
        )
    })
}
