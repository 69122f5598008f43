//! The two programs, built once for all tests of a process.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use escargot::CargoBuild;

/// Longest that a test process may need its programs.
const IN_USE: Duration = Duration::from_secs(60 * 60);

/// Where the two executables stand.
#[derive(Debug)]
pub struct Programs {
    /// `quicopy`, the sender.
    pub sender: PathBuf,
    /// `quicopy-agent`, the daemon.
    pub agent: PathBuf,
}

/// The two programs with crash points, built at the first call.
///
/// # Panics
///
/// When they do not build.
pub fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Result<Programs, String>> = OnceLock::new();
    let built = PROGRAMS
        .get_or_init(|| Ok(Programs { sender: build("quicopy")?, agent: build("quicopy-agent")? }));
    match built {
        Ok(programs) => programs,
        Err(reason) => panic!("the programs do not build: {reason}"),
    }
}

/// Builds one program, and returns a copy that a later build does not replace.
fn build(name: &str) -> Result<PathBuf, String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // Both builds name the workspace and all features, so that cargo settles the dependencies' features in the same
    // way as for the tests themselves, and compiles them once.
    let mut build = CargoBuild::new()
        .manifest_path(workspace.join("Cargo.toml"))
        .arg("--workspace")
        .bin(name)
        .features("quicopy/crash-points quicopy-agent/crash-points");
    // What cargo tells the tests about their own package is none of the build's business: build scripts that watch it
    // would run anew, and all that depends on them would be compiled again.
    for (variable, _) in env::vars_os() {
        let told = variable.as_encoded_bytes();
        if told.starts_with(b"CARGO_PKG_") || told.starts_with(b"CARGO_MANIFEST_") {
            build = build.env_remove(variable);
        }
    }
    let run = build.run().map_err(|error| error.to_string())?;
    keep(run.path(), name).map_err(|error| format!("{}: {error}", run.path().display()))
}

/// Gives a built program a second name made from its content: another build in the same folder, perhaps without crash
/// points, replaces the first.
fn keep(built: &Path, name: &str) -> io::Result<PathBuf> {
    let digest = blake3::hash(&fs::read(built)?).to_hex();
    let all = built.with_file_name("tested");
    let folder = all.join(&digest[..16]);
    fs::create_dir_all(&folder)?;
    remove_old(&all, &folder)?;
    let kept = folder.join(name);
    // A link, not a copy: a file that is open for writing in any thread cannot be executed by another.
    match fs::hard_link(built, &kept) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(kept),
    }
}

/// Removes what earlier test processes have kept in `all`, apart from `own` and what may still be in use.
fn remove_old(all: &Path, own: &Path) -> io::Result<()> {
    for found in fs::read_dir(all)? {
        let found = found?.path();
        // Another process may be removing it at the same time.
        let Ok(made) = fs::metadata(&found).and_then(|meta| meta.modified()) else { continue };
        if found != own && made.elapsed().is_ok_and(|age| age > IN_USE) {
            let _ = fs::remove_dir_all(&found);
        }
    }
    Ok(())
}
