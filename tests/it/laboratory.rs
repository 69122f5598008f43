//! The link laboratory itself: a link is what was asked for, and goes without a trace.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use quicopy_tests::{
    lab::{
        ADDRESS_B, Lab, LabSpec, Site,
        change::{Change, Directions, Setting},
        spec::LinkSpec,
    },
    poll::wait_until,
    process::Running,
};

const MBIT: u64 = 1_000_000;
const PORT: u16 = 5000;
/// Tells the second life of this test program to be the lab that is killed.
const VICTIM: &str = "QUICOPY_LABORATORY_VICTIM";

/// Whether this machine can have a lab; says why not.
#[expect(clippy::print_stderr, reason = "a skipped test must not look like a passed one")]
fn is_available() -> bool {
    if let Some(reason) = Lab::unavailable() {
        eprintln!("skipped: {reason}");
    }
    Lab::unavailable().is_none()
}

fn start(link: LinkSpec) -> Lab {
    let spec = LabSpec { deadline: Duration::from_secs(60), ..LabSpec::new(link) };
    Lab::start(spec).expect("the machine can have a lab")
}

fn change(lab: &Lab, setting: Setting) {
    lab.change(Change::Link(Directions::Both, setting));
}

/// A socket at site a and one at site b that knows it, like a client and its server.
struct Sockets {
    client: UdpSocket,
    server: UdpSocket,
}

impl Sockets {
    fn open(lab: &Lab) -> Self {
        let [client, server] = [Site::A, Site::B].map(|site| {
            let socket = lab.site(site).inside(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)));
            let socket = socket.and_then(|bound| bound).expect("nothing else runs there");
            socket.set_read_timeout(Some(Duration::from_millis(500))).expect("not zero");
            socket
        });
        Self { client, server }
    }

    /// Sends a datagram to the server and one back to where it came from. Returns that and how long both took.
    fn echo(&self) -> io::Result<(SocketAddr, Duration)> {
        let (began, mut buffer) = (Instant::now(), [0; 16]);
        self.client.send_to(b"there", (ADDRESS_B, PORT))?;
        let (_, from) = self.server.recv_from(&mut buffer)?;
        self.server.send_to(b"back", from)?;
        self.client.recv_from(&mut buffer)?;
        Ok((from, began.elapsed()))
    }
}

fn namespaces() -> String {
    let listed = Command::new("ip").args(["netns", "list"]).output().expect("labs need it, too");
    String::from_utf8_lossy(&listed.stdout).into_owned()
}

#[test]
fn an_emulated_link_has_the_round_trip_that_was_asked_for() {
    if !is_available() {
        return;
    }
    let lab = start(LinkSpec::new(100 * MBIT, Duration::from_millis(40)));
    let sockets = Sockets::open(&lab);
    let fastest = (0..10).map(|_| sockets.echo().expect("nothing is lost").1).min();
    let fastest = fastest.expect("ten of them").as_secs_f64() * 1e3;
    assert!((40.0..45.0).contains(&fastest), "{fastest} ms");
}

#[test]
fn an_emulated_link_loses_its_share_and_nothing_more() {
    if !is_available() {
        return;
    }
    let link = LinkSpec::new(100 * MBIT, Duration::from_millis(2)).with_loss(0.2);
    let lab = start(LinkSpec { queue_bytes: 1 << 22, ..link });
    let sockets = Sockets::open(&lab);
    for _ in 0..1000 {
        sockets.client.send_to(&[0; 1000], (ADDRESS_B, PORT)).expect("the interface is up");
    }
    wait_until(Duration::from_secs(5), "all have come or are lost", || {
        let there = lab.counters().there;
        there.sent >= 1000 && there.delivered + there.lost == there.sent
    });
    let report = lab.stop().expect("it runs");
    assert!((150..250).contains(&report.total.there.lost), "{report}");
    assert!(report.emulator.delivering.count() > 0);
}

#[test]
fn nothing_passes_during_an_outage() {
    if !is_available() {
        return;
    }
    let lab = start(LinkSpec::new(100 * MBIT, Duration::from_millis(2)));
    let sockets = Sockets::open(&lab);
    sockets.echo().expect("before");
    change(&lab, Setting::IsDown(true));
    assert!(sockets.echo().is_err());
    change(&lab, Setting::IsDown(false));
    sockets.echo().expect("afterwards");
}

#[test]
fn a_server_sees_its_client_move_and_its_answers_arrive() {
    if !is_available() {
        return;
    }
    let lab = start(LinkSpec::new(100 * MBIT, Duration::from_millis(2)));
    let sockets = Sockets::open(&lab);
    let from = || sockets.echo().expect("answers arrive").0;
    let first = from();
    assert_eq!(first, SocketAddr::from((lab.address(Site::A), PORT)));
    lab.change(Change::RebindPort);
    let second = from();
    assert_eq!(second.ip(), first.ip());
    assert_ne!(second.port(), first.port());
    lab.change(Change::RebindAddress);
    let third = from();
    assert_ne!(third.ip(), second.ip());
}

#[test]
fn a_site_gets_another_address() {
    if !is_available() {
        return;
    }
    let lab = start(LinkSpec::new(100 * MBIT, Duration::from_millis(2)));
    let sockets = Sockets::open(&lab);
    let old = sockets.echo().expect("answers arrive").0.ip();
    lab.change(Change::Readdress);
    wait_until(Duration::from_secs(5), "it comes from elsewhere", || {
        sockets.echo().is_ok_and(|(from, _)| from.ip() != old && from.ip() == lab.address(Site::A))
    });
}

#[test]
fn a_lab_ends_at_its_deadline_with_what_runs_in_it() {
    if !is_available() {
        return;
    }
    let spec = LabSpec {
        deadline: Duration::from_secs(1),
        ..LabSpec::new(LinkSpec::new(MBIT, Duration::ZERO))
    };
    let lab = Lab::start(spec).expect("the machine can have a lab");
    let mut program = lab.command(Site::A, "sleep");
    let finished = Running::start(program.arg("100")).finish(Duration::from_secs(20));
    assert!(finished.was_killed());
    wait_until(Duration::from_secs(5), "it is over", || lab.is_over());
}

/// Not a test of its own: the lab that the next one kills.
#[test]
#[expect(clippy::print_stdout, reason = "it tells the test which runs it")]
fn a_lab_that_waits_to_be_killed() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let lab = start(LinkSpec::new(MBIT, Duration::ZERO));
    println!("\nnamespace {}", lab.site(Site::A).name());
    io::stdout().flush().expect("the other test reads it");
    // Until its deadline, but it is killed long before.
    while !lab.is_over() {
        thread::park_timeout(Duration::from_secs(1));
    }
}

#[test]
fn the_next_lab_removes_what_a_killed_one_has_left() {
    if !is_available() {
        return;
    }
    let own = std::env::current_exe().expect("it runs");
    let mut victim = Command::new(own);
    victim
        .args(["--exact", "laboratory::a_lab_that_waits_to_be_killed", "--nocapture"])
        .env(VICTIM, "1");
    let victim = Running::start(&mut victim);
    let named = || {
        let said = victim.stdout();
        said.lines().find_map(|line| line.strip_prefix("namespace ").map(str::to_owned))
    };
    wait_until(Duration::from_secs(20), "it says its name", || named().is_some());
    let name = named().expect("just seen");
    victim.kill();
    assert!(namespaces().contains(&name));

    let lab = start(LinkSpec::new(MBIT, Duration::ZERO));
    assert!(!namespaces().contains(&name));
    let own = lab.site(Site::A).name().to_owned();
    assert!(namespaces().contains(&own));
    drop(lab);
    assert!(!namespaces().contains(&own));
}
