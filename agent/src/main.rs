//! `quicopy-agent`: see the crate's front page.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use quicopy_agent::cli::Cli;
use quicopy_agent::command;

fn main() -> ExitCode {
    match command::carry_out(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
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
