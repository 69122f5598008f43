//! The programs that are compared.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use escargot::CargoBuild;

/// Where the two programs under test stand, and what they can do.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) sender: PathBuf,
    pub(crate) agent: PathBuf,
    /// Whether the sender knows `/POLICY`.
    pub(crate) knows_policies: bool,
}

/// Overrides of the programs, instead of building them.
const SENDER: &str = "QUICOPY_SENDER";
const AGENT: &str = "QUICOPY_AGENT";

impl Programs {
    /// Those that the environment names, or else those of this workspace, built for release.
    pub(crate) fn find() -> Result<Self> {
        let sender = named(SENDER).map_or_else(|| build("quicopy"), Ok)?;
        let agent = named(AGENT).map_or_else(|| build("quicopy-agent"), Ok)?;
        ensure!(sender.is_file() && agent.is_file(), "{SENDER} and {AGENT} must be files");
        let knows_policies = knows_policies(&sender)?;
        Ok(Self { sender, agent, knows_policies })
    }
}

fn named(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from)
}

/// Builds one program, and returns a copy that a later build does not replace.
fn build(name: &str) -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut build = CargoBuild::new()
        .manifest_path(workspace.join("Cargo.toml"))
        .package(name)
        .bin(name)
        .release();
    // What cargo tells this program about its own package is none of the build's business.
    for (variable, _) in env::vars_os() {
        let told = variable.as_encoded_bytes();
        if told.starts_with(b"CARGO_PKG_") || told.starts_with(b"CARGO_MANIFEST_") {
            build = build.env_remove(variable);
        }
    }
    let built = build.run().with_context(|| format!("{name} does not build"))?;
    let kept = built.path().with_file_name(format!("{name}.bench-{}", std::process::id()));
    fs::copy(built.path(), &kept)?;
    Ok(kept)
}

/// Removes what [`build`] has made.
impl Drop for Programs {
    fn drop(&mut self) {
        for program in [&self.sender, &self.agent] {
            let own = format!(".bench-{}", std::process::id());
            if program.to_string_lossy().ends_with(&own) {
                // A copy that stays behind takes room and nothing else.
                let _ = fs::remove_file(program);
            }
        }
    }
}

/// A switch that the sender does not know is refused by name.
fn knows_policies(sender: &Path) -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let source = folder.path().join("source");
    fs::create_dir(&source)?;
    let status = Command::new(sender)
        .arg(&source)
        .arg(folder.path().join("destination"))
        .args(["/L", "/POLICY:low"])
        .env("QUICOPY_HOME", folder.path().join("home"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("{} does not start", sender.display()))?;
    Ok(status.code().is_some_and(|code| code < 16))
}

/// Whether a program is installed that the comparison can do without.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
        || Path::new(program).is_file()
}

/// The first line of what a program says of its version.
pub(crate) fn version(program: impl AsRef<Path>) -> String {
    let run = Command::new(program.as_ref()).arg("--version").stderr(Stdio::null()).output();
    let said = run.map(|run| String::from_utf8_lossy(&run.stdout).into_owned()).unwrap_or_default();
    said.lines().next().unwrap_or("not installed").trim().to_owned()
}
