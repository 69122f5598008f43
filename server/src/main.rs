//! The program `quicopy`: read the command line, do what it says, exit with Robocopy's code.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use quicopy::cli::{self, Command, FileToWrite, Surroundings, Then, TokenFrom, UsageError};
use quicopy::config::Config;
use quicopy::paths::{self, Environment, StateDir};
use quicopy::{history, job_file, pair, regular_file, report};
use quicopy_engine::source::StopFlag;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Usage error, help in Robocopy's way, nothing reached, broken off.
const FATAL: u8 = report::ExitCode::FATAL.number();

/// More than any token has.
const TOKEN_BYTES_MAX: u64 = 64 << 10;

fn main() -> ExitCode {
    trace_to_stderr();
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    let code = match run(&args) {
        Ok(code) => code,
        Err(error) => {
            diagnose(&format!("{error:#}"));
            FATAL
        }
    };
    ExitCode::from(code)
}

fn run(args: &[OsString]) -> anyhow::Result<u8> {
    let cwd = env::current_dir().context("cannot tell the current folder")?;
    let environment = Environment::of_process();
    let user = env::var("USER").ok();
    let surroundings = Surroundings {
        cwd: &cwd,
        home: environment.home.as_deref().map(Path::new),
        user: user.as_deref(),
        now: &jiff::Zoned::now(),
        reads_all: reads_all(),
        exists: &|path| path.symlink_metadata().is_ok(),
        canonical: &|path| path.canonicalize().ok(),
        read: &|path| regular_file::read(path, job_file::BYTES_MAX),
        config: &|option| Config::load(paths::config_dir(option, &environment, &cwd)),
    };
    match cli::parse(args, surroundings) {
        Ok(command) => dispatch(command, &environment, &cwd),
        Err(error) => Ok(refuse(args, &error)),
    }
}

fn dispatch(command: Command, environment: &Environment, cwd: &Path) -> anyhow::Result<u8> {
    let state = |option: Option<PathBuf>| {
        StateDir::locate(option.as_deref(), environment, cwd).map_err(anyhow::Error::from)
    };
    match command {
        Command::Copy { first, then } => {
            let json = match &then {
                Then::Run(job) => job.report.json,
                Then::Show { json, .. } => *json,
            };
            let done = first.iter().try_for_each(write_file).and_then(|()| match then {
                Then::Run(job) => {
                    let state = state(job.state_dir.clone())?;
                    copy(&job, state.make()?)
                }
                Then::Show { header, .. } => {
                    let page = report::job_page(jiff::Timestamp::now(), &header);
                    show(&if json { report::json_of_a_look() } else { page.into_bytes() });
                    Ok(0)
                }
            });
            if done.is_err() && json {
                show(&report::json_of_nothing());
            }
            return done;
        }
        Command::Pair { address, token, name, state_dir } => {
            let state = state(state_dir)?;
            let token = match token {
                TokenFrom::Argument(token) => token,
                TokenFrom::Stdin => io::read_to_string(io::stdin().lock().take(TOKEN_BYTES_MAX))
                    .context("the token cannot be read from standard input")?,
            };
            let text = runtime()?.block_on(pair::pair(
                state.make()?,
                &address,
                &token,
                name.as_deref(),
            ))?;
            show(text.as_bytes());
        }
        Command::ListAgents { state_dir } => {
            show(pair::list(state(state_dir)?.make()?)?.as_bytes());
        }
        Command::ForgetAgent { name, state_dir } => {
            show(pair::forget(state(state_dir)?.make()?, &name)?.as_bytes());
        }
        Command::Identity { state_dir } => {
            show(pair::identity(state(state_dir)?.make()?)?.as_bytes());
        }
        Command::Jobs { json, state_dir } => {
            let records = history::read(state(state_dir)?.path())?;
            show(if json { history::json(&records) } else { history::table(&records) }.as_bytes());
        }
        Command::Completions(shell) => {
            let mut script = vec![];
            clap_complete::generate(shell, &mut cli::command(), "quicopy", &mut script);
            show(&script);
        }
        Command::Man => {
            let mut page = vec![];
            clap_mangen::Man::new(cli::command()).render(&mut page)?;
            show(&page);
        }
        Command::RobocopyHelp => {
            show(cli::help_page().as_bytes());
            return Ok(FATAL);
        }
        Command::Help(text) => show(text.as_bytes()),
        Command::Version => show(format!("quicopy {}\n", env!("CARGO_PKG_VERSION")).as_bytes()),
    }
    Ok(0)
}

/// Whether this process may read any file. Where the system does not say, it may not.
fn reads_all() -> bool {
    let all = CapabilitySet::DAC_READ_SEARCH | CapabilitySet::DAC_OVERRIDE;
    capabilities(None).is_ok_and(|own| own.effective.intersects(all))
}

/// Writes a job file, or the defaults of `/REG`, in place of an older one.
fn write_file(file: &FileToWrite) -> anyhow::Result<()> {
    let write = || {
        let folder = file.path.parent().unwrap_or(Path::new("/"));
        if file.is_ours {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file.path, &file.text)
    };
    write().with_context(|| format!("ERROR : Writing \"{}\"", file.path.display()))
}

/// Runs a job. The first SIGINT or SIGTERM ends it in order, the second at once.
fn copy(job: &cli::Job, state: &Path) -> anyhow::Result<u8> {
    raise_descriptor_limit();
    let runtime = runtime()?;
    let stop = StopFlag::default();
    {
        let _inside = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // A file beyond the size limit is an error of that file, not the end of the program.
        let oversize = signal(SignalKind::from_raw(SIGXFSZ))?;
        let stop = stop.clone();
        runtime.spawn(async move {
            let _oversize = oversize;
            let mut asked = 0;
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                stop.set();
                asked += 1;
                if asked > 1 {
                    std::process::exit(FATAL.into());
                }
            }
        });
    }
    let code = quicopy::run::run(job, state, runtime.handle(), &stop)?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(code.number())
}

/// Source: signal(7), the same number on every Linux that Rust compiles for but MIPS.
const SIGXFSZ: i32 = 25;

fn runtime() -> anyhow::Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Takes as many descriptors as the system allows: an embedded agent holds one for each large file and directory in work.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Says what is wrong with the command line. Whoever asked for JSON gets its last line all the same.
fn refuse(args: &[OsString], error: &UsageError) -> u8 {
    match error {
        UsageError::Clap(_) => diagnose(&error.to_string()),
        error => diagnose(&report::usage_page(jiff::Timestamp::now(), &error.to_string())),
    }
    if args.iter().any(|arg| arg == "--json") {
        show(&report::json_of_nothing());
    }
    FATAL
}

/// Writes to standard output. Nobody left to read it is no error: `quicopy man | head`.
fn show(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
}

fn diagnose(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
}

/// Diagnostics go to standard error, as `QUICOPY_LOG` filters them; off by default.
fn trace_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::OFF.into())
        .with_env_var("QUICOPY_LOG")
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}
