//! One case, run.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use quicopy_tests::{
    connected::Connected,
    process::{Finished, Running},
    sites::{CALL, Sender, destination},
    tree::{self, Snapshot},
    world::World,
};

use super::row::{After, Case, Encoding, More, Say, Step};

/// Where the destination of a case is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Site {
    /// A local folder.
    Here,
    /// The share of a real agent.
    There,
}

/// How a case that was run came out.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// As the table says.
    Holds,
    /// The program does not know a switch yet.
    NotYet,
    /// This system does not allow what the case needs.
    Skipped,
    /// Otherwise than the table says, and how.
    Fails(String),
}

/// Runs all steps of a case.
pub(super) fn run(case: &Case, site: Site) -> Outcome {
    match site {
        Site::Here => {
            let world = World::new("", "");
            let destination = world.share().display().to_string();
            Bench { world: &world, destination, site, now: now() }.run(case)
        }
        Site::There => {
            let (sites, _agent) = Connected::new("", "", "write,delete,owner");
            let destination = destination(sites.reach());
            Bench { world: &sites.world, destination, site, now: now() }.run(case)
        }
    }
}

struct Bench<'a> {
    world: &'a World,
    destination: String,
    site: Site,
    /// Seconds since 1970 from which ages count.
    now: u64,
}

/// Why a step is over before its end.
enum Stop {
    NotYet,
    Skipped,
    Fails(String),
}

impl From<String> for Stop {
    fn from(reason: String) -> Self {
        Self::Fails(reason)
    }
}

impl Bench<'_> {
    fn run(&self, case: &Case) -> Outcome {
        for step in &case.steps {
            match self.step(case, step) {
                Ok(()) => {}
                Err(Stop::NotYet) => return Outcome::NotYet,
                Err(Stop::Skipped) => return Outcome::Skipped,
                Err(Stop::Fails(reason)) => return Outcome::Fails(reason),
            }
        }
        Outcome::Holds
    }

    fn step(&self, case: &Case, step: &Step) -> Result<(), Stop> {
        tree::build(&self.world.source(), &self.located(step.source));
        tree::build(&self.world.share(), &self.located(step.destination));
        for item in &step.more {
            self.write(item).map_err(|error| format!("{item:?}: {error}"))?;
        }
        let before = self.share(step);
        let (source, around) = (self.world.source_now(), self.world.around_now());
        let started = Instant::now();
        let finished = self.call(step).ok_or(Stop::Skipped)?;
        let took = started.elapsed();
        if finished.stderr.contains("is not supported yet") {
            return Err(Stop::NotYet);
        }

        let mut faults = Vec::new();
        if finished.status.code() != Some(step.code) {
            faults.push(format!("exit code {}, not {:?}", step.code, finished.status.code()));
        }
        let expected = match step.after {
            After::Unchanged => before,
            After::Source => Snapshot::described(&self.located(case.steps[0].source)),
            After::Tree(text) => Snapshot::described(&self.located(text)),
        };
        let given = |item: &More| match item {
            More::Source(text) => Some(Snapshot::described(&self.located(text))),
            _ => None,
        };
        let source = step.more.iter().find_map(given).unwrap_or(source);
        compare(&mut faults, "destination", &self.share(step), &expected);
        compare(&mut faults, "source", &self.world.source_now(), &source);
        compare(&mut faults, "around the destination", &self.world.around_now(), &around);
        let output = format!("{}{}", finished.stdout, finished.stderr);
        for say in &step.says {
            faults.extend(self.refute(say, &output));
        }
        for item in &step.more {
            faults.extend(self.check(item, took));
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(Stop::Fails(format!("{}\n{finished}", faults.join("\n"))))
    }

    /// Calls the program; `None` where the system does not allow what the step needs.
    fn call(&self, step: &Step) -> Option<Finished> {
        let arguments = self.arguments(step);
        let mut sender = self.world.sender();
        let mut shut = Vec::new();
        for item in &step.more {
            if let More::Unreadable(path) = item {
                sender = self.world.without_privileges()?;
                shut.push(Shut::new(self.world.source().join(path)));
            }
        }
        let mount = step.more.iter().find_map(|item| match item {
            More::Mount { at, other } => Some((at, other)),
            _ => None,
        });
        match mount {
            None => Some(sender.run(&arguments)),
            Some((at, other)) => {
                let source = self.world.source();
                call_with_mount(&sender, &source.join(other), &source.join(at), &arguments)
            }
        }
    }

    fn arguments(&self, step: &Step) -> Vec<String> {
        let mut arguments = Vec::new();
        let below = |root: String, path: Option<&str>| match path {
            Some(path) => format!("{root}/{path}"),
            None => root,
        };
        let mut from = None;
        let mut to = None;
        let mut is_alone = false;
        for item in &step.more {
            match item {
                More::From(path) => from = Some(*path),
                More::To(path) => to = Some(*path),
                More::Alone => is_alone = true,
                _ => {}
            }
        }
        if !is_alone {
            arguments.push(below(self.world.source().display().to_string(), from));
            arguments.push(below(self.destination.clone(), to));
        }
        arguments.extend(step.switches.split_whitespace().map(|switch| self.located(switch)));
        if !is_alone && !step.switches.contains("/R:") {
            arguments.extend(["/R:0".to_owned(), "/W:0".to_owned()]);
        }
        arguments
    }

    /// The text with the world's own paths and times: `{SRC}`, `{DST}`, `{DIR}`, and `@-2d3h` for an age.
    fn located(&self, text: &str) -> String {
        let text = text
            .replace("{SRC}", &self.world.source().display().to_string())
            .replace("{DST}", &self.destination)
            .replace("{DIR}", &self.world.folder().display().to_string());
        let mut parts = text.split("@-");
        let mut located = parts.next().unwrap_or("").to_owned();
        for part in parts {
            let end = part.find([' ', ',']).unwrap_or(part.len());
            located += &format!("@{}{}", self.now - age(&part[..end]), &part[end..]);
        }
        located
    }

    fn share(&self, step: &Step) -> Snapshot {
        match self.site {
            // Nothing may stay behind, not even the program's own folder.
            Site::Here if !step.more.contains(&More::Private) => Snapshot::of(&self.world.share()),
            Site::Here | Site::There => self.world.share_now(),
        }
    }

    fn write(&self, item: &More) -> io::Result<()> {
        let More::Write { file, text, encoding } = item else { return Ok(()) };
        let text = self.located(text);
        let bytes = match encoding {
            Encoding::Utf8 => text.into_bytes(),
            Encoding::Utf8WithMark => format!("\u{feff}{text}").into_bytes(),
            Encoding::Utf16 => {
                format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
            }
        };
        fs::write(self.world.folder().join(file), bytes)
    }

    /// What is wrong with what else a row says.
    fn check(&self, item: &More, took: Duration) -> Option<String> {
        let there = |path: &str| self.world.share().join(path);
        match item {
            More::In { file, say } => match fs::read(self.world.folder().join(file)) {
                Ok(bytes) => self.refute(say, &decoded(&bytes)).map(|f| format!("{file}: {f}")),
                Err(error) => Some(format!("{file}: {error}")),
            },
            More::Utf16(file) => {
                let bytes = fs::read(self.world.folder().join(file)).unwrap_or_default();
                let marks = decoded(&bytes).matches('\u{feff}').count();
                let is_right = bytes.starts_with(b"\xff\xfe") && marks == 0;
                (!is_right).then(|| format!("{file} is not in UTF-16 with one mark"))
            }
            More::Now(path) => {
                let age = fs::metadata(there(path)).and_then(|meta| meta.modified());
                let is_now = age.is_ok_and(|time| {
                    time.elapsed().is_ok_and(|age| age < Duration::from_secs(3600))
                });
                (!is_now).then(|| format!("{path} has not the time of the run"))
            }
            More::Bare(path) => match tree::attributes(&there(path)) {
                Ok(0) => None,
                Ok(attributes) => Some(format!("{path} has attributes {attributes:#x}")),
                Err(error) => Some(format!("{path}: {error}")),
            },
            More::Names { one, other, linked } => {
                let inode = |path| fs::metadata(there(path)).map(|meta| meta.ino()).ok();
                let are_linked = inode(one) == inode(other);
                (are_linked != *linked).then(|| format!("{one} and {other}: linked: {are_linked}"))
            }
            More::TakesMs(ms) => {
                (took < Duration::from_millis(*ms)).then(|| format!("it took only {took:?}"))
            }
            _ => None,
        }
    }

    /// Why a text does not say this; `None` if it does.
    fn refute(&self, say: &Say, text: &str) -> Option<String> {
        let collapsed = collapse(text);
        let count = |wanted: &str| collapsed.matches(&collapse(&self.located(wanted))).count();
        let (holds, fault) = match say {
            Say::Text(wanted) => (count(wanted) > 0, format!("it should say {wanted:?}")),
            Say::Not(wanted) => (count(wanted) == 0, format!("it should not say {wanted:?}")),
            Say::Only(wanted) => {
                (collapsed == collapse(&self.located(wanted)), format!("not only {wanted:?}"))
            }
            Say::Times(times, wanted) => {
                (count(wanted) == *times, format!("{wanted:?} not {times} times"))
            }
            Say::Exact(wanted) => {
                (text.contains(&self.located(wanted)), format!("it should say exactly {wanted:?}"))
            }
        };
        (!holds).then_some(fault)
    }
}

/// An entry that nobody may read until this is dropped.
struct Shut {
    path: PathBuf,
    mode: u32,
}

impl Shut {
    fn new(path: PathBuf) -> Self {
        let mode = fs::metadata(&path).expect("the entry was built").mode();
        fs::set_permissions(&path, Permissions::from_mode(0o000)).expect("it is ours");
        Self { path, mode }
    }
}

impl Drop for Shut {
    fn drop(&mut self) {
        // What comes after reads the tree, and says if it cannot.
        let _ = fs::set_permissions(&self.path, Permissions::from_mode(self.mode));
    }
}

/// Calls the sender in a mount namespace of its own, in which `other` can be seen at `at`, too.
fn call_with_mount(
    sender: &Sender,
    other: &Path,
    at: &Path,
    arguments: &[String],
) -> Option<Finished> {
    let mut probe = Command::new("unshare");
    let can_mount = probe.args(["-m", "true"]).status().is_ok_and(|status| status.success());
    if !can_mount {
        return None;
    }
    let inner = sender.command();
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", "mount --bind \"$0\" \"$1\" && shift && exec \"$@\""]);
    command.arg(other).arg(at).arg(inner.get_program()).args(arguments);
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Some(Running::start(&mut command).finish(CALL))
}

fn compare(faults: &mut Vec<String>, what: &str, now: &Snapshot, expected: &Snapshot) {
    let difference = now.difference(expected);
    if !difference.is_empty() {
        faults.push(format!(
            "{what}, here now, there as it should be:\n  {}",
            difference.join("\n  ")
        ));
    }
}

fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn decoded(bytes: &[u8]) -> String {
    match bytes.strip_prefix(b"\xff\xfe") {
        None => String::from_utf8_lossy(bytes).into_owned(),
        Some(units) => {
            let units = units.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')).collect()
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs()
}

/// Seconds of an age such as `2d`, `47h59m` or `90s`.
fn age(text: &str) -> u64 {
    let mut seconds = 0;
    let mut number = 0;
    for letter in text.chars() {
        let unit = match letter {
            '0'..='9' => {
                number = number * 10 + u64::from(letter.to_digit(10).expect("it is a digit"));
                continue;
            }
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => panic!("{text:?} is no age"),
        };
        seconds += number * unit;
        number = 0;
    }
    seconds
}

#[test]
fn ages_are_read() {
    assert_eq!((age("47h59m"), age("2d"), age("1d1s")), (172_740, 172_800, 86_401));
}
