//! Destinations that do not tell all names apart: case P28 where the file system folds case.

use quicopy_tests::{process::Finished, world::World};

use super::trouble::in_small_file_system;

/// Makes a folder that folds case, `$share`, on one of two file systems that can; exits with 99 where neither can be mounted.
const FOLDING: &str = r#"
    in_memory() { mount -t tmpfs -o casefold none "$at/disk" && folds; }
    ext4() {
        truncate -s 48M "$at/image" && mkfs.ext4 -q -O casefold "$at/image" &&
            mount -o loop "$at/image" "$at/disk" && folds
    }
    folds() {
        mkdir "$at/disk/share" && chattr +F "$at/disk/share" &&
            touch "$at/disk/share/x" && rm "$at/disk/share/X"
    }
    mkdir "$at/disk"
    { in_memory || ext4; } > /dev/null 2>&1 || exit 99
    share=$at/disk/share
"#;

/// Runs a script in which `"$@"` calls the sender with `switches` and the destination `$share`, which folds case. Says so and
/// returns `None` where no such file system can be mounted.
#[expect(clippy::print_stderr, reason = "a skipped test must not look like a passed one")]
fn at_folding_destination(world: &World, switches: &str, script: &str) -> Option<Finished> {
    let at = world.folder().join("disk");
    let arguments = world.arguments(&at.join("disk/share").display().to_string(), switches);
    let script = format!("{FOLDING}\n{script}");
    let finished = in_small_file_system(&world.sender(), &at, &script, &arguments)
        .filter(|finished| finished.status.code() != Some(99));
    if finished.is_none() {
        eprintln!("skipped: no file system that folds case can be mounted here");
    }
    finished
}

#[test]
fn p28_the_same_name_in_other_letters_is_the_counterpart_and_never_extra() {
    let world = World::new("A.txt, BIG 100B, D/x, Left", "");
    let script = r#"
        mkdir "$share/d"
        echo other > "$share/a.txt"; echo small > "$share/big"; echo > "$share/left"
        echo > "$share/d/y"; echo > "$share/gone"
        "$@"; echo "first: $?"
        (cd "$share" && echo after: $(find . -mindepth 1 ! -name .quicopy | sort))
        cmp "$share/a.txt" "$2/A.txt" && [ "$(cat "$share/big")" = small ] && echo content is right
        "$@"; echo "second: $?""#;
    let Some(finished) = at_folding_destination(&world, "/MIR /MAX:60 /XF Left", script) else {
        return;
    };
    finished
        .exits(&[0])
        .says("first: 3\n")
        .says("after: ./a.txt ./big ./d ./d/x ./left\n")
        .says("content is right")
        .says("second: 0\n");
}

#[test]
fn of_two_names_that_are_one_at_the_destination_one_fails_every_time() {
    for switches in ["/MIR", "/S /PURGE"] {
        let world = World::new("A #one, E/x, a #two, e/y", "");
        let script = r#"
            "$@"; echo "first: $?"
            cp "$share/a" "$at/a"
            "$@"; echo "second: $?"
            echo > "$share/z"
            "$@"; echo "third: $?"
            [ "$(find "$share" -type f | wc -l)" = 3 ] && cmp "$share/a" "$at/a" && [ -e "$share/E/x" ] && echo nothing alternates
            "#;
        let Some(finished) = at_folding_destination(&world, switches, script) else { return };
        finished
            .exits(&[0])
            .says("first: 9\n")
            .says("the destination does not tell")
            .says("the destination does not tell e from E")
            .says("second: 8\n")
            .says("third: 10\n")
            .says("nothing alternates\n");
    }
}
