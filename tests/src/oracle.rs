//! What must hold after any fault, checked in one place.

use std::{fs, path::Path};

use crate::{
    json,
    process::Finished,
    tree::{Kind, Snapshot},
    world::World,
};

/// Knows what was there before a fault, and judges what is there after it.
///
/// The rules, each with the letter its message begins with:
///
/// - (a) a file in the share is, whole and with its metadata, an old version or the new one, and never less than one;
/// - (b) what the sender reported as copied is there;
/// - (c) nothing around the share has changed, and nothing in the source;
/// - (d) the job, run again without a fault, makes the share equal to the source;
/// - (f) no partial file is left after a success;
/// - (h) no output holds a secret.
#[derive(Debug)]
pub struct Oracle<'a> {
    world: &'a World,
    old: Snapshot,
    new: Snapshot,
    around: Snapshot,
    secrets: Vec<String>,
}

impl<'a> Oracle<'a> {
    /// Takes stock before the fault. `secrets` are the tokens that were used.
    #[track_caller]
    pub fn new(world: &'a World, secrets: &[String]) -> Self {
        Self {
            world,
            old: world.share_now(),
            new: world.source_now(),
            around: world.around_now(),
            secrets: secrets.to_vec(),
        }
    }

    /// Judges what a fault left. `outputs` are those of both programs.
    ///
    /// # Panics
    ///
    /// When a rule is broken.
    #[track_caller]
    pub fn after_fault(&self, outputs: &[&Finished]) {
        let now = self.world.share_now().without(is_partial);
        for (path, entry) in &now.entries {
            let versions: Vec<_> =
                [&self.old, &self.new].iter().filter_map(|tree| tree.entries.get(path)).collect();
            // A directory is made before what it holds, and finished after it.
            let is_directory = entry.kind == Kind::Directory;
            assert!(
                versions.iter().any(|version| {
                    if is_directory {
                        version.kind == Kind::Directory
                    } else {
                        version.equals(entry)
                    }
                }),
                "(a) {}: {entry:?} is none of {versions:?}",
                path.display(),
            );
        }
        for path in self.old.entries.keys().filter(|path| self.new.entries.contains_key(*path)) {
            assert!(now.entries.contains_key(path), "(a) {} is gone", path.display());
        }
        for finished in outputs {
            for path in json::acknowledged(&finished.stdout) {
                let (new, there) =
                    (self.new.entries.get(Path::new(&path)), now.entries.get(Path::new(&path)));
                assert!(
                    matches!((new, there), (Some(new), Some(there)) if new.equals(there)),
                    "(b) {path} was reported as copied, and is {there:?}\n{finished}"
                );
            }
        }
        self.always(outputs);
    }

    /// Judges what the same job, run again without a fault, has made of it.
    ///
    /// # Panics
    ///
    /// When a rule is broken.
    #[track_caller]
    pub fn after_rerun(&self, finished: &Finished) {
        // Bit 2 stands for the extra entries that the job removed.
        finished.exits(&[0, 1, 2, 3]);
        let now = self.world.share_now().without_directory_times();
        now.must_equal(&self.new, &format!("(d) the share is not the source\n{finished}"));
        self.no_partial_is_left();
        self.always(&[finished]);
    }

    #[track_caller]
    fn always(&self, outputs: &[&Finished]) {
        self.world.around_now().must_equal(&self.around, "(c) around the share");
        self.world.source_now().must_equal(&self.new, "(c) in the source");
        for finished in outputs {
            for secret in self.secrets.iter().map(String::as_str).chain(["PRIVATE KEY"]) {
                let said = finished.stdout.contains(secret) || finished.stderr.contains(secret);
                assert!(!said, "(h) {secret:?} is in an output\n{finished}");
            }
        }
    }

    /// Requires that the share holds no partial file.
    ///
    /// # Panics
    ///
    /// When it holds one.
    #[track_caller]
    pub fn no_partial_is_left(&self) {
        let partial = self.world.share().join(".quicopy/partial");
        let inside = fs::read_dir(&partial).map_or(0, Iterator::count);
        assert!(inside == 0, "(f) {inside} partial files in {}", partial.display());
        let beside = Snapshot::of(&self.world.share());
        let beside = beside.entries.keys().find(|path| is_partial(path));
        assert!(beside.is_none(), "(f) a partial file: {beside:?}");
    }
}

/// Whether a path is that of a partial file beside its target.
fn is_partial(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".~quicopy-"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::process::ExitStatusExt, panic::catch_unwind, process::ExitStatus};

    use super::*;
    use crate::tree::build;

    fn finished(code: i32, stdout: &str) -> Finished {
        Finished {
            command: "quicopy".into(),
            status: ExitStatus::from_raw(code << 8),
            stdout: stdout.into(),
            stderr: String::new(),
        }
    }

    /// Lets `fault` happen to a mirror of two files, of which one replaces an old version, and to its output; returns
    /// the letter of the rule that the oracle found broken.
    fn verdict(fault: impl Fn(&World) -> Finished, judge: fn(&Oracle<'_>, &Finished)) -> String {
        let world = World::new("new, changed 9B @20", "changed 9B @10, extra");
        let oracle = Oracle::new(&world, &["secret-token".to_owned()]);
        let finished = fault(&world);
        let judged = catch_unwind(std::panic::AssertUnwindSafe(|| judge(&oracle, &finished)));
        match judged {
            Ok(()) => String::new(),
            Err(panic) => {
                panic.downcast_ref::<String>().map_or("?".into(), |text| text[..3].to_owned())
            }
        }
    }

    fn after_fault(fault: impl Fn(&World) -> Finished) -> String {
        verdict(fault, |oracle, finished| oracle.after_fault(&[finished]))
    }

    fn after_rerun(fault: impl Fn(&World) -> Finished) -> String {
        verdict(fault, |oracle, finished| oracle.after_rerun(finished))
    }

    /// Builds the mirror's result, and `more` over it.
    fn mirror(world: &World, more: &str) {
        fs::remove_file(world.share().join("extra")).expect("it was built");
        build(&world.share(), "new, changed 9B @20");
        build(&world.share(), more);
    }

    #[test]
    fn what_the_rules_allow_passes() {
        let nothing = |_: &World| finished(16, "");
        assert_eq!(after_fault(nothing), "");
        let half = |world: &World| {
            build(&world.share(), "new, .~quicopy-1-1.part, .quicopy/partial/1 3B");
            finished(16, "{\"type\":\"copied\",\"path\":\"new\"}\n")
        };
        assert_eq!(after_fault(half), "");
        let all = |world: &World| {
            mirror(world, "");
            finished(3, "{\"type\":\"copied\",\"path\":\"changed\"}\n")
        };
        assert_eq!(after_fault(all), "");
        assert_eq!(after_rerun(all), "");
    }

    #[test]
    fn a_file_that_is_neither_old_nor_new_is_found() {
        for broken in [
            "new 4B",
            "new 0B",
            "changed 9B #mixed @20",
            "changed 9B @30",
            "changed 0600 9B @20",
            "stranger",
        ] {
            let verdict = after_fault(|world| {
                build(&world.share(), broken);
                finished(16, "")
            });
            assert_eq!(verdict, "(a)", "{broken}");
        }
        let gone = |world: &World| {
            fs::remove_file(world.share().join("changed")).expect("it was built");
            finished(16, "")
        };
        assert_eq!(after_fault(gone), "(a)");
    }

    #[test]
    fn a_report_that_is_not_true_is_found() {
        for path in ["new", "changed", "never"] {
            let said = format!("{{\"type\":\"copied\",\"path\":\"{path}\"}}\n");
            assert_eq!(after_fault(|_| finished(16, &said)), "(b)", "{path}");
        }
    }

    #[test]
    fn a_touched_canary_or_source_is_found() {
        for touched in ["site-b/beside.txt 6B", "site-b/share-2/more", "site-a/source/more"] {
            let verdict = after_fault(|world| {
                build(world.folder(), touched);
                finished(16, "")
            });
            assert_eq!(verdict, "(c)", "{touched}");
        }
    }

    #[test]
    fn a_rerun_that_leaves_something_undone_is_found() {
        assert_eq!(after_rerun(|_| finished(1, "")), "(d)");
        assert_eq!(
            after_rerun(|world| {
                mirror(world, "extra");
                finished(1, "")
            }),
            "(d)"
        );
        assert_eq!(
            after_rerun(|world| {
                mirror(world, "new 0600");
                finished(1, "")
            }),
            "(d)"
        );
    }

    #[test]
    fn a_partial_file_that_is_left_is_found() {
        for (partial, rule) in [(".quicopy/partial/7", "(f)"), (".~quicopy-1-1.part", "(d)")] {
            let verdict = after_rerun(|world| {
                mirror(world, partial);
                finished(1, "")
            });
            assert_eq!(verdict, rule, "{partial}");
        }
    }

    #[test]
    fn a_secret_in_an_output_is_found() {
        assert_eq!(after_fault(|_| finished(16, "the token is secret-token\n")), "(h)");
    }
}
