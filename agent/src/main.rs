//! `quicopy-agent`: see the crate's front page.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use quicopy_agent::cli::Cli;
use quicopy_agent::command;

fn main() -> ExitCode {
    raise_descriptor_limit();
    match command::carry_out(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // The code that a shell shows for what a broken pipe has killed: not all was printed.
        Err(error) if error.is_unheard() => ExitCode::from(128 + 13),
        Err(error) => {
            // If nobody hears it, the exit code still says it.
            let _ = writeln!(
                std::io::stderr(),
                "quicopy-agent: {}",
                quicopy_protocol::text::with_causes(&error)
            );
            ExitCode::FAILURE
        }
    }
}

/// Takes as many descriptors as the system allows: a job holds one for each large file and directory in work.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
