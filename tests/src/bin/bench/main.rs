//! Quicopy and its peers on the same links in the same run: what `docs/performance.md` is made of.
//!
//! To read in order: `cases` (what is measured), `bench` (what they share), `stage` (a link with servers, and one run on it),
//! `contestant` and `server` (how the programs are called), `usage` and `series` (what is read off), `page`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is its purpose")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use quicopy_tests::lab::Lab;

use crate::{
    bench::Bench,
    cases::{CASES, Case},
    page::Section,
    programs::{Programs, is_installed, version},
};

mod bench;
mod cases;
mod contestant;
mod page;
mod ping;
mod programs;
mod series;
mod server;
mod stage;
mod usage;
mod work;

/// Measures Quicopy and rsync on emulated links
///
/// Needs root, /dev/net/tun and rsync; openssh-server and iperf3 for some rows. All links are emulated on this machine, whose
/// cores all programs share: let nothing else run.
///
/// $QUICOPY_SENDER and $QUICOPY_AGENT name programs to measure instead of this workspace's, which are built for release.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Options {
    /// Runs only this case; more than once for more
    #[arg(long, value_name = "CASE", value_parser = CASES.map(|case| case.name))]
    only: Vec<String>,
    /// Of the case `links`, only links whose name holds this, such as '200 ms'
    #[arg(long, value_name = "TEXT")]
    link: Option<String>,
    /// Small works and few links; the page stays as it is
    #[arg(long)]
    quick: bool,
    /// Runs Quicopy only, without its peers; the page stays as it is
    #[arg(long)]
    alone: bool,
    /// A tree of source code for the case `source`, instead of a made one
    #[arg(long, value_name = "FOLDER")]
    source: Option<PathBuf>,
    /// Where the data lies: both sites' disk
    #[arg(long, value_name = "FOLDER", default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    /// The page whose sections are replaced
    #[arg(long, value_name = "FILE", default_value_os_t = default_page())]
    page: PathBuf,
    /// Leaves the page as it is
    #[arg(long)]
    no_page: bool,
    /// Decides which packets are lost
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Lists the cases
    #[arg(long)]
    list: bool,
}

fn default_page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md")
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if options.list {
        CASES.iter().for_each(|case| println!("{:10} {}", case.name, case.about));
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(Lab::unavailable().is_none(), "{}", Lab::unavailable().unwrap_or_default());
    ensure!(options.alone || is_installed("rsync"), "rsync is not installed");

    let programs = Programs::find()?;
    let folder = tempfile::Builder::new().prefix("quicopy-bench-").tempdir_in(&options.folder)?;
    let bench = Bench {
        programs,
        quick: options.quick,
        alone: options.alone,
        folder: folder.path().to_owned(),
        source: options.source.clone(),
        link: options.link.clone(),
        seed: options.seed,
    };
    let wants =
        |case: &&Case| options.only.is_empty() || options.only.iter().any(|name| name == case.name);
    let mut failed = false;
    for case in CASES.iter().filter(wants) {
        println!("\n== {}: {}", case.name, case.about);
        match run(case, &bench) {
            Ok(section) => {
                println!("\n{}", section.markdown());
                let is_partial =
                    options.quick || options.alone || options.link.is_some() || options.no_page;
                if !is_partial {
                    page::write(&options.page, &section)
                        .with_context(|| options.page.display().to_string())?;
                }
            }
            Err(error) => {
                failed = true;
                eprintln!("{}: {error:#}", case.name);
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn run(case: &Case, bench: &Bench) -> Result<Section> {
    let mut section = (case.run)(bench)?;
    let seed = if bench.seed == 42 { String::new() } else { format!(" --seed {}", bench.seed) };
    section.text = format!(
        "{}\n\n`cargo run --release -p quicopy-tests --bin bench -- --only {}{seed}`, {}.",
        section.text,
        case.name,
        machine(&bench.programs)
    );
    Ok(section)
}

/// What a figure depends on beside the programs' code.
fn machine(programs: &Programs) -> String {
    let system = rustix::system::uname();
    let release = system.release().to_string_lossy();
    let release = release.split('.').take(2).collect::<Vec<_>>();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{cores} cores, {} {}, {}, {}",
        system.sysname().to_string_lossy(),
        release.join("."),
        version(&programs.sender),
        // Its line goes on with the version of its protocol.
        version("rsync").split("  protocol").next().unwrap_or_default().replace("  ", " "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Options::command().debug_assert();
    }
}
