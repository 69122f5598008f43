//! A link made to order between two network namespaces, for as long as a command runs.

use std::{
    net::IpAddr,
    os::unix::process::ExitStatusExt,
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use clap::Parser;
use quicopy_tests::lab::{
    Lab, LabSpec, Site,
    change::{Directions, GRAMMAR, Moment, Setting, moments, settings},
    spec::LinkSpec,
    units,
};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

/// Runs a command beside a long, lossy link made to order
///
/// Makes two network namespaces, joins them by an emulated link, runs the command
/// on this machine and prints what went over the link. The command reaches into
/// the namespaces through its environment:
///
///   $A, $B            prefixes that run a program at site a or b:
///                     `$A ping $B_ADDR`
///   $A_ADDR, $B_ADDR  the sites' addresses
///   $A_NAME, $B_NAME  the namespaces' names for `ip -n`
///
/// Needs root, /dev/net/tun and the program `ip`.
#[derive(Debug, Parser)]
#[command(name = "linklab", after_long_help = after_help(), verbatim_doc_comment)]
struct Options {
    /// Bits a second each way; `none` for no bottleneck
    #[arg(long, default_value = "100mbit")]
    rate: String,
    /// Round trip, half of it each way
    #[arg(long, default_value = "100ms")]
    rtt: String,
    /// Share of packets lost each way, behind the queue
    #[arg(long, default_value = "0")]
    loss: String,
    /// Mean run of losses, in packets
    #[arg(long)]
    burst: Option<String>,
    /// Queue in bandwidth × delay products, or in bytes with a unit (64k)
    #[arg(long, default_value = "1")]
    queue: String,
    /// Random time on top of the delay, each way
    #[arg(long)]
    jitter: Option<String>,
    /// Lets jitter reorder packets
    #[arg(long)]
    reorder: bool,
    /// Share of packets that come twice
    #[arg(long)]
    duplicate: Option<String>,
    /// Largest packet that passes; larger ones vanish
    #[arg(long)]
    mtu: Option<String>,
    /// Settings for the way from a to b alone, such as 'loss=2% rate=20mbit'
    #[arg(long, value_name = "SETTINGS", default_value = "")]
    there: String,
    /// Settings for the way back alone
    #[arg(long, value_name = "SETTINGS", default_value = "")]
    back: String,
    /// What changes meanwhile, such as '4.3s rate=20mbit'; more than once for more moments
    #[arg(long, value_name = "TIME SETTINGS", value_parser = parse_moments)]
    at: Vec<Moments>,
    /// Decides every loss and delay left to chance
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Congestion control of TCP at both sites, instead of the system's default
    #[arg(long, value_name = "NAME")]
    tcp: Option<String>,
    /// Longest time that the lab lives; it then ends with all processes in it
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = units::time)]
    lifetime: Duration,
    /// The command: one word is given to `sh -c`, more are a program and its arguments. Without it the lab stays
    /// until its time is up or Ctrl-C.
    #[arg(last = true)]
    command: Vec<String>,
}

/// A type of its own, or clap would take it for a list of values.
type Moments = Box<[Moment]>;

fn parse_moments(line: &str) -> Result<Moments, String> {
    moments(line).map(Vec::into_boxed_slice)
}

fn after_help() -> String {
    format!(
        "Settings:\n{GRAMMAR}\n\nExamples:\n  \
         linklab --rate 100mbit --rtt 100ms --loss 1% -- '$A ping -c 5 $B_ADDR'\n  \
         linklab --loss 1% --tcp bbr -- '$B iperf3 -s -1 >/dev/null & sleep 0.3; $A iperf3 -c $B_ADDR -t 10'\n  \
         linklab --at '4.3s rate=20mbit' --at '8s outage=2s' --at '12s rebind=port' -- ./my-test"
    )
}

impl Options {
    fn link(&self, own: &str) -> Result<LinkSpec, String> {
        let mut all = vec![
            format!("rate={}", self.rate),
            format!("rtt={}", self.rtt),
            format!("loss={}", self.loss),
        ];
        let optional = [
            ("burst", &self.burst),
            ("jitter", &self.jitter),
            ("duplicate", &self.duplicate),
            ("mtu", &self.mtu),
        ];
        all.extend(
            optional.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?))),
        );
        if self.reorder {
            all.push("reorder=on".to_owned());
        }
        // The queue is last, as it is counted in products of what comes before.
        all.push(format!("queue={}", self.queue));
        let mut spec = LinkSpec::new(0, Duration::ZERO);
        let each: Vec<(Directions, Setting)> = [settings(&all.join(" "))?, settings(own)?].concat();
        each.into_iter().for_each(|(_, setting)| setting.apply(&mut spec));
        Ok(spec)
    }

    fn spec(&self) -> Result<LabSpec, String> {
        Ok(LabSpec {
            there: self.link(&self.there)?,
            back: self.link(&self.back)?,
            seed: self.seed,
            schedule: self.at.iter().flatten().cloned().collect(),
            deadline: self.lifetime,
        })
    }
}

#[tokio::main(flavor = "current_thread")]
#[expect(
    clippy::print_stderr,
    reason = "it is the program's report, and standard output is the command's"
)]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("linklab: {reason}");
            ExitCode::from(2)
        }
    }
}

#[expect(clippy::print_stderr, reason = "as above")]
async fn run(options: &Options) -> Result<ExitCode, String> {
    let lab = Lab::start(options.spec()?).map_err(|error| error.to_string())?;
    if let Some(name) = &options.tcp {
        lab.tcp_congestion_control(name).map_err(|error| format!("--tcp {name}: {error}"))?;
    }
    let status = match options.command.as_slice() {
        [] => {
            for (name, value) in environment(&lab) {
                eprintln!("{name}='{value}'");
            }
            wait(&lab, std::future::pending()).await?
        }
        [line] => wait(&lab, child(&lab, "sh", &["-c".to_owned(), line.clone()])?).await?,
        [program, arguments @ ..] => wait(&lab, child(&lab, program, arguments)?).await?,
    };
    let report = lab.stop().map_err(|error| error.to_string())?;
    eprintln!("{report}");
    Ok(status.map_or(ExitCode::SUCCESS, |status| {
        // As shells do it for a program that a signal ended.
        let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
        ExitCode::from(u8::try_from(code).unwrap_or(1))
    }))
}

/// Waits for the command, the end of the lab or a request to stop.
async fn wait(
    lab: &Lab,
    command: impl Future<Output = std::io::Result<ExitStatus>>,
) -> Result<Option<ExitStatus>, String> {
    let over = async {
        while !lab.is_over() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let listen = |kind| signal(kind).map_err(|error| error.to_string());
    let (mut interrupt, mut terminate) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        status = command => status.map(Some).map_err(|error| error.to_string()),
        () = over => Ok(None),
        _ = interrupt.recv() => Ok(None),
        _ = terminate.recv() => Ok(None),
    }
}

fn child(
    lab: &Lab,
    program: &str,
    arguments: &[String],
) -> Result<impl Future<Output = std::io::Result<ExitStatus>> + use<>, String> {
    let mut command = Command::new(program);
    let mut child = command
        .args(arguments)
        .envs(environment(lab))
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{program} does not start: {error}"))?;
    Ok(async move { child.wait().await })
}

fn environment(lab: &Lab) -> Vec<(String, String)> {
    let site = |letter: &str, site: Site| {
        let name = lab.site(site).name();
        let address: IpAddr = lab.address(site);
        [
            (letter.to_owned(), format!("ip netns exec {name}")),
            (format!("{letter}_ADDR"), address.to_string()),
            (format!("{letter}_NAME"), name.to_owned()),
        ]
    };
    [site("A", Site::A), site("B", Site::B)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Options::command().debug_assert();
    }

    #[test]
    fn what_is_asked_for_becomes_a_link() {
        let words = [
            "linklab", "--rate", "20mbit", "--rtt", "300ms", "--loss", "2%", "--back", "loss=0",
            "--queue", "0.5",
        ];
        let spec = Options::parse_from(words).spec();
        let spec = spec.expect("all of it is understood");
        assert_eq!(
            spec.there,
            LinkSpec::new(20_000_000, Duration::from_millis(300)).with_loss(0.02).with_queue(0.5)
        );
        assert_eq!(spec.back.loss, quicopy_tests::lab::spec::Loss::Never);
    }
}
