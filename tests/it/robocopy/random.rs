//! A thousand small trees with random switches, through the program and through the model.

use std::{
    fmt::Write,
    panic::catch_unwind,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use quicopy_tests::{
    model::{self, Directory, Switches, Time, WORDS, Word},
    random::Random,
    tree::{self, Snapshot},
    world::World,
};

/// Runs by default, and with `SLOW_TESTS=1`.
const RUNS: [u64; 2] = [1000, 10_000];
/// Where seeds begin; a run's seed is this and its number.
const FIRST_SEED: u64 = 1;
/// Runs side by side: they mostly wait for each other's processes.
const SIDE_BY_SIDE: usize = 4;
/// Failures after which the rest is not tried, for each is made small first.
const FAILURES: usize = 5;

/// One command line over two trees.
#[derive(Clone)]
struct Trial {
    /// Items as text, each after the directory that holds it.
    source: Vec<String>,
    destination: Vec<String>,
    words: Vec<&'static Word>,
}

impl Trial {
    fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut words = Vec::new();
        for _ in 0..random.below(6) {
            let word = &WORDS[pick(&mut random, WORDS.len())];
            if !words.iter().any(|other: &&Word| other.typed == word.typed) {
                words.push(word);
            }
        }
        // Most of the semantics lies below the root.
        if random.happens(600) {
            words.push(&WORDS[pick(&mut random, 3)]);
        }
        let mut source = Vec::new();
        directory(&mut random, "", 1, &mut source);
        // What is alike on both sides comes from there being one tree at first.
        let mut destination: Vec<String> =
            source.iter().filter(|_| random.happens(600)).cloned().collect();
        let mut other = Vec::new();
        directory(&mut random, "", 1, &mut other);
        destination.extend(other.into_iter().filter(|_| random.happens(500)));
        Self { source: built(&source), destination: built(&destination), words }
    }

    fn switches(&self) -> String {
        self.words.iter().map(|word| word.typed).collect::<Vec<_>>().join(" ")
    }

    /// How the program differs from the model; `None` if it does not.
    fn fault(&self) -> Option<String> {
        let switches = Switches::of(self.words.iter().copied());
        if switches.contradict() {
            return None;
        }
        let trial = self.clone();
        catch_unwind(move || trial.compare(&switches)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            Some(text.unwrap_or_else(|| "a panic without a text".to_owned()))
        })
    }

    fn compare(&self, switches: &Switches) -> Option<String> {
        let (source, destination) = (self.source.join("\n"), self.destination.join("\n"));
        let parsed = |text: &str| Directory::of(&tree::parse(text));
        let expected = model::run(&parsed(&source), &parsed(&destination), switches);
        let world = World::in_memory(&source, &destination);
        let around = world.around_now();
        let finished = world.copy(&self.switches());
        let mut faults = String::new();
        if finished.status.code() != Some(expected.code.into()) {
            let _ =
                writeln!(faults, "exit {:?}, expected {}", finished.status.code(), expected.code);
        }
        let mut compare = |what: &str, now: Snapshot, expected: &Snapshot| {
            let difference = now.difference(expected);
            if !difference.is_empty() {
                let _ = writeln!(faults, "{what}:\n  {}", difference.join("\n  "));
            }
        };
        compare("destination", Snapshot::of(&world.share()), &expected.destination.snapshot());
        compare("source", world.source_now(), &expected.source.snapshot());
        compare("around the destination", world.around_now(), &around);
        (!faults.is_empty()).then(|| format!("{faults}{}", finished.stdout))
    }

    /// The same with one part less, in every way that leaves the rest in order.
    fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for index in 0..self.words.len() {
            let mut smaller = self.clone();
            smaller.words.remove(index);
            all.push(smaller);
        }
        for (index, item) in self.source.iter().enumerate() {
            all.push(Self { source: without(&self.source, index, item), ..self.clone() });
        }
        for (index, item) in self.destination.iter().enumerate() {
            all.push(Self { destination: without(&self.destination, index, item), ..self.clone() });
        }
        all
    }

    /// A trial that fails, too, and of which no part can be spared.
    fn smallest(mut self, mut fault: String) -> (Self, String) {
        'again: loop {
            for smaller in self.smaller() {
                if let Some(other) = smaller.fault() {
                    (self, fault) = (smaller, other);
                    continue 'again;
                }
            }
            return (self, fault);
        }
    }
}

fn pick(random: &mut Random, count: usize) -> usize {
    usize::try_from(random.below(count as u64)).expect("less than count")
}

/// Adds the random entries of a directory: few names, sizes and times, so that two trees are easily alike.
fn directory(random: &mut Random, below: &str, level: u32, items: &mut Vec<String>) {
    for name in ["a", "b", "c.txt", "d", "directory", "link"] {
        if !random.happens(500) {
            continue;
        }
        let time = Time::ALL[pick(random, Time::ALL.len()).min(pick(random, Time::ALL.len()))];
        let path = format!("{below}{name}");
        // A name stands for its usual kind, but seldom for another: that makes mismatches.
        let kind = if random.happens(80) { pick(random, 3) } else { usual(name) };
        match kind {
            0 => {
                let size = ["5B", "5B", "5B", "0B", "9B"][pick(random, 5)];
                let seed = ["1", "1", "2"][pick(random, 3)];
                let mode = ["", "", " 0444", " 0640"][pick(random, 4)];
                let attributes = if random.happens(100) { " ~H" } else { "" };
                items.push(format!("{path} {size} #{seed} @{time}{mode}{attributes}"));
            }
            1 => {
                let mode = ["", "", " 0750"][pick(random, 3)];
                items.push(format!("{path}/ @{time}{mode}"));
                if level < 3 {
                    directory(random, &format!("{path}/"), level + 1, items);
                }
            }
            _ => {
                let target = ["a", "d", "nowhere", "c.txt"][pick(random, 4)];
                items.push(format!("{path} -> {target}"));
            }
        }
    }
}

fn usual(name: &str) -> usize {
    match name {
        "d" | "directory" => 1,
        "link" => 2,
        _ => 0,
    }
}

/// Path of an item's text, and whether it is a directory.
fn path(item: &str) -> (&str, bool) {
    let path = item.split_whitespace().next().expect("an item has a path");
    path.strip_suffix('/').map_or((path, false), |path| (path, true))
}

/// Items that can be built after each other: each path once, each below directories alone.
fn built(items: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for item in items {
        let (name, _) = path(item);
        let is_taken = kept.iter().any(|other| path(other).0 == name);
        let above = name.rsplit_once('/').map(|(above, _)| above);
        let stands =
            above.is_none_or(|above| kept.iter().any(|other| path(other) == (above, true)));
        if stands && !is_taken {
            kept.push(item.clone());
        }
    }
    kept
}

/// The items without one and all below it.
fn without(items: &[String], index: usize, item: &str) -> Vec<String> {
    let below = format!("{}/", path(item).0);
    let kept = items
        .iter()
        .enumerate()
        .filter(|(other, text)| *other != index && !path(text).0.starts_with(&below));
    kept.map(|(_, text)| text.clone()).collect()
}

#[test]
fn a_thousand_random_runs_do_what_the_model_says() {
    let slow = std::env::var_os("SLOW_TESTS").is_some_and(|value| value == "1");
    let runs = RUNS[usize::from(slow)];
    let only = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(FIRST_SEED..FIRST_SEED + runs, |seed: u64| seed..seed + 1);
    let next = AtomicU64::new(seeds.start);
    let failures = AtomicUsize::new(0);
    let faults = Mutex::new(String::new());
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while failures.load(Ordering::Relaxed) < FAILURES {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let trial = Trial::random(seed);
                    let Some(fault) = trial.fault() else { continue };
                    failures.fetch_add(1, Ordering::Relaxed);
                    let (trial, fault) = trial.smallest(fault);
                    let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
                    let _ = writeln!(
                        faults,
                        "SEED={seed}: source {:?} destination {:?} switches {:?}\n{fault}",
                        trial.source.join(", "),
                        trial.destination.join(", "),
                        trial.switches(),
                    );
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(faults.is_empty(), "{faults}");
}
